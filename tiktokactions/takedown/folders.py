"""Removing videos from one folder and from those that belong to it; what refresh and take-downs share.

In each folder the ids are written down first (``.removing.json``, then the tombstones), then every kind of artefact goes,
then the report is written: killed anywhere, the next refresh (or curation) finishes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.editing import Edit, locked
from tiktokactions.files import Place, delete

PENDING = ".removing.json"
TABLES = "statistics, figures, card"
REPORTS = "removals"


@dataclass(frozen=True)
class Artefact:
    """One kind of thing that is kept of videos. ``remove(folder, ids)`` takes it away and says how much there was.

    It must do nothing where nothing is left, raise :class:`tiktokactions.curation.removed.NotRemovedError` for files that it
    could not take away, and may be killed anywhere: it is called again.
    """

    name: str
    remove: Callable[[Place, frozenset[str]], int]


def dataset_artefacts(edit: Edit) -> tuple[Artefact, ...]:
    """In the order in which they go: what needs a video's record before the records. A new kind is one line here."""
    from tiktokactions.release import export as exports
    from tiktokactions.takedown import dataset as removal
    from tiktokactions.takedown.reviews import remove_videos

    return (
        Artefact("media", removal.remove_media),
        Artefact("reviews", remove_videos),
        Artefact("clips", removal.remove_clips),
        Artefact("thumbnails", removal.remove_thumbnails),
        Artefact("splits", removal.remove_from_splits),
        Artefact("records", removal.remove_records),
        Artefact("manifest rows", removal.remove_rows),
        Artefact("history", _forget_history),
        Artefact(TABLES, lambda folder, ids: _close(edit)),
        Artefact("subsets", _remove_from_subsets),
        Artefact("exports", exports.remove_videos),
    )


def collection_artefacts() -> tuple[Artefact, ...]:
    """The same for a collection; its rows go last, because they say where the media lie."""
    from tiktokactions.collection import removal

    return (
        Artefact("media", removal.remove_media),
        Artefact("exports", removal.remove_from_exports),
        Artefact("rows", removal.remove_rows),
    )


@dataclass(frozen=True)
class Removed:
    """What was taken out of one folder."""

    folder: str
    videos: int
    """Of the removed ids, those of which something was there."""
    artefacts: dict[str, int]
    """How much of each kind."""
    report: str
    """The signed report."""
    left: tuple[str, ...]
    """What could not be removed."""
    copies: tuple[str, ...]
    """Videos that were rejected as near-duplicates of removed ones."""


def is_collection_folder(folder: Place) -> bool:
    from tiktokactions.collection.store import is_collection

    return is_collection(folder)


def is_dataset_folder(folder: Place) -> bool:
    return (folder / "dataset.json").is_file()


# --- removing -------------------------------------------------------------------------------------------------------


@dataclass
class _Pending:
    """A removal under way in one folder; ``.removing.json`` holds it until the report is written."""

    at: str
    reason: str
    ids: list[str]
    held: list[str]
    contents: dict[str, str] = field(default_factory=dict)
    copies: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    attempts: int = 1


@contextlib.contextmanager
def edited(folder: Place) -> Iterator[Edit | None]:
    """A folder under its lock: a dataset being edited, or None for a collection."""
    if is_dataset_folder(folder):
        with Dataset(folder).editing("takedown") as edit:
            yield edit
    else:
        with locked(folder):
            yield None


def remove_everywhere(
    folder: Place, edit: Edit | None, group: Sequence[Place], ids: Sequence[str], reason: str
) -> tuple[list[Removed], list[str]]:
    """Out of every folder of the group, what one of them has a tombstone for included; and what went wrong.

    ``folder`` is locked already, and being edited if it is a dataset.
    """
    from tiktokactions.files import DatasetBusyError

    dead: dict[str, str] = dict.fromkeys(ids, reason)
    for path in group:
        dead = {video_id: why for video_id, (_, why) in tombstones_of(path).items()} | dead
    removed, problems = [], []
    for path in group:
        try:
            with contextlib.nullcontext(edit) if path == folder.absolute() else edited(path) as own:
                finish_removal(path, own)
                have = tombstones_of(path)
                todo = [i for i in dead if i not in have]
                again = sorted(held_in(path, [i for i in ids if i in have]))
                for why in dict.fromkeys(dead[i] for i in todo + again):
                    found = _begin(path, own, [i for i in todo + again if dead[i] == why], why)
                    removed += [found] if found is not None else []
        except DatasetBusyError as error:
            problems.append(f"{error} The next refresh removes there what is missing.")
    return removed, problems


def _begin(folder: Place, edit: Edit | None, ids: Sequence[str], reason: str) -> Removed | None:
    from tiktokactions.machine import Clock, utc_text

    pending = _Pending(utc_text(Clock().now()), reason, sorted(ids), [])
    if is_dataset_folder(folder):
        from tiktokactions.takedown import dataset as removal

        own = removal.held_ids(folder, ids)
        pending.ids = sorted(own)
        pending.held = sorted(removal.present(folder, own))
        pending.contents = removal.contents_of(folder, pending.held)
        pending.copies = removal.copies_of(folder, frozenset(pending.held))
    else:
        pending.held = sorted(held_in(folder, ids))
    _write_pending(folder, pending)
    return _finish(folder, edit, pending)


def finish_removal(folder: Place, edit: Edit | None) -> Removed | None:
    """Go on with a removal that was killed. The folder is locked, and being edited if it is a dataset."""
    path = folder / PENDING
    if not path.is_file():
        return None
    pending = _Pending(**json.loads(path.read_text(encoding="utf-8")))
    pending.attempts += 1
    return _finish(folder, edit, pending)


def _finish(folder: Place, edit: Edit | None, pending: _Pending) -> Removed | None:
    from tiktokactions.curation.removed import NotRemovedError

    ids = frozenset(pending.ids)
    if edit is not None and pending.held and TABLES not in pending.counts:
        edit.begin()
    _add_tombstones(folder, pending)
    if pending.held:
        for artefact in collection_artefacts() if edit is None else dataset_artefacts(edit):
            if artefact.name in pending.counts:
                continue
            try:
                pending.counts[artefact.name] = artefact.remove(folder, ids)
            except NotRemovedError as error:
                pending.counts[artefact.name] = 0
                pending.left.append(f"{artefact.name}: {error}")
            _write_pending(folder, pending)
        report = write_report(folder, pending.at, _report_of(folder, pending))
    delete(folder / PENDING)
    if not pending.held:
        return None
    return Removed(
        str(folder), len(pending.held), pending.counts, str(report), tuple(pending.left), tuple(pending.copies)
    )  # fmt: skip


def _write_pending(folder: Place, pending: _Pending) -> None:
    from tiktokactions.files import write_atomic

    write_atomic(folder / PENDING, json.dumps(vars(pending)).encode())


def tombstones_of(folder: Place) -> dict[str, tuple[str, str]]:
    if is_collection_folder(folder):
        from tiktokactions.collection.removal import tombstones

        return tombstones(folder)
    from tiktokactions.curation.removed import read_removed

    return {video_id: (stone.removed, stone.reason) for video_id, stone in read_removed(folder).items()}


def _add_tombstones(folder: Place, pending: _Pending) -> None:
    if is_collection_folder(folder):
        from tiktokactions.collection.removal import add_tombstones

        add_tombstones(folder, pending.ids, pending.at, pending.reason)
        return
    from tiktokactions.curation.removed import Tombstone, add_removed

    stones = [Tombstone(i, pending.at, pending.reason, pending.contents.get(i, "")) for i in pending.ids]
    add_removed(folder, stones)


def held_in(folder: Place, ids: Sequence[str]) -> set[str]:
    """Those of the platform's ids of which a folder holds something."""
    if is_collection_folder(folder):
        from tiktokactions.collection.removal import held_ids

        return held_ids(folder, ids)
    from tiktokactions.takedown import dataset as removal

    own = removal.held_ids(folder, ids)
    return {own[i] for i in removal.present(folder, own)}


def _forget_history(dataset: Place, ids: frozenset[str]) -> int:
    from tiktokactions.dataset.history import remove_videos
    from tiktokactions.dataset.info import read_info
    from tiktokactions.machine import utc_now

    info = read_info(dataset)
    return 0 if info is None else remove_videos(dataset, ids, info.version + 1, utc_now())


def _close(edit: Edit) -> int:
    edit.manifest_fits = edit.was_settled
    edit.close()
    return 1


def _remove_from_subsets(dataset: Place, ids: frozenset[str]) -> int:
    """Rows of the subsets that were taken of a dataset and still lie where they were written."""
    from tiktokactions.release import subset as subsets
    from tiktokactions.takedown import dataset as removal

    count = 0
    for subset in subsets.remembered(dataset):
        with Dataset(subset).editing("takedown") as edit:
            if removal.count_rows(subset, ids) or not edit.was_settled:
                edit.begin()
                count += removal.remove_rows(subset, ids)
                removal.remove_from_splits(subset, ids)
                _forget_history(subset, ids)
        subsets.remove_features(subset, ids)
    return count


# --- the report -----------------------------------------------------------------------------------------------------


def _report_of(folder: Place, pending: _Pending) -> dict[str, Any]:
    from tiktokactions import __version__

    return {
        "format": 1, "folder": str(folder), "tiktokactions": __version__, "at": pending.at, "reason": pending.reason,
        "ids": pending.held, "artefacts": pending.counts, "left": pending.left, "copies": pending.copies,
        "attempts": pending.attempts,
    }  # fmt: skip


def write_report(folder: Place, at: str, said: Mapping[str, Any]) -> Place:
    """``removals/<time>.json``, signed: ``sha256`` is over everything else in it, ``previous`` is the report before."""
    from tiktokactions.files import write_json

    reports = reports_of(folder)
    stem = at.replace(":", "-")
    # Written before, by a run that was killed between the report and the end of the removal: the same place.
    path = next((p for p in reports if _signed(p).get("at") == at and _signed(p).get("ids") == said["ids"]), None)
    if path is None:
        taken = {p.stem for p in reports}
        path = folder / REPORTS / f"{next(s for s in _names(stem) if s not in taken)}.json"
    earlier = [p for p in reports if p != path]
    signed = dict(said) | {"previous": _signed(earlier[-1]).get("sha256") if earlier else None}
    signed["sha256"] = signature(signed)
    write_json(path, signed, sort_keys=True)
    return path


def reports_of(folder: Place) -> list[Place]:
    """The reports of a folder, the earliest first: of one second (``…Z.json``, ``…Z-2.json``) in the order of numbers."""
    return sorted((folder / REPORTS).glob("*.json"), key=lambda p: (p.stem.partition("Z")[0], len(p.stem), p.stem))


def signature(report: Mapping[str, Any]) -> str:
    """SHA-256 of a report without its own ``sha256``, as JSON with sorted keys and no blanks."""
    rest = {name: value for name, value in report.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _signed(path: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _names(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1
