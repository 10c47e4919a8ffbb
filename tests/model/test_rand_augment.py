from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from tiktokactions.model import rand_augment as module
from tiktokactions.model.rand_augment import (
    FILL,
    OPERATIONS,
    Frames,
    Policy,
    changed,
    histograms,
    histograms_by_index,
    look_up,
    look_up_by_index,
    moved,
    moved_by_index,
    rand_augment,
    read_policy,
    signed_level,
)

POLICY = "rand-m7-n4-mstd0.5-inc1"


def noise(frames=3, height=24, width=32):
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), np.uint8)


def whole(frames):
    frames = torch.from_numpy(frames)
    return Frames(frames.shape[1:3], lambda w: frames[:, w[0] : w[0] + w[2], w[1] : w[1] + w[3]])


def test_levels_are_the_reference(vectors):
    wanted = vectors["randaugment_levels_0_to_10"]
    assert list(OPERATIONS) == list(wanted)
    for name, levels in wanted.items():
        for magnitude in range(11):
            level: Any = OPERATIONS[name].level(float(magnitude))
            if levels is None:
                assert level is None
            else:
                assert level == pytest.approx(tuple(levels[magnitude]), abs=1e-12), (name, magnitude)
                assert type(level[0]) is type(levels[magnitude][0])


def pillow(name: str) -> Any:
    """The operation as timm and the reference do it with Pillow."""

    def affine(picture, matrix):
        bicubic = Image.Resampling.BICUBIC
        return picture.transform(picture.size, Image.Transform.AFFINE, matrix, resample=bicubic, fillcolor=(FILL,) * 3)

    def table(entry):
        return lambda picture, *level: picture.point([entry(i, *level) for i in range(256)] * 3)

    def enhanced(kind):
        return lambda picture, factor: kind(picture).enhance(factor)

    return {
        "AutoContrast": ImageOps.autocontrast,
        "Equalize": ImageOps.equalize,
        "Invert": ImageOps.invert,
        "Rotate": lambda p, degrees: p.rotate(degrees, resample=Image.Resampling.BICUBIC, fillcolor=(FILL,) * 3),
        "PosterizeIncreasing": table(lambda i, bits: i & ~(2 ** (8 - bits) - 1)),
        "SolarizeIncreasing": ImageOps.solarize,
        "SolarizeAdd": table(lambda i, added: min(255, i + added) if i < 128 else i),
        "ColorIncreasing": enhanced(ImageEnhance.Color),
        "ContrastIncreasing": enhanced(ImageEnhance.Contrast),
        "BrightnessIncreasing": enhanced(ImageEnhance.Brightness),
        "SharpnessIncreasing": enhanced(ImageEnhance.Sharpness),
        "ShearX": lambda p, factor: affine(p, (1, factor, 0, 0, 1, 0)),
        "ShearY": lambda p, factor: affine(p, (1, 0, 0, factor, 1, 0)),
        "TranslateXRel": lambda p, share: affine(p, (1, 0, share * p.size[0], 0, 1, 0)),
        "TranslateYRel": lambda p, share: affine(p, (1, 0, 0, 0, 1, share * p.size[1])),
    }[name]


def kinds_of_pictures():
    """uint8 (4, 25, 34, 3): noise, a smooth picture, few levels of one colour, a single colour."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:25, :34]
    smooth = np.stack([3 * y + 2 * x, 200 - 5 * y, 7 * x], 2).clip(0, 255)
    plain = np.full((25, 34, 3), (0, 200, 90))
    few = np.where(rng.random((25, 34, 1)) < 0.3, (40, 41, 255), (40, 90, 254))
    return np.stack([rng.integers(0, 256, (25, 34, 3)), smooth, few, plain]).astype(np.uint8)


WINDOWS = [(0, 0, 25, 34), (0, 0, 9, 20), (14, 3, 11, 31), (6, 30, 5, 4)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_pillow_s_to_the_bit_in_any_part_of_the_picture(name):
    pictures = kinds_of_pictures()
    for seed, magnitude in enumerate((0.0, 3.7, 7.0, 10.0, 3.7, 7.0)):
        level = signed_level(name, magnitude, np.random.default_rng(seed))
        wanted = np.stack([np.asarray(pillow(name)(Image.fromarray(picture), *level)) for picture in pictures])
        for top, left, height, width in WINDOWS:
            got = changed(whole(pictures), name, level).part((top, left, height, width)).numpy()
            np.testing.assert_array_equal(got, wanted[:, top : top + height, left : left + width], f"{level}")


def test_a_policy_is_its_operations_one_after_the_other():
    frames = kinds_of_pictures()
    drawn: list[tuple[Any, ...]] = []

    def noted(frames, *operation):
        drawn.append(operation)
        return changed(frames, *operation)

    for seed in range(12):
        drawn.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "changed", noted)
            got = rand_augment(whole(frames), np.random.default_rng(seed), POLICY).part((3, 5, 17, 20)).numpy()
        pictures = [Image.fromarray(frame) for frame in frames]
        for name, level in drawn:
            pictures = [pillow(name)(picture, *level) for picture in pictures]
        np.testing.assert_array_equal(got, np.stack([np.asarray(p) for p in pictures])[:, 3:20, 5:25], f"{drawn}")


def test_other_devices_compute_tables_and_counts_alike():
    """What a GPU does with indices, OpenCV does on a CPU."""
    frames = torch.from_numpy(kinds_of_pictures())
    tables = torch.randint(0, 256, (4, 3, 256), dtype=torch.uint8)
    assert torch.equal(look_up_by_index(frames, tables), look_up(frames, tables))
    assert torch.equal(look_up_by_index(frames, tables[:1, :1]), look_up(frames, tables[:1, :1]))
    assert torch.equal(histograms_by_index(frames), histograms(frames))
    assert histograms(frames).sum(2).eq(25 * 34).all()


@pytest.mark.parametrize(
    "matrix",
    [
        (1, 0.123, 0, 0, 1, 0),
        (1, 0, 0, 0, 1, -3.4),
        (0.933580426, 0.358367949, -4.1234, -0.358367949, 0.933580426, 5.4321),
    ],
)
def test_other_devices_move_pictures_alike(matrix):
    for window in WINDOWS:
        assert torch.equal(
            moved_by_index(whole(kinds_of_pictures()), window, matrix),
            moved(whole(kinds_of_pictures()), window, matrix),
        )


def test_directions(rng):
    for name, both in (("Rotate", {21.0, -21.0}), ("ColorIncreasing", {1.63, 0.37}), ("SolarizeAdd", {77})):
        drawn = {round(signed_level(name, 7.0, rng)[0], 6) for _ in range(50)}
        assert drawn == both, name


def test_how_many_operations_are_applied(rng):
    """Four are drawn, each applied half of the time: one clip in sixteen stays as it was."""
    frames = whole(noise(1))
    untouched = sum(rand_augment(frames, rng, POLICY) is frames for _ in range(800))
    assert untouched == pytest.approx(50, abs=22)


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("rand-m7-n4-mstd0.5-inc1", Policy(7, 4, 0.5)),
        ("rand-m9-n2-inc1", Policy(9, 2, 0)),
        ("rand-m10-n1-mstd1-inc1", Policy(10, 1, 1)),
    ],
)
def test_policies(text, policy):
    assert read_policy(text) == policy


@pytest.mark.parametrize(
    "text", ["", "augmix-m3", "rand-m7", "rand-m11-n2-inc1", "rand-m7-n0-inc1", "rand-m7-n4-mstd0.5"]
)
def test_other_policies_are_refused(text):
    with pytest.raises(ValueError, match=r"`augment`: got .*expected 'none' or RandAugment"):
        read_policy(text)
