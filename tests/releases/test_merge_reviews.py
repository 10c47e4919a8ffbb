"""What people decided in two datasets is in the dataset that is made of them; a killed merge ends as an undisturbed one."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as api
from tests.releases.test_growth import curate
from tiktokactions.cli import main
from tiktokactions.curation.takedowns import Takedown, add_takedowns
from tiktokactions.files import record_files, record_path
from tiktokactions.reviews.decisions import Decision
from tiktokactions.reviews.golden import gold, set_gold
from tiktokactions.reviews.ledger import add_decisions, all_rows, decision_of, undo_last
from tiktokactions.reviews.merged import MergedReviews, merge_reviews
from tiktokactions.reviews.people import disable_reviewer, invite, outside_person, reviewer, reviewer_of_token
from tiktokactions.reviews.store import Store, set_setting, setting

A = ((0, "a0", "ann", ""), (1, "a1", "bob", ""), (3, "both", "dora", ""))
B = ((4, "b0", "gil", ""), (5, "b1", "eve", ""), (3, "both", "dora", ""))


def decide(dataset: Path, *rows: tuple[str, str, str, str], **changes: Any) -> None:
    """(client key, minute, person, what): ``what`` is ``video=verdict`` or ``undo``."""
    store = Store(dataset)
    for key, minute, person, what in rows:
        outside_person(store, person)
        if what == "undo":
            undo_last(store, person, key)
            continue
        video_id, verdict = what.split("=")
        new = Decision(key, video_id, verdict, **changes)
        add_decisions(store, [(person, new, f"2026-11-01T00:{minute}:00.000+00:00")])
    store.close()


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """Ann judged in both, in B also with a label; the video of both is accepted in A and rejected in B."""
    folder = tmp_path_factory.mktemp("reviews")
    a, b = curate(folder, "a", A), curate(folder, "b", B, label="jump")
    decide(a, ("shared-01", "01", "ann", "both=accept"), ("a-key-002", "05", "ann", "a0=reject"))
    decide(b, ("shared-01", "01", "ann", "both=accept"), ("b-key-002", "03", "ann", "both=reject"))
    decide(b, ("b-key-003", "04", "zoe", "b0=accept"), labels=("Cart Wheel",), tags=("nice",))
    decide(
        b,
        ("b-key-004", "06", "zoe", "b1=reject"),
        ("b-key-005", "", "zoe", "undo"),
        ("b-key-006", "08", "zoe", "b1=reject"),
    )
    for dataset in (a, b):
        api.review_apply(dataset)
    return a, b


@pytest.fixture
def pair(reviewed, tmp_path):
    return tuple(shutil.copytree(dataset, tmp_path / dataset.name) for dataset in reviewed)


def record(dataset: Path, video_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record_path(dataset, video_id).read_text())
    return found


def test_verdicts_labels_and_decisions_of_both_are_carried(pair, tmp_path, capsys):
    c = tmp_path / "c"
    assert main(["dataset", "merge", *map(str, pair), "-o", str(c), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["reviews"]
    # "both" is accepted in A and rejected in B: A's verdict holds until 'review apply'.
    assert told == {"decisions": 7, "in_both": 1, "left_out": 0, "reviewers": 2, "verdicts": 4, "gold": 0}
    assert record(c, "a0")["reasons"] == record(c, "b1")["reasons"] == ["human_rejected"]
    assert (record(c, "b0")["human_labels"], record(c, "b0")["human_tags"]) == (["Cart Wheel"], ["nice"])
    assert record(c, "both")["reasons"] == ["human_accepted"]
    assert (c / record(c, "b0")["clip"]["path"]).is_file()
    store = Store(c)
    assert [d.client_key for d in all_rows(store)] == [
        *("shared-01", "b-key-002", "b-key-003", "a-key-002", "b-key-004", "b-key-005", "b-key-006")
    ]
    newest = decision_of(store, "ann", "both")
    assert newest is not None and newest.client_key == "b-key-002"
    store.close()
    api.review_apply(c)
    assert record(c, "both")["reasons"] == ["human_rejected"], "ann's newest decision is in B"
    before = decisions_of(c)
    assert main(["dataset", "merge", *map(str, pair), "-o", str(c)]) == 0
    assert "decisions of 2 people carried over (1 were in more than one, 0 left out" in capsys.readouterr().out
    assert decisions_of(c) == before and record(c, "both")["reasons"] == ["human_rejected"]


def test_a_video_that_gets_another_id_keeps_what_people_said_of_it(pair, tmp_path):
    claims = curate(tmp_path / "other", "claims", ((8, "a0", "gus", ""),), label="jump")
    decide(claims, ("c-key-001", "09", "zoe", "a0=accept"), labels=("crawl",))
    api.review_apply(claims)
    (other,) = api.dataset_merge([pair[0], claims], tmp_path / "c").renamed
    assert (record(tmp_path / "c", "a0")["reasons"], record(tmp_path / "c", "a0")["human_labels"]) == (
        *(["human_rejected"], []),
    )
    assert record(tmp_path / "c", other)["human_labels"] == ["crawl"]
    assert [row[4] for row in decisions_of(tmp_path / "c")] == ["both", "a0", other]


def decisions_of(dataset: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(dataset / "reviews.sqlite") as database:
        rows = database.execute("SELECT * FROM decisions ORDER BY id").fetchall()
    database.close()
    return rows


def test_what_was_taken_down_in_one_stays_out(pair, tmp_path, capsys):
    a, b = pair
    c = tmp_path / "c"
    api.dataset_merge([a, b], c)
    add_takedowns(a, [Takedown("b0", "2026-11-01", "asked to go")])
    assert main(["dataset", "merge", *map(str, pair), "-o", str(c)]) == 0
    assert "1 videos left out: taken down in one of them" in capsys.readouterr().out
    assert not record_path(c, "b0").exists() and not list((c / "clips").glob("*/b0.mp4"))
    assert "b0" in (c / "removed.csv").read_text()
    again = api.dataset_merge([a, b], tmp_path / "d")
    assert (again.taken_down, again.reviews.left_out) == (1, 1)
    assert "b0" not in {row[4] for row in decisions_of(tmp_path / "d")}


def test_people_settings_and_gold(tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "out")]
    one, two = Store(folders[0]), Store(folders[1])
    _, token = invite(two, "Ann")
    outside_person(one, "ann")
    invite(one, "Bob")
    outside_person(two, "bob")
    disable_reviewer(two, "bob")
    for store, verdict in ((one, "accept"), (two, "reject")):
        set_gold(store, "g", verdict)
        set_setting(store, "aggregate", verdict)
        set_setting(store, "cookie_secret", verdict)
    set_gold(two, "taken down", "accept")
    for store in (one, two):
        store.close()
    found = merge_reviews(folders[:2], folders[2], ("taken down",), [{}, {}])
    assert found == MergedReviews(decisions=0, reviewers=2, gold=1)
    out = Store(folders[2])
    ann, bob = reviewer_of_token(out, token), reviewer(out, "bob")
    assert ann is not None and (ann.id, ann.role) == ("ann", "reviewer")
    assert bob is not None and bob.has_token and bob.disabled, "shut out in one: shut out"
    assert gold(out)["g"].verdict == setting(out, "aggregate", "") == "accept"
    assert setting(out, "cookie_secret", None) is None
    out.close()
    assert merge_reviews([tmp_path / "none", tmp_path / "nil"], tmp_path / "x", (), [{}, {}]) == MergedReviews()
    assert not (tmp_path / "x").exists()


def test_one_key_of_two_decisions_keeps_both(tmp_path):
    decide(tmp_path / "one", ("same-key", "01", "ann", "v=accept"), ("undone-1", "02", "ann", "w=accept"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for name in ("one", "two"):
        decide(tmp_path / name, (f"undo-{name}-key", "", "ann", "undo"))
    decide(tmp_path / "three", ("same-key", "01", "zoe", "v=reject"))
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for _ in range(2):
        found = merge_reviews(folders, tmp_path / "out", (), [{}, {}, {}])
        assert (found.decisions, found.reviewers) == (4, 2)
        rows = decisions_of(tmp_path / "out")
        assert sorted((row[3], row[4], row[5]) for row in rows) == [
            *(("ann", "v", "accept"), ("ann", "w", "accept"), ("ann", "w", "undo"), ("zoe", "v", "reject"))
        ]


# --- a kill -----------------------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys, importlib
import tiktokactions.dataset.figures as figures
import tiktokactions as api
figures.draw_figures = lambda dataset, stats: None
module, name, calls = sys.argv[4], sys.argv[5], int(sys.argv[6])
module = importlib.import_module(module)
real = getattr(module, name)
def counted(*given, **named):
    global calls
    calls -= 1
    if calls < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)
setattr(module, name, counted)
api.dataset_merge(sys.argv[1:3], sys.argv[3])
"""


def contents(dataset: Path) -> dict[str, Any]:
    """Everything in a dataset but dates and its own path, with rows in the place of SQLite's pages."""
    when = json.loads((dataset / "dataset.json").read_text())
    own = [(str(dataset), "HERE"), (when["created"], "DATE"), (when["updated"], "DATE")]

    def read(path: Path) -> bytes:
        data = path.read_bytes()
        for text, name in own:
            data = data.replace(text.encode(), name.encode())
        return data

    found: dict[str, Any] = {
        path.relative_to(dataset).as_posix(): read(path)
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and not path.name.startswith((".lock", "reviews.sqlite", "SHA256SUMS"))
    }
    info = json.loads(found.pop("dataset.json"))
    found["dataset.json"] = {name: value for name, value in info.items() if name not in ("created", "updated", "id")}
    found["history.csv"] = [
        [cell for place, cell in enumerate(line.split(",")) if place != 1]
        for line in found["history.csv"].decode().splitlines()
    ]
    return found | {"reviews": decisions_of(dataset)}


@pytest.mark.parametrize(
    ("module", "name", "calls"),
    [
        ("tiktokactions.releases.merge", "write_record", 4),
        ("tiktokactions.verdicts.settle", "write_manifest", 0),
        ("tiktokactions.splits.sides", "fill_manifest", 0),
        ("tiktokactions.dataset.info", "write_info", 1),
    ],
)
def test_a_killed_merge_ends_as_an_undisturbed_one(module, name, calls, pair, tmp_path):
    first, second = pair
    api.dataset_split(first)
    api.dataset_merge([first, second], tmp_path / "whole" / "c")
    killed = tmp_path / "killed" / "c"
    arguments = [*map(str, pair), str(killed), module, name, str(calls)]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert any(True for _ in record_files(killed)), "killed before anything was written"
    api.dataset_merge([first, second], killed)
    assert contents(killed) == contents(tmp_path / "whole" / "c")
