"""Colours: which matrix a picture was made with, and high dynamic range brought to BT.709.

Numbers are those of ITU-T H.273, as FFmpeg has them.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

BT709, UNSPECIFIED, BT601 = 1, 2, 6
MATRIX_NAMES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
HDR = {16: "pq", 18: "hlg"}
"""Transfer characteristics of high dynamic range: SMPTE ST 2084, and the hybrid log-gamma of ITU-R BT.2100."""

WHITE_NITS = 203.0
"""Reference white in high dynamic range (ITU-R BT.2408), which becomes nearly the white of BT.709."""
KNEE = 0.75
"""Light above this share of white is compressed instead of cut off."""
DISPLAY_GAMMA = 2.4  # ITU-R BT.1886
LEVELS = 4096
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""Linear light with the primaries of BT.2020 in those of BT.709 (ITU-R BT.2087)."""


class Colour(NamedTuple):
    """How the pictures are coded that are made of a frame (:func:`tiktokactions.video.pictures.shrink`)."""

    matrix: int = UNSPECIFIED
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    hdr: str = ""
    """``pq`` or ``hlg`` where the frame was one; its picture is BT.709."""

    @property
    def matrix_name(self) -> str:
        """Empty where the file does not say: BT.601, for lack of better knowledge, as in FFmpeg."""
        return MATRIX_NAMES.get(self.matrix, "")


def matrix_named(name: str) -> int:
    """The number of a record's ``color_matrix``."""
    return next((number for number, known in MATRIX_NAMES.items() if known == name), UNSPECIFIED)


def colour_of(frame: av.VideoFrame) -> Colour:
    if frame.color_trc in HDR:
        return Colour(BT709, BT709, BT709, HDR[frame.color_trc])
    is_rgb = frame.format.is_rgb or frame.format.has_palette
    return Colour(BT601 if is_rgb else int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc))


def to_standard_range(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame in PQ or HLG as yuv420p in BT.709."""
    rgb = VideoReformatter().reformat(frame, format="rgb48le", threads=1).to_ndarray()
    coded = np.asarray(rgb, np.uint16) // (65536 // LEVELS)
    light = np.take(_light(HDR[frame.color_trc]), coded)
    if HDR[frame.color_trc] == "hlg":  # what a display of 1000 nits makes of the scene's light
        scene = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= (np.maximum(scene, 1e-6) ** 0.2 * (1000 / WHITE_NITS))[..., None]
    light = cv2.transform(light, _TO_BT709)
    brightest = light.max(axis=2)
    over = brightest > KNEE
    held = KNEE + (1 - KNEE) * (1 - np.exp((KNEE - brightest[over]) / (1 - KNEE)))
    light[over] *= (held / brightest[over])[:, None]
    shown_rgb = np.take(_codes(), (np.clip(light, 0, 1) * (LEVELS - 1) + 0.5).astype(np.uint16))
    shown = av.VideoFrame.from_ndarray(shown_rgb, format="rgb24")
    shown = VideoReformatter().reformat(
        shown, format="yuv420p", dst_colorspace=BT709, dst_color_range="MPEG", threads=1
    )
    shown.colorspace = BT709
    return shown


@functools.cache
def _light(kind: str) -> np.ndarray:
    """Linear light of each code of :data:`LEVELS`: in shares of white for PQ, of the scene's brightest for HLG."""
    code = np.linspace(0, 1, LEVELS)
    if kind == "pq":
        power = code ** (1 / 78.84375)
        linear = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        return np.asarray(linear * (10_000 / WHITE_NITS), np.float32)
    above = (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.asarray(np.where(code <= 0.5, code**2 / 3, above), np.float32)


@functools.cache
def _codes() -> np.ndarray:
    """The 8-bit code of each level of linear light."""
    return np.rint(np.linspace(0, 1, LEVELS) ** (1 / DISPLAY_GAMMA) * 255).astype(np.uint8)
