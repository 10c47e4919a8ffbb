"""Carry out a project: one file from hashtags to report."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from tiktokactions.commands.config import checked_call, read_toml, said_of
from tiktokactions.commands.curate import Progress
from tiktokactions.commands.nouns import Run
from tiktokactions.commands.options import AnyPath, Kept, Passing, Typed, nothing, on_disk, path_list
from tiktokactions.commands.outcomes import Outcome, outcome_of
from tiktokactions.commands.signatures import callbacks_of, own_parameters, words_of
from tiktokactions.commands.studies import RECIPES, recipe_of
from tiktokactions.errors import BegunOtherwiseError, TiktokactionsError, UsageError
from tiktokactions.files import dataset_lock, disk_errors, move_into_place
from tiktokactions.machine import utc_now
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.options import checked_options
from tiktokactions.projects import chain as chains
from tiktokactions.projects.project import Call, Project, ProjectError, Step, project_of
from tiktokactions.records import to_builtins
from tiktokactions.study.child import MODULE, PARENT
from tiktokactions.study.options import PlanOptions
from tiktokactions.takedowns.derived import register
from tiktokactions.takedowns.links import overdue

if TYPE_CHECKING:
    from tiktokactions.projects.needs import ProjectNeeds
    from tiktokactions.study.plan import Needs

Shipped = Literal["laptop", "lab", "paper"]
SHIPPED: tuple[Shipped, ...] = get_args(Shipped)
BEGUN_ANEW = ("pretrain", "finetune", "study scaling", "study sources")
"""What is begun in another folder when its data are others: what was learned from the old ones is put aside."""


@dataclass(frozen=True)
class StepDone:
    """A step of a project after a run, or, of a dry run, before it."""

    name: str
    typed: str
    """Its command as a person would type it."""
    state: Literal["up to date", "to do", "done", "again", "stopped", "left out"]
    why: str = ""
    seconds: float = 0.0
    told: str = ""


@dataclass(frozen=True)
class ProjectRun:
    """What a run of a project did, or would do."""

    project: str
    steps: list[StepDone]
    needs: Needs | None = None
    """Of a dry run: the plan."""

    @property
    def stopped(self) -> StepDone | None:
        """The step that cannot be finished now."""
        return next((step for step in self.steps if step.state == "stopped"), None)


@dataclass(frozen=True)
class Heard:
    """Who hears what a step tells, by the kind of callback."""

    by_kind: Mapping[str, Callable[..., None]]
    note: Callable[[str], None]
    shard: str | None


def run(
    project: AnyPath,
    *,
    from_step: Annotated[str | None, Typed("from", "STEP")] = None,
    until: Annotated[str | None, Typed("until", "STEP")] = None,
    shard: str | None = None,
    dry_run: bool = False,
    write: Shipped | None = None,
    progress: Callable[[Progress], None] = nothing,
    training: Callable[[TrainingProgress], None] = nothing,
    note: Kept = nothing,
    passing: Passing = nothing,
) -> ProjectRun:
    """Carry out a project: the steps of a TOML file, each a command with its options (docs/projects.md).

    The same command continues after any kill, redoes what changed, and says why.

    Args:
        project: the file. Paths in it are looked for beside it; beside it is also its memory, ``NAME.chain/``.
        from_step: begin with this step; those before it are not looked at.
        until: end with this step.
        shard: ``i/n``: as for 'curate'; the machine that finishes last goes on with the steps after it.
        dry_run: only say what would be done and why, and what the project needs, by 'plan'.
        write: first write the file: ``laptop`` (sample videos, minutes), ``lab`` (10,000 videos, one GPU) or ``paper``.
        progress, training, note, passing: receive the progress of curation, of training, of everything else.

    Raises:
        UsageError: a file that cannot be followed; whatever a step raises.
        DatasetBusyError: another run is at work on the project.

    Example:
        tiktokactions run laptop.toml --write laptop --dry-run
        tiktokactions run project.toml
    """
    file = on_disk(project, "a project").absolute()
    if write is not None:
        _write(file, write)
    heard: dict[str, Callable[..., None]]
    heard = {"Progress": progress, "TrainingProgress": training, "kept": note, "passing": passing}
    # A step does what its command does when it is typed beside the file.
    with disk_errors(), inside(file.parent):
        found = read_project(file)
        wanted = found.wanted(from_step, until)
        if dry_run:
            return ProjectRun(str(file), list(_looked_at(found, wanted)), planned(found, passing).as_needs())
        return ProjectRun(str(file), carried_out(found, wanted, Heard(heard, note, shard)))


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """With the folder of a project as the current one."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    with contextlib.chdir(folder):
        yield


def read_project(file: Path) -> Project:
    """What the file says, checked. Raises :class:`UsageError`."""
    return project_of(file, read_toml(file), checked)


def checked(command: str, told: Mapping[str, object], where: str) -> Call:
    """Options of a command as a file says them, each of its type; recipes, too."""
    function = _function(command)
    call = checked_call(function, told, where)
    if asked := [name for name in call if name == "dry_run" or (name == "shard" and name in own_parameters(function))]:
        raise ProjectError(f"{where}: {asked[0]} is not for a file; give it to 'run'")
    for name in RECIPES.keys() & call.keys():
        with said_of(f"{where}, {name}"):
            recipe_of(name, call[name])  # type: ignore[arg-type]
    return call


def _function(command: str) -> Callable[..., Any]:
    name = command.replace(" ", "_")
    found: Callable[..., Any] = getattr(importlib.import_module(f"tiktokactions.commands.{name}"), name)
    return found


def shipped(name: Shipped) -> str:
    """The text of a project that comes with the program."""
    from importlib import resources

    return resources.files("tiktokactions.projects").joinpath(f"{name}.toml").read_text(encoding="utf-8")


def _write(file: Path, name: Shipped) -> None:
    from tiktokactions.files import create

    if name not in SHIPPED:
        raise UsageError(f"`write`: got {name!r}, expected one of {', '.join(SHIPPED)}")
    text = shipped(name).encode()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        create(file, text)
    elif file.read_bytes() != text:
        raise UsageError(f"{file}: is there already and another file; `write` changes nothing, so name a new file")


def _typed(step: Step) -> str:
    words = ["tiktokactions", *step.command.split(), *words_of(_function(step.command), step.call)]
    if step.torchrun:
        words = ["torchrun", *shlex.split(step.torchrun), "-m", *words]
    return shlex.join(words)


# --- before ---------------------------------------------------------------------------------------------------------


def _looked_at(project: Project, wanted: Sequence[Step]) -> Iterator[StepDone]:
    """What would be done: what has a reason of its own, and what touches what that might change."""
    chain, changing = chains.read_chain(project.chain), dict[str, str]()
    for step in wanted:
        why = chains.why_again(chain, step, project.steps)
        paths = step.paths(project.made)
        if not why and (touched := [path for path in paths if path in changing]):
            why = f"if {' or '.join(touched)} changes in step {changing[touched[0]]}"
        if why:
            changing |= {path: step.name for path in paths if path not in changing}
        yield StepDone(step.name, _typed(step), "to do" if why else "up to date", why)


def planned(project: Project, passing: Callable[[str], None]) -> ProjectNeeds:
    """What the project needs, by 'plan'."""
    from tiktokactions.commands.plan import plan
    from tiktokactions.projects.needs import needs_of_project, videos_of

    told, note = dict(project.plan), ""
    if "videos" not in told:
        told["videos"], note = videos_of(project)
    options = checked_options(PlanOptions, {name: value for name, value in told.items() if name != "measure"})
    return needs_of_project(project, plan(**told, report=passing), options, note)  # type: ignore[arg-type]


# --- the steps ------------------------------------------------------------------------------------------------------


def carried_out(project: Project, wanted: Sequence[Step], heard: Heard) -> list[StepDone]:
    """One step after the other, until one cannot be finished now."""
    done: list[StepDone] = []
    with contextlib.ExitStack() as until_the_end:
        if heard.shard is None:
            until_the_end.enter_context(dataset_lock(project.chain))
        for step in wanted:
            if done and done[-1].state in ("stopped", "left out"):
                done.append(StepDone(step.name, _typed(step), "left out"))
            else:
                done.append(_done(project, step, heard, any(earlier.state != "up to date" for earlier in done)))
    return done


def _done(project: Project, step: Step, heard: Heard, others_ran: bool) -> StepDone:
    """Carry out a step if there is a reason to, and remember what it found and left."""
    typed, why = _typed(step), chains.why_again(chains.read_chain(project.chain), step, project.steps)
    if step.command == "report" and others_ran:
        why = why or "steps before it were carried out"
    if not why:
        return StepDone(step.name, typed, "up to date")
    heard.note(f"step {step.name}: {why}")
    for warning in overdue(step.paths()):
        heard.note(f"warning: {warning}")
    began, part = _clocks(), None
    if heard.shard is not None and "shard" in own_parameters(_function(step.command)):
        # Its part is done beside other machines, so without the project's lock; the last one remembers the step.
        part = outcome_of(step, _result(step, step.call | {"shard": heard.shard}, heard))
        if part.state == "stopped":
            return StepDone(step.name, typed, "stopped", why, round(time.perf_counter() - began[0], 1), part.told)
    with contextlib.nullcontext() if heard.shard is None else dataset_lock(project.chain):
        attempt = _begin(project, step, typed, why, heard)
        try:
            came = part or _called(project, step, heard)
        except TiktokactionsError as error:
            _end(project, step, replace(attempt, state="failed", told=str(error).partition("\n")[0]), began)
            heard.note(f"step {step.name}: failed; when that is put right, the same command goes on from here")
            raise
        ended = replace(attempt, state=came.state, told=came.told, spent={"requests": came.requests})
        seconds = _end(project, step, ended, began)
    return StepDone(step.name, typed, came.state, why, seconds, came.told)


def _clocks() -> tuple[float, float]:
    """Seconds that passed, and CPU seconds of this process and of those that it has waited for."""
    return time.perf_counter(), sum(os.times()[:4])


def _begin(project: Project, step: Step, typed: str, why: str, heard: Heard) -> chains.Attempt:
    from tiktokactions.model.run import package_versions

    chain = chains.read_chain(project.chain)
    if not chain.records:  # what the plan says before anything is done, for the report
        rows = [{"step": name, **to_builtins(need)} for name, need in planned(project, heard.by_kind["passing"]).rows]
        chain = replace(chain, title=project.title, plan=rows)
    names = {"core_h": "core_h_price", "gpu_h": "gpu_h_price", "gb": "gb_price", "currency": "currency"}
    prices: dict[str, Any] = {name: project.plan[told] for name, told in names.items() if told in project.plan}
    chain = replace(chain, prices=prices)
    record = chain.records.get(step.name)
    if step.command in BEGUN_ANEW and record is not None and record.made:
        changed = chains.changed_paths(chain, step, project.steps, but=step.output)
        if step.torchrun:  # whose processes cannot say that the folder holds a run with other settings
            changed = changed or chains.changed_options(record, step)
        if changed:
            _put_aside(step, changed, heard)
    attempt = chains.Attempt(utc_now(), why, versions=package_versions())
    before = {path: chains.fingerprint(path, project.made) for path in step.paths(project.made)}
    chains.write_chain(project.chain, chains.begun(chain, step, typed, attempt, before), project.steps)
    return attempt


def _end(project: Project, step: Step, attempt: chains.Attempt, began: tuple[float, float]) -> float:
    from tiktokactions.projects.needs import gpus_of

    seconds, core_s = (now - then for now, then in zip(_clocks(), began, strict=True))
    seconds = round(seconds, 1)
    spent = {"core_h": core_s / 3600, "gpu_h": gpus_of(step) * seconds / 3600, **attempt.spent}
    if step.output is not None:
        spent["gb"] = chains.gb_of(step.output)
    attempt = replace(attempt, seconds=seconds, spent={name: round(value, 6) for name, value in spent.items() if value})
    after = {path: chains.fingerprint(path, project.made) for path in step.paths(project.made)}
    left = after if attempt.state in ("done", "again") else None
    chain = chains.ended(chains.read_chain(project.chain), step, attempt, left)
    chains.write_chain(project.chain, chain, project.steps)
    return seconds


def _called(project: Project, step: Step, heard: Heard) -> Outcome:
    call = dict(step.call)
    if step.command == "report":
        call["inputs"] = [*path_list(call["inputs"]), project.chain.name]  # type: ignore[arg-type]
    try:
        return outcome_of(step, _result(step, call, heard))
    except BegunOtherwiseError as error:
        if not chains.read_chain(project.chain).records[step.name].made:
            raise
        _put_aside(step, str(error).replace("\n", " "), heard)
        return outcome_of(step, _result(step, call, heard))


def _result(step: Step, call: Call, heard: Heard) -> object:
    if not step.torchrun:
        return _function(step.command)(**call, **_told(step, heard))
    _several_processes(step)
    return Run(str(step.output)) if step.command in ("pretrain", "finetune") else None


def _told(step: Step, heard: Heard) -> dict[str, Callable[..., None]]:
    """The callbacks of a step, each heard by whoever hears its kind."""
    kinds = callbacks_of(_function(step.command))
    return {name: heard.by_kind[kind] for name, kind in kinds.items() if kind in heard.by_kind}


def _several_processes(step: Step) -> None:
    """The command under torchrun; it ends with this process."""
    words = [*shlex.split(step.torchrun), "-m", "tiktokactions", *step.command.split()]
    words += words_of(_function(step.command), step.call)
    ours = {PARENT: str(os.getpid()), MODULE: "torch.distributed.run"}
    child = [sys.executable, "-m", "tiktokactions.study.child", *words]
    process = subprocess.Popen(child, env=os.environ | ours, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if code:
        raise ProjectError(f"step {step.name}: torchrun ended with exit code {code}; the lines above say why")


def _put_aside(step: Step, why: str, heard: Heard) -> None:
    """What was learned before stays, under another name."""
    output = on_disk(str(step.output), "a run or a study")
    if output.exists():
        aside = next(p for n in itertools.count(1) if not (p := output.with_name(f"{output.name}.before-{n}")).exists())
        kind: Literal["study", "run"] = "study" if step.command.startswith("study") else "run"
        register([path for path in step.paths() if path != step.output], aside, kind)  # a take-down finds it there
        move_into_place(output, aside)
        heard.note(f"step {step.name}: {why}; what is in {output} was put aside as {aside}")
