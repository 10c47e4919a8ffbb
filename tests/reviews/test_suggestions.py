"""``review suggest`` on datasets with made features: the order, what is left out, and the queue that serves it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiktokactions as ta
from tests.reviews.worlds import a_desk, a_record, says, write_dataset
from tiktokactions import cli
from tiktokactions.records import ClipFile, VideoRecord
from tiktokactions.takedowns.reviews import take_down_reviews

DOUBTFUL = (0.9,) * 3 + (0.1,) * 7
WRONG = ("v04", "v17")


def a_clip(video_id: str, label: str, **changes: Any) -> VideoRecord:
    """A video with a clip, of a creator of its own."""
    record = a_record(video_id, labels=[label], **changes)
    clip = ClipFile(f"clips/{label}/{video_id}.mp4", 300, 30.0, 240, 320, 10.0, "0" * 64, 1, "x")
    return replace(record, clip=clip, source=replace(record.source, creator=f"creator of {video_id}"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[VideoRecord], Path]:
    """36 clips of two labels, two of them with the other one's label, a third of them to be reviewed; and their features."""
    records, rng, rows = [], np.random.default_rng(1), []
    for n in range(36):
        video_id, acts = f"v{n:02}", n % 2
        label = ("jump", "wave")[acts ^ (video_id in WRONG)]
        records.append(a_clip(video_id, label, scores=DOUBTFUL if n % 3 == 0 else (0.9,) * 10))
        feature = np.eye(2, 5)[acts] * 4 + rng.normal(0, 1, 5)
        rows.append({"path": f"/x/{video_id}.mp4", "video_id": video_id, "feature": feature.tolist()})
    path = tmp_path_factory.mktemp("features") / "features.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return records, path


@pytest.fixture
def data(made: tuple[list[VideoRecord], Path], tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", made[0])


def test_the_queue_shows_the_likely_errors_first(data, made):
    found = ta.review_suggest(data, features=made[1])
    assert {s.video_id for s in found.suspects[:2]} == set(WRONG)
    assert [(s.label, s.instead, s.likely_wrong) for s in found.suspects if s.video_id == "v04"] == [
        ("wave", "jump", True)
    ]
    assert (found.clips, found.settled, found.without_features, found.too_small) == (36, 0, 0, {})
    with closing(a_desk(data, suggested=True)) as desk:
        order = [item.video_id for item in desk.next_items("ann", count=20)]
        assert order == [s.video_id for s in found.suspects[:20]]
        assert desk.progress("ann").total == 36


def test_settled_labels_are_known_and_rejected_clips_are_left_out(data, made):
    with closing(a_desk(data)) as desk:
        desk.decide("ann", says("v04", answers={"wave": "no"}))
        desk.decide("ann", says("v17", "reject"))
        desk.decide("ann", says("v01", answers={"wave": "cannot_tell"}))
        desk.decide("ann", says("v02", answers={"jump": "yes"}, prefilled=True))
    found = ta.review_suggest(data, features=made[1])
    ranked = {s.video_id for s in found.suspects}
    assert ranked.isdisjoint(WRONG) and {"v01", "v02"} <= ranked and found.settled == 1
    with closing(a_desk(data)) as desk:
        assert desk.progress("ann", "suggested").total == 34


def test_applied_judgements_are_known_without_the_ledger(data, made, tmp_path):
    answers = {"v04": ((), {"wave": "no"}), "v07": (("wave",), {"wave": "yes"})}
    people = [replace(r, human_labels=a[0], human_answers=a[1]) for r in made[0] if (a := answers.get(r.video_id))]
    others = [r for r in made[0] if r.video_id not in answers]
    found = ta.review_suggest(write_dataset(tmp_path / "applied", [*people, *others]), features=made[1])
    assert not {"v04", "v07"} & {s.video_id for s in found.suspects} and found.settled == 2


def test_clips_without_a_feature_are_counted_and_left_out(data, made, tmp_path):
    table = pq.read_table(made[1])
    some = table.slice(0, 30).to_pylist()
    some[0]["feature"] = [float("nan")] * 5
    pq.write_table(pa.Table.from_pylist(some), tmp_path / "some.parquet")
    found = ta.review_suggest(data, features=tmp_path / "some.parquet")
    assert (found.clips, found.without_features) == (29, 7)


def test_uncertainty_by_a_classifier_of_ones_own(data, made, tmp_path):
    told = [
        {
            "path": f"/x/v{n:02}.mp4",
            "top": [{"label": "jump", "probability": p}, {"label": "wave", "probability": 1 - p}],
        }
        for n, p in enumerate((0.9, 0.55, 0.3, 0.51))
    ]
    (tmp_path / "said.json").write_text(json.dumps(told))
    found = ta.review_suggest(data, by="uncertainty", predictions=tmp_path / "said.json", features=made[1])
    assert [s.video_id for s in found.suspects] == ["v03", "v01", "v02", "v00"]
    assert [round(s.score, 2) for s in found.suspects] == [0.02, 0.1, 0.4, 0.8]
    out_of_fold = ta.review_suggest(data, by="uncertainty", features=made[1])
    assert out_of_fold.clips == 36 and [s.score for s in out_of_fold.suspects] == sorted(
        s.score for s in out_of_fold.suspects
    )


def test_the_table_says_what_was_found(data, made, capsys):
    assert cli.main(["review", "suggest", str(data), "--features", str(made[1]), "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("36 clips in order of errors, 2 likely wrong")
    assert [line.split()[1] in WRONG for line in lines[2:5]] == [True, True, False]
    assert cli.main(["review", "suggest", str(data), "--features", str(made[1]), "--folds", "40"]) == 1
    assert (
        "too small to judge, with the groups of clips that have them: jump (18), wave (18)" in capsys.readouterr().err
    )


def test_status_says_which_clips_precision_comes_from(data, capsys):
    with closing(a_desk(data, sample=5)) as desk:
        drawn = [item.video_id for item in desk.next_items("ann", count=9)]
        desk.decide("ann", says(drawn[0], answers=dict.fromkeys(("jump", "wave"), "yes")))
        other = next(f"v{n:02}" for n in range(36) if f"v{n:02}" not in drawn)
        desk.decide("ann", says(other, "reject", queue="suggested"))
    assert cli.main(["review", "status", str(data)]) == 0
    said = capsys.readouterr().out
    assert "precision, from 1 of the 5 clips drawn at random (--json names them)" in said
    assert "1 of 1 right" in said and "0 of" not in said.replace("unknown, 0 of 0", "")
    assert cli.main(["review", "status", str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sample"] == sorted(drawn)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        pytest.param(["--folds", "1"], "--folds: got 1, expected 2 to 100", id="one fold"),
        pytest.param(["--predictions", "x.json"], "--by uncertainty", id="predictions without uncertainty"),
        pytest.param(["--features", "nowhere.parquet"], "expected the Parquet file", id="no such features"),
        pytest.param(
            ["--by", "uncertainty", "--predictions", "nowhere.json"],
            "expected the JSON of 'predict'",
            id="no predictions",
        ),
    ],
)
def test_a_mistake_is_one_line(data, typed, told, capsys):
    assert cli.main(["review", "suggest", str(data), *typed]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_serving_before_anything_is_suggested_says_what_to_do(data, capsys):
    assert cli.main(["review", str(data), "--suggested", "--port", "0"]) == 2
    assert f"tiktokactions review suggest {data}" in capsys.readouterr().err


def test_a_take_down_leaves_nothing_in_what_was_suggested(data, made):
    ta.review_suggest(data, features=made[1])
    take_down_reviews(data, ["v04"])
    with closing(a_desk(data)) as desk:
        for table, column in (("doubts", "video_id"), ("alike", "video_id"), ("alike", "other"), ("queue", "video_id")):
            assert desk.index.database.first(f"SELECT 1 FROM {table} WHERE {column}='v04'") is None
            assert desk.index.database.first(f"SELECT 1 FROM {table}") is not None
