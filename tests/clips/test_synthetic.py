"""Synthetic videos as data: the words that ask for them, their clips, and lists of them."""

from __future__ import annotations

import pytest

from tiktokactions.clips.clip import Clip, DataError
from tiktokactions.clips.read import read_clips
from tiktokactions.clips.synthetic import asked_synthetic, real_data, synthetic_clips


@pytest.mark.parametrize(
    ("word", "asked"),
    [
        ("videos/", None),
        ("synthetic/", None),
        ("synthetic:12", (12, "")),
        ("synthetic:12:", (12, "")),
        ("synthetic:3:s3://bucket/data", (3, "s3://bucket/data")),
    ],
)
def test_words(word, asked):
    assert asked_synthetic(word) == asked


@pytest.mark.parametrize("word", ["synthetic", "synthetic:", "synthetic:0", "synthetic:-1", "synthetic:many:videos/"])
def test_words_that_say_no_number(word):
    with pytest.raises(DataError, match=f"^{word}: expected synthetic:NUMBER, or synthetic:NUMBER:DATA"):
        asked_synthetic(word)


def test_a_folder_of_that_name_is_meant_where_there_is_one(tmp_path, monkeypatch):
    (tmp_path / "synthetic").mkdir()
    monkeypatch.chdir(tmp_path)
    assert asked_synthetic("synthetic") is None


def test_clips_know_their_number_and_what_they_show():
    plain = synthetic_clips(2).clips
    assert [(c.path, c.synthetic, c.file) for c in plain] == [("synthetic:0", 0, ""), ("synthetic:1", 1, "")]
    shown = [Clip("/v/a:1.mp4", "run", 1.0, 2.0, labels=("run",)), Clip("/v/b.mp4", "walk")]
    own = synthetic_clips(3, shown).clips
    assert [(c.synthetic, c.file, c.start_s) for c in own] == [
        (0, "/v/a:1.mp4", 1.0), (1, "/v/b.mp4", None), (2, "/v/a:1.mp4", 1.0)]  # fmt: skip
    assert {(c.label, c.labels) for c in own} == {(None, None)}
    assert (shown[0].synthetic, shown[0].file) == (None, "/v/a:1.mp4")
    assert real_data(["data/", "synthetic:5", "synthetic:5:more/"]) == ["data/", "more/"]


def test_a_list_holds_real_and_synthetic_videos(tmp_path):
    real = tmp_path / "a.mp4"
    real.touch()
    listed = tmp_path / "list.csv"
    listed.write_text(f"path,label\na.mp4,\nsynthetic:7,\nsynthetic:8:{real},\n")
    paths = [clip.path for clip in read_clips(listed, side="train").clips]
    assert paths == [str(real), "synthetic:7", f"synthetic:8:{real}"]
    listed.write_text("path,label\nsynthetic:7:/gone.mp4,\nsynthetic:many,\n")
    with pytest.raises(DataError, match="2 of 2 listed videos are not in"):
        read_clips(listed, side="train")
