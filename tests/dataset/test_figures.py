"""Figures of small and large datasets: what is drawn, what it says, the same bytes, any label."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.dataset.test_statistics import EIGHT, accepted, row, write_manifest
from tiktokactions.dataset.figures import FIGURES, draw_figures, sample_posters
from tiktokactions.dataset.statistics import Statistics, dataset_statistics
from tiktokactions.files import Place

HASHTAGS_386 = [f"hashtag{i:03d}" for i in range(386)]
SVG = "{http://www.w3.org/2000/svg}"


def dataset(folder: Path, rows: list[dict[str, Any]]) -> tuple[Path, Statistics]:
    folder.mkdir(exist_ok=True)
    return folder, dataset_statistics(write_manifest(folder / "manifest.parquet", rows))


def add_poster(folder: Path, video_id: str, size: tuple[int, int] = (90, 160), color: str = "red") -> None:
    (folder / "thumbs").mkdir(exist_ok=True)
    Image.new("RGB", size, color).save(folder / "thumbs" / f"{video_id}.jpg")


def words(folder: Path, name: str) -> list[str]:
    """The texts of a figure's SVG, in drawing order."""
    root = ElementTree.parse(folder / "figures" / f"{name}.svg").getroot()
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def names(paths: Sequence[Place]) -> list[str]:
    return sorted({path.stem for path in paths})


ALWAYS = ["clips_per_label", "durations", "funnel", "label_ranges", "sample_frames"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no clips yet"),
        ([row("e", "rejected", "corrupt")], "no clips yet"),
        ([row("c", "needs_review", "no_detector", labels=["a"], longest_scene_s=5.0)], "no clips yet"),
    ],
    ids=["no rows", "one rejected", "one under review"],
)
def test_without_clips_the_figures_say_so(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    folder, stats = dataset(tmp_path, rows)
    paths = draw_figures(folder, stats)
    assert names(paths) == ALWAYS
    assert all(path.read_bytes() for path in paths)
    for name in ("clips_per_label", "durations"):
        assert words(folder, name) == [said]
    assert words(folder, "label_ranges") == ["no labelled clips yet"]
    assert words(folder, "sample_frames") == [f"no sample frames: {said}"]


def test_eight_videos(tmp_path: Path) -> None:
    folder, stats = dataset(tmp_path, EIGHT)
    paths = draw_figures(folder, stats)
    assert names(paths) == sorted([*ALWAYS, "timings"])
    assert [path.suffix for path in paths] == [".svg", ".png"] * 6
    assert {"boxing", "clapping", "2"} <= set(words(folder, "clips_per_label"))
    assert {"below 200", "100.0 % (2)", "ranges of this dataset"} <= set(words(folder, "label_ranges"))
    assert {"From 8 videos to 3 clips", "7 · 87.5 %", "people in 4+ frames", "1 · 12.5 %"} <= set(
        words(folder, "funnel")
    )
    assert "1.083 s · 3.2 s for 3 videos" in words(folder, "timings")
    # Table 6's bins with their counts; 'below 3.5 s' is empty and not mentioned.
    told = " ".join(words(folder, "durations"))
    assert all(text in told for text in ("3.5–5 s", "5–10 s", "10 s and more", "1 · 33.3 %"))
    assert "below" not in told


def test_386_labels_have_all_names_in_a_figure_of_their_own(tmp_path: Path) -> None:
    rows = [accepted(f"{label}.{k}", [label]) for i, label in enumerate(HASHTAGS_386) for k in range(1 + i % 5)]
    rows.append(accepted("bare", []))
    folder, stats = dataset(tmp_path, rows)
    assert names(draw_figures(folder, stats)) == sorted([*ALWAYS, "clips_per_label_names"])
    assert set(HASHTAGS_386) <= set(words(folder, "clips_per_label_names"))
    overview = words(folder, "clips_per_label")
    assert "one label in 10 of 386 is named" in overview
    assert len(set(HASHTAGS_386) & set(overview)) == 39 + 1  # and the smallest, beside the bars
    assert "Share of the videos seen, per label: the 24 most frequent of 386 labels" in words(folder, "funnel")
    # 24 labels and the videos without any
    assert sum(text.startswith(("hashtag", "(none)")) for text in words(folder, "funnel")) == 25


def test_same_dataset_same_bytes(tmp_path: Path) -> None:
    bytes_of = []
    for name in ("one", "two"):
        folder, stats = dataset(tmp_path / name, EIGHT)
        add_poster(folder, "a")
        add_poster(folder, "b", (160, 90), "blue")
        bytes_of.append({path.name: path.read_bytes() for path in draw_figures(folder, stats)})
    assert len(bytes_of[0]) == 2 * 6
    assert bytes_of[0] == bytes_of[1]


def test_a_figure_that_no_longer_applies_is_removed(tmp_path: Path) -> None:
    folder, stats = dataset(tmp_path, EIGHT)
    (folder / "figures").mkdir()
    for name in ("clips_per_label_names.svg", "clips_per_label_names.png", "mine.svg"):
        (folder / "figures" / name).write_bytes(b"old")
    draw_figures(folder, stats)
    left = {path.name for path in (folder / "figures").iterdir()}
    assert "mine.svg" in left
    assert not left & {"clips_per_label_names.svg", "clips_per_label_names.png"}
    assert left - {"mine.svg"} <= {f"{name}{suffix}" for name in FIGURES for suffix in (".svg", ".png")}


@pytest.mark.parametrize("many", [False, True], ids=["few labels", "many labels"])
def test_any_label_is_drawn(tmp_path: Path, many: bool) -> None:
    labels = ["танцы", "手拍", "$5_$6", "a\nb\x00", "🤸‍♀️", "رقص", "<b>", "l" * 300]
    labels += HASHTAGS_386[:60] if many else []
    folder, stats = dataset(tmp_path, [accepted(f"v{i}", [label]) for i, label in enumerate(labels)])
    for i in range(8):
        add_poster(folder, f"v{i}")
    draw_figures(folder, stats)
    for name in ("clips_per_label_names",) if many else ("clips_per_label", "sample_frames", "funnel"):
        shown = set(words(folder, name))
        assert {"танцы", "手拍", "$5_$6", "a\ufffdb\ufffd", "🤸‍♀️", "رقص", "<b>"} <= shown
        assert any(text.startswith("lllll") and text.endswith("…") for text in shown)


# --- sample frames ---------------------------------------------------------------------------------------------------


def test_sample_frames_show_accepted_clips_by_label(tmp_path: Path) -> None:
    folder, stats = dataset(tmp_path, EIGHT)
    for video_id in "abcdefgh":
        add_poster(folder, video_id)
    posters = sample_posters(folder, stats)
    assert {label: len(pictures) for label, pictures in posters.items()} == {"boxing": 2, "clapping": 2}
    draw_figures(folder, stats)
    assert words(folder, "sample_frames") == ["Sample frames", "boxing", "clapping"]
    svg = (folder / "figures" / "sample_frames.svg").read_text()
    assert svg.count("data:image/jpeg;base64,") == 4
    assert "image/png" not in svg


def test_missing_and_broken_posters_are_passed_over(tmp_path: Path) -> None:
    folder, stats = dataset(tmp_path, EIGHT)
    add_poster(folder, "a")
    (folder / "thumbs" / "b.jpg").write_bytes(b"not a picture")
    whole = (folder / "thumbs" / "a.jpg").read_bytes()
    (folder / "thumbs" / "g.jpg").write_bytes(whole[: len(whole) // 2])
    assert {label: len(pictures) for label, pictures in sample_posters(folder, stats).items()} == {"boxing": 1}


def test_sample_frames_are_a_few_of_a_few_labels(tmp_path: Path) -> None:
    rows = [accepted(f"{label}.{k}", [label]) for label in HASHTAGS_386[:30] for k in range(6)]
    folder, stats = dataset(tmp_path, rows)
    for video in rows:
        add_poster(folder, video["video_id"], (18, 32))
    posters = sample_posters(folder, stats)
    assert len(posters) == 12
    assert {len(pictures) for pictures in posters.values()} == {4}
    assert {"hashtag000", "hashtag029"} <= set(posters)  # from the first of the ranking to the last


def test_clips_without_labels_have_sample_frames_too(tmp_path: Path) -> None:
    folder, stats = dataset(tmp_path, [accepted("v", [])])
    add_poster(folder, "v")
    draw_figures(folder, stats)
    assert words(folder, "sample_frames") == ["Sample frames", "without a label"]


def test_what_clips_stand_for_on_the_platform(tmp_path: Path) -> None:
    rows = [accepted(f"v{n}", ["a" if n else "b"]) | {"inclusion_probability": 0.5 if n else 0.01} for n in range(4)]
    folder, stats = dataset(tmp_path, rows)
    assert names(draw_figures(folder, stats)) == sorted([*ALWAYS, "on_the_platform"])
    told = words(folder, "on_the_platform")
    assert [word for word in told if word in ("a", "b")] == ["b", "a"], "the larger first"
    assert "100 (1 clips)" in told and "6 (3 clips)" in told and "4 clips stand for about 106" in told
