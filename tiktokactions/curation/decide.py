"""From evidence to verdict: pure functions of a record and the settings, so a new threshold needs no decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tiktokactions.curation.evidence import decode_motion
from tiktokactions.curation.options import CurateOptions, decision_fingerprint
from tiktokactions.curation.segment import best_score, choose_segment, fits_whole, relevance_per_step
from tiktokactions.errors import UsageError
from tiktokactions.records import ClipFile, Quality, Sample, Segment, Status, VideoRecord

LIKE_TAKEN_DOWN = "like_taken_down"
STATIC_SHARE = 0.95
"""A scene is a still picture if this share of its frames repeats the one before (ten a second in a file of 60: 0.83)."""
ZOOMED_SHARE = 0.7


def decide(record: VideoRecord, options: CurateOptions, duplicate_of: str | None = None) -> VideoRecord:
    """The record with a new ``status``, ``reasons`` and ``segment`` from its evidence; its ``clip`` stays.

    The checks in order: usable at all, long enough, quality thresholds, duplicates, people. A video that fails several of
    the middle ones gets every reason. Until the clip of a segment is cut, the scene's frames stand for the clip's. Whoever
    was held back for what was taken down stays so.
    """
    decided = _decided(record, options, duplicate_of)
    if LIKE_TAKEN_DOWN not in record.reasons:
        return decided
    if decided.status == "accepted":
        return replace(decided, status="needs_review", reasons=(LIKE_TAKEN_DOWN,))
    return replace(decided, reasons=(*decided.reasons, LIKE_TAKEN_DOWN))


def _decided(record: VideoRecord, options: CurateOptions, duplicate_of: str | None) -> VideoRecord:
    reasons = refusals(record, options, duplicate_of)
    made_with = decision_fingerprint(options)
    if reasons:
        return replace(record, status="rejected", reasons=tuple(reasons), segment=None, decision_fingerprint=made_with)
    segment = propose_segment(record, options)
    status, *reasons = _by_content(replace(record, segment=segment, clip=clip_of(record, segment)), options)
    return replace(record, status=status, reasons=tuple(reasons), segment=segment, decision_fingerprint=made_with)


def refusals(record: VideoRecord, options: CurateOptions, duplicate_of: str | None = None) -> list[str]:
    """Why a video is rejected whoever is in it; empty if it is not."""
    if record.failure is not None:
        return [record.failure]
    scene = record.scene
    if scene is None or record.probe is None:
        raise UsageError(
            f"record {record.video_id} has neither a failure nor a scene: it is incomplete, curate it again"
        )
    is_damaged = record.probe.corrupt_frames > 0
    if is_damaged and options.damaged == "reject":
        return ["corrupt"]
    reasons = []
    if options.ai_labelled != "keep" and bool(record.source.metadata.get("ai_label")) == (
        options.ai_labelled == "drop"
    ):
        reasons.append("ai_labelled")
    # Time stamps are rounded to the container's clock: a scene of 105 frames at 30 fps may measure 3.499 s.
    if scene.duration_s < options.min_clip_s - 0.25 / record.probe.fps:
        reasons.append("corrupt" if is_damaged else "too_short")
    if record.quality is not None:
        reasons += _quality_reasons(record.quality, options)
    if duplicate_of is not None and not options.keep_duplicates:
        reasons.append(f"duplicate_of:{duplicate_of}")
    return reasons


def _by_content(record: VideoRecord, options: CurateOptions) -> tuple[Status, *tuple[str, ...]]:
    """Status and reasons."""
    status, *reasons = _by_people(record, options)
    quality = record.quality
    is_still = quality is not None and (quality.static_share >= STATIC_SHARE or quality.zoomed_share >= ZOOMED_SHARE)
    if status == "accepted" and is_still and options.static == "review":
        return "needs_review", "static"
    if status == "accepted" and quality and options.max_screen is not None and quality.screen > options.max_screen:
        return "needs_review", "screen"
    return status, *reasons


def _by_people(record: VideoRecord, options: CurateOptions) -> tuple[Status, *tuple[str, ...]]:
    if options.min_person_frames == 0:
        return "accepted", "people_not_required"
    if detects_nobody(record):
        return "needs_review", "no_detector"
    if person_frames(record, options) < options.min_person_frames:
        return "needs_review", "few_person_frames"
    # Clips of before have no scores: what is not known holds nothing against them.
    scores = (
        ("small_people", record.clip and record.clip.person_share, options.min_person_share),
        ("still_people", record.clip and record.clip.person_motion, options.min_person_motion),
    )
    doubts = [name for name, score, least in scores if isinstance(score, float) and least is not None and score < least]
    return ("needs_review", *doubts) if doubts else ("accepted", "enough_people")


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


def detects_nobody(record: VideoRecord) -> bool:
    """Whether nobody has looked for people, and nobody will."""
    return record.detector is None or record.detector.name == "none"


def searched_frames(record: VideoRecord) -> tuple[Sample, ...]:
    """The frames that the verdict is drawn on: the clip's; the scene's where there is no clip yet, or one of before."""
    return (record.clip is not None and record.clip.searched) or record.samples


def person_frames(record: VideoRecord, options: CurateOptions) -> int:
    """How many of the frames that the verdict is drawn on show at least one person."""
    return people_in(searched_frames(record), person_score(record, options))


def people_in(samples: Sequence[Sample], person_score: float) -> int:
    """How many of these frames show a person with at least this score."""
    return sum(score >= person_score for score in frame_scores(samples))


def frame_scores(samples: Sequence[Sample]) -> list[float]:
    """The highest score of a person in each sampled frame, best frame first."""
    return sorted((best_score(sample) for sample in samples), reverse=True)


def clip_of(record: VideoRecord, segment: Segment) -> ClipFile | None:
    """The clip of a record if it shows this segment."""
    old = record.segment
    return record.clip if old is not None and (old.start_s, old.end_s) == (segment.start_s, segment.end_s) else None


def propose_segment(record: VideoRecord, options: CurateOptions, looks: Sequence[Sample] = ()) -> Segment:
    """Where the clip lies in the source; a proposal for videos under review.

    The record keeps its segment if that was chosen with the same settings, or would be the same again. Every choice of a
    segment comes by here. ``looks``: further frames of the scene and who is in them.
    """
    scene, probe, old = record.scene, record.probe, record.segment
    assert scene is not None and probe is not None and record.motion is not None
    threshold, longest_s = person_score(record, options), options.max_clip_s
    if not looks and old is not None and (old.person_score, old.max_clip_s) == (threshold, longest_s):
        return old
    if fits_whole(scene, longest_s, 1 / probe.fps):
        chosen = Segment(scene.start_s, scene.end_s)
    else:
        known = [*record.samples, *looks, *(record.clip.searched if record.clip is not None else ())]
        known = sorted((s for s in known if scene.start_s <= s.time_s < scene.end_s), key=lambda sample: sample.time_s)
        grid = decode_motion(record.motion)
        relevance = relevance_per_step(grid, known, scene, probe.width, probe.height, threshold)
        chosen = choose_segment(scene, relevance, longest_s)
    if old is not None and (old.start_s, old.end_s) == (chosen.start_s, chosen.end_s):
        return old
    return replace(chosen, person_score=threshold, max_clip_s=longest_s)
