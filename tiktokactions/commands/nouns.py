"""The nouns as people hold them: a dataset and a run, with the commands that work on them as methods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import tiktokactions as ta
from tiktokactions.commands import dataset
from tiktokactions.commands.options import AnyPath, AnyPaths, path_list
from tiktokactions.errors import UsageError
from tiktokactions.model import run

if TYPE_CHECKING:
    from tiktokactions.dataset.statistics import Statistics
    from tiktokactions.files import Place
    from tiktokactions.model.predictions import Prediction
    from tiktokactions.releases.diff import Difference
    from tiktokactions.releases.export import Exported
    from tiktokactions.releases.merge import Merged
    from tiktokactions.releases.release import Released
    from tiktokactions.releases.subset import Subset
    from tiktokactions.splits.report import SplitReport
    from tiktokactions.verdicts.verify import Verification


class Dataset(dataset.Dataset):
    """A dataset, or a subset of one: a folder on this machine, or a prefix on an object store.

    Opening reads ``dataset.json`` and nothing else. What other runs change later is seen after :meth:`reload`. Wherever a
    path is asked for, a dataset will do. Iterating gives the records, one by one.

    Raises:
        UsageError: there is no dataset, or ``dataset.json`` is damaged or newer than this program.
    """

    _last_run: ta.CurateResult | None = None

    @property
    def last_run(self) -> ta.CurateResult:
        """What the call of ``curate`` did that returned this dataset.

        Raises:
            UsageError: it was opened instead.
        """
        if self._last_run is None:
            raise UsageError(f"{self.folder}: was opened, not returned by curate, so no run can be told of")
        return self._last_run

    def after(self, last_run: ta.CurateResult) -> Self:
        """This dataset, with what the run did that made it."""
        self._last_run = last_run
        return self

    def stats(self) -> Statistics:
        """See :func:`tiktokactions.dataset_stats`."""
        return ta.dataset_stats(self)

    def verify(self, *, repair: bool = False, yes: bool = False, restore: str | None = None) -> Verification:
        """See :func:`tiktokactions.dataset_verify`."""
        return ta.dataset_verify(self, repair=repair, yes=yes, restore=restore)

    def card(self) -> Place:
        """See :func:`tiktokactions.dataset_card`."""
        return ta.dataset_card(self)

    def split(self, **options: Any) -> SplitReport:
        """See :func:`tiktokactions.dataset_split`."""
        return ta.dataset_split(self, **options)

    def subset(self, output: AnyPath, **options: Any) -> Subset:
        """See :func:`tiktokactions.dataset_subset`."""
        return ta.dataset_subset(self, output, **options)

    def export(self, output: AnyPath, **options: Any) -> Exported:
        """See :func:`tiktokactions.dataset_export`."""
        return ta.dataset_export(self, output, **options)

    def release(self, output: AnyPath, **options: Any) -> Released:
        """See :func:`tiktokactions.release`."""
        return ta.release(self, output, **options)

    def merge(self, others: AnyPaths, output: AnyPath) -> Merged:
        """See :func:`tiktokactions.dataset_merge`."""
        return ta.dataset_merge([self, *path_list(others)], output)

    def diff(self, other: AnyPath | None = None, *, since: int | None = None) -> Difference:
        """See :func:`tiktokactions.dataset_diff`."""
        return ta.dataset_diff(self, other, since=since)


class Run(run.Run):
    """A pre-training or a fine-tuning in its folder, begun or finished. Wherever a path is asked for, a run will do."""

    @classmethod
    def of(cls, trained: run.Run) -> Self:
        """The same run, with the commands as methods."""
        made = cls(trained.path)
        vars(made).update(vars(trained))
        return made

    def predict(self, videos: AnyPaths, **options: Any) -> list[Prediction] | ta.FeaturesWritten:
        """See :func:`tiktokactions.predict`."""
        return ta.predict(self, videos, **options)

    def evaluate(self, data: AnyPath, output: AnyPath | None = None, **options: Any) -> run.Evaluation:
        """See :func:`tiktokactions.evaluate`."""
        return ta.evaluate(self, data, output, **options)

    def export(self, output: AnyPath, *, to: Literal["huggingface", "official"] = "huggingface") -> Path:
        """See :func:`tiktokactions.export`."""
        return ta.export(self, output, to=to)
