"""From evidence to verdict: pure functions of a record and the settings, so that a changed threshold needs no decoding."""

from __future__ import annotations

from dataclasses import replace

from tiktokactions.curation.evidence import decode_motion
from tiktokactions.curation.options import CurateOptions, decision_fingerprint
from tiktokactions.curation.segment import choose_segment, fits_whole, relevance_per_second
from tiktokactions.errors import UsageError
from tiktokactions.records import Quality, Segment, Status, VideoRecord


def decide(record: VideoRecord, options: CurateOptions, duplicate_of: str | None = None) -> VideoRecord:
    """The record with ``status``, ``reasons`` and ``segment`` drawn anew from its evidence; ``clip`` is left as it was.

    Checks in order: usable at all, long enough, quality thresholds, duplicates, people. A video that fails several of the
    middle ones carries every reason.
    """
    status, reasons = verdict(record, options, duplicate_of)
    segment = propose_segment(record, options) if status != "rejected" else None
    return replace(
        record,
        status=status,
        reasons=tuple(reasons),
        segment=segment,
        decision_fingerprint=decision_fingerprint(options),
    )


def verdict(record: VideoRecord, options: CurateOptions, duplicate_of: str | None = None) -> tuple[Status, list[str]]:
    """Status and reasons alone; cheaper than :func:`decide`, which also proposes the segment."""
    if record.failure is not None:
        return "rejected", [record.failure]
    scene = record.scene
    if scene is None or record.probe is None:
        raise UsageError(
            f"record {record.video_id} has neither a failure nor a scene: it is incomplete, curate it again"
        )
    reasons = []
    # Time stamps are rounded to the container's clock: a scene of 105 frames at 30 fps is 3.5 s, not 3.499.
    if scene.duration_s < options.min_clip_s - 0.25 / record.probe.fps:
        reasons.append("too_short")
    if record.quality is not None:
        reasons += _quality_reasons(record.quality, options)
    if duplicate_of is not None and not options.keep_duplicates:
        reasons.append(f"duplicate_of:{duplicate_of}")
    if reasons:
        return "rejected", reasons
    if options.min_person_frames == 0:
        return "accepted", ["people_not_required"]
    if record.detector is None or record.detector.name == "none":
        return "needs_review", ["no_detector"]
    if person_frames(record, options) >= options.min_person_frames:
        return "accepted", ["enough_people"]
    return "needs_review", ["few_person_frames"]


def _quality_reasons(quality: Quality, options: CurateOptions) -> list[str]:
    left, top, right, bottom = quality.borders
    border_share = 1 - max(0.0, 1 - left - right) * max(0.0, 1 - top - bottom)
    checks = {
        "static": options.max_static_share is not None and quality.static_share > options.max_static_share,
        "borders": options.max_border is not None and border_share > options.max_border,
        "dark": options.min_brightness is not None and quality.brightness < options.min_brightness,
        "blurred": options.min_sharpness is not None and quality.sharpness < options.min_sharpness,
        "orientation": options.orientation not in ("any", quality.orientation),
    }
    return [reason for reason, rejected in checks.items() if rejected]


def person_score(record: VideoRecord, options: CurateOptions) -> float:
    """The score from which a box counts: the option, else the default of the detector that saw it."""
    if options.person_score is not None:
        return options.person_score
    return record.detector.default_score if record.detector is not None else 1.0


def person_frames(record: VideoRecord, options: CurateOptions) -> int:
    """How many sampled frames show at least one person."""
    threshold = person_score(record, options)
    return sum(any(person.score >= threshold for person in sample.people) for sample in record.samples)


def frame_scores(record: VideoRecord) -> list[float]:
    """The score of the surest person in each sampled frame, best frame first."""
    return sorted((max((p.score for p in s.people), default=0.0) for s in record.samples), reverse=True)


def propose_segment(record: VideoRecord, options: CurateOptions) -> Segment:
    """The clip's place in the source, for accepted videos and as a proposal for those under review.

    The record's own segment is kept where it was chosen under the same settings, or would lie in the same place.
    """
    assert record.scene is not None and record.probe is not None and record.motion is not None
    frame_s, threshold, old = 1 / record.probe.fps, person_score(record, options), record.segment
    if old is not None and (old.person_score, old.max_clip_s) == (threshold, options.max_clip_s):
        return old
    chosen = replace(
        _choose(record, options, threshold, frame_s), person_score=threshold, max_clip_s=options.max_clip_s
    )
    return old if old is not None and (old.start_s, old.end_s) == (chosen.start_s, chosen.end_s) else chosen


def _choose(record: VideoRecord, options: CurateOptions, threshold: float, frame_s: float) -> Segment:
    assert record.scene is not None and record.probe is not None and record.motion is not None
    if fits_whole(record.scene, options.max_clip_s, frame_s):
        return Segment(record.scene.start_s, record.scene.end_s)
    relevance = relevance_per_second(
        decode_motion(record.motion),
        record.samples,
        record.scene.start_s,
        record.probe.width,
        record.probe.height,
        threshold,
    )
    return choose_segment(record.scene, relevance, options.max_clip_s)
