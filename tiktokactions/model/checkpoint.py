"""Checkpoints: everything that a training needs to go on as if nothing had happened, as safetensors and JSON.

```
RUN/checkpoints/step-00001200/
  model.safetensors       weights, official key names
  optimizer.safetensors   exp_avg/<name>, exp_avg_sq/<name>
  average.safetensors     averaged weights, with ema
  state.json              step, optimizer steps, loss scale, losses not yet logged
```
No state of random generators is kept because there is none: order, masks, augmentation and drop path are functions of
the seed, the epoch, the clip and the step.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tiktokactions.errors import UsageError
from tiktokactions.files import delete_folder, move_into_place, write_atomic
from tiktokactions.model.optim import AverageWeights
from tiktokactions.model.sharding import split_as, whole
from tiktokactions.model.tensor_files import write_safetensors


@dataclass
class TrainingState:
    """What changes while a model is trained."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: AverageWeights | None = None
    step: int = 0
    """Optimizer steps taken."""
    pending: list[float] = field(default_factory=list)
    """Losses of the steps since the last line of the log."""


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint holds, whole and in memory of its own: the training goes on while it is written."""

    step: int
    files: dict[str, dict[str, Tensor]]
    said: str
    """The contents of ``state.json``."""


def take_snapshot(state: TrainingState) -> Snapshot:
    moments, steps = _optimizer_state(state)
    files = {"model": state.model.state_dict(), "optimizer": moments}
    if state.average is not None:
        files["average"] = state.average.tensors
    copied = {
        file: {name: whole(tensor.detach()).to("cpu", copy=True) for name, tensor in tensors.items()}
        for file, tensors in files.items()
    }
    said = {"step": state.step, "optimizer_steps": steps, "scaler": state.scaler.state_dict(), "pending": state.pending}
    return Snapshot(state.step, copied, json.dumps(said))


def save_checkpoint(run: Path, snapshot: Snapshot, keep: int) -> Path:
    """Write a checkpoint so that it is there whole or not at all, then remove all but the last ``keep``."""
    folder = run / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f".writing-{snapshot.step}"
    delete_folder(staged)
    staged.mkdir()
    for file, tensors in snapshot.files.items():
        write_safetensors(staged / f"{file}.safetensors", tensors)
    write_atomic(staged / "state.json", snapshot.said.encode())
    target = folder / f"step-{snapshot.step:08}"
    delete_folder(target)
    move_into_place(staged, target)
    for old in checkpoints(run)[:-keep]:
        delete_folder(old)
    return target


def checkpoints(run: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-*"))


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def copy_checkpoint(folder: Path, run: Path) -> None:
    """Give a run the checkpoint of another one; it is there whole or not at all."""
    staged = run / "checkpoints" / f".writing-{folder.name}"
    delete_folder(staged)
    shutil.copytree(folder, staged)
    move_into_place(staged, run / "checkpoints" / folder.name)


def load_checkpoint(folder: Path, state: TrainingState, device: torch.device) -> None:
    """Bring ``state`` to where it was when the checkpoint was written.

    Raises:
        ValueError: a damaged checkpoint, or one of another model; the message names it.
    """
    try:
        said = json.loads((folder / "state.json").read_bytes())
        own, read = state.model.state_dict(), load_file(folder / "model.safetensors", device=str(device))
        state.model.load_state_dict({n: split_as(tensor, own.get(n, tensor)) for n, tensor in read.items()})
        moments = load_file(folder / "optimizer.safetensors", device=str(device))
        if state.average is not None and not (folder / "average.safetensors").is_file():
            raise UsageError(f"{folder}: holds no averaged weights; leave out `ema`")
        if state.average is not None:
            average = load_file(folder / "average.safetensors", device=str(device))
            state.average.tensors = {name: split_as(tensor, own[name]) for name, tensor in average.items()}
    except (OSError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise UsageError(
            f"{folder}: this checkpoint cannot be read ({error}); remove it to go on from the one before"
        ) from error
    state.optimizer.state.clear()
    for name, parameter in state.model.named_parameters():
        if name in said["optimizer_steps"]:
            step = torch.tensor(said["optimizer_steps"][name], dtype=torch.float32, device=device)
            state.optimizer.state[parameter] = {"step": step} | {
                kind: split_as(moments[f"{kind}/{name}"], parameter) for kind in ("exp_avg", "exp_avg_sq")
            }
    state.scaler.load_state_dict(said["scaler"])
    state.step, state.pending = said["step"], said["pending"]


def _optimizer_state(state: TrainingState) -> tuple[dict[str, Tensor], dict[str, float]]:
    moments: dict[str, Tensor] = {}
    steps: dict[str, float] = {}
    for name, parameter in state.model.named_parameters():
        if parameter in state.optimizer.state:
            kept: dict[str, Tensor] = state.optimizer.state[parameter]
            steps[name] = float(kept["step"])
            moments |= {f"{moment}/{name}": kept[moment] for moment in ("exp_avg", "exp_avg_sq")}
    return moments, steps
