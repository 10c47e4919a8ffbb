"""Write one page that shows everything."""

from __future__ import annotations

from dataclasses import dataclass

from tiktokactions.commands.options import AnyPath, AnyPaths, Passing, nothing, on_disk, path_list
from tiktokactions.commands.signatures import words_of
from tiktokactions.errors import UsageError
from tiktokactions.files import disk_errors, located, write_atomic
from tiktokactions.takedowns.derived import register


@dataclass(frozen=True)
class ReportWritten:
    report: str
    """The file."""
    bytes: int
    sections: int
    left_out: int
    """Pictures for which there was no room under 10 MB."""


def report(
    inputs: AnyPaths,
    output: AnyPath = "report.html",
    *,
    title: str | None = None,
    previews: int = 12,
    progress: Passing = nothing,
) -> ReportWritten:
    """Write one page that shows everything: a self-contained HTML file under 10 MB.

    Args:
        inputs: folders, in any order: datasets, runs, studies, extrapolations, collections, selections of hashtags,
            the memory of a project (``NAME.chain``).
        output: the file to write.
        title: title of the page (default: the names of the folders).
        previews: moving clips of each dataset; 0 shows none.
        progress: receives a line for each input.

    Raises:
        UsageError: a folder that is none of these, or a damaged one.

    Example:
        tiktokactions report data/ runs/pretrained runs/finetuned -o report.html
    """
    from tiktokactions.reporting.page import make_page

    paths = [located(path) for path in path_list(inputs)]
    target = on_disk(output, "a report")
    if not paths:
        raise UsageError("report: no folder given; expected DATASET, RUN, STUDY …")
    if previews < 0:
        raise UsageError(f"`previews`: got {previews}, expected 0 or more")
    if target.is_dir():
        raise UsageError(f"{target}: is a folder, expected a file such as {target / 'report.html'}")
    with disk_errors():
        names = ", ".join(dict.fromkeys(path.resolve().name for path in paths))
        page = make_page(paths, title=title or names, previews=previews, report=progress)
        data = page.html.encode()
        call = {"inputs": paths, "output": target} | ({} if title is None else {"title": title})
        again = ("tiktokactions", "report", *words_of(report, call))
        register(paths, target, "report", again)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, data)
    return ReportWritten(str(target), len(data), page.sections, page.left_out)
