"""Is a dataset what it says it is? Every file is as it was written, and none says what another denies. Nothing is changed.

While a run is at work, its last settled version is checked, and what is in flight is no damage.

Records seal themselves and hold the checksums of clip, poster and strip; the manifest holds that of every record; all other
files stand in ``SHA256SUMS``. Where a dataset of before lacks one of these, what can be compared still is.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.one_video import check_clip
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.assignments import NOWHERE, assignments_path, read_sides
from tiktokactions.dataset.checksums import EDITED_BY_PEOPLE, SHARED, files_of_ours
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.history import accepted_rows, history_path, state_of, states_at
from tiktokactions.dataset.manifest import ROWS_PER_BATCH, SCHEMA, manifest_row
from tiktokactions.errors import UsageError
from tiktokactions.files import (
    SUMS,
    ChecksumsError,
    Place,
    listing,
    local_file,
    read_sums,
    readable,
    record_files,
    record_files_of,
    record_path,
    settled_file,
    sha256_file,
    thumbnail_paths,
    wrong_sums,
)
from tiktokactions.records import ClipFile, VideoRecord, decode_record, is_as_sealed, seal_of
from tiktokactions.reviews.store import STAMP, check_reviews, store_path
from tiktokactions.verdicts.quarantine import QUARANTINE
from tiktokactions.video import VideoError

# fmt: off
ProblemKind = Literal[
    "unsettled", "bad_record", "misplaced_record", "missing_record", "record_differs", "missing_clip", "clip_changed",
    "clip_broken", "orphan_clip", "missing_thumbnail", "thumbnail_changed", "orphan_thumbnail", "missing_file",
    "file_changed", "foreign_file", "table_differs", "reviews_damaged", "export_damaged", "not_restored",
]
# fmt: on
CHECK_TIMEOUT_S = 300.0
Sums = Mapping[str, tuple[str, ...]]
MARKS = ("export.json", "subset.json", "dataset.json", "run.json", "study.json", "release.json")
"""A folder with one of these is what it says, and no part of the dataset that it lies in."""


@dataclass(frozen=True)
class Problem:
    kind: ProblemKind
    path: str
    """Relative to the dataset folder; of an export from the root."""
    video_id: str
    detail: str
    repaired: str = ""
    """What was done about it, empty where nothing was."""
    sha256: str = ""
    """Of the file as it is now."""
    wanted: str = ""
    """The SHA-256 that the dataset says it has."""
    lost: bool = False
    """Whether something is gone for good, whatever was done."""


@dataclass(frozen=True)
class Verification:
    records: int
    clips: int
    problems: tuple[Problem, ...]
    files: int = 0
    """Files of the dataset, those included that nothing claims."""
    restored: int = 0
    """Files that were brought back from quarantine."""
    restore: str = ""
    """The command that brings back what was moved to quarantine; empty if nothing was."""
    going_on: str = ""
    """Who is at work on the dataset, where somebody is: then its last settled version was checked."""

    @property
    def open_problems(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.repaired or problem.lost)


@dataclass(frozen=True, slots=True)
class Claim:
    """The files that a record says are there: path and SHA-256 of each."""

    video_id: str
    clip: ClipFile | None
    thumbnails: tuple[tuple[str, str], ...]


@dataclass
class _Read:
    """What the records say."""

    ids: set[str] = field(default_factory=set)
    """Those that cannot be read included, by file name."""
    damaged: set[str] = field(default_factory=set)
    claims: dict[str, Claim] = field(default_factory=dict)


def verify_dataset(
    data: Dataset, exports: Iterable[Place] = (), workers: int | None = None, is_editing: bool = False
) -> Verification:
    """Check a whole dataset, without changing anything.

    Args:
        data: a dataset, not a subset.
        exports: folders with exports of it; those that are not there are passed over.
        workers: processes that read clips (default: as for curation).
        is_editing: it is the caller who is at work on the dataset.
    """
    folder, problems, read = data.folder, list[Problem](), _Read()
    going_on = data.going_on if not is_editing and data.at_work else ""
    if going_on and not data.is_kept:
        return Verification(0, 0, (), going_on=f"{going_on}; there is none to check yet")
    if not data.settled and not going_on:
        problems.append(Problem("unsettled", "dataset.json", "", data.going_on))
    # The tables of an unsettled dataset are being written; of a run at work those before are kept.
    has_tables = data.settled or bool(going_on)
    wrong = list(_listed_files(data)) if data.info.checksums and has_tables else []
    known_wrong = {problem.path for problem in wrong}
    with_manifest = has_tables and not known_wrong & {"manifest.parquet", "splits/assignments.csv"}
    problems += wrong
    problems += _check_records(data, read, with_manifest, bool(going_on))
    claimed = list(_check_claims(data, read.claims.values(), workers, bool(going_on)))
    if claimed and going_on:  # moved, perhaps, between the moments when it was looked for and read
        again = {problem.video_id for problem in claimed}
        claimed = list(_check_claims(data, [c for i, c in read.claims.items() if i in again], workers, True))
    problems += claimed
    files = 0
    if not going_on:
        unclaimed, files = _unclaimed(data, read)
        problems += unclaimed
    if has_tables:
        problems += (problem for problem in _tables(data, known_wrong) if problem.path not in known_wrong)
    problems += (Problem("reviews_damaged", name, "", detail) for name, detail in check_reviews(folder))
    for out in exports:
        problems += _check_export(out)
    clips = sum(claim.clip is not None for claim in read.claims.values())
    ordered = sorted(problems, key=lambda problem: (problem.path, problem.kind))
    return Verification(len(read.ids), clips, tuple(ordered), files + len(read.ids), going_on=going_on)


def unreadable_dataset(folder: Place, error: Exception) -> Verification:
    """The same of a dataset whose ``dataset.json`` is gone or damaged: without it only the listed files can be judged."""
    problems = [Problem("file_changed", "dataset.json", "", f"{error}; put a copy of before in its place")]
    problems += (problem for problem in _wrong_files(folder, read_sums) if problem.path != "dataset.json")
    return Verification(0, 0, tuple(problems))


def verify_export(folder: Place) -> Verification:
    """A release or an export by itself: its files are as they were written, and there are no others."""
    problems = list(_check_export(folder))
    try:
        sums = read_sums(folder) or {}
    except ChecksumsError:
        sums = {}
    others = sorted({*_names_below(folder, "")} - {*sums, SUMS}) if sums else []
    problems += (Problem("foreign_file", str(folder / name), "", "is not listed in SHA256SUMS") for name in others)
    return Verification(0, sum(name.endswith(".mp4") for name in sums), tuple(problems), len(sums))


# --- records and what they claim ---------------------------------------------------------------------------------------


def _check_records(data: Dataset, read: _Read, with_manifest: bool, is_kept: bool) -> Iterator[Problem]:
    """Every record; with the manifest, whose rows must be those that the records give."""
    rows = _Rows(data) if with_manifest and data.manifest.is_file() else None
    for path, raw in _record_files(data, is_kept):
        name = relative(data.folder, path)
        try:
            record = decode_record(raw, where=str(path))
            problem = "" if is_as_sealed(raw) else "was changed since it was written: its seal does not fit"
        except UsageError as error:
            record, problem = None, str(error)
        if record is None or problem:
            yield Problem("bad_record", name, path.stem, problem, sha256="")
            read.ids.add(path.stem)
            read.damaged.add(path.stem)
            continue
        if path != record_path(data.folder, record.video_id):
            yield Problem("misplaced_record", name, record.video_id, f"is the record of {record.video_id}")
            read.ids.update((path.stem, record.video_id))
            read.damaged.update((path.stem, record.video_id))
            read.claims.setdefault(record.video_id, _claim(data.folder, record))
            continue
        read.ids.add(record.video_id)
        read.claims[record.video_id] = _claim(data.folder, record)
        if record.clip is None and record.status != "rejected":
            yield Problem("missing_clip", name, record.video_id, f"{record.status} but without a clip")
        if rows is not None:
            yield from rows.compare(record, seal_of(raw))
    if rows is not None:
        yield from rows.end(read.damaged)


def _record_files(data: Dataset, is_kept: bool) -> Iterator[tuple[Place, bytes]]:
    """``is_kept``: those of the version that is kept beside a run, whose manifest names them; else all that lie there."""
    if not is_kept:
        yield from record_files(data.folder)
        return
    for batch in data.batches(["video_id"]):
        yield from record_files_of(data.folder, batch["video_id"].to_pylist(), settled=True)


def _claim(folder: Place, record: VideoRecord) -> Claim:
    sums = record.poster_sha256, record.strip_sha256, record.description_sha256
    names = (relative(folder, path) for path in thumbnail_paths(folder, record.video_id))
    thumbnails = zip(names, sums, strict=True)
    return Claim(record.video_id, record.clip, tuple(one for one in thumbnails if one[1]))


def _check_claims(data: Dataset, claims: Iterable[Claim], workers: int | None, is_kept: bool) -> Iterator[Problem]:
    jobs = list(claims)
    count = workers or CurateOptions().worker_count
    check = functools.partial(check_claim, folder=data.folder, is_kept=is_kept)
    for outcome in run_jobs(jobs, check, max(1, min(count, len(jobs))), CHECK_TIMEOUT_S):
        if outcome.result is not None:
            yield from outcome.result
        elif outcome.job.clip is not None:
            what = f"{outcome.failure}: {outcome.detail}"
            yield Problem("clip_broken", outcome.job.clip.path, outcome.job.video_id, what)


def check_claim(claim: Claim, folder: Place, is_kept: bool = False) -> list[Problem]:
    """In a worker: what is wrong with the files of one record; ``is_kept``: in the version that is kept beside a run."""
    found = []
    for name, wanted in claim.thumbnails:
        path = settled_file(folder, name) if is_kept else folder / name
        now = sha256_file(path) if path.is_file() else ""
        if now != wanted:
            kind: ProblemKind = "thumbnail_changed" if now else "missing_thumbnail"
            found.append(Problem(kind, name, claim.video_id, _differs(now, wanted), sha256=now, wanted=wanted))
    if claim.clip is not None:
        path = settled_file(folder, claim.clip.path) if is_kept else folder / claim.clip.path
        about, detail, now = _check_clip(claim.clip, path)
        if about:
            found.append(Problem(about, claim.clip.path, claim.video_id, detail, sha256=now, wanted=claim.clip.sha256))
    return found


def _check_clip(clip: ClipFile, path: Place) -> tuple[ProblemKind | Literal[""], str, str]:
    if not path.is_file():
        return "missing_clip", _differs("", clip.sha256), ""
    with local_file(path) as local:
        now = sha256_file(local)
        if now != clip.sha256:
            return "clip_changed", _differs(now, clip.sha256), now
        try:
            check_clip(local, clip.frames)
        except VideoError as error:
            return "clip_broken", error.detail, now
    return "", "", now


def _differs(now: str, wanted: str) -> str:
    return f"SHA-256 {now[:12]}, the record says {wanted[:12]}" if now else "the file is gone"


class _Rows:
    """The manifest, read beside the records, which give the rows that it must have in about the same order."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.sides = data, read_sides(data.tables)
        self.rows: dict[str, dict[str, Any]] = {}
        with pq.ParquetFile(readable(data.manifest)) as file:
            self.names = [name for name in SCHEMA.names if name in file.schema_arrow.names]
        self.batches = self._batches()
        self.expected: list[dict[str, Any]] = []
        self.seals: list[str] = []
        self.without: list[str] = []

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        with pq.ParquetFile(readable(self.data.manifest)) as file:
            for batch in file.iter_batches(ROWS_PER_BATCH, columns=self.names):
                yield batch.to_pylist()

    def compare(self, record: VideoRecord, seal: str) -> Iterator[Problem]:
        self.expected.append(manifest_row(record, self.data.options, self.sides.get(record.video_id)))
        self.seals.append(seal)
        if len(self.expected) == ROWS_PER_BATCH:
            yield from self._compare()

    def _compare(self) -> Iterator[Problem]:
        expected = pa.Table.from_pylist(self.expected, schema=SCHEMA).select(self.names).to_pylist()
        seals, self.expected, self.seals = self.seals, [], []
        for row, seal in zip(expected, seals, strict=True):
            video_id = row["video_id"]
            while video_id not in self.rows and (batch := next(self.batches, None)) is not None:
                self.rows |= {other["video_id"]: other for other in batch}
            said = self.rows.pop(video_id, None)
            if said is None:
                self.without.append(video_id)
                continue
            # None: taken over from an older manifest. The file's own: a record of before it had the fields of today.
            if "record_sha256" in said and said["record_sha256"] in (None, seal):
                said["record_sha256"] = row["record_sha256"]
            if differing := [name for name in self.names if said[name] != row[name]]:
                name = relative(self.data.folder, record_path(self.data.folder, video_id))
                detail = f"is not the one that manifest.parquet was written from: another {', '.join(differing)}"
                yield Problem("record_differs", name, video_id, detail)

    def end(self, damaged: set[str]) -> Iterator[Problem]:
        """What is left when all records were read."""
        yield from self._compare()
        for batch in self.batches:
            self.rows |= {row["video_id"]: row for row in batch}
        for video_id in self.without:
            yield Problem(
                "table_differs", "manifest.parquet", video_id, f"has no row of {video_id}, which has a record"
            )
        for video_id, row in self.rows.items():
            if video_id not in damaged:
                name = relative(self.data.folder, record_path(self.data.folder, video_id))
                detail = f"is gone; the manifest has its row (source: {row['source_path']})"
                yield Problem("missing_record", name, video_id, detail)


# --- files that no record vouches for -----------------------------------------------------------------------------------


def _listed_files(data: Dataset) -> Iterator[Problem]:
    """What ``SHA256SUMS`` says; of a version that is kept, its own says it, except of what is of no version."""
    yield from _wrong_files(data.tables, lambda folder: _of_version(data, read_sums(folder)))
    if data.is_kept:
        yield from _wrong_files(data.folder, lambda folder: _of_version(data, read_sums(folder), shared=True))


def _of_version(data: Dataset, sums: Sums | None, shared: bool = False) -> Sums | None:
    if sums is None or not data.is_kept:
        return sums
    return {n: known for n, known in sums.items() if (n in SHARED if shared else (data.tables / n).is_file())}


def _wrong_files(folder: Place, read: Callable[[Place], Sums | None]) -> Iterator[Problem]:
    try:
        sums = read(folder)
    except ChecksumsError as error:
        yield Problem("file_changed", SUMS, "", str(error), sha256=sha256_file(folder / SUMS))
        salt = folder / "creator-salt"  # the one file of ours whose form nothing else looks at
        if salt.is_file() and not re.fullmatch(rb"[0-9a-f]{32}\s*", salt.read_bytes()):
            detail = "is no salt: expected 32 hexadecimal digits"
            yield Problem("file_changed", salt.name, "", detail, sha256=sha256_file(salt))
        return
    if sums is None:
        yield Problem("missing_file", SUMS, "", "is gone: what the tables were like is not known")
        return
    wrong = wrong_sums(folder, sums)
    for name, now in wrong.items():
        if now == "missing":
            yield Problem("missing_file", name, "", f"is gone; {SUMS} lists it", wanted=sums[name][-1])
            continue
        what = "was changed since it was written"
        if name in EDITED_BY_PEOPLE:
            what += "; if you did that, 'dataset card' takes it as it is, and writes README.md anew"
        yield Problem("file_changed", name, "", what, sha256=now, wanted=sums[name][-1])
    if "dataset.json" in wrong and len(wrong) > 1:
        yield Problem("file_changed", SUMS, "", "is of another time than dataset.json and what it lists")


def _unclaimed(data: Dataset, read: _Read) -> tuple[list[Problem], int]:
    """Files that nothing claims, and how many there are beside the records."""
    folder, found, files = data.folder, list[Problem](), 0
    clips = {claim.clip.path for claim in read.claims.values() if claim.clip is not None}
    reviews = (f"{store_path(folder).name}{end}" for end in ("", "-wal", "-shm"))
    known = {*_known_files(data), SUMS, STAMP, *reviews}
    for name in _names_below(folder, ""):
        top = name.partition("/")[0]
        if top == "records" and (name.count("/"), name[-5:]) in ((2, ".json"), (1, "nl.gz")):
            continue
        files += 1
        kind: ProblemKind | Literal[""] = ""
        video_id = re.sub(r"(\.mp4|(\.strip)?\.jpg|\.description)$", "", name.rpartition("/")[2])
        if top == "clips":
            kind = "" if name in clips else "orphan_clip"
        elif top == "thumbs":
            is_ours = video_id in read.ids and name.count("/") == 1 and name.endswith((".jpg", ".description"))
            kind = "" if is_ours else "orphan_thumbnail"
        elif name not in known:
            kind, video_id = "foreign_file", ""
        if kind:
            sha256 = sha256_file(folder / name) if (folder / name).is_file() else ""  # of a link to what is gone
            found.append(Problem(kind, name, video_id, "no record claims this file", sha256=sha256))
    return found, files


def _known_files(data: Dataset) -> Iterator[str]:
    """Files that this program writes; in folders only those that it did write, where that is known."""
    try:
        sums = read_sums(data.folder) if data.info.checksums and data.settled else None
    except ChecksumsError:
        sums = None
    yield from (name for name in files_of_ours(data.folder) if sums is None or "/" not in name or name in sums)


def _names_below(folder: Place, below: str) -> Iterator[str]:
    """Every file, without hidden ones, the quarantine, and folders that are things of their own."""
    files, folders = listing(folder / below if below else folder)
    prefix = f"{below}/" if below else ""
    if below and any(file.name in MARKS for file in files):
        return
    yield from (f"{prefix}{file.name}" for file in files if not file.name.startswith("."))
    for inner in folders:
        if not inner.name.startswith(".") and f"{prefix}{inner.name}" != QUARANTINE:
            yield from _names_below(folder, f"{prefix}{inner.name}")


# --- tables against each other --------------------------------------------------------------------------------------------


def _tables(data: Dataset, known_wrong: set[str]) -> Iterator[Problem]:
    """Tables that say something else than the manifest; a table that is known to be damaged is not read."""
    folder = data.tables
    if not data.manifest.is_file():
        yield Problem("missing_file", "manifest.parquet", "", "is gone")
        return
    if "manifest.parquet" in known_wrong:
        return
    try:
        yield from _statistics_differ(data)
        yield from _history_differs(data)
    except (UsageError, pa.ArrowException, OSError) as error:
        yield Problem("table_differs", "manifest.parquet", "", f"cannot be read: {error}")
    if assignments_path(folder).is_file() and "splits/assignments.csv" not in known_wrong:
        yield from _lists_differ(folder)


def _statistics_differ(data: Dataset) -> Iterator[Problem]:
    path = data.tables / "stats.json"
    if not path.is_file():
        return
    try:
        said = json.loads(path.read_bytes())
        status = {name: said["status"][name] for name in data.counts}
    except (ValueError, KeyError, TypeError) as error:
        yield Problem("table_differs", path.name, "", f"cannot be read: {error!r}")
        return
    if status != data.counts:
        yield Problem("table_differs", path.name, "", f"counts {status}, the manifest {data.counts}")


def _history_differs(data: Dataset) -> Iterator[Problem]:
    path = history_path(data.tables)
    if not path.is_file() or not data.version:
        return
    rows = {row["video_id"]: state_of(row) for row in accepted_rows(data.tables)}
    try:
        states = states_at(data.tables, data.version)
    except (UsageError, UnicodeDecodeError) as error:
        if rows:
            yield Problem("table_differs", path.name, "", f"cannot be read: {error}")
        return
    if states != rows:
        others = sorted(i for i in states.keys() | rows.keys() if states.get(i) != rows.get(i))
        yield Problem("table_differs", path.name, "", f"ends with another state of {', '.join(others[:5])}")


def _lists_differ(folder: Place) -> Iterator[Problem]:
    """The lists of the sides name no video of another side."""
    import csv

    try:
        sides = read_sides(folder)
    except (UsageError, UnicodeDecodeError) as error:
        yield Problem("table_differs", "splits/assignments.csv", "", str(error))
        return
    for side in sorted(set(sides.values()) - {NOWHERE}):
        path = folder / "splits" / f"{side}.csv"
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace", newline="") as file:
                others = [i for row in csv.DictReader(file) if sides.get(i := row.get("video_id") or "") != side]
            if others:
                detail = f"lists {len(others)} videos of other sides, for example {others[0]}"
                yield Problem("table_differs", f"splits/{side}.csv", "", detail)


def _check_export(out: Place) -> Iterator[Problem]:
    try:
        sums = read_sums(out)
        wrong = wrong_sums(out, sums or {})
    except ChecksumsError as error:
        yield Problem("export_damaged", str(out / SUMS), "", f"{error}; make it again")
        return
    if sums is None and _should_have_sums(out):
        yield Problem(
            "export_damaged", str(out / SUMS), "", "is gone, or was never written by a killed one; make it again"
        )
    for name, now in wrong.items():
        what = "is gone" if now == "missing" else "was changed since it was written"
        yield Problem("export_damaged", str(out / name), "", f"{what}; make it again")


def _should_have_sums(out: Place) -> bool:
    """Exports of before have none, and their list of files says so."""
    if (out / "release.json").is_file():
        return True
    try:
        return SUMS in json.loads((out / "export.json").read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def relative(folder: Place, path: Place) -> str:
    return path.relative_to(folder).as_posix()
