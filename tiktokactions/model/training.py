"""Beginning a run of either training, going on with one, and ending it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from tiktokactions.clips.clip import Clip
from tiktokactions.model.checkpoint import TrainingState, checkpoints, copy_checkpoint, load_checkpoint, step_of
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.curves import draw_curves
from tiktokactions.model.derived import described
from tiktokactions.model.hardware import Hardware, worker_count
from tiktokactions.model.learned import warning_of_training
from tiktokactions.model.loader import Batches
from tiktokactions.model.official import official_shapes
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.progress import Report, TrainingProgress
from tiktokactions.model.recorder import Recorder
from tiktokactions.model.run import (
    FirstWeights,
    Kind,
    OtherRunError,
    Run,
    RunError,
    RunInfo,
    TrainingResult,
    differences,
    read_log,
    rewind_log,
    write_clips,
    write_result,
    write_run,
)
from tiktokactions.model.samples import FinetuneClips, PretrainClips
from tiktokactions.model.sharding import whole, whole_tensors
from tiktokactions.model.tensor_files import Tensors, write_safetensors

CHANGEABLE = (
    *("batch_size", "accumulate", "device", "workers", "threads", "compile", "shard", "checkpoint_activations"),
    *("save_minutes", "save_steps", "keep", "skip_unreadable", "positions", "track"),
    *("log_steps", "stop_after_steps", "pictures_epochs", "validate_epochs", "media", "decoder", "segments", "crops"),
    *("augment_on", "recipe"),
)
"""Options that may differ when a run is continued: they do not change what is learned. Of batches, accumulation and
processes it is their product that counts: the videos in a step. Of positions it is the model that they lead to."""


MADE_BEFORE = ("unreadable.csv", "readable.json")
"""Files that may lie in the folder of a run before it begins."""


def open_run(
    run: Path, info: RunInfo, clips: Sequence[Clip], machine: Hardware, report: Report, resume_from: Path | None = None
) -> RunInfo | None:
    """Begin a run, or check that an existing one has the same clips and options.

    Args:
        resume_from: a checkpoint of another run that this one begins with, optimizer and step included.

    Returns:
        What it was begun with; None if it is finished.

    Raises:
        RunError: the folder holds something else; the message lists every difference.
    """
    if resume_from is not None:
        resume_from = first_checkpoint(resume_from, info.kind, info.model, info.derived.steps)
        first = FirstWeights(str(resume_from), len(official_shapes(info.model, info.kind)))
        info = dataclasses.replace(info, init=first)
    begun = None
    if machine.processes.is_first:  # if it raises, torchrun ends the others
        _open(run, info, clips, resume_from)
        begun = None if Run(run).finished else Run(run).info
    begun = machine.everyones(begun)[0]
    if begun is None:
        report(TrainingProgress(f"{run}: finished before, nothing to do"))
        return None
    for line in described(info.derived, info.model, machine):
        report(TrainingProgress(line))
    return begun


def first_checkpoint(given: Path, kind: Kind, config: ModelConfig, steps: int) -> Path:
    """The checkpoint that ``given`` is, or the last one of the run that it is.

    Raises:
        RunError: it is neither, or is of another model or later than this run's steps.
    """
    if (given / "run.json").is_file():
        given = (checkpoints(given) or [given / "checkpoints" / "step-"])[-1]
    if not (given / "state.json").is_file():
        there = ", ".join(path.name for path in checkpoints(given.parent.parent)) or "RUN/checkpoints/step-N"
        raise RunError(f"`resume_from` {given}: no checkpoint there; expected one of {there}")
    of = Run(given.parent.parent)
    if (of.kind, of.config) != (kind, config):
        raise RunError(f"`resume_from` {given}: of another model ({of.kind}, {of.config}), expected {kind}, {config}")
    if step_of(given) >= steps:
        raise RunError(f"`resume_from` {given}: expected one before step {steps}, the last of this run")
    return given


def _open(run: Path, info: RunInfo, clips: Sequence[Clip], resume_from: Path | None) -> None:
    if (run / "run.json").exists():
        different = differences(Run(run).info, info, CHANGEABLE)
        if different:
            raise OtherRunError(
                f"{run}: begun with other settings; choose another `output`, or the same settings to go on.\n  "
                + "\n  ".join(different)
            )
    elif run.is_dir() and any(not e.name.startswith(".") and e.name not in MADE_BEFORE for e in run.iterdir()):
        raise RunError(f"{run}: the folder is neither empty nor a run; choose a new or an empty one")
    else:
        run.mkdir(parents=True, exist_ok=True)
        write_clips(run / "clips.csv", clips)
        write_run(run, info)
    if resume_from is not None and not checkpoints(run):
        copy_checkpoint(resume_from, run)


def resume(run: Path, state: TrainingState, hardware: Hardware, report: Report) -> None:
    """Continue from the last checkpoint, if there is one.

    Raises:
        RunError: the processes do not see the same checkpoint.
    """
    saved = checkpoints(run)
    if saved:
        load_checkpoint(saved[-1], state, hardware.device)
        report(TrainingProgress(f"going on from step {state.step} ({saved[-1]})"))
    steps = hardware.everyones(state.step)
    if len(set(steps)) > 1:
        seen = ", ".join(f"process {rank}: {step or 'none'}" for rank, step in enumerate(steps))
        raise RunError(
            f"{run}: the processes see checkpoints of different steps ({seen}); expected one folder that all machines"
            " share"
        )
    if hardware.processes.is_first:
        rewind_log(run, state.step)


def batches_of(
    dataset: PretrainClips | FinetuneClips,
    options: PretrainOptions | FinetuneOptions,
    machine: Hardware,
    shares: Sequence[float] | None = None,
) -> Batches:
    processes = (machine.processes.rank, machine.processes.world)
    how: dict[str, Any] = {"workers": worker_count(options), "pin_memory": machine.is_cuda, "processes": processes}
    return Batches(dataset, batch_size=options.batch_size, seed=options.seed, shares=shares, **how)


def end_run(
    run: Path, state: TrainingState, recorder: Recorder, machine: Hardware, guessing: float | None = None
) -> TrainingResult:
    """Write the weights, the curves and, last, the result; ``guessing``: see ``warning_of_training``."""
    pool = getattr(state.model, "pool", None)
    weights = None if pool is None else tuple(round(x, 4) for x in whole(pool.layer_weights()).tolist())
    model = whole_tensors(state.model.state_dict())
    average = None if state.average is None else whole_tensors(state.average.tensors)
    warning = warning_of_training(Run(run).info, read_log(run), guessing) if machine.processes.is_first else None
    seconds = recorder.seconds()
    result = TrainingResult(state.step, recorder.last_loss, True, seconds, layer_weights=weights, warning=warning)
    if machine.processes.is_first:
        write_safetensors(run / "model.safetensors", without_projection(model))
        if average is not None:
            write_safetensors(run / "average.safetensors", without_projection(average))
        draw_curves(run)
        write_result(run, result)
    machine.everyones(None)  # what comes next reads these files
    return result


def without_projection(tensors: Mapping[str, Tensor]) -> Tensors:
    """Weights as they are used: the projection to a teacher's features belongs to the training."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("projection.")}
