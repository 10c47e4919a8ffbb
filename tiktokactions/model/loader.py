"""Batches of clips: their order, the processes that read them, and what happens to a clip that cannot be read.

The order of an epoch is one permutation that follows from (seed, epoch). Batch ``b`` of all processes together is its
``b``-th slice of ``batch_size × processes`` clips, and each process takes its part of it; a last slice that is too short
is left out. So a run that is resumed, or spread over more processes, sees the same batches as an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
import pebble
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tiktokactions.clips.clip import Clip
from tiktokactions.errors import UsageError
from tiktokactions.model.samples import Key, open_clip
from tiktokactions.model.views import frame_indices, test_views
from tiktokactions.model.workers import worker_context, worker_start
from tiktokactions.video import UnreadableError

__all__ = ["Batches", "EvaluationBatches", "check_readable", "epoch_order", "frame_indices", "test_views"]

Sample = dict[str, Tensor]
Batch = dict[str, Any]
"""Tensors, and a list of them under ``frames``."""
Loader = DataLoader[Sample | UnreadableError]
Join = Callable[[list[Tensor]], Tensor]


class Clips(Protocol):
    """A dataset of :mod:`tiktokactions.model.samples`: a sample for every clip and epoch."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Key) -> Sample: ...


AHEAD = 2
"""Batches that each worker prepares before they are asked for."""

ORDER_STREAM = 0x6F72646572
"""Keeps the order's random numbers apart from the samples'."""


def epoch_order(clips: int, seed: int, epoch: int, shares: Sequence[float] | None = None) -> np.ndarray:
    """The order in which an epoch shows the clips.

    With ``shares`` (how often each clip is drawn relative to the others) an epoch is as long, and clip ``i`` occurs
    ``clips * shares[i] / sum(shares)`` times, rounded up or down at random so that the mean is right.

    Returns:
        int64 (clips,).

    Raises:
        ValueError: shares that do not fit.
    """
    rng = np.random.default_rng([seed, epoch, ORDER_STREAM])
    order = rng.permutation(clips)
    if shares is None:
        return order
    weights = np.asarray(shares, np.float64)
    if weights.shape != (clips,) or not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() <= 0:
        raise UsageError(
            f"shares: got {len(weights)} numbers for {clips} clips, expected one each, 0 or more, not all 0"
        )
    # Lay the clips end to end, each as long as its share, and take those that equally spaced teeth hit.
    ends = np.cumsum(weights[order])
    teeth = (np.arange(clips) + rng.random()) * (ends[-1] / clips)
    return rng.permutation(order[np.searchsorted(ends, teeth, side="right")])


class _Loading:
    """Leave the context to end the worker processes."""

    _loader: Loader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # torch ends workers when their iterator is garbage; somebody may still hold it.
        iterator = getattr(self._loader, "_iterator", None)
        if iterator is not None:
            iterator._shutdown_workers()
            self._loader._iterator = None


class Batches(_Loading):
    """Batches for training, epoch by epoch. Worker processes stay from epoch to epoch; leave the context to end them.

    Args:
        dataset: ``PretrainClips`` or ``FinetuneClips``; its samples of one video follow each other in a batch.
        batch_size: videos in a batch of this process.
        seed: of the order.
        shares: see :func:`epoch_order`.
        processes: (rank of this process, their number).
        workers: processes that read clips; 0: read them here.
        pin_memory: for a GPU.
    """

    def __init__(
        self,
        dataset: Clips,
        *,
        batch_size: int,
        seed: int,
        shares: Sequence[float] | None = None,
        processes: tuple[int, int] = (0, 1),
        workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        self._clips = len(dataset)
        self._batch_size, self._seed, self._shares, self._processes = batch_size, seed, shares, processes
        self._keys = _Keys()
        self._loader = _loader(dataset, self._keys, workers, pin_memory, torch.cat)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._clips // (self._batch_size * self._processes[1])

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from ``first_batch`` on; those before are not read.

        Yields:
            What the dataset gives, of all videos of the batch one after the other; ``index`` int64 (batch_size,).

        Raises:
            UnreadableError: a clip cannot be read; the message names it.
        """
        rank, world = self._processes
        order = epoch_order(self._clips, self._seed, epoch, self._shares)
        per_batch = self._batch_size * world
        firsts = (batch * per_batch + rank * self._batch_size for batch in range(first_batch, len(self)))
        batches = [[(epoch, i) for i in order[first : first + self._batch_size].tolist()] for first in firsts]
        self._keys.batches = batches
        return _raised(self._loader)


class EvaluationBatches(_Loading):
    """All clips of ``ValidationClips`` or ``TestClips`` in their order; the last batch may be smaller.

    Gives what the dataset gives, stacked: a dimension for the clips comes first. May be gone through again and again, by the
    same worker processes; leave the context to end them.

    Args:
        part: the clips that are this process's; it may have none.

    Raises:
        UnreadableError: on the way, a clip cannot be read; the message names it.
    """

    def __init__(
        self,
        dataset: Clips,
        batch_size: int,
        workers: int = 0,
        *,
        pin_memory: bool = False,
        part: slice = slice(None),
    ) -> None:
        keys, indices = _Keys(), range(len(dataset))[part]
        keys.batches = [[(0, i) for i in indices[n : n + batch_size]] for n in range(0, len(indices), batch_size)]
        self._loader = _loader(dataset, keys, min(workers, len(keys.batches)), pin_memory, torch.stack)

    def __iter__(self) -> Iterator[Batch]:
        return _raised(self._loader)


def clips_one_by_one(dataset: Clips, workers: int = 0) -> Generator[Batch | UnreadableError]:
    """As :class:`EvaluationBatches` of one clip each, with the error in the place of a clip that cannot be read."""
    with EvaluationBatches(dataset, 1, workers) as batches:
        yield from batches._loader


# --- reading in worker processes -----------------------------------------------------------------------------------


class _Keys:
    """A batch sampler whose batches are set for every epoch; persistent workers ask it again each time."""

    batches: Sequence[list[Key]] = ()

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _ErrorsAsItems(Dataset[Sample | UnreadableError]):
    """Hands an unreadable clip on as an item: exceptions of several arguments do not survive torch's workers."""

    def __init__(self, dataset: Clips) -> None:
        self.dataset = dataset

    def __getitem__(self, key: Key) -> Sample | UnreadableError:
        try:
            return self.dataset[key]
        except UnreadableError as error:
            return error


def _loader(dataset: Clips, keys: _Keys, workers: int, pin_memory: bool, join: Join) -> Loader:
    return DataLoader(
        _ErrorsAsItems(dataset),
        batch_sampler=keys,
        num_workers=workers,
        collate_fn=partial(_collate, join=join),
        pin_memory=pin_memory,
        generator=torch.Generator(),  # torch draws a seed for every epoch; not from the run's random numbers
        multiprocessing_context=worker_context() if workers else None,
        worker_init_fn=worker_start(),
        prefetch_factor=AHEAD if workers else None,
        persistent_workers=workers > 0,
    )


def _collate(items: list[Sample | UnreadableError], join: Join) -> Batch | UnreadableError:
    samples = []
    for item in items:
        if isinstance(item, UnreadableError):
            return item
        samples.append(item)
    batch: dict[str, Any] = {name: [sample[name] for sample in samples] for name in samples[0]}
    # Decoded frames have a size of their own in every video.
    joined = {name: join(values) for name, values in batch.items() if name not in ("index", "frames")}
    return batch | joined | {"index": torch.stack(batch["index"])}


def _raised(batches: Iterable[Batch | UnreadableError]) -> Iterator[Batch]:
    for batch in batches:
        if isinstance(batch, UnreadableError):
            raise batch
        yield batch


# --- skip_unreadable -------------------------------------------------------------------------------------------------


def check_readable(clips: Sequence[Clip], workers: int = 0) -> list[tuple[Clip, str]]:
    """Decode every clip from end to end; returns those that cannot be read, with the reason.

    Args:
        clips: as given to a dataset.
        workers: processes; 0: decode here.
    """
    if workers == 0:
        reasons = [_unreadable(clip) for clip in clips]
    else:
        with pebble.ProcessPool(max_workers=workers, context=worker_context(), initializer=worker_start()) as pool:
            reasons = [_reason(future) for future in [pool.schedule(_unreadable, args=(clip,)) for clip in clips]]
    return [(clip, reason) for clip, reason in zip(clips, reasons, strict=True) if reason is not None]


def _unreadable(clip: Clip) -> str | None:
    try:
        with open_clip(clip) as reader:
            reader.check()
    except UnreadableError as error:
        return error.detail
    return None


def _reason(future: pebble.ProcessFuture) -> str | None:
    try:
        return future.result()
    except pebble.ProcessExpired as error:
        return f"the process that decoded it died ({error})"
