"""A judgement is declared once; the tables, the exports and the wire that follow from it are those of before."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tiktokactions.reviews.decisions import Decision, Judgement, Verdict, value_of
from tiktokactions.reviews.ledger import all_rows
from tiktokactions.reviews.rows import column_names, from_row, insert, to_row
from tiktokactions.reviews.store import Store
from tiktokactions.reviews.tasks import EXPORTED
from tiktokactions.reviews.web import shapes

DECISIONS = """CREATE TABLE decisions(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  client_key TEXT NOT NULL UNIQUE,
  at_utc TEXT NOT NULL,
  reviewer TEXT NOT NULL,
  video_id TEXT NOT NULL,
  verdict TEXT NOT NULL CHECK(verdict IN ('accept', 'reject', 'skip', 'unsure', 'undo')),
  labels TEXT,
  tags TEXT NOT NULL DEFAULT '[]',
  no_action INTEGER NOT NULL DEFAULT 0,
  scene INTEGER,
  start_s REAL,
  end_s REAL,
  seconds REAL NOT NULL DEFAULT 0,
  page_version TEXT NOT NULL DEFAULT '',
  queue TEXT NOT NULL DEFAULT '',
  adjudication INTEGER NOT NULL DEFAULT 0,
  origin TEXT NOT NULL DEFAULT 'web',
  undoes INTEGER UNIQUE REFERENCES decisions(id),
  previous TEXT,
  CHECK((verdict = 'undo') = (undoes IS NOT NULL))
)"""
VERDICTS = """CREATE TABLE verdicts(
  video_id TEXT PRIMARY KEY,
  verdict TEXT NOT NULL CHECK(verdict IN ('accept', 'reject')),
  labels TEXT NOT NULL,
  tags TEXT NOT NULL,
  no_action INTEGER NOT NULL,
  scene INTEGER,
  start_s REAL,
  end_s REAL,
  judgements INTEGER NOT NULL,
  confidence REAL NOT NULL,
  method TEXT NOT NULL
)"""
PARTS = '[{"start_s": 0.5, "end_s": 2.0, "labels": ["waltz"]}]'
FULL = Decision(
    client_key="key-00000001",
    at_utc="2026-11-26T23:59:00.000+00:00",
    reviewer="ann",
    video_id="v1",
    verdict="accept",
    labels=("waltz", "größe"),
    tags=("blurred",),
    scene=0,
    start_s=1.5,
    end_s=6.0,
    answers={"waltz": "yes", "größe": "yes"},
    segments=({"start_s": 0.5, "end_s": 2.0, "labels": ["waltz"]},),
    seconds=2.25,
    page_version="0.1",
    queue="review",
    adjudication=True,
)


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


FORMAT_1 = f"""{DECISIONS};{VERDICTS};CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE gold(video_id TEXT PRIMARY KEY, verdict TEXT NOT NULL, labels TEXT, by TEXT NOT NULL, at_utc TEXT NOT NULL);
CREATE TABLE sampled(video_id TEXT NOT NULL, seed INTEGER NOT NULL, position INTEGER NOT NULL, labels TEXT NOT NULL,
  drawn_utc TEXT NOT NULL, PRIMARY KEY(video_id, seed));
INSERT INTO decisions(client_key, at_utc, reviewer, video_id, verdict, labels, no_action, page_version, origin) VALUES
  ('page-0001', '2026', 'ann', 'named', 'accept', '["waltz"]', 0, '0.1', 'web'),
  ('page-0002', '2026', 'ann', 'unsaid', 'accept', NULL, 0, '0.1', 'web'),
  ('file-0001', '2026', 'ben', 'named', 'accept', '["waltz", "tango"]', 0, '', 'csv'),
  ('file-0002', '2026', 'ben', 'none', 'accept', '[]', 0, '', 'csv'),
  ('page-0003', '2026', 'ann', 'still', 'reject', NULL, 1, '0.1', 'web');
INSERT INTO verdicts VALUES
  ('named', 'accept', '["waltz"]', '[]', 0, NULL, NULL, NULL, 2, 1.0, 'majority'),
  ('unsaid', 'accept', '[]', '[]', 0, NULL, NULL, NULL, 1, 1.0, 'majority'),
  ('still', 'reject', '[]', '[]', 1, NULL, NULL, NULL, 1, 1.0, 'majority');
PRAGMA user_version = 1;"""


def test_reviews_of_format_2_are_carried_over(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path)) as store:
        for record, table in ((FULL, "decisions"), (Verdict("v1", "accept"), "verdicts")):
            insert_row = {name: cell for name, cell in to_row(record).items() if name != "id"}
            with store.database.write() as connection:
                insert(connection, table, insert_row)
                connection.execute(f"ALTER TABLE {table} DROP COLUMN segments")
        with store.database.write() as connection:
            connection.execute("ALTER TABLE sampled DROP COLUMN weight")
            connection.execute("INSERT INTO sampled VALUES('v1', 0, 0, '[]', '')")
            connection.execute("PRAGMA user_version=2")
    with contextlib.closing(Store(tmp_path)) as store:
        assert list(all_rows(store)) == [replace(FULL, id=1, segments=())]
        assert from_row(Verdict, store.database.rows("SELECT * FROM verdicts")[0]) == Verdict("v1", "accept")
        assert store.database.rows("SELECT weight FROM sampled")[0][0] == 1
        with store.database.write() as connection:
            connection.execute("ALTER TABLE sampled DROP COLUMN weight")
            connection.execute("PRAGMA user_version=3")
    with contextlib.closing(Store(tmp_path)) as store:
        assert store.database.rows("SELECT weight FROM sampled")[0][0] == 1, "format 3"


@pytest.mark.parametrize("may_write", [True, False])
def test_reviews_of_format_1_are_carried_over(tmp_path: Path, may_write: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be told is not asked: hashtags that were not named, and every label where none was named."""
    with contextlib.closing(sqlite3.connect(tmp_path / "reviews.sqlite")) as connection:
        connection.executescript(FORMAT_1)
    before = (tmp_path / "reviews.sqlite").read_bytes()
    if not may_write:
        monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    for _ in range(2):
        with contextlib.closing(Store(tmp_path)) as opened:
            rows = [(d.client_key, d.labels, d.answers, d.prefilled) for d in all_rows(opened)]
            verdicts = [from_row(Verdict, row) for row in opened.database.rows("SELECT * FROM verdicts")]
        assert rows == [
            ("page-0001", ("waltz",), {"waltz": "yes"}, True),
            ("page-0002", None, None, False),
            ("file-0001", ("waltz", "tango"), {"waltz": "yes", "tango": "yes"}, False),
            ("file-0002", (), {}, False),
            ("page-0003", None, None, False),
        ]
        assert [(v.video_id, v.labels) for v in verdicts] == [("named", ("waltz",)), ("unsaid", None), ("still", ())]
    assert ((tmp_path / "reviews.sqlite").read_bytes() == before) is not may_write


@pytest.mark.parametrize(
    ("record", "table", "expected"),
    [
        pytest.param(
            FULL,
            "decisions",
            (
                *(1, "key-00000001", "2026-11-26T23:59:00.000+00:00", "ann", "v1", "accept", '["waltz", "größe"]'),
                *(
                    '["blurred"]',
                    0,
                    0,
                    1.5,
                    6.0,
                    '{"waltz": "yes", "größe": "yes"}',
                    "",
                    PARTS,
                    2.25,
                    "0.1",
                    "review",
                    1,
                    0,
                ),
                *("web", None, None),
            ),
            id="a decision",
        ),
        pytest.param(
            Verdict(
                "v1", "reject", (), ("dark",), True, answers={"*": "no"}, judgements=2, confidence=0.5, method="glad"
            ),
            "verdicts",
            ("v1", "reject", "[]", '["dark"]', 1, None, None, None, '{"*": "no"}', "", "[]", 2, 0.5, "glad"),
            id="a verdict",
        ),
    ],
)
def test_rows_are_those_of_the_tables(store: Store, record: Decision | Verdict, table: str, expected: tuple) -> None:
    row = to_row(record)
    row.pop("id", None)
    with store.database.write() as connection:
        insert(connection, table, row)
    found = store.database.first(f"SELECT * FROM {table}")
    assert found is not None and tuple(found) == expected
    read = from_row(type(record), found)
    assert read == (replace(record, id=1) if isinstance(record, Decision) else record)


def test_a_row_written_by_the_version_before_is_read(store: Store) -> None:
    with store.database.write() as connection:
        connection.execute(
            "INSERT INTO decisions(client_key, at_utc, reviewer, video_id, verdict, labels, tags, no_action)"
            " VALUES('key-00000002', '2026', 'ben', 'v2', 'reject', NULL, '[]', 1)"
        )
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(
                "INSERT INTO decisions(client_key, at_utc, reviewer, video_id, verdict) VALUES(1,2,3,4,5)"
            )
    row = store.database.first("SELECT * FROM decisions")
    assert row is not None
    assert from_row(Decision, row) == Decision(
        "key-00000002", "v2", "reject", no_action=True, id=1, at_utc="2026", reviewer="ben"
    )


def test_columns_of_exports() -> None:
    assert [
        *("client_key", "at_utc", "reviewer", "video_id", "verdict", "labels", "tags", "no_action", "scene"),
        *(
            "start_s",
            "end_s",
            "answers",
            "why",
            "segments",
            "seconds",
            "queue",
            "adjudication",
            "prefilled",
            "origin",
            "undoes",
        ),
    ] == list(EXPORTED)


def test_what_is_said_is_the_same_in_every_noun() -> None:
    said = column_names(Judgement)
    assert said == ["verdict", "labels", "tags", "no_action", "scene", "start_s", "end_s", "answers", "why", "segments"]
    assert [name for name in column_names(Decision) if name in said] == said
    assert [name for name in column_names(Verdict) if name in said] == said
    assert json.dumps(value_of(FULL), ensure_ascii=False) == (
        '{"verdict": "accept", "labels": ["waltz", "größe"], "tags": ["blurred"], "no_action": false, "scene": 0,'
        ' "start_s": 1.5, "end_s": 6.0, "answers": {"waltz": "yes", "größe": "yes"}, "why": "",'
        f' "segments": {PARTS}, "queue": "review"}}'
    )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param(
            shapes.DecisionAnswer,
            '{"id":7,"client_key":"key-00000001","video_id":"v1","verdict":"accept",'
            '"at_utc":"2026-11-26T23:59:00.000+00:00","repeated":false}',
            id="an answer",
        ),
        pytest.param(
            shapes.JudgementAnswer,
            '{"reviewer":"ann","verdict":"accept","labels":["waltz","größe"],"tags":["blurred"],"no_action":false,'
            '"start_s":1.5,"end_s":6.0,"answers":{"waltz":"yes","größe":"yes"},"why":"",'
            f'"segments":{PARTS.replace(" ", "")}}}',
            id="a judgement",
        ),
    ],
)
def test_the_wire_is_that_of_before(shape: type[shapes.DecisionAnswer], expected: str) -> None:
    assert shape.model_validate(replace(FULL, id=7)).model_dump_json() == expected


def test_what_a_page_sends_becomes_a_decision() -> None:
    sent = {"client_key": "key-00000001", "video_id": "v1", "verdict": "accept", "labels": ["waltz"], "scene": 2.0}
    assert shapes.DecisionGiven.model_validate(sent).as_decision() == Decision(
        "key-00000001", "v1", "accept", ("waltz",), scene=2
    )


@pytest.mark.parametrize(
    "change",
    [
        {"client_key": "short"},
        {"video_id": ""},
        {"verdict": "undo"},
        {"labels": ["x" * 101]},
        {"labels": ["x"] * 51},
        {"tags": None},
        {"no_action": 1},
        {"scene": -1},
        {"scene": 1.5},
        {"start_s": float("nan")},
        {"seconds": -1},
        {"queue": "q" * 151},
        {"segments": [{"start_s": 0, "end_s": 1, "labels": []}]},
        {"id": 5},
        {"reviewer": "ann"},
    ],
    ids=lambda change: str(change)[:25],
)
def test_what_a_page_may_not_send(change: dict) -> None:
    sent = {"client_key": "key-00000001", "video_id": "v1", "verdict": "accept"} | change
    with pytest.raises(ValueError, match="1 validation error"):
        shapes.DecisionGiven.model_validate(sent)
