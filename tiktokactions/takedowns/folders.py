"""A take-down in one folder and in those that are linked with it.

In each folder the ids are written down first (``.removing.json``, then the list of what was taken down), then every kind of
artefact goes, then the report is written: killed anywhere, the next refresh (or curation) finishes it.
"""

from __future__ import annotations

import contextlib
import html
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tiktokactions import __version__
from tiktokactions.collection.compliance import forget_ids
from tiktokactions.collection.store import is_collection
from tiktokactions.curation.takedowns import SEALED, NotTakenDownError, Takedown, add_takedowns, read_takedowns
from tiktokactions.dataset.dataset import REMOVING, Dataset
from tiktokactions.dataset.editing import Edit, locked
from tiktokactions.dataset.info import read_info
from tiktokactions.errors import UsageError
from tiktokactions.files import (
    DatasetBusyError,
    Place,
    clear_staging,
    delete,
    delete_folder,
    listing,
    local_path,
    located,
    noted_changes,
    update_sums,
    write_atomic,
)
from tiktokactions.machine import Clock, cache_folder, utc_now, utc_text
from tiktokactions.records import JsonObject
from tiktokactions.takedowns import collection as of_collection
from tiktokactions.takedowns import reviews
from tiktokactions.takedowns.derived import Derived, Kind, derived_of, forget_missing, register
from tiktokactions.takedowns.originals import part_from_original
from tiktokactions.takedowns.reports import write_report
from tiktokactions.takedowns.scrub import Names, scrub
from tiktokactions.verdicts.quarantine import take_down_from_quarantine

DELETED = """<!doctype html><title>This report was deleted</title>
<p>This report was deleted on {at}, because it may have shown a video that was taken down. Make it again:</p>
<pre>{again}</pre>
"""
TABLES = "statistics, figures, card"
LEARNED = ("run.json", "study.json")


@dataclass(frozen=True)
class Artefact:
    """One kind of thing that is kept of videos. ``take_down(folder, ids)`` takes it away and says how much there was.

    It must do nothing where nothing is left, raise ``NotTakenDownError`` for files that it could not take away, and may be
    killed anywhere: it is called again.
    """

    name: str
    take_down: Callable[[Place, frozenset[str]], int]


def dataset_artefacts(edit: Edit, pending: _Pending) -> tuple[Artefact, ...]:
    """In the order in which they go: what needs a video's record before the records. A new kind is one line here."""
    from tiktokactions.releases import export as exports
    from tiktokactions.releases import release as releases
    from tiktokactions.takedowns import dataset as of_dataset

    return (
        Artefact("media", of_dataset.take_down_media),
        Artefact("reviews", reviews.take_down_reviews),
        Artefact("clips", of_dataset.take_down_clips),
        Artefact("thumbnails", of_dataset.take_down_thumbnails),
        Artefact("splits", of_dataset.take_down_from_splits),
        Artefact("records", of_dataset.take_down_records),
        Artefact("quarantine", take_down_from_quarantine),
        Artefact("manifest rows", of_dataset.take_down_rows),
        Artefact("history", _take_down_history),
        Artefact(TABLES, lambda folder, ids: _close(edit)),
        Artefact("subsets", _take_down_from_subsets),
        Artefact("exports", exports.take_down_from_exports),
        Artefact("releases", releases.take_down_from_releases),
        Artefact("made of it", lambda folder, ids: _take_down_derived(folder, pending)),
    )


def collection_artefacts(pending: _Pending) -> tuple[Artefact, ...]:
    """The same for a collection; its rows go last, because they say where the media lie."""
    return (
        Artefact("media", of_collection.take_down_media),
        Artefact("exports", of_collection.take_down_from_exports),
        Artefact("made of it", lambda folder, ids: _take_down_derived(folder, pending)),
        Artefact("rows", of_collection.take_down_rows),
    )


@dataclass(frozen=True)
class TakenDown:
    """What went from one folder."""

    folder: str
    videos: int
    """Of the ids that were to go, those of which something was there."""
    artefacts: dict[str, int]
    """How much of each kind."""
    report: str
    """The signed report."""
    left: tuple[str, ...]
    """What could not be deleted."""
    copies: tuple[str, ...]
    """Videos that were rejected as near-duplicates of those."""


def is_dataset_folder(folder: Place) -> bool:
    return (folder / "dataset.json").is_file()


# --- taking down ----------------------------------------------------------------------------------------------------


@dataclass
class _Pending:
    """A take-down under way in one folder; ``.removing.json`` holds it until the report is written."""

    at: str
    reason: str
    ids: list[str]
    held: list[str]
    contents: dict[str, str] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    """By which the videos may be known elsewhere; see :class:`tiktokactions.takedowns.scrub.Names`."""
    copies: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    attempts: int = 1


class _Dataset(Dataset):
    """A dataset before a take-down in it; what was killed is finished by the caller."""

    def heal(self) -> None:
        part_from_original(self)


@contextlib.contextmanager
def edited(folder: Place) -> Iterator[Edit | None]:
    """A folder under its lock: a dataset being edited, or None for a collection."""
    if is_dataset_folder(folder):
        with _Dataset(folder).editing("takedown") as edit:
            yield edit
    else:
        with locked(folder):
            yield None


def take_down_everywhere(
    folder: Place, edit: Edit | None, group: Sequence[Place], ids: Sequence[str], reason: str
) -> tuple[list[TakenDown], list[str]]:
    """In every folder of the group, also of what was taken down in one of them before; and what went wrong.

    ``folder`` is locked already, and being edited if it is a dataset.
    """
    dead: dict[str, str] = dict.fromkeys(ids, reason)
    for path in group:
        dead = takedowns_of(path) | dead
    done, problems = [], []
    for path in group:
        try:
            with contextlib.nullcontext(edit) if path == folder.absolute() else edited(path) as own:
                finish_takedown(path, own)
                have = takedowns_of(path)
                todo = [i for i in dead if i not in have]
                again = sorted(held_in(path, [i for i in ids if i in have]))
                for why in dict.fromkeys(dead[i] for i in todo + again):
                    found = _begin(path, own, [i for i in todo + again if dead[i] == why], why)
                    done += [found] if found is not None else []
        except DatasetBusyError as error:
            problems.append(f"{error} The next refresh removes there what is missing.")
    return done, problems


def _begin(folder: Place, edit: Edit | None, ids: Sequence[str], reason: str) -> TakenDown | None:
    pending = _Pending(utc_text(Clock().now()), reason, sorted(ids), [])
    if is_dataset_folder(folder):
        from tiktokactions.takedowns import dataset as of_dataset

        pairs = _own_ids(folder, ids)
        pending.ids = sorted({i for pair in pairs for i in pair})
        pending.held = sorted({own for own, _ in _held(folder, pairs)})
        pending.contents = of_dataset.contents_of(folder, pending.held)
        pending.copies = of_dataset.copies_of(folder, frozenset(pending.held))
        names = of_dataset.names_of(folder, pending.ids)
    else:
        pending.held = sorted(held_in(folder, ids))
        names = of_collection.names_of(folder, frozenset(ids))
    pending.names = {name: sorted(getattr(names, name)) for name in ("ids", "paths", "texts")}
    _write_pending(folder, pending)
    return _finish(folder, edit, pending)


def finish_takedown(folder: Place, edit: Edit | None) -> TakenDown | None:
    """Go on with a take-down that was killed. The folder is locked, and being edited if it is a dataset."""
    path = folder / REMOVING
    if not path.is_file():
        return None
    pending = _Pending(**json.loads(path.read_text(encoding="utf-8")))
    pending.attempts += 1
    return _finish(folder, edit, pending)


def _finish(folder: Place, edit: Edit | None, pending: _Pending) -> TakenDown | None:
    ids = frozenset(pending.ids)
    if edit is not None and pending.held and TABLES not in pending.counts:
        edit.begin()
        edit.forget_version()  # whoever only reads must not be given what is to go
    _add_takedowns(folder, pending)
    if pending.held:
        for artefact in collection_artefacts(pending) if edit is None else dataset_artefacts(edit, pending):
            if artefact.name in pending.counts:
                continue
            try:
                pending.counts[artefact.name] = artefact.take_down(folder, ids)
            except NotTakenDownError as error:
                pending.counts[artefact.name] = error.taken_down
                pending.left.append(f"{artefact.name}: {error}")
            _write_pending(folder, pending)
        report = write_report(folder, pending.at, _report_of(folder, pending))
    delete(folder / REMOVING)
    if not pending.held:
        return None
    left, copies = tuple(pending.left), tuple(pending.copies)
    return TakenDown(str(folder), len(pending.held), pending.counts, str(report), left, copies)


def _write_pending(folder: Place, pending: _Pending) -> None:
    write_atomic(folder / REMOVING, json.dumps(vars(pending)).encode())


def takedowns_of(folder: Place) -> dict[str, str]:
    """Why each id was taken down that may not come back into this folder."""
    if is_collection(folder):
        return of_collection.reasons(folder)
    found = read_takedowns(folder).items()
    return {video_id: takedown.reason for video_id, takedown in found if not video_id.startswith(SEALED)}


def _add_takedowns(folder: Place, pending: _Pending) -> None:
    if is_collection(folder):
        return of_collection.add_takedowns(folder, pending.ids, pending.at, pending.reason)
    add_takedowns(folder, [Takedown(i, pending.at, pending.reason, pending.contents.get(i, "")) for i in pending.ids])


def held_in(folder: Place, ids: Sequence[str]) -> set[str]:
    """Those of the platform's ids of which a folder, or what was made of it, holds something. Of an id that nothing is known
    of, every record, every name of a file, and everything that was made of the folder is looked at."""
    if not is_collection(folder):
        return {asked for _, asked in _held(folder, _own_ids(folder, ids))}
    held = of_collection.held_ids(folder, ids)
    return held | {i for i in ids if i not in held and elsewhere(folder, Names(frozenset([i])))}


def _own_ids(dataset: Place, ids: Sequence[str]) -> list[tuple[str, str]]:
    """The dataset's own id and the platform's of each video; both as the dataset would name it, where it is not held."""
    from tiktokactions.takedowns import dataset as of_dataset

    own = of_dataset.held_ids(dataset, ids)
    unknown = set(ids) - {own[i] for i in of_dataset.present(dataset, own)}
    return sorted({*own.items(), *((held, asked) for asked, held in of_dataset.claimed(dataset, unknown).items())})


def _held(dataset: Place, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of which anything is there, or in what was made of it."""
    from tiktokactions.takedowns import dataset as of_dataset

    present = of_dataset.present(dataset, [own for own, _ in pairs])
    held = [pair for pair in pairs if pair[0] in present]
    known = {asked for _, asked in held}
    rest = [pair for pair in pairs if pair[1] not in known]
    return held + [pair for pair in rest if elsewhere(dataset, Names(frozenset(pair)))]


def _take_down_history(dataset: Place, ids: frozenset[str]) -> int:
    from tiktokactions.dataset.history import take_down_from_history

    info = read_info(dataset)
    return 0 if info is None else take_down_from_history(dataset, ids, info.version + 1, utc_now())


def _close(edit: Edit) -> int:
    edit.manifest_fits = edit.was_settled
    edit.close()
    return 1


def _take_down_from_subsets(dataset: Place, ids: frozenset[str]) -> int:
    """Rows of the subsets that were taken of a dataset and still lie where they were written."""
    from tiktokactions.releases import subset as subsets
    from tiktokactions.releases.export import NOT_THERE
    from tiktokactions.takedowns import dataset as of_dataset

    count = 0
    for subset in subsets.remembered(dataset):
        subsets.take_down_features(subset, ids)
        with contextlib.ExitStack() as stack:
            if not (subset / "dataset.json").is_file():  # one that was killed is no dataset yet
                clear_staging(subset)
                delete(subset / "history.csv")
            else:
                edit = stack.enter_context(Dataset(subset).editing("takedown"))
                if edit.was_settled and not of_dataset.count_rows(subset, ids):
                    continue
                edit.begin()
            count += of_dataset.take_down_rows(subset, ids)
            of_dataset.take_down_from_splits(subset, ids)
            _take_down_history(subset, ids)
    if moved := subsets.forget_missing(dataset):
        raise NotTakenDownError(f"{NOT_THERE}: {', '.join(moved)}", count)
    return count


# --- what was made of a folder --------------------------------------------------------------------------------------


def elsewhere(folder: Place, names: Names) -> dict[str, int]:
    """What was made of a folder, and how much of the videos stands in it, by path; also in its own lists of other files."""
    looked = {str(place): scrub(place, names, look=True).count for place in map(located, made_of(folder))}
    return {path: count for path, count in looked.items() if count}


def made_of(folder: Place) -> dict[str, str]:
    """Where what was made of a folder lies, apart from other datasets, with its kind and its day."""
    from tiktokactions.releases import export, release, subset

    found = {one.path: f"{one.kind}, {one.at[:10]}" for one, _ in derived_of(folder) if one.kind != "dataset"}
    if not is_dataset_folder(folder):
        return found | {str(path): _dated("export", path) for path in of_collection.exports(folder)}
    for said in export.remembered(folder):
        found[said["path"]] = _dated(f"export as {said['format']}", located(said["path"]) / export.MARK)
    for said in release.remembered(folder):
        pushed = "".join(f", pushed to {name}" for name in said.get("pushed", ()))
        found[said["path"]] = _dated("release", located(said["path"]) / release.MARK) + pushed
    found |= {str(place): _dated("subset", place / "subset.json") for place in subset.remembered(folder)}
    return found | {str(place): "list" for place in _own_lists(folder)}


def _dated(kind: str, place: Place) -> str:
    """With the day on which a file was written, as far as a disk tells."""
    path = local_path(place)
    return kind if path is None or not path.exists() else f"{kind}, {utc_text(path.stat().st_mtime)[:10]}"


def _own_lists(dataset: Place) -> list[Place]:
    """Files of a dataset that tell of videos that it does not hold."""
    return [place for place in (dataset / "splits" / "check_against", dataset / "missing.csv") if place.exists()]


def _take_down_derived(folder: Place, pending: _Pending) -> int:
    """Clean what was made of a folder; what cannot be cleaned, or lies elsewhere by now, is named in ``pending.left``."""
    said = pending.names
    names = Names(
        frozenset(said.get("ids", pending.ids)), frozenset(said.get("paths", ())), tuple(said.get("texts", ()))
    )
    count, trained = 0, set[str]()
    forget_ids(folder, names.ids)
    for kept in ("clips", "shards"):  # copies of what lies in stores and in tar files, and their lists
        delete_folder(cache_folder(kept))
    for own in _own_lists(folder):
        with noted_changes(folder) as notes:
            count += scrub(own, names).count
        update_sums(folder, notes.sha256)
    for one in forget_missing(folder):
        if not (found_again := _renamed(one, names)):
            pending.left.append(f"{one}: is not there any more; name the place where it lies now, once, with `also`")
        for place in found_again:
            register([folder], place, one.kind, shlex.split(one.again))
    for one, way in derived_of(folder):
        place = one.place
        if one.kind == "dataset" or not place.exists():
            continue
        if one.kind == "report":  # whose pictures do not say of which video they are
            page = DELETED.format(at=pending.at, again=html.escape(one.again)).encode()
            if place.read_bytes()[: len(page)].partition(b"\n")[0] != page.partition(b"\n")[0]:
                write_atomic(place, page)
                count += 1
                pending.left.append(f"{one}: deleted, because it may have shown them; make it again: {one.again}")
            continue
        ran = scrub(place, names, look=True).trained
        if ran:
            trained |= {one.path, *ran}
            pending.left.append(f"{one}: {len(ran)} runs were trained on them; their weights stay as they are")
        elif one.kind in ("run", "weights") and trained.intersection(parent.path for parent in way):
            if one.path not in trained:
                pending.left.append(f"{one}: made of weights that were trained on them, and stays as it is")
            trained.add(one.path)
        _write_pending(folder, pending)  # once it is cleaned nobody could tell any more
        found = scrub(place, names)
        count += found.count
        pending.left += [f"{told} ({one.kind})" for told in found.left]
    return count


def _renamed(one: Derived, names: Names) -> list[Place]:
    """What now lies beside the place where something lay, is of its kind, and holds these videos."""
    beside = [place for place in listing(one.place.parent)[1] if any((place / mark).is_file() for mark in LEARNED)]
    return [place for place in beside if one.kind in ("run", "study") and scrub(place, names, look=True).count]


def adopt(folder: Place, place: Place) -> None:
    """Remember in a folder what was made of it and lies elsewhere by now, or was copied: a take-down treats it as what it is.

    Raises:
        UsageError: nothing is there.
    """
    from tiktokactions.releases import export, release

    if not place.exists():
        raise UsageError(f"`also` {place}: nothing is there; expected where an export, a run or a copy lies now")
    if is_dataset_folder(folder) and (export.adopt(folder, place) or release.adopt(folder, place)):
        return
    holds: dict[str, Kind] = {"run.json": "run", "study.json": "study", "dataset.json": "dataset"}
    register([folder], place, next((kind for mark, kind in holds.items() if (place / mark).is_file()), "copy"))


# --- the report -----------------------------------------------------------------------------------------------------


def _report_of(folder: Place, pending: _Pending) -> JsonObject:
    said = {name: vars(pending)[name] for name in ("at", "reason", "left", "copies", "attempts")}
    about = {"format": 1, "folder": str(folder), "tiktokactions": __version__}
    return about | said | {"ids": pending.held, "artefacts": pending.counts}
