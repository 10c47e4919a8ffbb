"""What every test may use: the shared test data, made videos, and guards against the network and stray files."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests import made_videos, stores
from tiktokactions.splits.options import DEFAULTS

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = (REPOSITORY / os.environ.get("TIKTOKACTIONS_TEST_DATA", "../shared")).resolve()

# Before anything is imported that looks there: nobody's home, cache, settings, keys or tokens, here and in every process that
# a test starts. What a test finds there on one machine is not there on the next.
HOME = Path(tempfile.mkdtemp(prefix="home-"))
os.environ["HOME"] = str(HOME)
for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
    os.environ[f"XDG_{kind}_HOME"] = str(HOME / kind.lower())
for name in (
    *("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "TRANSFORMERS_CACHE"),
    *("TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "MPLCONFIGDIR", "MATPLOTLIBRC", "YOLO_CONFIG_DIR"),
    *("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS"),
    *("CLOUDSDK_CONFIG", "RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"),
    *("TIKTOKACTIONS_MODELS", "TIKTOKACTIONS_API_URL", "TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET"),
):
    os.environ.pop(name, None)

# Also while fixtures of a whole session are made: what only one of the tests could fetch would change what the others find.
os.environ["TIKTOKACTIONS_OFFLINE"] = "1"
os.environ["PIP_NO_INDEX"] = "1"  # where a test is online for a server of its own
# Before torch is imported: two test processes share two cores, and a second thread in each would spin for the other's.
os.environ.setdefault("OMP_NUM_THREADS", "1")

MakeVideo = Callable[..., Path]


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if gpu_tests and not _has_cuda():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="needs torch with a CUDA device"))


def _has_cuda() -> bool:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


@pytest.fixture(autouse=True, scope="module")
def without_certificate() -> Iterator[None]:
    """Splits compare their clips frame by frame; only the tests of that ask for it (``certify``)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DEFAULTS, "certify", 0)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The clone's root folder."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    return _shared("data")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    return _shared("models")


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{folder}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds '{name}'")
    return folder


@pytest.fixture(scope="session")
def make_video(tmp_path_factory: pytest.TempPathFactory) -> MakeVideo:
    """``make_video(name, frames, fps=30, ...)`` as :func:`tests.made_videos.write_video`.

    A plain name is written to a new temporary folder, an absolute path where it says.
    """

    def make(name: str | Path, frames: Any, **settings: Any) -> Path:
        path = Path(name)
        return made_videos.write_video(
            path if path.is_absolute() else tmp_path_factory.mktemp("video") / path, frames, **settings
        )

    return make


@pytest.fixture(scope="session")
def numbered_frames() -> Callable[..., Iterator[Any]]:
    """See :func:`tests.made_videos.numbered_frames`."""
    return made_videos.numbered_frames


@pytest.fixture(scope="session")
def read_number() -> Callable[[Any], int]:
    """See :func:`tests.made_videos.read_number`."""
    return made_videos.read_number


@pytest.fixture(scope="session")
def store() -> Iterator[stores.Store]:
    """An S3 server on loopback, see :mod:`tests.stores`; use ``bucket`` for one of the test's own."""
    # s3fs keeps one client for each set of options: the address and the keys stay the same for the whole session.
    with pytest.MonkeyPatch.context() as patch, stores.running_store() as running:
        for name, value in (
            ("AWS_ENDPOINT_URL", running.url),
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            patch.setenv(name, value)
        yield running


@pytest.fixture
def bucket(store: stores.Store) -> str:
    """``s3://`` and an empty bucket."""
    return store.make_bucket(f"test-{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def google_store() -> Iterator[stores.GoogleStore]:
    """Google Cloud Storage on loopback, see :mod:`tests.stores`; use ``google_bucket`` for one of the test's own."""
    for package in ("gcsfs", "gcp_storage_emulator"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is missing: pip install -e '.[dev]'")
    with pytest.MonkeyPatch.context() as patch, stores.running_google_store() as running:
        patch.setenv("STORAGE_EMULATOR_HOST", running.url)
        yield running


@pytest.fixture
def google_bucket(google_store: stores.GoogleStore) -> str:
    """``gs://`` and an empty bucket."""
    return google_store.make_bucket(f"test-{next(_NUMBERS)}")


_NUMBERS = itertools.count()


# What costs most about a small dataset is what the tests of other things need not wait for: drawing its figures (they are
# written, and say their names), starting processes for its videos, and planting copies of many clips for the certificate of
# its split (of one clip only). Commands that run as a program of their own do all three.


class HerePool:
    """A pool of no processes: each job is done as it is handed over."""

    def __init__(self, **_: Any) -> None: ...

    def schedule(self, work: Callable[..., Any], args: tuple[Any, ...], timeout: float) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None: ...

    stop = join = close


class QuickDatasets:
    """All three are gone without until a test asks for one: ``drawn``, ``processes``, ``planted``."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        import pebble

        from tiktokactions.curation import engine_local
        from tiktokactions.dataset import figures
        from tiktokactions.splits import certificate

        self.figures, self.draw = figures, cast(Callable[..., list[Any]], figures.draw_figures)
        self.certificate, self.planted_clips = certificate, certificate.PLANTED_CLIPS
        patch.setattr(certificate, "PLANTED_CLIPS", 1)
        self.engine, self.pebble = engine_local, pebble
        patch.setattr(figures, "draw_figures", self.write_names)
        here = SimpleNamespace(ProcessPool=HerePool, ProcessExpired=pebble.ProcessExpired)
        patch.setattr(engine_local, "pebble", here)

    def write_names(self, dataset: Any, stats: Any, folder: Any = None, manifest: Any = None) -> list[Any]:
        from tiktokactions.files import write_atomic

        if folder is not None:  # a report's own
            return self.draw(dataset, stats, folder, manifest)
        paths = [dataset / "figures" / f"{name}.{kind}" for name in self.figures.FIGURES for kind in ("svg", "png")]
        for path in paths:
            write_atomic(path, path.name.encode())
        return paths


@pytest.fixture(autouse=True, scope="session")
def quick_datasets() -> Iterator[QuickDatasets]:
    with pytest.MonkeyPatch.context() as patch:
        yield QuickDatasets(patch)


@pytest.fixture
def drawn(quick_datasets: QuickDatasets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_datasets.figures, "draw_figures", quick_datasets.draw)


@pytest.fixture
def processes(quick_datasets: QuickDatasets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_datasets.engine, "pebble", quick_datasets.pebble)


@pytest.fixture
def planted(quick_datasets: QuickDatasets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_datasets.certificate, "PLANTED_CLIPS", quick_datasets.planted_clips)


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this machine, but for tests marked ``network``."""
    if request.node.get_closest_marker("network"):
        monkeypatch.delenv("TIKTOKACTIONS_OFFLINE", raising=False)
        monkeypatch.delenv("PIP_NO_INDEX", raising=False)
        # Where no other test finds a network by chance.
        monkeypatch.setenv("TIKTOKACTIONS_MODELS", str(HOME / "fetched"))
        return
    monkeypatch.setattr(socket.socket, "connect", _guarded(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex))


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded_connect(sock: socket.socket, address: Any) -> Any:
        is_local = sock.family == socket.AF_UNIX or str(address[0]) in ("127.0.0.1", "::1", "localhost")
        if not is_local:
            pytest.fail(f"a test tried to reach {address}: only tests marked 'network' may leave this machine")
        return connect(sock, address)

    return guarded_connect
