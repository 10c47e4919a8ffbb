"""Pre-training: the loop, read from top to bottom (paper, section 4.1 and Table 2)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tiktokactions.clips.clip import Clip
from tiktokactions.errors import UsageError
from tiktokactions.model.augment import normalise
from tiktokactions.model.autoencoder import (
    MaskedAutoencoder,
    pretraining_model,
    reconstruction_loss,
    reconstruction_target,
    supervised_tokens,
)
from tiktokactions.model.checkpoint import TrainingState, save_weights
from tiktokactions.model.config import ModelConfig, model_config
from tiktokactions.model.curves import draw_curves, draw_reconstructions
from tiktokactions.model.hardware import (
    Hardware,
    alone,
    hardware,
    local_gradients,
    processes_told,
    share_gradients,
    worker_count,
)
from tiktokactions.model.loader import Batches, PretrainClips
from tiktokactions.model.masking import decoder_mask, tube_mask
from tiktokactions.model.optim import adamw, parameter_groups, scaled_lr, schedule
from tiktokactions.model.options import PretrainOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import (
    Derived,
    FirstWeights,
    Run,
    RunInfo,
    TrainingData,
    TrainingResult,
    clips_fingerprint,
    now,
    package_versions,
    write_result,
)
from tiktokactions.model.training import (
    Recorder,
    Report,
    Saver,
    check_finite,
    clip_paths,
    open_run,
    optimizer_step,
    resume,
    steps_per_epoch,
)
from tiktokactions.model.weights import load_into, read_weights

PICTURED_CLIPS = 4


def pretrain(
    clips: Sequence[Clip],
    options: PretrainOptions,
    run: Path,
    *,
    sources: Sequence[str],
    shares: Sequence[float] | None = None,
    init: Path | None = None,
    report: Report = lambda progress: None,
) -> Run:
    """Pre-train a model on clips; a run that exists is continued, a finished one is left as it is.

    Args:
        clips: what to train on; labels are ignored.
        run: the run folder.
        sources: where the clips came from, for the record.
        shares: for each clip how often it is drawn relative to others; None: every clip once an epoch.
        init: weights to begin with (a run folder or a file), for continued pre-training with a fresh schedule.

    Raises:
        RunError: the run folder holds a run with other settings.
        WeightsError: ``init`` does not fit the model.
        UnreadableError: a clip cannot be read; the message names it.
        NonFiniteLossError: training diverged.
    """
    with hardware(options) as machine, alone(run, machine.processes):
        config = pretraining_config(options)
        torch.manual_seed(options.seed)
        model = pretraining_model(config)
        plan = pretraining_plan(model, options, len(clips), machine.processes.world)
        mixed = None if shares is None else clips_fingerprint((), [repr(share) for share in shares])
        data = TrainingData(tuple(sources), len(clips), clips_fingerprint(clips, ()), mixed)
        first_weights = None if init is None else _load(model, init, report)
        settings = dataclasses.asdict(options)
        info = RunInfo("pretrain", config, None, settings, data, plan, first_weights, package_versions(), now())
        open_run(run, info, clips, machine)
        if Run(run).finished:
            report(TrainingProgress(f"{run}: finished before, nothing to do"))
            return Run(run)
        for line in describe_plan(plan, config, machine):
            report(TrainingProgress(line))
        return Run(run, _train(model, clips, shares, options, plan, run, machine, report))


def _train(
    model: MaskedAutoencoder,
    clips: Sequence[Clip],
    shares: Sequence[float] | None,
    options: PretrainOptions,
    plan: Derived,
    run: Path,
    machine: Hardware,
    report: Report,
) -> TrainingResult:
    began = time.perf_counter()
    model.to(machine.device)
    model.checkpoint_activations = options.checkpoint_activations
    optimizer = adamw(parameter_groups(model, options.weight_decay), (options.beta1, options.beta2))
    state = TrainingState(model, optimizer, machine.scaler())
    resume(run, state, machine, report)
    trained: nn.Module = share_gradients(model, machine)
    if options.compile:
        trained = torch.compile(trained)  # type: ignore[assignment]

    rates = schedule(
        plan.lr,
        plan.min_lr,
        epochs=options.epochs,
        steps_per_epoch=plan.steps_per_epoch,
        warmup_epochs=options.warmup,
    )
    dataset = PretrainClips(clips, model.config, options)
    batches = Batches(
        dataset,
        batch_size=options.batch_size,
        seed=options.seed,
        shares=shares,
        processes=(machine.processes.rank, machine.processes.world),
        workers=worker_count(options, machine.processes),
        pin_memory=machine.is_cuda,
    )
    per_epoch = plan.steps_per_epoch
    recorder = Recorder(run, state, options, machine, report, steps=plan.steps, per_epoch=per_epoch)
    saver = Saver(run, state, options, machine)

    with batches, saver.finish_step_before_stopping():
        for epoch in range(state.step // per_epoch, options.epochs):
            done = state.step - epoch * per_epoch
            stream = recorder.timed(batches.epoch(epoch, first_batch=done * options.accumulate))
            for _ in range(done, per_epoch):
                parts = [next(stream) for _ in range(options.accumulate)]
                losses = []
                for batch, share in zip(parts, shares_of_loss(parts, model.config, machine), strict=True):
                    with local_gradients(trained, wait=batch is not parts[-1]):
                        loss = batch_loss(trained, batch, model.config, options, machine) * share
                        state.scaler.scale(loss).backward()
                    losses.append(loss.detach())
                own = torch.stack(losses).sum()
                mean_loss = machine.mean(own).item()
                check_finite(mean_loss, own.item(), state.step, clip_paths(clips, parts))
                lr = rates[state.step]
                norm = optimizer_step(state, lr, options.clip_grad, recorder.wants_line())
                recorder.step_done(mean_loss, lr, norm)
                if saver.step_done():
                    return TrainingResult(state.step, mean_loss, finished=False)
            if machine.processes.is_first and _is_pictured(epoch, options):
                draw_reconstructions(run / "reconstructions" / f"epoch-{epoch + 1:05}", model, dataset, PICTURED_CLIPS)

    seconds = round(time.perf_counter() - began, 3)
    result = TrainingResult(state.step, recorder.last_loss, seconds_of_last_start=seconds)
    if machine.processes.is_first:
        save_weights(run / "model.safetensors", model.state_dict())
        draw_curves(run)
        write_result(run, result)
    return result


def batch_loss(
    model: nn.Module, batch: dict[str, Tensor], config: ModelConfig, options: PretrainOptions, machine: Hardware
) -> Tensor:
    """The loss of one batch of this process."""
    hidden, not_decoded = batch["encoder_mask"], batch["decoder_mask"]
    video = normalise(machine.send(batch["video"]))
    with machine.autocast():
        output = model(video, hidden, not_decoded)
    target = reconstruction_target(video, not_decoded, config, options.normalize_target)
    return reconstruction_loss(output, target, supervised_tokens(hidden, not_decoded, config))


def shares_of_loss(parts: list[dict[str, Tensor]], config: ModelConfig, machine: Hardware) -> list[float]:
    """What each batch's loss counts in a step, so that the mean over processes is the mean over all supervised tokens.

    Every clip supervises as many tokens where the grid has a multiple of four time slots; elsewhere masks differ.
    """
    counts = [float(supervised_tokens(p["encoder_mask"], p["decoder_mask"], config).sum()) for p in parts]
    mean = machine.mean(machine.send(torch.tensor(sum(counts)))).item() if machine.processes.world > 1 else sum(counts)
    return [count / mean for count in counts]


def pretraining_config(options: PretrainOptions) -> ModelConfig:
    """The model asked for. Raises ``ValueError`` for sizes that do not divide."""
    return model_config(
        options.model,
        image_size=options.image_size,
        frames=options.frames,
        tubelet=options.tubelet,
        patch=options.patch,
        decoder_depth=options.decoder_depth,
    )


def dry_pretrain(clips: int, options: PretrainOptions) -> Derived:
    """The plan for so many clips, without weights, device or other processes."""
    with torch.device("meta"):
        model = pretraining_model(pretraining_config(options))
    return pretraining_plan(model, options, clips, processes_told().world)


def pretraining_plan(model: MaskedAutoencoder, options: PretrainOptions, clips: int, processes: int) -> Derived:
    """Every number that follows from the options, computed here and nowhere else."""
    config = model.config
    per_epoch = steps_per_epoch(clips, options, processes)
    batch = options.batch_size * options.accumulate * processes
    rng = np.random.default_rng(0)
    hidden = tube_mask(config.grid, options.mask_ratio, rng)
    skipped = decoder_mask(hidden, config.grid, options.decoder_mask_ratio, rng)
    return Derived(
        processes=processes,
        videos_per_step=batch,
        clips_per_step=batch * options.num_samples,
        steps_per_epoch=per_epoch,
        steps=per_epoch * options.epochs,
        warmup_steps=int(options.warmup * per_epoch),
        lr=scaled_lr(options.base_lr, batch),
        min_lr=scaled_lr(options.min_lr, batch),
        tokens=config.tokens,
        parameters=sum(p.numel() for p in model.parameters()),
        visible_tokens=int((~hidden).sum()),
        decoded_tokens=int((~skipped).sum()),
        supervised_tokens=int((hidden & ~skipped).sum()),
    )


def describe_plan(plan: Derived, config: ModelConfig, machine: Hardware) -> list[str]:
    """The plan in words."""
    return [
        f"{config.name}: {plan.parameters:,} parameters, clips of {config.frames} × {config.height} × {config.width}, on"
        f" {machine.describe()}",
        f"{plan.tokens} tokens: {plan.visible_tokens} seen by the encoder, {plan.decoded_tokens} decoded,"
        f" {plan.supervised_tokens} of them hidden and in the loss",
        f"{plan.steps:,} steps ({plan.steps_per_epoch:,} an epoch, {plan.warmup_steps:,} of warm-up) of"
        f" {plan.videos_per_step} videos, {plan.clips_per_step} clips; learning rate {plan.lr:.3g} to"
        f" {plan.min_lr:.3g}",
    ]


def _load(model: MaskedAutoencoder, init: Path, report: Report) -> FirstWeights:
    read = read_weights(init)
    if read.config is not None and read.config.heads != model.config.heads:
        raise UsageError(f"`init` {init}: {read.config.heads} attention heads, expected {model.config.heads} (`model`)")
    loaded = load_into(model, read.tensors, what=str(init))
    report(TrainingProgress(str(loaded)))
    return FirstWeights(str(init), len(loaded.loaded))


def _is_pictured(epoch: int, options: PretrainOptions) -> bool:
    every = options.pictures_epochs
    return every > 0 and ((epoch + 1) % every == 0 or epoch + 1 == options.epochs)
