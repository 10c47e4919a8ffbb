"""The dataset as people hold it: the noun, with what every command does before it changes one."""

from __future__ import annotations

from tiktokactions.dataset import dataset
from tiktokactions.dataset.editing import Edit
from tiktokactions.takedowns.folders import finish_takedown
from tiktokactions.takedowns.originals import part_from_original


class Dataset(dataset.Dataset):
    """A dataset, or a subset of one: a folder on this machine, or a prefix on an object store.

    Opening reads ``dataset.json`` and nothing else. What other runs change later is seen after :meth:`reload`.

    Raises:
        UsageError: there is no dataset, or ``dataset.json`` is damaged or newer than this program.
    """

    def heal(self) -> None:
        """Finish a take-down that was killed."""
        edit = Edit(self, "takedown")
        finish_takedown(self.folder, edit)
        edit.close()

    def prepare(self) -> None:
        """Part a copy from its original."""
        part_from_original(self)
