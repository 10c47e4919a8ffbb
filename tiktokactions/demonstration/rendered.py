"""A rendered action set: clips of drawn figures, small enough to pre-train and fine-tune on within minutes on a CPU.

It shows that training works, not how well: nobody was filmed. Every figure (a body, its clothes and the room behind it)
does every action once, so that looks say nothing about the label; camera and light are random for each clip and do
not depend on the action; and no figure is on two sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import PictureType

from tiktokactions.demonstration.figures_in_motion import ACTIONS, Body, joints_of
from tiktokactions.demonstration.painting import Camera, Looks, paint_clip
from tiktokactions.errors import UsageError
from tiktokactions.files import clear_staging, dataset_lock, staging_folder, unfinished, write_atomic, write_json

DRAWING = 2
"""Counted up whenever the same seed gives other pixels, so that clips of two versions never mix in one folder."""
SIDES = ("train", "val", "test")
FIRST_FIGURE = {"train": 0, "val": 10_000, "test": 20_000}
"""Figures are numbered apart, so that a side can grow and nobody changes sides."""
MOST_FIGURES = 10_000
SETTINGS_FILE = "rendered.json"
ENCODER = {"preset": "superfast", "crf": "20", "g": "16", "bf": "0", "threads": "1"}

README = """\
A rendered action set, not filmed: drawn figures that clap, jump, kick, squat, walk or wave, made by tiktokactions.

  SIDE/ACTION/figNNNNN.mp4    H.264, {size}x{size} pixels, {frames} frames at {fps} a second

Every figure does all {classes} actions once, and no figure is on two sides: train, val (if asked for), test. The same
seed gives the same pictures ({settings} has it). One frame tells less than the motion on purpose: the limbs that an
action does not use are often held as other actions hold theirs. The set shows that training learns something; what a
model reaches on it says nothing about films of people. Made by a program, free for any use.
"""


@dataclass(frozen=True)
class RenderedSet:
    folder: Path
    made: int
    """Clips that this call rendered; the others were there."""


def render_actions(
    output: Path,
    *,
    train_figures: int = 160,
    test_figures: int = 40,
    val_figures: int = 0,
    seed: int = 0,
    size: int = 80,
    frames: int = 32,
    fps: int = 16,
    progress: Callable[[str], None] = lambda line: None,
) -> RenderedSet:
    """Write ``output/SIDE/ACTION/figNNNNN.mp4`` for every figure and action; clips that are there already are kept.

    Args:
        output: a new folder, or one that an earlier call with the same seed, size, frames and rate has made; with more
            figures than before, only those are added.
        train_figures: people on the train side, each with one clip per action; at least 1, as for ``test_figures``.
        test_figures: people on the test side.
        val_figures: people on the validation side; 0 for none.
        seed: the same seed gives the same pictures, whatever the numbers of figures.
        size: pixels on a side, even, 32 or more.
        frames: frames in a clip, 2 or more.
        fps: frames a second.
        progress: receives lines for people.

    Raises:
        ValueError: settings out of range, or ``output`` holds a set made with others; the message says which.
        DatasetBusyError: another run is writing to the folder.
        OSError: the folder cannot be written.
    """
    figures = {"train": train_figures, "val": val_figures, "test": test_figures}
    settings = {"rendered": True, "drawing": DRAWING, "seed": seed, "size": size, "frames": frames, "fps": fps}
    _check(figures, settings)
    made = 0
    cv2.setNumThreads(1)  # pictures this small gain nothing from threads
    with dataset_lock(output):
        _agree_with_what_is_there(output, settings, figures)
        numbers = [FIRST_FIGURE[side] + index for side in SIDES for index in range(figures[side])]
        missing = {n: [action for action in ACTIONS if not _clip_path(output, n, action).exists()] for n in numbers}
        total = sum(map(len, missing.values()))
        progress(f"rendering {total:,} of {sum(figures.values()) * len(ACTIONS):,} clips of drawn figures in {output}")
        for number, actions in missing.items():
            for path, pictures in _clips(output, number, actions, seed, size, np.arange(frames) / fps):
                with unfinished(path, staging_folder(output)) as file:
                    painted = (av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in pictures)
                    write_h264(file, painted, size, size, fps, ENCODER)
                made += 1
                if made % max(1, total // 5) == 0 and made < total:
                    progress(f"rendered {made:,} of {total:,}")
        clear_staging(output)
    return RenderedSet(output, made)


def _check(figures: dict[str, int], settings: dict[str, int]) -> None:
    for side, count in figures.items():
        fewest = 0 if side == "val" else 1
        if not fewest <= count <= MOST_FIGURES:
            raise UsageError(f"{side}_figures: got {count}, expected {fewest} to {MOST_FIGURES:,}")
    for name, least in {"seed": 0, "size": 32, "frames": 2, "fps": 1}.items():
        if settings[name] < least:
            raise UsageError(f"{name}: got {settings[name]}, expected {least} or more")
    if settings["size"] % 2:
        raise UsageError(f"size: got {settings['size']}, expected an even number, as video needs")


def _agree_with_what_is_there(output: Path, settings: dict[str, int], figures: dict[str, int]) -> None:
    """Check the folder's settings; they and the README are written before the first clip."""
    path = output / SETTINGS_FILE
    if path.exists():
        there = json.loads(path.read_bytes())
        other = [f"{key} {there.get(key)}" for key, value in settings.items() if there.get(key) != value]
        more = {side: count for side, count in there.get("figures", {}).items() if count > figures[side]}
        other += [f"{count} {side} figures" for side, count in more.items()]
        if other:
            raise UsageError(
                f"{output}: holds a set with {', '.join(other)}. Choose another folder, or remove this one."
            )
        if there["figures"] == figures:
            return
    elif any((output / side).exists() for side in SIDES):
        raise UsageError(f"{output}: has clips but no {SETTINGS_FILE}, so they are not ours. Choose another folder.")
    about, staging = README.format(**settings, classes=len(ACTIONS), settings=SETTINGS_FILE), staging_folder(output)
    write_atomic(output / "README.txt", about.encode(), staging=staging)
    write_json(path, settings | {"figures": figures}, staging)


def _clip_path(output: Path, number: int, action: str) -> Path:
    side = max((first, side) for side, first in FIRST_FIGURE.items() if first <= number)[1]
    return output / side / action / f"fig{number:05d}.mp4"


def _clips(
    output: Path, number: int, actions: list[str], seed: int, size: int, times_s: np.ndarray
) -> Iterator[tuple[Path, np.ndarray]]:
    """The path and the pictures of each clip of this figure; they depend only on the arguments."""
    rng = np.random.default_rng([seed, number])
    body, looks = Body.draw(rng), Looks.draw(rng, size)
    for action in actions:
        rng = np.random.default_rng([seed, number, 1 + ACTIONS.index(action)])
        camera = Camera.draw(rng, times_s, size)
        joints = joints_of(action, body, times_s, rng)
        yield _clip_path(output, number, action), paint_clip(body, looks, camera, joints, size, rng)


def write_h264(
    path: Path, frames: Iterable[av.VideoFrame], width: int, height: int, fps: int, settings: dict[str, str]
) -> None:
    """Write frames at an even pace; ``settings`` are those of x264."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        stream = output.add_stream("libx264", rate=fps, options=settings)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for number, frame in enumerate(frames):
            # Drop the timing and coding of the source.
            frame.pts, frame.duration, frame.time_base = number, 1, Fraction(1, fps)
            frame.pict_type = PictureType.NONE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
