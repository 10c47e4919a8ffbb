"""The second look and TransNet V2 as a scene detector, with a stand-in for the network: it sees a cut where colours jump."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import MakeVideo
from tiktokactions import video
from tiktokactions.curation import shots
from tiktokactions.curation.evidence import Evidence, gather_evidence
from tiktokactions.curation.options import CurateOptions, evidence_fingerprint
from tiktokactions.curation.people import resolve_detector, with_transnet
from tiktokactions.curation.shots import SecondLook, TransNetCuts, without
from tiktokactions.curation.transnet import Thumbs
from tiktokactions.curation.weights import DetectorError
from tiktokactions.records import DetectorInfo

SIZE = (64, 48)


def picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, SIZE, interpolation=cv2.INTER_NEAREST)


def film(*lengths: int, dissolve: int = 0) -> list[np.ndarray]:
    """Still shots of so many frames; between them, the last ``dissolve`` frames of each pass into the next."""
    frames = [picture(number) for number, length in enumerate(lengths) for _ in range(length)]
    for number in range(1, len(lengths)):
        cut = sum(lengths[:number])
        for i in range(dissolve):
            share = (i + 1) / (dissolve + 1)
            frames[cut - dissolve + i] = cv2.addWeighted(picture(number - 1), 1 - share, picture(number), share, 0)
    return frames


def stand_in(thumbs: Thumbs) -> np.ndarray:
    """Likely where the next thumb differs, as the network says it of the last frame of a shot."""
    gaps = np.abs(np.diff(thumbs.astype(int), axis=0, append=thumbs[-1:])).mean(axis=(1, 2, 3))
    return np.repeat((gaps > 4)[:, None], 2, axis=1).astype(np.float32)


def second_look(frames: list[np.ndarray], fps: float = 15) -> list[tuple[int, int]]:
    look = SecondLook(stand_in)
    for number, frame in enumerate(frames):
        look.add(number, number / fps, frame)
    look.end_scene(len(frames), is_longest=True)
    return [(start, end) for start, end, _ in look.transitions(0, len(frames))]


@pytest.mark.parametrize(
    ("frames", "fps", "transitions"),
    [
        pytest.param(film(60), 15, [], id="one shot"),
        pytest.param(film(1), 15, [], id="one frame"),
        pytest.param(film(40, 40), 15, [(37, 42)], id="a cut"),
        pytest.param(film(5, 60), 15, [(2, 7)], id="a cut in the first 15 frames"),
        pytest.param(film(40, 40, dissolve=6), 15, [(31, 42)], id="a dissolve"),
        pytest.param(film(80, 80), 30, [(74, 84)], id="every second frame of 30 a second"),
        pytest.param(film(20, 20, 40), 15, [(17, 22), (37, 42)], id="two cuts"),
    ],
)
def test_transitions_and_the_faint_frames_around_them(frames, fps, transitions):
    assert second_look(frames, fps) == transitions


def test_a_scene_that_does_not_change_costs_no_network():
    look = SecondLook(lambda thumbs: pytest.fail("the network was asked"))
    for number in range(100):
        # A pan: every frame is moved by one pixel of a thumb.
        look.add(number, number / 15, np.roll(np.tile(picture(1), (4, 4, 1)), number * 2, axis=1))
    look.end_scene(100, is_longest=True)
    assert look.transitions(0, 100) == []


def test_only_the_longest_scene_is_looked_at_and_a_long_one_bit_by_bit(monkeypatch):
    monkeypatch.setattr(shots, "MOST_THUMBS", 64)
    look, frames = SecondLook(stand_in), film(30, 10, 50, 100, 50, 20)
    for number, frame in enumerate(frames):
        look.add(number, number / 15, frame)
        if number + 1 in (40, 240):  # scenes of 40, 200 and 20 frames
            look.end_scene(number + 1, is_longest=True)
        assert len(look._current.thumbs) <= 64
    look.end_scene(260, is_longest=False)
    assert [(start, end) for start, end, _ in look.transitions(40, 240)] == [(87, 92), (187, 192)]


@pytest.mark.parametrize(
    ("lengths", "dissolve", "cuts"),
    [
        pytest.param((100,), 0, [], id="one shot"),
        pytest.param((10, 100), 0, [10], id="early"),
        pytest.param((100, 200, 300, 50), 0, [100, 300, 600], id="over several windows"),
        pytest.param((100, 100), 4, [96, 100], id="a dissolve is a scene of its own"),
        pytest.param((274, 100), 0, [274], id="just before the end of a window"),
        pytest.param((275, 100), 0, [275], id="at the end of a window"),
        pytest.param((276, 100), 0, [276], id="just after it"),
    ],
)
def test_transnet_as_scene_detector(lengths, dissolve, cuts):
    finder = TransNetCuts(stand_in, 0.5, first=7)
    found = [c for frame in film(*lengths, dissolve=dissolve) for c in finder.feed(0.0, frame)] + finder.finish()
    assert sorted(set(found)) == [cut + 7 for cut in cuts]


@pytest.mark.parametrize(
    ("transitions", "left"),
    [
        ([], [(10, 90)]),
        ([(30, 32, 0.9)], [(10, 30), (32, 90)]),
        ([(10, 12, 0.9), (80, 90, 0.9)], [(12, 80)]),
        ([(20, 40, 0.9), (35, 50, 0.9)], [(10, 20), (50, 90)]),
        ([(10, 90, 0.9)], []),
    ],
)
def test_what_transitions_leave(transitions, left):
    assert without(10, 90, transitions) == left


# --- within the one decode --------------------------------------------------------------------------------------------


def evidence_of(path: Path, **options: object) -> Evidence:
    with video.VideoFile(path) as opened:
        return gather_evidence(opened, CurateOptions(**options), 416, stand_in)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def missed_cut(make_video: MakeVideo) -> Path:
    """Shots of 40, 70 and 30 frames; the scene detector is told to see no cut."""
    return make_video("missed.mp4", (frame[..., ::-1] for frame in film(40, 70, 30)), fps=15)


@pytest.mark.parametrize("scenes", ["content", "transnetv2"])
def test_the_longest_shot_is_sampled(missed_cut, scenes):
    found = evidence_of(
        missed_cut,
        scenes=scenes,
        second_look=scenes == "content",
        scene_threshold=0.5 if scenes == "transnetv2" else 255.0,
    )
    scene = found.scenes[found.longest_scene]
    margins = 3 if scenes == "content" else 0
    assert (scene.start_frame, scene.end_frame) == (40 + max(0, margins - 1), 110 - margins)
    assert len(found.scenes) == 3 and all(scene.start_frame <= s.index < scene.end_frame for s in found.samples)
    kept = [] if found.transitions is None else [(t.start_frame, t.end_frame) for t in found.transitions]
    assert kept == ([(37, 42), (107, 112)] if scenes == "content" else [])


def panned(count: int, still: int, seed: int) -> list[np.ndarray]:
    """Thumbs of a picture that rests, after ``count - still`` in which it flies past."""
    wide = np.random.default_rng(seed).integers(0, 256, (27, 1100, 3), np.uint8)
    at = [max(0, count - still - n) * 40 for n in range(count)]
    return [np.ascontiguousarray(wide[:, x : x + 48]) for x in at]


@pytest.mark.parametrize(
    ("thumbs", "rest"),
    [
        pytest.param(panned(24, 24, 1), 0, id="at rest"),
        pytest.param(panned(24, 20, 2), 6, id="the end of a whip pan"),
        pytest.param(panned(24, 0, 3), 0, id="it never rests"),
        pytest.param(panned(23, 20, 2), 0, id="a shot too short to tell"),
    ],
)
def test_what_is_left_of_a_transition_at_the_edge_of_a_shot(thumbs, rest):
    assert shots.unsettled(thumbs) == rest


@pytest.mark.parametrize("end", ["start", "end", "of the video"])
def test_a_scene_that_was_cut_within_a_whip_pan_loses_the_rest(end):
    before = [np.full((27, 48, 3), 90, np.uint8)] * 20
    shot = panned(40, 36, 4)
    frames = {"start": before + shot, "end": shot[::-1] + before, "of the video": shot}[end]
    look = SecondLook(lambda thumbs: np.zeros((len(thumbs), 2), np.float32))
    for number, picture in enumerate(frames):
        look.add(number, number / 10, picture[..., ::-1])
    start, stop = {"start": (20, 60), "end": (0, 40), "of the video": (0, 40)}[end]
    if end == "start":
        look.end_scene(20, True)
    look.end_scene(stop, True)
    found = [(first, last) for first, last, _ in look.transitions(start, stop)]
    assert found == {"start": [(20, 26)], "end": [(34, 40)], "of the video": []}[end]


def test_the_second_look_sees_the_picture_upright(make_video):
    """A network that finds a transition wherever the upper half is bright: below, the stored picture lies on its side."""

    def bright_above(thumbs):
        is_so = thumbs[:, :13].mean(axis=(1, 2, 3)) > 2 * thumbs[:, 14:].mean(axis=(1, 2, 3)) + 20
        return np.repeat(is_so[:, None], 2, axis=1).astype(np.float32)

    def upright(bright):
        picture = np.full((96, 128, 3), 40, np.uint8)
        picture[:48] = 40 + 180 * bright
        return picture

    frames = [upright(40 <= n < 44) for n in range(80)]
    for rotation in (0, 90, 180):
        path = make_video(f"turned{rotation}.mp4", frames, fps=15, rotation=rotation)
        with video.VideoFile(path) as opened:
            options = CurateOptions(second_look=True, scene_threshold=255.0)
            found = gather_evidence(opened, options, 416, bright_above).transitions
        assert [(t.start_frame, t.end_frame) for t in found or ()] == [(38, 46)], rotation


def test_without_the_look_nothing_is_said_of_transitions(missed_cut):
    found = evidence_of(missed_cut, second_look=False, scene_threshold=255.0)
    assert found.transitions is None and len(found.scenes) == 1


# --- whether it is taken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "has_weights", "looks", "told"),
    [
        ({}, True, True, ""),
        ({}, False, False, "no second look for missed transitions, as its weights cannot be had"),
        ({"second_look": False}, True, False, ""),
        ({"second_look": True}, True, True, ""),
        ({"scenes": "transnetv2"}, True, False, ""),
    ],
)
def test_where_the_weights_can_be_had(monkeypatch, tmp_path, options, has_weights, looks, told):
    monkeypatch.setenv("TIKTOKACTIONS_MODELS", str(tmp_path))
    if has_weights:
        monkeypatch.setattr("tiktokactions.curation.weights.transnet_file", lambda offline: tmp_path / "net.onnx")
    detector, settled, line = with_transnet(resolve_detector("none"), CurateOptions(**options))
    assert settled.second_look is looks and line.startswith(told) and bool(line) is bool(told)
    assert (detector.transnet is not None) is (looks or settled.scenes == "transnetv2")


@pytest.mark.parametrize("options", [{"second_look": True}, {"scenes": "transnetv2"}])
def test_asked_for_and_not_to_be_had_is_an_error(monkeypatch, tmp_path, options):
    monkeypatch.setenv("TIKTOKACTIONS_MODELS", str(tmp_path))
    with pytest.raises(DetectorError, match="needs the weights of TransNet V2"):
        with_transnet(resolve_detector("none"), CurateOptions(**options))


def test_evidence_of_before_there_was_a_second_look_stays_valid():
    info = DetectorInfo("none", "", 1.0)
    plain, without_it = (evidence_fingerprint(CurateOptions(second_look=value), info) for value in (None, False))
    assert plain == without_it == "3a4715fcc129" != evidence_fingerprint(CurateOptions(second_look=True), info)
