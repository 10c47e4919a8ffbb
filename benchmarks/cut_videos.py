"""Videos with cuts whose truth is known: real footage, joined and disturbed as social videos are.

Shots of 2 to 6 seconds are joined by hard cuts, jump cuts (the same take, some seconds left out), dissolves, fades through
black or white, and whip pans. Within the shots are things that look like cuts and are none: flashes, fast zooms, a picture in
the picture that comes and goes, captions that pop up. In every fourth video the first cut comes within the first 15 frames.
What is chosen depends on the seed alone.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.corpus import STRETCHES, test_data

WIDTH, HEIGHT, FPS = 320, 568, 30
JOINS = ("hard cut", "jump cut", "dissolve", "fade", "whip pan")
DISTRACTIONS = ("nothing", "flash", "zoom", "picture in picture", "captions")
SHOTS = 6

Picture = np.ndarray
"""RGB, uint8 ``(HEIGHT, WIDTH, 3)``."""


@dataclass(frozen=True)
class Event:
    """Something at frames ``[start, end)``. A hard cut is one frame: the first of the new shot. A dissolve, fade or whip
    pan has those that show neither shot alone."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class CutVideo:
    path: Path
    frames: int
    joins: tuple[Event, ...]
    distractions: tuple[Event, ...]


def build(folder: Path, videos: int, seed: int) -> list[CutVideo]:
    """Build what is missing, and give all."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    joins, distractions = _decks(rng, JOINS), _decks(rng, DISTRACTIONS)
    made = []
    for number in range(videos):
        recipe = random.Random(rng.random())  # drawn for every video, so that one which is there changes nothing
        kinds = [next(joins) for _ in range(SHOTS - 1)], [next(distractions) for _ in range(SHOTS)]
        path = folder / f"cuts{seed}-{number:03d}.mp4"
        truth = path.with_suffix(".json")
        if not truth.exists():
            video = _build_one(path, *kinds, recipe, early=number % 4 == 0)
            truth.write_text(json.dumps(asdict(video) | {"path": path.name}))
        told = json.loads(truth.read_text())
        events = (tuple(Event(**e) for e in told[name]) for name in ("joins", "distractions"))
        made.append(CutVideo(path, told["frames"], *events))
    return made


def _decks(rng: random.Random, kinds: Sequence[str]) -> Iterator[str]:
    """All kinds equally often, in an order that no one can foresee."""
    while True:
        yield from rng.sample(kinds, len(kinds))


def _build_one(
    path: Path, joins: Sequence[str], distractions: Sequence[str], rng: random.Random, early: bool
) -> CutVideo:
    lengths = [rng.randint(2 * FPS, 6 * FPS) for _ in distractions]
    if early:
        lengths[0] = rng.randint(6, 14)
        joins, distractions = ["hard cut", *joins[1:]], ["nothing", *distractions[1:]]
    takes = _takes(rng, lengths, joins)
    shots: list[list[Picture]] = []
    events: list[Event] = []
    begins = 0
    for take, distraction in zip(takes, distractions, strict=True):
        pictures, first, last = _DISTRACT[distraction](take, rng)
        shots.append(pictures)
        if distraction != "nothing":
            events.append(Event(distraction, begins + first, begins + last))
        begins += len(pictures)
    pictures, truth = shots[0], []
    for join, shot in zip(joins, shots[1:], strict=True):
        middle = len(pictures)
        pictures = pictures + shot
        if join in _JOIN:
            half = rng.randint(4, 8 if join == "whip pan" else 15)
            _JOIN[join](pictures, middle, half, rng)
            truth.append(Event(join, middle - half, middle + half))
        else:
            truth.append(Event(join, middle, middle + 1))
    _encode(path, pictures)
    return CutVideo(path, len(pictures), tuple(truth), tuple(events))


# --- footage ----------------------------------------------------------------------------------------------------------


def _takes(rng: random.Random, lengths: Sequence[int], joins: Sequence[str]) -> list[list[Picture]]:
    """The frames of each shot; neighbours come from different kinds of footage unless a jump cut joins them."""
    takes: list[list[Picture]] = []
    kind, left = -1, list[Picture]()
    for number, frames in enumerate(lengths):
        gap = rng.randint(FPS // 2, 2 * FPS)
        if number and joins[number - 1] == "jump cut" and len(left) >= gap + frames // 2:
            take = left[gap:]
        else:
            kind = rng.choice([k for k in range(len(STRETCHES)) if k != kind])
            file, start_s, end_s = rng.choice(STRETCHES[kind])
            longest_s = 2 * max(lengths) / FPS + 2.5
            start_s = rng.uniform(start_s, max(start_s, end_s - longest_s))
            framing = rng.choice((_cropped, _letterboxed))
            take = list(_footage(test_data() / file, start_s, min(end_s, start_s + longest_s), framing))
        takes.append(take[:frames])
        left = take[frames:]
    return takes


def _footage(path: Path, start_s: float, end_s: float, framing: Callable[[Picture], Picture]) -> Iterator[Picture]:
    """A stretch at 30 frames a second; a slower source repeats frames, a faster one leaves some out."""
    with av.open(str(path), metadata_errors="replace") as container:
        wanted = 0
        rate = float(container.streams.video[0].average_rate or FPS)
        if start_s > 3:
            container.seek(int((start_s - 1) * av.time_base))
        for index, frame in enumerate(container.decode(video=0)):
            time_s = frame.time if frame.time is not None else index / rate
            if time_s >= end_s:
                return
            picture = None
            while start_s + wanted / FPS <= time_s + 1e-6:
                picture = framing(frame.to_ndarray(format="rgb24")) if picture is None else picture
                yield picture
                wanted += 1


def _cropped(picture: Picture) -> Picture:
    scale = max(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    large = cv2.resize(picture, None, fx=scale + 1e-3, fy=scale + 1e-3, interpolation=cv2.INTER_AREA)
    top, left = (large.shape[0] - HEIGHT) // 2, (large.shape[1] - WIDTH) // 2
    return np.ascontiguousarray(large[top : top + HEIGHT, left : left + WIDTH])


def _letterboxed(picture: Picture) -> Picture:
    """All of it, over a blurred copy."""
    back = cv2.blur(_cropped(picture), (49, 49))
    scale = min(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    front = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:HEIGHT, :WIDTH]
    top, left = (HEIGHT - front.shape[0]) // 2, (WIDTH - front.shape[1]) // 2
    back[top : top + front.shape[0], left : left + front.shape[1]] = front
    return back


# --- joins ------------------------------------------------------------------------------------------------------------


def _dissolve(pictures: list[Picture], middle: int, half: int, rng: random.Random) -> None:
    """Both shots stand still beyond the join, as an editor without handles makes it."""
    before, after = pictures[middle - 1], pictures[middle]
    for i in range(-half, half):
        share = (i + half + 0.5) / (2 * half)
        one = pictures[middle + i] if i < 0 else before
        other = pictures[middle + i] if i >= 0 else after
        pictures[middle + i] = cv2.addWeighted(one, 1 - share, other, share, 0)


def _fade(pictures: list[Picture], middle: int, half: int, rng: random.Random) -> None:
    through = np.full((HEIGHT, WIDTH, 3), rng.choice((0, 0, 255)), np.uint8)
    for i in range(-half, half):
        share = abs(i + 0.5) / half
        pictures[middle + i] = cv2.addWeighted(pictures[middle + i], share, through, 1 - share, 0)


def _whip_pan(pictures: list[Picture], middle: int, half: int, rng: random.Random) -> None:
    """The camera tears away from one shot and comes to rest on the other; both are smeared by their motion."""
    way = rng.choice((-1, 1))
    for i in range(-half, half):
        speed = 1 - abs(i + 0.5) / half
        smeared = cv2.blur(pictures[middle + i], (1 + 2 * int(60 * speed), 1))
        pictures[middle + i] = np.roll(smeared, way * int((WIDTH / 2) * (1 - abs(i + 0.5) / half) ** 2), axis=1)


_JOIN = {"dissolve": _dissolve, "fade": _fade, "whip pan": _whip_pan}


# --- distractions -----------------------------------------------------------------------------------------------------

Distracted = tuple[list[Picture], int, int]
"""The shot, and from which frame to which it is disturbed."""


def _nothing(shot: list[Picture], rng: random.Random) -> Distracted:
    return shot, 0, 0


def _flash(shot: list[Picture], rng: random.Random) -> Distracted:
    at, white = _place(shot, rng, 6), np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for i, share in enumerate((0.6, 0.95, 0.7, 0.4, 0.2, 0.1)):
        shot[at + i] = cv2.addWeighted(shot[at + i], 1 - share, white, share, 0)
    return shot, at, at + 6


def _zoom(shot: list[Picture], rng: random.Random) -> Distracted:
    """In within a third of a second, and out again."""
    at, steps = _place(shot, rng, 40), rng.randint(6, 12)
    most = rng.uniform(1.3, 1.8)
    for i in range(40):
        share = min(1.0, i / steps, (39 - i) / steps)
        scale = 1 + (most - 1) * share
        large = cv2.resize(shot[at + i], None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        top, left = (large.shape[0] - HEIGHT) // 2, (large.shape[1] - WIDTH) // 2
        shot[at + i] = large[top : top + HEIGHT, left : left + WIDTH]
    return shot, at, at + 40


def _picture_in_picture(shot: list[Picture], rng: random.Random) -> Distracted:
    at, end = _place(shot, rng, 45), 45
    file, start_s, end_s = rng.choice(rng.choice(STRETCHES))
    inset = list(itertools.islice(_footage(test_data() / file, start_s, end_s, _cropped), 45))
    size = int(WIDTH * rng.uniform(0.3, 0.45)), int(HEIGHT * rng.uniform(0.2, 0.3))
    left, top = rng.choice((8, WIDTH - size[0] - 8)), rng.choice((8, HEIGHT - size[1] - 8))
    for i in range(end):
        small = cv2.resize(inset[i % len(inset)], size, interpolation=cv2.INTER_AREA)
        shot[at + i] = shot[at + i].copy()
        shot[at + i][top : top + size[1], left : left + size[0]] = small
    return shot, at, at + end


def _captions(shot: list[Picture], rng: random.Random) -> Distracted:
    """A line of large letters, another one every half second."""
    at = _place(shot, rng, 60)
    words = ("WAIT FOR IT", "DAY 12", "HOW TO SQUAT", "POV", "NO WAY!!", "LINK IN BIO")
    y = rng.choice((90, HEIGHT // 2, HEIGHT - 110))
    for i in range(60):
        text = words[(i // 15 + at) % len(words)]
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.3, 3)
        x = (WIDTH - width) // 2
        shot[at + i] = shot[at + i].copy()
        cv2.rectangle(shot[at + i], (x - 10, y - height - 12), (x + width + 10, y + 14), (255, 255, 255), -1)
        cv2.putText(shot[at + i], text, (x, y), cv2.FONT_HERSHEY_DUPLEX, 1.3, (20, 20, 20), 3)
    return shot, at, at + 60


def _place(shot: list[Picture], rng: random.Random, frames: int) -> int:
    """Where in a shot something of so many frames may begin; a shot that is too short is played on, backwards."""
    while len(shot) < frames + 40:
        shot += shot[-2::-1]
    return rng.randint(20, len(shot) - frames - 20)


_DISTRACT = {
    "nothing": _nothing,
    "flash": _flash,
    "zoom": _zoom,
    "picture in picture": _picture_in_picture,
    "captions": _captions,
}


def _encode(path: Path, pictures: Sequence[Picture]) -> None:
    unfinished = path.with_suffix(".unfinished.mp4")
    with av.open(str(unfinished), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options={"crf": "25", "preset": "veryfast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        noise = np.random.default_rng(0).integers(-3, 4, (8, HEIGHT, WIDTH, 3), dtype=np.int16)
        for number, picture in enumerate(pictures):
            noisy = np.clip(picture + noise[number % 8], 0, 255).astype(np.uint8)  # as a phone's camera has it
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode())
    unfinished.rename(path)
