"""Weight files are fetched whole and checked, or not at all: against a server on this machine and wheels on this disk."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import socket
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tiktokactions.curation import weights
from tiktokactions.curation.weights import DetectorError
from tiktokactions.files import sha256_file

RELEASE = b"weights of a small network " * 10_000
SHA256 = hashlib.sha256(RELEASE).hexdigest()


class ReleaseHost(BaseHTTPRequestHandler):
    """Answers as a release host does: the release address redirects to a storage address. Other paths misbehave."""

    def do_GET(self) -> None:
        kind = self.path.strip("/").partition("/")[0]
        if kind == "release":
            self.send_response(302)
            self.send_header("Location", "/storage/yolox_nano.onnx")
            self.end_headers()
        elif kind in ("storage", "truncated", "damaged", "too-long"):
            body = {"damaged": RELEASE[:-1] + b"?", "too-long": RELEASE + b"more"}.get(kind, RELEASE)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:1000] if kind == "truncated" else body)
        elif kind == "loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif kind in ("silent", "dripping"):
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" if kind == "dripping" else b"")
            self.drip_or_wait(kind)
        else:
            self.send_error(404)

    def drip_or_wait(self, kind: str) -> None:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            time.sleep(0.05)
            try:
                self.wfile.write(b"x" if kind == "dripping" else b"")
            except OSError:
                return  # the client has gone, as it should

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ReleaseHost)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> Path:
    """An empty models folder; the release is the one that ``host`` serves."""
    folder = tmp_path / "models"
    monkeypatch.setenv("TIKTOKACTIONS_MODELS", str(folder))
    monkeypatch.delenv("TIKTOKACTIONS_OFFLINE", raising=False)
    monkeypatch.setattr(weights, "YOLOX_NANO_URL", f"{host}/release/yolox_nano.onnx")
    monkeypatch.setattr(weights, "YOLOX_NANO_SHA256", SHA256)
    monkeypatch.setattr(weights, "YOLOX_NANO_BYTES", len(RELEASE))
    return folder


# --- folders and switches ------------------------------------------------------------------------------------------


def test_models_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.models_folder() == tmp_path / "tiktokactions" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert weights.models_folder() == Path.home() / ".cache" / "tiktokactions" / "models"
    monkeypatch.setenv("TIKTOKACTIONS_MODELS", "~/nets")
    assert weights.models_folder() == Path.home() / "nets"


@pytest.mark.parametrize(("value", "expected"), [(None, False), ("", False), ("0", False), ("1", True), ("yes", True)])
def test_offline_switch(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool) -> None:
    monkeypatch.delenv("TIKTOKACTIONS_OFFLINE", raising=False)
    if value is not None:
        monkeypatch.setenv("TIKTOKACTIONS_OFFLINE", value)
    assert weights.is_offline() is expected
    assert weights.is_offline(not expected) is not expected


# --- download ------------------------------------------------------------------------------------------------------


def test_release_is_fetched_once_through_its_redirect(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = weights.yolox_nano_file()
    assert path == models / "yolox_nano.onnx"
    assert path.read_bytes() == RELEASE
    assert os.listdir(models) == ["yolox_nano.onnx"]
    monkeypatch.setattr(weights, "YOLOX_NANO_URL", "http://127.0.0.1:1/")
    assert weights.yolox_nano_file() == path


def test_a_file_that_is_there_is_taken_as_it_is(models: Path) -> None:
    models.mkdir()
    (models / "yolox_nano.onnx").write_bytes(b"another export")
    assert weights.yolox_nano_file(offline=True).read_bytes() == b"another export"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("damaged", rf"has SHA-256 \w+, expected {SHA256}"),
        ("truncated", rf"got 1000 bytes, expected {len(RELEASE)}. Run again"),
        ("too-long", rf"got more than {len(RELEASE)} bytes"),
        ("missing", "the server answered 404 Not Found"),
        ("loop", "the server answered 302"),
        ("silent", "could not be fetched: timed out"),
        ("dripping", r"could not be fetched: \d+ of \d+ bytes after 0.5 s"),
    ],
)
def test_what_goes_wrong_is_said_and_leaves_nothing(
    models: Path, monkeypatch: pytest.MonkeyPatch, host: str, path: str, said: str
) -> None:
    monkeypatch.setattr(weights, "YOLOX_NANO_URL", f"{host}/{path}")
    monkeypatch.setattr(weights, "SOCKET_TIMEOUT_S", 0.4)
    monkeypatch.setattr(weights, "DOWNLOAD_TIMEOUT_S", 0.5)
    start = time.monotonic()
    with pytest.raises(DetectorError, match=said) as caught:
        weights.yolox_nano_file()
    assert time.monotonic() - start < 1.5
    assert f"{host}/{path}" in str(caught.value)
    assert not models.exists()
    monkeypatch.setattr(weights, "YOLOX_NANO_URL", f"{host}/release/")
    assert weights.yolox_nano_file().read_bytes() == RELEASE  # and rerunning mends it


def test_nobody_listens(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # a port that is bound but does not listen refuses
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(weights, "YOLOX_NANO_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/")
        with pytest.raises(DetectorError, match=r"could not be fetched: .*refused"):
            weights.yolox_nano_file()


def test_offline_reaches_for_nothing(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "download", lambda *_: pytest.fail("download was called"))
    monkeypatch.setattr(weights, "pip_download", lambda *_: pytest.fail("pip was called"))
    monkeypatch.setenv("TIKTOKACTIONS_OFFLINE", "1")
    for fetch in (weights.yolox_nano_file, weights.blazepose_file, lambda: weights.ultralytics_file("yolov8n.pt")):
        with pytest.raises(DetectorError, match="TIKTOKACTIONS_OFFLINE forbids fetching it"):
            fetch()


def test_two_at_once_end_with_one_whole_file(models: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: weights.yolox_nano_file(), range(4)))
    assert {path.read_bytes() for path in paths} == {RELEASE}
    assert os.listdir(models) == ["yolox_nano.onnx"]


def test_folder_that_cannot_be_written(models: Path) -> None:
    models.write_text("a file where the folder should be")
    with pytest.raises(DetectorError, match=r"cannot be written .*Set TIKTOKACTIONS_MODELS"):
        weights.yolox_nano_file()


# --- out of a wheel ------------------------------------------------------------------------------------------------

WHEEL = "mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"


def make_wheel(folder: Path, member: str = weights.BLAZEPOSE_MEMBERS[0]) -> Path:
    """A wheel that pip takes for the real one, with other contents."""
    folder.mkdir(exist_ok=True)
    info = "mediapipe-0.10.14.dist-info"
    tags = "Tag: cp311-cp311-manylinux_2_17_x86_64\nTag: cp311-cp311-manylinux2014_x86_64\n"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr(member, RELEASE)
        wheel.writestr(weights.BLAZEPOSE_MEMBERS[1], b"")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.14\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{tags}")
        wheel.writestr(f"{info}/RECORD", "")
    return folder / WHEEL


@pytest.fixture
def local_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip looks for wheels in this folder and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_blazepose_comes_out_of_the_wheel_that_pip_fetches(
    models: Path, local_pip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(local_pip)
    monkeypatch.setattr(weights, "BLAZEPOSE_SHA256", SHA256)
    path = weights.blazepose_file()
    assert path == models / "blazepose.tflite2"
    assert path.read_bytes() == RELEASE
    assert os.listdir(models) == ["blazepose.tflite2"]
    monkeypatch.setattr(weights, "pip_download", lambda *_: pytest.fail("pip was called again"))
    assert weights.blazepose_file() == path


def test_damaged_blazepose_is_fetched_anew(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models.mkdir()
    (models / "blazepose.tflite2").write_bytes(RELEASE[:100])
    monkeypatch.setattr(weights, "BLAZEPOSE_SHA256", SHA256)
    monkeypatch.setattr(weights, "pip_download", lambda *_: make_wheel(tmp_path / "wheels"))
    assert not weights.has_blazepose()
    assert sha256_file(weights.blazepose_file()) == SHA256


def test_wheel_with_another_file_is_refused(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "pip_download", lambda *_: make_wheel(tmp_path))
    with pytest.raises(DetectorError, match=rf"pose_landmark_full.tflite: has SHA-256 {SHA256}, expected babf2824"):
        weights.blazepose_file()
    assert not models.exists()


def test_wheel_without_the_file_or_no_wheel_at_all(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, member="mediapipe/other.tflite")
    with pytest.raises(DetectorError, match=r"cannot take mediapipe/modules.* out of it"):
        weights.wheel_members(wheel, weights.BLAZEPOSE_MEMBERS, SHA256)
    wheel.write_bytes(b"not a zip file")
    with pytest.raises(DetectorError, match="cannot take"):
        weights.wheel_members(wheel, weights.BLAZEPOSE_MEMBERS, SHA256)


def test_pip_that_finds_nothing_is_quoted(models: Path, local_pip: Path) -> None:
    with pytest.raises(DetectorError, match=r"pip could not fetch mediapipe==0.10.14: ERROR: No matching distribution"):
        weights.blazepose_file()


def test_python_without_pip(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DetectorError, match=r"does not have. Run .* -m ensurepip") as caught:
        weights.blazepose_file()
    assert sys.executable in str(caught.value)


@pytest.mark.slow
@pytest.mark.network
def test_blazepose_from_the_registry(models: Path) -> None:
    try:
        path = weights.blazepose_file(offline=False)
    except DetectorError as error:
        pytest.skip(f"the package registry cannot be reached: {error}")
    assert path.stat().st_size == 2_959_046 + 6_440_512
    assert sha256_file(path) == weights.BLAZEPOSE_SHA256


# --- ultralytics ---------------------------------------------------------------------------------------------------


def test_ultralytics_weights_by_path_then_in_the_models_folder(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.mkdir()
    (models / "yolov8n.pt").write_bytes(b"kept")
    assert weights.ultralytics_file("yolov8n.pt", offline=True) == models / "yolov8n.pt"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yolov8n.pt").write_bytes(b"here")
    assert weights.ultralytics_file("yolov8n.pt", offline=True) == tmp_path / "yolov8n.pt"
    with pytest.raises(DetectorError, match="there is no such file"):
        weights.ultralytics_file("runs/best.pt")


@pytest.mark.parametrize("works", [True, False], ids=["published", "unknown"])
def test_ultralytics_fetches_its_own_weights(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool
) -> None:
    stand_in = tmp_path / "ultralytics" / "utils"
    stand_in.mkdir(parents=True)
    (stand_in.parent / "__init__.py").touch()
    (stand_in / "__init__.py").touch()
    body = "open(path, 'wb').write(b'net')" if works else "raise FileNotFoundError('no such asset')"
    (stand_in / "downloads.py").write_text(f"def attempt_download_asset(path):\n    {body}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    if works:
        assert weights.ultralytics_file("yolov8n.pt").read_bytes() == b"net"
        assert os.listdir(models) == ["yolov8n.pt"]
    else:
        with pytest.raises(DetectorError, match=r"could not fetch it .*FileNotFoundError: no such asset"):
            weights.ultralytics_file("yolov8n.pt")
        assert os.listdir(models) == []
