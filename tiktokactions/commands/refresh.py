"""Remove everywhere what is gone from the platform, or was asked to go.

A collection and the datasets that were made of it know each other; a take-down goes through all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiktokactions.collection.options import CollectOptions
from tiktokactions.commands.options import AnyPath, Kept, nothing, takes
from tiktokactions.errors import UsageError
from tiktokactions.files import Place
from tiktokactions.options import checked_options
from tiktokactions.takedown.folders import (
    TakenDown,
    edited,
    finish_takedown,
    held_in,
    is_collection_folder,
    is_dataset_folder,
    take_down_everywhere,
    takedowns_of,
)
from tiktokactions.takedown.links import linked_group
from tiktokactions.takedown.requests import ids_of_creator, read_ids

if TYPE_CHECKING:
    from tiktokactions.dataset.editing import Edit

GONE = "no longer available (batch compliance)"


ASKED = "take-down request"


CHECKED = "refresh.json"


EVERY_DAYS = 15
"""What early versions of the terms ask for; docs/collect.md."""


@dataclass(frozen=True)
class RefreshResult:
    """What a refresh did."""

    target: str
    checked: int
    """Ids that the API was asked about; 0 for a take-down."""
    unchecked: int
    """Videos whose ids are not the platform's."""
    gone: tuple[str, ...]
    """Ids that were removed now."""
    before: tuple[str, ...]
    """Named ids that had been removed earlier."""
    unknown: tuple[str, ...]
    """Named ids of which nothing was held; they are kept out from now on."""
    removed: tuple[TakenDown, ...]
    next_due: str | None
    requests: int
    stopped: str
    """Why the check ended early; empty where it went through."""
    attention: tuple[str, ...]


@takes(CollectOptions, "budget", "wait", "requests_a_day", "credentials", "speed")
def refresh(
    target: AnyPath,
    *,
    every_days: int | None = None,
    remove: Sequence[str] = (),
    creator: str | None = None,
    reason: str = ASKED,
    note: Kept = nothing,
    **options: Any,
) -> RefreshResult:
    """Check ids again and remove everywhere what is gone, or what was asked to go.

    Args:
        target: a collection, or a dataset with or without one; folders linked with it are included.
        every_days: how often the ids must be checked (default: as before, else 15).
        remove: take-down: ids, addresses of videos, or files that list them; nothing is asked of the API then.
        creator: take-down: everything of this creator, instead or as well.
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
    from tiktokactions.files import located

    folder = located(target)
    if not is_collection_folder(folder) and not is_dataset_folder(folder):
        raise UsageError(f"{folder}: expected a collection or a dataset (no collection.sqlite, no dataset.json there)")
    if every_days is not None and every_days < 1:
        raise UsageError(f"`every_days` {every_days}: expected 1 or more")
    named, asked = read_ids(remove), checked_options(CollectOptions, options)
    with edited(folder) as edit:
        group, attention = linked_group(folder)
        finish_takedown(folder, edit)
        if named or creator is not None:
            return _take_down(folder, edit, group, named, creator, reason, attention, every_days)
        return _check(folder, edit, group, asked, attention, every_days, lambda line: note(f"  {line}"))


def _take_down(
    folder: Place,
    edit: Edit | None,
    group: list[Place],
    named: Sequence[str],
    creator: str | None,
    reason: str,
    attention: list[str],
    every_days: int | None,
) -> RefreshResult:
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
    todo = [video_id for video_id in ids if video_id not in dead or video_id in held]
    removed, more = take_down_everywhere(folder, edit, group, todo, reason)
    unknown = tuple(i for i in todo if i not in held)
    due = _set_checked(folder, None, every_days)
    return RefreshResult(
        str(folder), 0, 0, tuple(i for i in todo if i in held), tuple(i for i in ids if i not in todo), unknown,
        tuple(removed), _day(due), 0, "", (*attention, *more, *_said_of(removed)),
    )  # fmt: skip


def _check(
    folder: Place,
    edit: Edit | None,
    group: list[Place],
    options: CollectOptions,
    attention: list[str],
    every_days: int | None,
    note: Callable[[str], None],
) -> RefreshResult:
    from tiktokactions.collection.compliance import Checked, check_ids, forget_check
    from tiktokactions.collection.run import StoppedError
    from tiktokactions.collection.session import refresh_client

    ids, unchecked = _ids_to_check(folder)
    collection = next((path for path in group if is_collection_folder(path)), None)
    stopped, requests, checked, now = "", 0, Checked(0, frozenset()), None
    if ids:
        with refresh_client(folder, collection, options, note) as (client, clock):
            try:
                checked = check_ids(folder, ids, client, clock, wait=options.wait, note=note)
            except StoppedError as error:
                stopped = str(error)
            requests, now = client.sent, clock.now()
    removed, more = take_down_everywhere(folder, edit, group, sorted(checked.gone), GONE)
    if not stopped:
        forget_check(folder)
    due = _set_checked(folder, None if stopped else now, every_days)
    return RefreshResult(
        str(folder), checked.ids, unchecked, tuple(sorted(checked.gone)), (), (), tuple(removed), _day(due), requests,
        stopped, (*attention, *more, *_said_of(removed)),
    )  # fmt: skip


def _ids_to_check(folder: Place) -> tuple[list[str], int]:
    """The platform's ids in a folder, and how many others it holds."""
    from tiktokactions.collection.compliance import is_platform_id
    from tiktokactions.collection.store import Collection
    from tiktokactions.takedown.dataset import platform_ids

    if is_collection_folder(folder):
        with Collection(folder) as collection:
            every = [row[0] for row in collection.database.execute("SELECT video_id FROM videos ORDER BY video_id")]
        ids = [video_id for video_id in every if is_platform_id(video_id)]
        return ids, len(every) - len(ids)
    manifest = folder / "manifest.parquet"
    if not manifest.is_file():
        raise UsageError(f"{folder}: no manifest yet; finish 'tiktokactions curate' first")
    import pyarrow.parquet as pq

    ids = sorted(set(platform_ids(folder, is_platform_id)))
    return ids, pq.read_metadata(manifest).num_rows - len(ids)


def _set_checked(folder: Place, at: float | None, every_days: int | None) -> float | None:
    """Write down that the ids were checked and how often they must be; when the next check is due (Unix time)."""
    from tiktokactions.collection.session import due_at
    from tiktokactions.collection.store import Collection
    from tiktokactions.files import write_json
    from tiktokactions.machine import DAY_S

    said = {name: value for name, value in (("checked_at", at), ("every_days", every_days)) if value is not None}
    if is_collection_folder(folder):
        with Collection(folder) as collection:
            for name, value in said.items():
                collection.set_setting(name, value)
            return due_at(collection)
    path = folder / CHECKED
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    now = before | said
    if now != before:
        write_json(path, now)
    return None if "checked_at" not in now else now["checked_at"] + now.get("every_days", EVERY_DAYS) * DAY_S


def _day(unix_s: float | None) -> str | None:
    from tiktokactions.machine import utc_text

    return None if unix_s is None else utc_text(unix_s)[:10]


def _said_of(removed: Iterable[TakenDown]) -> list[str]:
    lines = []
    for found in removed:
        lines += [f"{found.folder}: {text}" for text in found.left]
        if found.copies:
            lines.append(
                f"{found.folder}: {len(found.copies)} videos were rejected as near-duplicates of removed ones and may show"
                f" the same ({', '.join(found.copies[:5])}); look at them, the next 'curate' decides about them again"
            )
    return lines
