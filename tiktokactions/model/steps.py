"""The end of a step: look at its numbers, apply the gradient, save, and stop where that was asked for."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tiktokactions.clips.clip import Clip
from tiktokactions.files import delete_folder
from tiktokactions.model.checkpoint import TrainingState, checkpoints, save_checkpoint, step_of, take_snapshot
from tiktokactions.model.hardware import Hardware
from tiktokactions.model.optim import gradient_norm, set_lr
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.progress import NonFiniteLossError
from tiktokactions.model.recorder import Recorder
from tiktokactions.model.sharding import is_split, whole


def clipped_gradient(state: TrainingState, clip_grad: float | None) -> Tensor:
    """Limit the gradient that the step has collected; returns its norm before that."""
    parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
    state.scaler.unscale_(state.optimizer)
    if clip_grad is not None:
        return whole(torch.nn.utils.clip_grad_norm_(parameters, clip_grad))
    return whole(gradient_norm(parameters))


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
        self.all_stop = self.is_late = False

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
            if is_due or self.is_late:
                self._save(self.options.keep)
        optimizer_step(state, lr, self.failed)
        self._count_losses()
        self.recorder.step_done(lr, self.last_norm)
        return self._is_over()

    def note(self, step: int, own: Tensor, norm: Tensor, parts: Sequence[dict[str, Any]]) -> None:
        """Keep a step's numbers where they are: mean loss and own, norm, and which share of the processes was interrupted, or
        finds the last checkpoint old: all must save the same step."""
        flags = self.interrupted.is_set(), time.monotonic() - self.saved_at > self.options.save_minutes * 60
        mean = self.hardware.mean(torch.stack([own, *(torch.full_like(own, flag) for flag in flags)]))
        numbers = torch.stack([mean[0], own, norm, mean[1], mean[2]])
        self.unseen.append((step, numbers, [batch["index"] for batch in parts]))
        if self.look_every > 1 and not self.state.scaler.is_enabled():  # the scaler leaves out steps by itself
            failed = ~numbers.isfinite().all()
            self.failed = failed if self.failed is None else self.failed | failed

    def look(self) -> None:
        """Raises ``NonFiniteLossError`` for the first step that nobody has looked at yet and whose numbers are not finite."""
        steps, numbers, indices = zip(*self.unseen, strict=True)
        self.unseen = []
        for step, row, clips in zip(steps, torch.stack(numbers).tolist(), indices, strict=True):
            loss, own, self.last_norm, interrupted, late = row
            self._check_finite(step, loss, own, self.last_norm, clips)
            self.losses[step] = self.last_loss = loss
            self.all_stop, self.is_late = interrupted > 0, late > 0
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
        is_first = self.hardware.processes.is_first
        if self.saved_step != self.state.step and (is_first or is_split(self.state.model)):
            snapshot = take_snapshot(self.state)  # of a split model all have a part
            if is_first:
                self.finish_writing()
                self.writing = self.writer.submit(save_checkpoint, self.run, snapshot, keep)
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
