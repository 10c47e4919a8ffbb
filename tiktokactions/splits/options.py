"""What a person can set for ``dataset split``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tiktokactions.options import check_bounds, option
from tiktokactions.records import JsonObject

DEFAULTS: JsonObject = {
    "train": None,
    "val": 0.1,
    "test": 0.1,
    "folds": None,
    "seed": 0,
    "sounds": "auto",
    "chain": 0.05,
    "certify": 2000,
}
SIDES = ("train", "val", "test")


@dataclass(frozen=True)
class SplitOptions:
    """Every option of ``tiktokactions dataset split``; what is not given is as in the split before, else the default."""

    train: float | None = option(
        None, "split", "share of the clips to train on, or their number (default: what val and test leave)"
    )
    val: float | None = option(
        None, "split", "share of the clips to look at while training, or their number (default: 0.1)"
    )
    test: float | None = option(None, "split", "share of the clips to test on, or their number (default: 0.1)")
    folds: int | None = option(None, "split", "split into this many folds instead, each the test side of the others")
    seed: int | None = option(None, "split", "seed of the order in which equals are placed (default: 0)")
    sounds: Literal["auto", "on", "off"] | None = option(
        None, "split", "keep videos of one sound together (default: auto, where the clips were written with sound)"
    )
    chain: float | None = option(
        None,
        "split",
        "share of the clips that a group may reach through shared sounds (default: 0.05)",
        least=0,
        most=1,
    )
    certify: int | None = option(
        None, "split", "clips compared for the certificate at most; 0 makes none (default: 2000)", least=0
    )
    reassign: bool = option(False, "split", "forget the split before and make a new one")

    def __post_init__(self) -> None:
        check_bounds(self)
