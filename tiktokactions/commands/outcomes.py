"""What came of a step of a project: whether all of its work is done, and a few words about it."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

from tiktokactions.projects.project import Step

State = Literal["done", "again", "stopped"]
"""``again``: finished, but something is left that the next run tries again; ``stopped``: it cannot be finished now."""


class Outcome(NamedTuple):
    state: State
    told: str
    requests: int = 0
    """Of the Research API."""


def outcome_of(step: Step, result: Any) -> Outcome:
    """Whether a step has done all of its work, and what came of it in a few words."""
    return Outcome(*_told(step, result), getattr(result, "requests", 0))


def _told(step: Step, result: Any) -> tuple[State, str]:
    match step.command:
        case "collect run":
            told = f"{result.status.videos} videos"
            if result.stopped:
                return "stopped", result.stopped
            return "done" if result.status.is_complete else "again", told
        case "refresh":
            return ("stopped", result.stopped) if result.stopped else ("done", f"{len(result.gone)} videos gone")
        case "download":
            told = f"{result.downloaded + result.picked_up} videos came, {result.retry} failed for now"
            return ("stopped", result.stopped) if result.stopped else ("again" if result.retry else "done", told)
        case "curate":
            made = result.last_run
            if made.waits_for:
                return "stopped", f"waits for shard {', '.join(made.waits_for)}"
            return "again" if made.uncut else "done", _statuses(made)
        case "dataset split" if result.missing_labels:
            return "done", "; ".join(
                f"no clip of {len(m)} labels on {side}" for side, m in result.missing_labels.items()
            )
        case "review apply":
            if step.wait_for_review and result.needs_review:
                page = f"tiktokactions review {result.dataset}"
                return "stopped", f"{result.needs_review} videos wait for people: {page}; then the same command goes on"
            return "done", _statuses(result)
        case "pretrain" | "finetune":
            if not result.finished:
                return "stopped", "training is not finished"
            test = result.evaluations.get("test")
            loss = f"{result.result.steps} steps, loss {result.result.loss:.4f}"
            if test is None:
                return "done", loss + _warning(result.result)
            return "done", f"{loss}, top-1 {test.top1:.1%}{_warning(test) or _warning(result.result)}"
        case "evaluate" if result is not None:
            return "done", f"top-1 {result.top1:.1%} on {result.videos} videos{_warning(result)}"
        case "study scaling" | "study sources":
            told = f"{result.finished} of {result.trials} trials, {len(result.failed)} crashed"
            return "again" if result.failed else "done", f"{told}. {result.sentence}".strip()
        case "extrapolate":
            return "done", str(result.sentence)
    return "done", ""


def _warning(result: Any) -> str:
    """The first words of what there is to say where a model has not learned."""
    return f"; {re.split('[;:] ', result.warning)[0]}" if result.warning else ""


def _statuses(made: Any) -> str:
    return f"{made.accepted} accepted, {made.needs_review} to review, {made.rejected} rejected"
