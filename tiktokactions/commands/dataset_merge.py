"""Make one dataset of two."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, Kept, nothing, on_disk
from tiktokactions.curation.resume import Checkpoint
from tiktokactions.dataset.assignments import read_assignments, write_assignments
from tiktokactions.dataset.info import new_info, read_info
from tiktokactions.errors import UsageError
from tiktokactions.files import write_atomic
from tiktokactions.reviews.merged import merge_reviews
from tiktokactions.splits.options import SplitOptions
from tiktokactions.takedown.links import link_merged

if TYPE_CHECKING:
    from tiktokactions.releases.merge import Merged


def dataset_merge(first: AnyPath, second: AnyPath, output: AnyPath, *, progress: Kept = nothing) -> Merged:
    """Make one dataset of two, without leaks between its sides.

    The settings are those of the first. Verdicts are drawn anew over all videos together. Where the two hold relatives on
    different sides, the first dataset's sides hold. What people decided in either is carried over; what was taken down in
    either stays out.

    Args:
        first: the dataset whose settings and sides hold; it stays as it is.
        second: the dataset to add; it stays as it is.
        output: a new folder, or that of a merge of the same two, which is brought up to date.
        progress: receives a line now and then.

    Raises:
        UsageError: not dataset folders, evidence that cannot be compared, sides of different kinds, or an output that
            holds something else.
        DatasetBusyError: a run is writing to the output.

    Example:
        tiktokactions dataset merge data/ more/ -o larger/
    """
    from tiktokactions.releases import merge
    from tiktokactions.splits.sides import linked_dataset, options_before, resolve, split_dataset
    from tiktokactions.splits.sounds import bound_sounds
    from tiktokactions.verdicts.settle import settle

    out = on_disk(output, "a merge")
    parts = [Dataset.whole(on_disk(part, "what is merged")) for part in (first, second)]
    folders = [part.folder.resolve() for part in parts]
    if len({*folders, out.resolve()}) < 3:
        raise UsageError(f"dataset merge: {first}, {second} and {output} have to be three different folders")
    for part in parts:
        part.require_settled()
    mark = out / "merge.json"
    told = json.dumps({"of": [str(folder) for folder in folders]}, indent=2) + "\n"
    is_ours = mark.is_file() and mark.read_text(encoding="utf-8") == told
    if not is_ours and out.exists() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise UsageError(f"{out}: not empty and not a merge of these two; choose a new or an empty folder")
    merge.check_settings(*parts)
    merged = Dataset.new(out, read_info(out) or new_info(out, parts[0].options, parts[0].info.detector))
    with merged.editing("merge") as edit:
        write_atomic(mark, told.encode())
        edit.begin()
        progress("copying records, linking clips")
        copied = merge.copy_videos(folders, out)
        progress("carrying over what people decided")
        gone = copied.taken_down
        reviews = merge_reviews(folders, out, [gone, gone.union(copied.other_bytes)])
        link_merged(folders, out)
        progress("settling verdicts and duplicates, writing the manifest")
        settle(edit, Checkpoint())
        held = resolve(SplitOptions(), options_before(folders[0]) or options_before(folders[1]))
        linked = linked_dataset(out, edit.options, held["sounds"])
        linked, _ = bound_sounds(linked, read_assignments(folders[1]) | read_assignments(folders[0]), held["chain"])
        sides, lost = merge.merged_sides(folders, linked)
        if edit.info.version:  # of one that was never finished they were not given yet, and are drawn again alike
            sides |= {i: a for i, a in read_assignments(out).items() if i not in sides}
        if sides:
            write_assignments(out, sides)
            for folder in reversed(folders):
                report = folder / "splits" / "report.json"
                if report.is_file():
                    write_atomic(out / "splits" / "report.json", report.read_bytes())
            split_dataset(edit, SplitOptions())
    copies = {
        row["video_id"]
        for batch in merged.batches(["video_id", "status", "reasons"])
        for row in batch.to_pylist()
        if row["status"] == "rejected" and any(reason.startswith("duplicate_of:") for reason in row["reasons"])
    }
    return merge.Merged(
        dataset=str(out),
        of=tuple(map(str, folders)),
        videos=len(linked.ids),
        accepted=merged.counts["accepted"],
        in_both=copied.in_both,
        other_bytes=copied.other_bytes,
        duplicates=len(copied.accepted & copies),
        off_sides=tuple(lost),
        taken_down=len(gone),
        reviews=reviews,
    )
