"""What the names of files and addresses say: ids, accounts, and which files only accompany a video."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable, Iterator

from tiktokactions.machine import DAY_S

_TIKTOK_BEGAN_S = 1_400_000_000
_ADDRESS_IDS = re.compile(
    r"tiktokv?\.com/(?:[^\s?#]*/)?(?:video|photo|v|embed|embed/v2|player/v1|share/item)/(\d{6,20})"
    r"|[?&](?:share_)?item_id=(\d{6,20})"
    r"|(?:youtube\.com/(?:watch\?(?:[^\s#]*&)?v=|shorts/|embed/)|youtu\.be/)([\w-]{11})"
)
_ADDRESS_ACCOUNT = re.compile(r"tiktok\.com/@([\w.-]*[\w-])")
_LONG_NUMBER = re.compile(r"(?<!\d)\d{17,20}(?!\d)")
# Eleven characters of base 64 hold 66 bits, an id has 64: the last one is among sixteen.
_YOUTUBE_IN_BRACKETS = re.compile(r"\[(?=[^\]]*[A-Z])(?=[^\]]*[a-z])([\w-]{10}[AEIMQUYcgkosw048])\]$", re.ASCII)
_ACCOUNT_AND_ID = re.compile(r"@?([\w.-]+)_(?:video|photo)_\d{17,20}")

_RANKS = {
    **dict.fromkeys("mp3 m4a m4b aac opus ogg oga weba mka wav flac wma aiff ac3 amr".split(), 1),
    **dict.fromkeys("jpg jpeg jfif png webp image heic heif avif jxl bmp tif tiff ico tbn thm".split(), 2),
    **dict.fromkeys("json description txt csv nfo xml yaml yml url webloc desktop lnk meta log md5 sha256".split(), 3),
    **dict.fromkeys("vtt srt ass ssa lrc ttml dfxp tt sbv sub idx sup smi scc srv1 srv2 srv3 json3".split(), 3),
    **dict.fromkeys("part ytdl tmp temp frag aria2 crdownload torrent html htm md sqlite xmp aae".split(), 3),
}
"""Who accompanies whom: sound a video, pictures both, text all of them. What is not listed may be a video (0)."""


def is_platform_id(video_id: str) -> bool:
    """TikTok's ids are numbers whose upper 32 bits are the time of the upload (Unix seconds)."""
    number = video_id.isascii() and video_id.isdigit() and len(video_id) <= 20 and int(video_id) >> 32
    return number is not False and number >= _TIKTOK_BEGAN_S


def id_in_address(text: str) -> str | None:
    """The id in the address of a TikTok or YouTube video; None if there is none, as in short links."""
    found = _ADDRESS_IDS.search(text)
    return next(filter(None, found.groups()), None) if found else None


def account_in_address(text: str) -> str | None:
    """The account in the address of a TikTok video: ``https://www.tiktok.com/@anna.example/video/73…``."""
    found = _ADDRESS_ACCOUNT.search(text)
    return found[1] if found and found[1] != "_" else None


def id_in_name(path: str) -> str | None:
    """The platform's id in the name of a file; None if there is none, or several.

    ``7301444403200000001.mp4``, ``Title [7301444403200000001].mp4`` and ``Title [jNQXAC9IVRw].mp4`` (yt-dlp),
    ``7301444403200000001 Title.mp4`` (gallery-dl), ``@anna.example_video_7301444403200000001.mp4`` (pyktok): every number
    whose upper bits are a time at which TikTok existed.
    """
    stem = os.path.splitext(_name(path))[0]
    numbers = {n for n in _LONG_NUMBER.findall(stem) if is_platform_id(n) and int(n) >> 32 < time.time() + DAY_S}
    if len(numbers) == 1:
        return numbers.pop()
    youtube = _YOUTUBE_IN_BRACKETS.search(stem)
    return youtube[1] if youtube and not numbers else None


def account_in_name(path: str) -> str | None:
    """The account in the name of a file of pyktok or traktok, or of gallery-dl's folder: ``tiktok/anna.example/73… .mp4``."""
    found = _ACCOUNT_AND_ID.match(_name(path))
    if found:
        return found[1]
    folders = path.split("/")[-3:-1]
    is_gallery = folders[:1] == ["tiktok"] and re.match(r"\d{17,20}(_\d+)? ", _name(path)) and id_in_name(path)
    return folders[1] if is_gallery else None


def rank(name: str) -> int:
    """0: may be a video; above that: what accompanies one."""
    return _RANKS.get(os.path.splitext(name)[1].lower().lstrip("."), 0)


def without_companions(names: Collection[str]) -> list[str]:
    """The names of a folder without those that accompany another: pictures, descriptions, subtitles, comments, metadata.

    A companion shares the other's stem (``a.jpg``, ``a.en.vtt``, ``a.info.json`` and ``a.mp4.json`` of ``a.mp4``) or the
    platform's id; ``info.json`` is gallery-dl's, of the whole folder. Without the other it is a file like any other.
    """
    names = [name for name in names if name != "info.json" or len(names) == 1]
    ranks: dict[str, int] = {}
    for name in names:
        for key in _keys(name):
            ranks[key] = min(rank(name), ranks.get(key, 9))
    return [name for name in names if not any(ranks.get(key, 9) < rank(name) for key in _wanted(name))]


def companions(videos: Iterable[str], names: Iterable[str]) -> list[str]:
    """Those of the names of a folder that accompany one of the files ``videos``."""
    ranks: dict[str, int] = {}
    for video in videos:
        ranks |= dict.fromkeys(_keys(video), rank(video))
    return [name for name in names if any(ranks.get(key, 9) < rank(name) for key in _wanted(name))]


def sidecar_names(video: str) -> list[str]:
    """Where a file's metadata may stand, the first that exists is read."""
    stem = os.path.splitext(video)[0]
    return [name for name in (f"{stem}.json", f"{stem}.info.json", f"{video}.json") if name != video]


def _keys(name: str) -> list[str]:
    """What others may share with a file: its name, its stem, its id."""
    return [name, os.path.splitext(name)[0], f"id {id_in_name(name)}"]


def _wanted(name: str) -> Iterator[str]:
    """The keys of those that a file may accompany."""
    if rank(name):
        yield from (name[:at] for at, character in enumerate(name) if character == "." and at)
        if video_id := id_in_name(name):
            yield f"id {video_id}"


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
