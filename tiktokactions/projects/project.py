"""A project's file: a list of steps, each a command with its options, in the order in which they are carried out.

There is nothing else to learn: the options of a step are those of its command, checked by whoever knows the commands. A
relative path is looked for beside the file.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tiktokactions.clips.synthetic import real_data
from tiktokactions.errors import UsageError
from tiktokactions.files import located
from tiktokactions.reviews.store import store_path

COMMANDS = (
    *("demo", "hashtags propose", "hashtags select", "collect run", "collect import", "refresh", "download", "curate"),
    *("review import", "review apply", "dataset split", "dataset subset", "dataset merge", "dataset hydrate"),
    *("dataset export", "release", "pretrain", "finetune", "evaluate", "predict", "export"),
    *("study scaling", "study sources", "extrapolate", "report"),
)
"""What a step can be; the rest serves, asks or only shows."""
TOGETHER = ("pretrain", "finetune", "evaluate", "predict")
"""Commands that several processes carry out together."""
WORDS_NOT_PATHS = ("labels", "sides", "title", "publisher", "licence", "contact", "citation", "terms", "push")

Call = dict[str, object]
"""Arguments by the names of a command's signature."""
Check = Callable[[str, Mapping[str, object], str], Call]
"""Of a command, what the file says and where: the arguments, each of its type; raises what is wrong."""


class ProjectError(UsageError):
    """A project's file that cannot be followed."""


@dataclass(frozen=True)
class Step:
    """One command of a project."""

    name: str
    command: str
    call: Call
    torchrun: str = ""
    """Several processes: what is typed after ``torchrun``."""
    wait_for_review: bool = False
    """Nothing after it is done while videos wait for people."""

    @property
    def output(self) -> str | None:
        """Where it writes, unless it changes what it reads."""
        said = self.call.get("output") or self.call.get("curate_into")
        return None if said is None else str(said).rstrip("/")

    def paths(self, made: Sequence[str] = ()) -> list[str]:
        """What it reads and writes, of what is there or is ``made`` by other steps."""
        said = [text for name, value in self.call.items() if name not in WORDS_NOT_PATHS for text in _texts(value)]
        said += [text.partition("=")[2] for text in said if "=" in text]
        if self.command == "review apply":
            said.append(str(store_path(located(str(self.call["dataset"])))))
        found = [text for text in real_data(said) if text == self.output or text in made or is_there(text)]
        return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Project:
    """What the file says."""

    file: Path
    title: str
    steps: tuple[Step, ...]
    plan: Call
    """Options of ``plan``."""
    update: Call = field(default_factory=dict)
    """Options of ``update``."""

    @property
    def chain(self) -> Path:
        """The folder that remembers what was done."""
        return self.file.with_name(f"{self.file.stem}.chain")

    @property
    def made(self) -> list[str]:
        """What the steps make."""
        return [step.output for step in self.steps if step.output is not None]

    def wanted(self, first: str | None, last: str | None) -> list[Step]:
        """The steps from ``first`` to ``last``. Raises :class:`ProjectError` where there is no such step."""
        names = [step.name for step in self.steps]
        for option, name in (("from", first), ("until", last)):
            if name is not None and name not in names:
                raise ProjectError(f"`{option}`: got {name!r}, expected one of {', '.join(names)}")
        begin, end = names.index(first) if first else 0, names.index(last) if last else len(names) - 1
        if begin > end:
            raise ProjectError(f"`from` {first}: stands after `until` {last}")
        return list(self.steps[begin : end + 1])


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    step: list[dict[str, Any]] = []
    title: str = ""
    plan: dict[str, Any] = {}
    update: dict[str, Any] = {}


class _Own(msgspec.Struct):
    """What a step says besides the options of its command."""

    command: str
    name: str = ""
    torchrun: str = ""
    wait_for_review: bool = False


def project_of(file: Path, told: Mapping[str, object], check: Check) -> Project:
    """The project that a TOML file tells of.

    Raises:
        ProjectError: an unknown command, two steps of one name, or a step that cannot do what it says.
    """
    table = _converted(told, _Table, str(file))
    steps: list[Step] = []
    for number, said in enumerate(table.step, start=1):
        own = _converted(said, _Own, f"{file}, step {number}")
        step = Step(own.name or own.command.replace(" ", "-"), own.command, {}, own.torchrun, own.wait_for_review)
        where = f"{file}, step {step.name}"
        if step.command not in COMMANDS:
            raise ProjectError(f"{where}: command {step.command!r}, expected one of {', '.join(COMMANDS)}")
        if step.name in [other.name for other in steps]:
            raise ProjectError(f"{where}: two steps have this name; give one of them another with name = ...")
        if step.torchrun and step.command not in TOGETHER:
            raise ProjectError(f"{where}: torchrun starts {', '.join(TOGETHER)}, not {step.command}")
        if step.wait_for_review and step.command != "review apply":
            raise ProjectError(f"{where}: wait_for_review is for 'review apply'")
        call = check(step.command, {n: v for n, v in said.items() if n not in _Own.__struct_fields__}, where)
        steps.append(Step(step.name, step.command, call, step.torchrun, step.wait_for_review))
    if not steps:
        raise ProjectError(f"{file}: no step in it; expected tables [[step]] with a command")
    _check_order(file, steps)
    plan = check("plan", table.plan, f"{file}, plan")
    update = check("update", {"project": str(file), **table.update}, f"{file}, update") if table.update else {}
    return Project(file, table.title or file.stem, tuple(steps), plan, update)


def _converted(told: object, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError as error:
        raise ProjectError(f"{where}: {error}".replace("`", "'")) from error


def _check_order(file: Path, steps: Sequence[Step]) -> None:
    made: list[str] = []
    for number, step in enumerate(steps):
        later = {str(other.output): other.name for other in steps[number + 1 :] if other.output not in (None, *made)}
        for path in step.paths(list(later)):
            if path in later and path != step.output:
                raise ProjectError(
                    f"{file}, step {step.name}: reads {path}, which only step {later[path]} makes, later"
                )
        made += [step.output] if step.output else []


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value.rstrip("/") or value
    elif isinstance(value, Mapping):
        yield from (text for inner in value.values() for text in _texts(inner))
    elif isinstance(value, Sequence):
        yield from (text for inner in value for text in _texts(inner))


def is_there(text: str) -> bool:
    """Whether a word is a path, a pattern or an address at which there is something."""
    if glob.has_magic(text):
        return bool(glob.glob(text, recursive=True))
    return bool(text) and "\0" not in text and len(text) < 4096 and located(text).exists()
