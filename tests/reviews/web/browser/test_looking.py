"""What is seen: the gallery, videos, missing ones, hostile titles, and how every page looks."""

from __future__ import annotations

import importlib.resources
import json
import shutil
from typing import Any

import pytest

import tiktokactions as api
from tests.reviews.web.browser.browsing import NEEDS_CHROMIUM, SIZES, press, rows, saved, shown, until
from tests.reviews.web.visits import served

pytestmark = NEEDS_CHROMIUM

HOSTILE = "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"
ASK = """async ([url, headers]) => {
    const answer = await fetch(url, { headers, cache: 'no-store' }); // Chromium's cache answers ranges by itself
    const bytes = (await answer.arrayBuffer()).byteLength;
    return [answer.status, answer.headers.get('Content-Range'), bytes];
}"""
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


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_on_any_page(data, visit, size):
    axe = (importlib.resources.files("axe_playwright_python") / "axe.min.js").read_text()
    (data.parent / "how.md").write_text("# Watch\n\nto the [end](https://e.org)\n\n| a |\n|---|\n| b |\n")
    labels = data.parent / "labels.csv"
    labels.write_text(
        f"label,definition,example\ndance,moves,{next(data.glob('thumbs/*.strip.jpg')).stem[:-6]}\njump,,\n"
    )
    guide = {"label_list": str(labels), "guidelines": str(data.parent / "how.md")}
    with served(data, reviewers_per_video=2, **guide) as address:
        people = [visit(address, token=api.review_invite(data, name).token) for name in ("Ann", "Bob")]
        for page, key in zip(people, "ar", strict=True):  # a conflict
            press(page, key)
            saved(page)
        people[0].keyboard.press("f")
        people[0].check("input[value=sensitive]")
        people[0].click("#flag-form .primary")
        until(people[0], "document.getElementById('recorded').textContent.includes('Flagged')")
        page = visit(address, size, has_touch=size != "laptop")
        paths = ("/", "/?queue=conflicts", f"/videos/{shown(page)}", "/gallery", "/owner", "/name", "/join", "/nowhere")
        for path, key in (*((path, "") for path in paths), *(("/", key) for key in "?fdi")):
            page.goto(address + path)
            until(page, "!document.body.classList.contains('review') || document.body.dataset.ready")
            if key:
                page.keyboard.press(key)
            if key == "i":
                page.wait_for_timeout(300)
                page.keyboard.press("o")
                until(page, "document.querySelector('#parts li')")
            page.evaluate(axe)
            for theme in ("light", "dark"):
                page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
                page.wait_for_timeout(250)  # the colours change over some frames
                found = page.evaluate("axe.run()")["violations"]
                told = [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found]
                assert told == [], (path, key, theme)


def test_several_at_once_in_the_gallery(data, visit):
    with served(data) as address:
        page = visit(f"{address}/gallery")
        page.locator(".pick input").nth(0).check()
        page.locator(".pick input").nth(3).check()
        page.click("text='Accept, label: yes'")  # of which label? the field has the focus
        page.keyboard.type("waltz")
        page.click("text='Accept, label: yes'")
        until(page, "document.getElementById('told').textContent === '2 judged.'")
        page.click("text='Select all'")
        page.click("text='Reject'")
        until(page, "document.getElementById('told').textContent === '12 judged.'")
        page.reload()
        page.click("text='Undo 12'")
        until(page, "document.getElementById('told').textContent === '12 taken back.'")
        found = rows(data, "verdict, origin, labels")
        assert found[:2] == [("accept", "bulk", '["waltz"]')] * 2
        assert [verdict for verdict, *_ in found[2:]] == ["reject"] * 12 + ["undo"] * 12
        assert page.inner_text("#take-back") == "Undo 2"


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


def test_gallery(data, visit):
    with served(data) as address:
        page = visit(f"{address}/gallery")
        assert page.locator(".tile").count() == 12
        until(page, "[...document.querySelectorAll('.picture img')].every((i) => i.complete && i.naturalWidth)")
        videos = [tile.get_attribute("href").rpartition("/")[2] for tile in page.locator(".tile a").all()]
        page.click(".tile a >> nth=1")
        for key, video in (
            ("PageDown", videos[2]),
            ("PageUp", videos[1]),
            ("PageUp", videos[0]),
            ("PageUp", videos[0]),
        ):
            until(page, "document.body.dataset.ready && document.readyState === 'complete'")
            page.keyboard.press(key)
            until(page, "id => document.body.dataset.videoId === id && document.body.dataset.ready", video)
        assert page.is_hidden("#previous") and page.is_visible("#next")
        page.goto(f"{address}/gallery")
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


@pytest.mark.parametrize("size", ["laptop", "phone"])
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
        page = visit(address, size, token="")
        looks_right(page, "join")
