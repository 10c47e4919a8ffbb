"""What every handler needs: the desk, the sessions, the stand-ins, the templates, and who is asking."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.templating import Jinja2Templates

from tiktokactions import __version__
from tiktokactions.reviews import ledger
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.flags import set_aside
from tiktokactions.reviews.items import ReviewItem, UnknownVideoError
from tiktokactions.reviews.web.proxies import Proxies
from tiktokactions.reviews.web.sessions import Session, Sessions

HERE = Path(__file__).parent
STATIC = HERE / "static"
SET_ASIDE = "This video was flagged, and is set aside until the owner has looked at it."
UNREADABLE = "The record of this video cannot be read."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Web:
    desk: Desk
    sessions: Sessions
    proxies: Proxies
    templates: Jinja2Templates
    page_version: str
    """Stored with every decision: the version of the pages it was made on."""


def assets_version() -> str:
    """The package's version and a hash of everything that is sent to browsers."""
    files = sorted(p for folder in ("static", "templates") for p in (HERE / folder).iterdir() if p.is_file())
    content = hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()
    return f"{__version__}-{content[:8]}"


def web_of(request: Request) -> Web:
    return request.app.state.web


_BEARER = HTTPBearer(auto_error=False, description="A token from `tiktokactions review invite`.")
_COOKIE = APIKeyCookie(
    name="session", auto_error=False, description="The session of a browser; changes need X-Review-Token too."
)


def readable_item(web: Web, session: Session, video_id: str) -> ReviewItem:
    """Raises ``UnknownVideoError``; 404 for a video that was set aside, to all but owners, and for a damaged record (the
    message, which names a path, goes to the log)."""
    if not session.is_owner and any(flag.video_id == video_id for flag in set_aside(web.desk.store)):
        raise HTTPException(404, SET_ASIDE)
    try:
        return web.desk.item(video_id)
    except UnknownVideoError:
        raise
    except ValueError as error:
        _log.warning("%s", error)
        raise HTTPException(404, UNREADABLE) from error


def hides_clip(web: Web, session: Session, item: ReviewItem) -> bool:
    """A clip is there or not by the video's status: before a person has judged it, where there are gold items or others judge
    it too, it is played from its source instead. Examples of labels are shown."""
    record, desk = item.record, web.desk
    if not (desk.has_gold_items or desk.k > 1) or record.video_id in desk.guide.examples:
        return False
    mine = ledger.decision_of(desk.store, session.person.id, record.video_id)
    return item.source is not None and bool(record.scenes) and (mine is None or mine.verdict == "skip")


def signed_in(request: Request) -> Session:
    session = web_of(request).sessions.session_of(request)
    if session is None:
        raise HTTPException(401, "Not signed in: open your invitation link.", {"WWW-Authenticate": "Bearer"})
    return session


def may_change(request: Request) -> Session:
    session = signed_in(request)
    if not web_of(request).sessions.may_change(session, request):
        raise HTTPException(403, "X-Review-Token is missing or wrong: load the page again.")
    return session


def owner(request: Request) -> Session:
    session = signed_in(request)
    if not session.is_owner:
        raise HTTPException(403, "Only the owner of the dataset may do this.")
    return session


def owner_may_change(request: Request) -> Session:
    may_change(request)
    return owner(request)


async def the_web(request: Request) -> Web:
    """Async, because FastAPI would run a plain function in a thread of its own."""
    return web_of(request)


TheWeb = Annotated[Web, Depends(the_web)]
SignedIn = Annotated[Session, Depends(signed_in)]
MayChange = Annotated[Session, Depends(may_change)]
Owner = Annotated[Session, Depends(owner)]
OwnerMayChange = Annotated[Session, Depends(owner_may_change)]
SECURITY = [Depends(_BEARER), Depends(_COOKIE)]
