"""Remove everywhere what is gone from the platform, or was asked to go.

A collection and the datasets that were made of it know each other; a take-down goes through all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tiktokactions.collection.compliance import Checked, check_ids, forget_check
from tiktokactions.collection.health import StoppedError
from tiktokactions.collection.options import CollectOptions
from tiktokactions.collection.session import due_at, refresh_client
from tiktokactions.collection.store import Collection, is_collection
from tiktokactions.commands.options import AnyPath, AnyPaths, Kept, nothing, path_list, takes
from tiktokactions.dataset.subset_mark import CHECKED, parent_of
from tiktokactions.dataset.subset_mark import due_at as dataset_due_at
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, located, read_json, write_json
from tiktokactions.machine import utc_text
from tiktokactions.metadata.names import is_platform_id
from tiktokactions.options import checked_options
from tiktokactions.takedowns.folders import (
    TakenDown,
    adopt,
    edited,
    finish_takedown,
    held_in,
    is_dataset_folder,
    take_down_everywhere,
    takedowns_of,
)
from tiktokactions.takedowns.links import linked_group
from tiktokactions.takedowns.requests import ids_of_creator, read_ids

GONE = "no longer available (batch compliance)"


ASKED = "take-down request"


@dataclass(frozen=True)
class RefreshResult:
    """What a refresh did."""

    target: str
    checked: int = 0
    """Ids that the API was asked about; 0 for a take-down."""
    unchecked: int = 0
    """Videos whose ids are not the platform's."""
    gone: tuple[str, ...] = ()
    """Ids that were removed now."""
    before: tuple[str, ...] = ()
    """Named ids that had been removed earlier."""
    unknown: tuple[str, ...] = ()
    """Named ids of which nothing was held; they are kept out from now on."""
    removed: tuple[TakenDown, ...] = ()
    next_due: str | None = None
    requests: int = 0
    stopped: str = ""
    """Why the check ended early; empty where it went through."""
    attention: tuple[str, ...] = ()


@takes(CollectOptions, "budget", "wait", "requests_a_day", "credentials", "speed")
def refresh(
    target: AnyPath,
    *,
    every_days: int | None = None,
    remove: Sequence[str] = (),
    creator: str | None = None,
    also: AnyPaths = (),
    reason: str = ASKED,
    note: Kept = nothing,
    **options: object,
) -> RefreshResult:
    """Check ids again and remove everywhere what is gone, or what was asked to go.

    Args:
        target: a collection, or a dataset with or without one; folders linked with it are included.
        every_days: how often the ids must be checked (default: as before, else 15).
        remove: take-down: ids, addresses of videos, or files that list them; nothing is asked of the API then.
        creator: take-down: everything of this creator, instead or as well.
        also: take-down: places where what was made of these folders lies by now (exports, runs, copies that were moved); they
            are remembered.
        reason: what tombstones and report say of a take-down.
        note: receives a line for each wait.
        **options: key, quota and waiting of the API's client: fields of
            :class:`tiktokactions.collection.session.CollectOptions`.

    Raises:
        UsageError: neither a collection nor a dataset, ids that are none, no id to be checked.
        DatasetBusyError: another command writes to the folder.
        CredentialsError, ApiError: the API cannot be asked.

    Example:
        tiktokactions refresh collection/ --every-days 15
        tiktokactions refresh imported/ --remove 7300000000000000001
    """
    folder = parent_of(located(target))
    if not is_collection(folder) and not is_dataset_folder(folder):
        raise UsageError(f"{folder}: expected a collection or a dataset (no collection.sqlite, no dataset.json there)")
    if every_days is not None and every_days < 1:
        raise UsageError(f"`every_days` {every_days}: expected 1 or more")
    named, asked = read_ids(remove), checked_options(CollectOptions, options)
    is_request = bool(named) or creator is not None
    for place in path_list(also):
        adopt(folder, located(place).absolute())
    with edited(folder) as edit:
        group, attention = linked_group(folder)
        finish_takedown(folder, edit)
        checked_at = None
        if is_request:
            found = _asked_for(folder, group, named, creator)
        else:
            found, checked_at = _gone(folder, group, asked, lambda line: note(f"  {line}"))
        ids = [*found.gone, *found.unknown]
        removed, more = take_down_everywhere(folder, edit, group, ids, reason if is_request else GONE)
        if not is_request and not found.stopped:
            forget_check(folder)
        due = _set_checked(folder, checked_at, every_days)
        said = (*attention, *more, *_said_of(removed))
        next_due = None if due is None else utc_text(due)[:10]
        return replace(found, removed=tuple(removed), next_due=next_due, attention=said)


def _asked_for(folder: Place, group: list[Place], named: Sequence[str], creator: str | None) -> RefreshResult:
    """What a request is about, before anything is removed."""
    ids = dict.fromkeys(named)
    if creator is not None:
        if not creator.strip().lstrip("@"):
            raise UsageError("`creator`: expected a name")
        theirs = ids_of_creator(group, creator)
        if not theirs and not ids:
            raise UsageError(f"`creator` {creator}: no video of this creator in {', '.join(map(str, group))}")
        ids |= dict.fromkeys(sorted(theirs))
    dead = {video_id for path in group for video_id in takedowns_of(path)}
    held = {video_id for path in group for video_id in held_in(path, list(ids))}
    gone = tuple(i for i in ids if i in held)
    before = tuple(i for i in ids if i in dead and i not in held)
    unknown = tuple(i for i in ids if i not in dead and i not in held)
    return RefreshResult(str(folder), gone=gone, before=before, unknown=unknown)


def _gone(
    folder: Place, group: list[Place], options: CollectOptions, note: Callable[[str], None]
) -> tuple[RefreshResult, float | None]:
    """What the platform has no more, before anything is removed, and when all ids were checked (Unix time)."""
    ids, unchecked = _ids_to_check(folder)
    collection = next((path for path in group if is_collection(path)), None)
    stopped, requests, checked, now = "", 0, Checked(0, frozenset()), None
    if ids:
        with refresh_client(folder, collection, options, note) as (client, clock):
            try:
                checked = check_ids(folder, ids, client, clock, wait=options.wait, note=note)
            except StoppedError as error:
                stopped = str(error)
            requests, now = client.sent, clock.now()
    gone = tuple(sorted(checked.gone))
    found = RefreshResult(str(folder), checked.ids, unchecked, gone, requests=requests, stopped=stopped)
    return found, None if stopped else now


def _ids_to_check(folder: Place) -> tuple[list[str], int]:
    """The platform's ids in a folder, and how many others it holds."""
    if is_collection(folder):
        with Collection(folder) as collection:
            every = [row[0] for row in collection.database.execute("SELECT video_id FROM videos ORDER BY video_id")]
        ids = [video_id for video_id in every if is_platform_id(video_id)]
        return ids, len(every) - len(ids)
    manifest = folder / "manifest.parquet"
    if not manifest.is_file():
        raise UsageError(f"{folder}: no manifest yet; finish 'tiktokactions curate' first")
    import pyarrow.parquet as pq

    from tiktokactions.takedowns.dataset import platform_ids

    ids = sorted(set(platform_ids(folder, is_platform_id)))
    return ids, pq.read_metadata(manifest).num_rows - len(ids)


def _set_checked(folder: Place, at: float | None, every_days: int | None) -> float | None:
    """Write down that the ids were checked and how often they must be; when the next check is due (Unix time)."""
    said = {name: value for name, value in (("checked_at", at), ("every_days", every_days)) if value is not None}
    if is_collection(folder):
        with Collection(folder) as collection:
            for name, value in said.items():
                collection.set_setting(name, value)
            return due_at(collection)
    before = read_json(folder / CHECKED, {})
    if (now := before | said) != before:
        write_json(folder / CHECKED, now)
    return dataset_due_at(folder)


def _said_of(removed: Iterable[TakenDown]) -> list[str]:
    lines = []
    for found in removed:
        lines += [f"{found.folder}: {text}" for text in found.left]
        if found.copies:
            few, then = ", ".join(found.copies[:5]), "the next 'curate' decides about them again"
            twins = f"{len(found.copies)} videos were rejected as near-duplicates of removed ones and may show the same"
            lines.append(f"{found.folder}: {twins} ({few}); look at them, {then}")
    return lines
