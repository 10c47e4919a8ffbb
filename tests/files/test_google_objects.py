"""``gs://``: what :mod:`tests.files.test_objects` asks of S3, and how gcsfs' errors are told apart."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.stores import GoogleStore
from tiktokactions import files
from tiktokactions.files import StoreError, local_file, objects, stores
from tiktokactions.files.objects import ObjectPath, read_together

NAMES = ("a b.mp4", "ü%20é.mp4", "x#1.mp4", "q?y=1.mp4", "br[1].mp4", "{0}.mp4", "plus+.mp4")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """gcsfs waits 1, 2, 4, 8 and 16 seconds between its own tries."""
    monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=lambda seconds: asyncio.sleep(0)))
    monkeypatch.setattr(stores, "FIRST_WAIT_S", 0.01)


def test_objects_answer_like_files(google_bucket: str) -> None:
    folder = ObjectPath(f"{google_bucket}/data")
    assert not folder.exists() and list(folder.iterdir()) == []
    files.write_atomic(files.located(f"{google_bucket}/data/splits/train.csv"), "päth\n".encode())
    (folder / "splits" / "test.csv").write_bytes(b"")
    (folder / "dataset.json").write_bytes(b"{}")
    assert folder.is_dir() and not folder.is_file() and (folder / "dataset.json").is_file()
    assert sorted(p.name for p in folder.iterdir()) == ["dataset.json", "splits"]
    assert sorted(p.name for p in folder.glob("*/*.csv")) == ["test.csv", "train.csv"]
    assert (folder / "splits" / "train.csv").read_text() == "päth\n"
    with pytest.raises(FileNotFoundError):
        (folder / "nothing").read_bytes()
    (folder / "nothing").unlink(missing_ok=True)
    (folder / "dataset.json").unlink()
    assert not (folder / "dataset.json").exists()
    objects.move(folder / "splits" / "train.csv", folder / "moved.csv")
    assert not (folder / "splits" / "train.csv").exists() and (folder / "moved.csv").read_text() == "päth\n"


def test_names_of_all_kinds(google_bucket: str, tmp_path: Path) -> None:
    data = os.urandom(100_000) + b"\r\n\n"
    folder = ObjectPath(google_bucket) / "in"
    for name in NAMES:
        (folder / name).write_bytes(data)
        assert (folder / name).is_file() and objects.read_range(folder / name, 10, 100) == data[10:110]
        objects.download(f"{folder}/{name}", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == data
    found, folders = folder.entries()
    assert [entry.url for entry in found] == sorted(f"{folder}/{name}" for name in NAMES) and folders == []
    assert objects.find_objects(f"{google_bucket}/in/*.mp4") == [entry.url for entry in found]
    assert objects.find_objects("gs://nowhere/*.mp4") == [] and not ObjectPath("gs://nowhere/x").exists()


def test_a_change_shows_in_the_etag(google_bucket: str) -> None:
    path = ObjectPath(google_bucket) / "x"
    path.write_bytes(b"1")
    ((listed,), _) = ObjectPath(google_bucket).entries()
    assert listed == path.entry() and listed.etag and listed.size_bytes == 1
    path.write_bytes(b"2")
    assert path.entry().etag not in ("", listed.etag)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's advice to gcsfs
def test_a_large_file_comes_in_parts(google_bucket: str, tmp_path: Path) -> None:
    """gcsfs sends what is larger than 5 MiB in a resumable upload; the object appears with the last part."""
    data = os.urandom(6 << 20)
    (tmp_path / "big").write_bytes(data)
    path = ObjectPath(google_bucket) / "big"
    objects.upload(tmp_path / "big", path)
    with local_file(str(path)) as copy:
        assert copy.read_bytes() == data
    file = objects.opened(path)
    file.seek(5 << 20)
    assert file.read(1000) == data[5 << 20 :][:1000]


def test_many_small_objects_come_together_and_in_order(google_bucket: str) -> None:
    paths = [ObjectPath(f"{google_bucket}/records/{i:03}.json") for i in range(20)]
    for path in paths:
        path.write_bytes(path.name.encode())
    got = list(read_together([*paths, ObjectPath(f"{google_bucket}/gone.json")]))
    assert [(path.url, data) for path, data in got] == [(p.url, p.name.encode()) for p in paths]


def test_one_run_at_a_time(google_bucket: str) -> None:
    dataset = files.located(f"{google_bucket}/data")
    with (
        files.dataset_lock(dataset),
        pytest.raises(files.DatasetBusyError, match=r"process \d+ on .* is writing"),
        files.dataset_lock(dataset),
    ):
        pass
    assert not (dataset / ".lock").exists()
    lock = ObjectPath(f"{google_bucket}/data/.lock")
    lock.create(b"{}")
    with pytest.raises(FileExistsError):
        lock.create(b"{}")


# --- a store that fails ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_what_passes_is_tried_again(google_bucket: str, google_store: GoogleStore, tmp_path: Path) -> None:
    with google_store.failing(every=3):
        for i in range(5):
            data, path = bytes([i]) * 50_000, ObjectPath(f"{google_bucket}/{i}")
            path.write_bytes(data)
            assert path.is_file() and path.read_bytes() == data
            objects.download(str(path), tmp_path / str(i))
            assert (tmp_path / str(i)).read_bytes() == data
        with files.dataset_lock(files.located(f"{google_bucket}/data")):
            pass
        assert google_store.failed > 8
    assert not ObjectPath(f"{google_bucket}/data/.lock").exists()


@pytest.mark.usefixtures("impatient")
def test_what_stays_away_ends_with_a_sentence(google_bucket: str, google_store: GoogleStore) -> None:
    with (
        google_store.failing(1, ("slow_down",)),
        pytest.raises(StoreError, match=r"the store failed 3 times.*Backend Error.*Everything finished is kept"),
    ):
        ObjectPath(f"{google_bucket}/x").is_file()  # away is not absent


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("unauthorized", StoreError, "no credentials that this store takes .*GOOGLE_APPLICATION_CREDENTIALS"),
        ("forbidden", PermissionError, "does not have storage.objects.get access"),
        ("bad_request", StoreError, "the store refuses this .*check the names"),
    ],
)
def test_what_would_not_pass_is_said_at_once(
    google_bucket: str, google_store: GoogleStore, fault: str, kind: type[Exception], message: str
) -> None:
    path = ObjectPath(f"{google_bucket}/x")
    began = len(google_store.asked)
    with google_store.failing(1, (fault,)), pytest.raises(kind, match=message):
        path.read_bytes()
    assert len(google_store.asked) == began + 1


def test_no_credentials_are_said_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor is a metadata server waited for that takes the question and never answers: one try here, three in earnest."""
    metadata = pytest.importorskip("google.auth.compute_engine._metadata")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "FSSPEC_GS_TOKEN", "NO_GCE_CHECK"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(metadata.ping, "__defaults__", (0.2, 1))
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"no credentials that this store takes .*FSSPEC_GS_TOKEN=anon"):
            ObjectPath("gs://bucket/x").read_bytes()
        assert time.monotonic() - began < 5


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_package(options: object) -> None:
        raise ImportError("No module named 'gcsfs'")

    monkeypatch.setattr(stores, "_google_filesystem", no_package)
    with pytest.raises(StoreError, match=r"pip install 'tiktokactions\[gcs\]'"):
        ObjectPath("gs://b/x").read_bytes()
