"""Draw the verdicts of a whole dataset: near-duplicates, changed thresholds, changed labels; then write the manifest.

Runs after every curation and for ``--redecide``. Records are streamed, and only those are written again whose verdict,
labels or clip change; clips are cut again only where they differ.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tiktokactions.curate.decide import decide, verdict
from tiktokactions.curate.engines import runner
from tiktokactions.curate.one_video import fail, make_clip
from tiktokactions.curate.options import CurateOptions, clip_fingerprint
from tiktokactions.curate.resume import Plan, join_updates
from tiktokactions.dataset.duplicates import HashedVideos, find_duplicates
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.files import (
    clip_relative_path,
    fingerprint,
    local_file,
    move_into_place,
    poster_path,
    read_record,
    record_files,
    record_path,
    strip_path,
    what_is_there,
    write_record,
)
from tiktokactions.records import Source, VideoRecord, decode_record
from tiktokactions.video import VideoError


@dataclass(frozen=True)
class Settled:
    """What settling did. ``uncut`` maps the videos whose new clip could not be cut to the reason; they kept their record."""

    counts: dict[str, int]
    """Videos by status."""
    cut: int
    uncut: Mapping[str, str]


def settle(dataset: Path, options: CurateOptions, plan: Plan) -> Settled:
    """Bring every record to the verdict that ``options`` and its fellow videos give it, and write the manifest.

    Raises:
        OSError: the disk is full.
    """
    duplicates = {} if options.keep_duplicates else duplicates_of(dataset, options)
    to_cut: list[str] = []
    counts = write_manifest(dataset, _decided(dataset, options, plan, duplicates, to_cut), options)
    uncut = dict(_cut_all(to_cut, dataset, options, plan))
    if to_cut:
        counts = write_manifest(dataset, all_records(dataset), options)
    return Settled(counts, len(to_cut) - len(uncut), uncut)


def _decided(
    dataset: Path, options: CurateOptions, plan: Plan, duplicates: Mapping[str, str], to_cut: list[str]
) -> Iterator[VideoRecord]:
    """Every record with its new verdict, written where that changes it. Those that need another clip are left as they
    are and their ids put into ``to_cut``."""
    is_there = what_is_there(dataset)
    for before in all_records(dataset):
        joined = join_updates(before, plan.updates.get(before.video_id, ()), plan.left.get(before.video_id, ()))
        if joined is None:
            _remove(dataset, before)
            continue
        after = decide(joined, options, duplicates.get(before.video_id))
        if after.status != "rejected" and not _has_its_clip(after, before, options, is_there):
            to_cut.append(after.video_id)
            yield before
            continue
        after = _place_clip(dataset, after)
        if replace(after, decision_fingerprint=before.decision_fingerprint) != before:
            write_record(dataset, after)
        yield after


def _cut_all(to_cut: list[str], dataset: Path, options: CurateOptions, plan: Plan) -> Iterator[tuple[str, str]]:
    """Cut these videos in worker processes; gives those that could not be cut, with the reason."""
    # A plan holds every path of the dataset: workers only get what concerns the videos to cut.
    cut = functools.partial(
        cut_again,
        dataset=dataset,
        options=options,
        updates={i: plan.updates[i] for i in to_cut if i in plan.updates},
        left={i: plan.left[i] for i in to_cut if i in plan.left},
    )
    if not to_cut:
        return
    few = replace(options, workers=min(options.worker_count, len(to_cut))) if options.engine == "local" else options
    for outcome in runner(few)(to_cut, cut):
        problem = outcome.result if outcome.failure is None else f"{outcome.failure}: {outcome.detail}"
        if problem:
            yield outcome.job, problem


def cut_again(
    video_id: str,
    dataset: Path,
    options: CurateOptions,
    updates: Mapping[str, list[Source]],
    left: Mapping[str, set[str]],
) -> str:
    """Decide one record again, cut its clip from the source, write the record. Returns what hindered it, or ""."""
    before = read_record(record_path(dataset, video_id))
    joined = join_updates(before, updates.get(video_id, ()), left.get(video_id, ()))
    assert joined is not None
    after = decide(joined, options)
    source = next((path for path in (after.source.path, *after.source.copies) if _unchanged(path, after.source)), None)
    if source is None:
        return f"{after.source.path} is gone or has changed since it was curated: its clip cannot be cut again"
    timings = dict(after.timings)
    scene, segment = after.scene, after.segment
    assert scene is not None and segment is not None
    whole = (segment.start_s, segment.end_s) == (scene.start_s, scene.end_s)
    try:
        with local_file(source) as local:
            clip = make_clip(local, after, options, dataset, scene.frames if whole else None, timings)
    except VideoError as error:
        after = decide(fail(after, error.reason, error.detail), options)
        _delete_clip(dataset, before)
    else:
        if before.clip is not None and before.clip.path != clip.path:
            _delete_clip(dataset, before)
        after = replace(after, clip=clip, timings={name: round(seconds, 4) for name, seconds in timings.items()})
    write_record(dataset, after)
    return ""


def duplicates_of(dataset: Path, options: CurateOptions) -> dict[str, str]:
    """Video id -> id of the better copy, over all videos that are usable and long enough on their own."""
    hashed = HashedVideos(options.samples)
    worth: list[tuple[float, ...]] = []
    for record in all_records(dataset):
        scene = record.scene
        if record.failure is None and scene is not None and verdict(record, options)[0] != "rejected":
            hashes = [sample.phash for sample in record.samples]
            mirrored = [sample.phash_mirrored for sample in record.samples]
            hashed.add(record.video_id, hashes, mirrored, scene.duration_s)
            worth.append(_worth(record))
    return find_duplicates(hashed, worth)


def _worth(record: VideoRecord) -> tuple[float, ...]:
    """What makes one copy better than another: pixels of picture (without borders), then bytes per second, then length."""
    assert record.probe is not None and record.quality is not None
    left, top, right, bottom = record.quality.borders
    pixels = record.probe.width * record.probe.height * (1 - left - right) * (1 - top - bottom)
    # A border's edge is found to a few pixels: copies of one size must not be ranked by that.
    return (round(pixels, -3), record.source.size_bytes / record.probe.duration_s, record.probe.duration_s)


def _has_its_clip(
    after: VideoRecord, before: VideoRecord, options: CurateOptions, is_there: Callable[[str], bool]
) -> bool:
    clip = before.clip
    return (
        clip is not None
        and after.segment == before.segment
        and clip.settings == clip_fingerprint(options)
        and is_there(clip.path)
    )


def _place_clip(dataset: Path, record: VideoRecord) -> VideoRecord:
    """Remove the clip of a rejected video, move that of a relabelled one into its new label's folder."""
    if record.clip is None:
        return record
    if record.status == "rejected":
        _delete_clip(dataset, record)
        return replace(record, clip=None)
    wanted = clip_relative_path(record.labels, record.video_id)
    if wanted != record.clip.path:
        move_into_place(dataset / record.clip.path, dataset / wanted)
        _remove_if_empty((dataset / record.clip.path).parent)
        return replace(record, clip=replace(record.clip, path=wanted))
    return record


def _delete_clip(dataset: Path, record: VideoRecord) -> None:
    if record.clip is not None:
        (dataset / record.clip.path).unlink(missing_ok=True)
        _remove_if_empty((dataset / record.clip.path).parent)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove(dataset: Path, record: VideoRecord) -> None:
    """Take away a video whose only file now holds another one."""
    _delete_clip(dataset, record)
    poster_path(dataset, record.video_id).unlink(missing_ok=True)
    strip_path(dataset, record.video_id).unlink(missing_ok=True)
    record_path(dataset, record.video_id).unlink(missing_ok=True)


def _unchanged(path: str, source: Source) -> bool:
    try:
        return source.fingerprints.get(path) == fingerprint(path)
    except OSError:
        return False


def all_records(dataset: Path) -> Iterator[VideoRecord]:
    """Every record, streamed, in the order of their files."""
    for path, data in record_files(dataset):
        yield decode_record(data, where=str(path))
