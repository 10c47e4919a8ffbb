"""Is a dataset what it says it is? Every record parses, every clip is there and plays, nothing lies about unclaimed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.one_video import check_clip, fail
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.editing import Edit
from tiktokactions.files import (
    Place,
    delete,
    local_file,
    poster_path,
    record_files,
    record_of,
    record_path,
    sha256_file,
    strip_path,
    write_record,
)
from tiktokactions.records import ClipFile, decode_record
from tiktokactions.verdicts.settle import cut_again
from tiktokactions.video import VideoError

ProblemKind = Literal[
    "bad_record", "misplaced_record", "missing_clip", "clip_changed", "clip_broken", "orphan_clip", "orphan_thumbnail"
]
CLIP_PROBLEMS = {"missing_clip", "clip_changed", "clip_broken"}
CHECK_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Problem:
    kind: ProblemKind
    path: str
    """Relative to the dataset folder."""
    video_id: str
    detail: str
    repaired: str = ""
    """What was done about it, empty where nothing was."""


@dataclass(frozen=True)
class Verification:
    records: int
    clips: int
    problems: tuple[Problem, ...]

    @property
    def open_problems(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.repaired)


def verify_dataset(dataset: Place, workers: int | None = None) -> Verification:
    """Check a dataset folder: records parse and lie where they belong; clips exist, match their checksum, decode to as
    many frames as recorded; no clip and no thumbnail is without a record."""
    problems: list[Problem] = []
    clips: dict[str, tuple[str, ClipFile]] = {}
    ids: set[str] = set()
    for path, data in record_files(dataset):
        name = _relative(dataset, path)
        try:
            record = decode_record(data, where=str(path))
        except ValueError as error:
            problems.append(Problem("bad_record", name, path.stem, str(error)))
            ids.add(path.stem)
            continue
        ids.add(record.video_id)
        if path != record_path(dataset, record.video_id):
            problems.append(Problem("misplaced_record", name, record.video_id, "its id belongs to another file name"))
        elif record.clip is not None:
            clips[record.clip.path] = (record.video_id, record.clip)
        elif record.status != "rejected":
            problems.append(Problem("missing_clip", name, record.video_id, f"{record.status} but without a clip"))
    problems += _check_clips(dataset, clips, workers)
    problems += _orphans(dataset, set(clips), ids)
    return Verification(len(ids), len(clips), tuple(sorted(problems, key=lambda problem: (problem.path, problem.kind))))


def _check_clips(dataset: Place, clips: dict[str, tuple[str, ClipFile]], workers: int | None) -> Iterator[Problem]:
    jobs = [clip for _, clip in clips.values()]
    count = workers or CurateOptions().worker_count
    check = functools.partial(check_one_clip, dataset=dataset)
    for outcome in run_jobs(jobs, check, max(1, min(count, len(jobs))), CHECK_TIMEOUT_S):
        kind, detail = outcome.result or ("clip_broken", f"{outcome.failure}: {outcome.detail}")
        if kind:
            yield Problem(kind, outcome.job.path, clips[outcome.job.path][0], detail)


def check_one_clip(clip: ClipFile, dataset: Place) -> tuple[ProblemKind | Literal[""], str]:
    """What is wrong with a clip: kind and detail, both empty where nothing is."""
    path = dataset / clip.path
    if not path.is_file():
        return "missing_clip", "the file is gone"
    with local_file(path) as local:
        sha256 = sha256_file(local)
        if sha256 != clip.sha256:
            return "clip_changed", f"SHA-256 {sha256[:12]}, the record says {clip.sha256[:12]}"
        try:
            check_clip(local, clip.frames)
        except VideoError as error:
            return "clip_broken", error.detail
    return "", ""


def _orphans(dataset: Place, clips: set[str], ids: set[str]) -> Iterator[Problem]:
    for path in sorted((dataset / "clips").glob("*/*")):
        name = _relative(dataset, path)
        if name not in clips:
            yield Problem("orphan_clip", name, path.stem, "no record claims this file")
    for path in sorted((dataset / "thumbs").glob("*")):
        video_id = path.name.removesuffix(".jpg").removesuffix(".strip")
        if video_id not in ids:
            yield Problem("orphan_thumbnail", _relative(dataset, path), video_id, "no record claims this file")


def repair_dataset(edit: Edit, found: Verification) -> Verification:
    """Remove records that cannot be read (a rerun of ``curate`` makes them anew) and files that no record claims; cut
    missing or broken clips again from their source, and reject (``clip_failed``) the video where that is impossible."""
    edit.begin()
    problems = [replace(problem, repaired=_repair(edit.folder, problem, edit.options)) for problem in found.problems]
    return replace(found, problems=tuple(problems))


def _repair(dataset: Place, problem: Problem, options: CurateOptions) -> str:
    if problem.kind in CLIP_PROBLEMS:
        return _repair_clip(dataset, problem.video_id, options)
    delete(dataset / problem.path)
    if problem.kind == "bad_record":
        # Its clip and thumbnails are unclaimed now and go with it; the video is curated anew by the next run.
        for leftover in (poster_path(dataset, problem.video_id), strip_path(dataset, problem.video_id)):
            delete(leftover)
        return "removed; run 'curate' with its video again"
    return "removed"


def _repair_clip(dataset: Place, video_id: str, options: CurateOptions) -> str:
    hindered = cut_again(video_id, dataset, options, {}, {})
    if not hindered:
        return "cut again"
    record = record_of(dataset, video_id)
    rejected = fail(record, "clip_failed", hindered)
    write_record(dataset, replace(rejected, status="rejected", reasons=("clip_failed",)))
    if record.clip is not None:  # only now: no record may claim a clip that is gone
        delete(dataset / record.clip.path)
    return f"rejected (clip_failed): {hindered}"


def _relative(dataset: Place, path: Place) -> str:
    return path.relative_to(dataset).as_posix()
