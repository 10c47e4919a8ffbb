"""The pages themselves: review, one video, gallery, owner, joining."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import HTMLResponse, Response

from tiktokactions.records import REASONS, STATUSES, JsonObject
from tiktokactions.reviews import flags, golden, people
from tiktokactions.reviews.gallery import ORDERS, browse, label_funnel
from tiktokactions.reviews.web import shapes
from tiktokactions.reviews.web.context import TheWeb, Web, web_of
from tiktokactions.reviews.web.endpoints import GalleryQuery, check_queue, item_of
from tiktokactions.reviews.web.served import file_response
from tiktokactions.reviews.web.sessions import Session

HELD_AHEAD = 5
"""Videos reserved for an open page: the one on screen and those that load behind it."""
FUNNEL_ROWS = 200
pages = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


class VisitorNeededError(Exception):
    """Somebody who is not signed in asked for a page. Internal: the server answers with :func:`let_in`."""


def visitor(request: Request) -> Session:
    session = web_of(request).sessions.session_of(request)
    if session is None:
        raise VisitorNeededError
    return session


def page_owner(session: Annotated[Session, Depends(visitor)]) -> Session:
    if not session.is_owner:
        raise HTTPException(403, "This page is for the owner of the dataset.")
    return session


Visitor = Annotated[Session, Depends(visitor)]
PageOwner = Annotated[Session, Depends(page_owner)]


async def let_in(request: Request) -> Response:
    """What somebody sees who is not signed in: an invitation is needed.

    The cookie is strict: a page that is opened from a link on another site is requested without it. Such a page only
    reloads itself, and that request comes from this site.
    """
    web = web_of(request)
    if request.headers.get("sec-fetch-site") == "cross-site":
        query = f"?{request.url.query}" if request.url.query else ""
        return _page(web, request, None, "again.html", address=f"{request.url.path}{query}")
    return _page(web, request, None, "join.html", status_code=401, problem="")


def _page(
    web: Web, request: Request, session: Session | None, template: str, status_code: int = 200, **values: object
) -> Response:
    common = {
        "page_version": web.page_version,
        "session": session,
        "mark": "" if session is None else web.sessions.mark(session),
        "flags": [] if session is None or not session.is_owner else flags.set_aside(web.desk.store),
        "sent_back": {} if session is None else flags.sent_back(web.desk.store, session.person.id),
        "guide": web.desk.guide,
        "media_url": shapes.media_url,
        "dataset_name": web.desk.dataset.resolve().name,
    }
    return web.templates.TemplateResponse(request, template, common | values, status_code=status_code)


def _boot(web: Web, session: Session, **values: object) -> JsonObject:
    """The data that the script of a page starts with."""
    return {
        "mark": web.sessions.mark(session),
        "reviewer": session.person.id,
        "dataset": hashlib.sha256(str(web.desk.dataset.resolve()).encode()).hexdigest()[:8],
        "page_version": web.page_version,
        "held_ahead": HELD_AHEAD,
        "labels": web.desk.guide.names,
    } | values


# --- judging ---------------------------------------------------------------------------------------------------------


@pages.get("/")
def review(
    web: TheWeb, session: Visitor, request: Request, queue: Annotated[str, Query(max_length=150)] = ""
) -> Response:
    name = queue or web.desk.options.queue
    check_queue(web, session, name)
    # A page that is only opened reserves nothing: its script asks for videos.
    progress = dataclasses.asdict(web.desk.progress(session.person.id, name))
    boot = _boot(web, session, queue=name, single=False, items=[], progress=progress)
    queues = web.desk.queues(session.person.id, session.is_owner)
    queues = {name: name} | queues if name not in queues else queues
    return _page(web, request, session, "review.html", boot=boot, tab="review", queue=name, queues=queues, first="")


@pages.get("/videos/{video_id}")
def one_video(web: TheWeb, session: Visitor, request: Request, video_id: str) -> Response:
    item = item_of(web, session, video_id)
    boot = _boot(web, session, queue="gallery", single=True, items=[item.model_dump()], progress=None)
    known = golden.gold(web.desk.store).get(video_id) if session.is_owner else None
    verdict = "" if known is None else known.verdict
    return _page(
        web, request, session, "review.html", tab="gallery", queue="gallery", boot=boot, first=video_id, gold=verdict
    )


@pages.get("/guide/{number}")
async def example(web: TheWeb, session: Visitor, request: Request, number: int) -> Response:
    """The file that shows what a label means."""
    labels = web.desk.guide.labels
    file = labels[number].file if 0 <= number < len(labels) else ""
    try:
        return await file_response(request, Path(file))
    except OSError as error:
        raise HTTPException(404, "There is no such example.") from error


# --- looking ---------------------------------------------------------------------------------------------------------


@pages.get("/gallery")
def gallery(web: TheWeb, session: Visitor, request: Request) -> Response:
    given = {name: value for name, value in request.query_params.items() if value.strip()}
    after, before = given.pop("after", None), given.pop("before", None)
    try:
        query = GalleryQuery.model_validate(given)
        page = browse(web.desk.index, query.filters(session), after, before, 60)
    except ValueError as error:
        raise HTTPException(422, "The gallery does not know such a filter.") from error
    kept = {name: value for name, value in given.items() if name in GalleryQuery.model_fields}
    return _page(
        web,
        request,
        session,
        "gallery.html",
        tab="gallery",
        boot=_boot(web, session),
        page=page,
        query=query,
        counts=web.desk.status_counts(),
        statuses=STATUSES,
        reasons=REASONS,
        orders=ORDERS,
        next=f"/gallery?{urlencode(kept | {'after': page.next})}" if page.next else None,
        previous=f"/gallery?{urlencode(kept | {'before': page.previous})}" if page.previous else None,
    )


@pages.get("/owner")
def owner_page(web: TheWeb, session: PageOwner, request: Request) -> Response:
    everybody = people.reviewers(web.desk.store)
    return _page(
        web,
        request,
        session,
        "owner.html",
        tab="owner",
        boot=_boot(web, session),
        report=web.desk.report(),
        names={person.id: person.name for person in everybody},
        disabled={person.id for person in everybody if person.disabled},
        conflicts=web.desk.conflicts(50),
        funnel=label_funnel(web.desk.index, FUNNEL_ROWS),
        counts=web.desk.status_counts(),
        progress=web.desk.progress(session.person.id),
        own=session.person.id,
    )


# --- coming in -------------------------------------------------------------------------------------------------------


@pages.get("/join")
def join(web: TheWeb, request: Request) -> Response:
    """The page's script sends the token of its address; opening it changes nothing."""
    return _page(web, request, None, "join.html", problem="")


@pages.get("/name")
def name(web: TheWeb, session: Visitor, request: Request) -> Response:
    return _page(web, request, session, "name.html", tab="", boot=_boot(web, session))
