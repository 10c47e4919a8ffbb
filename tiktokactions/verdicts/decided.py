"""The verdicts that people came to and that ``review apply`` wrote down: how they are kept, and what they make of a record.

They stand above the evidence: ``curate`` and ``redecide`` draw their own verdict first, then this one over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from tiktokactions.curation.decide import LIKE_TAKEN_DOWN
from tiktokactions.curation.options import CurateOptions
from tiktokactions.files import Place
from tiktokactions.records import Segment, VideoRecord
from tiktokactions.reviews.decisions import RELEASED, Verdict
from tiktokactions.reviews.items import segment_of
from tiktokactions.reviews.rows import from_row, insert, to_row
from tiktokactions.reviews.store import Store, store_path

CUT_EARLY = 0.25
"""Frames by which a segment that a person chose is cut early at both ends: its times lie on the frame rate's grid, those
in the file may be rounded (to milliseconds in Matroska), and a frame must not be missed for that."""


def applied_verdicts(dataset: Place) -> dict[str, Verdict]:
    """The verdicts in force, by video; none where nobody has reviewed the dataset."""
    return {verdict.video_id: verdict for verdict in _verdicts(dataset, "", ())}


def applied_verdict(dataset: Place, video_id: str) -> Verdict | None:
    return next(iter(_verdicts(dataset, "WHERE video_id=?", (video_id,))), None)


def _verdicts(dataset: Place, where: str, values: tuple[str, ...]) -> list[Verdict]:
    if not store_path(dataset).exists():
        return []
    store = Store(dataset)
    try:
        return [from_row(Verdict, row) for row in store.database.rows(f"SELECT * FROM verdicts {where}", values)]
    finally:
        store.close()


def write_verdicts(store: Store, changed: Mapping[str, Verdict], gone: Iterable[str]) -> None:
    """Put verdicts in force and take others out of it, all at once."""
    with store.database.write() as connection:
        connection.executemany("DELETE FROM verdicts WHERE video_id=?", [(video_id,) for video_id in gone])
        for verdict in changed.values():
            insert(connection, "verdicts", to_row(verdict), "INSERT OR REPLACE")


def with_verdict(record: VideoRecord, verdict: Verdict | None, options: CurateOptions) -> VideoRecord:
    """A record, its own verdict just drawn from the evidence, with what people said of it.

    A file that gave no usable evidence, and a scene too short for any clip, cannot be accepted by anybody: they keep
    their status and reasons.
    """
    if verdict is None:
        return _said(record, None)
    record = _said(record, verdict)
    if record.failure is not None:
        return record
    by = "human" if verdict.judgements or verdict.method != RELEASED else RELEASED
    twins = tuple(r for r in record.reasons if r.startswith("duplicate_of:") or r == LIKE_TAKEN_DOWN)
    if verdict.verdict == "reject":
        reason = "human_no_action" if verdict.no_action else f"{by}_rejected"
        return replace(record, status="rejected", reasons=(reason, *twins), segment=None)
    if verdict.start_s is not None and verdict.end_s is not None:
        segment: Segment | None = Segment(verdict.start_s, verdict.end_s)
    else:
        segment = segment_of(record, options)
    if segment is None:
        return record
    return replace(record, status="accepted", reasons=(f"{by}_accepted", *twins), segment=segment)


def _said(record: VideoRecord, verdict: Verdict | None) -> VideoRecord:
    """The record with what people said of its actions, or as nobody was asked."""
    record = replace(record, human_segments=(() if verdict is None else verdict.segments) or msgspec.UNSET)
    if verdict is None:
        return replace(record, human_labels=(), human_tags=(), human_answers=msgspec.UNSET)
    answers = msgspec.UNSET if verdict.answered is None else dict(verdict.answered)
    return replace(record, human_labels=verdict.labels or (), human_tags=verdict.tags, human_answers=answers)


def decided_by_people(record: VideoRecord) -> bool:
    return any(reason.startswith("human_") for reason in record.reasons)


def without_source(before: VideoRecord, decided: VideoRecord, verdict: Verdict | None) -> VideoRecord:
    """What a video becomes whose clip cannot be cut as people want it: it keeps the clip it has and waits, or, without
    any, stays rejected.

    ``decided``: the record with the verdict drawn from its evidence alone.
    """
    said = _said(decided, verdict)
    if before.clip is not None:
        return replace(said, status="needs_review", reasons=("source_missing",), segment=before.segment)
    reasons = decided.reasons if decided.status == "rejected" else ()
    return replace(said, status="rejected", reasons=(*reasons, "source_missing"), segment=None)


def for_cutting(record: VideoRecord) -> VideoRecord:
    """The record with the segment as it is to be cut; see :data:`CUT_EARLY`."""
    segment, probe = record.segment, record.probe
    chosen_by_person = segment is not None and segment.max_clip_s == 0
    if segment is None or probe is None or not chosen_by_person or probe.variable_frame_rate:
        return record
    early_s = CUT_EARLY / probe.fps
    return replace(record, segment=Segment(max(0.0, segment.start_s - early_s), segment.end_s - early_s))
