"""``reviews.sqlite``: the file in which everything lies that people decided, and the settings beside it. The one file here
that cannot be made again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tiktokactions.files import AnyPlace, Place, on_disk
from tiktokactions.reviews.database import Database

FORMAT = 1
SCHEMA = """\
CREATE TABLE decisions(
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
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def setting(store: Store, name: str, default: Any) -> Any:
    with store.database.connection() as connection:
        row = connection.execute("SELECT value FROM settings WHERE name=?", (name,)).fetchone()
    return default if row is None else json.loads(row["value"])


def set_setting(store: Store, name: str, value: Any) -> None:
    """Remember a JSON value; nothing is written where it is the same already."""
    if setting(store, name, None) == value:
        return
    with store.database.write() as connection:
        connection.execute(
            "INSERT INTO settings VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
            (name, json.dumps(value)),
        )


def reviewers_per_video(store: Store) -> int:
    return int(setting(store, "reviewers_per_video", 1))
