"""Joins several people's decisions on one video: into a verdict, or a conflict that somebody has to settle."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tiktokactions.records import ActionSegment
from tiktokactions.reviews.decisions import EVERY_OTHER, Decision, Gold, Judgement, labels_in

SAME_SEGMENT = 0.5
"""Two people marked the same action where intersection over union reaches this, as temporal action detection counts it."""


@dataclass(frozen=True)
class Consensus:
    """The outcome of all decisions on a video."""

    judged: int
    """People who judged it (unsure ones too, skips not)."""
    said: Judgement | None = None
    """Accepted or rejected, and all that goes with it; its labels are None where nobody spoke of actions, or where they are
    the conflict. None while judgements are missing, and in a conflict over the verdict."""
    confidence: float = 0.0
    """Share of the judgements that agree with the verdict."""
    conflict: str | None = None
    """``verdict``: people disagree; ``unsure``: too few dared to decide; ``labels``: accepted, but as many see an action as
    do not, or everybody sees another one; ``segments``: as many marked an action there as did not."""
    is_final: bool = False
    """Decided by the owner, or a gold item: no further judgement is wanted."""

    @property
    def verdict(self) -> str | None:
        return None if self.said is None else self.said.verdict

    @property
    def labels(self) -> tuple[str, ...]:
        return () if self.said is None else self.said.labels or ()

    @property
    def answers(self) -> dict[str, str]:
        return {} if self.said is None else self.said.answers or {}


def consensus(decisions: Sequence[Decision], k: int, answer: Gold | None = None) -> Consensus:
    """Majority over the decisions in force on one video.

    A verdict needs ``k`` judgements and more than half of all of them, unsure ones included; an adjudication or a gold
    answer stands above them. Every label is a question of its own (:func:`answers_of`); ``no_action`` needs more than
    half of those who share the verdict. The segment is that of the person whose choice overlaps most with the others',
    where at least half of those who accepted chose one.
    """
    judgements = sorted((d for d in decisions if d.verdict != "skip"), key=lambda d: d.id)
    settled = [d for d in judgements if d.adjudication and d.verdict != "unsure"]
    votes = [d for d in judgements if not d.adjudication]
    people = len({d.reviewer for d in votes})
    if answer is not None:
        known = Judgement(answer.verdict, answer.labels)
        return Consensus(people, replace(known, answers=known.answered), confidence=1.0, is_final=True)
    if settled:
        return agreed(settled[-1:], settled[-1].verdict, people, 1.0, is_final=True)
    if people < k or not votes:
        return Consensus(people)
    counts = Counter(d.verdict for d in votes)
    for verdict in ("accept", "reject"):
        if counts[verdict] * 2 > len(votes):
            return agreed(votes, verdict, people, counts[verdict] / len(votes))
    disagree = counts["accept"] and counts["reject"]
    return Consensus(people, conflict="verdict" if disagree else "unsure")


def agreed(
    votes: Sequence[Decision],
    verdict: str,
    people: int,
    confidence: float,
    is_final: bool = False,
    weighed: Mapping[str, str] | None = None,
) -> Consensus:
    """The rest of the judgement that goes with a verdict, from those who share it; ``weighed``: the answer to each label as
    a model of the people sees it."""
    sharing = [d for d in votes if d.verdict == verdict]
    tags = _more_than_half([d.tags for d in sharing if d.tags])
    why = next(iter(_more_than_half([(d.why,) for d in sharing if d.why])), "")
    nobody_acts = verdict == "reject" and sum(d.no_action for d in sharing) * 2 > len(sharing)
    if verdict == "reject" and not nobody_acts:
        return Consensus(people, Judgement(verdict, None, tags, why=why), confidence, None, is_final)
    answers, is_tie = answers_of(sharing)
    if answers is not None and weighed is not None:
        answers, is_tie = answers | {name: said for name, said in weighed.items() if name in answers}, False
    labels = labels_in(answers)
    if labels == () and is_tie:
        labels = None
    segment = (None, None, None) if nobody_acts else chosen_segment(sharing)
    segments, is_split = agreed_segments(sharing)
    said = Judgement(verdict, labels, tags, nobody_acts, *segment, answers=answers, why=why, segments=segments)
    conflict = "labels" if is_tie else "segments" if is_split else None
    return Consensus(people, said, confidence, conflict, is_final)


def answers_of(sharing: Sequence[Decision]) -> tuple[dict[str, str] | None, bool]:
    """What several people's answers to each label come to, those with most yes first, and whether people disagree.

    Yes, and no, need more than half of those who were asked, who could not tell included; else it is ``cannot_tell``.
    Whoever spoke of actions, but not of a label that somebody else added, has not seen it: that counts as no. None where
    nobody spoke of actions.
    """
    spoke = [d.answered for d in sharing if d.answered is not None]
    if not spoke:
        return None, False
    names = list(dict.fromkeys(name for answers in spoke for name in answers))
    if not all(EVERY_OTHER in answers for answers in spoke):
        names = [name for name in names if name != EVERY_OTHER]
    counts = {name: Counter(answers.get(name, "unsaid") for answers in spoke) for name in names}
    come_to: dict[str, str] = {}
    is_tie = False
    for name in sorted(names, key=lambda name: -counts[name]["yes"]):
        said = counts[name]
        asked, no = len(spoke) - said["not_asked"], said["no"] + said["unsaid"]
        come_to[name] = (
            "not_asked"
            if not asked
            else "yes"
            if said["yes"] * 2 > asked
            else "no"
            if no * 2 > asked
            else "cannot_tell"
        )
        is_tie = is_tie or (said["yes"] > 0 and said["yes"] * 2 == asked == said["no"] * 2)
    nobody_agrees = "yes" not in come_to.values() and any(said["yes"] for said in counts.values())
    return come_to, is_tie or nobody_agrees


def _more_than_half(said: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The names that more than half of the people said, those said most often first, then as they came."""
    counts = Counter(name for names in said for name in dict.fromkeys(names))
    return tuple(name for name, count in counts.most_common() if count * 2 > len(said))


def chosen_segment(sharing: Sequence[Decision]) -> tuple[int | None, float | None, float | None]:
    """Scene, start and end that were chosen, all None for what was proposed."""
    chosen = [d for d in sharing if d.start_s is not None]
    if not chosen or len(chosen) * 2 < len(sharing):
        return None, None, None
    spans = {d.id: (d.start_s or 0.0, d.end_s or 0.0) for d in chosen}
    best = max(chosen, key=lambda d: (round(sum(overlap(spans[d.id], other) for other in spans.values()), 6), -d.id))
    return best.scene, best.start_s, best.end_s


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Intersection over union of two spans of time."""
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0])) / (max(one[1], other[1]) - min(one[0], other[0]))


def agreed_segments(sharing: Sequence[Decision]) -> tuple[tuple[ActionSegment, ...], bool]:
    """The parts of a video, with their labels, that more than half of the people marked: with the same label, and at least
    :data:`SAME_SEGMENT` alike; of such, the one most like the others counts. Also whether as many marked one as did not.
    """
    marked = defaultdict[str, list[tuple[tuple[float, float], str]]](list)
    for d in sharing:
        for part in d.segments:
            for label in part["labels"]:
                marked[label].append(((part["start_s"], part["end_s"]), d.reviewer))
    kept = defaultdict[tuple[float, float], list[str]](list)
    is_split = False
    for label, parts in marked.items():
        while parts:
            alike = max(([p for p in parts if overlap(p[0], q[0]) >= SAME_SEGMENT] for q in parts), key=len)
            middle, _ = max(alike, key=lambda p: sum(overlap(p[0], q[0]) for q in alike))
            people = len({who for _, who in alike})
            if people * 2 > len(sharing):
                kept[middle].append(label)
            is_split = is_split or people * 2 == len(sharing)
            parts = [p for p in parts if p not in alike]
    return tuple({"start_s": a, "end_s": b, "labels": names} for (a, b), names in sorted(kept.items())), is_split
