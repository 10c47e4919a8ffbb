"""One video as the Research API describes it: the fields to ask for, and what a row of an answer says.

Only the id is always there. Ids are integers beyond 2^53 and become text here, once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tiktokactions.metadata.tables import API
from tiktokactions.metadata.values import MisfitError, as_key
from tiktokactions.records import JsonObject
from tiktokactions.text import clean_hashtag, cleaned, hashtags_in

SAFE_FIELDS = (
    *("id", "video_description", "create_time", "region_code", "share_count", "view_count", "like_count"),
    *("comment_count", "music_id", "hashtag_names", "username", "effect_ids", "playlist_id", "voice_to_text"),
)
"""The fourteen old names, which no server refuses."""
FIELDS = (
    *SAFE_FIELDS,
    *("is_stem_verified", "video_duration", "favorites_count", "hashtag_info_list", "sticker_info_list"),
    *("effect_info_list", "video_mention_list", "video_label", "video_tag"),
)
AiLabelled = Literal["keep", "drop", "only"]
"""What becomes of videos with the platform's label for AI-generated content."""
_MENTION = re.compile(r"@[\w.\-]+")


@dataclass(frozen=True, slots=True)
class VideoRow:
    """What is stored of one video: the columns that are often queried, and everything else as it came."""

    video_id: str
    hashtags: tuple[str, ...]
    """In lower case and NFC, from ``hashtag_names``, or from the caption if that key is missing."""
    create_time: int | None
    creator: str | None
    raw: str
    """The JSON object as it came, :func:`tiktokactions.text.cleaned`, and with hashed creators if that was asked for."""


def read_row(row: object, salt: bytes | None = None) -> VideoRow | None:
    """One row of an answer or of an imported file; None if it has no usable id.

    With a ``salt``, :func:`hash_creator` replaces every creator's name in the row.
    """
    if not isinstance(row, Mapping):
        return None
    clean: JsonObject = cleaned(dict(row))
    video_id = as_id(clean.get("id", clean.get("video_id")))
    if video_id is None:
        return None
    names = clean.get("hashtag_names")
    tags = map(str, names) if isinstance(names, list) else hashtags_in(str(clean.get("video_description") or ""))
    if salt is not None:
        clean = hashed_creators(clean, salt)
    created = clean.get("create_time")
    creator = clean.get("username")
    return VideoRow(
        video_id=video_id,
        hashtags=tuple(dict.fromkeys(tag for tag in map(clean_hashtag, tags) if tag)),
        create_time=int(created) if isinstance(created, (int, float)) and not isinstance(created, bool) else None,
        creator=str(creator) if creator else None,
        raw=json.dumps(clean, ensure_ascii=False, separators=(",", ":")),
    )


def as_id(value: object) -> str | None:
    """An id as text; None if it is none of a platform. A float is none, since it has already lost its last digits."""
    try:
        return as_key(value)
    except MisfitError:
        return None


def ai_label(row: Mapping[str, object]) -> str | None:
    """The platform's label for AI-generated content (``video_tag``), as the API words it; None if there is none.

    The two documented spellings give its numbers opposite meanings, so they are kept and not interpreted.
    """
    tag = row.get("video_tag")
    if not isinstance(tag, Mapping):
        return None
    kind, number = (tag.get(name) or tag.get(f"video_tag_{name}") for name in ("type", "number"))
    return f"{kind or 'video tag'} {number}" if number else None


def is_left_out(row: Mapping[str, object], ai_labelled: AiLabelled) -> bool:
    """Whether a choice among videos with and without the AI label leaves a row out."""
    return ai_labelled != "keep" and (ai_label(row) is None) == (ai_labelled == "only")


def hash_creator(name: str, salt: bytes) -> str:
    """``creator-`` and twelve hex digits: HMAC-SHA-256 of the lower-case name with the collection's own salt."""
    if re.fullmatch(r"creator-[0-9a-f]{12}", name):  # hashed already
        return name
    return "creator-" + hmac.new(salt, name.lower().encode(), hashlib.sha256).hexdigest()[:12]


def hashed_creators(row: JsonObject, salt: bytes) -> JsonObject:
    """The row with every creator's name hashed: the author, the mentioned creators, and those in the caption. What the
    Research API does not know is left out, for it may name people: addresses, nicknames, numbers of accounts."""
    found = {name: value for name, value in row.items() if name in API.known - {"author_name"}}
    if found.get("username"):
        found["username"] = hash_creator(str(found["username"]), salt)
    mentioned = found.get("video_mention_list")
    if isinstance(mentioned, list):
        found["video_mention_list"] = [hash_creator(str(name).lstrip("@"), salt) for name in mentioned]
    for key in ("video_description", "voice_to_text"):
        if isinstance(found.get(key), str):
            found[key] = _MENTION.sub(lambda m: "@" + hash_creator(m[0][1:].rstrip("."), salt), found[key])
    return found
