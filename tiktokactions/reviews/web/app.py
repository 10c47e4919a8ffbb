"""The application: routes, middleware, and what people see when something goes wrong."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from tiktokactions import __version__
from tiktokactions.records import JsonObject
from tiktokactions.reviews.decisions import DecisionError
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.items import UnknownVideoError
from tiktokactions.reviews.web.context import HERE, STATIC, Web, assets_version, web_of
from tiktokactions.reviews.web.endpoints import api, open_api
from tiktokactions.reviews.web.media import media
from tiktokactions.reviews.web.pages import VisitorNeededError, let_in, pages
from tiktokactions.reviews.web.proxies import Proxies
from tiktokactions.reviews.web.safety import SECURITY_HEADERS, Guard
from tiktokactions.reviews.web.sessions import Sessions
from tiktokactions.reviews.web.words import FILTERS

DESCRIPTION = """\
The interface behind the review pages of tiktokactions. Programs send `Authorization: Bearer TOKEN` with a token from
`tiktokactions review invite DATASET NAME`; browsers have a cookie, and send `X-Review-Token` with each change.
"""
NOT_SAVED = "It could not be saved just now; it will be sent again."
DISK_FULL = "The server's disk is full: nothing can be saved until its owner makes room. It will be sent again."
NO_PAGE = "There is no such page. Videos are found in the gallery."
_log = logging.getLogger(__name__)


def create_app(desk: Desk) -> FastAPI:
    """The pages of a desk as an ASGI application. Nobody gets in without a token."""
    templates = Jinja2Templates(HERE / "templates")
    templates.env.filters.update(FILTERS)
    proxies = Proxies(desk.dataset / ".review" / "proxies")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        proxies.close()

    app = FastAPI(
        title="tiktokactions review",
        description=DESCRIPTION,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.web = Web(desk, Sessions(desk.store, desk.dataset), proxies, templates, assets_version())
    for router in (open_api, api, media, pages):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, host=desk.options.host)
    _handle_errors(app)
    _name_the_cookie(app)
    return app


def _name_the_cookie(app: FastAPI) -> None:
    """The cookie's name depends on the dataset: the description says which it is here."""
    describe = app.openapi

    def openapi() -> JsonObject:
        described = describe()
        described["components"]["securitySchemes"]["APIKeyCookie"]["name"] = app.state.web.sessions.cookie_name
        return described

    app.openapi = openapi  # type: ignore[method-assign]


def _handle_errors(app: FastAPI) -> None:
    """Errors as messages for people; details for the operator go to the log."""

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        text = NO_PAGE if error.detail == "Not Found" else str(error.detail)  # the framework's own wording
        return _problem(request, error.status_code, text, error.headers)

    @app.exception_handler(RequestValidationError)
    async def not_understood(request: Request, error: RequestValidationError) -> Response:
        found = [f"{'.'.join(map(str, e['loc'][1:])) or 'body'}: {e['msg']}" for e in error.errors()[:3]]
        return _problem(request, 422, "; ".join(found))

    @app.exception_handler(DecisionError)
    async def refused(request: Request, error: DecisionError) -> Response:
        if isinstance(error, UnknownVideoError):
            return _problem(request, 404, "This video is not in the dataset.")
        return _problem(request, 409, str(error))

    @app.exception_handler(sqlite3.Error)
    async def not_stored(request: Request, error: sqlite3.Error) -> Response:
        _log.error("%s %s: %s", request.method, request.url.path, error)
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
            return _problem(request, 507, DISK_FULL, {"retry-after": "5"})
        return _problem(request, 503, NOT_SAVED, {"retry-after": "1"})

    @app.exception_handler(VisitorNeededError)
    async def stranger(request: Request, error: VisitorNeededError) -> Response:
        return await let_in(request)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        # The server logs the traceback. This answer is made outside the middleware, so it needs the headers here.
        return _problem(request, 500, "Something went wrong here; the server's log says what.", SECURITY_HEADERS)


def _problem(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "") and request.method in ("GET", "HEAD")
    if wants_page and not request.url.path.startswith(("/api/", "/media/", "/static/")):
        web = web_of(request)
        said = {"status": status, "text": text, "page_version": web.page_version}
        return web.templates.TemplateResponse(request, "error.html", said, status_code=status, headers=headers)
    return JSONResponse({"error": text}, status_code=status, headers=headers)
