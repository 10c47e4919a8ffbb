"""Who is shown what: order, leases, k judgements, skips, gold items, conflicts, samples."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reviews.worlds import a_desk, a_record, doubtful, says, write_dataset
from tiktokactions.errors import UsageError
from tiktokactions.records import Status
from tiktokactions.reviews import decisions, ledger
from tiktokactions.reviews.decisions import Decision
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.order import Waiting, order_that_teaches
from tiktokactions.reviews.queue import draw_sample
from tiktokactions.reviews.suggestions import keep_suggestions
from tiktokactions.takedowns.reviews import take_down_reviews


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Any]:
    """``desks(records, **options)``; all are closed afterwards."""
    with contextlib.ExitStack() as stack:
        yield lambda records=(), **options: stack.enter_context(
            contextlib.closing(a_desk(tmp_path / "data", records, **options))
        )


def ids(desk: Desk, person: str, count: int = 3, **more: Any) -> list[str]:
    return [item.video_id for item in desk.next_items(person, count=count, **more)]


# --- the order -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waiting", "accepted", "order"),
    [
        ([], {}, []),
        ([("far", "x", 3, 0.2), ("near", "x", 1, 0.4), ("unseen", "x", None, None)], {}, ["near", "far", "unseen"]),
        ([("a", "x", 1, 0.3), ("b", "x", 1, 0.1), ("c", "x", 1, 0.2)], {}, ["b", "c", "a"]),
        ([("a", "big", 1, 0.1), ("b", "small", 1, 0.3)], {"big": 9}, ["b", "a"]),
        ([(n, "x", 1, 0.1 * i) for i, n in enumerate("abc")] + [("d", "y", 1, 0.9)], {}, ["a", "d", "b", "c"]),
        # 'x' was served in the first group, so that 'y' begins the second.
        ([("a", "x", 1, 0.1), ("b", "x", 2, 0.1), ("c", "y", 2, 0.9)], {}, ["a", "c", "b"]),
    ],
    ids=["none", "frames missing", "margin", "rare label first", "labels take turns", "turns go on"],
)
def test_the_order_that_teaches(waiting: list[Any], accepted: dict[str, int], order: list[str]) -> None:
    assert order_that_teaches([Waiting(*video) for video in waiting], accepted) == order


def test_the_queue_holds_what_needs_review_in_that_order(desks: Any) -> None:
    records = [
        a_record("far", (0.9,) + (0.1,) * 9),
        a_record("near", (0.9,) * 3 + (0.45,) + (0.1,) * 6),
        a_record("less_near", (0.9,) * 3 + (0.3,) + (0.1,) * 6),
        a_record("fine"),
        a_record("short", scenes_s=(0.0, 2.0)),
    ]
    desk = desks(records)
    assert ids(desk, "ann", 9) == ["near", "less_near", "far"]
    assert desk.item("near").why == "people in 3 of 10 frames, 4 needed"


# --- leases --------------------------------------------------------------------------------------------------------


def test_two_people_never_get_the_same_item(desks: Any) -> None:
    desk = desks(doubtful(5))
    ann, ben = ids(desk, "ann"), ids(desk, "ben")
    assert len(ann) == 3 and len(ben) == 2 and not set(ann) & set(ben)
    assert ids(desk, "cid") == []
    assert ids(desk, "ann") == ann, "the page was loaded again: the same ones"
    assert ids(desk, "ann", exclude=ann) == [], "everything is in somebody's hands"


def test_two_tabs_of_one_person_hold_videos_of_their_own(desks: Any) -> None:
    desk = desks(doubtful(6))
    one, other = ids(desk, "ann", tab="one"), ids(desk, "ann", tab="other")
    assert len({*one, *other}) == 6 and ids(desk, "ann", tab="third") == []
    assert (ids(desk, "ann", tab="one"), ids(desk, "ann", tab="other")) == (one, other), "a reload finds its own again"
    desk.decide("ann", says(one[0]))
    desk.release("ann", [*one, *other], tab="one")
    assert ids(desk, "ann", tab="other") == other, "neither an answer nor the end of one tab ends the other's leases"
    assert sorted(ids(desk, "ann", tab="third")) == sorted(one[1:])
    undone = desk.undo("ann", "undo-0001", tab="other")
    assert undone is not None and one[0] in ids(desk, "ann", count=6, tab="other")


def test_which_queues_a_person_may_choose(desks: Any) -> None:
    desk = desks([*doubtful(3), a_record("good")], reviewers_per_video=2)
    assert list(desk.queues("ann", False)) == ["review"]
    assert list(desk.queues("owner", True)) == ["review", "conflicts"]
    desk.decide("ann", says("v00"))
    desk.flag("ann", "v00", "sent_back", "look again")
    desk.flag("ann", "v01", "sensitive")
    assert desk.queues("ann", False) == {"review": "new videos", "sent_back": "sent back to you (1)"}
    assert list(desk.queues("owner", True)) == ["review", "conflicts", "flagged"]
    assert ids(desk, "ann", queue_name="sent_back") == ["v00"] and ids(desk, "bob", queue_name="sent_back") == []
    assert (desk.progress("ann", "sent_back").left, desk.progress("bob", "sent_back").left) == (1, 0)
    assert ids(desk, "owner", queue_name="flagged") == ["v01"]
    desk.decide("owner", says("v01", "reject"))
    assert ids(desk, "owner", queue_name="flagged") == [], "looked at; the flag stays until it is settled"
    desk.decide("ann", says("v00", "reject"))
    assert ids(desk, "ann", queue_name="sent_back") == []
    sample = desks((), sample=1)
    assert list(sample.queues("ann", False)) == ["sample"], "the other one would tell what became of its videos"
    assert list(sample.queues("owner", True)) == ["sample", "review", "conflicts", "flagged"]


def test_a_lease_ends_by_itself_and_when_given_back(desks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desks(doubtful(4), lease_s=60)
    ann = ids(desk, "ann", 2)
    desk.release("ann", ann[:1])
    assert ann[0] in ids(desk, "ben", 1)
    for jump_s in (-1e6, 1e6):
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s: 2e9 + jump_s)
        assert not {*ann} & {*ids(desk, "eve", 1)}, "the clock was set: nobody's lease ends"
    desk.release("eve")
    start = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: start + 50)
    desk.renew("ann", ann)
    monkeypatch.setattr(time, "monotonic", lambda: start + 80)
    assert ann[0] in ids(desk, "cid", 9) and ann[1] not in ids(desk, "cid", 9), "ben's ended, ann's was renewed"
    monkeypatch.setattr(time, "monotonic", lambda: start + 200)
    assert set(ids(desk, "dot", 9)) == {"v00", "v01", "v02", "v03"}
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    assert set(ids(desk, "fay", 9)) == {"v00", "v01", "v02", "v03"}, "the machine was started anew"


def test_a_decision_ends_the_lease_and_the_item(desks: Any) -> None:
    desk = desks(doubtful(3))
    first = ids(desk, "ann", 1)[0]
    desk.decide("ann", says(first))
    rest = ids(desk, "ann")
    assert first not in rest and len(rest) == 2
    assert (desk.progress("ann").left, desk.progress("ann").own_done) == (2, 1)


def test_k_judgements_by_different_people(desks: Any) -> None:
    desk = desks(doubtful(1), reviewers_per_video=2)
    assert ids(desk, "ann") == ids(desk, "ben") == ["v00"]
    assert ids(desk, "cid") == []
    desk.decide("ann", says("v00"))
    assert ids(desk, "ann") == [] and ids(desk, "cid") == [], "ben still holds the second one"
    desk.release("ben")
    assert ids(desk, "cid") == ["v00"]
    desk.decide("cid", says("v00", "reject"))
    assert ids(desk, "ben") == [] and desk.progress("ben").left == 0


def test_more_judgements_can_be_asked_for_later(desks: Any) -> None:
    desk = desks(doubtful(2))
    desk.decide("ann", says("v00"))
    desk.decide("ann", says("v01"))
    assert ids(desk, "ben") == []
    again = desks(reviewers_per_video=2)
    assert set(ids(again, "ben")) == {"v00", "v01"} and ids(again, "ann") == []
    desk.decide("eve", says("v00"))
    progress = desks(reviewers_per_video=4).progress("ben")
    assert (progress.left, progress.judgements_left) == (2, 5), "of eight three are there"


def test_skipped_ones_come_last_for_that_person_only(desks: Any) -> None:
    desk = desks(doubtful(3))
    first = ids(desk, "ann", 1)[0]
    desk.decide("ann", says(first, "skip"))
    assert [item.video_id for item in desk.next_items("ann", count=9) if item.second_look] == [first]
    assert ids(desk, "ann", 9)[-1] == first
    desk.release("ann")
    assert first in ids(desk, "ben", 9), "it is open to others at once"


def test_undo_gives_the_item_back_to_the_same_person(desks: Any) -> None:
    desk = desks(doubtful(3))
    first = ids(desk, "ann", 1)[0]
    desk.decide("ann", says(first))
    held = ids(desk, "ann", 1)
    undone = desk.undo("ann", "undo-0001")
    assert undone is not None and undone.video_id == first
    assert first not in ids(desk, "ben", 9)
    assert set(ids(desk, "ann", 2)) == {first, *held}


def test_an_item_given_back_is_found_behind_those_who_passed_it(desks: Any) -> None:
    """Everybody remembers how far they are; what becomes free behind that place must not be lost."""
    desk = desks(doubtful(6))
    held = ids(desk, "slow", 1)
    for _ in range(5):
        desk.decide("fast", says(ids(desk, "fast", 1)[0]))
    assert ids(desk, "fast") == []
    desk.release("slow")
    assert ids(desk, "fast") == held


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["next", "decide", "decide", "skip", "undo", "release", "crash", "later"]),
        st.integers(0, 3),
        st.integers(1, 3),
    ),
    max_size=40,
)


@given(EVENTS, st.integers(1, 3))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_never_more_than_k_at_once_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, int]], k: int
) -> None:
    """Whatever people, browsers and clocks do: judgements and leases together never exceed k, nobody is shown a video they
    have judged, and in the end every video gets its k judgements."""
    folder = tmp_path_factory.mktemp("data")
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.closing(a_desk(folder, doubtful(5), reviewers_per_video=k, lease_s=60)) as desk,
    ):
        now = time.monotonic()
        pages: dict[str, list[str]] = {f"p{n}": [] for n in range(4)}
        judged: dict[str, list[str]] = {name: [] for name in pages}
        for number, (event, who, count) in enumerate(events):
            person = f"p{who}"
            if event == "next":
                new = ids(desk, person, count, exclude=pages[person])
                assert not set(new) & set(judged[person])
                pages[person] += new
            elif event in ("decide", "skip") and pages[person]:
                video_id = pages[person].pop(0)
                desk.decide(person, says(video_id, "skip" if event == "skip" else "accept", f"e-{number:08}"))
                if event == "decide":
                    judged[person].append(video_id)
            elif event == "undo":
                undone = desk.undo(person, f"e-{number:08}")
                if undone is not None:
                    judged[person] = [v for v in judged[person] if v != undone.video_id]
                    pages[person] = [undone.video_id, *(v for v in pages[person] if v != undone.video_id)]
            elif event == "release":
                desk.release(person)
                pages[person] = []
            elif event == "crash":
                pages[person] = []
            elif event == "later":
                now += 61
                patch.setattr(time, "monotonic", lambda now=now: now)
                pages = {name: [] for name in pages}
            with desk.index.database.connection() as connection:
                leased = Counter(
                    row[0]
                    for row in connection.execute("SELECT video_id FROM leases WHERE ends>? AND began<=?", (now, now))
                )
            done = Counter(video_id for videos in judged.values() for video_id in set(videos))
            if not any(event == "undo" for event, _, _ in events):
                assert all(leased[v] + done[v] <= k for v in {*leased, *done}), (leased, done)
        patch.setattr(time, "monotonic", lambda: now + 1000)
        for person in ("q1", "q2", "q3"):
            while new := ids(desk, person, 3):
                for video_id in new:
                    desk.decide(person, says(video_id))
        with desk.index.database.connection() as connection:
            assert {row[0] for row in connection.execute("SELECT judged>=? FROM videos", (k,))} == {1}


def test_many_threads_are_never_given_the_same(desks: Any) -> None:
    desk = desks(doubtful(60))
    given_out: list[str] = []

    def work(person: str) -> None:
        while new := ids(desk, person, 2):
            given_out.extend(new)
            for video_id in new:
                desk.decide(person, says(video_id, key=f"{person}-{video_id}-xx"))

    threads = [threading.Thread(target=work, args=(f"person{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given_out) == [f"v{n:02}" for n in range(60)]
    assert len(list(ledger.all_rows(desk.store))) == 60


def test_the_index_can_be_deleted(desks: Any, tmp_path: Path) -> None:
    desk = desks(doubtful(3))
    desk.decide("ann", says("v01"))
    desk.close()
    (tmp_path / "data/.review/index.sqlite").write_bytes(b"damaged" * 1000)
    again = desks()
    assert set(ids(again, "ben")) == {"v00", "v02"} and again.progress("ann").own_done == 1


# --- gold, conflicts, samples, labels ------------------------------------------------------------------------------


def test_gold_items_are_mixed_in_once_for_everybody(desks: Any) -> None:
    desk = desks([*doubtful(20), a_record("gold1"), a_record("gold2")], gold_every=5)
    for video_id in ("gold1", "gold2"):
        desk.set_gold(video_id, "accept")
    for person in ("ann", "ben"):
        seen = []
        while new := ids(desk, person, 1):
            seen += new
            desk.decide(person, says(new[0], "reject"))
            if len(seen) == 10:
                break
        assert Counter(seen)["gold1"] == Counter(seen)["gold2"] == 1 and len(set(seen)) == 10, seen
    figures = {person.reviewer: person for person in desk.report().reviewers}
    assert (figures["ann"].gold_answered, figures["ann"].gold_right) == (2, 0)


def test_conflicts_are_settled_by_a_last_word(desks: Any) -> None:
    desk = desks(doubtful(3), reviewers_per_video=2)
    for person, verdict in (("ann", "accept"), ("ben", "reject")):
        desk.decide(person, says("v00", verdict))
        desk.decide(person, says("v01"))
        desk.decide(person, says("v02", "unsure" if person == "ann" else "accept"))
    assert [(c.video_id, c.what) for c in desk.conflicts()] == [("v00", "verdict"), ("v02", "unsure")]
    assert [len(c.judgements) for c in desk.conflicts()] == [2, 2]
    assert ids(desk, "owner", queue_name="conflicts") == ["v00", "v02"]
    desk.decide("owner", says("v00", "reject", queue="conflicts"), adjudication=True)
    assert [c.video_id for c in desk.conflicts()] == ["v02"]
    desk.undo("owner", "undo-0001")
    assert [c.video_id for c in desk.conflicts()] == ["v00", "v02"]


def test_a_sample_for_quality_control_is_drawn_once(desks: Any, tmp_path: Path) -> None:
    records = [*(a_record(f"good{n:02}") for n in range(20)), *doubtful(3)]
    desk = desks(records, sample=5, seed=1)
    drawn = ids(desk, "ann", 9)
    assert len(drawn) == 5 and all(video_id.startswith("good") for video_id in drawn)
    for video_id in drawn[:2]:
        desk.decide("ann", says(video_id, "reject"))
    more = desks(sample=8, seed=1)
    assert set(drawn) - set(drawn[:2]) <= set(ids(more, "ann", 9)) and more.progress("ann").total == 8
    other = desks(sample=5, seed=2)
    assert set(ids(other, "ben", 9)) != set(drawn)


def test_a_sample_does_not_care_what_was_judged_and_applied_before(desks: Any, tmp_path: Path) -> None:
    """Else it would be drawn from what nobody doubted, and precision would come out too high."""
    said: dict[str, tuple[Status, str]] = {
        "good00": ("rejected", "human_rejected"),
        "good01": ("accepted", "human_accepted"),
    }
    said |= {"v00": ("accepted", "human_accepted"), "v01": ("rejected", "human_rejected")}
    records = [*(a_record(f"good{n:02}") for n in range(4)), *doubtful(3)]
    records = [
        replace(r, status=said[i][0], reasons=(said[i][1],)) if (i := r.video_id) in said else r for r in records
    ]
    desk = desks(records, sample=7)
    drawn = {row[0] for row in desk.store.database.rows("SELECT video_id FROM sampled")}
    assert drawn == {"good00", "good01", "good02", "good03"}, "what the program accepted, and nothing that people did"


def test_a_stratified_sample_estimates_without_bias(desks: Any) -> None:
    """Over many seeds the weights of a label's drawn clips, and of the wrong ones among them, come to their true numbers."""
    records = [a_record(f"v{n:02}", labels=["rare" if n < 6 else "large"]) for n in range(60)]
    desk = desks(records)
    wrong = {f"v{n:02}" for n in range(0, 60, 3)}
    keep_suggestions(
        desk.index, [], {r.video_id: 0.9 if r.video_id in wrong else 0.1 * (n % 9) for n, r in enumerate(records)}, []
    )
    sums, rare = Counter[str](), 0
    for seed in range(300):
        draw_sample(desk.index, desk.store, 12, seed, stratified=True)
    for row in desk.store.database.rows("SELECT * FROM sampled"):
        label = "rare" if row["video_id"] < "v06" else "large"
        sums[label] += row["weight"] / 300
        sums["wrong"] += row["weight"] / 300 * (row["video_id"] in wrong)
        rare += label == "rare"
    assert sums["rare"] == pytest.approx(6, abs=0.5) and sums["large"] == pytest.approx(54, abs=3)
    assert sums["wrong"] == pytest.approx(20, abs=1.5)
    assert rare / 300 > 3.5, "a tenth of the clips, and not far from half of the draw"
    with pytest.raises(UsageError, match="take another seed"):
        draw_sample(desk.index, desk.store, 20, 0, stratified=True)


def test_all_clips_of_a_label(desks: Any) -> None:
    records = [a_record("a", labels=["jump"]), a_record("b", labels=["run", "jump"]), a_record("c", labels=["run"])]
    clips = [with_clip(r) for r in (*records, a_record("d", (0.1,) * 10, labels=["jump"]))]
    desk = desks(clips, label="jump")
    assert ids(desk, "ann", 9)[0] == "d", "the one that needs review comes first"
    assert set(ids(desk, "ann", 9)) == {"a", "b", "d"}
    assert desk.progress("ann").total == 3 and ids(desk, "ann", queue_name="label:none such") == []


def with_clip(record: Any) -> Any:
    import dataclasses

    from tiktokactions.records import ClipFile

    clip = ClipFile(f"clips/x/{record.video_id}.mp4", 300, 30.0, 240, 320, 10.0, "0" * 64, 1, "x")
    return dataclasses.replace(record, clip=clip)


def test_a_changed_manifest_is_taken_in(desks: Any, tmp_path: Path) -> None:
    desk = desks(doubtful(3))
    desk.decide("ann", says("v00"))
    assert not desk.refresh()
    write_dataset(tmp_path / "data", [*doubtful(2), a_record("v07", (0.1,) * 10), a_record("v02")])
    assert desk.refresh()
    assert ids(desk, "ann", 9) == ["v01", "v07"], "v00 is judged, v02 was accepted, v07 is new"
    assert desk.status_counts() == {"accepted": 1, "needs_review": 3}


def test_videos_that_were_taken_down_leave_the_index_and_the_proxies(desks: Any, tmp_path: Path) -> None:
    desk = desks([*doubtful(1), a_record("secret-id", (0.1,) * 10, labels=["secret-label"])])
    desk.decide("ann", says("secret-id"))
    proxies = tmp_path / "data/.review/proxies"
    proxies.mkdir()
    (proxies / "x.mp4").write_bytes(b"1")
    assert take_down_reviews(tmp_path / "data", ["secret-id"]) == 1
    assert ids(desk, "ben", 9) == ["v00"] and not proxies.exists()
    desk.close()
    for path in (tmp_path / "data").glob("**/*.sqlite*"):
        assert b"secret-id" not in path.read_bytes(), path


def test_unknown_videos_and_path_tricks(desks: Any) -> None:
    desk = desks(doubtful(1))
    for video_id in ("v99", "../v00", "..", ".", "", "v00/", "/etc/passwd", "v00\x00", "x" * 500, "V00\ud800"):
        with pytest.raises(decisions.DecisionError):
            desk.decide("ann", Decision("key-0000000", video_id, "accept"))
    assert len(list(ledger.all_rows(desk.store))) == 0
