"""The check of a split against foreign data: is something that is trained on also among the clips that others test on?

Own clips and foreign videos are decoded once, hashed several times a second and matched as sequences
(:mod:`tiktokactions.copies.passages`): the same footage is found in another size or compression, mirrored, with borders, and
where one is a part of the other.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions import video
from tiktokactions.clips.clip import Clip
from tiktokactions.clips.readers import ucf101, videomae_lists
from tiktokactions.clips.readers.media import MediaFolder
from tiktokactions.copies.passages import (
    FOREIGN_PER_SECOND,
    OWN_PER_SECOND,
    Passage,
    Sequenced,
    find_passages,
    hash_video,
)
from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.sources import list_videos
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.files import (
    Place,
    csv_bytes,
    is_address,
    local_file,
    readable,
    sha256_file,
    staging_folder,
    unfinished,
    update_sums,
    write_listed,
)

FIELDS = (
    *("video_id", "path", "label", "foreign_path", "own_start_s", "foreign_start_s", "seconds", "mirrored"),
    *("distance", "agreement", "problem"),
)
HASH_BYTES = 32
SAVED_EVERY = 500
"""Videos after which the hashes made so far are written down, for a run that is interrupted."""
HASHES = ("plain", "mirrored", "sure", "present")
SCHEMA = pa.schema(
    [
        *(("path", pa.string()), ("per_second", pa.int32()), ("version", pa.string())),
        *((name, pa.binary()) for name in HASHES),
        ("problem", pa.string()),
    ]
)


@dataclass(frozen=True)
class Hashed:
    """What is remembered of a video; ``problem``: why it has no hashes. ``version`` changes with the contents."""

    path: str
    per_second: int
    version: str
    clip: Sequenced | None
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
    trained = [
        (record.video_id, record.clip.path, record.labels[0] if record.labels else "", record.clip.sha256)
        for record in data.records()
        if record.clip is not None and sides.get(record.video_id, "").startswith(("train", "fold"))
    ]
    listed, missing = foreign_videos(foreign, media)
    jobs = [(str(dataset / path), OWN_PER_SECOND, sha256) for _, path, _, sha256 in trained]
    jobs += [(path, FOREIGN_PER_SECOND, version) for path, version in listed.items()]
    hashed = _hash_all(dataset, jobs, data.options)
    own, others = hashed[: len(trained)], hashed[len(trained) :]
    mine = [number for number, one in enumerate(own) if one.clip is not None]
    theirs = [one for one in others if one.clip is not None]
    found = find_passages([c for one in own if (c := one.clip) is not None], [c for o in theirs if (c := o.clip)])
    rows = sorted((*trained[mine[one.own]][:3], theirs[one.foreign].path, *_told(one), "") for one in found)
    unread = [*missing, *((one.path, one.problem) for one in hashed if one.problem)]
    table = dataset / "splits" / "check_against" / "pairs.csv"
    blanks = ("",) * (len(FIELDS) - 5)
    unreadable = (("", "", "", path, *blanks, problem) for path, problem in unread)
    write_listed(dataset, "splits/check_against/pairs.csv", csv_bytes([FIELDS, *rows, *unreadable]))
    pairs = tuple(dict.fromkeys((video_id, label, path) for video_id, _, label, path, *_ in rows))
    return ForeignCheck(len(trained), len(listed) + len(missing), pairs, tuple(unread), str(table))


def _told(passage: Passage) -> tuple[str, ...]:
    times = (passage.own_start_s, passage.foreign_start_s, passage.seconds)
    mirrored = "yes" if passage.mirrored else "no"
    return (*(f"{time:.1f}" for time in times), mirrored, f"{passage.distance:g}", f"{passage.agreement:g}")


def foreign_videos(foreign: Sequence[str], media: Path | None) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Paths of the videos with what tells their contents apart, and the listed ones that are not there."""
    paths: dict[str, str] = {}
    missing: list[tuple[str, str]] = []
    folder: MediaFolder | None = None
    plain: list[str] = []
    for name in foreign:
        is_list = not is_address(name) and Path(name).suffix.lower() in (".txt", ".csv", ".list")
        if not (is_list and os.path.isfile(name)):
            plain.append(name)
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


def _hash_all(dataset: Place, jobs: Sequence[tuple[str, int, str]], settings: CurateOptions) -> list[Hashed]:
    """Those remembered from an earlier check of the same contents, and the rest made now."""
    store = dataset / "splits" / "check_against" / "hashes.parquet"
    before = {(one.path, one.per_second): one for one in _read(store)}
    done = {job: one for job in jobs if (one := before.get(job[:2])) is not None and one.version == job[2]}
    todo = [job for job in dict.fromkeys(jobs) if job not in done]
    workers = max(1, min(settings.worker_count, len(todo)))
    for number, outcome in enumerate(run_jobs(todo, hash_job, workers, settings.timeout_s), start=1):
        path, per_second, version = outcome.job
        failed = Hashed(path, per_second, version, None, f"{outcome.failure}: {outcome.detail}")
        done[outcome.job] = outcome.result if outcome.result is not None else failed
        if number % SAVED_EVERY == 0 or number == len(todo):
            _write(dataset, store, (before | {job[:2]: one for job, one in done.items()}).values())
    return [done[job] for job in jobs]


def hash_job(job: tuple[str, int, str]) -> Hashed:
    """In a worker: hashes of one file; one that cannot be read has a ``problem``."""
    path, per_second, version = job
    try:
        with local_file(path) as local:
            return Hashed(path, per_second, version, hash_video(local, per_second))
    except video.VideoError as error:
        return Hashed(path, per_second, version, None, f"{error.reason}: {error.detail}")
    except OSError as error:
        return Hashed(path, per_second, version, None, f"unreadable: {error.strerror or error}")


def _read(store: Place) -> Iterator[Hashed]:
    if not store.is_file():
        return
    with pq.ParquetFile(readable(store)) as file:
        for row in itertools.chain.from_iterable(batch.to_pylist() for batch in file.iter_batches()):
            clip = None
            if not row["problem"]:
                packed = (np.frombuffer(row[name], np.uint8) for name in HASHES[:3])
                plain, mirrored, sure = (flat.reshape(-1, HASH_BYTES) for flat in packed)
                clip = Sequenced(plain, mirrored, sure, np.frombuffer(row["present"], bool))
            yield Hashed(row["path"], row["per_second"], row["version"], clip, row["problem"])


def _write(dataset: Place, store: Place, known: Iterable[Hashed]) -> None:
    rows = [
        {name: getattr(one, name) for name in ("path", "per_second", "version", "problem")}
        | {name: b"" if one.clip is None else getattr(one.clip, name).tobytes() for name in HASHES}
        for one in sorted(known, key=lambda one: (one.path, one.per_second))
    ]
    with unfinished(store, staging_folder(dataset)) as staged:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), staged)
    update_sums(dataset, {store.relative_to(dataset).as_posix(): sha256_file(store)})


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
