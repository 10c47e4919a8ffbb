"""Files that say something of many videos, whatever they are called: JSON of every shape, tables, lists, gzip."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tiktokactions.errors import UsageError
from tiktokactions.metadata.names import id_in_address, id_in_name, is_platform_id
from tiktokactions.metadata.tables import LIST, known_columns, table_of
from tiktokactions.metadata.values import parsed
from tiktokactions.records import JsonObject

csv.field_size_limit(2**31 - 1)  # a transcript, or all comments of a video, may stand in one cell
DELIMITERS = ",;\t|"
YOUR_DATA = "TikTok's 'download your data'"
_LINKS = ("Link", "link", "VideoLink")
_COMMENT = {"date", "comment", "photo", "url"}
"""The keys of a comment of one's own."""
_ID = r"[A-Za-z0-9_-]{6,100}|\d([.,]\d+)?[eE]\+?\d+"
_NO_VIDEO = re.compile(r"tiktok\w*\.com/(?:tag|sticker|effects?|(?:@[\w.-]+/|share/)?(?:music|user|live))\b")


class DocumentError(UsageError):
    """A file that holds no text, or none that is understood; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Row:
    """What stands at one place of a file; ``said`` is None, and ``problem`` says why, where it cannot be read."""

    number: int
    said: JsonObject | None
    problem: str = ""
    origin: str = ""
    """The tool, where the wrapping tells it and not the row."""
    is_table: bool = False
    """From a spreadsheet, in which long numbers may have been rounded."""


def text_of(data: bytes, name: str) -> str:
    """The text of a file: gzip is opened, UTF-8 and UTF-16 with a mark are read.

    Raises:
        DocumentError: something else.
    """
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DocumentError(f"{name}: expected gzip, got a damaged file ({error})") from None
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # JSON is UTF-8 by its standard: what is no such text in it was cut, and costs one character.
    is_json = data.lstrip(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"[")
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig", "replace" if is_json else "strict")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{name}: expected UTF-8 text, got other bytes ({error}); save it as 'CSV UTF-8'") from None


def table_rows(text: str) -> list[list[str]]:
    """The rows of a table whose cells are parted by commas, semicolons, tabs or bars, the header first; blank rows are left
    out, and so is a first line ``sep=;``."""
    text = re.sub(r"\A\s*sep=.\r?\n", "", text.replace("\x00", "").lstrip("\ufeff"), flags=re.IGNORECASE)
    first = next((line for line in text.splitlines() if line.strip()), "")
    known = known_columns()

    def columns(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([first], delimiter=delimiter), [])
        return sum(_column(cell) in known for cell in cells), len(cells)

    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=columns))
    return [row for row in reader if any(cell.strip() for cell in row)]


def column_names(header: list[str]) -> list[str]:
    """Columns as the tables call them: ``Video ID`` is ``video_id``, ``webvideourl`` is ``webVideoUrl``."""
    known = known_columns()
    return [known.get(_column(cell)) or _nested(cell.strip(), known) for cell in header]


def _column(cell: str) -> str:
    return re.sub(r"[\s-]+", "_", cell.strip().lower())


def _nested(cell: str, known: dict[str, str]) -> str:
    """``authorMeta/name`` as ``authorMeta.name``; other columns as they are, in lower case."""
    parts = re.split(r"[./]", cell)
    head = known.get(_column(parts[0]))
    return ".".join([head, *parts[1:]]) if len(parts) > 1 and head and all(parts) else _column(cell)


def rows_of(data: bytes, name: str) -> Iterator[Row]:
    """Every video that a file says something of, by its content and not by its name.

    Raises:
        DocumentError: no text, or no column that is known.
    """
    text = text_of(data, name)
    if text.lstrip().startswith(("{", "[")):
        yield from _json_rows(text)
        return
    rows = table_rows(text)
    if rows and any(_column(cell) in known_columns() for cell in rows[0]):
        yield from _table_rows(rows)
    elif "://" in text or re.search(r"^\W*\d{15,20}\W*$", text, re.MULTILINE) or id_in_name(text.partition("\n")[0]):
        yield from _lines(text)
    else:
        shown = ", ".join(cell.strip()[:40] for cell in rows[0][:12]) if rows else "nothing"
        raise DocumentError(
            f"{name}: no column that any known tool writes, got {shown}; expected at least an id or a link"
        )


def _table_rows(rows: list[list[str]]) -> Iterator[Row]:
    header = column_names(rows[0])
    for number, cells in enumerate(rows[1:], start=2):
        if cells == rows[0]:  # of tables that were put behind one another
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            problem = f"{len(cells)} cells, expected {len(header)}: a text with the separator in it needs quotes"
            yield Row(number, None, problem)
            continue
        said: JsonObject = {}
        for column, cell in zip(header, cells, strict=False):
            if column and cell.strip():
                _put(said, column.split("."), parsed(cell))
        yield Row(number, _with_lists(said), is_table=True)


def _put(said: JsonObject, path: list[str], value: object) -> None:
    for part in path[:-1]:
        inside = said.setdefault(part, {})
        if not isinstance(inside, dict):
            return
        said = inside
    said.setdefault(path[-1], value)


def _with_lists(value: Any) -> Any:
    """Objects whose keys are 0, 1, 2 … (of ``hashtags/0/name``) as lists."""
    if not isinstance(value, dict):
        return value
    inside = {key: _with_lists(item) for key, item in value.items()}
    return list(inside.values()) if inside and all(key.isdigit() for key in inside) else inside


def _lines(text: str) -> Iterator[Row]:
    """Addresses or ids, one or more a line; what stands around them (dates, names) is left out."""
    for number, line in enumerate(text.splitlines(), start=1):
        links = re.findall(r"(?:https?://|(?<![\w./])(?:www|m|vm|vt)\.tiktok)[^\s\"'<>,;|]+", line)
        for link in links:
            yield Row(number, {"link": link})
        word = line.strip().strip("\"',;")
        if not links and re.fullmatch(_ID, word):
            yield Row(number, {"id": word}, is_table=True)
        elif not links and (video_id := id_in_name(line)):
            yield Row(number, {"id": video_id}, is_table=True)
        elif not links and word and not re.match(r"[\w ]+: ", line):
            yield Row(number, None, f"expected an id or the address of a video, got {word[:60]!r}")


def _json_rows(text: str) -> Iterator[Row]:
    try:
        whole = json.loads(text)
    except ValueError:
        pass
    else:
        for number, found in enumerate(_posts_in(whole), start=1):
            yield Row(number, found.said, found.problem, found.origin)
        return
    for number, line in enumerate(io.StringIO(text), start=1):
        if line.strip():
            try:
                said = json.loads(line)
            except ValueError as error:
                yield Row(number, None, f"not JSON ({error})")
                continue
            for found in _posts_in(said):
                yield Row(number, found.said, found.problem, found.origin)


def _posts_in(value: object) -> Iterator[Row]:
    """The posts in a JSON value, however they are wrapped: pages of an API, playlists, pages of the web site."""
    found = list(_walk(_frame_rows(value), is_row=True))
    if not found and value and not (isinstance(value, dict) and "error" in value):
        yield Row(0, None, "no video in it that any known tool describes")
    yield from found


def _frame_rows(value: object) -> object:
    """The rows of a table of pandas: columns and cells apart (``orient="split"``), or an object a column; else as it is."""
    if not isinstance(value, dict) or not value:
        return value
    columns = list(value.values())
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return [dict(zip(value["columns"], row, strict=False)) for row in value["data"] if isinstance(row, list)]
    if all(isinstance(c, dict) and c.keys() == columns[0].keys() for c in columns) and "id" in map(
        known_columns().get, value
    ):
        return [dict(zip(value, cells, strict=True)) for cells in zip(*(c.values() for c in columns), strict=True)]
    return value


def _walk(value: object, is_row: bool, origin: str = "") -> Iterator[Row]:
    if isinstance(value, list):
        # What gallery-dl -j prints: the kind of a message, its address, its object.
        is_message = len(value) > 1 and isinstance(value[0], int) and isinstance(value[-1], dict)
        for item in value[-is_message:]:
            if not isinstance(item, (dict, list)) and is_row:
                yield Row(0, _of_text(item), "expected an object, an id or an address", origin)
            yield from _walk(item, True, origin)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("data"), dict) and "source_platform" in value:
        if value["source_platform"] in ("tiktok.com", "www.tiktok.com", "tiktok"):
            inside = list(_walk(value["data"], True, "Zeeschuimer"))
            yield from inside or [Row(0, value["data"], origin="Zeeschuimer")]
        else:
            yield Row(0, None, f"an item of {value['source_platform']}, expected a video of tiktok.com")
        return
    if place := _link_place(value):
        if not _NO_VIDEO.search(value[place]):
            # In capitals, since the date of an entry is not that of its video.
            rest = {name.capitalize(): item for name, item in value.items() if name != place}
            yield Row(0, {"link": value[place], **rest}, origin=YOUR_DATA)
    elif (table_of(value) is not LIST or (is_row and _has_id(value))) and value.get("_type") != "playlist":
        yield Row(0, value, origin=origin)
    else:
        for item in value.values():
            yield from _walk(item, False, origin)


def _link_place(value: JsonObject) -> str:
    """Where an entry of 'download your data' has its address, in whatever language its keys are; empty if it is none. Of what
    the person wrote to others nothing is read."""
    texts = {name: item for name, item in value.items() if isinstance(item, str)}
    is_comment = "comment" in texts and value.keys() <= _COMMENT
    if "From" in texts or (_has_id(value) and not is_comment):
        return ""
    addresses = (name for name, item in texts.items() if len(texts) == len(value) and id_in_address(item))
    return next((name for name in _LINKS if name in texts), "") or next(addresses, "")


def _has_id(value: JsonObject) -> bool:
    return any(value.get(place) for place in LIST.where["id"] if place != "link")


def _of_text(item: object) -> JsonObject | None:
    """A list of ids or addresses."""
    if isinstance(item, str) and "://" in item:
        return {"link": item}
    is_id = re.fullmatch(_ID, item) if isinstance(item, str) else isinstance(item, int) and is_platform_id(str(item))
    return {"id": item} if is_id else None
