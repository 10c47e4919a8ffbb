from __future__ import annotations

import numpy as np
import pytest
import torch

from tiktokactions.clips.clip import Clip, ClipSet
from tiktokactions.clips.read import read_clips
from tiktokactions.errors import UsageError
from tiktokactions.model.classification import label_loss
from tiktokactions.model.evaluate import average_precisions, top_accuracy
from tiktokactions.model.labels import (
    balanced_shares,
    class_counts,
    class_weights,
    expect_used,
    merged,
    read_label_map,
    targets_of,
    usable,
    with_all_labels,
)
from tiktokactions.model.mixing import mix, soft_target


def clip_set(source, *labels):
    clips = tuple(
        Clip(f"/{source}/{number}.mp4", told[0] if told else None, labels=told) for number, told in enumerate(labels)
    )
    return ClipSet(source, "folder", clips, tuple(sorted({told[0] for told in labels if told})))


MANY = clip_set("many", ("run", "jump"), ("jump",), (), ("run",))


def test_several_labels_are_told_one_by_one():
    [data] = with_all_labels([MANY])
    targets = targets_of(data, data.labels, "x", multi_label=True)
    assert data.labels == ("jump", "run")
    assert targets.tolist() == [[1, 1], [1, 0], [0, 0], [0, 1]]
    assert class_counts(targets, 2).tolist() == [2, 2]
    assert class_weights(targets[[0, 1, 1, 2]], 2, 1.0).tolist() == pytest.approx([1 / 3, 3])
    with pytest.raises(UsageError, match="1 clips without a label"):
        targets_of(data, data.labels, "x")
    told: list[str] = []
    [*kept] = usable(data, False, lambda progress: told.append(progress.message)).clips
    assert kept == [clip for clip in data.clips if clip.labels] and len(kept) == 3
    assert told == ["many: 1 clips show none of the actions, as people said, and are left out"]
    with pytest.raises(UsageError, match="1 label unknown to x: run; it knows jump"):
        targets_of(data, ["jump"], "x", multi_label=True)


def answered(labels, answers):
    clip = Clip("/x.mp4", next(iter(labels), None), labels=labels, answers=tuple(answers.items()))
    return ClipSet("asked", "dataset", (clip,), ("jump", "run", "sit"))


@pytest.mark.parametrize(
    ("labels", "answers", "jump_run_sit"),
    [
        pytest.param(("jump",), {"jump": "yes", "run": "no"}, [1, 0, None], id="asked label by label"),
        pytest.param(("jump",), {"jump": "yes", "*": "no"}, [1, 0, 0], id="all that was seen"),
        pytest.param(("jump",), {"jump": "yes", "run": "cannot_tell", "*": "no"}, [1, None, 0], id="cannot tell"),
        pytest.param((), {"run": "no", "sit": "not_asked"}, [None, 0, None], id="none, as far as asked"),
        pytest.param((), {"*": "no"}, [0, 0, 0], id="none of all"),
        pytest.param(("sit",), {"sit": "cannot_tell", "run": "no"}, [None, 0, None], id="a hashtag nobody can tell"),
    ],
)
def test_what_nobody_was_asked_is_not_a_no(labels, answers, jump_run_sit):
    data = answered(labels, answers)
    [target] = targets_of(data, data.labels, "x", multi_label=True)
    assert [None if t.isnan() else t.item() for t in target] == jump_run_sit
    assert usable(data, True, print) == data
    logits = torch.zeros(2, 3, requires_grad=True)
    both = torch.stack([target, torch.ones(3)])
    loss = label_loss(logits, both)
    loss.backward()
    known = torch.tensor([t is not None for t in jump_run_sit])
    assert logits.grad is not None and (logits.grad[0] != 0).tolist() == known.tolist()
    assert loss.item() == pytest.approx((known.sum().item() + 3) * 0.6931472 / 6), "split batches add up"


def test_clips_of_which_nobody_could_tell_anything_are_left_out():
    told: list[str] = []
    data = answered((), {"jump": "cannot_tell", "run": "not_asked"})
    assert usable(data, True, lambda progress: told.append(progress.message)).clips == ()
    assert told == ["asked: 1 clips of which nobody could tell anything are left out"]


def test_the_unknown_is_left_out_of_scores_and_stays_unknown_when_mixed():
    unknown = torch.nan
    targets = torch.tensor([[1.0, 0], [unknown, 1], [0, unknown], [1, 0]])
    scores = torch.tensor([[0.8, 0.1], [0.9, 0.2], [0.7, 0.9], [0.6, 0.5]])
    # By class: 0.8 (yes), 0.7 (no), 0.6 (yes); and 0.5 (no), 0.2 (yes), 0.1 (no).
    assert average_precisions(scores, targets).tolist() == pytest.approx([(1 + 2 / 3) / 2, 1 / 2])
    assert top_accuracy(scores, targets, 1) == pytest.approx(3 / 4), "the second's best guess is not judged"
    assert class_weights(targets, 2, 1.0).tolist() == pytest.approx([1 / 2, 2])
    alone = soft_target(targets[:2], 2, 1.0, 0.0)
    assert alone.isnan().tolist() == [[False, False], [True, False]]
    video, generator = torch.rand(2, 3, 2, 8, 8), np.random.default_rng(0)
    _, mixed = mix(video, targets[:2], 2, generator, mixup=0.8, cutmix=0.0)
    assert mixed.isnan().tolist() == [[True, False], [True, False]]


def test_answers_about_labels_become_answers_about_classes():
    [data] = with_all_labels([answered(("jump",), {"jump": "yes", "run": "no", "sit": "no"})])
    classes = {("", "jump"): "move", ("", "run"): "move", ("", "sit"): "rest"}
    assert merged([data], classes).clips[0].answers == (("move", "yes"), ("rest", "no"))
    [data] = with_all_labels([answered(("sit",), {"sit": "yes", "run": "no"})])
    assert merged([data], classes).clips[0].answers == (("move", "not_asked"), ("rest", "yes"))


def test_a_clip_is_drawn_by_its_rarest_class():
    targets = torch.tensor([[1.0, 1], [1, 0], [1, 0], [0, 0], [1, 0]])
    shares = balanced_shares(targets, 2, 1.0)
    assert shares == pytest.approx([1, 1 / 4, 1 / 4, 1, 1 / 4])
    numbers = torch.tensor([0, 0, 1])
    assert balanced_shares(numbers, 2, 0.5) == pytest.approx([0.5**0.5, 0.5**0.5, 1])


def test_mean_average_precision_and_hits():
    targets = torch.tensor([[1.0, 1, 0], [0, 1, 0], [1, 0, 0]])
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.7, 0.2, 0.3]])
    found = average_precisions(scores, targets)
    assert found[:2].tolist() == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2]) and found[2].isnan()
    assert top_accuracy(scores, targets, 1) == pytest.approx(2 / 3) and top_accuracy(scores, targets, 2) == 1


def test_soft_targets_of_several_labels():
    target = soft_target(torch.tensor([[1.0, 1, 0], [0, 0, 0]]), 3, 0.75, 0.3)
    assert target.tolist() == [pytest.approx([0.625, 0.625, 0.1]), pytest.approx([0.275, 0.275, 0.1])]


def test_data_are_merged_by_a_map(tmp_path):
    one, two = clip_set("k400", ("ride bike",), ("shooting",)), clip_set("k600", ("bike",), ("shooting",), ("junk",))
    path = tmp_path / "map.csv"
    path.write_text("data,label,class\n,bike,ride bike\nk600,shooting,shooting goal\n,junk,\n")
    classes = read_label_map(path)
    expect_used(classes, [one, two], path)
    data = merged([one, two], classes)
    assert data.labels == ("ride bike", "shooting", "shooting goal") and data.source == "k400, k600"
    assert [clip.label for clip in data.clips] == ["ride bike", "shooting", "ride bike", "shooting goal"]
    assert [clip.labels for clip in data.clips] == [(clip.label,) for clip in data.clips]
    assert merged([one], {}) is one
    with pytest.raises(UsageError, match=r"`label_map` .*map\.csv: no data have junk, shooting of k600"):
        expect_used({("", "junk"): "", ("k600", "shooting"): "x"}, [one], path)


def test_a_list_can_name_several_labels(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.mp4").touch()
    (tmp_path / "list.csv").write_text("path,labels\na.mp4,run; jump\nb.mp4,run\nc.mp4,\n")
    data = read_clips(tmp_path / "list.csv", side="all")
    assert [clip.labels for clip in data.clips] == [("run", "jump"), ("run",), ()]
    assert [clip.label for clip in data.clips] == ["run", "run", None] and data.labels == ("jump", "run")
