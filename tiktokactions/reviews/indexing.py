"""Reads the manifest into the index: which videos there are, their evidence, and the queue of those that need review."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tiktokactions.curation.decide import frame_scores, person_score, searched_frames
from tiktokactions.curation.options import CurateOptions
from tiktokactions.files import record_of
from tiktokactions.records import JsonObject
from tiktokactions.reviews.folding import catch_up, fold_those_judged, fold_videos, forget_decisions
from tiktokactions.reviews.golden import gold
from tiktokactions.reviews.index import INDEXES, ROWS_AT_ONCE, Index, VideoRow, forget, meta, set_meta, set_queue
from tiktokactions.reviews.order import Waiting, order_that_teaches
from tiktokactions.reviews.rows import in_view
from tiktokactions.reviews.store import Store, reviewers_per_video

_COLUMNS = ["source_path" if name == "file_name" else name for name in in_view(VideoRow, "manifest")]
_FROM_RECORDS = ["title", "detector", "clip_frame_scores", "person_score"]
"""A manifest of an earlier version of this program lacks some of these; the records are read then."""
ROWS_AT_FIRST = 50_000
"""Rows per transaction while nobody uses the index yet: large ones write each page of the file less often."""
CACHE_AT_FIRST_KB = 256_000


def index_manifest(index: Index, store: Store, report: Callable[[int], None] = lambda videos: None) -> bool:
    """Bring the index up to date with the manifest and the decisions; returns whether the manifest had changed.

    Rows are compared by a hash, and only the records of those that changed are read, so that a rebuild after some
    decisions takes seconds with 300,000 videos. Requests are served meanwhile: it writes in small transactions.
    ``report`` receives the number of rows read so far.
    """
    manifest = index.dataset / "manifest.parquet"
    stat = manifest.stat()
    state = f"{stat.st_size} {stat.st_mtime_ns} {person_settings(index.settings)}"
    changed = meta(index, "manifest") != state
    if changed:
        new = _update_videos(index, manifest, report)
        with index.database.write() as connection:
            for statement in INDEXES:
                connection.execute(statement)
        fold_those_judged(index, store, new)
        _count_labels(index)
        _update_review_queue(index)
        set_meta(index, "manifest", state)
    if meta(index, "reviewers_per_video") != str(reviewers_per_video(store)):
        forget_decisions(index)
        set_meta(index, "reviewers_per_video", str(reviewers_per_video(store)))
    catch_up(index, store)
    answers = gold(store)
    known = json.dumps([[g.video_id, g.verdict, g.labels] for g in answers.values()])
    if meta(index, "gold") != known:
        before = [row[0] for row in json.loads(meta(index, "gold") or "[]")]
        fold_videos(index, store, sorted({*before, *answers}))
        set_meta(index, "gold", known)
    return changed


def person_settings(settings: CurateOptions) -> str:
    return f"{settings.person_score} {settings.min_person_frames}"


def _update_videos(index: Index, manifest: Path, report: Callable[[int], None]) -> list[str]:
    """Returns the ids of the videos that were not there before."""
    import pyarrow.parquet as pq

    known = {row[0]: row[1] for row in index.database.rows("SELECT video_id, row_hash FROM videos")}
    rows_at_once = ROWS_AT_ONCE if known else ROWS_AT_FIRST
    about = person_settings(index.settings)
    changed: list[JsonObject] = []
    new: list[str] = []
    again: list[str] = []
    looked_at = 0
    with pq.ParquetFile(manifest) as file:
        is_told = set(_FROM_RECORDS) <= set(file.schema_arrow.names)
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[*_COLUMNS, *(_FROM_RECORDS if is_told else ())]):
            looked_at += batch.num_rows
            report(looked_at)
            for row in batch.to_pylist():
                said = msgspec.json.encode([about, *row.values()])
                row_hash = hashlib.blake2b(said, digest_size=12).hexdigest()
                before = known.pop(row["video_id"], None)
                if before is None:
                    new.append(row["video_id"])
                elif before != row_hash:
                    again.append(row["video_id"])
                if before != row_hash:
                    changed.append(_video_row(index, row if is_told else row | _told(index, row["video_id"]), row_hash))
                if len(changed) >= rows_at_once:
                    _write_videos(index, changed, again)
                    changed, again = [], []
    _write_videos(index, changed, again)
    forget(index, list(known))
    return new


def _told(index: Index, video_id: str) -> JsonObject:
    """The columns that a manifest of an earlier version lacks, from the record."""
    try:
        record = record_of(index.dataset, video_id)
    except (FileNotFoundError, ValueError):  # 'dataset verify' reports it; here the row of the manifest must be enough
        return {"title": None, "detector": None, "clip_frame_scores": [], "person_score": 1.0}
    return {
        "title": record.source.title,
        "detector": record.detector.name if record.detector is not None else None,
        "clip_frame_scores": frame_scores(searched_frames(record)),
        "person_score": person_score(record, index.settings),
    }


def _video_row(index: Index, row: JsonObject, row_hash: str) -> JsonObject:
    scores = row["clip_frame_scores"]
    wanted = max(1, index.settings.min_person_frames)
    # How far the score of the first frame that does not count, but would make the video qualify, is below the threshold.
    margin = row["person_score"] - scores[wanted - 1] if len(scores) >= wanted else None
    seen = row["detector"] not in (None, "none")
    best_score = max(scores, default=0.0) if seen and row["sampled_frames"] else None
    told = {name: row.get(name) for name in in_view(VideoRow, "manifest")}
    return told | {
        "row_hash": row_hash,
        "title": row["title"],
        "file_name": row["source_path"].replace("\\", "/").rsplit("/", 1)[-1],
        "best_score": best_score,
        "score_key": -1.0 if best_score is None else best_score,
        "duration_key": -1.0 if row["duration_s"] is None else row["duration_s"],
        "margin": margin if seen else None,
        "missing_frames": wanted - sum(score >= row["person_score"] for score in scores) if seen else None,
        **{name: msgspec.json.encode(row[name] or []).decode() for name in ("reasons", "labels", "human_labels")},
    }


def _write_videos(index: Index, rows: list[JsonObject], again: list[str]) -> None:
    """``again``: the ids of those that are in the index already."""
    if not rows:
        return
    names = list(rows[0])
    is_first = len(rows) > ROWS_AT_ONCE
    updates = ", ".join(f"{name}=excluded.{name}" for name in names[1:])
    with index.database.write() as connection:
        if is_first:
            connection.execute(f"PRAGMA cache_size=-{CACHE_AT_FIRST_KB}")
        connection.executemany(
            f"INSERT INTO videos({', '.join(names)}) VALUES({', '.join(':' + name for name in names)})"
            f" ON CONFLICT(video_id) DO UPDATE SET {updates}",
            rows,
        )
        connection.executemany("DELETE FROM labels WHERE video_id=?", [(video_id,) for video_id in again])
        for row in rows:
            labels = [*msgspec.json.decode(row["human_labels"]), *msgspec.json.decode(row["labels"])]
            of_video = [(label, row["video_id"]) for label in labels]
            connection.executemany("INSERT OR IGNORE INTO labels VALUES(?, ?)", of_video)
        texts = [(row["video_id"], searched_text(row)) for row in rows]
        connection.executemany("INSERT OR REPLACE INTO texts VALUES(?, ?)", texts)
        if is_first:
            connection.execute("PRAGMA cache_size=-2000")  # as it is by default


def searched_text(row: Mapping[str, object]) -> str:
    """What the gallery's text filter looks in: id, creator, title and file name, without regard to case."""
    return "\n".join(str(row[name] or "") for name in ("video_id", "creator", "title", "file_name")).casefold()


def _count_labels(index: Index) -> None:
    """The funnel of every label, counted once per change of the manifest: it reads every video."""
    rows = index.database.rows(
        "SELECT l.label, count(*), sum(v.status='accepted'), sum(v.status='needs_review'), sum(v.status='rejected')"
        " FROM labels l JOIN videos v USING(video_id) GROUP BY l.label"
    )
    with index.database.write() as connection:
        connection.execute("DELETE FROM funnel")
        connection.executemany("INSERT INTO funnel VALUES(?, ?, ?, ?, ?)", [tuple(row) for row in rows])
        connection.execute("PRAGMA analysis_limit=1000")
        connection.execute("ANALYZE")


def _update_review_queue(index: Index) -> None:
    """Put the videos that need review in order. Those that people decided stay in it, closed, so that a further
    judgement can be asked for later."""
    rows = index.database.rows(
        "SELECT video_id, labels, missing_frames, margin FROM videos"
        " WHERE status='needs_review' OR reasons LIKE '%human_%' OR reasons LIKE '%source_missing%'"
    )
    accepted = {row[0]: row[1] for row in index.database.rows("SELECT label, accepted FROM funnel")}
    waiting = [Waiting(i, next(iter(json.loads(labels)), ""), missing, margin) for i, labels, missing, margin in rows]
    set_queue(index, "review", order_that_teaches(waiting, accepted))
