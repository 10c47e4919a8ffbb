"""Datasets that are merged, compared, and that remember what came and went; sides must hold all the while."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tests.splits.made_links import linked, video
from tests.splits.test_foreign import moving
from tiktokactions.cli import main
from tiktokactions.clips.read import read_clips
from tiktokactions.dataset.assignments import Assignment, read_assignments, write_assignments
from tiktokactions.dataset.history import HistoryError, history_path, read_events, states_at
from tiktokactions.files import all_records, record_of
from tiktokactions.releases.merge import MergeError, merged_sides

SETTINGS: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "keep_duplicates": True, "workers": 1}
A = ((0, "a0", "ann", "s"), (1, "a1", "bob", "s"), (2, "a2", "cem", ""), (3, "both", "dora", ""))
B = ((4, "b0", "ann", ""), (5, "b1", "eve", ""), (3, "both", "dora", ""), (6, "b2", "fay", ""))


def curate(folder: Path, name: str, rows: Any, label: str = "walk", **settings: Any) -> Path:
    lines = ["path,id,label,creator,sound"]
    for number, video_id, creator, sound in rows:
        path = folder / "videos" / f"{number}.mp4"
        if not path.exists():
            write_video(path, numbered_frames(40, 96, 96, first=1000 * number), fps=10)
        lines.append(f"videos/{number}.mp4,{video_id},{label},{creator},{sound}")
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    api.curate(folder / f"{name}.csv", folder / name, **(SETTINGS | settings))
    return folder / name


def give(dataset: Path, **sides: str) -> None:
    write_assignments(dataset, {i: Assignment(side) for i, side in sides.items()})
    api.dataset_split(dataset, sounds="on")


def sides_of(dataset: Path) -> dict[str, str]:
    return {i: a.side for i, a in read_assignments(dataset).items()}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("growth")
    return curate(folder, "a", A), curate(folder, "b", B, label="jump")


@pytest.fixture
def pair(two, tmp_path):
    return tuple(shutil.copytree(dataset, tmp_path / dataset.name) for dataset in two)


# --- merge ------------------------------------------------------------------------------------------------------------


def test_sides_hold_when_merged(pair, tmp_path):
    """Ann's videos are trained on in A and tested on in B: B's loses its side, nothing of A changes."""
    a, b = pair
    give(a, a0="train", a1="train", a2="test", both="train")
    give(b, b0="test", b1="test", both="train", b2="train")
    merged = api.dataset_merge([a, b], tmp_path / "c")
    assert (merged.videos, merged.accepted, merged.shared, merged.off_sides) == (7, 7, 1, ("b0",))
    assert sides_of(tmp_path / "c") == {
        **{"a0": "train", "a1": "train", "a2": "test", "both": "train"},
        **{"b0": "none", "b1": "test", "b2": "train"},
    }
    assert read_assignments(tmp_path / "c")["b0"].reason == "bridges_splits"
    clips = read_clips(tmp_path / "c", side="train").clips
    assert {clip.video_id for clip in clips} == {"a0", "a1", "both", "b2"}
    assert all(Path(clip.path).stat().st_size for clip in clips)
    record = json.loads(next((tmp_path / "c" / "records").glob("*/both.json")).read_text())
    assert set(record["labels"]) == {"walk", "jump"}, "one video of both has the labels of both"
    assert api.dataset_verify(tmp_path / "c").problems == ()


def test_a_clip_trained_on_here_and_tested_on_there_stands_nowhere(pair, tmp_path):
    a, b = pair
    give(a, a0="train", a1="train", a2="test", both="train")
    give(b, b0="train", b1="test", both="test", b2="train")
    assert api.dataset_diff(a, b).crossed == ("both",)
    assert api.dataset_merge([a, b], tmp_path / "c").off_sides == ("both",)
    assert sides_of(tmp_path / "c")["both"] == "none"


def test_a_merge_of_unsplit_datasets_is_not_split(pair, tmp_path):
    merged = api.dataset_merge(pair, tmp_path / "c")
    assert merged.off_sides == () and not read_assignments(tmp_path / "c")
    again = api.dataset_merge(pair, tmp_path / "c")
    assert (again.videos, again.accepted) == (7, 7)


def test_new_videos_of_a_merge_follow_their_relatives(pair, tmp_path):
    """B was never split: what A has no relative of is placed, what it has one of follows it."""
    a, b = pair
    give(a, a0="test", a1="test", a2="train", both="train")
    api.dataset_merge([a, b], tmp_path / "c")
    found = sides_of(tmp_path / "c")
    assert found["b0"] == "test" and set(found) == {"a0", "a1", "a2", "both", "b0", "b1", "b2"}


def test_near_duplicates_across_datasets_are_found(tmp_path):
    pictures = list(numbered_frames(60, 160, 160, cuts=(20, 40)))
    settings: dict[str, Any] = {"keep_duplicates": False, "min_clip_s": 1.0}
    for name, crf in (("a", 18), ("b", 30)):
        write_video(tmp_path / name / "videos" / "7.mp4", pictures, fps=12, crf=crf)
        curate(
            tmp_path / name,
            "data",
            [(7, f"{name}7", name, ""), (8 if name == "a" else 9, f"{name}8", "z", "")],
            **settings,
        )
    one, two = tmp_path / "a" / "data", tmp_path / "b" / "data"
    give(one, a7="train", a8="train")
    give(two, b7="test", b8="train")
    merged = api.dataset_merge([one, two], tmp_path / "c")
    assert merged.duplicates == 1 and merged.accepted == 3
    assert sides_of(tmp_path / "c")["b7"] == "none" and merged.off_sides == ("b7",)


def test_three_datasets_are_merged_at_once_as_one_after_the_other(pair, tmp_path):
    """The third holds another video under an id of the first, and one of the second's videos under another id."""
    a, b = pair
    c = curate(a.parent, "c", ((5, "mine", "eve", ""), (7, "a0", "gus", "")), label="jump")
    give(a, a0="train", a1="train", a2="test", both="train")
    give(b, b0="train", b1="test", both="train", b2="test")
    give(c, mine="test", a0="test")
    merged = api.dataset_merge([a, b, c], tmp_path / "abc")
    (other,) = merged.renamed
    assert other.startswith("a0-") and (merged.videos, merged.accepted, merged.shared) == (8, 8, 2)
    moved = record_of(tmp_path / "abc", other)
    assert moved.source.creator == "gus" and moved.clip is not None and moved.clip.path == f"clips/jump/{other}.mp4"
    assert (sides_of(tmp_path / "abc")["a0"], sides_of(tmp_path / "abc")[other]) == ("train", "test")
    assert api.dataset_verify(tmp_path / "abc").problems == ()
    api.dataset_merge([a, b], tmp_path / "ab")
    api.dataset_merge([tmp_path / "ab", c], tmp_path / "ab-c")
    assert sides_of(tmp_path / "ab-c") == sides_of(tmp_path / "abc")
    assert {record.video_id: record.clip for record in all_records(tmp_path / "ab-c")} == {
        record.video_id: record.clip for record in all_records(tmp_path / "abc")
    }


@pytest.mark.parametrize(
    ("first", "second", "videos", "expected"),
    [
        # a video of B that is related to both sides of A stands nowhere, and A stays as it is
        (
            {"a": "train", "b": "test"},
            {"c": "train"},
            [video("a", creator="1"), video("b", sound="2"), video("c", creator="1", sound="2")],
            {"a": "train", "b": "test", "c": "none"},
        ),
        # what A never placed joins two sides of B
        (
            {"z": "train"},
            {"c": "train", "d": "test"},
            [video("z"), video("new", creator="1", sound="2"), video("c", creator="1"), video("d", sound="2")],
            {"z": "train", "c": "none", "d": "none"},
        ),
        # what stood nowhere in B does so in the merge
        ({"a": "train"}, {"c": "none"}, [video("a"), video("c")], {"a": "train", "c": "none"}),
    ],
)
def test_bridges_between_datasets(first, second, videos, expected):
    parts = {n: {i: Assignment(side) for i, side in sides.items()} for n, sides in (("a", first), ("b", second))}
    after, _ = merged_sides(parts, linked(videos))
    assert {i: a.side for i, a in after.items()} == expected


def test_what_cannot_be_merged(pair, tmp_path):
    a, b = pair
    with pytest.raises(api.UsageError, match="have to be different folders"):
        api.dataset_merge([a, b], a)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(api.UsageError, match="not empty and not a merge of these"):
        api.dataset_merge([a, b], tmp_path / "full")
    with pytest.raises(api.UsageError, match="got 1 dataset, expected two or more"):
        api.dataset_merge(a, tmp_path / "d")
    write_assignments(tmp_path / "f", {"a": Assignment("fold1"), "b": Assignment("fold2")})
    write_assignments(tmp_path / "s", {"c": Assignment("train")})
    with pytest.raises(MergeError, match="is split into fold1, fold2"):
        merged_sides({name: read_assignments(tmp_path / name) for name in "fs"}, linked([]))
    info = json.loads((b / "dataset.json").read_text())
    info["options"]["samples"] = 5
    (b / "dataset.json").write_text(json.dumps(info))
    with pytest.raises(api.UsageError, match=r"different `samples` \(10 and 5\)"):
        api.dataset_merge([a, b], tmp_path / "d")


# --- versions and differences -------------------------------------------------------------------------------------------


def test_a_dataset_that_grew_says_what_came_and_went(tmp_path, capsys):
    data = curate(tmp_path, "data", A[:2])
    assert {(e.version, e.change, e.video_id) for e in read_events(data)} == {(1, "came", "a0"), (1, "came", "a1")}
    curate(tmp_path, "data", A)
    found = api.dataset_diff(data, since=1)
    assert (found.same, found.came, found.went, found.changed) == (2, ("a2", "both"), (), ())
    api.curate(data, redecide=True, min_brightness=255.0)
    found = api.dataset_diff(data, since=2)
    assert (found.same, len(found.went)) == (0, 4)
    assert set(states_at(data, 1)) == {"a0", "a1"} and states_at(data, 3) == {}
    assert main(["dataset", "diff", str(data), "--since", "1", "-o", str(tmp_path / "d.csv")]) == 0
    assert "went            2   a0, a1" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "d.csv").read_text().splitlines()))
    assert [(row["change"], row["video_id"]) for row in rows] == [("went", "a0"), ("went", "a1")]
    with pytest.raises(HistoryError, match="version 0 is not in its history: it begins with version 1"):
        states_at(data, 0)


def test_a_killed_append_is_completed(pair):
    data = pair[0]
    whole = history_path(data).read_bytes()
    history_path(data).write_bytes(whole[:-10])
    from tiktokactions.dataset.history import append_version

    assert append_version(data, 1, "2026-11-27T00:00:00+00:00") == 1
    assert len(states_at(data, 1)) == 4
    assert append_version(data, 2, "2026-11-27T00:00:00+00:00") == 0


def test_two_datasets_are_compared(pair, capsys):
    a, b = map(str, pair)
    found = api.dataset_diff(a, b)
    assert found.came == ("b0", "b1", "b2") and found.went == ("a0", "a1", "a2") and found.changed == ("both",)
    assert main(["dataset", "diff", a]) == 2
    assert "expected another dataset, or --since, a version" in capsys.readouterr().err
    assert main(["dataset", "diff", a, b, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["came"] == ["b0", "b1", "b2"]


LOOKS = [moving(seed, 48) for seed in range(8)]
BEFORE = ("old0,ann,song", "old1,bob,tune", "old2,cem,", "old3,gus,air")
PLANTED = {
    "copy": ("train", "a re-encoded copy of old0"),
    "same-creator": ("test", "bob's next video"),
    "same-sound": ("train", "another's video with old0's song"),
    "two-sounds": ("train", "cem's video with gus's air: old2 is trained on, old3 tested on; creators come first"),
    "bridge": ("none", "cem's copy of gus's old3"),
    "stranger": (None, "nobody's relative"),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """``old``, split; ``new`` with a relative of each kind; ``grown``: both, curated one after the other."""
    folder = tmp_path_factory.mktemp("planted")
    new = (
        "copy,dan,",
        "same-creator,bob,",
        "same-sound,eve,song",
        "two-sounds,cem,air",
        "bridge,cem,",
        "stranger,fay,",
    )
    for name, rows, looks in (("old", BEFORE, (0, 1, 2, 7)), ("new", new, (0, 3, 4, 5, 7, 6))):
        lines = ["path,id,label,creator,sound"]
        for row, look in zip(rows, looks, strict=True):
            path = folder / "videos" / f"{row.split(',')[0]}.mp4"
            write_video(path, LOOKS[look], fps=12, crf=18 if name == "old" else 30)
            lines.append(f"{path},{row.split(',')[0]},walk,{','.join(row.split(',')[1:])}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
        api.curate(folder / f"{name}.csv", folder / name, **(SETTINGS | {"min_clip_s": 1.0}))
    give(folder / "old", old0="train", old1="test", old2="train", old3="test")
    shutil.copytree(folder / "old", folder / "grown")
    api.curate(folder / "new.csv", folder / "grown", **(SETTINGS | {"min_clip_s": 1.0}))
    api.dataset_split(folder / "grown")
    api.dataset_merge([folder / "old", folder / "new"], folder / "merged")
    return folder


@pytest.mark.parametrize("way", ["grown", "merged"])
def test_planted_relatives_follow_or_stand_nowhere(planted, way, tmp_path):
    """Near-duplicates, creators, sounds and bridges: when a dataset grows, is merged, and in subsets of it."""
    found = sides_of(planted / way)
    assert [found[f"old{n}"] for n in range(4)] == ["train", "test", "train", "test"]
    for name, (side, why) in PLANTED.items():
        assert found[name] == side or (side is None and found[name] != "none"), f"{name}: {why}"
    api.dataset_subset(planted / way, tmp_path / "sub", by="random", size=9)
    kept = sides_of(tmp_path / "sub")
    assert kept == {i: side for i, side in found.items() if side != "none"}, "what stands nowhere is in no subset"
    api.dataset_subset(planted / way, tmp_path / "train", by="balanced", size=3, sides=("train",))
    assert set(sides_of(tmp_path / "train").values()) == {"train"}


def test_subsets_keep_their_sides(pair, tmp_path):
    a, _ = pair
    give(a, a0="train", a1="train", a2="test", both="train")
    api.dataset_subset(a, tmp_path / "sub", by="random", size=3)
    kept = sides_of(tmp_path / "sub")
    assert len(kept) == 3 and kept.items() <= sides_of(a).items()
