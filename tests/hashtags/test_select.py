"""The paper's own examples (section 3.2), through the files that a user writes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tiktokactions.hashtags.principles import HashtagError, propose_for, read_knowledge
from tiktokactions.hashtags.select import explain, read_candidates, read_views, select, write_selection

KNOWLEDGE = read_knowledge()


@pytest.mark.parametrize(
    ("phrase", "hashtag", "principle"),
    [
        ("BasketballDunk", "basketball", "generalization"),
        ("ballroom dance", "waltz", "specification"),
        ("PlayingPiano", "piano", "noun substitution"),
        ("repairing shoes", "shoerepair", "noun-verb order"),
        ("milking cow", "cowmilking", "noun-verb order"),
        ("flower challenge", "flowerchallenge", "social and cultural"),
    ],
)
def test_principles_propose(phrase: str, hashtag: str, principle: str) -> None:
    assert (hashtag, principle) in {(p.hashtag, p.principle) for p in propose_for(phrase, "mine", KNOWLEDGE)}


def chosen(folder: Path, tags: str, views: str = "") -> dict[str, tuple[str, str, str]]:
    (folder / "c.csv").write_text("hashtag\n" + "\n".join(tags.split()) + "\n")
    (folder / "v.csv").write_text("hashtag,views\n" + "\n".join(views.split()) + "\n")
    found = select(read_candidates(folder / "c.csv", KNOWLEDGE), KNOWLEDGE, read_views(folder / "v.csv"), target=386)
    write_selection(found, folder / "out")
    return {d.hashtag: (d.decision, d.into, d.principle) for d in found.decisions}


@pytest.mark.parametrize(
    ("tags", "views", "expected"),
    [
        (
            "piano playingpiano",
            "piano,44.4B playingpiano,29.4M",
            {"playingpiano": ("replaced by", "piano", "noun substitution")},
        ),
        ("shoerepair repairingshoes", "", {"repairingshoes": ("replaced by", "shoerepair", "noun-verb order")}),
        (
            "cuttingcakes cutfruit applecutting breadcutting",
            "cuttingcakes,9e9 cutfruit,6e6 applecutting,7e6 breadcutting,8e6",
            dict.fromkeys(
                ("cutfruit", "applecutting", "breadcutting"), ("merged into", "cuttingcakes", "consolidation")
            ),
        ),
        (
            "basketball dunking dribbling",
            "",
            dict.fromkeys(("dunking", "dribbling"), ("merged into", "basketball", "generalization")),
        ),
        ("ballroomdance chacha waltz", "", {"ballroomdance": ("replaced by", "chacha waltz", "specification")}),
        ("mopping surfing", "mopping,4999999 surfing,5e6", {"mopping": ("dropped", "", "views")}),
    ],
)
def test_papers_examples(tmp_path: Path, tags: str, views: str, expected: dict[str, tuple[str, str, str]]) -> None:
    found = chosen(tmp_path, tags, views)
    assert {tag: found[tag] for tag in expected} == expected
    assert all(found[tag][0] == "kept" for tag in set(tags.split()) - set(expected))


def test_the_story_and_the_picture(tmp_path: Path) -> None:
    chosen(tmp_path, "piano playingpiano", "piano,44.4B playingpiano,29.4M")
    assert "29.4 M against 44.4 B" in explain("#PlayingPiano", tmp_path / "out" / "decisions.csv")[0]
    assert (tmp_path / "out" / "flow.png").stat().st_size > 5000
    rows = list(csv.DictReader((tmp_path / "out" / "hashtags.csv").read_text().splitlines()))
    assert [(row["hashtag"], row["views"]) for row in rows] == [("piano", "44400000000")]


def test_the_starter_list(tmp_path: Path) -> None:
    found = read_candidates(Path("starter"), KNOWLEDGE)
    assert 300 <= len(found) <= 600 and all(c.views is None for c in found)


def test_views_that_are_no_number(tmp_path: Path) -> None:
    with pytest.raises(HashtagError, match="expected a number"):
        chosen(tmp_path, "piano", "piano,many")
