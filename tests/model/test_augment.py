from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from tiktokactions.model.augment import (
    centre_crop,
    erase_,
    erased_box,
    evaluation_view,
    finetune_view,
    fixed_offsets,
    multiscale_crop_box,
    multiscale_pairs,
    normalise,
    pretrain_view,
    random_resized_crop_box,
    resize,
    resize_short_side,
)
from tiktokactions.model.autoencoder import IMAGENET_MEAN, IMAGENET_STD


def noise(frames, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8)


# --- pre-training -----------------------------------------------------------------------------------------------------


def candidates(width, height, size):
    return {
        (w, h, left, top)
        for w, h in multiscale_pairs(width, height, size)
        for left, top in fixed_offsets(width, height, w, h)
    }


def test_crops_are_the_reference(vectors):
    for (width, height), wanted in vectors["multiscale_crop_candidates"]["data"].items():
        assert candidates(width, height, (224, 224)) == {tuple(int(v) for v in row) for row in wanted}


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(100, 80, (64, 64)), (66, 66, (64, 64)), (30, 200, (32, 48)), (20, 20, (64, 64)), (1, 1, (64, 64))],
)
def test_drawn_crops_fit_and_cover_all_candidates(rng, width, height, size):
    drawn = {multiscale_crop_box(width, height, size, rng) for _ in range(4000)}
    assert drawn == candidates(width, height, size)
    for w, h, left, top in drawn:
        assert 0 < w <= width - left and 0 < h <= height - top


def test_resizing_is_pil_s_within_a_level(vectors):
    case = vectors["pretrain_resize"]
    w, h, left, top = case["crop_box_wh_offset"]
    picture = case["frame_hwc"][top : top + h, left : left + w].permute(2, 0, 1)[None]
    got = F.interpolate(picture, (24, 24), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    assert (got.int() - case["resized_24x24"].int()).abs().max() <= 1


@pytest.mark.parametrize(("height", "width", "size"), [(240, 320, (224, 224)), (97, 61, (64, 32)), (40, 40, (64, 64))])
def test_a_pretraining_view_is_pil_s_crop(height, width, size):
    from PIL import Image

    frames = noise(3, height, width)
    got = pretrain_view(frames, size, np.random.default_rng(5))
    w, h, left, top = multiscale_crop_box(width, height, size, np.random.default_rng(5))
    for t in range(3):
        picture = (
            Image.fromarray(frames[t])
            .crop((left, top, left + w, top + h))
            .resize(size[::-1], Image.Resampling.BILINEAR)
        )
        assert np.abs(got[:, t].permute(1, 2, 0).numpy().astype(int) - np.asarray(picture)).max() <= 1
    assert got.dtype == torch.uint8 and got.is_contiguous()


# --- fine-tuning ------------------------------------------------------------------------------------------------------


def test_a_crop_is_resized_as_the_reference_does_and_rounded():
    """Rounding moves a pixel by hardly more than a level, and by none on average."""
    frames = noise(4, 50, 70)
    options: Any = {"policy": "none", "flip": False, "erase": 0.0}
    top, left, height, width = random_resized_crop_box(50, 70, np.random.default_rng(3))
    got, _ = finetune_view(torch.from_numpy(frames), (32, 40), np.random.default_rng(3), **options)
    video = torch.from_numpy(frames).permute(3, 0, 1, 2).float()[:, :, top : top + height, left : left + width]
    wanted = F.interpolate(video, (32, 40), mode="bilinear", align_corners=False)
    assert torch.equal(resize(torch.from_numpy(frames)[:, top : top + height, left : left + width], (32, 40)), wanted)
    assert got.dtype == torch.uint8
    assert (got - wanted).abs().max() < 1.2
    assert abs((got - wanted).mean()) < 0.05


def test_random_crops_have_the_asked_areas_and_shapes(rng):
    boxes = np.array([random_resized_crop_box(400, 400, rng, 0.08) for _ in range(4000)])
    top, left, height, width = boxes.T
    areas, ratios = height * width / 160_000, width / height
    assert (top + height).max() <= 400 and (left + width).max() <= 400
    assert areas.min() > 0.075 and ratios.min() > 0.74 and ratios.max() < 1.35
    assert np.log(ratios).mean() == pytest.approx(0, abs=0.01)
    assert areas.mean() == pytest.approx(0.473, abs=0.02)  # large ones fit in fewer shapes and are drawn again
    assert random_resized_crop_box(400, 400, rng, 1.0)[2:] != (0, 0)


@pytest.mark.parametrize(
    ("height", "width", "box"), [(10, 1000, (0, 493, 10, 13)), (1000, 10, (493, 0, 13, 10)), (90, 100, (0, 0, 90, 100))]
)
def test_what_does_not_fit_falls_back_to_the_middle(height, width, box):
    class Never:
        """Draws boxes larger than any picture."""

        def uniform(self, low, high):
            return 1e6 if high == 1.0 else 0.0

    assert random_resized_crop_box(height, width, Never()) == box  # type: ignore[arg-type]


def test_erasing(rng):
    video = torch.zeros(3, 4, 60, 80)
    assert not erased_box((60, 80), rng, 0).any()
    shares, untouched = [], 0
    for _ in range(400):
        erased = erase_(video.clone()[None], erased_box((60, 80), rng, 0.25)[None])[0]
        box = (erased != 0).any(0)
        untouched += not box.any()
        if box.any():
            rows, columns = box[0].any(1).nonzero()[:, 0], box[0].any(0).nonzero()[:, 0]
            area = len(rows) * len(columns)
            assert box.sum() == 4 * area, "one box, in all frames"
            shares.append(area / 4800)
            assert erased[:, 0, rows[0], columns[0]].unique().numel() == 3, "fresh noise per pixel and channel"
            assert not torch.equal(erased[:, 0], erased[:, 1])
            noise_in_box = erased[:, box]
            assert abs(noise_in_box.mean()) < 6 / math.sqrt(12 * area)
            assert noise_in_box.std() == pytest.approx(1, abs=6 / math.sqrt(12 * area))
    assert untouched == pytest.approx(300, abs=30)
    assert min(shares) > 0.015 and max(shares) < 0.35


def test_half_of_the_clips_are_mirrored():
    frames = torch.from_numpy(np.tile(np.arange(64, dtype=np.uint8)[None, None, :, None] * 4, (2, 64, 1, 3)))
    options: Any = {"policy": "none", "erase": 0}
    slopes = []
    for seed in range(200):
        view, _ = finetune_view(frames, (16, 16), np.random.default_rng(seed), flip=True, **options)
        slopes.append(view[0, 0, 0, -1] > view[0, 0, 0, 0])
    assert sum(slopes) == pytest.approx(100, abs=25)
    still, _ = finetune_view(frames, (16, 16), np.random.default_rng(1), flip=False, **options)
    assert still[0, 0, 0, -1] > still[0, 0, 0, 0]


def test_a_sample_is_its_seed():
    options: Any = {"policy": "rand-m7-n4-mstd0.5-inc1", "flip": True, "erase": 0.5}
    frames = torch.from_numpy(noise(4, 60, 80))
    views = [finetune_view(frames, (32, 32), np.random.default_rng(s), **options) for s in (7, 7, 8)]
    assert torch.equal(views[0][0], views[1][0]) and torch.equal(views[0][1], views[1][1])
    assert not torch.equal(views[0][0], views[2][0])
    assert views[0][0].shape == (3, 4, 32, 32)


# --- evaluation -------------------------------------------------------------------------------------------------------


def test_evaluation_resizing_is_the_reference(vectors):
    case = vectors["eval_resize"]
    frames = case["frame_hwc"].numpy()[None]
    for side in (28, 45):
        assert (resize_short_side(frames, side)[0] == case[f"short_side_{side}"].numpy()).all()
    cropped = centre_crop(resize_short_side(frames, 28), (28, 28))
    assert (cropped[0] == case["short_side_28_center_crop_28"].numpy()).all()


@pytest.mark.parametrize(
    ("height", "width", "side", "shape"),
    [
        (60, 80, 30, (30, 40)),
        (80, 60, 30, (40, 30)),
        (50, 50, 20, (20, 20)),
        (33, 100, 20, (20, 60)),
        (20, 50, 20, (20, 50)),
    ],
)
def test_the_long_side_is_rounded_down(height, width, side, shape):
    assert resize_short_side(noise(1, height, width), side).shape[1:3] == shape


def test_too_small_for_a_crop():
    with pytest.raises(ValueError, match="got frames of 10 × 20 pixels, expected at least 16 × 16"):
        centre_crop(noise(1, 10, 20), (16, 16))


def test_an_evaluation_view_is_the_middle():
    frames = noise(2, 20, 30)
    assert torch.equal(evaluation_view(frames, (10, 10)), torch.from_numpy(frames[:, 5:15, 10:20]).permute(3, 0, 1, 2))


def test_normalising():
    video = torch.tensor([0, 255], dtype=torch.uint8).expand(3, 1, 1, 2)
    got = normalise(video)
    for channel in range(3):
        assert got[channel].flatten().tolist() == pytest.approx(
            [(v - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel] for v in (0, 1)], abs=1e-6
        )
    assert math.isfinite(float(got.sum()))
