"""Text from outside, cleaned once for all rooms; and text for people: what may be printed, tables with aligned columns."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

_HASHTAG = re.compile(r"(?<![/&])[#\uff03]([^\s#\uff03@.,;:!?()\[\]{}<>|\"'/\\…“”«»、。，！？：；（）]+)")

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def cleaned(value: Any) -> Any:
    """A JSON value that UTF-8, JSON and SQLite can hold.

    Lone surrogates (of a caption that was cut inside an emoji) become question marks, NULs vanish, NaN and infinities become
    None, integers beyond 64 bits text. Everything else stays as it is.
    """
    if isinstance(value, str):
        return (
            value
            if value.isalnum() and value.isascii()
            else value.replace("\x00", "").encode("utf-8", "replace").decode()
        )
    if isinstance(value, dict):
        return {cleaned(str(key)): cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def clean_label(text: str) -> str:
    """A label as it is stored: in NFC, without a leading ``#``, each run of blanks as one."""
    return " ".join(unicodedata.normalize("NFC", cleaned(text)).split()).lstrip("#\uff03").strip()


def clean_hashtag(text: str) -> str:
    """A label in lower case: ``#ShoeRepair`` and ``shoerepair`` are the same, however their accents are stored."""
    return clean_label(text).lower()


def hashtags_in(caption: str) -> list[str]:
    """The hashtags of a caption, cleaned, each once, in order."""
    return list(dict.fromkeys(filter(None, map(clean_hashtag, _HASHTAG.findall(caption)))))


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
