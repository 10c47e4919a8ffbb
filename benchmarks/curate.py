"""Curation against the paper's way: CPU seconds, agreement of the longest scene, two workers, memory of a worker.

    python -m benchmarks.curate            (three rounds over 14 videos, about 25 minutes)
    python -m benchmarks.curate --quick    (one round over 4 videos: a smoke test, not a result)

Both sides run in this process, pinned to one core, YOLOX-nano on one thread, one after the other on each video, and
change places from video to video. The floor is PyAV decoding the same videos on one thread and doing nothing else.
Throughput and memory are those of the command line in its own process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import psutil

from benchmarks import corpus, paper_way
from benchmarks.paper_way import PaperResult, cpu_seconds
from benchmarks.report import environment, print_environment, print_table, write_result
from tiktokactions.curation.one_video import curate_video
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.people import ResolvedDetector, open_detector, resolve_detector, with_transnet
from tiktokactions.files import write_record
from tiktokactions.records import VideoRecord

SAME_SCENE_IOU = 0.9
MOST_OF_PAPER = 0.36
"""The largest share of the paper's CPU seconds that curation may take without a second look at its scenes."""
MOST_WITH_LOOK = 0.50
"""With a second look for missed transitions, as ``curate`` takes it where the network's weights can be had."""
AS_LARGE = CurateOptions(short_side=None, audio=True)


@dataclass
class Runs:
    """What was measured on one video, one entry per round."""

    paper: list[PaperResult] = field(default_factory=list)
    ours: list[VideoRecord] = field(default_factory=list)
    ours_cpu_s: list[float] = field(default_factory=list)
    ours_wall_s: list[float] = field(default_factory=list)
    with_look_cpu_s: list[float] = field(default_factory=list)
    """With the second look; empty where the weights cannot be had."""
    floor_cpu_s: list[float] = field(default_factory=list)
    ours_as_large_cpu_s: float = 0.0
    """With clips of the source's size and with its sound, as the paper's way writes them (one round)."""

    @property
    def paper_s(self) -> float:
        return median(sum(result.cpu_s.values()) for result in self.paper)

    @property
    def ours_s(self) -> float:
        return median(self.ours_cpu_s)

    @property
    def floor_s(self) -> float:
        return median(self.floor_cpu_s)

    @property
    def with_look_s(self) -> float | None:
        return median(self.with_look_cpu_s) if self.with_look_cpu_s else None

    @property
    def scene_iou(self) -> float:
        """Overlap in time of the two longest scenes."""
        scene = self.ours[0].scene
        return iou(self.paper[0].scene_s, (scene.start_s, scene.end_s)) if scene else 0.0


def iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over union of two intervals ``(start_s, end_s)``."""
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / ((a[1] - a[0]) + (b[1] - b[0]) - shared)


# --- CPU seconds ---------------------------------------------------------------------------------------------------


def compare(videos: Sequence[Path], rounds: int, core: int) -> list[Runs]:
    """Run both sides and the floor on every video, ``rounds`` times, pinned to ``core`` meanwhile."""
    allowed = os.sched_getaffinity(0)
    paper_way.pin_to_one_core(core)
    detector = resolve_detector("yolox-nano")
    open_detector(detector)([np.zeros((416, 416, 3), np.uint8)])  # loaded and warm for both sides
    looking, looks, note = with_transnet(detector, CurateOptions())
    print(note or "with and without the second look", file=sys.stderr)
    runs = [Runs() for _ in videos]
    for round_number in range(rounds):
        for number, video in enumerate(videos):
            print(f"round {round_number + 1} of {rounds}, {video.name}", file=sys.stderr)
            sides = (_papers_way, _our_way) if (round_number + number) % 2 == 0 else (_our_way, _papers_way)
            for side in sides:
                side(video, detector, runs[number])
            if looking.transnet is not None:
                runs[number].with_look_cpu_s.append(cpu_of(curate_ours, video, looks, looking))
            runs[number].floor_cpu_s.append(cpu_of(decode_only, video))
            if round_number == 0:
                runs[number].ours_as_large_cpu_s = cpu_of(curate_ours, video, AS_LARGE, detector)
    os.sched_setaffinity(0, allowed)
    return runs


def _papers_way(video: Path, detector: ResolvedDetector, runs: Runs) -> None:
    score = detector.info.default_score
    runs.paper.append(paper_way.curate_the_papers_way(video, open_detector(detector), score, paper_way.find_tools()))


def _our_way(video: Path, detector: ResolvedDetector, runs: Runs) -> None:
    began, before = time.perf_counter(), cpu_seconds()
    runs.ours.append(curate_ours(video, CurateOptions(), detector))
    runs.ours_cpu_s.append(cpu_seconds() - before)
    runs.ours_wall_s.append(time.perf_counter() - began)


def curate_ours(video: Path, options: CurateOptions, detector: ResolvedDetector) -> VideoRecord:
    """Curate one video as a worker does, up to its written record."""
    with tempfile.TemporaryDirectory(prefix="our-way-") as name:
        record = curate_video(video, options, detector, Path(name), video.stem)
        write_record(Path(name), record)
    if record.failure:
        raise RuntimeError(f"{video}: {record.failure}: {record.failure_detail}")
    return record


def cpu_of(work: Callable[..., object], *arguments: object) -> float:
    before = cpu_seconds()
    work(*arguments)
    return cpu_seconds() - before


def decode_only(video: Path) -> int:
    """Decode every frame on one thread and drop it; the number of frames."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def cpu_tables(videos: Sequence[Path], runs: Sequence[Runs]) -> dict[str, Any]:
    """Print stages and totals; return them for the JSON result."""
    paper_stages = {s: fmean(median(p.cpu_s[s] for p in r.paper) for r in runs) for s in paper_way.STAGES}
    names = dict.fromkeys(stage for r in runs for record in r.ours for stage in record.timings)
    our_stages = {s: fmean(median(o.timings.get(s, 0.0) for o in r.ours) for r in runs) for s in names}
    paper_s, ours_s, floor_s = (fmean(getattr(r, side) for r in runs) for side in ("paper_s", "ours_s", "floor_s"))
    as_large_s = fmean(r.ours_as_large_cpu_s for r in runs)
    looked = [r.with_look_s for r in runs if r.with_look_s is not None]
    with_look_s = fmean(looked) if looked else None
    wall_s = {
        "paper": fmean(median(p.wall_s for p in r.paper) for r in runs),
        "ours": fmean(median(r.ours_wall_s) for r in runs),
    }
    rows = [(f"paper: {name}", s, s / paper_s) for name, s in paper_stages.items()]
    rows += [("paper's way, total", paper_s, 1.0)]
    rows += [(f"ours: {name} (wall)", s, s / paper_s) for name, s in our_stages.items()]
    rows += [("ours, total", ours_s, ours_s / paper_s)]
    rows += [("ours with the second look", with_look_s, with_look_s / paper_s)] if with_look_s is not None else []
    rows += [("ours with --short-side source --audio", as_large_s, as_large_s / paper_s)]
    rows += [("floor: decoding alone", floor_s, floor_s / paper_s)]
    print_table("CPU seconds per video on one core", ("stage", "s/video", "share of paper's way"), rows)
    print(f"\n  videos per hour and core: paper's way {3600 / paper_s:,.0f}, ours {3600 / ours_s:,.0f}")
    per_video = [
        {
            "video": video.name,
            "paper_cpu_s": r.paper_s,
            "ours_cpu_s": r.ours_s,
            "ours_with_look_cpu_s": r.with_look_s,
            "floor_cpu_s": r.floor_s,
            "scene_iou": r.scene_iou,
            "paper_person_frames": r.paper[0].person_frames,
            "ours_status": r.ours[0].status,
            "ours_reasons": list(r.ours[0].reasons),
        }
        for video, r in zip(videos, runs, strict=True)
    ]
    print_table("Per video", list(per_video[0])[:-1], [list(row.values())[:-1] for row in per_video])
    return {
        "paper_cpu_s": paper_s,
        "ours_cpu_s": ours_s,
        "ours_with_look_cpu_s": with_look_s,
        "floor_cpu_s": floor_s,
        "ours_source_size_with_audio_cpu_s": as_large_s,
        "wall_s": wall_s,
        "paper_stages_cpu_s": paper_stages,
        "ours_stages_wall_s": our_stages,
        "per_video": per_video,
    }


# --- the command line: throughput and memory -----------------------------------------------------------------------


def throughput(videos: Sequence[Path], rounds: int, copies: int = 3) -> dict[str, float]:
    """Videos per hour with one and with two workers (median of ``rounds``, alternating)."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        folder = Path(name) / "videos"
        for video in videos:
            _copy_with_other_bytes(video, folder, copies)
        count = len(list(folder.iterdir()))
        for round_number in range(rounds):
            for workers in (1, 2) if round_number % 2 == 0 else (2, 1):
                print(f"throughput, round {round_number + 1} of {rounds}, workers {workers}", file=sys.stderr)
                with tempfile.TemporaryDirectory(dir=name) as dataset:
                    seconds[workers].append(_run_command_line(folder, Path(dataset), workers)["seconds"])
    return {f"videos_per_hour_{workers}_workers": 3600 * count / median(s) for workers, s in seconds.items()}


def _copy_with_other_bytes(video: Path, folder: Path, copies: int) -> None:
    """The same streams under another comment: byte-identical files would count as one video."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(copies):
        comment = ["-c", "copy", "-metadata", f"comment=copy {number}"]
        target_file = folder / f"{video.stem}-{number}.mp4"
        ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(video)]
        subprocess.run([*ffmpeg, *comment, str(target_file)], check=True)


def peak_memory(pairs: dict[str, tuple[Path, Path]]) -> list[dict[str, Any]]:
    """Peak resident memory of the worker for each pair of a short and a long video of the same content."""
    measured = []
    for name, pair in pairs.items():
        for length, video in zip(("30 s", "30 min"), pair, strict=True):
            print(f"memory, {name}, {length}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as dataset:
                began = time.perf_counter()
                peaks: dict[int, float] = {}
                result = _run_command_line(video, Path(dataset), 1, partial(_note_peaks, peaks_mb=peaks))
            run_s = time.perf_counter() - began
            main_mb, *children_mb = peaks.values()
            row = {
                "content": name,
                "length": length,
                "worker_mb": max(children_mb),
                "main_mb": main_mb,
                "wall_s": run_s,
            }
            measured.append(row | {"accepted": result["accepted"]})
    return measured


def _note_peaks(process: psutil.Process, peaks_mb: dict[int, float]) -> None:
    """Update the high-water marks that the kernel keeps for this process (first) and all below it."""
    for each in (process, *process.children(recursive=True)):
        try:
            status = Path(f"/proc/{each.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                peaks_mb[each.pid] = max(peaks_mb.get(each.pid, 0.0), int(line.split()[1]) * 1024 / 1e6)


def _run_command_line(
    source: Path, dataset: Path, workers: int, watch: Callable[[psutil.Process], None] | None = None
) -> dict[str, Any]:
    """Run ``tiktokactions curate`` and return the object that it prints; ``watch`` is called every 20 ms meanwhile."""
    command = [sys.executable, "-m", "tiktokactions", "curate", str(source), "-o", str(dataset), "--json"]
    command += ["--workers", str(workers), "--detector", "yolox-nano", "--keep-duplicates"]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
        watched = psutil.Process(process.pid)
        while watch and process.poll() is None:
            watch(watched)
            time.sleep(0.02)
        printed, _ = process.communicate()
        if process.returncode not in (0, 1):
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)}: ended with {process.returncode}: {errors.read().decode()[-800:]}")
    return json.loads(printed)


# --- verdict -------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=corpus.default_folder(), help="cache (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--core", type=int, default=max(os.sched_getaffinity(0)), help="run the comparison on this core"
    )
    parser.add_argument("--quick", action="store_true", help="one round over 4 videos, no long videos")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds

    facts = environment()
    facts["versions"] |= paper_way.find_tools().versions()
    print_environment(facts)
    videos = corpus.build(options.folder)[: 4 if options.quick else None]
    runs = compare(videos, rounds, options.core)
    result: dict[str, Any] = {
        "rounds": rounds,
        "videos": len(videos),
        "corpus_seed": corpus.SEED,
        **cpu_tables(videos, runs),
    }
    same = fmean(run.scene_iou >= SAME_SCENE_IOU for run in runs)
    ratio = result["ours_cpu_s"] / result["paper_cpu_s"]
    kept = ratio <= MOST_OF_PAPER
    print(f"\n  ours / paper's way: {ratio:.3f}, limit {MOST_OF_PAPER}: {'kept' if kept else 'EXCEEDED'}")
    if result["ours_with_look_cpu_s"] is not None:
        with_look = result["ours_with_look_cpu_s"] / result["paper_cpu_s"]
        kept &= with_look <= MOST_WITH_LOOK
        told = "kept" if with_look <= MOST_WITH_LOOK else "EXCEEDED"
        print(f"  with the second look: {with_look:.3f}, limit {MOST_WITH_LOOK}: {told}")
    print(f"  the same longest scene (IoU >= {SAME_SCENE_IOU}): {same:.1%} of the videos")
    print(f"  ours / floor: {result['ours_cpu_s'] / result['floor_cpu_s']:.2f}")

    if len(os.sched_getaffinity(0)) >= 2:
        result["throughput"] = throughput(videos, rounds)
        print_table("Throughput", ("", "videos/hour"), list(result["throughput"].items()))
        one, two = result["throughput"].values()
        print(f"  two workers / one: {two / one:.2f}")
    else:
        print("\n  one core only: the throughput of two workers is not measured")

    if not options.quick:
        memory = result["memory"] = peak_memory(corpus.build_memory_pairs(options.folder))
        print_table("Peak memory of the worker", list(memory[0]), [list(row.values()) for row in memory])

    if options.quick:
        print("\n  a quick run: too short to be a result, nothing is written")
    else:
        print("\n", write_result("curate", result | {"limit": MOST_OF_PAPER, "limit_with_look": MOST_WITH_LOOK}, facts))
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
