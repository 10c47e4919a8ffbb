"""What researchers hold already, under the names of the Research API: files of other tools, lists, folders of downloads."""

from __future__ import annotations

import codecs
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tiktokactions.collection.rows import as_id
from tiktokactions.collection.store import CollectionError
from tiktokactions.metadata.documents import DocumentError, Row, rows_of
from tiktokactions.metadata.names import account_in_name, id_in_name, rank, without_companions
from tiktokactions.metadata.sidecars import read_sidecar
from tiktokactions.metadata.tables import API, FIELDS, Post, read_post, values_at
from tiktokactions.metadata.values import is_rounded, lost_digits
from tiktokactions.records import JsonObject
from tiktokactions.text import clean_hashtag

NAMES = {
    "id": "id",
    "creator": "username",
    "created": "create_time",
    "caption": "video_description",
    "sound": "music_id",
    "sound_title": "music_title",
    "region": "region_code",
    "duration_s": "video_duration",
    "views": "view_count",
    "likes": "like_count",
    "comments": "comment_count",
    "shares": "share_count",
    "saves": "favorites_count",
    "category": "category",
}
"""Our fields, and what the Research API calls them (it knows no ``music_title`` and no ``category``)."""
_SAID = ("id", "creator", "created", "caption", "hashtags", "sound", "region", "views")
_METADATA = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".gz", ".zip")
_HISTORY = (b"Date: ", codecs.BOM_UTF8 + b"Date: ")
"""How a text of 'download your data' begins that lists videos or comments; messages begin otherwise and are not read."""
_CHANCE = 2_000
"""Of so many true ids fewer than one ends as if a spreadsheet had rounded it."""


_CHANCE_OF_NUMBERS = 10
"""The same of ids that JSON holds as numbers: what rounds one rounds all, and few files are as small."""


@dataclass
class Reading:
    """The rows of a file or folder, and what became of its columns."""

    rows: list[tuple[str, JsonObject]] = field(default_factory=list)
    """(where, the row under the API's names)."""
    count: int = 0
    rejected: list[str] = field(default_factory=list)
    tools: Counter[str] = field(default_factory=Counter)
    columns: dict[str, str] = field(default_factory=dict)
    """Which column became what."""
    misfits: dict[str, str] = field(default_factory=dict)
    """Columns with a value that did not fit, and where that was first."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows by columns that no table understands."""
    said: set[str] = field(default_factory=set)
    numbers: int = 0
    """Ids that stand as numbers in JSON."""
    doubted: list[int] = field(default_factory=list)
    """Of these rows the ids may have lost their last digits."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Of the main fields those that no row says anything of."""
        return tuple(name for name in _SAID if name not in self.said) if self.rows else ()


def read_imports(path: Path) -> Reading:
    """Read a file of any tool, or a folder of downloads.

    Raises:
        CollectionError: it cannot be read, or says nothing of any video.
    """
    found = Reading()
    tables = []
    for placed in _folder(path) if path.is_dir() else _file(path):
        if placed.row.is_table:
            tables.append(placed)
        else:  # not held together: JSON of posts is large, and most of it is left out
            _take(found, placed)
    for placed in _believed(tables):
        _take(found, placed)
    if len(found.doubted) * _CHANCE_OF_NUMBERS > found.numbers:
        told = ((found.rows[number][0], found.rows[number][1]["id"]) for number in found.doubted)
        found.rejected += [f"{at}: the id {i} was rounded, by jq or JavaScript; keep ids as text" for at, i in told]
        found.rows = [row for number, row in enumerate(found.rows) if number not in {*found.doubted}]
    if not found.count:
        raise CollectionError(f"{path}: expected metadata of videos, or a folder of downloaded ones, got no row")
    return found


class _Placed(NamedTuple):
    where: str
    row: Row
    video: str = ""
    """The path of the file that the row is about, if it is about one."""


def _file(path: Path) -> Iterator[_Placed]:
    try:
        data = path.read_bytes()
        if members := _members(data):
            for name, inside in members.items():
                yield from _rows(inside, f"{path}, {name}", is_one_of_many=True)
        else:
            yield from _rows(data, str(path))
    except OSError as error:
        raise CollectionError(f"{path}: cannot be read ({error.strerror or error})") from None
    except DocumentError as error:
        raise CollectionError(str(error)) from None
    except zipfile.BadZipFile as error:
        raise CollectionError(f"{path}: expected a ZIP archive, got a damaged file ({error})") from None


def _members(data: bytes) -> dict[str, bytes]:
    """The metadata files of a ZIP archive, such as TikTok's 'download your data'; nothing of a workbook or of no archive."""
    if not data.startswith(b"PK\x03\x04"):
        return {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        try:
            return {n: inside for n in archive.namelist() if _is_metadata(n, inside := archive.read(n))}
        except (RuntimeError, NotImplementedError) as error:  # a password, an unknown method
            raise DocumentError(f"{error}; unpack it and import the folder") from None


def _is_metadata(name: str, data: bytes) -> bool:
    return name.lower().endswith(_METADATA) or (name.lower().endswith(".txt") and data.startswith(_HISTORY))


def _rows(data: bytes, where: str, is_one_of_many: bool = False) -> Iterator[_Placed]:
    try:
        for row in rows_of(data, where):
            yield _Placed(f"{where}, row {row.number}", row)
    except DocumentError as error:
        if not is_one_of_many:
            raise
        yield _Placed(where, Row(0, None, str(error)))


def _folder(root: Path) -> Iterator[_Placed]:
    """Every video of a folder by its name and its sidecar, and every metadata file that stands alone."""
    for folder in [root, *sorted(path for path in root.rglob("*") if path.is_dir())]:
        for name in sorted(without_companions([path.name for path in folder.iterdir() if path.is_file()])):
            path = folder / name
            if _is_metadata(name, b"") or (rank(name) == 3 and _is_metadata(name, path.read_bytes())):
                try:
                    yield from _file(path)
                except CollectionError as error:
                    yield _Placed(str(path), Row(0, None, str(error)))
            elif rank(name) < 2 and not name.startswith("."):
                said, problem = read_sidecar(path)
                yield _Placed(str(path), Row(0, said, problem), str(path))


def _believed(rows: list[_Placed]) -> list[_Placed]:
    """Rows of tables. Ids that look rounded are doubted, unless they are so few of many that chance explains them; pandas
    rounds all of a column or none."""
    ids = [str(said.get("id") or said.get("video_id")) for said in (placed.row.said or {} for placed in rows)]
    whole = [one for one in ids if one.isascii() and one.isdigit()]
    if whole and len({*ids}) > 1 and all(lost_digits(int(one)) for one in whole):
        told = "the id was rounded, by pandas for example; import a file that keeps it as text"
        return [
            p._replace(row=replace(p.row, said=None, problem=told)) if i in whole else p
            for p, i in zip(rows, ids, strict=True)
        ]
    doubted = sum(map(is_rounded, ids))
    if not doubted or doubted * _CHANCE > len(rows):
        return rows
    return [placed._replace(row=replace(placed.row, is_table=False)) for placed in rows]


def _take(found: Reading, placed: _Placed) -> None:
    where, row, video = placed
    found.count += 1
    if row.said is None:
        found.rejected.append(f"{where}: {row.problem}")
        return
    post = read_post(row.said, row.is_table)
    if video:
        post = replace(post, id=post.id or id_in_name(video), creator=post.creator or account_in_name(video))
    tool = row.origin or ("files named by their ids" if video and not post.places else post.tool)
    found.tools[tool] += 1
    for name, place in ((name, place) for name, places in post.places.items() for place in places):
        if name not in found.columns.setdefault(place, name).split(", "):
            found.columns[place] += f", {name}"
    found.left_out.update(post.unknown)
    if as_id(post.id) is None:
        told = f"no platform's id: {post.id!r}" if post.id else "no id"
        found.rejected.append(f"{where}: {'; '.join(post.problems.values()) or row.problem or told}")
        return
    for place, problem in post.problems.items():
        found.misfits.setdefault(place, f"{where}: {problem}")
    if isinstance(number := next((values_at(row.said, at) for at in post.places.get("id", ())), None), int):
        found.numbers += 1
        found.doubted += [len(found.rows)] if lost_digits(number) else []
    found.said |= {name for name in FIELDS if getattr(post, name) not in (None, ())}
    found.said |= {"hashtags"} if post.caption_hashtags or post.labels else set()
    found.said |= {"caption"} if post.title else set()
    found.rows.append((where, _api_row(post)))


def _api_row(post: Post) -> JsonObject:
    """A post under the names of the Research API. Of other tools' further columns the plain ones are kept."""
    is_api = post.tool == API.tool
    row: JsonObject = {name: value for ours, name in NAMES.items() if (value := getattr(post, ours)) is not None}
    if post.caption is None and post.title:
        row["video_description"] = post.title
    if post.duration_s is not None and post.duration_s.is_integer():
        row["video_duration"] = int(post.duration_s)
    tags = [*(post.hashtags or ()), *(post.labels or ())]
    if tags or (is_api and post.hashtags is not None):
        row["hashtag_names"] = list(dict.fromkeys(map(clean_hashtag, tags)))
    for key, value in post.rest.items():
        is_known = is_api and key not in post.unknown
        if is_known or isinstance(value, (str, int, float)):
            row.setdefault(key, value)
    return row
