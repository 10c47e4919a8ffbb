"""What a person can set for ``dataset split``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

DEFAULTS: dict[str, Any] = {"train": None, "val": 0.1, "test": 0.1, "folds": None, "seed": 0}
SIDES = ("train", "val", "test")


def _option(help: str) -> Any:
    return dataclasses.field(default=None, metadata={"group": "split", "help": help})


@dataclass(frozen=True)
class SplitOptions:
    """Every option of ``tiktokactions dataset split``; what is not given is as in the split before, else the default."""

    train: float | None = _option("share of the clips to train on, or their number (default: what val and test leave)")
    val: float | None = _option("share of the clips to look at while training, or their number (default: 0.1)")
    test: float | None = _option("share of the clips to test on, or their number (default: 0.1)")
    folds: int | None = _option("split into so many folds instead, each the test side of the others")
    seed: int | None = _option("seed of the order in which equals are placed (default: 0)")
    reassign: bool = dataclasses.field(
        default=False, metadata={"group": "split", "help": "forget the split before and make a new one"}
    )
