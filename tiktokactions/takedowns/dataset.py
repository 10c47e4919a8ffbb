"""A take-down in a dataset, one function for each kind of artefact; each does nothing where nothing is left to do.

:func:`tiktokactions.takedowns.folders.dataset_artefacts` lists them in order: what needs the record of a video comes before
the records. Tables are read and written in batches, so a million rows need neither memory nor many seconds.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tiktokactions.copies.of_dataset import copies_of as remembered_copies
from tiktokactions.copies.of_dataset import forget
from tiktokactions.copies.taken_down import remember
from tiktokactions.curation.takedowns import NotTakenDownError
from tiktokactions.dataset.assignments import NOWHERE, assignments_path
from tiktokactions.dataset.manifest import rewrite_manifest
from tiktokactions.files import (
    Place,
    StoreError,
    all_records,
    delete,
    delete_empty,
    delete_records,
    fingerprint,
    is_address,
    listing,
    located,
    move_into_place,
    readable,
    record_files,
    record_of,
    recorded,
    safe_video_id,
    staging_folder,
    thumbnail_paths,
    write_json,
)
from tiktokactions.metadata.names import companions, id_in_name, without_companions
from tiktokactions.records import JsonObject, VideoRecord, decode_record
from tiktokactions.takedowns.derived import LISTS, around
from tiktokactions.takedowns.scrub import CAPTION, Names, scrub, tails

_FEW = 500
"""Up to so many ids every folder of clips is asked for each; beyond, every folder is listed once."""


# --- which videos ---------------------------------------------------------------------------------------------------


def held_ids(dataset: Place, ids: Iterable[str]) -> dict[str, str]:
    """The dataset's own ids (which name its files) of the platform's ids, each with the platform's id.

    An id that is not held is there too, as curation would name it.
    """
    wanted = {safe_video_id(i): i for i in ids}
    found, by_platform = dict(wanted), set(wanted.values())
    for batch in batches(dataset, ["video_id", "source_path"]):
        # Of two different files that claim one id, the second has eight digits of its content behind the id. A dataset that
        # was made before names of files were read has a video of such a name under its content.
        is_second = pc.match_substring_regex(batch["video_id"], "-[0-9a-f]{8}$")
        is_unnamed = pc.match_substring_regex(batch["video_id"], "^[0-9a-f]{16}$")
        has_number = pc.match_substring_regex(pc.fill_null(batch["source_path"], ""), "[0-9]{17}")
        maybe = batch.filter(pc.or_(is_second, pc.and_(is_unnamed, has_number)))
        for video_id, path in zip(maybe["video_id"].to_pylist(), maybe["source_path"].to_pylist(), strict=True):
            named = id_in_name(path)
            if video_id[:-9] in wanted or named in by_platform:
                record = _record(dataset, video_id)
                claimed = named if record is None else record.source.id or named
                if claimed in by_platform:
                    found[video_id] = str(claimed)
    return found


def present(dataset: Place, ids: Iterable[str]) -> set[str]:
    """Those of the dataset's own ids that have a record, a row, a clip or a picture."""
    asked = set(ids)
    found = recorded(dataset, asked)
    wanted = pa.array(sorted(asked), pa.string())
    for batch in batches(dataset, ["video_id"]):
        found.update(batch["video_id"].filter(pc.is_in(batch["video_id"], value_set=wanted)).to_pylist())
    if left := asked - found:
        folders = (dataset / "thumbs", *listing(dataset / "clips")[1])
        found |= {file.name.partition(".")[0] for folder in folders for file in listing(folder)[0]} & left
    return found


def claimed(dataset: Place, ids: Iterable[str]) -> dict[str, str]:
    """The dataset's own ids of those of the platform's ids that a record tells of: as the id of its source, in the names of
    its files, or in those of byte-identical copies. Every record is read."""
    wanted, found = set(ids), dict[str, str]()
    needles = [i.encode() for i in wanted]
    for path, data in record_files(dataset) if wanted else ():
        if len(needles) > _FEW or any(needle in data for needle in needles):
            record = decode_record(data, where=str(path))
            names = {record.source.id}
            for file in (record.source.path, *record.source.copies):
                names |= {id_in_name(file), file.rpartition("/")[2].partition(".")[0]}
            found |= dict.fromkeys((i for i in names if i in wanted), record.video_id)
    return found


def copied_files(dataset: Place) -> Iterator[tuple[str, str]]:
    """The dataset's own id and the path of every further file of a video. Every record is read."""
    for path, data in record_files(dataset):
        if b'"copies":["' in data:
            record = decode_record(data, where=str(path))
            yield from ((record.video_id, copy) for copy in record.source.copies)


def names_of(dataset: Place, videos: Iterable[str]) -> Names:
    """By what these videos, ids of the dataset or of the platform, may be known in other files."""
    ids, paths, texts = set(videos), set[str](), set[str]()
    for record in [found for video_id in videos if (found := _record(dataset, video_id)) is not None]:
        source = record.source
        ids |= {source.sha256, source.id or ""} - {""}
        for path in (source.path, *source.copies):
            if id_in_name(path) not in ids:
                paths.update(tails(path))
        texts |= {source.title.strip()} if source.title and len(source.title.strip()) >= CAPTION else set()
    return Names(frozenset(ids), frozenset(paths), tuple(sorted(texts)))


def ids_of_creator(dataset: Place, names: frozenset[str], is_settled: bool) -> set[str]:
    """Ids of the videos of a creator, whose plain and hashed ``names`` are given in lower case.

    Of a dataset whose last run was killed every record is read, else the manifest alone.
    """
    found: set[str] = set()
    for batch in batches(dataset, ["video_id", "creator"]):
        said = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(batch["creator"], "")))
        is_theirs = pc.is_in(pc.utf8_ltrim(said, "@"), value_set=pa.array(sorted(names), pa.string()))
        found.update(batch["video_id"].filter(is_theirs).to_pylist())
    records = () if is_settled else all_records(dataset)
    found.update(r.video_id for r in records if (r.source.creator or "").strip().lower().lstrip("@") in names)
    return found


def platform_ids(dataset: Place, is_ours: Any) -> Iterator[str]:
    """The platform's ids among the manifest's rows, as far as ``is_ours(id)``.

    An id of sixteen digits that is the beginning of the file's own hash is none.
    """
    for batch in batches(dataset, ["video_id", "sha256"]):
        batch = batch.filter(pc.match_substring_regex(batch["video_id"], "^[0-9]+(-[0-9a-f]{8})?$"))
        for video_id, sha256 in zip(batch["video_id"].to_pylist(), batch["sha256"].to_pylist(), strict=True):
            platform_id = video_id.partition("-")[0]
            if is_ours(platform_id) and not (sha256 or "-").startswith(video_id):
                yield platform_id


def contents_of(dataset: Place, ids: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the bytes of those videos whose record is there and knows it."""
    records = ((i, _record(dataset, i)) for i in ids)
    return {i: record.source.sha256 for i, record in records if record is not None and record.source.sha256}


def copies_of(dataset: Place, ids: frozenset[str]) -> list[str]:
    """Videos that show the same footage as these: a person, or ``redecide``, must look at them again."""
    reasons = pa.array([f"duplicate_of:{i}" for i in sorted(ids)], pa.string())
    found: list[str] = []
    for batch in batches(dataset, ["video_id", "reasons"]):
        hits = pc.is_in(pc.list_flatten(batch["reasons"]), value_set=reasons)
        rows = pc.list_parent_indices(batch["reasons"]).filter(hits)
        found += batch["video_id"].take(rows).to_pylist()
    return sorted({*found, *remembered_copies(dataset, ids)} - ids)


# --- files ----------------------------------------------------------------------------------------------------------


def take_down_media(dataset: Place, ids: frozenset[str]) -> int:
    """The source files, as long as they are those that were curated, and their sidecars; how many files went. Lists and
    metadata of many videos that lie beside them lose what they say of these.

    Raises:
        NotTakenDownError: the operating system or a store refused some; all others are gone.
    """
    count, refused, ours = 0, [], defaultdict[str, list[str]](list)
    for record in filter(None, (_record(dataset, video_id) for video_id in ids)):
        for path in (record.source.path, *record.source.copies):
            folder, _, name = path.rpartition("/")
            try:
                if not is_address(path) and not os.path.isdir(folder or "/"):
                    refused.append(f"{path} (its folder is not there: is a disk not mounted?)")
                elif _is_same_file(path, record):
                    ours[folder or "/"].append(name)
            except (OSError, StoreError) as error:
                refused.append(_refusal(path, error))
    said = names_of(dataset, ids) if ours else Names(ids)
    for folder, names in ours.items():
        try:  # what accompanies a video goes before it: a killed take-down finds the rest by the video
            there = [path.name for path in listing(located(folder))[0]]
            beside = companions(names, there)
            for name in without_companions(there) if around(folder) is None else ():
                if located(name).suffix.lower() in LISTS:
                    count += scrub(located(folder) / name, said).count
        except (OSError, StoreError) as error:
            beside = []
            refused.append(_refusal(folder, error))
        for name in (*beside, *names):
            try:
                count += delete(located(folder) / name)
            except (OSError, StoreError) as error:
                refused.append(_refusal(f"{folder}/{name}", error))
    if refused:
        raise NotTakenDownError(f"{len(refused)} source files could not be deleted: {', '.join(refused[:20])}")
    return count


def _refusal(path: str, error: Exception) -> str:
    return f"{path} ({getattr(error, 'strerror', None) or error})"


def take_down_clips(dataset: Place, ids: frozenset[str]) -> int:
    """``clips/<any label>/<id>.mp4``: wherever a killed run may have left one.

    Raises:
        NotTakenDownError: no clip of any video is there, as where their disk is not mounted.
    """
    names, folders = {f"{video_id}.mp4" for video_id in ids}, listing(dataset / "clips")[1]
    absent = () if folders else [record.clip.path for i in ids if (record := _record(dataset, i)) and record.clip]
    if absent:
        raise NotTakenDownError(
            f"{dataset / 'clips'} holds no clip at all: is a disk not mounted? Give the take-down again once it is:"
            f" {', '.join(sorted(absent)[:20])}"
        )
    return sum(_take_down_clips_in(folder, names) for folder in folders)


def take_down_thumbnails(dataset: Place, ids: frozenset[str]) -> int:
    """Posters and strips, and what copies were recognised by, apart from hashes; how many pictures went."""
    remember(dataset, ids)
    forget(
        dataset, ids | remembered_copies(dataset, ids)
    )  # the copies are compared again, now with what was taken down
    gone = [path for i in ids for path in thumbnail_paths(dataset, i) if delete(path)]
    return sum(path.suffix == ".jpg" for path in gone)


def take_down_records(dataset: Place, ids: frozenset[str]) -> int:
    return delete_records(dataset, ids)


# --- tables ---------------------------------------------------------------------------------------------------------


def count_rows(dataset: Place, ids: frozenset[str]) -> int:
    """Rows of ``manifest.parquet`` about these videos."""
    wanted = pa.array(sorted(ids), pa.string())
    found = (pc.is_in(batch["video_id"], value_set=wanted) for batch in batches(dataset, ["video_id"]))
    return sum(int(pc.sum(is_theirs).as_py() or 0) for is_theirs in found)


def take_down_rows(dataset: Place, ids: frozenset[str]) -> int:
    """Rows of ``manifest.parquet``; it is written anew only where one of them is there."""
    manifest, unwanted = dataset / "manifest.parquet", pa.array(sorted(ids), pa.string())

    def wanted(batch: Any) -> Any:
        return batch.filter(pc.invert(pc.is_in(batch["video_id"], value_set=unwanted)))

    if count := count_rows(dataset, ids):
        rewrite_manifest(manifest, manifest, wanted, staging_folder(dataset))
    return count


def take_down_from_splits(dataset: Place, ids: frozenset[str]) -> int:
    """Rows of ``splits/*.csv``, and what ``splits/report.json`` counts of them; how many videos had a side."""
    assignments, left = assignments_path(dataset), Counter[tuple[str, str]]()
    if not assignments.parent.is_dir():
        return 0
    lists = [path for path in sorted(assignments.parent.glob("*.csv")) if path != assignments]
    copies = assignments.parent / "leaks.csv"
    _take_down_lines(dataset, copies, ids, Counter())
    gone = sum(_take_down_lines(dataset, path, ids, left) for path in lists if path != copies)
    # Counted from what is left, so that a kill between the lists and the report does no harm.
    _correct_report(dataset, assignments.parent / "report.json", left, ids)
    return max(gone, _take_down_lines(dataset, assignments, ids, Counter()))


def _take_down_lines(dataset: Place, path: Place, ids: frozenset[str], left: Counter[tuple[str, str]]) -> int:
    """Take the rows of these videos out of a CSV with a column ``video_id``; how many went.

    ``left`` counts the rows that stay by file and label.
    """
    gone = 0
    if not path.is_file():
        return 0
    staged = staging_folder(dataset) / path.name
    staged.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open(encoding="utf-8", errors="surrogatepass", newline="") as source,
        staged.open("w", encoding="utf-8", errors="surrogatepass", newline="") as target,
    ):
        rows, writer = csv.reader(source), csv.writer(target, lineterminator="\n")
        header = next(rows, [])
        if "video_id" not in header:
            return 0
        writer.writerow(header)
        # A million rows: plain loops over positions.
        id_at, other_at = header.index("video_id"), header.index("other_id") if "other_id" in header else -1
        label_at = header.index("label") if "label" in header else -1
        labels: Counter[str] = Counter()
        for row in rows:
            if len(row) > max(id_at, other_at) and (row[id_at] in ids or (other_at >= 0 and row[other_at] in ids)):
                gone += 1
                continue
            writer.writerow(row)
            if label_at >= 0:
                labels[row[label_at]] += 1
        left.update({(path.stem, label): count for label, count in labels.items()})
        target.flush()
        os.fsync(target.fileno())
    if gone:
        move_into_place(staged, path)
    else:
        staged.unlink()
    return gone


def _correct_report(dataset: Place, path: Place, left: Counter[tuple[str, str]], ids: frozenset[str]) -> None:
    if not path.is_file():
        return
    report: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    bridging = [i for i in report["bridging"] if i not in ids]
    sides = {side: sum(n for (name, _), n in left.items() if name == side) for side in report["wanted"]}
    by_label = {
        label: {side: left[side, label] if side in sides else count for side, count in counts.items()}
        for label, counts in report["labels"].items()
    }
    sides[NOWHERE] = report["sides"].get(NOWHERE, 0) - len(report["bridging"]) + len(bridging)
    corrected = report | {"bridging": bridging, "sides": sides, "clips": sum(sides.values()), "labels": by_label}
    if "chains" in report:
        corrected["chains"] = []  # they name videos and creators; the next split tells them again
    if corrected != report:
        write_json(path, corrected, staging_folder(dataset))


# --- helpers --------------------------------------------------------------------------------------------------------


def batches(dataset: Place, columns: list[str]) -> Iterator[Any]:
    """Nothing where there is no manifest yet."""
    manifest = dataset / "manifest.parquet"
    if manifest.is_file():
        with pq.ParquetFile(readable(manifest)) as file:
            yield from file.iter_batches(columns=columns)


def _record(dataset: Place, video_id: str) -> VideoRecord | None:
    try:
        return record_of(dataset, video_id)
    except FileNotFoundError:
        return None


def _is_same_file(path: str, record: VideoRecord) -> bool:
    """Another file may lie at the path by now; it is none of ours. What accompanied one that is gone is."""
    try:
        return record.source.fingerprints.get(path) == fingerprint(path)
    except (FileNotFoundError, NotADirectoryError):
        return True


def _take_down_clips_in(folder: Place, names: set[str]) -> int:
    wanted = names if len(names) <= _FEW else names.intersection(path.name for path in folder.iterdir())
    count = sum(delete(folder / name) for name in wanted)
    if count:
        delete_empty(folder)
    return count
