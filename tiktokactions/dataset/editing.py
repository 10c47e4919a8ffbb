"""The one closing: how a change of a dataset begins and ends, so that a killed run never leaves a dataset that lies.

``dataset.json`` says ``settled: false`` before the first byte changes and ``settled: true`` after the last. In between the
records are the truth, and the next edit writes everything else again from them; who only reads takes the version before,
which is kept from :meth:`Edit.begin` to the closing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tiktokactions.dataset.assignments import LISTED, is_split, write_lists
from tiktokactions.dataset.checksums import close_sums, tables_of
from tiktokactions.dataset.info import (
    DatasetInfo,
    format_of,
    identified,
    info_bytes,
    read_info,
    saved_options,
    write_info,
)
from tiktokactions.files import (
    Notes,
    Place,
    dataset_lock,
    disk_errors,
    drop_version,
    keep_version,
    keeping,
    noted_changes,
    settle_records,
)
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
        self._keeping = contextlib.ExitStack()
        self.was_settled = dataset.settled and dataset.manifest.is_file()
        self._is_noted = dataset.settled and dataset.info.checksums
        self._settles = dataset.settled or dataset.info.under_way in TABLES_ONLY or by not in TABLES_ONLY

    def begin(self) -> None:
        """Say on disk that the dataset is being changed. Only the first call does anything."""
        if self.has_begun:
            return
        self.has_begun = True
        self.dataset.prepare()
        self.info = replace(self.info, id=self.dataset.info.id, place=self.dataset.info.place)
        self._keep_version()
        by = self.by if self._settles else self.info.under_way
        newest = max(self.info.format, format_of(self.folder))
        self.info = replace(self.info, settled=False, under_way=by, updated=utc_now(), format=newest)
        write_info(self.folder, self.info)

    def _keep_version(self) -> None:
        """The version that is there stays readable; of a take-down nothing is to stay."""
        now = read_info(self.folder)
        if self.by == "takedown":
            drop_version(self.folder)
        elif now is not None and (now.settled or now.version):
            keep_version(self.folder, tables_of(self.folder), now.settled)
            self._keeping.enter_context(keeping(self.folder))

    def forget_version(self) -> None:
        """Keep nothing of the version before any longer, because it must not be read any more."""
        self._keeping.close()
        drop_version(self.folder)

    def end(self) -> None:
        """The block has ended, by whatever."""
        self._keeping.close()

    def close(self) -> None:
        """Write everything that describes the dataset, ``settled: true`` last; nothing if nothing was begun.

        The end of the ``with`` block calls it. Whoever calls it earlier may begin again.
        """
        from tiktokactions.dataset.history import next_version
        from tiktokactions.dataset.manifest import write_manifest
        from tiktokactions.dataset.statistics import dataset_statistics
        from tiktokactions.dataset.tables import write_card, write_statistics

        if not self.has_begun:
            return
        settle_records(self.folder)
        if not self.manifest_fits and not self.dataset.is_subset:  # whose records lie elsewhere
            write_manifest(self.folder, self.dataset.records(), self.options)
        if is_split(self.folder):
            write_lists(self.folder, self.dataset.batches(LISTED))
        info = replace(next_version(self.folder, self.info), format=format_of(self.folder))
        if self._settles:
            info = replace(info, settled=True, under_way="")
        info = replace(identified(self.folder, info), checksums=True)
        stats = dataset_statistics(self.dataset.manifest, self.options.min_person_frames)
        write_statistics(self.dataset, stats)
        write_card(self.dataset, info, stats)
        close_sums(self.folder, info_bytes(info), self._is_noted)
        write_info(self.folder, info)
        self.forget_version()
        self.dataset.reload()
        self.info, self.has_begun, self.manifest_fits, self.was_settled = info, False, False, self._settles
        self._is_noted = True


@contextlib.contextmanager
def locked(folder: Place) -> Iterator[Notes]:
    """Hold a folder's lock; a full disk becomes a ``DiskFullError``, and no half-written file is left.

    Raises:
        DatasetBusyError: another run holds it.
        DiskFullError: no space left.
    """
    with dataset_lock(folder), disk_errors(folder), noted_changes(folder) as notes:
        yield notes
