"""What is trained on is found among foreign videos: planted copies, plain, recompressed, mirrored; others are not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from tests.made_videos import write_video
from tiktokactions import api
from tiktokactions.cli import main
from tiktokactions.dataset.assignments import Assignment, write_assignments


def moving(seed: int) -> list[np.ndarray]:
    """Coloured blocks, other ones in every frame-third: 48 pictures that look like no other seed's."""
    rng = np.random.default_rng(seed)
    looks = [np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((20, 20, 1))).astype(float) for _ in range(2)]
    return [(looks[0] * (1 - t / 47) + looks[1] * t / 47).astype(np.uint8) for t in range(48)]


def test_copies_are_found(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setattr(
        "tiktokactions.dataset.figures.draw_figures", lambda dataset, stats: None
    )  # has tests of its own
    rows = ["path,id,label"]
    for number in range(4):
        write_video(tmp_path / "videos" / f"{number}.mp4", moving(number), fps=12, crf=18)
        rows.append(f"videos/{number}.mp4,v{number},walk")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    data = tmp_path / "data"
    api.curate(tmp_path / "list.csv", data, detector="none", min_person_frames=0, min_clip_s=1.0, workers=1)
    write_assignments(data, {"v0": Assignment("train"), "v1": Assignment("train"), "v2": Assignment("test")})
    foreign = tmp_path / "foreign"
    write_video(foreign / "again.mp4", moving(0), fps=12, crf=30)
    write_video(foreign / "mirrored.mp4", [picture[:, ::-1].copy() for picture in moving(1)], fps=12, crf=24)
    write_video(foreign / "tested.mp4", moving(2), fps=12, crf=24)
    write_video(foreign / "other.mp4", moving(99), fps=12)
    (foreign / "junk.mp4").write_bytes(b"junk")
    assert main(["dataset", "split", str(data), "--check-against", str(foreign)]) == 1
    assert "attention: 2 near-duplicates" in capsys.readouterr().out
    table = list(csv.DictReader((data / "splits" / "check_against" / "pairs.csv").read_text().splitlines()))
    assert [(row["video_id"], Path(row["foreign_path"]).name) for row in table[:2]] == [
        ("v0", "again.mp4"),
        ("v1", "mirrored.mp4"),
    ]
    assert Path(table[2]["foreign_path"]).name == "junk.mp4" and "not_a_video" in table[2]["problem"]
    assert api.dataset_check_against(data, [str(foreign / "other.mp4")]).pairs == ()
