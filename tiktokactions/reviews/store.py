"""``reviews.sqlite``: everything that people decided, and the settings of the review. No other file of a dataset holds
anything of it, so it cannot be made again."""

from __future__ import annotations

import json
from typing import Any

from tiktokactions.files import AnyPlace, Place, on_disk
from tiktokactions.machine import utc_now
from tiktokactions.reviews.database import Database
from tiktokactions.reviews.decisions import Decision, Verdict
from tiktokactions.reviews.rows import column_definitions

FORMAT = 1
_RULES = {
    "id": "PRIMARY KEY AUTOINCREMENT",
    "client_key": "NOT NULL UNIQUE",
    "at_utc": "NOT NULL",
    "reviewer": "NOT NULL",
    "verdict": "NOT NULL CHECK(verdict IN ('accept', 'reject', 'skip', 'unsure', 'undo'))",
    "undoes": "UNIQUE REFERENCES decisions(id)",
}
_VERDICT_RULES = {"video_id": "PRIMARY KEY", "verdict": "NOT NULL CHECK(verdict IN ('accept', 'reject'))"}
SCHEMA = f"""\
CREATE TABLE decisions(
{column_definitions(Decision, _RULES)},
  CHECK((verdict = 'undo') = (undoes IS NOT NULL))
);
CREATE INDEX decisions_of_video ON decisions(video_id, reviewer, id);
CREATE INDEX decisions_of_reviewer ON decisions(reviewer, id);
CREATE INDEX decisions_by_time ON decisions(reviewer, at_utc);
CREATE TABLE reviewers(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK(role IN ('owner', 'reviewer', 'outside')),
  token_sha256 TEXT UNIQUE,
  created_utc TEXT NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE settings(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE gold(video_id TEXT PRIMARY KEY, verdict TEXT NOT NULL, labels TEXT, by TEXT NOT NULL, at_utc TEXT NOT NULL);
CREATE TABLE sampled(
  video_id TEXT NOT NULL, seed INTEGER NOT NULL, position INTEGER NOT NULL, labels TEXT NOT NULL, drawn_utc TEXT NOT NULL,
  PRIMARY KEY(video_id, seed)
);
CREATE TABLE verdicts(
{column_definitions(Verdict, _VERDICT_RULES, defaults=False)}
)"""


class Store:
    """``DATASET/reviews.sqlite``, opened. Every write is on disk when its function returns."""

    def __init__(self, dataset: Place) -> None:
        self.dataset = on_disk(dataset, "reviews.sqlite")
        self.database = Database(store_path(self.dataset), SCHEMA, FORMAT, synchronous="FULL")

    def close(self) -> None:
        self.database.close()


def store_path(dataset: AnyPlace) -> AnyPlace:
    return dataset / "reviews.sqlite"


def now_utc() -> str:
    return utc_now("milliseconds")


def setting(store: Store, name: str, default: Any) -> Any:
    row = store.database.first("SELECT value FROM settings WHERE name=?", (name,))
    return default if row is None else json.loads(row["value"])


def set_setting(store: Store, name: str, value: Any) -> None:
    """Remember a JSON value; an unchanged one is not written again."""
    if setting(store, name, None) != value:
        store.database.run(
            "INSERT INTO settings VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
            (name, json.dumps(value)),
        )


def reviewers_per_video(store: Store) -> int:
    return int(setting(store, "reviewers_per_video", 1))
