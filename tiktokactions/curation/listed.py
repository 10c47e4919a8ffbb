"""A video as it is listed: where it is, and what a list, a sidecar or a collection says about it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tiktokactions.errors import ATTENTION, UsageError
from tiktokactions.files import is_address
from tiktokactions.metadata.names import account_in_name, id_in_name
from tiktokactions.metadata.tables import API, LIST, Post, read_post, values_at
from tiktokactions.records import JsonObject, Source
from tiktokactions.text import clean_label, cleaned

LABEL_SOURCES = ("list", "folder", "sidecar", "caption")
"""Where labels come from, in the order of the default: the first that names any gives them all."""


class InputError(UsageError):
    """The inputs cannot be read as videos; the message says what was expected."""


class MissingError(InputError):
    """A list names videos that are not there."""

    exit_code = ATTENTION


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
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The labels of each source, of which :func:`labelled` makes ``labels``."""


FIELDS = ("id", "creator", "title", "category", "uploaded", "sound")


def describe(path: str, said: JsonObject, problem: str = "") -> ListedVideo:
    """What a list or a sidecar, and the name of the file, say about it; what became no field is metadata.

    ``problem``: why a sidecar could not be read. It, and what did not fit, stand in ``metadata["sidecar_error"]``.
    """
    post = read_post(said)
    fields: JsonObject = {
        "id": post.id or id_in_name(path),
        "creator": post.creator or account_in_name(path),
        "title": post.title or post.caption,
        "category": post.category,
        "uploaded": _uploaded(post, said),
        "sound": post.sound or post.sound_title,
    }
    places = dict(post.places)
    if post.title is not None:
        places.pop("caption", None)
    if post.sound is not None:
        places.pop("sound_title", None)
    ours = (*FIELDS, "created", "caption", "sound_title", "hashtags", "labels", "keywords")
    used = {place.partition(".")[0].removesuffix("[]") for name in ours for place in places.get(name, ())}
    metadata = {key: value for key, value in cleaned(said).items() if key not in used and value not in (None, "")}
    misfits = [f"{place}: {told}" for place, told in post.problems.items()]
    if problems := "; ".join(filter(None, (problem, *misfits))):
        metadata["sidecar_error"] = problems
    return ListedVideo(path, about=Source(path="", metadata=metadata, **fields), named=_named(post))


def _uploaded(post: Post, said: JsonObject) -> str | None:
    """``2023-11-14T22:13:20Z``; a date without a time stays as it was given."""
    if post.created is None:
        return None
    given = str(values_at(said, post.places["created"][0])).strip()
    if len(given) == 8 or (len(given) == 10 and not given.isdigit()):
        return given
    return datetime.fromtimestamp(post.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _named(post: Post) -> dict[str, tuple[str, ...]]:
    """Labels by source. What a person wrote into a sidecar by hand counts as a list does; hashtags that a tool found in a
    caption count after the folder that a person chose, and keywords, made for search engines, last of all."""
    hashtags = post.hashtags or ()
    said = post.labels or hashtags
    return {
        "list": said if post.labels or post.tool in (LIST.tool, API.tool) else (),
        "sidecar": said,
        "caption": hashtags or post.caption_hashtags,
        "keywords": post.keywords or (),
    }


def with_folder(video: ListedVideo, folder: str | None) -> ListedVideo:
    """With the name of its folder as a label, unless that is the creator's."""
    label = clean_label(folder or "")
    is_creator = label.lower().lstrip("@") == (video.about.creator or account_in_name(video.path) or "").lower()
    return replace(video, named={**video.named, "folder": (label,) if label and not is_creator else ()})


def labelled(video: ListedVideo, order: Sequence[str]) -> ListedVideo:
    """With the labels of the first source in ``order`` that names any."""
    wanted = (*order, "keywords") if "sidecar" in order else order
    labels = next((video.named[source] for source in wanted if video.named.get(source)), ())
    return replace(video, labels=labels, named={})


def printable_path(path: str) -> str:
    """A path that JSON and Parquet can hold: bytes that are not UTF-8 become ``\\xNN``."""
    return path if is_address(path) else os.fsencode(path).decode("utf-8", "backslashreplace")


def described(source: Source) -> JsonObject:
    """What a source says about a video, apart from where it is."""
    return {name: getattr(source, name) for name in (*FIELDS, "metadata")}


def with_description(source: Source, about: Source) -> Source:
    return replace(source, **described(about))
