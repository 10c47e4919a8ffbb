"""One million videos: what statistics, sides, an export, the gallery and a take-down cost, and in how much memory.

    python -m benchmarks.million                     (1,000,000 rows, about 1.5 GB in a temporary folder)
    python -m benchmarks.million --records 20000     (a smoke test: prints, writes no result)

These commands read the manifest and open neither records nor clips, so only the manifest is made: rows as ``curate`` writes
them, 386 hashtags as unevenly used as on a platform, creators of one to hundreds of videos, sounds, re-uploads rejected as
near-duplicates, a tenth to be reviewed. Every command runs in its own process. Seconds of wall clock and of CPU are told:
on a machine that does something else at the same time only the latter can be compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.dataset_scale import LABELS, Dataset, Measured, measure
from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import resolve_detector
from tiktokactions.dataset.info import new_info, write_info
from tiktokactions.dataset.manifest import SCHEMA
from tiktokactions.reviews.people import invite
from tiktokactions.reviews.store import Store

RECORDS_IN_FULL = 1_000_000
ROWS_AT_ONCE = 50_000
FIRST_ID = 7_000_000_000_000_000_000


def build(root: Path, records: int, seed: int = 0) -> Dataset:
    """``dataset.json`` and ``manifest.parquet`` under ``root``."""
    detector = resolve_detector("auto").info
    made = Dataset(root / "videos", root / "dataset", CurateOptions(detector=detector.name), detector)
    made.folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    with pq.ParquetWriter(made.folder / "manifest.parquet", SCHEMA, compression="zstd") as writer:
        for first in range(0, records, ROWS_AT_ONCE):
            rows = [
                _row(number, rng, records, detector.name) for number in range(first, min(records, first + ROWS_AT_ONCE))
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    info = replace(new_info(made.folder, made.options, detector), version=1, settled=True)
    write_info(made.folder, info)
    return made


def _row(number: int, rng: np.random.Generator, records: int, detector: str) -> dict[str, Any]:
    status, copy, sound, people, creator, label = rng.random(6).tolist()
    name = f"hashtag{int(LABELS * label**1.5):03d}"
    video_id = f"{FIRST_ID + number}"
    is_copy = number > 0 and copy < 0.03
    verdict = "rejected" if is_copy or status < 0.1 else "needs_review" if status < 0.2 else "accepted"
    reason = {"accepted": "enough_people", "needs_review": "few_person_frames", "rejected": "too_short"}[verdict]
    if is_copy:
        reason = f"duplicate_of:{FIRST_ID + int(copy / 0.03 * number)}"
    seconds = 3.5 + 8 * people
    return {
        "video_id": video_id,
        "source_path": f"/media/{name}/{video_id}.mp4",
        "labels": [name],
        "human_labels": [],
        "creator": f"creator{int(records / 8 * creator**2)}",
        "status": verdict,
        "reasons": [reason],
        "duration_s": seconds + 12.5,
        "fps": 30.0,
        "width": 576,
        "height": 1024,
        "scenes": 1 + int(8 * copy),
        "longest_scene_s": seconds,
        "person_frames": 4 + int(7 * people),
        "sampled_frames": 10,
        "clip_path": f"clips/{name}/{video_id}.mp4" if verdict != "rejected" else None,
        "clip_start_s": 1.0,
        "clip_end_s": 1.0 + min(10.0, seconds),
        "clip_frames": int(30 * min(10.0, seconds)),
        "detector": detector,
        "motion": 8 * sound,
        "static_share": 0.02,
        "border_share": 0.0,
        "brightness": 60 + 120 * people,
        "sharpness": 500 * sound,
        "orientation": "portrait",
        "copies": 0,
        "size_bytes": 6_000_000,
        "sha256": f"{number:064x}",
        "sound": f"sound{int(sound * records)}" if sound < 0.2 else "original sound - somebody",
        "derived_from": [],
        "title": f"{name} number {number}",
        "frame_scores": [round(0.95 * people - 0.01 * i, 4) if people > 0.1 else 0.05 for i in range(10)],
        "clip_frame_scores": [round(0.95 * people - 0.01 * i, 4) if people > 0.1 else 0.05 for i in range(10)],
        "person_score": 0.5,
        "timings": [("decode", 1.3), ("detect", 0.1), ("total", 1.4)],
    }


def open_gallery(dataset: Dataset, command: str) -> Measured:
    """Start the review pages on a dataset that has no index yet, and wait for the first page of the gallery.

    CPU and memory are those of the server until it has ended, wall seconds until the page is there.
    """
    store = Store(dataset.folder)
    _, token = invite(store, "benchmark", "owner")
    store.close()
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "tiktokactions", "review", str(dataset.folder), "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    address = next(found[0] for line in server.stderr if (found := re.search(r"http://[^:]+:\d+/", line)))
    threading.Thread(target=server.stderr.read, daemon=True).start()
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("gallery", "api/videos?status=needs_review&order=-score"):
        with urllib.request.urlopen(urllib.request.Request(f"{address}{path}", headers=headers)) as answer:
            answer.read()
    wall_s = time.perf_counter() - began
    server.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(server.pid, 0)
    server.returncode = os.waitstatus_to_exitcode(status)
    return Measured(command, wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e9, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=RECORDS_IN_FULL)
    parser.add_argument("--folder", type=Path, help="parent of the temporary folder (default: the system's)")
    options = parser.parse_args()
    facts = environment()
    print_environment(facts)
    with tempfile.TemporaryDirectory(prefix="million-", dir=options.folder) as name:
        print(f"writing {options.records:,} rows", file=sys.stderr)
        # In a process of its own: what this one holds would count as the commands' memory.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            dataset = pool.apply(build, (Path(name), options.records))
        folder, out = str(dataset.folder), str(Path(name) / "kinetics")
        export = ("dataset", "export", folder, "--format", "kinetics", "-o", out)
        measured = [
            measure(dataset, "dataset stats", "dataset", "stats", folder),
            measure(dataset, "dataset split", "dataset", "split", folder),
            measure(dataset, "dataset split, nothing new", "dataset", "split", folder),
            measure(dataset, "dataset export --format kinetics", *export),
            open_gallery(dataset, "review: the gallery's first page, without an index"),
            open_gallery(dataset, "review: the gallery's first page"),
            measure(dataset, "refresh --remove, one id", "refresh", folder, "--remove", f"{FIRST_ID + 4}"),
        ]
    headers = ("command", "wall s", "CPU s", "peak GB")
    rows = [(m.command, m.wall_s, m.cpu_s, m.peak_gb) for m in measured]
    print_table(f"{options.records:,} videos", headers, rows)
    if options.records == RECORDS_IN_FULL:
        note = "the machine was shared with other work" if facts["load_at_start"] > 0.5 else "the machine was idle"
        result = {
            "records": options.records,
            "note": note,
            "measured": [dict(zip(headers, row, strict=True)) for row in rows],
        }
        print("\n", write_result("million", result, facts))


if __name__ == "__main__":
    main()
