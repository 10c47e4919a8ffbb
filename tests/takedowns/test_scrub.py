"""Files of every kind without what they say of some videos; the rest stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiktokactions.takedowns.scrub import Names, scrub, tails

ID, OTHER = "7301444403200000001", "7301444403200000002"
NAMES = Names(
    frozenset({ID, "squat", "12"}), frozenset(tails("/videos/squat/anna at home.mp4")), ("a caption of hers",)
)


@pytest.mark.parametrize(
    ("name", "before", "after", "count"),
    [
        ("a.csv", f"path,label\n/c/{ID}.mp4,run\n/c/{OTHER}.mp4,run\n", f"path,label\n/c/{OTHER}.mp4,run\n", 1),
        ("a.csv", f'path,title\n"/c/{ID} x.mp4","two\nlines"\nb,c\n', "path,title\nb,c\n", 1),
        ("a.csv", "path,label,n\n/v/squat.mp4,squat,12\n/v/x.mp4,squat,12\n", "path,label,n\n/v/x.mp4,squat,12\n", 1),
        ("a.csv", "video_id,label\n12,run\nsquat,run\n13,squat\n", "video_id,label\n13,squat\n", 2),
        ("a.tsv", f"url\tn\nhttps://www.tiktok.com/@a/video/{ID}?x=1\t3\nhttp://b\t4\n", "url\tn\nhttp://b\t4\n", 1),
        ("a.csv", "path\nsquat/anna at home.mp4\n/videos/squat/anna at home.mp4\nx.mp4\n", "path\nx.mp4\n", 2),
        ("a.jsonl", f'{{"id": {ID}}}\n{{"id": {OTHER}}}\n', f'{{"id": {OTHER}}}\n', 1),
        ("a.json", [{"data": {"video_id": ID}}, {"data": {"video_id": OTHER}}], [{"data": {"video_id": OTHER}}], 1),
        ("a.json", {"database": {ID: {"fps": 3}, OTHER: {"fps": 4}}}, {"database": {OTHER: {"fps": 4}}}, 1),
        ("a.json", {"label": "squat", "n": "12", "of": [ID, OTHER]}, {"label": "squat", "n": "12", "of": [OTHER]}, 1),
        ("a.json", {"format": 1, "path": f"/x/{ID}.mp4"}, {"format": 1}, 1),
        (f"{ID}.npy", "numbers", None, 1),
        (f"@ann_video_{ID}.json", "{}", None, 1),
        ("12.safetensors", "numbers", "numbers", 0),
        ("half.json", f'{{"of": ["{ID}"', None, 1),
        ("half.json", '{"of": [', '{"of": [', 0),
        ("b.csv", "", "", 0),
    ],
)  # fmt: skip
def test_a_file(tmp_path: Path, name: str, before: Any, after: Any, count: int) -> None:
    path = tmp_path / "run" / name
    path.parent.mkdir()
    path.write_text(before if isinstance(before, str) else json.dumps(before))
    assert scrub(tmp_path, NAMES, look=True).count == count and path.exists()
    found = scrub(tmp_path, NAMES)
    assert (found.count, found.left) == (count, [])
    text = path.read_text() if path.exists() else None
    assert (json.loads(text) if text and not isinstance(after, str) else text) == after
    assert scrub(tmp_path, NAMES).count == 0


def test_a_table_keeps_its_schema(tmp_path: Path) -> None:
    schema = pa.schema(
        {"path": pa.string(), "of": pa.list_(pa.string()), "feature": pa.list_(pa.float32(), 2)}, {"a": "b"}
    )
    rows = [
        {"path": f"/x/{n}.mp4", "of": [o], "feature": [1.0, 2.0]} for n, o in ((ID, "x"), (OTHER, "x"), (OTHER, ID))
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "features.parquet")
    lines = [json.dumps({"path": f"/x/{n}.mp4", "feature": [1.0, 2.0]}) + "\n" for n in (ID, OTHER)]
    (tmp_path / "features.partial.jsonl").write_text("".join(lines))
    before = pq.read_schema(tmp_path / "features.parquet")
    assert scrub(tmp_path / "features.parquet", NAMES).count == 3
    table = pq.read_table(tmp_path / "features.parquet")
    assert table.to_pylist() == rows[1:2] and table.schema.equals(before, check_metadata=True)
    assert (tmp_path / "features.partial.jsonl").read_text() == lines[1], "of a run that was killed"


def test_what_cannot_be_cleaned_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>a caption of hers")
    (tmp_path / "all.zip").write_bytes(b"PK")
    (tmp_path / "own.html").write_text("<p>another caption")
    left = scrub(tmp_path, NAMES).left
    assert [text.partition(": ")[0] for text in left] == [str(tmp_path / "all.zip"), str(tmp_path / "page.html")]


def test_the_frames_of_a_run_go_with_its_clips(tmp_path: Path) -> None:
    for run, clip in (("hers", ID), ("another", OTHER)):
        (tmp_path / run / "reconstructions").mkdir(parents=True)
        (tmp_path / run / "run.json").write_text("{}")
        (tmp_path / run / "clips.csv").write_text(f"path,label\n{clip}.mp4,a\n")
        (tmp_path / run / "reconstructions/epoch-1.svg").write_text("frames")
    found = scrub(tmp_path, NAMES)
    assert (found.trained, found.count) == ([str(tmp_path / "hers")], 2)
    assert not (tmp_path / "hers/reconstructions").exists() and (tmp_path / "another/reconstructions").exists()
