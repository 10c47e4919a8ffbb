"""What was measured: accuracies at data sizes, from a CSV or a study folder, checked before anything is fitted."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tiktokactions.errors import UsageError
from tiktokactions.study.least_squares import Array

SIZE_COLUMNS = ("size", "videos", "pretraining_videos")
ACCURACY_COLUMNS = ("accuracy", "top1", "top-1")


class ResultsError(UsageError):
    """Results that cannot be extrapolated; the message says where, what was found and what to do."""


@dataclass(frozen=True)
class Measurements:
    """Accuracies by size. N sizes, ascending."""

    sizes: Array
    """(N,) videos."""
    runs: tuple[tuple[float, ...], ...]
    """For each size the accuracies of its runs, fractions."""
    metric: str = "accuracy"

    @property
    def shares(self) -> Array:
        """(N,) sizes as shares of the largest."""
        return self.sizes / self.sizes[-1]

    @property
    def means(self) -> Array:
        """(N,)"""
        return np.array([np.mean(r) for r in self.runs])

    @property
    def counts(self) -> Array:
        """(N,) runs of each size."""
        return np.array([len(r) for r in self.runs], float)

    @property
    def within(self) -> float:
        """Sum of squared deviations of runs from their size's mean."""
        return float(sum(np.sum((np.array(r) - np.mean(r)) ** 2) for r in self.runs))

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def first(self, sizes: int) -> Measurements:
        """Only the smallest ``sizes`` sizes."""
        return Measurements(self.sizes[:sizes], self.runs[:sizes], self.metric)


def read_measurements(source: Path, metric: str | None = None) -> Measurements:
    """Read ``results.csv`` of a study folder, or any CSV with columns ``size`` and ``accuracy``, separated by commas,
    semicolons or tabs.

    Several rows of one size are several runs. With a column ``metric``, rows of one metric are used: ``metric``, else
    ``top1`` or ``accuracy`` where they occur, else the only one there is.

    Raises:
        ResultsError: columns missing, values that are no numbers, percent instead of fractions, a run given twice, fewer
            than three sizes, or accuracies that do not grow.
    """
    path = source / "results.csv" if source.is_dir() else source
    if not path.is_file():
        hint = "; expected the folder of a study or a CSV" if source.is_dir() else ""
        raise ResultsError(f"{path}: not found{hint}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            delimiter = next((d for d in ",;\t" if d in header), ",")
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter)
            names = [name.strip().lower() for name in reader.fieldnames or []]
            rows = []
            for line, row in enumerate(reader, start=2):
                if None in row:
                    raise ResultsError(
                        f"{path}, line {line}: more fields than the {len(names)} columns {', '.join(names)}; write"
                        " fractions with a point, not a comma"
                    )
                rows.append((line, {n: (v or "").strip() for n, v in zip(names, row.values(), strict=False)}))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"{path}: not a CSV in UTF-8: {error}") from error
    size_column = next((c for c in SIZE_COLUMNS if c in names), None)
    accuracy_column = next((c for c in ((metric or "").lower(), *ACCURACY_COLUMNS) if c and c in names), None)
    if size_column is None or accuracy_column is None:
        raise ResultsError(f"{path}: columns {', '.join(names) or '(none)'}; expected 'size' and 'accuracy'")
    chosen = metric or accuracy_column
    if "metric" in names:
        known = list(dict.fromkeys(row["metric"] for _, row in rows))
        wanted = [metric] if metric else ["top1", "accuracy", *(known if len(known) == 1 else [])]
        chosen = next((m for m in wanted if m in known), "")
        if not chosen:
            raise ResultsError(f"{path}: metrics {', '.join(known)}; choose one with `metric`")
        rows = [(line, row) for line, row in rows if row["metric"] == chosen]
    found: dict[float, list[float]] = {}
    seen: dict[tuple[str, ...], int] = {}
    for line, row in rows:
        size = _number(path, line, size_column, row.get(size_column, ""))
        said = row.get(accuracy_column, "")
        # A spreadsheet that writes semicolons writes decimal commas, too. Sizes keep theirs, since '1,000' may be a thousand.
        accuracy = _number(path, line, accuracy_column, said if delimiter == "," else said.replace(",", "."))
        if size <= 0:
            raise ResultsError(f"{path}, line {line}: size {size:g}, expected a number of videos above 0")
        if not 0 <= accuracy <= 1:
            percent = " (percent? divide by 100)" if 1 < accuracy <= 100 else ""
            raise ResultsError(f"{path}, line {line}: accuracy {accuracy:g}, expected a fraction from 0 to 1{percent}")
        key = (f"{size:g}", row.get("run", ""), row.get("seed", ""))
        if (key[1] or key[2]) and key in seen:
            raise ResultsError(
                f"{path}, lines {seen[key]} and {line}: size {size:g}, run {key[1]!r}, seed {key[2]!r} is there twice"
            )
        seen[key] = line
        found.setdefault(size, []).append(accuracy)
    return checked(found, chosen, str(path))


def checked(runs_by_size: dict[float, list[float]], metric: str = "accuracy", source: str = "results") -> Measurements:
    """Measurements in order of size.

    Raises:
        ResultsError: fewer than three sizes, or accuracies that do not grow.
    """
    sizes = np.array(sorted(runs_by_size), float)
    found = Measurements(sizes, tuple(tuple(runs_by_size[s]) for s in sizes), metric)
    if len(sizes) < 3:
        raise ResultsError(f"{source}: {len(sizes)} size(s) measured, expected three or more to see a curve")
    means = found.means
    if np.ptp(means) < 1e-9:
        raise ResultsError(f"{source}: every size has the accuracy {means[0]:.4f}: nothing grows to be extrapolated")
    if np.polyfit(np.log(sizes), means, 1, w=np.sqrt(found.counts))[0] <= 0:
        raise ResultsError(
            f"{source}: accuracy falls with size ({means[0]:.4f} at {sizes[0]:g}, {means[-1]:.4f} at {sizes[-1]:g});"
            " expected growth. Are the columns right, and was every size trained alike?"
        )
    return found


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ResultsError(f"{path}, line {line}: {column} is {text!r}, expected a number; a lost run has no row")
    return value
