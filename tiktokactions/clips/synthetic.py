"""Words that ask for synthetic videos in the place of data: ``synthetic:NUMBER``, or ``synthetic:NUMBER:DATA``, whose
shapes show cut-outs of frames of these data. They are made as they are read (:mod:`tiktokactions.model.synthetic`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tiktokactions.clips.clip import SYNTHETIC, Clip, ClipSet, DataError


def asked_synthetic(data: str | os.PathLike[str]) -> tuple[int, str] | None:
    """How many synthetic videos are asked for, and of which data they show cut-outs; None: real data.

    Raises:
        DataError: a word that says no number.
    """
    text = os.fspath(data)
    if not text.startswith(SYNTHETIC) and (f"{text}:" != SYNTHETIC or os.path.exists(text)):
        return None
    number, _, shown = text.removeprefix(SYNTHETIC).partition(":")
    if not (number.isascii() and number.isdigit() and int(number)):
        raise DataError(
            f"{text}: expected {SYNTHETIC}NUMBER, or {SYNTHETIC}NUMBER:DATA for cut-outs of your own frames"
        )
    return int(number), shown


def synthetic_clips(number: int, shown: Sequence[Clip] = ()) -> ClipSet:
    """``number`` synthetic videos, always the same; with cut-outs of the clips that are ``shown``, taken in turn."""
    clips = [Clip(f"{SYNTHETIC}{i}", None) for i in range(number)]
    if shown:
        turns = (shown[i % len(shown)] for i in range(number))
        clips = [
            replace(clip, path=f"{one.path}:{clip.path}", label=None, labels=None)
            for one, clip in zip(clips, turns, strict=True)
        ]
    return ClipSet(f"{SYNTHETIC}{number}", "synthetic", tuple(clips), ())


def real_data(data: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The data that lie somewhere: of synthetic videos those that they show, if any."""
    texts = [os.fspath(one) for one in data]
    found = (text.partition(":")[2].partition(":")[2] if text.startswith(SYNTHETIC) else text for text in texts)
    return [text for text in found if text]
