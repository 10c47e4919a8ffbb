"""Statistics of hand-made manifests, compared with numbers counted by hand."""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiktokactions.dataset import tally
from tiktokactions.dataset.manifest import SCHEMA
from tiktokactions.dataset.statistics import Funnel, Share, Stage, dataset_statistics, fitted_edges
from tiktokactions.dataset.statistics_text import statistics_table
from tiktokactions.records import REASONS, to_builtins

WriteManifest = Callable[[list[dict[str, Any]]], Path]


def row(video_id: str, status: str, *reasons: str, **values: Any) -> dict[str, Any]:
    """A row of the manifest; what is not given is unknown, as in a manifest written from a failed video."""
    empty: dict[str, Any] = {"labels": [], "human_labels": None, "copies": 0, "size_bytes": 0, "timings": []}
    return {"video_id": video_id, "status": status, "reasons": list(reasons), **empty, **values}


def accepted(video_id: str, labels: list[str], clip_s: float = 10.0, fps: float | None = 30.0) -> dict[str, Any]:
    return row(
        video_id,
        "accepted",
        "enough_people",
        labels=labels,
        longest_scene_s=clip_s,
        person_frames=10,
        clip_start_s=0.0,
        clip_end_s=clip_s,
        fps=fps,
    )


def write_manifest(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> WriteManifest:
    return lambda rows: write_manifest(tmp_path / "manifest.parquet", rows)


PORTRAIT = {"width": 576, "height": 1024, "orientation": "portrait"}
EIGHT: list[dict[str, Any]] = [
    row("a", "accepted", "enough_people", labels=["boxing"], creator="ann", fps=30.0, **PORTRAIT, duration_s=20.0,
        longest_scene_s=12.0, person_frames=9, clip_start_s=2.0, clip_end_s=12.0, detector="yolox-nano", copies=1,
        size_bytes=1000, timings=[("decode", 1.0), ("detect", 0.5)], split="train"),
    row("b", "accepted", "enough_people", labels=["boxing", "clapping"], creator="ann", fps=25.0, width=1080,
        height=1920, orientation="portrait", duration_s=10.0, longest_scene_s=4.0, person_frames=4, clip_start_s=0.0,
        clip_end_s=4.0, detector="yolox-nano", size_bytes=500, timings=[("decode", 2.0)], split="val"),
    row("c", "needs_review", "few_person_frames", labels=["boxing"], creator="bob", fps=30.0, **PORTRAIT,
        duration_s=6.0, longest_scene_s=6.0, person_frames=3, clip_start_s=0.0, clip_end_s=6.0, detector="yolox-nano"),
    row("d", "rejected", "too_short", labels=["clapping"], fps=30.0, **PORTRAIT, duration_s=2.0, longest_scene_s=2.0,
        person_frames=10, detector="yolox-nano"),
    row("e", "rejected", "corrupt", creator="cid", timings=[("decode", 0.25)]),
    row("f", "rejected", "static", "duplicate_of:a", labels=["clapping"], fps=29.97, **PORTRAIT, duration_s=5.0,
        longest_scene_s=5.0, person_frames=8, detector="blazepose"),
    row("g", "accepted", "human_accepted", labels=["running"], human_labels=["clapping", "clapping"], creator="",
        fps=29.97, width=1280, height=720, orientation="landscape", duration_s=7.0, longest_scene_s=5.0,
        person_frames=0, clip_start_s=1.0, clip_end_s=6.0, detector="blazepose"),
    row("h", "rejected", "human_rejected", labels=None, fps=30.0, **PORTRAIT, duration_s=8.0, longest_scene_s=8.0,
        person_frames=7, detector="yolox-nano"),
]  # fmt: skip


# --- nothing, then eight videos --------------------------------------------------------------------------------------


def test_empty_manifest(manifest: WriteManifest) -> None:
    stats = dataset_statistics(manifest([]))
    assert stats.videos == stats.to_judge == stats.creators == 0
    assert stats.status == {"accepted": 0, "needs_review": 0, "rejected": 0}
    assert stats.funnel == Funnel("all videos")
    assert stats.labels == stats.fitted_ranges == stats.duration_histogram == stats.stages == ()
    assert stats.clips_per_label is None
    assert [b.count for b in stats.durations] == [0, 0, 0, 0]
    assert "no labelled clip yet" in statistics_table(stats)


def test_counts(manifest: WriteManifest) -> None:
    stats = dataset_statistics(manifest(EIGHT))
    assert stats.videos == 8
    assert stats.status == {"accepted": 3, "needs_review": 1, "rejected": 4}
    assert list(stats.reasons.items()) == [
        ("enough_people", 2),
        *((code, 1) for code in ("corrupt", "duplicate_of", "few_person_frames", "human_accepted", "human_rejected")),
        ("static", 1),
        ("too_short", 1),
    ]
    assert stats.to_judge == 1
    assert (stats.creators, stats.creators_accepted) == (3, 1)
    assert (stats.copies, stats.source_bytes) == (1, 1500)
    assert stats.detectors == {"yolox-nano": 5, "blazepose": 2}
    assert stats.splits == {"train": 1, "val": 1}


def test_funnel_overall_and_per_label(manifest: WriteManifest) -> None:
    stats = dataset_statistics(manifest(EIGHT))
    assert stats.funnel == Funnel("all videos", seen=8, readable=7, long_enough=6, people=4, accepted=3, needs_review=1)
    assert stats.funnel.rejected == 4
    assert stats.labels == (
        Funnel("boxing", seen=3, readable=3, long_enough=3, people=2, accepted=2, needs_review=1),
        # b, d, f, and g by its human label, which it has twice and which hides 'running'; nobody is detected in g
        Funnel("clapping", seen=4, readable=4, long_enough=3, people=2, accepted=2, needs_review=0),
        Funnel("(none)", seen=2, readable=1, long_enough=1, people=1, accepted=0, needs_review=0),
    )


@pytest.mark.parametrize(("min_person_frames", "people"), [(0, 6), (3, 5), (4, 4), (8, 2), (10, 0)])
def test_people_stage_follows_the_threshold_whatever_a_person_said(
    manifest: WriteManifest, min_person_frames: int, people: int
) -> None:
    stats = dataset_statistics(manifest(EIGHT), min_person_frames)
    assert stats.funnel.people == people
    assert stats.funnel.accepted == 3  # verdicts are taken as they are


def test_the_people_stage_counts_the_frames_of_the_clip(manifest: WriteManifest) -> None:
    scene = row("a", "accepted", "enough_people", longest_scene_s=40.0, person_frames=2, clip_person_frames=5)
    gone = row("b", "needs_review", "few_person_frames", longest_scene_s=30.0, person_frames=5, clip_person_frames=0)
    assert dataset_statistics(manifest([scene, gone])).funnel.people == 1


def test_seconds_hours_and_stages(manifest: WriteManifest) -> None:
    stats = dataset_statistics(manifest(EIGHT))
    assert stats.clip_hours == pytest.approx((10 + 4 + 5) / 3600, abs=1e-6)
    assert stats.review_hours == pytest.approx(6 / 3600, abs=1e-6)
    assert stats.source_hours == pytest.approx((20 + 10 + 6 + 2 + 5 + 7 + 8) / 3600, abs=1e-6)
    assert stats.stages == (Stage("decode", 3.25, round(3.25 / 3, 6), 3), Stage("detect", 0.5, 0.5, 1))
    assert {b.name: b.count for b in stats.durations} == {
        "below 3.5 s": 0, "3.5–5 s": 1, "5–10 s": 1, "10 s and more": 1,
    }  # fmt: skip
    assert {b.low: b.count for b in stats.duration_histogram if b.count} == {4.0: 1, 5.0: 1, 10.0: 1}
    assert len(stats.duration_histogram) == 13  # without gaps from 4.0 to 10.5


def test_what_clips_stand_for_on_the_platform(manifest: WriteManifest) -> None:
    chances = {"a": 0.5, "b": 0.1, "c": 0.01}  # c is not accepted, and of g nobody knows it
    rows = [one | {"inclusion_probability": chances.get(one["video_id"])} for one in EIGHT]
    stats = dataset_statistics(manifest(rows))
    assert (stats.sampled, stats.represented, stats.funnel.represented) == (2, 12.0, 12.0)
    assert {f.label: f.represented for f in stats.labels} == {"boxing": 12.0, "clapping": 10.0, "(none)": 0.0}
    told = statistics_table(stats)
    assert "Weighted by probability, 2 clips" in told and re.search(r"clapping +2 +66\.7 % +10 +83\.3 %", told)
    assert "Weighted" not in statistics_table(dataset_statistics(manifest(EIGHT)))


def test_scores_of_the_picture_are_counted(manifest: WriteManifest) -> None:
    scores: list[dict[str, Any]] = [
        {"zoomed_share": 0.7, "hdr": "pq"},
        {"zoomed_share": 0.6, "interlaced_share": 1.0},
        {"screen": 0.95},
    ]
    rows = [one | score for one, score in zip(EIGHT[:5], [*scores, {}, {"hdr": "hlg"}], strict=True)]
    stats = dataset_statistics(manifest(rows))
    assert stats.pictures == {"hdr": 1, "interlaced": 1, "screen": 1, "zoomed": 1}, "e cannot be read"
    assert "pictures        hdr 1, interlaced 1, screen 1, zoomed 1" in statistics_table(stats)


def test_pictures(manifest: WriteManifest) -> None:
    stats = dataset_statistics(manifest(EIGHT))
    assert stats.short_sides == (Share("480–720", 5, 1), Share("720–1080", 1, 1), Share("1080–2160", 1, 1))
    assert stats.frame_sizes == (Share("576×1024", 5, 1), Share("1080×1920", 1, 1), Share("1280×720", 1, 1))
    assert stats.orientations == (Share("portrait", 6, 2), Share("landscape", 1, 1))
    assert stats.frame_rates == (Share("25", 1, 1), Share("30", 6, 2))  # 29.97 is 30


def test_rare_frame_sizes_are_counted_together(manifest: WriteManifest) -> None:
    rows = [row(f"v{i}", "rejected", "too_short", width=100 + i, height=200) for i in range(10)]
    sizes = dataset_statistics(manifest(rows)).frame_sizes
    assert [s.name for s in sizes] == [f"{100 + i}×200" for i in range(8)] + ["2 others"]
    assert sizes[-1].readable == 2


# --- bins ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clip_s", "fps", "name"),
    [
        (3.0, 30.0, "below 3.5 s"),
        (3.5, 30.0, "3.5–5 s"),
        (3.49, 30.0, "3.5–5 s"),  # within half a frame (1/60 s)
        (4.98, 30.0, "3.5–5 s"),
        (4.99, 30.0, "5–10 s"),
        (5.0, 30.0, "5–10 s"),
        (9.98, 30.0, "5–10 s"),
        (9.98, 25.0, "10 s and more"),  # half a frame is 1/50 s
        (9.9667, 15.0, "10 s and more"),
        (10.0, 30.0, "10 s and more"),
        (12.0, 30.0, "10 s and more"),
        (9.999, None, "5–10 s"),  # no frame rate, no allowance
    ],
)
def test_duration_bins(manifest: WriteManifest, clip_s: float, fps: float | None, name: str) -> None:
    stats = dataset_statistics(manifest([accepted("a", [], clip_s, fps)]))
    assert [b.name for b in stats.durations if b.count] == [name]


def test_paper_ranges_contain_their_lower_edge(manifest: WriteManifest) -> None:
    counts = {"a": 199, "b": 200, "c": 399, "d": 400, "e": 799, "f": 800, "g": 1}
    rows = [accepted(f"{label}{i}", [label]) for label, n in counts.items() for i in range(n)]
    rows.append(row("r", "needs_review", "few_person_frames", labels=["h"], longest_scene_s=5.0))
    stats = dataset_statistics(manifest(rows))
    assert [(b.name, b.count) for b in stats.paper_ranges] == [
        ("below 200", 2), ("200–400", 2), ("400–600", 1), ("600–800", 1), ("800 and more", 1),
    ]  # fmt: skip
    assert sum(b.count for b in stats.fitted_ranges) == 7
    per_label = stats.clips_per_label
    assert per_label is not None
    assert (per_label.largest, per_label.largest_label, per_label.smallest, per_label.smallest_label) == (
        800,
        "f",
        1,
        "g",
    )
    assert (per_label.labels, per_label.labels_without_clips, per_label.unlabelled_clips) == (7, 1, 0)
    assert per_label.mean == round(2798 / 7, 3)
    assert per_label.median == 399


@pytest.mark.parametrize(
    ("counts", "edges"),
    [
        ([], ()),
        ([1], (1, 2)),
        ([5, 5], (5, 6)),
        ([1, 2, 3], (1, 2, 3, 4)),
        ([5, 13, 22], (5, 10, 15, 20, 25)),
        ([325, 735, 938], (200, 400, 600, 800, 1000)),
        ([3, 60, 70, 100], (1, 20, 40, 60, 80, 100, 120)),
        ([1, 2, 3, 3, 3, 30], (1, 2, 5, 10, 20, 50)),
        ([1, 2, 3, 3, 4, 800], (1, 10, 100, 1000)),
    ],
)
def test_fitted_edges(counts: list[int], edges: tuple[int, ...]) -> None:
    assert fitted_edges(counts) == edges


# --- batches, errors, text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_rows", [1, 3, 8])
def test_batches_make_no_difference(manifest: WriteManifest, monkeypatch: pytest.MonkeyPatch, batch_rows: int) -> None:
    path = manifest(EIGHT)
    whole = dataset_statistics(path)
    monkeypatch.setattr(tally, "BATCH_ROWS", batch_rows)
    assert dataset_statistics(path) == whole


def test_statistics_survive_json(manifest: WriteManifest) -> None:
    stats = dataset_statistics(manifest(EIGHT))
    plain = json.loads(json.dumps(to_builtins(stats)))
    assert plain["labels"][0]["label"] == "boxing"
    assert plain["paper_ranges"][-1] == {"name": "800 and more", "low": 800, "high": None, "count": 0}


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="tiktokactions curate"):
        dataset_statistics(tmp_path / "manifest.parquet")
    (tmp_path / "junk").write_bytes(b"PAR1 no")
    with pytest.raises(ValueError, match="junk: not a Parquet file"):
        dataset_statistics(tmp_path / "junk")
    pq.write_table(pa.table({"video_id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"lacks the columns labels, human_labels"):
        dataset_statistics(tmp_path / "other.parquet")


def terminal_width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_table_tells_the_numbers(manifest: WriteManifest) -> None:
    text = statistics_table(dataset_statistics(manifest(EIGHT)))
    lines = {" ".join(line.split()) for line in text.splitlines()}
    assert {"videos 8", "status 3 accepted (37.5 %), 1 needs review (12.5 %), 4 rejected (50.0 %)"} <= lines
    assert "all videos 8 7 6 4 3 1 37.5 %" in lines
    assert "clapping 4 4 3 2 2 0 50.0 %" in lines
    assert "duplicate_of 1 12.5 % a near-duplicate; the better copy's id follows the colon" in lines
    assert "10 s and more 1 33.3 %" in lines
    assert "decode 3.2 1.083 3" in lines


def test_table_is_narrow_and_aligned_for_any_label(manifest: WriteManifest) -> None:
    labels = ["手拍" * 30, "пекарь", "a\nb\x1b[31m", "long" * 30, "🤸‍♀️"]
    rows = [accepted(f"v{i}", [label]) for i, label in enumerate(labels)]
    text = statistics_table(dataset_statistics(manifest(rows)))
    assert max(map(terminal_width, text.splitlines())) <= 100
    assert "\x1b" not in text
    funnel = text.split("\n\n")[2].splitlines()
    assert funnel[0].startswith("Funnel")
    assert len(funnel) == 2 + len(labels)
    column = funnel[0].index("seen") + len("seen")
    cyrillic = next(line for line in funnel if line.startswith("пекарь"))
    # The CJK label is the widest: 28 characters of two cells, so plain text reaches the column at the same cell.
    assert cyrillic[:column].endswith(" 1")


def test_table_of_a_large_dataset_is_narrow(manifest: WriteManifest) -> None:
    large = dataclasses.replace(
        dataset_statistics(manifest(EIGHT)),
        videos=340_000,
        status={"accepted": 283_582, "needs_review": 123_456, "rejected": 123_456},
        reasons=dict.fromkeys(REASONS, 123_456),
        labels=(Funnel("l" * 40, 340_000, 340_000, 340_000, 340_000, 340_000, 340_000),),
    )
    assert max(map(terminal_width, statistics_table(large).splitlines())) <= 100


def test_386_labels_are_abridged(manifest: WriteManifest) -> None:
    rows = [accepted(f"v{i}.{k}", [f"label{i:03d}"]) for i in range(386) for k in range(1 + i % 7)]
    stats = dataset_statistics(manifest(rows))
    assert len(stats.labels) == 386
    funnel = statistics_table(stats).split("\n\n")[2].splitlines()
    assert len(funnel) == 2 + 40 + 1
    assert "… 346 more (stats.json)" in funnel
