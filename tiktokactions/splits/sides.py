"""``dataset split``: sides for training and testing that share no source, creator, near-duplicate or sound.

Groups (:mod:`tiktokactions.splits.leak_groups`) are placed whole, the largest first, each where its labels are missed
most. What has a side keeps it: when the dataset grows, new videos follow their group, and one whose group stands on two
sides already stands on none (``bridges_splits``).
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.copies.of_dataset import duplicates_of
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.assignments import (
    BRIDGES,
    FOLD,
    NOWHERE,
    Assignment,
    assignments_path,
    read_assignments,
    write_assignments,
)
from tiktokactions.dataset.editing import Edit
from tiktokactions.dataset.manifest import SCHEMA, manifest_row, rewrite_manifest
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, all_records, delete, readable, staging_folder, write_csv, write_json
from tiktokactions.splits.leak_groups import LINK_SCHEMA, RULES, Linked, linked_videos, moved_by_rule
from tiktokactions.splits.options import DEFAULTS, SIDES, SplitOptions

if TYPE_CHECKING:
    from tiktokactions.splits.foreign import ForeignCheck


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
    check_against: ForeignCheck | None = None
    """What was found among foreign videos, where that was asked for; not in ``splits/report.json``."""


def split_dataset(edit: Edit, given: SplitOptions) -> SplitReport:
    """Give every accepted clip a side and write ``splits/``; the manifest is up to date, and is again afterwards.

    Raises:
        UsageError: shares or counts that do not fit, no clips, or another kind of split than before.
    """
    dataset = edit.folder
    before = {} if given.reassign else read_assignments(dataset)
    options = resolve(given, _options_before(dataset) if before else {})
    linked = linked_dataset(dataset, edit.options)
    clips = int(linked.is_used.sum())
    if not clips:
        raise UsageError(f"{dataset}: no accepted clips, so there is nothing to split")
    wanted = wanted_clips(options, clips)
    _refuse_another_kind(dataset, before, wanted)
    after = assign(linked, before, wanted, options["seed"])
    report = make_report(dataset, linked, before, after, wanted, options)
    edit.begin()
    # Before the sides: a split that was cut short is finished with its own options.
    told = dataclasses.asdict(report)
    del told["check_against"]
    write_json(dataset / "splits" / "report.json", told, staging_folder(dataset))
    write_assignments(dataset, after)
    write_lists(dataset, linked, after, list(wanted))
    fill_manifest(dataset, after)
    edit.manifest_fits = True
    return report


def linked_dataset(dataset: Place, settings: CurateOptions) -> Linked:
    """Every video of a dataset with what it shares with others, from the manifest, which is up to date."""
    twins = duplicates_of(dataset, settings) if settings.keep_duplicates else {}
    with pq.ParquetFile(readable(dataset / "manifest.parquet")) as manifest:
        if set(LINK_SCHEMA.names) <= set(manifest.schema_arrow.names):
            return linked_videos(manifest.iter_batches(columns=LINK_SCHEMA.names), twins)
    # A manifest of an earlier version of this program lacks columns.
    rows = (manifest_row(record, settings) for record in all_records(dataset))
    return linked_videos((pa.RecordBatch.from_pylist([row], schema=SCHEMA) for row in rows), twins)


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
            raise UsageError(f"`folds`: got {folds}, expected 2 to {clips}, the number of clips")
        return {f"{FOLD}{number}": clips / folds for number in range(1, folds + 1)}
    asked = {side: options[side] for side in SIDES}
    for side, value in asked.items():
        if value is not None and (value < 0 or (value > 1 and value != int(value))):
            raise UsageError(f"`{side}`: got {value:g}, expected a share from 0 to 1 or a whole number of clips")
    asked = {side: value for side, value in asked.items() if value is not None}
    has_counts = any(value > 1 for value in asked.values())
    counts = {s: v if has_counts and v >= 1 else v * clips for s, v in asked.items()}
    rest = clips - sum(counts.values())
    if "train" not in counts:
        counts, rest = {"train": rest, **counts}, 0
    told = ", ".join(f"`{side}` {value:g}" for side, value in asked.items())
    if counts["train"] < 0 or rest < -1e-6:
        raise UsageError(f"{told}: more than there is, the dataset has {clips} clips")
    if rest > 1e-6 * clips and not has_counts:
        raise UsageError(f"{told}: the shares make {1 - rest / clips:g}, expected 1")
    return {side: float(value) for side, value in counts.items()}


def _options_before(dataset: Place) -> dict[str, Any]:
    path = dataset / "splits" / "report.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["options"] if path.exists() else {}
    return found


def _refuse_another_kind(dataset: Place, before: Mapping[str, Assignment], wanted: Mapping[str, float]) -> None:
    other = sorted({a.side for a in before.values()} - {NOWHERE} - set(wanted))
    if other:
        raise UsageError(
            f"{dataset}: already split into {', '.join(other)}, which would have to change;"
            " add `reassign` to make a new split (results on the old one are no longer comparable)"
        )


# --- who goes where ------------------------------------------------------------------------------------------------


def assign(
    linked: Linked, before: Mapping[str, Assignment], wanted: Mapping[str, float], seed: int
) -> dict[str, Assignment]:
    """The side of every used video; those that had one keep it, whatever became of the dataset.

    Args:
        linked: used videos and those that only join.
        before: sides given earlier; videos that stand on none join nothing any more.
        wanted: clips of every side.
        seed: of the order among groups of one size.
    """
    after = dict(before)
    names = list(dict.fromkeys([*wanted, *(a.side for a in before.values())]))
    number = {name: i for i, name in enumerate(names)}
    had = np.fromiter((number[before[i].side] if i in before else -1 for i in linked.ids), int, len(linked.ids))
    nowhere = had == number.get(NOWHERE, -2)
    group = linked.groups(nowhere)
    total = np.bincount(linked.label[linked.is_used], minlength=len(linked.label_names)).tolist()
    have: dict[str, Counter[int]] = {
        side: Counter(linked.label[linked.is_used & (had == number[side])].tolist()) for side in wanted
    }

    # The sides that each group has members on, those that are no longer accepted included.
    stands = (had >= 0) & ~nowhere
    pairs = np.unique(group[stands] * len(names) + had[stands])
    sides_in = np.bincount(pairs // len(names), minlength=len(linked.ids) + 1)
    side_of = np.full(len(sides_in), -1)
    side_of[pairs // len(names)] = pairs % len(names)

    new = linked.is_used & (had < 0)
    for place in np.flatnonzero(new & (sides_in[group] > 1)).tolist():
        after[linked.ids[place]] = Assignment(NOWHERE, BRIDGES)
    given = {side: Assignment(side) for side in names}
    for place in np.flatnonzero(new & (sides_in[group] == 1)).tolist():
        side = names[side_of[group[place]]]
        after[linked.ids[place]] = given[side]
        have[side][int(linked.label[place])] += 1

    placed = {side: sum(counts.values()) for side, counts in have.items()}
    labels, clips = linked.label.tolist(), sum(total)
    for members in _in_order(linked, np.flatnonzero(new & (sides_in[group] == 0)), group, seed):
        side = _most_missed(Counter([labels[i] for i in members]), have, placed, wanted, total, clips)
        placed[side] += len(members)
        for i in members:
            have[side][labels[i]] += 1
            after[linked.ids[i]] = given[side]
    return after


def _in_order(linked: Linked, fresh: np.ndarray, group: np.ndarray, seed: int) -> Iterator[list[int]]:
    """The groups of some videos (their places), the largest first; those of one size in an order that the seed gives,
    whatever the order of the videos."""
    if not len(fresh):
        return
    ids = [linked.ids[i] for i in fresh.tolist()]
    by_id = np.empty(len(fresh), np.int64)
    by_id[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    _, which, sizes = np.unique(group[fresh], return_inverse=True, return_counts=True)
    first = np.full(len(sizes), len(fresh))
    np.minimum.at(first, which, by_id)
    drawn = np.argsort(first)[np.random.default_rng(seed).permutation(len(sizes))]
    members = fresh[np.argsort(which, kind="stable")].tolist()
    ends = np.cumsum(sizes).tolist()
    for number in drawn[np.argsort(-sizes[drawn], kind="stable")].tolist():
        yield members[ends[number] - int(sizes[number]) : ends[number]]


def _most_missed(
    labels: Counter[int],
    have: Mapping[str, Counter[int]],
    placed: Mapping[str, int],
    wanted: Mapping[str, float],
    total: Sequence[int],
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


def write_lists(dataset: Place, linked: Linked, after: Mapping[str, Assignment], sides: list[str]) -> None:
    """``splits/<side>.csv`` with ``path`` (relative to the dataset), ``label``, ``video_id``."""
    for old in (dataset / "splits").glob("*.csv"):
        if old != assignments_path(dataset) and old.stem not in sides:
            delete(old)
    paths, labels, used = linked.paths.to_pylist(), linked.label.tolist(), np.flatnonzero(linked.is_used).tolist()
    for side in sides:
        chosen = [i for i in used if after[linked.ids[i]].side == side]
        rows = [(paths[i], linked.label_names[labels[i]] or "", linked.ids[i]) for i in chosen]
        target = dataset / "splits" / f"{side}.csv"
        write_csv(target, [("path", "label", "video_id"), *sorted(rows)], staging_folder(dataset))


def fill_manifest(dataset: Place, after: Mapping[str, Assignment]) -> None:
    """Write the sides into the manifest's column ``split``."""

    def with_sides(batch: pa.RecordBatch) -> pa.RecordBatch:
        ids = batch["video_id"].to_pylist()
        sides = pa.array([after[i].side if i in after else None for i in ids], pa.string())
        return batch.set_column(batch.schema.get_field_index("split"), "split", sides)

    manifest = dataset / "manifest.parquet"
    rewrite_manifest(manifest, manifest, with_sides, staging_folder(dataset))


def make_report(
    dataset: Place,
    linked: Linked,
    before: Mapping[str, Assignment],
    after: Mapping[str, Assignment],
    wanted: Mapping[str, float],
    options: dict[str, Any],
) -> SplitReport:
    nowhere = linked.are({video_id for video_id, a in after.items() if a.side == NOWHERE})
    group = linked.groups(nowhere)
    sizes = np.bincount(group[linked.is_used])
    used = np.flatnonzero(linked.is_used).tolist()
    names = [linked.label_names[label] or "" for label in linked.label[linked.is_used].tolist()]
    stands = [after[linked.ids[place]].side for place in used]
    sides = Counter(stands)
    by_label: dict[str, dict[str, int]] = {label: dict.fromkeys(wanted, 0) for label in sorted(set(names))}
    for name, side in zip(names, stands, strict=True):
        by_label[name][side] = by_label[name].get(side, 0) + 1
    return SplitReport(
        dataset=str(dataset),
        clips=len(used),
        sides={side: sides[side] for side in (*wanted, NOWHERE)},
        wanted={side: round(value, 3) for side, value in wanted.items()},
        labels=by_label,
        groups=int((sizes > 0).sum()),
        largest_group=int(sizes.max()),
        moved=moved_by_rule(linked, nowhere, group),
        bridging=tuple(sorted(linked.ids[i] for i in np.flatnonzero(linked.is_used & nowhere).tolist())),
        missing_labels={
            side: missing
            for side in wanted
            if wanted[side] > 0 and (missing := tuple(label for label, n in by_label.items() if not n[side]))
        },
        new=sum(linked.ids[i] not in before for i in used),
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
    rules = dict(zip(RULES, ("one source video", "one creator", "near-duplicates", "one sound"), strict=True))
    moved = ", ".join(f"{rules[rule]} {count:,}" for rule, count in report.moved.items())
    lines.append(f"clips that stand with others only because of: {moved}")
    for side, missing in report.missing_labels.items():
        named = _some([label or "(no label)" for label in missing])
        lines.append(f"note: {side} has no clip of {len(missing)} labels: {named}")
    if report.bridging:
        many = f"{len(report.bridging)} videos belong to groups on two sides"
        lines.append(f"attention: {many} and stand on none: {_some(report.bridging)}")
    return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
