"""One page that shows everything."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tiktokactions.commands.errors import on_disk
from tiktokactions.errors import UsageError
from tiktokactions.files import disk_errors


@dataclass(frozen=True)
class ReportWritten:
    report: str
    """The file."""
    bytes: int
    sections: int
    left_out: int
    """Pictures for which there was no room under 10 MB."""


def report(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "report.html",
    *,
    title: str | None = None,
    previews: int = 12,
    progress: Callable[[str], None] = lambda line: None,
) -> ReportWritten:
    """Write one self-contained HTML page, under 10 MB, about any of: datasets, runs, studies, extrapolations,
    collections, selections of hashtags.

    Args:
        inputs: their folders, in any order; the page follows the data flow.
        output: the file.
        title: of the page (default: the inputs' names).
        previews: moving clips of each dataset; 0: none.
        progress: receives a line for each input.

    Raises:
        UsageError: a folder that is none of these, or a damaged one.
    """
    from tiktokactions.files import located, write_atomic
    from tiktokactions.reporting.page import make_page

    paths = [located(path) for path in ([inputs] if isinstance(inputs, (str, os.PathLike)) else inputs)]
    target = on_disk(output, "a report")
    if not paths:
        raise UsageError("report: no folder given; expected DATASET, RUN, STUDY …")
    if previews < 0:
        raise UsageError(f"`previews`: got {previews}, expected 0 or more")
    if target.is_dir():
        raise UsageError(f"{target}: is a folder, expected a file such as {target / 'report.html'}")
    with disk_errors():
        page = make_page(
            paths,
            title=title or ", ".join(dict.fromkeys(path.resolve().name for path in paths)),
            previews=previews,
            report=progress,
        )
        data = page.html.encode()
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, data)
    return ReportWritten(str(target), len(data), page.sections, page.left_out)
