"""``dataset split``: sides for training and testing that share no source, creator, near-duplicate or sound.

Groups (:mod:`tiktokactions.dataset.leak_groups`) are placed whole, the largest first, each where its labels are missed
most. What has a side keeps it: when the dataset grows, new videos follow their group, and one whose group stands on two
sides already stands on none (``bridges_splits``).
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.curate.options import CurateOptions
from tiktokactions.dataset.assignments import (
    BRIDGES,
    FOLD,
    NOWHERE,
    Assignment,
    assignments_path,
    is_split,
    read_assignments,
    sides_of_fold,
    write_assignments,
    write_rows,
)
from tiktokactions.dataset.leak_groups import (
    LINK_COLUMNS,
    LinkedVideo,
    groups,
    linked_row,
    linked_video,
    moved_by_rule,
    used_members,
)
from tiktokactions.dataset.settle import all_records, duplicates_of
from tiktokactions.dataset.split_options import DEFAULTS, SIDES, SplitOptions
from tiktokactions.files import move_into_place, readable, staging_folder, write_atomic

__all__ = ["SplitOptions", "SplitReport", "is_split", "sides_of_fold", "split_dataset"]


@dataclass(frozen=True)
class SplitReport:
    """What ``dataset split`` did; the contents of ``splits/report.json``."""

    dataset: str
    clips: int
    sides: dict[str, int]
    """Clips on every side; ``none``: on none."""
    wanted: dict[str, float]
    """Clips that were asked for on every side."""
    labels: dict[str, dict[str, int]]
    """Clips of every label, by side."""
    groups: int
    largest_group: int
    """Clips in the largest group, which stands on one side whole."""
    moved: dict[str, int]
    """For each rule the clips that stand with others only because of it."""
    bridging: tuple[str, ...]
    """Videos on no side: they belong to groups of two."""
    missing_labels: dict[str, tuple[str, ...]]
    """Labels that a side has no clip of."""
    new: int
    """Clips that were given a side this time."""
    options: dict[str, Any]


def split_dataset(dataset: Path, given: SplitOptions, settings: CurateOptions) -> SplitReport:
    """Give every accepted clip a side and write ``splits/``; the caller holds the dataset's lock.

    Raises:
        ValueError: shares or counts that do not fit, no clips, or another kind of split than before.
    """
    before = {} if given.reassign else read_assignments(dataset)
    options = resolve(given, _options_before(dataset) if before else {})
    videos = [video for video in linked_videos(dataset, settings) if video.is_used or len(video.keys) > 1]
    used = [video for video in videos if video.is_used]
    if not used:
        raise ValueError(f"{dataset}: no accepted clips, so there is nothing to split")
    wanted = wanted_clips(options, len(used))
    _refuse_another_kind(dataset, before, wanted)
    after = assign(videos, before, wanted, options["seed"])
    write_assignments(dataset, after)
    report = make_report(dataset, videos, before, after, wanted, options)
    write_lists(dataset, used, after, list(wanted))
    fill_manifest(dataset, after)
    data = json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False) + "\n"
    write_atomic(dataset / "splits" / "report.json", data.encode(), staging=staging_folder(dataset))
    return report


def linked_videos(dataset: Path, settings: CurateOptions) -> Iterator[LinkedVideo]:
    """Every video of a dataset with what it shares with others, from the manifest, which is up to date.

    A manifest of an earlier version of this program lacks columns; the records are read then.
    """
    twins = duplicates_of(dataset, settings) if settings.keep_duplicates else {}
    source = pq.ParquetFile(readable(dataset / "manifest.parquet"))
    with source:
        if set(LINK_COLUMNS) <= set(source.schema_arrow.names):
            for batch in source.iter_batches(columns=LINK_COLUMNS):
                for row in batch.to_pylist():
                    yield linked_row(row, twins.get(row["video_id"]))
            return
    for record in all_records(dataset):
        yield linked_video(record, record.human_labels, twins.get(record.video_id))


# --- what is asked for ---------------------------------------------------------------------------------------------


def resolve(given: SplitOptions, before: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed, else what the split before was made with, else the defaults."""
    typed = {name: value for name in DEFAULTS if (value := getattr(given, name)) is not None}
    if any(name in typed for name in SIDES):
        before = {name: value for name, value in before.items() if name != "train"}
    return DEFAULTS | {n: v for n, v in before.items() if n in DEFAULTS} | typed


def wanted_clips(options: Mapping[str, Any], clips: int) -> dict[str, float]:
    """How many clips each side should have.

    Raises:
        ValueError: shares that do not make 1, counts that are not there, fewer than two folds.
    """
    folds = options["folds"]
    if folds is not None:
        if not 2 <= folds <= clips:
            raise ValueError(f"--folds: got {folds}, expected 2 to {clips}, the number of clips")
        return {f"{FOLD}{number}": clips / folds for number in range(1, folds + 1)}
    asked = {side: options[side] for side in SIDES}
    for side, value in asked.items():
        if value is not None and (value < 0 or (value > 1 and value != int(value))):
            raise ValueError(f"--{side}: got {value:g}, expected a share from 0 to 1 or a whole number of clips")
    is_count = {side: value is not None and value > 1 for side, value in asked.items()}
    if any(is_count.values()):
        counts = {s: v if v is None or v >= 1 or v == 0 else v * clips for s, v in asked.items()}
    else:
        counts = {s: None if v is None else v * clips for s, v in asked.items()}
    rest = clips - sum(value for value in counts.values() if value is not None)
    if counts["train"] is None:
        counts["train"] = rest
        rest = 0
    told = ", ".join(f"--{side} {value:g}" for side, value in asked.items() if value is not None)
    if counts["train"] < 0 or rest < -1e-6:
        raise ValueError(f"{told}: more than there is, the dataset has {clips} clips")
    if rest > 1e-6 * clips and not any(is_count.values()):
        raise ValueError(f"{told}: the shares make {1 - rest / clips:g}, expected 1")
    return {side: float(value) for side, value in counts.items() if value is not None}


def _options_before(dataset: Path) -> dict[str, Any]:
    path = dataset / "splits" / "report.json"
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["options"]
    return found


def _refuse_another_kind(dataset: Path, before: Mapping[str, Assignment], wanted: Mapping[str, float]) -> None:
    other = sorted({a.side for a in before.values()} - {NOWHERE} - set(wanted))
    if other:
        raise ValueError(
            f"{dataset}: already split into {', '.join(other)}, which would have to change;"
            " add --reassign to make a new split (results on the old one are no longer comparable)"
        )


# --- who goes where ------------------------------------------------------------------------------------------------


def assign(
    videos: list[LinkedVideo], before: Mapping[str, Assignment], wanted: Mapping[str, float], seed: int
) -> dict[str, Assignment]:
    """The side of every used video; those that had one keep it, whatever became of the dataset.

    Args:
        videos: used ones and those that only join.
        before: sides given earlier; videos that stand on none join nothing any more.
        wanted: clips of every side.
        seed: of the order among groups of one size.
    """
    after = dict(before)
    nowhere = {video_id for video_id, a in before.items() if a.side == NOWHERE}
    group_of = groups(videos, nowhere)
    total = Counter(video.label for video in videos if video.is_used)
    clips = sum(total.values())
    have = {side: Counter[str | None]() for side in wanted}
    for video in videos:
        if video.is_used and video.video_id in before and before[video.video_id].side in have:
            have[before[video.video_id].side][video.label] += 1
    fresh: list[list[LinkedVideo]] = []
    sides_of_groups = _sides(videos, before, group_of, nowhere)
    for group, members in used_members(videos, group_of):
        new = [video for video in members if video.video_id not in before]
        sides = sides_of_groups.get(group, set())
        if len(sides) > 1:
            after |= {video.video_id: Assignment(NOWHERE, BRIDGES) for video in new}
        elif sides:
            [side] = sides
            after |= {video.video_id: Assignment(side) for video in new}
            have[side].update(video.label for video in new)
        elif new:
            fresh.append(new)
    order = np.random.default_rng(seed).permutation(len(fresh))
    by_id = sorted(fresh, key=lambda members: min(video.video_id for video in members))
    placed = {side: sum(counts.values()) for side, counts in have.items()}
    given = {side: Assignment(side) for side in wanted}
    for members in sorted((by_id[i] for i in order), key=len, reverse=True):
        side = _most_missed(Counter([video.label for video in members]), have, placed, wanted, total, clips)
        placed[side] += len(members)
        for video in members:
            have[side][video.label] += 1
            after[video.video_id] = given[side]
    return after


def _sides(
    videos: Iterable[LinkedVideo], before: Mapping[str, Assignment], group_of: Mapping[str, str], nowhere: set[str]
) -> dict[str, set[str]]:
    """The sides that each group has members on, those that are no longer accepted included."""
    found: dict[str, set[str]] = {}
    for video in videos:
        if video.video_id in before and video.video_id not in nowhere:
            found.setdefault(group_of[video.video_id], set()).add(before[video.video_id].side)
    return found


def _most_missed(
    labels: Counter[str | None],
    have: Mapping[str, Counter[str | None]],
    placed: Mapping[str, int],
    wanted: Mapping[str, float],
    total: Mapping[str | None, int],
    clips: int,
) -> str:
    """The side on which a group reduces the squared differences from the wanted clips of each label most."""

    def cost(side: str) -> tuple[float, float]:
        share = wanted[side] / clips
        by_label = sum(n * (2 * (have[side][label] - share * total[label]) + n) for label, n in labels.items())
        missing = placed[side] - wanted[side]
        return round(by_label, 9), missing / max(wanted[side], 1e-9)

    return min((side for side in wanted if wanted[side] > 0), key=cost)


# --- what is written -----------------------------------------------------------------------------------------------


def write_lists(dataset: Path, used: list[LinkedVideo], after: Mapping[str, Assignment], sides: list[str]) -> None:
    """``splits/<side>.csv`` with ``path`` (relative to the dataset), ``label``, ``video_id``."""
    for old in (dataset / "splits").glob("*.csv"):
        if old != assignments_path(dataset) and old.stem not in sides:
            old.unlink()
    for side in sides:
        rows = [(v.path, v.label or "", v.video_id) for v in used if after[v.video_id].side == side]
        write_rows(dataset, dataset / "splits" / f"{side}.csv", [("path", "label", "video_id"), *sorted(rows)])


def fill_manifest(dataset: Path, after: Mapping[str, Assignment]) -> None:
    """Write the sides into the manifest's column ``split``, batch by batch."""
    manifest, staged = dataset / "manifest.parquet", staging_folder(dataset) / "manifest.parquet"
    staged.parent.mkdir(parents=True, exist_ok=True)
    source = pq.ParquetFile(readable(manifest))
    column = source.schema_arrow.get_field_index("split")
    with pq.ParquetWriter(staged, source.schema_arrow, compression="zstd") as writer:
        for batch in source.iter_batches():
            ids = batch.column("video_id").to_pylist()
            sides = pa.array([after[i].side if i in after else None for i in ids], pa.string())
            writer.write_batch(batch.set_column(column, "split", sides))
    source.close()
    move_into_place(staged, manifest)


def make_report(
    dataset: Path,
    videos: list[LinkedVideo],
    before: Mapping[str, Assignment],
    after: Mapping[str, Assignment],
    wanted: Mapping[str, float],
    options: dict[str, Any],
) -> SplitReport:
    used = [video for video in videos if video.is_used]
    nowhere = {video_id for video_id, a in after.items() if a.side == NOWHERE}
    sizes = [len(members) for _, members in used_members(videos, groups(videos, nowhere))]
    labels = sorted({video.label or "" for video in used})
    by_label: dict[str, dict[str, int]] = {label: dict.fromkeys(wanted, 0) for label in labels}
    for video in used:
        counts = by_label[video.label or ""]
        counts[after[video.video_id].side] = counts.get(after[video.video_id].side, 0) + 1
    sides = Counter(after[video.video_id].side for video in used)
    return SplitReport(
        dataset=str(dataset),
        clips=len(used),
        sides={side: sides[side] for side in (*wanted, NOWHERE)},
        wanted={side: round(value, 3) for side, value in wanted.items()},
        labels=by_label,
        groups=len(sizes),
        largest_group=max(sizes),
        moved=moved_by_rule(videos, nowhere),
        bridging=tuple(sorted(video.video_id for video in used if video.video_id in nowhere)),
        missing_labels={
            side: missing
            for side in wanted
            if wanted[side] > 0 and (missing := tuple(label for label in labels if not by_label[label][side]))
        },
        new=sum(video.video_id not in before for video in used),
        options=options,
    )


def report_text(report: SplitReport) -> str:
    """The report as a person reads it."""
    lines = [
        f"{report.clips:,} clips in {report.groups:,} groups that stay together (the largest has {report.largest_group:,})"
    ]
    for side, count in report.sides.items():
        if side in report.wanted:
            lines.append(f"  {side:6} {count:>8,} clips ({report.wanted[side]:,.0f} wanted)")
    rules = {
        "source": "one source video",
        "creator": "one creator",
        "duplicate": "near-duplicates",
        "sound": "one sound",
    }
    moved = ", ".join(f"{rules[rule]} {count:,}" for rule, count in report.moved.items())
    lines.append(f"clips that stand with others only because of: {moved}")
    for side, missing in report.missing_labels.items():
        named = ", ".join(label or "(no label)" for label in missing[:5]) + (" ..." if len(missing) > 5 else "")
        lines.append(f"note: {side} has no clip of {len(missing)} labels: {named}")
    if report.bridging:
        named = ", ".join(report.bridging[:5]) + (" ..." if len(report.bridging) > 5 else "")
        lines.append(
            f"attention: {len(report.bridging)} videos belong to groups on two sides and stand on none: {named}"
        )
    return "\n".join(lines)
