"""The gallery: filters, orders and paging, forwards and back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reviews.web.visits import Visitor
from tests.reviews.worlds import a_desk, a_record, doubtful, says
from tiktokactions.reviews import ledger, people
from tiktokactions.reviews.agreement import unprimed_outcomes
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.gallery import Filters, browse, label_funnel

SCORES = {"a": 0.2, "b": 0.9, "c": 0.9, "d": 0.4, "e": 0.9, "f": 0.05, "g": 0.4}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    records = [
        a_record(name, (score,) * 3 + (0.04,) * 7, labels=["jump"] if name < "e" else ["run", "Öl"])
        for name, score in SCORES.items()
    ]
    records.append(a_record("h"))
    records.append(a_record("i", failure="corrupt", probe=None, scenes=(), longest_scene=None, samples=(), motion=None))
    with contextlib.closing(a_desk(tmp_path_factory.mktemp("data"), records, reviewers_per_video=2)) as desk:
        desk.decide("ann", says("a"))
        desk.decide("ann", says("b"))
        desk.decide("ben", says("b", "reject"))
        yield desk


def found(desk: Desk, **filters: Any) -> str:
    return "".join(row.video_id for row in browse(desk.index, Filters(**filters)).rows)


@pytest.mark.parametrize(
    ("filters", "videos"),
    [
        ({}, "abcdefghi"),
        ({"status": "needs_review"}, "abcdefg"),
        ({"status": "accepted"}, "h"),
        ({"label": "jump"}, "abcd"),
        ({"label": "Öl"}, "efg"),
        ({"label": "none such"}, ""),
        ({"reason": "corrupt"}, "i"),
        ({"reason": "c%"}, ""),
        ({"text": "TITLE OF C"}, "c"),
        ({"text": "ann"}, "abcdefghi"),
        ({"text": "b.mp4", "label": "jump"}, "b"),
        ({"text": "b.mp4", "label": "run"}, ""),
        ({"text": "%"}, ""),
        ({"score_min": 0.4}, "bcdegh"),
        ({"score_max": 0.4}, "adfg"),
        ({"score_min": 0.3, "score_max": 0.5, "label": "jump"}, "d"),
        ({"judged": "yes"}, "ab"),
        ({"judged": "no", "label": "jump"}, "cd"),
        ({"judged": "conflict"}, "b"),
        ({"order": "-id"}, "ihgfedcba"),
        ({"order": "score", "status": "needs_review"}, "fadgbce"),
        ({"order": "-score", "label": "jump"}, "cbda"),
    ],
)
def test_filters_and_orders(filters: dict[str, Any], videos: str, desk: Desk) -> None:
    assert found(desk, **filters) == videos
    assert browse(desk.index, Filters(**filters)).total == len(videos)


@pytest.mark.parametrize("order", ["id", "-id", "score", "-score", "duration", "-duration"])
@pytest.mark.parametrize("label", [None, "jump"])
@pytest.mark.parametrize("text", [None, "title"])
def test_pages_follow_each_other_in_both_directions(
    order: str, label: str | None, text: str | None, desk: Desk
) -> None:
    filters = Filters(order=order, label=label, text=text)
    whole = [row.video_id for row in browse(desk.index, filters).rows]
    pages, after = [], None
    while True:
        page = browse(desk.index, filters, after=after, limit=2)
        pages.append(page)
        if page.next is None:
            break
        after = page.next
    assert [row.video_id for page in pages for row in page.rows] == whole
    assert pages[0].previous is None
    for n in range(len(pages) - 1, 0, -1):
        before = browse(desk.index, filters, before=pages[n].previous, limit=2)
        assert before.rows == pages[n - 1].rows and before.next is not None
        assert (before.previous is None) == (n == 1)


@pytest.mark.parametrize("cursor", ["", "x", "[]", "null", '["score_key", 1, "a"]', '["video_id", "x", 1]', "1" * 9999])
def test_a_made_up_cursor_is_an_error(cursor: str, desk: Desk) -> None:
    with pytest.raises(ValueError, match="cursor"):
        browse(desk.index, Filters(), after=cursor)


@pytest.mark.parametrize("wrong", [{"order": "title; DROP TABLE videos"}, {"judged": "maybe"}])
def test_unknown_filters_are_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Filters(**wrong)


def test_counts(desk: Desk) -> None:
    assert desk.status_counts() == {"accepted": 1, "needs_review": 7, "rejected": 1}
    funnel = {c.label: (c.videos, c.accepted, c.needs_review, c.rejected, c.judged) for c in label_funnel(desk.index)}
    assert funnel == {"jump": (4, 0, 4, 0, 2), "run": (3, 0, 3, 0, 0), "Öl": (3, 0, 3, 0, 0), "dance": (2, 1, 0, 1, 0)}


def test_labels_to_choose_from(desk: Desk, tmp_path: Path) -> None:
    assert [choice.label for choice in desk.label_choices("#JUM", 2)] == ["jump", "jumping jack"]
    assert desk.label_choices("jump")[0].videos == 4
    assert not {"jumps", "Jump"} & {choice.label for choice in desk.label_choices()}, "one action is offered once"
    assert "playing piano" in [choice.label for choice in desk.label_choices("piano")]
    assert desk.label_choices("no such action at all") == []


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("guitar playing", "playing guitar"),
        ("push-ups", "push ups"),
        ("push up", "push ups"),
        ("basket ball", "basketball"),
        ("skydiving", "sky diving"),
        ("jugling", "juggling balls"),
        ("jumpnig", "jumping into pool"),
        ("ballet dancing", "dancing ballet"),
        ("#Öl", "Öl"),
    ],
)
def test_labels_are_found_however_they_are_typed(desk: Desk, typed: str, wanted: str) -> None:
    assert wanted in [choice.label for choice in desk.label_choices(typed)]


def test_no_action_is_offered_under_two_spellings(desk: Desk) -> None:
    labels = [choice.label for choice in desk.label_choices(limit=10_000)]
    assert len({label.replace(" ", "").rstrip("s") for label in labels}) == len(labels) > 400
    assert {"push up", "pushup", "ballet dancing"}.isdisjoint(labels)


# --- several at once -----------------------------------------------------------------------------------------------


def test_several_are_judged_at_once_and_one_undo_takes_them_back(tmp_path: Path) -> None:
    with contextlib.closing(a_desk(tmp_path / "data", doubtful(5))) as desk:
        desk.decide("ann", says("v00", answers={"dance": "no", "jump": "yes"}, tags=("dark",), start_s=7.0, end_s=12.0))
        desk.decide("ann", says("v01", "reject"))
        visitor = Visitor(desk).enter(f"/?token={people.invite(desk.store, 'Ann')[1]}")

        def bulk(key: str, videos: list[str], **more: str) -> dict[str, Any]:
            body = {"client_key": f"bulk-{key}", "video_ids": videos, "verdict": "accept"} | more
            for _ in range(2):  # sent again it changes nothing
                answer = visitor.change("/api/bulk", body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert bulk("0001", ["v00", "v01", "v02", "gone"], label="dance") == {
            "recorded": 3,
            "refused": {"gone": "video 'gone': not in this dataset"},
        }
        last = {d.video_id: d for d in ledger.in_force(desk.store) if d.reviewer == "ann"}
        assert last["v00"].answers == {"dance": "yes", "jump": "yes"} and last["v00"].tags == ("dark",)
        assert (last["v00"].start_s, last["v01"].verdict, last["v02"].answers) == (7.0, "accept", {"dance": "yes"})
        assert {d.origin for d in last.values()} == {"bulk"}
        assert len(list(ledger.all_rows(desk.store))) == 5, "each is a judgement of its own"
        assert unprimed_outcomes(desk.store)["v02"].judged == 0, "nothing is measured by them"
        bulk("0002", ["v02", "v03"], verdict="reject")
        undo = {"takes_back": "bulk-0001"}
        assert visitor.change("/api/bulk/undo", undo).json() == {"undone": ["v00", "v01", "v02"]}
        assert visitor.change("/api/bulk/undo", undo).json() == {"undone": []}
        left = {d.video_id: (d.verdict, d.answers) for d in ledger.in_force(desk.store)}
        assert left == {
            "v00": ("accept", {"dance": "no", "jump": "yes"}),
            "v01": ("reject", None),
            "v02": ("reject", None),
            "v03": ("reject", None),
        }
        undone = desk.undo("ann", "undo-0001")
        assert undone is not None and undone.video_id == "v01", "an undo on a page is about what was judged on pages"
        stranger = Visitor(desk).enter()
        assert stranger.change("/api/bulk/undo", {"takes_back": "bulk-0002"}).json() == {"undone": []}, "not theirs"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"video_ids": []}, 422),
        ({"video_ids": ["v00"] * 201}, 422),
        ({"verdict": "unsure"}, 422),
        ({"verdict": "reject", "label": "dance"}, 409),
        ({"said": "maybe"}, 422),
        ({"client_key": "with.dots"}, 422),
        ({"label": "d\u202eance"}, 200),  # each video is refused, and says why
    ],
    ids=str,
)
def test_what_cannot_be_done_at_once(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    with contextlib.closing(a_desk(tmp_path / "data", doubtful(1))) as desk:
        sent = {"client_key": "bulk-0001", "video_ids": ["v00"], "verdict": "accept"} | body
        answer = Visitor(desk).enter().change("/api/bulk", sent)
        assert answer.status_code == status and not list(ledger.all_rows(desk.store))
        assert status != 200 or "can be shown" in answer.json()["refused"]["v00"]
