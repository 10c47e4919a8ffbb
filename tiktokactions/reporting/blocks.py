"""The parts of a report: sections of plain blocks. Other files fill them, and the page lays them out."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tiktokactions.intervals import wilson_interval
from tiktokactions.reporting.numbers import count, percent, share


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
    narrow: bool = False
    """Drawn for the width of a phone."""
    kind: str = "picture"

    @property
    def bytes(self) -> int:
        return len(self.uri)

    @property
    def anchor(self) -> str:
        """A link to it shows it large."""
        return f"s-{zlib.crc32(self.uri.encode()):08x}"


@dataclass(frozen=True)
class Preview:
    """A moving clip (``uri``, possibly empty) and its still picture (``still``)."""

    uri: str
    still: str
    caption: str
    anchors: tuple[str, ...] = ()
    """Names of this place on the page: bars lead here."""


@dataclass(frozen=True)
class Previews:
    items: tuple[Preview, ...]
    caption: str = ""
    kind: str = "previews"

    @property
    def bytes(self) -> int:
        return sum(len(item.uri) + len(item.still) for item in self.items)


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart; ``low``, ``high``, ``point``: fractions of the whole width."""

    name: str
    told: str
    """The number in words, beside the bar."""
    high: float
    low: float = 0.0
    """Above 0: an interval."""
    point: float | None = None
    anchor: str = ""
    """The place on the page that the bar leads to."""


@dataclass(frozen=True)
class Bars:
    """Horizontal bars as text and boxes, which any width shows; ``mark``: a line across them, such as chance."""

    caption: str
    items: tuple[Bar, ...]
    mark: float | None = None
    kind: str = "bars"


@dataclass(frozen=True)
class Text:
    """A paragraph. ``tone``: ``plain``, ``answer`` (the result of the section) or ``warning``."""

    text: str
    tone: str = "plain"
    kind: str = "text"


Block = Facts | Table | Picture | Previews | Bars | Text


@dataclass(frozen=True)
class Section:
    title: str
    blocks: tuple[Block, ...]
    about: str = ""
    """Which input it is about."""
    answer: str = ""
    """What it comes to, in a sentence of the summary."""
    commands: tuple[str, ...] = ()
    """What repeats it: lines for a shell."""
    appendix: tuple[Block, ...] = ()
    """Settings and versions, for the end of the page."""


def facts(*items: tuple[str, str]) -> Facts:
    """Facts from ``(value, what it counts)``."""
    return Facts(items)


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], folded: bool = False) -> list[Block]:
    """A table as a list of one block, or nothing where it would have no rows."""
    if not rows:
        return []
    return [Table(caption, tuple(head), tuple(tuple(str(cell) for cell in row) for row in rows), folded)]


def bars(caption: str, items: Iterable[Bar], mark: float | None = None) -> list[Block]:
    """As :func:`table`."""
    found = tuple(items)
    return [Bars(caption, found, mark)] if found else []


def counted(
    rows: Iterable[tuple[str, int]], whole: int | None = None, anchors: Mapping[str, str] | None = None
) -> list[Bar]:
    """Bars of counts, on the scale of the largest; ``whole``: of which each is told as a share."""
    listed = list(rows)
    most = max((number for _, number in listed), default=0) or 1
    return [
        Bar(
            name,
            f"{number:,}" + (f" · {share(number, whole)}" if whole else ""),
            number / most,
            anchor=(anchors or {}).get(name, ""),
        )
        for name, number in listed
    ]


def interval(name: str, hits: float, of: int, anchor: str = "") -> Bar:
    """A share with its 95 % interval (Wilson's); without a bar where nothing was counted."""
    if not of:
        return Bar(name, "–", 0.0)
    low, high = wilson_interval(hits, of)
    told = f"{percent(hits / of)} ({percent(low)} to {percent(high)}), n = {count(of)}"
    return Bar(name, told, high, low, hits / of, anchor)
