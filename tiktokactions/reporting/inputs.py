"""The kinds of folders that a report can show, recognised by their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tiktokactions.errors import UsageError
from tiktokactions.files import Place, on_disk
from tiktokactions.model.run import Run

Kind = Literal["hashtags", "collection", "dataset", "run", "study", "extrapolation", "updates", "project"]

MARKS: tuple[tuple[str, Kind], ...] = (
    ("dataset.json", "dataset"),
    ("run.json", "run"),
    ("study.json", "study"),
    ("extrapolation.json", "extrapolation"),
    ("collection.sqlite", "collection"),
    ("decisions.csv", "hashtags"),
    ("chain.json", "project"),
    ("updates.json", "updates"),
)
"""The file by which a folder is recognised."""
ORDER: tuple[Kind, ...] = get_args(Kind)
"""The order of the page: that of the data flow."""


class ReportError(UsageError):
    """A folder that a report cannot show; the message lists those that it can."""


@dataclass(frozen=True)
class Input:
    kind: Kind
    path: Place


def recognise(path: Place) -> Input:
    """Raises ``ReportError`` for a folder that this program did not make."""
    for mark, kind in MARKS:
        if (path / mark).is_file():
            return Input(kind, path)
    expected = ", ".join(f"{mark} ({kind})" for mark, kind in MARKS)
    state = "no such folder" if not path.exists() else "not a folder" if not path.is_dir() else "nothing known in it"
    raise ReportError(f"{path}: {state}; expected a folder with one of {expected}")


def in_order(paths: Sequence[Place]) -> list[Input]:
    """Each folder once, in the order of the data flow (pre-training before fine-tuning), else as they were given."""
    found = {path.resolve(): recognise(path) for path in paths}
    return sorted(found.values(), key=lambda item: (ORDER.index(item.kind), _is_finetuned(item)))


def _is_finetuned(item: Input) -> bool:
    return item.kind == "run" and Run(on_disk(item.path, "a run")).kind == "finetune"
