"""A split must not let one side know the other: planted links, growth, folds, and random datasets."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tests.splits.made_links import Row, is_used, keys, linked, video
from tests.splits.test_foreign import moving
from tiktokactions.clips.clip import DataError
from tiktokactions.clips.read import read_clips
from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.assignments import Assignment, read_assignments, sides_of_fold
from tiktokactions.dataset.manifest import manifest_row
from tiktokactions.records import ClipFile, Source, VideoRecord
from tiktokactions.splits.leak_groups import (
    LINK_SCHEMA,
    is_generic,
    linked_videos,
    moved_by_rule,
    named_groups,
)
from tiktokactions.splits.options import SplitOptions
from tiktokactions.splits.sides import assign, resolve, wanted_clips

EIGHT_ONE_ONE = {"train": 0.8, "val": 0.1, "test": 0.1}


def shares(clips: int, of: dict[str, float] = EIGHT_ONE_ONE) -> dict[str, float]:
    return {side: share * clips for side, share in of.items()}


def split(videos: list[Row], before: dict[str, Assignment] | None = None, seed: int = 0, **of: float) -> dict[str, str]:
    used = sum(map(is_used, videos))
    return {i: a.side for i, a in assign(linked(videos), before or {}, shares(used, of or EIGHT_ONE_ONE), seed).items()}


def random_videos(rng: np.random.Generator, count: int, first: int = 0) -> list[Row]:
    """Creators of one to many videos, few sounds and duplicates, five labels of unequal size."""
    found = []
    for number in range(first, first + count):
        links: dict[str, Any] = {}
        if rng.random() < 0.7:
            links["creator"] = f"c{int(rng.exponential(count / 8))}"
        if rng.random() < 0.1:
            links["sound"] = f"s{rng.integers(count // 4 + 1)}"
        if rng.random() < 0.05:
            links["source"] = f"o{rng.integers(count // 10 + 1)}"
        found.append(video(f"v{number:05}", f"label{int(rng.exponential(1.5))}", rng.random() < 0.9, **links))
    return found


def leaks(videos: list[Row], sides: dict[str, str]) -> list[tuple[str, str]]:
    """Links that two sides share."""
    seen: dict[tuple[str, str], set[str]] = {}
    for v in videos:
        if is_used(v) and sides.get(v["video_id"], "none") != "none":
            for key in keys(v):
                seen.setdefault(key, set()).add(sides[v["video_id"]])
    return [key for key, on in seen.items() if len(on) > 1]


# --- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["source", "creator", "sound", "duplicate"])
def test_each_rule_joins(rule):
    link: dict[str, Any] = {rule: "k"}
    found = linked([video("a", **link), video("b", **link), video("c")])
    group = named_groups(found)
    assert group["a"] == group["b"] != group["c"]
    apart = named_groups(found, rule_off=rule)
    assert apart["a"] != apart["b"]
    assert moved_by_rule(found, found.none, found.groups())[rule] == 1


def test_links_join_through_others():
    """A rejected near-duplicate of one creator ties its original to that creator's other videos."""
    found = linked(
        [
            video("kept"),
            video("copy", used=False, creator="thief", duplicate="kept"),
            video("other", creator="thief"),
        ]
    )
    assert len(set(named_groups(found).values())) == 1
    assert moved_by_rule(found, found.none, found.groups()) == {"source": 0, "creator": 1, "duplicate": 1, "sound": 0}


@pytest.mark.parametrize(
    ("sound", "generic"),
    [
        *[(name, True) for name in ("original sound - ana", "Original Sound", "", "  ", "son original")],
        *[(name, False) for name in ("Blinding Lights - The Weeknd", "7016547803243022337")],
    ],
)
def test_generic_sounds_join_nothing(sound, generic):
    assert is_generic(sound) is generic


def test_what_a_record_is_linked_by():
    source = Source("p.mp4", sha256="ab", creator=" Ana ", sound="Song", metadata={"source_video": "77"})
    clip = ClipFile(
        path="clips/x/v.mp4", frames=1, fps=1.0, width=1, height=1, duration_s=1, sha256="", size_bytes=1, settings=""
    )
    record = VideoRecord(video_id="v", source=source, labels=("x", "y"), clip=clip, status="accepted")
    relatives = [
        video("w"),
        video("x", creator="ANA"),
        video("y", sound=" song "),
        video("z", source="source_video:77"),
        video("same bytes") | {"sha256": "ab"},
        video("nobody"),
    ]
    row = manifest_row(record, CurateOptions())
    batch = pa.RecordBatch.from_pylist([row, *relatives], schema=LINK_SCHEMA)
    found = linked_videos([batch.slice(0, 3), batch.slice(3)], twins={"v": "w", "gone": "nobody"})
    assert [i for i, group in named_groups(found).items() if group == named_groups(found)["v"]] == [
        *("v", "w", "x", "y", "z", "same bytes")
    ]
    assert found.label_names[found.label[0]] == "x" and found.is_used[0] and found.paths[0].as_py() == clip.path
    said = linked(
        [
            *(
                video("v", "x") | {"human_labels": ["said", "x"]},
                video("bare", None),
                video("empty") | {"labels": None},
            ),
            *(video("none fits") | {"human_labels": []}, video("hashtag alone")),
        ]
    )
    assert [said.label_names[i] for i in said.label] == ["said", None, None, None, "x"]


# --- sides ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_no_random_dataset_leaks(seed):
    rng = np.random.default_rng(seed)
    videos = random_videos(rng, int(rng.integers(5, 400)))
    sides = split(videos, seed=seed)
    assert set(sides) == {v["video_id"] for v in videos if is_used(v)}
    assert leaks(videos, sides) == []
    assert split(videos[::-1], seed=seed) == sides, "the order of the records must not matter"


@pytest.mark.parametrize("seed", range(8))
def test_growth_changes_no_side(seed):
    rng = np.random.default_rng(seed)
    videos, before = random_videos(rng, 60), dict[str, Assignment]()
    for round_ in range(4):
        after = assign(linked(videos), before, shares(sum(map(is_used, videos))), seed)
        for video_id, given in before.items():
            assert after[video_id] == given
        sides = {i: a.side for i, a in after.items()}
        assert leaks(videos, sides) == []
        nowhere = {i for i, side in sides.items() if side == "none"}
        assert {after[i].reason for i in nowhere} <= {"bridges_splits"}
        before, videos = after, videos + random_videos(rng, 40, first=100 * (round_ + 1))


def test_single_videos_are_stratified():
    videos = [video(f"{label}{i}", label) for label in "abc" for i in range(20)]
    sides = split(videos)
    for label in "abc":
        assert Counter(side for i, side in sides.items() if i[0] == label) == {"train": 16, "val": 2, "test": 2}


def test_rare_labels_are_trained_on():
    videos = [video(f"{i}", f"label{i}") for i in range(10)]
    assert Counter(split(videos).values())["train"] >= 8


def test_a_group_is_placed_whole():
    videos = [video(f"big{i}", creator="one") for i in range(40)] + [video(f"s{i}") for i in range(60)]
    sides = split(videos, train=0.5, val=0.0, test=0.5)
    assert len({sides[f"big{i}"] for i in range(40)}) == 1
    assert Counter(sides.values()) == {"train": 50, "test": 50}


def test_a_video_that_bridges_two_sides_stands_on_none():
    videos = [video("a", creator="a"), video("b", creator="b"), *(video(f"s{i}") for i in range(8))]
    before = {i: Assignment(s) for i, s in split(videos).items()} | {"a": Assignment("train"), "b": Assignment("test")}
    bridge = video("bridge", creator="a", sound="s")
    after = assign(linked([*videos, bridge, video("c", creator="b", sound="s")]), before, shares(12), 0)
    assert after["bridge"] == after["c"] == Assignment("none", "bridges_splits")
    assert after["a"] == Assignment("train") and after["b"] == Assignment("test")
    later = assign(linked([*videos, bridge, video("d", creator="a")]), after, shares(12), 0)
    assert later["d"] == Assignment("train"), "what stands nowhere ties nobody to the other side"


def test_new_videos_follow_their_group():
    videos = [video(f"v{i}", creator=f"c{i}") for i in range(20)]
    before = assign(linked(videos), {}, shares(20), 0)
    more = [video(f"w{i}", creator=f"c{i}") for i in range(20)]
    after = assign(linked(videos + more), before, shares(40), 0)
    assert all(after[f"w{i}"].side == before[f"v{i}"].side for i in range(20))


def test_a_video_that_is_no_longer_accepted_keeps_its_side():
    before = {"v0": Assignment("test"), "v1": Assignment("train")}
    videos = [video("v0", creator="c", used=False), video("v1"), video("new", creator="c")]
    after = assign(linked(videos), before, shares(2), 0)
    assert after["v0"] == Assignment("test")
    assert after["new"] == Assignment("test"), "its creator's new video may not be trained on"


@pytest.mark.parametrize("folds", [2, 5])
def test_folds(folds):
    rng = np.random.default_rng(3)
    videos = random_videos(rng, 200)
    wanted = {f"fold{i}": 1 / folds for i in range(1, folds + 1)}
    sides = split(videos, **wanted)
    assert leaks(videos, sides) == [] and set(sides.values()) == set(wanted)


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "clips", "wanted"),
    [
        ({}, 100, {"train": 80, "val": 10, "test": 10}),
        ({"test": 0.3}, 100, {"train": 60, "val": 10, "test": 30}),
        ({"val": 0.0, "test": 0.5}, 10, {"train": 5, "val": 0, "test": 5}),
        ({"test": 20, "val": 0}, 50, {"train": 30, "val": 0, "test": 20}),
        ({"train": 10, "val": 5, "test": 5}, 100, {"train": 10, "val": 5, "test": 5}),
        ({"folds": 4}, 10, {f"fold{i}": 2.5 for i in (1, 2, 3, 4)}),
    ],
)
def test_wanted_clips(given, clips, wanted):
    assert wanted_clips(resolve(SplitOptions(**given), {}), clips) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": 0.5, "val": 0.1, "test": 0.1}, "the shares make 0.7, expected 1"),
        ({"train": 0.9, "test": 0.2}, "more than there is"),
        ({"test": 200}, "`test` 200: more than there is, the dataset has 100 clips"),
        ({"test": -0.1}, "`test`: got -0.1"),
        ({"val": 2.5}, "`val`: got 2.5, expected a share from 0 to 1 or a whole number"),
        ({"folds": 1}, "`folds`: got 1, expected 2 to 100"),
    ],
)
def test_impossible_wishes(given, message):
    with pytest.raises(ValueError, match=message):
        wanted_clips(resolve(SplitOptions(**given), {}), 100)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    """Twelve videos of four creators, two labels; curated without a detector."""
    folder = tmp_path_factory.mktemp("split")
    rows = ["path,label,creator,sound"]
    for i in range(12):
        write_video(folder / "videos" / f"{i}.mp4", moving(i, 40), fps=10)
        rows.append(f"videos/{i}.mp4,{'walk' if i % 2 else 'jump'},creator{i // 3},original sound")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    api.curate(
        folder / "list.csv", folder / "dataset", detector="none", min_person_frames=0, keep_duplicates=True, workers=1
    )
    return folder


@pytest.fixture
def dataset(curated, tmp_path):
    shutil.copytree(curated / "dataset", tmp_path / "dataset")
    return tmp_path / "dataset"


def column(dataset: Path) -> dict[str, Any]:
    table = pq.read_table(dataset / "manifest.parquet", columns=["video_id", "split", "creator"]).to_pylist()
    return {row["video_id"]: (row["split"], row["creator"]) for row in table}


def test_a_dataset_is_split(dataset):
    with pytest.raises(DataError, match=r"not split yet, so it has no train side; run: tiktokactions dataset split"):
        read_clips(dataset, side="train")
    report = api.dataset_split(dataset, val=0.25, test=0.25)
    assert (report.clips, report.sides) == (12, {"train": 6, "val": 3, "test": 3, "none": 0})
    assert (
        report.groups == 4 and report.largest_group == 3 and report.moved["creator"] == 8 and report.moved["sound"] == 0
    )
    by_creator: dict[str, set[str]] = {}
    for side, creator in column(dataset).values():
        by_creator.setdefault(creator, set()).add(side)
    assert all(len(sides) == 1 for sides in by_creator.values())
    listed = {
        side: list(csv.DictReader((dataset / "splits" / f"{side}.csv").read_text().splitlines()))
        for side in ("train", "val", "test")
    }
    assert {side: len(rows) for side, rows in listed.items()} == {"train": 6, "val": 3, "test": 3}
    assert all((dataset / row["path"]).is_file() for rows in listed.values() for row in rows)
    train = read_clips(dataset, side="train")
    assert {clip.video_id for clip in train.clips} == {row["video_id"] for row in listed["train"]}
    assert train.labels == ("jump", "walk") and train.kind == "dataset"
    again = api.dataset_split(dataset)
    assert again.new == 0 and again.options == report.options and again.sides == report.sides


def test_growing_keeps_the_split_and_curate_keeps_the_column(curated, tmp_path):
    videos, dataset = tmp_path / "videos", tmp_path / "dataset"
    shutil.copytree(curated / "videos", videos)
    rows = (curated / "list.csv").read_text().splitlines()
    options: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "keep_duplicates": True, "workers": 1}
    (tmp_path / "list.csv").write_text("\n".join(rows[:10]) + "\n")
    api.curate(tmp_path / "list.csv", dataset, **options)
    api.dataset_split(dataset, val=0.0, test=0.34)
    before = read_assignments(dataset)
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    api.curate(tmp_path / "list.csv", dataset, **options)
    held = {i: side for i, (side, _) in column(dataset).items()}
    assert {i: a.side for i, a in before.items()} == {i: side for i, side in held.items() if side is not None}
    assert sum(side is None for side in held.values()) == 3
    report = api.dataset_split(dataset)
    assert report.new == 3 and {i: a for i, a in read_assignments(dataset).items() if i in before} == before


def test_folds_on_disk(dataset):
    report = api.dataset_split(dataset, folds=4)
    assert report.sides == {"fold1": 3, "fold2": 3, "fold3": 3, "fold4": 3, "none": 0}
    tests = [{clip.video_id for clip in read_clips(dataset, side="test", fold=f).clips} for f in (1, 2, 3, 4)]
    assert sum(map(len, tests)) == len(set.union(*tests)) == 12
    assert Counter(sides_of_fold(dataset, 2).values()) == {"train": 9, "test": 3}
    with pytest.raises(ValueError, match="`fold`: got 5, the dataset was split into 4 folds"):
        read_clips(dataset, side="test", fold=5)
    with pytest.raises(api.UsageError, match=r"already split into fold4.*`reassign`"):
        api.dataset_split(dataset, folds=3)
    assert set(api.dataset_split(dataset, folds=3, reassign=True).sides) == {"fold1", "fold2", "fold3", "none"}


def test_near_duplicates_stay_together(tmp_path):
    for name, crf in (("a", 18), ("b", 30)):
        write_video(tmp_path / "videos" / f"{name}.mp4", numbered_frames(60, 160, 160, cuts=(20, 40)), fps=12, crf=crf)
    for i in range(6):
        write_video(tmp_path / "videos" / f"other{i}.mp4", numbered_frames(60, 160, 160, first=2000 + 500 * i), fps=12)
    settings: dict[str, Any] = {
        "detector": "none",
        "min_person_frames": 0,
        "min_clip_s": 1.0,
        "keep_duplicates": True,
        "workers": 1,
    }
    api.curate(tmp_path / "videos", tmp_path / "dataset", **settings)
    report = api.dataset_split(tmp_path / "dataset", val=0.0, test=0.5)
    assert sum(report.sides.values()) == 8
    assert report.groups <= 8


def test_a_dataset_without_clips(tmp_path):
    write_video(tmp_path / "videos" / "a.mp4", numbered_frames(10, 96, 96), fps=10)
    api.curate(tmp_path / "videos", tmp_path / "dataset", detector="none")
    with pytest.raises(api.UsageError, match="no accepted clips"):
        api.dataset_split(tmp_path / "dataset")
    with pytest.raises(api.UsageError, match=r"no dataset\.json there"):
        api.dataset_split(tmp_path / "videos")
