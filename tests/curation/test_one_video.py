"""The clip is chosen for its people and judged by its own frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
import pytest

from tests.made_videos import write_video
from tiktokactions.curation.boxes import Image
from tiktokactions.curation.decide import decide, person_frames, searched_frames
from tiktokactions.curation.one_video import curate_video
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import ResolvedDetector
from tiktokactions.records import DetectorInfo, PersonBox, VideoRecord, encode_record

FPS = 6
RED = ResolvedDetector(DetectorInfo("red", "00", 0.4), None, 416)


def find_red(images_bgr: Sequence[Image]) -> list[tuple[PersonBox, ...]]:
    """Whoever is red is a person."""
    found: list[tuple[PersonBox, ...]] = []
    for image in images_bgr:
        ys, xs = np.nonzero((image[..., 2] > 150) & (image[..., 0] < 90))
        is_there = len(xs) > image.shape[0] * image.shape[1] / 200
        box = (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())) if is_there else (0.0,) * 4
        found.append((PersonBox(box, 0.9),) if is_there else ())
    return found


def scene(
    duration_s: float, people_s: Sequence[tuple[float, float]], pan_s: tuple[float, float]
) -> Iterator[np.ndarray]:
    """A red square that hops about in ``people_s``, over grey that moves as a whole in ``pan_s``."""
    columns = np.arange(160)
    for number in range(round(duration_s * FPS)):
        time_s, shift = number / FPS, 0
        if pan_s[0] <= time_s < pan_s[1]:
            shift = 7 * number
        frame = np.repeat(((columns + shift) // 8 % 2 * 40 + 90).astype(np.uint8)[None, :, None], 96, axis=0)
        frame = np.repeat(frame, 3, axis=2)
        if any(start <= time_s < end for start, end in people_s):
            x = 20 + 4 * (number % 3)
            frame[30:70, x : x + 24] = (230, 20, 20)
        yield frame


def curated(
    tmp_path: Path, frames: Iterator[np.ndarray], changes: dict[str, Any] | None = None, **file: Any
) -> VideoRecord:
    path = write_video(tmp_path / "v.mp4", frames, fps=FPS, **file)
    return curate_video(path, CurateOptions(**changes or {}), RED, tmp_path / "data", "v", detect=find_red)


def seen_in_clip(record: VideoRecord, dataset: Path) -> list[bool]:
    """Whether each frame of the written clip shows somebody."""
    assert record.clip is not None
    with av.open(str(dataset / record.clip.path)) as container:
        return [
            bool(find_red([np.asarray(f.to_ndarray(format="bgr24"), np.uint8)])[0]) for f in container.decode(video=0)
        ]


@pytest.mark.parametrize(
    ("people_s", "pan_s", "inside_s", "status"),
    [
        ([(0, 14)], (14, 30), (0, 14.8), "accepted"),
        ([(16, 30)], (0, 16), (15.2, 30), "accepted"),
        ([(13, 19)], (0, 12), (9, 23), "accepted"),
        ([(4.3, 6.2), (22, 29)], (8, 20), (19, 30), "accepted"),
        ([(17, 19)], (0, 12), (9, 27), "needs_review"),
        ([], (0, 12), (0, 14), "needs_review"),
    ],
    ids=["leaves, then a pan", "comes after a pan", "6 s only", "more in the second part", "2 s only", "nobody"],
)
def test_the_clip_lies_where_people_are(
    people_s: list[tuple[float, float]],
    pan_s: tuple[float, float],
    inside_s: tuple[float, float],
    status: str,
    tmp_path: Path,
) -> None:
    record = curated(tmp_path, scene(30, people_s, pan_s))
    assert len(record.scenes) == 1
    assert record.segment is not None
    assert record.clip is not None
    assert inside_s[0] <= record.segment.start_s
    assert record.segment.end_s <= inside_s[1] + 1e-6
    assert record.status == status
    assert [s.frame for s in record.clip.searched] == list(range(5, 60, 6)), "as the paper samples a scene of 60 frames"
    seen = seen_in_clip(record, tmp_path / "data")
    assert [bool(s.people) for s in record.clip.searched] == [seen[s.frame] for s in record.clip.searched]


def test_four_frames_of_the_clip_are_enough_where_the_scene_shows_fewer(tmp_path: Path) -> None:
    record = curated(tmp_path, scene(40, [(21, 26)], (0, 12)))
    assert sum(bool(sample.people) for sample in record.samples) < 4
    assert person_frames(record, CurateOptions()) >= 4
    assert (record.status, record.reasons) == ("accepted", ("enough_people",))


@pytest.mark.parametrize(
    "file",
    [
        {"rotation": 90},
        {"times_s": list(np.cumsum([0, *np.where(np.arange(179) % 3 == 0, 0.3, 0.1)]))},
    ],
    ids=["turned", "variable frame rate"],
)
def test_the_clips_frames_are_those_of_the_file(file: dict[str, Any], tmp_path: Path) -> None:
    record = curated(tmp_path, scene(30, [(0, 14)], (14, 30)), **file)
    assert record.clip is not None
    assert len(record.clip.searched) == 10
    seen = seen_in_clip(record, tmp_path / "data")
    assert [bool(s.people) for s in record.clip.searched] == [seen[s.frame] for s in record.clip.searched]
    box = next(s.people[0].xyxy for s in record.clip.searched if s.people)
    assert record.probe is not None
    assert (box[2] - box[0]) * (box[3] - box[1]) == pytest.approx(24 * 40, rel=0.2), "pixels of the upright source"


def test_a_whole_scene_is_judged_by_its_own_ten_frames(tmp_path: Path) -> None:
    record = curated(tmp_path, scene(8, [(0, 8)], (0, 0)))
    assert record.clip is not None
    assert [(s.frame, s.people) for s in record.clip.searched] == [(s.frame, s.people) for s in record.samples]


def test_a_whole_scene_with_people_in_part_of_it_is_searched_as_it_was_written(tmp_path: Path) -> None:
    record = curated(tmp_path, scene(8, [(0, 3.5)], (4, 8)))
    assert record.clip is not None
    seen = seen_in_clip(record, tmp_path / "data")
    assert [bool(s.people) for s in record.clip.searched] == [seen[s.frame] for s in record.clip.searched]
    assert record.clip.searched != tuple(replace(s, phash="", phash_mirrored="") for s in record.samples)


def test_a_new_threshold_needs_no_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = curated(tmp_path, scene(30, [(12, 18)], (0, 10)))
    monkeypatch.setattr(av, "open", None)
    monkeypatch.setattr(cv2, "resize", None)
    count = person_frames(record, CurateOptions())
    assert 5 <= count <= 7
    assert decide(record, CurateOptions(min_person_frames=count)).status == "accepted"
    assert decide(record, CurateOptions(min_person_frames=count + 1)).status == "needs_review"
    other = decide(record, CurateOptions(max_clip_s=5.0))
    assert other.segment != record.segment
    assert searched_frames(record) != record.samples


def test_who_fills_the_picture_and_who_stands_before_it(tmp_path: Path) -> None:
    """Somebody who hops about over a still picture, and over one that moves as a whole."""
    alone = curated(tmp_path / "alone", scene(8, [(0, 8)], (0, 0))).clip
    before = curated(tmp_path / "before", scene(8, [(0, 8)], (0, 8))).clip
    assert alone is not None
    assert before is not None
    assert alone.person_share == pytest.approx(24 * 40 / (160 * 96), rel=0.1)
    assert isinstance(alone.person_motion, float)
    assert isinstance(before.person_motion, float)
    assert alone.person_motion > 0.9
    assert before.person_motion < 0.6


def test_records_of_before_keep_their_verdict_and_their_bytes(tmp_path: Path) -> None:
    record = curated(tmp_path, scene(40, [(21, 26)], (0, 12)))
    assert record.clip is not None
    unset = msgspec.UNSET
    before = replace(record, clip=replace(record.clip, samples=unset, person_share=unset, person_motion=unset))
    assert decide(before, CurateOptions()).status == "needs_review", "by the scene, as it was decided then"
    assert set(msgspec.json.decode(encode_record(before))["clip"]) == {
        *("path", "frames", "fps", "width", "height", "duration_s", "sha256", "size_bytes", "settings")
    }
