"""Lists of take-downs: sealed for others, and still recognised by whoever holds a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiktokactions.curation.takedowns import WITHHELD, Dead, Takedown, add_takedowns, published, read_takedowns, seal
from tiktokactions.files import safe_video_id

OWN = (
    Takedown("7300000000000000001", "2026-01-02T03:04:05Z", "her mother asked", "ab" * 32),
    Takedown("x", "2026", "", ""),
)
SECRET = b"of the dataset"


def test_a_published_list_tells_neither_ids_nor_reasons() -> None:
    told = published(OWN, SECRET)
    for takedown, own in zip(told, OWN, strict=True):
        assert own.video_id not in takedown.video_id and takedown.video_id.startswith("scrypt-")
        assert safe_video_id(takedown.video_id) == takedown.video_id, "it stays itself where ids are made safe"
        assert takedown.reason == WITHHELD and bool(takedown.sha256) == bool(own.sha256)
    assert told[0].removed == "2026-01-02" and "ab" * 8 not in told[0].sha256
    assert published(OWN, SECRET) == told and published(told, b"of another") == told, "the same bytes every time"
    assert published(OWN, b"of another")[0].video_id != told[0].video_id


@pytest.mark.parametrize("own", [OWN, published(OWN, SECRET), [*published(OWN[:1], SECRET), *published(OWN[1:], b"b")]],
                         ids=["plain", "sealed", "with two salts"])  # fmt: skip
def test_who_holds_a_video_recognises_it(own: list[Takedown], tmp_path: Path) -> None:
    add_takedowns(tmp_path, own)
    dead = Dead(read_takedowns(tmp_path).values())
    assert "7300000000000000001" in dead and "ab" * 32 in dead and "x" in dead
    assert "7300000000000000002" not in dead and "" not in dead
    assert dead.among(["x", "y", "", "ab" * 32, "x"]) == {"x", "ab" * 32}


def test_the_seal_is_the_one_that_is_published() -> None:
    """Lists that are out there have to be recognised by every later version."""
    assert seal("7300000000000000001", "00" * 8) == "scrypt-0000000000000000-148a785466aeeaf939a7b8a0144d5cc9"


def test_nothing_was_taken_down(tmp_path: Path) -> None:
    assert not read_takedowns(tmp_path) and "x" not in Dead() and Dead().among(["x"]) == set()
