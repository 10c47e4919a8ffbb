"""The arithmetic of detections, by numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tiktokactions.curation.boxes import (
    Letterbox,
    blazepose_anchors,
    body_boxes,
    decode_blazepose,
    decode_end_to_end,
    decode_yolov8,
    decode_yolox,
    family_of,
    keep_best,
    letterbox,
    people_in_picture,
    yolox_grid,
)


def floats(*rows: object) -> np.ndarray:
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("boxes", "scores", "iou", "kept"),
    [
        pytest.param([], [], 0.5, [], id="none"),
        pytest.param([(0, 0, 10, 10)], [0.3], 0.5, [0], id="one"),
        pytest.param([(0, 0, 10, 10), (20, 0, 30, 10)], [0.3, 0.9], 0.5, [1, 0], id="apart: both, best first"),
        pytest.param([(0, 0, 10, 10), (0, 0, 10, 10)], [0.3, 0.9], 0.5, [1], id="the same: the better"),
        # 10 x 10 and shifted by 2: shared 80, together 120, IoU 0.667
        pytest.param([(0, 0, 10, 10), (2, 0, 12, 10)], [0.9, 0.8], 0.66, [0], id="IoU 0.667 over 0.66"),
        pytest.param([(0, 0, 10, 10), (2, 0, 12, 10)], [0.9, 0.8], 0.67, [0, 1], id="IoU 0.667 under 0.67"),
        # The middle box falls to the first, so the last, which overlaps only the middle one, stays.
        pytest.param([(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)], [0.9, 0.8, 0.7], 0.4, [0, 2], id="chain"),
        pytest.param([(5, 5, 5, 5), (5, 5, 5, 5)], [0.9, 0.8], 0.5, [0, 1], id="no area: nothing overlaps"),
    ],
)
def test_non_maximum_suppression(boxes: list, scores: list, iou: float, kept: list) -> None:
    got = keep_best(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), iou)
    assert got.tolist() == kept


def test_letterbox_centred_and_in_the_corner() -> None:
    image = np.full((100, 200, 3), 255, np.uint8)
    canvas, placed = letterbox(image, 64, 64)
    assert (placed.scale, placed.left, placed.top) == (0.32, 0, 16)
    assert (canvas[16:48] == 255).all()
    assert (canvas[:16] == 114).all()
    assert (canvas[48:] == 114).all()
    canvas, placed = letterbox(image, 64, 64, fill=0, centred=False)
    assert (placed.scale, placed.left, placed.top) == (0.32, 0, 0)
    assert (canvas[:32] == 255).all()
    assert (canvas[32:] == 0).all()


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1), (416, 416), (37, 1023)], ids=str)
def test_letterbox_takes_any_shape(shape: tuple[int, int]) -> None:
    for centred in (True, False):
        canvas, _ = letterbox(np.zeros((*shape, 3), np.uint8), 416, 416, centred=centred)
        assert canvas.shape == (416, 416, 3)


def test_boxes_go_back_to_the_picture_clipped_and_without_those_outside() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    # On a canvas of 64 x 64 the picture fills rows 16 to 48.
    on_canvas = floats((0, 16, 64, 48), (-5, 20, 16, 60), (0, 0, 64, 16), (10, 50, 20, 60))
    people = people_in_picture(on_canvas, floats(0.9, 0.8, 0.7, 0.6), Letterbox(0.32, 0, 16), image)
    assert [p.xyxy for p in people] == [(0, 0, 200, 100), (0, 12.5, 50, 100)]
    assert [p.score for p in people] == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize(
    ("shape", "height", "width", "family"),
    [
        ((1, 3549, 85), 416, 416, "yolox"),
        ((1, 8400, 6), 640, 640, "yolox"),  # one class
        ((1, 2184, 85), 416, 256, "yolox"),
        ((1, 84, 8400), 640, 640, "yolov8"),
        ((1, 5, 8400), 640, 640, "yolov8"),  # one class
        ((1, 116, 8400), 640, 640, "yolov8"),  # with masks
        ((1, 300, 6), 640, 640, "end-to-end"),
        ((1, 25200, 85), 640, 640, None),  # YOLOv5
        ((1, 3549, 5), 416, 416, None),
        ((100, 7), 640, 640, None),
        ((1, 255, 52, 52), 416, 416, None),
    ],
    ids=str,
)
def test_layouts_are_told_from_their_shapes(shape: tuple, height: int, width: int, family: str | None) -> None:
    assert family_of(shape, height, width) == family


def test_yolox_grid_counts_rows_then_levels() -> None:
    grid = yolox_grid(64, 32)
    assert len(grid) == 8 * 4 + 4 * 2 + 2 * 1
    assert grid[[0, 1, 4, 31, 32, 40, 41]].tolist() == [
        [0, 0, 8],
        [1, 0, 8],
        [0, 1, 8],
        [3, 7, 8],
        [0, 0, 16],
        [0, 0, 32],
        [0, 1, 32],
    ]


def test_yolox_offsets_become_boxes() -> None:
    grid = yolox_grid(32, 32)  # 16 + 4 + 1 cells
    output = np.zeros((21, 5 + 2), np.float32)
    # Last cell of stride 8 (column 3, row 3), half a cell in, e wide and one high.
    output[15] = (0.5, 0.5, 1, 0, 0.8, 0.5, 0.9)
    output[20] = (0.25, 0.5, 0, np.log(0.5), 0.5, 0.2, 1)  # the cell of stride 32
    boxes, scores = decode_yolox(output, grid)
    half = 8 * np.e / 2
    np.testing.assert_allclose(boxes[15], (28 - half, 24, 28 + half, 32), rtol=1e-6)
    np.testing.assert_allclose(boxes[20], (-8, 8, 24, 24), rtol=1e-6)
    assert scores[[0, 15, 20]].tolist() == pytest.approx([0, 0.4, 0.1])
    assert decode_yolox(output, grid, person=1)[1][[15, 20]].tolist() == pytest.approx([0.72, 0.5])


def test_yolox_already_decoded_is_taken_as_it_is() -> None:
    boxes, scores = decode_yolox(floats((100, 50, 20, 40, 0.5, 0.5)), None)
    assert boxes.tolist() == [[90, 30, 110, 70]]
    assert scores.tolist() == [0.25]


def test_yolov8_columns_become_boxes_and_another_likelier_class_counts_as_no_person() -> None:
    output = np.zeros((4 + 2 + 1, 3), np.float32)  # two classes and one mask coefficient
    output[:, 0] = (100, 50, 20, 40, 0.6, 0.2, 9)
    output[:, 1] = (10, 10, 10, 10, 0.3, 0.5, 9)
    boxes, scores = decode_yolov8(output, classes=2)
    assert boxes[0].tolist() == [90, 30, 110, 70]
    assert scores.tolist() == pytest.approx([0.6, 0, 0])
    assert decode_yolov8(output, classes=2, person=1)[1].tolist() == pytest.approx([0, 0.5, 0])


def test_end_to_end_rows_of_other_classes_count_as_no_person() -> None:
    boxes, scores = decode_end_to_end(floats((1, 2, 3, 4, 0.9, 0), (5, 6, 7, 8, 0.8, 16)))
    assert boxes[0].tolist() == [1, 2, 3, 4]
    assert scores.tolist() == pytest.approx([0.9, 0])


def test_blazepose_anchors() -> None:
    anchors = blazepose_anchors()
    assert anchors.shape == (2254, 2)
    assert anchors[0].tolist() == anchors[1].tolist() == pytest.approx([0.5 / 28, 0.5 / 28])
    assert anchors[2].tolist() == pytest.approx([1.5 / 28, 0.5 / 28])
    assert anchors[1568].tolist() == pytest.approx([0.5 / 14, 0.5 / 14])
    assert anchors[-6].tolist() == anchors[-1].tolist() == pytest.approx([6.5 / 7, 6.5 / 7])


def test_blazepose_offsets_are_pixels_from_the_anchor() -> None:
    raw = floats((0, -10, 20, 20, 4, 30, 4, -20, 0, 0, 0, -15))
    faces, keypoints, scores = decode_blazepose(raw, floats(0.0), floats((0.5, 0.25)))
    assert faces.tolist() == [[102, 36, 122, 56]]
    assert keypoints[0].tolist() == [[116, 86], [116, 36], [112, 56], [112, 41]]
    assert scores.tolist() == [0.5]
    extreme = decode_blazepose(raw.repeat(2, axis=0), floats(-1000.0, 1000.0), floats((0.5, 0.25)))[2]
    assert extreme.tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize(
    ("rim", "box"),
    [
        pytest.param((50, 10), (30, 10, 70, 90), id="upright: twice as high as wide"),
        pytest.param((10, 50), (10, 30, 90, 70), id="lying: twice as wide as high"),
        pytest.param((50 + 30, 50 - 40), (0, -5, 100, 105), id="leaning: reaches further to both sides"),
        pytest.param((50, 50), (50, 50, 50, 50), id="no size: no area, dropped later"),
    ],
)
def test_body_boxes_reach_from_the_hips_along_the_body(rim: tuple, box: tuple) -> None:
    keypoints = floats([(50, 50), rim, (0, 0), (0, 0)])
    x0, y0, x1, y1 = box
    radius = float(np.hypot(rim[0] - 50, rim[1] - 50))
    # Never beyond the circle around the whole body.
    expected = (max(x0, 50 - radius), max(y0, 50 - radius), min(x1, 50 + radius), min(y1, 50 + radius))
    np.testing.assert_allclose(body_boxes(keypoints)[0], expected, atol=1e-4)


def test_body_boxes_of_nobody() -> None:
    assert body_boxes(np.zeros((0, 4, 2), np.float32)).shape == (0, 4)
