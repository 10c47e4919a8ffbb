"""The paper's own examples (section 3.2), through the files that a user writes."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tiktokactions.hashtags.principles import HashtagError, propose, propose_for, read_knowledge
from tiktokactions.hashtags.select import (
    candidates_of,
    read_candidates,
    read_views,
    select,
    write_candidates,
)
from tiktokactions.hashtags.stories import explain, write_selection

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
        ("playing saxophone", "saxophone", "noun substitution"),
        ("salsa dancing", "salsa", "noun substitution"),
        ("riding a bike", "bikeride", "noun-verb order"),
        ("cutting watermelon", "watermeloncutting", "noun-verb order"),
        ("doing push ups", "pushups", "noun substitution"),
        ("ice bucket challenge", "icebucketchallenge", "social and cultural"),
        ("slam dunk", "basketball", "generalization"),
        ("shoes repairing", "shoerepair", "noun-verb order"),
        ("ShavingBeard", "beardshaving", "noun-verb order"),
        ("swimming lessons", "swimming", "generalization"),
        ("wash_the_dishes", "dishwashing", "noun-verb order"),
        ("skipping rope", "jumprope", "consolidation"),
        ("shoe repairing", "shoerepair", "noun-verb order"),
        ("cut cake", "cakecutting", "noun-verb order"),
        ("shooting hoops", "basketball", "generalization"),
    ],
)
def test_principles_propose(phrase: str, hashtag: str, principle: str) -> None:
    assert (hashtag, principle) in {(p.hashtag, p.principle) for p in propose_for(phrase, "mine", KNOWLEDGE)}


@pytest.mark.parametrize(
    ("phrases", "expected"),
    [
        ("push-ups|PressUps|doing press ups", {"pushups"}),
        ("jet skiing|Skijet|riding a jet ski", {"jetski"}),
        ("jumpRope|skippingRope|rope skipping", {"jumprope"}),
        ("table tennis|ping pong|playing tennis", {"tabletennis", "tennis"}),
        ("riding a bike|cycling|bicycle riding", {"biking"}),
        ("leg swings|legswing", {"legswing"}),
        ("hoovering|vacuuming", {"vacuuming"}),
        ("walking the dog|dogwalking", {"dogwalking"}),
        ("water skiing|skiing", {"waterskiing", "skiing"}),
        ("field hockey|ice hockey", {"fieldhockey", "icehockey"}),
        ("push-up|Push Ups", {"pushups"}),
        ("chin ups|pull-up|jumping jacks", {"chinups", "pullups", "jumpingjacks"}),
        ("kick boxing|boxing|kickboxing", {"kickboxing", "boxing"}),
        ("paddle tennis|tennis|lawn tennis", {"paddletennis", "tennis"}),
        ("playing ping-pong|table tennis", {"tabletennis"}),
        ("water-ski|water skiing", {"waterskiing"}),
        ("changing tyres|changing a tire|fluteplaying", {"tirechange", "flute"}),
        ("sit-ups|brushing teeth|toothbrushing", {"situps", "toothbrushing"}),
    ],
)
def test_one_hashtag_for_one_action(tmp_path: Path, phrases: str, expected: set[str]) -> None:
    (tmp_path / "mine.txt").write_text("\n".join(phrases.split("|")), encoding="utf-8")
    quiet = replace(KNOWLEDGE, challenges={})
    (tmp_path / "c.csv").write_text(write_candidates(candidates_of(propose([str(tmp_path / "mine.txt")], quiet))))
    found = select(read_candidates(tmp_path / "c.csv", KNOWLEDGE), KNOWLEDGE, {})
    assert {d.hashtag for d in found.kept} == expected


@pytest.mark.parametrize(
    ("phrase", "hashtags", "says"),
    [
        ("PlayingBasketbal", {"playingbasketball", "basketball"}, "read as 'playing basketball'"),
        ("handstand challange", {"handstandchallenge"}, "read as 'handstand challenge'"),
        ("Zähne putzen", set(), "not English"),
        ("jugar al fútbol", set(), "not English"),
        ("Klavier spielen", set(), "not English"),
        ("bailar salsa", set(), "not English"),
        ("skateboarden", set(), "not English"),
        ("fútbol", set(), "not English"),
        ("Tanz", set(), "not English"),
        ("bailando bachata", set(), "not English"),
        ("Geschirr spülen", set(), "'Geschirr spülen': not English"),
        ("deadlifts", {"deadlifts"}, ""),
        ("playing the gutiar", {"playingguitar", "guitar"}, "read as 'playing the guitar'"),
        ("skate bording", {"skateboarding"}, "read as 'skate boarding'"),
        ("violinplaying", {"violinplaying", "violin"}, ""),
        ("thumbs up", {"thumbsup"}, ""),
        ("working out", {"workingout"}, ""),
        ("star jumps", {"starjumps"}, ""),
        ("popping and locking", {"poppinglocking"}, ""),
        ("playing ping-pong", {"playingpingpong", "playingtabletennis", "tabletennis"}, ""),
        ("playing the sitar", {"playingsitar", "sitar"}, ""),
    ],
)
def test_typing_errors_and_other_languages_are_said(tmp_path: Path, phrase: str, hashtags: set[str], says: str) -> None:
    (tmp_path / "mine.txt").write_text(phrase, encoding="utf-8")
    told: list[str] = []
    found = propose([str(tmp_path / "mine.txt")], replace(KNOWLEDGE, challenges={}), told.append)
    assert {p.hashtag for p in found} == hashtags
    assert says in "".join(told) and len(told) == bool(says)


def test_a_hashtag_names_every_phrase_and_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("shaving beards\nShavingBeard\nwindow cleaning\nlawn tennis", encoding="utf-8")
    found = {c.hashtag: c for c in candidates_of(propose([str(tmp_path / "mine.txt")], KNOWLEDGE))}
    assert found["beardshaving"].phrases == ("shaving beards", "ShavingBeard")
    assert [found[tag].category for tag in ("windowcleaning", "tennis")] == ["kinetics", "sports"]


def test_a_target_without_views_is_a_balanced_draw(tmp_path: Path) -> None:
    listed = read_candidates(Path("starter"), KNOWLEDGE)
    first, again, other = (select(listed, KNOWLEDGE, {}, target=50, seed=seed) for seed in (0, 0, 1))
    counts = Counter(d.category for d in first.kept)
    assert set(counts) == {"dance", "sports", "fitness", "kinetics", "challenge"} and sum(counts.values()) == 50
    assert max(counts.values()) - min(counts.values()) <= 1
    assert [d.hashtag for d in first.kept] == [d.hashtag for d in again.kept] != [d.hashtag for d in other.kept]
    assert any(d.hashtag > "s" for d in first.kept) and first.drawn == 50
    assert all("draw" in d.why for d in first.decisions if d.principle == "target")


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
        ("basketball dunking", "", {"dunking": ("merged into", "basketball", "generalization")}),
        ("salsadancing salsa", "", {"salsadancing": ("replaced by", "salsa", "noun substitution")}),
        ("poledance pole", "", {}),
        ("washingdishes dishwashing", "", {"washingdishes": ("replaced by", "dishwashing", "noun-verb order")}),
        ("pushups pushup pushupchallenge", "", {"pushups": ("replaced by", "pushup", "noun-verb order")}),
        (
            "cuttingwatermelon watermeloncutting cutapple",
            "watermeloncutting,9e6 cutapple,6e6 cuttingwatermelon,7e6",
            {
                "cuttingwatermelon": ("replaced by", "watermeloncutting", "noun-verb order"),
                "cutapple": ("merged into", "watermeloncutting", "consolidation"),
            },
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


def stories(folder: Path) -> dict[str, list[str]]:
    rows = csv.DictReader((folder / "out" / "decisions.csv").read_text().splitlines())
    return {row["hashtag"]: row["story"].split(" | ") for row in rows}


def test_the_log_tells_every_principle_that_acted(tmp_path: Path) -> None:
    (tmp_path / "phrases.txt").write_text("playing basketball\ndunking basketball\nballroom dance\nrepairing shoes\n")
    found = propose([str(tmp_path / "phrases.txt")], KNOWLEDGE)
    (tmp_path / "c.csv").write_text(write_candidates(candidates_of(found)))
    write_selection(select(read_candidates(tmp_path / "c.csv", KNOWLEDGE), KNOWLEDGE, {}), tmp_path / "out")
    told = stories(tmp_path)
    assert [step.split(":")[0] for step in told["dunkingbasketball"]] == ["as it is", "generalization"]
    assert told["shoerepair"] == [
        "noun-verb order: proposed for 'repairing shoes'",
        "noun-verb order: stands for #repairingshoes",
    ]
    assert told["waltz"][0] == "specification: proposed for 'ballroom dance'"
    # The umbrella was proposed by two principles' worth of variants, and each is named.
    assert any(
        step.startswith("generalization: stands for") and "#dunkingbasketball" in step for step in told["basketball"]
    )


def test_a_chain_of_principles_is_told_link_by_link(tmp_path: Path) -> None:
    views = "basketball,9e9 basketballdunk,8e6 dunkbasketball,7e6 cakecutting,9e9 cuttingcake,8e6 cutfruit,7e6"
    found = chosen(tmp_path, "basketball basketballdunk dunkbasketball cakecutting cuttingcake cutfruit", views)
    assert found["cutfruit"][:2] == ("merged into", "cakecutting")
    told = stories(tmp_path)
    assert "noun-verb order: stands for #cuttingcake" in told["cakecutting"]
    assert "consolidation: stands for #cutfruit" in told["cakecutting"]
    assert all(told[tag] != [""] for tag in told if tag != "")


def test_the_starter_list(tmp_path: Path) -> None:
    found = read_candidates(Path("starter"), KNOWLEDGE)
    assert 300 <= len(found) <= 600 and all(c.views is None for c in found)


def test_views_that_are_no_number(tmp_path: Path) -> None:
    with pytest.raises(HashtagError, match="expected a number"):
        chosen(tmp_path, "piano", "piano,many")
