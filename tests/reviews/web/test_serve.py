"""The server as a process: ports, signals, tokens, and what is applied at its end."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.reviews.web.visits import serving
from tests.reviews.worlds import a_desk, doubtful, write_dataset
from tiktokactions import cli
from tiktokactions.reviews import ledger, people
from tiktokactions.reviews.store import Store
from tiktokactions.reviews.web import server


@pytest.fixture
def data(tmp_path):
    return write_dataset(tmp_path / "data", doubtful(4))


def post(address: str, path: str, body: object, token: str) -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(address + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_ends_cleanly_and_applies(data, number):
    opened = Store(data)
    _, token = people.invite(opened, "Ann")
    opened.close()
    with serving(data) as (address, process):
        said = {"client_key": "key-00001", "video_id": "v00", "verdict": "reject"}
        assert post(address, "/api/decisions", said, token)["repeated"] is False
        assert post(address, "/api/decisions", said, token)["repeated"] is True
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stdout is not None and process.stdout.read().strip(), "a summary of what was applied"
    record = json.loads(next((data / "records").rglob("v00.json")).read_text())
    assert record["status"] == "rejected" and "human_rejected" in record["reasons"]


def test_a_taken_port_is_said(data, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert cli.main(["review", str(data), "--port", str(taken.getsockname()[1])]) == 2
    said = capsys.readouterr().err
    assert "in use already" in said and "Traceback" not in said


def test_another_host_prints_a_link_with_a_token_and_kill_keeps_what_was_answered(data):
    with serving(data, "--host", "0.0.0.0") as (address, process):
        assert "/join?token=" in address
        home = address.partition("/join")[0]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(home + "/", timeout=30)
        assert refused.value.code == 401
        refused.value.close()
        token = address.rpartition("=")[2]
        assert post(home, "/api/next", {"count": 2}, token)["items"]
        for n in range(3):
            post(
                home, "/api/decisions", {"client_key": f"key-0000{n}", "video_id": f"v0{n}", "verdict": "accept"}, token
            )
        process.kill()
        process.wait(10)
    again = Store(data)
    assert [(row.video_id, row.verdict) for row in ledger.all_rows(again)] == [(f"v0{n}", "accept") for n in range(3)]
    again.close()


def test_a_new_manifest_is_taken_in_while_serving(data, monkeypatch):
    monkeypatch.setattr(server, "REFRESH_EVERY_S", 0.02)
    desk = a_desk(data)
    with contextlib.closing(desk), server.kept_up_to_date(desk):
        assert len(desk.next_items("ann", count=20)) == 4
        write_dataset(data, doubtful(6))
        until = time.monotonic() + 30
        while len(desk.next_items("ann", count=20)) < 6:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_load_in_small(tmp_path):
    """The benchmark's people, at a fraction of its size; its times are judged on an idle machine only."""
    from benchmarks.review_load import build, run

    build(tmp_path / "data", 100)
    found = run(tmp_path / "data", reviewers=8, seconds=2)
    assert found["decisions"] >= 8
    assert (found["lost"], found["doubled"], found["unknown"], found["judgements_too_many"]) == (0, 0, 0, 0)
    assert found["problems"] == []
