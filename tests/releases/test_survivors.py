"""Tests on a released list of which some clips have vanished: what is left is counted, what the rest can change is told."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiktokactions as api
from tests.releases.conftest import ROWS
from tiktokactions import cli
from tiktokactions.curation.takedowns import Takedown, add_takedowns, published
from tiktokactions.model.survivors import if_vanished_at_random

JAB, DOTS, UNSEEN, QUOTED, DANCE, _ = (row[1] for row in ROWS)
SMALL: dict[str, Any] = {"frames": 4, "image_size": 32, "stride": 2, "workers": 0, "threads": 1, "device": "cpu"}
LOOK: dict[str, Any] = {"side": "all", "workers": 0, "segments": 1, "crops": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def work(five_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``released/``, two runs, and ``copy/``, made of the list when the files of two of the five clips were gone."""
    pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("survivors")
    recipe = SMALL | {"model": "tiny", "epochs": 1, "warmup_epochs": 0, "batch_size": 2, "segments": 1, "crops": 1}
    api.finetune(five_clips, folder / "run0", validate_epochs=0, num_samples=1, **recipe)
    other = shutil.copytree(folder / "run0", folder / "run1")  # the same with another last layer
    weights = load_file(other / "model.safetensors")
    save_file(weights | {"head.weight": -weights["head.weight"]}, other / "model.safetensors")
    api.dataset_export(five_clips, folder / "released", format="ids")
    (folder / "media").mkdir()
    for name, video_id, *_ in ROWS:
        if video_id not in (DOTS, DANCE):
            shutil.copy(five_clips.parent / "videos" / name, folder / "media" / f"{video_id}.mp4")
    api.dataset_hydrate(folder / "released" / "ids.csv", folder / "copy", media=folder / "media", workers=1)
    return folder


@pytest.fixture
def ids(work: Path, tmp_path: Path) -> Path:
    """A copy of the list, to which a test may add take-downs."""
    return shutil.copytree(work / "released", tmp_path / "released") / "ids.csv"


@pytest.mark.slow
def test_where_all_are_there_nothing_is_uncertain(work: Path, five_clips: Path, ids: Path, tmp_path: Path) -> None:
    found = api.evaluate(work / "run0", five_clips, tmp_path / "out", ids=ids, **LOOK)
    left = found.survivors
    assert left is not None and (left.listed, left.there, left.gone, left.taken_down) == (5, 5, 0, 0)
    assert {left.all_wrong, left.all_right, left.at_random_low, left.at_random_high} == {found.top1}
    assert left.told == ["5 of 5 released clips are still there (100.0%)"]
    assert api.evaluate(work / "run0", five_clips, tmp_path / "out", **LOOK).survivors is None


@pytest.mark.parametrize(
    ("removed", "counts"),
    [([], (3, 0, 2)), ([UNSEEN], (2, 1, 2)), ([UNSEEN, DANCE], (2, 2, 1))],
    ids=["two gone", "one taken down, of which a copy is left", "and one that was gone anyway"],
)
def test_what_vanished_is_counted_and_bounds_the_answer(
    work: Path, ids: Path, tmp_path: Path, removed: list[str], counts: tuple[int, int, int]
) -> None:
    if removed:  # as a release publishes it: sealed
        add_takedowns(ids.parent, published([Takedown(i, "2026-11-30", "asked") for i in removed], b"5a17"))
    found = api.evaluate(work / "run0", work / "copy", tmp_path / "out", ids=ids.parent, **LOOK)
    left = found.survivors
    assert left is not None and (left.listed, left.unreadable, left.not_listed) == (5, 0, 0)
    assert (left.there, left.taken_down, left.gone) == counts and found.videos == left.there
    hits = round(found.top1 * found.videos)
    assert (left.all_wrong, left.all_right) == (hits / 5, (hits + 5 - left.there) / 5)
    assert left.all_wrong <= left.at_random_low < left.at_random_high <= left.all_right
    written = json.loads((tmp_path / "out" / "result.json").read_text())["survivors"]
    assert (written["there"], written["at_random_low"]) == (left.there, left.at_random_low)


@pytest.mark.slow
def test_a_take_down_of_the_copy_counts_and_a_damaged_clip_too(work: Path, ids: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(work / "copy", tmp_path / "copy")
    add_takedowns(copy, [Takedown(DANCE, "2026-11-30", "asked")])
    next((copy / "clips").rglob(f"{UNSEEN}.mp4")).write_bytes(b"damaged")
    left = api.evaluate(work / "run0", copy, tmp_path / "out", ids=ids, **LOOK).survivors
    assert left is not None
    assert (left.there, left.taken_down, left.unreadable, left.gone) == (2, 1, 1, 1)
    assert left.told[0] == "2 of 5 released clips are still there (40.0%; 1 taken down, 1 gone, 1 unreadable)"


@pytest.mark.slow
def test_clips_that_were_not_released_are_not_tested(work: Path, five_clips: Path, ids: Path, tmp_path: Path) -> None:
    head, *rows = ids.read_text(encoding="utf-8").splitlines()
    ids.write_text("\n".join([head, *(row for row in rows if not row.startswith(DANCE))]), encoding="utf-8")
    found = api.evaluate(work / "run0", five_clips, tmp_path / "out", ids=ids, **LOOK)
    assert found.survivors is not None
    assert (found.videos, found.survivors.listed, found.survivors.not_listed) == (4, 4, 1)
    assert found.survivors.told[-1] == "1 clips of the data are not on the list and were not tested"


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "listed"), [("cannot_tell", 4), ("no", 5)])
def test_of_several_labels_what_nobody_could_tell_is_not_listed(
    work: Path, ids: Path, tmp_path: Path, answer: str, listed: int
) -> None:
    """By the rule for the clips of the data; here of one that is gone, so that the list alone has the answer."""
    run = shutil.copytree(work / "run0", tmp_path / "run")
    told = json.loads((run / "run.json").read_text())
    told["options"]["multi_label"] = True
    (run / "run.json").write_text(json.dumps(told))
    with ids.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["video_id"] == DANCE:
            said = {"verdict": "accept", "labels": [], "answers": dict.fromkeys(json.loads(row["labels"]), answer)}
            row["decided"], row["human_labels"] = json.dumps(said), "[]"
    with ids.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    left = api.evaluate(run, work / "copy", tmp_path / "out", ids=ids, **LOOK).survivors
    assert left is not None and (left.listed, left.there, left.gone) == (listed, 3, listed - 3)


@pytest.mark.slow
def test_two_models_meet_on_what_both_answered(
    work: Path, five_clips: Path, ids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run is tested on the same clips; a test of long ago, when all were there, counts as far as they still are."""
    long_ago = api.evaluate(work / "run1", five_clips, tmp_path / "then", **LOOK)
    found = [
        api.evaluate(work / "run0", work / "copy", tmp_path / "out", ids=ids, against=other, **LOOK)
        for other in (work / "run1", tmp_path / "then")
    ]
    assert long_ago.videos == 5 and found[0].compared == found[1].compared
    both, left = found[0].compared, found[0].survivors
    assert both is not None and left is not None and both.videos == 3
    assert left.difference_low is not None and left.difference_high is not None
    assert left.difference_low == pytest.approx((3 * both.difference - 2) / 5)
    assert left.difference_high == pytest.approx((3 * both.difference + 2) / 5)
    told = ["evaluate", work / "run0", work / "copy", "--ids", ids, "--against", tmp_path / "then", "--side", "all"]
    capsys.readouterr()
    assert cli.main([str(word) for word in [*told, "--workers", 0, "--segments", 1, "--crops", 1]]) == 0
    out = capsys.readouterr().out
    assert (
        "3 of 5 released clips are still there (60.0%; 2 gone)" in out and f"against {tmp_path / 'then'}: top-1" in out
    )
    assert "if they are as hard as what is left of their label" in out and "whatever the others would have said" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": True, "side": "val", "data": ["copy"]}, "none of the 1 clips of .* is there"),
        ({"ids": True, "data": ["copy", "copy"]}, "got 2 data, expected the one that was made of this list"),
        ({"against": "released", "data": ["copy"]}, "neither a run nor the folder of a test"),
        ({"ids": "no", "data": ["copy"]}, "no: .*No such file"),
    ],
    ids=["nothing is left", "several data", "another folder", "no list"],
)
def test_what_makes_no_sense_is_refused(
    work: Path, ids: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    given = LOOK | options
    data = [work / name for name in given.pop("data")]
    given |= {"against": work / given["against"]} if "against" in given else {}
    given |= {"ids": {True: ids, "no": tmp_path / "no"}[given["ids"]]} if "ids" in given else {}
    if given["side"] == "val":
        add_takedowns(ids.parent, [Takedown(QUOTED, "2026-11-30", "asked")])
    with pytest.raises(api.UsageError, match=message):
        api.evaluate(work / "run0", data, tmp_path / "out", **given)


def test_the_interval_holds_in_worlds_where_clips_vanish_by_their_label() -> None:
    """Hard labels vanish more often; the interval is of the whole list, and no wider than the bounds."""
    rng, held, widths = np.random.default_rng(3), 0, []
    for _ in range(100):
        labels = np.repeat(list("abcdef"), rng.integers(3, 30, 6))
        accuracy, stays = rng.beta(3, 2, 6), rng.uniform(0.3, 1, 6)
        of = np.array(["abcdef".index(label) for label in labels])
        right, left = (
            rng.random(len(of)) < accuracy[of],
            rng.random(len(of)) < np.sort(stays)[np.argsort(np.argsort(accuracy))][of],
        )
        if not left.any():
            continue
        tested = [(str(label), bool(hit)) for label, hit in zip(labels[left], right[left], strict=True)]
        _, low, high = if_vanished_at_random(tested, Counter(map(str, labels[~left])))
        held += low - 1e-9 <= right.mean() <= high + 1e-9
        widths.append((high - low) / max(1e-9, (~left).mean()))
    assert held >= 0.92 * len(widths) and np.mean(widths) < 0.75
