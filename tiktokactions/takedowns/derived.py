"""What was made of a folder and lies elsewhere: ``derived.json`` in each dataset that something was made of, and
``.derived.json`` in each collection, run, study, export and release.

Commands register what they write before they write it, so that a take-down finds it, also what a killed command has left.
Exports, releases and subsets have lists of their own, because a take-down makes them again; but what was made of *them* is
registered in their folders like everything else.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tiktokactions.clips.synthetic import real_data
from tiktokactions.collection.store import is_collection
from tiktokactions.dataset.subset_mark import origin_of
from tiktokactions.files import (
    Place,
    absolute,
    json_bytes,
    listing_lock,
    local_path,
    located,
    may_be_refused,
    read_json,
    write_atomic,
    write_listed,
)
from tiktokactions.machine import utc_now

REMEMBERED = "derived.json"
"""In a dataset; hidden in other folders, which people hand on."""
MARKS = ("dataset.json", "collection.sqlite", "run.json", "study.json", "export.json", "release.json", "ids.json")
"""By these a folder is known that things are made of."""
LISTS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".gz")
AnyPath = str | os.PathLike[str] | Place
Kind = Literal[
    "dataset", "run", "evaluation", "features", "weights", "study", "report", "review export", "input", "copy"
]
"""An input is a list or metadata that somebody gave; a copy is of what was exported, or holds such videos otherwise."""


@dataclass(frozen=True)
class Derived:
    """One thing that was made of a folder."""

    kind: Kind
    path: str
    """Absolute; a file or a folder."""
    at: str
    """When (UTC)."""
    dataset: str
    """The folder that it was made of, by which a copy of that folder knows that it is not its own."""
    again: str = ""
    """The command that makes it again."""

    @property
    def place(self) -> Place:
        return located(self.path)

    def __str__(self) -> str:
        return f"{self.path} ({self.kind} of {self.at[:10]})"


def register(inputs: Iterable[AnyPath], output: AnyPath, kind: Kind, command: Iterable[object] = ()) -> None:
    """Remember in every folder that the inputs lie in what is about to be made of it.

    Args:
        inputs: paths; what lies in no folder of ours is passed over.
        command: the words that make it again.
    """
    path = absolute(str(located(output)))
    for folder in dict.fromkeys(filter(None, map(around, inputs))):
        if str(folder) == path:
            continue
        made = Derived(kind, path, utc_now(), str(folder), shlex.join(map(str, command)))
        with may_be_refused(f"{folder}: cannot be written to, so no take-down will find {path}"), listing_lock(folder):
            known = remembered(folder)
            if any(_holds(one.path, path) and (one.kind == kind or one.path != path) for one in known):
                continue
            _write(folder, [*(one for one in known if one.path != path), made])


def register_given(paths: Iterable[AnyPath], folder: AnyPath, *, by_content: bool = False) -> None:
    """Remember in a folder the lists and metadata that people gave it. What was given out of another dataset, an export or a
    run is remembered there: the folder was made of it. ``by_content``: whatever it is called, and folders."""
    for place in map(located, paths):
        if around(place) is not None:
            register([place], folder, "dataset")
        elif by_content or (place.suffix.lower() in LISTS and place.is_file()):
            register([folder], place, "input")


def made_from(folder: Place) -> list[str]:
    """What a run, study, export, release or merge says that it was made of, as far as it is there."""
    marks = ("run.json", "study.json", "merge.json", "export.json", "release.json")
    run, study, merged, export, release = (read_json(folder / name, {}) for name in marks)
    origins = [origin_of(str(made_id)) for made_id in (export.get("of"), release.get("id")) if made_id]
    told = [merged, study, run.get("data"), run.get("init"), origins]
    return [text for text in real_data(_texts(told)) if located(text).exists()]


def _texts(value: Any) -> Iterator[str]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from [value] if isinstance(value, str) else (text for item in inside for text in _texts(item))


def remembered(folder: Place) -> list[Derived]:
    """What was made of a folder."""
    found = (Derived(**said) for said in read_json(_list_of(folder), []))
    # A copied folder knows what was made of the original, which is not its own.
    here = folder.resolve()
    return [one for one in found if (of := located(one.dataset)).resolve() == here or not of.exists()]


def forget_missing(folder: Place) -> list[Derived]:
    """Forget what no longer lies where it was made, and give it: somebody has to look for it."""
    known = remembered(folder)
    gone = [one for one in known if not one.place.exists()]
    if gone:
        _write(folder, [one for one in known if one not in gone])
    return gone


def derived_of(folder: Place) -> Iterator[tuple[Derived, tuple[Derived, ...]]]:
    """Everything that was made of a folder or of what was made of it, each once, with what it was made by way of, the
    nearest last."""
    seen = {absolute(str(folder))}
    waiting: list[tuple[Place, tuple[Derived, ...]]] = [(folder, ())]
    while waiting:
        at, way = waiting.pop(0)
        for one in [one for home in _homes(at) for one in remembered(home)]:
            if one.path not in seen:
                seen.add(one.path)
                yield one, way
                if one.kind != "dataset":  # which is asked itself
                    waiting.append((one.place, (*way, one)))


def _homes(folder: Place) -> Iterator[Place]:
    """A folder; what lists of their own say was made of it; and of a study its runs."""
    yield folder
    for name in ("exports.json", "releases.json", "subsets.json"):
        for said in read_json(folder / name, ()):
            yield located(said if isinstance(said, str) else said["path"])
    local = local_path(folder)
    if local is not None and local.is_dir() and not (is_collection(folder) or (folder / "dataset.json").is_file()):
        yield from sorted(path.parent for path in local.rglob(f".{REMEMBERED}") if path.parent != local)


def around(path: AnyPath) -> Place | None:
    """The nearest folder around a path that things are made of."""
    place = located(path).absolute()
    while not any((place / mark).is_file() for mark in MARKS):
        if local_path(place) is None or place.parent == place:
            return None
        place = place.parent
    return place


def _list_of(folder: Place) -> Place:
    return folder / (REMEMBERED if (folder / "dataset.json").is_file() else f".{REMEMBERED}")


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _write(folder: Place, known: Iterable[Derived]) -> None:
    data = json_bytes([{name: value for name, value in asdict(one).items() if value} for one in known], indent=1)
    path = _list_of(folder)
    if path.name == REMEMBERED:
        write_listed(folder, REMEMBERED, data)
    else:
        write_atomic(path, data)
