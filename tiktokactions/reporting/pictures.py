"""Pictures for a page that stands alone: figures and short looping previews of clips as ``data:`` addresses."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

from PIL import Image

from tiktokactions.files import Place, local_file
from tiktokactions.reporting.blocks import Picture, Preview
from tiktokactions.video import SAME_TIME_S, VideoError, VideoFile

LARGE_SVG = 400_000
"""An SVG of this many bytes or more is replaced by its PNG, where that is smaller."""
PREVIEW_SIDE = 176
"""Long side of a preview, pixels."""
PREVIEW_FPS = 8
PREVIEW_S = 2.5


def data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def figure(stem: Place, alt: str, caption: str = "") -> list[Picture]:
    """The figure saved as ``stem.svg`` and ``stem.png``, as a list of one; empty where neither is there."""
    paths = {kind: stem.with_name(stem.name + suffix) for kind, suffix in (("svg+xml", ".svg"), ("png", ".png"))}
    data = {kind: path.read_bytes() for kind, path in paths.items() if path.is_file()}
    if len(data) == 2 and len(data["svg+xml"]) >= max(LARGE_SVG, len(data["png"]) + 1):
        del data["svg+xml"]
    return [Picture(data_uri(content, f"image/{kind}"), alt, caption) for kind, content in data.items()][:1]


def smaller(picture: Picture, width: int) -> Picture:
    """The same raster picture, at most ``width`` pixels wide, as JPEG; an SVG stays as it is."""
    head, _, body = picture.uri.partition(",")
    if "svg" in head:
        return picture
    with Image.open(io.BytesIO(base64.b64decode(body))) as opened:
        return replace(picture, uri=_jpeg(opened, width))


def strip(path: Place, caption: str, width: int = 900) -> list[Preview]:
    """The sampled frames of a video side by side; empty where the strip is missing or no picture."""
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as opened:
            return [Preview("", _jpeg(opened, width), caption)]
    except OSError:
        return []


def preview(clip: Place, poster: Place, caption: str) -> list[Preview]:
    """The first seconds of a clip as a looping picture, with a still for print and for those who prefer no motion.

    A clip that is missing or damaged is left out; ``dataset verify`` finds those.
    """
    frames = _frames(clip)
    if len(frames) < 2:
        return []
    moving = io.BytesIO()
    frames[0].save(
        moving, "WEBP", save_all=True, append_images=frames[1:], duration=round(1000 / PREVIEW_FPS), loop=0, quality=55
    )
    try:
        with Image.open(io.BytesIO(poster.read_bytes())) as opened:
            still = _jpeg(opened, PREVIEW_SIDE)
    except OSError:
        still = _jpeg(frames[0], PREVIEW_SIDE)
    return [Preview(data_uri(moving.getvalue(), "image/webp"), still, caption)]


def _frames(clip: Place) -> list[Image.Image]:
    frames: list[Image.Image] = []
    try:
        with local_file(clip) as path, VideoFile(path) as video:
            for frame in video.frames():
                if frame.time_s >= PREVIEW_S:
                    break
                if frame.time_s * PREVIEW_FPS >= len(frames) - SAME_TIME_S:
                    frames.append(Image.fromarray(frame.bgr(*frame.fitted(PREVIEW_SIDE))[..., ::-1]))
    except (VideoError, OSError):
        return []
    return frames


def _jpeg(picture: Image.Image, width: int) -> str:
    small = picture.convert("RGB")
    if small.width > width:
        small = small.resize((width, max(1, round(small.height * width / small.width))))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=78)
    return data_uri(buffer.getvalue(), "image/jpeg")
