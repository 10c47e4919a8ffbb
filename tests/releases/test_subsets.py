"""Subsets: how clips are chosen, and that everything reads a subset like a dataset."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tests.releases.conftest import ROWS
from tiktokactions import cli
from tiktokactions.clips.read import read_clips
from tiktokactions.dataset.subset_mark import is_subset
from tiktokactions.files import changes
from tiktokactions.releases.subset import (
    candidates_of,
    choose,
    farthest_first,
    features_from_file,
    place_of,
    quality_scores,
)
from tiktokactions.releases.subset_options import BY_FEATURES, Choice, SubsetError
from tiktokactions.study.cost import Cost
from tiktokactions.study.trials import Trial


def row(video_id: str, label: str = "a", **changes: Any) -> dict[str, Any]:
    plain = {"video_id": video_id, "names": [label], "person_frames": 5, "sampled_frames": 10, "motion": 1.0}
    return plain | {"sharpness": 100.0, "static_share": 0.0, "border_share": 0.0} | changes


def in_order(rows: list[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda r: place_of(r["video_id"], seed))


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [r["video_id"] for r in rows]


MANY = [row(f"v{n}", "abc"[n % 3] if n < 30 else "rare") for n in range(34)]


@pytest.mark.parametrize(("how", "left"), [("keep", {"a", "b"}), ("drop", {"b"}), ("only", {"a"})])
def test_the_ai_label(how: Any, left: set[str]) -> None:
    class Data:
        def batches(self, columns: list[str]) -> Any:
            rows = [{"video_id": i, "status": "accepted", "clip_path": i, "ai_label": label} for i, label in AI_LABELS]
            table = pa.Table.from_pylist([dict.fromkeys(columns) | {"labels": []} | row for row in rows])
            return table.select(columns).to_batches()

    rows = candidates_of(Data(), Choice("random", 2, ai_labelled=how))  # type: ignore[arg-type]
    assert {row["video_id"] for row in rows} == left


AI_LABELS = (("a", "AIGC Type 1"), ("b", None))


def test_random_subsets_are_nested_seeded_and_stable_when_the_dataset_grows() -> None:
    small, large = (ids(choose(in_order(MANY), Choice("random", n))) for n in (5, 12))
    assert large[:5] == small
    assert ids(choose(in_order(MANY, 1), Choice("random", 12, seed=1))) != large
    grown = in_order([*MANY, *(row(f"new{n}") for n in range(10))])
    kept = set(ids(choose(grown, Choice("random", 12)))) & set(ids(MANY))
    assert kept <= set(large)


@pytest.mark.parametrize(
    ("choice", "counts"),
    [
        (Choice("balanced", 8), {"a": 2, "b": 2, "c": 2, "rare": 2}),
        (Choice("balanced", 20), {"a": 6, "b": 5, "c": 5, "rare": 4}),
        (Choice("random", 34, cap=3), {"a": 3, "b": 3, "c": 3, "rare": 3}),
        (Choice("quality", 34, cap=1), {"a": 1, "b": 1, "c": 1, "rare": 1}),
    ],
    ids=str,
)
def test_labels_are_balanced_and_capped(choice: Choice, counts: dict[str, int]) -> None:
    chosen = choose(in_order(MANY), choice)
    found = {name: sum(r["names"] == [name] for r in chosen) for name in counts}
    assert sum(found.values()) == sum(counts.values()) and sorted(found.values()) == sorted(counts.values())
    assert found["rare"] == counts["rare"]


@pytest.mark.parametrize(
    "worse",
    [{"person_frames": 4}, {"motion": 0.5}, {"sharpness": 10.0}, {"static_share": 0.5}, {"border_share": 0.3}],
    ids=str,
)
def test_each_part_of_quality_counts(worse: dict[str, Any]) -> None:
    good, bad = quality_scores([row("good"), row("bad", **worse)])
    assert good > bad
    assert ids(choose([row("bad", **worse), row("good")], Choice("quality", 1))) == ["good"]


def test_quality_is_between_0_and_1_and_takes_missing_values() -> None:
    best = row("x", person_frames=10, motion=9.0, sharpness=999.0)
    scores = quality_scores([best, row("y", motion=None, sharpness=None, static_share=None, border_share=None)])
    assert scores[0] == pytest.approx(1.0)
    assert 0 <= scores[1] < scores[0]


def test_farthest_first_covers_clusters_and_is_nested() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(6) * 10
    points = np.concatenate([centre + 0.1 * rng.normal(size=(20, 6)) for centre in centres])
    chosen = farthest_first(points, 6)
    assert sorted(i // 20 for i in chosen) == list(range(6)), "one of each cluster"
    assert farthest_first(points, 3) == chosen[:3]
    assert sorted(farthest_first(points[:4], 9)) == [0, 1, 2, 3]


def test_farthest_first_takes_equal_points_once_each() -> None:
    assert sorted(farthest_first(np.zeros((5, 3)), 5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "best", "size": 3}, "`by`"),
        ({"by": "random"}, "`size` is missing"),
        ({"by": "random", "size": 0}, "`size`: got 0"),
        ({"by": "balanced", "size": 3, "cap": 0}, "`cap`: got 0"),
        ({"by": "labels"}, "`by` labels needs `labels`"),
        ({"by": "prune", "since": 1}, "`size` is missing"),
    ],
    ids=str,
)
def test_choices_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SubsetError, match=message):
        Choice(**options)


def test_a_subset_is_read_like_a_dataset(five_clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "subset"
    done = api.dataset_subset(five_clips, out, by="labels", labels=["salsa", "跳舞"])
    assert done.clips == 3 and done.labels == {"salsa": 2, "跳舞": 1} and is_subset(out)
    stats = api.dataset_stats(out)
    assert (stats.videos, stats.splits) == (3, {"test": 1, "train": 2})
    clips = read_clips(out, side="train")
    assert {clip.label for clip in clips.clips} == {"salsa"} and all(Path(c.path).is_file() for c in clips.clips)
    for name in ("coco", "ids", "webdataset"):
        assert api.dataset_export(out, tmp_path / name, format=name).clips == 3
    assert (tmp_path / "ids" / "ids.csv").read_text(encoding="utf-8").count("\n") == 4
    with pytest.raises(api.UsageError, match="is a subset"):
        api.dataset_split(out)
    with pytest.raises(api.UsageError, match="is a subset"):
        api.dataset_subset(out, tmp_path / "again", size=1)
    with pytest.raises(api.UsageError, match="is a subset"):
        api.curate(five_clips.parent / "videos", out)


@pytest.mark.parametrize(
    ("options", "count"),
    [({"since": 1}, 1), ({"until": 1}, 4), ({"since": 2}, 0), ({"until": 2}, 5), ({"since": 1, "size": 9}, 1)],
    ids=str,
)
def test_what_came_since_a_version_and_what_was_there(
    five_clips: Path, tmp_path: Path, options: dict[str, Any], count: int
) -> None:
    data = shutil.copytree(five_clips, tmp_path / "data")
    events = (data / "history.csv").read_text(encoding="utf-8").splitlines()
    (data / "history.csv").write_text(
        "\n".join([*events[:-1], events[-1].replace("1,", "2,", 1), ""]), encoding="utf-8"
    )
    if count:
        assert api.dataset_subset(data, tmp_path / "s", **options).clips == count
    else:
        with pytest.raises(api.UsageError, match="no accepted clip fits"):
            api.dataset_subset(data, tmp_path / "s", **options)


def test_the_same_subset_twice(five_clips: Path, tmp_path: Path) -> None:
    for by in ("random", "balanced", "quality", "diverse"):
        tables = []
        for _ in range(2):
            api.dataset_subset(five_clips, tmp_path / by, by=by, size=3)
            tables.append((tmp_path / by / "manifest.parquet").read_bytes())
        assert tables[0] == tables[1]
        assert json.loads((tmp_path / by / "subset.json").read_text())["by"] == by


@pytest.mark.parametrize("by", BY_FEATURES)
def test_features_of_a_file(five_clips: Path, tmp_path: Path, by: Any) -> None:
    names = [r[1] for r in ROWS[:-1]]
    features = [[1.0, 0, 0], [1.0, 0.01, 0], [1.0, 0, 0.01], [0, 1.0, 0], [0, 0, 1.0]]
    table = {"path": [f"{name}.mp4" for name in names], "video_id": names, "feature": features}
    pq.write_table(pa.table(table), tmp_path / "f.parquet")
    api.dataset_subset(five_clips, tmp_path / "s", by=by, size=3, features=tmp_path / "f.parquet")
    chosen = pq.read_table(tmp_path / "s" / "manifest.parquet")["video_id"].to_pylist()
    assert len(chosen) == 3 and ({names[3], names[4]} < set(chosen) or by == "balanced-clusters")
    with pytest.raises(SubsetError, match="no feature for 1 clips"):
        features_from_file(tmp_path / "f.parquet", [row("unknown")])
    with pytest.raises(SubsetError, match="expected the Parquet file that 'predict' writes") as raised:
        features_from_file(five_clips / "manifest.parquet", [])
    assert "\n" not in str(raised.value), "and not the columns that this file has"


def test_features_of_a_run(five_clips: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    small: dict[str, Any] = {
        "model": "tiny",
        "image_size": 32,
        "frames": 4,
        "workers": 0,
        "threads": 1,
        "device": "cpu",
    }
    api.pretrain(five_clips, tmp_path / "run", **small, batch_size=2, epochs=1, pictures_epochs=0)
    done = api.dataset_subset(five_clips, tmp_path / "s", by="diverse", size=2, features=tmp_path / "run")
    assert done.clips == 2 and (tmp_path / "s" / "features.parquet").is_file()
    # A dataset, or a subset of it, stands for its accepted clips.
    looks: dict[str, Any] = {"workers": 0, "threads": 1, "segments": 1, "crops": 1}
    both = api.predict(tmp_path / "run", [five_clips, tmp_path / "s"], features=tmp_path / "f.parquet", **looks)
    assert isinstance(both, api.FeaturesWritten) and both.videos == 7
    clips = {five_clips / row["clip_path"] for row in pq.read_table(five_clips / "manifest.parquet").to_pylist()
             if row["status"] == "accepted"}  # fmt: skip
    assert {Path(path).resolve() for path in pq.read_table(tmp_path / "f.parquet")["path"].to_pylist()} == clips


def test_the_command(five_clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "s")
    assert cli.main(["dataset", "subset", str(five_clips), "--size", "2", "-o", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 2
    assert cli.main(["dataset", "subset", str(five_clips), "--size", "99", "-o", out]) == 1
    assert "only 5 clips fit" in capsys.readouterr().err
    assert cli.main(["dataset", "subset", str(five_clips), "--size", "2", "--labels", "nothing", "-o", out]) == 2
    assert cli.main(["dataset", "subset", str(five_clips), "-o", out]) == 2


def test_subsets_of_equal_size_are_sources_of_a_study(
    five_clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps that a dry run makes to measure them have a test of their own; here the sources are read."""
    measured: list[str] = []

    def cost(trial: Trial) -> Cost:
        measured.append(trial.name)
        return Cost({"pretrain": 2, "finetune": 2}, {"pretrain": 0.5, "finetune": 0.5})

    monkeypatch.setattr("tiktokactions.study.cost.measured_cost", cost)
    for by in ("random", "quality"):
        api.dataset_subset(five_clips, tmp_path / by, by=by, size=2, sides=("train",))
    for side in ("train", "test"):
        for label in ("left", "right"):
            write_video(tmp_path / "squares" / side / label / "a.mp4", numbered_frames(8, 32, 32), fps=8)
    command = ["study", "sources", *(f"{by}={tmp_path / by}" for by in ("random", "quality")), "scratch"]
    command += ["--size", "2", "--repeats", "1", "--equal", "steps", "--evaluate-on", str(tmp_path / "squares")]
    command += ["-o", str(tmp_path / "study"), "--dry-run", "--json"]
    assert cli.main(command) == 0
    plan = json.loads(capsys.readouterr().out)
    assert len(plan["trials"]) == 3 and plan["seconds"] > 0 and measured
    assert not (tmp_path / "study").exists()
    command[command.index("2")] = "3"
    assert cli.main(command) == 2
    assert "has 2" in capsys.readouterr().err


@pytest.mark.parametrize("made", ["subset", "export", "release"])
def test_killed_before_its_first_file_it_goes_on(
    five_clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    """And what was begun is known to the dataset, for a take-down."""
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(five_clips, data)
    who: dict[str, Any] = {"publisher": "A lab", "licence": "CC-BY-4.0", "contact": "a@example.org"}
    commands = {
        "subset": lambda: api.dataset_subset(data, out, size=3),
        "export": lambda: api.dataset_export(data, out, format="ids"),
        "release": lambda: api.release(data, out, **who),
    }

    def killed_in_place(place: object) -> None:
        if str(place).startswith(str(out)):
            (out / ".writing-left.json").write_text("as if by SIGKILL")
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(changes, "about_to_change", killed_in_place)
        with pytest.raises(KeyboardInterrupt):
            commands[made]()
    commands[made]()
    assert str(out) in (data / f"{made}s.json").read_text()


def test_a_take_down_reaches_a_subset_that_was_killed(
    five_clips: Path, sources_stay: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out, gone = tmp_path / "data", tmp_path / "out", ROWS[2][1]
    shutil.copytree(five_clips, data)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tiktokactions.releases.subset.write_info", killed)
        with pytest.raises(KeyboardInterrupt):
            api.dataset_subset(data, out, size=5)
    assert gone in (out / "history.csv").read_text()
    api.refresh(data, remove=[gone])
    assert pq.read_table(out / "manifest.parquet").num_rows == 4
    assert not [path for path in out.rglob("*") if path.is_file() and gone.encode() in path.read_bytes()]
    assert api.dataset_subset(data, out, size=5).clips == 4
