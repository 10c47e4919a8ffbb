"""The table of decisions: append-only, harmless when repeated, durable when acknowledged."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reviews.worlds import says
from tiktokactions.reviews import golden, ledger, people
from tiktokactions.reviews.decisions import VERDICTS, Decision, DecisionError
from tiktokactions.reviews.store import Store
from tiktokactions.takedowns.reviews import take_down_reviews


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path)) as opened:
        yield opened


def table(dataset: Path) -> list[dict[str, Any]]:
    """The rows as any other program reads them."""
    with contextlib.closing(sqlite3.connect(dataset / "reviews.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM decisions ORDER BY id")]


def test_a_decision_is_a_row(store: Store, tmp_path: Path) -> None:
    new = says(
        "v1", labels=("#waltz", " tap   dance "), tags=("indoors",), scene=1, start_s=1.0, end_s=6.0, seconds=2.5
    )
    added = ledger.add_decision(store, "ann", new)
    (row,) = table(tmp_path)
    wanted = {"id": 1, "reviewer": "ann", "video_id": "v1", "verdict": "accept", "labels": '["waltz", "tap dance"]',
              "tags": '["indoors"]', "scene": 1, "start_s": 1.0, "end_s": 6.0, "seconds": 2.5, "undoes": None,
              "client_key": new.client_key, "origin": "web"}  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    assert row["at_utc"].endswith("+00:00") and len(row["at_utc"]) == len("2026-01-01T00:00:00.000+00:00")
    assert added.labels == ("waltz", "tap dance") and not added.repeated
    assert ledger.decision_of(store, "ann", "v1") == added


def test_where_nothing_may_be_written_decisions_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(Store(tmp_path)) as opened:
        ledger.add_decision(opened, "ann", says("v1"))
    (tmp_path / "reviews.sqlite.sha256").unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with contextlib.closing(Store(tmp_path)) as opened:
        assert opened.database.is_read_only and ledger.decision_of(opened, "ann", "v1") is not None
        assert {p.name for p in tmp_path.iterdir() if p.is_file()} == before.keys(), "files beside it"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            ledger.add_decision(opened, "ben", says("v1"))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_the_same_client_key_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    new = says("v1")
    first = ledger.add_decision(store, "ann", new)
    again = ledger.add_decision(store, "ann", new)
    assert again.repeated and again.id == first.id and len(table(tmp_path)) == 1
    for reviewer, other in (("ben", new), ("ann", says("v2", key=new.client_key))):
        with pytest.raises(DecisionError, match="already used for another decision"):
            ledger.add_decision(store, reviewer, other)
    assert len(table(tmp_path)) == 1


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (Decision("short", "v", "accept"), "client_key"),
        (Decision("with blank key", "v", "accept"), "client_key"),
        (says("v", "maybe"), "verdict: got 'maybe', expected one of accept"),
        (says("v", "undo"), "verdict: got 'undo'"),
        (says("v", no_action=True), "no_action"),
        (says("v", start_s=1.0), "both or neither"),
        (says("v", start_s=3.0, end_s=2.0), "a start before its end"),
        (says("v", labels=("",)), "labels ''"),
        (says("v", labels=("a\x00b",)), "that can be shown"),
        (says("v", labels=("a\nb",)), "that can be shown"),
        (says("v", labels=("jump\u202egnp.exe",)), "that can be shown"),
        (says("v", answers={"a\u2066b": "yes"}), "that can be shown"),
        (says("v", tags=("\u200b",)), "that can be shown"),
        (says("v", answers={"a": "perhaps"}), "got 'perhaps', expected one of yes, no, cannot_tell, not_asked"),
        (says("v", answers={"a": "no"}, labels=("a",)), "send one of the two"),
        (says("v", answers={"*": "yes"}), "every other label"),
        (says("v", "reject", answers={"a": "yes"}, no_action=True), "nobody acts"),
        (says("v", labels=("x" * 101,)), "1 to 100 characters"),
        (says("v", tags=tuple(f"t{n}" for n in range(51))), "at most 50"),
        (says("v", seconds=-1.0), "seconds"),
        (says("v", seconds=float("nan")), "seconds"),
    ],
)
def test_nonsense_is_refused(new: Decision, message: str, store: Store, tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match=message):
        ledger.add_decision(store, "ann", new)
    assert table(tmp_path) == []


def test_undo_appends_and_remembers(store: Store, tmp_path: Path) -> None:
    for video_id, verdict in (("v1", "accept"), ("v2", "reject"), ("v1", "reject")):
        ledger.add_decision(store, "ann", says(video_id, verdict))
    ledger.add_decision(store, "ben", says("v3"))
    undone = ledger.undo_last(store, "ann", "undo-0001")
    assert undone is not None and undone.undoes == 3 and undone.previous is not None
    assert (undone.video_id, undone.previous["verdict"]) == ("v1", "reject")
    first = ledger.decision_of(store, "ann", "v1")
    assert first is not None and first.verdict == "accept", "what was said before is in force again"
    steps = [ledger.undo_last(store, "ann", f"undo-000{n}") for n in (2, 3, 4)]
    assert [step and step.undoes for step in steps] == [2, 1, None]
    assert [row["verdict"] for row in table(tmp_path)] == ["accept", "reject", "reject", "accept", *["undo"] * 3]
    ben = ledger.decision_of(store, "ben", "v3")
    assert ben is not None and ben.verdict == "accept", "other people's decisions are not touched"


def test_an_undo_takes_back_the_decision_that_it_names(store: Store) -> None:
    """Whatever came later, and however often it is sent."""
    keys = [ledger.add_decision(store, "ann", says(f"v{n}")).client_key for n in range(3)]
    undone = [ledger.undo_last(store, "ann", f"undo-{n:04}", takes_back=keys[1]) for n in (1, 1, 2)]
    assert [u and (u.video_id, u.repeated) for u in undone] == [("v1", False), ("v1", True), None]
    assert ledger.undo_last(store, "ben", "undo-0003", takes_back=keys[0]) is None, "somebody else's"
    last = ledger.undo_last(store, "ann", "undo-0004")
    assert last is not None and last.video_id == "v2"


def test_an_undo_sent_again_takes_back_only_one(store: Store, tmp_path: Path) -> None:
    for n in range(3):
        ledger.add_decision(store, "ann", says(f"v{n}"))
    first = ledger.undo_last(store, "ann", "undo-0001")
    again = ledger.undo_last(store, "ann", "undo-0001")
    assert first is not None and again is not None and again.repeated and again.id == first.id
    assert len(table(tmp_path)) == 4


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["ann", "ben"]), st.sampled_from("abc"), st.sampled_from(VERDICTS)),
            st.sampled_from(["ann", "ben"]),
        ),
        max_size=25,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_in_force_follows_from_the_rows_alone(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], random: Any
) -> None:
    """Against the plainest model: a list per person, of which undo takes the end. Everything is sent up to three times."""
    with contextlib.closing(Store(tmp_path_factory.mktemp("store"))) as store:
        model: dict[str, list[tuple[str, str]]] = {"ann": [], "ben": []}
        for number, step in enumerate(steps):
            key = f"step-{number:06}"
            times = random.randint(1, 3)
            if isinstance(step, str):
                for _ in range(times):
                    ledger.undo_last(store, step, key)
                if model[step]:
                    model[step].pop()
            else:
                person, video_id, verdict = step
                for _ in range(times):
                    ledger.add_decision(store, person, says(video_id, verdict, key))
                model[person].append((video_id, verdict))
        found = {(d.reviewer, d.video_id, d.verdict == "skip"): d.verdict for d in ledger.in_force(store)}
        wanted = {(person, v, verdict == "skip"): verdict for person, said in model.items() for v, verdict in said}
        assert found == wanted


WRITER = """
import sys
from pathlib import Path
from tiktokactions.reviews.decisions import Decision
from tiktokactions.reviews.ledger import add_decision
from tiktokactions.reviews.store import Store
store = Store(Path(sys.argv[1]))
for n in range(10**6):
    add_decision(store, sys.argv[2], Decision(f"{sys.argv[2]}-{n:08}", f"v{n}", "accept"))
    print(n, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, repository: Path) -> None:
    """Two writers at once, killed while they write: every acknowledged row is there, once, and the file is sound."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name],
            env=os.environ | {"PYTHONPATH": str(repository)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("writer-a", "writer-b")
    ]
    acknowledged: dict[str, int] = {}
    for writer, wanted in zip(writers, (60, 40), strict=True):
        assert writer.stdout is not None
        last = [int(writer.stdout.readline()) for _ in range(wanted)][-1]
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split()
        acknowledged[str(writer.args[4])] = int(rest[-1]) if rest else last  # type: ignore[index]
        writer.wait()
        writer.stdout.close()
    found = [(row["reviewer"], row["video_id"]) for row in table(tmp_path)]
    assert len(set(found)) == len(found)
    for name, last in acknowledged.items():
        assert {f"v{n}" for n in range(last + 1)} <= {video_id for person, video_id in found if person == name}
    with contextlib.closing(sqlite3.connect(tmp_path / "reviews.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_every_commit_waits_for_the_disk(store: Store) -> None:
    with store.database.connection() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_many_threads_write_at_once(store: Store, tmp_path: Path) -> None:
    def write(person: str) -> None:
        for n in range(20):
            ledger.add_decision(store, person, Decision(f"{person}-{n:08}", f"v{n}", "accept"))

    threads = [threading.Thread(target=write, args=(f"person{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = table(tmp_path)
    assert len({(row["reviewer"], row["video_id"]) for row in rows}) == len(rows) == 160


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    problems: list[Exception] = []

    def use(number: int) -> None:
        try:
            with contextlib.closing(Store(tmp_path)) as store:
                ledger.add_decision(store, "ann", says(f"v{number}"))
        except (ValueError, sqlite3.Error) as error:
            problems.append(error)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [] and len(table(tmp_path)) == 12


def test_people_and_tokens(store: Store, tmp_path: Path) -> None:
    ann, token = people.invite(store, "Ann")
    assert (ann.id, ann.name, ann.role, ann.has_token) == ("ann", "Ann", "reviewer", True)
    assert people.reviewer_of_token(store, token) == ann
    assert people.reviewer_of_token(store, token + "x") is None and people.reviewer_of_token(store, "") is None
    assert token.encode() not in (tmp_path / "reviews.sqlite-wal").read_bytes(), "only its hash is kept"
    assert people.outside_person(store, "ANN").id == "ann (imported)"
    _, newer = people.invite(store, "Ann")
    assert people.reviewer_of_token(store, token) is None and people.reviewer_of_token(store, newer) == ann
    people.disable_reviewer(store, "ann")
    assert people.reviewer_of_token(store, newer) is None
    owner = people.set_owner_token(store, "0123456789abcdef")
    assert (owner.id, owner.role) == ("owner", "owner")
    with pytest.raises(DecisionError, match="is the owner already"):
        people.invite(store, "Owner")
    assert people.outside_person(store, "Ben") == people.outside_person(store, " ben ")
    assert {person.id for person in people.reviewers(store)} == {"ann", "ann (imported)", "owner", "ben"}


def test_videos_that_were_taken_down_are_forgotten(tmp_path: Path) -> None:
    assert take_down_reviews(tmp_path, ["v1"]) == 0 and not (tmp_path / "reviews.sqlite").exists()
    store = Store(tmp_path)
    for video_id in ("secret-id-1", "v2", "v3"):
        ledger.add_decision(store, "ann", says(video_id, labels=("secret-label",) if video_id[0] == "s" else None))
    ledger.undo_last(store, "ann", "undo-0001")
    golden.set_gold(store, "v2", "accept")
    store.close()
    assert take_down_reviews(tmp_path, ["secret-id-1", "v3", "unknown"]) == 2
    assert {row["video_id"] for row in table(tmp_path)} == {"v2"}
    assert b"secret-" not in (tmp_path / "reviews.sqlite").read_bytes()
    assert take_down_reviews(tmp_path, ["secret-id-1", "v3"]) == 0


def test_a_newer_or_damaged_file_is_an_error(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "reviews.sqlite")) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(ValueError, match="format 99, this program reads up to 4"):
        Store(tmp_path)
    (tmp_path / "reviews.sqlite").write_bytes(b"not a database, whatever it is" * 100)
    with pytest.raises(ValueError, match="not a database of this program"):
        Store(tmp_path)
