"""A project that learns again and again: its rounds, which model is promoted, and what the next round has to do.

Beside ``NAME.toml`` lies ``NAME.updates/``: ``updates.json`` holds what was decided and is written in one piece, so that no
model is promoted half; ``1/``, ``2/`` ... hold the rounds, each with the memories of its steps.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import msgspec

from tiktokactions.collection.plan import LAG_DAYS
from tiktokactions.collection.store import Collection
from tiktokactions.dataset.assignments import is_split
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.files import located, write_json
from tiktokactions.intervals import Paired
from tiktokactions.model.options import EvaluateOptions
from tiktokactions.model.run import Run
from tiktokactions.options import check_bounds, option
from tiktokactions.projects.drift import Drift
from tiktokactions.projects.project import Call, Project, ProjectError, Step
from tiktokactions.records import to_builtins
from tiktokactions.releases.subset import candidates_of
from tiktokactions.releases.subset_options import Choice

UPDATES = "updates.json"
BEFORE_LEARNING = (
    *("demo", "collect run", "collect import", "refresh", "download", "curate"),
    *("review import", "review apply", "dataset split"),
)
"""The steps that a round does again: by these new videos become clips with a side."""


@dataclass(frozen=True)
class UpdateOptions:
    """Every option of ``update`` besides its recipes."""

    replay: float = option(0.5, "recipe", "share of continued pre-training that is old clips", least=0, below=1)
    least_new: int = option(1, "recipe", "learn once so many new clips are there to train on", metavar="N", least=1)
    margin: float = option(0.05, "test", "promote unless top-1 may be lower than the last by more than this", least=0)
    test: str | None = option(None, "test", "the fixed test set (default: that of 'finetune', or its test side so far)")
    drift_clips: int = option(1000, "test", "new and old clips that are compared", metavar="N", least=1)

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True)
class Model:
    """A pre-trained run and what was fine-tuned from it."""

    pretrained: str
    finetuned: str


@dataclass(frozen=True)
class Round:
    """What a finished round found and decided."""

    at: str
    since: int
    """The version of the dataset whose clips the model before had learned."""
    version: int
    came: int
    went: int
    changed: int
    model: Model
    promoted: bool
    reasons: tuple[str, ...]
    compared: Paired | None
    drift: tuple[Drift, ...]


@dataclass(frozen=True)
class Begun:
    """A round under way: a day later it goes on as it was begun."""

    at: str
    first: date | None = None
    """The days that are collected."""
    last: date | None = None


@dataclass(frozen=True)
class Updates:
    """The contents of ``updates.json``."""

    base: Model
    """What the project itself has trained."""
    version: int
    """Of the dataset, before the first update."""
    looked_at: int
    """The version of which the last round knew."""
    collected: date | None = None
    """The last day that was collected."""
    rounds: tuple[Round, ...] = ()
    begun: Begun | None = None
    tainted: tuple[str, ...] = ()
    """Models that had seen clips which were taken down since."""
    format: int = 1

    @property
    def promoted(self) -> tuple[Model, int]:
        """The model in use, and the version of the dataset whose clips it has learned."""
        kept = (found for found in reversed(self.rounds) if found.promoted)
        return next(((found.model, found.version) for found in kept), (self.base, self.version))


def folder_of(project: Project) -> Path:
    return project.file.with_name(f"{project.file.stem}.updates")


def read_updates(folder: Path) -> Updates | None:
    """Raises :class:`ProjectError` where the file is damaged."""
    path = folder / UPDATES
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Updates)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path}: not a valid {UPDATES}: {error}") from error


def write_updates(folder: Path, updates: Updates) -> None:
    write_json(folder / UPDATES, to_builtins(updates))


def begun_of(project: Project, updates: Updates, at: str) -> Begun:
    """The round under way, else a new one. Which days are collected is decided once: those after the last that were, as far
    as the API knows them."""
    asked = next((step for step in project.steps if step.command == "collect run"), None)
    if updates.begun is not None or asked is None:
        return updates.begun or Begun(at)
    with Collection(Path(str(asked.output))) as base:
        last = updates.collected or date.fromisoformat(base.setting("wanted")["to"])
    return Begun(at, last + timedelta(days=1), date.fromisoformat(at[:10]) - timedelta(days=LAG_DAYS))


# --- what is done ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """The steps of a project that an update is about."""

    dataset: str
    pretrain: Step
    finetune: Step


def parts_of(project: Project) -> Parts:
    """Raises :class:`ProjectError` where the project does not curate, pre-train and fine-tune."""
    curated = [str(s.call.get("curate_into") or s.output) for s in project.steps if s.command in ("curate", "download")]
    before = [step for step in project.steps if step.command == "pretrain"]
    tuned = [step for step in project.steps if step.command == "finetune"]
    after = [step for step in tuned if before and step.call.get("init") == before[0].output]
    wanted = {"curate": curated, "pretrain": before, "finetune with its init": after}
    if lacking := [name for name, found in wanted.items() if not found]:
        raise ProjectError(f"{project.file}: no step {', '.join(lacking)}; an update learns what came, by these steps")
    return Parts(curated[-1].rstrip("/"), before[0], after[0])


def test_of(project: Project, parts: Parts, options: UpdateOptions) -> object:
    """The fixed test set: a frozen copy of the test side of the dataset, unless other data are tested on."""
    given, data = options.test or parts.finetune.call.get("test"), parts.finetune.call["data"]
    frozen = str(folder_of(project).relative_to(project.file.parent) / "test")
    return given or (frozen if parts.dataset in ([data] if isinstance(data, str) else list(data)) else data)  # type: ignore[call-overload]


def data_steps(project: Project, begun: Begun) -> list[Step]:
    """What makes clips of new videos. New metadata are a collection of their own; files are fetched for all collections,
    because some failed for now in earlier rounds, and what is curated of the first collection is curated of all."""
    steps: list[Step] = []
    folder = folder_of(project).relative_to(project.file.parent) / "collections"
    collections = [str(there) for there in sorted(folder.iterdir())] if folder.is_dir() else []
    first = {step.output for step in project.steps if step.command in ("collect run", "collect import")}
    for step in project.steps:
        if step.command == "collect run" and begun.first is not None and begun.last is not None:
            if begun.first <= begun.last:
                new = str(folder / f"{begun.first}-{begun.last}")
                steps.append(replace(step, call=step.call | {"output": new, "start": begun.first, "end": begun.last}))
                collections = [*dict.fromkeys([*collections, new])]
        elif step.command == "download":
            for collection in [step.call["collection"], *collections]:
                name = f"{step.name} {Path(str(collection)).name}"
                steps.append(replace(step, name=name, call=step.call | {"collection": collection}))
        elif step.command == "curate":
            given: object = step.call["videos"]
            videos = [given] if isinstance(given, str) else list(given)  # type: ignore[call-overload]
            more = collections if first & {str(video).rstrip("/") for video in videos} else []
            steps.append(replace(step, call=step.call | {"videos": [*videos, *more]}) if more else step)
        elif step.command in BEFORE_LEARNING:
            steps.append(step)
    return steps


def learning_steps(
    project: Project, updates: Updates, place: Path, options: UpdateOptions, recipes: Sequence[Call]
) -> list[Step]:
    """Continued pre-training with replay, fine-tuning, both models on the fixed test, and what drift is seen by. Where no old
    clip is left as it was (taken down, or a copy of a better one that came), there is no replay, and no drift to be seen."""
    parts, (last, since) = parts_of(project), updates.promoted
    dataset, data, test = parts.dataset, Dataset(parts.dataset), test_of(project, parts, options)

    def inside(name: str) -> str:
        return str(place / name)

    def subset(name: str, **how: object) -> Step:
        call = {"dataset": dataset, "output": inside(name), "by": "random", **how}
        return Step(name, "dataset subset", call)

    def is_left(*on: str) -> bool:
        return bool(candidates_of(data, Choice(until=since, sides=on)))

    sides = ("train",) if is_split(data.tables) else ()
    steps = [subset("new", since=since, sides=sides)]
    sources, mix = [inside("new")], [1.0]
    if options.replay and is_left(*sides):
        steps.append(subset("old", until=since, sides=sides))
        sources, mix = [*sources, inside("old")], [1 - options.replay, options.replay]
    can_compare = is_left()
    if can_compare:
        steps.append(subset("sample-new", since=since, size=options.drift_clips))
        steps.append(subset("sample-old", until=since, size=options.drift_clips))
    if not updates.rounds and test == str(place.parent / "test"):
        steps.append(subset("test", until=updates.version, sides=("test",)))
        steps[-1].call["output"] = test
    before, after = parts.pretrain.call | recipes[0], parts.finetune.call | recipes[1]
    before |= {"data": sources, "mix": mix, "init": last.pretrained, "output": inside("pretrained")}
    after |= {"init": inside("pretrained"), "test": test, "output": inside("finetuned")}
    fields = {field.name for field in dataclasses.fields(EvaluateOptions)}
    views = {name: value for name, value in after.items() if name in fields}
    looks = {name: value for name, value in views.items() if name in ("device", "precision", "workers", "threads")}
    looks["run"] = last.finetuned
    steps += [
        replace(parts.pretrain, name="pretrain", call=before),
        replace(parts.finetune, name="finetune", call=after),
        Step("last", "evaluate", {**views, "run": last.finetuned, "data": test, "output": inside("last")}),
    ]
    for age in ("new", "old") if can_compare else ():
        seen = {"videos": [inside(f"sample-{age}")], "features": inside(f"{age}.parquet")}
        steps.append(Step(f"see-{age}", "predict", looks | seen))
    return steps


def decision(compared: Paired | None, margin: float) -> tuple[bool, str]:
    """Whether the new model is promoted, and why."""
    if compared is None:
        return False, "kept: no video of the fixed test set is left on which both models could be tested"
    if compared.low >= -margin:
        return True, f"promoted: {compared.told}; not worse by more than {100 * margin:g} points"
    return False, f"kept: {compared.told}; it may be worse by more than {100 * margin:g} points"


# --- taken down since -------------------------------------------------------------------------------------------------


def trained_on_removed(updates: Updates) -> Iterator[str]:
    """Models that had seen clips which were taken down since, a line for each.

    A take-down strikes out the lines of a run's ``clips.csv``; how many there were stays in ``run.json``.
    What began with the weights of such a run is told, too.
    """
    tainted: set[str] = set()
    for model in (updates.base, *(found.model for found in updates.rounds)):
        for path in (model.pretrained, model.finetuned):
            if not (Path(path) / "run.json").is_file():
                continue
            run = Run(path)
            with (run.path / "clips.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                left = sum(1 for _ in csv.reader(file)) - 1
            gone, begun = run.info.data.clips - left, run.info.init
            parent = None if begun is None else str(located(begun.path).absolute())
            if gone > 0 or parent in tainted:
                tainted.add(str(located(path).absolute()))
                own = f"{gone} of its {run.info.data.clips} clips were taken down since"
                yield f"{path}: {own if gone > 0 else 'begins with weights of such a model'}"
