"""What needs no second process; two of them split a model in ``test_finetune.py`` and ``test_pretrain.py``."""

from __future__ import annotations

import pytest
import torch

from tiktokactions.errors import UsageError
from tiktokactions.model import classifier
from tiktokactions.model.hardware import Hardware, Processes
from tiktokactions.model.options import FinetuneOptions
from tiktokactions.model.sharding import is_split, split, split_as, whole_model


def test_one_process_has_nothing_to_split(micro5):
    model = classifier(micro5)
    split(model, FinetuneOptions(shard=True), Hardware(torch.device("cpu"), torch.float16, Processes()))
    assert not is_split(model) and whole_model(model, classifier, torch.device("cpu")) is model
    tensor = torch.ones(3)
    assert split_as(tensor, model.head.weight) is tensor


def test_fp16_is_refused(micro5):
    two = Hardware(torch.device("cpu"), torch.float16, Processes(0, 2))
    with pytest.raises(UsageError, match="`shard` does not go with `precision` fp16; choose bf16 or fp32"):
        split(classifier(micro5), FinetuneOptions(shard=True), two)
