"""The closed list of labels and the guidelines: how they are read, held to, and shown."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.reviews.web.visits import Visitor, decision
from tests.reviews.worlds import a_desk, doubtful, says
from tiktokactions.errors import UsageError
from tiktokactions.reviews.answers import import_answers
from tiktokactions.reviews.decisions import DecisionError
from tiktokactions.reviews.golden import set_gold
from tiktokactions.reviews.guide import read_labels
from tiktokactions.reviews.tasks import labelling_configuration
from tiktokactions.takedowns.reviews import take_down_reviews

CSV = "label,definition,example\ndance,moves to music,v01\nhand stand,on both hands,pic.png\njump,,https://e.org/a?b=1&c\n"
TOML = """[[labels]]
label = "dance"
definition = "moves to music"
example = "v01"
[[labels]]
label = "hand stand"
definition = "on both hands"
example = "pic.png"
[[labels]]
label = "jump"
example = "https://e.org/a?b=1&c"
"""
GUIDELINES = """# How to
Watch it *twice*. <script>alert(1)</script> [here](https://e.org) [bad](javascript:alert(1)) ![x](https://e.org/track.png)

| a | b |
|---|---|
| 1 | 2 |
"""


def written(folder: Path, name: str = "list.csv", text: str = CSV) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "pic.png").write_bytes(b"\x89PNG")
    (folder / "how.md").write_text(GUIDELINES)
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("list.csv", CSV, id="CSV"),
        pytest.param("list.toml", TOML, id="TOML"),
        pytest.param("bom.csv", "\ufeff" + CSV, id="with a mark"),
        pytest.param("list.csv", CSV.replace(",", ";").replace("\n", "\r\n"), id="from a spreadsheet"),
    ],
)
def test_a_list_is_read(tmp_path: Path, name: str, text: str) -> None:
    found = read_labels(Path(written(tmp_path, name, text)), {"v01"}.__contains__)
    said = [(entry.label, entry.definition, entry.video_id, entry.address) for entry in found]
    assert said == [
        ("dance", "moves to music", "v01", ""),
        ("hand stand", "on both hands", "", ""),
        ("jump", "", "", "https://e.org/a?b=1&c"),
    ]
    assert [Path(entry.file).name for entry in found] == ["", "pic.png", ""]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        pytest.param("a.csv", "name\ndance\n", "a header with label", id="no header"),
        pytest.param("a.csv", "label\n", "got 0 labels", id="empty"),
        pytest.param("a.csv", "label\ndance\nDance\n", "row 3: 'Dance' is there already", id="twice"),
        pytest.param(
            "a.csv", "label,example\ndance,v99\n", "a video of the dataset, an address, or a file", id="no such"
        ),
        pytest.param("a.csv", "label,example\ndance,javascript:1\n", "an address", id="a script is no address"),
        pytest.param("a.csv", "label,example\ndance,a.csv\n", "a file", id="a file that is no picture"),
        pytest.param("a.csv", "label\nd\u202eance\n", "can be shown", id="turned text"),
        pytest.param("a.toml", "labels = 3\n", "expected tables", id="other TOML"),
        pytest.param("a.toml", "labels = [\n", "not TOML", id="broken TOML"),
        pytest.param("a.toml", "[[labels]]\nlabel = 5\n", "expected texts", id="a number"),
    ],
)
def test_a_list_that_makes_no_sense(tmp_path: Path, name: str, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read_labels(Path(written(tmp_path, name, text)), {"v01"}.__contains__)
    with pytest.raises(UsageError, match="cannot be read"):
        a_desk(tmp_path / "data", doubtful(1), guidelines=str(tmp_path / "none.md"))


def test_they_are_remembered_until_somebody_ends_them(tmp_path: Path) -> None:
    """Answers that are imported later are held to the list, and gold answers."""
    data, lists = tmp_path / "data", written(tmp_path / "lists")
    a_desk(data, doubtful(3), label_list=lists, guidelines=str(tmp_path / "lists/how.md")).close()
    (tmp_path / "lists/list.csv").unlink()
    table = tmp_path / "answers.csv"
    table.write_text(
        "video_id,verdict,labels,segments\nv00,accept,dance,\nv01,accept,dnace,\n"
        'v02,accept,,"[{""start_s"": 7, ""end_s"": 8, ""labels"": [""fyp""]}]"\n'
    )
    with closing(a_desk(data)) as desk:
        assert [entry.label for entry in desk.guide.labels] == ["dance", "hand stand", "jump"]
        assert "Watch it" in desk.guide.html() and Path(desk.guide.labels[1].file).name == "pic.png"
        for as_gold, added in ((True, 1), (False, 1)):
            found = import_answers(desk, table, as_gold)
            assert found.added == added, found
            assert [line.partition(" is not on this")[0] for line in found.refused] == [
                "row 3: labels: 'dnace'",
                "row 4: labels: 'fyp'",
            ]
        assert 'value="hand stand"' in labelling_configuration(desk) and 'value="fyp"' not in labelling_configuration(
            desk
        )
    take_down_reviews(data, ["v01"])
    with closing(a_desk(data)) as desk:
        assert desk.guide.examples == [], "what was taken down is no example any more"
    assert b"v01" not in (data / "reviews.sqlite").read_bytes()
    with closing(a_desk(data, guidelines="none")) as desk:
        assert (desk.guide.guidelines, len(desk.guide.labels)) == ("", 3)
    with closing(a_desk(data, label_list="none")) as desk:
        assert import_answers(desk, table).added == 2
    with closing(a_desk(data)) as desk:
        assert desk.guide.labels == ()


def test_only_listed_labels_are_given_offered_and_found(tmp_path: Path) -> None:
    lists = written(tmp_path / "lists")
    with closing(a_desk(tmp_path / "data", doubtful(4, labels=("Dance", "fyp")), label_list=lists)) as desk:
        assert desk.guide.offered(("Dance", "fyp")) == ["dance", "hand stand", "jump"], "a short list is offered whole"
        assert [choice.label for choice in desk.label_choices("standing")] == ["hand stand"]
        desk.decide("ann", says("v00", answers={"dance": "yes", "jump": "no"}))
        part = {"start_s": 7.0, "end_s": 8.0, "labels": ["fyp"]}
        for wrong in ({"labels": ("fyp",)}, {"answers": {"jmp": "yes"}}, {"segments": (part,)}):
            with pytest.raises(DecisionError, match="not on this review's list"):
                desk.decide("ann", says("v02", **wrong))


def test_examples_are_not_asked_about(tmp_path: Path) -> None:
    """They would give their own answer away: not handed out, not counted as waiting, and not as gold items either."""
    lists = written(tmp_path / "lists")
    with closing(a_desk(tmp_path / "data", doubtful(4), label_list=lists, gold_every=1)) as desk:
        set_gold(desk.store, "v01", "accept")
        found = [item.video_id for item in desk.next_items("ann", count=10)]
        assert sorted(found) == ["v00", "v02", "v03"]
        assert (desk.progress("ann").total, desk.progress("ann").left) == (3, 3)
        desk.decide("ann", says("v01", "skip"))
        assert "v01" not in [item.video_id for item in desk.next_items("ann", count=10, exclude=found)]


def test_the_page_shows_them_safely(tmp_path: Path) -> None:
    lists = written(tmp_path / "lists", text=CSV.replace("moves to music", "<b>moves</b>"))
    how = str(tmp_path / "lists/how.md")
    with closing(a_desk(tmp_path / "data", doubtful(3), label_list=lists, guidelines=how)) as desk:
        visitor = Visitor(desk).enter()
        page = visitor.get("/").text
        assert "Watch it <em>twice</em>" in page and "<td>1</td>" in page and '<a href="https://e.org">here</a>' in page
        for wrong in ("<script>alert", "<b>moves", 'href="javascript', '<img src="https'):
            assert wrong not in page
        assert '/media/v01/clip"' in page and 'href="https://e.org/a?b=1&amp;c"' in page
        assert visitor.get("/guide/1").content == b"\x89PNG"
        assert [visitor.get(f"/guide/{number}").status_code for number in (0, 2, 3, -1)] == [404] * 4
        assert Visitor(desk).get("/guide/1").status_code == 401, "only for those who are let in"
        answer = visitor.change("/api/decisions", decision("v00", labels=["fyp"]))
        assert answer.status_code == 409 and "not on this review's list" in answer.json()["error"]
        assert visitor.get("/api/videos/v02").json()["labels"] == ["dance", "hand stand", "jump"]
