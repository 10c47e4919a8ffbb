"""The peer: one video curated the way the paper describes it, with the tools it names, one after the other.

Scenes with PySceneDetect's ``detect()`` and its default ContentDetector on the library's default OpenCV backend; the
longest scene split off with ffmpeg by PySceneDetect's own ``split_video_ffmpeg`` and its default encoder settings; its
frames counted with ``ffprobe -count_frames``; ten of them written as JPEGs by one ffmpeg call; a person detector on
these; a second encode to ten seconds where the scene is longer. Everything runs on the cores that the process may use,
so the caller pins it to one.

ffmpeg and ffprobe are those on PATH. Where there are none, the ffmpeg inside the package imageio-ffmpeg does the work,
and counts the frames too (by decoding all of them, as ffprobe does); the result says which it was.

    python -m benchmarks.paper_way VIDEO...     (prints seconds of CPU per stage)
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import cv2
import imageio_ffmpeg
import numpy as np
import scenedetect
from scenedetect.output.video import split_video_ffmpeg

from benchmarks.report import print_table
from tiktokactions.records import PersonBox

Detector = Callable[[Sequence[np.ndarray]], list[tuple[PersonBox, ...]]]

STAGES = ("scenes", "split", "count frames", "ten JPEGs", "people", "second encode")
MAX_CLIP_S = 10.0
# What PySceneDetect 0.7.2 passes to ffmpeg when it splits (scenedetect/output/video.py).
ENCODER = "-map 0:v:0 -map 0:a? -map 0:s? -c:v libx264 -preset veryfast -crf 22 -c:a aac -sn"


@dataclass(frozen=True)
class PaperResult:
    scene_s: tuple[float, float]
    """Start and end of the longest scene."""
    frames: int
    person_frames: int
    cpu_s: dict[str, float] = field(default_factory=dict)
    """CPU seconds per stage, child processes included."""
    wall_s: float = 0.0


def cpu_seconds() -> float:
    """CPU time (user and system) of this process and of its finished children."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in usages)


def pin_to_one_core(core: int) -> None:
    """Bind this process and its future children to one core, and OpenCV to one thread."""
    os.sched_setaffinity(0, {core})
    cv2.setNumThreads(1)


@dataclass(frozen=True)
class Tools:
    ffmpeg: str
    ffprobe: str | None

    def versions(self) -> dict[str, str]:
        """What goes into the result: each tool's own version."""
        found = {"peer's ffmpeg": _tool_version(self.ffmpeg)}
        return found | {"peer's ffprobe": _tool_version(self.ffprobe) if self.ffprobe else "none, ffmpeg counts frames"}


def find_tools() -> Tools:
    """The pair on PATH, else imageio-ffmpeg's ffmpeg alone (PySceneDetect looks in the same order)."""
    ffmpeg, ffprobe = shutil.which("ffmpeg"), shutil.which("ffprobe")
    if ffmpeg and ffprobe:
        return Tools(ffmpeg, ffprobe)
    return Tools(ffmpeg or imageio_ffmpeg.get_ffmpeg_exe(), None)


def _tool_version(path: str) -> str:
    return _run([path, "-version"]).split()[2]


def curate_the_papers_way(video: Path, detector: Detector, score: float, tools: Tools) -> PaperResult:
    """Curate one video. ``score`` is the least at which a box counts as a person."""
    cpu_s: dict[str, float] = {}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="paper-way-") as name:
        folder = Path(name)
        with _stage("scenes", cpu_s):
            scenes = scenedetect.detect(str(video), scenedetect.ContentDetector(), start_in_scene=True)
            longest = max(scenes, key=lambda s: (s[1] - s[0]).seconds)
        with _stage("split", cpu_s):
            code = split_video_ffmpeg(str(video), [longest], folder, output_file_template="scene.mp4")
            if code:
                raise RuntimeError(f"{video}: PySceneDetect's split ended with {code}")
        scene = folder / "scene.mp4"
        with _stage("count frames", cpu_s):
            frames = _count_frames(scene, tools)
        with _stage("ten JPEGs", cpu_s):
            jpegs = _ten_jpegs(scene, frames, folder, tools)
        with _stage("people", cpu_s):
            seen = detector([_read(path) for path in jpegs])
            person_frames = sum(any(box.score >= score for box in boxes) for boxes in seen)
        with _stage("second encode", cpu_s):
            seconds = (longest[1] - longest[0]).seconds
            if seconds > MAX_CLIP_S:
                window = ["-ss", str((seconds - MAX_CLIP_S) / 2), "-i", str(scene), "-t", str(MAX_CLIP_S)]
                _run(
                    [tools.ffmpeg, "-v", "error", "-nostdin", "-y", *window, *ENCODER.split(), str(folder / "clip.mp4")]
                )
    bounds = (longest[0].seconds, longest[1].seconds)
    return PaperResult(bounds, frames, person_frames, cpu_s, time.perf_counter() - began)


@contextlib.contextmanager
def _stage(name: str, cpu_s: dict[str, float]) -> Iterator[None]:
    before = cpu_seconds()
    yield
    cpu_s[name] = cpu_seconds() - before


def _count_frames(scene: Path, tools: Tools) -> int:
    if tools.ffprobe is None:
        nothing = ["-map", "0:v:0", "-f", "null", "-progress", "-", "-"]
        progress = _run([tools.ffmpeg, "-v", "error", "-nostdin", "-i", str(scene), *nothing])
        return int(progress.rsplit("frame=", 1)[1].split()[0])
    entry = ["-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    return int(_run([tools.ffprobe, "-v", "error", "-count_frames", *entry, str(scene)]).strip().rstrip(","))


def _ten_jpegs(scene: Path, frames: int, folder: Path, tools: Tools) -> list[Path]:
    stride = max(1, frames // 10)
    pick = ["-vf", rf"select=not(mod(n+1\,{stride}))", "-frames:v", "10", "-fps_mode", "passthrough", "-q:v", "2"]
    _run([tools.ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(scene), *pick, "-an", str(folder / "frame%02d.jpg")])
    return sorted(folder.glob("frame*.jpg"))


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    if image is None:
        raise RuntimeError(f"{path}: OpenCV could not read the JPEG that ffmpeg wrote")
    return image


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def main() -> None:
    from tiktokactions.curation.people import open_detector, resolve_detector

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="run on this core")
    options = parser.parse_args()
    tools = find_tools()
    print(tools.versions())
    pin_to_one_core(options.core)
    resolved = resolve_detector("yolox-nano")
    detector = open_detector(resolved)
    rows = []
    for video in options.videos:
        result = curate_the_papers_way(video, detector, resolved.info.default_score, tools)
        bounds = f"{result.scene_s[0]:.2f}-{result.scene_s[1]:.2f}"
        stages = [result.cpu_s[stage] for stage in STAGES]
        rows.append((video.name, bounds, f"{result.person_frames}/10", *stages, sum(stages)))
    means = [fmean(row[i] for row in rows) for i in range(3, 4 + len(STAGES))]
    print_table("CPU seconds", ("video", "scene", "people", *STAGES, "total"), [*rows, ("mean", "", "", *means)])


if __name__ == "__main__":
    main()
