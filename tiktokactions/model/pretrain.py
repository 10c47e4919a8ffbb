"""Pre-training: the loop, read from top to bottom (paper, section 4.1 and Table 2)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tiktokactions.clips.clip import Clip
from tiktokactions.errors import UsageError
from tiktokactions.model.augment import normalise
from tiktokactions.model.autoencoder import (
    MaskedAutoencoder,
    kept_tokens,
    pretraining_model,
    reconstruction_loss,
    reconstruction_target,
    supervised_tokens,
)
from tiktokactions.model.checkpoint import TrainingState
from tiktokactions.model.classification import VideoClassifier
from tiktokactions.model.config import ModelConfig, model_config
from tiktokactions.model.curves import draw_reconstructions
from tiktokactions.model.derived import derived_numbers
from tiktokactions.model.hardware import Hardware, alone, hardware, local_gradients, processes_told, share_gradients
from tiktokactions.model.masking import CELL_SITES, decoder_mask, tube_mask
from tiktokactions.model.optim import adamw, parameter_groups, schedule
from tiktokactions.model.options import PretrainOptions
from tiktokactions.model.progress import Report, TrainingProgress
from tiktokactions.model.recorder import Recorder
from tiktokactions.model.run import Derived, FirstWeights, Run, RunInfo, TrainingData, TrainingResult, clips_fingerprint
from tiktokactions.model.samples import PretrainClips
from tiktokactions.model.sharding import compiled, split, whole_model
from tiktokactions.model.steps import Steps
from tiktokactions.model.teacher import latent_target, target_encoder
from tiktokactions.model.training import batches_of, end_run, open_run, resume
from tiktokactions.model.weights import ReadWeights, load_into, read_weights, with_positions

PICTURED_CLIPS = 4


def pretrain(
    clips: Sequence[Clip],
    options: PretrainOptions,
    run: Path,
    *,
    sources: Sequence[str],
    shares: Sequence[float] | None = None,
    init: Path | None = None,
    resume_from: Path | None = None,
    report: Report = lambda progress: None,
) -> Run:
    """Pre-train a model on clips; a run that exists is continued, a finished one is left as it is.

    Args:
        clips: what to train on; labels are ignored.
        run: the run folder.
        sources: where the clips came from, for the record.
        shares: for each clip how often it is drawn relative to others; None: every clip once an epoch.
        init: weights to begin with (a run folder or a file), for continued pre-training with a fresh schedule.
        resume_from: a checkpoint of another run to go on from, optimizer and schedule included.

    Raises:
        RunError: the run folder holds a run with other settings.
        WeightsError: ``init`` does not fit the model.
        UnreadableError: a clip cannot be read; the message names it.
        NonFiniteLossError: training diverged.
    """
    with hardware(options) as machine, alone(run, machine.processes):
        read = None if init is None else read_weights(init)
        config = with_positions(pretraining_config(options), read, options.positions)
        encoder = target_encoder(options, config)
        config = dataclasses.replace(config, target_dim=None if encoder is None else encoder.config.embed_dim)
        torch.manual_seed(options.seed)
        model = pretraining_model(config)
        derived = pretraining_numbers(model, options, len(clips), machine.processes.world)
        mixed = None if shares is None else clips_fingerprint((), [repr(share) for share in shares])
        data = TrainingData(tuple(sources), len(clips), clips_fingerprint(clips, ()), mixed)
        first_weights = None if read is None else _load(model, read, str(init), report)
        info = RunInfo("pretrain", config, None, dataclasses.asdict(options), data, derived, first_weights)
        if open_run(run, info, clips, machine, report, resume_from) is None:
            return Run(run)
        return Run(run, _train(model, encoder, clips, shares, options, derived, run, machine, report))


def _train(
    model: MaskedAutoencoder,
    encoder: VideoClassifier | None,
    clips: Sequence[Clip],
    shares: Sequence[float] | None,
    options: PretrainOptions,
    derived: Derived,
    run: Path,
    machine: Hardware,
    report: Report,
) -> TrainingResult:
    model.to(machine.device)
    model.checkpoint_activations = options.checkpoint_activations
    split(model, options, machine)
    optimizer = adamw(parameter_groups(model, options.weight_decay), (options.beta1, options.beta2))
    state = TrainingState(model, optimizer, machine.scaler())
    resume(run, state, machine, report)
    trained = share_gradients(compiled(model, options), machine)

    per_epoch = derived.steps_per_epoch
    rates = schedule(
        derived.lr, derived.min_lr, epochs=options.epochs, steps_per_epoch=per_epoch, warmup_epochs=options.warmup
    )
    dataset = PretrainClips(clips, model.config, options)
    batches = batches_of(dataset, options, machine, shares)
    recorder = Recorder(run, state, options, machine, report, derived)
    steps = Steps(run, state, options, machine, clips, recorder)
    ready = partial(on_device, config=model.config, machine=machine)

    with batches, contextlib.closing(recorder), steps.finish_step_before_stopping():
        for epoch in range(state.step // per_epoch, options.epochs):
            done = state.step - epoch * per_epoch
            stream = machine.ahead(recorder.timed(batches.epoch(epoch, done * options.accumulate)), ready)
            for _ in range(done, per_epoch):
                parts = [next(stream) for _ in range(options.accumulate)]
                losses = []
                for batch, share in zip(parts, shares_of_loss(parts, options, machine), strict=True):
                    with local_gradients(trained, wait=batch is not parts[-1]):
                        loss = batch_loss(trained, batch, model.config, options, machine, encoder) * share
                        state.scaler.scale(loss).backward()
                    losses.append(loss.detach())
                if steps.end(torch.stack(losses).sum(), parts, rates[state.step]):
                    return TrainingResult(state.step, steps.last_loss, finished=False)
            if _is_pictured(epoch, options):
                seen = whole_model(model, pretraining_model, machine.device)
                if machine.processes.is_first:
                    stem = run / "reconstructions" / f"epoch-{epoch + 1:05}"
                    draw_reconstructions(stem, seen, dataset, PICTURED_CLIPS)

    return end_run(run, state, recorder, machine)


def on_device(batch: dict[str, Any], config: ModelConfig, machine: Hardware) -> dict[str, Any]:
    """A batch as the model takes it: normalised, and of the masks the numbers of tokens, all on the device."""
    hidden, not_decoded = batch["encoder_mask"], batch["decoder_mask"]
    supervised = supervised_tokens(hidden, not_decoded, config).float()
    return {
        "video": normalise(machine.send(batch["video"])),
        "visible": machine.send(kept_tokens(hidden, config)),
        "decoded": machine.send(kept_tokens(not_decoded, config)),
        "supervised": machine.send(supervised),
        "supervised_tokens": supervised.sum().item(),
        "index": batch["index"],
    }


def batch_loss(
    model: nn.Module,
    batch: dict[str, Any],
    config: ModelConfig,
    options: PretrainOptions,
    machine: Hardware,
    encoder: VideoClassifier | None = None,
) -> Tensor:
    """The loss of one batch of this process, as :func:`on_device` gives it; of the encoder's features, if there is one."""
    video, decoded = batch["video"], batch["decoded"]
    with machine.autocast():
        output = model(video, batch["visible"], decoded)
        latent = None if encoder is None else latent_target(encoder, video, decoded)
    target = reconstruction_target(video, decoded, config, options.normalize_target) if latent is None else latent
    return reconstruction_loss(output, target, batch["supervised"])


def shares_of_loss(parts: list[dict[str, Any]], options: PretrainOptions, machine: Hardware) -> list[float | Tensor]:
    """What each batch's loss counts in a step, so that the mean over processes is the mean over all supervised tokens.

    Every clip supervises as many tokens where the grid has a multiple of four time slots, or all that is hidden is
    decoded; elsewhere masks differ, and the processes tell each other.
    """
    counts = [batch["supervised_tokens"] for batch in parts]
    mean: float | Tensor = sum(counts)
    alike = options.decoder_mask_ratio == 0 or (options.frames // options.tubelet) % CELL_SITES == 0
    if machine.processes.world > 1 and not alike:
        mean = machine.mean(machine.send(torch.tensor(mean)))
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
    """What would follow from training on ``clips`` clips; needs no weights, device or other processes."""
    with torch.device("meta"):
        model = pretraining_model(pretraining_config(options))
    return pretraining_numbers(model, options, clips, processes_told().world)


def pretraining_numbers(model: MaskedAutoencoder, options: PretrainOptions, clips: int, processes: int) -> Derived:
    """Every number that follows from the options."""
    grid, rng = model.config.grid, np.random.default_rng(0)
    hidden = tube_mask(grid, options.mask_ratio, rng)
    decoded = ~decoder_mask(hidden, grid, options.decoder_mask_ratio, rng)
    counts = {"visible_tokens": ~hidden, "decoded_tokens": decoded, "supervised_tokens": hidden & decoded}
    tokens = {name: int(mask.sum()) for name, mask in counts.items()}
    masks = [torch.from_numpy(mask)[None] for mask in (hidden, ~decoded)]
    return derived_numbers(model, options, clips, processes, *masks, **tokens)


def _load(model: MaskedAutoencoder, read: ReadWeights, init: str, report: Report) -> FirstWeights:
    if read.config is not None and read.config.heads != model.config.heads:
        raise UsageError(f"`init` {init}: {read.config.heads} attention heads, expected {model.config.heads} (`model`)")
    loaded = load_into(model, read.tensors, what=init)
    report(TrainingProgress(str(loaded)))
    return FirstWeights(init, len(loaded.loaded))


def _is_pictured(epoch: int, options: PretrainOptions) -> bool:
    every = options.pictures_epochs
    return options.target == "pixels" and every > 0 and ((epoch + 1) % every == 0 or epoch + 1 == options.epochs)
