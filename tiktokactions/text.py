"""Text for people: what may be printed, and tables with aligned columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str, length: int | None = None) -> str:
    """``text`` on one line without characters that break a terminal, an SVG or a table; cut with '…' after ``length``.

    Control characters, lone surrogates and line separators become U+FFFD; marks that reverse the text direction vanish.
    """
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in "\ufffe\uffff" else c
        for c in text
        if c not in _BIDI_CONTROLS
    )
    return clean if length is None or len(clean) <= length else clean[: length - 1] + "…"


def cells(text: str) -> int:
    """Columns of a terminal: CJK and emoji take two, combining marks none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.category(c) in ("Mn", "Me", "Cf") for c in text)


def fitted(text: str, room: int) -> str:
    """``text`` on one line in at most ``room`` columns of a terminal, cut with '…'."""
    text = printable(text)
    if cells(text) <= room:
        return text
    while cells(text) >= room:
        text = text[:-1]
    return text + "…"


def aligned(
    rows: Sequence[Sequence[str]], left: Collection[int] = (0,), rule: bool = False, between: str = "  "
) -> list[str]:
    """The lines of a table: columns as wide as their widest cell, those in ``left`` to the left, numbers to the right.

    ``rule``: a line of dashes below the first row.
    """
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        spaces = (" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True))
        return between.join(
            c + s if i in left else s + c for i, (c, s) in enumerate(zip(row, spaces, strict=True))
        ).rstrip()

    lines = [line(row) for row in rows]
    return [lines[0], line(["-" * width for width in widths]), *lines[1:]] if rule else lines


def markdown_table(rows: Sequence[Sequence[str]], padded: bool = False) -> list[str]:
    """The lines of a table in Markdown; the first row is its head, and cells are Markdown already.

    ``padded``: as wide as their widest cell, for those who read it as it is.
    """
    if not padded:
        return ["| " + " | ".join(row) + " |" for row in (rows[0], ["---"] * len(rows[0]), *rows[1:])]
    head, rule, *below = aligned(rows, range(len(rows[0])), rule=True, between=" | ")
    return [f"| {head} |", f"|-{rule.replace(' ', '-')}-|", *(f"| {line.ljust(len(rule))} |" for line in below)]
