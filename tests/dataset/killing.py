"""Ends commands before their k-th change of a file, looks at what is left, and lets the same command go on.

A program of its own, which forks before anything was computed: no thread of a library is alive in the process that forks.
``python -m tests.dataset.killing FOLDER all|some [COMMAND ...]`` prints a JSON object a line:
the command, how many changes it makes, before which of them it was ended, and what was wrong afterwards.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pytest

import tiktokactions as ta
from tests.conftest import QuickDatasets
from tests.made_videos import numbered_frames, write_video
from tests.reviews.worlds import says
from tiktokactions.curation.takedowns import read_takedowns
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.history import states_at
from tiktokactions.files import all_records, changes, read_record, sha256_file, write_atomic
from tiktokactions.records import VideoRecord, to_builtins
from tiktokactions.reviews.desk import open_desk
from tiktokactions.reviews.options import ReviewOptions

ENDED, WRONG = 9, 1
USED = (
    *("httpx", "pandas", "pebble", "PIL.Image", "pyarrow.dataset", "rich.progress", "scipy.optimize", "scipy.stats"),
    *("tiktokactions.curation.engine_local", "tiktokactions.dataset.card", "tiktokactions.dataset.figures"),
    *("tiktokactions.releases.export", "tiktokactions.splits.certificate", "tiktokactions.takedowns.folders"),
    *(
        "tiktokactions.commands.curate",
        "tiktokactions.commands.dataset_hydrate",
        "tiktokactions.commands.dataset_merge",
    ),
    *(
        "tiktokactions.commands.dataset_split",
        "tiktokactions.commands.dataset_verify",
        "tiktokactions.commands.refresh",
    ),
    "tiktokactions.commands.review_apply",
)
"""Imported once, and not in each of a hundred processes."""


class Command(NamedTuple):
    """``prepare(world)`` makes what the command finds, ``run(world)`` is the command; ``changed`` is the dataset."""

    prepare: Callable[[Path], object]
    run: Callable[[Path], object]
    changed: str = "data"


# --- the commands --------------------------------------------------------------------------------------------------


def curate(world: Path, **options: Any) -> None:
    ta.curate(world / "videos", world / "data", detector="none", min_person_frames=0, workers=1, **options)


def shards(world: Path) -> None:
    for number in (1, 2):
        curate(world, shard=f"{number}/2")


def add_videos(world: Path) -> None:
    """One more video, a copy of one that is there, and a label that changed."""
    write_video(world / "videos/swim/late.mp4", numbered_frames(40, 64, 96, first=9000), fps=10)
    shutil.copy2(world / "videos/dance/0.mp4", world / "videos/swim/copy.mp4")


def damage(world: Path) -> None:
    """A clip is gone and can be cut again, one is gone for good, a record is unreadable, a file is nobody's."""
    records = sorted(all_records(world / "data"), key=lambda record: record.source.path)
    for record in records[:2]:
        assert record.clip is not None
        (world / "data" / record.clip.path).unlink()
    Path(records[0].source.path).unlink()
    [path] = (world / "data").glob(f"records/*/{records[2].video_id}.json")
    path.write_text("{")
    (world / "data/thumbs/nobody.jpg").write_bytes(b"?")


def two_datasets(world: Path) -> None:
    ta.dataset_split(world / "data", val=0.34, test=0.33)
    for number in range(2):
        write_video(
            world / "more" / "run" / f"{number}.mp4", numbered_frames(40, 64, 96, first=7000 + 500 * number), fps=10
        )
    shutil.copy2(world / "videos/dance/0.mp4", world / "more/run/both.mp4")
    ta.curate(world / "more", world / "second", detector="none", min_person_frames=0, workers=1)
    ta.dataset_split(world / "second", val=0, test=0.34)


def decide(world: Path) -> None:
    """One video is rejected, one gets another label and another segment."""
    first, second, _ = sorted(record.video_id for record in all_records(world / "data"))
    desk = open_desk(Dataset(world / "data"), ReviewOptions())
    desk.decide("ann", says(first, "reject"))
    desk.decide("ann", says(second, labels=("waltz",), start_s=0.2, end_s=3.9))
    desk.close()


def share(world: Path) -> None:
    ta.dataset_split(world / "data", val=0, test=0.34)
    ta.dataset_export(world / "data", world / "ids", format="ids")


def before_take_down(world: Path) -> None:
    share(world)
    ta.dataset_subset(world / "data", world / "subset", size=2)
    (world / "id.txt").write_text(next(iter(all_records(world / "data"))).video_id)


def named(world: Path) -> str:
    return (world / "id.txt").read_text()


COMMANDS = {
    "curate": Command(lambda world: shutil.rmtree(world / "data"), curate),
    "curate, grown": Command(add_videos, curate),
    "redecide": Command(lambda world: None, lambda world: ta.curate(world / "data", redecide=True, max_clip_s=3.5)),
    "verify, repair": Command(damage, lambda world: ta.dataset_verify(world / "data", repair=True, yes=True)),
    "split": Command(lambda world: None, lambda world: ta.dataset_split(world / "data", val=0.34, test=0.33)),
    "merge": Command(
        two_datasets, lambda world: ta.dataset_merge([world / "data", world / "second"], world / "merged"), "merged"
    ),
    "hydrate": Command(
        share,
        lambda world: ta.dataset_hydrate(world / "ids/ids.csv", world / "again", media=world / "videos", workers=1),
        "again",
    ),
    "review apply": Command(decide, lambda world: ta.review_apply(world / "data")),
    "shards": Command(add_videos, shards),
    "take-down": Command(before_take_down, lambda world: ta.refresh(world / "data", remove=[named(world)])),
}


# --- what is compared ----------------------------------------------------------------------------------------------


def state(data: Path) -> dict[str, Any]:
    """All that a dataset says, without dates and times."""
    if not (data / "dataset.json").is_file():
        return {}
    dataset = Dataset(data)
    rows = []
    if dataset.manifest.is_file():
        columns = [c for c in _columns(dataset) if c not in ("timings", "record_sha256")]
        rows = [row for batch in dataset.batches(columns) for row in batch.to_pylist()]
    lists = {p.name: p.read_text() for p in (data / "splits").glob("*.csv")}
    stats = json.loads((data / "stats.json").read_text()) if (data / "stats.json").is_file() else {}
    history = (data / "history.csv").read_text().splitlines() if (data / "history.csv").is_file() else []
    said = {
        "version": dataset.version,
        "options": dataset.info.options,
        "records": {name: _plain(record) for name, record in records_of(data).items()},
        "manifest": rows,
        "clips": sorted(p.relative_to(data).as_posix() for p in data.glob("clips/*/*")),
        "thumbs": sorted(p.name for p in data.glob("thumbs/*")),
        "sides": lists,
        "statistics": {name: value for name, value in stats.items() if name not in ("stages", "timings")},
        "history": [[cell for i, cell in enumerate(line.split(",")) if i != 1] for line in history],
        "removed": sorted(read_takedowns(data)),
        "card": (data / "README.md").is_file() and (data / "croissant.json").is_file(),
    }
    found: dict[str, Any] = json.loads(json.dumps(said))
    return found


def records_of(data: Path) -> dict[str, VideoRecord | None]:
    """Records by file name; None for one that cannot be read."""
    found: dict[str, VideoRecord | None] = {}
    for path in sorted(data.glob("records/*/*.json")):
        try:
            found[path.stem] = read_record(path)
        except ValueError:
            found[path.stem] = None
    return found


def _plain(record: VideoRecord | None) -> dict[str, Any] | None:
    return None if record is None else {n: v for n, v in to_builtins(record).items() if n != "timings"}


def _columns(dataset: Dataset) -> list[str]:
    import pyarrow.parquet as pq

    names: list[str] = pq.read_schema(dataset.manifest).names
    return names


def differing(one: Any, two: Any, where: str = "") -> str:
    """Where two states differ: the places, and the first difference in each."""
    if isinstance(one, dict) and isinstance(two, dict):
        parts = [differing(one.get(name), two.get(name), f"{where}/{name}") for name in sorted({*one, *two})]
        return ", ".join(part for part in parts if part)[:500]
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        return next((part for a, b in zip(one, two, strict=True) if (part := differing(a, b, where))), "")
    return "" if one == two else f"{where}: {one!s:.150} for {two!s:.150}"


def what_is_read(data: Path) -> Any:
    """What those see who only read: rows, sides, history, statistics, and the bytes of clips and records; or why nothing."""
    dataset = Dataset(data)
    try:
        with dataset.reading():
            rows = [row for batch in dataset.batches(_columns(dataset)) for row in batch.to_pylist()]
            ids = [row["video_id"] for row in rows]
            clips = {n: dataset.file(n) for row in rows if row["status"] == "accepted" and (n := row["clip_path"])}
            found = {
                "rows": rows,
                "sides": dataset.sides,
                "clips": {name: sha256_file(place) if place.is_file() else "gone" for name, place in clips.items()},
                "records": [_plain(record) for record in dataset.records_of(ids)],
                "history": len(states_at(dataset.tables, dataset.version)),
                "statistics": to_builtins(ta.dataset_stats(data).status),
                "version": dataset.version,
            }
            return json.loads(json.dumps(found))
    except ta.UsageError as error:
        return str(error)


def differs_from_settled(data: Path, old: Any) -> str:
    """How what is read of a dataset whose command was ended differs from what was read before, or from a refusal."""
    before = {p: p.read_bytes() for p in data.rglob("*") if p.is_file() and not p.name.endswith("lock")}
    found = what_is_read(data)
    if {p: p.read_bytes() for p in data.rglob("*") if p.is_file() and not p.name.endswith("lock")} != before:
        return "reading wrote something"
    if isinstance(found, str):
        refused = "no version of it is settled yet" in found if old is None else "before a take-down has ended" in found
        return "" if refused or isinstance(old, str) else found  # of a damaged dataset nothing was read before either
    return f"not the last settled version: {differing(found, old)}" if found != old else ""


def look_and_go_on(command: Command, world: Path, old: dict[str, Any], new: dict[str, Any], seen: Any) -> str:
    """What is wrong with a dataset after its command was ended, and after the command was given again."""
    data = world / command.changed
    if (data / "dataset.json").is_file():
        dataset = Dataset(data)
        found = state(data)
        if dataset.settled and found not in (old, new):
            return f"called settled, but neither old ({differing(found, old)}) nor new ({differing(found, new)})"
        if not dataset.settled and not dataset.info.under_way:
            return "unsettled without saying what was under way"
        if not dataset.settled and (difference := differs_from_settled(data, seen)):
            return difference
    elif old:
        return "no dataset any more"
    command.run(world)
    if state(data) != new:
        return f"not healed: {differing(state(data), new)}"
    return ", ".join(damage_left(data))


def damage_left(data: Path) -> list[str]:
    """What 'dataset verify' finds; of what was lost before the command only the clip that is gone with its source."""
    found = ta.dataset_verify(data).problems
    return [f"{problem.kind}: {problem.path}" for problem in found if problem.kind != "missing_clip"]


# --- processes -----------------------------------------------------------------------------------------------------


@dataclass
class Counted:
    """Counts changes, and ends the process before one of them."""

    end_before: int | None = None
    changes: int = 0

    def __call__(self, place: object) -> None:
        self.changes += 1
        if self.changes == self.end_before:
            os._exit(ENDED)


def in_child(work: Callable[[], object], result: Path | None = None) -> int:
    """Do it in a process of its own; its exit code. What it returns goes into ``result`` as JSON."""
    child = os.fork()
    if child == 0:
        code = WRONG
        try:
            found = work()
            if result is not None:
                result.write_text(json.dumps(found))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def restore(kept: Path, world: Path) -> None:
    shutil.rmtree(world, ignore_errors=True)
    shutil.copytree(kept, world)  # with time stamps, by which sources are known again


def kill(name: str, folder: Path, every: bool) -> dict[str, Any]:
    """End one command before each of its changes, or before the one in the middle and the last."""
    command, world, kept, result = COMMANDS[name], folder / "world", folder / name, folder / "result.json"
    data = world / command.changed
    restore(folder / "base", world)
    assert in_child(lambda: command.prepare(world)) == 0
    world.rename(kept)

    def undisturbed() -> dict[str, Any]:
        old, counted = state(data), Counted()
        seen = what_is_read(data) if old else None
        changes.about_to_change = counted
        command.run(world)
        told = {"old": old, "new": state(data), "changes": counted.changes, "seen": seen}
        return told | {"damage": damage_left(data)}

    restore(kept, world)
    assert in_child(undisturbed, result) == 0
    told = json.loads(result.read_text())
    count = told["changes"]
    points = range(1, count + 1)
    chosen = list(points) if every else sorted({count // 2, count})
    problems = [f"undisturbed it leaves {one}" for one in told["damage"]]
    for k in chosen:
        restore(kept, world)

        def ended(k: int = k) -> None:
            changes.about_to_change = Counted(k)
            command.run(world)

        if (code := in_child(ended)) != ENDED:
            problems.append(f"before change {k}: ended with {code}")
            continue
        code = in_child(lambda: look_and_go_on(command, world, told["old"], told["new"], told["seen"]), result)
        problem = json.loads(result.read_text()) if code == 0 else f"ended with {code}"
        problems += [f"before change {k}: {problem}"] if problem else []
    return {"changes": count, "ended_before": chosen, "problems": problems}


def make_base(world: Path) -> None:
    """Three videos of 4 s under two labels, curated."""
    for number, label in enumerate(("dance", "dance", "swim")):
        frames = numbered_frames(40, 64, 96, first=500 * number)
        write_video(world / "videos" / label / f"{number}.mp4", frames, fps=10)
    curate(world)


def one_figure(dataset: Path, stats: object) -> None:
    write_atomic(dataset / "figures" / "funnel.svg", b"<svg/>")


def main(folder: Path, how_many: str, *names: str) -> None:
    cv2.setNumThreads(1)
    for name in USED:
        importlib.import_module(name)
    patch = pytest.MonkeyPatch()
    QuickDatasets(patch)
    patch.setattr("tiktokactions.dataset.figures.draw_figures", one_figure)
    world = folder / "world"
    assert in_child(lambda: make_base(world)) == 0
    world.rename(folder / "base")
    for name in names or COMMANDS:
        print(json.dumps({"command": name} | kill(name, folder, how_many == "all")), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
