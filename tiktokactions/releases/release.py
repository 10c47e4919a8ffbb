"""``release``: a dataset as others get it, in a folder or a store, complete and checkable; finished by running it again.

``release.json`` marks the place before the first clip is there, and ``SHA256SUMS`` comes last: a release without it is not
finished. The dataset remembers its releases in ``releases.json``, so that a take-down reaches them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from tiktokactions.curation.takedowns import NotTakenDownError
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.publisher import Publisher, read_publisher
from tiktokactions.dataset.subset_mark import write_origin
from tiktokactions.errors import UsageError
from tiktokactions.files import (
    SUMS,
    Place,
    absolute,
    clear_staging,
    delete,
    holds_something,
    json_bytes,
    listing,
    listing_lock,
    local_path,
    located,
    may_be_refused,
    read_json,
    readable,
    sha256_file,
    write_atomic,
    write_json,
    write_listed,
    write_sums,
)
from tiktokactions.records import JsonObject
from tiktokactions.releases.card import write_card
from tiktokactions.releases.clip_folders import write_data
from tiktokactions.releases.export import NOT_THERE, NOT_WRITTEN, made_by
from tiktokactions.releases.formats import ids
from tiktokactions.releases.rows import Export

MARK = "release.json"
REMEMBERED = "releases.json"
CERTIFICATE = "certificate.json"
KEPT = (
    *("README.md", "manifest.parquet", "croissant.json", "ids.csv", "ids.json", "removed.csv"),
    *(CERTIFICATE, MARK, SUMS),
)
"""The files in the root of a release; folders are ``data`` and ``figures``."""


@dataclass(frozen=True)
class Released:
    """What was released, and where."""

    release: str
    clips: int
    sides: dict[str, int]
    files: int
    certificate: bool
    """Whether a certificate says what leaks between the sides."""
    notes: tuple[str, ...] = ()
    """What could not be had."""
    pushed: str = ""
    """Its address on the hub."""


def write_release(
    export: Export, out: Place, publisher: Publisher, *, gated: str = "", has_clips: bool = True
) -> Released:
    """Write or finish a release; what is there already is not copied again.

    Args:
        publisher: whose :attr:`~Publisher.missing` is empty.
        gated: the text that people agree to on the hub, if any.
        has_clips: False writes the list of ids alone.

    Raises:
        UsageError: nothing to release, a damaged clip, or a place that holds something else.
    """
    if not export.counts:
        raise UsageError(f"{export.dataset.folder}: no accepted clip fits; 'dataset stats' says what there is")
    said = read_mark(out)
    if said is None:
        _require_empty(out)
    elif not _is_ours(export.dataset.folder, said["id"], out):
        raise UsageError(f"{out}: holds a release of another dataset; choose another folder")
    options = {"sides": export.sides, "labels": export.labels, "gated": gated, "has_clips": has_clips}
    # Of the dataset, so that two runs write the same bytes.
    own = hashlib.sha256(b"release" + export.salt).hexdigest()[:16]
    mark = {"format": 1, "id": said["id"] if said else own, "dataset": export.dataset.name} | options
    with may_be_refused(f"{export.dataset.folder}: cannot be written to, so no take-down will find the release {out}"):
        _remember(export.dataset.folder, mark, out)
    write_json(out / MARK, mark | export.passed_on())
    write_origin(str(mark["id"]), export.dataset.folder)
    return _write(export, out, publisher, gated, has_clips)


def read_mark(out: Place) -> JsonObject | None:
    """What ``release.json`` says; None where there is none.

    Raises:
        UsageError: it is damaged.
    """
    path = out / MARK
    if not path.is_file():
        return None
    try:
        said: JsonObject = json.loads(path.read_text(encoding="utf-8"))
        return said if "id" in said else None
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error}); choose another folder, or delete this one") from None


def remembered(dataset: Place) -> list[JsonObject]:
    """Every release that was begun: ``id``, ``path`` and ``dataset`` (both absolute), options."""
    return list(read_json(dataset / REMEMBERED, []))


def take_down_from_releases(dataset: Place, ids: Iterable[str]) -> int:
    """Write every release of this dataset anew without what is no longer in it; how many.

    A release that was killed before its tables were written loses the clips of these videos and stays to be finished.
    Raises:
        NotTakenDownError: all this is done, but some were pushed to the hub, or moved or deleted. The latter are forgotten
            here: whoever moved them has to remove the videos there.
    """
    gone, kept, changed, pushed, moved, hindered = frozenset(ids), [], 0, [], [], list[str]()
    for entry in remembered(dataset):
        if not made_by(dataset, entry, REMEMBERED):
            kept.append(entry)
            continue
        out = located(entry["path"])
        pushed += [f"{name} (release {entry['path']})" for name in entry.get("pushed", ())]
        mark = read_mark(out)
        is_there = mark is not None and mark["id"] == entry["id"]
        if is_there or entry.get("pushed"):
            kept.append(entry)
        if not is_there:
            moved.append(entry["path"])
            continue
        changed += 1
        if (out / SUMS).is_file() or (out / "ids.csv").is_file() or (out / "manifest.parquet").is_file():
            export = Export(Dataset(dataset), tuple(entry["sides"]), tuple(entry["labels"]))
            write_json(out / MARK, (mark or {}) | export.passed_on())
            try:
                _write(export, out, read_publisher(export.dataset.parent.folder), entry["gated"], entry["has_clips"])
            except (FileNotFoundError, NotADirectoryError, UsageError) as error:
                _delete_clips(out / "data", gone)
                hindered.append(f"{out} ({error})")
        else:
            _delete_clips(out / "data", gone)
    if remembered(dataset) != kept:
        write_listed(dataset, REMEMBERED, json_bytes(kept))
    told = [f"what lies on the hub goes with the next 'release' with `push`: {', '.join(pushed)}"] if pushed else []
    told += [f"{NOT_THERE}: {', '.join(moved)}"] if moved else []
    told += [f"{NOT_WRITTEN}: {', '.join(hindered)}"] if hindered else []
    if told:
        raise NotTakenDownError("; ".join(told), changed - len(hindered))
    return changed


def _write(export: Export, out: Place, publisher: Publisher, gated: str, has_clips: bool) -> Released:
    delete(out / SUMS)
    sums: dict[str, tuple[str, ...]] = {}
    paths: list[Place] = []
    if has_clips:
        paths += write_data(export, out)
        sums |= _sums_of_clips(out)
    paths += ids.write(export, out)  # type: ignore[arg-type]
    certificate = export.dataset.tables / "splits" / CERTIFICATE
    has_certificate = certificate.is_file() and set(export.counts) != {"all"}
    if has_certificate:
        write_atomic(out / CERTIFICATE, certificate.read_bytes())
        paths.append(out / CERTIFICATE)
    else:
        delete(out / CERTIFICATE)
    notes = _contents(paths, has_certificate, has_clips, export.passed_on().get("last_takedown"))
    paths += write_card(export, out, publisher, notes=notes, gated=gated, has_clips=has_clips)
    _clear(out, paths)
    for path in (*paths, out / MARK):
        name = path.as_posix()[len(out.as_posix()) + 1 :]
        if name not in sums:
            sums[name] = (sha256_file(path),)
    clear_staging(out)
    export.dataset.require_unchanged()
    write_sums(out, sums)
    clips = sum(export.counts.values())
    told = (*export.unmatched, *export.notes)
    return Released(str(out), clips, dict(export.counts), len(sums) + 1, has_certificate, notes=told)


def _sums_of_clips(out: Place) -> dict[str, tuple[str, ...]]:
    """The checksums with which the clips were placed."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(readable(out / "manifest.parquet")) as file:
        rows = (batch.to_pylist() for batch in file.iter_batches(columns=["path", "sha256"]))
        return {row["path"]: (row["sha256"],) for part in rows for row in part}


def _contents(paths: list[Place], has_certificate: bool, has_clips: bool, last_takedown: str | None) -> list[str]:
    notes = [
        "`ids.csv`, `ids.json`: ids, seconds, labels, verdicts and evidence of every video, from which"
        " `tiktokactions dataset hydrate` makes the dataset again"
    ]
    if last_takedown:
        notes.append(
            f"`removed.csv`: videos that were taken down, the last on {last_takedown}, and stay out of every copy"
        )
    if has_certificate:
        notes.append(f"`{CERTIFICATE}`: what leaks between the splits, measured on these clips")
    elif has_clips:
        notes.append("no leak certificate: nobody has measured what leaks between the splits, if there are any")
    return [*notes, "`SHA256SUMS`: checksums of all files; `sha256sum -c SHA256SUMS` compares"]


def _clear(out: Place, written: list[Place]) -> None:
    """Take away what an earlier run left: figures, tables and unfinished files."""
    names = {str(path) for path in written}
    for file in (*listing(out)[0], *listing(out / "figures")[0]):
        is_left = file.name.startswith(".writing-") or (file.name not in KEPT and file.suffix == ".png")
        stale = file.name in KEPT and file.name not in (MARK, SUMS)
        if str(file) not in names and (is_left or stale):
            delete(file)
    if not any("/data/" in path.as_posix()[len(out.as_posix()) :] for path in written):
        _delete_clips(out / "data", None)


def _delete_clips(folder: Place, ids: frozenset[str] | None) -> None:
    """Clips of these videos, or all of them, below a folder."""
    files, folders = listing(folder)
    for file in files:
        if ids is None or file.stem in ids:
            delete(file)
    for below in folders:
        _delete_clips(below, ids)


def _require_empty(out: Place) -> None:
    local = local_path(out)
    if local is not None and local.exists() and not local.is_dir():
        raise UsageError(f"{out}: expected a folder, got a file")
    if holds_something(out):
        raise UsageError(f"{out}: not empty and not a release; choose a new or an empty folder")


def remember_push(dataset: Place, out: Place, name: str) -> None:
    """So that a take-down can say where else the clips are."""
    mark = read_mark(out)
    assert mark is not None
    _remember(dataset, mark, out, name)


def _remember(dataset: Place, mark: JsonObject, out: Place, pushed: str = "") -> None:
    told = {name: mark[name] for name in ("id", "sides", "labels", "gated", "has_clips")}
    entry = told | {"path": absolute(str(out)), "dataset": absolute(str(dataset))}
    with listing_lock(dataset):
        before = remembered(dataset)
        same = [known for known in before if known["path"] == entry["path"]]
        names = dict.fromkeys([*(name for known in same for name in known.get("pushed", ())), *filter(None, [pushed])])
        now = [*(known for known in before if known not in same), entry | ({"pushed": list(names)} if names else {})]
        if now != before:
            write_listed(dataset, REMEMBERED, json_bytes(now))


def adopt(dataset: Place, out: Place) -> bool:
    """Remember a release of this dataset that was moved or copied; False where it is none."""
    mark = read_mark(out)
    if mark is None or not _is_ours(dataset, mark["id"], out):
        return False
    _remember(dataset, mark, out)
    return True


def _is_ours(dataset: Place, release_id: str, out: Place) -> bool:
    """Whether this dataset made the release that lies there, or made it elsewhere and it was moved."""
    same = [known for known in remembered(dataset) if known["id"] == release_id]
    here = [known for known in same if known["path"] == absolute(str(out))]
    return any(made_by(dataset, known, REMEMBERED) for known in here or same)
