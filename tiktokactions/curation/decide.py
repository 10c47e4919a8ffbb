"""From evidence to verdict: pure functions of a record and the settings, so a new threshold needs no decoding."""

from __future__ import annotations

from dataclasses import replace

from tiktokactions.curation.evidence import decode_motion
from tiktokactions.curation.options import CurateOptions, decision_fingerprint
from tiktokactions.curation.segment import choose_segment, fits_whole, relevance_per_second
from tiktokactions.errors import UsageError
from tiktokactions.records import Quality, Segment, Status, VideoRecord


def decide(record: VideoRecord, options: CurateOptions, duplicate_of: str | None = None) -> VideoRecord:
    """The record with a new ``status``, ``reasons`` and ``segment`` from its evidence; its ``clip`` stays.

    The checks in order: usable at all, long enough, quality thresholds, duplicates, people. A video that fails several of
    the middle ones gets every reason.
    """
    status, reasons = verdict(record, options, duplicate_of)
    segment = propose_segment(record, options) if status != "rejected" else None
    made_with = decision_fingerprint(options)
    return replace(record, status=status, reasons=tuple(reasons), segment=segment, decision_fingerprint=made_with)


def verdict(record: VideoRecord, options: CurateOptions, duplicate_of: str | None = None) -> tuple[Status, list[str]]:
    """Only status and reasons; cheaper than :func:`decide`, which also proposes the segment."""
    if record.failure is not None:
        return "rejected", [record.failure]
    scene = record.scene
    if scene is None or record.probe is None:
        raise UsageError(
            f"record {record.video_id} has neither a failure nor a scene: it is incomplete, curate it again"
        )
    reasons = []
    # Time stamps are rounded to the container's clock: a scene of 105 frames at 30 fps may measure 3.499 s.
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
    """The score from which a box counts: the option, else the default of the detector that found it."""
    if options.person_score is not None:
        return options.person_score
    return record.detector.default_score if record.detector is not None else 1.0


def person_frames(record: VideoRecord, options: CurateOptions) -> int:
    """How many sampled frames show at least one person."""
    return sum(score >= person_score(record, options) for score in frame_scores(record))


def frame_scores(record: VideoRecord) -> list[float]:
    """The highest score of a person in each sampled frame, best frame first."""
    return sorted((max((p.score for p in s.people), default=0.0) for s in record.samples), reverse=True)


def propose_segment(record: VideoRecord, options: CurateOptions) -> Segment:
    """Where the clip lies in the source; a proposal for videos under review.

    The record keeps its segment if that was chosen with the same settings, or would be the same again.
    """
    scene, probe, old = record.scene, record.probe, record.segment
    assert scene is not None and probe is not None and record.motion is not None
    threshold, longest_s = person_score(record, options), options.max_clip_s
    if old is not None and (old.person_score, old.max_clip_s) == (threshold, longest_s):
        return old
    if fits_whole(scene, longest_s, 1 / probe.fps):
        chosen = Segment(scene.start_s, scene.end_s)
    else:
        grid = decode_motion(record.motion)
        relevance = relevance_per_second(grid, record.samples, scene.start_s, probe.width, probe.height, threshold)
        chosen = choose_segment(scene, relevance, longest_s)
    if old is not None and (old.start_s, old.end_s) == (chosen.start_s, chosen.end_s):
        return old
    return replace(chosen, person_score=threshold, max_clip_s=longest_s)
