"""The parts of a report: sections of plain blocks. Other files fill them, and the page lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Large numbers side by side: ``(value, what it counts)``."""

    items: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Table:
    """A table; the first column holds words, the others numbers. ``folded`` ones open on a click (and in print)."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Picture:
    """A figure as a ``data:`` address. ``alt`` describes it for those who cannot see it."""

    uri: str
    alt: str
    caption: str = ""
    kind: str = "picture"

    @property
    def bytes(self) -> int:
        return len(self.uri)


@dataclass(frozen=True)
class Preview:
    """A moving clip (``uri``, possibly empty) and its still picture (``still``)."""

    uri: str
    still: str
    caption: str


@dataclass(frozen=True)
class Previews:
    items: tuple[Preview, ...]
    caption: str = ""
    kind: str = "previews"

    @property
    def bytes(self) -> int:
        return sum(len(item.uri) + len(item.still) for item in self.items)


@dataclass(frozen=True)
class Commands:
    """The commands that repeat the work, one per line."""

    lines: tuple[str, ...]
    kind: str = "commands"


@dataclass(frozen=True)
class Text:
    """A paragraph. ``tone``: ``plain``, ``answer`` (the result of the section) or ``warning``."""

    text: str
    tone: str = "plain"
    kind: str = "text"


Block = Facts | Table | Picture | Previews | Commands | Text


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]
    about: str = ""
    """Which input it is about."""


def facts(*items: tuple[str, str]) -> Facts:
    """Facts from ``(value, what it counts)``."""
    return Facts(items)


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], folded: bool = False) -> list[Block]:
    """A table as a list of one block, or nothing where it would have no rows."""
    if not rows:
        return []
    return [Table(caption, tuple(head), tuple(tuple(str(cell) for cell in row) for row in rows), folded)]
