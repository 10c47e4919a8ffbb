"""Datasets for tests of the review: a manifest and records as ``curate`` writes them, without a video."""

from __future__ import annotations

import base64
import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiktokactions.curation.decide import decide
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.info import new_info, write_info
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.files import write_record
from tiktokactions.records import DetectorInfo, Motion, PersonBox, Probe, Quality, Sample, Scene, Source, VideoRecord
from tiktokactions.reviews.decisions import Decision
from tiktokactions.reviews.desk import Desk, open_desk
from tiktokactions.reviews.options import ReviewOptions

SETTINGS = CurateOptions(detector="none", person_score=0.5, keep_duplicates=True)
DETECTOR = DetectorInfo("yolox-nano", "0" * 64, 0.5)


def a_record(
    video_id: str,
    scores: Sequence[float] = (0.9,) * 10,
    labels: Sequence[str] = ("dance",),
    scenes_s: Sequence[float] = (0.0, 6.0, 18.0),
    **changes: Any,
) -> VideoRecord:
    """A video of 30 fps; ``scores``: of the one person in each sampled frame; ``scenes_s``: where scenes begin and end."""
    scenes = tuple(Scene(a, b, round(a * 30), round(b * 30)) for a, b in itertools.pairwise(scenes_s))
    longest = max(range(len(scenes)), key=lambda n: scenes[n].duration_s)
    start_s, seconds = scenes[longest].start_s, int(scenes[longest].duration_s)
    samples = tuple(
        Sample(start_s + n / 2, round((start_s + n / 2) * 30), (PersonBox((10.0, 10.0, 50.0, 150.0), score),))
        for n, score in enumerate(scores)
    )
    path = f"/nowhere/{video_id}.mp4"
    record = VideoRecord(
        video_id=video_id,
        source=Source(path=path, labels={path: tuple(labels)}, creator="ann", title=f"title of {video_id}"),
        labels=tuple(labels),
        probe=Probe(
            container="mp4",
            codec="h264",
            pixel_format="yuv420p",
            width=240,
            height=320,
            coded_width=240,
            coded_height=320,
            rotation=0,
            sample_aspect_ratio="1",
            fps=30.0,
            fps_exact="30",
            variable_frame_rate=False,
            timestamps_repaired=False,
            duration_s=scenes_s[-1],
            duration_s_from_header=None,
            frames=round(scenes_s[-1] * 30),
            frames_from_header=None,
            corrupt_frames=0,
            start_s=0.0,
            bit_rate=None,
            has_audio=False,
        ),
        scenes=scenes,
        longest_scene=longest,
        samples=samples,
        motion=Motion((1.0,) * seconds, base64.b64encode(bytes(seconds * 64)).decode(), 1.0),
        quality=Quality(0.0, (0.0, 0.0, 0.0, 0.0), 100.0, 100.0, "portrait"),
        detector=DETECTOR,
    )
    return decide(dataclasses.replace(record, **changes), SETTINGS)


def write_dataset(folder: Path, records: Sequence[VideoRecord]) -> Path:
    for record in records:
        write_record(folder, record)
    write_info(folder, dataclasses.replace(new_info(folder, SETTINGS, DETECTOR), settled=True))
    write_manifest(folder, records, SETTINGS)
    return folder


def doubtful(count: int, **changes: Any) -> list[VideoRecord]:
    """Videos ``v00``, ``v01`` … with people in three of ten frames."""
    return [a_record(f"v{n:02}", (0.9,) * 3 + (0.1,) * 7, **changes) for n in range(count)]


def a_desk(folder: Path, records: Sequence[VideoRecord] = (), **options: Any) -> Desk:
    """The dataset's desk; the dataset is made first where it is missing."""
    if not (folder / "manifest.parquet").exists():
        write_dataset(folder, records)
    return open_desk(Dataset(folder), ReviewOptions(**options))


def says(video_id: str, verdict: str = "accept", key: str = "", **changes: Any) -> Decision:
    """A decision with a client key of its own."""
    return Decision(key or f"key-{next(_COUNTER):08}", video_id, verdict, **changes)


_COUNTER = iter(range(10**8))
