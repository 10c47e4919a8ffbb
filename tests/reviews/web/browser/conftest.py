"""One Chromium and one curated dataset for all browser tests; a context and a copy for each of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tests.reviews.web.browser.browsing import ARGUMENTS, CHROMIUM, PATIENT, SIZES, WAIT_MS, until
from tests.reviews.web.visits import OWNER_TOKEN


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="package")
def dataset(tmp_path_factory) -> Path:
    """Twelve videos that want review; the first has sound; the last is an AVI with two scenes, which no browser plays."""
    folder = tmp_path_factory.mktemp("browser")
    for n in range(11):
        size = (90, 160) if n % 2 else (160, 90)
        write_video(folder / "dance" / f"v{n:02}.mp4", numbered_frames(45, *size, first=200 * n), fps=10, audio=n == 0)
    write_video(folder / "jump" / "old.avi", numbered_frames(110, 160, 90, cuts=[50]), fps=10, codec="mpeg4")
    paths = "".join(f"dance/v{n:02}.mp4,dance\n" for n in range(11))
    (folder / "videos.csv").write_text(f"path,label\n{paths}jump/old.avi,jump\n")
    api.curate(folder / "videos.csv", folder / "data", detector="none", keep_duplicates=True, workers=1)
    return folder / "data"


@pytest.fixture
def data(dataset, tmp_path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "data"))


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Any]]:
    """``visit(address, size)``: a page in a browser of its own; what goes wrong on it fails the test.

    It waits for the server as long as it takes, since the machine may be busy with other tests; ``patient=False``: as
    long as it does for people. ``routed``: routes of the page hold from their first moment (Chromium lets requests past
    a page's first route for a while, unless there was one when the page was opened)."""
    contexts, problems = [], []

    def opened(
        address: str,
        size: str = "laptop",
        patient: bool = True,
        routed: bool = False,
        token: str = OWNER_TOKEN,
        **settings: Any,
    ) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        if routed:
            context.route("**/no-such-address", lambda route: route.abort())
        if patient:
            context.add_init_script(PATIENT)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
        if token:
            home = "/".join(address.split("/")[:3])
            assert context.request.post(f"{home}/api/join", data={"token": token}).ok
        page.goto(address)
        until(page, "!document.body.classList.contains('review') || document.body.dataset.ready")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems
