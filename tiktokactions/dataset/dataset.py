"""The noun: a dataset opened. It reads; only :meth:`Dataset.editing` lets anything be changed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.info import DatasetInfo, info_path, read_info, resolve_options
from tiktokactions.dataset.subset_mark import held_by, is_subset, parent_of
from tiktokactions.errors import NotFoundError, UsageError
from tiktokactions.files import (
    SETTLED,
    AtWork,
    DatasetBusyError,
    Place,
    absolute,
    disk_errors,
    has_records,
    local_path,
    located,
    record_of,
    records_of,
    relative_name,
    seen_from,
    settled_file,
    update_sums,
    who_is_at_work,
)
from tiktokactions.machine import tell

if TYPE_CHECKING:
    import pyarrow as pa

    from tiktokactions.dataset.editing import Edit
    from tiktokactions.records import VideoRecord

REMOVING = ".removing.json"
"""A take-down under way: what is to go. Until it is done, nothing may be handed out."""
NAMES = {"takedown": "refresh", "review": "review apply", "verify": "dataset verify", "split": "dataset split"}
"""Edits as people know them, where that is not the name of the command."""


class Dataset:
    """A dataset, or a subset of one: a folder on this machine, or a prefix on an object store.

    Opening reads ``dataset.json`` and nothing else. While a run changes the dataset, and after one was killed, what is read
    is the last settled version: no lock is taken and nothing is written. What other runs change later is seen after
    :meth:`reload`.

    Raises:
        UsageError: there is no dataset.
        ValueError: ``dataset.json`` is damaged, or newer than this program.
    """

    folder: Place
    tables: Place
    """Where the tables are read: the folder, or where those of the last settled version are kept."""
    info: DatasetInfo
    """The contents of ``dataset.json``, as it was in that version; ``settled`` and ``under_way`` as they are now."""
    _is_editor: bool = False

    def __init__(self, path: str | os.PathLike[str] | Place) -> None:
        self.folder = located(path)
        self.reload()

    @classmethod
    def whole(cls, path: str | os.PathLike[str] | Place) -> Self:
        """Open a dataset; a subset is refused with a ``UsageError`` that names the dataset it belongs to."""
        dataset = cls(path)
        refuse_subset(dataset.folder)
        return dataset

    @classmethod
    def new(cls, path: str | os.PathLike[str] | Place, info: DatasetInfo) -> Self:
        """A dataset that is still to be made: nothing is written before its first edit begins."""
        dataset = cls.__new__(cls)
        dataset.folder, dataset.info = located(path), info
        dataset.tables = dataset.folder
        return dataset

    def reload(self) -> None:
        """Read ``dataset.json`` again."""
        info = read_info(self.folder)
        if info is None:
            raise UsageError(f"{self.folder}: no dataset.json there; expected a folder made by 'tiktokactions curate'")
        kept = None
        if not (info.settled or self._is_editor) and (kept := read_info(self.folder / SETTLED)) is None:
            info = read_info(self.folder) or info  # perhaps the run has just ended
        self.tables = self.folder if kept is None else self.folder / SETTLED
        self.info = info if kept is None else replace(kept, settled=False, under_way=info.under_way)
        for known in ("options", "parent", "_held"):
            self.__dict__.pop(known, None)

    def __fspath__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        of = f", subset of {str(self.parent.folder)!r}" if self.is_subset else ""
        unsettled = "" if self.settled else ", unsettled"
        return f"{type(self).__name__}({str(self.folder)!r}, version {self.version}{of}{unsettled})"

    # --- what dataset.json says ------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def version(self) -> int:
        """Counts the runs that changed the dataset; 0 before the first has ended."""
        return self.info.version

    @property
    def settled(self) -> bool:
        """False while a run changes the dataset, and after one was killed: tables may not fit the records then."""
        return self.info.settled

    @cached_property
    def options(self) -> CurateOptions:
        """What it was made with."""
        return resolve_options(self.info, {})

    # --- what is in it ---------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Place:
        return self.tables / "manifest.parquet"

    @property
    def counts(self) -> dict[str, int]:
        """Videos by status: ``accepted``, ``needs_review``, ``rejected``."""
        from tiktokactions.dataset.manifest import count_by_status

        return count_by_status(self.manifest)

    @property
    def sides(self) -> dict[str, str]:
        """The side of every video (``train``, ``val``, ``test`` or a fold; ``none``); empty if it was never split."""
        from tiktokactions.dataset.assignments import read_sides

        return read_sides(self.tables)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The manifest, one row per video, in batches of these columns."""
        from tiktokactions.dataset.tally import read_batches

        return read_batches(self.manifest, columns)

    def record(self, video_id: str) -> VideoRecord:
        """The evidence about one video.

        Raises:
            FileNotFoundError: there is no such video.
        """
        return record_of(self.parent.folder, video_id, self.parent.is_kept)

    def records(self) -> Iterator[VideoRecord]:
        """The evidence about every video, read one by one."""
        from tiktokactions.files import all_records

        if not (self.is_subset or self.is_kept):
            yield from all_records(self.folder)
            return
        for batch in self.batches(["video_id"]):
            yield from self.records_of(batch["video_id"].to_pylist())

    def records_of(self, video_ids: Iterable[str]) -> Iterator[VideoRecord]:
        """The evidence about these videos, as far as it is there, in the order of :meth:`records`."""
        return records_of(self.parent.folder, video_ids, self.parent.is_kept)

    def file(self, name: str) -> Place:
        """Where a clip or a picture lies whose path the manifest or a record gives."""
        if held := self._held:
            return self.parent.file(name[len(held) :]) if name.startswith(held) else seen_from(self.folder, name)
        place = self.folder / name
        # A run that has begun since this was opened may have moved it.
        is_away = local_path(place) is not None and not place.is_file()
        return settled_file(self.folder, name) if self.is_kept or is_away else place

    @cached_property
    def _held(self) -> str:
        """What the paths of a subset's clips begin with; empty for a dataset, and asked once."""
        return f"{held_by(self.folder)}/" if self.is_subset else ""

    __iter__ = records

    # --- subsets ---------------------------------------------------------------------------------------------------

    @property
    def is_subset(self) -> bool:
        return is_subset(self.folder)

    @cached_property
    def parent(self) -> Self:
        """The dataset that a subset was taken from, which holds its clips and records; a dataset itself."""
        return type(self)(parent_of(self.folder)) if self.is_subset else self

    # --- while a run is at work on it --------------------------------------------------------------------------------

    @property
    def is_kept(self) -> bool:
        """Whether what is read is a version that is kept beside what a run is changing."""
        return self.tables != self.folder

    @property
    def at_work(self) -> AtWork | None:
        """Who changes it now, on this machine or another."""
        return who_is_at_work(self.parent.folder)

    @property
    def going_on(self) -> str:
        """Who is at work on it while it is not settled, or that nobody is any more; empty where it is settled."""
        if self.settled:
            return ""
        by = f"'{NAMES.get(self.info.under_way, self.info.under_way) or 'curate'}'"
        worker = self.at_work
        return f"{by} is at work on it ({worker})" if worker else f"{by} was interrupted; run it again to finish"

    def require_settled(self) -> None:
        """Raises ``UsageError`` while a run is at work on it, and after one was interrupted."""
        if not self.settled and not self.is_subset:
            raise UsageError(f"{self.folder}: not settled: {self.going_on}")

    def require_records(self) -> None:
        """Raises ``UsageError`` where the manifest has rows and there is no record at all: whoever draws the verdicts of what
        is left would write a dataset without videos."""
        if (
            self.is_subset
            or has_records(self.folder)
            or self.info.under_way == "takedown"
            or not self.manifest.is_file()
        ):
            return
        if videos := sum(self.counts.values()):
            raise UsageError(
                f"{self.folder / 'records'}: none of the records of {videos:,} videos is there: is a disk not mounted?"
                " Nothing was changed. Bring them back; if they are lost, 'dataset verify' with `repair` and `yes` goes on"
                " without these videos"
            )

    @property
    def has_changed(self) -> bool:
        """Whether a run has ended since it was opened: what was read may be of two versions."""
        now = read_info(self.folder)
        return now is not None and now.settled and (now.version, now.updated) != (self.version, self.info.updated)

    def require_unchanged(self) -> None:
        """Raises ``UsageError`` where it :attr:`has_changed`."""
        if self.has_changed:
            raise UsageError(f"{self.folder}: a run has changed it while it was read; give the same command again")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Every command that only reads does so in this block: the last settled version, without a lock and without writing.
        One line says so if that is not what lies there now.

        Raises:
            UsageError: no version is settled yet, a take-down has to be finished first, or a run that ended meanwhile took
                away what was being read.
            NotFoundError: a file of the dataset is absent.
            DiskFullError, AccessError: wherever the reader writes.
        """
        self.reload()
        for dataset in {self.folder: self, self.parent.folder: self.parent}.values():
            dataset.require_readable()
            if not dataset.settled:
                tell(f"{dataset.folder}: {dataset.going_on}. This is version {dataset.version}, the last settled one.")
        with disk_errors():
            try:
                yield
            except FileNotFoundError as error:
                self.parent.require_unchanged()
                if not relative_name(absolute(str(self.parent.folder)), located(error.filename or "")):
                    raise
                what = "not there; is a disk not mounted? 'dataset verify' names all that is missing"
                raise NotFoundError(f"{error.filename}: {what}") from error

    def require_readable(self) -> None:
        """Raises ``UsageError`` where there is no version that may be read."""
        if not self.settled and not self.version and not self.is_kept:
            raise UsageError(f"{self.folder}: no version of it is settled yet: {self.going_on}")
        if (self.folder / REMOVING).is_file() or (not self.settled and self.info.under_way == "takedown"):
            worker = self.at_work
            what = f"is under way ({worker}); wait" if worker else "was interrupted; give it again"
            raise UsageError(f"{self.folder}: nothing is read before a take-down has ended: it {what}")

    def offer(self, what: str, write: Callable[[], object]) -> None:
        """Write something that describes this version beside it; where that is refused, one line says so. While it is not
        settled nothing is written: that is due to whoever settles it.

        Args:
            what: what is written, for that line.
        """
        from tiktokactions.dataset.editing import locked

        if not self.settled:
            return
        try:
            with locked(self.folder) as notes:
                self.require_unchanged()
                write()
                update_sums(self.folder, notes.sha256)
        except (DatasetBusyError, PermissionError) as error:
            tell(f"{what} not written: {error}")
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            tell(f"{what} not written: {error}")

    # --- changing it -------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Finish what a killed command left half done and wrote down; called with the lock held, before an edit.

        A dataset as such knows of nothing of the kind; :class:`tiktokactions.Dataset` finishes take-downs.
        """

    def prepare(self) -> None:
        """Called before the first change of an edit; :class:`tiktokactions.Dataset` parts a copy from its original."""

    @contextlib.contextmanager
    def editing(self, by: str, options: CurateOptions | None = None) -> Iterator[Edit]:
        """Every change of a dataset happens in this block; on the way out everything that describes it is written.

        Nothing is written unless :meth:`Edit.begin` is called, which is due before the first change. If an exception
        leaves the block, or the process ends, ``dataset.json`` keeps saying ``settled: false``.

        Args:
            by: the command at work: ``curate``, ``split``, ``verify`` ....
            options: settings that the dataset has from now on (default: those it has).

        Raises:
            UsageError: none of its records is there.
            DatasetBusyError: another run is changing it.
            DiskFullError: no space left.
        """
        from tiktokactions.dataset.editing import Edit, locked

        with locked(self.folder), contextlib.ExitStack() as until_the_end:
            self._is_editor = True
            until_the_end.callback(self._stop_editing)
            if info_path(self.folder).is_file():  # not yet, where it is new
                self.reload()
                if by != "verify":
                    self.require_records()
                self.heal()
            edit = Edit(self, by, options)
            until_the_end.callback(edit.end)
            yield edit
            edit.close()

    def _stop_editing(self) -> None:
        self._is_editor = False
        if not self.settled and info_path(self.folder).is_file():
            self.reload()


def refuse_subset(folder: Place) -> None:
    """Raises ``UsageError`` where the folder is a subset."""
    if is_subset(folder):
        raise UsageError(
            f"{folder}: is a subset, whose clips and records belong to {parent_of(folder).resolve()};"
            " give that dataset, and take the subset again"
        )
