"""Rows of SQLite and JSON from frozen dataclasses: a field is declared once, and its column and key follow from it."""

from __future__ import annotations

import dataclasses
import functools
import json
import sqlite3
import typing
from collections.abc import Callable, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar

from tiktokactions.records import JsonObject

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")
T = TypeVar("T")
Hint = Any
"""A class, a ``Literal`` or a ``tuple[...]``: typing has no name for all of them."""
Cell = str | int | float | None
"""What SQLite keeps."""
SQL_TYPES = {bool: "INTEGER", int: "INTEGER", float: "REAL"}
"""Everything else is text; tuples and dicts are JSON."""


def shown(views: str = "", description: str = "", *, kept: bool = True, **bounds: object) -> dict[str, object]:
    """Metadata of a field. ``views``: the messages that contain it; ``kept`` False: it has no column."""
    about = {"description": description} if description else {}
    return {"views": views.split(), "kept": kept, "about": about | bounds}


def column(default: T, views: str = "", description: str = "", *, kept: bool = True, **bounds: object) -> T:
    """A field that may be left out, with the metadata of :func:`shown`."""
    field: T = dataclasses.field(default=default, metadata=shown(views, description, kept=kept, **bounds))
    return field


@functools.cache
def kinds_of(kind: type[DataclassInstance]) -> dict[str, tuple[Hint, bool]]:
    """For every field its type without ``None``, and whether it may be ``None``."""
    hints = typing.get_type_hints(kind)
    found = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        options = [option for option in typing.get_args(hint) if option is not NoneType]
        is_optional = len(options) < len(typing.get_args(hint)) and typing.get_origin(hint) is not tuple
        found[field.name] = (options[0] if is_optional else hint, is_optional)
    return found


def in_view(kind: type[DataclassInstance], view: str) -> list[str]:
    """Names of the fields that a message contains, in order."""
    return [field.name for field in dataclasses.fields(kind) if view in field.metadata.get("views", ())]


def column_names(kind: type[DataclassInstance]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind) if field.metadata.get("kept", True)]


def column_definitions(kind: type[DataclassInstance], rules: Mapping[str, str], defaults: bool = True) -> str:
    """The columns of a table, a line each. ``rules``: constraints of a column that replace those of its type."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    lines = []
    for name in column_names(kind):
        of_type, is_optional = kinds_of(kind)[name]
        default = fields[name].default
        rule = "" if is_optional else "NOT NULL"
        if rule and defaults and default is not dataclasses.MISSING:
            literal = _kept(default)
            rule += f" DEFAULT '{literal}'" if isinstance(literal, str) else f" DEFAULT {literal:g}"
        words = [name, SQL_TYPES.get(of_type, "TEXT"), rules.get(name, rule)]
        lines.append("  " + " ".join(word for word in words if word))
    return ",\n".join(lines)


def _kept(value: Any) -> Cell:
    if isinstance(value, (tuple, dict)):
        return json.dumps(value, ensure_ascii=False)
    return int(value) if isinstance(value, bool) else value


def to_row(record: DataclassInstance) -> dict[str, Cell]:
    """The values of the columns, as SQLite stores them."""
    return {name: _kept(getattr(record, name)) for name in column_names(type(record))}


@functools.cache
def _readers(kind: type[DataclassInstance]) -> list[tuple[str, Callable[..., object] | None]]:
    by_type: dict[Hint, Callable[..., object]] = {tuple: _tuple, dict: json.loads, bool: bool}
    types = {name: kinds_of(kind)[name][0] for name in column_names(kind)}
    return [(name, by_type.get(typing.get_origin(of_type) or of_type)) for name, of_type in types.items()]


def _tuple(text: str) -> tuple[object, ...]:
    return tuple(json.loads(text))


def from_row(kind: type[Record], row: sqlite3.Row) -> Record:
    """The record of a row, which may hold more columns."""
    values = {}
    for name, reader in _readers(kind):
        value = row[name]
        values[name] = value if reader is None or value is None else reader(value)
    return kind(**values)


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Cell], how: str = "INSERT") -> int:
    """Add a row, named by columns; returns its number. ``how``: ``INSERT OR IGNORE`` and the like."""
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    return connection.execute(f"{how} INTO {table}({names}) VALUES({marks})", row).lastrowid or 0


def to_json(record: DataclassInstance, names: typing.Iterable[str]) -> JsonObject:
    """These fields as JSON types."""
    values = {name: getattr(record, name) for name in names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
