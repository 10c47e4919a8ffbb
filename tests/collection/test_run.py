"""Whole runs against the strict local server: what is collected is what the world holds, whatever goes wrong."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.collection.worlds import booked, collect, found, server_of, video, wanted
from tiktokactions.collection.client import ApiError
from tiktokactions.collection.credentials import CredentialsError, base_url, read_credentials
from tiktokactions.collection.ledger import QuotaSpentError
from tiktokactions.collection.run import Wanted
from tiktokactions.collection.sandbox import SANDBOX_CREDENTIALS, Faults, Reply
from tiktokactions.collection.session import collect_export, collect_import, collect_status
from tiktokactions.collection.store import Collection, CollectionError
from tiktokactions.machine import utc_day

START, END = date(2024, 1, 1), date(2024, 3, 30)
DAYS = [START + timedelta(days=n) for n in range(90)]
SPREAD = [video(n, DAYS[n * 7 % 90], "run", *(["jump"] if n % 5 == 0 else [])) for n in range(400)]


def ids(videos: list[dict[str, object]], hashtag: str) -> set[str]:
    return {str(v["id"]) for v in videos if hashtag in v["hashtag_names"]}  # type: ignore[operator]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    numbers=st.lists(st.tuples(st.integers(0, 89), st.sampled_from(["run", "jump", "both"])), max_size=250),
    warm_up=st.sampled_from([0.0, 7.0, 40.0]),
    errors=st.sampled_from([0.0, 0.1]),
    limits=st.sampled_from([0.0, 0.05]),
    repeats=st.sampled_from([0.0, 0.3]),
    wrong=st.sampled_from([0.0, 0.3]),
    quota=st.sampled_from([5, 30, 1000]),
    life=st.sampled_from([20, 7200]),
    refused=st.booleans(),
    hidden=st.sampled_from([0.0, 0.5]),
    burst=st.sampled_from([0, 3]),
    failing=st.sampled_from([0, 3]),
    is_random=st.booleans(),
    everything=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_everything_the_world_holds(
    numbers: list[tuple[int, str]], warm_up: float, errors: float, limits: float, repeats: float, wrong: float,
    quota: int, life: int, refused: bool, hidden: float, burst: int, failing: int, is_random: bool,
    everything: bool, seed: int,
) -> None:  # fmt: skip
    tags = {"run": ("run",), "jump": ("jump",), "both": ("Run", "jump")}
    videos = [video(i, DAYS[day], *tags[kind]) for i, (day, kind) in enumerate(numbers)]
    faults = Faults(
        requests_a_day=quota, token_life_s=life, search_id_warm_up_s=warm_up, error_share=errors, rate_limit_share=limits,
        repeat_share=repeats, wrong_share=wrong, refused_fields=frozenset({"video_tag"} if refused else ()),
        hidden_share=hidden, burst=burst, failing_days=frozenset(DAYS[50 : 50 + failing]), sparse_share=0.2,
    )  # fmt: skip
    server = server_of(videos, faults, seed)
    more = {"everything": True} if everything else {"random": is_random, "windows": 3}
    what = wanted(1000, START, END, **more)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(6):
            # A burst may outlast the patience of a day; the next run asks for what is left.
            got, stopped, _ = collect(server, Path(folder), ["run", "jump"], what, requests_a_day=quota)
            if not stopped and collect_status(Path(folder)).is_complete:
                break
        assert all(sent <= quota for sent in Counter(request["day"] for request in server.requests).values())
        there = [
            {**v, "hashtag_names": [h.lower() for h in v["hashtag_names"]]}
            for v in videos
            if not server.is_hidden(v["id"]) and utc_day(v["create_time"]) not in faults.failing_days
        ]
        if stopped:
            pytest.fail(stopped) if there else None
        assert got.get("run", set()) == ids(there, "run")
        assert got.get("jump", set()) == ids(there, "jump")


def test_spread_over_the_period_and_no_more_than_wanted(tmp_path: Path) -> None:
    many = [video(n, DAYS[n % 90], "run") for n in range(9000)]
    got, _, _ = collect(server_of(many), tmp_path, ["run"], wanted(300, START, END))
    assert len(got["run"]) == 300
    with Collection(tmp_path) as collection:
        per_window = [len(v) for v in collection.found_by_window("run").values()]
        assert len(per_window) >= 6 and max(per_window) - min(per_window) <= 1
        assert collection.count_videos() == 300


def test_one_video_under_several_hashtags_is_one_row(tmp_path: Path) -> None:
    collect(server_of(SPREAD), tmp_path, ["run", "jump"], wanted(1000, START, END))
    with Collection(tmp_path) as collection:
        labels = {video_id: tags for video_id, tags, _, _ in collection.videos()}
    assert len(labels) == 400
    assert {v for v, tags in labels.items() if tags == ["run", "jump"]} == ids(SPREAD, "jump")
    assert all(isinstance(v, str) and int(v) > 2**53 for v in labels)


def test_random_draws_first_and_every_row_has_its_probability(tmp_path: Path) -> None:
    many = [video(n, DAYS[n % 90], "run") for n in range(9000)]
    server = server_of([*many, *(video(90_000 + n, DAYS[n * 9], "jump") for n in range(10))])
    got, _, _ = collect(server, tmp_path, ["run", "jump"], wanted(300, START, END, random=True))
    bodies = [r["body"] for r in server.requests]
    assert bodies[0]["is_random"] and all(
        "cursor" not in b and "search_id" not in b for b in bodies if "is_random" in b
    )
    by_tag = Counter(b["query"]["and"][0]["field_values"][0] for b in bodies)
    assert by_tag["run"] <= 5 + 4, "a draw for each window, and four days that are counted"
    assert by_tag["jump"] <= 4 + 1, "small windows are read; only the first was not known to be small"
    days = {utc_day(int(v) >> 32) for v in got["run"]}
    assert len(got["run"]) == 300 and len(days) > 75, "spread over the period"
    with Collection(tmp_path) as collection:
        rows = list(collection.database.execute("SELECT hashtag, probability FROM found"))
    assert {p for tag, p in rows if tag == "jump"} == {1.0}, "all of them are there"
    assert sum(1 / p for tag, p in rows if tag == "run") == pytest.approx(9000, rel=0.3)
    one = min(got["jump"])
    with Collection(tmp_path) as collection:
        assert collection.probabilities(one) == {one: {"inclusion_probability": {"jump": 1.0}}}
        for state, why in (
            ("open", "its hashtag is not finished"),
            ("done", "nobody knows how many videos its window has"),
        ):
            collection.database.execute("UPDATE found SET probability=NULL WHERE hashtag='jump'")
            collection.database.execute("UPDATE hashtags SET state=? WHERE hashtag='jump'", (state,))
            assert collection.probabilities(one) == {one: {"inclusion_unknown": {"jump": why}}}
            assert collection.probabilities()[one] == {"inclusion_unknown": {"jump": why}}


def test_everything_takes_the_fewest_requests(tmp_path: Path) -> None:
    many = [video(n, DAYS[n % 90], "run") for n in range(2950)]
    server = server_of(many)
    got, stopped, _ = collect(server, tmp_path, ["run"], wanted(5, START, END, everything=True))
    assert not stopped and got["run"] == ids(many, "run")
    assert len(server.requests) == 30, "three windows of 30 days, full pages but for their last"


def test_days_that_only_fail_are_left_and_asked_again(tmp_path: Path) -> None:
    bad = frozenset(DAYS[40:43])
    server = server_of(SPREAD, Faults(failing_days=bad))
    got, stopped, _ = collect(server, tmp_path, ["run", "jump"], wanted(1000, START, END))
    good = [v for v in SPREAD if date.fromtimestamp(v["create_time"]) not in bad]
    assert not stopped and got["run"] == ids(good, "run") and got["jump"] == ids(good, "jump")
    status = collect_status(tmp_path)
    assert not status.is_complete and "3 days that only fail" in status.hashtags[0].shortfall
    server.faults = Faults()
    assert collect(server, tmp_path, ["run", "jump"], wanted(1000, START, END))[0]["run"] == ids(SPREAD, "run")


def test_quota_stops_the_run_and_a_restart_does_not_ask(tmp_path: Path) -> None:
    server = server_of(SPREAD, Faults(requests_a_day=3))
    what = wanted(1000, START, END)
    _, stopped, _ = collect(server, tmp_path, ["run"], what, wait=False)
    assert "go on after 2026-11-25T00:01:00Z" in stopped
    sent = len(server.requests)
    _, stopped, _ = collect(server, tmp_path, ["run"], what, wait=False)
    assert stopped and len(server.requests) == sent
    server.clock.sleep(86_400)
    server.faults.requests_a_day = 1000
    assert collect(server, tmp_path, ["run"], what, wait=False)[0]["run"] == ids(SPREAD, "run")


def test_a_reset_that_comes_late_costs_minutes(tmp_path: Path) -> None:
    server = server_of([video(n, DAYS[n % 90], "run") for n in range(3000)], Faults(requests_a_day=25))
    answer, late_s = server.answer, 25 * 60

    def still_spent(path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        now = server.clock.now()
        spent = any(request["day"] < utc_day(now) for request in server.requests) and now % 86_400 < late_s
        text = {"error": {"code": "daily_quota_limit_exceeded", "message": "", "log_id": "1"}}
        return (429, {}, json.dumps(text).encode()) if spent and "oauth" not in path else answer(path, headers, body)

    server.answer = still_spent  # type: ignore[method-assign]
    began = server.clock.now()
    got, stopped, _ = collect(server, tmp_path, ["run"], wanted(5, START, END, everything=True), requests_a_day=25)
    assert not stopped and len(got["run"]) == 3000
    assert server.clock.now() - began < 12 * 3600 + 45 * 60, "noon to a quarter to one"


@pytest.mark.parametrize("more", [{"everything": True}, {"random": True}, {"random": False}], ids=str)
def test_empty_pages_do_not_end_a_window(tmp_path: Path, more: dict[str, Any]) -> None:
    """900 purged videos on three days: nine pages that show none of them."""
    purged = {int(v["id"]): v for v in (video(10_000 + n, DAYS[40 + n % 3], "run") for n in range(900))}
    shown = [v for v in SPREAD if utc_day(v["create_time"]) not in DAYS[40:43]]
    server = server_of([*shown, *purged.values()])
    server.is_hidden = lambda video_id: video_id in purged  # type: ignore[method-assign]
    got, stopped, _ = collect(server, tmp_path, ["run"], wanted(1000, START, END, **more))
    assert not stopped and got["run"] == ids(shown, "run") and collect_status(tmp_path).is_complete


def test_empty_pages_for_ever_leave_the_window_open(tmp_path: Path) -> None:
    server = server_of([])
    empty: dict[str, Any] = {
        "data": {"videos": [], "has_more": True},
        "error": {"code": "ok", "message": "", "log_id": "1"},
    }
    answer = server.answer

    def says_more(path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if "query" not in path:
            return answer(path, headers, body)
        answer(path, headers, body)
        cursor = json.loads(body).get("cursor", 0) + 100
        return 200, {}, json.dumps(empty | {"data": {**empty["data"], "cursor": cursor}}).encode()

    server.answer = says_more  # type: ignore[method-assign]
    collect(server, tmp_path, ["run"], wanted(10, START, END, everything=True))
    status = collect_status(tmp_path)
    assert not status.is_complete and "90 days lost half-way" in status.hashtags[0].shortfall
    assert len(server.requests) < 250


@pytest.mark.parametrize("wait", [True, False])
def test_three_days_of_failures_cost_few_requests(tmp_path: Path, wait: bool) -> None:
    server = server_of(SPREAD, Faults(error_share=1.0))
    until = server.clock.now() + 3 * 86_400
    answer, failed = server.answer, []

    def mends(path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        is_down = server.clock.now() < until
        server.faults.error_share = float(is_down)
        failed.extend([path] if is_down and "query" in path else [])
        return answer(path, headers, body)

    server.answer = mends  # type: ignore[method-assign]
    while not collect(server, tmp_path, ["run"], wanted(1000, START, END), wait=wait)[0]:
        server.clock.sleep(3600)  # as a scheduled command would
    assert len(failed) < 120
    # Single days that had failed at the beginning are left for the next run.
    assert collect(server, tmp_path, ["run"], wanted(1000, START, END), wait=wait)[0]["run"] == ids(SPREAD, "run")
    probes = [r["body"] for r in server.requests if r["body"] and r["body"]["max_count"] < 100]
    assert probes and all(p["max_count"] <= 10 for p in probes)


def test_budget(tmp_path: Path) -> None:
    server = server_of(SPREAD)
    _, stopped, _ = collect(server, tmp_path, ["run"], wanted(1000, START, END), budget=2)
    assert "`budget`" in stopped and len(server.requests) == 2


def test_a_storm_of_errors_does_not_burn_the_quota(tmp_path: Path) -> None:
    server = server_of(SPREAD, Faults(error_share=1.0))
    _, stopped, _ = collect(server, tmp_path, ["run", "jump"], wanted(1000, START, END), wait=False)
    assert "fails for everything" in stopped and len(server.requests) < 20


def test_silent_empties_are_not_believed(tmp_path: Path) -> None:
    server = server_of(SPREAD)
    what = wanted(1000, START, END)
    collect(server, tmp_path, ["jump"], what)
    server.faults.silently_empty = True
    _, stopped, _ = collect(server, tmp_path, ["jump", "run"], what)
    assert "empty answers without an error" in stopped
    server.faults.silently_empty = False
    assert collect(server, tmp_path, ["jump", "run"], what)[0]["run"] == ids(SPREAD, "run")


def test_a_hashtag_that_nobody_uses_is_empty(tmp_path: Path) -> None:
    got, stopped, _ = collect(server_of(SPREAD), tmp_path, ["nobody", "run"], wanted(400, START, END))
    assert not stopped and set(got) == {"run"}
    assert [t.state for t in collect_status(tmp_path).hashtags] == ["done", "done"]


@pytest.mark.parametrize(
    ("faults", "says"),
    [(Faults(scope_missing=True), "scope_not_authorized"), (Faults(refused_fields=frozenset({"id"})), "id")],
)
def test_what_can_never_work_stops_at_once(tmp_path: Path, faults: Faults, says: str) -> None:
    server = server_of(SPREAD, faults)
    with pytest.raises(ApiError, match=says):
        collect(server, tmp_path, ["run", "jump", "walk"], wanted(10, START, END))
    assert len(server.requests) <= 6


def test_hashed_creators_are_nowhere(tmp_path: Path) -> None:
    collect(server_of(SPREAD), tmp_path, ["run"], wanted(50, START, END, hash_creators=True))
    collect_export(tmp_path, tmp_path / "out.jsonl")
    everything = b"".join(p.read_bytes() for p in tmp_path.iterdir() if p.is_file())
    assert b"maker" not in everything and b"@friend" not in everything
    row = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert row["username"].startswith("creator-") and row["labels"] == ["run"] and isinstance(row["id"], str)
    assert (tmp_path / "creator-salt").stat().st_mode & 0o077 == 0


def test_other_settings_need_another_folder(tmp_path: Path) -> None:
    collect(server_of(SPREAD), tmp_path, ["run"], wanted(5, START, END))
    with pytest.raises(CollectionError, match="per_hashtag 5"):
        collect(server_of(SPREAD), tmp_path, ["run"], wanted(6, START, END))


# --- killed --------------------------------------------------------------------------------------------------------

KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {repository!r})
from tests.collection import test_run, worlds
from tiktokactions.collection.sandbox import Faults
server = worlds.server_of(test_run.SPREAD, Faults(search_id_warm_up_s=3))
answer = server.answer
def slow(*request):
    import time; time.sleep(0.01)
    return answer(*request)
server.answer = slow
worlds.collect(server, Path({folder!r}), ["run", "jump"], test_run.KILL_WANTED)
"""
KILL_WANTED: Wanted = wanted(150, START, END)


def test_killed_anywhere_the_set_is_the_same(tmp_path: Path, repository: Path) -> None:
    whole, _, _ = collect(server_of(SPREAD), tmp_path / "whole", ["run", "jump"], KILL_WANTED)
    script = KILLED.format(repository=str(repository), folder=str(tmp_path / "killed"))
    draw = random.Random(5)
    for _ in range(20):
        child = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while (
            not (tmp_path / "killed" / "collection.sqlite").exists()
            and time.monotonic() < until
            and child.poll() is None
        ):
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.9))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    collect(server_of(SPREAD), tmp_path / "killed", ["run", "jump"], KILL_WANTED)
    with Collection(tmp_path / "killed") as collection:
        assert found(collection) == whole
        # No stored page was asked for again: a page's window and cursor were answered once.
        calls = [row[0] for row in collection.database.execute("SELECT what FROM calls WHERE code='ok'")]
        pages = collection.database.execute("SELECT sum(pages) FROM windows").fetchone()[0]
    assert len(calls) - pages <= 20


# --- credentials, ledger, import -----------------------------------------------------------------------------------


def test_the_secret_is_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    server = server_of(SPREAD, Faults(error_share=0.2, requests_a_day=50))
    collect(server, tmp_path, ["run"], wanted(100, START, END), wait=False)
    everything = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    out, err = capfd.readouterr()
    for secret in (b"sandbox-secret", b"clt."):
        assert secret not in everything and secret.decode() not in out + err
    assert "secret" not in repr(SANDBOX_CREDENTIALS).replace("client_secret", "")


def test_credentials_file_of_others_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("TIKTOK_CLIENT_KEY=a\nTIKTOK_CLIENT_SECRET='hidden'\n")
    file.chmod(0o644)
    with pytest.raises(CredentialsError, match="chmod 600"):
        read_credentials(file)
    file.chmod(0o600)
    assert read_credentials(file).client_secret == "hidden"
    with pytest.raises(CredentialsError, match="TIKTOK_CLIENT_SECRET not set"):
        read_credentials(None, {"TIKTOK_CLIENT_KEY": "a"})


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        *(
            (u, True)
            for u in ("", "http://127.0.0.1:8000", "http://localhost:1/", "https://example.org", "http://[::1]:80")
        ),
        *(
            (u, False)
            for u in ("http://example.org", "http://127.0.0.1.example.org", "ftp://127.0.0.1", "https://", "x")
        ),
    ],
)
def test_plain_http_only_to_this_machine(url: str, is_fine: bool) -> None:
    if is_fine:
        assert base_url({"TIKTOKACTIONS_API_URL": url}).startswith("http")
    else:
        with pytest.raises(CredentialsError):
            base_url({"TIKTOKACTIONS_API_URL": url})


def test_the_ledger_is_shared(tmp_path: Path) -> None:
    from tiktokactions.collection.ledger import Ledger
    from tiktokactions.machine import JumpingClock

    clock = JumpingClock(1.79e9)
    one, two = (Ledger(tmp_path / "q.sqlite", "a", clock, 5) for _ in range(2))
    for ledger in (one, two, one, two, one):
        ledger.book()
    with pytest.raises(QuotaSpentError):
        two.book()
    Ledger(tmp_path / "q.sqlite", "b", clock, 5).book()
    clock.sleep(86_460)
    two.book()
    assert booked(tmp_path / "q.sqlite", "a") == [5, 1]


def test_import_needs_no_key(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(
        "video_id,hashtags,username,view_count\n7300000000000000001,run jump,ann,5\n7.3e18,run,bob,\n,run,,\n"
    )
    found_rows = collect_import(tmp_path / "v.csv", tmp_path / "c")
    assert (found_rows.rows, found_rows.new) == (3, 1) and "row 3" in found_rows.rejected[0]
    (tmp_path / "v.jsonl").write_text('{"id": 7300000000000000002, "hashtag_names": ["run"]}\nnot json\n')
    assert collect_import(tmp_path / "v.jsonl", tmp_path / "c").new == 1
    with Collection(tmp_path / "c") as collection:
        rows = list(collection.videos())
    assert rows[0][1] == ["run", "jump"] and "view_count" not in rows[1][3]


def test_answers_without_the_hashtag_are_rejected_rows(tmp_path: Path) -> None:
    got, _, _ = collect(server_of(SPREAD, Faults(wrong_share=0.5)), tmp_path, ["run"], wanted(1000, START, END))
    assert got["run"] == ids(SPREAD, "run")
    with Collection(tmp_path) as collection:
        rejected = list(collection.database.execute("SELECT hashtag, video_id, reason FROM rejected"))
    assert len(rejected) > 100 and {reason for _, _, reason in rejected} == {"does not carry the hashtag"}
    assert not {video_id for _, video_id, _ in rejected} & got["run"]
