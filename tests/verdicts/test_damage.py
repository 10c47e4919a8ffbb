"""Damage of every kind to every kind of file is found and named, and what can be made again is made again."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

import tiktokactions as ta
from tests.made_videos import numbered_frames, write_video
from tests.reviews.worlds import says
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.reviews.desk import open_desk
from tiktokactions.reviews.options import ReviewOptions
from tiktokactions.verdicts.verify import Problem

SEEDS = {"quick": range(1), "all": range(1, 4)}
KINDS = {
    "records": "records/*/*.json",
    "clips": "clips/*/*",
    "thumbnails": "thumbs/*",
    "sides": "splits/*",
    "figures": "figures/*",
    "tables": "*.json",
    "lists": "*.csv",
    "others": "[!.]*",
    "exports": "../ids/*",
    "exported clips": "../huggingface/*/*",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data`` with its sides, reviews and exports, and an older version of it in ``older``."""
    world = tmp_path_factory.mktemp("damage")
    data = world / "data"
    for number, label in enumerate(["dance"] * 4 + ["swim"] * 4):
        frames = numbered_frames(40, 64, 96, first=500 * number)
        write_video(world / "videos" / label / f"{number}.mp4", frames, fps=10)
    ta.curate(world / "videos", data, detector="none", min_person_frames=0, workers=1)
    clean(data, "curate")
    ta.dataset_split(data, val=0.25, test=0.25)
    clean(data, "split")
    shutil.copytree(data, world / "older")
    for form in ("ids", "huggingface"):
        ta.dataset_export(data, world / form, format=form)
    ta.dataset_subset(data, world / "subset", size=3)
    clean(data, "exports and a subset")
    ids = sorted(record.video_id for record in Dataset(data))
    desk = open_desk(Dataset(data), ReviewOptions())
    desk.decide("ann", says(ids[0], "reject"))
    desk.decide("ann", says(ids[1], labels=("waltz",), start_s=0.2, end_s=3.9))
    clean(data, "decisions, the desk open")
    desk.close()
    clean(data, "decisions")
    ta.review_apply(data)
    clean(data, "review apply")
    ta.dataset_card(data)
    ta.dataset_stats(data)
    clean(data, "card and stats")
    return world


def clean(data: Path, after: str) -> None:
    assert ta.dataset_verify(data).problems == (), after


def flip(path: Path, chance: random.Random, _: Path) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    overwrite(path, bytes(data))


def truncate(path: Path, chance: random.Random, _: Path) -> None:
    data = path.read_bytes()
    overwrite(path, data[: chance.randrange(1, len(data))])


def empty(path: Path, chance: random.Random, _: Path) -> None:
    overwrite(path, b"")


def swap(path: Path, chance: random.Random, _: Path) -> None:
    # Without SHA256SUMS, which would be damaged as well, nothing is known of the other one.
    files = (p for p in sorted(path.parent.iterdir()) if p.is_file() and p.name != "SHA256SUMS")
    others = [p for p in files if p.read_bytes() != path.read_bytes()]
    if not others:
        return overwrite(path, path.read_bytes()[::-1])
    other = chance.choice([p for p in others if p.suffix == path.suffix] or others)
    mine, theirs = path.read_bytes(), other.read_bytes()
    overwrite(path, theirs)
    overwrite(other, mine)


def delete(path: Path, chance: random.Random, _: Path) -> None:
    path.unlink()


def older(path: Path, chance: random.Random, world: Path) -> None:
    before = world / "older" / path.relative_to(world / "data") if path.is_relative_to(world / "data") else path
    if before.is_file() and before.read_bytes() != path.read_bytes():
        overwrite(path, before.read_bytes())
    else:
        foreign(path, chance, world)


def foreign(path: Path, chance: random.Random, _: Path) -> None:
    overwrite(path, chance.randbytes(500))


def overwrite(path: Path, data: bytes) -> None:
    """Exports share clips with the dataset by hard links: only this name gets other bytes."""
    path.unlink()
    path.write_bytes(data)


WAYS = (flip, truncate, empty, swap, delete, older, foreign)


def names(problems: tuple[Problem, ...], data: Path) -> set[str]:
    return {str((data / problem.path).resolve()) for problem in problems}


def damaged_in(data: Path, kind: str, chance: random.Random) -> Path:
    return chance.choice([path for path in sorted(data.glob(KINDS[kind])) if path.is_file() and path.stat().st_size])


def restored(world: Path, kept: Path) -> None:
    shutil.rmtree(world)
    shutil.copytree(kept, world)


@pytest.mark.parametrize(
    "seed",
    [pytest.param(s, marks=[pytest.mark.slow] if n == "all" else [], id=f"{s}") for n, r in SEEDS.items() for s in r],
)
def test_seventy_of_seventy(world: Path, tmp_path: Path, seed: int) -> None:
    chance, data, kept = random.Random(seed), world / "data", tmp_path / "kept"
    shutil.copytree(world, kept)
    missed, every = [], [(kind, way) for kind in KINDS for way in WAYS]
    assert len(every) == 70
    for kind, way in every if seed else chance.sample(every, 20):
        path = damaged_in(data, kind, chance)
        way(path, chance, world)
        before = {p: p.stat().st_mtime_ns for p in data.rglob("*")}
        if str(path.resolve()) not in names(ta.dataset_verify(data).open_problems, data):
            missed.append(f"{way.__name__} of {path.relative_to(world)}")
        assert {p: p.stat().st_mtime_ns for p in data.rglob("*")} == before, "nothing was written"
        restored(world, kept)
    assert missed == []
    clean(data, "put back")


def test_a_salt_that_changed_places_with_the_checksums(world: Path) -> None:
    """Nothing holds a checksum of either then; the salt is known by its form, and what it was can be brought back."""
    data = world / "data"
    salt, sums = data / "creator-salt", data / "SHA256SUMS"
    before = salt.read_bytes()
    swapped = sums.read_bytes()
    overwrite(sums, before)
    overwrite(salt, swapped)
    assert names(ta.dataset_verify(data).open_problems, data) == {str(salt.resolve()), str(sums.resolve())}
    ta.dataset_verify(data, repair=True, yes=True)
    assert before in [path.read_bytes() for path in (data / "quarantine").rglob("*") if path.is_file()]
    clean(data, "repaired")


@pytest.mark.parametrize("name", ["splits/train.csv", "figures/funnel.svg"])
def test_a_file_that_looks_like_ours_and_was_never_written(world: Path, name: str) -> None:
    copy = (world / "data" / name).with_name("copy_of_" + Path(name).name)
    shutil.copy(world / "data" / name, copy)
    [found] = ta.dataset_verify(world / "data").open_problems
    assert (found.kind, found.path) == ("foreign_file", str(copy.relative_to(world / "data")))
    ta.dataset_verify(world / "data", repair=True, yes=True)
    assert not copy.exists() and list((world / "data" / "quarantine").rglob(copy.name))


def test_the_checksums_of_an_export_are_gone(world: Path) -> None:
    (world / "ids" / "SHA256SUMS").unlink()
    [found] = ta.dataset_verify(world / "data").open_problems
    assert (found.kind, Path(found.path)) == ("export_damaged", world / "ids" / "SHA256SUMS")
    ta.dataset_export(world / "data", world / "ids", format="ids")
    clean(world / "data", "made again")
