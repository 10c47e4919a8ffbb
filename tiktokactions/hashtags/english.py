"""Whether a phrase is English as far as the word lists know: typing errors are corrected, other languages are told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from tiktokactions.hashtags.words import content_words, count_of, is_gerund, lemmas, phrase_words, split_hashtag

_LISTS = files("tiktokactions.hashtags").joinpath("data/elsewhere.txt").read_text(encoding="utf-8").splitlines()
_ELSEWHERE, _ACTIONS_ELSEWHERE = (frozenset(line.split()) for line in _LISTS)
"""Articles and prepositions of other languages, of which one beside a word that is not English tells; and usual words for
actions and their things."""
_ENDINGS = re.compile(r"\w{2,}(ar|er|ir|arse|erse|irse|en|eln|ern|are|ere|ire|ando|i?endo|cion|ismo)")
"""Infinitives of Spanish, Portuguese, French, German, Dutch and Italian, and nouns and gerunds."""
_RARER = 100
"""A typing error is so many times rarer than the word that was meant."""
_SHORTEST = 6
"""Shorter words have too many neighbours."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A phrase as it is read, and what there is to say of it."""

    phrase: str
    note: str = ""
    is_english: bool = True


def checked(phrase: str, known: frozenset[str]) -> Checked:
    """Correct typing errors, and find phrases in other languages. ``known``: words that need no lexicon."""
    words = phrase_words(phrase, known)
    strange = [word for word in words if not _is_english(word, known)]
    fixes = {w: fix for w in strange if (fix := correction(w, known, words, len(strange) < len(content_words(words))))}
    strange = [word for word in strange if word in fixes or word.removesuffix("s") not in known]
    foreign = [word for word in strange if word not in fixes and _is_foreign(word)]
    beside = [word for word in words if word in _ELSEWHERE]
    if strange and (foreign or beside or (len(strange) == len(words) > 1 and not fixes)):
        return Checked(phrase, f"'{phrase}': not English as far as the word lists know; give it in English", False)
    if fixes:
        fixed = " ".join(fixes.get(word, word) for word in words)
        return Checked(fixed, f"'{phrase}': read as '{fixed}', since {', '.join(fixes)} is in no word list")
    if strange:
        return Checked(phrase, f"'{phrase}': {', '.join(strange)} is in no word list; check it")
    return Checked(phrase)


def correction(word: str, known: frozenset[str], beside: tuple[str, ...] = (), is_beside_english: bool = False) -> str:
    """The common word that a rare one was probably meant to be: one letter more, less or other, or two in another order;
    rather one that makes a known word or pair with those ``beside`` it."""
    if len(word) < _SHORTEST or (_ENDINGS.fullmatch(word) and not is_beside_english):
        return ""  # too many neighbours, or the infinitive of another language
    near = [other for other in _neighbours(word) if other[0] == word[0] and (other in known or lemmas(other))]

    def fits(other: str) -> tuple[float, float]:
        said = [other if one == word else one for one in beside]
        return count_of("".join(said)) if len(said) == 2 else 0.0, count_of(other)

    best = max(near, key=fits, default="")
    return best if best and count_of(best) >= _RARER * max(1.0, count_of(word)) else ""


@lru_cache(maxsize=20_000)
def _is_english(word: str, known: frozenset[str]) -> bool:
    if word in known or word.isdigit() or len(word) < 3 or lemmas(word):
        return True
    if not word.isascii():
        return False
    parts = split_hashtag(word, known)
    whole = all(len(part) > 2 and (part in known or bool(lemmas(part))) for part in parts)
    return len(parts) > 1 and whole and (is_gerund(parts[-1]) or all(len(part) > 3 for part in parts))


def _is_foreign(word: str) -> bool:
    return not word.isascii() or word in _ACTIONS_ELSEWHERE or bool(_ENDINGS.fullmatch(word))


def _neighbours(word: str) -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    for cut in range(len(word) + 1):
        head, tail = word[:cut], word[cut:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in letters:
            yield head + letter + tail
            if tail:
                yield head + letter + tail[1:]
