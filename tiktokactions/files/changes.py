"""The one door through which files that others read are changed: written whole or not at all, moved into place, deleted."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiktokactions.errors import AccessError, DiskFullError, TiktokactionsError, UsageError
from tiktokactions.files import objects
from tiktokactions.files.places import Place, absolute, local_file, local_path, located, sha256_file, stored_path
from tiktokactions.machine import NO_SPACE, scratch_folder, tell

NO_ACCESS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
NO_PATH = {
    **{errno.ENAMETOOLONG: "a path", errno.ELOOP: "no link that leads to itself"},
    **{errno.EEXIST: "a folder, or none yet", errno.ENOTDIR: "a path in a folder"},
}
"""What was expected of a path that cannot be one, or not a folder's, by the operating system's error."""
NOT_NOTED = ("records", "clips", "thumbs", "quarantine", "SHA256SUMS", "dataset.json")
"""Records have their checksums in themselves and in the manifest, and hold those of clips and thumbnails; the last two are
written by whoever reads the notes."""


SETTLED = ".settled"
"""In a dataset that is being changed: its last settled version, as far as something of it has changed since."""
KEPT = ("records", "clips", "thumbs")
"""What is kept there when it changes. The tables are there from the beginning."""


def about_to_change(place: Place) -> None:
    """Called before each change takes effect. Does nothing; tests put something here that ends the process."""


_keeping: list[str] = []


@contextlib.contextmanager
def keeping(dataset: Place) -> Iterator[None]:
    """While the block lasts, a record, clip or thumbnail that this process changes or deletes is first kept below
    ``.settled``, for those who read the last settled version; nothing where none is kept."""
    if not (dataset / SETTLED / "dataset.json").is_file():
        yield
        return
    _keeping.append(absolute(str(dataset)))
    try:
        yield
    finally:
        _keeping.remove(absolute(str(dataset)))


def _changing(place: Place) -> None:
    _keep(place)
    about_to_change(place)


def _keep(place: Place) -> None:
    folder, name = next(((f, n) for f in _keeping if (n := relative_name(f, place))), ("", ""))
    # On a store the settled record is a line of its range; a file of its own is what the run has written.
    is_in_flight = local_path(place) is None and name.startswith("records/") and place.suffix == ".json"
    if is_in_flight or name.partition("/")[0] not in KEPT or not place.is_file():
        return
    kept = located(folder) / SETTLED / name
    if not kept.is_file():
        copy_whole(place, kept)


def copy_whole(source: Place, target: Place) -> None:
    """A file at one more place of the same disk or store, whole or not at all: a hard link where the disk has them."""
    local, linked = local_path(source), local_path(target)
    if local is None or linked is None:
        objects.copy(stored_path(source), stored_path(target))
        return
    linked.parent.mkdir(parents=True, exist_ok=True)
    about_to_change(linked)
    try:
        os.link(local, linked)
    except FileExistsError:  # kept by another worker meanwhile
        pass
    except OSError:
        with unfinished(linked) as copied:
            shutil.copyfile(local, copied)


def relative_name(folder: str, place: Place) -> str:
    """The path of a place relative to a folder (absolute); empty where it lies elsewhere."""
    path = absolute(str(place))
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else ""


@dataclass(frozen=True, eq=False)
class Notes:
    """The SHA-256 of every file written below a folder, by relative path; empty where it was deleted."""

    folder: str
    sha256: dict[str, str] = field(default_factory=dict)

    def name_of(self, place: Place) -> str:
        """The relative path; empty for what is not noted: what lies elsewhere, hidden files, :data:`NOT_NOTED`."""
        name = relative_name(self.folder, place)
        return "" if name.startswith(".") or name.partition("/")[0] in NOT_NOTED else name


_noting: list[Notes] = []


@contextlib.contextmanager
def noted_changes(folder: Place) -> Iterator[Notes]:
    """Note what this process writes below ``folder`` while the block lasts: its checksum costs no second reading."""
    notes = Notes(absolute(str(folder)))
    _noting.append(notes)
    try:
        yield notes
    finally:
        _noting.remove(notes)


def take_notes(folder: Place) -> dict[str, str]:
    """What was noted below exactly this folder, which is forgotten now."""
    taken: dict[str, str] = {}
    for notes in _noting:
        if notes.folder == absolute(str(folder)):
            taken |= notes.sha256
            notes.sha256.clear()
    return taken


def _note(place: Place, written: bytes | Place | None) -> None:
    for notes in _noting:
        if name := notes.name_of(place):
            sha256 = hashlib.sha256(written).hexdigest() if isinstance(written, bytes) else ""
            notes.sha256[name] = sha256 if written is None or isinstance(written, bytes) else sha256_file(written)


def staging_folder(dataset: Place) -> Path:
    """Where half-written files live: inside the dataset (a rename stays atomic), emptied when the next run starts.

    Of a dataset on an object store: a folder of this process on this machine, from where finished files are sent.
    """
    local = local_path(dataset)
    return scratch_folder() / "staging" if local is None else local / ".staging"


def clear_staging(dataset: Place) -> None:
    """Remove what a killed run left half-written. Only call while holding the dataset's lock."""
    shutil.rmtree(staging_folder(dataset), ignore_errors=True)


@contextlib.contextmanager
def unfinished(target: Place, staging: Path | None = None) -> Iterator[Path]:
    """An empty local file to fill: it becomes ``target`` at the end of the block, and is gone if an error ends the block.

    Until then ``target`` holds the old bytes. ``staging`` (same file system, default: the target's own folder) receives
    the temporary file, which keeps the target's suffix.
    """
    folder = staging or (scratch_folder() if (local := local_path(target)) is None else local.parent)
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".writing-", suffix=target.suffix)
    os.close(handle)
    filled = Path(name)
    try:
        yield filled
        with filled.open("rb+") as file:
            os.fsync(file.fileno())
        filled.chmod(0o644)
        move_into_place(filled, target)
    except BaseException:
        filled.unlink(missing_ok=True)
        raise


def write_atomic(place: Place, data: bytes, staging: Path | None = None) -> None:
    """Write so that ``place`` holds the old bytes or all of the new ones, whatever happens in between.

    ``staging``: see :func:`unfinished`. An object store needs none: one PUT is whole or nothing.
    """
    if local_path(place) is None:
        _changing(place)
        stored_path(place).write_bytes(data)
        _note(place, data)
        return
    with unfinished(place, staging) as file:
        file.write_bytes(data)


def create(place: Place, data: bytes) -> None:
    """Write a secret where there is none yet: on a disk only its owner may read it. Raises ``FileExistsError``."""
    local = local_path(place)
    if local is None:
        _changing(place)
        stored_path(place).create(data)
    else:
        with tempfile.NamedTemporaryFile(dir=local.parent, prefix=".writing-") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            # A link, not a rename: of two processes that make one, the first wins and both read the same.
            link_or_copy(Path(file.name), local)
    _note(place, data)


def link_or_copy(source: Place, target: Path) -> None:
    """A file on this machine under one more name: a hard link where the file system can, else a copy; of an object a copy.

    Raises:
        FileExistsError: there is one of this name.
    """
    about_to_change(target)
    local = local_path(source)
    if local is None:
        objects.download(str(source), target)
        return
    try:
        os.link(local, target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copy(local, target)


def place_file(source: Place, target: Place, sha256: str = "") -> bool:
    """The file at one more place, whole or not at all; False, and nothing done, where its bytes have another checksum than
    the one that is given.

    A hard link where both lie on one disk that has links, else a copy.
    """
    with local_file(source) as local:
        if sha256 and sha256_file(local) != sha256:
            return False
        placed = local_path(target)
        if placed is None:
            _changing(target)
            objects.upload(local, stored_path(target))
            return True
        placed.parent.mkdir(parents=True, exist_ok=True)
        delete(placed)
        _changing(placed)
        if local_path(source) is not None:
            with contextlib.suppress(OSError):
                os.link(local, placed)
                return True
        with unfinished(placed) as copy:
            shutil.copyfile(local, copy)
    return True


def read_json(place: Place, default: Any) -> Any:
    """What a JSON file says; ``default`` where there is none."""
    return json.loads(place.read_text(encoding="utf-8", errors="surrogatepass")) if place.is_file() else default


def write_json(
    place: Place, value: object, staging: Path | None = None, indent: int = 2, sort_keys: bool = False
) -> None:
    """As :func:`write_atomic`; UTF-8, with a newline at the end."""
    write_atomic(place, json_bytes(value, indent, sort_keys), staging)


def json_bytes(value: object, indent: int = 2, sort_keys: bool = False) -> bytes:
    """A JSON file as :func:`write_json` writes it."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, sort_keys=sort_keys)
    return f"{text}\n".encode("utf-8", "surrogatepass")


def write_csv(place: Place, rows: Iterable[Iterable[object]], staging: Path | None = None) -> None:
    """As :func:`write_atomic`; the first row is the head, lines end in a newline alone."""
    with (
        unfinished(place, staging) as staged,
        staged.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(rows)


def csv_bytes(rows: Iterable[Iterable[object]]) -> bytes:
    """A CSV file as :func:`write_csv` writes it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def move_into_place(staged: Place, target: Place) -> None:
    """Bring a finished file or folder to where it belongs: a rename (same file system), or one upload to an object store."""
    source, local = local_path(staged), local_path(target)
    _keep(staged)
    _changing(target)
    if source is None or source.is_file():
        _note(staged, None)
        _note(target, staged)
    if local is not None:
        local.parent.mkdir(parents=True, exist_ok=True)
        os.replace(str(staged), local)
    elif source is not None:
        objects.upload(source, stored_path(target))
        source.unlink()
    else:
        objects.move(stored_path(staged), stored_path(target))


def lies_there(place: Place) -> bool:
    """Whether there is a file, or anything else by that name, such as a link to what is gone."""
    local = local_path(place)
    return place.is_file() if local is None else os.path.lexists(local)


def delete(place: Place) -> bool:
    """Remove a file; whether there was one."""
    if not lies_there(place):  # stores do not tell what they had no need to delete
        return False
    local = local_path(place)
    _changing(place)
    _note(place, None)
    (local or stored_path(place)).unlink(missing_ok=True)
    return True


def delete_together(places: Sequence[Place]) -> None:
    """Remove many files, some of which may be gone; of a store up to a thousand with one request."""
    for first in range(0, len(places), objects.DELETED_TOGETHER):
        part = places[first : first + objects.DELETED_TOGETHER]
        for place in part:
            _keep(place)
        about_to_change(part[0])
        objects.delete_together([stored_path(place) for place in part])


def delete_empty(folder: Place) -> None:
    """Remove a folder of a disk if nothing is in it; those of stores come and go with their objects."""
    local = local_path(folder)
    if local is not None:
        with contextlib.suppress(OSError):
            local.rmdir()


def delete_folder(folder: Path) -> None:
    """Remove a local folder with all that is in it, if it is there; what refuses stays."""
    if folder.is_dir():
        about_to_change(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def disk_errors(written_to: Place | None = None) -> Iterator[None]:
    """Around everything that reads or writes files. Half-written files in the dataset ``written_to`` are removed in any case
    but a bug.

    Raises:
        DiskFullError: no space left; what was finished is kept.
        AccessError: the operating system refuses a file or folder.
        UsageError: a name that is longer than the file system allows, or a link that leads to itself.
    """
    try:
        yield
    except TiktokactionsError:
        raise
    except RuntimeError as error:
        if not str(error).startswith("Symlink loop from "):  # pathlib's own words, before Python 3.13
            raise
        raise UsageError(f"{error}. Expected a path.") from error
    except OSError as error:
        if error.errno in NO_PATH:
            named = str(error.filename)
            named = f"{named[:60]}..." if error.errno == errno.ENAMETOOLONG else named
            raise UsageError(f"{named}: {os.strerror(error.errno)}. Expected {NO_PATH[error.errno]}.") from error
        if error.errno not in NO_SPACE | NO_ACCESS:
            raise
        refused = f"{error.filename or written_to or 'the disk'}: {os.strerror(error.errno or 0)}."
        if error.errno in NO_ACCESS:
            raise AccessError(f"{refused} Allow it for this user, or name another place.") from error
        if written_to is not None:
            clear_staging(written_to)
            refused = f"{written_to}: {os.strerror(error.errno or 0)}."
        raise DiskFullError(
            f"{refused} Everything finished so far is kept and no half-written file is left; make room and run the same"
            " command again."
        ) from error
    if written_to is not None:
        clear_staging(written_to)


@contextlib.contextmanager
def may_be_refused(said: str) -> Iterator[None]:
    """Around what is written into a dataset that is only read: where that is refused, one line says what follows from it,
    and the reader goes on."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ACCESS and not isinstance(error, PermissionError):
            raise
        tell(f"{said} ({os.strerror(error.errno) if error.errno else error})")
