"""Pictures: decoded frames made small, upright and comparable.

A *picture* is planar I420 in limited range, uint8 ``(height * 3 // 2, width)``, both sides even: the luma of ``height``
rows, then the two quarter-size chroma planes. Decoders produce it and encoders take it, and it needs half the memory of BGR.
"""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, VideoReformatter

from tiktokactions.video.colour import HDR, MATRIX_NAMES, UNSPECIFIED, to_standard_range

_PLANAR_8_BIT = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"}


def even(pixels: float) -> int:
    """The nearest even number, at least 2: chroma planes are half as large."""
    return max(2, round(pixels / 2) * 2)


def fit_size(
    width: int, height: int, *, long_side: int | None = None, short_side: int | None = None
) -> tuple[int, int]:
    """Even width and height with the given long or short side, never enlarged."""
    scale = 1.0
    if long_side is not None:
        scale = min(1.0, long_side / max(width, height))
    elif short_side is not None:
        scale = min(1.0, short_side / min(width, height))
    return even(width * scale), even(height * scale)


class AnalysisScaler:
    """Shrinks frames for scene detection: BGR ``(height, width, 3)`` and luma ``(height, width)``, uint8.

    It samples the nearest pixels and converts with the same routine as OpenCV's video reader does at full size, since
    PySceneDetect's thresholds are tuned to that: averaging before sampling, or rounding colours more exactly, moves cuts.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = width, height
        self._to_bgr = VideoReformatter()
        self._small = {name: av.VideoFrame(width, height, name) for name in ("yuv420p", "yuvj420p")}

    def __call__(self, picture: av.VideoFrame) -> tuple[np.ndarray, np.ndarray]:
        picture = _planar(picture, *self._size)
        small = self._small["yuvj420p" if _is_full_range(picture) else "yuv420p"]
        for plane, target in zip(picture.planes, small.planes, strict=True):
            pixels = plane_pixels(target)
            cv2.resize(plane_pixels(plane), pixels.shape[::-1], dst=pixels, interpolation=cv2.INTER_LINEAR)
        bgr = self._to_bgr.reformat(small, format="bgr24")
        return packed_pixels(bgr), plane_pixels(small.planes[0]).copy()


def _planar(picture: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """The frame itself if its planes are 8-bit luma and chroma, else converted (10-bit, RGB, palette, alpha ...). High
    dynamic range is made small first, since its conversion is slow."""
    if picture.color_trc in HDR:
        return to_standard_range(picture.reformat(width, height))
    if picture.format.name in _PLANAR_8_BIT:
        return picture
    return picture.reformat(format="yuvj420p" if _is_full_range(picture) else "yuv420p")


def _is_full_range(picture: av.VideoFrame) -> bool:
    return picture.format.name.startswith("yuvj") or picture.color_range == ColorRange.JPEG


def shrink(picture: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """A decoded frame as a picture ``(height * 3 // 2, width)`` (see above), not yet turned upright.

    Averages before it samples: for clips, thumbnails and detection. Of interlaced frames only the upper field is taken:
    the two show different moments.
    """
    is_interlaced = picture.interlaced_frame
    picture = _planar(picture, width, height)
    out = np.empty((height * 3 // 2, width), np.uint8)
    for plane, target in zip(picture.planes, split_planes(out), strict=True):
        pixels = plane_pixels(plane)
        _resize(pixels[::2] if is_interlaced and len(pixels) > 1 else pixels, target)
    if _is_full_range(picture):
        cv2.convertScaleAbs(out[:height], out[:height], 219 / 255, 16)  # half the time of a table, and the same
        cv2.convertScaleAbs(out[height:], out[height:], 224 / 255, 128 - 128 * 224 / 255)
    return out


def plane_pixels(plane: VideoPlane) -> np.ndarray:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def packed_pixels(picture: av.VideoFrame) -> np.ndarray:
    """The pixels of an RGB or BGR frame, uint8 ``(height, width, 3)``, as a view."""
    plane = picture.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : 3 * plane.width].reshape(plane.height, plane.width, 3)


def _resize(source: np.ndarray, target: np.ndarray) -> None:
    height, width = target.shape
    # Halving by averaging is vectorised; OpenCV's area filter for odd ratios is ten times slower.
    while source.shape[0] >= 2 * height and source.shape[1] >= 2 * width:
        half = (source.shape[1] // 2, source.shape[0] // 2)
        source = cv2.resize(source[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA)
    cv2.resize(source, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)


def upright(picture: np.ndarray, rotation: int, mirrored: bool = False) -> np.ndarray:
    """Turn a picture clockwise by 0, 90, 180 or 270 degrees, then mirror it left to right."""
    if not rotation and not mirrored:
        return picture
    planes = [np.ascontiguousarray(plane) for plane in split_planes(picture)]
    if rotation:
        turn = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}[rotation]
        planes = [cv2.rotate(plane, turn) for plane in planes]
    if mirrored:
        planes = [cv2.flip(plane, 1) for plane in planes]
    height, width = planes[0].shape
    return np.concatenate([p.reshape(-1) for p in planes]).reshape(height * 3 // 2, width)


def split_planes(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Luma ``(h, w)`` and the two chroma planes ``(h/2, w/2)`` of a picture, as views."""
    width = picture.shape[1]
    height = picture.shape[0] * 2 // 3
    flat = picture.reshape(-1)
    quarter = height * width // 4
    chroma = flat[height * width :].reshape(2, height // 2, width // 2) if quarter else flat[:0].reshape(2, 0, 0)
    return picture[:height], chroma[0], chroma[1]


def to_bgr(picture: np.ndarray, matrix: int = UNSPECIFIED) -> np.ndarray:
    """A picture as BGR uint8 ``(height, width, 3)``. ``matrix``: the one it is coded with
    (:class:`tiktokactions.video.colour.Colour`)."""
    if MATRIX_NAMES.get(matrix, "bt601") == "bt601":
        return cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420)
    frame = to_frame(picture)
    frame.colorspace = matrix
    return packed_pixels(VideoReformatter().reformat(frame, format="bgr24", threads=1))


def to_frame(picture: np.ndarray) -> av.VideoFrame:
    frame = av.VideoFrame(picture.shape[1], picture.shape[0] * 2 // 3, "yuv420p")
    for plane, source in zip(frame.planes, split_planes(picture), strict=True):
        plane_pixels(plane)[:] = source
    frame.color_range = ColorRange.MPEG
    return frame
