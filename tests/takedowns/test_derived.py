"""What is made of datasets, and of what they are made: lists, merges, moved runs and exports, stores."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiktokactions as ta
from tests.made_videos import numbered_frames, write_video
from tiktokactions.files import ObjectPath
from tiktokactions.takedowns.derived import register
from tiktokactions.takedowns.scrub import Names, scrub

IDS = [str(7_300_000_000_000_000_001 + number) for number in range(3)]
QUICK: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "workers": 1}


def test_lists_parts_of_a_merge_and_moved_exports(tmp_path: Path) -> None:
    """``a`` and ``b`` are curated of two lists, both hold video 1, and ``both`` is merged of them."""
    root = tmp_path
    for number, video_id in enumerate(IDS):
        write_video(root / f"in/{video_id}.mp4", numbered_frames(40, 64, 96, first=500 * number), fps=10)
        (root / f"in/{video_id}.info.json").write_text(json.dumps({"id": video_id}))
    (root / "in/all.csv").write_text("id,views\n" + "".join(f"{i},5\n" for i in IDS))
    for name, numbers in (("a", (0, 1)), ("b", (1, 2))):
        (root / f"{name}.csv").write_text("path,label\n" + "".join(f"in/{IDS[n]}.mp4,run\n" for n in numbers))
        ta.curate([str(root / f"{name}.csv")], root / name, **QUICK)
    ta.dataset_merge([root / "a", root / "b"], root / "both")
    ta.dataset_export(root / "both", root / "out", format="ids")
    (root / "out").rename(root / "handed on")
    (root / f"in/{IDS[2]}.mp4").unlink()  # its sidecar is left
    result = ta.refresh(root / "both", remove=IDS[1:], also=[root / "handed on"])
    assert result.gone == tuple(IDS[1:])
    assert len(result.attention) == 1 and str(root / "out") in result.attention[0], "it was moved, which is said once"
    assert {Path(one.folder).name: one.videos for one in result.removed} == {"both": 2, "a": 1, "b": 2}
    assert sorted(path.name for path in (root / "in").iterdir()) == [f"{IDS[0]}.info.json", f"{IDS[0]}.mp4", "all.csv"]
    assert {name: (root / name).read_text() for name in ("in/all.csv", "a.csv", "b.csv")} == {
        "in/all.csv": f"id,views\n{IDS[0]},5\n",
        "a.csv": f"path,label\nin/{IDS[0]}.mp4,run\n",
        "b.csv": "path,label\n",
    }
    with (root / "handed on/ids.csv").open() as file:
        assert [row["video_id"] for row in csv.DictReader(file)] == IDS[:1]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Imported from three files, with a run that was trained on its videos."""
    rows = "".join(json.dumps({"id": i}) + "\n" for i in IDS)
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "rows.json").write_text(json.dumps([{"id": i} for i in IDS]))
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(rows.encode()))
    for name in ("rows.jsonl", "rows.json", "rows.jsonl.gz"):
        ta.collect_import(tmp_path / name, tmp_path / "col")
    make_run(tmp_path / "runs/first")
    register([tmp_path / "col"], tmp_path / "runs/first", "run")
    return tmp_path / "col"


def make_run(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "clips.csv").write_text("path\n" + "".join(f"/m/{i}.mp4\n" for i in IDS))


def test_what_was_imported(collection: Path) -> None:
    asked = ta.takedown(collection, notice=notice(collection.parent))
    assert asked.kinds[str(collection.parent / "rows.json")].startswith("input, 2")
    result = ta.refresh(collection, remove=IDS[:1])
    assert json.loads((collection.parent / "rows.json").read_text()) == [{"id": i} for i in IDS[1:]]
    assert (collection.parent / "rows.jsonl").read_text().count("id") == 2
    assert any("rows.jsonl.gz: nobody can take single videos out" in line for line in result.attention)


def notice(folder: Path) -> Path:
    (folder / "notice.txt").write_text(f"https://www.tiktok.com/@a/video/{IDS[0]}")
    return folder / "notice.txt"


@pytest.mark.parametrize(
    ("to", "also", "is_cleaned"),
    [
        pytest.param("runs/second", (), True, id="renamed"),
        pytest.param("elsewhere/first", (), False, id="moved"),
        pytest.param("elsewhere/first", ("elsewhere/first",), True, id="moved and named"),
    ],
)
def test_a_run_that_was_moved(collection: Path, to: str, also: tuple[str, ...], is_cleaned: bool) -> None:
    root = collection.parent
    make_run(root / "runs/of others")
    (root / "runs/of others/clips.csv").write_text("path\n/m/7300000000000000009.mp4\n")
    (root / to).parent.mkdir(exist_ok=True)
    (root / "runs/first").rename(root / to)
    result = ta.refresh(collection, remove=IDS[:1], also=[root / path for path in also])
    assert (IDS[0] not in (root / to / "clips.csv").read_text()) == is_cleaned
    told = [line for line in result.attention if "run of" in line]
    assert any(f"{root / to} (run of" in line and "were trained on them" in line for line in told) == is_cleaned
    assert any("name the place where it lies now" in line for line in told) == (to != "runs/second")
    ta.refresh(collection, remove=IDS[1:2])  # what was named, or found, is remembered
    assert (IDS[1] not in (root / to / "clips.csv").read_text()) == is_cleaned


def test_what_is_not_there_cannot_be_named(collection: Path) -> None:
    with pytest.raises(ta.UsageError, match=r"`also` .*: nothing is there"):
        ta.refresh(collection, remove=IDS[:1], also=[collection.parent / "gone"])


def test_a_store_is_cleaned(bucket: str) -> None:
    place = ObjectPath(f"{bucket}/made")
    (place / "deep/a.csv").write_bytes(f"id\n{IDS[0]}\n{IDS[1]}\n".encode())
    (place / "a.json").write_bytes(json.dumps({IDS[0]: 1, IDS[1]: 2}).encode())
    (place / f"deep/{IDS[0]}.npy").write_bytes(b"numbers")
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"video_id": IDS}), sink)
    (place / "a.parquet").write_bytes(sink.getvalue().to_pybytes())
    names = Names(frozenset(IDS[:1]))
    assert scrub(place, names, look=True).count == scrub(place, names).count == 4
    assert scrub(place, names, look=True).count == 0
    assert (place / "deep/a.csv").read_bytes() == f"id\n{IDS[1]}\n".encode()
    assert not (place / f"deep/{IDS[0]}.npy").is_file()
    assert pq.read_table(pa.BufferReader((place / "a.parquet").read_bytes()))["video_id"].to_pylist() == IDS[1:]
