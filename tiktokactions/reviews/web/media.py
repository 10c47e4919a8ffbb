"""Pictures and videos, found by the id of their record and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request
from fastapi import Path as PathParameter
from starlette.responses import Response

from tiktokactions.files import StoreError
from tiktokactions.reviews.items import UnknownVideoError
from tiktokactions.reviews.web.context import SignedIn, TheWeb, hides_clip, readable_item
from tiktokactions.reviews.web.proxies import ProxyError, plays_in_browsers
from tiktokactions.reviews.web.served import file_response

media = APIRouter(prefix="/media", include_in_schema=False)
MISSING = "This file is missing."
Part = Annotated[int, PathParameter(ge=0, le=10**6)]


@media.api_route("/{video_id}/source", methods=["GET", "HEAD"])
async def source(web: TheWeb, session: SignedIn, request: Request, video_id: str) -> Response:
    item = await run_sync(readable_item, web, session, video_id)
    if item.source_path is None or not plays_in_browsers(item.record.probe, item.source_path):
        raise HTTPException(404, MISSING)
    return await _sent(request, item.source_path)


@media.api_route("/{video_id}/{what}", methods=["GET", "HEAD"])
async def of_the_dataset(web: TheWeb, session: SignedIn, request: Request, video_id: str, what: str) -> Response:
    """``clip``, ``poster`` or ``strip``: a file that must lie in the dataset, wherever links or a forged record point."""
    item = await run_sync(readable_item, web, session, video_id)
    path = {"clip": item.clip_path, "poster": item.poster_path, "strip": item.strip_path}.get(what)
    if what == "clip" and not session.is_owner and await run_sync(hides_clip, web, session, item):
        path = None  # whether there is one is not told to those who have yet to judge it
    if path is None or not path.resolve().is_relative_to(web.desk.dataset.resolve()):
        raise HTTPException(404, MISSING)
    return await _sent(request, path)


@media.api_route("/{video_id}/scenes/{scene}/{part}", methods=["GET", "HEAD"])
async def scene_copy(
    web: TheWeb, session: SignedIn, request: Request, video_id: str, scene: int, part: Part, sound: bool = False
) -> Response:
    """An H.264 copy of a part of a scene, on request with its sound; the answer waits until it is made."""
    item = await run_sync(readable_item, web, session, video_id)
    probe = item.record.probe
    if item.source is None or probe is None or not 0 <= scene < len(item.record.scenes):
        raise HTTPException(404, MISSING)
    try:
        wanted = (item.source, probe, item.record.scenes[scene], part, sound and probe.has_audio)
        future = await run_sync(web.proxies.proxy_of, *wanted)
        # Shielded: if one viewer leaves, the others still get the copy.
        path = await asyncio.shield(asyncio.wrap_future(future))
    except (ProxyError, StoreError) as error:
        raise HTTPException(404, str(error)) from error
    except OSError as error:
        raise HTTPException(404, MISSING) from error
    try:
        await run_sync(readable_item, web, session, video_id)
    except (UnknownVideoError, HTTPException):  # taken down, or set aside, while the copy was made
        path.unlink(missing_ok=True)
        raise
    return await _sent(request, path, "video/mp4")


async def _sent(request: Request, path: Path, media_type: str | None = None) -> Response:
    try:
        return await file_response(request, path, media_type)
    except OSError as error:
        raise HTTPException(404, MISSING) from error
