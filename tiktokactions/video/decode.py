"""Decoding: frames with a number and a time, and what is known about a file once all of them have been decoded."""

from __future__ import annotations

import heapq
import math
import os
from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

from tiktokactions.records import Probe
from tiktokactions.video.colour import Colour, colour_of
from tiktokactions.video.container import FASTEST_RATE, VideoError, header_rate, open_container, video_stream
from tiktokactions.video.cut_off import end_of_track_s, what_is_missing
from tiktokactions.video.damage import Damage, PacketSeen, find_damage
from tiktokactions.video.orientation import Orientation, orientation_of
from tiktokactions.video.pictures import fit_size, shrink, to_bgr, upright
from tiktokactions.video.timing import SAME_TIME_S, Timeline

CONTAINERS_WITHOUT_TIMESTAMPS = {"avi", "h264", "hevc", "m4v", "mpegvideo", "vc1", "mjpeg"}
"""Their packets carry no presentation times: frames are timed by counting (in AVI, by the place of their packets), and never
sought to."""

SMALLEST_SIDE_PX = 16
LARGEST_EMPTY_PACKET = 7
"""Bytes: a packet up to this size may say that its frame was dropped."""
LARGEST_HEAD = 1024
"""Bytes: so much may lie between two packets of Matroska or FLV (30 is usual); where it is more, packets were lost."""
NEVER_BLANK, BLANK = {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d"}, bytes(512)
"""Codecs whose packets cannot hold so many zeros in a row, and decoders that take these for a picture: they stand where a
download or a disk left a gap."""
TS_PACKETS = 188, 192, 204
"""Bytes: MPEG-TS consists of packets of one of these sizes. A file that ends within one ends within a picture."""
NOTICED_LATE = {"av1", "libdav1d"}
"""Decoders that notice damage up to 20 pictures after those that show it first."""


class Shape(NamedTuple):
    """How pictures are stored, and how they are turned to be upright."""

    coded_width: int
    coded_height: int
    sample_aspect_ratio: Fraction = Fraction(1)
    orientation: Orientation = Orientation()
    colour: Colour = Colour()

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height with square pixels, not yet turned."""
        return max(1, round(self.coded_width * self.sample_aspect_ratio)), self.coded_height

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture with square pixels."""
        return self.turned(*self.stored_size)

    def turned(self, width: int, height: int) -> tuple[int, int]:
        """The size of a stored picture that is upright as ``(width, height)``, and the other way round."""
        return (height, width) if self.orientation.rotation in (90, 270) else (width, height)


class Frame(NamedTuple):
    number: int
    """0-based count of decoded frames from the start of the video."""
    time_s: float
    """Seconds since the first frame."""
    picture: av.VideoFrame
    shape: Shape
    starts_anew: bool = False
    """No scene reaches across: the first frame, and the first after a hole in the time stamps or a change of shape."""

    def upright(self, width: int, height: int) -> np.ndarray:
        """The upright picture at a size with even sides, planar (:mod:`tiktokactions.video.pictures`)."""
        return upright(shrink(self.picture, *self.shape.turned(width, height)), *self.shape.orientation)

    def bgr(self, width: int, height: int) -> np.ndarray:
        """The same as BGR, uint8 (height, width, 3)."""
        return to_bgr(self.upright(width, height), self.shape.colour.matrix)

    def fitted(self, long_side: int) -> tuple[int, int]:
        return fit_size(*self.shape.size, long_side=long_side)


class VideoFile:
    """An open video. Use as a context manager; read with :meth:`frames` or :meth:`frames_between`.

    ``skip_loop_filter``: FFmpeg's setting of the same name. ``noref`` skips the filter for frames that no other frame
    is predicted from: they look a little coarser, and all other frames are exact.
    ``damage``: frames that are left out, though they are counted.

    Raises:
        VideoError: ``not_a_video``, ``truncated``, ``no_video_stream``, ``unsupported``, ``too_small``.
        OSError: the file cannot be opened at all (missing, no permission).
    """

    def __init__(
        self, path: str | os.PathLike[str], skip_loop_filter: str = "default", damage: Damage | None = None
    ) -> None:
        self.path = os.fspath(path)
        self.damage = damage
        self.skip_loop_filter = skip_loop_filter
        self._container = open_container(self.path)
        try:
            self.stream = video_stream(self._container)
            codec = self.stream.codec_context
            if min(codec.width, codec.height) < SMALLEST_SIDE_PX:
                found = f"{codec.width}x{codec.height} pixels"
                raise VideoError("too_small", f"{found}, expected {SMALLEST_SIDE_PX} or more a side")
        except VideoError:
            self._container.close()
            raise
        codec.options = {"skip_loop_filter": skip_loop_filter}
        ratio = self.stream.sample_aspect_ratio
        self._aspect = Fraction(ratio) if ratio and Fraction(1, 8) <= ratio <= 8 else Fraction(1)
        self.shape = Shape(codec.width, codec.height, self._aspect)
        """Of the newest frame; before the first, without its orientation."""
        self.header_rate = header_rate(self.stream)
        guessed = self.stream.guessed_rate
        self.guessed_rate = Fraction(guessed) if guessed and guessed <= FASTEST_RATE else self.header_rate
        """The capture rate, as far as the header says; missing frames do not lower it."""
        self._kinds = set(self._container.format.name.split(","))
        self.by_counting = bool(self._kinds & CONTAINERS_WITHOUT_TIMESTAMPS)
        self._base = self.stream.time_base or Fraction(1, 90000)
        self._reset()

    def _reset(self) -> None:
        self._is_stamped = not self.by_counting or "avi" in self._kinds
        self.timeline = Timeline(self._base if self._is_stamped else 1 / self.header_rate, self.header_rate)
        self.corrupt_frames = 0
        self.interlaced_frames = 0
        self.leading_frames = 0
        """Packets before the first keyframe: nothing can be predicted from what is not there."""
        self._packets = 0
        self._last_is_damaged = False
        self._last_stamp = 0
        self._seen: list[PacketSeen] = []

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    @property
    def times_s(self) -> array[float]:
        """Time of every frame decoded by :meth:`frames`."""
        return self.timeline.times_s

    @property
    def duration_s_from_header(self) -> float | None:
        if self.stream.duration:
            return float(self.stream.duration * (self.stream.time_base or 0))
        return self._container.duration / av.time_base if self._container.duration else None

    def frames(self) -> Iterator[Frame]:
        """Every frame from the first to the last, in display order. Damaged packets are skipped and counted."""
        self._reset()
        newest: tuple[int, ...] | None = None
        for index, (picture, stamp) in enumerate(self._pictures()):
            looks = picture.width, picture.height, picture.rotation, picture.colorspace
            is_new = looks != newest
            self.interlaced_frames += picture.interlaced_frame
            if is_new:
                newest, self.shape = looks, self._shape_of(picture)
            stamp = stamp if self._is_stamped else index
            breaks = is_new or (self.damage is not None and index in self.damage.breaks)
            time_s, starts_anew = self.timeline.add(stamp, picture.duration or 0, breaks)
            if self.damage is None or index not in self.damage.frames:
                yield Frame(index, time_s, picture, self.shape, starts_anew)
        is_whole = not self.corrupt_frames and not self.missing()
        self.timeline.finish((self._promised_end_s() or 0.0) if is_whole else 0.0)

    def frames_between(self, start_s: float, end_s: float, seek: bool = True) -> Iterator[Frame]:
        """The frames with ``start_s <= time_s < end_s``, found by seeking where that can be trusted.

        ``Frame.number`` counts from the first frame returned. With ``seek=False`` the video is decoded from its start.
        """
        if seek and not self.by_counting and start_s > 0:
            yield from self._frames_after_seek(start_s, end_s)
            return
        with VideoFile(self.path) as fresh:
            from_start = (frame for frame in fresh.frames() if frame.time_s >= start_s - SAME_TIME_S)
            for number, frame in enumerate(from_start):
                if frame.time_s >= end_s - SAME_TIME_S:
                    return
                yield frame._replace(number=number)

    def _frames_after_seek(self, start_s: float, end_s: float) -> Iterator[Frame]:
        base = self._base
        first = next(self.frames(), None)
        if first is None or first.picture.pts is None:
            return
        zero = first.picture.pts
        # Some containers land after the wanted time: try again from further back, and finally from the start.
        for margin_s in (0.0, 2.0, 10.0):
            if margin_s >= start_s:
                break
            try:
                self._container.seek(zero + math.floor((start_s - margin_s) / base), stream=self.stream, backward=True)
            except av.error.FFmpegError:
                continue
            wanted, landed_before_start = 0, False
            begin = zero + math.floor((start_s - SAME_TIME_S) / base)
            for picture, stamp in self._pictures(unseen_before=begin):
                if stamp is None:
                    break
                time_s = (stamp - zero) * base.numerator / base.denominator
                landed_before_start = landed_before_start or time_s <= start_s + SAME_TIME_S
                if not landed_before_start:
                    break
                if time_s >= end_s - SAME_TIME_S:
                    return
                if time_s >= start_s - SAME_TIME_S:
                    if not wanted:
                        self.shape = self._shape_of(picture)
                    yield Frame(wanted, time_s, picture, self.shape)
                    wanted += 1
            if wanted:
                return
        yield from self.frames_between(start_s, end_s, seek=False)

    def shown_s(self, enough_s: float) -> float:
        """Seconds of picture that were decoded so far, without holes. Before decoding, those of the packets, which are only
        looked through where the header says more than ``enough_s``: it counts holes too."""
        if self.times_s:
            return self.timeline.shown_s
        if (self.duration_s_from_header or 0.0) <= enough_s:
            return 0.0
        with open_container(self.path) as container:
            packets = container.demux(video_stream(container))
            stamps = sorted(
                stamp for p in packets if p.size and (stamp := p.dts if p.pts is None else p.pts) is not None
            )
        timeline = Timeline(self._base, self.header_rate)
        for stamp in stamps:
            timeline.add(stamp, 0)
        return timeline.shown_s if stamps else 0.0

    def missing(self) -> str | None:
        """The sign that the end of the file is missing, in words, once :meth:`frames` was read to its end."""
        promised_s = self._promised_end_s()
        # What is gone in the middle, or behind the last frame, makes a file shorter, too.
        ends_early = promised_s is None or self._packets_end_s < promised_s - 1.5 / self.header_rate
        sign = what_is_missing(
            self.path, self._container, self.stream, self._packets, self._last_is_damaged, ends_early
        )
        if sign or promised_s is None or "mov" not in self._kinds or self._packets >= self.stream.frames > 0:
            return sign
        if self._packets_end_s < promised_s - max(0.5, 0.05 * promised_s):  # fragments that are not there
            return f"{self._packets_end_s:.2f} s of {promised_s:.2f} s of its video are there"
        return None

    @property
    def end_s(self) -> float:
        """When the video ends, by its frames and by what the file says."""
        return max(self.timeline.run_ends_s[-1], self._promised_end_s() or 0.0)

    def _promised_end_s(self) -> float | None:
        end_s = end_of_track_s(self._container, self.stream)
        return None if end_s is None else end_s - self._start_s

    @property
    def _start_s(self) -> float:
        """Time stamp of the first frame in the container's own clock."""
        return float((self.timeline.first_pts or 0) * self.timeline.time_base)

    @property
    def _packets_end_s(self) -> float:
        return float(self._last_stamp * self._base) - self._start_s

    def probe(self, shape: Shape | None = None) -> Probe:
        """What is known after :meth:`frames` was read to its end. ``shape``: of the pictures that matter, where it changes.

        Raises:
            VideoError: ``no_frames``.
        """
        if not self.times_s:
            raise VideoError("no_frames", f"{self.stream.codec_context.name} stream without one decodable frame")
        self.timeline.finish()
        rate, variable = self.timeline.nominal_rate()
        shape = shape or self.shape
        width, height = shape.size
        return Probe(
            container=self._container.format.name,
            codec=self.stream.codec_context.name,
            pixel_format=str(self.stream.codec_context.pix_fmt),
            width=width,
            height=height,
            coded_width=shape.coded_width,
            coded_height=shape.coded_height,
            rotation=shape.orientation.rotation,
            mirrored=shape.orientation.mirrored,
            color_matrix=shape.colour.matrix_name,
            hdr=shape.colour.hdr,
            interlaced_frames=self.interlaced_frames,
            sample_aspect_ratio=str(shape.sample_aspect_ratio),
            fps=round(float(rate), 6),
            fps_exact=str(rate),
            variable_frame_rate=variable,
            timestamps_repaired=self.timeline.repaired,
            duration_s=self.timeline.shown_s,
            duration_s_from_header=self.duration_s_from_header,
            frames=len(self.times_s),
            frames_from_header=self.stream.frames or None,
            corrupt_frames=self.corrupt_frames,
            leading_frames=self.leading_frames,
            start_s=self._start_s,
            bit_rate=self.stream.bit_rate or self._container.bit_rate or None,
            has_audio=bool(self._container.streams.audio),
        )

    def _shape_of(self, picture: av.VideoFrame) -> Shape:
        return Shape(picture.width, picture.height, self._aspect, orientation_of(picture), colour_of(picture))

    def find_damage(self) -> Damage:
        """Decode the whole file once more to tell which frames can be trusted."""
        with VideoFile(self.path) as fresh:
            return fresh._find_damage()

    def _find_damage(self) -> Damage:
        shown = [(picture.pts, bool(picture.is_corrupt)) for picture, _ in self._pictures(notes_packets=True)]
        frame_of = {place: number for number, (place, _) in enumerate(shown)}
        packets, frame = list[PacketSeen](), len(shown)
        for place in reversed(range(len(self._seen))):
            frame = frame_of.get(place, frame)
            packets.append(self._seen[place]._replace(frame=frame))
        is_late = self.stream.codec_context.name in NOTICED_LATE
        return find_damage(packets[::-1], [is_damaged for _, is_damaged in shown], is_late)

    def _pictures(
        self, notes_packets: bool = False, unseen_before: int | None = None
    ) -> Iterator[tuple[av.VideoFrame, int | None]]:
        """Decode on: pictures with their time stamps. Damage is counted instead of stopping at it.

        With ``notes_packets``, a picture's ``pts`` is the place of its packet in the file. Nobody looks at those with stamps
        before ``unseen_before``: what no other picture needs of them is not decoded."""
        context = self.stream.codec_context
        may_skip = unseen_before is not None and context.name == "h264"
        places: list[int] = []  # AVI: of the packets whose pictures have not come out yet
        has_keyframe = has_begun = False
        packets = self._demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError):
                self.corrupt_frames += 1
                return
            if packet.size:
                self._packets += 1
                self._last_is_damaged = packet.is_corrupt
                self._last_stamp = max(self._last_stamp, (packet.pts or packet.dts or 0) + (packet.duration or 0))
                has_keyframe = has_keyframe or packet.is_keyframe
                self.leading_frames += not has_keyframe
            if may_skip:
                is_unseen = packet.pts is not None and packet.pts < (unseen_before or 0)
                context.skip_frame = "NONREF" if is_unseen else "DEFAULT"
            is_hurt = packet.is_corrupt or (context.name in NEVER_BLANK and BLANK in bytes(packet).rstrip(b"\0"))
            if notes_packets and packet.size:
                packet.pts = len(self._seen)
            try:
                pictures = packet.decode()
                is_lost = False
            except av.error.FFmpegError:
                pictures, is_lost = [], has_keyframe
            # MPEG-TS counts its packets: one that is missing or damaged is known where the decoder notices nothing.
            self.corrupt_frames += has_keyframe and (is_lost or is_hurt)
            if notes_packets and packet.size:
                self._seen.append(PacketSeen(0, packet.is_keyframe, is_lost or is_hurt))
            is_shown = pictures or (packet.size > LARGEST_EMPTY_PACKET and not is_lost)
            if "avi" in self._kinds and packet.dts is not None and is_shown:
                heapq.heappush(places, packet.dts)
            for picture in pictures:
                assert isinstance(picture, av.VideoFrame)
                stamp = heapq.heappop(places) if places else picture.pts
                has_begun = has_begun or not self.leading_frames or picture.key_frame
                if has_begun:
                    self.corrupt_frames += bool(picture.is_corrupt)
                    yield picture, stamp

    def _demux(self) -> Iterator[av.Packet]:
        """The packets of the video. FFmpeg skips what it cannot read of Matroska and FLV and says nothing, and decoders go on
        from the wrong picture: the packet before is noted as lost."""
        # Alpha channels stand between packets, and are not ours to measure.
        is_measured = bool(self._kinds & {"matroska", "flv"}) and "alpha_mode" not in self.stream.metadata
        place = end = 0
        for packet in self._container.demux(*([] if is_measured else [self.stream])):
            if is_measured and packet.size and packet.pos is not None:
                if 0 < end < packet.pos - LARGEST_HEAD:
                    self._note_loss()
                # Several may share a place.
                place, end = packet.pos, max(end, (end if packet.pos == place else packet.pos) + packet.size)
            if packet.stream_index == self.stream.index:
                yield packet
        is_short = is_measured and (self._promised_end_s() or 0.0) - self._packets_end_s > 0.5
        size = os.path.getsize(self.path)
        if (is_short and size - end > LARGEST_HEAD) or ("mpegts" in self._kinds and all(size % n for n in TS_PACKETS)):
            self._note_loss()

    def _note_loss(self) -> None:
        self.corrupt_frames += 1
        self._seen[-1:] = [seen._replace(is_lost=True) for seen in self._seen[-1:]]
