"""The noun: a dataset opened. It reads; only :meth:`Dataset.editing` lets anything be changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Self

from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.info import DatasetInfo, info_path, read_info, resolve_options
from tiktokactions.dataset.subset_mark import is_subset, parent_of
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, located, record_of

if TYPE_CHECKING:
    import pyarrow as pa

    from tiktokactions.dataset.editing import Edit
    from tiktokactions.records import VideoRecord


class Dataset:
    """A dataset, or a subset of one: a folder on this machine, or a prefix on an object store.

    Opening reads ``dataset.json`` and nothing else. What other runs change later is seen after :meth:`reload`.

    Raises:
        UsageError: there is no dataset.
        ValueError: ``dataset.json`` is damaged, or newer than this program.
    """

    folder: Place
    info: DatasetInfo
    """The contents of ``dataset.json``."""

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
        return dataset

    def reload(self) -> None:
        """Read ``dataset.json`` again."""
        info = read_info(self.folder)
        if info is None:
            raise UsageError(f"{self.folder}: no dataset.json there; expected a folder made by 'tiktokactions curate'")
        self.info = info
        for known in ("options", "parent"):
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
        return self.folder / "manifest.parquet"

    @property
    def counts(self) -> dict[str, int]:
        """Videos by status: ``accepted``, ``needs_review``, ``rejected``."""
        from tiktokactions.dataset.manifest import count_by_status

        return count_by_status(self.manifest)

    @property
    def sides(self) -> dict[str, str]:
        """The side of every video (``train``, ``val``, ``test`` or a fold; ``none``); empty if it was never split."""
        from tiktokactions.dataset.assignments import read_sides

        return read_sides(self.folder)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The manifest, one row per video, in batches of these columns."""
        from tiktokactions.dataset.statistics import read_batches

        return read_batches(self.manifest, columns)

    def record(self, video_id: str) -> VideoRecord:
        """The evidence about one video.

        Raises:
            FileNotFoundError: there is no such video.
        """
        return record_of(self.parent.folder, video_id)

    def records(self) -> Iterator[VideoRecord]:
        """The evidence about every video, read one by one."""
        from tiktokactions.files import all_records, records_of

        if not self.is_subset:
            yield from all_records(self.folder)
            return
        for batch in self.batches(["video_id"]):
            yield from records_of(self.parent.folder, batch["video_id"].to_pylist())

    __iter__ = records

    # --- subsets ---------------------------------------------------------------------------------------------------

    @property
    def is_subset(self) -> bool:
        return is_subset(self.folder)

    @cached_property
    def parent(self) -> Self:
        """The dataset that a subset was taken from, which holds its clips and records; a dataset itself."""
        return type(self)(parent_of(self.folder)) if self.is_subset else self

    def require_settled(self) -> None:
        """Raises ``UsageError`` if a run on it was interrupted."""
        if not self.settled and not self.is_subset:
            raise UsageError(
                f"{self.folder}: a run on it was interrupted; finish it first (run '{self.info.under_way or 'curate'}' again)"
            )

    # --- at work with it -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock while reading. If a run was interrupted, the manifest is first written again from the records.

        Raises:
            DatasetBusyError: a run is changing it.
            DiskFullError: no space left.
        """
        from tiktokactions.dataset.editing import bring_manifest_up_to_date, locked

        with locked(self.folder):
            self.reload()
            bring_manifest_up_to_date(self)
            yield

    def heal(self) -> None:
        """Finish what a killed command left half done and wrote down; called with the lock held, before an edit.

        A dataset as such knows of nothing of the kind; :class:`tiktokactions.Dataset` finishes take-downs.
        """

    @contextlib.contextmanager
    def editing(self, by: str, options: CurateOptions | None = None) -> Iterator[Edit]:
        """Every change of a dataset happens in this block; on the way out everything that describes it is written.

        Nothing is written unless :meth:`Edit.begin` is called, which is due before the first change. If an exception
        leaves the block, or the process ends, ``dataset.json`` keeps saying ``settled: false``.

        Args:
            by: the command at work: ``curate``, ``split``, ``verify`` ....
            options: settings that the dataset has from now on (default: those it has).

        Raises:
            DatasetBusyError: another run is changing it.
            DiskFullError: no space left.
        """
        from tiktokactions.dataset.editing import Edit, locked

        with locked(self.folder):
            if info_path(self.folder).is_file():  # not yet, where it is new
                self.reload()
                self.heal()
            edit = Edit(self, by, options)
            yield edit
            edit.close()


def refuse_subset(folder: Place) -> None:
    """Raises ``UsageError`` where the folder is a subset."""
    if is_subset(folder):
        raise UsageError(
            f"{folder}: is a subset, whose clips and records belong to {parent_of(folder).resolve()};"
            " give that dataset, and take the subset again"
        )
