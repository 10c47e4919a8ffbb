"""Draw the verdicts of a whole dataset: near-duplicates, changed thresholds, changed labels, what people decided; then
write the manifest.

Runs after every curation, for ``redecide`` and for ``review apply``. Records are streamed, and only those are written
again whose verdict, labels or clip change; clips are cut again only where they differ.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tiktokactions.copies.of_dataset import duplicate_of, settle_copies
from tiktokactions.curation.decide import decide
from tiktokactions.curation.engines import runner
from tiktokactions.curation.one_video import fail, frames_in_segment, make_clip
from tiktokactions.curation.options import CurateOptions, clip_fingerprint
from tiktokactions.curation.people import detector_of
from tiktokactions.curation.resume import Checkpoint, join_updates
from tiktokactions.dataset.editing import Edit
from tiktokactions.dataset.manifest import update_manifest, write_manifest
from tiktokactions.files import (
    Place,
    all_records,
    clip_relative_path,
    delete,
    delete_empty,
    delete_records,
    fingerprint,
    keeping,
    local_file,
    move_into_place,
    record_of,
    record_path,
    records_of,
    sha256_file,
    staging_folder,
    thumbnail_paths,
    what_is_there,
    write_atomic,
    write_record,
    writing_in_order,
)
from tiktokactions.records import Source, VideoRecord, encode_record
from tiktokactions.reviews.decisions import Verdict
from tiktokactions.verdicts.decided import (
    applied_verdict,
    applied_verdicts,
    decided_by_people,
    for_cutting,
    with_verdict,
    without_source,
)
from tiktokactions.verdicts.quarantine import Kept, open_quarantine, put_away
from tiktokactions.video import VideoError


@dataclass(frozen=True)
class Settled:
    """What settling did. ``uncut`` maps the videos whose new clip could not be cut to the reason; they kept their record."""

    counts: dict[str, int]
    """Videos by status."""
    cut: int
    uncut: Mapping[str, str]
    kept: int = 0
    """Clips of rejected videos that stay, because their sources are absent."""
    restore: str = ""
    """The command that brings back videos whose only file holds another one now; empty where there were none."""


@dataclass
class _Spared:
    """What would have gone and cannot be made again."""

    clips: int = 0
    replaced: list[VideoRecord] = field(default_factory=list)
    """Videos whose only file now holds another one."""


def settle(edit: Edit, checkpoint: Checkpoint, believed: bool = False) -> Settled:
    """Bring every record to the verdict that the options and its fellow videos give it, and write the manifest.

    ``believed``: clips that records tell of are there, nobody needs to look.

    Raises:
        OSError: the disk is full.
    """
    dataset, options = edit.folder, edit.options
    duplicates = settle_copies(dataset, options)  # also of a dataset that keeps them: its splits ask
    duplicates = {} if options.keep_duplicates else duplicates
    to_cut: list[str] = []
    spared = _Spared()
    # Of a settled dataset on a store the records are believed: looking for a million clips takes a thousand listings.
    is_there = (lambda relative: True) if believed else what_is_there(dataset)
    with writing_in_order(dataset) as write:
        records = all_records(dataset)
        decided = _decided(records, dataset, options, checkpoint, duplicates, to_cut, write, is_there, spared)
        counts = write_manifest(dataset, decided, options)
    restore = _put_away(dataset, spared.replaced)
    uncut = dict(_cut_all(to_cut, dataset, options, checkpoint, duplicates))
    if to_cut:
        counts = write_manifest(dataset, all_records(dataset), options)
    edit.manifest_fits = True
    return Settled(counts, len(to_cut) - len(uncut), uncut, spared.clips, restore)


def settle_videos(edit: Edit, video_ids: Iterable[str]) -> Settled:
    """The same for some videos, of which nothing has changed but what people decided: the others are not read.

    Raises:
        OSError: the disk is full.
    """
    dataset, options = edit.folder, edit.options
    before = list(records_of(dataset, video_ids))
    duplicates = {r.video_id: twin for r in before if (twin := duplicate_of(r))}
    to_cut: list[str] = []
    is_there = what_is_there(dataset)
    with writing_in_order(dataset) as write:
        decided = _decided(before, dataset, options, Checkpoint(), duplicates, to_cut, write, is_there, _Spared())
        changed = {record.video_id: record for record in decided}
    uncut = dict(_cut_all(to_cut, dataset, options, Checkpoint(), duplicates))
    changed |= {record.video_id: record for record in records_of(dataset, to_cut)}
    counts = update_manifest(dataset, changed, options)
    if counts is None:
        counts = write_manifest(dataset, all_records(dataset), options)
    edit.manifest_fits = True
    return Settled(counts, len(to_cut) - len(uncut), uncut)


def _decided(
    records: Iterable[VideoRecord],
    dataset: Place,
    options: CurateOptions,
    checkpoint: Checkpoint,
    duplicates: Mapping[str, str],
    to_cut: list[str],
    write: Callable[[VideoRecord], object],
    is_there: Callable[[str], bool],
    spared: _Spared,
) -> Iterator[VideoRecord]:
    """Every record with its new verdict, written where that changes it. Those that need another clip are left as they
    are and their ids put into ``to_cut``."""
    verdicts = applied_verdicts(dataset)
    for before in records:
        joined = join_updates(
            before, checkpoint.updates.get(before.video_id, ()), checkpoint.left.get(before.video_id, ())
        )
        if joined is None:
            spared.replaced.append(before)
            continue
        after = decide(joined, options, duplicates.get(before.video_id))
        after = with_verdict(after, verdicts.get(before.video_id), options)
        if after.status != "rejected" and not _has_its_clip(dataset, after, before, options, is_there):
            to_cut.append(after.video_id)
            yield before
            continue
        after = _place_clip(dataset, after, before)
        spared.clips += after.status == "rejected" and after.clip is not None
        if _differs(before, after):
            write(after)
            yield after
        else:  # as it is on the disk
            yield before


def _differs(before: VideoRecord, after: VideoRecord) -> bool:
    return replace(after, decision_fingerprint=before.decision_fingerprint) != before


def _cut_all(
    to_cut: list[str], dataset: Place, options: CurateOptions, checkpoint: Checkpoint, duplicates: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Cut these videos in worker processes; gives those that could not be cut, with the reason."""
    # A checkpoint holds every path of the dataset: workers only get what concerns the videos to cut.
    cut = functools.partial(
        cut_record,
        dataset=dataset,
        options=options,
        updates={i: checkpoint.updates[i] for i in to_cut if i in checkpoint.updates},
        left={i: checkpoint.left[i] for i in to_cut if i in checkpoint.left},
        duplicates={i: duplicates[i] for i in to_cut if i in duplicates},
    )
    if not to_cut:
        return
    few = replace(options, workers=min(options.worker_count, len(to_cut))) if options.engine == "local" else options
    for outcome in runner(few)(records_of(dataset, to_cut), cut):
        problem = outcome.result if outcome.failure is None else f"{outcome.failure}: {outcome.detail}"
        if problem:
            yield outcome.job.video_id, problem


def cut_again(
    video_id: str,
    dataset: Place,
    options: CurateOptions,
    updates: Mapping[str, list[Source]],
    left: Mapping[str, set[str]],
    duplicates: Mapping[str, str] | None = None,
) -> str:
    """As :func:`cut_record`, for the video of this id."""
    return cut_record(record_of(dataset, video_id), dataset, options, updates, left, duplicates)


def cut_record(
    before: VideoRecord,
    dataset: Place,
    options: CurateOptions,
    updates: Mapping[str, list[Source]],
    left: Mapping[str, set[str]],
    duplicates: Mapping[str, str] | None = None,
) -> str:
    """Decide one record again, cut its clip from the source, write the record. Returns what hindered it, or "".

    ``duplicates``: better copies by id; None: as the record itself says.
    """
    video_id = before.video_id
    joined = join_updates(before, updates.get(video_id, ()), left.get(video_id, ()))
    assert joined is not None
    decision = applied_verdict(dataset, video_id)
    twin = duplicate_of(before) if duplicates is None else duplicates.get(video_id)
    after = with_verdict(decide(joined, options, twin), decision, options)
    with keeping(dataset):
        return _cut(before, joined, after, decision, twin, dataset, options)


def _cut(
    before: VideoRecord,
    joined: VideoRecord,
    after: VideoRecord,
    decision: Verdict | None,
    twin: str | None,
    dataset: Place,
    options: CurateOptions,
) -> str:
    source = unchanged_source(after)
    if source is None:
        if decision is not None or decided_by_people(before):
            waiting = without_source(joined, decide(joined, options, twin), decision)
            if _differs(before, waiting):
                write_record(dataset, waiting)
        return f"{after.source.path} is gone or has changed since it was curated: its clip cannot be cut again"
    timings = dict(after.timings)
    frames = frames_in_segment(replace(after, clip=None))  # an existing clip shows what was chosen before
    try:
        with local_file(source) as local:
            detect = detector_of(after.detector, options.detector)
            clip = make_clip(local, for_cutting(after), options, dataset, frames, timings, detect)
    except VideoError as error:
        if before.clip is not None:  # which cannot be made again either
            return f"its clip cannot be cut again: {error}"
        after = with_verdict(decide(fail(after, error.reason, error.detail), options), decision, options)
    else:
        if before.clip is not None and before.clip.path != clip.path:
            _delete_clip(dataset, before)
        timings = {name: round(seconds, 4) for name, seconds in timings.items()}
        after = replace(after, clip=clip, timings=timings)
        if decision is None:  # now on the clip's own frames
            after = decide(after, options, twin)
    write_record(dataset, after)
    return ""


def _has_its_clip(
    dataset: Place, after: VideoRecord, before: VideoRecord, options: CurateOptions, is_there: Callable[[str], bool]
) -> bool:
    clip = before.clip
    if clip is None or after.segment != before.segment or clip.settings != clip_fingerprint(options):
        return False
    # A run that was killed may have moved it to its new label's folder and not told the record.
    moved = clip_relative_path(after.labels, after.video_id)
    return is_there(clip.path) or (is_there(moved) and sha256_file(dataset / moved) == clip.sha256)


def _place_clip(dataset: Place, record: VideoRecord, before: VideoRecord) -> VideoRecord:
    """Remove the clip of a rejected video, move that of a relabelled one into its new label's folder.

    It stays where its source is gone: people may change their mind, and thresholds too, but it could not be cut again.
    """
    if record.clip is None:
        return record
    if record.status == "rejected":
        if unchanged_source(record) is not None:
            _delete_clip(dataset, record)
            return replace(record, clip=None)
        record = replace(record, segment=before.segment)
    assert record.clip is not None
    wanted = clip_relative_path(record.labels, record.video_id)
    if wanted != record.clip.path:
        if (dataset / record.clip.path).is_file():
            move_into_place(dataset / record.clip.path, dataset / wanted)
            delete_empty((dataset / record.clip.path).parent)
        return replace(record, clip=replace(record.clip, path=wanted))
    return record


def _delete_clip(dataset: Place, record: VideoRecord) -> None:
    if record.clip is not None:
        delete(dataset / record.clip.path)
        delete_empty((dataset / record.clip.path).parent)


def _put_away(dataset: Place, replaced: Sequence[VideoRecord]) -> str:
    """Move videos whose only file now holds another one to quarantine: they could not be made again. Returns the command
    that brings them back, or ""."""
    kept: list[Kept] = []
    failed = [record.video_id for record in replaced if record.failure is not None]  # nothing was seen, nothing is lost
    replaced = [record for record in replaced if record.failure is None]
    for record in replaced:
        why = f"its only file {record.source.path} holds another video now"
        clip = [dataset / record.clip.path] if record.clip is not None else []
        for path in (*clip, *thumbnail_paths(dataset, record.video_id)):
            if path.is_file():
                kept.append(Kept(path.relative_to(dataset).as_posix(), why, sha256_file(path)))
        name = record_path(dataset, record.video_id).relative_to(dataset).as_posix()
        kept.append(Kept(name, why, hashlib.sha256(encode_record(record)).hexdigest()))
    delete_records(dataset, failed)
    if not kept:
        return ""
    place, command = open_quarantine(dataset, kept)
    for record in replaced:
        write_atomic(record_path(dataset / place, record.video_id), encode_record(record), staging_folder(dataset))
    for one in kept:
        if not one.path.startswith("records/"):
            put_away(dataset, place, one.path)
    delete_records(dataset, [record.video_id for record in replaced])
    return command


def unchanged_source(record: VideoRecord) -> str | None:
    """A path where the file that was curated still lies."""
    return next((p for p in (record.source.path, *record.source.copies) if _unchanged(p, record.source)), None)


def _unchanged(path: str, source: Source) -> bool:
    try:
        return source.fingerprints.get(path) == fingerprint(path)
    except OSError:
        return False
