"""What both trainings share: opening a run, one optimizer step, the log, and when to save."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from tiktokactions.clips.clip import Clip
from tiktokactions.errors import UsageError
from tiktokactions.files import delete_folder
from tiktokactions.model.autoencoder import MaskedAutoencoder
from tiktokactions.model.checkpoint import (
    TrainingState,
    checkpoints,
    copy_checkpoint,
    load_checkpoint,
    save_checkpoint,
    step_of,
    take_snapshot,
)
from tiktokactions.model.classification import VideoClassifier
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.curves import draw_curves
from tiktokactions.model.hardware import Hardware, peak_flop_s, worker_count
from tiktokactions.model.loader import Batches
from tiktokactions.model.optim import gradient_norm, scaled_lr, set_lr
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.progress import NonFiniteLossError, TrainingProgress
from tiktokactions.model.run import (
    Derived,
    Kind,
    OtherRunError,
    Run,
    RunError,
    RunInfo,
    TrainingResult,
    append_log,
    differences,
    rewind_log,
    write_clips,
    write_result,
    write_run,
)
from tiktokactions.model.samples import FinetuneClips, PretrainClips
from tiktokactions.model.tensor_files import Tensors, write_safetensors
from tiktokactions.model.tracking import nobody, track

Report = Callable[[TrainingProgress], None]
Batch = TypeVar("Batch")
CHANGEABLE = (
    *("batch_size", "accumulate", "device", "workers", "threads", "compile", "checkpoint_activations"),
    *("save_minutes", "save_steps", "keep", "skip_unreadable", "positions", "track"),
    *("log_steps", "stop_after_steps", "pictures_epochs", "validate_epochs", "media", "decoder", "segments", "crops"),
    "augment_on",
)
"""Options that may differ when a run is continued: they do not change what is learned. Of batches, accumulation and
processes it is their product that counts: the videos in a step. Of positions it is the model that they lead to."""


MADE_BEFORE = ("unreadable.csv", "readable.json")
"""Files that may lie in the folder of a run before it begins."""


class TooFewClipsError(UsageError):
    """Fewer clips than one step needs."""


def steps_per_epoch(clips: int, options: PretrainOptions | FinetuneOptions, processes: int) -> int:
    """Optimizer steps in an epoch; clips that do not fill the last one wait for the next epoch's order.

    Raises:
        TooFewClipsError: not even one step.
    """
    wanted = options.batch_size * options.accumulate * processes
    if clips < wanted:
        factors = {"batches": options.accumulate, "processes": processes}
        times = "".join(f" × {number} {of}" for of, number in factors.items() if number > 1)
        raise TooFewClipsError(
            f"{clips} clips, fewer than one step takes (`batch_size` {options.batch_size}{times});"
            f" choose `batch_size` {max(1, clips // (options.accumulate * processes))} or smaller"
        )
    return clips // wanted


def derived_numbers(
    model: MaskedAutoencoder | VideoClassifier,
    options: PretrainOptions | FinetuneOptions,
    clips: int,
    processes: int,
    *masks: Tensor,
    **more: int,
) -> Derived:
    """Every number that follows from the options.

    Args:
        masks: what the model takes beside one clip.
        more: numbers that only one kind of training has.
    """
    is_probe = isinstance(options, FinetuneOptions) and options.linear_probe
    per_epoch = 0 if is_probe else steps_per_epoch(clips, options, processes)
    batch = options.batch_size * options.accumulate * processes
    return Derived(
        processes=processes,
        videos_per_step=batch,
        clips_per_step=batch * options.num_samples,
        steps_per_epoch=per_epoch,
        steps=per_epoch * options.epochs,
        warmup_steps=int(options.warmup * per_epoch),
        lr=scaled_lr(options.base_lr, batch),
        min_lr=scaled_lr(options.min_lr, batch),
        tokens=model.config.tokens,
        parameters=sum(p.numel() for p in model.parameters()),
        flop_per_clip=flop_per_clip(model, *masks),
        **more,
    )


@torch.no_grad()
def flop_per_clip(model: MaskedAutoencoder | VideoClassifier, *masks: Tensor) -> int:
    """Operations of the model's matrix products for one clip: of the forward pass, and twice as many of the backward one.

    Nothing is computed: they follow from shapes.
    """
    config, was_training = model.config, model.training
    video = torch.empty(1, 3, config.frames, config.height, config.width, device="meta")
    weights = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    with FlopCounterMode(display=False) as counter:
        functional_call(model.eval(), weights, (video, *masks))
    model.train(was_training)
    return 3 * counter.get_total_flops()


def described(derived: Derived, config: ModelConfig, machine: Hardware) -> Iterator[str]:
    """The derived numbers in sentences."""
    classes = f" {derived.classes} classes," if derived.classes else ""
    yield (
        f"{config.name}: {derived.parameters:,} parameters,{classes} clips of {config.frames} × {config.height} ×"
        f" {config.width} ({derived.tokens} tokens), on {machine.describe()}"
    )
    if derived.visible_tokens:
        yield (
            f"{derived.visible_tokens} tokens are seen by the encoder, {derived.decoded_tokens} are decoded;"
            f" {derived.supervised_tokens} of those were hidden and count in the loss"
        )
    if derived.steps:
        first = f", {derived.first_layer_lr:.3g} in the first layer" if derived.first_layer_lr else ""
        yield (
            f"{derived.steps:,} steps ({derived.steps_per_epoch:,} an epoch, {derived.warmup_steps:,} of warm-up) of"
            f" {derived.videos_per_step} videos, {derived.clips_per_step} clips; learning rate {derived.lr:.3g} to"
            f" {derived.min_lr:.3g}{first}"
        )


# --- beginning and ending a run ------------------------------------------------------------------------------------


def open_run(
    run: Path,
    info: RunInfo,
    clips: Sequence[Clip],
    machine: Hardware,
    report: Report,
    resume_from: Path | None = None,
) -> RunInfo | None:
    """Begin a run, or check that an existing one has the same clips and options.

    Args:
        resume_from: a checkpoint of another run that this one begins with, optimizer and step included.

    Returns:
        What it was begun with; None if it is finished.

    Raises:
        RunError: the folder holds something else; the message lists every difference.
    """
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
    return Batches(
        dataset,
        batch_size=options.batch_size,
        seed=options.seed,
        shares=shares,
        processes=(machine.processes.rank, machine.processes.world),
        workers=worker_count(options),
        pin_memory=machine.is_cuda,
    )


def end_run(run: Path, state: TrainingState, recorder: Recorder, machine: Hardware) -> TrainingResult:
    """Write the weights, the curves and, last, the result."""
    pool = getattr(state.model, "pool", None)
    weights = None if pool is None else tuple(round(x, 4) for x in pool.layer_weights().tolist())
    result = TrainingResult(state.step, recorder.last_loss, True, recorder.seconds(), layer_weights=weights)
    if machine.processes.is_first:
        write_safetensors(run / "model.safetensors", without_projection(state.model.state_dict()))
        if state.average is not None:
            write_safetensors(run / "average.safetensors", without_projection(state.average.tensors))
        draw_curves(run)
        write_result(run, result)
    machine.everyones(None)  # what comes next reads these files
    return result


def without_projection(tensors: Mapping[str, Tensor]) -> Tensors:
    """Weights as they are used: the projection to a teacher's features belongs to the training."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("projection.")}


# --- one step ------------------------------------------------------------------------------------------------------


def clipped_gradient(state: TrainingState, clip_grad: float | None) -> Tensor:
    """Limit the gradient that the step has collected; returns its norm before that."""
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    state.scaler.unscale_(state.optimizer)
    if clip_grad is not None:
        return torch.nn.utils.clip_grad_norm_(parameters, clip_grad)
    return gradient_norm(parameters)


def optimizer_step(state: TrainingState, lr: float, failed: Tensor | None = None) -> None:
    """Apply the gradients at this learning rate and clear them; where ``failed`` is true, nothing changes."""
    set_lr(state.optimizer, lr)
    if failed is not None:
        state.optimizer.found_inf = failed.float()  # type: ignore[attr-defined]
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    if state.average is not None:
        state.average.update(state.model)


# --- log -----------------------------------------------------------------------------------------------------------


class Recorder:
    """Times the steps and writes a line of ``log.jsonl`` every few of them, which a tracker gets too."""

    def __init__(
        self,
        run: Path,
        state: TrainingState,
        options: PretrainOptions | FinetuneOptions,
        hw: Hardware,
        report: Report,
        derived: Derived,
    ) -> None:
        self.run, self.state, self.hardware, self.report = run, state, hw, report
        self.derived, self.steps, self.per_epoch = derived, derived.steps, derived.steps_per_epoch
        self.every = options.log_steps
        self.began, self.first_step = time.perf_counter(), state.step
        self.line_began, self.line_step, self.loading_s = self.began, state.step, 0.0
        self.last_loss: float | None = next((x["loss"] for x in reversed(Run(run).log()) if "loss" in x), None)
        self.peak_flop_s, settings = peak_flop_s(hw), dataclasses.asdict(options)
        first = hw.processes.is_first
        self.send, self.close = track(options.track, run, settings, state.step) if first else nobody()

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; the time spent waiting for them is counted."""
        began = time.perf_counter()
        for batch in batches:
            self.loading_s += time.perf_counter() - began
            yield batch
            began = time.perf_counter()

    def seconds(self) -> float:
        """Since this start of the run."""
        return round(time.perf_counter() - self.began, 3)

    def step_done(self, lr: float, norm: float) -> None:
        """Count a step."""
        step = self.state.step
        if step % self.every and step != self.steps:
            return
        now = time.perf_counter()
        seconds = now - self.line_began
        numbers = {
            "loss": sum(self.state.pending) / len(self.state.pending),
            "lr": lr,
            "grad_norm": norm,
            "clips_per_s": round((step - self.line_step) * self.derived.clips_per_step / seconds, 3),
            "loading_share": round(min(1.0, self.loading_s / seconds), 4),
            "seconds": round(seconds, 3),
        }
        if self.derived.flop_per_clip:
            flop_s = numbers["clips_per_s"] * self.derived.flop_per_clip / self.derived.processes
            numbers["tflop_per_s"] = round(flop_s / 1e12, 4)
            numbers |= {} if self.peak_flop_s is None else {"flop_utilisation": round(flop_s / self.peak_flop_s, 4)}
        if self.hardware.is_cuda:
            numbers["gpu_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 3)
        self.last_loss = numbers["loss"]
        self.state.pending.clear()
        self.line_began, self.line_step, self.loading_s = now, step, 0.0
        left_s = (now - self.began) / max(1, step - self.first_step) * (self.steps - step)
        self.note(**numbers)
        self.report(
            TrainingProgress(
                step=step,
                steps=self.steps,
                epoch=(step - 1) // self.per_epoch + 1,
                loss=numbers["loss"],
                lr=lr,
                clips_per_s=numbers["clips_per_s"],
                loading_share=numbers["loading_share"],
                seconds_left=left_s,
            )
        )

    def note(self, **numbers: float | None) -> None:
        """Write a line of numbers about the last step, from training or from validation."""
        if not self.hardware.processes.is_first:
            return
        line = {"epoch": round(self.state.step / self.per_epoch, 4), **numbers}
        append_log(self.run, {"step": self.state.step, **line})
        self.send({name: value for name, value in line.items() if value is not None}, self.state.step)


# --- saving --------------------------------------------------------------------------------------------------------


class Steps:
    """Ends steps: looks at loss and gradient, applies it, and writes checkpoints every few minutes, every few steps, and
    when the run is asked to stop.

    To look at a number of a GPU is to wait for it. So a GPU's are looked at every ``log_steps`` steps; until then a step
    whose numbers are not finite, and all after it, change no weight. A checkpoint that is due waits for the next look at
    loss and gradient: with weights whose gradient is not finite no run can go on. It is written while the training goes on.
    """

    def __init__(
        self,
        run: Path,
        state: TrainingState,
        options: PretrainOptions | FinetuneOptions,
        hardware: Hardware,
        clips: Sequence[Clip],
        recorder: Recorder,
        look_every: int | None = None,
    ) -> None:
        self.run, self.state, self.options, self.hardware = run, state, options, hardware
        self.clips, self.recorder = clips, recorder
        self.look_every = look_every or (options.log_steps if hardware.is_cuda else 1)
        self.unseen: list[tuple[int, Tensor, list[Tensor]]] = []
        self.losses: dict[int, float] = {}
        self.failed: Tensor | None = None
        self.last_loss = self.last_norm = math.nan
        self.saved_at, self.saved_step = time.monotonic(), state.step
        self.writer, self.writing = ThreadPoolExecutor(1), Future[Path]()
        self.writing.cancel()
        self.interrupted = threading.Event()
        self.all_stop = False

    def end(self, own: Tensor, parts: Sequence[dict[str, Any]], lr: float) -> bool:
        """End a step whose gradients are there; returns True if the run must stop here (``stop_after_steps``).

        Args:
            own: the loss of this process.
            parts: the step's batches.
            lr: learning rate.

        Raises:
            NonFiniteLossError: the loss of any process, or the gradient, is infinite or not a number. A checkpoint of these
                weights, written because the run was stopped, goes.
            KeyboardInterrupt: the run was asked to stop; the checkpoint is written.
        """
        state, step = self.state, self.state.step + 1
        self.note(step, own, clipped_gradient(state, self.options.clip_grad), parts)
        is_due = bool(self.options.save_steps) and state.step % (self.options.save_steps or 1) == 0
        if step % self.look_every == 0 or is_due or step in (self.recorder.steps, self.options.stop_after_steps):
            self.look()
            if is_due or time.monotonic() - self.saved_at > self.options.save_minutes * 60:
                self._save(self.options.keep)
        optimizer_step(state, lr, self.failed)
        self._count_losses()
        self.recorder.step_done(lr, self.last_norm)
        return self._is_over()

    def note(self, step: int, own: Tensor, norm: Tensor, parts: Sequence[dict[str, Any]]) -> None:
        """Keep a step's numbers where they are: mean loss and own, norm, share of the processes that were interrupted."""
        mean = torch.stack([own, torch.zeros_like(own)])
        if self.hardware.processes.world > 1:
            interrupted = self.hardware.send(torch.tensor(float(self.interrupted.is_set())))
            mean = self.hardware.mean(torch.stack([own, interrupted]))
        numbers = torch.stack([mean[0], own, norm, mean[1]])
        self.unseen.append((step, numbers, [batch["index"] for batch in parts]))
        if self.look_every > 1 and not self.state.scaler.is_enabled():  # the scaler leaves out steps by itself
            failed = ~numbers.isfinite().all()
            self.failed = failed if self.failed is None else self.failed | failed

    def look(self) -> None:
        """Raises ``NonFiniteLossError`` for the first step that nobody has looked at yet and whose numbers are not finite."""
        steps, numbers, indices = zip(*self.unseen, strict=True)
        self.unseen = []
        for step, row, clips in zip(steps, torch.stack(numbers).tolist(), indices, strict=True):
            loss, own, self.last_norm, interrupted = row
            self._check_finite(step, loss, own, self.last_norm, clips)
            self.losses[step] = self.last_loss = loss
            self.all_stop = interrupted > 0
        self._count_losses()

    def _count_losses(self) -> None:
        for step in [step for step in self.losses if step <= self.state.step]:
            self.state.pending.append(self.losses.pop(step))

    def _check_finite(self, step: int, loss: float, own: float, norm: float, indices: Iterable[Tensor]) -> None:
        """In fp16 the norm may be infinite: the scaler leaves out that step and lowers its scale."""
        if math.isfinite(loss) and (math.isfinite(norm) or self.state.scaler.is_enabled()):
            return
        step -= 1
        self.finish_writing()
        saved = checkpoints(self.run)
        kept = [path for path in saved if step_of(path) < step]
        self.hardware.everyones(None)  # all have looked
        if self.hardware.processes.is_first:
            for ruined in saved[len(kept) :]:
                delete_folder(ruined)
        paths = dict.fromkeys(self.clips[number].path for some in indices for number in some.tolist())
        elsewhere = math.isfinite(own) and not math.isfinite(loss)
        named = "(in another process, see its message)" if elsewhere else "\n  ".join(paths)
        what = f"gradient of step {step + 1} has the norm {norm}"
        if not math.isfinite(loss):
            what = f"loss of step {step + 1} is {loss}"
        go_on = f"Go on before it with `resume_from` {kept[-1]} and" if kept else "Begin again with"
        older = f" ({kept[0].name} is kept too)" if len(kept) > 1 else ""
        raise NonFiniteLossError(
            f"the {what}; nothing of this step was applied. The clips of the batch:\n  {named}\n"
            f"{go_on} another `output`{older}, and a lower `base_lr`, a `clip_grad`, or `precision` bf16 or fp32."
        )

    def _is_over(self) -> bool:
        stop = self.options.stop_after_steps is not None and self.state.step >= self.options.stop_after_steps
        interrupted = self.all_stop if self.hardware.processes.world > 1 else self.interrupted.is_set()
        if stop or interrupted:
            if self.unseen:
                self.look()
            self._save(self.options.keep + 1)  # these weights have not proved good: the last that have stay
            self.finish_writing()
            self.hardware.everyones(None)  # torchrun kills those who still write when the first has ended
        if interrupted:
            raise KeyboardInterrupt
        return stop

    def _save(self, keep: int) -> None:
        if self.hardware.processes.is_first and self.saved_step != self.state.step:
            self.finish_writing()
            self.writing = self.writer.submit(save_checkpoint, self.run, take_snapshot(self.state), keep)
        self.saved_at, self.saved_step = time.monotonic(), self.state.step

    def finish_writing(self) -> None:
        """Wait for the checkpoint that is being written; raises what went wrong with it."""
        if not self.writing.cancelled():
            self.writing.result()

    @contextlib.contextmanager
    def finish_step_before_stopping(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM end the run after the current step, with a checkpoint; a second one ends it at once.

        Of several processes one that is interrupted ends all after the same step. They take no notice of a second signal:
        torchrun sends several, and ends who is still there after half a minute.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            self.finish_writing()
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def ask(number: int, frame: object) -> None:
            if self.interrupted.is_set() and self.hardware.processes.world == 1:
                raise KeyboardInterrupt
            self.interrupted.set()

        for number in before:
            signal.signal(number, ask)
        try:
            yield
            self.finish_writing()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
