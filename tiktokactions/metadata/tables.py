"""One table for each tool: by what its rows are known, and where id, creator, date, caption, hashtags, sound, counts and
region stand in them. ``collect import`` and the sidecars of ``curate`` are read with the same tables.

A place is a path such as ``author.uniqueId`` or ``challenges[].title``; of several the first that fits its field's type is
taken, but lists of hashtags are joined.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from tiktokactions.metadata.names import account_in_address, id_in_address
from tiktokactions.metadata.values import (
    ABSENT,
    MisfitError,
    as_address,
    as_count,
    as_hashtags,
    as_id,
    as_key,
    as_labels,
    as_name,
    as_region,
    as_seconds,
    as_text,
    as_time,
    is_rounded,
)
from tiktokactions.records import JsonObject
from tiktokactions.text import cleaned, hashtags_in

Places = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Post:
    """What a tool says of one video, each field in its type; None, or nothing, where it says nothing."""

    tool: str = ""
    id: str | None = None
    creator: str | None = None
    created: int | None = None
    """Unix seconds."""
    title: str | None = None
    caption: str | None = None
    hashtags: tuple[str, ...] | None = None
    """Of a list that the tool gives; those in the caption are in :attr:`caption_hashtags`."""
    keywords: tuple[str, ...] | None = None
    """What a creator lets search engines find (``tags`` of YouTube): no hashtags."""
    labels: tuple[str, ...] | None = None
    """What a person calls the action."""
    category: str | None = None
    sound: str | None = None
    """The platform's id of the sound."""
    sound_title: str | None = None
    region: str | None = None
    duration_s: float | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None
    saves: int | None = None
    places: Mapping[str, Places] = field(default_factory=dict)
    """Where each field was found."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """What did not fit: ``{place: expected and got}``."""
    rest: JsonObject = field(default_factory=dict)
    """What became no field, as it came."""
    unknown: Places = ()
    """Those keys of ``rest`` that the table does not know at all."""

    @property
    def caption_hashtags(self) -> tuple[str, ...]:
        return tuple(hashtags_in(self.caption or self.title or ""))


TYPES: Mapping[str, Callable[[object], Any]] = {
    "id": as_id,
    "creator": as_name,
    "created": as_time,
    **dict.fromkeys(("title", "caption", "category", "sound_title"), as_text),
    **dict.fromkeys(("hashtags", "keywords"), as_hashtags),
    "labels": as_labels,
    "sound": as_key,
    "region": as_region,
    "duration_s": as_seconds,
    **dict.fromkeys(("views", "likes", "comments", "shares", "saves"), as_count),
}
_ADDRESSES = frozenset(
    "url link video_url tiktok_url webVideoUrl webpage_url web_url share_url postPage uploader_url".split()
)
"""Places that hold the address of a video: its id and its creator's account are read out of that."""


@dataclass(frozen=True, slots=True)
class Table:
    """The places of one tool's fields. ``marks``: a row with all of the keys of one of these is the tool's."""

    tool: str
    marks: tuple[frozenset[str], ...]
    where: Mapping[str, Places]
    known: frozenset[str]
    """Keys that are understood, those that become no field included."""


def _head(place: str) -> str:
    return place.partition(".")[0].removesuffix("[]")


def _table(tool: str, marks: str, further: str = "", **where: str) -> Table:
    """``marks``: sets of keys, ``|`` between them; ``further``: keys that are understood and stay as they are; ``where``:
    places with blanks between them."""
    sets = tuple(frozenset(one.split()) for one in marks.split("|"))
    places = {name: tuple(several.split()) for name, several in where.items()}
    heads = {_head(place) for several in places.values() for place in several}
    return Table(tool, sets, places, frozenset(heads.union(further.split(), *sets)))


_WEB = {
    "id": "id video.id",
    "creator": "author.uniqueId author user authorInfo.uniqueId",
    "created": "createTime date",
    "title": "title",
    "caption": "desc",
    "hashtags": "challenges[].title textExtra[].hashtagName",
    "sound": "music.id",
    "sound_title": "music.title",
    "region": "locationCreated",
    "duration_s": "video.duration",
    "views": "stats.playCount statsV2.playCount",
    "likes": "stats.diggCount statsV2.diggCount",
    "comments": "stats.commentCount statsV2.commentCount",
    "shares": "stats.shareCount statsV2.shareCount",
    "saves": "stats.collectCount statsV2.collectCount",
}
_VIDEO = {
    "id": "video_id video_url",
    "creator": "author_username author_name video_url",
    "created": "video_timestamp",
    "caption": "video_description video_title",
    "hashtags": "challenges[].title",
    "sound": "music.id",
    "sound_title": "music.title",
    "region": "video_locationcreated",
    "duration_s": "video_duration video_length",
    "views": "video_playcount",
    "likes": "video_diggcount",
    "comments": "video_commentcount",
    "shares": "video_sharecount",
}
API = _table(
    "the Research API",
    "id video_description|id hashtag_names|id region_code|video_id hashtag_names|video_id region_code",
    "effect_ids playlist_id voice_to_text is_stem_verified sticker_info_list effect_info_list video_mention_list"
    " video_label video_tag favourites_count music_title",
    id="id video_id",
    creator="username author_name",
    created="create_time",
    caption="video_description",
    hashtags="hashtag_names hashtag_info_list[].hashtag_name",
    labels="labels label",
    category="category",
    sound="music_id",
    region="region_code",
    duration_s="video_duration",
    views="view_count",
    likes="like_count",
    comments="comment_count",
    shares="share_count",
    saves="favorites_count favourites_count",
)
TABLES: tuple[Table, ...] = (
    _table("gallery-dl", "category subcategory desc|category subcategory createTime", "user post_type", **_WEB),
    _table(
        "gallery-dl, another site",
        "category subcategory",
        id="post_shortcode shortcode tweet_id post_id id",
        creator="username author.name user.name author user uploader",
        created="date post_date",
        title="title",
        caption="description content caption",
        hashtags="hashtags tags",
    ),
    _table(
        "TikTok's mobile API",
        "aweme_id",
        id="aweme_id",
        creator="author.unique_id author",
        created="create_time",
        caption="desc",
        hashtags="cha_list[].cha_name text_extra[].hashtag_name",
        sound="music.id_str music.mid music.id",
        sound_title="music.title",
        region="region",
        views="statistics.play_count",
        likes="statistics.digg_count",
        comments="statistics.comment_count",
        shares="statistics.share_count",
        saves="statistics.collect_count",
    ),
    _table(
        "TikTok's own JSON (TikTokApi, Zeeschuimer)", "desc createTime|desc author|desc stats|createTime stats", **_WEB
    ),
    _table(
        "yt-dlp",
        "extractor|extractor_key|webpage_url id|uploader_url id",
        id="id webpage_url",
        creator="uploader webpage_url uploader_url channel uploader_id",
        created="timestamp upload_date",
        title="title fulltitle",
        caption="description",
        keywords="tags",
        sound_title="track",
        duration_s="duration",
        views="view_count",
        likes="like_count",
        comments="comment_count",
        shares="repost_count",
        saves="save_count",
    ),
    _table(
        "4CAT",
        "body author tiktok_url",
        id="id thread_id tiktok_url",
        creator="author tiktok_url",
        created="unix_timestamp timestamp",
        caption="body",
        hashtags="hashtags challenges",
        sound="music_id",
        sound_title="music_name",
        region="location_created",
        views="plays",
        likes="likes",
        comments="comments",
        shares="shares",
        saves="saves",
    ),
    _table("traktok", "video_id video_url|video_id author_nickname", **_VIDEO),
    _table(
        "pyktok",
        "video_id author_username|video_id video_timestamp|video_id video_duration",
        **{**_VIDEO, "creator": "author_username"},
    ),
    _table(
        "Apify",
        "webVideoUrl|authorMeta",
        id="id webVideoUrl",
        creator="authorMeta.name authorMeta.uniqueId webVideoUrl",
        created="createTime createTimeISO",
        caption="text",
        hashtags="hashtags hashtags[].name",
        sound="musicMeta.musicId",
        sound_title="musicMeta.musicName",
        region="locationCreated",
        duration_s="videoMeta.duration",
        views="playCount",
        likes="diggCount",
        comments="commentCount",
        shares="shareCount",
        saves="collectCount",
    ),
    _table(
        "Apify (apidojo)",
        "postPage channel",
        id="id postPage",
        creator="channel.username channel.name postPage",
        created="uploadedAt uploadedAtFormatted",
        caption="title",
        hashtags="hashtags",
        sound="song.id",
        sound_title="song.title",
        duration_s="video.duration",
        views="views",
        likes="likes",
        comments="comments",
        shares="shares",
        saves="bookmarks",
    ),
    API,
)
LIST = _table(
    "a list",
    "",
    id="id video_id videoId item_id post_id url link video_url tiktok_url share_url web_url",
    creator="creator uploader username author.unique_id author author_username uploader_id channel user"
    " url link video_url tiktok_url share_url web_url",
    created="uploaded upload_date upload_time create_time created created_at timestamp date",
    title="title fulltitle",
    caption="caption video_description description text desc",
    hashtags="hashtags hashtag hashtag_names tags",
    labels="label labels",
    category="category",
    sound="sound music_id music_info.id",
    sound_title="sound_title sound track music music_info.title",
    region="region region_code country",
    duration_s="duration_s duration video_duration",
    views="views view_count plays play_count",
    likes="likes like_count digg_count diggs",
    comments="comments comment_count",
    shares="shares share_count",
    saves="saves favorites_count",
)
"""Our own names, and those that people give to the columns of a list."""
_HASHTAGS_OF = ("twitter", "tumblr", "instagram", "tiktok", "bluesky", "threads")
"""Sites of which yt-dlp's ``tags`` are hashtags; elsewhere they are keywords."""


_COMMENTS = ("parent_comment_id", "cid", "comment_id", "comment_url", "is_comment_on_comment")
"""Keys of comments, which name their video, too."""


@functools.cache
def known_columns() -> dict[str, str]:
    """The columns that some table knows, by their name in lower case; paths by their first part."""
    tables = (*TABLES, LIST)
    places = [place for table in tables for several in table.where.values() for place in several]
    marks = [name for table in tables for mark in table.marks for name in mark]
    return {name.lower(): name for name in (*marks, *(_head(place) for place in reversed(places)), "path")}


def table_of(said: Mapping[str, object]) -> Table:
    """The table that fits the keys of a row."""
    keys = said.keys()
    return next((table for table in TABLES if any(mark <= keys for mark in table.marks)), LIST)


def read_post(said: JsonObject, is_table: bool = False) -> Post:
    """What a row or a sidecar says, by the table of the tool that wrote it.

    ``is_table``: of a spreadsheet, in which ids may have been rounded.
    """
    said = cleaned(said)
    if comment := next((key for key in _COMMENTS if said.get(key)), ""):
        return Post("comments", problems={comment: "a comment, no video"}, rest=said)
    table = table_of(said)
    found: dict[str, Any] = {}
    places: dict[str, Places] = {}
    problems: dict[str, str] = {}
    for name, wanted in table.where.items():
        value, used, misfits = _read_field(name, wanted, said, is_table)
        if used:
            found[name], places[name] = value, used
        elif misfits:
            place, problem = next(iter(misfits.items()))
            problems[place] = problem
    if table is LIST and "id" not in found:  # an address in a column that no table knows
        cells = {key: text for key, text in said.items() if key not in LIST.known and isinstance(text, str)}
        for key, cell in cells.items():
            if re.fullmatch(r"https?://\S+", cell.strip()) and (video_id := id_in_address(cell)):
                found |= {"id": video_id, "creator": found.get("creator") or account_in_address(cell)}
                places["id"] = (key,)
    all_used = {place for used in places.values() for place in used}
    problems = {place: problem for place, problem in problems.items() if place not in all_used}
    taken = {_head(place) for place in (*all_used, *problems)}
    rest = {key: value for key, value in said.items() if key not in taken and value not in ABSENT}
    unknown = tuple(key for key in rest if key not in table.known)
    post = Post(table.tool, **found, places=places, problems=problems, rest=rest, unknown=unknown)
    site = str(said.get("extractor") or said.get("extractor_key")).lower()
    if table.tool == "yt-dlp" and site.startswith(_HASHTAGS_OF):
        tags_at = {"hashtags" if name == "keywords" else name: used for name, used in post.places.items()}
        post = replace(post, hashtags=post.keywords, keywords=None, places=tags_at)
    return post


FIELDS = tuple(f.name for f in fields(Post) if f.name not in ("tool", "places", "problems", "rest", "unknown"))


def _read_field(name: str, wanted: Places, said: JsonObject, is_table: bool) -> tuple[Any, Places, dict[str, str]]:
    """The value of a field, the places that it comes from, and what did not fit."""
    misfits: dict[str, str] = {}
    used: list[str] = []
    joined: dict[str, None] = {}
    for place in wanted:
        value = values_at(said, place)
        # NA is Namibia, unless R wrote it in other cells of the row, too.
        if value in ABSENT and not (name == "region" and value == "NA" and [*said.values()].count("NA") == 1):
            continue
        try:
            if place in _ADDRESSES and name in ("id", "creator"):
                value = as_address(value) if name == "id" else account_in_address(str(value))
            else:
                value = TYPES[name](value)
        except MisfitError as error:
            misfits[place] = str(error)
            continue
        if value is None:
            continue
        if name == "id" and is_table and is_rounded(value):
            misfits[place] = f"the id {value} was rounded by a spreadsheet; import a file that keeps it as text"
            continue
        if name != "hashtags":
            return value, (place,), misfits
        joined |= dict.fromkeys(value)
        used.append(place)
    return tuple(joined), tuple(used), misfits


def values_at(said: object, place: str) -> Any:
    """What stands at a place: None if nothing does; of ``a[].b`` a list."""
    first, _, rest = place.partition(".")
    inside = said.get(first.removesuffix("[]")) if isinstance(said, Mapping) else None
    if not first.endswith("[]"):
        return values_at(inside, rest) if rest else inside
    return [v for part in inside if (v := values_at(part, rest)) is not None] if isinstance(inside, list) else None
