"""A dataset on a disk whose sources lie on an object store: other scenes are shown, and cut, from there."""

from __future__ import annotations

import json
from pathlib import Path

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tests.reviews.web.visits import Visitor, decision
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.files.objects import ObjectPath
from tiktokactions.reviews.desk import open_desk
from tiktokactions.reviews.options import ReviewOptions
from tiktokactions.video import look_through


def test_another_scene_of_a_stored_source(bucket: str, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", numbered_frames(110, 160, 96, cuts=[50], first=300), fps=10)
    source = ObjectPath(f"{bucket}/in/a.mp4")
    source.write_bytes((tmp_path / "a.mp4").read_bytes())
    api.curate(f"{bucket}/in/", tmp_path / "data", detector="none", workers=1)
    folder = tmp_path / "data"
    desk = open_desk(Dataset(folder), ReviewOptions())
    with Visitor(desk).enter() as visitor:
        [item] = visitor.change("/api/next", {"queue": "review", "count": 1, "exclude": []}).json()["items"]
        assert item["source"] is None and len(item["scenes"]) == 2 and item["scene"] == 1
        address = f"{item['scene_url']}0/0"
        answer = visitor.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
        (tmp_path / "copy.mp4").write_bytes(answer.content)
        assert look_through(tmp_path / "copy.mp4")[0] == 50
        said = decision(item["video_id"], scene=0, start_s=0.0, end_s=5.0)
        assert visitor.change("/api/decisions", said).status_code == 200
        stored = source.read_bytes()
        source.unlink()
        gone = visitor.get(address)
        assert gone.status_code == 404 and gone.json() == {"error": "This file is missing."}
        source.write_bytes(stored)
    desk.close()
    assert api.review_apply(str(folder)).cut == 1
    [record] = [json.loads(path.read_bytes()) for path in folder.glob("records/*/*.json")]
    assert (record["status"], record["clip"]["frames"]) == ("accepted", 50)
