"""``quarantine/<date>/``: what a repair found no place for, under the paths that it had; nothing is deleted.

``list.jsonl`` names every file before the first is moved (``path``, ``why``, ``sha256``, and ``replaced`` where the program
made the file anew), so a run that is killed in between leaves nothing that the list does not know.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from tiktokactions.errors import UsageError
from tiktokactions.files import (
    Place,
    delete,
    delete_empty,
    lies_there,
    listing,
    local_path,
    move_into_place,
    sha256_file,
    staging_folder,
    write_atomic,
)
from tiktokactions.machine import utc_now
from tiktokactions.records import decode_record

QUARANTINE = "quarantine"
LIST = "list.jsonl"
HOW = "restore.txt"


@dataclass(frozen=True)
class Kept:
    """One file in quarantine."""

    path: str
    """Where it was, relative to the dataset."""
    why: str
    sha256: str
    replaced: bool = False
    """Whether the program made this file anew, so that it is not brought back."""


def open_quarantine(folder: Place, entries: Iterable[Kept]) -> tuple[str, str]:
    """Make ``quarantine/<date>/`` and its list, before the first file is moved; its name, and the command that empties it."""
    date = utc_now()[:10]
    taken = {one.name for one in listing(folder / QUARANTINE)[1]}
    name = next(n for n in (date, *(f"{date}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)
    place = f"{QUARANTINE}/{name}"
    command = f"tiktokactions dataset verify {shlex.quote(str(folder.absolute()))} --restore {place}"
    write_atomic(folder / place / HOW, f"{command}\n".encode(), staging_folder(folder))
    write_atomic(folder / place / LIST, _lines(entries), staging_folder(folder))
    return place, command


def _lines(entries: Iterable[Kept]) -> bytes:
    lines = "".join(f"{json.dumps(asdict(entry), ensure_ascii=False)}\n" for entry in entries)
    return lines.encode("utf-8", "surrogatepass")


def put_away(folder: Place, place: str, name: str) -> None:
    """Move a file into quarantine, if it is still there."""
    if lies_there(folder / name):
        move_into_place(folder / name, folder / place / name)
        _delete_empty_above(folder, name)


def put_back(folder: Place, source: str, name: str) -> None:
    """Move a file to its place, which is free."""
    move_into_place(folder / source, folder / name)
    _delete_empty_above(folder, source)


def in_quarantine(folder: Place) -> dict[str, str]:
    """Files that lie in quarantine, by SHA-256."""
    return {
        kept.sha256: f"{QUARANTINE}/{one.name}/{kept.path}"
        for one in listing(folder / QUARANTINE)[1]
        for kept in _entries(one)
        if kept.sha256 and (one / kept.path).is_file()
    }


def restore(folder: Place, place: str) -> tuple[list[str], dict[str, str]]:
    """Bring everything back that has a free place; what was brought back, and what was not with the reason.

    Raises:
        UsageError: no such quarantine.
    """
    name = place.rstrip("/").rpartition("/")[2]
    quarantine = folder / QUARANTINE / name
    if not (quarantine / LIST).is_file():
        there = ", ".join(f"{QUARANTINE}/{one.name}" for one in listing(folder / QUARANTINE)[1]) or "none"
        raise UsageError(f"`restore`: got {place!r}, expected a quarantine of {folder} ({there})")
    back, left = [], {}
    for kept in _entries(quarantine):
        source, target = quarantine / kept.path, folder / kept.path
        if not lies_there(source):
            continue
        if kept.replaced:
            left[kept.path] = "was made anew"
        elif lies_there(target):
            same = target.is_file() and source.is_file() and sha256_file(target) == sha256_file(source)
            left[kept.path] = "is there already" if same else "another file has its place"
        elif problem := _unreadable(kept.path, source):
            left[kept.path] = problem
        else:
            put_back(folder, f"{QUARANTINE}/{name}/{kept.path}", kept.path)
            back.append(kept.path)
    if not left:
        delete(quarantine / LIST)
        delete(quarantine / HOW)
        for empty in (quarantine, quarantine.parent):
            delete_empty(empty)
    return back, left


def take_down_from_quarantine(folder: Place, ids: frozenset[str]) -> int:
    """Delete what lies in quarantine of these videos, and every table there that the program has made anew since: an old
    manifest names them. How many files went."""
    count = 0
    for quarantine in listing(folder / QUARANTINE)[1]:
        entries, stays = list(_entries(quarantine)), []
        for kept in entries:
            of_one_video = kept.path.startswith(("clips/", "thumbs/", "records/"))
            if kept.path.rpartition("/")[2].partition(".")[0] in ids or (kept.replaced and not of_one_video):
                count += delete(quarantine / kept.path)
            else:
                stays.append(kept)
        if len(stays) < len(entries):
            write_atomic(quarantine / LIST, _lines(stays), staging_folder(folder))
    return count


def _unreadable(name: str, source: Place) -> str:
    """Why a record would not be read at its place: the dataset could not be settled with it."""
    if name.startswith("records/") and name.endswith(".json"):
        try:
            decode_record(source.read_bytes(), where=name)
        except UsageError as error:
            return str(error)
    return ""


def _entries(quarantine: Place) -> Iterator[Kept]:
    path = quarantine / LIST
    for line in path.read_text(encoding="utf-8", errors="surrogatepass").splitlines() if path.is_file() else ():
        said: Mapping[str, object] = json.loads(line)
        yield Kept(str(said["path"]), str(said["why"]), str(said["sha256"]), bool(said.get("replaced")))


def _delete_empty_above(folder: Place, name: str) -> None:
    if local_path(folder) is not None:
        while name := name.rpartition("/")[0]:
            delete_empty(folder / name)
