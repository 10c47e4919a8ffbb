"""The videos that were asked for, and what lists and sidecar files say about them."""

from __future__ import annotations

import csv
import glob
import io
import itertools
import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiktokactions.curation.from_collection import list_collection
from tiktokactions.curation.listed import FIELDS, InputError, ListedVideo, clean_label, describe
from tiktokactions.files import Place, absolute, is_address, local_path, located, real_path
from tiktokactions.files.objects import READ_TOGETHER, Entry, ObjectPath, find_objects, read_together
from tiktokactions.records import Source


def list_videos(inputs: Sequence[str], leave_out: Place | None = None) -> Iterator[ListedVideo]:
    """Every regular file that the inputs name, except sidecars, each once.

    ``inputs``: files, folders (recursive), globs, ``.txt``/``.csv`` lists, ``-`` for a list on standard input; on a disk or
    as addresses of an object store (``s3://bucket/prefix/``), of which every folder is listed once. Folders are
    walked in sorted order and no link is followed twice. ``leave_out`` (the dataset folder) is not walked into.

    Raises:
        InputError: an input does not exist, a glob has no match, or a list cannot be read.
    """
    seen: set[str] = set()
    for entry in inputs:
        for video in _expand(entry, leave_out):
            # Not resolved strictly: a file that vanished or may not be opened still becomes a row.
            real = real_path(video.path)
            if real not in seen:
                seen.add(real)
                yield video


def _expand(entry: str, leave_out: Place | None) -> Iterator[ListedVideo]:
    if entry == "-":
        yield from _from_list(sys.stdin.read(), "standard input", Path.cwd())
        return
    if is_address(entry):
        yield from _from_store(entry, leave_out)
        return
    path = Path(entry)
    if (path / "collection.sqlite").is_file():
        yield from list_collection(path, lambda folder: _from_folder(folder, leave_out))
    elif path.is_dir():
        yield from _from_folder(path, leave_out)
    elif path.suffix.lower() in (".txt", ".csv") and path.is_file():
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: expected a UTF-8 list of videos, got other bytes ({error})") from None
        yield from _from_list(text, str(path), path.parent)
    elif os.path.lexists(path):
        yield from _from_files([path], label=None)
    else:
        matches = sorted(glob.glob(entry, recursive=True)) if glob.has_magic(entry) else []
        if not matches:
            what = "no file matches it" if glob.has_magic(entry) else "no such file or folder"
            raise InputError(
                f"{entry}: {what}. Expected a video, a folder, a glob, a .txt or .csv list, or - for stdin."
            )
        for match in matches:
            if os.path.isdir(match):
                yield from _from_folder(Path(match), leave_out)
            else:
                yield from _from_files([Path(match)], label=None)


def _from_folder(root: Path, leave_out: Place | None) -> Iterator[ListedVideo]:
    left_out = None if leave_out is None else real_path(str(leave_out))
    entered: set[str] = set()
    pending = [root]
    while pending:
        folder = pending.pop()
        real = os.path.realpath(folder)
        if real in entered or real == left_out:
            continue
        entered.add(real)
        try:
            entries = sorted(folder.iterdir())
        except PermissionError as error:
            print(f"warning: {folder}: cannot be listed ({error.strerror}), skipped", file=sys.stderr)
            continue
        yield from _from_files(
            [e for e in entries if not e.is_dir()], label=None if real == os.path.realpath(root) else folder.name
        )
        pending += [e for e in reversed(entries) if e.is_dir()]


def _from_files(paths: Sequence[Path], label: str | None) -> Iterator[ListedVideo]:
    names = {path.name for path in paths} if len(paths) > 1 else set()
    stems = {os.path.splitext(name)[0] for name in names if not name.lower().endswith(".json")}
    for path in paths:
        if _is_sidecar(path.name, names, stems) or not _is_regular(path):
            continue
        sidecar = read_sidecar(path)
        labels = sidecar.labels or ((clean_label(label),) if label else ())
        yield replace(sidecar, labels=labels)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False  # a dangling link is not a file
    except OSError:
        return True  # it is there but may not be read: its row will say so


def _is_sidecar(name: str, names: set[str], stems: set[str]) -> bool:
    """``NAME.json`` and ``NAME.info.json`` beside a ``NAME.*``, and ``NAME.mp4.json`` beside ``NAME.mp4``."""
    if not name.lower().endswith(".json"):
        return False
    stem = name[:-5]
    return stem in stems or stem in names or (stem.lower().endswith(".info") and stem[:-5] in stems)


def read_sidecar(path: Path) -> ListedVideo:
    """What ``NAME.json``, ``NAME.info.json`` or ``NAME.mp4.json`` beside a video says about it; nothing if there is none.

    A sidecar that is not a JSON object is reported in ``metadata["sidecar_error"]``; the video is used all the same.
    """
    absolute = os.path.abspath(path)
    for name in _sidecar_names(path.name):
        sidecar = path.parent / name
        if not os.path.isfile(sidecar):
            continue
        try:
            return describe(absolute, _said_by(name, sidecar.read_bytes()))
        except OSError as error:
            return describe(absolute, {"sidecar_error": f"{name}: {error}"})
    return ListedVideo(path=absolute)


def _sidecar_names(video: str) -> list[str]:
    stem = os.path.splitext(video)[0]
    return [name for name in (f"{stem}.json", f"{stem}.info.json", f"{video}.json") if name != video]


def _said_by(name: str, data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except ValueError as error:
        return {"sidecar_error": f"{name}: {error}"}
    if not isinstance(said, dict):
        return {"sidecar_error": f"{name}: expected a JSON object, got {type(said).__name__}"}
    return said


# --- object stores -------------------------------------------------------------------------------------------------


def _from_store(entry: str, leave_out: Place | None) -> Iterator[ListedVideo]:
    if glob.has_magic(entry):
        matches = find_objects(entry)
        if not matches:
            raise InputError(f"{entry}: no object matches it")
        yield from _from_objects([ObjectPath(match).entry() for match in matches], label=None)
        return
    root = ObjectPath(entry)
    if root.suffix.lower() in (".txt", ".csv") and root.is_file():
        try:
            text = root.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{root}: expected a UTF-8 list of videos, got other bytes ({error})") from None
        yield from _from_list(text, str(root), root.parent)
        return
    pending, found = [root], False
    while pending:
        folder = pending.pop()
        if folder == leave_out:
            continue
        objects, folders = folder.entries()
        hidden = sorted(folder.behind_nothing(), key=_parent)
        found = found or bool(objects or folders or hidden)
        yield from _from_objects(objects, label=None if folder == root else folder.name)
        for prefix, beside in itertools.groupby(hidden, _parent):
            names = [name for name in prefix[len(root.url) :].split("/") if name]
            yield from _from_objects(list(beside), label=names[-1] if names else None)
        pending += [ObjectPath(url) for url in reversed(folders)]
    if not found:
        if not root.is_file():
            raise InputError(f"{entry}: no object and nothing below it. Check the bucket and the prefix.")
        yield from _from_objects([root.entry()], label=None)


def _parent(entry: Entry) -> str:
    return entry.url.rpartition("/")[0]


def _from_objects(objects: Sequence[Entry], label: str | None) -> Iterator[ListedVideo]:
    """The videos among the objects of one folder, as :func:`_from_files`; sidecars are fetched many at a time."""
    by_name = {entry.url.rsplit("/", 1)[1]: entry for entry in objects}
    names = set(by_name) if len(by_name) > 1 else set()
    stems = {os.path.splitext(name)[0] for name in names if not name.lower().endswith(".json")}
    videos = [(name, entry) for name, entry in by_name.items() if not _is_sidecar(name, names, stems)]
    for first in range(0, len(videos), READ_TOGETHER):
        part = videos[first : first + READ_TOGETHER]
        beside = {name: next((s for s in _sidecar_names(name) if s in names), None) for name, _ in part}
        wanted = [ObjectPath(by_name[sidecar].url) for sidecar in beside.values() if sidecar is not None]
        said = {path.name: data for path, data in read_together(wanted)}
        for name, entry in part:
            sidecar = beside[name]
            known = _said_by(sidecar, said[sidecar]) if sidecar in said else {}
            video = describe(entry.url, known)
            labels = video.labels or ((clean_label(label),) if label else ())
            yield replace(video, labels=labels, fingerprint=(entry.size_bytes, entry.etag))


# --- what lists and sidecars say -----------------------------------------------------------------------------------


def _from_list(text: str, name: str, folder: Place) -> Iterator[ListedVideo]:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{name}: an empty list; expected one video path a line, or CSV with a 'path' column")
    header = [column.strip().lower() for column in next(csv.reader([lines[0]]))]
    if "path" in header:
        rows = _csv_rows(text, header)
    elif name.lower().endswith(".csv"):
        raise InputError(f"{name}: expected a header with a 'path' column, got {lines[0][:80]!r}")
    else:
        rows = (_text_row(line, folder) for line in lines)
    # A path in several rows is one video with the labels of all of them.
    merged: dict[str, ListedVideo] = {}
    for row in rows:
        given = str(row.pop("path", "") or "").strip()
        if not given:
            continue
        path = _locate(given, folder)
        listed = describe(path, row)
        # On an object store that would take three requests a line, so there the list has to say everything.
        beside = ListedVideo(path) if is_address(path) else read_sidecar(Path(path))
        before = merged.get(path)
        labels = (before.labels if before else ()) + (listed.labels or beside.labels)
        labels = labels or _folder_label(path, folder)
        merged[path] = ListedVideo(path, tuple(dict.fromkeys(labels)), _merge(listed.about, beside.about))
    yield from merged.values()


def _folder_label(path: str, folder: Place) -> tuple[str, ...]:
    """The name of a file's folder, if that lies below the list's own folder."""
    parent = str(located(path)).rpartition("/")[0]
    is_below = parent.startswith(os.path.join(absolute(str(folder)), ""))
    return (clean_label(parent.rpartition("/")[2]),) if is_below else ()


def _merge(first: Source, second: Source) -> Source:
    """The fields of ``first``, or those of ``second`` where ``first`` has none."""
    chosen = {name: getattr(first, name) or getattr(second, name) for name in FIELDS}
    return Source(path="", metadata=second.metadata | first.metadata, **chosen)


def _csv_rows(text: str, header: list[str]) -> Iterator[dict[str, Any]]:
    for row in csv.reader(io.StringIO(text)):
        if [cell.strip().lower() for cell in row] != header and any(cell.strip() for cell in row):
            yield dict(zip(header, row, strict=False))


def _text_row(line: str, folder: Place) -> dict[str, Any]:
    """``path``, ``path<TAB>label``, or ``path label`` if the whole line is not the name of a file."""
    path, _, label = line.strip("\r\n").partition("\t")
    remote = is_address(path) or local_path(folder) is None
    if not label and not remote and not os.path.lexists(_locate(path, folder)):
        shorter, _, last = path.rpartition(" ")
        if shorter and os.path.lexists(_locate(shorter, folder)):
            path, label = shorter, last
    return {"path": path, "label": label} if label else {"path": path}


def _locate(given: str, folder: Place) -> str:
    """The path of a file in a list: relative to the list's folder, else to the current one."""
    if is_address(given):
        return given
    if local_path(folder) is None:
        return f"{folder}/{given.lstrip('./')}"
    expanded = os.path.expanduser(given)
    beside = os.path.join(str(folder), expanded)
    return os.path.abspath(beside if os.path.lexists(beside) else expanded if os.path.lexists(expanded) else beside)
