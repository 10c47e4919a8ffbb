"""Make one dataset of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, AnyPaths, Kept, nothing, on_disk, path_list
from tiktokactions.curation.resume import Checkpoint
from tiktokactions.dataset.assignments import read_assignments, write_assignments
from tiktokactions.dataset.info import new_info, read_info
from tiktokactions.errors import UsageError
from tiktokactions.files import holds_something, json_bytes, located, write_atomic
from tiktokactions.reviews.merged import merge_reviews
from tiktokactions.reviews.store import store_path
from tiktokactions.splits.options import SplitOptions
from tiktokactions.takedowns.derived import register
from tiktokactions.takedowns.links import link_merged

if TYPE_CHECKING:
    from tiktokactions.releases.merge import Merged


def dataset_merge(datasets: AnyPaths, output: AnyPath, *, progress: Kept = nothing) -> Merged:
    """Make one dataset of two or more, without leaks between its sides.

    The settings are those of the first. Verdicts are drawn anew over all videos together. Where they hold relatives on
    different sides, the sides of the earlier dataset hold. What people decided in any is carried over; what was taken down
    in any stays out. Of two different videos that claim one id, the later gets another.

    Args:
        datasets: two or more; the settings and sides of earlier ones hold. All stay as they are.
        output: a new folder, or that of a merge of the same datasets, which is brought up to date.
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

    out = located(output)
    parts = [Dataset.whole(part) for part in path_list(datasets)]
    folders = [part.folder.resolve() for part in parts]
    if len(parts) < 2:
        raise UsageError(f"dataset merge: got {len(parts)} dataset, expected two or more")
    if len({*folders, out.resolve()}) <= len(folders):
        raise UsageError("dataset merge: the datasets and the output have to be different folders")
    for part in parts:
        part.require_settled()
        part.require_records()
    mark, existing = out / "merge.json", read_info(out)
    told = json_bytes({"of": [str(folder) for folder in folders]})
    is_ours = mark.is_file() and mark.read_bytes() == told
    if not is_ours and holds_something(out):
        raise UsageError(f"{out}: not empty and not a merge of these; choose a new or an empty folder")
    merge.check_settings(*parts)
    if any(store_path(folder).exists() for folder in folders):
        on_disk(output, "reviews.sqlite")
    register(folders, out, "dataset")
    merged = Dataset.new(out, existing or new_info(out, parts[0].options, parts[0].info.detector))
    with merged.editing("merge") as edit:
        write_atomic(mark, told)
        edit.begin()
        progress("copying records, linking clips")
        copied = merge.copy_videos(folders, out)
        progress("carrying over what people decided")
        reviews = merge_reviews(folders, out, copied.taken_down, copied.renamed)
        link_merged(folders, out)
        progress("settling verdicts and duplicates, writing the manifest")
        settle(edit, Checkpoint())
        before = {str(folder): read_assignments(folder) for folder in folders}
        sides_of = {
            name: {new_id.get(i, i): a for i, a in sides.items()}
            for (name, sides), new_id in zip(before.items(), copied.renamed, strict=True)
        }
        held = resolve(SplitOptions(), next(filter(None, map(options_before, folders)), {}))
        linked = linked_dataset(out, edit.options, held["sounds"])
        linked, _ = bound_sounds(linked, merge.first_sides(sides_of), held["chain"])
        sides, lost = merge.merged_sides(sides_of, linked)
        if edit.info.version:  # of one that was never finished they were not given yet, and are drawn again alike
            sides |= {i: a for i, a in read_assignments(out).items() if i not in sides}
        if sides:
            write_assignments(out, sides)
            reports = (folder / "splits" / "report.json" for folder in folders)
            if (report := next((report for report in reports if report.is_file()), None)) is not None:
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
        shared=len(copied.shared),
        renamed=tuple(sorted(new for ids in copied.renamed for old, new in ids.items() if new.startswith(f"{old}-"))),
        duplicates=len(copied.accepted & copies),
        off_sides=tuple(lost),
        taken_down=len(copied.taken_down),
        reviews=reviews,
    )
