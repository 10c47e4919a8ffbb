"""What is done of a project (``chain.json``), and why a step has to be done again.

Every step remembers what it was asked to do and the fingerprint of each thing that it reads or writes, before and after.
A step is up to date while it is asked for the same, and what it touched is as it left it or as later steps left it.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.history import COLUMNS
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, file_sizes, listing, local_path, located, write_json
from tiktokactions.projects.project import Call, Step
from tiktokactions.records import JsonObject, to_builtins
from tiktokactions.reporting.runs import HOW_NOT_WHAT

CHAIN = "chain.json"
HOW = frozenset({*HOW_NOT_WHAT, "engine", "jobs", "timeout_s", "shard", "retry", "progress"})
"""Options that do not change what comes out."""
SMALL_BYTES = 1_000_000
"""Files up to this size are compared by their contents, larger ones by size and time."""
State = Literal["running", "done", "again", "stopped", "failed"]
"""``again``: finished, but something is left that the next run tries again."""


@dataclass(frozen=True)
class Attempt:
    """One time that a step was carried out."""

    began: str
    why: str
    state: State = "running"
    """As long as nothing else is known: a run that was killed leaves it so."""
    seconds: float | None = None
    told: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    """``core_h``, ``gpu_h``, ``requests`` of the Research API, and the ``gb`` of its output afterwards."""


@dataclass(frozen=True)
class Record:
    """What is known of a step."""

    command: str
    typed: str
    """The command as a person would type it."""
    call: JsonObject
    before: dict[str, str]
    """Fingerprints of what it touches, as it found it."""
    after: dict[str, str] | None
    """And as it left it; None while it is unfinished."""
    attempts: tuple[Attempt, ...]
    states: dict[str, list[str]] = field(default_factory=dict)
    """All fingerprints that its attempts found or left, in their order, by path."""
    made: bool = False
    """Whether its output was made here: it was not there before the first attempt."""

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]


@dataclass(frozen=True)
class Chain:
    """The contents of ``chain.json``."""

    title: str = ""
    records: dict[str, Record] = field(default_factory=dict)
    """By the names of the steps, in the order of the project."""
    plan: list[JsonObject] = field(default_factory=list)
    """What the plan said before: ``step``, ``name``, ``value``, ``unit``."""
    prices: dict[str, float | str] = field(default_factory=dict)
    """``core_h``, ``gpu_h``, ``gb`` and ``currency``, as far as the project gives them."""
    format: int = 1


def read_chain(folder: Path) -> Chain:
    """Raises :class:`UsageError` where ``chain.json`` is damaged."""
    path = folder / CHAIN
    if not path.exists():
        return Chain()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Chain)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a valid {CHAIN}: {error}; without it every step is looked at again") from error


def write_chain(folder: Path, chain: Chain, steps: Sequence[Step]) -> None:
    names = [step.name for step in steps]
    known = {name: chain.records[name] for name in names if name in chain.records}
    write_json(folder / CHAIN, to_builtins(replace(chain, records=known)))


def begun(chain: Chain, step: Step, typed: str, attempt: Attempt, before: dict[str, str]) -> Chain:
    """With one more attempt of a step."""
    known = chain.records.get(step.name)
    made = known.made if known else step.output is not None and not before.get(step.output.rstrip("/"))
    attempts = (*(known.attempts if known else ()), attempt)
    states = _with_states(known.states if known else {}, before)
    record = Record(step.command, typed, plain(step.call), before, None, attempts, states, made)
    return replace(chain, records=chain.records | {step.name: record})


def ended(chain: Chain, step: Step, attempt: Attempt, after: dict[str, str] | None) -> Chain:
    """With the end of the attempt under way."""
    record = chain.records[step.name]
    states = _with_states(record.states, after or {})
    changed = replace(record, attempts=(*record.attempts[:-1], attempt), after=after, states=states)
    return replace(chain, records=chain.records | {step.name: changed})


def _with_states(states: dict[str, list[str]], found: dict[str, str]) -> dict[str, list[str]]:
    return states | {path: [*(s for s in states.get(path, []) if s != now), now] for path, now in found.items()}


def plain(call: Call) -> JsonObject:
    """As JSON holds it, so that it can be compared with what was remembered."""
    told: JsonObject = json.loads(json.dumps({name: v for name, v in call.items() if name not in HOW}, default=str))
    return told


# --- why ------------------------------------------------------------------------------------------------------------


def why_again(chain: Chain, step: Step, steps: Sequence[Step]) -> str:
    """Why a step has to be carried out; empty while it is up to date."""
    record = chain.records.get(step.name)
    if record is None:
        return "not done yet"
    if record.last.state == "running":
        return f"was interrupted; begun {record.last.began}"
    if record.last.state in ("again", "failed", "stopped"):
        return f"{'stopped' if record.last.state == 'again' else record.last.state} before: {record.last.told}"
    if record.command != step.command:
        return f"was {record.command}, is {step.command}"
    if changed := changed_options(record, step):
        return changed
    return changed_paths(chain, step, steps)


def changed_options(record: Record, step: Step) -> str:
    """Which options are others than those that it was last asked for; empty if none."""
    old, new = record.call, plain(step.call)
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return "; ".join(f"{name}: was {_shown(old, name)}, is {_shown(new, name)}" for name in names)


def _shown(call: JsonObject, name: str) -> str:
    return json.dumps(call[name], ensure_ascii=False) if name in call else "not given"


def changed_paths(chain: Chain, step: Step, steps: Sequence[Step], but: str | None = None) -> str:
    """What a step touches (``but`` one path) and is not as this step or a later one left it; empty if all is."""
    record = chain.records[step.name]
    left = record.after if record.after is not None else record.before
    made = [str(other.output) for other in steps if other.output]
    for path in dict.fromkeys([*left, *step.paths(made)]):
        if path == but:
            continue
        now = fingerprint(path, made)
        if path not in left:
            return f"{path} is new"
        if not _is_as_left(chain, step, steps, path, left[path], now):
            return f"{path} is gone" if not now else f"{path} changed" if left[path] else f"{path} is there now"
    return ""


def _is_as_left(chain: Chain, step: Step, steps: Sequence[Step], path: str, left: str, now: str) -> bool:
    """Whether the state of a path is what this step left, or what later steps made of that, one after the other."""
    if now == left:
        return True
    for later in steps[list(steps).index(step) + 1 :]:
        record = chain.records.get(later.name)
        states = record.states.get(path, []) if record is not None else []
        if record is None or left not in states:
            continue
        if record.after is None or now in states[states.index(left) :]:
            return True  # while it is under way, it may have left any state
        left = record.after.get(path, left)
    return False


# --- fingerprints ---------------------------------------------------------------------------------------------------


def fingerprint(path: str, made: Collection[str] = ()) -> str:
    """Of what lies there, as far as it matters to what reads it; empty where there is nothing.

    Of a dataset: the verdict, labels, clip and side of every video. Of a run or a study: its settings and result. Of other
    things: contents of small files, size and time of large ones, in folders without what steps have ``made`` in them.
    """
    told = hashlib.sha256()
    for part in _parts(path, {os.path.normpath(other) for other in made}):
        told.update(part + b"\0")
    return "" if told.digest() == hashlib.sha256().digest() else told.hexdigest()[:16]


def _parts(path: str, made: Collection[str]) -> Iterator[bytes]:
    if glob.has_magic(path):
        for found in sorted(glob.glob(path, recursive=True)):
            yield from _parts(found, made)
        return
    place = located(path)
    if (place / "dataset.json").is_file():
        yield from _dataset(place)
    elif any((place / name).is_file() for name in ("run.json", "study.json")):
        files = (place / name for name in ("run.json", "study.json", "result.json"))
        yield from (file.read_bytes() for file in files if file.is_file())
    elif place.is_file():
        yield from _file(place)
    else:
        yield from _folder(place, made)


def gb_of(path: str) -> float:
    """What lies there, in GB."""
    place = located(path)

    def below(folder: Place) -> int:
        return sum(file_sizes(folder).values()) + sum(map(below, listing(folder)[1]))

    return (below(place) if place.is_dir() else file_sizes(place.parent).get(place.name, 0)) / 1e9


def _dataset(place: Place) -> Iterator[bytes]:
    data = Dataset(place)
    yield repr(sorted(data.options.group("clip").items())).encode()
    if data.manifest.exists():
        for batch in data.batches([*COLUMNS, "sha256"]):
            yield batch.serialize().to_pybytes()


def _file(place: Place) -> Iterator[bytes]:
    local = local_path(place)
    if local is None:
        yield repr((place.name, file_sizes(place.parent).get(place.name))).encode()
    elif local.exists():
        stat = local.stat()
        small = stat.st_size <= SMALL_BYTES and local.suffix != ".sqlite"
        yield local.name.encode("utf-8", "surrogateescape")
        yield local.read_bytes() if small else repr((stat.st_size, stat.st_mtime_ns)).encode()
        if local.suffix == ".sqlite":
            yield from _file(local.with_name(f"{local.name}-wal"))


def _folder(place: Place, made: Collection[str]) -> Iterator[bytes]:
    """Every file below by name, size and time (on a store, name and size); hidden ones are nobody's data."""
    local = local_path(place)
    if local is None:
        yield from (f"{place.name}/{name} {size}".encode() for name, size in sorted(file_sizes(place).items()))
        for below in listing(place)[1]:
            yield from _folder(below, made)
        return
    for folder, folders, files in os.walk(local):
        ours = {name for name in (*folders, *files) if os.path.normpath(os.path.join(folder, name)) in made}
        folders[:] = sorted({n for n in folders if not n.startswith(".") and not n.endswith(".chain")} - ours)
        for name in sorted(
            name for name in {*files} - ours if not name.startswith(".") and not name.endswith(("-wal", "-shm"))
        ):
            stat = os.stat(os.path.join(folder, name))
            told = f"{os.path.relpath(folder, local)}/{name} {stat.st_size} {stat.st_mtime_ns}"
            yield told.encode("utf-8", "surrogateescape")
