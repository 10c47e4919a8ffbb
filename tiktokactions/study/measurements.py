"""What was measured: accuracies at data sizes, from a CSV or a study folder, checked before anything is fitted."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tiktokactions.errors import UsageError
from tiktokactions.metadata.documents import DocumentError, text_of
from tiktokactions.study.least_squares import Array

SIZE_COLUMNS = ("size", "videos", "pretraining_videos")
ACCURACY_COLUMNS = ("accuracy", "top1", "top-1")
GROUPED = re.compile(r"[1-9]\d{0,2}([.,'’\s]\d{3})+")
"""A thousand as some languages write it; no measurement has a size with three decimals."""
RUN_COLUMNS, STEP_COLUMNS = ("run_name", "run", "name"), ("step", "_step")
"""Columns of an export that has a line for every step logged."""
FINISHED = ("", "finished")
"""States of runs, as trackers export them, whose last value counts."""


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
    test_clips: int | None = None
    """How many clips every accuracy was measured on, where known."""
    notes: tuple[str, ...] = ()
    """What was left out while reading."""

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
        return dataclasses.replace(self, sizes=self.sizes[:sizes], runs=self.runs[:sizes])


Row = tuple[int, dict[str, str]]
"""Number of the line, and its fields by column."""


def read_measurements(
    source: Path, metric: str | None = None, *, size_column: str | None = None, metric_column: str | None = None
) -> Measurements:
    """Read ``results.csv`` of a study folder, or any CSV with columns ``size`` and ``accuracy``, separated by commas,
    semicolons or tabs.

    Several rows of one size are several runs. With a column ``metric``, rows of one metric are used: ``metric``, else
    ``top1`` or ``accuracy`` where they occur, else the only one there is. With a column ``state``, as trackers export it,
    runs that did not finish are left out; of a run with several steps the last value counts. A column ``test_clips`` says how
    many clips were tested.

    Args:
        source: the file, or the folder of a study.
        metric: whose rows are used.
        size_column, metric_column: names of the columns, such as those of an export.

    Raises:
        ResultsError: columns missing or doubled, values that are no numbers, percent instead of fractions, shares instead
            of sizes, a run given twice, or fewer than three sizes.
    """
    path = source / "results.csv" if source.is_dir() else source
    if not path.is_file():
        hint = "; expected the folder of a study or a CSV" if source.is_dir() else ""
        raise ResultsError(f"{path}: not found{hint}")
    names, rows, delimiter = _table(path)
    names, rows = _of_chart(names, rows, (metric_column or "").strip().lower())
    size_name = _column(path, names, "size_column", size_column, SIZE_COLUMNS)
    known = (metric or "").strip().lower(), *ACCURACY_COLUMNS
    accuracy_name = _column(path, names, "metric_column", metric_column, known)
    chosen = metric or accuracy_name
    if "metric" in names:
        chosen, rows = _of_metric(path, rows, metric)
    kept = [(line, row) for line, row in rows if row.get("state", "").lower() in FINISHED]
    notes = (f"{len(rows) - len(kept)} run(s) that did not finish were left out",) if len(kept) < len(rows) else ()
    if len(last := _last_of_runs(kept, size_name, accuracy_name)) < len(kept):
        kept, notes = last, (*notes, f"of {len(kept)} lines, those with the last value of each run are used")
    found: dict[float, list[float]] = {}
    seen: dict[tuple[str, ...], int] = {}
    for line, row in kept:
        size = _size(path, line, size_name, row[size_name])
        said = row[accuracy_name]
        # A spreadsheet that writes semicolons writes decimal commas, too. Sizes keep theirs, since '1,000' may be a thousand.
        accuracy = _number(path, line, accuracy_name, said if delimiter == "," else said.replace(",", "."))
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
    if floor := found.pop(0.0, []):
        reached = f"{100 * np.mean(floor):.1f} %"
        notes = (*notes, f"without real videos {reached} was measured (size 0): a floor, not a point of the curve")
    if found and max(found) <= 1:
        raise ResultsError(
            f"{path}: sizes from {min(found):g} to {max(found):g} look like shares; expected numbers of videos: multiply them"
            " by the number that 1 stands for"
        )
    measured = checked(found, chosen, str(path))
    return dataclasses.replace(measured, test_clips=_test_clips(path, kept), notes=notes)


def _table(path: Path) -> tuple[list[str], list[Row], str]:
    """Names of the columns in small letters, the rows, and what separates fields."""
    try:
        text = text_of(path.read_bytes(), str(path))
        delimiter = next((d for d in ",;\t" if d in text.partition("\n")[0]), ",")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        lines = [(number, fields) for number, fields in enumerate(reader, 1) if fields]
    except (DocumentError, csv.Error) as error:
        raise ResultsError(str(error) if isinstance(error, DocumentError) else f"{path}: not a CSV: {error}") from error
    names = [name.strip().lower() for name in lines[0][1]] if lines else []
    trailing = f"ends with {delimiter!r}: a field without a name; remove the separator at the end of the line"
    if len(names) > 1 and not names[-1]:
        raise ResultsError(f"{path}, line 1: {trailing}")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise ResultsError(f"{path}, line 1: column {twice!r} is there twice, expected each once")
    rows = []
    for line, fields in lines[1:]:
        values = [field.strip() for field in fields]
        if [value.lower() for value in values] == names:
            raise ResultsError(f"{path}, line {line}: the header is there again; remove the line (were files joined?)")
        if len(values) > len(names):
            more = f"more fields than the {len(names)} columns {', '.join(names)}; write fractions with a point, not a comma"
            raise ResultsError(f"{path}, line {line}: {more if any(values[len(names) :]) else trailing}")
        rows.append((line, dict(zip(names, [*values, *[""] * (len(names) - len(values))], strict=True))))
    return names, rows, delimiter


def _of_chart(names: list[str], rows: list[Row], metric: str) -> tuple[list[str], list[Row]]:
    """A line for each run where a chart was exported, with a column ``RUN - METRIC`` for each run; else as it is."""
    columns = {name: name.removesuffix(f" - {metric}") for name in names if metric and name.endswith(f" - {metric}")}
    if not columns or metric in names:
        return names, rows
    told = [(line, row | {metric: row[n], "run": run}) for line, row in rows for n, run in columns.items() if row[n]]
    return [*names, metric, "run"], told


def _column(path: Path, names: Sequence[str], option: str, asked: str | None, known: Sequence[str]) -> str:
    wanted, listed = known if asked is None else [asked.strip().lower()], ", ".join(names) or "(none)"
    if found := next((name for name in wanted if name and name in names), ""):
        return found
    if asked is not None:
        raise ResultsError(f"{path}: `{option}`: got {asked!r}, expected one of the columns {listed}")
    hint = "expected 'size' and 'accuracy', or their names in `size_column` and `metric_column`"
    raise ResultsError(f"{path}: columns {listed}; {hint}")


def _of_metric(path: Path, rows: Sequence[Row], metric: str | None) -> tuple[str, list[Row]]:
    known = list(dict.fromkeys(row["metric"] for _, row in rows))
    wanted = [metric] if metric else ["top1", "accuracy", *(known if len(known) == 1 else [])]
    chosen = next((m for m in wanted if m in known), "")
    if not chosen:
        raise ResultsError(f"{path}: metrics {', '.join(known)}; choose one with `metric`")
    return chosen, [(line, row) for line, row in rows if row["metric"] == chosen]


def _last_of_runs(rows: Sequence[Row], size: str, accuracy: str) -> list[Row]:
    """Where runs logged several steps, a line for each run, with its last accuracy; a size may have been logged only once.
    Other rows as they are."""
    run, step = (next((n for n in known if rows and n in rows[0][1]), None) for known in (RUN_COLUMNS, STEP_COLUMNS))
    if run is None or step is None or size == step:
        return list(rows)
    sizes = {row[run]: row[size] for _, row in rows if row[size]}
    runs: dict[tuple[str, ...], list[Row]] = {}
    for line, row in rows:
        whole = row | {size: row[size] or sizes.get(row[run], "")}
        runs.setdefault((row[run], whole[size], row.get("seed", "")), []).append((line, whole))
    found = []
    for lines in runs.values():
        logged = len({row[step] for _, row in lines}) == len(lines)  # else runs of one name, each with its last step
        found += [max(lines, key=lambda line: (line[1][accuracy] != "", line[0]))] if logged else lines
    return found


def _size(path: Path, line: int, column: str, text: str) -> float:
    if GROUPED.fullmatch(text):
        plain = re.sub(r"\D", "", text)
        raise ResultsError(f"{path}, line {line}: {column} is {text!r}, a thousand with a separator? Write {plain}")
    size = _number(path, line, column, text)
    if size < 0:
        raise ResultsError(f"{path}, line {line}: size {size:g}, expected a number of videos; 0: without real ones")
    return size


def _test_clips(path: Path, rows: Sequence[Row]) -> int | None:
    told = {text for _, row in rows if (text := row.get("test_clips", ""))}
    wrong = next((text for text in told if not text.isdigit() or int(text) == 0), None)
    if wrong is not None or len(told) > 1:
        what = f"is {wrong!r}" if wrong is not None else f"has {' and '.join(sorted(told, key=int))}"
        raise ResultsError(f"{path}: test_clips {what}, expected one number of clips: a curve needs one test set")
    return int(told.pop()) if told else None


def checked(runs_by_size: dict[float, list[float]], metric: str = "accuracy", source: str = "results") -> Measurements:
    """Measurements in order of size.

    Raises:
        ResultsError: fewer than three sizes.
    """
    sizes = np.array(sorted(runs_by_size), float)
    if len(sizes) < 3:
        raise ResultsError(f"{source}: {len(sizes)} size(s) measured, expected three or more to see a curve")
    return Measurements(sizes, tuple(tuple(runs_by_size[s]) for s in sizes), metric)


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = "no per cent" if text.endswith("%") else "a lost run has no row"
        raise ResultsError(f"{path}, line {line}: {column} is {text!r}, expected a number; {hint}")
    return value
