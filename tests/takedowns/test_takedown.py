"""Take-downs and refreshes from end to end: what is gone is gone everywhere, stays away, and a report says so."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.collection.worlds import collect, server_of, video, wanted
from tests.made_videos import numbered_frames, write_video
from tiktokactions.collection.sandbox import Faults, ResearchServer, serve
from tiktokactions.collection.session import (
    collect_export,
    collect_status,
    refresh_warning,
)
from tiktokactions.collection.store import Collection
from tiktokactions.curation.takedowns import read_takedowns
from tiktokactions.dataset.assignments import read_assignments
from tiktokactions.dataset.dataset import REMOVING
from tiktokactions.files import record_path
from tiktokactions.records import decode_record, encode_record
from tiktokactions.takedowns import dataset as of_dataset
from tiktokactions.takedowns.reports import reports_of, signature

collect_import = api.collect_import
NO_PEOPLE: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "workers": 1, "keep_duplicates": True}
CREATORS = ("ann", "ann", "bob", "cid", "dora", "eve")


def id_of(number: int) -> str:
    return str((1_717_200_000 + number << 32) + number + 1)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``col`` with six downloaded videos of five creators, and ``data``, curated of it and split."""
    root = tmp_path_factory.mktemp("refresh")
    rows = []
    for number, creator in enumerate(CREATORS):
        write_video(root / f"col/media/{id_of(number)}.mp4", numbered_frames(40, 64, 96, first=number * 777), fps=10)
        tags = ["run" if number % 2 else "jump"]
        about = {"id": id_of(number), "username": creator, "hashtag_names": tags}
        (root / f"col/media/{id_of(number)}.info.json").write_text(json.dumps(about))
        rows.append(json.dumps(about | {"id": int(id_of(number))}))
    (root / "rows.jsonl").write_text("\n".join(rows))
    collect_import(root / "rows.jsonl", root / "col")
    api.curate(root / "col/media", root / "data", **NO_PEOPLE)
    api.dataset_split(root / "data", train=0.5, val=0.25, test=0.25)
    return root


@pytest.fixture
def mine(whole: Path, tmp_path: Path) -> Path:
    """A private copy at another place, its two folders linked with each other."""
    shutil.copytree(whole, tmp_path / "mine")
    root = tmp_path / "mine"
    for path in root.glob("data/records/*/*.json"):
        moved = json.loads(path.read_text().replace(str(whole), str(root)))
        del moved["sha256"]
        path.write_bytes(encode_record(decode_record(json.dumps(moved).encode(), where=str(path))))
    with Collection(root / "col") as collection:
        assert collection.setting("datasets") == [str(whole / "data")]
        collection.set_setting("datasets", [str(root / "data")])
    (root / "data/collections.json").write_text(json.dumps([str(root / "col")]))
    derived = root / "col/.derived.json"
    derived.write_text(derived.read_text().replace(str(whole), str(root)))
    api.dataset_verify(root / "data", repair=True, yes=True)
    return root


def traces(root: Path, *words: str) -> list[str]:
    """Files that name or hold one of these, tombstones and reports apart (a JSON of reviews would be found too)."""
    allowed = ("removed.csv", "removals", "collection.sqlite")
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and path.name not in allowed and path.parent.name not in allowed
        and any(word in str(path) or word.encode() in path.read_bytes() for word in words)
    )  # fmt: skip


def test_a_take_down_goes_through_everything(mine: Path) -> None:
    gone, data = id_of(2), mine / "data"
    assert collect_export(mine / "col", mine / "rows-out.jsonl", plain_creators=True) == 6
    assert len(traces(mine, gone, "bob")) > 9
    result = api.refresh(data, remove=[f"https://www.tiktok.com/@bob/video/{gone}"])
    assert (result.gone, result.unknown, result.attention, result.requests) == ((gone,), (), (), 0)
    assert traces(mine, gone, "bob") == []
    counts = {Path(found.folder).name: found.artefacts for found in result.removed}
    assert counts == {
        "data": {"media": 2, "reviews": 0, "clips": 1, "thumbnails": 2, "splits": 1, "records": 1, "quarantine": 1,
                 "manifest rows": 1, "history": 1, "statistics, figures, card": 1, "subsets": 0, "exports": 0, "releases": 0,
                 "made of it": 0},
        "col": {"media": 0, "exports": 1, "made of it": 1, "rows": 1},
    }  # fmt: skip
    raw = (mine / "col/collection.sqlite").read_bytes()
    assert b"bob" not in raw and raw.count(gone.encode()) == 2, "more is left than the tombstone and its index"
    assert len(pq.read_table(data / "manifest.parquet")) == 5
    assert json.loads((data / "stats.json").read_bytes())["videos"] == 5
    assert not api.dataset_verify(data).problems
    report = json.loads((data / "splits/report.json").read_bytes())
    texts = {side: (data / f"splits/{side}.csv").read_text() for side in ("train", "val", "test")}
    lists = {side: list(csv.DictReader(text.splitlines())) for side, text in texts.items()}
    assert {side: len(rows) for side, rows in lists.items()} == {s: report["sides"][s] for s in lists}
    assert report["clips"] == 5 == sum(sum(sides.values()) for sides in report["labels"].values())
    assert len(read_assignments(data)) == 5


@pytest.mark.parametrize("in_one_second", [False, True])
def test_the_report_is_signed_and_chained(mine: Path, monkeypatch: pytest.MonkeyPatch, in_one_second: bool) -> None:
    times = ["2026-05-03T10:00:00Z"] * 3 if in_one_second else [f"2026-05-03T10:00:0{n}Z" for n in range(3)]
    for number, at in enumerate(times):
        monkeypatch.setattr("tiktokactions.takedowns.folders.utc_text", lambda seconds, at=at: at)
        api.refresh(mine / "data", remove=[id_of(number)], reason="a letter of 3 May")
    reports = [json.loads(path.read_bytes()) for path in reports_of(mine / "data")]
    assert [r["ids"] for r in reports] == [[id_of(n)] for n in range(3)]
    assert {r["reason"] for r in reports} == {"a letter of 3 May"} and [r["at"] for r in reports] == times
    assert all(r["sha256"] == signature(r) for r in reports)
    assert [r["previous"] for r in reports] == [None, *(r["sha256"] for r in reports[:2])]
    assert signature(reports[0] | {"ids": []}) != reports[0]["sha256"]
    stone = read_takedowns(mine / "data")[id_of(0)]
    assert (stone.reason, stone.removed) == ("a letter of 3 May", times[0])


def test_removed_videos_never_come_back(mine: Path) -> None:
    kept = mine / "kept.mp4"
    shutil.copy(mine / f"col/media/{id_of(3)}.mp4", kept)
    row = (mine / "rows.jsonl").read_text().splitlines()[3]
    api.refresh(mine / "col", remove=[id_of(3)])
    (mine / "one.jsonl").write_text(row)
    imported = collect_import(mine / "one.jsonl", mine / "col")
    assert imported.new == 0 and "was removed" in imported.rejected[0]
    # The same file under its id, without an id, and under another id.
    shutil.copy(kept, mine / f"col/media/{id_of(3)}.mp4")
    (mine / f"col/media/{id_of(3)}.json").write_text(json.dumps({"id": id_of(3)}))
    (mine / "list.csv").write_text("path,id\nkept.mp4,7300000000000000001\n")
    result = api.curate([str(mine / "col/media"), str(mine / "list.csv")], mine / "data", **NO_PEOPLE).last_run
    assert (result.videos, result.removed) == (5, 2)
    assert not record_path(mine / "data", id_of(3)).exists()
    assert api.curate([str(kept)], mine / "data", **NO_PEOPLE).last_run.removed == 1


def test_rerunning_collect_does_not_bring_them_back(tmp_path: Path) -> None:
    start, end = date(2024, 1, 1), date(2024, 3, 30)
    world = [video(n, start, "run", username=f"maker{n % 7}") for n in range(60)]
    got, _, _ = collect(server_of(world), tmp_path, ["run"], wanted(500, start, end))
    gone = sorted(got["run"])[:5]
    api.refresh(tmp_path, remove=gone)
    with Collection(tmp_path) as collection:
        collection.database.execute("UPDATE windows SET state='open', cursor=0, search_id=NULL")
        collection.database.execute("UPDATE hashtags SET state='open'")
    again, _, _ = collect(server_of(world), tmp_path, ["run"], wanted(500, start, end))
    assert again["run"] == got["run"] - set(gone)
    assert collect_status(tmp_path).removed == 5


def test_a_creator_goes_with_all_videos_also_where_names_are_hashed(mine: Path) -> None:
    result = api.refresh(mine / "data", creator="@Ann")
    assert result.gone == tuple(sorted((id_of(0), id_of(1))))
    assert traces(mine, '"ann"', id_of(0), id_of(1)) == []
    hashed = mine / "hashed"
    (mine / "v.jsonl").write_text(json.dumps({"id": 7300000000000000001, "username": "Eve"}))
    collect_import(mine / "v.jsonl", hashed, hash_creators=True)
    assert api.refresh(hashed, creator="eve").gone == ("7300000000000000001",)
    with pytest.raises(api.UsageError, match="no video of this creator"):
        api.refresh(hashed, creator="eve")


def test_rerunning_a_take_down_changes_nothing(mine: Path) -> None:
    api.refresh(mine / "data", remove=[id_of(4)])
    before = {p: p.stat().st_mtime_ns for p in mine.rglob("*") if p.is_file() and not p.name.startswith(".")}
    result = api.refresh(mine / "data", remove=[id_of(4)])
    after = {p: p.stat().st_mtime_ns for p in mine.rglob("*") if p.is_file() and not p.name.startswith(".")}
    assert (result.gone, result.before, result.removed) == ((), (id_of(4),), ())
    assert {p for p in before | after if before.get(p) != after.get(p)} <= set((mine / "col").glob("*.sqlite*"))


def test_ids_that_are_not_held_are_kept_out(mine: Path) -> None:
    (mine / "ids.txt").write_text(f"video_id,why\n{id_of(77)},x\n")
    result = api.refresh(mine / "data", remove=[str(mine / "ids.txt")])
    assert result.unknown == (id_of(77),) and not result.removed
    assert id_of(77) in read_takedowns(mine / "data") and collect_status(mine / "col").removed == 1


@pytest.mark.parametrize("name", ["../records", "a b", "", "x/y", "video_id,.."])
def test_what_is_no_id(mine: Path, name: str) -> None:
    with pytest.raises(api.UsageError, match="expected an id"):
        api.refresh(mine / "data", remove=[name])


def test_a_dataset_without_a_collection(mine: Path) -> None:
    shutil.rmtree(mine / "col")
    (mine / "data/collections.json").unlink()
    result = api.refresh(mine / "data", remove=[id_of(0)])
    assert result.gone == (id_of(0),) and len(pq.read_table(mine / "data/manifest.parquet")) == 5


def test_a_folder_that_has_moved_is_said(mine: Path) -> None:
    shutil.move(mine / "data", mine / "moved")
    result = api.refresh(mine / "col", remove=[id_of(0)])
    assert "not there" in result.attention[0]
    # Its own refresh reaches the collection, whose tombstone it takes over.
    assert api.refresh(mine / "moved", remove=[id_of(1)]).gone == (id_of(1),)
    assert not record_path(mine / "moved", id_of(0)).exists()


def test_a_source_that_is_another_file_now_stays(mine: Path) -> None:
    path = mine / f"col/media/{id_of(5)}.mp4"
    path.unlink()
    shutil.move(mine / f"col/media/{id_of(4)}.mp4", mine / "elsewhere.mp4")
    path = mine / f"col/media/{id_of(4)}.mp4"
    with Collection(mine / "col") as collection:
        collection.database.execute("DELETE FROM videos WHERE video_id=?", (id_of(4),))
    (mine / "data/collections.json").unlink()
    path.write_bytes(b"another file")
    assert api.refresh(mine / "data", remove=[id_of(4)]).removed[0].artefacts["media"] == 0
    assert path.read_bytes() == b"another file"


def test_what_may_not_be_deleted_is_said(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = of_dataset.delete

    def refuse(path: Path) -> bool:
        if path.suffix == ".mp4" and path.parent.name == "media":
            raise PermissionError(13, "Permission denied")
        return usual(path)

    monkeypatch.setattr(of_dataset, "delete", refuse)
    (mine / "data/collections.json").unlink()
    result = api.refresh(mine / "data", remove=[id_of(0)])
    assert "could not be deleted" in result.attention[0] and f"{id_of(0)}.mp4" in result.attention[0]
    assert not record_path(mine / "data", id_of(0)).exists()
    assert json.loads(Path(result.removed[0].report).read_bytes())["left"] == list(result.removed[0].left)


@pytest.fixture
def with_copy(mine: Path) -> Path:
    """Where video 1 shows the footage of video 0."""
    table = pq.read_table(mine / "data/manifest.parquet")
    rows = table.to_pylist()
    for row in rows:
        if row["video_id"] == id_of(1):
            row |= {"status": "rejected", "reasons": [f"duplicate_of:{id_of(0)}"]}
    pq.write_table(table.from_pylist(rows, schema=table.schema), mine / "data/manifest.parquet")
    return mine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "options", "gone"),
    [
        pytest.param("y\n", [], [0], id="yes"),
        pytest.param("YES\n", ["--copies"], [0, 1], id="yes, copies too"),
        pytest.param("n\n", ["--copies"], [], id="no"),
        pytest.param("", [], [], id="closed"),
        pytest.param(None, ["--copies"], [], id="no terminal"),
        pytest.param(None, ["--copies", "--yes"], [0, 1], id="yes without a terminal"),
    ],
)
def test_the_desk_asks_on_a_terminal(
    with_copy: Path, monkeypatch: pytest.MonkeyPatch, answer: str | None, options: list[str], gone: list[int]
) -> None:
    from tiktokactions.cli import main

    (with_copy / "notice.txt").write_text(f"https://www.tiktok.com/@ann/video/{id_of(0)}")
    shown = io.StringIO() if answer is None else Terminal()
    monkeypatch.setattr(sys, "stdin", io.StringIO() if answer is None else Terminal(answer))
    monkeypatch.setattr(sys, "stderr", shown)
    code = main(["takedown", str(with_copy / "data"), "--notice", str(with_copy / "notice.txt"), *options])
    held = [n for n in range(6) if not record_path(with_copy / "data", id_of(n)).exists()]
    assert (held, collect_status(with_copy / "col").videos) == (gone, 6 - len(gone))
    is_asked = f"Take down {2 if '--copies' in options else 1} videos? [y/N]" in shown.getvalue()
    assert is_asked == (answer is not None)
    assert ("stay without --copies" in shown.getvalue()) == ("--copies" not in options)
    assert code == (0 if gone == [0, 1] else 1), shown.getvalue()


def test_near_duplicates_of_removed_videos_are_named(with_copy: Path) -> None:
    mine, path = with_copy, record_path(with_copy / "data", id_of(1))
    result = api.refresh(mine / "data", remove=[id_of(0)])
    assert path.exists() and id_of(1) in result.attention[0]


# --- asking the API -------------------------------------------------------------------------------------------------


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Iterator[ResearchServer]:
    """A server that knows nothing but which ids are gone, where every command looks for the API."""
    server = server_of([], Faults(dead_ids={id_of(0), id_of(5)}))
    with serve(server) as address:
        monkeypatch.setenv("TIKTOKACTIONS_API_URL", address)
        monkeypatch.setenv("TIKTOK_CLIENT_KEY", "sandbox-key")
        monkeypatch.setenv("TIKTOK_CLIENT_SECRET", "sandbox-secret")
        monkeypatch.setenv("XDG_STATE_HOME", str(Path(os.environ["XDG_CACHE_HOME"]) / str(time.monotonic_ns())))
        yield server


FAST: dict[str, Any] = {"speed": 1e6}


@pytest.mark.parametrize("target", ["col", "data"])
def test_what_is_gone_from_the_platform_goes_here(mine: Path, platform: ResearchServer, target: str) -> None:
    platform.faults.error_share = 0.2
    result = api.refresh(mine / target, every_days=7, **FAST)
    assert result.gone == tuple(sorted((id_of(0), id_of(5)))) and result.checked == 6 and not result.stopped
    assert len(pq.read_table(mine / "data/manifest.parquet")) == 4 == collect_status(mine / "col").videos
    assert {stone.reason for stone in read_takedowns(mine / "data").values()} == {
        "no longer available (batch compliance)"
    }
    days = (date.fromisoformat(str(result.next_due)) - datetime.now(UTC).date()).days
    assert days == 7 and not (mine / target / "refresh.sqlite").exists()
    again = api.refresh(mine / target, **FAST)
    assert again.gone == () and again.checked == 4


def test_a_stopped_check_goes_on_and_removes_nothing_before(mine: Path, platform: ResearchServer) -> None:
    # Six calls in all: submit, status, status, result; and the same for the two that seem gone.
    for _ in range(9):
        result = api.refresh(mine / "col", speed=1e6, budget=1)
        if not result.stopped:
            break
        assert collect_status(mine / "col").videos == 6 and "`budget`" in result.stopped
    assert result.gone and collect_status(mine / "col").videos == 4
    paths = [request["path"].split("/")[-2] for request in platform.requests]
    assert paths.count("create") == 2 and paths.count("download") == 2


@pytest.mark.parametrize(
    ("answer", "is_believed"),
    [
        ("{first}\n{second}", True),
        ("{first}\r\n{second}\r\n\r\n", True),
        ("{first}\n73", False),
        ("{first}\n7300000000000000001\n", False),
        ("<html>busy</html>", False),
        ('{{"data": {{}}, "error": {{"code": "internal_error"}}}}', False),
    ],
)
def test_answers_that_are_none_delete_nothing(
    mine: Path, platform: ResearchServer, answer: str, is_believed: bool
) -> None:
    usual = platform.answer

    def odd(path: str, headers: Any, body: bytes) -> Any:
        if path.endswith("validation_task/download/"):
            text = answer.format(first=id_of(1), second=id_of(2))
            return 200, {"Content-Type": "text/plain"}, text.encode()
        return usual(path, headers, body)

    platform.answer = odd  # type: ignore[method-assign]
    result = api.refresh(mine / "col", **FAST)
    # Of the four that seem gone, the second round returns two that it was not asked about: not believed either.
    assert result.gone == () and collect_status(mine / "col").videos == 6
    assert result.stopped


def test_a_server_that_forgets_everything_is_not_believed(tmp_path: Path, platform: ResearchServer) -> None:
    rows = [json.dumps({"id": int(id_of(n))}) for n in range(150)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    collect_import(tmp_path / "rows.jsonl", tmp_path / "col")
    platform.faults.dead_ids = {id_of(n) for n in range(150)}
    result = api.refresh(tmp_path / "col", **FAST)
    assert "not believed" in result.stopped and collect_status(tmp_path / "col").videos == 150
    platform.faults.dead_ids = {id_of(n) for n in range(149)}
    assert len(api.refresh(tmp_path / "col", **FAST).gone) == 149


def test_videos_of_elsewhere_are_not_asked_about(mine: Path, platform: ResearchServer) -> None:
    (mine / "more.jsonl").write_text('{"id": "dQw4w9WgXcQ"}\n{"id": "1234567890123456"}\n')
    collect_import(mine / "more.jsonl", mine / "col")
    result = api.refresh(mine / "col", **FAST)
    assert (result.checked, result.unchecked) == (6, 2) and collect_status(mine / "col").videos == 6


def test_an_overdue_collection_is_said_by_every_command(mine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from tiktokactions.cli import main

    assert refresh_warning(mine / "col") == ""
    with Collection(mine / "col") as collection:
        collection.set_setting("checked_at", time.time() - 16 * 86_400)
    col, out = str(mine / "col"), str(mine / "out")
    (mine / "h.csv").write_text("hashtag\nrun\n")
    (mine / "c.csv").write_text("hashtag\nrun\n")
    for command in (
        ["collect", "status", col],
        ["collect", "export", col, "-o", out],
        ["collect", "import", str(mine / "rows.jsonl"), "-o", col],
        ["collect", "run", str(mine / "h.csv"), "-o", col, "--sandbox", "--budget", "0"],
        ["curate", f"{col}/media", "-o", str(mine / "data")],
        ["hashtags", "select", str(mine / "c.csv"), "--estimate-from", col, "-o", str(mine / "sel")],
    ):
        main(command)
        assert "its refresh was due on" in capfd.readouterr().err, command
    assert main(["refresh", col, "--remove", id_of(0)]) == 0
    assert "next refresh due on" in capfd.readouterr().out


# --- killed ---------------------------------------------------------------------------------------------------------

KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {repository!r})
from tiktokactions import refresh
from tiktokactions.takedowns import folders
usual = folders.dataset_artefacts, folders.collection_artefacts
def slow(artefacts):
    def slowed(artefact):
        def waits(folder, ids):
            time.sleep(0.05)
            count = artefact.take_down(folder, ids)
            time.sleep(0.05)
            return count
        return folders.Artefact(artefact.name, waits)
    return lambda *edit: tuple(map(slowed, artefacts(*edit)))
folders.dataset_artefacts, folders.collection_artefacts = map(slow, usual)
print("begun", flush=True)
refresh({data!r}, remove={ids!r})
"""


def test_killed_anywhere_it_is_finished_by_what_comes_next(mine: Path, repository: Path) -> None:
    ids = [id_of(1), id_of(2)]
    script = KILLED.format(repository=str(repository), data=str(mine / "data"), ids=ids)
    for pause_s in (0.0, 0.15, 0.3, 0.45, 0.2):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert child.stdout is not None and child.stdout.readline() == b"begun\n"
        time.sleep(pause_s)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    result = api.curate(mine / "col/media", mine / "data", **NO_PEOPLE).last_run
    assert result.videos in (4, 6)
    api.refresh(mine / "data", remove=ids)
    assert traces(mine, *ids, "bob") == [] and not list(mine.rglob(REMOVING))
    assert api.curate(mine / "col/media", mine / "data", **NO_PEOPLE).last_run.videos == 4
    assert not api.dataset_verify(mine / "data").problems
    reports = [json.loads(path.read_bytes()) for path in reports_of(mine / "data")]
    assert [r["ids"] for r in reports] == [ids] and all(r["sha256"] == signature(r) for r in reports)


def test_a_folder_of_gallery_dl(tmp_path: Path) -> None:
    """Creators are names, ids come from the names of files, and what accompanies a video goes with it."""
    folder = tmp_path / "tiktok" / "anna.example"
    ids = [f"730000000000000000{n}" for n in range(3)]
    for number, video_id in enumerate(ids):
        write_video(folder / f"{video_id} leg day.mp4", numbered_frames(110, 96, 64, first=1000 * number))
        (folder / f"{video_id} leg day [cover].jpg").write_bytes(b"cover")
        if number < 2:
            said = {"id": video_id, "desc": "leg day #squats", "author": {"id": "1", "uniqueId": "anna.example"}}
            more = {"category": "tiktok", "subcategory": "user"}
            (folder / f"{video_id} leg day.mp4.json").write_text(json.dumps(said | more))
    data = tmp_path / "data"
    api.curate(tmp_path / "tiktok", data, **NO_PEOPLE)
    api.dataset_split(data, train=0.4, val=0.3, test=0.3)
    assert len({assignment.side for assignment in read_assignments(data).values()}) == 1, "one creator, several sides"
    result = api.refresh(data, remove=[ids[2]])
    assert (result.gone, result.unknown) == ((ids[2],), ())
    assert sorted(path.name[:19] for path in folder.iterdir()) == [i for i in ids[:2] for _ in range(3)]
    assert set(api.refresh(data, creator="@Anna.Example").gone) == set(ids[:2])
    assert list(folder.iterdir()) == []


def test_a_dataset_that_knows_a_video_by_its_content_only(tmp_path: Path) -> None:
    """Made before the names of files were read: the id is in the path alone."""
    video_id = "7300000000000000001"
    write_video(tmp_path / "in" / "plain.mp4", numbered_frames(110, 96, 64))
    data = tmp_path / "data"
    api.curate(tmp_path / "in", data, **NO_PEOPLE)
    [path] = data.glob("records/*/*.json")
    old = path.read_text().replace("plain.mp4", f"{video_id}.mp4")
    path.write_bytes(encode_record(decode_record(re.sub(r',"sha256":"\w+"}', "}", old).encode(), where="")))
    os.rename(tmp_path / "in" / "plain.mp4", tmp_path / "in" / f"{video_id}.mp4")
    api.dataset_verify(data, repair=True, yes=True)
    assert api.refresh(data, remove=[video_id]).gone == (video_id,)
    assert list((tmp_path / "in").iterdir()) == [] and not list(data.glob("records/*/*.json"))
