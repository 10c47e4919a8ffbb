"""The nouns of the project: small frozen records and their JSON form.

Conventions that hold everywhere: times are seconds counted from the first video frame, intervals are half-open
``[start_s, end_s)``, frame numbers are 0-based, frame rates are :class:`fractions.Fraction`, boxes are ``(x0, y0, x1, y1)``
in pixels of the *upright, square-pixelled* source picture (``Probe.width`` x ``Probe.height``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any, Literal, TypedDict

import msgspec

from tiktokactions.errors import UsageError

JsonObject = dict[str, Any]
"""A JSON object, or a row of a table, as it was read: whoever takes a value out knows, or checks, what it is."""

Status = Literal["accepted", "needs_review", "rejected"]
STATUSES: tuple[Status, ...] = ("accepted", "needs_review", "rejected")

REASONS: dict[str, str] = {
    # accepted
    "enough_people": "a person in at least min_person_frames of the clip's sampled frames",
    "people_not_required": "accepted without person evidence (min_person_frames is 0)",
    "human_accepted": "a person looked at it and accepted it",
    "released_accepted": "accepted in the release that this dataset was made of; the file here is another download",
    # needs_review
    "few_person_frames": "a person in fewer than min_person_frames of the clip's sampled frames",
    "small_people": "the largest person takes less of the picture than min_person_share",
    "still_people": "people move less, compared with the rest of the picture, than min_person_motion",
    "screen": "what moves fills a rectangle within a picture that rests, more than max_screen: a filmed screen, perhaps",
    "no_detector": "curated without a detector: nobody has looked for people yet",
    "static": "a still picture, or a slow zoom over one; rejected with more motionless frames than max_static_share",
    "like_taken_down": "may show what was taken down from this dataset: a person must look before it is used",
    "source_missing": "a person accepted it, but its source is gone or has changed: the clip they chose cannot be cut",
    # rejected: the file could not be used
    "empty_file": "the file has zero bytes",
    "unreadable": "the operating system refused to open the file",
    "vanished": "the file was listed but was gone when its turn came",
    "not_a_video": "not a media file of a known kind",
    "unsupported": "a video of a kind that FFmpeg does not read, such as an animated WebP",
    "no_video_stream": "sound only, or no stream that can be decoded",
    "no_frames": "not one frame could be decoded",
    "single_frame": "only one frame: a picture, not a video",
    "truncated": "the file ends before its last frame",
    "corrupt": "frames inside the video are damaged, and no undamaged scene is long enough (or damaged is reject)",
    "too_small": "the picture is smaller than 16 pixels on a side",
    "too_long": "longer than max_source_s",
    "clip_failed": "the clip could not be cut or did not pass its check",
    "timeout": "took longer than timeout_s",
    "worker_crashed": "the worker process died on this video",
    # rejected: the video could be used but does not qualify
    "too_short": "the longest scene is shorter than min_clip_s",
    "duplicate_of": "a near-duplicate; the better copy's id follows the colon",
    "borders": "more flat border than max_border",
    "dark": "darker than min_brightness",
    "blurred": "less sharp than min_sharpness",
    "orientation": "not in the orientation asked for",
    "ai_labelled": "left out by ai_labelled, for having or lacking the platform's label for AI-generated content",
    "human_rejected": "a person looked at it and rejected it",
    "released_rejected": "rejected in the release that this dataset was made of; the file here is another download",
    "human_no_action": "a person looked at it and saw nobody act in it",
}
"""Every reason code and what it means. ``duplicate_of`` is followed by ``:<video_id>``, and stays beside the code of a
human verdict, because copies must not be split over training and test."""

FAILURES = frozenset(
    "empty_file unreadable vanished not_a_video unsupported no_video_stream no_frames single_frame truncated corrupt"
    " too_small too_long clip_failed timeout worker_crashed".split()
)
"""Reason codes of videos that gave no usable evidence."""

RECORD_FORMAT = 1
"""Raised when a record's JSON changes in a way that older readers would misread."""


@dataclass(frozen=True, slots=True)
class PersonBox:
    """One detected person. ``xyxy`` in pixels of the upright source picture, ``score`` in [0, 1]."""

    xyxy: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the (at most ten) sampled frames of the longest scene, or of the clip, and what was seen in it."""

    time_s: float
    frame: int
    people: tuple[PersonBox, ...] = ()
    phash: str = ""
    """256-bit perceptual hash, 64 hex digits; empty where the picture is too flat to tell apart from others."""
    phash_mirrored: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    start_s: float
    end_s: float
    start_frame: int
    end_frame: int

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def frames(self) -> int:
        return self.end_frame - self.start_frame


@dataclass(frozen=True, slots=True)
class Stretch:
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Transition:
    """Where one shot passes into the next, as the second look found it; of a hard cut, one or a few frames around it.
    ``probability`` is 0 of the rest of one within which the scene detector has cut."""

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int
    probability: float


class ActionSegment(TypedDict):
    """A part of a video with labels of its own, as people marked it; seconds in the source, half-open."""

    start_s: float
    end_s: float
    labels: list[str]


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of the longest scene that becomes the clip, in source time, and the settings it was chosen under: while
    those stand it need not be chosen again. Where a person chose it, of whatever scene, both settings are 0."""

    start_s: float
    end_s: float
    person_score: float = 0.0
    max_clip_s: float = 0.0

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Probe:
    """What the container says, corrected by what decoding saw (names end in ``_from_header`` where uncorrected)."""

    container: str
    codec: str
    pixel_format: str
    width: int
    """Upright and square-pixelled: rotation and sample aspect ratio applied."""
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    """Degrees clockwise (0, 90, 180, 270) by which the coded picture is turned to be upright."""
    sample_aspect_ratio: str
    fps: float
    """Nominal frame rate as a number, for reading; ``fps_exact`` is the fraction used for computing."""
    fps_exact: str
    variable_frame_rate: bool
    timestamps_repaired: bool
    """True where time stamps were missing or ran backwards and were rebuilt from the nominal frame rate."""
    duration_s: float
    """Seconds of picture: holes in the time stamps do not count."""
    duration_s_from_header: float | None
    frames: int
    frames_from_header: int | None
    corrupt_frames: int
    start_s: float
    """Time stamp of the first frame in the container's own clock; every other time here counts from it."""
    bit_rate: int | None
    has_audio: bool
    mirrored: bool = False
    """Whether the picture is mirrored left to right after it was turned."""
    leading_frames: int = 0
    """Packets in front of the first keyframe, which no frame can be made of."""
    color_matrix: str = ""
    """``bt601``, ``bt709`` or ``bt2020`` …: of the clip and of the pictures; empty where the file does not say."""
    hdr: str = ""
    """``pq`` or ``hlg`` where the source is of high dynamic range; clip and pictures are BT.709."""
    interlaced_frames: int = 0

    @property
    def frame_rate(self) -> Fraction:
        return Fraction(self.fps_exact)


ORIGIN_KEYS = ("source_video", "source_id", "source_video_id", "original_id", "original_video", "parent_id")
"""Names in a video's metadata that tell what it was cut from."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a video came from. ``metadata`` keeps everything a list or a sidecar said that has no field here."""

    path: str
    copies: tuple[str, ...] = ()
    """Other paths that hold byte-identical files."""
    fingerprints: dict[str, tuple[int, int | str]] = field(default_factory=dict)
    """``{path: (size in bytes, mtime in ns or an object's ETag)}`` for ``path`` and every copy, as they were when hashed."""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The labels that each path brought; the record's ``labels`` are their union, ``path`` first."""
    sha256: str = ""
    size_bytes: int = 0
    id: str | None = None
    """The platform's id, as a list or a sidecar gave it (the file-system-safe form is ``video_id``)."""
    creator: str | None = None
    title: str | None = None
    category: str | None = None
    uploaded: str | None = None
    sound: str | None = None
    metadata: JsonObject = field(default_factory=dict)
    released_labels: tuple[str, ...] | None = None
    """Of a hydrated video: its labels in the release, which hold whatever its file's folder or list says here."""

    def derived_from(self) -> list[str]:
        """What the metadata say a video was cut from, as ``name:value``."""
        return [f"{name}:{self.metadata[name]}" for name in ORIGIN_KEYS if self.metadata.get(name)]


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion in the longest scene, measured while it was decoded. ``docs/formats.md`` defines the unit.

    ``per_second[i]`` is the mean absolute luma change per pixel and frame in second ``i`` of the scene. ``grid`` holds the
    same per cell of an 8x8 grid over the upright picture (base64 of uint8 ``(seconds, 8, 8)``; multiply by ``grid_unit``).
    """

    per_second: tuple[float, ...]
    grid: str
    grid_unit: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Scores that decide nothing unless a threshold is set. Measured on the sampled frames of the longest scene."""

    static_share: float
    """Share of the scene's frames that do not differ from the frame before (1.0 = still image or slideshow)."""
    borders: tuple[float, float, float, float]
    """Flat border left, top, right, bottom as a fraction of width or height."""
    brightness: float
    """Mean luma, 0 (black) to 255 (white)."""
    sharpness: float
    """Variance of the Laplacian of the luma at 416 pixels on the long side."""
    orientation: Literal["portrait", "landscape", "square"]
    interlaced_share: float = 0.0
    """Share of the video's frames that show two moments in alternate lines; the clip shows one of them."""
    zoomed_share: float = 0.0
    """Share of the successive sampled frames that are one still picture, evenly zoomed or moved."""
    screen: float = 0.0
    """How well what moves fills a rectangle within a picture that rests, as a filmed screen does: 0 to 1."""


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """Which person detector saw the samples; ``sha256`` is that of its weight file."""

    name: str
    sha256: str
    default_score: float
    """The score from which this detector's boxes count unless the user sets another."""


WEAKER = {"blazepose": "the weaker detector: it misses more people than yolox-nano does"}
"""What the summary of a run and the card of a dataset say of some detectors."""


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A clip on disk. ``path`` is relative to the dataset folder, with forward slashes."""

    path: str
    frames: int
    fps: float
    width: int
    height: int
    duration_s: float
    sha256: str
    size_bytes: int
    settings: str
    """Hash of the settings it was cut with; another value means it must be cut again."""
    samples: tuple[Sample, ...] | msgspec.UnsetType = msgspec.UNSET
    """Ten of its frames, spread like those of a scene, and what was seen in them: ``frame`` counts within the clip,
    ``time_s`` is the source's. Unset where nobody looked, so that records of before keep their bytes and their seal."""

    person_share: float | msgspec.UnsetType = msgspec.UNSET
    """Share of the picture that the largest person's box takes, the median over the samples that show one. Presenters in a
    corner, and people on a screen that is filmed, take little."""
    person_motion: float | msgspec.UnsetType = msgspec.UNSET
    """Motion per pixel where people are, as a share of that and of motion elsewhere: 0.5 where both are alike, near 1 where
    only people move, near 0 where everything else does, as behind a presenter."""

    @property
    def searched(self) -> tuple[Sample, ...]:
        """Its :attr:`samples`; empty where nobody looked."""
        return () if self.samples is msgspec.UNSET else self.samples


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """Everything that is known of one video: evidence first, then the verdict drawn from it."""

    video_id: str
    source: Source
    labels: tuple[str, ...] = ()
    probe: Probe | None = None
    scenes: tuple[Scene, ...] = ()
    longest_scene: int | None = None
    scene_sizes: tuple[tuple[int, int], ...] = ()
    """Width and height of the upright picture in each scene, where the size changes within the video; else empty."""
    damaged: tuple[Stretch, ...] = ()
    """What lies in no scene because it shows damage."""
    transitions: tuple[Transition, ...] | msgspec.UnsetType = msgspec.UNSET
    """What the second look found in the longest scene, which is split there: they lie between scenes. Unset where it did not
    look, so that records of before keep their bytes and their seal."""
    samples: tuple[Sample, ...] = ()
    motion: Motion | None = None
    quality: Quality | None = None
    detector: DetectorInfo | None = None
    failure: str | None = None
    """Reason code of what made the video unusable before any decision (``corrupt``, ``timeout`` ...), else None."""
    failure_detail: str | None = None
    segment: Segment | None = None
    clip: ClipFile | None = None
    status: Status = "rejected"
    reasons: tuple[str, ...] = ()
    human_labels: tuple[str, ...] = ()
    """The actions that people saw in the clip; where anybody was asked, they count instead of ``labels``."""
    human_answers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    """What people came to about each label (``*``: others): ``yes``, ``no``, ``cannot_tell`` or ``not_asked``. Unset where
    nobody was asked, and in records of before this was kept, where ``human_labels`` without any names say the same."""
    human_tags: tuple[str, ...] = ()
    human_segments: tuple[ActionSegment, ...] | msgspec.UnsetType = msgspec.UNSET
    """Parts of the video in which people saw actions; unset where nobody marked any."""
    evidence_fingerprint: str = ""
    """Hash of the settings that shaped the evidence; another value means the video must be decoded again."""
    decision_fingerprint: str = ""
    """Hash of the settings under which the verdict last changed; those in force stand in ``dataset.json``."""
    versions: dict[str, str] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds (wall clock) spent per stage."""
    poster_sha256: str = ""
    """SHA-256 of ``thumbs/<video_id>.jpg``; empty where it was written before this was kept."""
    strip_sha256: str = ""
    """The same of ``thumbs/<video_id>.strip.jpg``."""
    description_sha256: str = ""
    """The same of ``thumbs/<video_id>.description``, by which copies are recognised; empty where there is none."""
    format: int = RECORD_FORMAT

    def with_source(self, source: Source) -> VideoRecord:
        """The record with another source, its labels united anew: those of ``path`` first, then of the copies in order."""
        if source.released_labels is not None:
            return replace(self, source=source, labels=source.released_labels)
        labels = dict.fromkeys(label for path in (source.path, *source.copies) for label in source.labels.get(path, ()))
        return replace(self, source=source, labels=tuple(labels))

    @property
    def labels_seen(self) -> tuple[str, ...] | None:
        """The actions that people saw, empty where none of those they were asked about; None where nobody was asked, or could
        tell."""
        said = self.human_answers
        nothing = said is msgspec.UNSET or (said and set(said.values()) <= {"cannot_tell", "not_asked"})
        return None if nothing and not self.human_labels else self.human_labels

    @property
    def scene(self) -> Scene | None:
        """The longest scene, the one that was sampled and cut."""
        return None if self.longest_scene is None else self.scenes[self.longest_scene]


def encode_record(record: VideoRecord) -> bytes:
    """A record as one line of JSON (UTF-8, newline at the end), fields in the order they are declared, sealed: the last
    key, ``sha256``, is that of the line without this key and without the newline."""
    plain = msgspec.json.encode(record)
    return b'%s,%s%s"}\n' % (plain[:-1], _SEAL, hashlib.sha256(plain).hexdigest().encode())


def record_seal(record: VideoRecord) -> str:
    """The ``sha256`` that a record bears once it is read from its file; of an older file, would bear."""
    return hashlib.sha256(msgspec.json.encode(record)).hexdigest()


def seal_of(data: bytes) -> str:
    """The seal that stands in a record's file; empty in one of before there were seals."""
    seal, sha256 = data.rpartition(b"," + _SEAL)[1:]
    return sha256[:64].decode("ascii", "replace") if seal else ""


def is_as_sealed(data: bytes) -> bool:
    """Whether the bytes of a record are those that were written; also true of those written before there were seals."""
    plain, _, sha256 = data.rpartition(b"," + _SEAL)
    if sha256 == hashlib.sha256(plain + b"}").hexdigest().encode() + b'"}\n':
        return True
    try:
        return bool(msgspec.json.decode(data).keys() <= {f.name for f in fields(VideoRecord)})
    except UnicodeDecodeError:  # a name that no reader looks at, its bits flipped
        return False


def decode_record(data: bytes, where: str) -> VideoRecord:
    """Parse and check one record; unknown keys are ignored, so that an older program reads a newer file.

    Raises:
        ValueError: not JSON, a field of the wrong type, or a format newer than this program; the message names ``where``.
    """
    try:
        record = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{where}: not a valid record: {error}") from error
    if record.format > RECORD_FORMAT:
        raise UsageError(
            f"{where}: record format {record.format}, this program reads up to {RECORD_FORMAT}: update tiktokactions"
        )
    return record


_DECODER = msgspec.json.Decoder(VideoRecord)
_SEAL = b'"sha256":"'


def one_bit_turned(data: bytes) -> Iterator[bytes]:
    """A sealed record as it would be with one bit turned so that its seal fits: what one flipped bit made of it, undone."""
    plain, seal, sha256 = data.rpartition(b"," + _SEAL)
    if not seal or len(sha256) != 67:
        return
    whole = hashlib.sha256(plain + b"}").hexdigest().encode() + b'"}\n'
    if sum(one != other for one, other in zip(whole, sha256, strict=True)) == 1:
        yield plain + seal + whole
    hashed = hashlib.sha256()
    for place, byte in enumerate(plain):
        rest = plain[place + 1 :] + b"}"
        for bit in range(8):
            tried = hashed.copy()
            tried.update(bytes([byte ^ 1 << bit]) + rest)
            if tried.hexdigest().encode() == sha256[:64]:
                yield plain[:place] + bytes([byte ^ 1 << bit]) + rest[:-1] + seal + sha256
        hashed.update(bytes([byte]))


def to_builtins(record: object) -> Any:
    """Any record as dicts, lists, strings and numbers."""
    return msgspec.to_builtins(record)
