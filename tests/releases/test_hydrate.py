"""A dataset made again from its released ids: the same records, and a list of what could not be had."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tests.releases.conftest import ROWS
from tiktokactions import cli
from tiktokactions.curation.takedowns import Takedown, published


@pytest.fixture
def released(five_clips: Path, tmp_path: Path) -> Path:
    api.dataset_export(five_clips, tmp_path / "released", format="ids")
    return tmp_path / "released" / "ids.csv"


@pytest.fixture
def media(five_clips: Path, tmp_path: Path) -> Path:
    """The same files under their ids."""
    folder = tmp_path / "media"
    folder.mkdir()
    for name, video_id, *_ in ROWS:
        shutil.copy(five_clips.parent / "videos" / name, folder / f"{video_id}.mp4")
    return folder


DIFFERING = ("source", "poster_sha256", "strip_sha256", "description_sha256")
"""The paths; and the dataset's people are made up, so that its posters show other frames."""


def records(data: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_bytes()) for path in sorted(data.glob("records/*/*.json"))]
    return {r["video_id"]: {k: v for k, v in r.items() if k not in (*DIFFERING, "timings", "sha256")} for r in found}


def test_records_come_back_identical(five_clips: Path, released: Path, media: Path, tmp_path: Path) -> None:
    done = api.dataset_hydrate(released, tmp_path / "again", media=media, workers=1)
    assert (done.rebuilt, done.missing, done.listed) == (6, 0, 6)
    assert records(tmp_path / "again") == records(five_clips)
    for record in records(five_clips).values():
        if record["clip"] is not None:
            path = record["clip"]["path"]
            assert (tmp_path / "again" / path).read_bytes() == (five_clips / path).read_bytes()
    assert (tmp_path / "again" / "splits" / "assignments.csv").read_bytes() == (
        five_clips / "splits" / "assignments.csv"
    ).read_bytes()
    assert api.dataset_verify(tmp_path / "again").problems == ()
    assert len(list((tmp_path / "again" / "thumbs").glob("*.jpg"))) == 10


@pytest.mark.parametrize("fps", [None, 12.0], ids=["own rate", "other rate"])
def test_whatever_the_frames_times(tmp_path: Path, fps: float | None) -> None:
    """The clip of an unevenly timed video, or of another rate than its own, has other frames than its segment."""
    for seconds in (4, 13):  # a whole scene and a part of one
        uneven = [i / 24 + 0.02 * (i % 3) for i in range(24 * seconds)]
        frames = [numbered_frames(24 * seconds, 160, 96, first=1000 * (seconds + i)) for i in range(2)]
        write_video(tmp_path / "videos" / f"uneven{seconds}.mp4", frames[0], times_s=uneven, b_frames=2)
        write_video(tmp_path / "videos" / f"even{seconds}.mp4", frames[1], fps=24)
    none: dict[str, Any] = {"detector": "none", "min_person_frames": 0, "keep_duplicates": True, "workers": 1}
    assert api.curate(tmp_path / "videos", tmp_path / "data", fps=fps, **none).last_run.accepted == 4
    api.dataset_export(tmp_path / "data", tmp_path / "ids", format="ids")
    done = api.dataset_hydrate(tmp_path / "ids" / "ids.csv", tmp_path / "again", media=tmp_path / "videos", workers=1)
    assert (done.rebuilt, done.missing) == (4, 0)
    assert records(tmp_path / "again") == records(tmp_path / "data")


def test_files_are_found_by_their_bytes_too(five_clips: Path, released: Path, tmp_path: Path) -> None:
    done = api.dataset_hydrate(released, tmp_path / "again", media=five_clips.parent / "videos", workers=1)
    assert (done.rebuilt, done.missing) == (6, 0)


def test_what_is_gone_is_listed_and_a_rerun_goes_on(released: Path, media: Path, tmp_path: Path) -> None:
    kept = media / f"{ROWS[0][1]}.mp4"
    shutil.move(kept, tmp_path / "kept.mp4")
    first = api.dataset_hydrate(released, tmp_path / "again", media=media, workers=1)
    assert (first.rebuilt, first.missing) == (5, 1)
    [row] = list(csv.DictReader((tmp_path / "again" / "missing.csv").read_text().splitlines()))
    assert row == {"video_id": ROWS[0][1], "status": "accepted", "why": "no file with its id or its bytes"}
    shutil.move(tmp_path / "kept.mp4", kept)
    second = api.dataset_hydrate(released, tmp_path / "again", media=media, workers=1)
    assert (second.rebuilt, second.finished_before, second.missing) == (1, 5, 0)


def test_another_download_of_the_video_is_curated_anew(released: Path, media: Path, tmp_path: Path) -> None:
    write_video(media / f"{ROWS[0][1]}.mp4", numbered_frames(150, 160, 96, first=9000))
    done = api.dataset_hydrate(released, tmp_path / "again", media=media, workers=1)
    assert (done.rebuilt, done.curated_anew) == (5, 1)
    assert records(tmp_path / "again")[ROWS[0][1]]["probe"]["frames"] == 150


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda ids: ids.with_name("ids.json").unlink(), "ids.json: not there"),
        (lambda ids: ids.with_name("ids.json").write_text("{}"), "not the settings of a release"),
        (lambda ids: ids.write_text(ids.read_text().replace('""frames""', '""fra""', 1)), "line 2: not a row"),
        (lambda ids: ids.write_text("video_id\nx\n"), "line 2: not a row of a release"),
    ],
    ids=["no settings", "empty settings", "damaged evidence", "another table"],
)
def test_damaged_releases_are_refused(released: Path, media: Path, tmp_path: Path, damage: Any, message: str) -> None:
    damage(released)
    with pytest.raises(api.UsageError, match=message):
        api.dataset_hydrate(released, tmp_path / "again", media=media, workers=1)


def test_the_command(released: Path, media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "again")
    (media / f"{ROWS[1][1]}.mp4").unlink()
    arguments = ["dataset", "hydrate", str(released), "--media", str(media), "-o", out]
    assert cli.main([*arguments, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["missing"] == 1
    assert cli.main([*arguments[:4], str(tmp_path / "nowhere"), "-o", out]) == 2


# --- what people decided ---------------------------------------------------------------------------------------------

JAB, NOBODY, UNSEEN, GONE = (row[1] for row in ROWS[:4])


@pytest.fixture(scope="module")
def judged(five_clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of a dataset in which one video got another label and segment, one was rejected, one was taken down."""
    folder = tmp_path_factory.mktemp("judged")
    data = shutil.copytree(five_clips, folder / "data")
    (data / "exports.json").unlink(missing_ok=True)
    lines = (
        "video_id,reviewer,verdict,labels,start_s,end_s",
        f"{JAB},anna,accept,jab,0.2,3.9",
        f"{NOBODY},anna,reject,,,",
    )
    (folder / "answers.csv").write_text("\n".join(lines))
    assert api.review_import(data, folder / "answers.csv").added == 2
    assert api.review_apply(data).verdicts == 2
    kept = (five_clips.parent / "videos" / ROWS[3][0]).read_bytes()
    api.refresh(data, remove=[GONE])  # which takes the source too, and other tests want it
    (five_clips.parent / "videos" / ROWS[3][0]).write_bytes(kept)
    api.dataset_export(data, folder / "released", format="ids")
    return folder


def said_of(data: Path) -> dict[str, tuple[Any, ...]]:
    import pyarrow.parquet as pq

    columns = ("video_id", "status", "labels", "human_labels", "clip_start_s", "clip_end_s")
    rows = pq.read_table(data / "manifest.parquet", columns=list(columns)).to_pylist()
    return {row["video_id"]: tuple(row.values()) for row in rows}


def other_bytes(path: Path) -> None:
    """Another download of the same video: a box without meaning at its end."""
    with path.open("ab") as file:
        file.write(b"\0\0\0\10free")


@pytest.mark.parametrize("bytes_are", ["the same", "others"])
def test_what_people_decided_survives(judged: Path, five_clips: Path, tmp_path: Path, bytes_are: str) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for name, video_id, *_ in ROWS[:5]:
        shutil.copy(five_clips.parent / "videos" / name, media / f"{video_id}.mp4")
        (media / f"{video_id}.jpg").write_bytes(b"a thumbnail")
        if bytes_are == "others":
            other_bytes(media / f"{video_id}.mp4")
    released = judged / "released" / "ids.csv"
    again = tmp_path / "again"
    done = api.dataset_hydrate(released, again, media=media, workers=1)
    assert (done.rebuilt, done.curated_anew) == ((4, 0) if bytes_are == "the same" else (0, 4))
    assert done.taken_down == 0 and GONE not in said_of(again), "no longer listed"
    wanted = {i: row for i, row in said_of(judged / "data").items() if i != ROWS[5][1]}
    assert wanted[JAB][3:] == (["jab"], 0.2, 3.9) and wanted[NOBODY][1] == "rejected"
    assert said_of(again) == wanted
    api.curate(again, redecide=True)
    assert said_of(again) == wanted
    for thumbnail in media.glob("*.jpg"):
        thumbnail.unlink()
    api.curate(media, again, workers=1)
    assert said_of(again) == wanted, "its labels hold, and what was taken down does not come back from its file"
    assert api.review_apply(again).changed == 0
    assert said_of(again) == wanted
    assert api.dataset_hydrate(released, again, media=media, workers=1).finished_before == 4
    assert said_of(again) == wanted
    assert api.dataset_verify(again).problems == ()


@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "a list of before"])
def test_what_is_taken_down_later_leaves_a_hydrated_copy(
    judged: Path, five_clips: Path, tmp_path: Path, is_sealed: bool
) -> None:
    release = shutil.copytree(judged / "released", tmp_path / "released")
    media = tmp_path / "media"
    media.mkdir()
    shutil.copy(five_clips.parent / "videos" / ROWS[0][0], media / f"{JAB}.mp4")
    shutil.copy(five_clips.parent / "videos" / ROWS[2][0], media / f"{UNSEEN}.mp4")
    api.dataset_hydrate(release / "ids.csv", tmp_path / "again", media=media, workers=1)
    assert {JAB, UNSEEN} == set(said_of(tmp_path / "again"))
    [told] = published([Takedown(JAB, "2026-01-01T00:00:00Z", "on request")], b"secret")
    with (release / "removed.csv").open("a") as file:
        file.write(f"{told.video_id if is_sealed else JAB},{told.removed},on request,\n")
    done = api.dataset_hydrate(release / "ids.csv", tmp_path / "again", media=media, workers=1)
    assert set(said_of(tmp_path / "again")) == {UNSEEN} and done.taken_down == 1
    assert not list((tmp_path / "again").glob(f"clips/*/{JAB}.mp4"))
    api.curate(media, tmp_path / "again", workers=1)
    assert set(said_of(tmp_path / "again")) == {UNSEEN}, "nor does it come back with its file"


def test_a_released_verdict_holds_where_the_evidence_differs(released: Path, media: Path, tmp_path: Path) -> None:
    """The release rejected it, but not for what can be seen in the file that is here."""
    lines = released.read_text(encoding="utf-8").replace(",accepted,people_not_required,", ",rejected,static,")
    released.write_text(lines, encoding="utf-8")
    other_bytes(media / f"{JAB}.mp4")
    api.dataset_hydrate(released, tmp_path / "again", media=media, workers=1)
    for _ in range(2):
        record = records(tmp_path / "again")[JAB]
        assert (record["status"], record["reasons"], record["clip"]) == ("rejected", ["released_rejected"], None)
        api.curate(tmp_path / "again", redecide=True)


def test_no_reviewer_is_named(judged: Path) -> None:
    for path in (judged / "released").iterdir():
        assert b"anna" not in path.read_bytes(), path
