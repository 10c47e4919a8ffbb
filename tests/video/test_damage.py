"""The good part of a damaged file is kept, and no more than that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.made_videos import numbered_frames, read_number, write_video
from tiktokactions.curation.evidence import Evidence, gather_evidence
from tiktokactions.curation.options import CurateOptions
from tiktokactions.video import VideoError, VideoFile
from tiktokactions.video.damage import PacketSeen, find_damage

# In the file's order: (stamp, keyframe). Stamp 3 is shown after 1 and 2, which are predicted from it.
GOPS = [
    (0, True),
    (3, False),
    (1, False),
    (2, False),
    (4, True),
    (7, False),
    (5, False),
    (6, False),
    (8, True),
    (9, False),
]


@pytest.mark.parametrize(
    ("lost", "flagged", "late", "damaged", "breaks"),
    [
        ([], [], False, [], []),
        ([], [9], False, [9], [9]),
        ([], [3], False, [1, 2, 3], [1, 4]),
        ([], [7], False, [5, 6, 7], [5, 8]),
        ([], [8], False, [8, 9], [8]),
        ([], [0, 5], False, [0, 1, 2, 3, 5, 6, 7], [0, 4, 5, 8]),
        ([2], [], False, [1, 3], [1, 4]),
        ([], [6], True, [4, 5, 6, 7], [4, 8]),
    ],
    ids=["none", "the last", "what B-frames need", "second group", "keyframe", "two", "a lost packet", "noticed late"],
)
def test_damage_reaches_to_the_next_keyframe(
    lost: list[int], flagged: list[int], late: bool, damaged: list[int], breaks: list[int]
) -> None:
    shown = sorted(stamp for stamp, _ in GOPS if stamp not in lost)
    packets = [PacketSeen(0, is_key, stamp in lost) for stamp, is_key in GOPS]
    for place, (stamp, _) in reversed(list(enumerate(GOPS))):
        frame = packets[place + 1].frame if stamp in lost else shown.index(stamp)
        packets[place] = packets[place]._replace(frame=frame)
    found = find_damage(packets, [stamp in flagged for stamp in shown], late)
    assert sorted(shown[number] for number in found.frames) == damaged
    assert {shown[number] for number in found.breaks} >= set(breaks) & set(shown)


def write_damaged(path: Path, places: list[float], keyframe_every: int = 20) -> Path:
    options = {"g": str(keyframe_every), "x264-params": "scenecut=0"}
    write_video(path, numbered_frames(120, 96, 96), fps=20, b_frames=2, options=options)
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, 150, np.uint8).tobytes()
    for place in places:
        start = int(len(data) * place)
        data[start : start + len(noise)] = noise
    path.write_bytes(data)
    return path


def evidence_of(path: Path) -> Evidence:
    with VideoFile(path) as source:
        return gather_evidence(source, CurateOptions(min_scene_frames=2), 416)


@pytest.mark.parametrize("places", [[0.3], [0.3, 0.6]], ids=["once", "twice"])
def test_scenes_leave_damage_out(places: list[float], tmp_path: Path) -> None:
    path = write_damaged(tmp_path / "v.mp4", places)
    evidence = evidence_of(path)
    assert len(evidence.scenes) == len(places) + 1
    assert evidence.probe.corrupt_frames >= len(places)
    for stretch, before, after in zip(evidence.damaged, evidence.scenes, evidence.scenes[1:], strict=False):
        assert (stretch.start_s, stretch.end_s) == (before.end_s, after.start_s)
    with VideoFile(path) as opened:
        seen = {frame.number: frame.bgr(96, 96) for frame in opened.frames()}
    for scene in evidence.scenes:
        for number in range(scene.start_frame, scene.end_frame):
            assert read_number(seen[number]) / 20 == pytest.approx(opened.times_s[number], abs=0.01)


def test_a_file_with_nothing_undamaged_is_corrupt(tmp_path: Path) -> None:
    path = write_damaged(tmp_path / "v.mp4", [0.04], keyframe_every=999)
    with pytest.raises(VideoError, match="corrupt"):
        evidence_of(path)


X264, X265 = {"g": "20", "x264-params": "scenecut=0"}, {"x265-params": "keyint=20:log-level=none"}
VP8 = {"g": "20", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}


@pytest.mark.parametrize(
    ("name", "codec", "options", "missing"),
    [
        ("v.ts", "libx264", X264, 0),
        ("v.ts", "libx264", X264, 5 * 188),
        ("v.ts", "libx265", X265, 0),
        ("v.ts", "libx265", X265, 2 * 188),
        ("v.mkv", "libx264", X264, 1500),
        ("v.webm", "libvpx", VP8, 0),
        ("v.webm", "libvpx", VP8, 1500),
        ("v.webm", "libvpx", VP8, 3000),  # no cluster begins behind it
    ],
)
def test_the_container_tells_that_packets_are_missing(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], missing: int
) -> None:
    """Where the decoder notices nothing."""
    frames = numbered_frames(80, 128, 160)
    path = write_video(tmp_path / name, frames, fps=20, codec=codec, b_frames=2 * (codec == "libx264"), options=options)
    data = path.read_bytes()
    first = len(data) // 188 // 2 * 188
    lost = bytes(missing if name.endswith("webm") else 0)
    path.write_bytes(data[:first] + lost + data[first + missing :])
    evidence = evidence_of(path)
    assert bool(evidence.damaged) == bool(missing) == bool(evidence.probe.corrupt_frames)
    read = [read_number(frame.upright_bgr(evidence.probe)) for frame in evidence.kept]
    assert len(read) >= 20 and read == list(range(read[0], read[0] + len(read))), "nothing kept is damaged"


def textured_frames(n: int) -> Iterator[np.ndarray]:
    texture = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    for number in range(n):
        yield texture[number : number + 96, number : number + 128]


@pytest.mark.parametrize(
    ("name", "codec", "harm"),
    [
        ("v.avi", "mpeg4", "noise"),  # packets without times: the order of decoding is not that of display
        ("v.ts", "libx265", "end missing"),
        ("v.webm", "libvpx", "zeros"),
    ],
)
def test_what_is_kept_looks_as_in_the_undamaged_file(tmp_path: Path, name: str, codec: str, harm: str) -> None:
    options = {"mpeg4": {"g": "20", "b": "2M", "bf": "2"}, "libx265": X265, "libvpx": VP8 | {"b": "2M"}}[codec]
    path = write_video(tmp_path / name, textured_frames(80), fps=20, codec=codec, crf=14, options=options)
    with VideoFile(path) as opened:
        whole = [frame.bgr(128, 96) for frame in opened.frames()]
    data = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    # The keyframe in the middle, which B-frames before it need, too; or the last picture.
    middle = next(p for p in packets[30:] if p.is_keyframe)
    assert middle.pos is not None and middle.size > 1500
    noise = np.random.default_rng(0).integers(0, 256, 40, np.uint8).tobytes()
    if harm == "end missing":
        data = data[: len(data) - 2 * 188 - 20]
    else:
        harmed = bytes(600) if harm == "zeros" else noise
        at = middle.pos + middle.size // 4
        data = data[:at] + harmed + data[at + len(harmed) :]
    path.write_bytes(data)
    evidence = evidence_of(path)
    assert evidence.probe.corrupt_frames
    with VideoFile(path) as opened:
        seen = {frame.number: frame.bgr(128, 96) for frame in opened.frames()}
    kept = [n for scene in evidence.scenes for n in range(scene.start_frame, scene.end_frame)]
    assert 35 < len(kept) < 80
    assert max(np.abs(seen[n].astype(int) - whole[n]).max() for n in kept) < 16
