"""The section about what pre-training brought: fine-tuned runs beside those from scratch, tested on the same clips."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tiktokactions.model.run import Run
from tiktokactions.reporting.blocks import Block, Section, Text, table
from tiktokactions.reporting.numbers import count, figure_of, percent
from tiktokactions.reporting.runs import HOW_NOT_WHAT
from tiktokactions.study.sources import differences

SAME_OPTIONS = ("init", "seed", *HOW_NOT_WHAT, "model", "image_size", "frames", "tubelet", "patch")
"""Options in which the two may differ without a remark; the last few a run that begins from another takes from there, and
the models are compared."""
KEY = ("path", "start_s", "end_s")
Outcomes = dict[tuple[object, ...], bool]
"""By clip (path, start and end in seconds) whether the run was right."""


def comparison_sections(folders: Sequence[Path]) -> list[Section]:
    """One section where a pre-trained and an untrained start were tested on the same clips, else none."""
    runs = [run for run in map(Run, folders) if run.kind == "finetune"]
    pairs = [(a, b) for a, b in itertools.product(runs, runs) if a.info.init is not None and b.info.init is None]
    rows, answers, remarks = [], [], []
    for pretrained, scratch in pairs:
        for name in pretrained.evaluations.keys() & scratch.evaluations.keys():
            found = _paired(*(_outcomes(run.path / "evaluations" / name) for run in (pretrained, scratch)))
            if found is None:
                continue
            row, answer = found
            rows.append((f"{pretrained.path.name} − {scratch.path.name}", *row))
            answers.append(f"{pretrained.path.name} against {scratch.path.name}: {answer}")
            other = scratch.options
            apart = [f"{k} {v} and {other[k]}" for k, v in pretrained.options.items() if v != other.get(k, v)]
            apart = [told for told in apart if told.partition(" ")[0] not in SAME_OPTIONS]
            apart += ["their models' sizes"] if pretrained.config != scratch.config else []
            if apart:
                remarks.append(f"{rows[-1][0]}: they differ in more than their first weights ({', '.join(apart)}).")
    if not rows:
        return []
    head = (
        "difference of",
        "clips",
        "points of top-1",
        "95 % from",
        "to",
        "only the first right",
        "only the second",
        "p",
    )
    told = (
        "Both were tested on the same clips, so the difference is taken clip by clip. The interval covers other clips and"
        " other seeds of training; p is McNemar's exact test on the clips that only one of the two got right."
    )
    blocks: list[Block] = [*(Text(answer, "answer") for answer in answers), *table("Top-1, paired", head, rows)]
    blocks += [Text(told), *(Text(remark, "warning") for remark in remarks)]
    return [Section("Pre-trained against from scratch", tuple(blocks), "", " ".join(answers))]


def _outcomes(folder: Path) -> Outcomes:
    path = folder / "predictions.parquet"
    if not path.is_file():
        return {}
    rows = pq.read_table(path, columns=[*KEY, "correct"]).to_pylist()
    return {tuple(row[k] for k in KEY): row["correct"] for row in rows if row["correct"] is not None}


def _paired(first: Outcomes, second: Outcomes) -> tuple[tuple[str, ...], str] | None:
    """The cells of the table and the sentence; None where the two saw no clip in common."""
    from scipy.stats import binomtest

    same = [key for key in first if key in second]
    if not same:
        return None
    a, b = (np.array([[float(of[key]) for key in same]]) for of in (first, second))
    [apart] = differences({"first": a, "second": b})
    gained, lost = int((a > b).sum()), int((a < b).sum())
    p = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    cells = [f"{100 * value:+.1f}" for value in (apart.difference, apart.low, apart.high)]
    answer = (
        f"top-1 {percent(a.mean())} and {percent(b.mean())} on the same {count(len(same))} clips, a difference of"
        f" {cells[0]} points (95 % interval {cells[1]} to {cells[2]}; McNemar's p = {figure_of(p)})."
    )
    return (count(len(same)), *cells, count(gained), count(lost), figure_of(p)), answer
