"""Boxes: letterboxing, decoding and non-maximum suppression, the arithmetic between a picture and a detector's numbers.

Legend of shapes: N candidate boxes, C classes. A canvas is the picture as a model sees it. Boxes are (x0, y0, x1, y1).
Nothing here opens a model; the layouts are those of YOLOX, of ultralytics' YOLOv8 exports, of the DETR family and of
MediaPipe's BlazePose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tiktokactions.records import PersonBox

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Family = Literal["yolox", "yolov8", "end-to-end", "detr"]
"""The kinds of ONNX detectors; ``end-to-end`` exports do their own non-maximum suppression, and ``detr`` needs none."""


@dataclass(frozen=True)
class Letterbox:
    """Where a picture lies on the canvas that a model sees: ``canvas = picture * scale + (left, top)``."""

    scale: float
    left: int
    top: int


def letterbox(
    image_bgr: Image, height: int, width: int, fill: int = 114, centred: bool = True
) -> tuple[Image, Letterbox]:
    """Fit a picture into a canvas of ``height`` x ``width`` without changing its shape; ``fill`` fills the rest.

    Centred as YOLOv8 and MediaPipe do it, or in the top left corner as YOLOX does. Both round like their originals.
    """
    rows, columns = image_bgr.shape[:2]
    scale = min(height / rows, width / columns)
    as_int = round if centred else int
    new_rows, new_columns = max(1, as_int(rows * scale)), max(1, as_int(columns * scale))
    resized = cv2.resize(image_bgr, (new_columns, new_rows), interpolation=cv2.INTER_LINEAR)
    top = max(0, round((height - new_rows) / 2 - 0.1)) if centred else 0
    left = max(0, round((width - new_columns) / 2 - 0.1)) if centred else 0
    canvas: Image = np.full((height, width, 3), fill, np.uint8)
    canvas[top : top + new_rows, left : left + new_columns] = resized
    return canvas, Letterbox(scale, left, top)


def keep_best(boxes_xyxy: Floats, scores: Floats, iou: float, least: float = 0.0) -> NDArray[np.intp]:
    """Non-maximum suppression among the boxes that score at ``least`` this: indices of those that stay, best first.

    Of two boxes that overlap by more than ``iou`` (intersection over union) the lower-scored goes.
    """
    x0, y0, x1, y1 = boxes_xyxy.T
    areas = np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)
    order = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores >= least)]
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        wide = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest])
        high = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest])
        shared = np.maximum(wide, 0) * np.maximum(high, 0)
        order = rest[shared <= iou * (areas[best] + areas[rest] - shared)]
    return np.array(kept, np.intp)


def people_in_picture(boxes_xyxy: Floats, scores: Floats, box: Letterbox, image_bgr: Image) -> tuple[PersonBox, ...]:
    """Boxes on the canvas (N, 4), best first, as people in the picture: clipped to it, and left out if outside it."""
    height, width = image_bgr.shape[:2]
    offset, limit = np.array([[box.left, box.top] * 2, [width, height] * 2], np.float32)
    inside = np.clip((boxes_xyxy - offset) / box.scale, 0, limit)
    return tuple(
        PersonBox((float(x0), float(y0), float(x1), float(y1)), min(1.0, float(score)))
        for (x0, y0, x1, y1), score in zip(inside, scores, strict=True)
        if x1 > x0 and y1 > y0
    )


# --- YOLOX and YOLOv8 ------------------------------------------------------------------------------------------------


def family_of(shape: Sequence[int], height: int, width: int) -> Family | None:
    """The family that gives an output of this shape for a canvas of ``height`` x ``width``; None if no family does."""
    if len(shape) != 3:
        return None
    _, rows, columns = shape
    if rows == len(yolox_grid(height, width)) and columns >= 6:
        return "yolox"
    if columns > rows >= 5:
        return "yolov8"
    return "end-to-end" if columns == 6 else None


def yolox_grid(height: int, width: int) -> Floats:
    """Column, row and stride of every cell of the levels with strides 8, 16 and 32: (N, 3)."""
    levels = []
    for stride in (8, 16, 32):
        y, x = np.mgrid[0 : height // stride, 0 : width // stride]
        levels.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], axis=1))
    return np.concatenate(levels).astype(np.float32)


def decode_yolox(output: Floats, grid: Floats | None, person: int = 0) -> tuple[Floats, Floats]:
    """Boxes (N, 4) on the canvas and person scores (N,) of one YOLOX output (N, 5 + C).

    A row is centre x, y, width, height, objectness, class scores. With a ``grid``, the first four are offsets from the
    cell and logarithms of the size, in units of the stride; without one, the export has already decoded them.
    """
    centre, size = output[:, :2], output[:, 2:4]
    if grid is not None:
        centre = (centre + grid[:, :2]) * grid[:, 2:]
        size = np.exp(size) * grid[:, 2:]
    scores = output[:, 4] * output[:, 5 + person]
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1), scores


def decode_yolov8(output: Floats, classes: int, person: int = 0) -> tuple[Floats, Floats]:
    """Boxes (N, 4) on the canvas and person scores (N,) of one YOLOv8 output (4 + C or more, N).

    A column is centre x, y, width, height in pixels, then class scores (then masks or keypoints, not used here). As in
    ultralytics, the score is 0 where another class is likelier.
    """
    centre, size, scores = output[:2], output[2:4], output[4 : 4 + classes]
    likeliest = np.where(scores.argmax(axis=0) == person, scores[person], np.float32(0))
    return np.concatenate([centre - size / 2, centre + size / 2]).T, likeliest


def decode_end_to_end(output: Floats, person: int = 0) -> tuple[Floats, Floats]:
    """Boxes (N, 4) on the canvas and person scores (N,) of rows ``x0, y0, x1, y1, score, class`` (N, 6)."""
    return output[:, :4], np.where(output[:, 5].round() == person, output[:, 4], np.float32(0))


# --- DETR ------------------------------------------------------------------------------------------------------------

COCO_IDS = 91
"""Classes of a model that counts them by COCO's own ids, of which 0 is nobody and 1 a person."""
LARGEST_SHARE = 2.0
"""Boxes with larger numbers are in pixels, not in shares of the picture."""


def detr_roles(outputs: Sequence[NDArray[Any]], names: Sequence[str]) -> dict[str, int] | None:
    """Which output is which, by shape, type and, where that leaves a doubt, name; None if these are not a DETR's.

    D-FINE, DEIM, DEIMv2 and RT-DETR end in ``labels`` (B, Q), whole numbers, ``boxes`` (B, Q, 4) in pixels of the sizes given
    to the model, and ``scores`` (B, Q). RF-DETR ends in ``dets`` (B, Q, 4), centre and size as shares of the picture, and
    ``labels`` (B, Q, C), logits; Hugging Face's exports in ``logits`` and ``pred_boxes`` of the same kind.
    """
    whole = [i for i, output in enumerate(outputs) if output.ndim == 2 and np.issubdtype(output.dtype, np.integer)]
    flat = [i for i, output in enumerate(outputs) if output.ndim == 2 and np.issubdtype(output.dtype, np.floating)]
    deep = [i for i, output in enumerate(outputs) if output.ndim == 3]
    fours = sorted(
        (i for i in deep if outputs[i].shape[2] == 4), key=lambda i: not names[i].endswith(("dets", "boxes"))
    )
    if len(whole) == len(flat) == len(deep) == len(fours) == 1:
        return {"labels": whole[0], "boxes": fours[0], "scores": flat[0]}
    if len(deep) == 2 and fours and not whole and not flat and np.abs(outputs[fours[0]]).max() <= LARGEST_SHARE:
        return {"boxes": fours[0], "logits": next(i for i in deep if i != fours[0])}
    return None


def decode_detr(labels: NDArray[Any], scores: Floats, person: int) -> Floats:
    """Person scores (Q,) of one output that names a class for each of its boxes."""
    return np.where(labels == person, scores, np.float32(0))


def decode_detr_logits(dets: Floats, logits: Floats, size_wh: tuple[int, int], person: int) -> tuple[Floats, Floats]:
    """Boxes (Q, 4) in pixels of a picture and person scores (Q,) from shares (Q, 4) and logits (Q, C)."""
    centre, half = dets[:, :2], dets[:, 2:] / 2
    scores = 1 / (1 + np.exp(-np.clip(logits[:, person], -80, 80)))
    size = np.array(size_wh * 2, np.float32)
    return np.concatenate([centre - half, centre + half], axis=1) * size, scores.astype(np.float32)


# --- BlazePose -----------------------------------------------------------------------------------------------------

BLAZEPOSE_SIDE = 224  # pixels, the model's canvas


def blazepose_anchors() -> Floats:
    """Centres (2254, 2) of the model's anchors, 0 to 1: two per cell of 28x28 and 14x14, six per cell of 7x7."""
    levels = []
    for stride, per_cell in ((8, 2), (16, 2), (32, 6)):
        cells = BLAZEPOSE_SIDE // stride
        y, x = np.mgrid[0:cells, 0:cells]
        levels.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1) + 0.5, per_cell, axis=0) / cells)
    return np.concatenate(levels).astype(np.float32)


def decode_blazepose(raw: Floats, logits: Floats, anchors: Floats) -> tuple[Floats, Floats, Floats]:
    """Face boxes (N, 4), keypoints (N, 4, 2) and scores (N,) on the 224-pixel canvas from (N, 12) and (N,).

    The keypoints are those of MediaPipe's pose detection: centre of the hips, a point on the circle around the whole
    body, centre of the shoulders, a point on the circle around the upper body.
    """
    origin = anchors * BLAZEPOSE_SIDE
    centre, size = raw[:, :2] + origin, raw[:, 2:4]
    keypoints: Floats = raw[:, 4:].reshape(-1, 4, 2) + origin[:, None]
    scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))  # beyond 80 the exponential overflows
    faces_xyxy = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    return faces_xyxy, keypoints, scores.astype(np.float32)


def body_boxes(keypoints: Floats) -> Floats:
    """Boxes (N, 4) around whole bodies from BlazePose keypoints (N, 4, 2).

    MediaPipe takes the square around the circle, turned along the body. People are slimmer: with half its breadth a box
    covers 94 % of what YOLOX boxes of the same people cover (the square 97 %), at an IoU of 0.62 instead of 0.49.
    """
    hips = keypoints[:, 0]
    radius = np.linalg.norm(keypoints[:, 1] - hips, axis=1, keepdims=True)
    along = np.abs(keypoints[:, 1] - hips) / np.maximum(radius, 1e-6)  # the body's direction: (0, 1) is upright
    reach = radius * np.minimum(1, along + along[:, ::-1] / 2)
    return np.concatenate([hips - reach, hips + reach], axis=1).astype(np.float32)


BODY_SIDE = 256  # pixels, the landmark model's canvas
BODY_ROOM = 1.25  # MediaPipe's: the square is that much larger than the circle around the body


def body_picture(image_bgr: Image, keypoints: Floats) -> Image:
    """The square around a body, turned upright, as the landmark model sees it, from its detection's keypoints (4, 2)."""
    hips, ahead = keypoints[0], keypoints[1] - keypoints[0]
    radius = max(float(np.linalg.norm(ahead)), 1.0)
    right, down = np.array([-ahead[1], ahead[0]]) / radius, -ahead / radius
    turn = np.stack([right, down]) * (BODY_SIDE / (2 * BODY_ROOM * radius))
    matrix = np.concatenate([turn, (BODY_SIDE / 2 - turn @ hips)[:, None]], axis=1)
    return np.asarray(cv2.warpAffine(image_bgr, matrix, (BODY_SIDE, BODY_SIDE)), np.uint8)
