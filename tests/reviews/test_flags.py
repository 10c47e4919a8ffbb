"""Flags set a video aside at once and reach the owner; judgements that are sent back come again."""

from __future__ import annotations

import pytest

from tests.reviews.web.visits import Visitor, decision
from tests.reviews.worlds import a_desk, doubtful, says
from tiktokactions.reviews import flags, people
from tiktokactions.reviews.agreement import review_report


@pytest.fixture
def desk(tmp_path):
    opened = a_desk(tmp_path, doubtful(4))
    yield opened
    opened.close()


@pytest.fixture
def three(desk):
    """The owner, Ann and Bob, each at a browser of their own."""
    owner = Visitor(desk).enter()
    return owner, *(Visitor(desk).enter(f"/?token={people.invite(desk.store, name)[1]}") for name in ("Ann", "Bob"))


def handed(visitor, **given) -> list[str]:
    return [item["video_id"] for item in visitor.change("/api/next", {"count": 20, **given}).json()["items"]]


def test_a_flagged_video_is_set_aside_at_once_and_the_owner_told(desk, three) -> None:
    owner, ann, bob = three
    [video] = handed(bob, count=1)
    assert ann.change("/api/flags", {"video_id": video, "kind": "minor", "comment": "a child\u202e"}).status_code == 200
    assert ann.change("/api/flags", {"video_id": video, "kind": "minor"}).status_code == 200, "sent again: one flag"
    assert video not in handed(bob) and video not in handed(ann)
    for path in (f"/api/videos/{video}", f"/videos/{video}", f"/media/{video}/poster"):
        assert ann.get(path).status_code == 404, path
    page = owner.get("/owner").text
    assert "set aside until you have looked" in page and "a child" in page and "\u202e" not in page
    assert 'class="warn">1<' in owner.get("/gallery").text, "on every page of the owner"
    assert review_report(desk.store).flagged == 1
    assert owner.get(f"/api/videos/{video}").status_code == 200
    [flag] = flags.set_aside(desk.store)
    assert (flag.reviewer, flag.kind) == ("ann", "minor")
    assert ann.change(f"/api/flags/{flag.id}/settle", {}).status_code == 403
    assert owner.change(f"/api/flags/{flag.id}/settle", {}).status_code == 200
    assert ann.get(f"/api/videos/{video}").status_code == 200 and review_report(desk.store).flagged == 0
    assert video in handed(ann) + handed(bob)


def test_flags_hold_in_an_index_made_anew_and_for_gold_items(desk, three) -> None:
    ann = three[1]
    desk.set_gold("v01", "accept")
    for video in ("v01", "v02"):
        ann.change("/api/flags", {"video_id": video, "kind": "illegal"})
    desk.close()
    for path in (desk.dataset / ".review").glob("index*"):
        path.unlink()
    again = a_desk(desk.dataset, gold_every=1)
    try:
        assert {item.video_id for item in again.next_items("bob", count=20)} == {"v00", "v03"}
    finally:
        again.close()


def test_a_judgement_that_is_sent_back_comes_again(desk, three) -> None:
    owner, ann, bob = three
    desk.decide("ann", says("v00"))
    back = {"video_id": "v00", "kind": "sent_back", "reviewer": "ann", "comment": "is that dancing?"}
    assert bob.change("/api/flags", back).status_code == 403
    assert owner.change("/api/flags", back | {"reviewer": "nobody"}).status_code == 403
    assert owner.change("/api/flags", back).status_code == 200
    assert "is that dancing?" in ann.get("/").text and "is that dancing?" not in bob.get("/").text
    assert ann.get("/api/videos/v00").json()["note"] == "Please look again. is that dancing?"
    assert ann.change("/api/decisions", decision("v00", "reject", key="looked-again")).status_code == 200
    assert "is that dancing?" not in ann.get("/").text and ann.get("/api/videos/v00").json()["note"] == ""


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"kind": "boring"}, 422),
        ({"kind": "minor", "video_id": "none"}, 404),
        ({"kind": "minor", "comment": "x" * 101}, 422),
    ],
)
def test_flags_that_make_no_sense(desk, three, given: dict[str, str], status: int) -> None:
    assert three[1].change("/api/flags", {"video_id": "v00"} | given).status_code == status
    assert flags.open_flags(desk.store) == []
