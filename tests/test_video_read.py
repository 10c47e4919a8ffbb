"""Reading single frames: always exactly those that decoding the whole file yields, or an error that names the file."""

from __future__ import annotations

import importlib
import pickle
import re
import sys
import types
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.conftest import SHARED
from tests.made_videos import numbered_frames, read_number, write_video
from tiktokactions.video import ClipReader, UnreadableError, read
from tiktokactions.video.container import open_container, video_stream
from tiktokactions.video.cut_off import matroska_size
from tiktokactions.video.frame_index import (
    PacketFacts,
    index_packets,
    kinds_of_pictures,
    says_packed,
    times_from_stamps,
)
from tiktokactions.video.read import Backend
from tiktokactions.video.torchcodec_backend import import_torchcodec

FAST = {"preset": "fast"}
SILENT_X265 = "log-level=none:pools=none:frame-threads=1"

VIDEOS: dict[str, dict[str, Any]] = {
    "no B-frames": {},
    "B-frames": {"b_frames": 3, "options": FAST | {"g": "25"}},
    "pyramid": {"b_frames": 4, "options": FAST | {"g": "40", "x264-params": "b-pyramid=normal"}},
    "open GOP": {"b_frames": 3, "options": FAST | {"g": "20", "x264-params": "open-gop=1:scenecut=0"}},
    "open GOP, matroska": {"suffix": ".mkv", "b_frames": 3, "options": FAST | {"g": "20", "x264-params": "open-gop=1"}},
    "open GOP, mpeg-ts": {"suffix": ".ts", "b_frames": 3, "options": FAST | {"g": "20", "x264-params": "open-gop=1"}},
    "one keyframe": {"b_frames": 2, "options": FAST | {"g": "999"}},
    "no keyframe but the first": {"options": FAST | {"g": "30", "x264-params": "intra-refresh=1"}},
    "interlaced": {"options": FAST | {"flags": "+ildct+ilme", "g": "20"}, "b_frames": 2},
    "starts late": {"start_s": 1.7, "b_frames": 3, "options": FAST},
    "uneven times": {"times_s": [i / 30 + (i // 7) * 0.1 for i in range(90)], "b_frames": 2, "options": FAST},
    "mpeg-ts": {"suffix": ".ts", "b_frames": 2, "options": FAST | {"g": "30"}},
    "raw H.264": {"suffix": ".h264", "b_frames": 2, "options": FAST | {"g": "30"}},
    "avi": {"suffix": ".avi", "codec": "mpeg4", "options": {"b": "4M", "g": "12"}},
    "avi, B-frames": {"suffix": ".avi", "codec": "mpeg4", "options": {"b": "4M", "g": "12", "bf": "2"}},
    "H.264 in avi": {"suffix": ".avi", "b_frames": 2, "options": FAST | {"g": "30"}},
    "mpeg4 in mp4, B-frames": {"codec": "mpeg4", "options": {"b": "4M", "g": "12", "bf": "2"}},
    "mjpeg": {"suffix": ".avi", "codec": "mjpeg", "pixel_format": "yuvj420p", "options": {"qmin": "2", "qmax": "4"}},
    "mpeg2": {"suffix": ".mpg", "codec": "mpeg2video", "options": {"b": "4M", "g": "12", "bf": "2"}},
    "VP8": {"suffix": ".webm", "codec": "libvpx", "options": {"b": "2M", "g": "30", "auto-alt-ref": "1"}},
    "VP9": {"suffix": ".webm", "codec": "libvpx-vp9", "options": {"b": "1M", "g": "30", "cpu-used": "8"}},
    "HEVC": {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": f"keyint=20:bframes=3:{SILENT_X265}"}},
    "HEVC, open GOP, 10 bit": {
        "codec": "libx265",
        "pixel_format": "yuv420p10le",
        "options": {"preset": "ultrafast", "x265-params": f"keyint=20:bframes=3:open-gop=1:{SILENT_X265}"},
    },
    "turned 90": {"rotation": 90, "b_frames": 2},
    "turned 180": {"rotation": 180},
    "turned 270": {"rotation": 270},
}  # fmt: skip


def write(name: str, folder: Path, frames: int = 90) -> Path:
    settings = dict(VIDEOS[name])
    path = folder / f"v{settings.pop('suffix', '.mp4')}"
    size = (120, 160) if settings.get("rotation") in (90, 270) else (160, 120)
    return write_video(path, numbered_frames(frames, *size), **settings)


def decode_all(path: Path) -> list[np.ndarray]:
    """Every frame by plain sequential decoding, RGB, upright."""
    with open_container(str(path)) as container:
        return [
            np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90))
            for frame in container.decode(video_stream(container))
        ]


def draws(frames: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Frame numbers as a loader asks for them, and as it never does: strided, sorted, unsorted, repeated, the last."""
    rng = np.random.default_rng(seed)
    yield np.minimum(int(rng.integers(frames)) + 4 * np.arange(16), frames - 1)
    yield np.sort(rng.integers(0, frames, 5))
    yield rng.integers(0, frames, 8)
    yield np.array([frames - 1])
    yield np.array([0, frames - 1, 0])
    yield rng.permutation(frames)[: min(frames, 20)]


def assert_reads_like(path: Path, expected: list[np.ndarray], backend: Backend = "pyav") -> None:
    with ClipReader(path, backend=backend) as reader:
        assert reader.frames == len(expected)
        for asked in draws(len(expected)):
            got = reader.read(asked)
            assert got.dtype == np.uint8
            for place, number in enumerate(asked):
                assert np.array_equal(got[place], expected[number]), f"frame {number}, asked for {asked}"


@pytest.mark.parametrize("name", VIDEOS)
def test_frames_are_those_of_sequential_decoding(name: str, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    expected = decode_all(path)
    assert [read_number(frame) for frame in expected] == list(range(90))
    assert_reads_like(path, expected)


@pytest.mark.parametrize("name", ["B-frames", "avi, B-frames", "VP8", "open GOP, mpeg-ts"])
def test_large_files_are_read_twice_instead_of_kept(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "KEPT_BYTES", 5000)
    path = write(name, tmp_path)
    assert_reads_like(path, decode_all(path))


def decoded_packets(reader: ClipReader, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes the packets that are fed to the decoder from now on."""
    fed: list[int] = []
    feed = reader._feed

    def noted(first: int, end: int) -> Iterator[av.Packet]:
        for number, packet in enumerate(feed(first, end), start=first):
            fed.append(number)
            yield packet

    monkeypatch.setattr(reader, "_feed", noted)
    return fed


@pytest.mark.parametrize(
    ("asked", "packets"),
    [([0], (0, 0)), ([24], (20, 24)), ([20], (20, 20)), ([45, 44], (40, 45)), ([19, 41], (0, 41))],
    ids=["first", "middle", "keyframe", "two", "across"],
)
def test_only_what_is_needed_is_decoded(
    asked: list[int], packets: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(
        tmp_path / "v.mp4", numbered_frames(60, 160, 120), options={"g": "20", "x264-params": "scenecut=0"}
    )
    with ClipReader(path) as reader:
        fed = decoded_packets(reader, monkeypatch)
        assert [read_number(frame) for frame in reader.read(asked)] == asked
    assert fed[0] == packets[0] and fed[-1] == packets[1]
    assert len(fed) == len(set(fed)), "each packet once"
    if asked == [19, 41]:
        assert fed == [*range(20), 40, 41], "what lies between is skipped"


def test_a_file_that_begins_without_a_keyframe(tmp_path: Path) -> None:
    whole = write("open GOP, mpeg-ts", tmp_path)
    path = tmp_path / "cut.ts"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size and number >= 7:
                packet.stream = stream
                target.mux(packet)
    expected = decode_all(path)
    assert 0 < len(expected) < 83
    assert_reads_like(path, expected)


def test_time_stamps_in_the_wrong_order(tmp_path: Path) -> None:
    """Some muxers stamp packets in the order of the file: what comes out of the decoder counts."""
    whole = write("pyramid", tmp_path)
    path = tmp_path / "wrong.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(source.streams.video[0]) if p.size):
            packet.stream, packet.pts, packet.dts, packet.time_base = (
                stream,
                number * 40,
                number * 40,
                Fraction(1, 1000),
            )
            target.mux(packet)
    expected = decode_all(path)
    assert [read_number(frame) for frame in expected] == list(range(90))
    assert_reads_like(path, expected)


def test_frames_cut_off_by_an_edit_list_do_not_count(shared_data: Path) -> None:
    with ClipReader(shared_data / "odd" / "test_video_66x50.mov") as reader:
        assert reader.frames == 82, "87 packets, 5 of them before the edit list begins"


def test_parts_of_a_file(tmp_path: Path) -> None:
    path = write("starts late", tmp_path)
    for start_s, end_s, numbers in ((1.0, 2.0, range(30, 60)), (None, 0.5, range(15)), (2.9, None, range(87, 90))):
        with ClipReader(path, start_s, end_s) as reader:
            assert reader.frames == len(numbers)
            assert [read_number(frame) for frame in reader.read(range(reader.frames))] == list(numbers)
            with pytest.raises(IndexError, match="expected 0 to"):
                reader.read([reader.frames])
    with pytest.raises(UnreadableError, match=r"v\.mp4: no frame from 3 s to 5 s: the last of 90 is at 2\.967 s"):
        ClipReader(path, 3.0, 5.0)
    with pytest.raises(UnreadableError, match="no frame"):
        ClipReader(path, 1.0, 1.0)


def test_parts_of_a_file_without_time_stamps(tmp_path: Path) -> None:
    with ClipReader(write("avi, B-frames", tmp_path), 1.0, 2.0) as reader:
        assert [read_number(frame) for frame in reader.read([0, 29])] == [30, 59]


def test_each_frame_can_be_shrunk_as_it_comes(tmp_path: Path) -> None:
    with ClipReader(write("B-frames", tmp_path)) as reader:
        whole = reader.read([5, 3])
        assert np.array_equal(reader.read([5, 3], each=lambda frame: frame[::2, ::2]), whole[:, ::2, ::2])


@pytest.mark.parametrize("indices", [[], [[1, 2]]], ids=["none", "nested"])
def test_indices_that_are_no_list(indices: Any, tmp_path: Path) -> None:
    with ClipReader(write("no B-frames", tmp_path)) as reader, pytest.raises(ValueError, match="expected a list"):
        reader.read(indices)


# --- files that cannot be read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.mp4", None, "No such file"),
        ("empty.mp4", b"", "not_a_video"),
        ("text.avi", b"hello world\n" * 50, "not_a_video"),
        ("half.mp4", b"\0\0\0\x18ftypisom" + bytes(100), "truncated"),
    ],
)
def test_no_videos(name: str, content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableError, match=says) as caught:
        ClipReader(path)
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(str(path))


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        ClipReader(tmp_path)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        out.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(UnreadableError, match="no_video_stream"):
        ClipReader(path)


@pytest.mark.parametrize("share", [0.5, 0.77])
@pytest.mark.parametrize("name", ["no B-frames", "open GOP, matroska", "VP9", "avi", "avi, B-frames", "mjpeg"])
def test_files_that_are_cut_off(name: str, share: float, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    if path.suffix == ".mp4":
        moved = tmp_path / "moved.mp4"
        with av.open(str(path)) as source, av.open(str(moved), "w", options={"movflags": "faststart"}) as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
        path = moved
    with ClipReader(path) as reader:
        assert reader.frames == 90
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableError, match="the end of the file is missing"):
        ClipReader(path)


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"\x1aE\xdf\xa3\x82ab\x18S\x80g\x84", 12 + 4),
        (b"\x1aE\xdf\xa3\x40\x02ab\x18S\x80g\x41\x00", 14 + 256),
        (b"\x1aE\xdf\xa3\x82ab\x18S\x80g\x01\xff\xff\xff\xff\xff\xff\xff", None),
        (b"\x1aE\xdf\xa3\x82ab\x18S\x80g\xff", None),
        (b"\x1aE\xdf\xa3\x82ab\xec\x81a", None),
        (b"\x1aE\xdf\xa3", None),
        (b"RIFF", None),
    ],
    ids=["one byte", "two bytes", "unknown, eight bytes", "unknown, one byte", "no segment", "short", "other"],
)
def test_the_size_a_matroska_file_claims(head: bytes, size: int | None, tmp_path: Path) -> None:
    path = tmp_path / "v.mkv"
    path.write_bytes(head)
    assert matroska_size(str(path)) == size


@pytest.mark.parametrize("name", ["one keyframe", "avi", "B-frames", "VP8"])
def test_damage_is_an_error_for_the_frames_that_it_reaches_and_for_no_others(name: str, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    expected = decode_all(path)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        positions = [(p.pos, p.size) for p in packets if p.pos is not None]
    position, size = positions[50]
    data[position + 8 : position + size] = b"\x55" * (size - 8)
    path.write_bytes(data)
    if name == "VP8":  # frames can only be counted by decoding them all
        with pytest.raises(UnreadableError, match=r"v\.webm"):
            ClipReader(path).check()
        return
    with ClipReader(path) as reader:
        assert reader.frames == 90
        assert np.array_equal(reader.read(range(40)), expected[:40])
        with pytest.raises(UnreadableError, match=r"damaged|not decoded") as caught:
            reader.read(range(0, 90, 4))
        assert caught.value.path == str(path)
        assert np.array_equal(reader.read([3])[0], expected[3]), "an error leaves the reader usable"
        with pytest.raises(UnreadableError):
            reader.check()
        if name == "avi":
            assert np.array_equal(reader.read([89])[0], expected[89]), "after the next keyframe all is well"


def test_the_damaged_video_of_the_test_data(shared_data: Path) -> None:
    with ClipReader(shared_data / "odd" / "corrupted.mp4") as reader:
        reader.read(range(20))
        with pytest.raises(UnreadableError, match=r"corrupted\.mp4: packet 30 of 50 is damaged"):
            reader.read([40])


def test_checking_reads_everything(tmp_path: Path) -> None:
    with ClipReader(write("B-frames", tmp_path)) as reader:
        reader.check()


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(UnreadableError("/a/b.mp4", "frame 3 is damaged")))
    assert (error.path, error.detail, str(error)) == ("/a/b.mp4", "frame 3 is damaged", "/a/b.mp4: frame 3 is damaged")


# --- real files ------------------------------------------------------------------------------------------------------


def real_files() -> list[Path]:
    folders = [SHARED / "data" / "clips" / name for name in ("ucf101", "hmdb51", "kinetics", "web", "fall")]
    found = [path for folder in [*folders, SHARED / "data" / "odd"] if folder.is_dir() for path in folder.iterdir()]
    return sorted(path for path in found if path.name not in ("corrupted.mp4", "result.webm"))


LONG = re.compile(r"cosmos_30s|demo_skeleton|juicer\d|rotated-90|Subject_[234]")
"""Long ones, and more from one camera: in the slow tier."""


def real_file_params() -> list[Any]:
    return [pytest.param(p, id=p.name, marks=[pytest.mark.slow] * bool(LONG.match(p.name))) for p in real_files()]


def test_there_are_real_files(shared_data: Path) -> None:
    assert len(real_files()) >= 50


@pytest.mark.parametrize("path", real_file_params())
def test_real_files_are_read_exactly(path: Path) -> None:
    with open_container(str(path)) as container:
        stream = video_stream(container)
        expected = []
        for frame in container.decode(stream):
            expected.append(hash(np.rot90(frame.to_ndarray(format="rgb24"), k=round(frame.rotation / 90)).tobytes()))
    with ClipReader(path) as reader:
        assert reader.frames == len(expected)
        for asked in draws(len(expected)):
            got = reader.read(asked)
            assert [hash(frame.tobytes()) for frame in got] == [expected[number] for number in asked]


DECORD_DIFFERS = {
    "nasa_13013.mp4": "decord reads the larger of two video streams, we the first",
    "test_video_66x50.mov": "decord counts the frames that an edit list cuts off",
    "h264_10bits.mp4": "decord filters the colours of 10-bit pictures differently (the frames are the same)",
    "h265_10bits.mp4": "decord filters the colours of 10-bit pictures differently (the frames are the same)",
    "h265_video.mp4": "decord is a frame late after seeking in this file with open groups of pictures",
    "bitmap.mp4": "decord cannot hand over 1x1 pixels",
    "-video-with-dash-.mp4": "decord cannot hand over 1x1 pixels",
}


@pytest.mark.parametrize("path", real_file_params())
def test_real_files_are_read_as_by_decord(path: Path) -> None:
    decord = pytest.importorskip("decord", reason="decord2 is not installed")
    if path.name in DECORD_DIFFERS:
        pytest.skip(DECORD_DIFFERS[path.name])
    theirs = decord.VideoReader(str(path), num_threads=1)
    is_hmdb51 = path.parent.name == "hmdb51"
    with ClipReader(path) as reader:
        # decord counts a packet that drops a frame (the second one in HMDB51) and repeats the last frame for it.
        assert len(theirs) - reader.frames == is_hmdb51
        asked = np.minimum(reader.frames // 3 + 4 * np.arange(16), reader.frames - 1)
        # It also takes that packet for a keyframe, and is a frame late unless it begins at frame 0; in other files without
        # time stamps a frame sought for after another one has come out differently now and then: there it reads in order.
        if path.suffix == ".avi":
            assert np.array_equal(reader.read(asked), theirs.get_batch(range(reader.frames)).asnumpy()[asked])
            return
        for numbers in (asked, np.array([0]), np.array([reader.frames - 1])):
            assert np.array_equal(reader.read(numbers), theirs.get_batch(numbers.tolist()).asnumpy())


# --- the index by itself -------------------------------------------------------------------------------------------


def facts(*pts: int | None, keys: tuple[int, ...] = (0,)) -> list[PacketFacts]:
    return [PacketFacts(p, n in keys, False, 100) for n, p in enumerate(pts)]


def mpeg4(*pictures: str) -> list[PacketFacts]:
    """Packets by their pictures; lower case: as small as an empty stand-in; ``-``: no picture at all."""
    return [
        PacketFacts(None, "I" in p, False, 1 if p == "-" else 8 if p.islower() else 500, p.strip("-").upper())
        for p in pictures
    ]


@pytest.mark.parametrize(
    ("packets", "codec", "stamped", "order"),
    [
        ([], "h264", True, None),
        (facts(0, 30, 10, 20), "h264", True, [0, 2, 3, 1]),
        (facts(5, 8, 6), "vp9", True, [0, 2, 1]),
        (facts(0, None, 20), "h264", True, None),
        (facts(0, 10, 10), "h264", True, None),
        (facts(0, 10, keys=()), "h264", True, None),
        (facts(10, 0, 20), "hevc", True, None),
        (facts(0, 10), "vp8", True, None),
        (facts(None, None), "h264", False, None),
        (facts(None, None), "mjpeg", False, [0, 1]),
    ],
    ids=["empty", "B-frames", "late", "no stamp", "twice", "no keyframe", "before it", "vp8", "avi", "mjpeg"],
)
def test_index_by_time_stamps(packets: Any, codec: str, stamped: bool, order: list[int] | None) -> None:
    index = index_packets(packets, codec, stamped=stamped, time_base=Fraction(1, 10), rate=Fraction(10))
    if order is None:
        assert index is None
    else:
        assert index is not None and index.packet_of_frame is not None
        assert index.packet_of_frame.tolist() == order
        assert index.frame_of_packet.tolist() == np.argsort(order).tolist()


@pytest.mark.parametrize(
    ("pictures", "packed", "order", "droppable"),
    [
        ("I P P", False, [0, 1, 2], []),
        ("I P B B P", False, [0, 2, 3, 1, 4], [2, 3]),
        ("I - PB p PB p P", True, [0, 3, 2, 5, 4, 6], [3, 5]),
        ("I PB B p PB", True, [0, 2, 3, 1, 4], [3]),
        ("I PB p", False, None, []),
        ("I PB P", True, None, []),
        ("I B P", False, None, []),
        ("I P p", False, None, []),
        ("I PB -", True, None, []),
    ],
    ids=[
        *("in order", "B", "packed", "packed twice", "not announced", "lost picture", "B without reference"),
        *("perhaps empty", "dropped while one is kept"),
    ],
)
def test_index_of_mpeg4(pictures: str, packed: bool, order: list[int] | None, droppable: list[int]) -> None:
    packets = mpeg4(*pictures.split())
    index = index_packets(packets, "mpeg4", stamped=False, time_base=Fraction(1, 10), rate=Fraction(10), packed=packed)
    if order is None:
        assert index is None
    else:
        assert index is not None and index.packet_of_frame is not None
        assert index.packet_of_frame.tolist() == order
        assert np.flatnonzero(index.is_droppable).tolist() == droppable
        assert index.times_s.tolist() == [n / 10 for n in range(len(order))]


def test_runs_begin_at_keyframes_that_are_shown_in_time() -> None:
    # Packets 0 1 2 | 3 4 5: the second keyframe (3) is followed by frames that are shown before it.
    packets = facts(0, 2, 1, 6, 4, 5, 7, keys=(0, 3))
    index = index_packets(packets, "h264", stamped=True, time_base=Fraction(1), rate=Fraction(1))
    assert index is not None
    assert index.runs(np.array([5])) == [(3, 4)]
    assert index.runs(np.array([4])) == [(0, 6)], "frame 4 is shown before the keyframe and may need what precedes it"
    assert index.runs(np.array([1, 6])) == [(0, 3), (3, 7)]
    assert index.runs(np.array([4, 6])) == [(0, 7)]


def test_pictures_in_an_mpeg4_packet() -> None:
    start = b"\x00\x00\x01\xb6"
    assert kinds_of_pictures(b"") == ""
    assert kinds_of_pictures(b"\x00\x00\x01\x20abc" + start + b"\x10" + start + b"\x50" + start + b"\x90") == "IPB"
    assert says_packed(b"\x00\x00\x01\xb2DivX503b2816p")
    assert not says_packed(b"\x00\x00\x01\xb2DivX503b2816")
    assert not says_packed(b"\x00\x00\x01\xb2XviD0050")


@pytest.mark.parametrize(
    ("pts", "times_s"),
    [([], []), ([7], [0]), ([-2, 0, 8], [0, 0.2, 1]), ([0, None, 2], [0, 0.5, 1]), ([0, 2, 1], [0, 0.5, 1])],
    ids=["none", "one", "negative", "missing", "backwards"],
)
def test_times(pts: list[int | None], times_s: list[float]) -> None:
    assert times_from_stamps(pts, Fraction(1, 10), Fraction(2)).tolist() == pytest.approx(times_s)


# --- torchcodec ------------------------------------------------------------------------------------------------------


class FakeArray:
    def __init__(self, array: np.ndarray) -> None:
        self.data = self
        self.array = array

    def numpy(self) -> np.ndarray:
        return self.array


class FakeDecoder:
    """Decodes as torchcodec does, as far as we use it."""

    def __init__(self, path: str, **settings: Any) -> None:
        assert settings["seek_mode"] == "exact" and settings["dimension_order"] == "NHWC"
        self.pictures = np.stack(decode_all(Path(path)))
        self.metadata = types.SimpleNamespace(num_frames=len(self.pictures))

    def get_frames_at(self, indices: list[int]) -> FakeArray:
        if 13 in indices:
            raise RuntimeError("could not decode")
        return FakeArray(255 - self.pictures[indices])


@pytest.mark.parametrize("name", VIDEOS)
def test_torchcodec_reads_the_same_pixels(name: str, tmp_path: Path) -> None:
    """Whatever it decodes itself or leaves to PyAV."""
    try:
        import_torchcodec()
    except RuntimeError as error:
        pytest.skip(str(error))
    path = write(name, tmp_path)
    assert_reads_like(path, decode_all(path), backend="torchcodec")


@pytest.mark.parametrize(
    ("name", "used"),
    [
        ("B-frames", True),
        ("avi", False),
        ("VP8", False),
        ("HEVC, open GOP, 10 bit", False),
        ("mpeg-ts", False),
        ("no keyframe but the first", False),
        ("interlaced", False),
    ],
)
def test_torchcodec_is_used_where_it_is_exact(
    name: str, used: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", types.ModuleType("torchcodec"))
    fake: Any = types.ModuleType("torchcodec.decoders")
    fake.VideoDecoder = FakeDecoder
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", fake)
    path = write(name, tmp_path)
    expected = np.stack(decode_all(path))
    with ClipReader(path, 1.0, None, backend="torchcodec") as reader:
        got = reader.read([2, 1, 2])
        assert np.array_equal(got, (255 - expected if used else expected)[[32, 31, 32]])
    with ClipReader(path, backend="torchcodec") as reader:
        if used:
            with pytest.raises(UnreadableError, match=r"v\.mp4: torchcodec cannot decode it: could not decode"):
                reader.read([13])
        else:
            reader.read([13])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ModuleNotFoundError("No module named 'torchcodec'"), "torchcodec is not installed"),
        (ImportError("undefined symbol"), r"cannot be loaded \(undefined symbol\)"),
        (OSError("libavutil.so.59: cannot open\nmore"), r"cannot be loaded \(libavutil.so.59: cannot open\)"),
        (RuntimeError("Could not load libtorchcodec"), "cannot be loaded"),
    ],
    ids=["missing", "import", "library", "runtime"],
)
def test_torchcodec_that_does_not_load(
    error: Exception, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> Any:
        raise error

    path = write("no B-frames", tmp_path)
    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(RuntimeError, match=says) as caught:
        ClipReader(path, backend="torchcodec")
    assert "pyav" in str(caught.value)
