"""Object stores: paths, one PUT per object, the lease, and a store that fails at times."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.stores import Store
from tiktokactions import files
from tiktokactions.files import StoreError, local_file, locks, objects, stores
from tiktokactions.files.objects import ObjectPath, read_together
from tiktokactions.machine import scratch_folder


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("s3://b/x", "s3://b/x"),
        ("S3://b/x/", "s3://b/x"),
        ("gs://b/x y/z", "gs://b/x y/z"),
        ("file:///tmp/x", "/tmp/x"),
        ("/tmp/x", "/tmp/x"),
        ("x/y", "x/y"),
        ("c:/x", "c:/x"),
    ],
)
def test_an_address_is_told_from_a_path(given: str, shown: str) -> None:
    path = files.located(given)
    assert str(path) == shown
    assert isinstance(path, Path) == ("://" not in shown)


@pytest.mark.parametrize("given", ["s3://", "s3:///"])
def test_an_address_needs_a_bucket(given: str) -> None:
    with pytest.raises(ValueError, match="expected an address such as"):
        files.located(given)


def test_objects_answer_like_files(bucket: str) -> None:
    folder = ObjectPath(f"{bucket}/data")
    assert not folder.exists() and list(folder.iterdir()) == []
    files.write_atomic(files.located(f"{bucket}/data/splits/train.csv"), "päth\n".encode())
    (folder / "splits" / "test.csv").write_bytes(b"")
    (folder / "dataset.json").write_bytes(b"{}")
    assert folder.is_dir() and not folder.is_file() and (folder / "dataset.json").is_file()
    assert sorted(p.name for p in folder.iterdir()) == ["dataset.json", "splits"]
    assert sorted(map(str, folder.glob("*/*.csv"))) == [f"{bucket}/data/splits/{n}.csv" for n in ("test", "train")]
    with (folder / "splits" / "train.csv").open(encoding="utf-8", newline="") as file:
        assert list(file) == ["päth\n"]
    with pytest.raises(FileNotFoundError):
        (folder / "nothing").read_bytes()
    (folder / "nothing").unlink(missing_ok=True)
    (folder / "dataset.json").unlink()
    assert not (folder / "dataset.json").exists()


def test_many_small_objects_come_together_and_in_order(
    bucket: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "READ_TOGETHER", 16)
    paths = [ObjectPath(f"{bucket}/records/{i:03}.json") for i in range(35)]
    for path in paths:
        path.write_bytes(path.name.encode())
    with store.failing(every=7):
        got = list(read_together([*paths, ObjectPath(f"{bucket}/gone.json")]))
    assert [(path.url, data) for path, data in got] == [(p.url, p.name.encode()) for p in paths]


def test_a_local_copy_lives_as_long_as_it_is_used(bucket: str, tmp_path: Path) -> None:
    (ObjectPath(bucket + "/a.mp4")).write_bytes(b"x" * 100_000)
    with local_file(f"{bucket}/a.mp4") as copy:
        assert copy.suffix == ".mp4" and copy.stat().st_size == 100_000
    assert not copy.exists()
    with local_file(tmp_path / "mine") as same:
        assert same == tmp_path / "mine"
    with pytest.raises(FileNotFoundError) as raised, local_file(f"{bucket}/gone.mp4"):
        pass
    assert raised.value.filename == f"{bucket}/gone.mp4"
    assert not list(scratch_folder().glob("*.mp4"))


# --- a store that fails ----------------------------------------------------------------------------------------------


def test_what_passes_is_tried_again(bucket: str, store: Store, tmp_path: Path) -> None:
    """Every second request fails, in four ways; nothing is lost, and no read is short."""
    with store.failing(every=2):
        for i in range(5):
            data = bytes([i]) * 50_000
            ObjectPath(f"{bucket}/{i}").write_bytes(data)
            assert ObjectPath(f"{bucket}/{i}").read_bytes() == data
            objects.download(f"{bucket}/{i}", tmp_path / str(i))
            assert (tmp_path / str(i)).read_bytes() == data
        assert store.failed > 10


def test_every_part_of_a_table_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyarrow reads a part here and a part there of an open object."""
    rows = pa.table({"number": np.random.default_rng(0).random(60_000)})
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=5_000)
    failed: list[int] = []

    class Flaky(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if len(failed) % 2 == 0:
                failed.append(self.tell())
                super().read(10)  # the place is lost, too
                raise ConnectionResetError("reset by the store")
            failed.append(-1)
            return super().read(size)

    opened = SimpleNamespace(open=lambda key, mode, block_size: Flaky((tmp_path / "rows.parquet").read_bytes()))
    monkeypatch.setattr(objects, "filesystem", lambda url: opened)
    monkeypatch.setattr(stores, "FIRST_WAIT_S", 0.0)
    with pq.ParquetFile(files.opened(ObjectPath("s3://b/rows.parquet"), 4 << 20)) as file:
        assert pa.Table.from_batches(file.iter_batches(batch_size=5_000)) == rows
    assert len(failed) >= 4  # the footer, the columns, and each a second time


def test_what_stays_away_ends_with_a_sentence(bucket: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "TRIES", 2)
    monkeypatch.setattr(stores, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    with (
        store.failing(1, ("slow_down",)),
        pytest.raises(StoreError, match=r"the store failed 2 times.*Everything finished is kept"),
    ):
        ObjectPath(f"{bucket}/x").write_bytes(b"1")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def no_package(protocol: str, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", no_package)
    with pytest.raises(StoreError, match=r"pip install 'tiktokactions\[s3\]'"):
        ObjectPath("s3://b/x").read_bytes()


def test_an_unknown_kind_of_store_is_named() -> None:
    with pytest.raises(StoreError, match="no such kind of store"):
        ObjectPath("nonsense://b/x").read_bytes()


def test_local_paths_do_without_fsspec(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom tiktokactions import files\n"
        f"folder = files.located({str(tmp_path)!r})\n"
        "with files.dataset_lock(folder):\n    files.write_atomic(folder / 'x', b'1')\n"
        "assert files.sha256_file(folder / 'x') and list(files.record_files(folder)) == []\n"
        "assert not {'fsspec', 's3fs', 'botocore'} & set(sys.modules), 'a local path imports fsspec'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- the lease -------------------------------------------------------------------------------------------------------


def test_one_run_at_a_time(bucket: str) -> None:
    dataset = files.located(f"{bucket}/data")
    with (
        files.dataset_lock(dataset),
        pytest.raises(files.DatasetBusyError, match=r"process \d+ on .* is writing"),
        files.dataset_lock(dataset),
    ):
        pass
    assert not (dataset / ".lock").exists()
    with files.dataset_lock(dataset):
        assert (dataset / ".lock").exists()


def test_the_lease_of_a_dead_process_here_is_taken_at_once(bucket: str) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    dataset = ObjectPath(f"{bucket}/data")
    holder = {"owner": "a dead run", "host": locks.socket.gethostname(), "process": dead.pid, "token": "x", "beat": 3}
    (dataset / ".lock").write_bytes(json.dumps(holder).encode())
    with files.dataset_lock(files.located(dataset.url)):
        assert json.loads((dataset / ".lock").read_bytes())["token"] != "x"


def test_a_lease_of_elsewhere_is_taken_when_nobody_renews_it(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LEASE_S", 0.5)
    dataset = ObjectPath(f"{bucket}/data")
    holder = {"owner": "process 7 on another machine", "host": "another machine", "process": 7, "token": "x", "beat": 3}
    (dataset / ".lock").write_bytes(json.dumps(holder).encode())
    with files.dataset_lock(files.located(dataset.url)):
        pass


def test_a_lease_of_elsewhere_that_is_renewed_is_respected(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LEASE_S", 1.0)
    monkeypatch.setattr(locks.socket, "gethostname", lambda: "another machine")
    with locks.held_lease(ObjectPath(f"{bucket}/data/.lock")):
        monkeypatch.undo()
        monkeypatch.setattr(locks, "LEASE_S", 1.0)
        with (
            pytest.raises(files.DatasetBusyError, match="another machine"),
            files.dataset_lock(files.located(f"{bucket}/data")),
        ):
            pass


def test_the_lease_survives_a_store_that_fails(bucket: str, store: Store) -> None:
    with store.failing(every=2), files.dataset_lock(files.located(f"{bucket}/data")):
        assert store.failed
    assert not ObjectPath(f"{bucket}/data/.lock").exists()
