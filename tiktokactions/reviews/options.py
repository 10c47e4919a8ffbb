"""What a person can set for ``review``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tiktokactions.errors import UsageError
from tiktokactions.options import Check, check_bounds, check_options, option

Method = Literal["majority", "dawid-skene", "mace", "glad"]
METHODS: tuple[Method, ...] = get_args(Method)
"""How several judgements become one."""


@dataclass(frozen=True)
class ReviewOptions:
    """Every option of ``tiktokactions review DATASET``."""

    host: str = option(
        "127.0.0.1",
        "server",
        "address to listen on; other machines can reach any other than this one's own",
    )
    port: int = option(8000, "server", "port to listen on; 0 takes any free one")
    owner_token: str | None = option(
        None, "server", "the token of the owner's link (default: one of the dataset's own)"
    )

    sample: int = option(0, "queue", "quality control: show this many accepted videos, drawn at random", least=0)
    seed: int = option(0, "queue", "seed of that sample")
    stratified: bool = option(
        False, "queue", "draw it evenly over labels, and more of what 'review suggest' doubts; estimates weigh it"
    )
    label: str | None = option(None, "queue", "show all clips of this label")
    suggested: bool = option(False, "queue", "show clips in the order that 'review suggest' found")

    reviewers_per_video: int | None = option(
        None, "people", "independent judgements that a video needs (default: as the last time, at first 1)"
    )
    prefill: bool = option(
        False,
        "people",
        "mark the hashtags beforehand, for fast work alone; never in samples, among gold items, or where several judge",
    )
    lease_s: float = option(
        120.0, "people", "seconds for which a video shown to one person is not given to others", least=1
    )
    gold_every: int = option(
        20, "people", "mix one gold item into every so many videos, if there are gold items; 0: never", least=0
    )

    label_list: str | None = option(
        None,
        "labels",
        "only these labels may be given, here and in imported answers: a CSV or TOML file with label, definition and example"
        " (a video id, an address, or a file beside it); 'none' ends it (default: as the last time)",
    )
    guidelines: str | None = option(
        None, "labels", "a text or Markdown file, shown on the page; 'none' ends it (default: as the last time)"
    )

    def __post_init__(self) -> None:
        people = self.reviewers_per_video
        check_bounds(self)
        checks: list[Check] = [
            (0 <= self.port <= 65535, "port", "0 to 65535"),
            (not (self.sample and self.label), "label", "not together with `sample`"),
            (self.sample > 0 or not self.stratified, "stratified", "only with `sample`"),
            (not self.suggested or not (self.sample or self.label), "suggested", "not with `sample` or `label`"),
            (people is None or 1 <= people <= 100, "reviewers_per_video", "1 to 100"),
        ]
        check_options(self, checks)
        if self.owner_token is not None and len(self.owner_token) < 16:  # a secret is not shown
            raise UsageError("`owner_token`: got one that is too short, expected 16 characters or more")

    @property
    def queue(self) -> str:
        """The queue that is shown first: ``review``, ``sample``, ``suggested`` or ``label:<label>``."""
        if self.suggested:
            return "suggested"
        if self.label is not None:
            return f"label:{self.label}"
        return "sample" if self.sample else "review"
