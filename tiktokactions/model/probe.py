"""The linear probe: how much a frozen encoder knows, read off by logistic regression on its features.

Features of all test views of every training clip, standardised; multinomial logistic regression with an L2 penalty that
is chosen by cross-validation over training clips. Standardisation is folded into the last layer, so that the result is an
ordinary classifier.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from tiktokactions.clips.clip import ClipSet
from tiktokactions.model.classification import VideoClassifier
from tiktokactions.model.evaluate import label_numbers, merge_views, run_views, top_accuracy
from tiktokactions.model.hardware import Hardware
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import TrainingResult, write_result
from tiktokactions.model.tensor_files import write_safetensors
from tiktokactions.model.training import Report
from tiktokactions.video import UnreadableError

PENALTIES = tuple(10.0**power for power in range(-5, 2))
FOLDS = 5
ITERATIONS = 300


def fit_probe(
    model: VideoClassifier, train: ClipSet, options: FinetuneOptions, run: Path, machine: Hardware, report: Report
) -> TrainingResult:
    """Fit the last layer of ``model`` and write the run's weights and result; returns the result."""
    began = time.perf_counter()
    model.to(machine.device).eval()
    looks = EvaluateOptions(
        **{name: getattr(options, name) for name in ("decoder", "workers", "segments", "crops", "precision", "device")}
    )
    found = run_views(
        model, train.clips, looks, machine, report, options.stride, options.sampling, merge=Tensor.double, features=True
    )
    features = torch.stack([raised(views) for views in found])  # (clips, views, D)
    labels = label_numbers(train, train.labels, train.source)
    report(
        TrainingProgress(f"fitting the last layer, penalty by {FOLDS}-fold cross-validation over {len(labels)} clips")
    )
    penalty, accuracy = choose_penalty(features, labels, len(train.labels), options.seed)
    weight, bias, loss = fit_logistic(features, labels, len(train.labels), penalty)
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)
    seconds = round(time.perf_counter() - began, 3)
    result = TrainingResult(0, loss, True, seconds, penalty, accuracy)
    if machine.processes.is_first:
        write_safetensors(run / "model.safetensors", model.state_dict())
        write_result(run, result)
    machine.everyones(None)  # what comes next reads these files
    return result


def raised(outcome: Tensor | UnreadableError) -> Tensor:
    """Raises the error, where it is one."""
    if isinstance(outcome, UnreadableError):
        raise outcome
    return outcome


def choose_penalty(features: Tensor, labels: Tensor, classes: int, seed: int) -> tuple[float, float]:
    """The penalty with the best cross-validated accuracy (the largest of equals), and that accuracy.

    Args:
        features: (clips, views, D); a clip's views stay on one side of every fold.
        labels: int64 (clips,).
    """
    folds = torch.from_numpy(np.random.default_rng(seed).permutation(len(labels)) % min(FOLDS, len(labels)))
    scores = []
    for penalty in PENALTIES:
        hits = 0.0
        for fold in folds.unique():
            held = folds == fold
            weight, bias, _ = fit_logistic(features[~held], labels[~held], classes, penalty)
            probabilities = merge_views(features[held] @ weight.T + bias)
            hits += top_accuracy(probabilities, labels[held], 1) * int(held.sum())
        scores.append(hits / len(labels))
    best = max(range(len(PENALTIES)), key=lambda i: (scores[i], PENALTIES[i]))
    return PENALTIES[best], scores[best]


def fit_logistic(features: Tensor, labels: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor, float]:
    """Multinomial logistic regression on standardised features.

    Args:
        features: float64 (clips, views, D).
        labels: int64 (clips,).
        penalty: factor of half the squared weights, beside the mean cross-entropy.

    Returns:
        Weights (classes, D) and bias (classes,) for features as they come, and the mean cross-entropy.
    """
    rows = features.flatten(0, 1)
    target = labels.repeat_interleave(features.shape[1])
    mean, std = rows.mean(0), rows.std(0).clamp_min(1e-6)
    rows = (rows - mean) / std
    weight = torch.zeros(classes, rows.shape[1], dtype=rows.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=rows.dtype, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(rows @ weight.T + bias, target) + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    solver.step(objective)
    with torch.no_grad():
        loss = float(F.cross_entropy(rows @ weight.T + bias, target))
        return weight / std, bias - (weight / std) @ mean, loss
