"""Detectors: each opens a weight file, with one session and one CPU thread, and gives the function that finds people.

Heavy packages are imported in the functions that need them.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tiktokactions.curation import boxes
from tiktokactions.curation.boxes import BLAZEPOSE_SIDE, Family, Image, keep_best, letterbox, people_in_picture
from tiktokactions.curation.weights import BLAZEPOSE_BYTES, DetectorError
from tiktokactions.records import PersonBox

Detect = Callable[[Sequence[Image]], list[tuple[PersonBox, ...]]]
"""From pictures (uint8 BGR, any sizes) to the people in each: boxes in that picture's pixels, inside it, best first."""

SIZE_TYPES = {"tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(float)": "float32"}
FloatType = type[np.float16] | type[np.float32]

KEEP_SCORE = 0.05
"""Boxes are kept from this score on, so that the threshold can be changed later without decoding again."""

CUDA_BATCH = 16
"""Pictures at a time on a GPU. On a CPU it is one: with one thread a batch is no faster and needs more memory."""


# --- ONNX: YOLOX, YOLOv8 and DETR ----------------------------------------------------------------------------------------

# As in YOLOX's own ONNX demo and ultralytics' default; end-to-end models leave nothing to suppress.
NMS_IOU: dict[Family, float] = {"yolox": 0.45, "yolov8": 0.7, "end-to-end": 1.0, "detr": 1.0}
# The canvas in pixels for models that take any size and do not say which they were trained with.
UNKNOWN_SIZE: dict[Family, int] = {"yolox": 416, "yolov8": 640, "end-to-end": 640, "detr": 640}
# Mean and deviation of ImageNet's colours (RGB), which DINO's backbones expect.
IMAGENET_RGB = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)


@dataclass(frozen=True)
class OnnxModel:
    """An open ONNX detector and what it says of itself; ``height`` and ``width`` are those of its canvas in pixels."""

    session: Any
    input_name: str
    dtype: FloatType
    batch: int | None
    """Pictures at a time; None if the model takes any number."""
    height: int
    width: int
    any_size: bool
    """True if the canvas may be smaller (a multiple of 32), so that no time goes into padding."""
    family: Family
    decoded: bool
    """True if YOLOX boxes are in pixels, False if they are offsets in the grid."""
    classes: int
    person: int
    roles: dict[str, int]
    """Of a DETR: the place of each of its outputs (:func:`~tiktokactions.curation.boxes.detr_roles`)."""
    sizes: tuple[str, str] | None
    """Name and type of a second input that takes width and height of the pictures."""
    normalised: bool
    """True if colours are to be normalised as ImageNet's."""


def load_onnx(path: Path, providers: Sequence[str] = ("CPUExecutionProvider",)) -> OnnxModel:
    """Open a model and find out from its shapes and one blank picture which family it belongs to.

    Raises:
        DetectorError: not a readable ONNX file, or of no known family; the message gives the shapes.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

    # onnxruntime's errors have no base class in common.
    ort_errors = tuple(e for e in vars(ort_state).values() if isinstance(e, type) and issubclass(e, Exception))
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 4  # problems come as exceptions, nothing goes to stderr
    try:
        session = onnxruntime.InferenceSession(str(path), settings, providers=list(providers))
        # DEIMv2 normalises colours where its backbone is DINOv3, which nothing but the names in the file tells.
        return _learn_family(session, str(path), normalised=b"dinov3" in path.read_bytes())
    except ort_errors as error:
        raise DetectorError(f"{path}: onnxruntime cannot use it: {str(error).strip()}") from error


def _learn_family(session: Any, where: str, normalised: bool) -> OnnxModel:
    takes, metadata = session.get_inputs()[0], session.get_modelmeta().custom_metadata_map
    # Sides that the model leaves open are names or None.
    batch, channels, fixed_h, fixed_w = (
        [side if isinstance(side, int) else None for side in takes.shape] if len(takes.shape) == 4 else [None, 0, 0, 0]
    )
    dtypes: dict[str, FloatType] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    if channels not in (3, None) or takes.type not in dtypes:
        raise DetectorError(f"{where}: takes {takes.shape} {takes.type}, expected floats [batch, 3, height, width]")
    trained = _literal(metadata, "imgsz", list) or [None, None]
    others = session.get_inputs()[1:]
    sizes = (others[0].name, SIZE_TYPES.get(others[0].type, "int64")) if others else None
    unknown = 640 if others else 416  # a second input is a DETR's
    height, width = fixed_h or trained[0] or unknown, fixed_w or trained[-1] or unknown
    blank = np.full((batch or 1, 3, height, width), 0.5, dtypes[takes.type])
    outputs = session.run(None, {takes.name: blank} | _sizes_input(sizes, [(width, height)] * len(blank)))
    names_out = [told.name for told in session.get_outputs()]
    output, roles = outputs[0], boxes.detr_roles(outputs, names_out)
    family = "detr" if roles else boxes.family_of(output.shape, height, width)
    if family is None:
        raise DetectorError(
            f"{where}: takes {takes.shape}, and for {list(blank.shape)} gives {list(output.shape)}. Expected YOLOX"
            f" [batch, {len(boxes.yolox_grid(height, width))}, 5 + classes], YOLOv8 [batch, 4 + classes, boxes],"
            " end-to-end [batch, boxes, 6], or a DETR's labels, boxes and scores, or boxes and logits. Export the model in"
            " one of these, or use the `detector` ultralytics:WEIGHTS."
        )
    names = _literal(metadata, "names", dict) or {}
    person = person_class(names, where)
    if roles and "logits" in roles and not names:
        person = int(outputs[roles["logits"]].shape[2] == boxes.COCO_IDS)
    return OnnxModel(
        session=session,
        input_name=takes.name,
        dtype=dtypes[takes.type],
        batch=batch,
        height=fixed_h or trained[0] or UNKNOWN_SIZE[family],
        width=fixed_w or trained[-1] or UNKNOWN_SIZE[family],
        any_size=fixed_h is None and fixed_w is None,
        family=family,
        # Offsets stay within a few cells, whereas centres in pixels spread over the canvas.
        decoded=family == "yolox" and bool(np.median(output[0, :, 0]) > 4),
        classes=len(names) or output.shape[1] - 4,
        person=person,
        roles=roles or {},
        sizes=sizes,
        normalised=normalised or "dets" in names_out,  # RF-DETR, whose backbone is DINOv2
    )


def _sizes_input(sizes: tuple[str, str] | None, sizes_wh: Sequence[tuple[int, int]]) -> dict[str, np.ndarray]:
    return {} if sizes is None else {sizes[0]: np.array(sizes_wh, sizes[1])}


def _literal(metadata: dict[str, str], key: str, kind: type) -> Any:
    """A value that ultralytics writes into its exports as Python source (``imgsz``, ``names``); None if it is missing."""
    try:
        value = ast.literal_eval(metadata.get(key, "None"))
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, kind) else None


def person_class(names: dict[int, str], where: str) -> int:
    """The index of the class ``person``; 0, as in COCO, if the model names at most one class.

    Raises:
        DetectorError: the model names several classes and none of them is ``person``.
    """
    for index, name in names.items():
        if str(name).casefold() == "person":
            return int(index)
    if len(names) > 1:
        some = ", ".join(map(str, list(names.values())[:8]))
        raise DetectorError(f"{where}: has no class 'person' among its {len(names)} classes ({some} ...)")
    return 0


def open_onnx(path: Path) -> Detect:
    """Open an ONNX detector, on CUDA if onnxruntime has it, else with one CPU thread."""
    import onnxruntime

    usable = onnxruntime.get_available_providers()
    model = load_onnx(path, [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in usable])
    on_cuda = model.session.get_providers()[0] == "CUDAExecutionProvider"
    batch = model.batch or (CUDA_BATCH if on_cuda else 1)

    def detect(images_bgr: Sequence[Image]) -> list[tuple[PersonBox, ...]]:
        people: list[tuple[PersonBox, ...]] = []
        for canvas, alike in itertools.groupby(images_bgr, key=lambda image: _canvas_size(model, image)):
            while images := list(itertools.islice(alike, batch)):
                people += _run_detr(model, images) if model.roles else _run_onnx(model, images, *canvas)
        return people

    return detect


def _canvas_size(model: OnnxModel, image_bgr: Image) -> tuple[int, int]:
    """Height and width of the canvas for a picture: the model's, or just large enough if it takes any size."""
    if not model.any_size or model.roles:
        return model.height, model.width
    rows, columns = image_bgr.shape[:2]
    scale = min(model.height / rows, model.width / columns)
    height, width = (max(32, -(-round(side * scale) // 32) * 32) for side in (rows, columns))
    return height, width


def _run_detr(model: OnnxModel, images_bgr: Sequence[Image]) -> list[tuple[PersonBox, ...]]:
    """As :func:`_run_onnx`. These models are trained on pictures that are squeezed to the canvas."""
    canvases = np.zeros((model.batch or len(images_bgr), 3, model.height, model.width), model.dtype)
    for i, image in enumerate(images_bgr):
        canvas = cv2.resize(image, (model.width, model.height), interpolation=cv2.INTER_LINEAR)[..., ::-1] / 255.0
        canvas = (canvas - IMAGENET_RGB[0]) / IMAGENET_RGB[1] if model.normalised else canvas
        canvases[i] = canvas.transpose(2, 0, 1)
    sizes_wh = [(image.shape[1], image.shape[0]) for image in images_bgr]
    sizes_wh += sizes_wh[-1:] * (len(canvases) - len(images_bgr))
    outputs = model.session.run(None, {model.input_name: canvases} | _sizes_input(model.sizes, sizes_wh))

    people = []
    for i, image in enumerate(images_bgr):
        told = {name: outputs[place][i] for name, place in model.roles.items()}
        boxes_xyxy = told["boxes"].astype(np.float32)
        if "logits" in told:
            logits = told["logits"].astype(np.float32)
            boxes_xyxy, scores = boxes.decode_detr_logits(boxes_xyxy, logits, sizes_wh[i], model.person)
        else:
            scores = boxes.decode_detr(told["labels"], told["scores"].astype(np.float32), model.person)
        best = keep_best(boxes_xyxy, scores, NMS_IOU[model.family], KEEP_SCORE)
        people.append(people_in_picture(boxes_xyxy[best], scores[best], boxes.Letterbox(1.0, 0, 0), image))
    return people


def _run_onnx(model: OnnxModel, images_bgr: Sequence[Image], height: int, width: int) -> list[tuple[PersonBox, ...]]:
    """The people in pictures that share a canvas size; at most a batch of them."""
    is_yolox = model.family == "yolox"
    fitted = [letterbox(image, height, width, centred=not is_yolox) for image in images_bgr]
    canvases = np.zeros((model.batch or len(fitted), 3, height, width), model.dtype)
    for i, (canvas, _) in enumerate(fitted):
        # YOLOX sees BGR from 0 to 255, ultralytics' models RGB from 0 to 1.
        canvases[i] = canvas.transpose(2, 0, 1) if is_yolox else canvas[..., ::-1].transpose(2, 0, 1) / 255.0
    outputs = model.session.run(None, {model.input_name: canvases})[0].astype(np.float32)

    grid = None if model.decoded else boxes.yolox_grid(height, width)
    people = []
    for output, (_, placed), image in zip(outputs[: len(fitted)], fitted, images_bgr, strict=True):
        if is_yolox:
            boxes_xyxy, scores = boxes.decode_yolox(output, grid, model.person)
        elif model.family == "yolov8":
            boxes_xyxy, scores = boxes.decode_yolov8(output, model.classes, model.person)
        else:
            boxes_xyxy, scores = boxes.decode_end_to_end(output, model.person)
        best = keep_best(boxes_xyxy, scores, NMS_IOU[model.family], KEEP_SCORE)
        people.append(people_in_picture(boxes_xyxy[best], scores[best], placed, image))
    return people


# --- BlazePose -----------------------------------------------------------------------------------------------------

FACE_IOU = 0.3  # of MediaPipe's graph
BLAZEPOSE_KEEP_SCORE = 0.3
"""Whoever the first model gives less is not looked at by the second, which takes four times as long, and is not kept."""
BLAZEPOSE_MOST = 3
"""Of more people in a picture only the surest are kept."""


def open_blazepose(path: Path) -> Detect:
    """Open BlazePose's two models with LiteRT and one CPU thread.

    The score of a person is the lower of two: that of the detector, which takes bottles and rockets for people too, and
    the landmark model's, which is asked whether a whole body lies where the detector says.
    """
    data, cut = path.read_bytes(), BLAZEPOSE_BYTES[0]
    with _silent_stderr():  # LiteRT announces its delegate there
        from ai_edge_litert.interpreter import Interpreter

        interpreter, second = (Interpreter(model_content=part, num_threads=1) for part in (data[:cut], data[cut:]))
        interpreter.allocate_tensors()
        second.allocate_tensors()
    picture, body = (model.get_input_details()[0]["index"] for model in (interpreter, second))
    outputs = {int(output["shape"][-1]): output["index"] for output in interpreter.get_output_details()}
    presence = next(o["index"] for o in second.get_output_details() if tuple(o["shape"]) == (1, 1))
    anchors = boxes.blazepose_anchors()

    def agreed(image: Image, keypoints: boxes.Floats) -> float:
        second.set_tensor(body, boxes.body_picture(image, keypoints)[None, ..., ::-1].astype(np.float32) / 255)
        second.invoke()
        return float(second.get_tensor(presence)[0, 0])

    def detect(images_bgr: Sequence[Image]) -> list[tuple[PersonBox, ...]]:
        people = []
        for image in images_bgr:
            canvas, placed = letterbox(image, BLAZEPOSE_SIDE, BLAZEPOSE_SIDE, fill=0)
            interpreter.set_tensor(picture, canvas[None, ..., ::-1].astype(np.float32) / 127.5 - 1)
            interpreter.invoke()
            raw, logits = interpreter.get_tensor(outputs[12])[0], interpreter.get_tensor(outputs[1])[0, :, 0]
            faces_xyxy, keypoints, scores = boxes.decode_blazepose(raw, logits, anchors)
            # By faces, as MediaPipe does it, since the bodies of two people side by side overlap much more.
            best = keep_best(faces_xyxy, scores, FACE_IOU, BLAZEPOSE_KEEP_SCORE)[:BLAZEPOSE_MOST]
            in_picture = (keypoints[best] - (placed.left, placed.top)) / placed.scale
            both = np.array([min(score, agreed(image, k)) for score, k in zip(scores[best], in_picture, strict=True)])
            order = np.argsort(-both, kind="stable")[: np.count_nonzero(both >= KEEP_SCORE)]
            people.append(people_in_picture(boxes.body_boxes(keypoints[best[order]]), both[order], placed, image))
        return people

    return detect


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Silence native code that writes to standard error and has no switch for it."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


# --- ultralytics ---------------------------------------------------------------------------------------------------

ULTRALYTICS_LONG_SIDE = 640  # pixels, ultralytics' own default


def open_ultralytics(path: Path) -> Detect:
    """Open a model with ultralytics, which chooses CUDA if there is a device, else one CPU thread."""
    # Before the import: no telemetry, no search for updates, no package installed behind the user's back.
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    import torch
    from ultralytics import YOLO

    torch.set_num_threads(1)  # one worker process per core
    model = YOLO(str(path))
    person = person_class(model.names, str(path))
    batch = CUDA_BATCH if torch.cuda.is_available() else 1
    settings = {"conf": KEEP_SCORE, "imgsz": ULTRALYTICS_LONG_SIDE, "classes": [person], "verbose": False}

    def detect(images_bgr: Sequence[Image]) -> list[tuple[PersonBox, ...]]:
        people = []
        for start in range(0, len(images_bgr), batch):
            images = list(images_bgr[start : start + batch])
            for image, result in zip(images, model.predict(images, **settings), strict=True):
                boxes_xyxy, scores = result.boxes.xyxy.cpu().numpy(), result.boxes.conf.cpu().numpy()
                best = np.argsort(-scores, kind="stable")
                people.append(people_in_picture(boxes_xyxy[best], scores[best], boxes.Letterbox(1.0, 0, 0), image))
        return people

    return detect
