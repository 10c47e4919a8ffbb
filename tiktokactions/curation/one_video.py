"""One video from file to record: decode once, look for people, decide, cut. It can be run twice or killed at any time."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np

from tiktokactions import __version__, files, video
from tiktokactions.curation.decide import decide, detects_nobody, people_in, person_score, propose_segment
from tiktokactions.curation.description import Description, describe, middle_of, slot
from tiktokactions.curation.detectors import Detect
from tiktokactions.curation.engines import copy_here
from tiktokactions.curation.evidence import Evidence, KeptFrame, decode_motion, gather_evidence
from tiktokactions.curation.options import CurateOptions, clip_fingerprint, decision_fingerprint, evidence_fingerprint
from tiktokactions.curation.people import ResolvedDetector, open_detector
from tiktokactions.curation.quality import frame_hashes, measure_quality
from tiktokactions.curation.scenes import sample_indices
from tiktokactions.curation.screens import screen_score
from tiktokactions.curation.segment import doubtful_times, person_motion, person_share
from tiktokactions.curation.still import evenly_moved_share
from tiktokactions.curation.transnet import open_network
from tiktokactions.files import Place
from tiktokactions.machine import NO_SPACE
from tiktokactions.records import ClipFile, PersonBox, Probe, Sample, Segment, Source, VideoRecord

SEARCH_ROUNDS = 4
"""How often the segment may move, or what is known of its people be refined, before it is cut."""
STRIP_HEIGHT_PX = 160
JPEG_QUALITY = 85
THUMBNAIL_LONG_SIDE_PX = 416


def curate_video(
    path: str | os.PathLike[str],
    options: CurateOptions,
    detector: ResolvedDetector,
    dataset: Place,
    video_id: str,
    source: Source | None = None,
    detect: Detect | None = None,
    copy: object = None,
) -> VideoRecord:
    """Curate one file into ``dataset`` (clip and thumbnails) and return its record, which the caller writes.

    ``detect`` looks for people in place of the detector's own model, for example on a GPU elsewhere. An object of a store is
    copied to this machine for as long as that takes, unless ``copy`` is what was fetched of it already
    (:class:`~tiktokactions.curation.resume.Fetched`), which is gone afterwards.

    The result depends only on the file and the arguments. A file that cannot be used gives a rejected record, not an error.

    Raises:
        OSError: the dataset folder cannot be written to (the disk is full).
        StoreError: the object store does not answer.
    """
    began = time.perf_counter()
    source = source or Source(path=files.absolute(os.fspath(path)))
    record = VideoRecord(
        video_id=video_id,
        source=source,
        detector=detector.info,
        evidence_fingerprint=evidence_fingerprint(options, detector.info),
        decision_fingerprint=decision_fingerprint(options),
        versions={"tiktokactions": __version__} | video.library_versions(),
    ).with_source(source)
    timings: dict[str, float] = {}
    local: Path | None = None
    try:
        with copy_here(os.fspath(path), copy) as local:
            if files.is_address(os.fspath(path)):
                timings["fetch"] = time.perf_counter() - began
            if os.stat(local).st_size == 0:
                raise video.VideoError("empty_file", "zero bytes")
            cv2.setNumThreads(1)  # one thread per video: the small pictures here only lose by being split up
            with video.VideoFile(local, skip_loop_filter="noref") as opened:
                network = open_network(detector.transnet) if detector.transnet is not None else None
                evidence = gather_evidence(opened, options, detector.long_side, network)
            timings |= {"decode": evidence.decode_s, "analyse": evidence.analyse_s}
            detect = detect or open_detector(detector)
            record, pictures = _look(record, evidence, detect, timings)
            record = decide(record, options)
            if record.status != "rejected":
                record = replace(record, segment=_placed(record, evidence.kept, options, detect, timings))
                expected = _frames_inside(evidence.scene_times_s, record)
                record = replace(record, clip=make_clip(local, record, options, dataset, expected, timings, detect))
                record = decide(record, options)  # now on the clip's own frames
        thumbnails_began = time.perf_counter()
        record = _write_thumbnails(dataset, record, pictures, evidence.description, options)
        timings["thumbnails"] = time.perf_counter() - thumbnails_began
    except video.VideoError as error:
        known = replace(record, probe=error.probe or record.probe)
        detail = error.detail.replace(os.fspath(local), os.fspath(path)) if local is not None else error.detail
        record = decide(fail(known, error.reason, detail), options)
    except FileNotFoundError:
        record = decide(fail(record, "vanished", "the file is no longer there"), options)
    except OSError as error:
        if error.errno in NO_SPACE or not os.fspath(path) == error.filename:
            raise
        record = decide(fail(record, "unreadable", error.strerror or str(error)), options)
    timings["total"] = time.perf_counter() - began
    return replace(record, timings={name: round(seconds, 4) for name, seconds in timings.items()})


def fail(record: VideoRecord, reason: str, detail: str) -> VideoRecord:
    """The record of a video without a usable clip; what was learned before stays."""
    return replace(record, failure=reason, failure_detail=detail, clip=None, segment=None)


def _look(
    record: VideoRecord, evidence: Evidence, detect: Detect, timings: dict[str, float]
) -> tuple[VideoRecord, list[np.ndarray]]:
    """Fill in the evidence: people, hashes and quality of the sampled frames. Also gives their upright pictures (BGR)."""
    probe = evidence.probe
    pictures = [frame.upright_bgr(probe) for frame in evidence.samples]
    people = _people_in(pictures, probe, detect, timings)
    began = time.perf_counter()
    quality = measure_quality(pictures, evidence.static_share, probe.width, probe.height)
    interlaced_share = round(probe.interlaced_frames / probe.frames, 4)
    quality = replace(quality, interlaced_share=interlaced_share, zoomed_share=evenly_moved_share(pictures))
    quality = replace(quality, screen=screen_score(pictures))
    samples = tuple(
        Sample(frame.time_s, frame.index, boxes, *frame_hashes(picture, quality.borders))
        for frame, picture, boxes in zip(evidence.samples, pictures, people, strict=True)
    )
    timings["quality"] = time.perf_counter() - began
    seen = replace(
        record,
        probe=probe,
        scenes=evidence.scenes,
        longest_scene=evidence.longest_scene,
        scene_sizes=evidence.scene_sizes,
        damaged=evidence.damaged,
        transitions=msgspec.UNSET if evidence.transitions is None else evidence.transitions,
        samples=samples,
        motion=evidence.motion,
        quality=quality,
    )
    return seen, pictures


def _people_in(
    pictures: Sequence[np.ndarray], probe: Probe, detect: Detect, timings: dict[str, float]
) -> list[tuple[PersonBox, ...]]:
    """The people in upright pictures (BGR) of a video, in pixels of the source."""
    began = time.perf_counter()
    found = []
    for picture, boxes in zip(pictures, detect(pictures), strict=True):
        scale = np.array([probe.width / picture.shape[1], probe.height / picture.shape[0]] * 2)
        found.append(tuple(PersonBox(tuple((scale * b.xyxy).round(1).tolist()), round(b.score, 4)) for b in boxes))
    timings["detect"] = timings.get("detect", 0.0) + time.perf_counter() - began
    return found


def _placed(
    record: VideoRecord, kept: Sequence[KeptFrame], options: CurateOptions, detect: Detect, timings: dict[str, float]
) -> Segment:
    """The segment of a record, moved for as long as a look at further kept frames shows that people are elsewhere."""
    assert record.scene is not None and record.probe is not None and record.segment is not None
    segment, looks, score = record.segment, list[Sample](), person_score(record, options)
    if segment.duration_s >= record.scene.duration_s or detects_nobody(record):
        return segment
    times_s = np.array([frame.time_s for frame in kept])
    for _ in range(SEARCH_ROUNDS):
        known = sorted((*record.samples, *looks), key=lambda sample: sample.time_s)
        doubtful = doubtful_times(known, segment.start_s, segment.end_s, score)
        wanted = {int(np.abs(times_s - time_s).argmin()) for time_s in doubtful}
        frames = [kept[i] for i in sorted(wanted) if times_s[i] not in {sample.time_s for sample in known}]
        if not frames:
            break
        people = _people_in([frame.upright_bgr(record.probe) for frame in frames], record.probe, detect, timings)
        looks += [Sample(frame.time_s, frame.index, boxes) for frame, boxes in zip(frames, people, strict=True)]
        segment = propose_segment(record, options, looks)
    return segment


def _frames_inside(times_s: np.ndarray, record: VideoRecord) -> int:
    assert record.segment is not None
    first, last = np.searchsorted(times_s + video.SAME_TIME_S, [record.segment.start_s, record.segment.end_s])
    return int(last - first)


# --- the clip ------------------------------------------------------------------------------------------------------


def frames_in_segment(record: VideoRecord) -> int | None:
    """How many of the source's frames a record's segment holds, by its scenes or its clip. None if neither says: for a part
    of a scene with unevenly spaced frames, or with a clip of another frame rate."""
    assert record.segment is not None and record.probe is not None
    ends = record.segment.start_s, record.segment.end_s
    for scene in record.scenes:
        if (scene.start_s, scene.end_s) == ends:
            return scene.frames
    if record.clip is None or record.probe.variable_frame_rate:
        return None
    return record.clip.frames if record.clip.fps == round(float(record.probe.frame_rate), 6) else None


def make_clip(
    path: str | os.PathLike[str],
    record: VideoRecord,
    options: CurateOptions,
    dataset: Place,
    expected_frames: int | None,
    timings: dict[str, float],
    detect: Detect | None = None,
) -> ClipFile:
    """Cut a record's segment, check the clip by decoding it, and only then move it into the dataset.

    ``detect``: who looks for people in ten frames of the clip, as the check decodes it.

    Raises:
        VideoError: ``clip_failed``.
        OSError: the disk is full.
    """
    assert record.segment is not None and record.probe is not None
    settings = video.ClipSettings(options.short_side, options.fps, options.crf, options.audio)
    staged = files.staging_folder(dataset) / f"{uuid.uuid4().hex}.mp4"
    staged.parent.mkdir(parents=True, exist_ok=True)
    try:
        began = time.perf_counter()
        segment, samples = record.segment, _clear_samples(record, options)
        cut = video.cut_clip(
            os.fspath(path), staged, segment.start_s, segment.end_s, record.probe, settings, expected_frames
        )
        timings["cut"] = time.perf_counter() - began
        began = time.perf_counter()
        searched = None if samples or detects_nobody(record) else detect
        wanted = sample_indices(cut.frames, options.samples) if searched is not None else []
        pictures = check_clip(staged, cut.frames, wanted)
        timings["check"] = time.perf_counter() - began
        if searched is not None:
            times_s = [round(segment.start_s + number / float(cut.fps), 6) for number in wanted]
            people = _people_in(pictures, record.probe, searched, timings)
            samples = tuple(map(Sample, times_s, wanted, people))
        relative = files.clip_relative_path(record.labels, record.video_id)
        clip = ClipFile(
            path=relative,
            frames=cut.frames,
            fps=round(float(cut.fps), 6),
            width=cut.width,
            height=cut.height,
            duration_s=float(cut.frames / cut.fps),
            sha256=files.sha256_file(staged),
            size_bytes=staged.stat().st_size,
            settings=clip_fingerprint(options),
            samples=samples or msgspec.UNSET,
            **_scores(samples, record, options),
        )
        files.move_into_place(staged, dataset / relative)
    finally:
        staged.unlink(missing_ok=True)
    return clip


def _scores(samples: Sequence[Sample], record: VideoRecord, options: CurateOptions) -> dict[str, float]:
    """What tells an action that fills the picture from a presenter in a corner; only what can be said of this clip."""
    scene, probe = record.scene, record.probe
    assert scene is not None and probe is not None and record.motion is not None
    size_and_score = probe.width, probe.height, person_score(record, options)
    scores = {
        "person_share": person_share(samples, *size_and_score),
        "person_motion": person_motion(decode_motion(record.motion), samples, scene.start_s, *size_and_score),
    }
    return {name: score for name, score in scores.items() if score is not None}


def _clear_samples(record: VideoRecord, options: CurateOptions) -> tuple[Sample, ...]:
    """The scene's frames, counted within the clip, where they speak for it: the clip is the whole scene, and they all show
    people, or none does."""
    scene, segment, probe = record.scene, record.segment, record.probe
    assert scene is not None and segment is not None and probe is not None
    is_whole = (scene.start_s, scene.end_s) == (segment.start_s, segment.end_s)
    if detects_nobody(record) or not is_whole:
        return ()
    if people_in(record.samples, person_score(record, options)) not in (0, len(record.samples)):
        return ()
    frames = [
        round((s.time_s - scene.start_s) * probe.fps) if probe.variable_frame_rate else s.frame - scene.start_frame
        for s in record.samples
    ]
    return tuple(Sample(s.time_s, frame, s.people) for s, frame in zip(record.samples, frames, strict=True))


def check_clip(path: Path, frames: int, show: Sequence[int] = ()) -> list[np.ndarray]:
    """The clip's frames ``show``, BGR.

    Raises:
        VideoError: ``clip_failed`` if it does not decode to exactly ``frames`` frames.
    """
    try:
        found, pictures = video.look_through(path, show)
    except video.VideoError as error:
        raise video.VideoError("clip_failed", f"the clip does not open again: {error.detail}") from error
    if found != frames:
        raise video.VideoError("clip_failed", f"the clip has {found} frames, expected {frames}")
    return pictures


# --- thumbnails ----------------------------------------------------------------------------------------------------


def _write_thumbnails(
    dataset: Place,
    record: VideoRecord,
    pictures: Sequence[np.ndarray],
    description: Description | None,
    options: CurateOptions,
) -> VideoRecord:
    """Write the poster (the sampled frame with the best person, else the middle one), the strip of all samples and the
    description; gives the record with their checksums."""
    threshold = person_score(record, options)
    scores = [max((person.score for person in sample.people), default=0.0) for sample in record.samples]
    best = int(np.argmax(scores)) if max(scores) >= threshold else len(pictures) // 2
    at, known = files.thumbnail_paths(dataset, record.video_id), (record.poster_sha256, record.strip_sha256)
    poster = _write(dataset, at[0], _jpeg(pictures[best]), known[0])
    height = min(STRIP_HEIGHT_PX, pictures[0].shape[0])
    tiles = [
        cv2.resize(p, (max(1, round(p.shape[1] * height / p.shape[0])), height), interpolation=cv2.INTER_AREA)
        for p in pictures
    ]
    strip = _write(dataset, at[1], _jpeg(np.concatenate(tiles, axis=1)), known[1])
    described = ""
    if description is not None:
        described = _write(dataset, at[2], description.to_bytes(), record.description_sha256)
    return replace(record, poster_sha256=poster, strip_sha256=strip, description_sha256=described)


def write_thumbnails_again(
    path: str | os.PathLike[str], record: VideoRecord, options: CurateOptions, dataset: Place
) -> VideoRecord:
    """Write those of poster, strip and description that are not here as the record says, from its source, and give the record
    with their checksums; nothing if the file does not decode."""
    wanted = {sample.frame for sample in record.samples}
    without = replace(record, poster_sha256="", strip_sha256="", description_sha256="")
    if not wanted or record.scene is None:
        return without
    begin_s, end_s = middle_of(record.scene.start_s, record.scene.end_s)
    pictures: list[np.ndarray] = []
    looked_at: list[np.ndarray] = []
    times_s: list[float] = []
    try:
        with video.VideoFile(path) as opened:
            for frame in opened.frames():
                if len(pictures) == len(wanted) and frame.time_s >= end_s:
                    break
                is_new = not times_s or slot(frame.time_s) > slot(times_s[-1])
                is_described = begin_s <= frame.time_s < end_s - video.SAME_TIME_S and is_new
                if frame.number in wanted or is_described:
                    small = frame.upright(*frame.fitted(THUMBNAIL_LONG_SIDE_PX))
                    if frame.number in wanted:
                        pictures.append(video.to_bgr(small, frame.shape.colour.matrix))
                    if is_described:
                        looked_at.append(video.split_planes(small)[0])
                        times_s.append(frame.time_s)
    except video.VideoError:
        return without
    if len(pictures) != len(record.samples):
        return without
    return _write_thumbnails(dataset, record, pictures, describe(looked_at, times_s) if times_s else None, options)


def _jpeg(image_bgr: np.ndarray) -> bytes:
    encoded, data = cv2.imencode(".jpg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert encoded
    return data.tobytes()


def _write(dataset: Place, path: Place, data: bytes, known: str) -> str:
    """Gives the SHA-256 of the file; one that has the SHA-256 that is known of it stays."""
    if known and path.is_file() and files.sha256_file(path) == known:
        return known
    files.write_atomic(path, data, staging=files.staging_folder(dataset))
    return hashlib.sha256(data).hexdigest()
