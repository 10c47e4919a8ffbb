"""``dataset split``: sides for training and testing that share no source, creator or near-duplicate.

Groups (:mod:`tiktokactions.splits.leak_groups`) are placed whole (:mod:`tiktokactions.splits.placing`). What has a side
keeps it: when the dataset grows, new videos follow their group, and one that ties two sides to each other stands on none
(``bridges_splits``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.copies.of_dataset import duplicates_of, read_pairs
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.assignments import (
    BRIDGES,
    FOLD,
    NOWHERE,
    Assignment,
    read_assignments,
    write_assignments,
)
from tiktokactions.dataset.editing import Edit
from tiktokactions.dataset.manifest import SCHEMA, manifest_row, rewrite_manifest, with_unsaid
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, all_records, readable, staging_folder, write_json
from tiktokactions.records import JsonObject
from tiktokactions.splits.certificate import certify, compare_clips, known_copies, sampled, write_certificate
from tiktokactions.splits.leak_groups import LINK_SCHEMA, Linked, linked_videos, torn_between
from tiktokactions.splits.options import DEFAULTS, SIDES, SplitOptions
from tiktokactions.splits.placing import Group, place
from tiktokactions.splits.report import SplitReport, aimed_at, counted, make_report
from tiktokactions.splits.sounds import bound_sounds, without_sounds


def split_dataset(edit: Edit, given: SplitOptions) -> SplitReport:
    """Give every accepted clip a side and write ``splits/``; the manifest is up to date, and is again afterwards.

    Raises:
        UsageError: shares or counts that do not fit, no clips, or another kind of split than before.
    """
    dataset = edit.folder
    before = {} if given.reassign else read_assignments(dataset)
    options = resolve(given, options_before(dataset) if before else {})
    linked = linked_dataset(dataset, edit.options, options["sounds"])
    nowhere = linked.are({i for i, a in before.items() if a.side == NOWHERE})
    clips = int((linked.is_used & ~nowhere).sum())
    if not clips:
        raise UsageError(f"{dataset}: no accepted clips, so there is nothing to split")
    wanted = wanted_clips(options, clips)
    _refuse_another_kind(dataset, before, wanted)
    linked, apart = bound_sounds(linked.with_pairs(known_copies(dataset, before)), before, options["chain"])
    after = first = assign(linked, before, wanted, options["seed"])
    compared = certificate = None
    if options["certify"]:
        compared = compare_clips(dataset, _to_compare(linked, first, options), edit.options)
        # Two videos with sides of their own stay where they are, whatever they show.
        new = [(c.video_id, c.other_id) for c in compared.copies if not {c.video_id, c.other_id} <= before.keys()]
        if new:
            linked, more_apart = bound_sounds(linked.with_pairs(new), before, options["chain"])
            apart += more_apart
            after = assign(linked, before, wanted, options["seed"])
        certificate = certify(dataset, linked, compared, first, after, edit.options, options["seed"])
    rule = sounds_rule(options["sounds"], edit.options)
    report = make_report(dataset, linked, before, after, wanted, options, rule, apart)
    report = dataclasses.replace(report, certificate=certificate)
    edit.begin()
    # Before the sides: a split that was cut short is finished with its own options.
    told = dataclasses.asdict(report)
    del told["check_against"], told["certificate"]
    write_json(dataset / "splits" / "report.json", told, staging_folder(dataset))
    write_certificate(dataset, certificate, compared, first, after)
    write_assignments(dataset, after)
    fill_manifest(dataset, after)
    edit.manifest_fits = True
    return report


def _to_compare(linked: Linked, after: Mapping[str, Assignment], options: JsonObject) -> dict[str, str]:
    """Paths of the clips to compare, by id."""
    paths = dict(zip(linked.ids, linked.paths.to_pylist(), strict=True))
    used = [linked.ids[i] for i in np.flatnonzero(linked.is_used).tolist()]
    side_of = {i: after[i].side for i in used if i in after and after[i].side != NOWHERE}
    return {i: paths[i] for i in sampled(list(side_of), side_of, options["certify"], options["seed"])}


def sounds_rule(sounds: str, settings: CurateOptions) -> str:
    """Whether videos of one sound stand together, in words."""
    if sounds == "off":
        return "off, as asked"
    return "off, since the clips carry no sound" if sounds == "auto" and not settings.audio else "on"


def linked_dataset(dataset: Place, settings: CurateOptions, sounds: str = "auto") -> Linked:
    """Every video of a dataset with what it shares with others, from the manifest, which is up to date.

    ``sounds``: as in :class:`SplitOptions`; clips without sound share none, as far as it is ``auto``.
    """
    linked = _linked_dataset(dataset, settings).with_pairs((match.a, match.b) for match in read_pairs(dataset))
    if sounds_rule(sounds, settings) != "on":
        return without_sounds(linked)
    if sounds == "on":
        return linked
    silent = {r.video_id for r in all_records(dataset) if r.probe is not None and not r.probe.has_audio}
    return without_sounds(linked, linked.are(silent))


def _linked_dataset(dataset: Place, settings: CurateOptions) -> Linked:
    twins = duplicates_of(dataset, settings) if settings.keep_duplicates else {}
    with pq.ParquetFile(readable(dataset / "manifest.parquet")) as manifest:
        if set(LINK_SCHEMA.names) <= set(manifest.schema_arrow.names):
            names = manifest.schema_arrow.names
            batches = manifest.iter_batches(columns=LINK_SCHEMA.names)
            return linked_videos((with_unsaid(batch, names) for batch in batches), twins)
    # A manifest of an earlier version of this program lacks columns.
    rows = (manifest_row(record, settings) for record in all_records(dataset))
    return linked_videos((pa.RecordBatch.from_pylist([row], schema=SCHEMA) for row in rows), twins)


# --- what is asked for ---------------------------------------------------------------------------------------------


def resolve(given: SplitOptions, before: Mapping[str, Any]) -> JsonObject:
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


def options_before(dataset: Place) -> JsonObject:
    """What the split was made with, as written in its report; empty where there is none."""
    path = dataset / "splits" / "report.json"
    found: JsonObject = json.loads(path.read_text(encoding="utf-8"))["options"] if path.exists() else {}
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

    Where fewer clips are wanted than there are, the rest gets no side.

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
    stands, new = (had >= 0) & ~nowhere, linked.is_used & (had < 0)
    torn = torn_between(linked, np.where(nowhere, -1, had), nowhere)
    group = linked.groups(torn)
    # The side that each group has members on, those that are no longer accepted included.
    pairs = np.unique(group[stands] * len(names) + had[stands])
    sides_in = np.bincount(pairs // len(names), minlength=len(linked.ids) + 1)
    side_of = np.full(len(sides_in), -1)
    side_of[pairs // len(names)] = pairs % len(names)
    for place_ in np.flatnonzero(new & torn).tolist():
        after[linked.ids[place_]] = Assignment(NOWHERE, BRIDGES)
    new &= ~torn
    given = {side: Assignment(side) for side in names}
    follows = new & (sides_in[group] == 1)
    for place_ in np.flatnonzero(follows).tolist():
        after[linked.ids[place_]] = given[names[side_of[group[place_]]]]
    now = np.where(follows, side_of[group], np.where(linked.is_used, had, -1))

    fresh = np.flatnonzero(new & (sides_in[group] == 0))
    groups = list(_in_order(linked, fresh, group, seed))
    have, clips = counted(linked, now, len(wanted))
    aims = aimed_at(list(wanted.values()), sum(clips) + len(fresh), len(groups) + sum(map(bool, clips)))
    rest = np.zeros((1, have.shape[1]))
    chosen = place(groups, np.concatenate([have, rest]), [*clips, 0], aims)
    for members, side in zip(groups, chosen, strict=True):
        if side < len(wanted):
            after |= {linked.ids[i]: given[names[side]] for i in members.members}
    return after


def _in_order(linked: Linked, fresh: np.ndarray, group: np.ndarray, seed: int) -> Iterator[Group]:
    """The groups of some videos (their places), in an order that the seed gives, whatever the order of the videos."""
    if not len(fresh):
        return
    ids = [linked.ids[i] for i in fresh.tolist()]
    by_id = np.empty(len(fresh), np.int64)
    by_id[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    _, which, sizes = np.unique(group[fresh], return_inverse=True, return_counts=True)
    first = np.full(len(sizes), len(fresh))
    np.minimum.at(first, which, by_id)
    drawn = np.argsort(first)[np.random.default_rng(seed).permutation(len(sizes))]
    # The labels of every group, those of one group in an order that does not depend on the order of the videos.
    names = sorted(range(len(linked.label_names)), key=lambda i: linked.label_names[i] or "")
    rank = np.empty(len(names), np.int64)
    rank[names] = np.arange(len(names))
    of_video = np.full(len(linked.ids), -1)
    of_video[fresh] = which
    shown = of_video[linked.labelled] >= 0
    cells = of_video[linked.labelled[shown]] * len(names) + rank[linked.labelled_as[shown]]
    cell, times = np.unique(cells, return_counts=True)
    starts = np.searchsorted(cell, np.arange(len(sizes) + 1) * len(names)).tolist()
    labels = [*zip(np.array(names)[cell % len(names)].tolist(), times.tolist(), strict=True)]
    members = fresh[np.lexsort((by_id, which))].tolist()
    ends = np.cumsum(sizes).tolist()
    for number in drawn.tolist():
        its = members[ends[number] - int(sizes[number]) : ends[number]]
        yield Group(its, tuple(labels[starts[number] : starts[number + 1]]))


# --- what is written -----------------------------------------------------------------------------------------------


def fill_manifest(dataset: Place, after: Mapping[str, Assignment]) -> None:
    """Write the sides into the manifest's column ``split``."""

    def with_sides(batch: pa.RecordBatch) -> pa.RecordBatch:
        ids = batch["video_id"].to_pylist()
        sides = pa.array([after[i].side if i in after else None for i in ids], pa.string())
        return batch.set_column(batch.schema.get_field_index("split"), "split", sides)

    manifest = dataset / "manifest.parquet"
    rewrite_manifest(manifest, manifest, with_sides, staging_folder(dataset))
