"""The proof of a take-down: everything that the program can write is written, a video and a creator go, and every byte of
every file is searched, also inside of archives, tables and databases."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import re
import shutil
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

import tiktokactions as ta
from tests.made_videos import write_video
from tiktokactions.releases.formats import NAMES
from tiktokactions.takedowns.derived import register

CREATORS = ("ann.example", "bob.example", "cid.example", "cid.example", "dora.example", "eve.example")
CAPTIONS = tuple(f"my {word} morning in the yard" for word in ("first", "second", "third", "fourth", "fifth", "sixth"))
IDS = tuple(str((1_717_200_000 + number << 32) + number + 1) for number in range(6))
TOMBSTONES = ("removed.csv", "removals", "letters")
"""Where ids have to stay, so that the videos stay out."""


def look_of(number: int) -> np.ndarray:
    """Colours of a video, (6, 8, 3): its footage is told from all other footage by them."""
    return np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def footage(number: int) -> Iterator[np.ndarray]:
    steps = np.random.default_rng(100 + number).integers(0, 96, (40, 2)) // 4 * 4
    for x, y in np.repeat(steps[::4], 4, axis=0):  # a square that jumps about
        picture = cv2.resize(look_of(number), (128, 96), interpolation=cv2.INTER_NEAREST)
        picture[y : y + 16, x : x + 16] = 255 * (number % 2)
        yield picture


def hash_of(picture: np.ndarray) -> np.ndarray:
    """(64,) grey, mean 0, length 1: near 1 between two pictures of one video, whatever their size."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    small = cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA).astype(float).ravel()
    small -= small.mean()
    return small / max(1e-9, float(np.linalg.norm(small)))


def contents(data: bytes) -> Iterator[bytes]:
    """A file's bytes, and those of everything in it."""
    yield data
    if data[:2] == b"\x1f\x8b":
        yield from contents(gzip.decompress(data))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from (name.encode(), *contents(archive.read(name)))
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                yield from (member.name.encode(), *contents(file.read() if file else b""))
    elif data[:4] == b"PAR1":
        table = pq.read_table(io.BytesIO(data))
        yield repr(table.schema.metadata).encode()
        for column in table.columns:
            values = column.to_pylist()
            yield json.dumps(values, default=str, ensure_ascii=False).encode("utf-8", "surrogatepass")
            cells = [v["bytes"] if isinstance(v, dict) and "bytes" in v else v for v in values]
            yield from itertools.chain.from_iterable(contents(v) for v in cells if isinstance(v, bytes))
    yield from (base64.b64decode(code) for code in re.findall(rb"base64,([A-Za-z0-9+/=]{200,})", data))


def pictures(data: bytes) -> Iterator[np.ndarray]:
    if data[:3] == b"\xff\xd8\xff" or data[:4] in (b"\x89PNG", b"RIFF"):
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        yield from () if picture is None else [picture, *tiles(picture)]
    elif data[4:8] == b"ftyp":
        with av.open(io.BytesIO(data), "r") as container:
            yield from (frame.to_ndarray(format="bgr24") for frame in itertools.islice(container.decode(video=0), 1))


def tiles(picture: np.ndarray) -> Iterator[np.ndarray]:
    """Ten frames side by side in a strip."""
    width = picture.shape[1] // 10
    yield from (picture[:, width * at : width * (at + 1)] for at in range(10) if width >= 16)


def found_in(root: Path, words: list[str], numbers: list[int]) -> list[str]:
    """Files in which one of the words stands, or a picture of these videos."""
    hashes = [
        hash_of(cv2.resize(look_of(number)[..., ::-1], (128, 96), interpolation=cv2.INTER_NEAREST))
        for number in numbers
    ]
    found = []
    for path in sorted(root.rglob("*")):
        if not path.is_file() or set(TOMBSTONES) & set(path.parts):
            continue
        data = path.read_bytes()
        if path.name == "collection.sqlite":
            with sqlite3.connect(path) as database:
                ids = [row[0] for row in database.execute("SELECT video_id FROM removed")]
            for video_id in ids:  # its tombstone and the index of the tombstones
                data = data.replace(video_id.encode(), b"", 2)
        inside = [path.name.encode(), *contents(data)]
        texts = {word for word in words if any(word.encode() in one or quoted(word) in one for one in inside)}
        is_shown = any(hash_of(picture) @ h > 0.9 for one in inside for picture in pictures(one) for h in hashes)
        if texts or is_shown:
            found.append(f"{path.relative_to(root)}: {sorted(texts) or 'a frame'}")
    return found


def quoted(word: str) -> bytes:
    return json.dumps(word)[1:-1].encode()


def write_everything(root: Path) -> None:
    """What needs no training."""
    rows = []
    for number, video_id in enumerate(IDS):
        write_video(root / f"col/media/{video_id}.mp4", footage(number), fps=10)
        label = ["run", "jump"][number % 2]
        about = {
            "id": video_id,
            "username": CREATORS[number],
            "video_description": CAPTIONS[number],
            "hashtag_names": [label],
        }
        (root / f"col/media/{video_id}.info.json").write_text(json.dumps(about))
        rows.append(json.dumps(about))
    (root / "rows.jsonl").write_text("\n".join(rows))
    ta.collect_import(root / "rows.jsonl", root / "col")
    (root / "rows.jsonl").unlink()
    data = ta.curate(root / "col/media", root / "data", detector="none", min_person_frames=0, workers=1)
    assert data.stats().accepted == 6
    data.split(test=0.34, val=0)
    (root / "data/publisher.toml").write_text('name = "A lab"\nlicence = "CC-BY-4.0"\ncontact = "lab@example.org"\n')
    ta.collect_export(root / "col", root / "out/collected.jsonl", plain_creators=True)
    for form in NAMES:
        ta.dataset_export(data, root / "out" / form, format=form)
    ta.release(data, root / "out/release")
    ta.dataset_subset(data, root / "out/subset", by="diverse", size=6)
    shutil.copytree(root / "col/media", root / "their media")
    ta.dataset_hydrate(root / "out/ids/ids.csv", root / "out/hydrated", media=root / "their media", workers=1)
    write_video(root / "other videos/run/other.mp4", footage(77), fps=10)
    ta.curate(root / "other videos", root / "other", detector="none", min_person_frames=0, workers=1)
    ta.dataset_merge([data, root / "other"], root / "out/merged")
    ta.dataset_export(root / "out/merged", root / "out/of the merged", format="webdataset")
    ta.dataset_check_against(data, [str(root / "their media")])
    for name in ("tasks.json", "tasks.csv", "tasks.jsonl"):
        ta.review_export(data, root / "out" / name, queue="label:jump")
        ta.review_export(data, root / "out" / f"decided-{name}", decisions=True)
    ta.report([data, root / "col", root / "out/subset"], root / "out/report.html")


def train(root: Path) -> None:
    data, out = root / "data", root / "out"
    quick: dict[str, Any] = {"batch_size": 2, "epochs": 1, "frames": 4, "image_size": 32, "workers": 0, "threads": 1}
    run = ta.pretrain(data, out / "pretrained", model="tiny", **quick)
    tuned = ta.finetune(data, out / "tuned", init=run, **quick)
    tuned.evaluate(data, out / "evaluated", side="train", workers=0)
    tuned.predict(data, features=out / "features.parquet", workers=0)
    tuned.predict(root / "col/media", features=out / "windows", window_s=1, workers=0)
    tuned.export(out / "weights")
    ta.pretrain(out / "webdataset", out / "of an export", model="tiny", **quick)
    ta.pretrain(root / "other", out / "of another", init=run, model="tiny", **quick | {"batch_size": 1})
    recipe = {"pretrain_config": {"model": "tiny", **quick}, "finetune_config": quick}
    ta.study_scaling(data, out / "study", sizes=[2], evaluate_on=data, repeats=1, **recipe)  # type: ignore[arg-type]
    ta.report([data, run, out / "study"], out / "runs.html")


@pytest.mark.slow
def test_no_byte_is_left(tmp_path: Path) -> None:
    root = tmp_path
    write_everything(root)
    train(root)
    gone = [IDS[1], CAPTIONS[1], CREATORS[1]]
    before = found_in(root, gone, [1])
    assert len(before) > 80, before
    pictures = {
        path for path in root.glob("out/**/reconstructions") if IDS[1] not in (path.parent / "clips.csv").read_text()
    }
    assert root / "out/of another/reconstructions" in pictures
    result = ta.refresh(root / "data", remove=[IDS[1]])
    assert result.gone == (IDS[1],)
    assert found_in(root, gone, [1]) == []
    named = [line for line in result.attention if line.startswith(str(root / "data"))]
    trained = [line for line in named if "were trained on them" in line]
    assert {Path(line.split(": ", 1)[1].partition(" (")[0]).name for line in trained} == {
        *("pretrained", "tuned", "study", "of an export", "of another", "weights"),
    }
    assert sum("make it again: tiktokactions report" in line for line in named) == 2
    assert set(root.glob("out/**/reconstructions")) == pictures, "those of runs that had not seen it stay"
    ta.refresh(root / "data", creator="@Cid.Example")
    assert found_in(root, [*IDS[2:4], *CAPTIONS[2:4], CREATORS[2]], [2, 3]) == []
    assert found_in(root, [IDS[4]], []) != []
    for folder in ("data", "out/hydrated", "out/merged"):
        assert ta.dataset_verify(root / folder).problems == (), folder


def test_what_was_derived_elsewhere_is_cleaned_or_named(tmp_path: Path) -> None:
    """Quick: without decoding, drawing and training."""
    collection, out = tmp_path / "col", tmp_path / "out"
    rows = [{"id": i, "username": c, "video_description": t} for i, c, t in zip(IDS, CREATORS, CAPTIONS, strict=True)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ta.collect_import(tmp_path / "rows.jsonl", collection)
    (tmp_path / "rows.jsonl").unlink()
    ta.collect_export(collection, out / "rows.jsonl", plain_creators=True)
    (collection / "media").mkdir()
    (collection / f"media/@bob.example_video_{IDS[1]}.mp4.part").write_bytes(b"half of it")
    ta.report([collection], out / "report.html")
    run = out / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    for kind, inputs, output in (
        ("run", [collection / f"media/{IDS[1]}.mp4"], run),
        ("features", [run], out / "features"),
        ("weights", [run], out / "weights.pth"),
        ("review export", [collection], out / "moved.csv"),
    ):
        register(inputs, output, kind)  # type: ignore[arg-type]
    (out / "features").mkdir()
    (run / "clips.csv").write_text(f"path,label\n/c/{IDS[1]}.mp4,a\n/c/{IDS[2]}.mp4,a\n")
    (out / f"features/{IDS[1]}.npy").write_bytes(b"numbers")
    (out / "features/database.json").write_text(json.dumps({"database": {i: {"path": f"{i}.mp4"} for i in IDS}}))
    (out / "weights.pth").write_bytes(b"numbers")
    register([collection], out / "seen.csv", "review export")
    (out / "seen.csv").write_text(f"video_id,labels\n{IDS[1]},run\n{IDS[5]},run\n")
    with closing(sqlite3.connect(collection / "refresh.sqlite")) as check, check:  # under way
        check.execute("CREATE TABLE batches(number INTEGER PRIMARY KEY, ids TEXT, gone TEXT)")
        batches = [
            (1, json.dumps(IDS), json.dumps(IDS[:2])),
            (2, json.dumps(IDS[1:2]), None),
            (3, json.dumps(IDS), None),
        ]
        check.executemany("INSERT INTO batches VALUES(?,?,?)", batches)
    gone = [IDS[1], CAPTIONS[1], CREATORS[1]]
    result = ta.refresh(collection, remove=[IDS[1]])
    with closing(sqlite3.connect(collection / "refresh.sqlite")) as check:
        rest = json.dumps([*IDS[:1], *IDS[2:]])
        assert check.execute("SELECT * FROM batches").fetchall() == [(1, rest, json.dumps(IDS[:1])), (3, rest, None)]
    assert found_in(tmp_path, gone, []) == []
    assert result.removed[0].artefacts == {"media": 1, "exports": 1, "made of it": 5, "rows": 1}
    told = " ".join(result.attention)
    for name, why in (
        ("run", "1 runs were trained on them"),
        ("weights.pth", "made of weights"),
        ("moved.csv", "not there"),
    ):
        assert re.search(rf"{re.escape(str(out / name))} \([a-z ]+ of [0-9-]+\): .*{why}", told), (name, told)
    assert "report.html" in told and (out / "features/database.json").read_text().count(".mp4") == 5
    # Of an id that the collection no longer knows, what was made of it is looked at.
    (out / "seen.csv").write_text(f"video_id,labels\n{IDS[1]},run\n7300000000000000009,run\n")
    again = ta.refresh(collection, remove=[IDS[1], "7300000000000000009", "7300000000000000008"])
    assert (again.gone, again.before, again.unknown) == (
        (IDS[1], "7300000000000000009"),
        (),
        ("7300000000000000008",),
    )
    assert (out / "seen.csv").read_text() == "video_id,labels\n"
