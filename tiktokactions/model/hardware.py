"""Where a model runs: the device, its precision, and the processes that share the work (torchrun)."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import dataset_lock
from tiktokactions.machine import usable_cores
from tiktokactions.model.options import Precision, RunOptions

MOST_WORKERS = 24
"""As in Tables 2 and 3 of the paper."""

WAIT_AT_MOST = datetime.timedelta(hours=12)
"""How long processes wait for each other: one may decode or test for long, and torchrun ends all when one has died."""

Value = TypeVar("Value")
Batch = dict[str, Any]

_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|killed by signal: Killed")
"""How torch says so on a CPU, and of a worker that the system killed."""
_NO_PEER = re.compile(r"by peer|Broken pipe|\bgloo\b")
"""How gloo says that another process is gone, whatever it was doing with it."""
_LESS_MEMORY = {
    "accumulate": "lower `batch_size` and raise `accumulate` as much, which makes the same step",
    "checkpoint_activations": "set `checkpoint_activations`",
    "shard": "set `shard`, with several processes",
    "num_samples": "lower `num_samples`",
    "views_per_pass": "lower `views_per_pass`",
    "workers": "lower `workers`",
}
"""What helps, by the option that is needed for it."""


class OutOfMemoryError(TiktokactionsError, RuntimeError):
    """The device or the machine has less memory than was asked for; the message names what to lower."""


class ProcessLostError(TiktokactionsError, RuntimeError):
    """One of several processes that train together has ended; its own message says why."""


PEAK_TFLOP_S = {
    **{"B200": 2250, "H200": 989, "H100 NVL": 835, "H100 PCIe": 756, "H100": 989, "A100": 312, "A10": 125, "V100": 125},
    **{"L40S": 362, "L4": 121, "T4": 65, "RTX 4090": 165, "RTX 3090": 71, "RTX A6000": 155},
}
"""Dense matrix products in bf16 or fp16 (V100, T4: fp16), as the makers state them; the first name that occurs counts."""


@dataclass(frozen=True)
class Processes:
    """This process among those that train one model."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0


@dataclass(frozen=True)
class Hardware:
    """What one process computes with."""

    device: torch.device
    dtype: torch.dtype
    """Of the matrix products; weights are kept in float32."""
    processes: Processes

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss where gradients in fp16 would vanish; does nothing in other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)

    def send(self, tensor: Tensor) -> Tensor:
        """Copy to the device; to a GPU from pinned memory, without waiting."""
        if self.is_cuda and tensor.device.type == "cpu" and not tensor.is_pinned():
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)

    def ahead(self, batches: Iterable[Batch], ready: Callable[[Batch], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """What ``ready`` makes of each batch. A GPU computes and copies it on a stream of its own, beside the last step."""
        if not self.is_cuda:
            yield from map(ready, batches)
            return
        aside = torch.cuda.Stream(self.device)
        for batch in batches:
            with torch.cuda.stream(aside):
                made = ready(batch)
            now = torch.cuda.current_stream(self.device)
            now.wait_stream(aside)
            for value in made.values():
                if isinstance(value, Tensor) and value.is_cuda:
                    value.record_stream(now)  # its memory is not given away while this stream needs it
            yield made

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over all processes."""
        if self.processes.world == 1:
            return value
        value = value.detach().clone()
        dist.all_reduce(value)
        return value / self.processes.world

    def everyones(self, value: Value) -> list[Value]:
        """This value of every process, in the order of their ranks. Returns when all of them have come so far."""
        if self.processes.world == 1:
            return [value]
        values = [value] * self.processes.world
        dist.all_gather_object(values, value)
        return values

    def describe(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.is_cuda else "CPU"
        many = f" × {self.processes.world} processes" if self.processes.world > 1 else ""
        return f"{name}, {str(self.dtype).removeprefix('torch.')}{many}"


@contextlib.contextmanager
def hardware(options: RunOptions) -> Iterator[Hardware]:
    """The device and precision asked for; joins the other processes where torchrun started several.

    Raises:
        ValueError: a device that is not there, or a precision that it cannot do.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    processes = processes_told()
    device = _device(options.device, processes)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
    if processes.world > 1 and not dist.is_initialized():
        # Once and for all: a group that is left and joined again waits for ever at torchrun's store.
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=WAIT_AT_MOST)
        atexit.register(dist.destroy_process_group)
    with _told_in_a_line(options):
        yield Hardware(device, _dtype(options.precision, device), processes)


@contextlib.contextmanager
def _told_in_a_line(options: RunOptions) -> Iterator[None]:
    """Turn what is no bug into errors of ours: memory that is not there, and another process that has ended."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = str(error)
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or re.search(_NO_MEMORY, said):
            asked = re.search(r"allocate [\d.]+ \w+", said)
            less = "; ".join(advice for name, advice in _LESS_MEMORY.items() if hasattr(options, name))
            raise OutOfMemoryError(f"out of memory{f' ({asked[0]})' if asked else ''}: {less}") from error
        if isinstance(error, dist.DistError) or re.search(_NO_PEER, said):
            raise ProcessLostError("another process of this run has ended; its message says why") from error
        raise


def peak_flop_s(machine: Hardware) -> float | None:
    """What the device can do at most in the precision of the training; None where nobody states it."""
    if not machine.is_cuda or machine.dtype == torch.float32:
        return None
    device = torch.cuda.get_device_name(machine.device)
    return next((tera * 1e12 for name, tera in PEAK_TFLOP_S.items() if re.search(rf"\b{name}\b", device)), None)


def processes_told() -> Processes:
    """This process and the others, from the environment that torchrun sets."""
    told = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
    return Processes(*(int(os.environ.get(name, alone)) for name, alone in told))


def _device(name: str, processes: Processes) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(f"`device`: got {name!r}, expected auto, cpu, cuda or cuda:N")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        number = processes.local_rank if device.index is None else device.index
        if number >= count:
            raise UsageError(f"`device` {name}: {count} CUDA devices on this machine, asked for number {number}")
        return torch.device("cuda", number)
    return device


def _dtype(precision: Precision, device: torch.device) -> torch.dtype:
    if precision == "auto":
        if device.type == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("`precision` fp16: a CPU has no use for it; expected bf16 or fp32")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def alone(run: Path, processes: Processes) -> contextlib.AbstractContextManager[None]:
    """Hold the run folder; of several processes the first holds it for all.

    Raises:
        DatasetBusyError: another run is writing to it.
    """
    return dataset_lock(run) if processes.is_first else contextlib.nullcontext()


def worker_count(options: RunOptions) -> int:
    """Decoding processes for each training process: one per core, at most 24."""
    if options.workers is not None:
        return options.workers
    return min(MOST_WORKERS, max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


def share_gradients(model: nn.Module, hardware: Hardware) -> nn.Module:
    """Wrap a model so that every backward pass averages the gradients of all processes; one that is split does by itself."""
    if hardware.processes.world == 1 or isinstance(model, FSDPModule):
        return model
    devices = [hardware.device] if hardware.is_cuda else None
    ddp = nn.parallel.DistributedDataParallel
    # Tables of positions are the same everywhere; they would be sent again in every step.
    ddp._set_params_and_buffers_to_ignore_for_model(model, [name for name, _ in model.named_buffers()])
    return ddp(model, device_ids=devices, gradient_as_bucket_view=True)


def local_gradients(model: nn.Module, wait: bool) -> contextlib.AbstractContextManager[None]:
    """While the gradients of several batches add up, average over processes only after the last one."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(not wait)
    if wait and isinstance(model, nn.parallel.DistributedDataParallel):
        return model.no_sync()
    return contextlib.nullcontext()
