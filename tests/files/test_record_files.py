"""Records: a file for each on a disk, a file for each range of ids on a store; whatever lies in which form is read."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stores import Store
from tiktokactions import files
from tiktokactions.errors import UsageError
from tiktokactions.files import Place, changes, located
from tiktokactions.files.record_files import RangeError
from tiktokactions.records import Source, VideoRecord

NAMES = (*(f"v{number}" for number in range(12)), "v1-2", "v1.3")


def record(video_id: str, title: str = "") -> VideoRecord:
    return VideoRecord(video_id, Source(path=f"/videos/{video_id}.mp4", title=title or None))


def filled(dataset: Place) -> list[VideoRecord]:
    for name in NAMES:
        files.write_record(dataset, record(name))
    return list(files.all_records(dataset))


def in_flight(dataset: Place) -> int:
    return sum(1 for _ in (dataset / "records").glob("*/*.json"))


def ranges(dataset: Place) -> int:
    return sum(1 for _ in (dataset / "records").glob("*.jsonl.gz"))


@pytest.fixture(params=["disk", "store"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return located(tmp_path / "data" if request.param == "disk" else f"{request.getfixturevalue('bucket')}/data")


def test_settled_records_are_what_was_written(dataset: Place, tmp_path: Path) -> None:
    """Empty at first; then in the order of a disk, before and after the closing, with one changed and one gone."""
    assert list(files.all_records(dataset)) == [] and files.recorded(dataset, NAMES) == set()
    files.settle_records(dataset)
    before = filled(dataset)
    assert before == filled(tmp_path / "other")
    files.settle_records(dataset)
    assert list(files.all_records(dataset)) == before
    is_store = not isinstance(dataset, Path)
    assert (in_flight(dataset), ranges(dataset) > 0) == ((0, True) if is_store else (len(NAMES), False))

    files.write_record(dataset, record("v7", "newer"))
    assert files.record_of(dataset, "v7").source.title == "newer"
    assert [r.source.title for r in files.records_of(dataset, ["v7", "absent"])] == ["newer"]
    files.settle_records(dataset)
    assert files.delete_records(dataset, ["v1", "v7", "absent"]) == 2
    kept = [r for r in before if r.video_id not in ("v1", "v7")]
    assert list(files.all_records(dataset)) == kept and list(files.records_of(dataset, NAMES)) == kept
    assert files.recorded(dataset, ["v1", "v2", "absent"]) == {"v2"}
    with pytest.raises(FileNotFoundError):
        files.record_of(dataset, "v7")
    assert files.delete_records(dataset, NAMES) == len(kept) and list(files.all_records(dataset)) == []


def test_changes_in_order_cost_one_object_a_range(bucket: str, store: Store) -> None:
    dataset = located(f"{bucket}/data")
    before = filled(dataset)
    files.settle_records(dataset)
    files.write_record(dataset, record("v3", "in flight"))
    store.asked.clear()
    with files.writing_in_order(dataset) as write:
        for old in files.all_records(dataset):
            write(replace(old, status="rejected"))
    wrote = [path for method, path in store.asked if method == "PUT"]
    assert len(wrote) == ranges(dataset) and all(path.endswith(".jsonl.gz") for path in wrote)
    after = list(files.all_records(dataset))
    assert [r.video_id for r in after] == [r.video_id for r in before] and {r.status for r in after} == {"rejected"}
    assert files.record_of(dataset, "v3").source.title == "in flight" and in_flight(dataset) == 0


def test_a_range_is_fetched_once(bucket: str, store: Store) -> None:
    """However often the records are read; after a change only that range again."""
    dataset = located(f"{bucket}/data")
    filled(dataset)
    files.settle_records(dataset)
    list(files.all_records(dataset))
    store.asked.clear()
    list(files.all_records(dataset))
    list(files.all_records(dataset))
    assert [method for method, _ in store.asked] == ["GET", "GET"]  # the two listings
    files.write_record(dataset, record("v7", "newer"))
    files.settle_records(dataset)
    assert "newer" in {r.source.title for r in files.all_records(dataset)}
    assert len(store.asked) <= 15


@pytest.mark.parametrize("stop_at", range(4))
def test_a_killed_closing_loses_nothing(bucket: str, monkeypatch: pytest.MonkeyPatch, stop_at: int) -> None:
    dataset = located(f"{bucket}/data")
    before = filled(dataset)
    left = stop_at

    def stop(place: Place) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(changes, "about_to_change", stop)
        with pytest.raises(KeyboardInterrupt):
            files.settle_records(dataset)
    assert list(files.all_records(dataset)) == before
    files.settle_records(dataset)
    assert list(files.all_records(dataset)) == before and in_flight(dataset) == 0


def test_copied_to_a_disk_it_is_read_and_takes_on_its_form(bucket: str, tmp_path: Path) -> None:
    dataset, copy = located(f"{bucket}/data"), tmp_path / "copy"
    before = filled(dataset)
    files.settle_records(dataset)
    (copy / "records").mkdir(parents=True)
    for path in (dataset / "records").glob("*.jsonl.gz"):
        (copy / "records" / path.name).write_bytes(path.read_bytes())
    assert list(files.all_records(copy)) == before and files.recorded(copy, NAMES) == set(NAMES)
    files.write_record(copy, record("v7", "newer"))
    files.settle_records(copy)
    assert (in_flight(copy), ranges(copy)) == (len(NAMES), 0)
    assert files.record_of(copy, "v7").source.title == "newer" and files.record_of(copy, "v8") == record("v8")


def test_what_cannot_be_read_is_named_and_stays(bucket: str) -> None:
    """A file in flight that is no record is never folded; a damaged range is told with its name and not written over."""
    dataset = located(f"{bucket}/data")
    filled(dataset)
    bad = dataset / "records" / "aa" / "bad.json"
    changes.write_atomic(bad, b"{")
    files.settle_records(dataset)
    assert bad.is_file() and files.recorded(dataset, NAMES) == set(NAMES)
    with pytest.raises(UsageError, match=r"bad\.json: not a valid record"):
        list(files.all_records(dataset))
    changes.delete(bad)
    damaged = files.layout.record_range(dataset, files.shard("v7"))
    half = damaged.read_bytes()[:-12]
    changes.write_atomic(damaged, half)
    with pytest.raises(UsageError, match=r"jsonl\.gz"):
        list(files.all_records(dataset))
    files.write_record(dataset, record("v7", "newer"))
    with pytest.raises(RangeError, match=r"jsonl\.gz: a damaged file of records"):
        files.settle_records(dataset)
    assert damaged.read_bytes() == half


def test_lines_are_what_zcat_shows(bucket: str) -> None:
    dataset = located(f"{bucket}/data")
    files.write_record(dataset, record("v7"))
    files.settle_records(dataset)
    [path] = (dataset / "records").glob("*.jsonl.gz")
    assert gzip.decompress(path.read_bytes()).decode().startswith('{"video_id":"v7","source":{"path":"/videos/v7.mp4"')
