"""The words of a hashtag or a class name: split, reduced to lemmas, and classified as nouns and verbs.

Splitting is wordsegment's (n-grams of a trillion words), lemmas and parts of speech are lemminflect's (NIH lexicon).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

_STOP = frozenset(
    "a an the of on in with into from to at for and or not person personal persons something out using by up".split()
)
_BEGINS = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word begins in ``CamelCase``; letters beyond ASCII belong to the word that they stand in."""


@cache
def _segmenter() -> object:
    import wordsegment

    segmenter = wordsegment.Segmenter()
    segmenter.load()
    return segmenter


def phrase_words(phrase: str, whole: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The words of a class name in lower case, without brackets: ``PlayingPiano``, ``ride_bike``, ``hurling (sport)``.

    Two that together are in ``whole`` are one: ``push-up``, ``ping pong``.
    """
    text = _BEGINS.sub(" ", re.sub(r"\(.*?\)", " ", phrase.replace("'s", "")))
    words: list[str] = []
    for word in re.findall(r"\d+|[^\W\d_]+", text.lower()):
        if words and words[-1] + word in whole:
            words[-1] += word
        else:
            words.append(word)
    return tuple(words)


@lru_cache(maxsize=20_000)
def split_hashtag(hashtag: str, whole: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The words of a hashtag. Those in ``whole`` stay one word, even at the beginning or end of a hashtag."""
    text = hashtag.lstrip("#").lower()
    if text in whole or not text.isascii() or not text.isalnum():
        return (text,)
    for word in sorted(whole, key=len, reverse=True):
        if len(word) > 4 and text.startswith(word):
            return (word, *split_hashtag(text[len(word) :], whole))
        if len(word) > 4 and text.endswith(word):
            return (*split_hashtag(text[: -len(word)], whole), word)
    if whole and (pair := _compound(text)):
        return pair
    return tuple(_segmenter().segment(text))  # type: ignore[attr-defined]


def _compound(text: str) -> tuple[str, ...]:
    """Two words of the lexicon that end in an action, where the corpus does not know the whole: leg + swing and not
    legs + wing, for people name an action by a thing in the singular."""
    if count_of(text) or lemmas(text):
        return ()
    pairs = [(text[:cut], text[cut:]) for cut in range(3, len(text) - 2)]
    fit = [
        (first, second)
        for first, second in pairs
        if can_be(first, "NOUN")
        and lemma(first) == first
        and (is_gerund(second) or {"NOUN", "VERB"} <= lemmas(second).keys())
    ]
    return max(fit, key=lambda pair: min(map(count_of, pair)), default=())


def split_compound(word: str) -> tuple[str, ...]:
    """``dishwashing`` → dish, washing, even though it is one word in the corpus; verbs (skateboarding) stay whole."""
    if not word.endswith("ing") or "VERB" in lemmas(word):
        return (word,)
    for cut in range(len(word) - 5, 2, -1):
        noun, verb = word[:cut], word[cut:]
        if is_gerund(verb) and "NOUN" in lemmas(noun):
            return (noun, verb)
    return (word,)


@lru_cache(maxsize=20_000)
def lemmas(word: str) -> dict[str, str]:
    """Lemma by part of speech (``NOUN``, ``VERB``, …), as far as the lexicon knows the word."""
    from lemminflect import getAllLemmas

    return {pos: found[0] for pos, found in getAllLemmas(word).items() if found}


def is_gerund(word: str) -> bool:
    return word.endswith("ing") and "VERB" in lemmas(word)


def lemma(word: str) -> str:
    """``cutting`` → cut, ``cakes`` → cake, ``repair`` → repair, an unknown word as it is."""
    found = lemmas(word)
    if is_gerund(word):
        return found["VERB"]
    return found.get("NOUN") or found.get("VERB") or word


def can_be(word: str, pos: str) -> bool:
    return pos in lemmas(word)


def content_words(words: Iterable[str]) -> tuple[str, ...]:
    """The words without articles, prepositions and the like; ``up`` and ``out`` stay beside one word: thumbs up."""
    listed = tuple(words)
    kept = tuple(word for word in listed if word not in _STOP)
    return listed if not kept or (listed[1:] in (("up",), ("out",))) else kept


def bigram_count(first: str, second: str) -> float:
    """How often two words occur side by side in wordsegment's corpus; 0 if never."""
    return float(_segmenter().bigrams.get(f"{first} {second}", 0.0))  # type: ignore[attr-defined]


def count_of(word: str) -> float:
    """How often a word occurs in wordsegment's corpus; 0 if never."""
    return float(_segmenter().unigrams.get(word, 0.0))  # type: ignore[attr-defined]


def gerund(verb: str) -> str:
    from lemminflect import getInflection

    found = getInflection(verb, tag="VBG")
    return str(found[0]) if found else verb + "ing"
