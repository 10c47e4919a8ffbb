"""One video as it is shown for judging, and the check of a decision against it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tiktokactions.curation.decide import person_frames, person_score, propose_segment, searched_frames
from tiktokactions.curation.options import CurateOptions
from tiktokactions.files import is_address, poster_path, record_of, strip_path
from tiktokactions.records import ActionSegment, Segment, VideoRecord
from tiktokactions.reviews.decisions import Decision, DecisionError, checked_decision, labels_in

_VIDEO_ID = re.compile(r"[^./\\\0][^/\\\0]{0,198}")


class UnknownVideoError(DecisionError):
    """No such video in the dataset."""


@dataclass(frozen=True)
class ReviewItem:
    """A video with everything its page shows. Paths are absolute and exist, or are None."""

    record: VideoRecord
    person_score: float
    """Boxes count as people from this score on."""
    min_clip_s: float
    max_clip_s: float
    segment: Segment | None
    """The clip's place in the source: as people chose it, else as proposed; None where no scene is long enough."""
    scene: int | None
    """The scene that holds the segment, else the longest."""
    why: str
    """What became of it and why, as a sentence; not for those who have yet to judge it."""
    evidence: str
    """What was seen in it, whatever became of it."""
    clip_path: Path | None
    source_path: Path | None
    """Outside the dataset folder: served only by the video's id."""
    source: str | None
    """What a stand-in can be made from: ``source_path``, else an address on an object store, which was not checked."""
    poster_path: Path | None
    strip_path: Path | None


DOUBTS = {
    "small_people": "they are small",
    "screen": "it may be a filmed screen",
    "still_people": "they move less than the rest of the picture",
    "static": "it is a still picture, or a zoom over one",
}
"""Why a clip that shows enough people should be looked at all the same."""


def review_item(dataset: Path, settings: CurateOptions, video_id: str) -> ReviewItem:
    """Read a video's record.

    Raises:
        UnknownVideoError: no record of this id.
        ValueError: the record is damaged.
    """
    record = known_record(dataset, video_id)
    segment = segment_of(record, settings)
    clip = dataset / record.clip.path if record.clip is not None else None
    places = (record.source.path, *record.source.copies)
    source = next((path for path in map(Path, places) if path.is_file()), None)
    scene = record.longest_scene if segment is None else scene_of(record, segment.start_s, segment.end_s)
    return ReviewItem(
        record=record,
        person_score=person_score(record, settings),
        min_clip_s=settings.min_clip_s,
        max_clip_s=settings.max_clip_s,
        segment=segment,
        scene=record.longest_scene if scene is None else scene,
        why=why(record, settings),
        evidence=evidence(record, settings),
        clip_path=_existing(clip),
        source_path=source,
        source=next(filter(is_address, places), None) if source is None else str(source),
        poster_path=_existing(poster_path(dataset, video_id)),
        strip_path=_existing(strip_path(dataset, video_id)),
    )


def known_record(dataset: Path, video_id: str) -> VideoRecord:
    """Raises :class:`UnknownVideoError` for anything that is not the id of a record, such as a path."""
    try:
        record = record_of(dataset, video_id) if _VIDEO_ID.fullmatch(video_id) else None
    except (FileNotFoundError, UnicodeEncodeError):
        record = None
    if record is None or record.video_id != video_id:
        raise UnknownVideoError(f"video {video_id[:80]!r}: not in this dataset")
    return record


def segment_of(record: VideoRecord, settings: CurateOptions) -> Segment | None:
    """The segment that accepting the video would cut, None where its scenes are too short or it is unusable."""
    if record.segment is not None:
        return record.segment
    scene = record.scene
    if record.failure is not None or scene is None or record.probe is None or record.motion is None:
        return None
    long_enough = scene.duration_s >= settings.min_clip_s - 0.25 / record.probe.fps
    return propose_segment(record, settings) if long_enough else None


def scene_of(record: VideoRecord, start_s: float, end_s: float) -> int | None:
    """The scene that holds a segment, give or take half a frame."""
    slack = 0.5 / record.probe.fps if record.probe is not None else 0.0
    for number, scene in enumerate(record.scenes):
        if scene.start_s - slack <= start_s and end_s <= scene.end_s + slack:
            return number
    return None


def evidence(record: VideoRecord, settings: CurateOptions) -> str:
    """What was seen in a video: nothing from which its status, or a known answer, could be read."""
    if not searched_frames(record) or record.detector is None or record.detector.name == "none":
        return "nobody has looked for people in it yet"
    return f"people in {person_frames(record, settings)} of {len(searched_frames(record))} frames"


def why(record: VideoRecord, settings: CurateOptions) -> str:
    """What became of a video, and why a person should look at it."""
    reasons = [reason.partition(":")[0] for reason in record.reasons]
    if "source_missing" in reasons:
        return "accepted by people, but its source is gone and the clip cannot be cut"
    if "no_detector" in reasons:
        return "nobody has looked for people in it yet"
    seen = evidence(record, settings)
    if "few_person_frames" in reasons:
        return f"{seen}, {settings.min_person_frames} needed"
    if doubts := [doubt for reason, doubt in DOUBTS.items() if reason in reasons]:
        return f"{seen}, but {' and '.join(doubts)}"
    if record.status == "accepted":
        return f"accepted by people; {seen}" if "human_accepted" in reasons else f"accepted: {seen}"
    return "rejected: " + ", ".join(reasons).replace("_", " ")


def check_decision(record: VideoRecord, settings: CurateOptions, new: Decision) -> Decision:
    """A decision that fits its video; a segment is moved onto the source's frames, its scene filled in.

    Raises:
        DecisionError: it makes no sense in itself, there is no such scene, or the segment is too short, too long, or not
            inside one scene.
    """
    is_explicit, new = new.answers is not None, with_all_answers(record, new)
    new = _with_segments(record, settings, new, (new.answers if is_explicit else None) or {})
    if new.scene is not None and not 0 <= new.scene < len(record.scenes):
        raise DecisionError(f"scene: got {new.scene}, expected 0 to {len(record.scenes) - 1}")
    if new.start_s is None or new.end_s is None or record.probe is None:
        if new.scene is not None and new.scene != record.longest_scene and new.verdict == "accept":
            raise DecisionError("scene: another scene than the proposed one needs start_s and end_s of its segment too")
        return new if record.probe is not None else replace(new, scene=None, start_s=None, end_s=None)
    frame_s = 1 / record.probe.fps
    start_s, end_s = on_frames(record, new.start_s, new.end_s)
    length_s = end_s - start_s
    if not settings.min_clip_s - 0.5 * frame_s <= length_s <= settings.max_clip_s + 0.5 * frame_s:
        raise DecisionError(
            f"segment: got {length_s:.3f} s ({start_s:.3f} to {end_s:.3f}), expected"
            f" {settings.min_clip_s:g} to {settings.max_clip_s:g} s"
        )
    scene = scene_of(record, start_s, end_s)
    if scene is None or (new.scene is not None and scene != new.scene):
        where = "one scene" if new.scene is None else f"scene {new.scene}"
        raise DecisionError(f"segment: {start_s:.3f} to {end_s:.3f} s does not lie inside {where} of the video")
    held = record.scenes[scene]
    start_s = held.start_s if start_s - held.start_s < 0.5 * frame_s else start_s
    end_s = held.end_s if held.end_s - end_s < 0.5 * frame_s else end_s
    return replace(new, scene=scene, start_s=start_s, end_s=end_s)


def with_all_answers(record: VideoRecord, new: Decision) -> Decision:
    """The decision with an answer for every hashtag of its video, where it says anything about actions: ``no`` where its
    labels are all that was seen, or nobody acts; ``not_asked`` where it answers label by label."""
    closed = new.answers is None
    new = checked_decision(replace(new, labels=()) if new.no_action and closed else new)
    if new.answers is None:
        return new
    rest = dict.fromkeys(record.labels, "no" if closed else "not_asked")
    return replace(new, answers=new.answers | {label: said for label, said in rest.items() if label not in new.answers})


def _with_segments(
    record: VideoRecord, settings: CurateOptions, new: Decision, explicit: Mapping[str, str]
) -> Decision:
    """The decision with its further segments on the source's frames. In an accepted clip their labels are yes where they
    lie in it; ``explicit`` answers to the contrary are refused."""
    if not new.segments or record.probe is None:
        return replace(new, segments=())
    slack_s, ends_s = 0.5 / record.probe.fps, record.probe.duration_s
    moved: list[ActionSegment] = []
    for part in new.segments:
        start_s, end_s = on_frames(record, part["start_s"], part["end_s"])
        if not start_s < end_s <= ends_s + slack_s:
            raise DecisionError(
                f"segments: {start_s:.3f} to {end_s:.3f} s does not lie inside the video ({ends_s:.3f} s)"
            )
        moved.append({"start_s": start_s, "end_s": min(end_s, ends_s), "labels": part["labels"]})
    new = replace(new, segments=tuple(moved))
    proposed = segment_of(record, settings)
    clip = Segment(new.start_s, new.end_s) if new.start_s is not None and new.end_s is not None else proposed
    if clip is None or new.verdict != "accept":
        return new
    here = [p for p in moved if min(p["end_s"], clip.end_s) - max(p["start_s"], clip.start_s) > slack_s]
    labels = dict.fromkeys((label for part in here for label in part["labels"]), "yes")
    if denied := [label for label in labels if explicit.get(label) == "no"]:
        raise DecisionError(f"segments: {denied[0]} is marked in the clip, and answered with no; leave one of the two")
    answers = (new.answers or dict.fromkeys(record.labels, "not_asked")) | labels
    return replace(new, answers=answers, labels=labels_in(answers)) if labels else new


def on_frames(record: VideoRecord, start_s: float, end_s: float) -> tuple[float, float]:
    """A segment moved to the nearest frame times, so that its clip holds a whole number of frames; sources whose frames
    are unevenly spaced are left as they are."""
    probe = record.probe
    if probe is None or probe.variable_frame_rate:
        return start_s, end_s
    rate = probe.frame_rate
    return float(round(start_s * rate) / rate), float(round(end_s * rate) / rate)


def _existing(path: Path | None) -> Path | None:
    return path if path is not None and path.is_file() else None
