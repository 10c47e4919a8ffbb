"""What the owner gives to those who judge: a closed list of labels, each with a definition and an example, and guidelines."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from tiktokactions.errors import UsageError
from tiktokactions.metadata.documents import table_rows, text_of
from tiktokactions.records import JsonObject
from tiktokactions.reviews.decisions import ANSWERS_AT_MOST, Decision, DecisionError, clean_label
from tiktokactions.reviews.store import Store, set_setting, setting

NONE = "none"
"""Instead of a file: no list, no guidelines any more."""
KEYS = 9
"""A list of no more labels is offered as a whole, a digit for each."""
PLAYED = (".mp4", ".webm")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif")


@dataclass(frozen=True)
class Definition:
    label: str
    definition: str = ""
    video_id: str = ""
    """The example, one of these three: a video of the dataset, which is then not handed out for judging,"""
    address: str = ""
    file: str = ""


@dataclass(frozen=True)
class Guide:
    labels: tuple[Definition, ...] = ()
    """Empty: any label may be given."""
    guidelines: str = ""
    """Markdown."""

    @property
    def names(self) -> list[str]:
        return [entry.label for entry in self.labels]

    @property
    def examples(self) -> list[str]:
        return [entry.video_id for entry in self.labels if entry.video_id]

    def offered(self, hashtags: Sequence[str]) -> list[str]:
        """The labels that people are asked about: a video's hashtags as far as they are listed, and a short list whole."""
        if not self.labels:
            return list(hashtags)
        wanted = {label.casefold() for label in hashtags}
        first = [name for name in self.names if name.casefold() in wanted]
        return [*first, *(name for name in self.names if len(self.names) <= KEYS and name not in first)]

    def check(self, said: Decision) -> None:
        """Raises :class:`DecisionError` for a label that is not on the list."""
        of_segments = [label for part in said.segments for label in part["labels"]]
        unlisted = [label for label in (*(said.labels or ()), *of_segments) if label not in self.names]
        if self.labels and unlisted:
            raise DecisionError(f"labels: {unlisted[0][:80]!r} is not on this review's list of labels")

    def html(self) -> str:
        """The guidelines for the page: no HTML of theirs, no pictures, no addresses that run anything."""
        from markdown_it import MarkdownIt

        return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(self.guidelines)


def guide_of(store: Store, label_list: str | None, guidelines: str | None, is_video: Callable[[str], bool]) -> Guide:
    """The files of the options ``label_list`` and ``guidelines``, which are remembered; where one is not given what was
    remembered, and with :data:`NONE` nothing. ``is_video``: whether this is a video of the dataset.

    Raises:
        UsageError: a file that cannot be read, or an entry that makes no sense.
    """
    before = msgspec.convert(setting(store, "guide", {}), Guide)
    told = before.guidelines if guidelines is None else "" if guidelines == NONE else _text(Path(guidelines))
    listed = () if label_list == NONE else read_labels(Path(label_list), is_video) if label_list else before.labels
    # An example may have been taken down since.
    labels = tuple(entry if is_video(entry.video_id) else replace(entry, video_id="") for entry in listed)
    found = Guide(labels, told)
    if found != before:
        set_setting(store, "guide", asdict(found))
    return found


def read_labels(path: Path, is_video: Callable[[str], bool]) -> tuple[Definition, ...]:
    labels = dict[str, Definition]()
    for where, row in _entries(path):
        try:
            found = _definition(row, path.parent, is_video)
        except DecisionError as error:
            raise UsageError(f"{path}, {where}: {error}") from error
        if found.label.casefold() in labels:
            raise UsageError(f"{path}, {where}: {found.label!r} is there already; expected each label once")
        labels[found.label.casefold()] = found
    if not 1 <= len(labels) <= ANSWERS_AT_MOST:
        raise UsageError(f"{path}: got {len(labels)} labels, expected 1 to {ANSWERS_AT_MOST}")
    return tuple(labels.values())


def _text(path: Path) -> str:
    try:
        return text_of(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error}); expected a text file") from error


def _entries(path: Path) -> Iterable[tuple[str, JsonObject]]:
    text = _text(path)
    if path.suffix.lower() == ".toml":
        try:
            rows = tomllib.loads(text).get("labels")
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: not TOML that can be read: {error}") from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UsageError(f"{path}: expected tables [[labels]] with label, definition, example")
        return [(f"entry {number}", row) for number, row in enumerate(rows, start=1)]
    header, *rows = table_rows(text) or [[]]
    names = [cell.strip().lower() for cell in header]
    if "label" not in names:
        raise UsageError(f"{path}: expected a header with label, definition, example; or a name that ends in .toml")
    return [(f"row {number}", dict(zip(names, row, strict=False))) for number, row in enumerate(rows, start=2)]


def _definition(row: JsonObject, folder: Path, is_video: Callable[[str], bool]) -> Definition:
    label, definition, example = (row.get(name) or "" for name in ("label", "definition", "example"))
    if not all(isinstance(text, str) for text in (label, definition, example)):
        raise DecisionError("expected texts for label, definition and example")
    known, example = Definition(clean_label(label), definition.strip()), example.strip()
    if not example or is_video(example):
        return replace(known, video_id=example)
    if example.startswith(("https://", "http://")):
        return replace(known, address=example)
    file = folder / example
    if not file.is_file() or file.suffix.lower() not in (*PLAYED, *PICTURES):
        kinds = ", ".join((*PLAYED, *PICTURES))
        raise DecisionError(f"example {example!r}: expected a video of the dataset, an address, or a file ({kinds})")
    return replace(known, file=str(file.resolve()))
