"""The six principles of the paper (section 3.2) as rules about words: what to propose, and what two hashtags share."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tiktokactions.errors import UsageError
from tiktokactions.hashtags.words import (
    bigram_count,
    can_be,
    content_words,
    gerund,
    is_gerund,
    lemma,
    phrase_words,
    split_compound,
    split_hashtag,
)
from tiktokactions.records import JsonObject

GENERALIZATION, SPECIFICATION = "generalization", "specification"
NOUN_SUBSTITUTION, NOUN_VERB_ORDER = "noun substitution", "noun-verb order"
CONSOLIDATION, SOCIAL, AS_IS = "consolidation", "social and cultural", "as it is"
SOURCES = ("ucf101", "hmdb51", "kinetics400", "something_something_v2")
CATEGORIES = ("dance", "sports", "fitness", "kinetics", "challenge")


class HashtagError(UsageError):
    """A list or a knowledge file that cannot be used; the message says what was expected."""


@dataclass(frozen=True)
class Knowledge:
    """What no rule can know: the contents of ``knowledge.toml``."""

    light_verbs: frozenset[str]
    action_nouns: frozenset[str]
    """Verbs whose base form names the action: shoe repair."""
    never_splits: frozenset[str]
    umbrellas: Mapping[str, tuple[str, ...]]
    specific: Mapping[str, tuple[str, ...]]
    families: Mapping[str, str]
    """Family by noun."""
    categories: Mapping[str, str]
    """Category by word."""
    challenges: Mapping[str, str]

    @property
    def dances(self) -> frozenset[str]:
        """The dances whose name alone says that they are dances."""
        return frozenset(part for part in self.parts if self.categories.get(part) == "dance")

    @property
    def parts(self) -> frozenset[str]:
        return frozenset(part for found in self.specific.values() for part in found)

    @property
    def whole(self) -> frozenset[str]:
        """Names that must not be split into words."""
        return self.never_splits | {p for p in self.parts if not p.endswith(("dance", "skiing", "surfing", "boarding"))}


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposed hashtag, and why."""

    hashtag: str
    category: str
    principle: str
    phrase: str
    source: str
    why: str


def read_knowledge(path: Path | None = None) -> Knowledge:
    """The shipped file or an edited copy; raises ``HashtagError`` if a table is missing or a value is of another type."""
    shipped = files("tiktokactions.hashtags").joinpath("data/knowledge.toml")
    try:
        said: JsonObject = tomllib.loads((path or shipped).read_text(encoding="utf-8"))
        return Knowledge(
            light_verbs=frozenset(said["light_verbs"]),
            action_nouns=frozenset(said["action_nouns"]),
            never_splits=frozenset(said["never_splits"]),
            umbrellas={name: tuple(members) for name, members in said["umbrellas"].items()},
            specific={name: tuple(members) for name, members in said["specific"].items()},
            families={noun: family for family, nouns in said["families"].items() for noun in nouns},
            categories={word: category for category, words in said["categories"].items() for word in words},
            challenges=dict(said["challenges"]),
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError, TypeError) as error:
        raise HashtagError(f"{path}: not a knowledge file ({error})") from None
    except KeyError as error:
        raise HashtagError(f"{path}: expected the entry {error}; copy the shipped file and edit it") from None


def read_phrases(source: str) -> list[str]:
    """The class names of a shipped dataset, or the lines of a file."""
    shipped = files("tiktokactions.hashtags").joinpath(f"data/{source}.txt")
    try:
        text = (shipped if source in SOURCES else Path(source)).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HashtagError(f"{source}: expected one of {', '.join(SOURCES)}, or a file ({error})") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def propose(sources: Sequence[str], knowledge: Knowledge) -> list[Proposal]:
    """Candidates for every class name of ``sources`` in all variants, and the challenges."""
    found: dict[tuple[str, str], Proposal] = {}
    for source in sources:
        for phrase in read_phrases(source):
            for proposal in propose_for(phrase, source, knowledge):
                found.setdefault((proposal.hashtag, proposal.principle), proposal)
    for name, what in knowledge.challenges.items():
        proposal = Proposal(name, "challenge", SOCIAL, what, "knowledge", "a trend that is in no list of classes")
        found.setdefault((name, SOCIAL), proposal)
    return list(found.values())


def propose_for(phrase: str, source: str, knowledge: Knowledge) -> list[Proposal]:
    """The hashtags that the principles derive from one action phrase."""
    every = phrase_words(phrase)
    words = content_words(every)
    if not words:
        return []
    joined = "".join(words)
    category = category_of([*every, joined], knowledge)

    def made(hashtag: str, principle: str, why: str) -> Proposal:
        return Proposal(hashtag, category, principle, phrase, source, why)

    if joined in knowledge.specific:
        parts = knowledge.specific[joined]
        return [made(part, SPECIFICATION, f"'{phrase}' holds distinct actions") for part in parts]
    if joined.endswith("challenge") and len(joined) > 9:
        return [made(joined, SOCIAL, "a challenge")]
    proposals = [made(joined, AS_IS, "the action's own name")]
    umbrella = umbrella_of(joined, words, knowledge)
    if umbrella and umbrella != joined:
        proposals.append(made(umbrella, GENERALIZATION, f"umbrella term of '{phrase}'"))
    if len(words) == 2 and words[0] in knowledge.dances and lemma(words[1]) == "dance":
        proposals.append(made(words[0], NOUN_SUBSTITUTION, f"the dance's name alone says '{phrase}'"))
    elif len(words) >= 2:
        verb, noun = _verb_and_noun(words)
        if verb is not None and lemma(verb) in knowledge.light_verbs:
            proposals.append(made("".join(noun), NOUN_SUBSTITUTION, f"the noun alone says '{phrase}'"))
        elif verb is not None and is_gerund(words[0]):
            proposals.append(
                made(noun_phrase(verb, noun, knowledge), NOUN_VERB_ORDER, f"people write the noun first for '{phrase}'")
            )
    return proposals


def category_of(words: Iterable[str], knowledge: Knowledge) -> str:
    """``challenge`` by name, else the first of dance, sports and fitness that a word suggests, else ``kinetics``."""
    listed = list(words)
    if any(word.endswith("challenge") for word in listed):
        return "challenge"
    said = {knowledge.categories[w] for word in listed for w in (word, lemma(word)) if w in knowledge.categories}
    return next((category for category in CATEGORIES[:3] if category in said), "kinetics")


def umbrella_of(joined: str, words: Sequence[str], knowledge: Knowledge) -> str | None:
    """The umbrella that lists the hashtag or is itself one of its words."""
    umbrellas = knowledge.umbrellas.items()
    return next((umbrella for umbrella, members in umbrellas if joined in members or umbrella in words), None)


def noun_phrase(verb: str, noun: Sequence[str], knowledge: Knowledge) -> str:
    """``repairing``, ``shoes`` → shoerepair; ``milking``, ``cow`` → cowmilking.

    The noun is in the singular; the verb becomes a noun if the knowledge or the corpus says that people use it so.
    """
    things = [lemma(word) for word in noun]
    base, ing = lemma(verb), gerund(lemma(verb))
    as_noun = base in knowledge.action_nouns or bigram_count(things[-1], base) > bigram_count(things[-1], ing)
    return "".join(things) + (base if as_noun else ing)


def _verb_and_noun(words: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """The verb of a phrase and the rest; reads ``HorseRiding`` and ``ride_horse`` as well as ``riding horse``."""
    for index in (0, len(words) - 1):
        if is_gerund(words[index]):
            return words[index], tuple(word for i, word in enumerate(words) if i != index)
    if can_be(words[0], "VERB") and can_be(words[-1], "NOUN"):
        return words[0], tuple(words[1:])
    return None, tuple(words)


# --- what two hashtags share ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What a hashtag says."""

    hashtag: str
    words: tuple[str, ...]
    lemmas: tuple[str, ...]
    """Sorted, without articles."""


def read_hashtag(hashtag: str, knowledge: Knowledge) -> Reading:
    words = content_words(split_hashtag(hashtag, knowledge.whole))
    # Only for comparisons: that beatboxing contains boxing does not put it under boxing.
    parts = split_compound(words[0]) if len(words) == 1 and words[0] not in knowledge.whole else words
    return Reading(hashtag, words, tuple(sorted(lemma(word) for word in parts)))


def shared_principle(one: Reading, other: Reading, knowledge: Knowledge) -> str | None:
    """The principle by which two hashtags mean one action; None if they do not."""
    if one.lemmas == other.lemmas or one.hashtag.removesuffix("s") == other.hashtag.removesuffix("s"):
        return NOUN_VERB_ORDER
    small, large = sorted((one, other), key=lambda reading: len(reading.lemmas))
    rest = list(large.lemmas)
    if all(word in rest and not rest.remove(word) for word in small.lemmas):  # type: ignore[func-returns-value]
        only_noun = all(not is_gerund(word) for word in small.words)
        if rest and all(word in knowledge.light_verbs for word in rest) and only_noun:
            return NOUN_SUBSTITUTION
        if rest == ["dance"] and small.hashtag in knowledge.dances:
            return NOUN_SUBSTITUTION
    for umbrella, member in ((one, other), (other, one)):
        if umbrella_of(member.hashtag, member.words, knowledge) == umbrella.hashtag:
            return GENERALIZATION
    common = set(one.lemmas) & set(other.lemmas)
    verbs = {word for word in common if can_be(word, "VERB")}
    rests = [[word for word in reading.lemmas if word not in verbs] for reading in (one, other)]
    if verbs and all(len(rest) == 1 for rest in rests):
        families = [knowledge.families.get(rest[0]) for rest in rests]
        if families[0] is not None and families[0] == families[1]:
            return CONSOLIDATION
    return None
