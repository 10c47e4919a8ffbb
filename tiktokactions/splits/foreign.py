"""The check of a split against foreign data: is something that is trained on also among the clips that others test on?

Own clips were described when they were curated; foreign videos are decoded and described once, long ones part by part. The
one matcher (:mod:`tiktokactions.copies.matcher`) finds the same footage whatever was done to it, and where one is a part of
the other.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions import video
from tiktokactions.clips.clip import Clip
from tiktokactions.clips.readers import ucf101, videomae_lists
from tiktokactions.clips.readers.media import MediaFolder
from tiktokactions.copies.footage import describe_file
from tiktokactions.copies.matcher import Match, matches
from tiktokactions.copies.of_dataset import stored_description
from tiktokactions.curation.description import VERSION, Description
from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.sources import list_videos
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.files import (
    Place,
    csv_bytes,
    delete,
    is_address,
    located,
    may_be_refused,
    readable,
    sha256_file,
    unfinished,
    update_sums,
    write_listed,
)
from tiktokactions.records import VideoRecord

FIELDS = (
    *("video_id", "path", "label", "foreign_path", "own_start_s", "foreign_start_s", "seconds", "mirrored"),
    *("score", "problem"),
)
STORE = "splits/check_against/descriptions.parquet"
SAVED_EVERY = 500
"""Videos after which what was described so far is written down, for a run that is interrupted."""
SCHEMA = pa.schema(
    [
        *(("path", pa.string()), ("version", pa.string()), ("parts", pa.list_(pa.binary())), ("problem", pa.string())),
    ]
)


@dataclass(frozen=True)
class Described:
    """What is remembered of a video; ``problem``: why it has no description. ``version`` changes with the contents."""

    path: str
    version: str
    parts: tuple[bytes, ...]
    problem: str = ""


@dataclass(frozen=True)
class ForeignCheck:
    """``pairs``: video id, label, foreign path; ``unread``: path and why. ``table``: the file that lists both."""

    trained_on: int
    foreign: int
    pairs: tuple[tuple[str, str, str], ...]
    unread: tuple[tuple[str, str], ...]
    table: str


def check_against(data: Dataset, foreign: Sequence[str], media: Path | None = None) -> ForeignCheck:
    """Compare the training side of a split dataset (of one in folds: all folds) with foreign videos.

    Args:
        data: a split dataset.
        foreign: videos, folders, globs, and lists of paths (``.txt``, also UCF101's; ``.csv``).
        media: folder of the videos that lists name, where it is not their own.

    Raises:
        InputError, DataError: nothing that can be read as videos.
    """
    dataset, sides = data.folder, data.sides
    trained = {
        record.video_id: record
        for record in data.records()
        if record.clip is not None and sides.get(record.video_id, "").startswith(("train", "fold"))
    }
    listed, missing = foreign_videos(foreign, media)
    own = {i: one for i, record in trained.items() if (one := stored_description(dataset, record)) is not None}
    bare = {i: str(data.file(r.clip.path)) for i, r in trained.items() if i not in own and r.clip is not None}
    jobs = [(path, f"{VERSION} {r.clip.sha256}") for i, path in bare.items() if (r := trained[i]).clip is not None]
    jobs += [(path, f"{VERSION} {version}") for path, version in listed.items()]
    described = {one.path: one for one in _describe_all(dataset, jobs, data.options)}
    mine = {(i, 0): one for i, one in own.items()} | {
        (i, n): Description.from_bytes(part) for i, path in bare.items() for n, part in enumerate(described[path].parts)
    }
    theirs = {(p, n): Description.from_bytes(part) for p in listed for n, part in enumerate(described[p].parts)}
    found = _found(mine, theirs)
    clip_starts_s = {i: r.segment.start_s if i in own and r.segment is not None else 0.0 for i, r in trained.items()}
    rows = sorted(
        (i, *_of(trained[i]), path, *_told(match, clip_starts_s[i]), "") for (i, path), match in found.items()
    )
    unread = [*missing, *((one.path, one.problem) for one in described.values() if one.problem)]
    table = dataset / "splits" / "check_against" / "pairs.csv"
    refused = f"{dataset}: cannot be written to, so {table.name} does not list what was found"
    blanks = ("",) * (len(FIELDS) - 5)
    unreadable = (("", "", "", path, *blanks, problem) for path, problem in unread)
    with may_be_refused(refused):
        write_listed(dataset, "splits/check_against/pairs.csv", csv_bytes([FIELDS, *rows, *unreadable]))
    pairs = tuple((video_id, label, path) for video_id, _, label, path, *_ in rows)
    return ForeignCheck(len(trained), len(listed) + len(missing), pairs, tuple(unread), str(table))


def _found(
    mine: Mapping[tuple[str, int], Description], theirs: Mapping[tuple[str, int], Description]
) -> dict[tuple[str, str], Match]:
    """The best match of each own and foreign video, the own one first."""
    keys = [*mine, *theirs]
    names = [f"{number:09d}" for number in range(len(keys))]
    sides = {*names[: len(mine)]}, {*names[len(mine) :]}
    found: dict[tuple[str, str], Match] = {}
    for match in matches(dict(zip(names, (*mine.values(), *theirs.values()), strict=True)), between=sides):
        pair = keys[int(match.a)][0], keys[int(match.b)][0]  # own ones have the smaller numbers
        if pair not in found or match.score > found[pair].score:
            found[pair] = match
    return found


def _of(record: VideoRecord) -> tuple[str, str]:
    assert record.clip is not None
    return record.clip.path, record.labels[0] if record.labels else ""


def _told(match: Match, clip_start_s: float) -> tuple[str, ...]:
    times = match.a_start_s - clip_start_s, match.b_start_s, match.seconds
    return (*(f"{time:.1f}" for time in times), "yes" if match.mirrored else "no", f"{match.score:.3f}")


def foreign_videos(foreign: Sequence[str], media: Path | None) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Paths of the videos with what tells their contents apart, and the listed ones that are not there."""
    paths: dict[str, str] = {}
    missing: list[tuple[str, str]] = []
    folder: MediaFolder | None = None
    plain: list[str] = []
    for name in foreign:
        is_list = not is_address(name) and Path(name).suffix.lower() in (".txt", ".csv", ".list")
        if not (is_list and os.path.isfile(name)):
            is_dataset = (located(name) / "dataset.json").is_file()
            plain.append(f"{name.rstrip('/')}/clips" if is_dataset else name)
            continue
        folder = folder if folder is not None and media is not None else MediaFolder(media or _media_of(Path(name)))
        for row in videomae_lists.read_rows(Path(name)):
            beside = os.path.join(os.path.dirname(name), row.path)
            found = Clip(beside, row.label) if os.path.isfile(beside) else folder.named(row.path, row.label)
            if found is None:
                missing.append((row.path, f"named in {name}, not in {folder.folder}"))
            else:
                paths[os.path.abspath(found.path)] = ""
    for listed in list_videos(plain) if plain else ():
        paths[listed.path] = "" if listed.fingerprint is None else " ".join(map(str, listed.fingerprint))
    for path, version in paths.items():
        if not version:
            stat = os.stat(path)
            paths[path] = f"{stat.st_size} {stat.st_mtime_ns}"
    return paths, missing


def _media_of(listed: Path) -> Path:
    """Where the videos of a list lie: in its folder, or, as UCF101 has them, in one of that name beside it."""
    parent = listed.resolve().parent
    beside = [folder / name for folder in (parent, parent.parent) for name in ucf101.VIDEO_FOLDERS]
    return next((folder for folder in beside if folder.is_dir()), parent)


def _describe_all(dataset: Place, jobs: Sequence[tuple[str, str]], settings: CurateOptions) -> list[Described]:
    """Those remembered from an earlier check of the same contents, and the rest made now."""
    store = dataset / STORE
    with may_be_refused(f"{dataset}: cannot be written to, so what an earlier version left there stays"):
        delete(dataset / "splits" / "check_against" / "hashes.parquet")
    before = {one.path: one for one in _read(store)}
    done = {job: one for job in jobs if (one := before.get(job[0])) is not None and one.version == job[1]}
    todo = [job for job in dict.fromkeys(jobs) if job not in done]
    workers = max(1, min(settings.worker_count, len(todo)))
    for number, outcome in enumerate(run_jobs(todo, describe_job, workers, settings.timeout_s), start=1):
        failed = Described(*outcome.job, (), f"{outcome.failure}: {outcome.detail}")
        done[outcome.job] = outcome.result if outcome.result is not None else failed
        if number % SAVED_EVERY == 0 or number == len(todo):
            with may_be_refused(f"{dataset}: cannot be written to, so the next check looks at these videos again"):
                _write(dataset, store, (before | {job[0]: one for job, one in done.items()}).values())
    return [done[job] for job in jobs]


def describe_job(job: tuple[str, str]) -> Described:
    """In a worker: the description of one file; one that cannot be read has a ``problem``."""
    made = functools.partial(Described, *job)
    try:
        return made(tuple(part.to_bytes() for part in describe_file(job[0])))
    except video.VideoError as error:
        return made((), f"{error.reason}: {error.detail}")
    except OSError as error:
        return made((), f"unreadable: {error.strerror or error}")


def _read(store: Place) -> Iterator[Described]:
    if store.is_file():
        with pq.ParquetFile(readable(store)) as file:
            for row in itertools.chain.from_iterable(batch.to_pylist() for batch in file.iter_batches(256)):
                yield Described(row["path"], row["version"], tuple(row["parts"]), row["problem"])


def _write(dataset: Place, store: Place, known: Iterable[Described]) -> None:
    rows = [vars(one) for one in sorted(known, key=lambda one: one.path)]
    with unfinished(store) as staged:  # not where whoever takes the dataset's lock clears up
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), staged)
    update_sums(dataset, {STORE: sha256_file(store)})


def check_text(found: ForeignCheck) -> str:
    """The check as a person reads it."""
    lines = [f"{found.trained_on:,} clips trained on, compared with {found.foreign:,} foreign videos"]
    for video_id, label, path in found.pairs[:20]:
        lines.append(f"  {video_id} ({label or 'no label'}) is in {path}")
    if found.pairs:
        lines.append(f"attention: {len(found.pairs):,} near-duplicates; all of them: {found.table}")
    if found.unread:
        lines.append(f"attention: {len(found.unread):,} files could not be compared; listed in {found.table}")
    return "\n".join(lines)
