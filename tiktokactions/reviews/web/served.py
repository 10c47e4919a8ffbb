"""Files over HTTP with ranges (RFC 9110, section 14), so that every browser can seek in a video: starlette's answers, with
two differences. A ``Range`` that starlette refuses with 400 is ignored, as the RFC says, and so are several ranges at once;
and every answer says that ranges are accepted."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from anyio.to_thread import run_sync
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Message, Receive, Scope, Send

MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
}
_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE | re.ASCII)


class _MediaFile(FileResponse):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_ranged(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("accept-ranges", "bytes")
            await send(message)

        if not _is_one_range(Headers(scope=scope).get("range", "")):
            scope = {**scope, "headers": [header for header in scope["headers"] if header[0] != b"range"]}
        await super().__call__(scope, receive, send_ranged)


def _is_one_range(header: str) -> bool:
    found = _ONE_RANGE.fullmatch(header.strip())
    first, last = found.groups() if found else ("", "")
    return bool(first or last) and not (first and last and int(first) > int(last))


def file_mark(path: Path) -> str:
    """Changes when the file does. It is part of the file's address, so that an open page takes up the new one."""
    return FileResponse(path, stat_result=path.stat()).headers["etag"].strip('"')


async def file_response(request: Request, path: Path, media_type: str | None = None) -> Response:
    """Answer GET or HEAD with a file or a part of it: 200, 206, 304 or 416.

    Raises:
        OSError: there is no such file, or it is no regular file.
    """
    status = await run_sync(os.stat, path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path}: not a regular file")
    kind = media_type or MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    response = _MediaFile(path, stat_result=status, media_type=kind)
    # Browsers ask every time, and get the file only if it has changed: what was taken down is not served from a cache.
    response.headers["cache-control"] = "private, no-cache"
    if StaticFiles(check_dir=False).is_not_modified(response.headers, request.headers):
        return NotModifiedResponse(response.headers)
    return response
