"""What ``review suggest`` found, as the queue serves it and the page shows it: an order of clips, and which ones look alike.

It lies in the index, is derived from the dataset, and is made again by the same command.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.copies.of_dataset import read_pairs
from tiktokactions.errors import UsageError
from tiktokactions.files import located
from tiktokactions.records import JsonObject
from tiktokactions.reviews.agreement import sampled_videos
from tiktokactions.reviews.consensus import Consensus
from tiktokactions.reviews.decisions import EVERY_OTHER
from tiktokactions.reviews.golden import gold
from tiktokactions.reviews.index import Index, set_queue
from tiktokactions.reviews.order import scramble
from tiktokactions.reviews.store import Store
from tiktokactions.reviews.suspects import NEAREST, Doubts, Labelled

QUEUE = "suggested"


@dataclass(frozen=True)
class Suspect:
    """A clip that somebody should look at."""

    video_id: str
    status: str
    labels: list[str]
    score: float
    """0 to 1, low ones first: the quality of its most doubtful label, or how far the two most probable ones are apart."""
    label: str = ""
    """The label that is most doubtful; empty where the order is by uncertainty."""
    likely_wrong: bool = False
    """Confident learning counts it among the errors."""
    instead: str = ""
    """What it may show instead."""


@dataclass(frozen=True)
class Suggested:
    dataset: str
    by: str
    clips: int
    """In the order."""
    likely_wrong: int
    settled: int
    """Clips that people have settled: they are learned from and not in the order."""
    without_features: int
    too_small: dict[str, int]
    """Labels that were not judged, and the groups of clips that have them: fewer than folds, or almost all."""
    look_alikes: int
    """Clips that have look-alikes among the others."""
    suspects: list[Suspect]
    """All of them, in order."""


def settled_labels(row: JsonObject, outcome: Consensus | None) -> dict[str, bool] | None:
    """The labels of a row of the manifest that people answered, yes or no; None where they rejected the clip.

    What they decided here counts, else what was applied, which may come from a release.
    """
    if outcome is not None and outcome.verdict == "reject":
        return None
    answers = dict(row["human_answers"] or ())
    if outcome is not None:
        answers = outcome.answers
    elif row["human_labels"] is not None and not answers:
        answers = dict.fromkeys(row["human_labels"], "yes") | {EVERY_OTHER: "no"}
    if answers.get(EVERY_OTHER) == "no":
        answers = dict.fromkeys(row["labels"], "no") | answers
    return {label: said == "yes" for label, said in answers.items() if said in ("yes", "no") and label != EVERY_OTHER}


def ranked(
    rows: Sequence[JsonObject], clips: Labelled, found: Doubts, margin: np.ndarray | None = None
) -> list[Suspect]:
    """Clips with a label that nobody has settled, the most doubtful first; with ``margin`` (N,) those whose two most
    probable labels are least apart. nan: not ranked."""
    score = found.score if margin is None else margin
    open_ones = [i for i in range(len(rows)) if not np.isnan(score[i]) and not is_settled(clips, i)]
    suspects = []
    for i in sorted(open_ones, key=lambda i: (score[i], scramble(rows[i]["video_id"]))):
        doubt = (found.label[i], bool(found.likely_wrong[i]), found.instead[i]) if margin is None else ()
        of_clip = (rows[i]["video_id"], rows[i]["status"], list(clips.given[i]), float(score[i]))
        suspects.append(Suspect(*of_clip, *doubt))
    return suspects


def is_settled(clips: Labelled, place: int) -> bool:
    """Whether people answered all labels of a clip."""
    told = clips.settled[place]
    return bool(told) and told.keys() >= set(clips.given[place])


def predicted_margins(path: Path) -> dict[str, float]:
    """How far apart a classifier sees its two best labels, by video: from what ``predict`` printed as JSON, or from the
    ``predictions.parquet`` of ``evaluate``. Of several windows of a video the least certain counts.

    Raises:
        UsageError: neither of these.
    """
    found: dict[str, float] = {}
    try:
        if path.suffix == ".parquet":
            said = [(r["path"], r["probabilities"]) for r in pq.read_table(path).to_pylist()]
        else:
            rows = json.loads(path.read_text(encoding="utf-8"))
            said = [(row["path"], [label["probability"] for label in row["top"]]) for row in rows]
        for name, probabilities in said:
            if probabilities:  # none of a video that cannot be read
                first, second = sorted(probabilities, reverse=True)[:2]
                found[Path(name).stem] = min(found.get(Path(name).stem, 1.0), first - second)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        told = f"{path}: expected the JSON of 'predict' with two labels or more, or predictions.parquet of 'evaluate'"
        raise UsageError(f"{told} ({error})") from error
    return found


def keep_suggestions(
    index: Index, order: Sequence[str], wrong: Mapping[str, float], alike: Iterable[tuple[str, str, float]]
) -> None:
    """Put an order into the queue :data:`QUEUE`, how likely each clip is wrong, and which clips look alike."""
    set_queue(index, QUEUE, order)
    with index.database.write() as connection:
        for table, rows in (("doubts(video_id, wrong)", wrong.items()), ("alike(video_id, other, distance)", alike)):
            connection.execute(f"DELETE FROM {table.partition('(')[0]}")
            marks = ", ".join("?" * (table.count(",") + 1))
            connection.executemany(f"INSERT OR IGNORE INTO {table} VALUES({marks})", rows)


def has_suggestions(index: Index) -> bool:
    return index.database.first("SELECT 1 FROM queue WHERE queue=? LIMIT 1", (QUEUE,)) is not None


def look_alikes_of(index: Index, store: Store, reviewer: str, video_id: str) -> dict[str, bool]:
    """Clips that look like one, and whether each is a copy of it (the same footage): copies first, then the nearest.

    Without clips that the person has judged, and those by which people or labels are measured: gold items and the quality
    sample are looked at one by one.
    """
    measured = {*gold(store), *sampled_videos(store)}
    if video_id in measured:
        return {}
    copies = {b if a == video_id else a for m in read_pairs(located(index.dataset)) if video_id in (a := m.a, b := m.b)}
    sql = "SELECT other FROM alike WHERE video_id=?1 UNION SELECT video_id FROM alike WHERE other=?1"
    near = "SELECT min(distance) FROM alike a WHERE (a.video_id, a.other) IN ((?2, v.video_id), (v.video_id, ?2))"
    ids = sorted(copies | {row[0] for row in index.database.rows(sql, (video_id,))})
    rows = index.database.rows(
        f"SELECT v.video_id, ({near}) AS distance FROM videos v WHERE v.video_id IN (SELECT value FROM json_each(?1))"
        " AND v.clip_path NOTNULL AND NOT v.closed AND NOT EXISTS (SELECT 1 FROM judged j WHERE j.video_id=v.video_id"
        " AND j.reviewer=?3 AND j.verdict NOTNULL)",
        (json.dumps(ids), video_id, reviewer),
    )
    found = [(row[0], row[1]) for row in rows if row[0] not in measured]
    found.sort(key=lambda at: (at[0] not in copies, at[1] is None, at[1] or 0.0, at[0]))
    return {other: other in copies for other, _ in found[:NEAREST]}
