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
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tiktokactions.curation.from_collection import list_collection
from tiktokactions.curation.listed import FIELDS, InputError, ListedVideo, clean_label, describe
from tiktokactions.files import Place, absolute, is_address, local_path, located, real_path
from tiktokactions.files.objects import READ_TOGETHER, Entry, ObjectPath, find_objects, read_together
from tiktokactions.records import JsonObject, Source


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
    elif _is_list(path):
        yield from _from_list_file(path)
    else:
        # A name that exists is that file or folder, whatever its characters mean in a glob.
        is_glob = glob.has_magic(entry) and not os.path.lexists(path)
        matches = map(Path, sorted(glob.glob(entry, recursive=True))) if is_glob else [path]
        found = [match for match in matches if os.path.lexists(match)]
        if not found:
            what = "no file matches it" if is_glob else "no such file or folder"
            raise InputError(
                f"{entry}: {what}. Expected a video, a folder, a glob, a .txt or .csv list, or - for stdin."
            )
        for match in found:
            yield from _from_folder(match, leave_out) if match.is_dir() else _from_files([match], label=None)


def _is_list(path: Place) -> bool:
    return path.suffix.lower() in (".txt", ".csv") and path.is_file()


def _from_list_file(path: Place) -> Iterator[ListedVideo]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected a UTF-8 list of videos, got other bytes ({error})") from None
    yield from _from_list(text, str(path), path.parent)


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
        yield from _from_files([e for e in entries if not e.is_dir()], None if folder == root else folder.name)
        pending += [e for e in reversed(entries) if e.is_dir()]


def _from_files(paths: Sequence[Path], label: str | None) -> Iterator[ListedVideo]:
    videos = set(_without_sidecars([path.name for path in paths]))
    for path in paths:
        if path.name in videos and _is_regular(path):
            sidecar = read_sidecar(path)
            yield replace(sidecar, labels=sidecar.labels or _label(label))


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False  # a dangling link is not a file
    except OSError:
        return True  # it is there but may not be read: its row will say so


def _label(folder_name: str | None) -> tuple[str, ...]:
    return (clean_label(folder_name),) if folder_name else ()


def _without_sidecars(names: Collection[str]) -> list[str]:
    """All but ``NAME.json`` and ``NAME.info.json`` beside a ``NAME.*``, and ``NAME.mp4.json`` beside ``NAME.mp4``."""
    json_names = {name for name in names if name.lower().endswith(".json")}
    stems = {os.path.splitext(name)[0] for name in names if name not in json_names}

    def is_sidecar(name: str) -> bool:
        stem = name[:-5]
        return stem in stems or stem in names or (stem.lower().endswith(".info") and stem[:-5] in stems)

    return [name for name in names if not (name in json_names and is_sidecar(name))]


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


def _said_by(name: str, data: bytes) -> JsonObject:
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
    if _is_list(root):
        yield from _from_list_file(root)
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
    videos = _without_sidecars(by_name)
    for first in range(0, len(videos), READ_TOGETHER):
        part = videos[first : first + READ_TOGETHER]
        beside = {name: next((s for s in _sidecar_names(name) if s in by_name), "") for name in part}
        wanted = [ObjectPath(by_name[sidecar].url) for sidecar in beside.values() if sidecar]
        said = {path.name: _said_by(path.name, data) for path, data in read_together(wanted)}
        for name in part:
            entry = by_name[name]
            video = describe(entry.url, said.get(beside[name], {}))
            yield replace(video, labels=video.labels or _label(label), fingerprint=(entry.size_bytes, entry.etag))


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


def _csv_rows(text: str, header: list[str]) -> Iterator[JsonObject]:
    for row in csv.reader(io.StringIO(text)):
        if [cell.strip().lower() for cell in row] != header and any(cell.strip() for cell in row):
            yield dict(zip(header, row, strict=False))


def _text_row(line: str, folder: Place) -> JsonObject:
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
