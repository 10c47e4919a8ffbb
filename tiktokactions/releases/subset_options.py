"""What a person can set for ``dataset subset``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tiktokactions.collection.rows import AiLabelled
from tiktokactions.errors import UsageError

By = Literal["random", "balanced", "labels", "quality", "diverse", "balanced-clusters", "prune"]
WAYS: tuple[By, ...] = get_args(By)
BY_FEATURES = ("diverse", "balanced-clusters", "prune")


class SubsetError(UsageError):
    """A subset that cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Choice:
    """How to choose: options of the command."""

    by: By = "random"
    size: int | None = None
    """At most this many clips; None: all that fit (with ``labels``, ``since`` or ``until`` only)."""
    seed: int = 0
    labels: tuple[str, ...] = ()
    """Only clips with one of these labels."""
    cap: int | None = None
    """At most this many clips of one label."""
    sides: tuple[str, ...] = ()
    """Only clips on these sides of a split dataset."""
    ai_labelled: AiLabelled = "keep"
    since: int | None = None
    """Only clips that came or changed after this version of the dataset."""
    until: int | None = None
    """Only clips that are as they were in this version."""

    def __post_init__(self) -> None:
        if self.by not in WAYS:
            raise SubsetError(f"`by`: got {self.by!r}, expected one of {', '.join(WAYS)}")
        is_bounded = self.by == "labels" or (self.by not in BY_FEATURES and (self.since, self.until) != (None, None))
        if self.size is None and not is_bounded:
            raise SubsetError(f"`size` is missing: how many clips should `by` {self.by} choose?")
        for name, value in (("size", self.size), ("cap", self.cap)):
            if value is not None and value < 1:
                raise SubsetError(f"`{name}`: got {value}, expected 1 or more")
        if self.by == "labels" and not self.labels:
            raise SubsetError("`by` labels needs `labels` LABEL ...")
