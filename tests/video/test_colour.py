"""Patches of known colours: clips, pictures and training show them as the source means them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.made_videos import video_stream
from tiktokactions.video import ClipReader, ClipSettings, VideoFile, cut_clip

PATCHES = [(200, 60, 60), (60, 200, 60), (60, 60, 200), (128, 128, 128), (235, 220, 60)]
SIDE = 32
RGB = np.concatenate([np.full((SIDE, SIDE, 3), patch, np.uint8) for patch in PATCHES], axis=1)
BT2020_FROM_709 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def stored(pixels: str, matrix: int, full_range: bool) -> av.VideoFrame:
    made = av.VideoFrame.from_ndarray(RGB)
    if pixels == "gbrp":
        return made.reformat(format=pixels)
    return made.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=2 if full_range else 1)


def in_hdr(transfer: int, white_nits: float = 203) -> av.VideoFrame:
    """The patches as light of a display on which white has ``white_nits``, in PQ (16) or HLG (18), BT.2020, 10 bits."""
    nits = (RGB / 255.0) ** 2.4 @ BT2020_FROM_709.T * white_nits
    if transfer == 16:
        power = (nits / 10_000) ** 0.1593017578125
        coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        luma = nits @ (0.2627, 0.678, 0.0593) / 1000
        scene = nits / 1000 * (luma ** (-0.2 / 1.2))[..., None]
        coded = np.where(
            scene <= 1 / 12,
            np.sqrt(3 * scene),
            0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
        )
    y = coded @ (0.2627, 0.678, 0.0593)
    planes = 64 + 876 * y, 512 + 896 * (coded[..., 2] - y) / 1.8814, 512 + 896 * (coded[..., 0] - y) / 1.4746
    frame = av.VideoFrame(RGB.shape[1], RGB.shape[0], "yuv420p10le")
    for plane, values in zip(frame.planes, (planes[0], planes[1][::2, ::2], planes[2][::2, ::2]), strict=True):
        lines = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        lines[:, : plane.width] = np.rint(values)
        plane.update(lines.tobytes())
    return frame


def write(path: Path, frame: av.VideoFrame, tags: tuple[int, int, int], full_range: bool, codec: str) -> Path:
    with av.open(str(path), "w") as out:
        size = frame.width, frame.height
        options = {"x265-params": "log-level=none:qp=4"} if codec == "libx265" else {"crf": "2"}
        stream = video_stream(out, codec, 10, size, frame.format.name, preset="ultrafast", **options)
        context = stream.codec_context
        context.color_range = 2 if full_range else 1
        context.colorspace, context.color_primaries, context.color_trc = tags
        for number in range(6):
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def patches_of(rgb: np.ndarray) -> np.ndarray:
    """(5, 3): the colour in the middle of each patch."""
    side = rgb.shape[1] // len(PATCHES)
    middles = [rgb[8:-8, i * side + 8 : (i + 1) * side - 8] for i in range(len(PATCHES))]
    return np.array([middle.reshape(-1, 3).mean(axis=0) for middle in middles])


# pixels, matrix, primaries, transfer, full range, the clip's matrix, what the record calls it
SOURCES = {
    "BT.709": ("yuv420p", 1, 1, 1, False, 1, "bt709"),
    "BT.709, full range": ("yuv420p", 1, 1, 1, True, 1, "bt709"),
    "BT.709, 10 bits": ("yuv420p10le", 1, 1, 1, False, 1, "bt709"),
    "BT.709, 10 bits, full range": ("yuv420p10le", 1, 1, 1, True, 1, "bt709"),
    "BT.601": ("yuv420p", 6, 6, 6, False, 6, "bt601"),
    "BT.601, 4:4:4": ("yuv444p", 5, 5, 6, False, 5, "bt601"),
    "not said": ("yuv420p", 2, 2, 2, False, 2, ""),
    "BT.2020, standard range": ("yuv420p10le", 9, 9, 14, False, 9, "bt2020"),
    "RGB": ("gbrp", 0, 2, 2, False, 6, "bt601"),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_colours_are_converted_by_their_own_matrix(name: str, tmp_path: Path) -> None:
    pixels, matrix, primaries, transfer, full_range, clip_matrix, told = SOURCES[name]
    codec = "libx264rgb" if pixels == "gbrp" else "libx264"
    frame = (
        stored("rgb24", 0, False) if pixels == "gbrp" else stored(pixels, 5 if matrix in (2, 6) else matrix, full_range)
    )
    path = write(tmp_path / "v.mp4", frame, (matrix, primaries, transfer), full_range, codec)
    check(path, tmp_path / "clip.mp4", clip_matrix, told, "", 4)


@pytest.mark.parametrize(("transfer", "hdr"), [(16, "pq"), (18, "hlg")])
def test_high_dynamic_range_becomes_bt709(transfer: int, hdr: str, tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", in_hdr(transfer), (9, 9, transfer), False, "libx265")
    check(path, tmp_path / "clip.mp4", 1, "bt709", hdr, 12, read=False)


def test_highlights_are_compressed_and_not_cut_off(tmp_path: Path) -> None:
    means = []
    for white_nits in (800, 1300, 1800):
        path = write(tmp_path / "v.mp4", in_hdr(16, white_nits), (9, 9, 16), False, "libx265")
        with VideoFile(path) as opened:
            means.append(patches_of(next(opened.frames()).bgr(SIDE * len(PATCHES), SIDE))[3].mean())
    assert 200 < means[0] < means[1] - 3 < means[2] - 4 < 251, "grey of 3.9, 6.4 and 8.9 times the light"


def check(path: Path, target: Path, clip_matrix: int, told: str, hdr: str, tolerance: float, read: bool = True) -> None:
    with VideoFile(path) as opened:
        pictures = [frame.bgr(SIDE * len(PATCHES), SIDE) for frame in opened.frames()]
        probe = opened.probe()
    assert (probe.color_matrix, probe.hdr) == (told, hdr)
    assert patches_of(pictures[2][..., ::-1]) == pytest.approx(np.array(PATCHES), abs=tolerance)
    cut_clip(str(path), target, 0, probe.duration_s, probe, ClipSettings(None, None, 2, False), 6)
    with av.open(str(target)) as clip:
        frame = next(clip.decode(video=0))
        assert (frame.format.name, int(frame.colorspace)) == ("yuv420p", clip_matrix)
        assert int(frame.color_range) == 1 or not told, "x264 writes no range where it knows nothing else"
        assert not hdr or (int(frame.color_trc), int(frame.color_primaries)) == (1, 1)
    for shown in (target, path) if read else (target,):
        with ClipReader(shown) as reader:
            assert patches_of(reader.read([2])[0]) == pytest.approx(np.array(PATCHES), abs=tolerance)


@pytest.mark.parametrize("top_first", [True, False])
def test_a_clip_of_interlaced_video_shows_one_moment(top_first: bool, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as out:
        order = "tff" if top_first else "bff"
        stream = video_stream(out, "libx264", 25, (128, 128), flags="+ildct+ilme", **{"x264-params": f"{order}=1"})
        for number in range(10):
            moments = np.full((2, 128, 128, 3), 40, np.uint8)
            for field in (0, 1):
                left = 8 * (2 * number + field) % 96
                moments[field, :, left : left + 24] = 220
            moments[0, 1::2] = moments[1, 1::2]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(moments[0])))
        out.mux(stream.encode(None))
    with VideoFile(path) as opened:
        frames = [frame.bgr(128, 128).astype(int) for frame in opened.frames()]
        assert opened.probe().interlaced_frames == 10
    assert np.abs(np.diff(frames[4], axis=0)).mean() < 2, "no combs"
