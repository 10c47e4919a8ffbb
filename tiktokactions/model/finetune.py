"""Fine-tuning: the loop, read from top to bottom (paper, section 4.2 and Table 3)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812

from tiktokactions.clips.clip import ClipSet
from tiktokactions.errors import UsageError
from tiktokactions.model.augment import normalise
from tiktokactions.model.checkpoint import TrainingState
from tiktokactions.model.classification import VideoClassifier, classifier, label_loss, soft_target_loss
from tiktokactions.model.config import ModelConfig, model_config
from tiktokactions.model.derived import derived_numbers
from tiktokactions.model.evaluate import average_precisions, top_accuracy
from tiktokactions.model.hardware import (
    Hardware,
    alone,
    hardware,
    local_gradients,
    processes_told,
    share_gradients,
    worker_count,
)
from tiktokactions.model.labels import balanced_shares, class_weights, labels_of, require_labels, targets_of
from tiktokactions.model.layout import Layout, layout_of, mixed, step_drops
from tiktokactions.model.loader import EvaluationBatches, epoch_order
from tiktokactions.model.mixing import soft_target
from tiktokactions.model.official import config_of
from tiktokactions.model.optim import AverageWeights, adamw, parameter_groups, schedule
from tiktokactions.model.options import FinetuneOptions
from tiktokactions.model.probe import fit_probe
from tiktokactions.model.progress import Report, TrainingProgress
from tiktokactions.model.recorder import Recorder
from tiktokactions.model.run import (
    Derived,
    FirstWeights,
    Run,
    RunInfo,
    TrainingData,
    TrainingResult,
    clips_fingerprint,
    read_log,
)
from tiktokactions.model.samples import FinetuneClips, ValidationClips
from tiktokactions.model.sharding import compiled, split, whole_model, whole_tensors
from tiktokactions.model.steps import Steps
from tiktokactions.model.teacher import Teacher, load_teacher
from tiktokactions.model.tensor_files import Tensors, write_safetensors
from tiktokactions.model.training import batches_of, end_run, open_run, resume, without_projection
from tiktokactions.model.weights import ReadWeights, load_into, read_weights, with_positions


def finetune(
    train: ClipSet,
    options: FinetuneOptions,
    run: Path,
    *,
    val: ClipSet | None = None,
    init: Path | None = None,
    resume_from: Path | None = None,
    report: Report = lambda progress: None,
) -> Run:
    """Fine-tune a classifier on labelled clips; a run that exists is continued, a finished one is left as it is.

    Args:
        train: what to train on.
        val: looked at after epochs; with ``choose`` best the weights are chosen by it.
        init: weights to begin with (a run folder or a file); None: random ones.
        resume_from: a checkpoint of another run to go on from, optimizer and schedule included.

    Raises:
        RunError, WeightsError, UnreadableError, NonFiniteLossError: see :func:`tiktokactions.model.pretrain.pretrain`.
        ValueError: unlabelled clips, fewer than two classes, labels in ``val`` that ``train`` does not have.
    """
    labels = require_labels(train, options.multi_label)
    if val is not None:
        targets_of(val, labels, train.source, options.multi_label)
    if options.choose != "last" and (val is None or not options.validate_epochs or options.linear_probe):
        raise UsageError(
            f"`choose` {options.choose}: expected a val side that is looked at (`val`, `validate_epochs`), and no probe"
        )
    with hardware(options) as machine, alone(run, machine.processes):
        read = None if init is None else read_weights(init)
        config = finetuning_config(options, read, len(labels))
        torch.manual_seed(options.seed)
        model = classifier(
            config,
            drop_path=0.0 if options.attentive_probe else options.drop_path,
            head_dropout=options.head_dropout,
            init_scale=options.init_scale,
        )
        teacher = load_teacher(options, config, labels)
        if teacher is not None and teacher.dim is not None:
            model.projection = nn.Linear(config.embed_dim, teacher.dim)
        derived = finetuning_numbers(model, options, len(train.clips), machine.processes.world)
        several = train.clips if options.multi_label else ()
        told = [repr(labels_of(clip)) + ("" if clip.answers is None else repr(clip.answers)) for clip in several]
        listed, flip = clips_fingerprint(train.clips, [*labels, *told]), options.flip and train.flip
        data = TrainingData((train.source,), len(train.clips), listed, kind=train.kind, flip=flip)
        first_weights = None
        if read is not None:
            loaded = load_into(model, usable_tensors(read, labels, options), what=str(init))
            report(TrainingProgress(str(loaded)))
            first_weights = FirstWeights(str(init), len(loaded.loaded), loaded.fresh)
        info = RunInfo("finetune", config, labels, dataclasses.asdict(options), data, derived, first_weights)
        begun = open_run(run, info, train.clips, machine, report, resume_from)
        if begun is None:
            return Run(run)
        if options.linear_probe:
            return Run(run, fit_probe(model, train, options, run, machine, report))
        layout = layout_of(begun, options)
        return Run(run, _train(model, teacher, train, val, options, derived, layout, run, machine, report))


def _train(
    model: VideoClassifier,
    teacher: Teacher | None,
    train: ClipSet,
    val: ClipSet | None,
    options: FinetuneOptions,
    derived: Derived,
    begun: Layout,
    run: Path,
    machine: Hardware,
    report: Report,
) -> TrainingResult:
    model.to(machine.device).train()
    model.checkpoint_activations = options.checkpoint_activations
    freeze(model, options)
    split(model, options, machine)
    groups = parameter_groups(model, options.weight_decay, layer_decay=options.layer_decay, depth=model.config.depth)
    state = TrainingState(model, adamw(groups, (options.beta1, options.beta2)), machine.scaler())
    state.average = None if options.ema is None else AverageWeights(model, options.ema)
    resume(run, state, machine, report)
    for block in model.blocks:  # compiled: computes dropped clips too, for a batch of another size is compiled again
        block.skip_dropped = not options.compile  # type: ignore[assignment]
    trained = share_gradients(compiled(model, options), machine)

    per_epoch, copies = derived.steps_per_epoch, options.num_samples
    rates = schedule(
        derived.lr, derived.min_lr, epochs=options.epochs, steps_per_epoch=per_epoch, warmup_epochs=options.warmup
    )
    augment_on: Literal["workers", "device"] = "device" if machine.is_cuda else "workers"
    if options.augment_on != "auto":
        augment_on = options.augment_on
    augmented = dataclasses.replace(options, flip=options.flip and train.flip, augment_on=augment_on)
    dataset = FinetuneClips(train.clips, train.labels, model.config, augmented)
    classes, loss_of = model.config.classes, label_loss if options.multi_label else soft_target_loss
    shares = balanced_shares(dataset.targets, classes, options.balance)
    weights = class_weights(dataset.targets, classes, options.class_weights) if options.class_weights else None
    weighed = None if weights is None else machine.send(weights)
    batches = batches_of(dataset, options, machine, shares)
    recorder = Recorder(run, state, options, machine, report, derived)
    steps = Steps(run, state, options, machine, train.clips, recorder)

    def ready(batch: dict[str, Any]) -> dict[str, Any]:
        return {"video": dataset.on(machine, batch, epoch), "label": batch["label"], "index": batch["index"]}

    with batches, contextlib.closing(recorder), steps.finish_step_before_stopping(), contextlib.ExitStack() as kept:
        looked_at = None if val is None else kept.enter_context(own_part(val, train, model, options, machine))
        for epoch in range(state.step // per_epoch, options.epochs):
            done = state.step - epoch * per_epoch
            stream = machine.ahead(recorder.timed(batches.epoch(epoch, done * options.accumulate)), ready)
            for _ in range(done, per_epoch):
                parts = [next(stream) for _ in range(options.accumulate)]
                losses = []
                drops = step_drops(model, options, begun, state.step)
                for part, batch in enumerate(parts):
                    first = (part * machine.processes.world + machine.processes.rank) * options.batch_size
                    with local_gradients(trained, wait=batch is not parts[-1]):
                        some = (batch["video"], batch["label"])
                        video, target = mixed(*some, classes, options, begun, state.step, first)
                        left = None if drops is None else drops.part(first * copies, first * copies + len(video))
                        if left is not None:
                            left = left.sent(machine.send, branches=options.compile)
                        with machine.autocast():
                            outputs = trained(video, left)
                        loss = loss_of(outputs[:, :classes], machine.send(target), weighed)
                        if teacher is not None:
                            loss = teacher.loss(loss, outputs, classes, video, machine)
                        state.scaler.scale(loss / options.accumulate).backward()
                    losses.append(loss.detach())
                if steps.end(torch.stack(losses).mean(), parts, rates[state.step]):
                    return TrainingResult(state.step, steps.last_loss, finished=False)
            if looked_at is not None and options.validate_epochs and (epoch + 1) % options.validate_epochs == 0:
                tested = None if state.average is None else whole_tensors(state.average.tensors)
                seen = whole_model(model, classifier, machine.device)
                look = validate(seen, looked_at, options, machine, tested)
                if options.choose != "last" and machine.processes.is_first and is_best(run, look, options.choose):
                    write_safetensors(run / "best.safetensors", without_projection(tested or seen.state_dict()))
                recorder.note(**look)

    guessing = loss_of_guessing(dataset.targets, classes, options, shares, weights) if teacher is None else None
    return end_run(run, state, recorder, machine, guessing)


def loss_of_guessing(
    targets: Tensor, classes: int, options: FinetuneOptions, shares: Sequence[float] | None, weights: Tensor | None
) -> float:
    """The loss of the one answer that fits best where it is given for every clip, drawn as often as in training."""
    drawn = epoch_order(len(targets), options.seed, 0, shares)
    soft, weigh = soft_target(targets[drawn], classes, 1.0, options.smoothing), 1.0 if weights is None else weights
    odds = (1 - soft).nanmean(0) if options.multi_label else torch.ones(classes)
    answer = (soft.nanmean(0) * weigh / odds).log().clamp(-30, 30).expand_as(soft)  # of what no clip has
    return (label_loss if options.multi_label else soft_target_loss)(answer, soft, weights).item()


def freeze(model: VideoClassifier, options: FinetuneOptions) -> None:
    """Keep the patch embedding and the first blocks as they are; of an attentive probe all of them.

    Raises:
        ValueError: more blocks than there are.
    """
    blocks = model.config.depth if options.attentive_probe else options.freeze
    if blocks > model.config.depth:
        raise UsageError(f"`freeze`: got {blocks}, expected at most {model.config.depth}, the model's blocks")
    if blocks:
        model.patch_embed.requires_grad_(False)
        for block in list(model.blocks)[:blocks]:
            block.requires_grad_(False)


def own_part(
    val: ClipSet, train: ClipSet, model: VideoClassifier, options: FinetuneOptions, machine: Hardware
) -> EvaluationBatches:
    """One centre view of each clip that this process looks at; the processes share the clips."""
    part = slice(machine.processes.rank, None, machine.processes.world)
    dataset = ValidationClips(val.clips, train.labels, model.config, options)
    return EvaluationBatches(dataset, options.batch_size, worker_count(options), pin_memory=machine.is_cuda, part=part)


@torch.inference_mode()
def validate(
    model: VideoClassifier,
    batches: Iterable[dict[str, Any]],
    options: FinetuneOptions,
    machine: Hardware,
    tested: Tensors | None = None,
) -> dict[str, float]:
    """Loss and top-1 accuracy (of several labels mean average precision) over the batches of all processes, for the log.

    Args:
        tested: the averaged weights, where these are tested in the end; None: the model's own.
    """
    model.eval()
    own = []
    for batch in batches:
        video = normalise(machine.send(batch["video"]))
        with machine.autocast():
            own.append((functional_call(model, tested or {}, video).float().cpu(), batch["label"]))
    model.train()
    logits, targets = (torch.cat(some) for some in zip(*chain(*machine.everyones(own)), strict=True))
    if options.multi_label:
        score = average_precisions(logits, targets).nanmean().item()
        return {"val_loss": label_loss(logits, targets).item(), "val_map": score}
    return {"val_loss": F.cross_entropy(logits, targets).item(), "val_top1": top_accuracy(logits, targets, 1)}


def is_best(run: Path, look: Mapping[str, float], choose: Literal["best", "loss"]) -> bool:
    """Whether this look at the val side is better than all that the log has; of equals the first stays."""
    name = "val_loss" if choose == "loss" else next(name for name in look if name != "val_loss")
    sign = -1 if choose == "loss" else 1
    return all(sign * look[name] > sign * line[name] for line in read_log(run) if name in line)


# --- what follows from the options ---------------------------------------------------------------------------------


def finetuning_config(options: FinetuneOptions, read: ReadWeights | None, classes: int) -> ModelConfig:
    """The model asked for; what is not said is taken from the first weights, else is the default.

    Raises:
        ValueError: a size that differs from that of the first weights.
    """
    if read is None:
        known = model_config(options.model or ("vit-b" if options.recipe == "paper" else "tiny"))
    else:
        known = read.config or config_of(
            read.tensors, frames=options.frames, image_size=options.image_size, source=read.source
        )
        if options.model not in (None, known.name):
            raise UsageError(f"`model` {options.model}: the first weights are of {known.name}; leave `model` out")
    config = model_config(
        known,
        image_size=options.image_size,
        frames=options.frames,
        tubelet=options.tubelet,
        patch=options.patch,
        classes=classes,
    )
    config = dataclasses.replace(config, pooling="attention" if options.attentive_probe else "mean")
    return with_positions(config, read, options.positions)


def usable_tensors(read: ReadWeights, labels: tuple[str, ...], options: FinetuneOptions) -> dict[str, Tensor]:
    """The tensors to begin with: without a head that was made for other classes, even for as many of them, and without the
    attention of a probe where none is trained."""
    other_head = ("head.",) if read.labels not in (None, labels) else ()
    left_out = (*other_head, *(() if options.attentive_probe else ("pool.",)))
    return {name: tensor for name, tensor in read.tensors.items() if not name.startswith(left_out)}


def dry_finetune(train: ClipSet, options: FinetuneOptions, init: Path | None) -> Derived:
    """What would follow from training on these clips; needs no device or other processes."""
    labels = require_labels(train, options.multi_label)
    config = finetuning_config(options, None if init is None else read_weights(init), len(labels))
    with torch.device("meta"):
        model = classifier(config)
    return finetuning_numbers(model, options, len(train.clips), processes_told().world)


def finetuning_numbers(model: VideoClassifier, options: FinetuneOptions, clips: int, processes: int) -> Derived:
    """Every number that follows from the options."""
    found = derived_numbers(model, options, clips, processes, classes=model.config.classes)
    return dataclasses.replace(found, first_layer_lr=found.lr * options.layer_decay ** (model.config.depth + 1))
