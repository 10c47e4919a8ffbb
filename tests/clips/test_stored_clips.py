"""Clips in tar files and on object stores: the same frames, a bounded cache, and an error that names the clip."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiktokactions as api
from tests.model.made_clips import make_clips
from tests.stores import Store
from tiktokactions.clips import cache as clip_cache
from tiktokactions.clips.cache import cache_limit_bytes
from tiktokactions.clips.clip import Clip, ClipSet, DataError, Stored
from tiktokactions.clips.read import has_side, read_clips
from tiktokactions.clips.readers import webdataset
from tiktokactions.files.objects import ObjectPath
from tiktokactions.machine import cache_folder
from tiktokactions.model.samples import open_clip
from tiktokactions.video import UnreadableError

TINY: dict[str, Any] = {
    **{"model": "tiny", "image_size": 32, "frames": 4, "stride": 2, "threads": 1, "device": "cpu"},
    **{"batch_size": 4, "num_samples": 1, "epochs": 1, "warmup_epochs": 0},
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    return make_clips(tmp_path_factory.mktemp("plain"), 3)


def side_of(clip: Clip) -> str:
    return "test" if Path(clip.path).stem == "2" else "train"


def shards(folder: Path, clips: ClipSet, per_shard: int = 5, sides: bool = True) -> Path:
    """Numbered tar files as 'dataset export --format webdataset' writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(clips.clips), per_shard):
        with tarfile.open(folder / f"shard-{first // per_shard:06}.tar", "w") as tar:
            for clip in clips.clips[first : first + per_shard]:
                about = {"labels": [clip.label], "split": side_of(clip) if sides else None}
                name = f"{clip.label}.{Path(clip.path).stem}"  # ids may hold dots
                for suffix, data in ((".mp4", Path(clip.path).read_bytes()), (".json", json.dumps(about).encode())):
                    member = tarfile.TarInfo(name + suffix)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return folder


def put(folder: Path, address: str) -> str:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        (ObjectPath(address) / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())
    return address


def frames(clip: Clip) -> np.ndarray:
    with open_clip(clip) as reader:
        return reader.read(np.arange(reader.frames))


def test_tar_files_hold_the_same_clips(plain: ClipSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shards(tmp_path / "wds", plain)
    found = read_clips(folder, side="all")
    assert (found.kind, found.labels, len(found.clips)) == ("webdataset", plain.labels, 12)
    for mine, theirs in zip(found.clips, plain.clips, strict=True):
        assert mine.label == theirs.label and mine.video_id == f"{theirs.label}.{Path(theirs.path).stem}"
        assert np.array_equal(frames(mine), frames(theirs))
    assert [len(read_clips(folder, side=side).clips) for side in ("train", "test")] == [8, 4]
    assert has_side(folder, "test") and not has_side(folder, "val")
    with pytest.raises(DataError, match="no val side; it has test, train"):
        read_clips(folder, side="val")
    assert len(read_clips(folder / "shard-000001.tar", side="all").clips) == 5

    # The index is made once; a tar file that changed is looked through again.
    monkeypatch.setattr(
        webdataset, "look_through", lambda file, where: pytest.fail(f"{where} was looked through again")
    )
    assert read_clips(folder, side="all") == found
    monkeypatch.undo()
    shards(folder, plain, per_shard=12)
    os.utime(folder / "shard-000000.tar", (1, 1))
    assert len(webdataset.index_of(folder / "shard-000000.tar").members) == 12


def test_tar_files_without_sides_are_taken_whole(plain: ClipSet, tmp_path: Path) -> None:
    folder = shards(tmp_path / "wds", plain, sides=False)
    assert len(read_clips(folder, side="train").clips) == 12


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.tar", b"no tar at all" * 100, "not an uncompressed tar file"),
        ("a.tar", b"\0" * 10240, "holds no video"),
    ],
)
def test_a_bad_tar_file_is_named(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message) as raised:
        read_clips(tmp_path, side="all")
    assert str(tmp_path / name) in str(raised.value)


def test_training_reads_tar_files_of_an_object_store(plain: ClipSet, tmp_path: Path, bucket: str, store: Store) -> None:
    """With worker processes, and with the same loss as from plain files; the second epoch asks the store for nothing."""
    address = put(shards(tmp_path / "wds", plain), f"{bucket}/wds")
    store.asked.clear()
    with store.failing(every=11):
        run = api.finetune(address, tmp_path / "run", workers=2, **TINY | {"epochs": 2})
    fetched = [path for method, path in store.asked if method == "GET" and path.endswith(".tar")]
    assert len(fetched) < 200
    asked = len(store.asked)
    local = api.finetune(shards(tmp_path / "again", plain), tmp_path / "local", workers=0, **TINY | {"epochs": 2})
    assert run.result.loss == pytest.approx(local.result.loss, abs=1e-6)
    assert len(store.asked) == asked
    tested = api.evaluate(tmp_path / "run", address, workers=0, threads=1, device="cpu", segments=1, crops=1)
    assert tested.videos == 4
    assert all(not p.suffix for p in cache_folder("clips").glob("*/*"))
    pretrained = api.pretrain([address], tmp_path / "pre", workers=0, decoder_depth=1, pictures_epochs=0, **TINY)
    assert pretrained.result.steps == 2


@pytest.mark.slow
def test_training_reads_a_dataset_of_an_object_store(plain: ClipSet, tmp_path: Path, bucket: str) -> None:
    videos = tmp_path / "videos"
    for clip in plain.clips[:8]:
        target = videos / str(clip.label) / Path(clip.path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(clip.path).read_bytes())
    settings: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "min_clip_s": 1, "keep_duplicates": True}
    api.curate(videos, f"{bucket}/data", workers=2, **settings)
    api.dataset_split(f"{bucket}/data", val=0, test=0.5)
    run = api.finetune(f"{bucket}/data", tmp_path / "run", workers=0, **TINY)
    assert run.evaluations["test"].videos == 4


def test_a_clip_that_cannot_be_had_stops_with_its_path(plain: ClipSet, tmp_path: Path, bucket: str) -> None:
    folder = shards(tmp_path / "wds", plain, per_shard=12)
    clips = read_clips(folder, side="all").clips
    os.truncate(folder / "shard-000000.tar", 20_000)
    with pytest.raises(UnreadableError, match=r"wds/shard-000000.tar/.*: cannot be fetched from .*the file ends"):
        frames(clips[-1])
    gone = Clip(f"{bucket}/gone.mp4", "a", stored=Stored(f"{bucket}/gone.mp4", "1"))
    with pytest.raises(UnreadableError) as raised:
        frames(gone)
    assert str(raised.value).startswith(f"{bucket}/gone.mp4: cannot be fetched")
    (ObjectPath(bucket) / "junk.mp4").write_bytes(b"junk" * 100)
    with pytest.raises(UnreadableError) as raised:
        frames(Clip(f"{bucket}/junk.mp4", "a", stored=Stored(f"{bucket}/junk.mp4", "1")))
    assert str(raised.value).startswith(f"{bucket}/junk.mp4: not_a_video")


# --- the cache -------------------------------------------------------------------------------------------------------

OBJECTS, OBJECT_BYTES = 40, 10_000


def read_all(bucket: str, seed: int) -> int:
    """In a process of its own: every object several times in an order of its own; how many came as they should."""
    right = 0
    for i in np.random.default_rng(seed).integers(0, OBJECTS, 100).tolist():
        stored = Stored(f"{bucket}/{i}", "1")
        with clip_cache.local_clip(f"{bucket}/{i}", stored) as path, open(path, "rb") as file:
            right += file.read() == bytes([i]) * OBJECT_BYTES
    return right


def cached_bytes() -> int:
    return sum(p.stat().st_size for p in cache_folder("clips").glob("*/*") if p.is_file())


def test_the_cache_stays_within_its_size_with_several_processes(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ["XDG_CACHE_HOME"] + "-bounded")
    monkeypatch.setenv("TIKTOKACTIONS_CLIP_CACHE_GB", str(32 * OBJECT_BYTES / 1e9))  # room for 32 of the 40
    for i in range(OBJECTS):
        (ObjectPath(bucket) / str(i)).write_bytes(bytes([i]) * OBJECT_BYTES)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        running = pool.starmap_async(read_all, [(bucket, seed) for seed in range(2)])
        most = 0
        while not running.ready():
            most = max(most, cached_bytes())
            running.wait(0.05)
    assert running.get() == [100, 100]
    assert 0 < most <= 32 * OBJECT_BYTES
    assert not list(cache_folder("clips").glob("*/.*"))


def test_a_new_version_is_fetched_anew(bucket: str) -> None:
    (ObjectPath(bucket) / "x").write_bytes(b"1")
    with clip_cache.local_clip("x", Stored(f"{bucket}/x", "v1")) as path:
        assert Path(path).read_bytes() == b"1"
    (ObjectPath(bucket) / "x").write_bytes(b"2")
    for version, expected in (("v1", b"1"), ("v2", b"2")):
        with clip_cache.local_clip("x", Stored(f"{bucket}/x", version)) as path:
            assert Path(path).read_bytes() == expected
    assert not Path(path).exists()


@pytest.mark.parametrize(("told", "limit"), [("", 20_000_000_000), ("0", 0), ("1.5", 1_500_000_000)])
def test_the_size_of_the_cache(told: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKACTIONS_CLIP_CACHE_GB", told)
    assert cache_limit_bytes() == limit


@pytest.mark.parametrize("told", ["-1", "much", "nan", "inf"])
def test_a_size_that_is_none(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKACTIONS_CLIP_CACHE_GB", told)
    with pytest.raises(ValueError, match="expected gigabytes"):
        cache_limit_bytes()
