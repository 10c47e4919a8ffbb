"""What the matcher finds of the things people do to videos, and what it takes for a copy that is none.

    python -m benchmarks.copies [--quick] [--folder /tmp/copies]

35 real videos (``clips`` of the test data and some of ``actions7``), 18 transformations of each, encoded as H.264 and decoded
again: 630 pairs of a source and its copy. Pairs of different sources, with all their copies, are false if they match; so are
pairs of ``actions3``, one room with a few people in it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions import video
from tiktokactions.copies.matcher import matches, same_footage
from tiktokactions.copies.transformations import TRANSFORMATIONS, Footage
from tiktokactions.curation.description import Description, describe

DATA = Path(os.environ.get("TIKTOKACTIONS_TEST_DATA", "../shared")).resolve() / "data"
SOURCES = 35
PER_SECOND, LONG_SIDE_PX, LONGEST_S = 12, 416, 10.0

TWINS = ("demo.mp4", "demo_spatiotemporal_det.mp4")
"""Two files of one footage, the second with boxes drawn into it: a match of these is right."""


def sources() -> list[Path]:
    clips = sorted(p for p in (DATA / "clips").rglob("*") if p.suffix in (".mp4", ".avi", ".mkv"))
    made = [sorted(folder.glob("*.mp4"))[0] for folder in sorted((DATA / "actions7").iterdir()) if folder.is_dir()]
    return (clips + made)[:SOURCES]


def read(path: Path) -> Footage:
    frames: list[np.ndarray] = []
    times_s: list[float] = []
    with video.VideoFile(path) as opened:
        for frame in opened.frames():
            if frame.time_s > LONGEST_S:
                break
            if frame.time_s * PER_SECOND + 1e-6 >= len(times_s):
                frames.append(frame.bgr(*frame.fitted(LONG_SIDE_PX)))
                times_s.append(frame.time_s)
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    return Footage(tuple(frame[:height, :width] for frame in frames), tuple(times_s))


def encode(shot: Footage, path: Path, crf: int) -> None:
    height, width = (side // 2 * 2 for side in shot.frames[0].shape[:2])
    with av.open(path, "w") as container:
        options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", Fraction(1000), options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, 1000)
        for picture, time_s in zip(shot.frames, shot.times_s, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="bgr24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def described(shot: Footage) -> Description:
    return describe(shot.frames, shot.times_s)


def saved(path: Path, folder: Path, name: str) -> Description:
    """Of a file, remembered in ``folder``."""
    kept = folder / f"{name}.description"
    if not kept.is_file():
        kept.write_bytes(described(read(path)).to_bytes())
    return Description.from_bytes(kept.read_bytes())


def copies(number: int, source: Path, partner: Path, folder: Path) -> dict[str, Description]:
    """The source and its 18 copies by ``<number>/<name>``."""
    made = {f"{number:02d}/source": saved(source, folder, f"{number:02d}-source")}
    whole: tuple[Footage, Footage] | None = None
    for name, change in TRANSFORMATIONS.items():
        file = folder / f"{number:02d}-{name}.mp4"
        if not file.with_suffix(".description").is_file():
            whole = whole or (read(source), read(partner))
            encode(change(*whole, np.random.default_rng(number)), file, 27)
        made[f"{number:02d}/{name}"] = saved(file, folder, file.stem)
        file.unlink(missing_ok=True)
    return made


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six sources; nothing is written")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/copies"), help="where descriptions are remembered")
    given = parser.parse_args(arguments)
    facts = environment()
    print_environment(facts)
    folder = given.folder / ("quick" if given.quick else "full")
    folder.mkdir(parents=True, exist_ok=True)
    chosen = sources()[:: 6 if given.quick else 1]
    made: dict[str, Description] = {}
    for number, source in enumerate(chosen):
        # Partners of duets and of pictures in pictures are no sources, so that a copy has one source.
        partner = sorted((DATA / "fight300" / "fight").glob("*.mp4"))[number * 4]
        made |= copies(number, source, partner, folder)
    rooms = sorted((DATA / "actions3").rglob("*.mp4"))[:: 6 if given.quick else 1]
    room = {f"room/{path.stem}": saved(path, folder, f"room-{path.stem}") for path in rooms}

    began = time.process_time()
    compared = {}
    for number, _ in enumerate(chosen):
        for name in TRANSFORMATIONS:
            copy = f"{number:02d}/{name}"
            compared[copy] = same_footage(made[f"{number:02d}/source"], made[copy])
    pair_ms = 1000 * (time.process_time() - began) / len(compared)
    began = time.process_time()
    matched = matches(made | room)
    settle_s = time.process_time() - began
    pairs = {(match.a, match.b) for match in matched}
    found = [copy for copy in compared if tuple(sorted((copy, f"{copy[:2]}/source"))) in pairs]
    twins = {f"{number:02d}" for number, source in enumerate(chosen) if source.name in TWINS}
    strangers = [pair for pair in pairs if pair[0][:2] != pair[1][:2] and not {pair[0][:2], pair[1][:2]} <= twins]
    false = [pair for pair in strangers if "room" not in pair[0] + pair[1]]
    false_room = [pair for pair in pairs if "room" in pair[0] + pair[1]]
    different = sum(a[:2] != b[:2] for a, b in itertools.combinations(made, 2))
    by_name = Counter(copy[3:] for copy in found)
    by_comparison = Counter(copy[3:] for copy, score in compared.items() if score is not None)
    rows = [[name, by_name[name], by_comparison[name], len(chosen)] for name in TRANSFORMATIONS]
    print_table("copies found", ["transformation", "found", "found if compared", "of"], rows)
    print(f"\n{len(found)} of {len(compared)} found ({sum(by_comparison.values())} where every pair is compared)")
    print(f"{len(false)} false of {different:,} pairs: {false[:20]}")
    print(f"{len(false_room)} false with {len(room)} videos of one room: {false_room[:20]}")
    size = float(np.mean([len(one.to_bytes()) for one in made.values()]))
    print(f"{pair_ms:.1f} ms a pair, {settle_s:.1f} CPU s for all, {size / 1000:.1f} kB a video")
    if not given.quick:
        result = {
            "found": len(found),
            "found_if_compared": sum(by_comparison.values()),
            "pairs": len(compared),
            "by_transformation": {row[0]: row[1:3] for row in rows},
            "false": false,
            "different_pairs": different,
            "false_one_room": false_room,
            "one_room": len(room),
            "pair_ms": pair_ms,
            "settle_cpu_s": settle_s,
            "bytes": size,
        }
        print(write_result("copies", result, facts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
