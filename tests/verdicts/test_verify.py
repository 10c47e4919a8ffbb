"""Every kind of damage to a dataset is found, and repaired where it can be."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, read_numbers, write_video
from tiktokactions.dataset.manifest import SCHEMA
from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import sha256_file, update_sums
from tiktokactions.verdicts.repair import RepairError
from tiktokactions.verdicts.verify import Verification


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    for i in range(2):
        write_video(folder / "videos" / "dance" / f"{i}.mp4", numbered_frames(120, 160, 160, first=500 * i))
    api.curate(folder / "videos", folder / "dataset", detector="none", min_person_frames=0)
    return folder / "dataset"


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "dataset")
    return tmp_path / "dataset"


def first(dataset: Path, pattern: str) -> Path:
    return sorted(dataset.glob(pattern))[0]


def flip_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def stray_clip(dataset: Path) -> None:
    shutil.copy(first(dataset, "clips/*/*"), dataset / "clips" / "dance" / "stray.mp4")


def move_record(dataset: Path) -> None:
    record = first(dataset, "records/*/*.json")
    record.rename(record.with_name("other.json"))


DAMAGE: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a clip is gone": (lambda d: first(d, "clips/*/*").unlink(), {"missing_clip"}),
    "a clip changed": (lambda d: flip_bytes(first(d, "clips/*/*")), {"clip_changed"}),
    "a clip was cut short": (lambda d: os.truncate(first(d, "clips/*/*"), 3000), {"clip_changed"}),
    "a record is damaged": (lambda d: first(d, "records/*/*.json").write_text("{"), {"bad_record", "orphan_clip"}),
    "a clip nobody knows": (stray_clip, {"orphan_clip"}),
    "a description is gone": (lambda d: first(d, "thumbs/*.description").unlink(), {"missing_thumbnail"}),
    "a description changed": (lambda d: flip_bytes(first(d, "thumbs/*.description")), {"thumbnail_changed"}),
    "a description nobody knows": (lambda d: (d / "thumbs/x.description").write_text("x"), {"orphan_thumbnail"}),
    "a thumbnail nobody knows": (lambda d: (d / "thumbs/x.strip.jpg").write_text("x"), {"orphan_thumbnail"}),
}


def kinds(found: Verification) -> set[str]:
    return {problem.kind for problem in found.problems}


def test_a_record_that_lacks_the_fields_of_today_is_no_damage(dataset: Path) -> None:
    """Its seal, which the manifest keeps, is over the fields that there were when it was written."""
    path = first(dataset, "records/*/*.json")
    record = json.loads(path.read_bytes())
    del record["damaged"], record["scene_sizes"], record["sha256"]
    plain = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
    seal = hashlib.sha256(plain).hexdigest()
    path.write_bytes(plain[:-1] + b',"sha256":"' + seal.encode() + b'"}\n')
    manifest = pq.read_table(dataset / "manifest.parquet").to_pylist()
    rows = [row | ({"record_sha256": seal} if row["video_id"] == record["video_id"] else {}) for row in manifest]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), dataset / "manifest.parquet")
    update_sums(dataset, {"manifest.parquet": sha256_file(dataset / "manifest.parquet")})
    assert api.dataset_verify(dataset).problems == ()


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_repaired(name: str, dataset: Path) -> None:
    damage, expected = DAMAGE[name]
    assert api.dataset_verify(dataset).problems == ()
    damage(dataset)
    found = api.dataset_verify(dataset)
    assert kinds(found) == expected
    assert found.open_problems == found.problems
    repaired = api.dataset_verify(dataset, repair=True, yes=True)
    assert repaired.open_problems == ()
    assert api.dataset_verify(dataset).problems == ()
    for clip in dataset.glob("clips/*/*"):
        assert len(read_numbers(clip)) == 120


def test_a_record_under_another_name_is_found(dataset: Path) -> None:
    move_record(dataset)
    assert "misplaced_record" in kinds(api.dataset_verify(dataset))


def every_file(dataset: Path) -> dict[str, bytes]:
    """By relative path; without what is hidden, and without the quarantine's own two files."""
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name not in ("list.jsonl", "restore.txt")
    }


@contextlib.contextmanager
def without_sources(original: Path) -> Iterator[None]:
    sources = original.parent / "videos"
    sources.rename(original.parent / "away")
    try:
        yield
    finally:
        (original.parent / "away").rename(sources)


def rename_label(dataset: Path) -> None:
    (dataset / "clips/dance").rename(dataset / "clips/dancing")


def move_out_of_clips(dataset: Path) -> None:
    first(dataset, "clips/*/*").rename(dataset / "keep this.mp4")


def swap_clips(dataset: Path) -> None:
    one, two = sorted(dataset.glob("clips/*/*"))
    swapped = one.read_bytes(), two.read_bytes()
    two.write_bytes(swapped[0])
    one.write_bytes(swapped[1])


def swap_records(dataset: Path) -> None:
    one, two = sorted(dataset.glob("records/*/*.json"))
    swapped = one.read_bytes(), two.read_bytes()
    two.write_bytes(swapped[0])
    one.write_bytes(swapped[1])


def swap_posters(dataset: Path) -> None:
    one, two = (path for path in sorted(dataset.glob("thumbs/*.jpg")) if ".strip" not in path.name)
    swapped = one.read_bytes(), two.read_bytes()
    two.write_bytes(swapped[0])
    one.write_bytes(swapped[1])


def flip_one_bit(dataset: Path) -> None:
    path = first(dataset, "records/*/*.json")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    "mix_up", [rename_label, move_out_of_clips, swap_clips, swap_records, swap_posters, move_record, flip_one_bit]
)
def test_what_is_there_goes_back_without_any_source(
    mix_up: Callable[[Path], None], dataset: Path, original: Path
) -> None:
    before = every_file(dataset)
    mix_up(dataset)
    with without_sources(original):
        repaired = api.dataset_verify(dataset, repair=True)
        assert repaired.open_problems == ()
        assert api.dataset_verify(dataset).problems == ()
    after = every_file(dataset)
    for name in before:
        if name.startswith(("records", "clips", "thumbs")):
            assert after[name] == before[name], name


def test_a_clip_whose_source_is_absent_is_waited_for(dataset: Path, original: Path) -> None:
    clip = first(dataset, "clips/*/*")
    data, records = clip.read_bytes(), every_file(dataset / "records")
    clip.unlink()
    with without_sources(original):
        [problem] = api.dataset_verify(dataset, repair=True).open_problems
        assert (problem.kind, problem.repaired) == ("missing_clip", "")
        assert "is absent: it cannot be made again now" in problem.detail
    assert every_file(dataset / "records") == records, "a missing clip is no evidence about the video"
    clip.write_bytes(data)
    assert api.dataset_verify(dataset).problems == ()


def test_a_changed_clip_whose_source_is_absent_stays(dataset: Path, original: Path) -> None:
    clip = first(dataset, "clips/*/*")
    flip_bytes(clip)
    data = clip.read_bytes()
    with without_sources(original):
        assert [p.kind for p in api.dataset_verify(dataset, repair=True).open_problems] == ["clip_changed"]
    assert clip.read_bytes() == data


@pytest.mark.parametrize("folder", ["clips", "records"])
def test_a_disk_that_is_not_mounted(folder: str, dataset: Path) -> None:
    (dataset / folder).rename(dataset.parent / "unmounted")
    before = every_file(dataset)
    with pytest.raises(RepairError, match="is a disk not mounted"):
        api.dataset_verify(dataset, repair=True)
    assert every_file(dataset) == before
    (dataset.parent / "unmounted").rename(dataset / folder)
    assert api.dataset_verify(dataset).problems == ()


@pytest.mark.parametrize("put_there", [None, Path.mkdir, Path.touch], ids=["gone", "empty", "a file"])
@pytest.mark.parametrize(
    "change",
    [
        lambda d: api.curate(d, redecide=True),
        lambda d: api.curate(d.parent / "videos", d),
        lambda d: api.dataset_merge([d, d.parent / "other"], d.parent / "merged"),
        lambda d: api.refresh(d, remove=[first(d, "clips/*/*").stem]),
        lambda d: api.dataset_split(d, test=0.5),
        lambda d: api.release(d, d.parent / "released", publisher="a", licence="b", contact="c"),
    ],
    ids=["redecide", "curate", "merge", "take-down", "split", "release"],
)
def test_absent_records_make_no_dataset_without_videos(
    change: Callable[[Path], object], put_there: Callable[[Path], None] | None, dataset: Path
) -> None:
    shutil.copytree(dataset, dataset.parent / "other")
    write_video(dataset.parent / "videos" / "new.mp4", numbered_frames(10, 160, 160))
    (dataset / "records").rename(dataset.parent / "unmounted")
    if put_there is not None:
        put_there(dataset / "records")
    tables = ("manifest.parquet", "history.csv", "stats.json", "dataset.json")
    before = [(dataset / name).read_bytes() for name in tables]
    with pytest.raises(UsageError, match=r"none of the records of 2 videos is there: is a disk not mounted\?"):
        change(dataset)
    assert [(dataset / name).read_bytes() for name in tables] == before
    assert len(list(dataset.glob("clips/*/*.mp4"))) == 2


@pytest.mark.parametrize("put_there", [None, Path.mkdir, Path.touch], ids=["gone", "empty", "a file"])
def test_absent_clips_are_said_to_be_absent(
    put_there: Callable[[Path], None] | None, dataset: Path, original: Path
) -> None:
    clip = first(dataset, "clips/*/*")
    (dataset / "clips").rename(dataset.parent / "unmounted")
    if put_there is not None:
        put_there(dataset / "clips")
    with pytest.raises(TiktokactionsError, match=r"is a disk not mounted|Not a directory"):
        api.dataset_export(dataset, dataset.parent / "exported", format="webdataset")
    with without_sources(original):  # which other tests need
        [removed] = api.refresh(dataset, remove=[clip.stem]).removed
    assert removed.artefacts["clips"] == 0
    assert [
        left for left in removed.left if "is a disk not mounted" in left and f"{clip.parent.name}/{clip.name}" in left
    ]
    assert [left for left in removed.left if "source files could not be deleted" in left and "/videos/dance/" in left]
    if put_there is not None:
        (dataset / "clips").rename(dataset.parent / "put there")
    (dataset.parent / "unmounted").rename(dataset / "clips")
    with without_sources(original):
        [removed] = api.refresh(dataset, remove=[clip.stem]).removed
    assert removed.artefacts["clips"] == 1 and not removed.left and not clip.exists()
    assert api.dataset_verify(dataset).problems == ()


def newer_records(dataset: Path) -> None:
    path = first(dataset, "records/*/*.json")
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":7'))


def foreign_files(dataset: Path) -> None:
    for name in ("clips/dance/mine.mp4", "clips/mine.mp4", "notes/plan.txt", "splits/mine.txt", "thumbs/mine.txt"):
        (dataset / name).parent.mkdir(exist_ok=True)
        (dataset / name).write_text(name)


@pytest.mark.parametrize(
    "damage", [newer_records, foreign_files, stray_clip, lambda d: flip_bytes(first(d, "records/*/*"))]
)
def test_what_does_not_fit_goes_to_quarantine_and_comes_back(damage: Callable[[Path], None], dataset: Path) -> None:
    damage(dataset)
    before = every_file(dataset)
    for number in range(3):  # one file alone is few
        (dataset / f"{number}.txt").write_text("?")
    with pytest.raises(RepairError, match=r"more than a twentieth\. Nothing was changed"):
        api.dataset_verify(dataset, repair=True)
    for number in range(3):
        (dataset / f"{number}.txt").unlink()
    repaired = api.dataset_verify(dataset, repair=True, yes=True)
    assert repaired.open_problems == ()
    assert api.dataset_verify(dataset).problems == ()
    [quarantine] = (dataset / "quarantine").iterdir()
    listed = [json.loads(line) for line in (quarantine / "list.jsonl").read_text().splitlines()]
    after = every_file(dataset)
    for name, data in before.items():
        if name.startswith(("records", "clips", "thumbs", "notes")):
            assert data in (after.get(name), after.get(f"quarantine/{quarantine.name}/{name}")), name
    assert {entry["path"] for entry in listed} == {
        name.split("/", 2)[2] for name in after if name.startswith("quarantine")
    }
    assert repaired.restore == (quarantine / "restore.txt").read_text().strip()
    assert shlex.split(repaired.restore)[:3] == ["tiktokactions", "dataset", "verify"]
    if damage is not foreign_files and damage is not stray_clip:
        return  # a record that this program cannot read stays there
    back = api.dataset_verify(dataset, restore=repaired.restore.split()[-1])
    assert back.restored == len(listed)
    assert {name: every_file(dataset)[name] for name in before if not name.endswith((".json", "SUMS", ".md"))} == {
        name: data for name, data in before.items() if not name.endswith((".json", "SUMS", ".md"))
    }
    assert not (dataset / "quarantine").exists()


def test_a_record_that_can_be_read_again_comes_back_from_quarantine(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer_records(dataset)
    path = first(dataset, "records/*/*.json")
    video_id = next(p for p in dataset.glob("records/*/*.json") if b'"format":7' in p.read_bytes()).stem
    repaired = api.dataset_verify(dataset, repair=True, yes=True)
    place = repaired.restore.split()[-1]
    refused = api.dataset_verify(dataset, restore=place)
    assert "update tiktokactions" in next(p.detail for p in refused.problems if p.kind == "not_restored")
    assert not list(dataset.glob(f"records/*/{video_id}.json"))
    monkeypatch.setattr("tiktokactions.records.RECORD_FORMAT", 7)
    api.dataset_verify(dataset, restore=place)
    assert path.is_file()
    assert list(dataset.glob(f"records/*/{video_id}.json"))
    assert api.dataset_stats(dataset).videos == 2


def test_tables_are_made_again(dataset: Path) -> None:
    api.dataset_split(dataset, val=0, test=0.5)
    before = every_file(dataset)
    for pattern in ("stats.json", "croissant.json", "splits/*.csv", "figures/*", "README.md"):
        flip_bytes(first(dataset, pattern))
    (dataset / "splits/test.csv").unlink()
    assert not kinds(api.dataset_verify(dataset)) - {"file_changed", "missing_file"}
    assert api.dataset_verify(dataset, repair=True).open_problems == ()
    (dataset / "manifest.parquet").write_bytes(b"")
    assert api.dataset_verify(dataset, repair=True).open_problems == ()
    assert api.dataset_verify(dataset).problems == ()
    after = every_file(dataset)
    for name in ("splits/assignments.csv", "splits/train.csv", "splits/test.csv", "history.csv", "stats.json"):
        assert after[name] == before[name], name


def test_lists_of_sides_follow_what_people_decide(dataset: Path, tmp_path: Path) -> None:
    api.dataset_split(dataset, val=0, test=0.5)
    [train] = csv.DictReader((dataset / "splits/train.csv").read_text().splitlines())
    [test] = csv.DictReader((dataset / "splits/test.csv").read_text().splitlines())
    answers = tmp_path / "answers.csv"
    answers.write_text(f"video_id,verdict,labels\n{train['video_id']},accept,jab\n{test['video_id']},reject,\n")
    api.review_import(dataset, answers)
    api.review_apply(dataset)
    listed = (dataset / "splits/train.csv").read_text().splitlines()
    assert listed == ["path,label,video_id", f"{train['path']},jab,{train['video_id']}"]
    assert (dataset / "splits/test.csv").read_text().splitlines() == ["path,label,video_id"]
    assert api.dataset_verify(dataset).problems == ()


def test_swapped_lists_of_an_older_dataset_without_checksums(dataset: Path) -> None:
    api.dataset_split(dataset, val=0, test=0.5)
    (dataset / "SHA256SUMS").unlink()
    info = dataset / "dataset.json"
    info.write_text(info.read_text().replace('"checksums": true', '"checksums": false'))
    assert api.dataset_verify(dataset).problems == ()
    train, test = dataset / "splits/train.csv", dataset / "splits/test.csv"
    before = train.read_bytes(), test.read_bytes()
    train.write_bytes(before[1])
    test.write_bytes(before[0])
    assert kinds(api.dataset_verify(dataset)) == {"table_differs"}
    assert api.dataset_verify(dataset, repair=True).open_problems == ()
    assert (train.read_bytes(), test.read_bytes()) == before


def test_an_edited_card_is_no_alarm_for_ever(dataset: Path) -> None:
    card = dataset / "README.md"
    card.write_text(f"{card.read_text()}\nMy words.\n")
    [problem] = api.dataset_verify(dataset).problems
    assert (problem.path, "'dataset card'" in problem.detail) == ("README.md", True)
    api.dataset_card(dataset)
    assert api.dataset_verify(dataset).problems == ()


def test_not_a_dataset(tmp_path: Path) -> None:
    for command in (api.dataset_verify, api.dataset_stats, api.dataset_card):
        with pytest.raises(api.UsageError, match="expected a folder made by 'tiktokactions curate'"):
            command(tmp_path)


def test_a_link_to_what_is_gone_is_named_moved_and_brought_back(dataset: Path) -> None:
    """A disk beside the dataset that is not mounted any more, and a table that became a folder."""
    (dataset / "clips" / "elsewhere").symlink_to("/nowhere")
    (dataset / "stats.json").unlink()
    (dataset / "stats.json").mkdir()
    clip = first(dataset, "clips/*/*.mp4")
    clip.unlink()
    clip.mkdir()
    found = {(p.kind, p.path) for p in api.dataset_verify(dataset).open_problems}
    assert found == {
        ("orphan_clip", "clips/elsewhere"),
        ("missing_file", "stats.json"),
        ("missing_clip", str(clip.relative_to(dataset))),
    }
    done = api.dataset_verify(dataset, repair=True, yes=True)
    assert not done.open_problems and not api.dataset_verify(dataset).problems
    [place] = (dataset / "quarantine").iterdir()
    assert (place / "clips" / "elsewhere").is_symlink() and (place / "stats.json").is_dir() and clip.is_file()
    api.dataset_verify(dataset, restore=place.name)
    assert (dataset / "clips" / "elsewhere").is_symlink()


def test_only_the_picture_that_is_gone_is_drawn_again(dataset: Path) -> None:
    strip, poster = first(dataset, "thumbs/*.strip.jpg"), first(dataset, "thumbs/*[0-9a-f].jpg")
    before = {path: path.read_bytes() for path in (dataset / "thumbs").iterdir() if path != strip}
    strip.unlink()
    api.dataset_verify(dataset, repair=True)
    assert poster in before and strip.is_file() and not api.dataset_verify(dataset).problems
    assert {path: path.read_bytes() for path in before} == before
