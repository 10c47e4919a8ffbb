"""Evaluation: several views of every video, one decode each, probabilities averaged (paper, Table 3: 5 × 3 views)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tiktokactions.clips.clip import Clip, ClipSet
from tiktokactions.files import delete, write_csv, write_json
from tiktokactions.files.changes import unfinished
from tiktokactions.intervals import wilson_interval
from tiktokactions.model.augment import normalise
from tiktokactions.model.classification import VideoClassifier, classifier
from tiktokactions.model.confusion import draw_confusion
from tiktokactions.model.hardware import Hardware, hardware, worker_count
from tiktokactions.model.labels import labels_of, multi_hot, targets_of, usable
from tiktokactions.model.learned import warning_of_test
from tiktokactions.model.loader import clips_one_by_one
from tiktokactions.model.options import EvaluateOptions
from tiktokactions.model.progress import Report, TrainingProgress
from tiktokactions.model.run import Evaluation, Run, RunError, RunInfo, filled
from tiktokactions.model.samples import TestClips
from tiktokactions.model.views import Sampling
from tiktokactions.model.weights import load_into, read_weights
from tiktokactions.records import JsonObject
from tiktokactions.video import UnreadableError

# --- merging views and counting ------------------------------------------------------------------------------------


def merge_views(logits: Tensor) -> Tensor:
    """Probabilities of videos, float64, from the logits of their views: softmax of each view, then the mean.

    Args:
        logits: (..., views, classes).

    Returns:
        (..., classes).
    """
    return F.softmax(logits, dim=-1, dtype=torch.float64).mean(dim=-2)


def merge_of(info: RunInfo) -> Callable[[Tensor], Tensor]:
    """How a run's views become probabilities: as above, or where every label is told by itself by sigmoids."""
    return (lambda x: x.double().sigmoid().mean(dim=-2)) if info.options.get("multi_label") else merge_views


def top_accuracy(probabilities: Tensor, targets: Tensor, k: int) -> float:
    """The share of videos that have a label (``targets`` as of ``targets_of``) among their ``k`` most probable classes."""
    guesses = of_known(probabilities, targets).topk(min(k, probabilities.shape[-1]), dim=-1).indices
    return float(multi_hot(targets, probabilities.shape[-1]).gather(1, guesses).any(-1).double().mean())


def of_known(probabilities: Tensor, targets: Tensor) -> Tensor:
    """The same, but lowest for classes of which nobody knows whether the video shows them: they are no wrong guesses."""
    if targets.shape != probabilities.shape:  # numbers of classes
        return probabilities
    return probabilities.masked_fill(targets.isnan(), -math.inf)


def average_precisions(probabilities: Tensor, targets: Tensor) -> Tensor:
    """float64 (classes,): the mean precision over the places of each class's videos; nan for one without any.

    Args:
        targets: float (V, classes), 1 for every label of a video; videos with nan do not count for that class.
    """
    from sklearn.metrics import average_precision_score

    found = []
    for column, scores in zip(targets.T, probabilities.T, strict=True):
        hot, known = column > 0, ~column.isnan()
        found.append(average_precision_score(hot[known], scores[known]) if hot.any() else math.nan)
    return torch.tensor(found, dtype=torch.float64)


# --- the model of a run --------------------------------------------------------------------------------------------


def load_run(run: Path) -> tuple[VideoClassifier, RunInfo]:
    """The classifier of a fine-tuned run; of a pre-trained one the encoder, whose features can be used.

    With ``ema`` the averaged weights are taken.

    Raises:
        RunError: not a run, or not finished.
    """
    opened = Run(run)
    if not (opened.info and (opened.path / "model.safetensors").exists()):
        raise RunError(f"{run}: this run is not finished; start it again as it was begun")
    # A pre-trained encoder is given a head that nobody asks.
    config = opened.config if opened.kind == "finetune" else dataclasses.replace(opened.config, classes=1)
    model = classifier(config)
    load_into(model, read_weights(opened.weights).tensors, what=str(opened.weights))
    return model.eval(), opened.info


# --- views of videos through the model -----------------------------------------------------------------------------


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
) -> Iterator[Tensor | UnreadableError]:
    """For each clip in turn what ``merge`` makes of its views, or why it cannot be read.

    ``merge`` takes float32 (views, classes), or (views, D) with ``features``. Several processes share the clips, one each
    at a time, and every process gets the results of all.
    """
    model.to(machine.device).eval()
    rank, world = machine.processes.rank, machine.processes.world
    dataset = TestClips(clips[rank::world], model.config, options, stride, sampling)
    began = time.perf_counter()
    with contextlib.closing(clips_one_by_one(dataset, worker_count(options))) as own:
        for first in range(0, len(clips), world):
            found: Tensor | UnreadableError | None = None  # in the last round there may be fewer clips than processes
            batch = next(own, None)
            if isinstance(batch, UnreadableError):
                found = batch
            elif batch is not None:
                found = merge(_outputs(model, batch["video"][0], options, machine, features))
            yield from (value for value in machine.everyones(found) if value is not None)
            done = min(first + world, len(clips))
            rate = done / (time.perf_counter() - began)
            left_s = (len(clips) - done) / rate
            report(TrainingProgress(step=done, steps=len(clips), clips_per_s=rate, seconds_left=left_s))


@torch.inference_mode()
def _outputs(
    model: VideoClassifier, views: Tensor, options: EvaluateOptions, machine: Hardware, features: bool
) -> Tensor:
    """float32 (views, classes), or (views, D) with ``features``, of uint8 (views, 3, T, H, W)."""
    outputs = []
    for part in views.split(options.views_per_pass):
        video = normalise(machine.send(part))
        with machine.autocast():
            outputs.append((model.features(video) if features else model(video)).float().cpu())
    return torch.cat(outputs)


# --- evaluate ------------------------------------------------------------------------------------------------------


def evaluate(
    run: Path,
    data: ClipSet,
    options: EvaluateOptions,
    output: Path,
    *,
    complete: Callable[[Evaluation, Sequence[JsonObject]], Evaluation] = lambda result, rows: result,
    report: Report = lambda progress: None,
) -> Evaluation:
    """Test a fine-tuned run on labelled clips and write everything about it to ``output``.

    A clip that cannot be read is a row with its reason, and the numbers are those of the others. While the test runs, every
    clip that is done is a line of ``predictions.jsonl``; at the end ``predictions.parquet`` takes its place. ``complete``
    adds to the result what follows from the rows, before it is written.

    Raises:
        RunError: the run is not a finished fine-tuning.
        ValueError: labels that the run does not know.
        UnreadableError: no clip can be read; the message names the first.
    """
    began = time.perf_counter()
    model, info = load_run(run)
    if info.labels is None:
        raise RunError(f"{run}: a pre-trained run knows no labels; fine-tune it first ('finetune' with `init` {run})")
    multi_label = bool(info.options.get("multi_label"))
    data = usable(data, multi_label, report)
    targets = targets_of(data, info.labels, run, multi_label)
    with hardware(options) as machine:
        sampling = trained_sampling(info, options)
        found = run_views(model, data.clips, options, machine, report, *sampling, merge=merge_of(info))
        is_first, growing = machine.processes.is_first, output / "predictions.jsonl"
        rows: list[JsonObject] = []
        with lines_of(growing) if is_first else contextlib.nullcontext(lambda row: None) as write:
            for clip, outcome, target in zip(data.clips, found, targets, strict=True):
                rows.append(prediction_row(clip, outcome, info.labels, target))
                write(rows[-1])
        read = [number for number, row in enumerate(rows) if row["reason"] is None]
        if not read:
            raise UnreadableError(data.clips[0].path, str(rows[0]["reason"]))
        probabilities = torch.tensor([rows[number]["probabilities"] for number in read], dtype=torch.float64)
        tested, classes = targets[read], len(info.labels)
        best = of_known(probabilities, tested).argmax(-1)
        is_label, guessed = multi_hot(tested, classes).long(), multi_hot(best, classes).long()
        counts = (is_label.T @ guessed).numpy()  # labels by predictions
        hits, videos = counts.diagonal(), is_label.sum(0).numpy()
        low, high = wilson_interval(int(hits.sum()), len(tested))
        chance = is_label.double().mean(0) @ guessed.double().mean(0)
        precisions = average_precisions(probabilities, tested) if multi_label else None
        result = Evaluation(
            videos=len(tested),
            top1=int(hits.sum()) / len(tested),
            top1_low=low,
            top1_high=high,
            top5=top_accuracy(probabilities, tested, 5),
            mean_class_accuracy=float((hits[videos > 0] / videos[videos > 0]).mean()),
            classes=classes,
            views=options.segments * options.crops,
            seconds=round(time.perf_counter() - began, 3),
            run=str(run),
            data=data.source,
            folder=str(output),
            unreadable=len(rows) - len(tested),
            skip_unreadable=options.skip_unreadable,
            mean_average_precision=None if precisions is None else float(precisions.nanmean()),
            chance=float(chance),
        )
        training = Run(run).result.warning if Run(run).finished else None
        result = dataclasses.replace(result, warning=warning_of_test(result, training, videos.tolist()))
        result = complete(result, rows)
        if is_first:
            write_predictions(output / "predictions.parquet", rows, info.labels)
            delete(growing)
            write_csv(output / "per_class.csv", _class_rows(counts, info.labels, precisions))
            draw_confusion(output / "confusion", counts, info.labels, result.top1)
            write_json(output / "result.json", filled(result))
        machine.everyones(None)  # the others may read these files
    return result


def prediction_row(clip: Clip, outcome: Tensor | UnreadableError, names: Sequence[str], target: Tensor) -> JsonObject:
    """A row of ``predictions.parquet``: of a clip that cannot be read its reason, of others the probabilities.

    ``target``: its row of ``targets_of``. Of several labels the best guess among those that are known is judged.
    """
    row: JsonObject = {"path": clip.path, "start_s": clip.start_s, "end_s": clip.end_s, "label": clip.label}
    if target.ndim:
        row["labels"] = list(labels_of(clip))
    if isinstance(outcome, UnreadableError):
        unknown = dict.fromkeys(("predicted", "probability", "probabilities", "correct"))
        return row | unknown | {"reason": outcome.detail}
    best = int(outcome.argmax())
    guess = {"predicted": names[best], "probability": float(outcome.max()), "probabilities": outcome.tolist()}
    judged = names[int(of_known(outcome, target).argmax())]
    return row | guess | {"correct": judged in row.get("labels", [clip.label]), "reason": None}


@contextlib.contextmanager
def lines_of(path: Path) -> Iterator[Callable[[JsonObject], None]]:
    """Writes objects to a file of JSON lines, each at once, so that what is done stays whatever happens next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="surrogateescape") as file:

        def write(line: JsonObject) -> None:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()

        yield write


def trained_sampling(info: RunInfo, options: EvaluateOptions) -> tuple[int, Sampling]:
    """How the frames were sampled in training: stride, unless another is asked for, and sampling."""
    stride = info.options["stride"] if options.stride is None else options.stride
    return stride, info.options.get("sampling", "dense")


def _class_rows(counts: np.ndarray, names: Sequence[str], precisions: Tensor | None) -> Iterator[list[object]]:
    more = [] if precisions is None else ["average_precision"]
    yield ["label", "videos", "correct", "accuracy", "most_often_taken_for", *more]
    wrong = counts - np.diag(counts.diagonal())
    for number, (name, videos) in enumerate(zip(names, counts.sum(1).tolist(), strict=True)):
        correct = int(counts[number, number])
        accuracy = f"{correct / videos:.4f}" if videos else ""
        taken_for = names[int(wrong[number].argmax())] if wrong[number].any() else ""
        precision = [] if precisions is None else [f"{precisions[number]:.4f}" if videos else ""]
        yield [name, videos, correct, accuracy, taken_for, *precision]


def write_predictions(path: Path, rows: Sequence[JsonObject], names: Sequence[str]) -> None:
    """``predictions.parquet``: the rows of :func:`prediction_row` in the order of the clips."""
    text, number = pa.string(), pa.float64()
    columns = {"path": text, "start_s": number, "end_s": number, "predicted": text, "probability": number}
    columns |= {"probabilities": pa.list_(pa.float32()), "label": text, "correct": pa.bool_(), "reason": text}
    columns |= {"labels": pa.list_(text)} if "labels" in rows[0] else {}
    table = pa.Table.from_pylist(rows, pa.schema(columns, {"labels": "\n".join(names)}))
    with unfinished(path) as staged:
        pq.write_table(table, staged, compression="zstd")
