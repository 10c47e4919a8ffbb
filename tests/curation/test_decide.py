"""From evidence to verdict, by table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tiktokactions.curation.decide import decide, person_frames
from tiktokactions.curation.evidence import encode_motion
from tiktokactions.curation.options import CurateOptions
from tiktokactions.records import (
    ClipFile,
    DetectorInfo,
    PersonBox,
    Probe,
    Quality,
    Sample,
    Scene,
    Segment,
    Source,
    VideoRecord,
)

PROBE = Probe(
    container="mp4", codec="h264", pixel_format="yuv420p", width=400, height=800, coded_width=400, coded_height=800,
    rotation=0, sample_aspect_ratio="1", fps=30.0, fps_exact="30", variable_frame_rate=False, timestamps_repaired=False,
    duration_s=8.0, duration_s_from_header=8.0, frames=240, frames_from_header=240, corrupt_frames=0, start_s=0.0,
    bit_rate=None, has_audio=False,
)  # fmt: skip
BY_AI = Source("/v.mp4", metadata={"ai_label": "AIGC Type 1"})
DAMAGED = replace(PROBE, corrupt_frames=3)


def record(people: int = 4, score: float = 0.8, scene_s: float = 8.0, **changes: Any) -> VideoRecord:
    samples = tuple(Sample(i * 0.8, 24 * i, (PersonBox((0, 0, 9, 9), score),) if i < people else ()) for i in range(10))
    made = VideoRecord(
        video_id="v",
        source=Source("/v.mp4"),
        probe=PROBE,
        scenes=(Scene(0, scene_s, 0, round(scene_s * 30)),),
        longest_scene=0,
        samples=samples,
        motion=encode_motion(np.ones((max(1, int(np.ceil(scene_s))), 8, 8))),
        quality=Quality(0.2, (0.0, 0.1, 0.0, 0.1), 90.0, 500.0, "portrait"),
        detector=DetectorInfo("yolox-nano", "00", 0.4),
    )
    return replace(made, **changes)


def still(**shares: float) -> Quality:
    return replace(Quality(0.2, (0.0, 0.1, 0.0, 0.1), 90.0, 500.0, "portrait"), **shares)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "options", "status", "reasons"),
    [
        (record(), {}, "accepted", ["enough_people"]),
        (record(people=3), {}, "needs_review", ["few_person_frames"]),
        (record(people=3), {"min_person_frames": 3}, "accepted", ["enough_people"]),
        (record(people=0), {"min_person_frames": 0}, "accepted", ["people_not_required"]),
        (record(score=0.39), {}, "needs_review", ["few_person_frames"]),
        (record(score=0.39), {"person_score": 0.3}, "accepted", ["enough_people"]),
        (record(score=0.4), {}, "accepted", ["enough_people"]),
        (record(detector=DetectorInfo("none", "", 1.0), people=0), {}, "needs_review", ["no_detector"]),
        (record(scene_s=3.4), {}, "rejected", ["too_short"]),
        (record(scene_s=3.4999999), {}, "accepted", ["enough_people"]),
        (record(scene_s=3.4), {"min_clip_s": 3.0}, "accepted", ["enough_people"]),
        (record(quality=still(static_share=1.0)), {}, "needs_review", ["static"]),
        (record(quality=still(zoomed_share=0.8)), {}, "needs_review", ["static"]),
        (record(quality=still(static_share=0.9)), {}, "accepted", ["enough_people"]),
        (record(quality=still(zoomed_share=0.6)), {}, "accepted", ["enough_people"]),
        (record(quality=still(static_share=1.0)), {"static": "keep"}, "accepted", ["enough_people"]),
        (record(quality=still(static_share=1.0), people=0), {"min_person_frames": 0}, "needs_review", ["static"]),
        (record(quality=still(static_share=1.0), people=0), {}, "needs_review", ["few_person_frames"]),
        (record(quality=still(screen=0.9)), {}, "accepted", ["enough_people"]),
        (record(quality=still(screen=0.9)), {"max_screen": 0.8}, "needs_review", ["screen"]),
        (record(quality=still(screen=0.7)), {"max_screen": 0.8}, "accepted", ["enough_people"]),
        (record(quality=still(screen=0.1)), {"max_screen": 0.0}, "needs_review", ["screen"]),
        (record(source=BY_AI), {}, "accepted", ["enough_people"]),
        (record(source=BY_AI), {"ai_labelled": "drop"}, "rejected", ["ai_labelled"]),
        (record(source=BY_AI), {"ai_labelled": "only"}, "accepted", ["enough_people"]),
        (record(), {"ai_labelled": "drop"}, "accepted", ["enough_people"]),
        (record(), {"ai_labelled": "only"}, "rejected", ["ai_labelled"]),
        (record(probe=DAMAGED), {}, "accepted", ["enough_people"]),
        (record(probe=DAMAGED), {"damaged": "reject"}, "rejected", ["corrupt"]),
        (record(probe=DAMAGED, scene_s=2.0), {}, "rejected", ["corrupt"]),
        (record(failure="corrupt"), {"min_person_frames": 0}, "rejected", ["corrupt"]),
        (record(), {"max_static_share": 0.1}, "rejected", ["static"]),
        (record(), {"max_border": 0.15}, "rejected", ["borders"]),
        (record(), {"max_border": 0.25}, "accepted", ["enough_people"]),
        (record(), {"min_brightness": 91.0, "min_sharpness": 600.0}, "rejected", ["dark", "blurred"]),
        (record(), {"orientation": "landscape"}, "rejected", ["orientation"]),
        (record(scene_s=2.0), {"orientation": "landscape"}, "rejected", ["too_short", "orientation"]),
    ],
)
def test_verdicts(made: VideoRecord, options: dict[str, Any], status: str, reasons: list[str]) -> None:
    decided = decide(made, CurateOptions(**options))
    assert (decided.status, list(decided.reasons)) == (status, reasons)
    assert (decided.segment is None) == (status == "rejected")
    assert decided.samples == made.samples, "evidence is never touched"


def with_clip(share: float | None, motion: float | None) -> VideoRecord:
    told: dict[str, Any] = {"person_share": share, "person_motion": motion}
    told = {name: value for name, value in told.items() if value is not None}
    clip = ClipFile("clips/x/v.mp4", 240, 30.0, 320, 640, 8.0, "0", 1, "s", **told)
    return replace(record(), clip=clip, segment=Segment(0, 8.0))


@pytest.mark.parametrize(
    ("share", "motion", "options", "reasons"),
    [
        (0.04, 0.2, {}, ["enough_people"]),
        (0.04, 0.2, {"min_person_share": 0.05}, ["small_people"]),
        (0.05, 0.2, {"min_person_share": 0.05}, ["enough_people"]),
        (0.04, 0.2, {"min_person_share": 0.05, "min_person_motion": 0.3}, ["small_people", "still_people"]),
        (0.3, 0.0, {"min_person_motion": 0.3}, ["still_people"]),
        (0.3, None, {"min_person_motion": 0.3}, ["enough_people"]),
        (None, None, {"min_person_share": 0.9, "min_person_motion": 0.9}, ["enough_people"]),
    ],
    ids=["no threshold", "small", "just large enough", "both", "nobody moves", "not known", "a clip of before"],
)
def test_small_and_still_people_are_for_review(
    share: float | None, motion: float | None, options: dict[str, Any], reasons: list[str]
) -> None:
    decided = decide(with_clip(share, motion), CurateOptions(**options))
    assert list(decided.reasons) == reasons
    assert decided.status == ("accepted" if reasons == ["enough_people"] else "needs_review")


def test_duplicates_are_rejected_unless_they_are_to_be_kept() -> None:
    assert decide(record(), CurateOptions(), "other").reasons == ("duplicate_of:other",)
    assert decide(record(), CurateOptions(keep_duplicates=True), "other").status == "accepted"


def test_a_person_is_counted_once_a_frame() -> None:
    two = (PersonBox((0, 0, 9, 9), 0.9), PersonBox((20, 0, 29, 9), 0.9))
    assert person_frames(record(samples=(Sample(0, 0, two),) * 3), CurateOptions()) == 3


def test_long_scenes_give_ten_seconds_and_short_ones_everything() -> None:
    short, long = (decide(record(scene_s=s), CurateOptions()).segment for s in (8.0, 25.0))
    assert short is not None and (short.start_s, short.end_s) == (0, 8.0)
    assert long is not None and long.duration_s == pytest.approx(10.0)


def test_a_segment_is_chosen_again_only_where_the_settings_ask_for_it() -> None:
    first = decide(record(scene_s=25.0), CurateOptions())
    assert first.segment is not None
    marked = replace(first, segment=replace(first.segment, start_s=1.25, end_s=11.25))  # not what would be chosen
    assert decide(marked, CurateOptions(min_person_frames=2)).segment == marked.segment
    assert decide(marked, CurateOptions(max_clip_s=8.0)).segment != marked.segment
    assert decide(marked, CurateOptions(person_score=0.9)).segment != marked.segment
    assert decide(first, CurateOptions(person_score=0.7)).segment == first.segment, "the same place: nothing to write"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_person_frames": 11}, r"`min_person_frames`: got 11, expected at most `samples` \(10\)"),
        ({"min_clip_s": 0.0}, "`min_clip_s`: got 0.0, expected above 0"),
        ({"max_clip_s": 2.0}, r"`max_clip_s`: got 2.0, expected at least `min_clip_s` \(3.5\)"),
        ({"person_score": 1.5}, "`person_score`: got 1.5, expected between 0 and 1"),
        ({"workers": 0}, "`workers`: got 0, expected 1 or more"),
        ({"short_side": 8}, "`short_side`: got 8, expected 16 or more, or 'source'"),
    ],
)
def test_options_out_of_range_say_what_is_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CurateOptions(**options)
