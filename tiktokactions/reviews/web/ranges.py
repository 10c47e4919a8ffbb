"""Files over HTTP with ranges (RFC 9110, section 14), so that every browser can seek in a video."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

CHUNK_BYTES = 256 * 1024
MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
}
_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)
_DIGITS_AT_MOST = 18


class UnsatisfiableError(ValueError):
    """The range lies behind the end of the file. Internal: the answer is 416."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open part of a file of ``size`` bytes that a ``Range`` header asks for. None: the whole file, which is also
    the answer to several ranges at once and to a header that is not understood.

    Raises:
        UnsatisfiableError: understood, but no byte of the file is in it.
    """
    found = _ONE_RANGE.fullmatch(header.strip()) if header else None
    if found is None or not any(found.groups()) or max(map(len, found.groups())) > _DIGITS_AT_MOST:
        return None
    first, last = found.groups()
    if not first:  # the last so many bytes
        if int(last) == 0 or size == 0:
            raise UnsatisfiableError(header)
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise UnsatisfiableError(header)
    return int(first), min(size, int(last) + 1) if last else size


def etag_of(size: int, mtime_ns: int) -> str:
    return '"' + hashlib.sha256(f"{size}-{mtime_ns}".encode()).hexdigest()[:20] + '"'


def file_mark(path: Path) -> str:
    """Changes when the file does; goes into its address, so that browsers may keep what they have."""
    status = path.stat()
    return etag_of(status.st_size, status.st_mtime_ns).strip('"')


async def file_response(request: Request, path: Path, media_type: str | None = None) -> Response:
    """Answer GET or HEAD with a file or a part of it: 200, 206, 304 or 416.

    Raises:
        OSError: the file cannot be opened, or is no regular file.
    """
    file, status = await run_sync(_opened, path)
    size, etag = status.st_size, etag_of(status.st_size, status.st_mtime_ns)
    kept = (
        "private, max-age=86400, immutable" if request.query_params.get("v") == etag.strip('"') else "private, no-cache"
    )
    modified = formatdate(status.st_mtime, usegmt=True)
    headers = {"accept-ranges": "bytes", "etag": etag, "last-modified": modified, "cache-control": kept}
    kind = media_type or MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
    if _names(request.headers.get("if-none-match"), etag):
        file.close()
        return Response(status_code=304, headers=headers)
    condition = request.headers.get("if-range")
    asked = request.headers.get("range") if condition is None or condition.strip() in (etag, modified) else None
    try:
        part = parse_range(asked, size)
    except UnsatisfiableError:
        file.close()
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{size}"})
    start, end = part or (0, size)
    headers["content-length"] = str(end - start)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    code = 200 if part is None else 206
    if request.method == "HEAD":
        file.close()
        return Response(status_code=code, headers=headers, media_type=kind)
    return StreamingResponse(_bytes(file, start, end), status_code=code, headers=headers, media_type=kind)


def _opened(path: Path) -> tuple[BinaryIO, os.stat_result]:
    file = open(path, "rb")  # noqa: SIM115 - closed by who reads it
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise OSError(f"{path}: not a regular file")
    return file, status


def _names(header: str | None, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag in tags or "*" in tags


async def _bytes(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    try:
        await run_sync(file.seek, start)
        while start < end:
            data = await run_sync(file.read, min(CHUNK_BYTES, end - start))
            if not data:
                return
            start += len(data)
            yield data
    finally:
        file.close()
