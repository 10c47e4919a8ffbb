"""Joins several people's decisions on one video: into a verdict, or a conflict that somebody has to settle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tiktokactions.reviews.decisions import Decision, Gold, Judgement


@dataclass(frozen=True)
class Consensus:
    """The outcome of all decisions on a video."""

    judged: int
    """People who judged it (unsure ones too, skips not)."""
    said: Judgement | None = None
    """Accepted or rejected, and all that goes with it; its labels are empty where nobody named any, or where they are the
    conflict. None while judgements are missing, and in a conflict over the verdict."""
    confidence: float = 0.0
    """Share of the judgements that agree with the verdict."""
    conflict: str | None = None
    """``verdict``: people disagree; ``unsure``: too few dared to decide; ``labels``: accepted, but with different actions."""
    is_final: bool = False
    """Decided by the owner, or a gold item: no further judgement is wanted."""

    @property
    def verdict(self) -> str | None:
        return None if self.said is None else self.said.verdict

    @property
    def labels(self) -> tuple[str, ...]:
        return () if self.said is None else self.said.labels or ()


def consensus(decisions: Sequence[Decision], k: int, answer: Gold | None = None) -> Consensus:
    """Majority over the decisions in force on one video.

    A verdict needs ``k`` judgements and more than half of all of them, unsure ones included; an adjudication or a gold
    answer stands above them. A label, and ``no_action``, needs more than half of those who spoke of labels and share the
    verdict. The segment is that of the person whose choice overlaps most with the others', where at least half of those
    who accepted chose one.
    """
    judgements = sorted((d for d in decisions if d.verdict != "skip"), key=lambda d: d.id)
    settled = [d for d in judgements if d.adjudication and d.verdict != "unsure"]
    votes = [d for d in judgements if not d.adjudication]
    people = len({d.reviewer for d in votes})
    if answer is not None:
        return Consensus(people, Judgement(answer.verdict, answer.labels or ()), confidence=1.0, is_final=True)
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
    votes: Sequence[Decision], verdict: str, people: int, confidence: float, is_final: bool = False
) -> Consensus:
    """The rest of the judgement that goes with a verdict, from those who share it."""
    sharing = [d for d in votes if d.verdict == verdict]
    tags = _more_than_half([d.tags for d in sharing if d.tags])
    if verdict == "reject":
        nobody_acts = sum(d.no_action for d in sharing) * 2 > len(sharing)
        said, conflict = Judgement(verdict, (), tags, nobody_acts), None
    else:
        named = [d.labels for d in sharing if d.labels is not None]
        labels = _more_than_half(named)
        said = Judgement(verdict, labels, tags, False, *chosen_segment(sharing))
        conflict = "labels" if any(named) and not labels else None
    return Consensus(people, said, confidence, conflict, is_final)


def _more_than_half(said: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The names that more than half of the people said, those said most often first, then as they came."""
    counts = Counter(name for names in said for name in dict.fromkeys(names))
    return tuple(name for name, count in counts.most_common() if count * 2 > len(said))


def chosen_segment(sharing: Sequence[Decision]) -> tuple[int | None, float | None, float | None]:
    """Scene, start and end that were chosen, all None for what was proposed."""
    chosen = [d for d in sharing if d.start_s is not None]
    if not chosen or len(chosen) * 2 < len(sharing):
        return None, None, None
    best = max(chosen, key=lambda d: (round(sum(overlap(d, other) for other in chosen), 6), -d.id))
    return best.scene, best.start_s, best.end_s


def overlap(one: Decision, other: Decision) -> float:
    """Intersection over union of two segments."""
    assert one.start_s is not None and one.end_s is not None
    assert other.start_s is not None and other.end_s is not None
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    joined = max(one.end_s, other.end_s) - min(one.start_s, other.start_s)
    return max(0.0, shared) / joined
