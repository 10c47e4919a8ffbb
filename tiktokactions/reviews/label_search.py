"""Finds labels as people type them, and tells spellings of one action from actions of their own."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from tiktokactions.hashtags.words import lemma, phrase_words

TYPO_FROM = 4
"""Letters that a word needs before one of them may be wrong."""


def found_at(label: str, text: str) -> int | None:
    """How well a label fits what was typed, 0 best: it begins with it, contains it, has its words in any order, number or
    form, with or without spaces and hyphens; or with one typo in a word. None: not at all."""
    wanted, name = " ".join(text.split()).lstrip("#").casefold(), label.casefold()
    if wanted in name:
        return 0 if name.startswith(wanted) else 1
    words, typed = _forms(label), [(word, lemma(word)) for word in phrase_words(wanted)]
    joined = zip(spellings(wanted)[:2], spellings(label)[:2], strict=True)
    if all(any(word.startswith(forms) for word in words) for forms in typed) or any(a in b for a, b in joined):
        return 2
    return 3 if all(any(_alike(form, word) for form in forms for word in words) for forms in typed) else None


@functools.lru_cache(20_000)
def spellings(label: str) -> tuple[str, ...]:
    """Labels that share one of these are one action: the words in their order without spaces, as typed and in
    their plain form, and in alphabetical order."""
    words = [lemma(word) for word in phrase_words(label)] or [label.casefold()]
    return "".join(phrase_words(label)), "".join(words), " ".join(sorted(words))


def each_once(labels: Iterable[str]) -> list[str]:
    """The labels without other spellings of one that came before."""
    there: dict[str, str] = {}
    for label in labels:
        first = next((there[key] for key in spellings(label) if key in there), label)
        there |= dict.fromkeys(spellings(label), first)
    return list(dict.fromkeys(there.values()))


@functools.lru_cache(20_000)
def _forms(label: str) -> frozenset[str]:
    words = phrase_words(label)
    return frozenset(words) | {lemma(word) for word in words}


def _alike(a: str, b: str) -> bool:
    """Equal, or one letter is wrong, missing, too many, or swapped with the next."""
    if min(len(a), len(b)) < TYPO_FROM:
        return b.startswith(a)
    at = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    one, other = a[at:], b[at:]
    is_swapped = one[:2] == other[1::-1] and one[2:] == other[2:]
    return b.startswith(a) or is_swapped or one[1:] in (other, other[1:]) or one == other[1:]
