from __future__ import annotations

import numpy as np
import pytest
import torch

from tiktokactions.model.mixing import blend, cutmix_box, draw_share, kept_share, mix, paste, soft_target


def test_mixing_is_the_reference(vectors):
    kinds = set()
    for case in vectors["mixup_cutmix"]:
        share = case["lam_drawn"]
        height, width = case["x_in"].shape[-2:]
        if case["use_cutmix"]:
            box = tuple(int(v) for v in case["bbox_yl_yh_xl_xh"])
            boxes = {cutmix_box(height, width, share, y, x) for y in range(height) for x in range(width)}
            assert box in boxes
            share = kept_share(height, width, box)
            assert share == pytest.approx(case["lam_corrected"], abs=1e-12)
            mixed = paste(case["x_in"], box)
        else:
            mixed = blend(case["x_in"], share)
        assert torch.allclose(mixed, case["x_out"], atol=1e-7)
        assert torch.allclose(soft_target(case["y_in"], 5, share, 0.1), case["target_out"], atol=1e-6)
        kinds.add(case["use_cutmix"])
    assert kinds == {True, False}


def test_one_box_covers_the_whole_clip(rng):
    video = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 3, 5, 32, 32).contiguous()
    changed = 0
    for _ in range(20):
        mixed, target = mix(video, torch.arange(4), 4, rng, mixup=0, cutmix=1.0, smoothing=0)
        other = mixed != video
        assert (other == other[:, :1, :1]).all()
        share = 1 - float(other[0, 0, 0].float().mean())
        assert target[0].tolist() == pytest.approx([share, 0, 0, 1 - share], abs=1e-6)
        changed += bool(other.any())
    assert changed > 10


def test_targets_are_distributions(rng):
    for _ in range(50):
        _, target = mix(torch.zeros(2, 3, 1, 8, 8), torch.tensor([0, 3]), 7, rng)
        assert target.shape == (2, 7) and target.dtype == torch.float32
        assert torch.allclose(target.sum(1), torch.ones(2))
        assert target.min() >= 0.1 / 7 - 1e-6


@pytest.mark.parametrize(
    ("given", "mixed", "cut"),
    [
        ({"mixup": 0, "cutmix": 0, "probability": 1, "switch": 0.5}, 0, 0),
        ({"mixup": 0.8, "cutmix": 0, "probability": 1, "switch": 0.5}, 1, 0),
        ({"mixup": 0, "cutmix": 1, "probability": 1, "switch": 0.5}, 1, 1),
        ({"mixup": 0.8, "cutmix": 1, "probability": 1, "switch": 0.25}, 1, 0.25),
        ({"mixup": 0.8, "cutmix": 1, "probability": 0.5, "switch": 0.5}, 0.5, 0.25),
    ],
)
def test_how_often_what_is_mixed(rng, given, mixed, cut):
    drawn = [draw_share(rng, **given) for _ in range(2000)]
    assert np.mean([share < 1 for share, _ in drawn]) == pytest.approx(mixed, abs=0.04)
    assert np.mean([use for _, use in drawn]) == pytest.approx(cut, abs=0.04)


def test_shares_are_beta(rng):
    shares = np.array([draw_share(rng, 0.8, 0, 1, 0.5)[0] for _ in range(4000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.02)
    assert shares.var() == pytest.approx(1 / (4 * (2 * 0.8 + 1)), rel=0.06)


def test_without_mixing_targets_are_smoothed_labels(rng):
    video = torch.randn(3, 3, 1, 4, 4)
    same, target = mix(video, torch.tensor([0, 1, 1]), 2, rng, mixup=0, cutmix=0, smoothing=0.1)
    assert same is video
    assert target == pytest.approx(torch.tensor([[0.95, 0.05], [0.05, 0.95], [0.05, 0.95]]))


def test_an_odd_batch_has_no_pairs(rng):
    with pytest.raises(ValueError, match="got a batch of 3 clips"):
        mix(torch.zeros(3, 3, 1, 4, 4), torch.zeros(3, dtype=torch.long), 2, rng)
