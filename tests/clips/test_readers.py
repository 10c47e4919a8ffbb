from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import SHARED
from tiktokactions.clips.clip import ClipSet, DataError
from tiktokactions.clips.read import has_side, read_clips
from tiktokactions.dataset.manifest import SCHEMA
from tiktokactions.errors import UsageError

INFO = json.dumps(
    {"name": "d", "version": 1, "created": "", "updated": "", "settled": True, "options": {}, "versions": {}}
    | {"detector": {"name": "none", "sha256": "", "default_score": 0.0}}
)
"""The least that a ``dataset.json`` holds."""


def put(root: Path, *names: str) -> Path:
    """Empty files, or those with a text after a bar."""
    for name in names:
        path, _, text = name.partition("|")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text.replace(";;", "\n"))
    return root


def told(found: ClipSet, root: Path) -> list[tuple[str, str | None]]:
    return [(os.path.relpath(clip.path, root), clip.label) for clip in found.clips]


# --- folders ----------------------------------------------------------------------------------------------------------


def test_class_folders(tmp_path):
    put(
        tmp_path,
        "walk/b.mp4",
        "walk/a.AVI",
        "jump/deep/c.webm",
        "README.txt",
        "jump/notes.json",
        ".hidden/x.mp4",
        "jump/.y.mp4",
    )
    found = read_clips(tmp_path, side="train")
    assert told(found, tmp_path) == [("jump/deep/c.webm", "jump"), ("walk/a.AVI", "walk"), ("walk/b.mp4", "walk")]
    assert (found.kind, found.labels, found.flip) == ("folder", ("jump", "walk"), True)
    assert read_clips(tmp_path, side="test") == found  # a folder without sides is meant whole
    assert not has_side(tmp_path, "test")


def test_class_folders_beside_files_of_other_tools(tmp_path):
    assert read_clips(put(tmp_path / "one", "walk/a.mp4", "jump/b.mp4", "export.json|{}"), side="all").kind == "folder"
    assert read_clips(put(tmp_path / "two", "walk/a.mp4", "manifest.parquet|x"), side="all").kind == "folder"


def test_a_flat_folder_is_unlabelled(tmp_path):
    found = read_clips(put(tmp_path, "a.mp4", "b.mp4"), side="all")
    assert [clip.label for clip in found.clips] == [None, None] and found.labels == ()


def test_folders_of_sides(tmp_path):
    put(tmp_path, "train/walk/a.mp4", "train/jump/b.mp4", "val/walk/c.mp4", "test/kick/d.mp4")
    train, test, everything = (read_clips(tmp_path, side=s) for s in ("train", "test", "all"))
    assert told(train, tmp_path) == [("train/jump/b.mp4", "jump"), ("train/walk/a.mp4", "walk")]
    assert told(test, tmp_path) == [("test/kick/d.mp4", "kick")]
    assert train.labels == test.labels == ("jump", "kick", "walk"), "numbers agree between sides"
    assert len(everything.clips) == 4
    assert [has_side(tmp_path, side) for side in ("train", "val", "test")] == [True, True, True]


def test_a_class_may_be_called_train(tmp_path):
    put(tmp_path, "train/a.mp4", "bus/b.mp4")
    assert read_clips(tmp_path, side="train").labels == ("bus", "train")


def test_a_single_side_is_no_class(tmp_path):
    put(tmp_path, "test/walk/a.mp4", "test/jump/b.mp4", "notes/readme.md")
    assert read_clips(tmp_path, side="test").labels == ("jump", "walk")
    with pytest.raises(DataError, match="no train side; it has test"):
        read_clips(tmp_path, side="train")


def test_a_link_to_a_folder_above_ends(tmp_path):
    put(tmp_path, "walk/a.mp4")
    (tmp_path / "walk" / "round").symlink_to(tmp_path)
    (tmp_path / "gone.mp4.lnk").symlink_to(tmp_path / "nowhere")
    (tmp_path / "walk" / "loop.mp4").symlink_to("loop.mp4")  # a file that cannot be read, as decoding it will tell
    clips = [("walk/a.mp4", "walk"), ("walk/loop.mp4", "walk")]
    assert told(read_clips(tmp_path, side="all"), tmp_path) == clips


# --- our datasets -----------------------------------------------------------------------------------------------------

ROWS: list[dict[str, Any]] = [
    {
        "video_id": "a",
        "status": "accepted",
        "labels": ["walk", "fun"],
        "human_labels": None,
        "clip_path": "clips/a.mp4",
    },
    {"video_id": "b", "status": "accepted", "labels": ["walk"], "human_labels": ["jump"], "clip_path": "clips/b.mp4"},
    {"video_id": "c", "status": "accepted", "labels": ["walk"], "human_labels": [], "clip_path": "clips/c.mp4"},
    {"video_id": "d", "status": "rejected", "labels": ["kick"], "human_labels": None, "clip_path": None},
    {"video_id": "e", "status": "needs_review", "labels": ["kick"], "human_labels": None, "clip_path": "clips/e.mp4"},
]


@pytest.fixture
def dataset(tmp_path):
    put(tmp_path, f"dataset.json|{INFO}", "clips/a.mp4", "clips/b.mp4", "clips/c.mp4")
    pq.write_table(pa.Table.from_pylist(ROWS, schema=SCHEMA), tmp_path / "manifest.parquet")
    return tmp_path


@pytest.mark.parametrize("ask", [read_clips, has_side], ids=["clips", "side"])
def test_a_dataset_of_a_newer_program_is_refused(dataset, ask):
    (dataset / "dataset.json").write_text('{"format": 99, "name": ["of", "another", "shape"]}')
    with pytest.raises(
        UsageError, match=r"dataset\.json: format 99, this program reads up to \d: update tiktokactions"
    ):
        ask(dataset, side="test")


def test_a_dataset_that_is_not_split(dataset):
    found = read_clips(dataset, side="all")
    assert told(found, dataset) == [("clips/a.mp4", "walk"), ("clips/b.mp4", "jump"), ("clips/c.mp4", None)]
    assert (found.kind, found.labels, found.clips[0].video_id) == ("dataset", ("jump", "walk"), "a")
    assert not has_side(dataset, "test")
    with pytest.raises(DataError, match=r"is not split yet.*run: tiktokactions dataset split"):
        read_clips(dataset, side="train")


def test_a_split_dataset(dataset):
    put(
        dataset,
        "splits/assignments.csv|video_id,side,reason;;a,train,;;b,test,;;c,none,bridges_splits;;e,test,",
        "splits/test.csv|path,label,video_id;;clips/b.mp4,jump,b",
    )
    train, test = (read_clips(dataset, side=side) for side in ("train", "test"))
    assert (told(train, dataset), told(test, dataset)) == ([("clips/a.mp4", "walk")], [("clips/b.mp4", "jump")])
    assert train.labels == test.labels == ("jump", "walk"), "numbers agree between sides"
    assert [has_side(dataset, side) for side in ("train", "val", "test")] == [True, False, True]
    for lists in ("splits/test.csv", "splits"):  # their paths are meant from the dataset's folder
        assert told(read_clips(dataset / lists, side="test"), dataset) == [("clips/b.mp4", "jump")]


def test_a_dataset_in_folds(dataset):
    put(dataset, "splits/assignments.csv|video_id,side,reason;;a,fold1,;;b,fold2,;;c,fold1,")
    ids = {
        (side, fold): [clip.video_id for clip in read_clips(dataset, side=side, fold=fold).clips]
        for side in ("train", "test")
        for fold in (1, 2)
    }
    assert ids == {("train", 1): ["b"], ("test", 1): ["a", "c"], ("train", 2): ["a", "c"], ("test", 2): ["b"]}
    with pytest.raises(ValueError, match="`fold`: got 3, the dataset was split into 2 folds"):
        read_clips(dataset, side="test", fold=3)


def test_a_dataset_whose_clips_are_gone(dataset):
    (dataset / "clips" / "b.mp4").unlink()
    with pytest.raises(DataError, match=r"1 clips are gone \(for example clips/b\.mp4\).*verify. with `repair`"):
        read_clips(dataset, side="all")


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "clips", "labels"),
    [
        ("l.csv", "a.mp4 1;;b c.mp4 0;;", [("a.mp4", "1"), ("b c.mp4", "0")], ("0", "1")),
        ("l.csv", "a.mp4 11;;b c.mp4 2", [("a.mp4", "11"), ("b c.mp4", "2")], tuple(map(str, range(12)))),
        ("l.txt", "a.mp4 walk;;b c.mp4 jump", [("a.mp4", "walk"), ("b c.mp4", "jump")], ("jump", "walk")),
        ("l.csv", "a.mp4,walk;;b c.mp4,jump", [("a.mp4", "walk"), ("b c.mp4", "jump")], ("jump", "walk")),
        ("l.csv", '"a.mp4",walk;;', [("a.mp4", "walk")], ("walk",)),
        ("l.csv", "a.mp4 0 -1;;b c.mp4 0 -1", [("a.mp4", None), ("b c.mp4", None)], ()),
        ("l.txt", "a.mp4;;;;b c.mp4", [("a.mp4", None), ("b c.mp4", None)], ()),
        ("l.csv", "label,path;;two words,a.mp4;;,b c.mp4", [("a.mp4", "two words"), ("b c.mp4", None)], ("two words",)),
        ("l.csv", "", [], ()),
    ],
    ids=["numbers", "gaps", "names", "comma", "quoted", "pre-training", "paths", "header", "empty"],
)
def test_lists(tmp_path, name, text, clips, labels):
    put(tmp_path, "a.mp4", "b c.mp4", f"{name}|{text}")
    found = read_clips(tmp_path / name, side="train")
    assert told(found, tmp_path) == clips and found.labels == labels and found.kind == "list"


def test_numbers_take_their_names_from_a_file(tmp_path):
    put(tmp_path, "a.mp4", "l.csv|a.mp4 2", "classes.txt|jump;;kick high;;walk")
    found = read_clips(tmp_path / "l.csv", side="test")
    assert found.labels == ("jump", "kick high", "walk") and found.clips[0].label == "walk"
    put(tmp_path, "classes.txt|jump;;walk")
    with pytest.raises(DataError, match=r"classes\.txt: got 2 class names, expected 3"):
        read_clips(tmp_path / "l.csv", side="test")


@pytest.mark.parametrize(
    ("name", "lines", "label"),
    [
        ("classInd.txt", "1 jump;;2 kick;;3 walk", "walk"),
        ("labels.txt", "0 jump;;1 kick high;;2 walk", "walk"),
        ("classes.txt", "2 hands;;1 hand;;no hands", "no hands"),
        ("classes.txt", "2;;0;;1", "1"),
    ],
    ids=["from 1", "from 0", "numbers in names", "numbers for names"],
)
def test_files_of_class_names(tmp_path, name, lines, label):
    put(tmp_path, "a.mp4", "l.csv|a.mp4 2", f"{name}|{lines}")
    assert read_clips(tmp_path / "l.csv", side="train").clips[0].label == label


def test_a_list_may_be_in_another_encoding(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).touch()
    (tmp_path / "l.txt").write_bytes(b"caf\xe9.mp4 0\r\n")
    assert len(read_clips(tmp_path / "l.txt", side="train").clips) == 1


def test_a_list_with_a_column_of_sides(tmp_path):
    put(tmp_path, "a.mp4", "b.mp4", "c.mp4", "l.csv|path,label,split;;a.mp4,x,train;;b.mp4,y,test;;c.mp4,x,validation")
    assert [told(read_clips(tmp_path / "l.csv", side=s), tmp_path) for s in ("train", "val", "test")] == [
        [("a.mp4", "x")],
        [("c.mp4", "x")],
        [("b.mp4", "y")],
    ]
    assert read_clips(tmp_path / "l.csv", side="train").labels == ("x", "y")
    assert has_side(tmp_path / "l.csv", "test")


def test_a_folder_of_lists(tmp_path):
    put(tmp_path, "v/a.mp4", "v/b.mp4", "lists/train.csv|v/a.mp4 1", "lists/val.csv|v/b.mp4 0")
    train, test = (read_clips(tmp_path / "lists", side=side, media=tmp_path) for side in ("train", "test"))
    assert told(train, tmp_path) == [("v/a.mp4", "1")]
    assert told(test, tmp_path) == [("v/b.mp4", "0")]  # as the reference, which tests on val.csv
    assert len(read_clips(tmp_path / "lists", side="all", media=tmp_path).clips) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("frames/one 120 3", r"line 1: got 'frames/one 120 3', expected 'path label'.*folders of frames"),
        ("frames/one 1 120", "folders of frames"),
        ("a.mp4 1 120", "line 1"),
        ("nonsense", r"line 1: got 'nonsense'"),
        ("path,label;;a.mp4,x;;,y", "line 3: got no path"),
        ("path,label,split;;a.mp4,x,test", "no train side; it has test"),
    ],
)
def test_lines_that_mean_nothing(tmp_path, line, message):
    put(tmp_path, f"l.csv|{line}")
    with pytest.raises(DataError, match=message):
        read_clips(tmp_path / "l.csv", side="train")


def test_listed_videos_that_are_not_there(tmp_path):
    put(tmp_path, "a.mp4", "l.csv|a.mp4 0;;gone.mp4 1;;lost.mp4 1")
    with pytest.raises(DataError, match=r"2 of 3 listed videos are not in .*gone\.mp4, lost\.mp4.*`media`"):
        read_clips(tmp_path / "l.csv", side="train")
    found = read_clips(tmp_path / "l.csv", side="train", allow_missing=True)
    assert found.missing == ("gone.mp4", "lost.mp4") and len(found.clips) == 1


# --- official splits --------------------------------------------------------------------------------------------------


@pytest.fixture
def ucf101(tmp_path):
    return put(
        tmp_path,
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
        "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi",
        "UCF-101/YoYo/v_YoYo_g01_c01.avi",
        "UCF-101/YoYo/v_YoYo_g08_c01.avi",
        "lists/classInd.txt|1 ApplyEyeMakeup;;2 YoYo;;",
        "lists/trainlist01.txt|ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1;;YoYo/v_YoYo_g08_c01.avi 2",
        "lists/testlist01.txt|ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi;;YoYo/v_YoYo_g01_c01.avi",
        "lists/trainlist02.txt|ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi 1",
        "lists/testlist02.txt|YoYo/v_YoYo_g01_c01.avi",
    )


def test_ucf101(ucf101):
    train = read_clips(ucf101 / "lists", side="train", media=ucf101 / "UCF-101")
    test = read_clips(ucf101 / "lists", side="test")  # the folder beside the lists is found
    assert told(train, ucf101 / "UCF-101") == [
        ("ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "ApplyEyeMakeup"),
        ("YoYo/v_YoYo_g08_c01.avi", "YoYo"),
    ]
    assert [clip.label for clip in test.clips] == ["ApplyEyeMakeup", "YoYo"]
    assert (train.kind, train.labels) == ("ucf101", ("ApplyEyeMakeup", "YoYo"))
    assert len(read_clips(ucf101 / "lists", side="train", fold=2).clips) == 1
    assert len(read_clips(ucf101 / "lists", side="all").clips) == 4
    with pytest.raises(DataError, match=r"testlist04\.txt: no such file; `fold`: got 4"):
        read_clips(ucf101 / "lists", side="test", fold=4)
    with pytest.raises(DataError, match="no val side; it has train, test"):
        read_clips(ucf101 / "lists", side="val")


def test_ucf101_with_its_lists_in_the_folder_of_videos(tmp_path):
    put(
        tmp_path,
        "YoYo/v_YoYo_g08_c01.avi",
        "lists/classInd.txt|1 YoYo",
        "lists/testlist01.txt|v_YoYo_g08_c01.avi",
    )
    assert told(read_clips(tmp_path / "lists", side="test"), tmp_path) == [("YoYo/v_YoYo_g08_c01.avi", "YoYo")]
    assert [has_side(tmp_path / "lists", side) for side in ("train", "val", "test")] == [False, False, True]


@pytest.mark.parametrize(
    ("videos", "found"),
    [
        (["flat.avi"], "flat.avi"),
        (["deep/down/clap/flat.avi", "elsewhere/flat.avi"], "deep/down/clap/flat.avi"),
        (["one/flat.avi", "two/flat.avi"], None),
    ],
    ids=["flat", "the one in the class's folder", "no telling"],
)
def test_names_are_looked_up_below_the_media_folder(tmp_path, videos, found):
    put(tmp_path, *(f"media/{video}" for video in videos), "lists/clap_test_split1.txt|flat.avi 1")
    if found is None:
        with pytest.raises(DataError, match=r"got 2 videos for 'clap/flat\.avi'.*expected one"):
            read_clips(tmp_path / "lists", side="train", media=tmp_path / "media")
    else:
        clips = read_clips(tmp_path / "lists", side="train", media=tmp_path / "media")
        assert told(clips, tmp_path / "media") == [(found, "clap")]


def test_hmdb51_beside_its_videos(tmp_path):
    put(tmp_path, "hmdb51_org/clap/a.avi", "splits/clap_test_split1.txt|a.avi 1;;gone.avi 1")
    with pytest.raises(DataError, match=r"1 of 2 listed videos are not in .*hmdb51_org \(for example clap/gone\.avi"):
        read_clips(tmp_path / "splits", side="train")


def test_hmdb51(tmp_path):
    names = ["#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi", "a b[c];!_clap_f.avi", "unused_clap.avi"]
    put(
        tmp_path,
        *(f"videos/clap/{name}" for name in names),
        "videos/brush_hair/x.avi",
        f"splits/clap_test_split1.txt|{names[0]} 1 ;;{names[1]} 2 ;;{names[2]} 0 ",
        "splits/brush_hair_test_split1.txt|x.avi 1 ",
        f"splits/clap_test_split2.txt|{names[0]} 2 ",
    )
    train = read_clips(tmp_path / "splits", side="train", media=tmp_path / "videos")
    test = read_clips(tmp_path / "splits", side="test", media=tmp_path / "videos")
    assert told(train, tmp_path / "videos") == [("brush_hair/x.avi", "brush_hair"), (f"clap/{names[0]}", "clap")]
    assert told(test, tmp_path / "videos") == [(f"clap/{names[1]}", "clap")]
    assert train.labels == test.labels == ("brush_hair", "clap") and train.kind == "hmdb51"
    assert len(read_clips(tmp_path / "splits", side="test", media=tmp_path / "videos", fold=2).clips) == 1
    with pytest.raises(DataError, match="`fold`: got 3"):
        read_clips(tmp_path / "splits", side="test", fold=3)


HEAD = "label,youtube_id,time_start,time_end,split"


def test_kinetics(tmp_path):
    put(
        tmp_path,
        "videos/abseiling/-abc_0-1234_000010_000020.mp4",
        "videos/zumba/xyz________.mkv",
        f"train.csv|{HEAD};;abseiling,-abc_0-1234,10,20,train;;zumba,xyz________,5,15,train",
        f"val.csv|{HEAD};;air drumming,qqqqqqqqqqq,0,10,val",
    )
    found = read_clips(tmp_path / "train.csv", side="train", media=tmp_path / "videos")
    assert [(Path(c.path).name, c.label, c.start_s, c.end_s, c.video_id) for c in found.clips] == [
        ("-abc_0-1234_000010_000020.mp4", "abseiling", None, None, "-abc_0-1234"),
        ("xyz________.mkv", "zumba", 5.0, 15.0, "xyz________"),
    ]
    both = read_clips(tmp_path, side="val", allow_missing=True)
    assert both.missing == ("qqqqqqqqqqq",) and both.labels == ("abseiling", "air drumming", "zumba")
    assert has_side(tmp_path, "val") and not has_side(tmp_path, "test")


def test_kinetics_in_one_list_and_without_labels(tmp_path):
    put(
        tmp_path,
        "a_000000_000010.mp4",
        "b_000000_000010.mp4",
        f"all.csv|{HEAD},is_cc;;x,a,0,10,train,0;;y,b,0,10,validate,1",
        "test.csv|youtube_id,time_start,time_end,split;;a,0,10,test",
    )
    assert told(read_clips(tmp_path / "all.csv", side="val"), tmp_path) == [("b_000000_000010.mp4", "y")]
    assert told(read_clips(tmp_path / "test.csv", side="test"), tmp_path) == [("a_000000_000010.mp4", None)]
    assert not has_side(tmp_path, "test"), "nothing to test on without labels"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "x,a,0,10,train;;x,b,zero,10,train",
            r"line 3: time_start and time_end: got 'zero' and '10', expected seconds",
        ),
        ("x,a", r"line 2: time_start and time_end: got '' and ''"),
        ("x,a,0,10,holdout", r"line 2: got .*the split 'holdout', expected an id"),
        ("x,a,0,10,train;;x,a,0,10,test", "no val side; it has train, test"),
    ],
)
def test_kinetics_rows_that_mean_nothing(tmp_path, rows, message):
    put(tmp_path, "a.mp4", f"l.csv|{HEAD};;{rows}")
    with pytest.raises(DataError, match=message):
        read_clips(tmp_path / "l.csv", side="val")


@pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
def test_something_something(tmp_path, prefix):
    item = {
        "id": "78687",
        "label": "holding a cup",
        "template": "Holding [something] next to [something]",
        "placeholders": [],
    }
    other = {"id": "2", "label": "pushing", "template": "Pushing [something] from left to right"}
    put(
        tmp_path,
        "20bn/78687.webm",
        "20bn/2.webm",
        f"{prefix}labels.json|"
        + json.dumps({"Pushing something from left to right": "1", "Holding something next to something": "0"}),
        f"{prefix}train.json|" + json.dumps([item]),
        f"{prefix}validation.json|" + json.dumps([other]),
        f"{prefix}test.json|" + json.dumps([{"id": "2"}]),
        f"{prefix}test-answers.csv|2;Pushing something from left to right",
    )
    train, val, test = (read_clips(tmp_path, side=side) for side in ("train", "val", "test"))
    assert train.labels == ("Holding something next to something", "Pushing something from left to right")
    assert train.clips[0].label == train.labels[0] and val.clips[0].label == test.clips[0].label == train.labels[1]
    assert (train.kind, train.flip) == ("ssv2", False)
    assert len(read_clips(tmp_path / f"{prefix}train.json", side="test", media=tmp_path / "20bn").clips) == 1
    assert len(read_clips(tmp_path, side="all").clips) == 3
    assert has_side(tmp_path, "val") and has_side(tmp_path, "test")
    (tmp_path / f"{prefix}test-answers.csv").unlink()
    assert read_clips(tmp_path, side="test").clips[0].label is None and not has_side(tmp_path, "test")


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        ([], "nothing", "no such file or folder"),
        (["x.docx"], "x.docx", "expected a list"),
        (["empty/readme.md"], "empty", "expected a dataset, class folders"),
        (["s/labels.json|{}", "s/train.json|{"], "s", "line 1: not valid JSON"),
        (['s/labels.json|{"x": "1"}', "s/train.json|[]"], "s", "numbers from 0"),
        (
            ['s/labels.json|{"x": "0"}', 's/train.json|[{"id": 7, "template": "y"}]'],
            "s",
            "video 7: got the template 'y'",
        ),
        (['s/labels.json|{"x": "0"}', 's/train.json|{"id": 7}'], "s", "expected a list of objects with an 'id'"),
        (["l.json|[]"], "l.json", r"no labels\.json"),
        (
            ["u/classInd.txt|1 A", "u/trainlist01.txt|B/v_B_g01.avi 1"],
            "u",
            r"trainlist01\.txt, line 1: got the class 'B'",
        ),
        (
            ["u/classInd.txt|ApplyEyeMakeup", "u/trainlist01.txt|"],
            "u",
            r"line 1: got 'ApplyEyeMakeup', expected a line such as",
        ),
        (["h/clap_test_split1.txt|x.avi 7"], "h", r"line 1: got 'x\.avi 7', expected a file name and 0, 1 or 2"),
    ],
)
def test_errors_say_what_was_expected(tmp_path, files, name, message):
    put(tmp_path, *files)
    with pytest.raises(DataError, match=message):
        read_clips(tmp_path / name, side="train")


def test_media_must_be_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"`media` .*nowhere: expected a folder"):
        read_clips(put(tmp_path, "l.csv|a.mp4 0") / "l.csv", side="train", media=tmp_path / "nowhere")


def test_sides_have_four_names(tmp_path):
    with pytest.raises(DataError, match="got 'training', expected one of train, val, test, all"):
        read_clips(tmp_path, side="training")  # type: ignore[arg-type]


# --- the official class names ------------------------------------------------------------------------------------------


def official_names(benchmark: str) -> list[str]:
    path = SHARED / "reference" / "classes" / f"{benchmark}.txt"
    if not path.exists():
        pytest.skip(f"{path}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'reference'")
    return path.read_text(encoding="utf-8").splitlines()


def test_class_names_of_ucf101(tmp_path):
    names = official_names("ucf101")
    put(tmp_path, "classInd.txt|" + ";;".join(f"{i} {name}" for i, name in enumerate(names, start=1)))
    put(tmp_path, "trainlist01.txt|" + ";;".join(f"{n}/v_{n}_g01_c01.avi {i}" for i, n in enumerate(names, start=1)))
    put(tmp_path, *(f"{name}/v_{name}_g01_c01.avi" for name in names))
    found = read_clips(tmp_path, side="train")
    assert found.labels == tuple(names) == tuple(clip.label for clip in found.clips) and len(names) == 101


def test_class_names_of_hmdb51(tmp_path):
    names = official_names("hmdb51")
    put(tmp_path, *(f"{name}/a_{name}_f.avi" for name in names))
    put(tmp_path, *(f"{name}_test_split3.txt|a_{name}_f.avi 2 " for name in names))
    found = read_clips(tmp_path, side="test", fold=3)
    assert found.labels == tuple(names) == tuple(clip.label for clip in found.clips) and len(names) == 51


def test_class_names_of_kinetics400(tmp_path):
    names = official_names("kinetics400")
    quoted = [f'"{name}",{number},1,11,validate' for number, name in enumerate(names)]
    put(tmp_path, f"validate.csv|{HEAD};;" + ";;".join(quoted))
    put(tmp_path, *(f"{names[number]}/{number}_000001_000011.mp4" for number in range(400)))
    found = read_clips(tmp_path, side="val")
    assert found.labels == tuple(sorted(names)) and [clip.label for clip in found.clips] == names


def test_class_names_of_something_something(tmp_path):
    names = official_names("something_something_v2")
    items = [{"id": str(n), "template": name.replace("something", "[something]")} for n, name in enumerate(names)]
    put(tmp_path, "labels.json|" + json.dumps({name: str(number) for number, name in enumerate(names)}))
    put(tmp_path, "train.json|" + json.dumps(items), *(f"{number}.webm" for number in range(len(names))))
    found = read_clips(tmp_path, side="train")
    assert found.labels == tuple(names) == tuple(clip.label for clip in found.clips) and len(names) == 174
