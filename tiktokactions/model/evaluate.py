"""Evaluation: several views of every video, one decode each, probabilities averaged (paper, Table 3: 5 × 3 views)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tiktokactions.clips.clip import Clip, ClipSet
from tiktokactions.errors import UsageError
from tiktokactions.files import write_atomic, write_csv, write_json
from tiktokactions.intervals import wilson_interval
from tiktokactions.model.augment import normalise
from tiktokactions.model.classification import VideoClassifier, classifier
from tiktokactions.model.confusion import draw_confusion
from tiktokactions.model.hardware import Hardware, hardware, worker_count
from tiktokactions.model.loader import TestClips, evaluation_batches
from tiktokactions.model.options import EvaluateOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import Evaluation, Run, RunError, RunInfo
from tiktokactions.model.training import Report
from tiktokactions.model.views import Sampling
from tiktokactions.model.weights import load_into, read_weights

# --- merging views and counting ------------------------------------------------------------------------------------


def merge_views(logits: Tensor) -> Tensor:
    """Probabilities of videos from the logits of their views: softmax of each view, then the mean.

    Args:
        logits: (..., views, classes).

    Returns:
        (..., classes).
    """
    return F.softmax(logits, dim=-1).mean(dim=-2)


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
    *,
    stride: int,
    sampling: Sampling,
    features: bool,
    report: Report,
) -> Iterator[tuple[int, Tensor]]:
    """Number of the clip and float32 (views, classes), or (views, D) with ``features``: this process's share of clips."""
    model.to(machine.device).eval()
    mine = range(machine.processes.rank, len(clips), machine.processes.world)
    dataset = TestClips(
        [clips[i] for i in mine],
        model.config,
        stride=stride,
        sampling=sampling,
        segments=options.segments,
        crops=options.crops,
        decoder=options.decoder,
    )
    began = time.perf_counter()
    batches = evaluation_batches(dataset, 1, worker_count(options, machine.processes))
    for done, batch in enumerate(batches, start=1):
        outputs = []
        for views in batch["video"][0].split(options.views_per_pass):
            video = normalise(machine.send(views))
            with machine.autocast():
                outputs.append((model.features(video) if features else model(video)).float().cpu())
        rate = done / (time.perf_counter() - began)
        report(TrainingProgress(step=done, steps=len(mine), clips_per_s=rate, seconds_left=(len(mine) - done) / rate))
        yield mine[int(batch["index"][0])], torch.cat(outputs)


def gather(found: dict[int, Tensor], machine: Hardware) -> dict[int, Tensor]:
    """The findings of all processes, in every process."""
    if machine.processes.world == 1:
        return found
    everywhere: list[dict[int, Tensor] | None] = [None] * machine.processes.world
    dist.all_gather_object(everywhere, found)
    return {number: value for part in everywhere if part is not None for number, value in part.items()}


# --- evaluate ------------------------------------------------------------------------------------------------------


def evaluate(
    run: Path,
    data: ClipSet,
    options: EvaluateOptions,
    output: Path,
    *,
    report: Report = lambda progress: None,
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
        views = run_views(
            model, data.clips, options, machine, **trained_sampling(info, options), features=False, report=report
        )
        found = gather({number: merge_views(logits.double()) for number, logits in views}, machine)
        probabilities = torch.stack([found[i] for i in range(len(data.clips))])
        recall = class_recall(probabilities.argmax(-1), labels, len(info.labels))
        hits = int((probabilities.argmax(-1) == labels).sum())
        low, high = wilson_interval(hits, len(labels))
        result = Evaluation(
            videos=len(labels),
            top1=hits / len(labels),
            top1_low=low,
            top1_high=high,
            top5=top_accuracy(probabilities, labels, 5),
            mean_class_accuracy=float(np.nanmean([row.recall for row in recall])),
            classes=len(info.labels),
            views=options.segments * options.crops,
            seconds=round(time.perf_counter() - began, 3),
            run=str(run),
            data=data.source,
            folder=str(output),
        )
        if machine.processes.is_first:
            _write(output, result, data, info.labels, probabilities, labels, recall)
    return result


def trained_sampling(info: RunInfo, options: EvaluateOptions) -> dict[str, Any]:
    """How the frames were sampled in training, unless another stride is asked for."""
    stride = info.options["stride"] if options.stride is None else options.stride
    return {"stride": stride, "sampling": info.options.get("sampling", "dense")}


def label_numbers(data: ClipSet, known: Sequence[str], by: object) -> Tensor:
    """int64 (clips,): the label of each clip as ``by`` (a run, or what it is trained on) numbers them.

    Raises:
        ValueError: no clips, unlabelled ones, or labels that are not among ``known``.
    """
    if not data.clips:
        raise UsageError(f"{data.source}: no clips on this side; expected at least one")
    numbers = {label: number for number, label in enumerate(known)}
    unlabelled = [clip.path for clip in data.clips if clip.label is None]
    if unlabelled:
        raise UsageError(f"{data.source}: {len(unlabelled)} clips without a label, for example {unlabelled[0]}")
    strange = sorted({str(clip.label) for clip in data.clips} - set(numbers))
    if strange:
        raise UsageError(
            f"{data.source}: {len(strange)} label{'s' * (len(strange) > 1)} unknown to {by}: {', '.join(strange[:5])};"
            f" it knows {', '.join(list(known)[:5])}{' ...' if len(known) > 5 else ''}"
        )
    return torch.tensor([numbers[str(clip.label)] for clip in data.clips])


@dataclass(frozen=True)
class ClassRecall:
    number: int
    videos: int
    correct: int

    @property
    def recall(self) -> float:
        """The class's accuracy; not a number where it has no videos."""
        return self.correct / self.videos if self.videos else float("nan")


def class_recall(predicted: Tensor, labels: Tensor, classes: int) -> list[ClassRecall]:
    videos = torch.bincount(labels, minlength=classes)
    correct = torch.bincount(labels[predicted == labels], minlength=classes)
    return [ClassRecall(i, int(videos[i]), int(correct[i])) for i in range(classes)]


def _write(
    output: Path,
    result: Evaluation,
    data: ClipSet,
    names: Sequence[str],
    probabilities: Tensor,
    labels: Tensor,
    recall: Sequence[ClassRecall],
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    predicted = probabilities.argmax(-1)
    write_predictions(output / "predictions.parquet", data.clips, names, probabilities, labels.tolist())
    rows: list[list[object]] = [["label", "videos", "correct", "accuracy", "most_often_taken_for"]]
    counts = confusion_counts(predicted, labels, len(names))
    for row in recall:
        wrong = counts[row.number].copy()
        wrong[row.number] = 0
        taken_for = names[int(wrong.argmax())] if wrong.any() else ""
        accuracy = f"{row.recall:.4f}" if row.videos else ""
        rows.append([names[row.number], row.videos, row.correct, accuracy, taken_for])
    write_csv(output / "per_class.csv", rows)
    draw_confusion(output / "confusion", counts, names, result.top1)
    write_json(output / "result.json", dataclasses.asdict(result))


def confusion_counts(predicted: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    """int64 (classes, classes): rows are labels, columns predictions."""
    flat = torch.bincount(labels * classes + predicted, minlength=classes * classes)
    return flat.view(classes, classes).numpy()


def write_predictions(
    path: Path, clips: Sequence[Clip], names: Sequence[str], probabilities: Tensor, labels: Sequence[int] | None
) -> None:
    """``predictions.parquet``: one row per video, in the order given."""
    predicted = probabilities.argmax(-1).tolist()
    columns: dict[str, Any] = {
        "path": [clip.path for clip in clips],
        "start_s": [clip.start_s for clip in clips],
        "end_s": [clip.end_s for clip in clips],
        "predicted": [names[i] for i in predicted],
        "probability": probabilities.max(-1).values.tolist(),
        "probabilities": probabilities.float().tolist(),
    }
    if labels is not None:
        columns["label"] = [names[i] for i in labels]
        columns["correct"] = [a == b for a, b in zip(predicted, labels, strict=True)]
    table = pa.table(columns).replace_schema_metadata({"labels": "\n".join(names)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_atomic(path, sink.getvalue().to_pybytes())
