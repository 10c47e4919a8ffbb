"""The one closing: how a change of a dataset begins and ends, so that a killed run never leaves a dataset that lies.

``dataset.json`` says ``settled: false`` before the first byte changes and ``settled: true`` after the last. In between the
records are the truth, and the next edit writes everything else again from them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tiktokactions.dataset.checksums import close_sums
from tiktokactions.dataset.info import DatasetInfo, format_of, info_bytes, saved_options, write_info
from tiktokactions.files import Place, dataset_lock, disk_errors, noted_changes, settle_records
from tiktokactions.machine import utc_now

if TYPE_CHECKING:
    from tiktokactions.curation.options import CurateOptions
    from tiktokactions.dataset.dataset import Dataset

TABLES_ONLY = ("split", "verify", "takedown")
"""Edits that leave verdicts as they are. If one of them was cut short, writing the tables again from the records heals the
dataset; after any other, only an edit that draws all verdicts may call it settled."""


class Edit:
    """A dataset while it is being changed; made by :meth:`Dataset.editing`."""

    dataset: Dataset
    folder: Place
    options: CurateOptions
    info: DatasetInfo
    """What ``dataset.json`` will say; may be replaced before :meth:`begin`."""
    was_settled: bool
    """Whether verdicts and tables can be relied on as they are."""
    manifest_fits: bool = False
    """Set to True by whoever wrote the manifest after the last change; the closing writes it otherwise."""

    def __init__(self, dataset: Dataset, by: str, options: CurateOptions | None = None) -> None:
        self.dataset, self.folder, self.info = dataset, dataset.folder, dataset.info
        self.options = options or dataset.options
        if options is not None:
            self.info = replace(dataset.info, options=saved_options(options))
        self.by, self.has_begun = by, False
        self.was_settled = dataset.settled and dataset.manifest.is_file()
        self._is_noted = dataset.settled and dataset.info.checksums
        self._settles = dataset.settled or dataset.info.under_way in TABLES_ONLY or by not in TABLES_ONLY

    def begin(self) -> None:
        """Say on disk that the dataset is being changed. Only the first call does anything."""
        if self.has_begun:
            return
        self.has_begun = True
        by = self.by if self._settles else self.info.under_way
        newest = max(self.info.format, format_of(self.folder))
        self.info = replace(self.info, settled=False, under_way=by, updated=utc_now(), format=newest)
        write_info(self.folder, self.info)

    def close(self) -> None:
        """Write everything that describes the dataset, ``settled: true`` last; nothing if nothing was begun.

        The end of the ``with`` block calls it. Whoever calls it earlier may begin again.
        """
        from tiktokactions.dataset.history import next_version
        from tiktokactions.dataset.manifest import write_manifest
        from tiktokactions.dataset.tables import write_card, write_statistics

        if not self.has_begun:
            return
        settle_records(self.folder)
        if not self.manifest_fits and not self.dataset.is_subset:  # whose records lie elsewhere
            write_manifest(self.folder, self.dataset.records(), self.options)
        info = replace(next_version(self.folder, self.info), format=format_of(self.folder))
        if self._settles:
            info = replace(info, settled=True, under_way="")
        info = replace(info, checksums=True)
        write_card(self.dataset, info, write_statistics(self.dataset, self.options))
        close_sums(self.folder, info_bytes(info), self._is_noted)
        write_info(self.folder, info)
        self.dataset.reload()
        self.info, self.has_begun, self.manifest_fits, self.was_settled = info, False, False, self._settles
        self._is_noted = True


def bring_manifest_up_to_date(dataset: Dataset) -> None:
    """Where a run was interrupted, write the manifest again from the records; the caller holds the lock."""
    from tiktokactions.dataset.manifest import write_manifest

    if not dataset.is_subset and not (dataset.settled and dataset.manifest.exists()):
        write_manifest(dataset.folder, dataset.records(), dataset.options)


@contextlib.contextmanager
def locked(folder: Place) -> Iterator[None]:
    """Hold a folder's lock; a full disk becomes a ``DiskFullError``, and no half-written file is left.

    Raises:
        DatasetBusyError: another run holds it.
        DiskFullError: no space left.
    """
    with dataset_lock(folder), disk_errors(folder), noted_changes(folder):
        yield
