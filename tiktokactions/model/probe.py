"""The linear probe: how much a frozen encoder knows, read off by logistic regression on its features.

Features of two test views of every training clip are written to a file as they are made, so that memory stays flat and an
interrupted run goes on; then standardised; then logistic regression (of several labels one for each) with an L2 penalty
that is chosen by cross-validation over training clips. Standardisation is folded into the last layer, so that the result is
an ordinary classifier.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tiktokactions.clips.clip import Clip, ClipSet
from tiktokactions.files import delete
from tiktokactions.model.classification import VideoClassifier, label_loss
from tiktokactions.model.evaluate import merge_views, run_views, top_accuracy
from tiktokactions.model.hardware import Hardware
from tiktokactions.model.labels import targets_of
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions
from tiktokactions.model.progress import Report, TrainingProgress
from tiktokactions.model.run import TrainingResult, write_result
from tiktokactions.model.tensor_files import write_safetensors
from tiktokactions.video import UnreadableError

PENALTIES = tuple(10.0**power for power in range(1, -6, -1))
"""From the largest on: each regression begins with the one before."""
FOLDS = 5
CLIPS_OF_ALL_FOLDS = 1_000
"""With more of them one fold held out tells enough."""
ITERATIONS = 100
VIEWS = 2
"""Along time, of each training clip; tests have as many views as they are asked for."""
CLIPS_THAT_CHOOSE = 5_000
"""The penalty; all of them fit the last layer."""
ROWS_AT_ONCE = 65_536


def fit_probe(
    model: VideoClassifier, train: ClipSet, options: FinetuneOptions, run: Path, machine: Hardware, report: Report
) -> TrainingResult:
    """Fit the last layer of ``model`` and write the run's weights and result; returns the result."""
    began = time.perf_counter()
    model.to(machine.device).eval()
    targets = targets_of(train, train.labels, train.source, options.multi_label).to(machine.device)
    file = run / "features.f32"
    features = stream_features(model, train.clips, options, file, machine, report)
    report(TrainingProgress(f"fitting the last layer to {len(targets)} clips, penalty by those held out"))
    penalty, accuracy = choose_penalty(features, targets, len(train.labels), options.seed)
    weight, bias, loss = fit_logistic(features, targets, len(train.labels), penalty)
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)
    seconds = round(time.perf_counter() - began, 3)
    result = TrainingResult(0, loss, True, seconds, penalty, accuracy)
    machine.everyones(None)  # all have read the features
    if machine.processes.is_first:
        write_safetensors(run / "model.safetensors", model.state_dict())
        delete(file)
        write_result(run, result)
    machine.everyones(None)  # what comes next reads these files
    return result


def stream_features(
    model: VideoClassifier,
    clips: Sequence[Clip],
    options: FinetuneOptions,
    file: Path,
    machine: Hardware,
    report: Report,
) -> Tensor:
    """float32 (clips, views, D), mapped from ``file``; what an earlier start has written is not computed again."""
    shape = (min(VIEWS, options.segments), model.config.embed_dim)
    row_bytes = 4 * math.prod(shape)
    done = machine.everyones(file.stat().st_size // row_bytes if file.is_file() else 0)[0]
    names = ("decoder", "workers", "precision", "device")
    looks = EvaluateOptions(**{name: getattr(options, name) for name in names}, segments=shape[0], crops=1)
    how = (options.stride, options.sampling)
    found = run_views(model, clips[done:], looks, machine, report, *how, merge=torch.clone, features=True)
    with file.open("ab") if machine.processes.is_first else io.BytesIO() as growing:
        growing.truncate(done * row_bytes)
        for views in found:
            if isinstance(views, UnreadableError):
                raise views
            growing.write(views.numpy().tobytes())
    machine.everyones(None)  # the first has written all
    return torch.from_numpy(np.memmap(file, np.float32, "r+", shape=(len(clips), *shape)))


def choose_penalty(features: Tensor, targets: Tensor, classes: int, seed: int) -> tuple[float, float]:
    """The penalty with the best cross-validated top-1 (the largest of equals), and that accuracy.

    Args:
        features: (clips, views, D); a clip's views stay on one side of every fold.
        targets: see :func:`tiktokactions.model.labels.targets_of`.
    """
    asked = torch.from_numpy(np.random.default_rng(seed).permutation(len(targets))[:CLIPS_THAT_CHOOSE])
    rows, own = features[asked], targets[asked.to(targets.device)]
    folds = torch.arange(len(asked)) % min(FOLDS, len(asked))
    scores = dict.fromkeys(PENALTIES, 0.0)
    asked_folds = folds.unique() if len(asked) <= CLIPS_OF_ALL_FOLDS else folds[:1]
    count = int(torch.isin(folds, asked_folds).sum())
    for fold in asked_folds:
        held, fit = folds == fold, None
        for penalty in PENALTIES:
            fit = fit_logistic(rows[~held], own[~held], classes, penalty, fit)
            logits = rows[held].to(fit[0]) @ fit[0].T + fit[1]
            scores[penalty] += top_accuracy(merge_views(logits), own[held], 1) * int(held.sum()) / count
    best = max(scores, key=lambda penalty: (round(scores[penalty], 9), penalty))
    return best, scores[best]


Fit = tuple[Tensor, Tensor, float]
"""Weights (classes, D) and bias (classes,) for features as they come, and the mean cross-entropy."""


def fit_logistic(features: Tensor, targets: Tensor, classes: int, penalty: float, start: Fit | None = None) -> Fit:
    """Logistic regression on standardised features, on the device of the targets: multinomial, or of several labels one each.

    Args:
        features: float32 (clips, views, D), in memory or mapped from a file.
        targets: see :func:`tiktokactions.model.labels.targets_of`.
        penalty: factor of half the squared weights, beside the mean cross-entropy.
        start: where to begin; None: at 0.
    """
    views, dim, device = *features.shape[1:], targets.device
    clips = max(1, ROWS_AT_ONCE // views)
    parts = list(zip(features.split(clips), targets.split(clips), strict=True))
    count = len(features) * views
    mean = sum(part.sum((0, 1), dtype=torch.float64) for part, _ in parts) / count
    variance = sum((part - mean).square().sum((0, 1)) for part, _ in parts) / max(1, count - 1)
    mean, std = mean.float().to(device), variance.sqrt().clamp_min(1e-6).float().to(device)
    weight, bias = torch.zeros(classes, dim, device=device), torch.zeros(classes, device=device)
    if start is not None:
        weight, bias = start[0] * std, start[1] + start[0] @ mean
    weight.requires_grad_()
    bias.requires_grad_()
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, tolerance_change=1e-6, history_size=20, line_search_fn="strong_wolfe"
    )
    loss = torch.zeros((), device=device)

    def objective() -> Tensor:
        solver.zero_grad()
        loss.zero_()
        for part, own in parts:
            scaled = weight / std
            logits = (part.to(device) @ scaled.T + (bias - scaled @ mean)).flatten(0, 1)
            target = own.repeat_interleave(views, 0)
            if own.ndim == 1:
                value = F.cross_entropy(logits, target, reduction="sum") / count
            else:
                value = label_loss(logits, target) * target.numel() / count
            value.backward()
            loss.add_(value.detach())
        cost = penalty / 2 * weight.square().sum()
        cost.backward()
        return loss + cost.detach()

    solver.step(objective)
    objective()
    with torch.no_grad():
        return weight / std, bias - (weight / std) @ mean, float(loss)
