"""The six principles of the paper (section 3.2) as rules about words: what to propose, and what two hashtags share."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from tiktokactions.errors import UsageError
from tiktokactions.hashtags.english import Checked, checked
from tiktokactions.hashtags.words import (
    bigram_count,
    can_be,
    content_words,
    count_of,
    gerund,
    is_gerund,
    lemma,
    lemmas,
    phrase_words,
    split_compound,
    split_hashtag,
)
from tiktokactions.records import JsonObject

GENERALIZATION, SPECIFICATION = "generalization", "specification"
NOUN_SUBSTITUTION, NOUN_VERB_ORDER = "noun substitution", "noun-verb order"
CONSOLIDATION, SOCIAL, AS_IS = "consolidation", "social and cultural", "as it is"
SOURCES = ("ucf101", "hmdb51", "kinetics400", "something_something_v2")
_THINGS = ("food", "clothes", "home", "vehicle", "shoe")
"""Families of things that are no actions, though their names may be verbs as well."""
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
    synonyms: Mapping[str, str]
    """The usual name of an action, by its other names and itself, each written as one word."""
    same_words: Mapping[str, str]
    """The usual word for a thing or a doing, by its others: sax is saxophone."""
    additions: frozenset[str]
    """Words that add nothing to the umbrella term beside them: shot, lesson."""

    @property
    def words(self) -> frozenset[str]:
        """All words that are known without a lexicon, those of the shipped class names included."""
        listed = {word for source in SOURCES for phrase in read_phrases(source) for word in phrase_words(phrase)}
        return frozenset(listed).union(self.never_splits, self.categories, self.synonyms, self.same_words, self.parts)

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
            synonyms={other: name for name, others in said["synonyms"].items() for other in (name, *others)},
            same_words={other: name for name, others in said["same_words"].items() for other in others},
            additions=frozenset(said["additions"]),
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


def propose(
    sources: Sequence[str], knowledge: Knowledge, report: Callable[[str], None] = lambda line: None
) -> list[Proposal]:
    """Candidates for every class name of ``sources`` in all variants, and the challenges.

    ``report`` is told of typing errors, which are corrected, and of phrases in other languages, which are left out.
    """
    found: dict[tuple[str, str, str], Proposal] = {}
    known = knowledge.words
    for source in sources:
        for given in read_phrases(source):
            read = Checked(given) if source in SOURCES else checked(given, known)
            if read.note:
                report(read.note)
            phrase = read.phrase
            for proposal in propose_for(phrase, source, knowledge) if read.is_english else ():
                if read.phrase != given:
                    proposal = replace(proposal, why=f"{proposal.why}; {read.note}")
                found.setdefault((proposal.hashtag, proposal.principle, phrase), proposal)
    for name, what in knowledge.challenges.items():
        proposal = Proposal(name, "challenge", SOCIAL, what, "knowledge", "a trend that is in no list of classes")
        found.setdefault((name, SOCIAL, what), proposal)
    return list(found.values())


def propose_for(phrase: str, source: str, knowledge: Knowledge) -> list[Proposal]:
    """The hashtags that the principles derive from one action phrase."""
    every = phrase_words(phrase, knowledge.never_splits)
    if len(every) == 1 and every[0] not in knowledge.words | knowledge.whole and not lemmas(every[0]):
        parts = split_hashtag(every[0], knowledge.whole)
        every = parts if lemma(parts[-1]) in knowledge.light_verbs else every  # violinplaying is the violin
    words = usual_words(content_words(every), knowledge)
    if not words:
        return []
    joined = "".join(words)
    umbrella = umbrella_of(joined, words, knowledge)
    sure = (knowledge.categories[name] for name in (joined, umbrella or "") if name in knowledge.categories)
    category = next(sure, "") or category_of(every, knowledge)

    def made(hashtag: str, principle: str, why: str) -> Proposal:
        return Proposal(hashtag, category, principle, phrase, source, why)

    if joined in knowledge.specific:
        parts = knowledge.specific[joined]
        return [made(part, SPECIFICATION, f"'{phrase}' holds distinct actions") for part in parts]
    if joined.endswith("challenge") and len(joined) > 9:
        return [made(joined, SOCIAL, "a challenge")]
    plain = content_words(every)
    own = "".join(plain)
    proposals = [made(own, AS_IS, "the action's own name")]
    if joined != own:
        proposals.append(made(joined, CONSOLIDATION, f"the usual name of '{phrase}'"))
    if umbrella and umbrella != joined:
        proposals.append(made(umbrella, GENERALIZATION, f"umbrella term of '{phrase}'"))
    words = words if len(words) > 1 else plain
    if len(words) == 2 and words[0] in knowledge.dances and lemma(words[1]) == "dance":
        proposals.append(made(words[0], NOUN_SUBSTITUTION, f"the dance's name alone says '{phrase}'"))
    elif len(words) >= 2:
        verb, noun = _verb_and_noun(words)
        if verb is not None and lemma(verb) in knowledge.light_verbs:
            left = usual_words(noun, knowledge)
            proposals.append(made("".join(left), NOUN_SUBSTITUTION, f"the noun alone says '{phrase}'"))
        elif verb and not umbrella and not {"and", "or"} & {*every} and _acts_on(verb, noun, words, knowledge):
            proposals.append(
                made(noun_phrase(verb, noun, knowledge), NOUN_VERB_ORDER, f"people write the noun first for '{phrase}'")
            )
    return proposals


def usual_words(words: Sequence[str], knowledge: Knowledge) -> tuple[str, ...]:
    """The words with usual names for rare ones: press-ups are push-ups, hoovering is vacuuming."""
    joined = "".join(words)
    for name in (joined, joined.removesuffix("s")):
        if name in knowledge.synonyms:
            usual = knowledge.synonyms[name]
            return tuple(words) if usual == joined else (usual,)
    return tuple(knowledge.same_words.get(word, knowledge.same_words.get(lemma(word), word)) for word in words)


def _acts_on(verb: str, noun: Sequence[str], words: Sequence[str], knowledge: Knowledge) -> bool:
    """Whether a phrase is a verb with its object. Of a base form (``cut onions``) the noun must be no verb itself (``jump
    rope``), and the two no name that the corpus knows as it is; but a thing is one in any case (``cut fruit``)."""
    if noun[-1] in ("up", "out", "down", "off"):
        return False
    if verb == words[0] and is_gerund(verb):
        return True
    if is_gerund(verb):  # shoes repairing, shoe repairing; leaf blowing is in order already
        return lemma(noun[-1]) != noun[-1] or lemma(verb) in knowledge.action_nouns
    if len(words) == 2 and knowledge.families.get(lemma(noun[0])) in _THINGS:
        return True
    thing = lemma(noun[-1])
    is_thing = "VERB" not in lemmas(noun[-1]) or (thing != noun[-1] and thing not in knowledge.action_nouns)
    return is_thing and bigram_count(*words[:2]) == count_of("".join(words)) == 0.0


def category_of(words: Iterable[str], knowledge: Knowledge) -> str:
    """``challenge`` by name, else the first of dance, sports and fitness that a word suggests, else ``kinetics``."""
    listed = list(words)
    if any(word.endswith("challenge") for word in listed):
        return "challenge"
    said = {knowledge.categories[w] for word in listed for w in (word, lemma(word)) if w in knowledge.categories}
    return next((category for category in CATEGORIES[:3] if category in said), "kinetics")


def umbrella_of(joined: str, words: Sequence[str], knowledge: Knowledge) -> str | None:
    """The umbrella that lists the hashtag, or is some of its words while the others add nothing."""
    if joined in knowledge.umbrellas:
        return joined
    for umbrella, members in knowledge.umbrellas.items():
        if joined in members or joined.removesuffix("s") in members:
            return umbrella
        for first, after in itertools.combinations(range(len(words) + 1), 2):
            rest = [lemma(word) for word in (*words[:first], *words[after:])]
            adds = all(word in knowledge.additions or word in knowledge.light_verbs for word in rest)
            if adds and "".join(words[first:after]) == umbrella:
                return umbrella
    return None


def noun_phrase(verb: str, noun: Sequence[str], knowledge: Knowledge) -> str:
    """``repairing``, ``shoes`` → shoerepair; ``milking``, ``cow`` → cowmilking.

    The noun is in the singular; the verb becomes a noun if the knowledge or the corpus says that people use it so.
    """
    things = [lemma(word) for word in noun]
    base, ing = lemma(verb), gerund(lemma(verb))
    joined = "".join(things)
    # A toothbrush is a thing, and no action.
    ends = (base, ing) if base in knowledge.action_nouns else (ing,)
    if counts := {word: count_of(joined + word) for word in ends if count_of(joined + word)}:
        return joined + max(counts, key=counts.__getitem__)
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
    usual: tuple[str, ...]
    """The lemmas of the usual name, sorted."""


def read_hashtag(hashtag: str, knowledge: Knowledge, phrases: Iterable[str] = ()) -> Reading:
    """What a hashtag says; the ``phrases`` that it was proposed for say where its words end."""
    words = content_words(split_hashtag(hashtag, knowledge.whole))
    for phrase in phrases:
        said = content_words(phrase_words(phrase, knowledge.never_splits))
        ways = (said, said[1:] + said[:1], said[-1:] + said[:-1])
        fits = (way for way in ways if hashtag.startswith(lemma(way[0])) and hashtag.endswith(lemma(way[-1])[-3:]))
        forms = {"".join(way): way for way in (*ways, said[1:], said[:-1])}
        forms |= {
            "".join((*map(lemma, way[:-1]), end)): (*map(lemma, way[:-1]), end)
            for way in fits
            for end in _ends(way[-1])
        }
        words = forms.get(hashtag, words)
    # Only for comparisons: that beatboxing contains boxing does not put it under boxing.
    parts = split_compound(words[0]) if len(words) == 1 and words[0] not in knowledge.whole else words
    one = knowledge.synonyms.get(hashtag, knowledge.synonyms.get(hashtag.removesuffix("s")))
    usual = [one] if one else [lemma(word) for word in usual_words(parts, knowledge)]
    usual = [word for word in usual if word not in knowledge.light_verbs] or usual
    return Reading(hashtag, words, tuple(sorted(lemma(word) for word in parts)), tuple(sorted(usual)))


def _ends(word: str) -> tuple[str, ...]:
    """The forms of a verb or noun at the end of a hashtag."""
    return (word, lemma(word), gerund(lemma(word)))


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
    if one.usual == other.usual:
        return CONSOLIDATION
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
