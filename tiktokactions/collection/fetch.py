"""Download one video with yt-dlp as a library: the format, the retries, and a check of the file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tiktokactions.collection.credentials import is_loopback
from tiktokactions.collection.options import FetchOptions
from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import delete, move_into_place
from tiktokactions.records import JsonObject
from tiktokactions.video import VideoError, VideoFile

if TYPE_CHECKING:
    import yt_dlp

ADDRESS = "https://www.tiktok.com/@_/video/{id}"
"""Works whatever the creator is called now, since only the id counts."""
SOFTWARE_MISSING = "downloading needs yt-dlp: pip install 'tiktokactions[download]'"
FORMAT = "bv*[vcodec=h264]/bv*"
"""Anything with a picture, H.264 if possible. Fails on photo posts, as it should: ``b`` would save their sound."""
FORMAT_SORT = ["vcodec:h264", "res:1080"]
"""``res`` is the shorter side, so portrait 1080 × 1920 counts as 1080; ``[height<=1080]`` would discard it."""
LARGEST_BYTES = 300 << 20
SHORT_BY_S = 2.0
"""A file that is shorter than its metadata say by more than this was cut off."""


class FetchError(TiktokactionsError, RuntimeError):
    """A video was not downloaded; :func:`tiktokactions.collection.failures.classify` reads the text."""


@dataclass(frozen=True)
class Fetched:
    path: Path
    bytes: int
    tool: str


def address_of(video_id: str) -> str:
    """Where a video is; ``TIKTOKACTIONS_DOWNLOAD_URL`` (with ``{id}`` in it) names another server for rehearsals.

    Raises:
        UsageError: the server is neither https nor on this machine.
    """
    pattern = os.environ.get("TIKTOKACTIONS_DOWNLOAD_URL", ADDRESS)
    if urlsplit(pattern).scheme != "https" and not is_loopback(pattern):
        raise UsageError(f"TIKTOKACTIONS_DOWNLOAD_URL={pattern}: expected https, or plain http on this machine")
    return pattern.replace("{id}", video_id)


def tool_version() -> str:
    """Raises ``UsageError`` if the extra ``download`` is not installed."""
    try:
        from yt_dlp.version import __version__
    except ImportError as error:
        raise UsageError(SOFTWARE_MISSING) from error
    return f"yt-dlp {__version__}"


def fetch(video_id: str, folder: Path, options: FetchOptions, expected_s: float | None = None) -> Fetched:
    """Download one video into ``folder`` as ``<id>.<ext>``, whole or not at all, and open it.

    One session fetches the page and the file, because the file's server wants the page's cookie.

    Raises:
        FetchError: says what went wrong, in yt-dlp's words or ours.
    """
    import yt_dlp
    from yt_dlp.utils import YoutubeDLError

    with yt_dlp.YoutubeDL(settings(folder, options)) as downloader:
        try:
            info = downloader.extract_info(address_of(video_id), download=True)
        except YoutubeDLError as error:
            text = _text(error)
            if "Requested format is not available" in text and _is_photo_post(downloader, video_id):
                text = "only sound and pictures: a photo post"
            raise FetchError(text) from error
        except OSError as error:
            raise FetchError(f"{error.strerror or error}") from error
    path = _file_of(info, folder, video_id)
    _check(path, expected_s)
    return Fetched(path, path.stat().st_size, tool_version())


def settings(folder: Path, options: FetchOptions) -> dict[str, object]:
    """yt-dlp's options. As a library it does not retry downloads unless told to."""
    return {
        "format": FORMAT,
        "format_sort": FORMAT_SORT,
        "outtmpl": {"default": "%(id)s.%(ext)s"},
        "paths": {"home": str(folder), "temp": str(folder / ".unfinished")},
        **{"retries": 5, "fragment_retries": 5, "extractor_retries": 3, "file_access_retries": 3},
        "socket_timeout": 30,
        "retry_sleep_functions": dict.fromkeys(("http", "fragment", "extractor"), _wait),
        "sleep_interval_requests": min(1.0, options.pause_s),
        "sleep_interval": options.pause_s,
        "max_sleep_interval": 3 * options.pause_s,
        "max_filesize": LARGEST_BYTES,
        "ratelimit": None if options.rate_mb_s is None else options.rate_mb_s * 1e6,
        "cookiefile": options.cookies,
        **dict.fromkeys(("overwrites", "noplaylist", "quiet", "noprogress", "no_warnings"), True),
        "cachedir": False,
        "logger": _Silent(),
    }


def _wait(n: int) -> float:
    return float(min(60, 5 * 2**n)) if "TIKTOKACTIONS_DOWNLOAD_URL" not in os.environ else 0.0


class _Silent:
    """Keeps yt-dlp from printing addresses and the names of cookies; what matters comes as an exception."""

    def debug(self, text: str) -> None: ...

    warning = error = debug


def _text(error: BaseException) -> str:
    """The message without terminal colours and without the parameters of addresses, which may be private."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).removeprefix("ERROR: ")
    return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", plain).split("; please report")[0].strip()


def _is_photo_post(downloader: yt_dlp.YoutubeDL, video_id: str) -> bool:
    from yt_dlp.utils import YoutubeDLError

    try:
        info = downloader.extract_info(address_of(video_id), download=False, process=False) or {}
    except YoutubeDLError:
        return False
    formats = info.get("formats") or []
    return bool(formats) and all(f.get("vcodec") == "none" for f in formats)


def _file_of(info: JsonObject | None, folder: Path, video_id: str) -> Path:
    downloads = (info or {}).get("requested_downloads") or []
    if not downloads:
        raise FetchError("File is larger than max-filesize" if info else "nothing was downloaded")
    found = Path(downloads[0]["filepath"])
    target = folder / f"{video_id}{found.suffix}"
    if found != target:
        move_into_place(found, target)
    return target


def _check(path: Path, expected_s: float | None) -> None:
    """Delete a file that does not open, has no picture or is too short."""
    try:
        with VideoFile(path) as video:
            duration_s = video.duration_s_from_header
    except VideoError as error:
        delete(path)
        raise FetchError(f"the file does not open: {error}") from error
    if expected_s and duration_s is not None and duration_s < expected_s - SHORT_BY_S:
        delete(path)
        raise FetchError(f"the file has {duration_s:.1f} s, shorter than the {expected_s:.0f} s that its metadata say")
