"""Learn what came since last time: one round of a project, as often as you like."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tiktokactions.commands.curate import Progress
from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.dataset_diff import dataset_diff
from tiktokactions.commands.options import AnyPath, Config, Kept, Passing, nothing, on_disk, takes
from tiktokactions.commands.report import report
from tiktokactions.commands.run import Heard, StepDone, carried_out, checked, inside, read_project
from tiktokactions.commands.studies import recipes_of
from tiktokactions.errors import UsageError
from tiktokactions.files import dataset_lock, delete, disk_errors
from tiktokactions.machine import utc_now
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import Run
from tiktokactions.options import checked_options
from tiktokactions.projects import updates as rounds
from tiktokactions.projects.drift import Drift, drift_of
from tiktokactions.projects.project import Project, Step
from tiktokactions.study.paired import answers_of, paired
from tiktokactions.takedowns.derived import register

REPORT = "report.html"
State = Literal["promoted", "kept", "nothing new", "stopped"]


@dataclass(frozen=True)
class UpdateResult:
    """What a round did."""

    updates: str
    """The folder of the rounds, with ``report.html``."""
    number: str
    """Of the round; that of the next where nothing was new."""
    state: State
    reasons: tuple[str, ...]
    pretrained: str
    """The model in use now, and what it was fine-tuned from."""
    finetuned: str
    steps: list[StepDone]
    trained_on_removed: tuple[str, ...]
    """Models that had seen clips which were taken down since."""


@takes(rounds.UpdateOptions)
def update(
    project: AnyPath,
    *,
    pretrain_config: Config = None,
    finetune_config: Config = None,
    progress: Callable[[Progress], None] = nothing,
    training: Callable[[TrainingProgress], None] = nothing,
    note: Kept = nothing,
    passing: Passing = nothing,
    **options: object,
) -> UpdateResult:
    """Learn what came since last time: collect, curate, continue training with replay, test, promote or keep the last model.

    The same command continues after any kill; where nothing is new it changes nothing. Call it every week (docs/projects.md).

    Args:
        project: a file that 'run' has carried out once; its table ``[update]`` holds these options, too.
        pretrain_config: options of 'pretrain' that differ from the project's: a TOML file, or a dict.
        finetune_config: options of 'finetune' that differ from the project's.
        progress, training, note, passing: as for :func:`run`.
        **options: any field of :class:`tiktokactions.projects.updates.UpdateOptions`.

    Raises:
        UsageError: a project that cannot be followed or was not carried out; whatever a step raises.
        DatasetBusyError: another run is at work on the project.

    Example:
        tiktokactions run weekly.toml
        tiktokactions update weekly.toml --replay 0.5
    """
    file = on_disk(project, "a project").absolute()
    heard = Heard({"Progress": progress, "TrainingProgress": training, "kept": note, "passing": passing}, note, None)
    with disk_errors(), inside(file.parent):
        found = read_project(file)
        tables: list[Any] = [found.update.get(f"{name}_config") for name in ("pretrain", "finetune")]
        names = {field.name for field in dataclasses.fields(rounds.UpdateOptions)}
        told = {name: value for name, value in found.update.items() if name in names}
        settings = checked_options(rounds.UpdateOptions, told | options)
        with dataset_lock(found.chain):
            return _update(
                found, settings, recipes_of(pretrain_config or tables[0], finetune_config or tables[1]), heard
            )


def _update(
    project: Project, options: rounds.UpdateOptions, recipes: Sequence[dict[str, object]], heard: Heard
) -> UpdateResult:
    folder, parts = rounds.folder_of(project).relative_to(project.file.parent), rounds.parts_of(project)
    known = rounds.read_updates(folder) or _first(project, parts)
    if known.rounds and not (folder / REPORT).is_file():  # killed after the decision
        _report(folder, parts, known)
    begun = rounds.begun_of(project, known, utc_now())
    known = replace(known, begun=begun)
    rounds.write_updates(folder, known)
    place, steps = folder / str(len(known.rounds) + 1), list[StepDone]()

    def result(state: State, *reasons: str) -> UpdateResult:
        model, seen = known.promoted[0], tuple(rounds.trained_on_removed(known))
        return UpdateResult(str(folder), place.name, state, reasons, model.pretrained, model.finetuned, steps, seen)

    def goes_on(name: str, wanted: list[Step]) -> bool:
        """Carry out steps as a project of their own, which remembers what is done of them."""
        calls = [replace(step, call=checked(step.command, step.call, step.name)) for step in wanted]
        plan = {name: value for name, value in project.plan.items() if name != "measure"}
        part = Project((place / f"{name}.toml").absolute(), project.title, tuple(calls), plan)
        steps.extend(carried_out(part, calls, heard))
        return steps[-1].state not in ("stopped", "left out")

    if not goes_on("data", rounds.data_steps(project, begun)):
        return result("stopped", next(step.told for step in steps if step.state == "stopped"))
    (_, since), version = known.promoted, Dataset(parts.dataset).info.version
    new = dataset_diff(parts.dataset, since=since)
    known = replace(known, collected=begun.last or known.collected, begun=None)
    to_learn = sum(new.sides[video_id][1] in ("train", "") for video_id in (*new.came, *new.changed))
    if version == known.looked_at or to_learn < options.least_new:
        rounds.write_updates(folder, replace(known, tainted=tuple(rounds.trained_on_removed(known))))
        told = f"{to_learn} clips to train on came or changed since version {since} of {parts.dataset}"
        return result("nothing new", f"nothing to learn: {told}")
    if not goes_on("learning", rounds.learning_steps(project, known, place, options, recipes)):
        return result("stopped", next(step.told for step in steps if step.state == "stopped"))
    compared = paired(answers_of(place / "finetuned/evaluations/test"), answers_of(place / "last"))
    promoted, reason = rounds.decision(compared, options.margin)
    reasons, drift = [reason], tuple[Drift, ...]()
    if {"sample-new", "sample-old"} <= {step.name for step in steps}:
        samples = (Dataset(place / "sample-new"), Dataset(place / "sample-old"))
        drift = tuple(drift_of(*samples, (place / "new.parquet", place / "old.parquet")))
    else:
        reasons.append(f"no clip of version {since} is left as it was: nothing was replayed, and drift is not known")
    register([parts.dataset], place / "diff.csv", "features")
    dataset_diff(parts.dataset, output=place / "diff.csv", since=since)
    model = rounds.Model(str(place / "pretrained"), str(place / "finetuned"))
    counts = (len(new.came), len(new.went), len(new.changed))
    done = rounds.Round(begun.at, since, version, *counts, model, promoted, tuple(reasons), compared, drift)
    known = replace(known, looked_at=version, rounds=(*known.rounds, done))
    known = replace(known, tainted=tuple(rounds.trained_on_removed(known)))
    delete(folder / REPORT)
    rounds.write_updates(folder, known)
    _report(folder, parts, known)
    return result("promoted" if promoted else "kept", *reasons)


def _first(project: Project, parts: rounds.Parts) -> rounds.Updates:
    """Before the first round: the project's own models are the last ones."""
    base = rounds.Model(str(parts.pretrain.output), str(parts.finetune.output))
    if not all(Run(path).finished for path in (base.pretrained, base.finetuned)):
        raise UsageError(
            f"{project.file}: was not carried out yet, so there is no model to go on from: 'run' does that"
        )
    version = Dataset(parts.dataset).info.version
    return rounds.Updates(base, version, version)


def _report(folder: Path, parts: rounds.Parts, known: rounds.Updates) -> None:
    model = known.rounds[-1].model
    chains = [Path(model.pretrained).with_name(f"{name}.chain") for name in ("data", "learning")]
    shown = [str(path) for path in (folder, parts.dataset, model.pretrained, model.finetuned, *chains)]
    report(shown, folder / REPORT, title=f"Round {len(known.rounds)}")
