"""Who gets in, and what is refused: foreign hosts, other sites' pages, paths, hostile text."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
from pathlib import Path

import pytest

from tests.reviews.test_queue import with_clip
from tests.reviews.web.visits import HOME, Visitor, decision
from tests.reviews.worlds import a_desk, a_record, doubtful, says
from tiktokactions.files import record_path
from tiktokactions.records import Source
from tiktokactions.reviews import golden, ledger, people, queue
from tiktokactions.reviews.web.safety import host_is_ours, is_loopback, own_names

HOSTILE = "</script><script>window.hacked=1</script>'\"><img src=x onerror=window.hacked=1>{{7*7}}"


@pytest.fixture
def desk(tmp_path):
    desk = a_desk(tmp_path / "data", doubtful(4))
    yield desk
    desk.close()


@pytest.fixture
def visitor(desk):
    return Visitor(desk).enter()


@pytest.mark.parametrize(
    ("listening", "header", "ours"),
    [
        ("127.0.0.1", "127.0.0.1:8000", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "LOCALHOST:1234", True),  # through a tunnel
        ("127.0.0.1", "[::1]:8000", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "192.168.1.7:8000", False),
        ("127.0.0.1", "127.0.0.1:8000@evil.example", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", None, False),
        ("0.0.0.0", "192.168.1.7:8000", True),
        ("0.0.0.0", "evil.example", False),
        ("reviews.example", "reviews.example:80", True),
    ],
)
def test_host_header(listening, header, ours):
    assert host_is_ours(header, own_names(listening), is_loopback(listening)) is ours


def test_a_foreign_host_gets_nothing(visitor):
    for path in ("/", "/api/session", "/openapi.json", "/static/style.css", "/media/v00/clip"):
        answer = visitor.get(path, headers={"host": "evil.example"})
        assert answer.status_code == 400, path
        assert "v00" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": HOME}, 200),
        ({"origin": HOME, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"X-Review-Token": ""}, 403),
        ({"X-Review-Token": "0" * 40}, 403),
    ],
)
def test_only_our_own_pages_decide(desk, visitor, headers, status):
    answer = visitor.change("/api/decisions", decision("v00"), **headers)
    assert answer.status_code == status, answer.text
    assert len(list(ledger.all_rows(desk.store))) == (status == 200)


def test_nobody_decides_without_a_session(desk):
    stranger = Visitor(desk)
    assert stranger.change("/api/decisions", decision("v00")).status_code == 401
    for path in ("/api/session", "/api/videos/v00", "/api/labels", "/media/v00/clip", "/media/v00/strip"):
        assert stranger.get(path).status_code == 401, path


def test_the_cookie_is_strict_and_hidden_from_scripts(desk):
    visitor = Visitor(desk)
    cookie = visitor.post("/api/join", json={"token": visitor.owner_token}).headers["set-cookie"].lower()
    assert "samesite=strict" in cookie and "httponly" in cookie and "path=/" in cookie


def test_a_link_from_elsewhere_makes_no_new_person(desk):
    """A strict cookie is not sent with it: the page loads itself again instead of taking a name."""
    answer = Visitor(desk).get("/", headers={"sec-fetch-site": "cross-site"})
    assert 'http-equiv="refresh"' in answer.text and "set-cookie" not in answer.headers
    assert [person.id for person in people.reviewers(desk.store)] == ["owner"]


@pytest.mark.parametrize(
    "path", ["/", "/gallery", "/owner", "/name", "/join", "/nothing", "/videos/nothing", "/api/nothing"]
)
def test_headers_of_every_answer(visitor, path):
    answer = visitor.get(path, headers={"accept": "text/html"})
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http:" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in answer.text and " style=" not in answer.text and " onclick=" not in answer.text


@pytest.mark.parametrize(
    "video_id",
    [
        "../v00",
        "..%2f..%2fdataset",
        "%2e%2e",
        "v00%00",
        "/etc/passwd",
        "..\\v00",
        "%2e",
        "v00%2f..%2f..%2fx",
        "a" * 5000,
        "%ff%fe",
    ],
)
@pytest.mark.parametrize(
    "where", ["/media/{}/clip", "/media/{}/source", "/media/{}/scenes/0/0?sound=true", "/videos/{}", "/api/videos/{}"]
)
def test_ids_are_not_paths(visitor, where, video_id):
    answer = visitor.get(where.format(video_id))
    assert answer.status_code in (404, 422)
    assert "/data" not in answer.text and "Traceback" not in answer.text


def test_static_files_end_at_their_folder(visitor):
    for path in ("/static/../context.py", "/static/%2e%2e/context.py", "/static//etc/passwd", "/static/..%2fapp.py"):
        assert visitor.get(path).status_code == 404


def test_a_clip_that_leads_outside_is_not_sent(tmp_path):
    import dataclasses

    from tiktokactions.files import write_record
    from tiktokactions.records import ClipFile

    (tmp_path / "secret.mp4").write_bytes(b"secret")
    desk = a_desk(tmp_path / "data", doubtful(1))
    record = desk.item("v00").record
    clip = ClipFile("../secret.mp4", 1, 30.0, 2, 2, 4.0, "", 6, "")
    write_record(desk.dataset, dataclasses.replace(record, clip=clip))
    answer = Visitor(desk).enter().get("/media/v00/clip")
    desk.close()
    assert answer.status_code == 404 and b"secret" not in answer.content


def test_hostile_text_stays_text(tmp_path):
    source = Source(path=f"/nowhere/{'x'}<b>.mp4", labels={}, creator=HOSTILE, title=HOSTILE)
    desk = a_desk(tmp_path / "data", [a_record("v00", (0.1,) * 10, labels=(HOSTILE,), source=source)])
    visitor = Visitor(desk).enter()
    for path in ("/", "/videos/v00", "/gallery", "/owner", "/gallery?text=%3Cscript%3Ealert(1)%3C/script%3E"):
        text = visitor.get(path).text
        assert "<script>" not in text and "<img src=x" not in text, path
    assert visitor.get("/api/videos/v00").json()["title"] == HOSTILE
    desk.close()


def test_errors_tell_nothing_of_this_machine(desk, visitor):
    record = next((desk.dataset / "records").rglob("v01.json"))
    record.write_text("{")
    for path in ("/videos/v01", "/api/videos/v01", "/media/v01/clip"):
        answer = visitor.get(path)
        assert answer.status_code == 404
        assert str(desk.dataset) not in answer.text
    answer = visitor.change("/api/decisions", decision("v01"))
    assert answer.status_code == 404 and str(desk.dataset) not in answer.text
    assert json.loads(answer.text) == {"error": "The record of this video cannot be read."}


def test_large_bodies_are_refused(visitor):
    assert visitor.change("/api/decisions", {"x": "y" * 300_000}).status_code == 413


# --- people ---------------------------------------------------------------------------------------------------------


def test_other_hosts_need_a_token(tmp_path):
    desk = a_desk(tmp_path / "data", doubtful(3), host="0.0.0.0", owner_token="the-owner's-own-token")
    ann, token = people.invite(desk.store, "Ann")
    home = "http://192.168.1.7:8000"
    stranger = Visitor(desk, home)
    page = stranger.get("/")
    assert page.status_code == 401 and "v00" not in page.text and "set-cookie" not in page.headers
    for path in ("/", f"/join?token={token}", "/gallery", "/name"):
        assert "set-cookie" not in stranger.get(path).headers, "opening an address changes nothing"
    assert stranger.post("/api/join", json={"token": "wrong"}).status_code == 401
    guest = Visitor(desk, home).enter(f"/join?token={token}")
    assert guest.get("/api/session").json()["reviewer"] == ann.id
    assert guest.get("/owner").status_code == 403
    assert guest.get("/api/report").status_code == 403
    assert guest.change("/api/invitations", {"name": "Eve"}).status_code == 403
    assert guest.change("/api/next", {"queue": "conflicts"}).status_code == 403
    boss = Visitor(desk, home).enter("/join?token=the-owner's-own-token")
    assert boss.get("/owner").status_code == 200
    made = boss.change("/api/invitations", {"name": "Eve"}).json()
    eve = Visitor(desk, home).enter(made["path"])
    assert eve.get("/api/session").json()["name"] == "Eve"
    assert boss.change("/api/reviewers/eve/disable", {}).status_code == 200
    assert eve.get("/api/session").status_code == 401
    _, newer = people.invite(desk.store, "Ann")
    assert guest.get("/api/session").status_code == 401  # the old link has ended
    program = Visitor(desk, home)
    answer = program.post("/api/decisions", json=decision("v00"), headers={"authorization": f"Bearer {newer}"})
    assert answer.status_code == 200
    assert ledger.decision_of(desk.store, "ann", "v00") is not None
    desk.close()


def test_nobody_gets_in_or_becomes_the_owner_without_a_token(desk):
    """Not on this machine either; what is opened changes nothing and reserves nothing."""
    stranger = Visitor(desk)
    for path in ("/", "/gallery", "/owner", "/videos/v00"):
        assert stranger.get(path).status_code == 401 and not stranger.cookies
    assert stranger.post("/api/name", json={"name": "owner"}).status_code in (404, 405)
    assert [person.id for person in people.reviewers(desk.store)] == ["owner"]
    owner = Visitor(desk).enter()
    for _ in range(10):
        assert owner.get("/").status_code == 200
    assert queue.count_leases(desk.index) == {}
    assert len(owner.change("/api/next", {"count": 20}).json()["items"]) == 4


def test_joining_asks_before_it_ends_a_session(desk):
    owner = Visitor(desk).enter()
    _, token = people.invite(desk.store, "Ann")
    asked = owner.post("/api/join", json={"token": token})
    assert asked.status_code == 409 and "signed in as owner" in asked.json()["error"]
    assert owner.get("/api/session").json()["reviewer"] == "owner"
    assert owner.post("/api/join", json={"token": token, "replace": True}).json()["reviewer"] == "ann"
    assert owner.get("/api/session").json()["reviewer"] == "ann"


def test_before_judging_nothing_tells_what_became_of_a_video(tmp_path):
    """Gold items are a rejected and an accepted video among others; page and data are the same but for what was measured."""
    records = [*doubtful(4), a_record("short", (0.9,) * 3 + (0.1,) * 7, scenes_s=(0.0, 2.0)), a_record("fine")]
    with contextlib.closing(a_desk(tmp_path / "data", records, gold_every=1)) as desk:
        golden.set_gold(desk.store, "short", "reject")
        golden.set_gold(desk.store, "fine", "accept")
        _, token = people.invite(desk.store, "Ann")
        ledger.add_decision(desk.store, "bob", says("v00", "reject"))
        ann = Visitor(desk).enter(f"/join?token={token}")
        items = ann.change("/api/next", {"count": 20}).json()["items"]
        assert {"short", "fine"} <= {item["video_id"] for item in items}
        for item in items:
            assert re.fullmatch(r"people in \d+ of 10 frames", item["why"]), item
            assert (item["judgements"], item["decided"], item["queue"], item["prefill"]) == (
                None,
                None,
                "review",
                False,
            )
        for row in ann.get("/api/videos").json()["videos"]:
            assert (row["status"], row["reasons"], row["judged"], row["conflict"]) == ("", [], None, None)
        shown = ann.get("/gallery").text + ann.get("/gallery?status=rejected").text
        assert not re.search(r"rejected|accepted|needs review|too short", shown)
        ann.change("/api/decisions", decision("short", "reject"))
        assert "too short" in ann.get("/api/videos/short").json()["why"], "afterwards it is told"


@pytest.mark.parametrize("why", ["gold items", "two judge it", ""])
def test_whether_there_is_a_clip_is_not_told_before_judging(why, tmp_path):
    """What is rejected has none: asking for the file would tell, so that none is sent; but where nothing can be told."""
    source = tmp_path / "v.mp4"
    source.write_bytes(b"moving")
    record = with_clip(
        a_record("v00", (0.9,) * 3 + (0.1,) * 7, source=Source(path=str(source), labels={str(source): ("dance",)}))
    )
    assert record.clip is not None
    clip = tmp_path / "data" / record.clip.path
    with contextlib.closing(
        a_desk(tmp_path / "data", [record, a_record("v01")], reviewers_per_video=2 if why == "two judge it" else 1)
    ) as desk:
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(b"clip")
        if why == "gold items":
            golden.set_gold(desk.store, "v01", "accept")
        ann = Visitor(desk).enter(f"/join?token={people.invite(desk.store, 'Ann')[1]}")
        hidden = 404 if why else 200
        for verdict, status in (("", hidden), ("skip", hidden), ("reject", 200)):
            if verdict:
                ann.change("/api/decisions", decision("v00", verdict))
            assert ann.get("/media/v00/clip").status_code == status, verdict
            assert (ann.get("/api/videos/v00").json()["clip"] is None) == (status == 404)
            assert ann.get("/media/v00/source").status_code == 200
        assert Visitor(desk).enter().get("/media/v00/clip").content == b"clip", "the owner settles conflicts"


def test_a_forged_cookie_is_worth_nothing(desk, visitor):
    name, value = next(iter(visitor.cookies.items()))
    for forged in (value[:-1] + ("0" if value[-1] != "0" else "1"), "n.b3duZXI=.0.0", "t.", "t.guess", "n..", "x"):
        stranger = Visitor(desk)
        stranger.cookies.set(name, forged)
        assert stranger.get("/api/session").status_code == 401, forged


def test_a_reviewer_cannot_open_queues_that_tell_what_others_know(desk):
    people_there = {name: people.invite(desk.store, name)[1] for name in ("Ann",)}
    ann = Visitor(desk).enter(f"/?token={people_there['Ann']}")
    for name in ("sample", "suggested", "conflicts", "flagged"):
        assert ann.get(f"/?queue={name}").status_code == 403, name
        assert ann.change("/api/next", {"queue": name}).status_code == 403, name
    page = ann.get("/").text
    assert 'id="queue"' not in page and "conflict" not in page


def test_a_copy_of_what_was_taken_down_while_it_was_made_is_neither_sent_nor_kept(tmp_path, monkeypatch):
    source, copy = tmp_path / "v.avi", tmp_path / "copy.mp4"
    for path in (source, copy):
        path.write_bytes(b"moving")
    record = a_record("v", source=Source(path=str(source), labels={str(source): ("dance",)}))
    with contextlib.closing(a_desk(tmp_path / "data", [record])) as desk:
        visitor = Visitor(desk).enter()
        proxies = visitor.app.state.web.proxies  # type: ignore[attr-defined]

        def made(*wanted):
            if wanted[3]:  # the second part
                record_path(desk.dataset, "v").unlink()
            future: concurrent.futures.Future[Path] = concurrent.futures.Future()
            future.set_result(copy)
            return future

        monkeypatch.setattr(proxies, "proxy_of", made)
        assert visitor.get("/media/v/scenes/0/0?sound=true").content == b"moving"
        answer = visitor.get("/media/v/scenes/0/1?sound=true")
        assert answer.status_code == 404 and not copy.exists()
