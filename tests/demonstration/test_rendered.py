"""The rendered action set: the same seed gives the same pictures, looks say nothing about the action, motion does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tiktokactions.demonstration import rendered
from tiktokactions.demonstration.figures_in_motion import ACTIONS, JOINTS, Body, joints_of
from tiktokactions.demonstration.painting import Camera, Looks, paint_clip
from tiktokactions.demonstration.rendered import FIRST_FIGURE, RenderedSet, render_actions

SMALL: dict[str, Any] = {"size": 48, "frames": 6, "fps": 8}
PICTURE_SIDE = 48
TIMES_S = np.arange(16) / 8


def make(folder: Path, train: int = 2, test: int = 1, **settings: int) -> RenderedSet:
    return render_actions(folder, train_figures=train, test_figures=test, **(SMALL | settings))


@pytest.fixture(scope="module")
def small_set(tmp_path_factory) -> RenderedSet:
    return make(tmp_path_factory.mktemp("rendered") / "set", train=3, test=2, val_figures=1)


def clips_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.mp4"))}


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


# --- the folder -----------------------------------------------------------------------------------------------------


def test_every_figure_does_every_action_once(small_set):
    assert small_set.made == 36
    for side, figures in (("train", 3), ("val", 1), ("test", 2)):
        names = {action: sorted(p.name for p in (small_set.folder / side / action).iterdir()) for action in ACTIONS}
        assert sorted(p.name for p in (small_set.folder / side).iterdir()) == sorted(ACTIONS)
        assert all(clips == names["clap"] and len(clips) == figures for clips in names.values())


def test_no_figure_is_on_two_sides(small_set):
    sides = [{p.name for p in (small_set.folder / side).rglob("*.mp4")} for side in ("train", "val", "test")]
    assert len(set.union(*sides)) == sum(map(len, sides)) == 6
    people = [
        Looks.draw(np.random.default_rng([0, first + n]), 32) for first in FIRST_FIGURE.values() for n in range(9)
    ]
    assert len({(person.shirt, person.trousers, person.background.tobytes()) for person in people}) == 27


def test_the_folder_says_that_nobody_was_filmed(small_set):
    assert "rendered action set, not filmed" in (small_set.folder / "README.txt").read_text()
    settings = json.loads((small_set.folder / "rendered.json").read_text())
    assert settings["rendered"] is True
    assert settings["seed"] == 0


def test_clips_differ_in_nothing_but_their_pictures(small_set):
    for path in small_set.folder.rglob("*.mp4"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.average_rate, container.duration) == (8, 750_000)
            assert (stream.codec_context.name, len(container.streams)) == ("h264", 1)
        assert decoded(path).shape == (6, 48, 48, 3)


# --- the same again -------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_clips_whatever_the_number_of_figures(small_set, tmp_path):
    again, more = clips_of(make(tmp_path / "again").folder), clips_of(small_set.folder)
    assert len(again) == 18
    assert all(more[name] == clip for name, clip in again.items())


def test_another_seed_gives_other_clips(small_set, tmp_path):
    other, first = clips_of(make(tmp_path / "other", train=1, seed=1).folder), clips_of(small_set.folder)
    assert not [name for name, clip in other.items() if first[name] == clip]


def test_a_second_call_redoes_nothing_and_adds_only_new_figures(tmp_path):
    lines: list[str] = []
    make(tmp_path / "set", train=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.*") if path.is_file()}
    assert render_actions(tmp_path / "set", train_figures=1, test_figures=1, **SMALL, progress=lines.append).made == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert lines == [f"rendering 0 of 12 clips of drawn figures in {tmp_path / 'set'}"]
    assert make(tmp_path / "set", train=2).made == 6
    assert [p for p in before if p.suffix == ".mp4" and p.stat().st_mtime_ns != before[p]] == []


def test_an_interrupted_run_leaves_whole_clips_and_the_next_one_goes_on(monkeypatch, tmp_path):
    write, calls = rendered.write_h264, []

    def interrupted(path: Path, *rest: Any) -> None:
        calls.append(path)
        if len(calls) == 4:
            path.write_bytes(b"half a clip")
            raise KeyboardInterrupt
        write(path, *rest)

    folder = tmp_path / "set"
    monkeypatch.setattr(rendered, "write_h264", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(folder, train=1)
    kept = {p: p.read_bytes() for side in ("train", "test") for p in folder.glob(f"{side}/*/*")}
    assert len(kept) == 3
    assert b"half a clip" not in kept.values()
    assert make(folder, train=1).made == 9
    assert clips_of(folder) == clips_of(make(tmp_path / "undisturbed", train=1).folder)
    assert not list(folder.rglob(".staging/*")), "no leftovers"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 1}, "holds a set with seed 0"),
        ({"size": 50}, "holds a set with size 48"),
        ({"frames": 5}, "holds a set with frames 6"),
        ({"train": 2}, "holds a set with 3 train figures"),
        ({"train": 0}, "train_figures: got 0, expected 1 to 10,000"),
        ({"test": 10_001}, "test_figures: got 10001"),
        ({"size": 49}, "size: got 49, expected an even number"),
        ({"size": 16}, "size: got 16, expected 32 or more"),
        ({"frames": 1}, "frames: got 1, expected 2 or more"),
        ({"seed": -1}, "seed: got -1, expected 0 or more"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(f"{k}={v}" for k, v in value.items()),
)
def test_what_does_not_fit_is_refused(small_set, settings, message):
    before = clips_of(small_set.folder)
    with pytest.raises(ValueError, match=message):
        make(small_set.folder, **({"train": 3, "test": 2, "val_figures": 1} | settings))
    assert clips_of(small_set.folder) == before


def test_a_folder_with_clips_of_others_is_refused(tmp_path):
    (tmp_path / "train" / "clap").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"has clips but no rendered\.json"):
        make(tmp_path)


# --- what the pictures tell -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
def test_bodies_keep_their_bones_and_stay_above_the_floor(action):
    rng = np.random.default_rng(5)
    body = Body.draw(rng)
    joints = joints_of(action, body, TIMES_S, rng)
    assert joints.shape == (len(TIMES_S), len(JOINTS), 3)
    at = {name: joints[:, index] for index, name in enumerate(JOINTS)}
    for side in ("left", "right"):
        for start, end, length in (
            ("shoulder", "elbow", body.upper_arm),
            ("elbow", "hand", body.forearm),
            ("hip", "knee", body.thigh),
            ("knee", "ankle", body.shin),
        ):
            lengths = np.linalg.norm(at[f"{side}_{start}"] - at[f"{side}_{end}"], axis=1)
            assert lengths == pytest.approx(np.full(len(TIMES_S), length)), (side, start)
    lower_foot = np.minimum(at["left_ankle"][:, 1], at["right_ankle"][:, 1])
    assert lower_foot.min() == pytest.approx(0, abs=1e-9)
    assert (lower_foot.max() > 0.1) == (action == "jump"), "only who jumps leaves the floor"


@pytest.fixture(scope="module")
def gallery() -> np.ndarray:
    """uint8 (40 figures, 6 actions, 16 frames, 48, 48, 3), never encoded."""
    return np.stack([[pictures_of(figure, action) for action in ACTIONS] for figure in range(40)])


def pictures_of(figure: int, action: str) -> np.ndarray:
    ((_, pictures),) = rendered._clips(Path(), figure, [action], 0, PICTURE_SIDE, TIMES_S)
    return pictures


def corners(clips: np.ndarray) -> np.ndarray:
    """Colours and contrast of the upper corners, where the background shows."""
    patches = np.concatenate([clips[..., :12, :10, :], clips[..., :12, -10:, :]], axis=-2)
    return np.concatenate([patches.mean((2, 3, 4)), patches.std((2, 3, 4))], axis=-1)


def whole_picture(clips: np.ndarray) -> np.ndarray:
    """Mean colour and its spread: light, clothes, room."""
    return np.concatenate([clips.mean((2, 3, 4)), clips.std((2, 3, 4))], axis=-1)


def one_frame(clips: np.ndarray) -> np.ndarray:
    return cells(clips[:, :, 7].mean(-1))


def motion(clips: np.ndarray) -> np.ndarray:
    """Where the picture changes from frame to frame, how much."""
    return np.sqrt(cells(np.abs(np.diff(clips.mean(-1), axis=2)).mean(2)))


def cells(pictures: np.ndarray) -> np.ndarray:
    """(…, 48, 48) to the means of 8 × 8 cells, (…, 64)."""
    return pictures.reshape(*pictures.shape[:-2], 8, 6, 8, 6).mean((-1, -3)).reshape(*pictures.shape[:-2], 64)


def guessed_right(features: np.ndarray) -> float:
    """Share of clips whose action a linear classifier names, trained on 20 figures and asked about the other 20.

    ``features``: (figures, actions, n).
    """
    figures, actions, n = features.shape
    scaled = (features - features.mean((0, 1))) / (features.std((0, 1)) + 1e-9)
    known, asked = scaled[: figures // 2].reshape(-1, n), scaled[figures // 2 :].reshape(-1, n)
    wanted = np.tile(np.eye(actions), (figures // 2, 1)) - 1 / actions
    weights = np.linalg.solve(known.T @ known + 0.3 * len(known) * np.eye(n), known.T @ wanted)
    return float((np.argmax(asked @ weights, axis=1) == np.tile(np.arange(actions), figures // 2)).mean())


@pytest.mark.parametrize(
    ("features", "least", "most"),
    [(corners, 0.0, 0.26), (whole_picture, 0.0, 0.3), (one_frame, 0.0, 0.6), (motion, 0.8, 1.0)],
    ids=["background", "colours and light", "one frame", "motion"],
)
def test_motion_tells_the_action_and_looks_do_not(gallery, features, least, most):
    """Chance is 1/6, and 0.24 is three standard deviations above it."""
    assert least <= guessed_right(features(gallery)) <= most


def test_camera_and_light_are_drawn_without_a_look_at_the_action(monkeypatch):
    cameras: list[Camera] = []
    monkeypatch.setattr(rendered, "paint_clip", lambda body, looks, camera, *rest: cameras.append(camera))
    for figure in range(120):
        list(rendered._clips(Path(), figure, list(ACTIONS), 0, 32, TIMES_S))
    drawn = np.array([[c.yaw, c.height_px, *c.feet_xy, c.gain.mean(), c.noise, c.affine[-1, 0, 2]] for c in cameras])
    by_action = (drawn.reshape(120, 6, -1) - drawn.mean(0)) / drawn.std(0)
    assert np.abs(by_action.mean(0)).max() * np.sqrt(120) < 4, "no action's mean is off by four standard errors"


def test_pictures_are_those_that_painting_gives():
    """What is written is a function of seed, figure and action alone: the order of the others plays no part."""
    rng = np.random.default_rng([0, 3])
    body, looks = Body.draw(rng), Looks.draw(rng, PICTURE_SIDE)
    rng = np.random.default_rng([0, 3, 2])
    camera = Camera.draw(rng, TIMES_S, PICTURE_SIDE)
    painted = paint_clip(body, looks, camera, joints_of("jump", body, TIMES_S, rng), PICTURE_SIDE, rng)
    both = dict(rendered._clips(Path(), 3, ["kick", "jump"], 0, PICTURE_SIDE, TIMES_S))
    assert np.array_equal(both[Path("train/jump/fig00003.mp4")], painted)
    assert not np.array_equal(both[Path("train/kick/fig00003.mp4")], painted)
