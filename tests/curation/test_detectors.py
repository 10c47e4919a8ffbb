"""Detectors that open a model: tiny made ONNX files of every layout, and real ones where they can be had."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.curation.tiny_onnx import Node, Tensor, write_constant_model, write_graph
from tiktokactions.curation import weights
from tiktokactions.curation.boxes import yolox_grid
from tiktokactions.curation.detectors import KEEP_SCORE, Detect, load_onnx, open_blazepose, open_onnx, person_class
from tiktokactions.curation.weights import DetectorError
from tiktokactions.records import PersonBox

COCO_START = "{0: 'person', 1: 'bicycle', 2: 'car'}"


def picture(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def yolox_output(height: int, width: int, classes: int = 80) -> np.ndarray:
    """Raw offsets with one person (score 0.72) of 32 x 64 pixels in the middle of the third cell of stride 32."""
    output = np.zeros((1, len(yolox_grid(height, width)), 5 + classes), np.float32)
    third = (height // 8) * (width // 8) + (height // 16) * (width // 16) + 2
    output[0, third, :6] = (0.5, 0.5, 0, np.log(2), 0.9, 0.8)
    return output


def decoded(output: np.ndarray, height: int, width: int) -> np.ndarray:
    grid = yolox_grid(height, width)
    output = output.copy()
    output[0, :, :2] = (output[0, :, :2] + grid[:, :2]) * grid[:, 2:]
    output[0, :, 2:4] = np.exp(output[0, :, 2:4]) * grid[:, 2:]
    return output


def yolov8_output(boxes: int, classes: int = 3) -> np.ndarray:
    """Two copies of a person of 20 x 40 pixels around (100, 100), a bicycle, and somebody too faint to be kept."""
    output = np.zeros((1, 4 + classes, boxes), np.float32)
    output[0, :5, 0] = (100, 100, 20, 40, 0.9)
    output[0, :5, 1] = (101, 100, 20, 40, 0.8)
    output[0, :6, 2] = (50, 50, 20, 20, 0.3, 0.7)
    output[0, :5, 3] = (20, 20, 20, 20, KEEP_SCORE - 0.01)
    return output


@pytest.mark.parametrize("element", ["float32", "float16"])
@pytest.mark.parametrize("is_decoded", [False, True], ids=["offsets", "decoded"])
def test_yolox_layout(tmp_path: Path, is_decoded: bool, element: str) -> None:
    output = yolox_output(416, 416)
    gives = decoded(output, 416, 416) if is_decoded else output
    path = write_constant_model(tmp_path / "x.onnx", (1, 3, 416, 416), gives, element=element)
    model = load_onnx(path)
    assert (model.family, model.decoded, model.any_size, model.person) == ("yolox", is_decoded, False, 0)
    # The canvas holds a picture of 832 x 832 at half its size, so the box around (80, 16) is twice as large there.
    ((person,),) = open_onnx(path)([picture(832, 832)])
    assert person.xyxy == pytest.approx((128, 0, 192, 96), abs=0.5)
    assert person.score == pytest.approx(0.72, abs=1e-3)


def test_yolov8_layout_with_metadata_and_centred_padding(tmp_path: Path) -> None:
    path = write_constant_model(
        tmp_path / "v8.onnx", (1, 3, 320, 320), yolov8_output(2100), {"names": COCO_START, "imgsz": "[320, 320]"}
    )
    model = load_onnx(path)
    assert (model.family, model.classes, model.person, model.height, model.width) == ("yolov8", 3, 0, 320, 320)
    # 160 x 320: 80 rows of padding above and below; two pictures through a model that takes one at a time.
    first, second = open_onnx(path)([picture(160, 320), picture(320, 320)])
    assert [p.xyxy for p in first] == [pytest.approx((90, 0, 110, 40))]
    assert [p.xyxy for p in second] == [pytest.approx((90, 80, 110, 120))]
    assert first[0].score == pytest.approx(0.9)


def test_person_is_looked_up_by_name(tmp_path: Path) -> None:
    names = "{0: 'car', 1: 'Person', 2: 'dog'}"
    path = write_constant_model(tmp_path / "v8.onnx", (1, 3, 320, 320), yolov8_output(2100), {"names": names})
    ((person,),) = open_onnx(path)([picture(320, 320)])
    assert person.xyxy == pytest.approx((40, 40, 60, 60))
    assert person.score == pytest.approx(0.7)


def test_yolov8_of_any_size_gets_a_snug_canvas_and_batches(tmp_path: Path) -> None:
    path = write_constant_model(tmp_path / "v8.onnx", ("n", 3, "h", "w"), yolov8_output(9000), {"imgsz": "[640, 640]"})
    model = load_onnx(path)
    assert (model.any_size, model.batch, model.height) == (True, None, 640)
    # 320 x 640 needs no padding on a canvas of its own shape, so canvas and picture agree.
    ((person,),) = open_onnx(path)([picture(320, 640)])
    assert person.xyxy == pytest.approx((90, 80, 110, 120))


def test_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    gives = np.concatenate([yolov8_output(2100)] * 4)
    path = write_constant_model(tmp_path / "v8.onnx", (4, 3, 320, 320), gives)
    found = open_onnx(path)([picture(320, 320)] * 6)
    assert [len(people) for people in found] == [1] * 6


def test_end_to_end_layout(tmp_path: Path) -> None:
    gives = np.zeros((1, 300, 6), np.float32)
    gives[0, :3] = [(10, 20, 30, 40, 0.9, 0), (10, 20, 30, 41, 0.8, 0), (0, 0, 50, 50, 0.9, 2)]
    path = write_constant_model(tmp_path / "e.onnx", (1, 3, 320, 320), gives, {"names": COCO_START})
    ((first, second),) = open_onnx(path)([picture(320, 320)])
    assert first.xyxy == pytest.approx((10, 20, 30, 40))
    assert second.score == pytest.approx(0.8)


# Layouts of the exports of D-FINE, DEIM, DEIMv2 (images, orig_target_sizes -> labels, boxes, scores) and of RF-DETR (input ->
# dets, labels), with random weights. How bright a picture is in which colour moves every score.
COLOURS = np.array([[0.5], [-0.7], [0.9]], np.float32)
"""Weights of red, green and blue."""
QUERIES = 30


def write_detr(
    path: Path, batch: int | str, names: Sequence[str], classes: int = 0, sizes: str = "int64"
) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    corner, side = random.uniform(0.1, 0.5, (1, QUERIES, 2)), random.uniform(0.1, 0.4, (1, QUERIES, 2))
    weights = {"colours": COLOURS, "none": np.zeros(1, np.float32), "last": np.array([2]), "middle": np.array([1])}
    means: list[Node] = [
        ("ReduceMean", ["pictures"], "means", {"axes": [2, 3], "keepdims": 0}),
        ("MatMul", ["means", "colours"], "tone", {}),
    ]
    if classes:
        weights["w_boxes"] = np.concatenate([corner + side / 2, side], axis=2).astype(np.float32)
        weights["w_logits"] = random.normal(-1, 2, (1, QUERIES, classes)).astype(np.float32)
        nodes = [
            *means,
            ("Unsqueeze", ["tone", "last"], "deep", {}),
            ("Mul", ["deep", "none"], "zero", {}),
            ("Add", ["w_boxes", "zero"], names[0], {}),
            ("Add", ["w_logits", "deep"], names[1], {}),
        ]
        gives: dict[str, Tensor] = {
            names[0]: ((batch, QUERIES, 4), "float32"),
            names[1]: ((batch, QUERIES, classes), "float32"),
        }
        takes: dict[str, Tensor] = {"pictures": ((batch, 3, 64, 96), "float32")}
    else:
        weights["w_boxes"] = np.concatenate([corner, corner + side], axis=2).astype(np.float32)
        weights["w_scores"] = random.normal(0, 1, (1, QUERIES)).astype(np.float32)
        weights["w_labels"] = random.integers(0, 3, (1, QUERIES)).astype(np.float32)
        nodes = [
            *means,
            ("Add", ["w_scores", "tone"], "sum", {}),
            ("Sigmoid", ["sum"], names[2], {}),
            ("Mul", [names[2], "none"], "zero", {}),
            ("Add", ["w_labels", "zero"], "float_labels", {}),
            ("Cast", ["float_labels"], names[0], {"to": 7}),
            ("Cast", ["sizes"], "float_sizes", {"to": 1}),
            ("Concat", ["float_sizes", "float_sizes"], "both", {"axis": 1}),
            ("Unsqueeze", ["both", "middle"], "scale", {}),
            ("Mul", ["w_boxes", "scale"], names[1], {}),
        ]
        shapes: dict[str, Tensor] = {names[0]: ((batch, QUERIES), "int64"), names[1]: ((batch, QUERIES, 4), "float32")}
        gives = shapes | {names[2]: ((batch, QUERIES), "float32")}
        takes = {"pictures": ((batch, 3, 64, 96), "float32"), "sizes": ((batch, 2), sizes)}
    write_graph(path, nodes, takes, gives, weights)
    return weights


def coloured(height: int, width: int, bgr: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), bgr, np.uint8)


def tone(bgr: tuple[int, int, int], normalised: bool) -> float:
    rgb = np.array(bgr[::-1]) / 255
    rgb = (rgb - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225] if normalised else rgb
    return float((rgb @ COLOURS)[0])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("batch", [1, 4, "N"])
@pytest.mark.parametrize(("stem", "sizes"), [("dfine", "int64"), ("deimv2_hgnetv2", "float32"), ("dinov3", "int32")])
def test_detr_layout_of_labels_boxes_and_scores(tmp_path: Path, stem: str, sizes: str, batch: int | str) -> None:
    """One picture is three times as large: boxes are in its own pixels."""
    path, dark, bright = tmp_path / "m.onnx", (20, 90, 160), (200, 90, 160)
    weights = write_detr(path, batch, [f"{stem}/labels", "boxes", "scores"], sizes=sizes)
    found = open_onnx(path)([coloured(40, 60, dark), coloured(120, 180, bright)])
    person = weights["w_labels"][0] == 0
    for people, colour, size in zip(found, (dark, bright), ((60, 40), (180, 120)), strict=True):
        scores = sigmoid(weights["w_scores"][0] + tone(colour, normalised=stem == "dinov3"))
        kept = person & (scores >= KEEP_SCORE)
        expected = sorted(
            zip(scores[kept], (weights["w_boxes"][0] * np.array([*size, *size]))[kept].tolist(), strict=True)
        )
        assert len(expected) > 5
        assert [p.score for p in people] == pytest.approx([score for score, _ in expected][::-1], abs=1e-4)
        np.testing.assert_allclose([p.xyxy for p in people], [box for _, box in expected][::-1], atol=0.01)


@pytest.mark.parametrize(
    ("names", "classes", "person", "normalised"),
    [
        (["dets", "labels"], 91, 1, True),
        (["dets", "labels"], 4, 0, True),
        (["pred_boxes", "logits"], 80, 0, False),
    ],
    ids=["RF-DETR, COCO", "RF-DETR, four classes", "Hugging Face"],
)
def test_detr_layout_of_boxes_and_logits(
    tmp_path: Path, names: list[str], classes: int, person: int, normalised: bool
) -> None:
    path, colour = tmp_path / "m.onnx", (60, 120, 90)
    weights = write_detr(path, "N", names, classes)
    (people,) = open_onnx(path)([coloured(50, 100, colour)])
    scores = sigmoid(weights["w_logits"][0, :, person] + tone(colour, normalised))
    boxes = weights["w_boxes"][0]
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    expected = corners * [100, 50, 100, 50]
    order = np.argsort(-scores)[: int((scores >= KEEP_SCORE).sum())]
    assert [p.score for p in people] == pytest.approx(scores[order], abs=1e-4)
    np.testing.assert_allclose([p.xyxy for p in people], expected[order], atol=0.01)


def test_boxes_in_pixels_beside_scores_are_no_detr(tmp_path: Path) -> None:
    weights = write_detr(tmp_path / "m.onnx", 1, ["boxes", "scores"], classes=80)
    big = np.array(weights["w_boxes"]) * 640
    nodes: list[Node] = [("Identity", ["a"], "boxes", {}), ("Identity", ["b"], "scores", {})]
    gives = {"boxes": (big.shape, "float32"), "scores": ((1, QUERIES, 80), "float32")}
    write_graph(
        tmp_path / "nas.onnx", nodes, {"x": ((1, 3, 64, 64), "float32")}, gives, {"a": big, "b": weights["w_logits"]}
    )
    with pytest.raises(DetectorError, match="or a DETR's labels, boxes and scores"):
        load_onnx(tmp_path / "nas.onnx")


def test_no_pictures(tmp_path: Path) -> None:
    path = write_constant_model(tmp_path / "x.onnx", (1, 3, 64, 64), yolox_output(64, 64, classes=3))
    assert open_onnx(path)([]) == []


@pytest.mark.parametrize(
    ("takes", "gives", "said"),
    [
        pytest.param((1, 3, 640, 640), (1, 25200, 85), r"gives \[1, 25200, 85\]. Expected YOLOX.*8400, 5", id="YOLOv5"),
        pytest.param((1, 3, 64, 64), (1, 1000), r"gives \[1, 1000\]. Expected YOLOX", id="a classifier"),
        pytest.param((1, 64, 64, 3), (1, 84, 84), r"takes \[1, 64, 64, 3\].*expected floats \[batch, 3", id="NHWC"),
        pytest.param((1, 3), (1, 84, 84), r"takes \[1, 3\]", id="no pictures"),
    ],
)
def test_other_models_are_refused_with_the_shapes(tmp_path: Path, takes: tuple, gives: tuple, said: str) -> None:
    path = write_constant_model(tmp_path / "other.onnx", takes, np.zeros(gives, np.float32))
    with pytest.raises(DetectorError, match=said) as caught:
        load_onnx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"], ids=["empty", "a web page"])
def test_files_that_are_no_model_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(DetectorError, match=r"broken\.onnx: onnxruntime cannot use it"):
        load_onnx(path)


@pytest.mark.parametrize(
    ("names", "person"), [({}, 0), ({0: "face"}, 0), ({0: "dog", 5: "person"}, 5)], ids=["unnamed", "one", "several"]
)
def test_class_of_persons(names: dict[int, str], person: int) -> None:
    assert person_class(names, "m.onnx") == person


def test_model_without_persons_is_refused() -> None:
    with pytest.raises(DetectorError, match=r"m\.onnx: has no class 'person' among its 2 classes \(dog, cat"):
        person_class({0: "dog", 1: "cat"}, "m.onnx")


# --- real models on real pictures ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def yolox(shared_models: Path) -> Detect:
    return open_onnx(shared_models / "yolox_nano.onnx")


@pytest.fixture(scope="module")
def blazepose(tmp_path_factory: pytest.TempPathFactory) -> Detect:
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKACTIONS_MODELS", str(folder))
        patch.delenv("PIP_NO_INDEX", raising=False)  # it comes before the test, which may use the network
        try:
            return open_blazepose(weights.blazepose_file(offline=False))
        except DetectorError as error:
            pytest.skip(f"the package registry cannot be reached: {error}")


def photo(shared_data: Path, name: str) -> np.ndarray:
    image_bgr = cv2.imread(str(shared_data / "people" / "images" / name))
    assert image_bgr is not None, name
    return image_bgr


def tall_and_none(shared_data: Path) -> tuple[list[str], list[str]]:
    """Twelve pictures each: with a person of more than half of the height, and without anybody."""
    with open(shared_data / "people" / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    tall = [row["file"] for row in rows if float(row["tallest_person_height_fraction"]) > 0.5]
    none = [row["file"] for row in rows if row["has_person"] == "0"]
    return tall[:12], none[:12]


def presence(detect: Detect, shared_data: Path, score: float) -> tuple[int, int]:
    """In how many of the twelve with, and of the twelve without people somebody is seen."""

    def count(names: list[str]) -> int:
        found = detect([photo(shared_data, name) for name in names])
        return sum(any(person.score >= score for person in people) for people in found)

    tall, none = tall_and_none(shared_data)
    return count(tall), count(none)


def overlap(one: PersonBox, other: PersonBox) -> float:
    """Intersection over union."""
    a, b = np.array(one.xyxy), np.array(other.xyxy)
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(0, sides[0]) * max(0, sides[1])
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def test_yolox_sees_people_where_they_are(yolox: Detect, shared_data: Path) -> None:
    with_people, without = presence(yolox, shared_data, 0.4)
    assert with_people >= 11
    assert without <= 1


def test_yolox_boxes_are_sorted_and_inside(yolox: Detect, shared_data: Path) -> None:
    image = photo(shared_data, tall_and_none(shared_data)[0][0])
    people = yolox([image])[0]
    assert [p.score for p in people] == sorted((p.score for p in people), reverse=True)
    assert people[-1].score >= KEEP_SCORE
    for person in people:
        x0, y0, x1, y1 = person.xyxy
        assert 0 <= x0 < x1 <= image.shape[1]
        assert 0 <= y0 < y1 <= image.shape[0]


@pytest.mark.parametrize("change", ["mirrored", "enlarged", "moved"])
def test_yolox_boxes_follow_the_picture(yolox: Detect, shared_data: Path, change: str) -> None:
    image = photo(shared_data, "000000000241.jpg")  # portrait, somebody standing in it from top to bottom
    height, width = image.shape[:2]
    (x0, y0, x1, y1) = yolox([image])[0][0].xyxy
    assert y1 - y0 > 0.9 * height
    if change == "mirrored":
        changed, expected = image[:, ::-1], (width - x1, y0, width - x0, y1)
    elif change == "enlarged":
        changed, expected = cv2.resize(image, None, fx=2, fy=2), (2 * x0, 2 * y0, 2 * x1, 2 * y1)
    else:
        changed = np.zeros((height, width + 150, 3), np.uint8)
        changed[:, 150:], expected = image, (x0 + 150, y0, x1 + 150, y1)
    found = yolox([np.ascontiguousarray(changed)])[0]
    assert max(overlap(person, PersonBox(expected, 1.0)) for person in found if person.score > 0.4) > 0.85


@pytest.mark.slow
@pytest.mark.network
def test_blazepose_sees_people_where_they_are(
    blazepose: Detect, yolox: Detect, shared_data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with_people, without = presence(blazepose, shared_data, 0.6)
    assert with_people >= 9
    assert without <= 1
    image = photo(shared_data, "000000000241.jpg")
    standing = yolox([image])[0][0]
    assert max(overlap(person, standing) for person in blazepose([image])[0]) > 0.5
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_ultralytics_sees_what_it_says_itself(tmp_path: Path, shared_data: Path) -> None:
    ultralytics = pytest.importorskip("ultralytics", reason="needs ultralytics: pip install 'tiktokactions[yolo]'")
    import torch

    from tiktokactions.curation.people import open_detector, resolve_detector

    torch.manual_seed(0)
    untrained = ultralytics.YOLO("yolov8n.yaml")
    untrained.model.names = {0: "person"} | {i: f"class {i}" for i in range(1, 80)}
    with torch.no_grad():
        for level in untrained.model.model[-1].cv3:
            level[-1].bias[0] = 0.0  # without this a model that was never trained sees nobody
    untrained.save(tmp_path / "untrained.pt")
    image = photo(shared_data, "000000000241.jpg")
    people = open_detector(resolve_detector(f"ultralytics:{tmp_path / 'untrained.pt'}"))([image, image])
    (theirs,) = ultralytics.YOLO(tmp_path / "untrained.pt").predict(image, conf=KEEP_SCORE, classes=[0], verbose=False)
    assert people[0] == people[1]
    assert len(people[0]) > 0
    # Boxes without area, of things in the padding, are not kept.
    with_area = [box for box in theirs.boxes.xyxy.tolist() if box[2] > box[0] and box[3] > box[1]]
    np.testing.assert_allclose(sorted(p.xyxy for p in people[0]), sorted(map(tuple, with_area)), atol=0.01)
