"""What is trained on is found among foreign videos: planted copies in every disguise; others are not."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

import tiktokactions as api
from tests.made_videos import write_video
from tiktokactions.cli import main
from tiktokactions.dataset.assignments import Assignment, write_assignments
from tiktokactions.splits.foreign import foreign_videos

Pictures = list[np.ndarray]


def moving(seed: int, count: int = 96) -> Pictures:
    """Soft shapes that wander over a soft background, at 12 frames a second: no seed looks or moves like another."""
    rng = np.random.default_rng(seed)
    back = cv2.resize(rng.integers(0, 255, (6, 6, 3)).astype(np.float32), (160, 120), interpolation=cv2.INTER_CUBIC)
    paths = [np.cumsum(rng.normal(0, 1.2, (count, 2)), axis=0) * 4 + rng.uniform(30, 100, 2) for _ in range(5)]
    colours = rng.integers(0, 255, (5, 3)).tolist()
    pictures = []
    for frame in range(count):
        picture = np.clip(back, 0, 255).astype(np.uint8)
        for path, colour in zip(paths, colours, strict=True):
            x, y = (int(v) for v in path[frame] % (160, 120))
            cv2.circle(picture, (x, y), 18, colour, -1)
        pictures.append(picture)
    return pictures


def letterboxed(pictures: Pictures) -> Pictures:
    return [cv2.copyMakeBorder(p, 24, 24, 0, 0, cv2.BORDER_CONSTANT) for p in pictures]


def scaled(pictures: Pictures) -> Pictures:
    return [cv2.resize(p, (108, 80), interpolation=cv2.INTER_AREA) for p in pictures]


def mirrored(pictures: Pictures) -> Pictures:
    return [p[:, ::-1].copy() for p in pictures]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of 8 s, three of them trained on."""
    folder = tmp_path_factory.mktemp("foreign")
    rows = ["path,id,label"]
    for number in range(4):
        write_video(folder / "videos" / f"{number}.mp4", moving(number), fps=12, crf=20)
        rows.append(f"videos/{number}.mp4,v{number},walk")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    data = folder / "data"
    api.curate(folder / "list.csv", data, detector="none", min_person_frames=0, workers=1)
    write_assignments(data, {f"v{i}": Assignment("test" if i == 3 else "train") for i in range(4)})
    api.dataset_split(data)
    return data


def test_of_a_dataset_the_clips_are_compared(tmp_path: Path) -> None:
    for name in ("dataset.json", "thumbs/a.jpg", "clips/dance/a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [Path(path).name for path in foreign_videos([str(tmp_path)], None)[0]] == ["a.mp4"]


def test_copies_are_found(split: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parts of 3 s that begin at no multiple of the sampling, in every disguise, and a longer video that holds a clip."""
    part = slice(29, 65)
    planted: dict[str, tuple[int, Pictures]] = {
        "trimmed": (0, moving(0)[part]),
        "scaled": (0, scaled(moving(0)[part])),
        "letterboxed": (1, letterboxed(moving(1)[part])),
        "mirrored": (1, mirrored(moving(1)[part])),
        "all": (2, letterboxed(mirrored(scaled(moving(2)[part])))),
        "longer": (2, moving(50, 30) + moving(2)),
    }
    for name, (_, pictures) in planted.items():
        write_video(tmp_path / f"{name}.mp4", pictures, fps=12, crf=32)
    write_video(tmp_path / "tested.mp4", moving(3)[part], fps=12, crf=24)
    for seed in range(60, 64):
        write_video(tmp_path / f"other{seed}.mp4", moving(seed), fps=12)
    (tmp_path / "junk.mp4").write_bytes(b"junk")
    assert main(["dataset", "split", str(split), "--check-against", str(tmp_path)]) == 1
    assert "attention: 6 near-duplicates" in capsys.readouterr().out
    table = list(csv.DictReader((split / "splits" / "check_against" / "pairs.csv").read_text().splitlines()))
    found = {Path(row["foreign_path"]).stem: row for row in table if row["video_id"]}
    assert {name: row["video_id"] for name, row in found.items()} == {n: f"v{i}" for n, (i, _) in planted.items()}
    assert {name for name, row in found.items() if row["mirrored"] == "yes"} == {"mirrored", "all"}
    assert float(found["trimmed"]["own_start_s"]) == pytest.approx(29 / 12, abs=0.2)
    assert float(found["longer"]["foreign_start_s"]) == pytest.approx(30 / 12, abs=0.4)
    assert [Path(row["foreign_path"]).name for row in table if not row["video_id"]] == ["junk.mp4"]
    assert "not_a_video" in table[-1]["problem"]


def test_unchanged_files_are_not_decoded_again(split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "copy.mp4", moving(0)[20:60], fps=12, crf=30)
    first = api.dataset_check_against(split, [str(tmp_path)])
    assert [pair[0] for pair in first.pairs] == ["v0"] and not first.unread
    monkeypatch.setattr("tiktokactions.splits.foreign.run_jobs", lambda jobs, *rest: iter(()) if not jobs else 1 / 0)
    assert api.dataset_check_against(split, [str(tmp_path)]).pairs == first.pairs


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.txt", "{root}/UCF-101/Walk/v_Walk_g01_c01.avi\nWalk/gone.avi\n"),
        ("relative.txt", "UCF-101/Walk/v_Walk_g01_c01.avi\nWalk/gone.avi\n"),
        ("testlist01.txt", "Walk/v_Walk_g01_c01.avi\nWalk/gone.avi\n"),
        ("trainlist01.txt", "Walk/v_Walk_g01_c01.avi 1\nWalk/gone.avi 1\n"),
        ("list.csv", "label,path\nwalk,Walk/v_Walk_g01_c01.avi\nwalk,Walk/gone.avi\n"),
    ],
)
@pytest.mark.parametrize("media", [True, False])
def test_lists(split: Path, tmp_path: Path, name: str, text: str, media: bool, capsys: pytest.CaptureFixture[str]):
    write_video(tmp_path / "UCF-101" / "Walk" / "v_Walk_g01_c01.avi", moving(1)[10:60], fps=12)
    (tmp_path / name).write_text(text.format(root=tmp_path))
    root = ["--media", str(tmp_path / "UCF-101")] if media else []
    assert main(["dataset", "split", str(split), "--check-against", str(tmp_path / name), *root]) == 1
    told = capsys.readouterr().out
    assert "compared with 2 foreign videos" in told and "1 near-duplicates" in told
    assert "1 files could not be compared" in told
    table = (split / "splits" / "check_against" / "pairs.csv").read_text()
    assert f'Walk/gone.avi,,,,,,"named in {tmp_path / name}, not in' in table
