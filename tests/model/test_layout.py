"""What is random in a step does not depend on the batches and processes that it is cut into."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from tests.model.small_models import FIVE  # noqa: E402
from tiktokactions.model.classification import classifier  # noqa: E402
from tiktokactions.model.layout import Layout, layout_of, mixed, step_drops  # noqa: E402
from tiktokactions.model.options import FinetuneOptions  # noqa: E402
from tiktokactions.model.run import RunError  # noqa: E402

OPTIONS = FinetuneOptions(batch_size=2, num_samples=2, accumulate=2, head_dropout=0.5)
BEGUN = Layout(batch_size=2, accumulate=2, processes=2)
"""Eight videos in a step, two copies of each."""
STEP = 3


def batches_of(batch_size: int) -> list[tuple[Any, Any]]:
    """The step's clips after mixup and CutMix, and their targets, batch by batch."""
    generator = torch.Generator().manual_seed(0)
    video, label = torch.rand(16, 3, 2, 8, 8, generator=generator), torch.arange(16) % 5
    found = []
    for first in range(0, 8, batch_size):
        clips = slice(2 * first, 2 * (first + batch_size))
        found.append(mixed(video[clips], label[clips], 5, OPTIONS, BEGUN, STEP, first))
    return found


@pytest.mark.parametrize("batch_size", [4, 8], ids=["one process of twice the batch", "one of all of it"])
def test_larger_batches_mix_the_same_clips(batch_size):
    begun, later = batches_of(2), batches_of(batch_size)
    for number in (0, 1):
        assert torch.equal(torch.cat([b[number] for b in begun]), torch.cat([b[number] for b in later]))
    assert not torch.equal(begun[0][1], begun[1][1])


def test_all_that_a_step_drops_is_drawn_as_it_was_begun():
    drops = step_drops(classifier(FIVE, drop_path=0.5, head_dropout=0.5), OPTIONS, BEGUN, STEP)
    alone = Layout(batch_size=4, accumulate=1, processes=1)  # a batch of the two processes, number 2 * STEP
    first = step_drops(classifier(FIVE, drop_path=0.5, head_dropout=0.5), OPTIONS, alone, 2 * STEP)
    assert drops is not None and first is not None and drops.keep_branches is not None
    assert drops.keep_features is not None
    assert drops.keep_branches.shape == (2, 2, 16) and drops.keep_features.shape == (16, 48)
    assert torch.equal(drops.part(0, 8).keep_branches, first.keep_branches)
    assert torch.equal(drops.part(0, 8).keep_features, first.keep_features)
    assert step_drops(classifier(FIVE), OPTIONS, BEGUN, STEP) is None


def test_pairs_are_not_torn_apart():
    begun: Any = type("Begun", (), {"options": {"batch_size": 4, "accumulate": 1}, "derived": BEGUN})
    with pytest.raises(RunError, match=r"`batch_size` 2: .* expected a multiple of 4"):
        layout_of(begun, OPTIONS)
    assert layout_of(begun, dataclasses.replace(OPTIONS, mixup=0.0, cutmix=0.0)) == Layout(4, 1, 2)
