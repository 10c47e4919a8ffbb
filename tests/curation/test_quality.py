"""Borders, scores and perceptual hashes of generated pictures with known answers, and of real frames."""

from __future__ import annotations

import math
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tiktokactions.curation.quality import DEFINITIONS, frame_hashes, inside_borders, measure_quality, picture_borders

NONE = (0.0, 0.0, 0.0, 0.0)


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A busy picture, nothing flat: light and dark blobs with a little colour, fine grain on top."""
    rng = np.random.default_rng(seed)
    blobs = rng.integers(40, 216, (max(2, height // 24), max(2, width // 24), 1)).repeat(3, axis=2)
    colour = rng.integers(-30, 31, (*blobs.shape[:2], 3))
    smooth = cv2.resize((blobs + colour).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 6, (height, width, 1))
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


def padded(image: np.ndarray, left: int, top: int, right: int, bottom: int, colour=(0, 0, 0)) -> np.ndarray:
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    decoded = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def hamming(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def real_frames(path: Path, every: int, long_side: int = 416) -> list[np.ndarray]:
    frames = []
    with av.open(str(path), metadata_errors="replace") as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                image = frame.to_ndarray(format="bgr24")
                scale = long_side / max(image.shape[:2])
                size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
                frames.append(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    return frames


# --- borders -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("colour", "jpeg"),
    [
        pytest.param((0, 0, 0), 100, id="black"),
        pytest.param((0, 0, 0), 40, id="black_compressed"),
        pytest.param((255, 255, 255), 100, id="white"),
        pytest.param((255, 255, 255), 40, id="white_compressed"),
        pytest.param((40, 160, 90), 100, id="green"),
        # A limit: compression smears colour over the end of a coloured bar, and at quality 60 some are missed. Judging
        # luma and chroma apart finds them, but loses black bars around dark blue footage, which is far commoner.
        pytest.param((40, 160, 90), 75, id="green_mildly_compressed"),
    ],
)
@pytest.mark.parametrize(
    "bars",
    [(0, 0, 0, 0), (0, 80, 0, 80), (0, 60, 0, 120), (90, 0, 90, 0), (30, 0, 0, 0), (40, 50, 40, 30)],
    ids=["none", "letterbox", "uneven", "pillarbox", "left", "all_round"],
)
def test_known_bars_are_measured_to_a_pixel_or_two(bars, jpeg, colour):
    left, top, right, bottom = bars
    frames = [compressed(padded(picture(234, 240, seed), left, top, right, bottom, colour), jpeg) for seed in range(4)]
    height, width = frames[0].shape[:2]
    found = picture_borders(frames)
    expected = (bars[0] / width, bars[1] / height, bars[2] / width, bars[3] / height)
    for side, (got, want) in enumerate(zip(found, expected, strict=True)):
        assert got == pytest.approx(want, abs=2 / min(width, height)), f"side {side}: {found}, expected {expected}"


def test_bars_of_two_colours():
    frames = [padded(padded(picture(200, 200, s), 0, 40, 0, 60), 50, 0, 50, 0, (255, 255, 255)) for s in range(3)]
    assert picture_borders(frames) == pytest.approx((1 / 6, 40 / 300, 1 / 6, 0.2), abs=0.01)


def test_a_caption_inside_a_bar_belongs_to_the_bar():
    frames = [padded(picture(234, 200, seed), 0, 108, 0, 108) for seed in range(4)]
    for frame in frames:
        cv2.putText(frame, "wait for it", (40, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2)
    assert picture_borders(frames) == pytest.approx((0, 108 / 416, 0, 108 / 416), abs=0.01)


def test_only_bars_common_to_all_frames_count():
    boxed, full = padded(picture(234, 216, 1), 0, 100, 0, 100), picture(234, 416, 2)
    assert max(picture_borders([boxed])) > 0.2
    assert picture_borders([boxed, full]) == NONE
    black = np.zeros_like(boxed)
    assert picture_borders([boxed, black]) == picture_borders([boxed]), "a black frame does not hide the bars"


def night() -> list[np.ndarray]:
    """Darkness that fades into a lit spot in the middle."""
    y, x = np.mgrid[0:416, 0:234]
    frames = []
    for shift in (0, 6, 12):
        light = 220 * np.exp(-(((x - 117 - shift) / 40) ** 2 + ((y - 230) / 60) ** 2))
        frames.append(np.repeat(np.clip(light, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2))
    return frames


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([np.zeros((1, 1, 3), np.uint8)], id="1x1"),
        pytest.param([np.zeros((416, 234, 3), np.uint8)] * 3, id="black"),
        pytest.param([np.full((416, 234, 3), 200, np.uint8)] * 3, id="grey"),
        pytest.param(night(), id="night"),
        pytest.param([padded(picture(234, 12), 0, 202, 0, 202)], id="less_than_a_tenth_left"),
    ],
)
def test_no_borders(frames):
    assert picture_borders(frames) == NONE


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ucf101/v_SoccerJuggling_g23_c01.avi", (0, 0.051, 0, 0.051)), ("fall/Subject_2_ADL_23.mp4", NONE)],
)
def test_borders_of_real_videos(shared_data, name, expected):
    assert picture_borders(real_frames(shared_data / "clips" / name, every=20)) == pytest.approx(expected, abs=0.006)


# --- scores --------------------------------------------------------------------------------------------------------


def test_scores_look_inside_the_borders():
    full = picture(234, 416)
    boxed = padded(full, 91, 0, 91, 0, (255, 255, 255))
    bare, inside = (measure_quality([image] * 2, 0.25, 720, 1280) for image in (full, boxed))
    assert inside.borders == pytest.approx((91 / 416, 0, 91 / 416, 0), abs=0.01)
    assert bare.brightness == pytest.approx(cv2.cvtColor(full, cv2.COLOR_BGR2GRAY).mean(), abs=0.01)
    assert inside.brightness == pytest.approx(bare.brightness, abs=1)
    assert inside.sharpness == pytest.approx(bare.sharpness, rel=0.05)
    assert inside.static_share == 0.25


def test_sharpness_falls_with_blur_and_hardly_depends_on_the_pictures_size():
    sharp = picture(832, 468)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4)
    assert measure_quality([blurred], 0, 1, 1).sharpness < 0.2 * measure_quality([sharp], 0, 1, 1).sharpness
    halved = cv2.resize(sharp, (416, 234), interpolation=cv2.INTER_AREA)
    assert measure_quality([halved], 0, 1, 1).sharpness == pytest.approx(
        measure_quality([sharp], 0, 1, 1).sharpness, rel=0.01
    )


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (1920, 1080, "landscape"),
        (576, 1024, "portrait"),
        (1080, 1080, "square"),
        (1080, 1072, "square"),
        (1, 1, "square"),
    ],
)
def test_orientation(width, height, expected):
    assert measure_quality([picture(50, 50)], 0, width, height).orientation == expected


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 416, 3), (416, 1, 3), (2, 2, 3), (416, 234, 3)], ids=str)
def test_degenerate_pictures_give_finite_scores_and_no_hash(shape):
    black = np.zeros(shape, np.uint8)
    quality = measure_quality([black] * 3, 1.0, shape[1], shape[0])
    assert quality.borders == NONE
    assert all(math.isfinite(v) for v in (quality.brightness, quality.sharpness, quality.static_share))
    assert frame_hashes(black, quality.borders) == ("", "")


def test_every_score_is_defined():
    assert all(f"**{name}**" in DEFINITIONS for name in ("borders", "brightness", "sharpness", "orientation"))


# --- hashes --------------------------------------------------------------------------------------------------------


def test_hash_form_and_mirror():
    image = picture(416, 234)
    plain, mirrored = frame_hashes(image, NONE)
    assert len(plain) == len(mirrored) == 64
    assert hamming(plain, mirrored) > 80
    assert frame_hashes(image[:, ::-1], NONE) == (mirrored, plain)


@pytest.mark.parametrize(
    ("change", "at_most"),
    [
        pytest.param(lambda i: compressed(i, 30), 12, id="compressed"),
        pytest.param(lambda i: cv2.resize(i, (208, 117), interpolation=cv2.INTER_AREA), 12, id="half_size"),
        pytest.param(lambda i: cv2.convertScaleAbs(i, alpha=0.9, beta=20), 16, id="brighter"),
        pytest.param(lambda i: padded(i, 0, 250, 0, 250), 24, id="letterboxed"),
        pytest.param(lambda i: padded(i, 60, 0, 60, 0, (255, 255, 255)), 24, id="pillarboxed_white"),
    ],
)
def test_copies_hash_alike(change, at_most):
    image = picture(416, 234, seed=5)
    copy = change(image)
    distance = hamming(frame_hashes(image, NONE)[0], frame_hashes(copy, picture_borders([copy]))[0])
    assert distance <= at_most


def test_other_pictures_hash_apart():
    hashes = [frame_hashes(picture(416, 234, seed), NONE)[0] for seed in range(20)]
    assert min(hamming(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 70


def test_a_flat_picture_has_no_hash_and_a_faint_one_has():
    rng = np.random.default_rng(0)
    noise_only = np.clip(rng.normal(20, 3, (416, 234, 3)), 0, 255).astype(np.uint8)
    assert frame_hashes(noise_only, NONE) == ("", "")
    assert frame_hashes((picture(416, 234) * 0.3).astype(np.uint8), NONE)[0] != ""


def test_inside_borders_is_never_empty():
    image = picture(20, 20)
    assert inside_borders(image, (0.5, 0.0, 0.5, 0.0)).size > 0
    assert inside_borders(image, (0.25, 0.0, 0.0, 0.5)).shape == (9, 14, 3)
