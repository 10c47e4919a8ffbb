"""Frame sampling and test views: the reference's numbers, and the same rules at other lengths, strides and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tiktokactions.model import views as model_views
from tiktokactions.model.views import View, frame_indices, sparse_test_frames


class Drawn:
    """A generator whose draw is known."""

    def __init__(self, value: int) -> None:
        self.value = value

    def integers(self, low: int, high: int | None = None, size: int | None = None) -> Any:
        first, end = (0, low) if high is None else (low, high)
        assert first <= self.value < end, f"{self.value} could not be drawn from [{first}, {end})"
        return self.value if size is None else np.full(size, self.value)


class Range:
    """Notes from which numbers a draw is made."""

    drawn: tuple[int, int] = (0, 0)

    def integers(self, low: int, high: int | None = None) -> int:
        self.drawn = (0, low) if high is None else (low, high)
        return self.drawn[0]


def test_pretraining_frames_are_the_references(vectors: dict[str, Any]) -> None:
    table = vectors["frame_sampling"]["pretrain_16x4"]
    assert len(table) == 8
    for frames, rows in table.items():
        for row in rows.tolist():
            assert frame_indices(frames, mode="pretrain", rng=Drawn(row[0])).tolist() == row  # type: ignore[arg-type]


def test_finetuning_frames_are_the_references(vectors: dict[str, Any]) -> None:
    table = vectors["frame_sampling"]["finetune_16x4"]
    for frames, rows in table["train"].items():
        for row in rows.tolist():
            drawn: Any = Drawn(row[0] + 64)
            assert frame_indices(frames, mode="train", rng=drawn).tolist() == row
    for frames, rows in table["validation"].items():
        assert frame_indices(frames, mode="validation").tolist() == rows[0].tolist()
    for frames, row in table["test"].items():
        assert frame_indices(frames, mode="test").tolist() == np.asarray(row).reshape(-1).tolist()


@pytest.mark.parametrize(
    ("frames", "mode", "drawn"),
    [
        (300, "pretrain", (0, 237)),
        (64, "pretrain", (0, 1)),
        (20, "pretrain", (0, 1)),
        (300, "train", (64, 300)),
        (65, "train", (64, 65)),
    ],
)
def test_starts_are_drawn_from_the_references_range(frames: int, mode: Any, drawn: tuple[int, int]) -> None:
    rng: Any = Range()
    frame_indices(frames, mode=mode, rng=rng)
    assert rng.drawn == drawn


@pytest.mark.parametrize(
    ("frames", "length", "stride", "mode", "start", "expected"),
    [
        (1, 4, 2, "pretrain", 0, [0, 0, 0, 0]),
        (8, 4, 2, "pretrain", 0, [0, 2, 4, 6]),
        (9, 4, 2, "pretrain", 1, [1, 3, 5, 7]),
        (7, 4, 2, "pretrain", 0, [0, 2, 4, 4]),
        (9, 8, 1, "pretrain", 1, [1, 2, 3, 4, 5, 6, 7, 7]),
        (100, 32, 2, "pretrain", 36, [*range(36, 99, 2)]),
        (5, 4, 2, "train", 0, [0, 4, 4, 4]),
        (20, 4, 2, "train", 8, [0, 2, 5, 7]),
        (20, 8, 2, "train", 19, [3, 5, 7, 9, 12, 14, 16, 18]),
        (20, 4, 2, "validation", 0, [6, 8, 11, 13]),
        (3, 4, 4, "validation", 0, [2, 2, 2, 2]),
        (10, 3, 4, "test", 0, [0, 4, 8]),
        (3, 4, 1, "test", 0, [0, 1, 2, 2]),
    ],
)
def test_frames_at_other_lengths_and_strides(
    frames: int, length: int, stride: int, mode: Any, start: int, expected: list[int]
) -> None:
    drawn: Any = Drawn(start)
    got = frame_indices(frames, length=length, stride=stride, mode=mode, rng=drawn)
    assert got.tolist() == expected
    assert got.dtype == np.int64


@pytest.mark.parametrize("sampling", ["dense", "sparse"])
@pytest.mark.parametrize("mode", ["pretrain", "train", "validation", "test"])
@pytest.mark.parametrize(("length", "stride"), [(16, 4), (8, 2), (4, 1), (1, 3)])
def test_frames_are_always_there_and_in_order(mode: Any, sampling: Any, length: int, stride: int) -> None:
    if (mode, sampling) == ("test", "sparse"):
        return
    for frames in range(1, 90):
        got = frame_indices(
            frames, length=length, stride=stride, mode=mode, rng=np.random.default_rng(frames), sampling=sampling
        )
        assert len(got) >= length if mode == "test" else len(got) == length
        assert (np.diff(got) >= 0).all() and got[0] >= 0 and got[-1] < frames


@pytest.mark.parametrize(
    ("frames", "mode", "drawn", "expected"),
    [
        (40, "train", 0, [0, 10, 20, 30]),
        (43, "train", 9, [9, 19, 29, 39]),
        (40, "validation", 0, [5, 15, 25, 35]),
        (6, "validation", 0, [0, 2, 3, 5]),
        (3, "train", 0, [0, 1, 2, 2]),
        (4, "train", 0, [0, 1, 2, 3]),
    ],
)
def test_sparse_frames(frames: int, mode: Any, drawn: int, expected: list[int]) -> None:
    rng: Any = Drawn(drawn)
    assert frame_indices(frames, length=4, mode=mode, rng=rng, sampling="sparse").tolist() == expected


def test_sparse_test_views_interleave() -> None:
    assert sparse_test_frames(40, length=4, segments=2).tolist() == [[0, 10, 20, 30], [5, 15, 25, 35]]
    assert sparse_test_frames(2, length=4, segments=3).max() == 1


def test_what_cannot_be_sampled() -> None:
    with pytest.raises(ValueError, match="needs rng"):
        frame_indices(10, mode="pretrain")
    with pytest.raises(ValueError, match="frames: got 0"):
        frame_indices(0, mode="test")
    with pytest.raises(ValueError, match="sparse_test_frames"):
        frame_indices(10, mode="test", sampling="sparse")


def test_test_views_are_the_references(vectors: dict[str, Any]) -> None:
    tables = vectors["test_views"]["data"]
    assert tables
    for (frames, height, width), rows in tables.items():
        strided = len(frame_indices(frames, mode="test"))
        views = model_views.test_views(strided, height, width)
        got = [[v.segment, v.crop, v.start, 16, v.left // 2, v.top // 2] for v in views]
        assert got == np.asarray(rows).tolist()


@pytest.mark.parametrize(
    ("arguments", "settings", "expected"),
    [
        ((20, 8, 12), {"length": 8, "segments": 2, "crops": 2}, [(0, 0, 0), (0, 4, 0), (12, 0, 0), (12, 4, 0)]),
        ((20, 13, 8), {"length": 8, "segments": 1, "crops": 3}, [(6, 0, 0), (6, 0, 2), (6, 0, 5)]),
        ((20, 8, 13), {"length": 8, "segments": 3, "crops": 1}, [(0, 2, 0), (6, 2, 0), (12, 2, 0)]),
        ((5, 8, 8), {"length": 8, "segments": 2, "crops": 1}, [(0, 0, 0), (0, 0, 0)]),
        ((8, 9, 20), {"length": 8, "segments": 1, "crops": 2, "size": (8, 16)}, [(0, 0, 0), (0, 4, 0)]),
        ((8, 20, 18), {"length": 8, "segments": 1, "crops": 2, "size": (8, 16)}, [(0, 1, 0), (0, 1, 12)]),
    ],
    ids=["wide", "tall, one segment", "one crop", "short", "not square", "not square, tall"],
)
def test_views_of_other_kinds(arguments: Any, settings: Any, expected: list[tuple[int, int, int]]) -> None:
    views = model_views.test_views(*arguments, **settings)
    assert [(v.start, v.left, v.top) for v in views] == expected
    assert views[0] == View(0, 0, *expected[0])


def test_views_larger_than_the_frames() -> None:
    with pytest.raises(ValueError, match="frames are only 8x8"):
        model_views.test_views(8, 8, 8, size=(16, 8))
