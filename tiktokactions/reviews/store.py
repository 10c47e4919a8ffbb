"""``reviews.sqlite``: everything that people decided, and the settings of the review. No other file of a dataset holds
any of it, so it cannot be rebuilt."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from tiktokactions.files import AnyPlace, Place, local_path, on_disk, sha256_file, staging_folder, write_atomic
from tiktokactions.machine import utc_now
from tiktokactions.reviews.database import Database
from tiktokactions.reviews.decisions import Decision, Verdict
from tiktokactions.reviews.rows import column_definitions

Setting = TypeVar("Setting")
FORMAT = 4
_RULES = {
    "id": "PRIMARY KEY AUTOINCREMENT",
    "client_key": "NOT NULL UNIQUE",
    "at_utc": "NOT NULL",
    "reviewer": "NOT NULL",
    "verdict": "NOT NULL CHECK(verdict IN ('accept', 'reject', 'skip', 'unsure', 'undo'))",
    "undoes": "UNIQUE REFERENCES decisions(id)",
}
_VERDICT_RULES = {"video_id": "PRIMARY KEY", "verdict": "NOT NULL CHECK(verdict IN ('accept', 'reject'))"}
_VERDICTS = f"""\
CREATE TABLE verdicts(
{column_definitions(Verdict, _VERDICT_RULES, defaults=False)}
)"""
_FLAGS = """\
CREATE TABLE flags(
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_utc TEXT NOT NULL, reviewer TEXT NOT NULL, video_id TEXT NOT NULL,
  kind TEXT NOT NULL, comment TEXT NOT NULL DEFAULT '', settled_utc TEXT
)"""
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
  weight REAL NOT NULL DEFAULT 1,
  PRIMARY KEY(video_id, seed)
);
{_FLAGS};
{_VERDICTS}"""
FROM_FORMAT_3 = "ALTER TABLE sampled ADD COLUMN weight REAL NOT NULL DEFAULT 1"
"""Every video that was drawn had been as likely as the others."""
FROM_FORMAT_1 = f"""\
ALTER TABLE decisions ADD COLUMN answers TEXT;
ALTER TABLE decisions ADD COLUMN why TEXT NOT NULL DEFAULT '';
ALTER TABLE decisions ADD COLUMN prefilled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE decisions ADD COLUMN segments TEXT NOT NULL DEFAULT '[]';
UPDATE decisions SET answers = (SELECT json_group_object(value, 'yes') FROM json_each(labels)) WHERE labels NOTNULL;
UPDATE decisions SET prefilled = 1 WHERE labels NOTNULL AND origin = 'web' AND page_version <> '';
ALTER TABLE verdicts RENAME TO verdicts_1;
{_VERDICTS};
INSERT INTO verdicts(video_id, verdict, labels, tags, no_action, scene, start_s, end_s, answers, why, segments,
  judgements, confidence, method)
SELECT video_id, verdict, CASE WHEN labels = '[]' AND NOT no_action THEN NULL ELSE labels END, tags, no_action, scene,
  start_s, end_s,
  CASE WHEN labels <> '[]' OR no_action THEN (SELECT json_group_object(value, 'yes') FROM json_each(labels)) END, '',
  '[]', judgements, confidence, method FROM verdicts_1;
DROP TABLE verdicts_1;
{_FLAGS};
{FROM_FORMAT_3}"""
"""Format 1 had no answers: labels that were named are yes, everything else was not asked. Its pages marked all hashtags
beforehand, so what they sent is prefilled; in its verdicts an empty list meant that nothing was said."""
FROM_FORMAT_2 = ";\n".join(
    [f"ALTER TABLE {table} ADD COLUMN segments TEXT NOT NULL DEFAULT '[]'" for table in ("decisions", "verdicts")]
    + [FROM_FORMAT_3]
)
"""Format 2 had no parts of a video with labels of their own."""


WRITES = "writes"
"""The setting that counts transactions."""
STAMP = "reviews.sqlite.sha256"
"""How ``reviews.sqlite`` was when it was last closed: its SHA-256, as ``sha256sum -c`` reads it, and its writes. Between two
closings the count tells what people wrote from damage."""


class Store:
    """``DATASET/reviews.sqlite``, opened. Every write is on disk when its function returns."""

    def __init__(self, dataset: Place) -> None:
        self.dataset = on_disk(dataset, "reviews.sqlite")
        count = f"INSERT INTO settings VALUES('{WRITES}', '1') ON CONFLICT(name) DO UPDATE SET value = value + 1"
        carried_over = {1: FROM_FORMAT_1, 2: FROM_FORMAT_2, 3: FROM_FORMAT_3}
        self.database = Database(store_path(self.dataset), SCHEMA, FORMAT, "FULL", count, carried_over)

    def close(self) -> None:
        writes = setting(self, WRITES, 0)
        self.database.close()
        if writes and not self.database.is_read_only and (read_stamp(self.dataset) or ("", 0))[1] != writes:
            stamp(self.dataset, writes)


def stamp(dataset: Path, writes: int) -> None:
    """Remember how the reviews are, unless another process has them open: the last to close them does it."""
    path = store_path(dataset)
    if not path.with_name(f"{path.name}-wal").exists():
        said = f"{sha256_file(path)}  {path.name}\n# {writes} writes\n"
        write_atomic(dataset / STAMP, said.encode(), staging_folder(dataset))


def read_stamp(dataset: Path) -> tuple[str, int] | None:
    """SHA-256 and count of writes; None where there is no stamp, or none that can be read."""
    path = dataset / STAMP
    said = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
    found = re.fullmatch(r"([0-9a-f]{64})  reviews\.sqlite\n# ([0-9]+) writes\n", said)
    return (found[1], int(found[2])) if found else None


def check_reviews(place: Place) -> Iterator[tuple[str, str]]:
    """What is wrong with a dataset's reviews: a file's name and what about it. Nothing is written."""
    dataset = local_path(place)
    if dataset is None or not (store_path(dataset).exists() or (dataset / STAMP).exists()):
        return
    path = store_path(dataset)
    if not path.exists():
        yield path.name, "is gone: what people decided cannot be made again"
        return
    is_open = path.with_name(f"{path.name}-wal").exists()
    try:
        how = "mode=ro" if is_open else "immutable=1"
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as connection:
            damage = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
            damage += [f"{row[0]} {row[1]} points nowhere" for row in connection.execute("PRAGMA foreign_key_check")]
            [row] = connection.execute(f"SELECT max(CASE name WHEN '{WRITES}' THEN value END) FROM settings")
            writes = int(row[0] or 0)
    except (sqlite3.DatabaseError, ValueError) as error:
        damage = [str(error)]
    if damage:
        yield path.name, f"is damaged ({'; '.join(damage)}): put a copy of before in its place"
        return
    said = read_stamp(dataset)
    if said is None:
        if (dataset / STAMP).exists() or (writes and not is_open):
            yield STAMP, "is gone or was changed"
    elif writes < said[1] or (writes == said[1] and not is_open and sha256_file(path) != said[0]):
        yield path.name, f"is not as it was closed: other bytes than {STAMP} says, though this program wrote nothing"
    elif writes > said[1] and sha256_file(path) == said[0]:
        yield STAMP, "was changed: it fits the file, but not its count of writes"


def store_path(dataset: AnyPlace) -> AnyPlace:
    return dataset / "reviews.sqlite"


def now_utc() -> str:
    return utc_now("milliseconds")


def setting(store: Store, name: str, default: Setting) -> Setting:
    row = store.database.first("SELECT value FROM settings WHERE name=?", (name,))
    return default if row is None else json.loads(row["value"])


def set_setting(store: Store, name: str, value: object) -> None:
    """Remember a JSON value; an unchanged one is not written again."""
    if setting(store, name, None) != value:
        store.database.run(
            "INSERT INTO settings VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET value=excluded.value",
            (name, json.dumps(value)),
        )


def reviewers_per_video(store: Store) -> int:
    return int(setting(store, "reviewers_per_video", 1))
