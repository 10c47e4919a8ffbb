"""Which detector is taken, what is said about it, and that it reaches the worker processes."""

from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from benchmarks.people import lowest_score
from tests.curation.test_detectors import yolov8_output, yolox_output
from tests.curation.tiny_onnx import write_constant_model
from tiktokactions.curation import weights
from tiktokactions.curation.people import (
    YOLOX_SCORE,
    ResolvedDetector,
    detector_statuses,
    open_detector,
    resolve_detector,
)
from tiktokactions.curation.weights import DetectorError
from tiktokactions.files import sha256_file

Put = Callable[[], Path]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("TIKTOKACTIONS_MODELS", str(folder))
    return folder


@pytest.fixture
def put_yolox(models: Path) -> Put:
    return lambda: write_constant_model(models / "yolox_nano.onnx", (1, 3, 416, 416), yolox_output(416, 416))


@pytest.fixture
def put_blazepose(models: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    def put() -> Path:
        path = models / "blazepose.tflite2"
        path.write_bytes(b"a stand-in that is never opened")
        monkeypatch.setattr(weights, "BLAZEPOSE_SHA256", sha256_file(path))
        return path

    return put


def hide_package(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked, *rest: None if asked == name else real(asked, *rest))


# --- auto ----------------------------------------------------------------------------------------------------------


def test_auto_takes_yolox_that_is_there(put_yolox: Put, put_blazepose: Put) -> None:
    path = put_yolox()
    put_blazepose()
    found = resolve_detector("auto")
    assert (found.info.name, found.path, found.long_side) == ("yolox-nano", path, 416)
    assert found.info.sha256 == sha256_file(path)
    assert found.info.default_score == 0.3


def test_auto_fetches_yolox_before_it_falls_back(
    models: Path, put_blazepose: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_blazepose()
    release = write_constant_model(tmp_path / "release.onnx", (1, 3, 416, 416), yolox_output(416, 416)).read_bytes()
    monkeypatch.setattr(weights, "download", lambda url, sha256, size: release)
    assert resolve_detector("auto", offline=False).info.name == "yolox-nano"
    assert (models / "yolox_nano.onnx").read_bytes() == release


def test_auto_falls_back_to_blazepose_and_says_why(put_blazepose: Put) -> None:
    path = put_blazepose()
    found = resolve_detector("auto", offline=True)
    assert (found.info.name, found.path, found.info.default_score) == ("blazepose", path, 0.6)
    assert found.long_side == 416
    assert "a weaker detector than yolox-nano" in found.note
    assert "TIKTOKACTIONS_OFFLINE forbids" in found.note


def test_auto_without_anything_names_all_ways_out(models: Path) -> None:
    with pytest.raises(DetectorError) as caught:
        resolve_detector("auto", offline=True)
    for way in (
        str(models),
        "github.com",
        "tiktokactions[yolo]",
        "onnx:PATH",
        "`detector` none",
        "TIKTOKACTIONS_MODELS",
    ):
        assert way in str(caught.value)


def test_auto_never_hides_a_broken_yolox_file(models: Path, put_blazepose: Put) -> None:
    put_blazepose()
    (models / "yolox_nano.onnx").write_bytes(b"half of a fi")
    with pytest.raises(DetectorError, match=r"yolox_nano\.onnx: onnxruntime cannot use it"):
        resolve_detector("auto")


def test_yolox_nano_does_not_fall_back(put_blazepose: Put) -> None:
    put_blazepose()
    with pytest.raises(DetectorError, match=r"(?s)yolox-nano: .*ways to a person detector"):
        resolve_detector("yolox-nano", offline=True)


# --- by name -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "yolo", "onnx", "onnx:", "ultralytics:", "none:x", "auto:x", "YOLOX-nano"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(DetectorError, match=r"no such detector\. Expected auto, yolox-nano"):
        resolve_detector(name)


def test_none_sees_nobody() -> None:
    found = resolve_detector("none")
    assert (found.info.name, found.path, found.long_side) == ("none", None, 416)
    assert open_detector(found)([np.zeros((4, 4, 3), np.uint8)] * 3) == [(), (), ()]


@pytest.mark.parametrize(
    ("gives", "side", "score", "long_side"),
    [
        pytest.param(yolox_output(416, 416), 416, 0.3, 416, id="yolox"),
        pytest.param(yolov8_output(8400), 640, 0.25, 640, id="yolov8"),
        pytest.param(yolov8_output(2100), 320, 0.25, 416, id="small: thumbs need 416"),
    ],
)
def test_onnx_by_path(tmp_path: Path, gives: np.ndarray, side: int, score: float, long_side: int) -> None:
    path = write_constant_model(tmp_path / "my net.onnx", (1, 3, side, side), gives)
    found = resolve_detector(f"onnx:{path}")
    assert found.info.name == "onnx:my net.onnx"
    assert (found.info.default_score, found.long_side, found.path) == (score, long_side, path)


def test_onnx_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"none\.onnx: there is no such file"):
        resolve_detector(f"onnx:{tmp_path}/none.onnx")


def test_ultralytics_missing_names_the_extra_and_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_package(monkeypatch, "ultralytics")
    with pytest.raises(DetectorError, match=r"pip install 'tiktokactions\[yolo\]'.*AGPL"):
        resolve_detector("ultralytics:yolov8n.pt")


def test_blazepose_without_its_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_package(monkeypatch, "ai_edge_litert")
    with pytest.raises(DetectorError, match="pip install ai-edge-litert"):
        resolve_detector("blazepose")


# --- in workers ----------------------------------------------------------------------------------------------------


def people_in_worker(resolved: ResolvedDetector) -> int:
    return len(open_detector(resolved)([np.zeros((416, 416, 3), np.uint8)])[0])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_resolved_detector_works_in_another_process(put_yolox: Put, start: str) -> None:
    put_yolox()
    found = resolve_detector("auto")
    assert pickle.loads(pickle.dumps(found)) == found
    with ProcessPoolExecutor(1, mp_context=get_context(start)) as pool:
        assert pool.submit(people_in_worker, found).result() == 1


def test_a_model_is_loaded_once_per_process(put_yolox: Put) -> None:
    put_yolox()
    assert open_detector(resolve_detector("auto")) is open_detector(resolve_detector("auto"))


# --- doctor --------------------------------------------------------------------------------------------------------


def test_doctor_on_an_empty_machine(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_package(monkeypatch, "ai_edge_litert")
    monkeypatch.setattr("tiktokactions.curation.people._version", lambda package: None)
    statuses = {status.name: status for status in detector_statuses()}
    assert list(statuses) == ["yolox-nano", "blazepose", "ultralytics:WEIGHTS", "onnx:PATH", "second look", "none"]
    assert [name for name, status in statuses.items() if status.ready] == ["none"]
    assert str(models) in statuses["yolox-nano"].how_to_get
    assert "TIKTOKACTIONS_OFFLINE is set" in statuses["yolox-nano"].detail
    assert "tiktokactions[yolo]" in statuses["ultralytics:WEIGHTS"].how_to_get


def test_doctor_shows_path_and_hash(put_yolox: Put, put_blazepose: Put) -> None:
    yolox, blazepose = put_yolox(), put_blazepose()
    statuses = {status.name: status for status in detector_statuses()}
    for name, path in (("yolox-nano", yolox), ("blazepose", blazepose)):
        assert statuses[name].ready
        assert str(path) in statuses[name].detail
        assert sha256_file(path)[:12] in statuses[name].detail
    assert statuses["onnx:PATH"].ready


def test_the_shared_yolox_file_resolves(models: Path, shared_models: Path) -> None:
    shutil.copy(shared_models / "yolox_nano.onnx", models)
    found = resolve_detector("auto")
    assert (found.info.name, found.long_side) == ("yolox-nano", 416)


def test_default_scores_follow_from_the_benchmark(repository: Path) -> None:
    """The lowest threshold with at most 3 % false positives on the photos."""
    results = sorted((repository / "benchmarks" / "results").glob("people-*.json"))
    detectors = json.loads(results[-1].read_text())["detectors"]
    (sweep,) = (d["sweep"] for d in detectors if "yolox" in d["detector"]["name"])
    assert lowest_score(sweep) == YOLOX_SCORE
