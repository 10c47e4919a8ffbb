"""A dataset of a newer program is refused by every command that reads or changes one: one line, exit 2, nothing changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tiktokactions import cli
from tiktokactions.cli.derive import all_commands

NOT_READING = {
    *("hashtags_propose", "hashtags_select", "hashtags_explain"),
    *("collect_run", "collect_plan", "collect_status", "collect_import", "collect_export"),
    *("export", "extrapolate", "plan", "doctor"),
    "demo",  # makes its own
    *("run", "update"),  # read them by way of the other commands
}
"""Commands to which nobody gives a dataset. A new command stands here or in the table."""
STUDY = (
    "--pretrain-config",
    "{root}/empty.toml",
    "--finetune-config",
    "{root}/empty.toml",
    "-o",
    "{root}/study",
    "--dry-run",
)
TABLE: dict[str, list[tuple[str, ...]]] = {
    "refresh": [("{data}", "--remove", "7300000000000000001"), ("{data}", "--creator", "ann"), ("{data}",)],
    "takedown": [("{data}", "--notice", "{root}/rows.csv")],
    "download": [("{root}/col", "--from-folder", "{root}/videos", "--curate", "{data}", "--detector", "none")],
    "curate": [
        ("{root}/videos", "-o", "{data}"),
        ("{data}", "--redecide"),
        ("{root}/videos", "-o", "{data}", "--shard", "1/2"),
    ],
    "review": [("{data}",)],
    "review_suggest": [("{data}",)],
    "review_apply": [("{data}",)],
    "review_status": [("{data}",)],
    "review_invite": [("{data}", "ann")],
    "review_export": [("{data}", "-o", "{root}/tasks.json")],
    "review_import": [("{data}", "{root}/answers.csv")],
    "dataset_stats": [("{data}",)],
    "dataset_verify": [("{data}",), ("{data}", "--repair"), ("{data}", "--restore", "quarantine/2026-11-30")],
    "dataset_card": [("{data}",)],
    "dataset_split": [("{data}",), ("{data}", "--check-against", "{root}/videos")],
    "dataset_export": [
        ("{data}", "--format", "ids", "-o", "{root}/out"),
        ("{data}", "--format", "coco", "-o", "{root}/out"),
    ],
    "dataset_subset": [
        ("{data}", "--size", "1", "-o", "{root}/out"),
        ("{root}/known", "--size", "1", "-o", "{root}/newer_subset"),
    ],
    "dataset_hydrate": [("{root}/ids/ids.csv", "--media", "{root}/videos", "-o", "{data}")],
    "dataset_merge": [
        ("{data}", "{root}/known", "-o", "{root}/out"),
        ("{root}/known", "{data}", "-o", "{root}/out"),
        ("{root}/known", "{root}/other", "-o", "{data}"),
    ],
    "dataset_diff": [("{data}", "{root}/known"), ("{root}/known", "{data}"), ("{data}", "--since", "1")],
    "release": [("{data}", "-o", "{root}/out")],
    "pretrain": [("{data}", "-o", "{root}/run")],
    "finetune": [("{data}", "-o", "{root}/run")],
    "evaluate": [("{root}/run", "{data}")],
    "predict": [("{root}/run", "{data}"), ("{root}/run", "{data}", "--features", "{root}/features.parquet")],
    "study_scaling": [
        ("{data}", "--sizes", "1:2:1", "--evaluate-on", "{root}/known", *STUDY),
        ("{root}/videos", "--sizes", "1:2:1", "--evaluate-on", "{data}", *STUDY),
    ],
    "study_sources": [
        ("ours={data}", "scratch", "--size", "1", "--evaluate-on", "{root}/known", *STUDY),
        ("ours={root}/videos", "scratch", "--size", "1", "--evaluate-on", "{data}", *STUDY),
    ],
    "report": [("{data}", "-o", "{root}/report.html"), ("{root}/known", "{data}", "-o", "{root}/report.html")],
}
CASES = [pytest.param(name, argv, id=f"{name}-{n}") for name, lines in TABLE.items() for n, argv in enumerate(lines)]
OF_SUBSETS = (
    "dataset_stats",
    "dataset_card",
    "dataset_export",
    "release",
    "pretrain",
    "finetune",
    "evaluate",
    "predict",
    "report",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that this program knows, its ids and a subset; the same two of a newer program; a collection."""
    root = tmp_path_factory.mktemp("newer")
    for number in range(3):
        write_video(root / f"videos/dance/{number}.mp4", numbered_frames(40, 64, 96, first=500 * number), fps=10)
    (root / "empty.toml").touch()
    (root / "rows.csv").write_text("id,hashtag_names\n7300000000000000001,dance\n")
    api.collect_import(root / "rows.csv", root / "col")
    api.curate(root / "videos", root / "known", detector="none", min_person_frames=0, workers=1)
    api.dataset_split(root / "known", val=0, test=0.34)
    shutil.copytree(root / "known", root / "other")
    shutil.copytree(root / "known", root / "data")
    api.dataset_export(root / "known", root / "ids", format="ids")
    api.dataset_subset(root / "data", root / "subset", size=3)
    api.dataset_subset(root / "known", root / "newer_subset", size=2)
    newer = {"format": 99, "name": {"words": ["a", "new", "shape"]}, "settled": "yes"}
    for name in ("data", "newer_subset"):
        (root / name / "dataset.json").write_text(json.dumps(newer))
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != ".lock"}


def test_every_command_stands_in_the_table_or_reads_no_dataset() -> None:
    assert {command.name for command in all_commands()} == TABLE.keys() | NOT_READING
    assert not TABLE.keys() & NOT_READING


@pytest.mark.parametrize(("name", "argv"), CASES)
def test_a_dataset_of_a_newer_program_is_refused(
    name: str, argv: tuple[str, ...], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(name, [word.format(root=root, data=root / "data") for word in argv], root, capsys)


@pytest.mark.parametrize("name", OF_SUBSETS)
def test_so_is_a_subset_of_it(name: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(name, [word.format(root=root, data=root / "subset") for word in TABLE[name][0]], root, capsys)


def refused(name: str, argv: list[str], root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [words] = [command.words for command in all_commands() if command.name == name]
    before = contents(root / "data") | contents(root / "newer_subset")
    assert cli.main([*words, *argv]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and error.count("\n") == 0, error
    assert "format 99, this program reads up to 2: update tiktokactions" in error
    assert contents(root / "data") | contents(root / "newer_subset") == before
