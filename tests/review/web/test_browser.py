"""The pages in a real browser: headless Chromium at a server of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.made_videos import numbered_frames, write_video
from tests.review.web.visits import served, serving
from tests.review.worlds import in_this_process
from tiktokactions import api

CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if os.path.exists(p)), None)
ARGUMENTS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
 --disable-component-update --disable-sync""".split()
SIZES = {"laptop": (1280, 800), "phone": (390, 844)}
HOSTILE = "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"
WAIT_MS = 30_000
ARRIVED = "document.readyState === 'complete' && document.body.dataset.videoId"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Twelve videos that want review; the last is an AVI with two scenes, which no browser plays."""
    folder = tmp_path_factory.mktemp("browser")
    for n in range(11):
        size = (90, 160) if n % 2 else (160, 90)
        write_video(folder / "dance" / f"v{n:02}.mp4", numbered_frames(45, *size, first=200 * n), fps=10)
    write_video(folder / "jump" / "old.avi", numbered_frames(110, 160, 90, cuts=[50]), fps=10, codec="mpeg4")
    paths = "".join(f"dance/v{n:02}.mp4,dance\n" for n in range(11))
    (folder / "videos.csv").write_text(f"path,label\n{paths}jump/old.avi,jump\n")
    with pytest.MonkeyPatch.context() as patch:
        in_this_process(patch)
        api.curate(folder / "videos.csv", folder / "data", detector="none", keep_duplicates=True, workers=1)
    return folder / "data"


@pytest.fixture
def data(dataset, tmp_path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "data"))


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Any]]:
    """``visit(address, size)``: a page in a browser of its own; what goes wrong on it fails the test."""
    contexts, problems = [], []

    def opened(address: str, size: str = "laptop", **settings: Any) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Wait until it holds. Playwright's own way evaluates strings in the page, which the page's policy forbids."""
    begun = time.monotonic()
    while not _holds(page, expression, argument):
        if time.monotonic() - begun > WAIT_MS / 1000:
            said = " ".join(page.inner_text("body").split())
            raise AssertionError(f"still not so: {expression} {argument}; the page says: {said[:600]}")
        page.wait_for_timeout(25)


def _holds(page: Any, expression: str, argument: Any) -> bool:
    from playwright.sync_api import Error

    try:
        return bool(page.evaluate(expression, argument))
    except Error as error:
        if not any(said in str(error) for said in ("context was destroyed", "properties of null")):
            raise
        return False  # the page is on its way to another


def shown(page: Any) -> str:
    return page.evaluate("document.body.dataset.videoId")


def press(page: Any, key: str) -> tuple[str, str]:
    """Press a key that moves on; the videos before and after."""
    before = shown(page)
    page.keyboard.press(key)
    until(page, "id => document.body.dataset.videoId !== id", before)
    return before, shown(page)


def saved(page: Any) -> None:
    until(page, "(({state, waiting}) => state === 'saved' && waiting === '0')(document.getElementById('net').dataset)")


def rows(data: Path, columns: str = "video_id, verdict") -> list[tuple[Any, ...]]:
    with sqlite3.connect(data / "reviews.sqlite") as connection:
        found = connection.execute(f"SELECT {columns} FROM decisions ORDER BY id").fetchall()
    connection.close()
    return found


def test_ten_videos_by_keyboard(data, visit):
    with served(data) as address:
        page = visit(address)
        first = shown(page)
        assert first
        until(page, "document.querySelector('video.on')?.currentTime > 0.2")  # muted, playing at once
        assert page.evaluate("document.querySelector('video.on').muted && document.querySelector('video.on').loop")
        said, waits = [], []
        for key in "arusxaraua":
            until(page, "[...document.querySelectorAll('video')].filter((v) => v.readyState > 2).length > 1")
            page.evaluate("delete document.body.dataset.shownMs")
            before, after = press(page, key)
            until(page, "document.body.dataset.shownMs")
            waits.append(float(page.evaluate("document.body.dataset.shownMs")))
            said.append((before, {"a": "accept", "u": "unsure", "s": "skip"}.get(key, "reject")))
            assert before != after
        saved(page)
        assert rows(data) == said
        assert len({video for video, _ in said}) == 10
        quickest = sorted(waits)[len(waits) // 4]  # the machine may be busy with something else
        assert quickest < 100, f"the next video shows after {waits} ms"
        labels = rows(data, "verdict, labels, no_action")
        assert labels[0][1] in ('["dance"]', '["jump"]') and labels[1] == ("reject", None, 0)
        assert labels[4] == ("reject", None, 1)
        until(page, "document.getElementById('pace').textContent.includes('3 left')")  # the skipped one too


def test_undo_any_number_also_after_a_reload(data, visit):
    with served(data) as address:
        page = visit(address)
        videos = [press(page, key)[0] for key in "arua"]
        for video in reversed(videos[2:]):
            page.keyboard.press("z")
            until(page, "id => document.body.dataset.videoId === id", video)
        saved(page)
        page.reload()
        for video in reversed(videos[:2]):
            page.keyboard.press("z")
            until(page, "id => document.body.dataset.videoId === id", video)
        saved(page)
        page.keyboard.press("z")
        until(page, "document.getElementById('toast').textContent.includes('Nothing')")
        assert [verdict for _, verdict in rows(data)] == ["accept", "reject", "unsure", "accept", *["undo"] * 4]
        press(page, "r")
        saved(page)
        assert rows(data)[-1] == (videos[0], "reject")


def test_a_segment_is_moved_by_mouse_and_keys_and_a_scene_is_picked(data, visit):
    with served(data, label="jump") as address:
        page = visit(address)
        until(page, "document.querySelector('video.on')?.readyState > 2")
        assert page.locator("#scenes button").count() == 2
        page.keyboard.press("p")  # the shorter scene, of an AVI: a copy is made
        until(page, "document.querySelector('video.on')?.src.includes('/scenes/0/0')")
        until(page, "document.querySelector('video.on')?.currentTime > 0")
        page.keyboard.press("c")
        assert "0.00 – 5.00 s" in page.inner_text("#readout")
        grip, track = page.locator("#grip-end").bounding_box(), page.locator("#track").bounding_box()
        page.mouse.move(grip["x"] + 8, grip["y"] + 10)
        page.mouse.down()
        page.mouse.move(grip["x"] + 8 - track["width"] / 5, grip["y"] + 10, steps=5)  # a second of five
        page.mouse.up()
        assert "0.00 – 4.0" in page.inner_text("#readout") or "0.00 – 3.9" in page.inner_text("#readout")
        page.locator("#grip-start").focus()
        page.keyboard.press("ArrowRight")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("ArrowRight")
        start_s = float(page.locator("#grip-start").get_attribute("aria-valuenow"))
        assert start_s == pytest.approx(0.2, abs=0.02)
        page.keyboard.press("a")
        saved(page)
        until(page, "document.body.classList.contains('empty')")
        until(page, "document.getElementById('notice').textContent.includes('All done')")
        [(verdict, scene, start, end)] = rows(data, "verdict, scene, start_s, end_s")
        assert (verdict, scene) == ("accept", 0)
        assert start == pytest.approx(0.2, abs=0.05) and 3.5 <= end - start <= 4.1


ASK = """async ([url, headers]) => {
    const answer = await fetch(url, { headers, cache: 'no-store' }); // Chromium's cache answers ranges by itself
    const bytes = (await answer.arrayBuffer()).byteLength;
    return [answer.status, answer.headers.get('Content-Range'), bytes];
}"""


def test_seeking_in_a_video(data, visit):
    """Chromium asks for ranges and jumps about; what its own requests get is what RFC 9110 says."""
    with served(data) as address:
        page = visit(f"{address}/gallery")
        answers: list[Any] = []
        page.on("response", lambda answer: answers.append(answer) if "/media/" in answer.url else None)
        page.click(".tile a")
        until(page, "document.querySelector('video.on')?.readyState > 2")
        url = page.evaluate("document.querySelector('video.on').currentSrc")
        parts = [a for a in answers if a.url == url]
        assert {a.status for a in parts} == {206} and parts[0].request.headers["range"] == "bytes=0-"
        size = int(parts[0].headers["content-length"])
        assert parts[0].headers["content-range"] == f"bytes 0-{size - 1}/{size}"
        page.keyboard.press(" ")
        for time_s in (4.0, 0.5, 2.25):
            page.evaluate("t => { document.querySelector('video.on').currentTime = t; }", time_s)
            until(
                page,
                "t => ((v) => !v.seeking && Math.abs(v.currentTime - t) < 0.01)(document.querySelector('video.on'))",
                time_s,
            )
        etag = parts[0].headers["etag"]
        for headers, answer in (
            ({"Range": "bytes=10-19"}, [206, f"bytes 10-19/{size}", 10]),
            ({"Range": "bytes=-7"}, [206, f"bytes {size - 7}-{size - 1}/{size}", 7]),
            ({"Range": f"bytes={size}-"}, [416, f"bytes */{size}", 0]),
            ({"Range": "bytes=0-3,8-9"}, [200, None, size]),
            ({"Range": "bytes=0-3", "If-Range": etag}, [206, f"bytes 0-3/{size}", 4]),
            ({"Range": "bytes=0-3", "If-Range": '"of-another-file"'}, [200, None, size]),
        ):
            assert page.evaluate(ASK, [url, headers]) == answer, headers


def swipe(page: Any, by_x: int, by_y: int = 0) -> None:
    """A finger on the video, as the touch screen reports it."""
    box = page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2 - by_x / 2, box["y"] + box["height"] / 2 - by_y / 2
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 6):
        at = {"x": x + by_x * step / 5, "y": y + by_y * step / 5}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_fingers_on_a_phone(data, visit):
    with served(data) as address:
        page = visit(address, "phone", has_touch=True, is_mobile=True)
        until(page, "document.querySelector('video.on')?.readyState > 2")
        said = []
        for move, verdict in ((150, "accept"), (-150, "reject")):
            said.append((shown(page), verdict))
            swipe(page, move)
            until(page, "id => document.body.dataset.videoId !== id", said[-1][0])
        for by_x, by_y in ((30, 0), (90, 120)):  # too short, and a scroll rather than a swipe
            swipe(page, by_x, by_y)
        swipe(page, 0)  # a tap
        until(page, "document.getElementById('speed').textContent === 'paused'")
        for name, verdict in (("unsure", "unsure"), ("none", "reject"), ("skip", "skip"), ("accept", "accept")):
            said.append((shown(page), verdict))
            page.tap(f"button.{name}")
            until(page, "id => document.body.dataset.videoId !== id", said[-1][0])
        saved(page)
        assert rows(data) == said
        page.tap("#undo")
        until(page, "id => document.body.dataset.videoId === id", said[-1][0])
        small = """[...document.querySelectorAll('.actions button')].map((e) => e.getBoundingClientRect())
            .filter(({ width, height }) => width < 44 || height < 44).length"""
        assert page.evaluate(small) == 0


def test_labels(data, visit):
    with served(data) as address:
        page = visit(address)
        page.keyboard.press("1")
        page.keyboard.press("l")
        page.keyboard.type("soccer jug")
        page.keyboard.press("Enter")
        until(page, "document.querySelectorAll('#chips button').length === 2")
        page.keyboard.type("a label of our own")
        page.keyboard.press("Enter")
        until(page, "document.querySelectorAll('#chips button').length === 3")
        page.keyboard.press("Escape")
        page.keyboard.press("t")
        page.keyboard.type("outdoors")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        press(page, "a")
        saved(page)
        [(labels, tags)] = rows(data, "labels, tags")
        assert labels == '["soccer juggling", "a label of our own"]' and tags == '["outdoors"]'


def test_two_people_and_a_conflict(data, visit):
    with served(data, reviewers_per_video=2) as address:
        one, other = visit(address), visit(address)
        for page, name in ((one, "Ann"), (other, "Bob")):
            page.goto(f"{address}/name")
            page.fill("#name", name)
            page.keyboard.press("Enter")
            until(page, ARRIVED)
        video = shown(one)
        assert shown(other) == video  # each video wants two judgements
        press(one, "a")
        assert "accept" not in other.inner_text(".panel .about")
        press(other, "r")
        saved(other)
        assert len(rows(data)) == 2
        assert one.goto(f"{address}/owner").status == 403
        one.goto(f"{address}/name")
        one.fill("#name", "owner")
        one.keyboard.press("Enter")
        until(one, ARRIVED)
        one.goto(f"{address}/owner")
        assert "Ann: accept" in one.inner_text("main") and "Bob: reject" in one.inner_text("main")
        one.click("text=Settle 1")
        until(one, "id => document.body.dataset.videoId === id", video)
        assert "ann: accept" in one.inner_text("#others")
        one.keyboard.press("r")
        saved(one)
        assert rows(data, "video_id, verdict, reviewer, adjudication")[-1] == (video, "reject", "owner", 1)


def test_one_judgement_each_nobody_gets_the_same(data, visit):
    with served(data) as address:
        one, other = visit(address), visit(address)
        assert shown(one) and shown(other) and shown(one) != shown(other)


KEPT = "n => document.getElementById('net').textContent === `offline, ${n} decision${n === 1 ? '' : 's'} kept here`"


def test_offline_and_back(data, visit):
    with served(data) as address:
        page = visit(address)
        until(page, "[...document.querySelectorAll('video')].filter((v) => v.readyState > 2).length > 2")
        page.context.set_offline(True)
        videos = [press(page, key)[0] for key in "arr"]
        page.keyboard.press("z")
        until(page, "id => document.body.dataset.videoId === id", videos.pop())
        until(page, KEPT, 4)
        assert rows(data) == []
        page.context.set_offline(False)
        saved(page)
        assert [verdict for _, verdict in rows(data)] == ["accept", "reject", "reject", "undo"]
        press(page, "u")
        saved(page)
        assert rows(data)[-1][1] == "unsure"


class Held:
    """The first request of a page to ``path``, which stays unanswered until the test lets it go: before the server has
    heard of it, or (``answered``) when it has written what it says. Later ones pass."""

    def __init__(self, page: Any, path: str, answered: bool) -> None:
        self.answered = answered
        self.route: Any = None
        self.answer: Any = None
        page.route(path, self._hold)

    def _hold(self, route: Any) -> None:
        if self.route is not None:
            return route.continue_()
        self.route = route
        if self.answered:
            self.answer = route.fetch()

    def let_go(self) -> None:
        if self.answered:
            self.route.fulfill(response=self.answer)
        else:
            self.route.continue_()


@pytest.mark.parametrize("answered", [False, True], ids=["asked", "answered"])
def test_the_page_waits_until_a_decision_is_on_the_disk(data, visit, answered):
    with served(data) as address:
        page = visit(address)
        before = shown(page)
        held = Held(page, "**/api/decisions", answered)
        page.keyboard.press("a")
        page.keyboard.press("r")  # of a video that nobody has seen yet: says nothing
        page.wait_for_timeout(500)
        assert shown(page) == before
        assert page.inner_text("#net") == "saving …"
        assert len(rows(data)) == int(answered)
        held.let_go()
        until(page, "id => document.body.dataset.videoId !== id", before)
        saved(page)
        assert rows(data) == [(before, "accept")]
        held = Held(page, "**/api/undo", answered)
        second = shown(page)
        page.keyboard.press("z")
        page.wait_for_timeout(300)
        assert shown(page) == second
        held.let_go()
        until(page, "id => document.body.dataset.videoId === id", before)
        assert [verdict for _, verdict in rows(data)] == ["accept", "undo"]


def test_a_server_that_does_not_answer_counts_as_away_and_what_it_wrote_is_not_doubled(data, visit):
    with served(data) as address:
        page = visit(address)
        until(page, "[...document.querySelectorAll('video')].filter((v) => v.readyState > 2).length > 2")
        begun = time.monotonic()
        page.route("**/api/decisions", lambda route: route.fetch())  # written, and the answer never comes
        first, _ = press(page, "a")
        assert 2.4 < time.monotonic() - begun < 10
        until(page, KEPT, 1)
        second, _ = press(page, "r")
        until(page, KEPT, 2)
        assert rows(data) == [(first, "accept")]
        page.unroute("**/api/decisions")
        page.reload()  # what is kept survives it
        saved(page)
        assert rows(data) == [(first, "accept"), (second, "reject")]
        assert shown(page) not in (first, second)


def test_a_decision_that_the_server_refuses_stays_on_show(data, visit):
    def refuse(route: Any) -> None:
        route.fulfill(status=409, json={"error": "the segment lies outside the scene"})

    with served(data) as address:
        page = visit(address)
        before = shown(page)
        page.route("**/api/decisions", refuse)
        page.keyboard.press("a")
        until(page, "document.getElementById('toast').textContent === 'Not saved: the segment lies outside the scene'")
        assert shown(page) == before
        page.unroute("**/api/decisions")
        until(page, "!document.body.classList.contains('saving')")
        press(page, "r")
        assert rows(data) == [(before, "reject")]


@pytest.mark.parametrize("answered", [pytest.param(False, marks=pytest.mark.slow), True], ids=["asked", "answered"])
def test_kill_between_click_and_answer(data, visit, answered):
    """What was acknowledged is there; what was not is sent again after the restart, and counts once."""
    with serving(data) as (address, process):
        page = visit(address)
        videos = [press(page, "a")[0], press(page, "a")[0]]
        assert [video for video, _ in rows(data)] == videos  # the page has moved on: it is on the disk
        held = Held(page, "**/api/decisions", answered)
        videos.append(shown(page))
        page.keyboard.press("r")
        page.wait_for_timeout(100)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [video for video, _ in rows(data)] == videos[: 3 if answered else 2]
        held.route.abort()
        until(page, "id => document.body.dataset.videoId !== id", videos[2])
        until(page, KEPT, 1)
    with serving(data, "--port", address.rsplit(":", 1)[1]):
        saved(page)
        assert rows(data) == [(videos[0], "accept"), (videos[1], "accept"), (videos[2], "reject")]
        page.reload()
        assert shown(page) and shown(page) not in videos


def test_gallery(data, visit):
    with served(data) as address:
        page = visit(f"{address}/gallery")
        assert page.locator(".tile").count() == 12
        until(page, "[...document.querySelectorAll('.picture img')].every((i) => i.complete && i.naturalWidth)")
        page.fill("input[name=text]", "old.avi")
        page.keyboard.press("Enter")
        page.wait_for_url("**text=old.avi**")
        assert page.locator(".tile").count() == 1
        page.click(".tile a")
        until(page, "document.querySelector('video.on')?.readyState > 2")
        page.keyboard.press("a")
        saved(page)
        assert rows(data)[0][1] == "accept"
        page.goto(f"{address}/gallery?status=accepted")
        assert page.locator(".empty").count() == 1
        page.goto(f"{address}/gallery?judged=yes")
        assert page.locator(".tile").count() == 1


def test_missing_media_can_still_be_judged(data, visit):
    shutil.rmtree(data / "clips")
    for path in (data / "records").rglob("*.json"):
        path.write_text(path.read_text().replace("/dance/v", "/gone/v"))
    with served(data) as address:
        page = visit(address)
        until(page, "!document.getElementById('notice').hidden")
        assert "missing" in page.inner_text("#notice")
        press(page, "r")
        saved(page)
        assert len(rows(data)) == 1


def test_a_hostile_title_is_text(data, visit):
    for path in (data / "records").rglob("*.json"):
        text = path.read_text().replace('"title":null', '"title":' + json.dumps(HOSTILE))
        path.write_text(text.replace('"labels":["dance"]', '"labels":["<b onclick=alert(1)>dance"]'))
    with served(data) as address:
        page = visit(address)
        assert page.inner_text("#title") == HOSTILE
        assert "<b onclick" in page.inner_text("#chips")
        page.goto(f"{address}/videos/{shown(page)}")
        assert page.inner_text("#title") == HOSTILE
        assert "hacked" not in page.title()
        page.goto(f"{address}/gallery")
        assert "hacked" not in page.title()


NAMELESS = """[...document.querySelectorAll('button, input, select, a')].filter((e) => e.checkVisibility()
    && !(e.innerText?.trim() || e.getAttribute('aria-label') || e.labels?.length || e.title)).map((e) => e.outerHTML)"""
HARD_TO_READ = """() => {
    const parts = (colour) => {
        const n = colour.match(/-?[0-9.]+(e-?[0-9]+)?/g).map(Number);
        const scale = colour.startsWith('color(') ? 255 : 1;
        return [...n.slice(0, 3).map((x) => scale * x), n[3] ?? 1];
    };
    const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
    const ground = (e) => {
        const own = parts(getComputedStyle(e).backgroundColor);
        return own[3] === 1 ? own : over(own, e.parentElement ? ground(e.parentElement) : [255, 255, 255]);
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    for (const e of document.querySelectorAll('body *')) {
        const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join('');
        if (!text || !e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) || e.closest('option')) continue;
        const under = ground(e), [a, b] = [light(over(parts(getComputedStyle(e).color), under)), light(under)];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 100)}`);
    }
    return found;
}"""


def looks_right(page: Any, where: str) -> None:
    """No sideways scrolling, a name on every control, contrast of every text in both themes, rings around the focus."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where
    assert page.evaluate(NAMELESS) == [], where
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        page.wait_for_timeout(20)
        assert page.evaluate(HARD_TO_READ) == [], (where, theme)
    if not page.evaluate("document.activeElement.closest('dialog')"):  # it has but one control, which has the focus
        page.keyboard.press("Tab")
    ring = "(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))"
    assert page.evaluate(ring) == ["solid", "2px"], where


@pytest.mark.parametrize("size", SIZES)
def test_nothing_shifts_and_every_page_can_be_read(data, visit, size):
    with served(data, reviewers_per_video=2) as address:
        page = visit(address, size, has_touch=size == "phone")
        places = """JSON.stringify(['stage', 'track', 'bar', 'labels'].map(
            (id) => document.getElementById(id).getBoundingClientRect().height))"""
        until(page, "document.querySelector('video.on')?.readyState > 2")
        before = page.evaluate(places)
        press(page, "a")  # from landscape to portrait or back
        assert page.evaluate(places) == before
        looks_right(page, "review")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        looks_right(page, "help")
        page.keyboard.press("Escape")
        page.context.set_offline(True)
        press(page, "r")
        until(page, "document.getElementById('net').textContent.includes('1 decision kept here')")
        looks_right(page, "offline")
        page.context.set_offline(False)
        saved(page)
        if size == "phone":
            video = shown(page)
            page.tap("button.accept")
            until(page, "id => document.body.dataset.videoId !== id", video)
        for path in (
            "/gallery",
            "/gallery?text=nothing+like+it",
            "/owner",
            "/name",
            "/nowhere",
            f"/videos/{shown(page)}",
        ):
            page.goto(address + path)
            looks_right(page, path)
    with served(data, owner_token="a token of the owner") as address:
        page = visit(address, size)
        looks_right(page, "join")
