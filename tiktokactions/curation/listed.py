"""A video as it is listed: where it is, and what a list, a sidecar or a collection says about it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

from tiktokactions.errors import UsageError
from tiktokactions.files import is_address
from tiktokactions.records import JsonObject, Source


class InputError(UsageError):
    """The inputs cannot be read as videos; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """A file to curate, and what is known about it before it is opened."""

    path: str
    """Absolute, or an address on an object store."""
    labels: tuple[str, ...] = ()
    about: Source = field(default_factory=lambda: Source(path=""))
    """Only the descriptive fields are set (id, creator, title, category, uploaded, sound, metadata)."""
    fingerprint: tuple[int, str] | None = None
    """Size and ETag, if the listing of an object store gave them, so that nobody has to ask again."""


FIELDS: dict[str, tuple[str, ...]] = {
    "id": ("id", "video_id"),
    "creator": ("creator", "uploader", "username", "author", "uploader_id", "channel"),
    "title": ("title", "fulltitle", "video_description", "description"),
    "category": ("category",),
    "uploaded": ("uploaded", "upload_date", "create_time", "timestamp"),
    "sound": ("sound", "music_id", "track"),
}
"""Our names and those of yt-dlp and the TikTok Research API; the first match wins."""
LABEL_FIELDS = ("label", "labels", "hashtag", "hashtags", "hashtag_names", "tags")


def describe(path: str, said: JsonObject) -> ListedVideo:
    """Sort what a list or a sidecar says into our fields; everything else becomes metadata."""
    said = _clean(said)
    given = {name: [a for a in aliases if said.get(a) not in (None, "", [], {})] for name, aliases in FIELDS.items()}
    found_in = {name: aliases[0] for name, aliases in given.items() if aliases}
    fields: JsonObject = {name: str(said[alias]) for name, alias in found_in.items()}
    labels_in = next((name for name in LABEL_FIELDS if said.get(name)), "")
    labels = dict.fromkeys(split_labels(said.get(labels_in, ())))
    used = {labels_in, *found_in.values()}
    metadata = {key: value for key, value in said.items() if key not in used and value not in (None, "")}
    return ListedVideo(path, tuple(labels), Source(path="", metadata=metadata, **fields))


def split_labels(value: Any) -> list[str]:
    """Labels from a list or from text: ``#a #b``, ``a;b``, ``a|b``; a single phrase stays one label."""
    if isinstance(value, (list, tuple)):
        parts = [str(part) for part in value]
    elif "#" in str(value):
        parts = str(value).replace(";", " ").replace("|", " ").replace(",", " ").split("#")
    else:
        parts = str(value).replace("|", ";").split(";")
    return [label for label in (clean_label(part) for part in parts) if label]


def clean_label(label: str) -> str:
    return " ".join(_clean(label).strip().lstrip("#").split())


def _clean(value: Any) -> Any:
    """A value that JSON and UTF-8 can hold: lone surrogates (of broken encodings) become question marks."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {str(_clean(str(k))): _clean(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_clean(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, int) and abs(value) >= 2**63:
        return str(value)
    return value


def printable_path(path: str) -> str:
    """A path that JSON and Parquet can hold: bytes that are not UTF-8 become ``\\xNN``."""
    return path if is_address(path) else os.fsencode(path).decode("utf-8", "backslashreplace")


def described(source: Source) -> JsonObject:
    """What a source says about a video, apart from where it is."""
    return {name: getattr(source, name) for name in (*FIELDS, "metadata")}


def with_description(source: Source, about: Source) -> Source:
    return replace(source, **described(about))
