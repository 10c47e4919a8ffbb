"""Download videos with yt-dlp as a library: one session for each worker, the format, the retries, and a check of the file."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tiktokactions.collection.credentials import is_loopback
from tiktokactions.collection.options import FetchOptions
from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import delete, move_into_place
from tiktokactions.machine import scratch_file
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


class Fetcher:
    """Sessions of yt-dlp, one for each thread that fetches. Each has a copy of its own of the user's cookies.

    ``warn`` is told each of yt-dlp's warnings once.

    Raises:
        UsageError: yt-dlp does not take these options.
    """

    def __init__(self, folder: Path, options: FetchOptions, warn: Callable[[str], None] = lambda text: None) -> None:
        from yt_dlp.utils import YoutubeDLError

        self.folder, self.options = Path(os.path.abspath(folder)), options
        self.logger = _Logger(warn)
        self._own, self._opened = threading.local(), contextlib.ExitStack()
        try:
            self._session()
        except (YoutubeDLError, ValueError) as error:
            self.close()
            raise UsageError(f"yt-dlp does not take these options: {_text(error)}") from None

    def close(self) -> None:
        self._opened.close()

    def fetch(self, video_id: str, expected_s: float | None = None, pause_s: float = 0.0) -> Fetched:
        """Download one video as ``<id>.<ext>``, whole or not at all, and open it; ``pause_s`` to wait before.

        One session fetches the page and the file, because the file's server wants the page's cookie.

        Raises:
            FetchError: says what went wrong, in yt-dlp's words or ours.
        """
        from yt_dlp.utils import YoutubeDLError

        time.sleep(pause_s)
        downloader = self._session()
        try:
            info = downloader.extract_info(address_of(video_id), download=True)
        except YoutubeDLError as error:
            text = _text(error)
            if "Requested format is not available" in text and _is_photo_post(downloader, video_id):
                text = "only sound and pictures: a photo post"
            raise FetchError(text) from error
        except OSError as error:
            raise FetchError(f"{error.strerror or error}") from error
        path = _file_of(info, self.folder, video_id)
        _check(path, expected_s)
        return Fetched(path, path.stat().st_size, tool_version())

    def _session(self) -> yt_dlp.YoutubeDL:
        import yt_dlp

        if not hasattr(self._own, "session"):
            given = settings(self.folder, self.options) | {"logger": self.logger}
            if self.options.cookies is not None:
                copy = self._opened.enter_context(scratch_file("cookies.txt"))
                shutil.copyfile(self.options.cookies, copy)
                given["cookiefile"] = str(copy)
            self._own.session = yt_dlp.YoutubeDL(given)
            self._opened.callback(self._own.session.close)
        session: yt_dlp.YoutubeDL = self._own.session
        return session


def settings(folder: Path, options: FetchOptions) -> dict[str, object]:
    """yt-dlp's options. As a library it does not retry downloads unless told to.

    ``folder`` is absolute: yt-dlp would put a relative folder for temporary files below the other one.
    """
    from yt_dlp import parse_options

    passed = {"--cookies-from-browser": options.cookies_from_browser, "--impersonate": options.impersonate}
    words = [word for name, value in passed.items() if value is not None for word in (name, value)]
    parsed = parse_options(["--ignore-config", *words]).ydl_opts
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
        "progress_hooks": [_stop_if_endless],
        "ratelimit": None if options.rate_mb_s is None else options.rate_mb_s * 1e6,
        **{name: parsed[name] for name in ("cookiesfrombrowser", "impersonate")},
        **({} if options.proxy is None else {"proxy": options.proxy}),
        **({} if options.user_agent is None else {"http_headers": {"User-Agent": options.user_agent}}),
        **dict.fromkeys(("overwrites", "noplaylist", "quiet", "noprogress"), True),
        "cachedir": False,
    }


def _stop_if_endless(progress: JsonObject) -> None:
    """yt-dlp believes the length that a server announces, and downloads for ever what announces none."""
    if (progress.get("downloaded_bytes") or 0) > LARGEST_BYTES:
        raise FetchError("File is larger than max-filesize")


def _wait(n: int) -> float:
    return float(min(60, 5 * 2**n)) if "TIKTOKACTIONS_DOWNLOAD_URL" not in os.environ else 0.0


class _Logger:
    """Keeps yt-dlp from printing addresses and the names of cookies. Errors come as exceptions; warnings are told once."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn, self._told, self._lock = warn, set[str](), threading.Lock()

    def debug(self, text: str) -> None: ...

    def warning(self, text: str) -> None:
        plain = re.sub(r"^WARNING:\s*|(?<=\]) \d{6,}:", "", _text(Exception(text)))
        with self._lock:
            if plain not in self._told:
                self._told.add(plain)
                self._warn(plain)

    def error(self, text: str) -> None: ...


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
    with path.open("rb") as file:
        head = file.read(512).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        delete(path)
        raise FetchError("the server sent a web page instead of a video")
    try:
        with VideoFile(path) as video:
            duration_s = video.duration_s_from_header
    except VideoError as error:
        delete(path)
        raise FetchError(f"the file does not open: {error}") from error
    if expected_s and duration_s is not None and duration_s < expected_s - SHORT_BY_S:
        delete(path)
        raise FetchError(f"the file has {duration_s:.1f} s, shorter than the {expected_s:.0f} s that its metadata say")
