"""Where everything lies in a dataset folder, and names that are safe as files."""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

from tiktokactions.files.places import Place

AnyPlace = TypeVar("AnyPlace", bound=Place)

_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_UNSAFE_IN_FOLDER = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")
NO_LABEL_FOLDER = "_none"


def shard(video_id: str) -> str:
    """First two hex digits of the SHA-256 of the id: 256 folders of about equal size whatever the ids look like."""
    return hashlib.sha256(video_id.encode()).hexdigest()[:2]


def record_path(dataset: AnyPlace, video_id: str) -> AnyPlace:
    return dataset / "records" / shard(video_id) / f"{video_id}.json"


def record_range(dataset: AnyPlace, name: str) -> AnyPlace:
    """The settled records of a range of ids on an object store; ``name``: the range's two digits."""
    return dataset / "records" / f"{name}.jsonl.gz"


def clip_relative_path(labels: tuple[str, ...], video_id: str) -> str:
    """``clips/<first label or _none>/<video_id>.mp4``, relative to the dataset folder, forward slashes."""
    return f"clips/{label_folder(labels[0]) if labels else NO_LABEL_FOLDER}/{video_id}.mp4"


def poster_path(dataset: AnyPlace, video_id: str) -> AnyPlace:
    return dataset / "thumbs" / f"{video_id}.jpg"


def strip_path(dataset: AnyPlace, video_id: str) -> AnyPlace:
    """The sampled frames side by side."""
    return dataset / "thumbs" / f"{video_id}.strip.jpg"


def description_path(dataset: AnyPlace, video_id: str) -> AnyPlace:
    """What is kept of a video to recognise copies of it."""
    return dataset / "thumbs" / f"{video_id}.description"


def thumbnail_paths(dataset: AnyPlace, video_id: str) -> tuple[AnyPlace, AnyPlace, AnyPlace]:
    """All that lies in ``thumbs`` of a video."""
    return poster_path(dataset, video_id), strip_path(dataset, video_id), description_path(dataset, video_id)


def label_folder(label: str) -> str:
    """A folder name for a label that can never lead outside its parent: no separators, no ``..``, at most 100 bytes."""
    name = _UNSAFE_IN_FOLDER.sub("_", label).strip(" .")
    while len(name.encode()) > 100:
        name = name[:-1]
    return name or NO_LABEL_FOLDER


def safe_video_id(source_id: str) -> str:
    """The platform's id if it can name a file anywhere, else ``id-`` and 16 hex digits of its SHA-256."""
    if _SAFE_ID.fullmatch(source_id) and not source_id.endswith("."):
        return source_id
    return "id-" + hashlib.sha256(source_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
