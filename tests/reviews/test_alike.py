"""Look-alikes judged together: which are offered, one judgement for each, undo of all or one, and what measures quality."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.reviews.test_suggestions import DOUBTFUL, a_clip
from tests.reviews.web.visits import Visitor, decision
from tests.reviews.worlds import a_desk, says
from tiktokactions.copies.of_dataset import PAIR_SCHEMA, PAIRS
from tiktokactions.curation.description import VERSION
from tiktokactions.reviews import golden, ledger
from tiktokactions.reviews.agreement import review_report, unprimed_outcomes
from tiktokactions.reviews.decisions import DecisionError
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.suggestions import keep_suggestions, look_alikes_of

NEAR = [("v0", "v1", 0.3), ("v2", "v0", 0.1), ("v0", "v3", 0.2), ("v0", "gone", 0.1), ("v5", "v6", 0.1)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """v0 looks like v2, v3 and v1, in this order; v4 is a copy of it, and only found by the matcher."""
    records = [a_clip(f"v{n}", "jump", scores=DOUBTFUL) for n in range(7)]
    records[3] = replace(records[3], labels=("jump", "leap"))
    with closing(a_desk(tmp_path / "data", records)) as desk:
        pairs = [{"a": "v0", "b": "v4", "score": 1.0, "mirrored": False, **dict.fromkeys(PAIR_SCHEMA.names[4:], 1.0)}]
        table = pa.Table.from_pylist(pairs, PAIR_SCHEMA).replace_schema_metadata({"matcher": str(VERSION)})
        (tmp_path / "data" / PAIRS).parent.mkdir()
        pq.write_table(table, tmp_path / "data" / PAIRS)
        keep_suggestions(desk.index, [], {}, NEAR)
        yield desk


def offered(desk: Desk, video_id: str = "v0", reviewer: str = "ann") -> list[tuple[str, bool]]:
    return list(look_alikes_of(desk.index, desk.store, reviewer, video_id).items())


def in_force(desk: Desk) -> dict[str, tuple[str, str]]:
    return {d.video_id: (d.verdict, d.origin) for d in ledger.in_force(desk.store)}


def test_copies_come_first_then_the_nearest(desk):
    assert offered(desk) == [("v4", True), ("v2", False), ("v3", False), ("v1", False)]
    assert offered(desk, "v2") == [("v0", False)] and offered(desk, "v4") == [("v0", True)]


def test_what_was_judged_or_measures_quality_is_not_offered(desk):
    desk.decide("ann", says("v2"))
    golden.set_gold(desk.store, "v3", "accept")
    with desk.store.database.write() as connection:
        connection.execute("INSERT INTO sampled VALUES('v1', 0, 0, '[]', '', 1)")
    assert offered(desk) == [("v4", True)]
    assert offered(desk, "v1") == offered(desk, "v3") == [], "a clip of the sample is judged by itself"


def test_each_gets_a_judgement_of_its_own_with_its_origin(desk):
    new = says(
        "v0", answers={"jump": "yes", "run": "no"}, key="key-of-all", seconds=12.0, scene=1, start_s=6.0, end_s=10.0
    )
    desk.decide("ann", new, together=["v4", "v3"])
    assert in_force(desk) == {i: ("accept", o) for i, o in (("v0", "web"), ("v4", "alike:v0"), ("v3", "alike:v0"))}
    rows = {d.video_id: d for d in ledger.all_rows(desk.store)}
    assert rows["v3"].answers == {"jump": "yes", "run": "no", "leap": "not_asked"}, "only what it shares was asked"
    assert (rows["v0"].start_s, rows["v3"].start_s, rows["v3"].segments) == (6.0, None, ())
    assert {d.seconds for d in rows.values()} == {4.0}
    assert [d.client_key for d in ledger.all_rows(desk.store)] == ["key-of-all.1", "key-of-all.2", "key-of-all"]
    desk.decide("ann", new, together=["v4", "v3"])
    assert len(rows) == len(list(ledger.all_rows(desk.store))) == 3, "sent twice"


def test_undo_takes_back_all_or_the_one_that_is_named(desk):
    desk.decide("ann", says("v5"))
    desk.decide("ann", says("v0", "reject", key="key-of-all"), together=["v4", "v3", "v2"])
    desk.undo("ann", "undo-one", takes_back="key-of-all.2")
    assert set(in_force(desk)) == {"v5", "v0", "v4", "v2"}
    for _ in range(2):  # sent twice
        assert desk.undo("ann", "undo-all").video_id == "v0"
    assert set(in_force(desk)) == {"v5"}
    assert offered(desk) == [("v4", True), ("v2", False), ("v3", False), ("v1", False)]


def test_they_measure_nothing(desk):
    for person in ("ann", "ben"):
        desk.decide(person, says("v5"), together=["v6"] if person == "ann" else [])
    desk.decide("ben", says("v6", "reject"))
    with desk.store.database.write() as connection:
        connection.execute("INSERT INTO sampled VALUES('v6', 0, 0, '[\"jump\"]', '', 1)")
        connection.execute("DELETE FROM decisions WHERE reviewer='ben' AND video_id='v6'")
    report = review_report(desk.store)
    assert [(p.judged, p.waiting) for p in report.precision] == [(0, 1)]
    assert [pair.videos for pair in report.pairs] == [1]
    assert unprimed_outcomes(desk.store, together=True)["v6"].verdict == "accept", "but the clip is accepted"


@pytest.mark.parametrize(
    ("more", "together"),
    [
        pytest.param({}, ["v5"], id="no look-alike"),
        pytest.param({}, ["v99"], id="no such video"),
        pytest.param({}, ["v0"], id="itself"),
        pytest.param({"verdict": "skip"}, ["v4"], id="a skip"),
        pytest.param({"adjudication": True}, ["v4"], id="a conflict"),
    ],
)
def test_others_are_not_judged_by_the_way(desk, more, together):
    with pytest.raises(DecisionError, match="together"):
        desk.decide("ann", says("v0", **more), together=together)
    assert list(ledger.all_rows(desk.store)) == []


def test_over_the_web(desk):
    owner = Visitor(desk).enter()
    said = owner.get("/api/videos/v0/alike").json()
    assert [(v["video_id"], v["is_copy"], v["labels"]) for v in said[:2]] == [
        ("v4", True, ["jump"]),
        ("v2", False, ["jump"]),
    ]
    assert (said[0]["judgements"], said[0]["decided"]) == (None, None), "nothing of what anybody said"
    assert owner.get("/api/videos/v99/alike").status_code == 404
    assert Visitor(desk).get("/api/videos/v0/alike").status_code == 401
    sent = decision("v0", key="key-over-the-web", together=["v4"])
    assert owner.change("/api/decisions", sent).status_code == 200
    assert owner.change("/api/decisions", decision("v5", together=["v4"])).status_code == 409
    assert owner.get("/api/videos/v4").json()["decided_key"] == "key-over-the-web.1"
    assert owner.change("/api/undo", {"client_key": "undo-over-the-web"}).json()["undone"]["video_id"] == "v0"
    assert in_force(desk) == {}
