"""The log of a training: times the steps, writes lines, sends them to a tracker."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch

from tiktokactions.model.checkpoint import TrainingState
from tiktokactions.model.hardware import Hardware, peak_flop_s
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.progress import Report, TrainingProgress
from tiktokactions.model.run import Derived, Run, append_log
from tiktokactions.model.tracking import nobody, track

Batch = TypeVar("Batch")


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
        epoch = (step - 1) // self.per_epoch + 1
        told: dict[str, Any] = {name: numbers[name] for name in ("loss", "lr", "clips_per_s", "loading_share")}
        self.report(TrainingProgress(step=step, steps=self.steps, epoch=epoch, seconds_left=left_s, **told))

    def note(self, **numbers: float | None) -> None:
        """Write a line of numbers about the last step, from training or from validation."""
        if not self.hardware.processes.is_first:
            return
        line = {"epoch": round(self.state.step / self.per_epoch, 4), **numbers}
        append_log(self.run, {"step": self.state.step, **line})
        self.send({name: value for name, value in line.items() if value is not None}, self.state.step)
