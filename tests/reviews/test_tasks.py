"""Tasks go out to other platforms, answers come back: once, and whatever the file holds."""

from __future__ import annotations

import contextlib
import csv
import json
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reviews.test_queue import with_clip
from tests.reviews.worlds import a_desk, a_record, says
from tiktokactions.reviews import decisions, golden, ledger, people
from tiktokactions.reviews.answers import TasksImported, import_answers
from tiktokactions.reviews.desk import Desk
from tiktokactions.reviews.tasks import export_decisions, export_tasks

DOUBTFUL = (0.9,) * 3 + (0.1,) * 7


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    records = [with_clip(a_record(name, DOUBTFUL, labels=['a "b" & <c>', "jump"])) for name in ("v1", "v2", "-3")]
    with contextlib.closing(a_desk(tmp_path / "data", [*records, a_record("v4")])) as desk:
        yield desk


def take_in(desk: Desk, tmp_path: Path, name: str, content: Any, **more: Any) -> TasksImported:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return import_answers(desk, path, **more)


def in_force(desk: Desk) -> dict[tuple[str, str], tuple[Any, ...]]:
    return {(d.reviewer, d.video_id): (d.verdict, d.labels, d.tags) for d in ledger.in_force(desk.store)}


# --- tasks ---------------------------------------------------------------------------------------------------------


def test_tasks_for_label_studio(desk: Desk, tmp_path: Path) -> None:
    desk.decide("ann", says("v1"))
    assert export_tasks(desk, tmp_path / "tasks.json") == 2
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert {task["data"]["video_id"] for task in tasks} == {"v2", "-3"}
    (task,) = [task["data"] for task in tasks if task["data"]["video_id"] == "v2"]
    assert task["video"] == "/data/local-files/?d=clips/x/v2.mp4"
    assert (task["title"], task["why"]) == ("title of v2", "people in 3 of 10 frames")
    page = xml.etree.ElementTree.parse(tmp_path / "tasks.xml").getroot()
    for tag in page.iter():
        for attribute in ("value", "toName"):
            shown = tag.get(attribute, "")
            assert not shown.startswith("$") or shown[1:] in task, "every variable of the page is in the task"
            assert attribute != "toName" or not shown or page.find(f".//Video[@name='{shown}']") is not None
    choices = [choice.get("value") for choice in page.iter("Choice")]
    assert choices == ["accept", "reject", "unsure", 'a "b" & <c>', "jump", "dance", "no action"]


@pytest.mark.parametrize("queue", ["review", "label:jump"])
def test_tasks_as_tables(queue: str, desk: Desk, tmp_path: Path) -> None:
    assert export_tasks(desk, tmp_path / "t.csv", queue, "https://example.org/data/") == 3
    assert export_tasks(desk, tmp_path / "t.jsonl", queue, "https://example.org/data/") == 3
    with open(tmp_path / "t.csv", newline="") as file:
        rows = {row["video_id"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"v1", "v2", "-3"}, "ids are left as they are, whatever a spreadsheet makes of them"
    assert rows["v1"]["video"] == "https://example.org/data/clips/x/v1.mp4"
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert lines[0]["labels"] == ['a "b" & <c>', "jump"]


@pytest.mark.parametrize(("name", "queue", "message"), [("t.txt", "review", "ends in"), ("t.csv", "x", "`queue`")])
def test_impossible_exports(name: str, queue: str, message: str, desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        export_tasks(desk, tmp_path / name, queue)


# --- answers -------------------------------------------------------------------------------------------------------


def annotation(number: int, who: Any, **said: Any) -> dict[str, Any]:
    """As Label Studio exports it."""
    result = [
        {
            "from_name": name,
            "to_name": "video",
            "type": "choices",
            "value": {"text" if name == "tags" else "choices": values},
        }
        for name, values in said.items()
        if isinstance(values, list)
    ]
    return {
        "id": number,
        "completed_by": who,
        "result": result,
        "was_cancelled": said.get("cancelled", False),
        "created_at": "2026-11-01T10:00:00.000000Z",
        "updated_at": f"2026-11-01T10:00:{number:02}.000000Z",
        "lead_time": 3.5,
        "unique_id": f"0000-{number}",
    }


EXPORTED = [
    {
        "id": 1,
        "data": {"video_id": "v1", "video": "x"},
        "annotations": [
            annotation(1, 7, verdict=["accept"], labels=["jump"], tags=["wet"]),
            annotation(2, {"id": 8, "email": "eve@example.org"}, verdict=["reject"]),
        ],
    },
    {"id": 2, "data": {"video_id": "v2"}, "annotations": [annotation(3, 7, verdict=["accept"], labels=["no action"])]},
    {"id": 3, "data": {"video_id": "-3"}, "annotations": [annotation(4, 7, verdict=["unsure"])]},
]
BAD = [
    {"id": 4, "data": {"video_id": "../../etc/passwd"}, "annotations": [annotation(5, 7, verdict=["accept"])]},
    {"id": 5, "data": {"video_id": "v1"}, "annotations": [annotation(6, 7)]},
    {"id": 6, "data": {"video_id": "v1"}, "annotations": [annotation(7, 7, verdict=["accept", "reject"])]},
    {"id": 7, "data": {"video_id": ["v1"]}, "annotations": [annotation(8, 7, verdict=["accept"])]},
    {"id": 8, "data": {"video_id": "v1"}, "annotations": [annotation(9, 7, verdict=["accept"], labels=["\x00"])]},
    {"id": 9, "data": [], "annotations": [annotation(10, 7)]},
    {"id": 10, "data": {"video_id": "v1"}, "annotations": [{"result": [1]}, 5, {"result": "x"}]},
    {"id": 11, "data": {"video_id": "v1"}, "annotations": [annotation(11, {"email": ["x"]}, verdict=["accept"])]},
    "text",
    None,
]


def test_answers_of_label_studio(desk: Desk, tmp_path: Path) -> None:
    first = take_in(desk, tmp_path, "export.json", EXPORTED)
    assert (first.added, first.known, first.refused) == (4, 0, [])
    assert in_force(desk) == {
        ("annotator 7", "v1"): ("accept", ("jump",), ("wet",)),
        ("eve@example.org", "v1"): ("reject", None, ()),
        ("annotator 7", "v2"): ("reject", (), ()),
        ("annotator 7", "-3"): ("unsure", None, ()),
    }
    rows = {(d.reviewer, d.video_id): d for d in ledger.all_rows(desk.store)}
    row = rows["annotator 7", "v2"]
    assert (row.no_action, row.origin, row.seconds, row.at_utc) == (
        *(True, "label-studio", 3.5),
        "2026-11-01T10:00:03.000+00:00",
    )
    assert {p.role for p in people.reviewers(desk.store)} == {"outside"}
    again = take_in(desk, tmp_path, "export.json", EXPORTED)
    assert (again.added, again.known, again.refused) == (0, 4, [])
    changed = json.loads(json.dumps(EXPORTED))
    changed[0]["annotations"][0] = annotation(1, 7, verdict=["reject"]) | {"updated_at": "2026-11-02T00:00:00Z"}
    assert take_in(desk, tmp_path, "export.json", changed).added == 1
    assert in_force(desk)["annotator 7", "v1"][0] == "reject"


def test_bad_answers_are_listed_and_the_good_ones_taken(desk: Desk, tmp_path: Path) -> None:
    imported = take_in(desk, tmp_path, "export.json", [*BAD, *EXPORTED])
    assert imported.added == 4 and len(imported.refused) == 12
    assert "task 1, annotation 1: video '../../etc/passwd': not in this dataset" in imported.refused
    assert {d.video_id for d in ledger.all_rows(desk.store)} == {"v1", "v2", "-3"}


def test_label_studios_short_form(desk: Desk, tmp_path: Path) -> None:
    rows = [
        {"video_id": "v1", "verdict": "accept", "labels": {"choices": ["jump", "run"]}, "annotator": 1, "lead_time": 2},
        {"video_id": "v2", "verdict": "accept", "labels": "jump", "other_labels": "fly", "annotator": "Eve"},
    ]
    assert take_in(desk, tmp_path, "min.json", rows).added == 2
    assert in_force(desk) == {
        ("annotator 1", "v1"): ("accept", ("jump", "run"), ()),
        ("eve", "v2"): ("accept", ("jump", "fly"), ()),
    }


REGION = {"ranges": [{"start": 1, "end": 30}], "timelinelabels": ["jump"]}
"""The first second of a clip of 30 fps, as the tag TimelineLabels of Label Studio says it."""
IN_SECONDS = {"start": 0.0, "end": 1.0, "channel": 0, "labels": ["jump"]}


@pytest.mark.parametrize(
    ("region", "part"),
    [
        pytest.param(REGION, (6.0, 7.0), id="frames"),
        pytest.param(IN_SECONDS, (6.0, 7.0), id="seconds of the clip"),
        pytest.param(REGION | {"ranges": [{"start": 31, "end": 31}]}, (7.0, 7.0 + 1 / 30), id="one frame"),
        pytest.param(REGION | {"ranges": [{"start": "x", "end": 2}]}, None, id="no number"),
        pytest.param(REGION | {"ranges": 5}, None, id="no list"),
        pytest.param(REGION | {"timelinelabels": []}, None, id="without a label"),
        pytest.param(REGION | {"ranges": [{"start": 9, "end": 2}]}, None, id="ends before it begins"),
    ],
)
@pytest.mark.parametrize("form", ["JSON", "JSON_MIN", "with the task's times"])
def test_regions_of_label_studio_are_parts(
    form: str, region: dict[str, Any], part: tuple[float, float] | None, desk: Desk, tmp_path: Path
) -> None:
    """Their frames and seconds count from where the clip begins, which its task says, else the dataset."""
    begins_s = desk.item("v1").record.segment.start_s  # type: ignore[union-attr]
    said = annotation(1, 7, verdict=["accept"])
    said["result"].append({"from_name": "actions", "to_name": "video", "type": "timelinelabels", "value": region})
    task = {"video_id": "v1"} | ({"fps": 30.0, "clip_start_s": begins_s} if form == "with the task's times" else {})
    flat = {"video_id": "v1", "verdict": "accept", "actions": [region]}
    found = take_in(desk, tmp_path, "a.json", [flat if form == "JSON_MIN" else {"data": task, "annotations": [said]}])
    decisions_made = list(ledger.in_force(desk.store))
    if part is None:
        assert (found.added, len(found.refused), decisions_made) == (0, 1, []) and "segments" in found.refused[0]
    else:
        [made] = [p for d in decisions_made for p in d.segments]
        assert (made["start_s"], made["end_s"]) == pytest.approx([begins_s - 6.0 + at for at in part])
        assert made["labels"] == ["jump"] and decisions_made[0].labels == ("jump",)


def test_parts_go_through_label_studio(desk: Desk, tmp_path: Path) -> None:
    """It keeps the results of an annotation and drops the keys that it does not know; what lies outside the clip is lost."""
    record = desk.item("v1").record
    assert record.segment is not None
    at = record.segment.start_s
    inside = {"start_s": at + 1.0, "end_s": at + 2.5, "labels": ["jump", "spin"]}
    outside = {"start_s": 0.5, "end_s": 1.0, "labels": ["walk"]}
    desk.decide("ann", says("v1", segments=(inside, outside)))
    export_decisions(desk, tmp_path / "out.json")
    tasks = json.loads((tmp_path / "out.json").read_text())
    [kept] = [r for r in tasks[0]["annotations"][0]["result"] if r["type"] == "timelinelabels"]
    assert kept["value"] == {"ranges": [{"start": 31, "end": 75}], "timelinelabels": ["jump", "spin"]}
    export_tasks(desk, tmp_path / "tasks.json")
    page = xml.etree.ElementTree.parse(tmp_path / "tasks.xml").getroot()
    assert page.find(f".//TimelineLabels[@name='{kept['from_name']}']/Label[@value='jump']") is not None
    with contextlib.closing(a_desk(tmp_path / "copy", [record])) as other:
        assert take_in(other, tmp_path, "whole.json", tasks).added == 1
        assert [p["labels"] for d in ledger.in_force(other.store) for p in d.segments] == [["walk"], ["jump", "spin"]]
    del tasks[0]["annotations"][0]["segments"]
    with contextlib.closing(a_desk(tmp_path / "through", [record])) as other:
        assert take_in(other, tmp_path, "through.json", tasks).added == 1
        assert [list(d.segments) for d in ledger.in_force(other.store)] == [[inside]]


def test_answers_as_csv(desk: Desk, tmp_path: Path) -> None:
    table = (
        "video_id,verdict,labels,annotator,seconds,start_s,end_s,note\n"
        "v1,accept,jump|run,Eve,2.5,7.0,12.0,x\n"
        "v2,reject,,Eve,,,,\n"
        "-3,Accept,'=jump,Bob,,,,\n"
        "v9,accept,,Eve,,,,\n"
        "v1,accept,,Eve,,0,1,\n"
        "v1,perhaps,,Eve,,,,\n"
        "v1,accept,,Eve,soon,,,\n"
        "v1,accept,,Eve,,,,,,too many\n"
    )
    imported = take_in(desk, tmp_path, "answers.csv", table)
    assert imported.added == 3
    assert [problem.split(":")[0] for problem in imported.refused] == [f"row {n}" for n in (5, 6, 7, 8, 9)]
    assert in_force(desk)["eve", "v1"] == ("accept", ("jump", "run"), ())
    assert in_force(desk)["bob", "-3"] == ("accept", ("=jump",), ())
    (tmp_path / "answers.csv").write_bytes(table.replace(",", ";").replace("\n", "\r\n").encode("utf-16"))
    again = import_answers(desk, tmp_path / "answers.csv")
    assert (again.added, again.known, len(again.refused)) == (0, 3, 5), "a spreadsheet that saved it again"


def test_answers_as_json_lines(desk: Desk, tmp_path: Path) -> None:
    lines = [
        '{"video_id": "v1", "verdict": "unsure"}',
        "{",
        "",
        "[" * 100_000,
        "1",
        '{"video_id": "v2"}',
        '{"verdict": 1}',
    ]
    imported = take_in(desk, tmp_path, "answers.jsonl", "\n".join(lines))
    assert (imported.added, len(imported.refused)) == (1, 5)
    assert imported.refused[0].startswith("line 2: not JSON")
    assert in_force(desk) == {("outside", "v1"): ("unsure", None, ())}


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", "{"), ("a.json", '{"a": 1}'), ("a.json", "[" * 100_000), ("a.csv", 'a,"b'), ("a.txt", "")],
)
def test_files_that_cannot_be_read(name: str, content: str, desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=name):
        take_in(desk, tmp_path, name, content)


def test_known_answers_become_gold_items(desk: Desk, tmp_path: Path) -> None:
    assert (
        take_in(desk, tmp_path, "gold.csv", "video_id,verdict,labels\nv4,accept,jump\nv1,unsure,\n", as_gold=True).added
        == 1
    )
    assert golden.gold(desk.store) == {"v4": decisions.Gold("v4", "accept", ("jump",))}
    assert in_force(desk) == {}


def test_answers_never_act_under_a_name_of_this_place(desk: Desk, tmp_path: Path) -> None:
    """Ann judges here; the Ann of a file is somebody else, whose answers keep their time."""
    people.invite(desk.store, "Ann")
    desk.decide("ann", says("v1"))
    table = "video_id,verdict,annotator,at_utc\nv1,reject,Ann,2020-01-01T00:00:00Z\nv2,reject,Bob,\n"
    assert [take_in(desk, tmp_path, "answers.csv", table).added for _ in range(2)] == [2, 0]
    assert in_force(desk)["ann", "v1"][0] == "accept" and in_force(desk)["ann (imported)", "v1"][0] == "reject"
    [row] = [d for d in ledger.all_rows(desk.store) if d.reviewer == "ann (imported)"]
    assert (row.at_utc, row.origin) == ("2020-01-01T00:00:00.000+00:00", "csv")
    for name in ("Bob", "ann (imported)", "x (Imported)"):
        with pytest.raises(decisions.DecisionError, match="imported"):
            people.invite(desk.store, name)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "＝", "＋", "＠", "'="])
def test_no_cell_is_a_formula(start: str, desk: Desk, tmp_path: Path) -> None:
    text = f"{start}1+1"
    desk.decide("ann", says("v1", labels=(text.strip(),), tags=(text.strip(),), queue=text, why=""))
    desk.decide("ann", says("v2", "reject", why=text.strip()))
    assert export_decisions(desk, tmp_path / "out.csv") == 2
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        cells = [row[name] for row in csv.DictReader(file) for name in ("labels", "tags", "queue", "why") if row[name]]
    assert len(cells) == 5 and all(cell[0] == "'" or cell == "review" for cell in cells)


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv"])
def test_decisions_go_out_and_come_back(kind: str, desk: Desk, tmp_path: Path) -> None:
    desk.decide("ann", says("v1", labels=("jump", "=HYPERLINK(1)"), tags=("wet",), seconds=2.0))
    desk.decide("ann", says("v2", "reject", no_action=True))
    desk.decide("ben", says("v2"))
    desk.decide("cid", says("v2", labels=()))
    path = tmp_path / f"decisions.{kind}"
    assert export_decisions(desk, path) == 4
    assert import_answers(desk, path) == TasksImported(0, 4, []), "they are ours: nothing is doubled"
    before = in_force(desk)
    records = [with_clip(a_record(name, DOUBTFUL)) for name in ("v1", "v2")]
    with contextlib.closing(a_desk(tmp_path / "elsewhere", records)) as other:
        assert import_answers(other, path).added == 4
        assert in_force(other) == before
