"""Every command that changes a dataset counts one version, and none where nothing changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tiktokactions as api
from tests.releases.test_growth import A, B, curate
from tiktokactions.dataset.history import read_events, states_at
from tiktokactions.reviews.decisions import Decision
from tiktokactions.reviews.ledger import add_decision
from tiktokactions.reviews.people import outside_person
from tiktokactions.reviews.store import Store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("history")
    curate(folder, "a", A)
    curate(folder, "b", B[1:], label="jump")
    api.dataset_merge([folder / "a", folder / "b"], folder / "c")
    api.dataset_subset(folder / "a", folder / "sub", size=2)
    api.dataset_export(folder / "a", folder / "ids", format="ids")
    return folder


@pytest.fixture
def root(made, tmp_path):
    """The datasets in the place where they were made: a merge knows its two by their paths."""
    shutil.copytree(made, tmp_path / "kept")
    yield made
    for name in ("a", "b", "c", "sub", "ids", "hydrated", "videos"):
        shutil.rmtree(made / name, ignore_errors=True)
        if (tmp_path / "kept" / name).exists():
            shutil.copytree(tmp_path / "kept" / name, made / name)


def judge(root: Path) -> None:
    store = Store(root / "a")
    outside_person(store, "ann")
    add_decision(store, "ann", Decision("key-of-ann", "a0", "reject"))
    store.close()
    api.review_apply(root / "a")


def break_a_record(root: Path) -> None:
    """A record that cannot be read is removed by ``verify --repair``: its clip goes."""
    for path in (root / "a" / "records").glob("*/a2.json"):
        path.write_text("{")
    api.dataset_verify(root / "a", repair=True, yes=True)


def replace_in_b(root: Path) -> None:
    curate(root, "b", ((7, "b7", "hal", ""), *B[1:]), label="jump")
    api.dataset_merge([root / "a", root / "b"], root / "c")


@pytest.mark.parametrize(
    ("name", "command", "changes"),
    [
        ("a", lambda root: curate(root, "a", ((8, "a8", "ida", ""), *A)), {("came", "a8")}),
        (
            "a",
            lambda root: api.curate(root / "a", redecide=True, max_clip_s=3.6),
            {("changed", i) for i in ("a0", "a1", "a2", "both")},
        ),
        ("a", lambda root: api.refresh(root / "a", remove=["a1"]), {("removed", "")}),
        ("a", judge, {("went", "a0")}),
        ("a", break_a_record, {("went", "a2")}),
        ("c", replace_in_b, {("came", "b7")}),
        ("sub", lambda root: api.dataset_subset(root / "a", root / "sub", size=3), None),
        ("sub", lambda root: api.refresh(root / "a", remove=[first_of(root / "sub")]), {("removed", "")}),
        ("hydrated", lambda root: hydrate(root), {("came", i) for i in ("a0", "a1", "a2", "both")}),
    ],
    ids=[
        *("growth", "redecide", "take-down", "review apply", "verify --repair", "merge", "subset"),
        *("take-down of a subset", "hydrate"),
    ],
)
def test_one_version_where_something_changed_and_none_where_nothing_did(
    root: Path, name: str, command: Callable[[Path], object], changes: set[tuple[str, str]] | None
):
    before = version(root / name)
    command(root)
    assert version(root / name) == before + 1
    new = {(event.change, event.video_id) for event in read_events(root / name) if event.version > before}
    assert new == changes if changes is not None else new
    assert {event.version for event in read_events(root / name)} <= set(range(1, before + 2))
    accepted = {row["video_id"] for row in rows(root / name)}
    assert set(states_at(root / name, before + 1)) == accepted
    card = root / name / "README.md"
    assert name == "sub" or f"Version {before + 1}," in card.read_text()
    command(root)
    assert version(root / name) == before + 1, "nothing changed the second time"


def first_of(subset: Path) -> str:
    found = [str(row["video_id"]) for row in rows(subset)]
    return sorted(found)[0] if len(found) > 1 else "a99"


def rows(dataset: Path) -> list[dict[str, object]]:
    from tiktokactions.dataset.history import accepted_rows

    return list(accepted_rows(dataset))


def hydrate(root: Path) -> None:
    api.dataset_hydrate(root / "ids" / "ids.csv", root / "hydrated", media=root / "videos", workers=1)


def version(dataset: Path) -> int:
    path = dataset / "dataset.json"
    return int(json.loads(path.read_text())["version"]) if path.is_file() else 0
