"""The options of ``curate``, and which of them make old evidence or old verdicts stale."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from tiktokactions.collection.rows import AiLabelled
from tiktokactions.curation.listed import LABEL_SOURCES
from tiktokactions.machine import usable_cores
from tiktokactions.options import Check, check_bounds, check_options, option
from tiktokactions.records import DetectorInfo, JsonObject

SceneDetectorName = Literal["content", "adaptive", "histogram", "hash", "threshold", "transnetv2"]

Group = Literal["evidence", "decision", "clip", "labels", "run"]
"""What a changed option requires: ``evidence`` to decode the video again, ``decision`` only a new verdict, ``clip`` to cut
the clip again, ``labels`` to list the videos again, ``run`` nothing."""


@dataclass(frozen=True)
class CurateOptions:
    """Every option of ``tiktokactions curate`` (the defaults are the paper's, section 3.3 and Appendix D)."""

    scenes: SceneDetectorName = option(
        "content", "evidence", "what finds the cuts: a PySceneDetect detector or TransNet V2"
    )
    scene_threshold: float | None = option(
        None,
        "evidence",
        "cut threshold (default: content 27, adaptive 3, histogram 0.2, hash 0.35, threshold 12, transnetv2 0.5)",
    )
    min_scene_frames: int = option(
        15, "evidence", "fewest frames between two cuts (PySceneDetect's min_scene_len; not of transnetv2)"
    )
    second_look: bool | None = option(
        None,
        "evidence",
        "search the longest scene for transitions that were missed, with TransNet V2 (default: where its weights can be had)",
    )
    scene_param: tuple[str, ...] = option(
        (), "evidence", "further parameter of the scene detector as NAME=VALUE (window_width=3); repeatable"
    )
    samples: int = option(10, "evidence", "frames sampled from the longest scene for person detection", least=1)
    detector: str = option(
        "auto", "evidence", "auto, yolox-nano, ultralytics:WEIGHTS, onnx:PATH, blazepose or none (see 'doctor')"
    )
    max_source_s: float = option(3600.0, "evidence", "reject videos longer than this (too_long)", above=0)

    person_score: float | None = option(
        None, "decision", "score from which a box counts as a person (default: the detector's own, see 'doctor')"
    )
    min_person_frames: int = option(
        4,
        "decision",
        "accept a video with a person in this many sampled frames, fewer send it to review; 0 accepts all",
        least=0,
    )
    min_clip_s: float = option(3.5, "decision", "reject videos whose longest scene is shorter than this (too_short)")
    max_clip_s: float = option(10.0, "decision", "take the most relevant part of this length from longer scenes")
    damaged: Literal["keep", "reject"] = option(
        "keep", "decision", "judge damaged videos by their longest undamaged scene, or 'reject' them (corrupt)"
    )
    keep_duplicates: bool = option(False, "decision", "keep near-duplicates of other videos")
    static: Literal["review", "keep"] = option(
        "review", "decision", "send still pictures, and slow zooms over one, to review (static), or 'keep' them"
    )
    max_static_share: float | None = option(
        None, "decision", "reject videos with a larger share of motionless frames (static)"
    )
    max_border: float | None = option(None, "decision", "reject videos with a larger share of flat border (borders)")
    min_brightness: float | None = option(None, "decision", "reject videos with a lower mean luma, 0 to 255 (dark)")
    min_sharpness: float | None = option(
        None, "decision", "reject videos with a lower variance of the Laplacian (blurred)"
    )
    min_person_share: float | None = option(
        None, "decision", "review clips whose largest person takes less of the picture, 0 to 1 (small_people)"
    )
    min_person_motion: float | None = option(
        None, "decision", "review clips whose people move less beside the rest, 0 to 1, 0.5 alike (still_people)"
    )
    max_screen: float | None = option(
        None,
        "decision",
        "review videos in which a rectangle moves and the rest does not, above this score, 0 to 1 (screen)",
    )
    ai_labelled: AiLabelled = option(
        "keep", "decision", "keep or drop videos with the platform's label for AI-generated content, or take only them"
    )
    orientation: Literal["any", "portrait", "landscape", "square"] = option(
        "any", "decision", "reject videos of another orientation (orientation)"
    )

    short_side: int | None = option(
        320, "clip", "short side of the clips in pixels, never enlarged; 'source' keeps it", none="source"
    )
    fps: Fraction | None = option(None, "clip", "frame rate of the clips (default: the source's nominal rate)")
    crf: int = option(23, "clip", "x264 quality of the clips, lower is better and larger", least=0, most=51)
    audio: bool = option(False, "clip", "keep the sound")

    labels_from: tuple[str, ...] = option(
        LABEL_SOURCES,
        "labels",
        "where labels come from, with commas between: the first of these that names any gives them all",
    )
    skip_missing: bool = option(False, "run", "go on without the files that a list names but that are not there")
    engine: Literal["local", "ray"] = option(
        "local", "run", "processes of this machine, or a Ray cluster (extra 'ray'; RAY_ADDRESS, see docs/scale.md)"
    )
    workers: int | None = option(None, "run", "worker processes, one thread each (default: one per core)", least=1)
    timeout_s: float = option(900.0, "run", "time limit per video, after which it is rejected (timeout)", above=0)
    retry_failed: bool = option(False, "run", "try again the videos whose worker crashed or timed out")

    def __post_init__(self) -> None:
        if self.fps is not None:  # from Python a plain number will do
            object.__setattr__(self, "fps", Fraction(str(self.fps)))
        object.__setattr__(self, "labels_from", tuple(n.strip() for part in self.labels_from for n in part.split(",")))
        check_bounds(self)
        checks: list[Check] = [
            ({*self.labels_from} <= {*LABEL_SOURCES}, "labels_from", f"some of {','.join(LABEL_SOURCES)}"),
            (self.min_scene_frames >= 0, "min_scene_frames", "0 or more"),
            (self.person_score is None or 0 < self.person_score <= 1, "person_score", "between 0 and 1"),
            (self.min_clip_s > 0, "min_clip_s", "above 0"),
            (self.fps is None or 0 < self.fps <= 240, "fps", "above 0 and at most 240"),
            (self.fps is None or 0 < self.fps <= 240, "fps", "above 0 and at most 240"),
            (self.min_person_frames <= self.samples, "min_person_frames", f"at most `samples` ({self.samples})"),
            (self.max_clip_s >= self.min_clip_s, "max_clip_s", f"at least `min_clip_s` ({self.min_clip_s:g})"),
            (self.short_side is None or self.short_side >= 16, "short_side", "16 or more, or 'source'"),
        ]
        check_options(self, checks)

    @property
    def worker_count(self) -> int:
        return self.workers or usable_cores()

    def group(self, *groups: Group) -> JsonObject:
        """The options of these groups, as JSON types."""
        chosen = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata["group"] in groups}
        plain: JsonObject = json.loads(json.dumps(chosen, default=str))  # a Fraction becomes text
        return plain


def evidence_fingerprint(options: CurateOptions, detector: DetectorInfo) -> str:
    """A name for the options and weights that shaped a record's evidence."""
    shaped = options.group("evidence") | {"detector": [detector.name, detector.sha256]}
    if not options.second_look:
        del shaped["second_look"]  # so that evidence of before there was one has the name that it had
    return _hash(shaped)


def decision_fingerprint(options: CurateOptions) -> str:
    return _hash(options.group("decision"))


def clip_fingerprint(options: CurateOptions) -> str:
    return _hash(options.group("clip"))


def _hash(settings: JsonObject) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
