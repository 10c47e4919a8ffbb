"""Apply decisions as they come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tiktokactions.commands.review_apply import review_apply

Report = Callable[[str], None]


def review_watch(
    dataset: str | os.PathLike[str],
    *,
    aggregate: str | None = None,
    every_s: float = 10.0,
    report: Report = lambda text: None,
) -> None:
    """Apply decisions whenever there are new ones, until interrupted.

    Raises:
        UsageError: as :func:`review_apply`.
    """
    from tiktokactions.files import DatasetBusyError

    report("watching for decisions; Ctrl-C ends it")
    while True:
        try:
            applied = review_apply(dataset, aggregate=aggregate, report=report)
            if applied.changed:
                report(
                    f"{applied.changed} verdicts applied, {applied.cut} clips cut, {applied.conflicts} conflicts open"
                )
        except DatasetBusyError as error:
            report(f"waiting: {error}")
        time.sleep(every_s)
