"""Drift: whether new clips are of the same kind as those before, by two-sample tests without assumptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.manifest import labels_of

PERMUTATIONS = 999
MOST_NAMED = 5


@dataclass(frozen=True)
class Drift:
    """One property of new clips beside those before."""

    what: str
    new: int
    """How many new clips were looked at."""
    before: int
    p: float
    """How probable so large a difference is by chance: the share of random divisions that differ as much."""
    shares: dict[str, tuple[float, float]]
    """Of what differs most: its share before and now."""


def drift_of(new: Dataset, before: Dataset, features: tuple[Path, Path] | None = None) -> list[Drift]:
    """Compare two samples of clips: labels, creators, regions, the platform's AI label and, where given, their features."""
    told = [_told(sample) for sample in (new, before)]
    found = [_categories(what, *(sample[what] for sample in told)) for what in told[0]]
    if features is not None:
        vectors = [np.array(pq.read_table(path)["feature"].drop_null().to_pylist(), np.float32) for path in features]
        if all(len(part) for part in vectors):
            norms = np.sum(np.concatenate(vectors) ** 2, axis=1)
            points = np.concatenate(vectors)
            distances = np.sqrt(np.maximum(norms[:, None] + norms - 2 * points @ points.T, 0))
            # The energy distance (G. Szekely and M. Rizzo, 2013).
            p = two_sample_p(-distances, len(vectors[0]))
            found.append(Drift("features", len(vectors[0]), len(vectors[1]), p, {}))
    return found


def _told(sample: Dataset) -> dict[str, list[str]]:
    """For each property what every clip says of it; what it does not say counts as a value, too."""
    rows = [
        row for batch in sample.batches(["labels", "human_labels", "creator", "ai_label"]) for row in batch.to_pylist()
    ]
    said = (record.source.metadata for record in sample.records())
    regions = (told.get("region_code") or told.get("region") or "(unknown)" for told in said)
    return {
        "labels": [next(iter(labels_of(row)), "(none)") for row in rows],
        "creators": [row["creator"] or "(unknown)" for row in rows],
        "regions": list(map(str, regions)),
        "AI label": [row["ai_label"] or "(none)" for row in rows],
    }


def _categories(what: str, new: Sequence[str], before: Sequence[str]) -> Drift:
    totals = Counter([*new, *before])
    numbers = {name: number for number, name in enumerate(totals)}
    codes = np.array([numbers[name] for name in (*new, *before)])
    # With this kernel the statistic is Pearson's chi-squared.
    kernel = (codes[:, None] == codes) / np.array([totals[name] for name in (*new, *before)])
    p = two_sample_p(kernel, len(new))
    now, then = Counter(new), Counter(before)
    if what == "creators":  # who they are stays out of a file that no take-down looks into
        known = sum(count for name, count in now.items() if name in then) / max(1, len(new))
        return Drift(what, len(new), len(before), p, {"seen before": (1.0, known)})
    shares = {name: (then[name] / max(1, len(before)), now[name] / max(1, len(new))) for name in totals}
    most = sorted(shares, key=lambda name: -abs(shares[name][1] - shares[name][0]))[:MOST_NAMED]
    apart = {name: shares[name] for name in most if shares[name][0] != shares[name][1]}
    return Drift(what, len(new), len(before), p, apart)


def two_sample_p(kernel: np.ndarray, new: int, seed: int = 0) -> float:
    """Permutation test of the maximum mean discrepancy (A. Gretton et al., 2012).

    Args:
        kernel: (N, N), symmetric: how alike two points are; the first ``new`` points are one sample.
    """
    total = len(kernel)
    if not 0 < new < total:
        return 1.0
    weights = np.where(np.arange(total) < new, 1 / new, -1 / (total - new))
    rng = np.random.default_rng(seed)
    drawn = np.stack([weights, *(rng.permutation(weights) for _ in range(PERMUTATIONS))])
    apart = np.sum(drawn @ kernel * drawn, axis=1)
    return float(np.mean(apart >= apart[0] - 1e-12))
