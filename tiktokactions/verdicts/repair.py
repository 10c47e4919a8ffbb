"""The repair of a dataset: what can be is restored or made again, the rest moves to quarantine.

A missing clip says nothing about its video: the record stays as it is, and what hinders the repair is told.
"""

from __future__ import annotations

import csv
import functools
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from tiktokactions.curation.one_video import write_thumbnails_again
from tiktokactions.curation.takedowns import Takedown, add_takedowns, read_takedowns, takedowns_path
from tiktokactions.dataset.assignments import (
    BRIDGES,
    LEAKS,
    NOWHERE,
    Assignment,
    assignments_path,
    write_assignments,
)
from tiktokactions.dataset.editing import Edit
from tiktokactions.dataset.history import history_path, read_events
from tiktokactions.dataset.manifest import write_manifest
from tiktokactions.errors import ATTENTION, TiktokactionsError, UsageError
from tiktokactions.files import (
    SUMS,
    Place,
    all_records,
    delete,
    delete_records,
    lies_there,
    local_file,
    located,
    on_disk,
    record_files,
    record_of,
    record_path,
    staging_folder,
    thumbnail_paths,
    update_sums,
    write_atomic,
    write_record,
)
from tiktokactions.records import decode_record, one_bit_turned
from tiktokactions.reviews.store import STAMP, Store, store_path
from tiktokactions.verdicts.quarantine import Kept, in_quarantine, open_quarantine, put_away, put_back
from tiktokactions.verdicts.settle import cut_again, unchanged_source
from tiktokactions.verdicts.verify import Problem, Verification, relative

CLIP_PROBLEMS = ("missing_clip", "clip_changed", "clip_broken")
THUMBNAIL_PROBLEMS = ("missing_thumbnail", "thumbnail_changed")
UNCLAIMED = ("orphan_clip", "orphan_thumbnail", "foreign_file")
MOST_MOVED = 1 / 20
LARGEST_HEALED = 16384
"""Bytes of a record in which a turned bit is looked for; a few seconds."""
WRITTEN_BY_CLOSING = ("manifest.parquet", "stats.json", "croissant.json", "README.md", "dataset.json", SUMS)
STAYING = ("dataset.json", "history.csv")
"""Read by the closing, which changes them itself."""


class RepairError(TiktokactionsError):
    """A repair that would do more than anybody expects, before anything was changed."""

    exit_code = ATTENTION


@dataclass(frozen=True)
class _Plan:
    """What becomes of the files."""

    back: dict[str, str] = field(default_factory=dict)
    """By place: where the file with the right content lies now."""
    healed: dict[str, bytes] = field(default_factory=dict)
    """Records in which one bit had flipped, as they were."""
    away: dict[str, Kept] = field(default_factory=dict)
    """What goes to quarantine, by path."""

    @property
    def leaving(self) -> int:
        """Files that are taken out of the dataset and not made again."""
        return sum(not kept.replaced for kept in self.away.values())


def repair_dataset(edit: Edit, found: Verification, yes: bool = False) -> Verification:
    """Restore, make again, or move to quarantine.

    Args:
        yes: go on even if many files would move, or most clips are missing.

    Raises:
        RepairError: one of the two, without ``yes``; nothing was changed.
    """
    folder = edit.folder
    plan = _plan(folder, found.problems)
    if not yes:
        _refuse_too_much(folder, found, plan)
    edit.begin()
    place = command = ""
    if plan.away:
        place, command = open_quarantine(folder, plan.away.values())
        _take_out_of_ranges(folder, place, plan.away)
        for name in plan.away:
            put_away(folder, place, name)
    for name, data in plan.healed.items():
        write_atomic(folder / name, data, staging_folder(folder))
    for name, source in plan.back.items():
        put_back(folder, f"{place}/{source}" if source in plan.away else source, name)
    update_sums(folder, {p.path: "" for p in found.problems if p.kind == "missing_file"})  # until they are made again
    _sides_again(edit, found.problems)
    problems = tuple(_repaired(edit, problem, plan, place) for problem in found.problems)
    write_manifest(folder, all_records(folder), edit.options)
    edit.manifest_fits = True
    return replace(found, problems=problems, restore=command)


# --- what is to be done -------------------------------------------------------------------------------------------------


def _plan(folder: Place, problems: tuple[Problem, ...]) -> _Plan:
    plan = _Plan(_places_of_content(folder, problems))
    taken, healed = set(plan.back.values()), set[str]()
    for problem in problems:
        name, kind = problem.path, problem.kind
        away = functools.partial(Kept, name, problem.detail, problem.sha256)
        if kind in UNCLAIMED and name not in taken:
            plan.away[name] = away()
        elif kind in ("clip_changed", "thumbnail_changed", "clip_broken"):
            # What differs is better than nothing: it makes room only for its like, or for a new one.
            if name in plan.back or name in taken or _source(folder, problem.video_id):
                plan.away[name] = away(replaced=True)
        elif kind == "bad_record":
            pictures = (relative(folder, path) for path in thumbnail_paths(folder, problem.video_id))
            if data := _healed(folder / name):
                plan.healed[name] = data
                clip = decode_record(data, where=name).clip
                healed |= {clip.path} if clip is not None else set()
            else:
                there = (name, *(picture for picture in pictures if (folder / picture).is_file()))
                plan.away.update((one, Kept(one, problem.detail, "")) for one in there)
        elif kind == "misplaced_record":
            right = relative(folder, record_path(folder, problem.video_id))
            is_free = right not in plan.back and (not (folder / right).is_file() or _is_misplaced(right, problems))
            plan.away[name] = away(replaced=is_free)
            plan.back.update({right: name} if is_free else {})
        elif (
            (kind == "table_differs" and name not in STAYING)
            or (kind == "file_changed" and _is_replaced(folder, problem))
            # A link to what is gone, or a folder.
            or (kind.startswith("missing_") and not (folder / name).is_file() and lies_there(folder / name))
        ):
            plan.away[name] = away(replaced=True)
        elif kind in ("missing_record", "record_differs"):
            plan.away["manifest.parquet"] = Kept("manifest.parquet", "has rows that no record gives", "", True)
    return replace(plan, away={name: kept for name, kept in plan.away.items() if name not in healed})


def _places_of_content(folder: Place, problems: tuple[Problem, ...]) -> dict[str, str]:
    """For every path that should hold other bytes than it does: where a file with these bytes lies."""
    changed = {p.sha256: p.path for p in problems if p.kind in ("clip_changed", "thumbnail_changed")}
    content = in_quarantine(folder) | changed | {p.sha256: p.path for p in problems if p.kind in UNCLAIMED}
    wanting = (p for p in problems if p.wanted and p.kind in (*CLIP_PROBLEMS, *THUMBNAIL_PROBLEMS))
    return {p.path: content.pop(p.wanted) for p in wanting if p.wanted in content}


def _is_replaced(folder: Place, problem: Problem) -> bool:
    """Whether a changed file is made anew, or of no use any more."""
    if problem.path == "dataset.json":  # which the edit has written by now
        return False
    return problem.path in WRITTEN_BY_CLOSING or not _reads_well(folder, problem)


def _healed(path: Place) -> bytes:
    """A sealed record with the one bit turned back that turned since it was written; empty if it is not that."""
    data = path.read_bytes() if path.is_file() else b""
    if len(data) > LARGEST_HEALED:
        return b""
    return next((turned for turned in one_bit_turned(data)), b"")


def _take_out_of_ranges(folder: Place, place: str, away: Mapping[str, Kept]) -> None:
    """Records that lie in the file of a range, on a store, become files in quarantine."""
    names = {name for name in away if name.startswith("records/") and not (folder / name).is_file()}
    for path, data in record_files(folder) if names else ():
        if (name := relative(folder, path)) in names:
            write_atomic(folder / place / name, data)
            delete_records(folder, [path.stem])


def _is_misplaced(name: str, problems: Iterable[Problem]) -> bool:
    return any(problem.kind == "misplaced_record" and problem.path == name for problem in problems)


def _refuse_too_much(folder: Place, found: Verification, plan: _Plan) -> None:
    missing = [p for p in found.problems if p.kind == "missing_clip" and p.wanted and p.path not in plan.back]
    if 2 * len(missing) > found.clips:
        raise RepairError(
            f"{folder}: {len(missing):,} of {found.clips:,} clips are not there (for example {missing[0].path}):"
            " is a disk not mounted? Nothing was changed; bring the clips back, or cut them again from their sources"
            " with `yes`"
        )
    gone = [p for p in found.problems if p.kind == "missing_record"]
    if gone and len(gone) > found.records:
        raise RepairError(
            f"{folder}: {len(gone):,} records are not there (for example {gone[0].path}): is a disk not mounted? Nothing"
            " was changed; bring them back, or go on without these videos with `yes`"
        )
    if plan.leaving > MOST_MOVED * found.files:
        some = ", ".join([kept.path for kept in plan.away.values() if not kept.replaced][:5])
        raise RepairError(
            f"{folder}: {plan.leaving:,} of {found.files:,} files would move to quarantine (for example {some}), more than"
            " a twentieth. Nothing was changed; go on with `yes`"
        )


def _reads_well(folder: Place, problem: Problem) -> bool:
    """Whether a file that cannot be made again can still be read, and is better kept."""
    import msgspec

    path = folder / problem.path
    try:
        if path == history_path(folder):
            return bool(list(read_events(folder)))
        if path == takedowns_path(folder):
            return bool(read_takedowns(folder))
        data = path.read_bytes()
        if path.suffix == ".json":
            msgspec.json.decode(data)
        elif path.suffix == ".csv":
            rows = list(csv.reader(io.StringIO(data.decode()), strict=True))
            return len(rows) > 1 and len({len(row) for row in rows}) == 1 and not problem.path.startswith("splits/")
        else:
            return path.name == "publisher.toml" and bool(data.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError, csv.Error, UsageError, KeyError):
        return False
    return True


# --- doing it -----------------------------------------------------------------------------------------------------------


def _repaired(edit: Edit, problem: Problem, plan: _Plan, place: str) -> Problem:
    folder = edit.folder
    if problem.path in plan.healed:
        return replace(problem, repaired="one bit had turned, and was turned back")
    if problem.kind in UNCLAIMED and problem.path not in plan.away and problem.path not in plan.back.values():
        return replace(problem, repaired="belongs to a record that was repaired")
    if problem.path in plan.back:
        return replace(problem, repaired=f"moved back from {plan.back[problem.path]}")
    if problem.path in plan.back.values():
        return replace(problem, repaired="moved to where it belongs")
    if problem.kind in CLIP_PROBLEMS:
        return _clip_again(edit, problem)
    if problem.kind in THUMBNAIL_PROBLEMS:
        return _thumbnails_again(edit, problem)
    done: dict[str, str] = dict.fromkeys(UNCLAIMED, f"moved to {place}") | {
        **dict.fromkeys(("bad_record", "misplaced_record"), f"moved to {place}; run 'curate' with its video again"),
        "missing_record": "its row is gone too; run 'curate' with its video again",
        "record_differs": f"the manifest follows the record; what it said before is in {place}",
        "table_differs": "written again",
    }
    if problem.kind in done:
        return replace(problem, repaired=done[problem.kind], lost=problem.kind == "missing_record")
    if problem.kind in ("missing_file", "file_changed"):
        return _file_again(edit, problem, place)
    if problem.kind == "reviews_damaged":
        return _reviews_again(folder, problem)
    return problem


def _source(folder: Place, video_id: str) -> str | None:
    return unchanged_source(record_of(folder, video_id))


def _clip_again(edit: Edit, problem: Problem) -> Problem:
    record = record_of(edit.folder, problem.video_id)
    if unchanged_source(record) is None:
        return replace(problem, detail=f"{problem.detail}; {_source_is(record.source.path)}")
    hindered = cut_again(problem.video_id, edit.folder, edit.options, {}, {})
    return (
        replace(problem, detail=f"{problem.detail}; {hindered}") if hindered else replace(problem, repaired="cut again")
    )


def _thumbnails_again(edit: Edit, problem: Problem) -> Problem:
    record = record_of(edit.folder, problem.video_id)
    source = unchanged_source(record)
    if source is None:
        return replace(problem, detail=f"{problem.detail}; {_source_is(record.source.path)}")
    with local_file(source) as local:
        again = write_thumbnails_again(local, record, edit.options, edit.folder)
    if again != record:
        write_record(edit.folder, again)
    return replace(problem, repaired="drawn again")


def _source_is(path: str) -> str:
    return f"its source {path} {'has changed' if located(path).is_file() else 'is absent'}: it cannot be made again now"


def _file_again(edit: Edit, problem: Problem, place: str) -> Problem:
    name, path = problem.path, edit.folder / problem.path
    if name in WRITTEN_BY_CLOSING or name.startswith("figures/"):
        return replace(problem, repaired="written again")
    if name.startswith("splits/") and name.endswith(".csv") and name.count("/") == 1 and name != LEAKS:
        return replace(problem, repaired="written again from the sides that are known")
    if name.startswith("copies/"):
        return replace(problem, repaired="made again when videos are compared next")
    if name == "removed.csv" and _takedowns_again(edit.folder):
        return replace(problem, repaired="written again from the reports in removals/")
    if path.is_file():
        write_atomic(path, path.read_bytes())  # its line in SHA256SUMS becomes that of what it is now
        return replace(
            problem, repaired="kept as it is now, since it can be read and nothing else holds it; look through it"
        )
    if problem.kind == "missing_file":
        return replace(problem, repaired="lost: put it back from a copy if you have one", lost=True)
    return replace(problem, repaired=f"lost: what was left of it is in {place}", lost=True)


def _takedowns_again(folder: Place) -> bool:
    """What was taken down, from the reports; whether there was any."""
    found = []
    for path in sorted((folder / "removals").glob("*.json")):
        said = json.loads(path.read_bytes())
        found += [Takedown(video_id, said["at"], said["reason"]) for video_id in said["ids"]]
    if found:
        add_takedowns(folder, found)
    return bool(found)


def _reviews_again(folder: Place, problem: Problem) -> Problem:
    """A stamp is made again; what people decided is not touched."""
    if not store_path(folder).exists() or "damaged" in problem.detail:
        return problem
    delete(folder / STAMP)
    store = Store(on_disk(folder, STAMP))
    with store.database.write():
        pass  # counts as a write, so that the stamp is newer than any other
    store.close()
    return replace(problem, repaired="looked through: every page can be read; stamped anew")


# --- sides --------------------------------------------------------------------------------------------------------------


def _sides_again(edit: Edit, problems: Iterable[Problem]) -> None:
    """The sides of a damaged ``assignments.csv``, from the manifest, else from the lists."""
    folder, wrong = edit.folder, {problem.path for problem in problems}
    if relative(folder, assignments_path(folder)) not in wrong:
        return
    sides: dict[str, str] = {}
    for old in sorted((folder / "splits").glob("*.csv")):
        if relative(folder, old) not in {*wrong, LEAKS}:
            with old.open(encoding="utf-8", errors="replace", newline="") as file:
                sides |= {row["video_id"]: old.stem for row in csv.DictReader(file) if row.get("video_id")}
    try:
        for batch in edit.dataset.batches(["video_id", "split"]):
            sides |= {row["video_id"]: row["split"] for row in batch.to_pylist() if row["split"]}
    except (UsageError, pa.ArrowException, OSError):
        pass  # damaged too, and in quarantine by now
    assignments = {i: Assignment(side, BRIDGES if side == NOWHERE else "") for i, side in sides.items()}
    if assignments:
        write_assignments(folder, assignments)
