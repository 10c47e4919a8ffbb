"""Datasets and batches: what a sample is made of, that it depends on nothing but its seed, and clips that cannot be read."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from tests.made_videos import numbered_frames, read_number, write_video  # noqa: E402
from tiktokactions.clips.clip import Clip  # noqa: E402
from tiktokactions.model import samples  # noqa: E402
from tiktokactions.model import views as model_views  # noqa: E402
from tiktokactions.model.config import ModelConfig  # noqa: E402
from tiktokactions.model.hardware import Hardware, Processes  # noqa: E402
from tiktokactions.model.loader import (  # noqa: E402
    Batches,
    EvaluationBatches,
    check_readable,
    epoch_order,
)
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions, PretrainOptions  # noqa: E402
from tiktokactions.model.samples import FinetuneClips, PretrainClips, TestClips, ValidationClips  # noqa: E402
from tiktokactions.model.views import frame_indices  # noqa: E402
from tiktokactions.video import UnreadableError  # noqa: E402

PRETRAIN = PretrainOptions(model="tiny", seed=3)
FINETUNE = FinetuneOptions(model="tiny", seed=3)
LABELS = ("wave", "jump")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Seven clips of 40 to 100 frames, H.264 and XviD, wide and tall."""
    folder = tmp_path_factory.mktemp("clips")
    made = []
    for number in range(7):
        size = ((96, 72), (72, 100))[number % 2]
        settings: dict[str, Any] = {"b_frames": 2, "options": {"preset": "fast", "g": "25"}}
        if number % 3 == 2:
            settings = {"codec": "mpeg4", "options": {"b": "2M", "bf": "2"}}
        path = folder / f"{number}{'.avi' if number % 3 == 2 else '.mp4'}"
        write_video(path, numbered_frames(40 + 10 * number, *size), **settings)
        made.append(Clip(str(path), LABELS[number % 2]))
    return made


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- samples ---------------------------------------------------------------------------------------------------------


def test_a_pretraining_sample(clips: list[Clip], micro: ModelConfig) -> None:
    dataset = PretrainClips(clips, micro, dataclasses.replace(PRETRAIN, num_samples=3))
    sample = dataset[0, 4]
    assert sample["video"].shape == (3, 3, 16, 64, 64)
    assert sample["video"].dtype == torch.uint8
    for name in ("encoder_mask", "decoder_mask"):
        assert sample[name].shape == (3, 128)
        assert sample[name].dtype == torch.bool
    assert sample["encoder_mask"].sum(1).tolist() == [14 * 8] * 3, "int(0.9 * 16) sites in 8 slots"
    assert sample["decoder_mask"].sum(1).tolist() == [64] * 3
    assert sample["index"].item() == 4
    assert len(dataset) == 7
    assert not torch.equal(sample["encoder_mask"][0], sample["encoder_mask"][1])


def test_decoder_mask_without_ratio_is_what_the_encoder_saw(clips: list[Clip], micro: ModelConfig) -> None:
    sample = PretrainClips(clips, micro, dataclasses.replace(PRETRAIN, decoder_mask_ratio=0))[0, 0]
    assert torch.equal(sample["decoder_mask"], ~sample["encoder_mask"])


def test_samples_follow_from_seed_epoch_index_and_copy_alone(clips: list[Clip], micro: ModelConfig) -> None:
    dataset = PretrainClips(clips, micro, PRETRAIN)
    first = dataset[2, 5]
    dataset[0, 1]
    assert same(dataset[2, 5], first)
    assert same(PretrainClips(clips, micro, PRETRAIN)[2, 5], first)
    longer = PretrainClips(clips, micro, dataclasses.replace(PRETRAIN, num_samples=4))[2, 5]
    assert torch.equal(longer["video"][:2], first["video"])
    assert torch.equal(longer["encoder_mask"][:2], first["encoder_mask"])
    others = [dataset[3, 5], dataset[2, 6], PretrainClips(clips, micro, dataclasses.replace(PRETRAIN, seed=4))[2, 5]]
    assert not any(torch.equal(other["encoder_mask"], first["encoder_mask"]) for other in others)


def note_opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the clips that are opened from now on."""
    opened: list[str] = []
    open_clip = samples.open_clip

    def noted(clip: Clip, decoder: Any = "pyav") -> Any:
        opened.append(clip.path)
        return open_clip(clip, decoder)

    monkeypatch.setattr(samples, "open_clip", noted)
    return opened


def numbers_of(frames_thwc: np.ndarray, *_: Any, **__: Any) -> Any:
    """Stands in for an augmentation: the numbers that the frames carry."""
    return torch.tensor([read_number(frame) for frame in frames_thwc])


def test_pretraining_reads_the_frames_once_for_all_copies(
    clips: list[Clip], micro: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "pretrain_view", numbers_of)
    opened = note_opened(monkeypatch)
    starts = set()
    for epoch in range(6):
        video = PretrainClips(clips, micro, PRETRAIN)[epoch, 6]["video"]
        rng = samples.sample_rng(PRETRAIN.seed, epoch, 6)
        expected = frame_indices(100, mode="pretrain", rng=rng).tolist()
        assert video.tolist() == [expected, expected]
        starts.add(expected[0])
    assert opened == [clips[6].path] * 6
    assert len(starts) > 3


def test_a_part_of_a_video_and_another_stride(
    clips: list[Clip], micro: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "pretrain_view", numbers_of)
    part = dataclasses.replace(clips[6], start_s=1.0, end_s=2.0)  # frames 30 to 59
    config = dataclasses.replace(micro, frames=8)
    video = PretrainClips([part], config, dataclasses.replace(PRETRAIN, stride=5, num_samples=1))[0, 0]["video"]
    assert video.tolist() == [[30, 35, 40, 45, 50, 55, 55, 55]]


def test_a_finetuning_sample(clips: list[Clip], micro: ModelConfig) -> None:
    dataset = FinetuneClips(clips, LABELS, micro, FINETUNE)
    sample = dataset[0, 3]
    assert sample["video"].shape == (2, 3, 16, 64, 64)
    assert sample["video"].dtype == torch.uint8
    assert sample["erased"].shape == (2, 5)
    assert sample["label"].tolist() == [1, 1]
    assert sample["label"].dtype == torch.int64
    assert not torch.equal(sample["video"][0], sample["video"][1])
    assert same(dataset[0, 3], sample)
    assert not same(dataset[1, 3], sample)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_device_augments_what_the_workers_decode(workers: int, clips: list[Clip], micro: ModelConfig) -> None:
    """The same clips either way; files of two sizes in one batch."""
    found = []
    for where in ("workers", "device"):
        options = dataclasses.replace(FINETUNE, augment_on=where, erase=0.9)
        dataset = FinetuneClips(clips[:4], LABELS, micro, options)
        with Batches(dataset, batch_size=4, seed=1, workers=workers) as batches:
            (batch,) = batches.epoch(2)
        assert ("frames" in batch) == (where == "device")
        found.append(dataset.on(Hardware(torch.device("cpu"), torch.float32, Processes()), batch, 2))
        assert batch["label"].tolist() == [n % 2 for n in batch["index"].tolist() for _ in range(2)]
    assert found[0].shape == (8, 3, 16, 64, 64)
    assert torch.equal(*found)


def test_a_clip_travels_as_bytes(clips: list[Clip], micro: ModelConfig) -> None:
    """3 × 16 × 64 × 64 pixels a clip, and next to nothing else."""
    pixels = 3 * 16 * 64 * 64
    for dataset in (PretrainClips(clips, micro, PRETRAIN), FinetuneClips(clips, LABELS, micro, FINETUNE)):
        sample = dataset[0, 0]
        assert sum(tensor.nbytes for tensor in sample.values()) < 2 * pixels * 1.02
    sample = ValidationClips(clips, LABELS, micro, FINETUNE)[0, 0]
    assert sum(tensor.nbytes for tensor in sample.values()) < pixels * 1.02


@pytest.mark.parametrize("sampling", ["dense", "sparse"])
def test_finetuning_hands_its_options_on(
    sampling: Any, clips: list[Clip], micro: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []

    def view(frames_thwc: Any, size: Any, rng: Any, **options: Any) -> Any:
        given.append({"size": size, "frames": [read_number(frame) for frame in frames_thwc.numpy()], **options})
        return torch.zeros(1), torch.zeros(5)

    monkeypatch.setattr(samples, "finetune_view", view)
    options = dataclasses.replace(
        FINETUNE, augment="none", erase=0.5, min_area=0.3, num_samples=1, sampling=sampling, flip=False
    )
    FinetuneClips(clips, LABELS, micro, options)[0, 6]
    rng = samples.sample_rng(FINETUNE.seed, 0, 6)
    frames = frame_indices(100, mode="train", rng=rng, sampling=sampling).tolist()
    wanted = {"size": (64, 64), "policy": "none", "flip": False, "erase": 0.5, "min_area": 0.3}
    assert given == [{"frames": frames, **wanted}]


def by_hand(path: str, indices: np.ndarray, side: int) -> np.ndarray:
    """Frames shrunk so that the short side is ``side``: uint8 (n, height, width, 3)."""
    with samples.open_clip(Clip(path, None)) as reader:
        frames = reader.read(indices)
    height, width = frames.shape[1:3]
    size = (side, int(side * height / width)) if width < height else (int(side * width / height), side)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR) for frame in frames])


@pytest.mark.parametrize("number", [0, 1])
def test_a_validation_sample(number: int, clips: list[Clip], micro: ModelConfig) -> None:
    sample = ValidationClips(clips, LABELS, micro, FINETUNE)[0, number]
    frames = by_hand(clips[number].path, frame_indices(40 + 10 * number, mode="validation"), 64)
    assert sample["video"].shape == (3, 16, 64, 64)
    assert sample["label"].shape == ()
    assert sample["label"].item() == number
    top, left = (round((side - 64) / 2) for side in frames.shape[1:3])
    middle = torch.from_numpy(frames[:, top : top + 64, left : left + 64].copy()).permute(3, 0, 1, 2)
    assert torch.equal(sample["video"], middle)


@pytest.mark.parametrize("number", [0, 5, 6], ids=["wide, short", "tall, avi", "wide, long"])
def test_test_views_are_cut_from_one_decode(
    number: int, clips: list[Clip], micro: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = note_opened(monkeypatch)
    video = TestClips(clips, micro, EvaluateOptions(), 4, "dense")[0, number]["video"]
    assert opened == [clips[number].path]
    assert video.shape == (15, 3, 16, 64, 64)
    assert video.dtype == torch.uint8
    indices = frame_indices(40 + 10 * number, mode="test")
    frames = by_hand(clips[number].path, indices, 64)
    for got, view in zip(video, model_views.test_views(len(indices), *frames.shape[1:3]), strict=True):
        expected = frames[view.start : view.start + 16, view.top : view.top + 64, view.left : view.left + 64]
        assert np.array_equal(got.permute(1, 2, 3, 0).numpy(), expected)


@pytest.mark.parametrize("size", [(64, 64), (32, 64), (96, 48)])
@pytest.mark.parametrize("number", [0, 1])
def test_test_views_of_any_shape(number: int, size: tuple[int, int], clips: list[Clip], micro: ModelConfig) -> None:
    config = dataclasses.replace(micro, height=size[0], width=size[1])
    sample = TestClips(clips, config, EvaluateOptions(segments=2, crops=2), 2, "dense")[0, number]
    assert sample["video"].shape == (4, 3, 16, *size)


def test_sparse_test_views(clips: list[Clip], micro: ModelConfig) -> None:
    sample = TestClips(clips, micro, EvaluateOptions(segments=2, crops=1), 4, "sparse")[0, 6]
    frames = by_hand(clips[6].path, model_views.sparse_test_frames(100, segments=2)[1], 64)
    left = (frames.shape[2] - 64) // 2
    assert np.array_equal(sample["video"][1].permute(1, 2, 3, 0).numpy(), frames[:, :, left : left + 64])


@pytest.mark.parametrize(
    ("frame", "size", "side"),
    [
        ((240, 320), (64, 64), 64),
        ((320, 240), (64, 64), 64),
        ((100, 100), (32, 64), 64),
        ((300, 100), (96, 48), 48),
        ((100, 300), (96, 48), 96),
        ((67, 101), (64, 96), 64),
        ((101, 67), (96, 64), 64),
    ],
)
def test_the_short_side_that_just_covers_a_view(frame: tuple[int, int], size: tuple[int, int], side: int) -> None:
    found = samples.short_side_for(*frame, size)
    assert found == side
    covered = [int(found * length / min(frame)) for length in frame]
    assert covered[0] >= size[0] and covered[1] >= size[1]


# --- order -----------------------------------------------------------------------------------------------------------


def test_an_epoch_shows_every_clip_once_in_an_order_of_its_own() -> None:
    orders = [epoch_order(50, seed, epoch).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert epoch_order(50, 1, 1).tolist() == orders[3]


def test_shares_say_how_often_a_clip_is_drawn() -> None:
    shares = [3.0] * 10 + [1.0] * 30 + [0.0] * 10
    expected = 50 * np.array(shares) / 60
    total = np.zeros(50)
    for epoch in range(400):
        counts = np.bincount(epoch_order(50, 0, epoch, shares), minlength=50)
        assert counts.sum() == 50
        assert (np.abs(counts - expected) < 1).all(), "rounded up or down, no more"
        total += counts
    assert np.abs(total / 400 - expected).max() < 0.1
    assert epoch_order(50, 0, 7, shares).tolist() == epoch_order(50, 0, 7, shares).tolist()


def test_equal_shares_show_every_clip_once() -> None:
    assert sorted(epoch_order(9, 0, 0, [2.0] * 9).tolist()) == list(range(9))


@pytest.mark.parametrize("shares", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]])
def test_shares_that_make_no_sense(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        epoch_order(2, 0, 0, shares)


# --- batches ---------------------------------------------------------------------------------------------------------


def epochs(dataset: Any, number: int = 2, **settings: Any) -> list[list[dict[str, Any]]]:
    with Batches(dataset, seed=0, **settings) as batches:
        return [list(batches.epoch(epoch)) for epoch in range(number)]


def test_batches_hold_the_samples_of_each_video_one_after_the_other(clips: list[Clip], micro: ModelConfig) -> None:
    dataset = PretrainClips(clips, micro, PRETRAIN)
    found = epochs(dataset, batch_size=3)
    assert [len(epoch) for epoch in found] == [2, 2], "seven clips: the last one waits"
    for number, epoch in enumerate(found):
        order = epoch_order(7, 0, number).tolist()
        assert [i for batch in epoch for i in batch["index"].tolist()] == order[:6]
        for batch in epoch:
            for place, index in enumerate(batch["index"].tolist()):
                sample = dataset[number, index]
                for name in ("video", "encoder_mask", "decoder_mask"):
                    assert torch.equal(batch[name][2 * place : 2 * place + 2], sample[name])
    assert found[0][0]["video"].shape == (6, 3, 16, 64, 64)


def test_resuming_in_the_middle_of_an_epoch_reads_nothing_of_what_was_done(
    clips: list[Clip], micro: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = PretrainClips(clips, micro, PRETRAIN)
    whole = epochs(dataset, batch_size=2)[1]
    opened = note_opened(monkeypatch)
    with Batches(dataset, batch_size=2, seed=0) as batches:
        rest = list(batches.epoch(1, first_batch=1))
    assert len(rest) == 2
    assert all(same(a, b) for a, b in zip(rest, whole[1:], strict=True))
    assert len(opened) == 4


def test_processes_share_the_batches_of_one(clips: list[Clip], micro: ModelConfig) -> None:
    dataset = FinetuneClips(clips, LABELS, micro, FINETUNE)
    alone = epochs(dataset, 1, batch_size=4)[0]
    parts = [epochs(dataset, 1, batch_size=2, processes=(rank, 2))[0] for rank in (0, 1)]
    for whole, *shared in zip(alone, *parts, strict=True):
        assert same({name: torch.cat([part[name] for part in shared]) for name in whole}, whole)


def test_worker_processes_change_nothing_and_stay_over_epochs(clips: list[Clip], micro: ModelConfig) -> None:
    dataset = PretrainClips(clips, micro, PRETRAIN)
    here = epochs(dataset, batch_size=2)
    with Batches(dataset, batch_size=2, seed=0, workers=2) as batches:
        stopped = batches.epoch(0)
        assert same(next(stopped), here[0][0])  # and left there, as by a run that stops
        first = {process.pid for process in multiprocessing.active_children()}
        for epoch in (0, 1):
            found = list(batches.epoch(epoch))
            assert all(same(a, b) for a, b in zip(found, here[epoch], strict=True))
        assert {process.pid for process in multiprocessing.active_children()} == first
        assert len(first) == 2
    assert not multiprocessing.active_children()


def test_loading_leaves_torchs_random_numbers_alone(clips: list[Clip], micro: ModelConfig) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    epochs(PretrainClips(clips, micro, PRETRAIN), 1, batch_size=2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_shows_every_clip_in_order(workers: int, clips: list[Clip], micro: ModelConfig) -> None:
    dataset = ValidationClips(clips, LABELS, micro, FINETUNE)
    with EvaluationBatches(dataset, 3, workers) as batches:
        found = list(batches)
        processes = multiprocessing.active_children()
        again = list(batches)
        assert multiprocessing.active_children() == processes, "the same workers for the next look"
    assert len(again) == 3 and torch.equal(again[2]["video"], found[2]["video"])
    assert [batch["index"].tolist() for batch in found] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [batch["label"].tolist() for batch in found] == [[0, 1, 0], [1, 0, 1], [0]]
    assert found[0]["video"].shape == (3, 3, 16, 64, 64)
    assert torch.equal(found[2]["video"][0], dataset[0, 6]["video"])
    tested = TestClips(clips[:1], micro, EvaluateOptions(segments=2), 4, "dense")
    assert next(iter(EvaluationBatches(tested, 1)))["video"].shape == (1, 6, 3, 16, 64, 64)


def test_a_process_may_have_no_clip_to_look_at(clips: list[Clip], micro: ModelConfig) -> None:
    parts = [
        EvaluationBatches(ValidationClips(clips[:1], LABELS, micro, FINETUNE), 3, part=slice(r, None, 2))
        for r in (0, 1)
    ]
    assert [[batch["index"].tolist() for batch in part] for part in parts] == [[[0]], []]


def test_nothing_to_evaluate(micro: ModelConfig) -> None:
    assert list(EvaluationBatches(TestClips([], micro, EvaluateOptions(), 4, "dense"), 1, 2)) == []


# --- clips that cannot be read ---------------------------------------------------------------------------------------


@pytest.fixture
def broken(clips: list[Clip], tmp_path: Path) -> list[Clip]:
    """The clips with a missing one at 2, one that is cut off at 4, and one damaged in the middle at 6."""
    cut, damaged = tmp_path / "cut.avi", tmp_path / "damaged.mp4"
    data = Path(clips[2].path).read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    damaged_data = bytearray(Path(clips[6].path).read_bytes())
    middle = len(damaged_data) // 2
    damaged_data[middle : middle + 400] = b"\x55" * 400
    damaged.write_bytes(damaged_data)
    changed = list(clips)
    for number, path in ((2, tmp_path / "gone.mp4"), (4, cut), (6, damaged)):
        changed[number] = dataclasses.replace(clips[number], path=str(path))
    return changed


@pytest.mark.parametrize("workers", [0, 2])
def test_a_clip_that_cannot_be_read_stops_training_with_its_path(
    workers: int, broken: list[Clip], micro: ModelConfig
) -> None:
    dataset = PretrainClips(broken[:4], micro, PRETRAIN)
    with pytest.raises(UnreadableError, match=r"gone\.mp4: cannot be opened: No such file") as caught:
        epochs(dataset, batch_size=2, workers=workers)
    assert caught.value.path == broken[2].path
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_clip_that_cannot_be_read_stops_evaluation(workers: int, broken: list[Clip], micro: ModelConfig) -> None:
    tested = TestClips(broken[3:], micro, EvaluateOptions(), 4, "dense")
    with (
        pytest.raises(UnreadableError, match=r"cut\.avi: the end of the file is missing"),
        EvaluationBatches(tested, 1, workers) as batches,
    ):
        list(batches)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_clips_can_be_listed_beforehand(workers: int, broken: list[Clip]) -> None:
    found = check_readable(broken, workers)
    assert [clip for clip, _ in found] == [broken[2], broken[4], broken[6]]
    assert "No such file" in found[0][1]
    assert "end of the file is missing" in found[1][1]
    assert "damaged" in found[2][1]
    assert check_readable([], workers) == []
