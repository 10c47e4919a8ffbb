"""The dataset card: its header, its numbers, and that no label or setting breaks its Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.test_statistics import EIGHT, accepted, write_manifest
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.card import curate_command, dataset_card, markdown, size_category
from tiktokactions.dataset.info import DatasetInfo, saved_options
from tiktokactions.dataset.manifest import SCHEMA
from tiktokactions.dataset.statistics import dataset_statistics
from tiktokactions.records import DetectorInfo


def info(
    options: CurateOptions | None = None, detector: str | None = "yolox-nano", name: str = "my set"
) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        version=3,
        created="2025-05-04T03:02:01+00:00",
        updated="2025-05-04T03:02:01+00:00",
        settled=True,
        options=saved_options(options or CurateOptions()),
        detector=DetectorInfo(detector or "none", "c789161e", 0.4),
        versions={"tiktokactions": "0.1.0", "av": "18.1"},
    )


def card(tmp_path: Path, rows: list[dict[str, Any]], **values: Any) -> str:
    stats = dataset_statistics(write_manifest(tmp_path / "manifest.parquet", rows))
    return dataset_card(stats, info(**values))


def table_rows(text: str) -> list[list[str]]:
    """Cells of every table row, split as Markdown does: at bars that are not escaped."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")] for line in rows]


@pytest.mark.parametrize("rows", [[], EIGHT], ids=["empty", "eight videos"])
def test_header_is_what_the_hub_reads(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    text = card(tmp_path, rows, name='a "set": #1\n---')
    opening, header, _ = text.split("---\n", 2)
    assert opening == ""
    fields = dict(line.split(": ", 1) for line in header.splitlines() if ": " in line and line[0] not in " -")
    assert json.loads(fields["pretty_name"]) == 'a "set": #1\ufffd---'
    assert fields["license"] == "other"
    assert "task_categories:\n- video-classification\n" in header
    assert "size_categories:\n- n<1K\n" in header
    assert "  data_files: manifest.parquet\n" in header


@pytest.mark.parametrize(
    ("clips", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (9999, "1K<n<10K"),
        (10_000, "10K<n<100K"),
        (283_582, "100K<n<1M"),
        (1_000_000, "1M<n<10M"),
        (10**9, "1B<n<10B"),
        (10**12, "n>1T"),
    ],
)
def test_size_category(clips: int, category: str) -> None:
    assert size_category(clips) == category


def test_numbers_and_sections(tmp_path: Path) -> None:
    text = card(tmp_path, EIGHT)
    assert "3 clips of human action under 2 labels, 0.01 hours, cut from 8 videos" in text
    rows = table_rows(text)
    assert ["accepted", "3", "37.5 %"] in rows
    assert ["`duplicate_of`", "1", "a near-duplicate; the better copy's id follows the colon"] in rows
    assert ["5–10 s", "1", "33.3 %"] in rows
    assert ["boxing", "3", "3", "3", "2", "2", "1"] in rows
    assert "1 videos still wait" in text
    sections = [line for line in text.splitlines() if line.startswith("## ")]
    assert sections == [
        f"## {name}"
        for name in (
            "Composition", "Figures", "Labels", "How it was made", "Files and fields", "Limits", "Intended use",
            "Personal data and take-down", "How to reproduce", "Citation",
        )
    ]  # fmt: skip


def test_every_table_row_has_its_header_s_length(tmp_path: Path) -> None:
    rows = [accepted("v0", ["a|b"]), accepted("v1", ["`c`|\n|d"]), accepted("v2", ["<script>"])]
    text = card(tmp_path, rows, options=CurateOptions(scene_param=("a=`|`",)))
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({len(cells) for cells in table_rows(block)}) == 1, block
    assert "<script>" not in text.replace("\\<script\\>", "")


def test_only_fifty_labels_are_listed(tmp_path: Path) -> None:
    rows = [accepted(f"{i}.{k}", [f"label{i:03d}"]) for i in range(386) for k in range(2 if i < 50 else 1)]
    text = card(tmp_path, rows)
    assert sum(cells[0].startswith("label") for cells in table_rows(text)) == 50
    assert "And 336 other labels with 336 clips together" in text
    assert "(figures/clips_per_label_names.svg)" in text


def test_figures_are_those_that_are_drawn(tmp_path: Path) -> None:
    text = card(tmp_path, EIGHT)
    for name in ("funnel", "clips_per_label", "label_ranges", "durations", "sample_frames", "timings"):
        assert f"(figures/{name}.svg)" in text
    assert "clips_per_label_names" not in text
    assert "timings.svg" not in card(tmp_path, [])


def test_every_named_field_is_a_column_of_the_manifest(tmp_path: Path) -> None:
    text = card(tmp_path, [])
    section = text.split("## Files and fields")[1].split("## ")[0]
    names = [name.strip("` ") for cells in table_rows(section)[2:] for name in cells[0].split(",")]
    assert sorted(names) == sorted(SCHEMA.names)


@pytest.mark.parametrize(
    ("detector", "options", "said"),
    [
        (
            "yolox-nano",
            CurateOptions(),
            "`yolox-nano` (SHA-256 of its weights `c789161e`); a box counts from score 0.4 on",
        ),
        ("yolox-nano", CurateOptions(person_score=0.6), "a box counts from score 0.6 on"),
        ("none", CurateOptions(), "No person detector was run."),
        (None, CurateOptions(), "No person detector was run."),
        ("blazepose", CurateOptions(min_person_frames=6), "a person in at least 6 of the clip's frames qualify"),
        ("blazepose", CurateOptions(), "It is the weaker detector: it misses more people"),
        ("blazepose", CurateOptions(min_person_frames=0), "Videos qualify without a person in them."),
        ("blazepose", CurateOptions(keep_duplicates=True), "Near-duplicates are kept."),
    ],
)
def test_how_it_was_made(tmp_path: Path, detector: str | None, options: CurateOptions, said: str) -> None:
    assert said in card(tmp_path, EIGHT, detector=detector, options=options)


@pytest.mark.parametrize(
    ("options", "detector", "command"),
    [
        (CurateOptions(), "yolox-nano", "tiktokactions curate VIDEOS -o 'my set' --detector yolox-nano"),
        (CurateOptions(), "ultralytics:x.pt", "tiktokactions curate VIDEOS -o 'my set'"),
        (CurateOptions(detector="none"), "none", "tiktokactions curate VIDEOS -o 'my set' --detector none"),
        (
            CurateOptions(scene_param=("a=1", "b=2 x"), short_side=None, audio=True, max_border=0.25, workers=7),
            "blazepose",
            "tiktokactions curate VIDEOS -o 'my set' --scene-param a=1 --scene-param 'b=2 x' --detector blazepose"
            " --max-border 0.25 --short-side source --audio",
        ),
    ],
    ids=["defaults", "a file of weights", "no detector", "several"],
)
def test_curate_command(options: CurateOptions, detector: str, command: str) -> None:
    assert curate_command(info(options, detector)) == command


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dance", "dance"),
        ("a_b*c", r"a\_b\*c"),
        ("x|y", r"x\|y"),
        ("[l](u)", r"\[l\](u)"),
        ("a\nb", "a\ufffdb"),
        ("#танцы", r"\#танцы"),
        ("$x$", r"\$x\$"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str) -> None:
    assert markdown(text) == shown


def test_same_input_same_card(tmp_path: Path) -> None:
    assert card(tmp_path, EIGHT) == card(tmp_path, EIGHT)
