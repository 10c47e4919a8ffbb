"""Labelled clips, whatever they come from."""

from __future__ import annotations

from dataclasses import dataclass


class DataError(ValueError):
    """Data that cannot be read as asked; the message says what was found, what was expected and what to do."""


@dataclass(frozen=True)
class Clip:
    """One video, or a part of one, to train or test on."""

    path: str
    """Absolute path of the file."""
    label: str | None
    """Class name; None where unlabelled."""
    start_s: float | None = None
    """Where the part begins, in seconds of the file; None: the whole file."""
    end_s: float | None = None
    video_id: str | None = None


@dataclass(frozen=True)
class ClipSet:
    """One side of some data."""

    source: str
    """What was read, for messages."""
    kind: str
    """``dataset``, ``folder``, ``list``, ``kinetics``, ``ucf101``, ``hmdb51`` or ``ssv2``."""
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    """Class names in the order of their numbers; empty where unlabelled."""
    flip: bool = True
    """False where left and right carry meaning (Something-Something)."""
    missing: tuple[str, ...] = ()
    """Listed files that were not found, where that was allowed."""
