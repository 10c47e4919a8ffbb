"""Two datasets become one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import disk_errors, on_disk, usage_errors
from tiktokactions.dataset.opened import open_dataset, require_settled
from tiktokactions.dataset.tables import write_card, write_statistics
from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.release.merge import Merged


def dataset_merge(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    progress: Callable[[str], None] = lambda line: None,
) -> Merged:
    """Make two datasets one. Settings are those of the first; verdicts are drawn anew over all videos together, and where
    the two hold relatives on different sides the first dataset's sides hold. What people decided in either is carried over;
    what was taken down in either stays out.

    Args:
        first, second: folders made by :func:`curate`; they stay as they are.
        output: a new or empty folder, or that of a merge of the same two, which is brought up to date.
        progress: receives a line now and then.

    Raises:
        UsageError: not dataset folders, evidence that cannot be compared, sides of different kinds, or an output that
            holds something else.
        DatasetBusyError: a run is writing to the output.
    """
    import json

    from tiktokactions.curation.resume import Plan
    from tiktokactions.dataset.assignments import read_assignments, write_assignments
    from tiktokactions.dataset.history import next_version
    from tiktokactions.dataset.info import new_info, read_info, write_info
    from tiktokactions.dataset.manifest import count_by_status
    from tiktokactions.files import dataset_lock, write_atomic
    from tiktokactions.release import merge
    from tiktokactions.reviews.merged import merge_reviews
    from tiktokactions.splits.options import SplitOptions
    from tiktokactions.splits.sides import linked_dataset, split_dataset
    from tiktokactions.takedown.links import link_merged
    from tiktokactions.verdicts.settle import settle

    out = on_disk(output, "a merge")
    opened = [open_dataset(on_disk(part, "what is merged"), whole=True) for part in (first, second)]
    folders = [folder.resolve() for folder, _, _ in opened]
    if len({*folders, out.resolve()}) < 3:
        raise UsageError(f"dataset merge: {first}, {second} and -o {output} have to be three different folders")
    for folder in folders:
        require_settled(folder)
    (_, info, settings), (_, _, others) = opened
    mark = out / "merge.json"
    told = json.dumps({"of": [str(folder) for folder in folders]}, indent=2) + "\n"
    is_ours = mark.is_file() and mark.read_text(encoding="utf-8") == told
    if not is_ours and out.exists() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise UsageError(f"-o {out}: not empty and not a merge of these two; choose a new or an empty folder")
    with usage_errors():
        merge.check_settings(settings, others, [str(first), str(second)])
    with dataset_lock(out), disk_errors(out), usage_errors():
        write_atomic(mark, told.encode())
        merged = read_info(out) or replace(new_info(out, settings, info.detector), name=out.resolve().name)
        write_info(out, replace(merged, settled=False))
        progress("copying records, linking clips")
        copied = merge.copy_videos(folders, out)
        progress("carrying over what people decided")
        gone = copied.taken_down
        reviews = merge_reviews(folders, out, [gone, gone.union(copied.other_bytes)])
        link_merged(folders, out)
        progress("settling verdicts and duplicates, writing the manifest")
        settle(out, settings, Plan())
        linked = linked_dataset(out, settings)
        sides, lost = merge.merged_sides(folders, linked)
        if merged.version:  # of one that was never finished they were not given yet, and are drawn again alike
            sides |= {i: a for i, a in read_assignments(out).items() if i not in sides}
        if sides:
            write_assignments(out, sides)
            for folder in reversed(folders):
                report = folder / "splits" / "report.json"
                if report.is_file():
                    write_atomic(out / "splits" / "report.json", report.read_bytes())
            split_dataset(out, SplitOptions(), settings)
        merged = next_version(out, merged)
        write_card(out, merged, write_statistics(out, settings))
        write_info(out, replace(merged, settled=True))
    return merge.Merged(
        dataset=str(out),
        of=tuple(str(folder) for folder in folders),
        videos=len(linked.ids),
        accepted=count_by_status(out / "manifest.parquet")["accepted"],
        in_both=copied.in_both,
        other_bytes=copied.other_bytes,
        duplicates=len(copied.accepted & _copies(out)),
        off_sides=tuple(lost),
        taken_down=len(gone),
        reviews=reviews,
    )


def _copies(folder: Path) -> set[str]:
    """Videos that are rejected as near-duplicates of others."""
    from tiktokactions.dataset.statistics import read_batches

    return {
        row["video_id"]
        for batch in read_batches(folder / "manifest.parquet", ["video_id", "status", "reasons"])
        for row in batch.to_pylist()
        if row["status"] == "rejected" and any(reason.startswith("duplicate_of:") for reason in row["reasons"])
    }
