"""The nouns of training data: a clip, the clips of one side, and the request to a reader."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tiktokactions.errors import UsageError
from tiktokactions.files import Place, on_disk

Side = Literal["train", "val", "test", "all"]
SIDES: tuple[Side, ...] = get_args(Side)
MOST_NAMED = 5
SYNTHETIC = "synthetic:"
"""How the path of a synthetic video begins."""
_MADE = re.compile(rf"{SYNTHETIC}(\d+)(?::(.+))?", re.ASCII | re.DOTALL)


class DataError(UsageError):
    """Data that cannot be read as asked; the message says what was found, what was expected and what to do."""


@dataclass(frozen=True)
class Stored:
    """Where a clip's bytes are if it is not a local file: in an object on a store, in a tar file, or both."""

    file: str
    """The file or the object."""
    version: str
    """Changes with the contents, so that a cache notices."""
    offset: int | None = None
    """Where it begins in ``file``, in bytes; None: it is the whole file."""
    size_bytes: int | None = None


@dataclass(frozen=True)
class Clip:
    """One video, or a part of one, to train or test on."""

    path: str
    """Absolute path of the file; of one in a tar file the tar's, a slash, and its name there; of a synthetic video
    ``synthetic:NUMBER``, and ``:PATH`` where it shows cut-outs of a file."""
    label: str | None
    """Class name; None where unlabelled."""
    start_s: float | None = None
    """Where the part begins, in seconds of the file; None: the whole file."""
    end_s: float | None = None
    video_id: str | None = None
    stored: Stored | None = None
    """None: an ordinary file."""
    labels: tuple[str, ...] | None = None
    """Every label, ``label`` first, where the data name several; empty: it shows none of the actions."""
    answers: tuple[tuple[str, str], ...] | None = None
    """What people said of each label (``yes``, ``no``, ``cannot_tell``, ``not_asked``; ``*``: every other). None: nobody was
    asked, and a label that the data do not name is a no."""

    @property
    def synthetic(self) -> int | None:
        """Number of the synthetic video; None: a real one."""
        made = _MADE.fullmatch(self.path)
        return None if made is None else int(made[1])

    @property
    def file(self) -> str:
        """The file that is decoded; nothing for a synthetic video without cut-outs."""
        made = _MADE.fullmatch(self.path)
        return self.path if made is None else made[2] or ""


@dataclass(frozen=True)
class ClipSet:
    """One side of some data."""

    source: str
    """What was read, for messages."""
    kind: str
    """``dataset``, ``release``, ``webdataset``, ``folder``, ``list``, ``kinetics``, ``ucf101``, ``hmdb51`` or ``ssv2``."""
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    """Class names of all sides in the order of their numbers; empty where unlabelled."""
    flip: bool = True
    """False where left and right carry meaning (Something-Something)."""
    missing: tuple[str, ...] = ()
    """Listed files that were not found, where that was allowed."""
    looked_in: str = ""
    """The folder that listed files were looked for in."""


@dataclass(frozen=True)
class Request:
    """What a reader is asked for."""

    path: Place
    side: Side
    media: Path | None
    """Folder of the videos, where it is not the list's own."""
    fold: int

    @property
    def on_disk(self) -> Path:
        """``path`` for readers that need a local folder."""
        return on_disk(self.path, "data of this kind")

    def expect_side(self, known: Sequence[str]) -> None:
        """Raises ``DataError`` if the data do not have the side asked for."""
        if self.side != "all" and self.side not in known:
            has = ", ".join(known) or "no sides"
            raise DataError(
                f"{self.path}: no {self.side} side; it has {has}; name other data for it, or make a list of the clips"
            )

    @property
    def sides(self) -> tuple[str, ...]:
        return ("train", "val", "test") if self.side == "all" else (self.side,)


def labels_in_order(labels: Sequence[str | None]) -> tuple[str, ...]:
    """The class names that occur, sorted."""
    return tuple(sorted({label for label in labels if label is not None}))
