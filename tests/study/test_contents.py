"""A study that grows keeps its lists; other test sets and changed files are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tiktokactions.errors import BegunOtherwiseError
from tiktokactions.study.contents import OtherStudyError, StudyError
from tiktokactions.study.options import ScalingOptions, SourcesOptions
from tiktokactions.study.scaling import scaling_trials
from tiktokactions.study.settings import Design
from tiktokactions.study.sources import source_trials

RECIPE = {"epochs": 4, "batch_size": 1}


def add(folder: Path, *names: str) -> None:
    """Files that are told apart by their contents; nothing here decodes them."""
    for name in names:
        path = folder / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(str(path.relative_to(folder)).encode())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for side in ("train", "test"):
        add(tmp_path / "tested" / side, "a/1", "a/2", "b/1")
    add(tmp_path / "pool", *(f"v{n:02d}" for n in range(8)))
    return tmp_path


def scale(
    work: Path, *sizes: int, told: Callable[[str], None] = lambda line: None, **options: object
) -> dict[str, int]:
    """The epochs of every trial of a study that is begun or goes on."""
    design = Design(work / "study", str(work / "tested"), ScalingOptions(**options), RECIPE, {})  # type: ignore[arg-type]
    trials = scaling_trials(str(work / "pool"), sizes, design, told)
    return {trial.name: trial.facts["pretrain_epochs"] for trial in trials}


def lists(work: Path) -> dict[str, list[str]]:
    return {p.stem: p.read_text().splitlines()[1:] for p in sorted((work / "study" / "subsets").glob("*.csv"))}


def test_size_0_is_as_many_synthetic_videos_as_the_largest_size_has_real_ones(work):
    assert scale(work, 0, 2, 4, repeats=2) == {
        f"{name}-repeat-{n}": 4 for n in (0, 1) for name in ("synthetic", "size-0000002", "size-0000004")
    }
    before = lists(work)
    first, second = (set(before[f"synthetic-repeat-{n}"]) for n in (0, 1))
    assert len(first) == len(second) == 4 and first != second, "repeats draw others"
    assert all(row.startswith("synthetic:") for row in first | second)
    scale(work, 0, 2, 4, 8, repeats=3)
    after = lists(work)
    assert {name: after[name] for name in before} == before and len(after["synthetic-repeat-2"]) == 8


@pytest.mark.parametrize(
    ("size", "made"), [(3, 3), (None, 8)], ids=["the size asked for", "that of the largest source"]
)
def test_synthetic_is_a_source(work, size, made):
    design = Design(work / "study", str(work / "tested"), SourcesOptions(repeats=2), RECIPE, {})
    sources = {"own": str(work / "pool"), "synthetic": "synthetic:", "cut": f"synthetic:4:{work / 'pool'}"}
    trials = source_trials(sources, size, design)
    by_name = {trial.name: trial.facts["size"] for trial in trials}
    assert by_name["synthetic-repeat-0"] == made and by_name["cut-repeat-1"] == (size or 4)
    assert str(work / "pool") in lists(work)["cut-repeat-0"][0]
    assert {t.name: t.facts["size"] for t in source_trials(sources, size, design)} == by_name, "and goes on"
    add(work / "pool", "earlier")
    kept = lists(work)
    source_trials(sources, size, design)
    assert lists(work) == kept, "also when there is more to cut from"
    change(Path(kept["cut-repeat-0"][0].split(",")[0].split(":")[2]))
    with pytest.raises(OtherStudyError, match=r"the pool is not what this study began with: [12] changed"):
        source_trials(sources, size, design)


def test_synthetic_alone_needs_a_number(work):
    design = Design(work / "study", str(work / "tested"), SourcesOptions(), RECIPE, {})
    with pytest.raises(StudyError, match="`size`: expected how many synthetic videos"):
        source_trials({"scratch": None, "synthetic": "synthetic:"}, None, design)


@pytest.mark.parametrize("stratified", [False, True])
def test_lists_stay_and_stay_prefixes_when_videos_are_added(work, stratified):
    told: list[str] = []
    scale(work, 2, 5, repeats=2, stratified=stratified)
    before = lists(work)
    add(work / "pool", *(f"new/n{n:02d}" for n in range(30)))
    scale(work, 2, 5, 12, 30, repeats=3, stratified=stratified, told=told.append)
    after = lists(work)
    assert {name: after[name] for name in before} == before
    for repeat in range(3):
        for small, large in ((2, 5), (5, 12), (12, 30)):
            prefix = after[f"size-{small:07d}-repeat-{repeat}"]
            assert after[f"size-{large:07d}-repeat-{repeat}"][:small] == prefix and len(set(prefix)) == small
    assert any("/new/" in line for line in after["size-0000012-repeat-0"]), "new videos are drawn like old ones"
    assert told == [f"{work / 'pool'} had 8 clips and has 38: lists stay as they are, new clips come after theirs"]


def test_equal_steps_stay_those_of_the_first_largest_size(work):
    assert list(scale(work, 2, 4, equal="steps", repeats=1).values()) == [8, 4]
    assert list(scale(work, 2, 4, 8, equal="steps", repeats=1).values()) == [8, 4, 2]


def change(path: Path) -> None:
    path.write_bytes(b"something else")


def first_listed(work: Path) -> Path:
    return Path(lists(work)["size-0000003-repeat-0"][0].split(",")[0])


@pytest.mark.parametrize(
    ("happens", "message"),
    [
        (lambda work: change(work / "tested/test/a/1.mp4"), "the test set is not what .* 1 changed .*a/1.mp4"),
        (lambda work: add(work / "tested/test", "b/2"), "the test set is not what .* 1 added"),
        (lambda work: (work / "tested/test/a/2.mp4").unlink(), "the test set is not what .* 1 gone"),
        (
            lambda work: change(work / "tested/train/b/1.mp4"),
            "the train side of the evaluation data is not .* 1 changed",
        ),
        (lambda work: change(first_listed(work)), "the pool is not what .* 1 changed"),
        (lambda work: first_listed(work).unlink(), r"1 clip\(s\) that this study has listed are gone"),
    ],
    ids=["changed", "added", "gone", "train", "pool changed", "pool gone"],
)
def test_other_contents_are_refused(work, happens, message):
    scale(work, 3, repeats=1)
    kept = lists(work), (work / "study" / "contents.csv").read_bytes()
    happens(work)
    with pytest.raises(OtherStudyError, match=message) as caught:
        scale(work, 3, 4, repeats=1)
    assert isinstance(caught.value, BegunOtherwiseError) and "another `output`" in str(caught.value)
    assert (lists(work), (work / "study" / "contents.csv").read_bytes()) == kept


def test_what_was_not_used_may_go_and_a_copied_file_is_the_same(work):
    scale(work, 3, repeats=1)
    used = {line.split(",")[0] for line in lists(work)["size-0000003-repeat-0"]}
    next(path for path in (work / "pool").iterdir() if str(path) not in used).unlink()
    shutil.copy(first_listed(work), work / "copy")
    shutil.move(work / "copy", first_listed(work))
    assert list(scale(work, 3, 4, repeats=1)) == ["size-0000003-repeat-0", "size-0000004-repeat-0"]


def test_a_source_without_a_size_keeps_the_number_it_began_with(work):
    def go_on(repeats: int) -> list[int]:
        design = Design(work / "study", str(work / "tested"), SourcesOptions(repeats=repeats), RECIPE, {})
        return [t.facts["size"] for t in source_trials({"ours": str(work / "pool"), "scratch": None}, None, design)]

    assert go_on(1) == [8, 0]
    add(work / "pool", "later")
    assert go_on(2) == [8, 0, 8, 0]
