"""Models that are split over processes (FSDP2): each keeps a part of every weight, its gradient and its moments.

Files hold whole tensors, so that runs of any number of processes, split or not, read each other's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from tiktokactions.errors import UsageError
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.hardware import Hardware
from tiktokactions.model.options import TrainingOptions
from tiktokactions.model.tensor_files import Tensors
from tiktokactions.model.vit import Block

Model = TypeVar("Model", bound=nn.Module)


def split(model: nn.Module, options: TrainingOptions, machine: Hardware) -> None:
    """Split a model, block by block, in place, where ``shard`` asks for it and there are several processes.

    Its parameters are others afterwards: an optimizer is made after this.

    Raises:
        UsageError: fp16, whose scaler looks at each process's gradients by itself.
    """
    if not options.shard or machine.processes.world == 1:
        return
    if machine.dtype == torch.float16:
        raise UsageError("`shard` does not go with `precision` fp16; choose bf16 or fp32")
    # Our losses change no output in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")
    mesh = init_device_mesh(machine.device.type, (machine.processes.world,))
    for block in [module for module in model.modules() if isinstance(module, Block)]:
        if options.compile:
            block.compile()
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def compiled(model: nn.Module, options: TrainingOptions) -> nn.Module:
    """The model, compiled where that was asked for; the blocks of a split one are."""
    return torch.compile(model) if options.compile and not is_split(model) else model  # type: ignore[return-value]


def is_split(model: nn.Module) -> bool:
    return isinstance(model, FSDPModule)


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the parts of all processes, which must all come here."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def whole_tensors(tensors: Mapping[str, Tensor]) -> Tensors:
    return {name: whole(tensor) for name, tensor in tensors.items()}


def split_as(tensor: Tensor, other: Tensor) -> Tensor:
    """This process's part of a tensor that all have whole, split as another is."""
    if not isinstance(other, DTensor):
        return tensor
    return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)


def whole_model(model: Model, fresh: Callable[[ModelConfig], Model], device: torch.device) -> Model:
    """A copy in one piece, to look at, whose forward pass waits for nobody; a model that is not split is its own."""
    if not is_split(model):
        return model
    tensors = whole_tensors(model.state_dict())
    with torch.random.fork_rng():
        copy = fresh(model.config)  # type: ignore[arg-type]
    copy.load_state_dict({name: tensors[name] for name in copy.state_dict()})
    return copy.to(device)
