from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tiktokactions.model.rand_augment import OPERATIONS, Policy, rand_augment, read_policy, signed_level

POLICY = "rand-m7-n4-mstd0.5-inc1"


def noise(frames=3, height=24, width=32):
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), np.uint8)


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


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("magnitude", [0.0, 3.7, 10.0])
def test_every_operation_runs_and_keeps_the_size(rng, name, magnitude):
    from PIL import Image

    picture = Image.fromarray(noise(1)[0])
    changed = OPERATIONS[name].apply(picture, *signed_level(name, magnitude, rng))
    assert changed.size == picture.size and changed.mode == "RGB"
    if magnitude == 10 and name not in ("AutoContrast", "Equalize"):
        assert np.asarray(changed).tobytes() != np.asarray(picture).tobytes()
    if magnitude == 0 and OPERATIONS[name].direction:
        assert np.asarray(changed).tobytes() == np.asarray(picture).tobytes()


def test_all_frames_are_changed_alike(rng):
    still = np.repeat(noise(1), 4, axis=0)
    for _ in range(30):
        changed = rand_augment(still, rng, POLICY)
        assert (changed == changed[:1]).all()


def test_moved_pictures_are_filled_with_grey():
    from PIL import Image

    moved = OPERATIONS["TranslateXRel"].apply(Image.fromarray(np.zeros((20, 20, 3), np.uint8)), 0.25)
    assert (np.asarray(moved)[:, -4:] == 128).all() and (np.asarray(moved)[:, :14] == 0).all()


def test_directions(rng):
    for name, both in (("Rotate", {21.0, -21.0}), ("ColorIncreasing", {1.63, 0.37}), ("SolarizeAdd", {77})):
        drawn = {round(signed_level(name, 7.0, rng)[0], 6) for _ in range(50)}
        assert drawn == both, name


def test_how_many_operations_are_applied(rng):
    """Four are drawn, each applied half of the time: one clip in sixteen stays as it was."""
    frames = noise(1)
    untouched = sum(rand_augment(frames, rng, "rand-m7-n4-mstd0.5-inc1") is frames for _ in range(800))
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
