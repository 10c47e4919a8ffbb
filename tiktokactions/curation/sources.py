"""The videos that were asked for, and what lists and sidecar files say about them."""

from __future__ import annotations

import glob
import itertools
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from tiktokactions.curation.from_collection import list_collection
from tiktokactions.curation.listed import (
    FIELDS,
    LABEL_SOURCES,
    InputError,
    ListedVideo,
    MissingError,
    describe,
    labelled,
    with_folder,
)
from tiktokactions.files import Place, absolute, is_address, local_path, located, real_path
from tiktokactions.files.objects import READ_TOGETHER, Entry, ObjectPath, find_objects, read_together
from tiktokactions.metadata.documents import DocumentError, column_names, table_rows, text_of
from tiktokactions.metadata.names import rank, sidecar_names, without_companions
from tiktokactions.metadata.sidecars import read_sidecar, said_by
from tiktokactions.records import JsonObject, Source

_EXPORTED = ("export.json", "release.json")
_MISSING_NAMED = 20
"""Paths that an error names at most."""


@dataclass
class Listing:
    """How inputs are listed, and what was missing."""

    leave_out: Place | None = None
    """The dataset folder, which is not walked into."""
    labels_from: Sequence[str] = LABEL_SOURCES
    skip_missing: bool = False
    """Go on without the files that a list names but that are not there."""
    missing: list[str] = field(default_factory=list)
    hint: str = ""
    """What else can be done than to correct the list."""
    alone: dict[str, set[str]] = field(default_factory=dict)
    """By folder: the names of those that accompany no other file."""

    def stands_alone(self, path: Path) -> bool:
        """Whether a file that was named itself, as by ``videos/*``, accompanies no other one beside it."""
        folder = str(path.parent)
        if rank(path.name) and folder not in self.alone:
            self.alone[folder] = set(without_companions(os.listdir(folder)))
        return not rank(path.name) or path.name in self.alone[folder]


def list_videos(inputs: Sequence[str], listing: Listing | None = None) -> Iterator[ListedVideo]:
    """Every regular file that the inputs name, except what accompanies another file, each once.

    ``inputs``: files, folders (recursive), globs, ``.txt``/``.csv``/``.tsv`` lists, ``-`` for a list on standard input; on a
    disk or as addresses of an object store (``s3://bucket/prefix/``), of which every folder is listed once. Folders are
    walked in sorted order and no link is followed twice; datasets, exports and releases in them are left out.

    Raises:
        InputError: an input does not exist or is a dataset, a glob has no match, or a list cannot be read.
        MissingError: a list names files that are not there, unless ``listing.skip_missing``.
    """
    listing = listing or Listing()
    seen: set[str] = set()
    for entry in inputs:
        for video in _expand(entry, listing):
            # Not resolved strictly: a file that vanished or may not be opened still becomes a row.
            real = real_path(video.path)
            if real not in seen:
                seen.add(real)
                yield labelled(video, listing.labels_from)


def _expand(entry: str, listing: Listing) -> Iterator[ListedVideo]:
    if entry == "-":
        yield from _from_list(sys.stdin.read(), "standard input", Path.cwd(), listing)
        return
    if is_address(entry):
        yield from _from_store(entry, listing)
        return
    path = Path(entry)
    if (path / "dataset.json").is_file() and (path / "records").is_dir():
        raise InputError(
            f"{entry}: is a dataset, which knows its videos. 'dataset merge' joins datasets; {path / 'clips'} are its clips"
        )
    if (path / "collection.sqlite").is_file():
        yield from list_collection(path, lambda folder: _from_folder(folder, listing.leave_out))
    elif _is_list(path):
        yield from _from_list_file(path, listing)
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
            if match.is_dir():
                yield from _from_folder(match, listing.leave_out)
            elif listing.stands_alone(match):
                yield from _from_files([match], label=None)


def _is_list(path: Place) -> bool:
    return path.suffix.lower() in (".txt", ".csv", ".tsv") and path.is_file()


def _from_list_file(path: Place, listing: Listing) -> Iterator[ListedVideo]:
    try:
        text = text_of(path.read_bytes(), str(path))
    except DocumentError as error:
        raise InputError(f"{path}: expected a UTF-8 list of videos ({error})") from None
    yield from _from_list(text, str(path), path.parent, listing)


def _was_made(names: set[str]) -> bool:
    """Whether a folder that holds these is a dataset, an export or a release: its clips are no raw videos."""
    return {"dataset.json", "records"} <= names or ("SHA256SUMS" in names and not names.isdisjoint(_EXPORTED))


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
        if folder != root and _was_made({entry.name for entry in entries}):
            print(f"note: {folder}: is a dataset, an export or a release, not raw videos: skipped", file=sys.stderr)
            continue
        yield from _from_files([e for e in entries if not e.is_dir()], None if folder == root else folder.name)
        pending += [e for e in reversed(entries) if e.is_dir()]


def _from_files(paths: Sequence[Path], label: str | None) -> Iterator[ListedVideo]:
    videos = set(without_companions([path.name for path in paths]))
    for path in paths:
        if path.name in videos and _is_regular(path):
            yield with_folder(_described(path), label)


def _described(path: Path) -> ListedVideo:
    """A file with what its name and its sidecar say."""
    return describe(os.path.abspath(path), *read_sidecar(path))


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False  # a dangling link is not a file
    except OSError:
        return True  # it is there but may not be read: its row will say so


# --- object stores -------------------------------------------------------------------------------------------------


def _from_store(entry: str, listing: Listing) -> Iterator[ListedVideo]:
    if glob.has_magic(entry):
        matches = find_objects(entry)
        if not matches:
            raise InputError(f"{entry}: no object matches it")
        yield from _from_objects([ObjectPath(match).entry() for match in matches], label=None)
        return
    root = ObjectPath(entry)
    if _is_list(root):
        yield from _from_list_file(root, listing)
        return
    pending, found = [root], False
    while pending:
        folder = pending.pop()
        if folder == listing.leave_out:
            continue
        objects, folders = folder.entries()
        if folder != root and _was_made(
            {ObjectPath(url).name for url in (*folders, *(entry.url for entry in objects))}
        ):
            continue
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
    videos = without_companions(by_name)
    for first in range(0, len(videos), READ_TOGETHER):
        part = videos[first : first + READ_TOGETHER]
        beside = {name: next((s for s in sidecar_names(name) if s in by_name), "") for name in part}
        wanted = [ObjectPath(by_name[sidecar].url) for sidecar in beside.values() if sidecar]
        said = {path.name: said_by(path.name, data) for path, data in read_together(wanted)}
        for name in part:
            entry = by_name[name]
            video = with_folder(describe(entry.url, *said.get(beside[name], ({},))), label)
            yield replace(video, fingerprint=(entry.size_bytes, entry.etag))


# --- lists -----------------------------------------------------------------------------------


def _from_list(text: str, name: str, folder: Place, listing: Listing) -> Iterator[ListedVideo]:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{name}: an empty list; expected one video path a line, or CSV with a 'path' column")
    table = table_rows(text)
    header = column_names(table[0]) if table else []
    if "path" in header:
        rows = [dict(zip(header, cells, strict=False)) for cells in table if column_names(cells) != header]
    elif name.lower().endswith((".csv", ".tsv")):
        raise InputError(f"{name}: expected a header with a 'path' column, got {lines[0][:80]!r}")
    else:
        rows = [_text_row(line, folder) for line in lines]
    # A path in several rows is one video with the labels of all of them.
    merged: dict[str, ListedVideo] = {}
    for row in rows:
        given = str(row.pop("path", "") or "").strip()
        if given:
            path = _locate(given, folder)
            merged[path] = _joined(merged.get(path), describe(path, row))
    yield from _that_are_there(merged, name, folder, listing)


def _joined(before: ListedVideo | None, listed: ListedVideo) -> ListedVideo:
    """Two rows of one path. All hashtags of a list count as the list's, whatever tool wrote it."""
    labels = (before.named["list"] if before else ()) + listed.named["sidecar"]
    about = _merge(listed.about, before.about) if before else listed.about
    return replace(listed, about=about, named={**listed.named, "list": tuple(dict.fromkeys(labels)), "sidecar": ()})


def _that_are_there(
    listed: dict[str, ListedVideo], name: str, folder: Place, listing: Listing
) -> Iterator[ListedVideo]:
    """The files of a list with what lies beside them.

    Raises:
        MissingError: some are not there.
    """
    with ThreadPoolExecutor(READ_TOGETHER // 4) as threads:
        there = dict(zip(listed, threads.map(_looked_up, listed), strict=True))
    missing = [path for path, found in there.items() if found is None]
    if missing and not listing.skip_missing:
        few = ", ".join(missing[:_MISSING_NAMED]) + (" ..." if len(missing) > _MISSING_NAMED else "")
        told = f"{len(missing)} of {len(listed)} videos are not there: {few}"
        raise MissingError(f"{name}: {told}. Correct the list{listing.hint}")
    listing.missing += missing
    for path, video in listed.items():
        if (found := there[path]) is not None and (is_address(path) or listing.stands_alone(Path(path))):
            # On an object store sidecars would take three requests a line, so there the list has to say everything.
            beside = found if isinstance(found, ListedVideo) else ListedVideo(path)
            parent = str(located(path)).rpartition("/")[0]
            is_below = parent.startswith(os.path.join(absolute(str(folder)), ""))
            about = _merge(video.about, beside.about)
            named = {
                source: video.named.get(source) or beside.named.get(source, ()) for source in _sources(video, beside)
            }
            joined = ListedVideo(path, about=about, fingerprint=beside.fingerprint, named=named)
            yield with_folder(joined, parent.rpartition("/")[2] if is_below else None)


def _sources(*videos: ListedVideo) -> list[str]:
    return list(dict.fromkeys(source for video in videos for source in video.named))


def _looked_up(path: str) -> ListedVideo | None:
    """What lies beside a listed file; None if the file is not there."""
    if not is_address(path):
        return _described(Path(path)) if os.path.lexists(path) else None
    if path.lower().startswith(("http://", "https://")):
        return None  # a page of the web: 'download' fetches videos, and what it fetched can be curated
    try:
        entry = ObjectPath(path).entry()
    except FileNotFoundError:
        return None
    return ListedVideo(path, fingerprint=(entry.size_bytes, entry.etag))


def _merge(first: Source, second: Source) -> Source:
    """The fields of ``first``, or those of ``second`` where ``first`` has none."""
    chosen = {name: getattr(first, name) or getattr(second, name) for name in FIELDS}
    return Source(path="", metadata=second.metadata | first.metadata, **chosen)


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
