"""Evaluation: several views of every video, one decode each, probabilities averaged (paper, Table 3: 5 × 3 views)."""

from __future__ import annotations

import dataclasses
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tiktokactions.clips.clip import Clip, ClipSet
from tiktokactions.errors import UsageError
from tiktokactions.files import write_csv, write_json
from tiktokactions.files.changes import unfinished
from tiktokactions.intervals import wilson_interval
from tiktokactions.model.augment import normalise
from tiktokactions.model.classification import VideoClassifier, classifier
from tiktokactions.model.confusion import draw_confusion
from tiktokactions.model.hardware import Hardware, hardware, worker_count
from tiktokactions.model.loader import evaluation_batches
from tiktokactions.model.options import EvaluateOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import Evaluation, Run, RunError, RunInfo
from tiktokactions.model.samples import TestClips
from tiktokactions.model.training import Report
from tiktokactions.model.views import Sampling
from tiktokactions.model.weights import load_into, read_weights

# --- merging views and counting ------------------------------------------------------------------------------------


def merge_views(logits: Tensor) -> Tensor:
    """Probabilities of videos, float64, from the logits of their views: softmax of each view, then the mean.

    Args:
        logits: (..., views, classes).

    Returns:
        (..., classes).
    """
    return F.softmax(logits, dim=-1, dtype=torch.float64).mean(dim=-2)


def top_accuracy(probabilities: Tensor, labels: Tensor, k: int) -> float:
    """The share of videos whose label (V,) is among the ``k`` most probable classes of (V, classes)."""
    k = min(k, probabilities.shape[-1])
    hits = (probabilities.topk(k, dim=-1).indices == labels[:, None]).any(-1)
    return float(hits.double().mean())


# --- the model of a run --------------------------------------------------------------------------------------------


def load_run(run: Path) -> tuple[VideoClassifier, RunInfo]:
    """The classifier of a fine-tuned run; of a pre-trained one the encoder, whose features can be used.

    With ``ema`` the averaged weights are taken.

    Raises:
        RunError: not a run, or not finished.
    """
    opened = Run(run)
    if not (opened.info and opened.weights.exists()):
        raise RunError(f"{run}: this run is not finished; start it again as it was begun")
    # A pre-trained encoder is given a head that nobody asks.
    config = opened.config if opened.kind == "finetune" else dataclasses.replace(opened.config, classes=1)
    model = classifier(config)
    load_into(model, read_weights(opened.weights).tensors, what=str(opened.weights))
    return model.eval(), opened.info


# --- views of videos through the model -----------------------------------------------------------------------------


@torch.inference_mode()
def run_views(
    model: VideoClassifier,
    clips: Sequence[Clip],
    options: EvaluateOptions,
    machine: Hardware,
    report: Report,
    stride: int,
    sampling: Sampling,
    *,
    merge: Callable[[Tensor], Tensor],
    features: bool = False,
) -> list[Tensor]:
    """What ``merge`` makes of the views of each clip: of float32 (views, classes), or (views, D) with ``features``.

    Several processes share the clips; each returns all of them.
    """
    model.to(machine.device).eval()
    mine = range(machine.processes.rank, len(clips), machine.processes.world)
    dataset = TestClips([clips[i] for i in mine], model.config, options, stride, sampling)
    found: dict[int, Tensor] = {}
    began = time.perf_counter()
    batches = evaluation_batches(dataset, 1, worker_count(options))
    for done, batch in enumerate(batches, start=1):
        outputs = []
        for views in batch["video"][0].split(options.views_per_pass):
            video = normalise(machine.send(views))
            with machine.autocast():
                outputs.append((model.features(video) if features else model(video)).float().cpu())
        rate = done / (time.perf_counter() - began)
        report(TrainingProgress(step=done, steps=len(mine), clips_per_s=rate, seconds_left=(len(mine) - done) / rate))
        found[mine[int(batch["index"][0])]] = merge(torch.cat(outputs))
    if machine.processes.world > 1:
        everywhere: list[dict[int, Tensor]] = [{}] * machine.processes.world
        dist.all_gather_object(everywhere, found)
        found = dict(ChainMap(*everywhere))
    return [found[number] for number in range(len(clips))]


# --- evaluate ------------------------------------------------------------------------------------------------------


def evaluate(
    run: Path, data: ClipSet, options: EvaluateOptions, output: Path, *, report: Report = lambda progress: None
) -> Evaluation:
    """Test a fine-tuned run on labelled clips and write everything about it to ``output``.

    Raises:
        RunError: the run is not a finished fine-tuning.
        ValueError: labels that the run does not know.
        UnreadableError: a clip cannot be read.
    """
    began = time.perf_counter()
    model, info = load_run(run)
    if info.labels is None:
        raise RunError(f"{run}: a pre-trained run knows no labels; fine-tune it first ('finetune' with `init` {run})")
    labels = label_numbers(data, info.labels, run)
    with hardware(options) as machine:
        sampling = trained_sampling(info, options)
        found = run_views(model, data.clips, options, machine, report, *sampling, merge=merge_views)
        probabilities = torch.stack(found)
        counts = confusion_counts(probabilities.argmax(-1), labels, len(info.labels))
        hits, videos = counts.diagonal(), counts.sum(1)
        low, high = wilson_interval(int(hits.sum()), len(labels))
        result = Evaluation(
            videos=len(labels),
            top1=int(hits.sum()) / len(labels),
            top1_low=low,
            top1_high=high,
            top5=top_accuracy(probabilities, labels, 5),
            mean_class_accuracy=float((hits[videos > 0] / videos[videos > 0]).mean()),
            classes=len(info.labels),
            views=options.segments * options.crops,
            seconds=round(time.perf_counter() - began, 3),
            run=str(run),
            data=data.source,
            folder=str(output),
        )
        if machine.processes.is_first:
            output.mkdir(parents=True, exist_ok=True)
            write_predictions(output / "predictions.parquet", data.clips, info.labels, probabilities, labels.tolist())
            write_csv(output / "per_class.csv", _class_rows(counts, info.labels))
            draw_confusion(output / "confusion", counts, info.labels, result.top1)
            write_json(output / "result.json", dataclasses.asdict(result))
    return result


def trained_sampling(info: RunInfo, options: EvaluateOptions) -> tuple[int, Sampling]:
    """How the frames were sampled in training: stride, unless another is asked for, and sampling."""
    stride = info.options["stride"] if options.stride is None else options.stride
    return stride, info.options.get("sampling", "dense")


def refuse_unlabelled(data: ClipSet) -> None:
    """Raises :class:`UsageError` for clips without a label."""
    unlabelled = [clip.path for clip in data.clips if clip.label is None]
    if unlabelled:
        raise UsageError(
            f"{data.source}: {len(unlabelled)} clips without a label, for example {unlabelled[0]};"
            " expected a label for every clip"
        )


def label_numbers(data: ClipSet, known: Sequence[str], by: object) -> Tensor:
    """int64 (clips,): the label of each clip as ``by`` (a run, or what it is trained on) numbers them.

    Raises:
        ValueError: no clips, unlabelled ones, or labels that are not among ``known``.
    """
    if not data.clips:
        raise UsageError(f"{data.source}: no clips on this side; expected at least one")
    numbers = {label: number for number, label in enumerate(known)}
    refuse_unlabelled(data)
    strange = sorted({str(clip.label) for clip in data.clips} - set(numbers))
    if strange:
        raise UsageError(
            f"{data.source}: {len(strange)} label{'s' * (len(strange) > 1)} unknown to {by}: {', '.join(strange[:5])};"
            f" it knows {', '.join(list(known)[:5])}{' ...' if len(known) > 5 else ''}"
        )
    return torch.tensor([numbers[str(clip.label)] for clip in data.clips])


def _class_rows(counts: np.ndarray, names: Sequence[str]) -> Iterator[list[object]]:
    yield ["label", "videos", "correct", "accuracy", "most_often_taken_for"]
    wrong = counts - np.diag(counts.diagonal())
    for number, (name, videos) in enumerate(zip(names, counts.sum(1).tolist(), strict=True)):
        correct = int(counts[number, number])
        accuracy = f"{correct / videos:.4f}" if videos else ""
        taken_for = names[int(wrong[number].argmax())] if wrong[number].any() else ""
        yield [name, videos, correct, accuracy, taken_for]


def confusion_counts(predicted: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    """int64 (classes, classes): rows are labels, columns predictions."""
    flat = torch.bincount(labels * classes + predicted, minlength=classes * classes)
    return flat.view(classes, classes).numpy()


def write_predictions(
    path: Path, clips: Sequence[Clip], names: Sequence[str], probabilities: Tensor, labels: Sequence[int]
) -> None:
    """``predictions.parquet``: one row per video, in the order given."""
    predicted = probabilities.argmax(-1).tolist()
    columns = {
        "path": [clip.path for clip in clips],
        "start_s": [clip.start_s for clip in clips],
        "end_s": [clip.end_s for clip in clips],
        "predicted": [names[i] for i in predicted],
        "probability": probabilities.max(-1).values.tolist(),
        "probabilities": probabilities.float().tolist(),
        "label": [names[i] for i in labels],
        "correct": [a == b for a, b in zip(predicted, labels, strict=True)],
    }
    table = pa.table(columns).replace_schema_metadata({"labels": "\n".join(names)})
    with unfinished(path) as staged:
        pq.write_table(table, staged, compression="zstd")
