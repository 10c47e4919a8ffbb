from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import SHARED
from tiktokactions.dataset.clips import ClipSet, DataError, has_side, read_clips


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
        ("nonsense", r"line 1: got 'nonsense'"),
    ],
)
def test_lines_that_mean_nothing(tmp_path, line, message):
    put(tmp_path, f"l.csv|{line}")
    with pytest.raises(DataError, match=message):
        read_clips(tmp_path / "l.csv", side="train")


def test_listed_videos_that_are_not_there(tmp_path):
    put(tmp_path, "a.mp4", "l.csv|a.mp4 0;;gone.mp4 1;;lost.mp4 1")
    with pytest.raises(DataError, match=r"2 of 3 listed videos are not in .*gone\.mp4, lost\.mp4.*--media"):
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
    with pytest.raises(DataError, match=r"testlist04\.txt: no such file; --fold: got 4"):
        read_clips(ucf101 / "lists", side="test", fold=4)
    with pytest.raises(DataError, match="UCF101 has no val side"):
        read_clips(ucf101 / "lists", side="val")


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
    with pytest.raises(DataError, match="--fold: got 3"):
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


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        ([], "nothing", "no such file or folder"),
        (["x.docx"], "x.docx", "expected a list"),
        (["empty/readme.md"], "empty", "expected a dataset, class folders"),
        (["s/labels.json|{}", "s/train.json|{"], "s", "not valid JSON"),
        (["u/classInd.txt|ApplyEyeMakeup", "u/trainlist01.txt|"], "u", "expected lines such as '1 ApplyEyeMakeup'"),
        (["h/clap_test_split1.txt|x.avi 7"], "h", r"line 1: got 'x\.avi 7', expected a file name and 0, 1 or 2"),
    ],
)
def test_errors_say_what_was_expected(tmp_path, files, name, message):
    put(tmp_path, *files)
    with pytest.raises(DataError, match=message):
        read_clips(tmp_path / name, side="train")


def test_media_must_be_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"--media .*nowhere: expected a folder"):
        read_clips(put(tmp_path, "l.csv|a.mp4 0") / "l.csv", side="train", media=tmp_path / "nowhere")


def test_real_class_names(tmp_path):
    """UCF101's official class list in the layout of its archive."""
    path = SHARED / "reference" / "classes" / "ucf101.txt"
    if not path.exists():
        pytest.skip(f"{path}: not found; set TIKTOKACTIONS_TEST_DATA to the folder that holds 'reference'")
    names = [line.split()[-1] for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    lines = ";;".join(f"{i} {name}" for i, name in enumerate(names, start=1))
    put(tmp_path, f"classInd.txt|{lines}", *(f"{n}/v_{n}_g01_c01.avi" for n in names))
    put(tmp_path, "trainlist01.txt|" + ";;".join(f"{n}/v_{n}_g01_c01.avi {i}" for i, n in enumerate(names, start=1)))
    found = read_clips(tmp_path, side="train")
    assert found.labels == tuple(names) and len(found.clips) == len(names) == 101
