"""10,000, 100,000 and 300,000 videos: what settling, a rerun, ten new videos, the statistics, a new decision, a list of
ids and hydrating cost when nothing has to be decoded.

    python -m benchmarks.dataset_scale                     (the largest needs about 12 GB in a temporary folder)
    python -m benchmarks.dataset_scale --records 5000      (a smoke test: prints, writes no result)

The records are made up but whole: probe, eight scenes, ten samples with boxes and hashes, motion, quality, labels drawn
from 386 hashtags; three in a hundred are re-uploads of others. What is kept of each to recognise copies are corners of
real videos (those of ``benchmarks.copies``), mixed, with 15 % of their bits turned. Each belongs to a real (tiny) source
file with a matching fingerprint and, where it has a clip, to a (tiny) file in its place. Every command runs in its own
process, and the result is written again after each size.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.copies import sources
from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions import __version__
from tiktokactions.copies.footage import describe_file
from tiktokactions.curation.decide import decide
from tiktokactions.curation.description import CODE_BYTES, Description
from tiktokactions.curation.options import CurateOptions, clip_fingerprint, evidence_fingerprint
from tiktokactions.curation.people import resolve_detector
from tiktokactions.dataset.info import new_info, write_info
from tiktokactions.files import clip_relative_path, description_path, poster_path, record_path
from tiktokactions.records import (
    ClipFile,
    DetectorInfo,
    Motion,
    PersonBox,
    Probe,
    Quality,
    Sample,
    Scene,
    Source,
    VideoRecord,
    encode_record,
)
from tiktokactions.video import library_versions

LABELS = 386  # as many as the paper's dataset has
RECORDS_IN_FULL = (10_000, 100_000, 300_000)
NEW_VIDEOS = 10
RE_UPLOADS = 0.03
TURNED_BITS = 0.15
FPS = 30
WIDTH, HEIGHT = 576, 1024


# --- making records up ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dataset:
    videos: Path
    folder: Path
    options: CurateOptions
    detector: DetectorInfo


def build(root: Path, records: int, seed: int = 0) -> Dataset:
    """Write the sources, the records, the clips' and posters' stand-ins and ``dataset.json`` under ``root``."""
    detector = resolve_detector("auto").info
    options = CurateOptions(detector=detector.name)
    made = Dataset(root / "videos", root / "dataset", options, detector)
    add(made, range(records), seed)
    write_info(made.folder, replace(new_info(made.folder, options, detector), version=1))
    return made


def add(made: Dataset, numbers: range, seed: int) -> None:
    """Videos with these numbers, curated but not settled."""
    rng = np.random.default_rng(seed)
    poster = cv2.imencode(".jpg", rng.integers(0, 255, (256, 144, 3), np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    real = [parts[0] for path in sources() if (parts := describe_file(str(path)))]
    corners = np.concatenate([description.codes for description in real])
    record: VideoRecord | None = None
    described = b""
    for number in numbers:
        copied = record if rng.random() < RE_UPLOADS else None
        described = described if copied else _description(real, corners, rng)
        record = _record(_source(made, number, rng), copied, rng, made)
        record = replace(record, description_sha256=hashlib.sha256(described).hexdigest())
        _write(description_path(made.folder, record.video_id), described)
        _write(record_path(made.folder, record.video_id), encode_record(record))
        if record.clip is not None:
            _write(made.folder / record.clip.path, b"clip")
            _write(poster_path(made.folder, record.video_id), poster.tobytes())


def _source(made: Dataset, number: int, rng: np.random.Generator) -> Source:
    """A tiny file with contents of its own; hashtags are as unevenly used as on a platform."""
    label = f"hashtag{int(LABELS * rng.random() ** 1.5):03d}"
    path = made.videos / label / f"video{number:06d}.mp4"
    content = f"video {number}".encode()
    _write(path, content)
    name = os.path.abspath(path)
    return Source(
        path=name,
        fingerprints={name: (len(content), path.stat().st_mtime_ns)},
        labels={name: (label,)},
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )


def _record(source: Source, copied: VideoRecord | None, rng: np.random.Generator, made: Dataset) -> VideoRecord:
    """A decided record with its clip; ``copied`` is the video of which it is a re-upload."""
    record = replace(copied or _evidence(rng), video_id=source.sha256[:16], clip=None).with_source(source)
    record = replace(
        record,
        detector=made.detector,
        evidence_fingerprint=evidence_fingerprint(made.options, made.detector),
        versions={"tiktokactions": __version__} | library_versions(),
        timings={
            "decode": 1.3,
            "analyse": 0.35,
            "detect": 0.09,
            "quality": 0.03,
            "cut": 0.8,
            "check": 0.1,
            "total": 2.7,
        },
    )
    record = decide(record, made.options)
    return record if record.status == "rejected" else replace(record, clip=_clip(record, made.options))


def _description(real: list[Description], corners: np.ndarray, rng: np.random.Generator) -> bytes:
    """Of a video that is like real ones and yet like none of them."""
    base = real[int(rng.integers(len(real)))]
    drawn = corners[rng.integers(0, len(corners), len(base.codes))]
    turned = np.packbits(rng.random((len(drawn), CODE_BYTES * 8), np.float32) < TURNED_BITS, axis=1)
    return replace(base, codes=drawn ^ turned).to_bytes()


def _evidence(rng: np.random.Generator) -> VideoRecord:
    edges = [0, *np.cumsum(rng.integers(40, 500, size=8)).tolist()]
    scenes = tuple(Scene(a / FPS, b / FPS, a, b) for a, b in itertools.pairwise(edges))
    longest = max(range(len(scenes)), key=lambda i: scenes[i].frames)
    seconds = (scenes[longest].frames - 1) // FPS + 1
    with_people = bool(rng.random() < 0.9)
    return VideoRecord(
        video_id="",
        source=Source(path=""),
        probe=_probe(edges[-1]),
        scenes=scenes,
        longest_scene=longest,
        samples=tuple(_sample(rng, scenes[longest], i, pair, with_people) for i, pair in enumerate(_hashes(rng))),
        motion=Motion(
            per_second=tuple(np.round(rng.random(seconds) * 8, 4).tolist()),
            grid=base64.b64encode(rng.integers(0, 256, seconds * 64, np.uint8).tobytes()).decode(),
            grid_unit=0.0912345,
        ),
        quality=Quality(0.02, (0.0, 0.0, 0.0, 0.0), round(float(rng.uniform(60, 180)), 2), 210.5, "portrait"),
    )


def _probe(frames: int) -> Probe:
    return Probe(
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        pixel_format="yuv420p",
        width=WIDTH,
        height=HEIGHT,
        coded_width=WIDTH,
        coded_height=HEIGHT,
        rotation=0,
        sample_aspect_ratio="1",
        fps=float(FPS),
        fps_exact=str(FPS),
        variable_frame_rate=False,
        timestamps_repaired=False,
        duration_s=frames / FPS,
        duration_s_from_header=frames / FPS,
        frames=frames,
        frames_from_header=frames,
        corrupt_frames=0,
        start_s=0.0,
        bit_rate=1_600_000,
        has_audio=True,
    )


def _hashes(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Of ten frames and of their mirror images, 256 bits each: a frame differs from the next in one bit of ten."""
    looks = rng.integers(0, 2, (1, 2, 256)) ^ (rng.random((10, 2, 256)) < 0.05)
    return [(plain.tobytes().hex(), mirrored.tobytes().hex()) for plain, mirrored in np.packbits(looks, axis=2)]


def _sample(rng: np.random.Generator, scene: Scene, i: int, hashes: tuple[str, str], with_people: bool) -> Sample:
    frame = scene.start_frame + (i + 1) * (scene.frames // 10) - 1
    boxes = [
        PersonBox(
            (round(x, 1), round(y, 1), round(x + 150, 1), round(y + 420, 1)),
            round(float(score) * (1.0 if with_people else 0.3), 4),
        )
        for x, y, score in (rng.random((3, 3)) * (400, 600, 0.95) + (0, 0, 0.05)).tolist()
    ]
    return Sample(frame / FPS, frame, tuple(boxes), *hashes)


def _clip(record: VideoRecord, options: CurateOptions) -> ClipFile:
    assert record.segment is not None
    duration_s = record.segment.duration_s
    path = clip_relative_path(record.labels, record.video_id)
    frames, settings = round(duration_s * FPS), clip_fingerprint(options)
    return ClipFile(path, frames, float(FPS), 320, 568, duration_s, record.source.sha256, 4, settings)


def _write(path: Path, data: bytes) -> None:
    """Plainly, without waiting for the disk: making a hundred thousand records is not what is measured."""
    try:
        path.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


# --- measuring -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    command: str
    wall_s: float
    cpu_s: float
    peak_gb: float
    """Peak resident memory of the largest process."""
    rewritten: int
    """Records that the command wrote again."""


def measure(dataset: Dataset, command: str, *arguments: str) -> Measured:
    """Run one command of the program in its own process, from a cold start of Python."""
    began_ns = time.time_ns()
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tiktokactions", *arguments], stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - began
        output.seek(0)
        if code not in (0, 1):
            raise RuntimeError(f"{command}: ended with {code}: {output.read().decode()[-800:]}")
    print(f"{command}: {usage.ru_utime + usage.ru_stime:.1f} CPU s", file=sys.stderr, flush=True)
    records = (dataset.folder / "records").glob("*/*.json")
    rewritten = sum(path.stat().st_mtime_ns >= began_ns for path in records)
    return Measured(command, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9, rewritten)


def run(dataset: Dataset) -> list[Measured]:
    """Every command once, in this order; the first settles what nobody has looked at yet."""
    curate, stats = ("curate", str(dataset.videos), "-o", str(dataset.folder), "--json"), ("dataset", "stats")
    redecide = ("curate", str(dataset.folder), "--redecide", "--json")
    fewer = str(dataset.options.min_person_frames + 1)
    ids, hydrated = str(dataset.folder.with_name("ids")), str(dataset.folder.with_name("hydrated"))
    first = [
        measure(dataset, "curate, first settling (finds duplicates)", *curate),
        measure(dataset, "curate, nothing to do", *curate),
    ]
    add(dataset, range(10**6, 10**6 + NEW_VIDEOS), seed=1)
    return [
        *first,
        measure(dataset, f"curate, {NEW_VIDEOS} new videos", *curate),
        measure(dataset, "dataset stats", *stats, str(dataset.folder)),
        measure(dataset, f"curate --redecide --min-person-frames {fewer}", *redecide, "--min-person-frames", fewer),
        measure(dataset, "curate --redecide, nothing changed", *redecide),
        measure(
            dataset,
            "dataset export --format ids",
            "dataset",
            "export",
            str(dataset.folder),
            *("--format", "ids", "-o", ids),
        ),
        # Of files that are no videos nothing is cut: this is everything else.
        measure(
            dataset,
            "dataset hydrate",
            "dataset",
            "hydrate",
            f"{ids}/ids.csv",
            "--media",
            str(dataset.videos),
            "-o",
            hydrated,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="+", default=RECORDS_IN_FULL)
    parser.add_argument("--folder", type=Path, help="parent of the temporary folder (default: the system's)")
    options = parser.parse_args()
    facts = environment()
    print_environment(facts)
    headers = ("records", "command", "wall s", "CPU s", "peak GB", "records rewritten")
    results: list[dict[str, object]] = []
    for records in options.records:
        with tempfile.TemporaryDirectory(prefix="dataset-scale-", dir=options.folder) as name:
            print(f"writing {records:,} records", file=sys.stderr, flush=True)
            dataset = build(Path(name), records)
            rows = [(records, m.command, m.wall_s, m.cpu_s, m.peak_gb, m.rewritten) for m in run(dataset)]
        print_table(f"{records:,} records", headers, rows)
        results += [dict(zip(headers, row, strict=True)) for row in rows]
        if tuple(options.records) == RECORDS_IN_FULL:
            print("\n", write_result("dataset_scale", {"measured": results}, facts))


if __name__ == "__main__":
    main()
