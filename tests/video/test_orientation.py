"""Display matrices: curation, training and clips show what ffmpeg shows."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.made_videos import video_stream
from tiktokactions.video import ClipReader, ClipSettings, VideoFile, cut_clip
from tiktokactions.video.orientation import Orientation

HEIGHT, WIDTH = 64, 96
STORED = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
STORED[: HEIGHT // 2, : WIDTH // 2] = 255  # upper left
STORED[: HEIGHT // 2, WIDTH // 2 :] = 130  # upper right

ONE = 1 << 16
MATRICES: dict[str, tuple[tuple[float, float, float, float], Orientation, np.ndarray]] = {
    "as stored": ((1, 0, 0, 1), Orientation(0, False), STORED),
    "mirrored": ((-1, 0, 0, 1), Orientation(0, True), STORED[:, ::-1]),
    "upside down, mirrored": ((1, 0, 0, -1), Orientation(180, True), STORED[::-1]),
    "half a turn": ((-1, 0, 0, -1), Orientation(180, False), STORED[::-1, ::-1]),
    "clockwise": ((0, 1, -1, 0), Orientation(90, False), np.rot90(STORED, -1)),
    "counter-clockwise": ((0, -1, 1, 0), Orientation(270, False), np.rot90(STORED, 1)),
    "transposed": ((0, 1, 1, 0), Orientation(90, True), STORED.swapaxes(0, 1)),
    "transposed, half a turn": ((0, -1, -1, 0), Orientation(270, True), np.rot90(STORED, 2).swapaxes(0, 1)),
    "80 degrees": ((0.17, 0.98, -0.98, 0.17), Orientation(90, False), np.rot90(STORED, -1)),
    "enlarged, mirrored": ((-2, 0, 0, 2), Orientation(0, True), STORED[:, ::-1]),
    "nothing": ((0, 0, 0, 0), Orientation(0, False), STORED),
}


def write(path: Path, matrix: tuple[float, float, float, float], off_by: int) -> Path:
    a, b, c, d = (round(value * ONE) + (off_by if any(matrix) else 0) for value in matrix)
    with av.open(str(path), "w") as out:
        stream = video_stream(out, "libx264", 10, (WIDTH, HEIGHT), preset="ultrafast", crf="4")
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for _ in range(12):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(STORED)))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("off_by", [0, 1, -300])
@pytest.mark.parametrize("name", MATRICES)
def test_every_reader_turns_and_mirrors_alike(name: str, off_by: int, tmp_path: Path) -> None:
    matrix, orientation, upright = MATRICES[name]
    path = write(tmp_path / "v.mp4", matrix, off_by)
    with VideoFile(path) as opened:
        frames = list(opened.frames())
        probe = opened.probe()
    assert frames[0].shape.orientation == orientation == (probe.rotation, probe.mirrored)
    assert (probe.height, probe.width) == upright.shape[:2]
    with ClipReader(path) as reader:
        read = reader.read([3])[0]
    cut_clip(str(path), tmp_path / "clip.mp4", 0, probe.duration_s, probe, ClipSettings(None, None, 4, False), 12)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        cut = next(clip.decode(video=0)).to_ndarray(format="rgb24")
    for shown in (frames[3].bgr(probe.width, probe.height), read, cut):
        assert shown.shape == upright.shape
        assert np.abs(shown.astype(int) - upright).mean() < 6


@pytest.mark.parametrize(("exif", "turned"), [(1, 0), (3, 180), (6, 90), (8, 270)])
def test_exif_is_read_although_pyav_does_not_know_it(exif: int, turned: int, tmp_path: Path) -> None:
    said = Image.Exif()
    said[0x0112] = exif
    Image.fromarray(STORED).save(tmp_path / "photo.jpg", exif=said)
    with VideoFile(tmp_path / "photo.jpg") as opened:
        assert [frame.shape.orientation for frame in opened.frames()] == [Orientation(turned)]
