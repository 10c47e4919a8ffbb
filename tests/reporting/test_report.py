"""The report: one file that needs nothing else, about any subset of what there is, hostile names included."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shlex
import shutil
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tiktokactions import cli
from tiktokactions.intervals import wilson_interval
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.run import Derived, Evaluation, FirstWeights, RunInfo, TrainingData, write_run
from tiktokactions.reporting import page
from tiktokactions.reporting.blocks import Picture, Preview, Previews, Section
from tiktokactions.reporting.inputs import ReportError, in_order, recognise
from tiktokactions.reviews.decisions import Decision
from tiktokactions.reviews.desk import open_desk
from tiktokactions.reviews.ledger import add_decision
from tiktokactions.reviews.options import ReviewOptions
from tiktokactions.reviews.people import invite
from tiktokactions.reviews.store import Store

HOSTILE = "<script>alert('x')</script>"
MODEL = ModelConfig("tiny", 32, 1, 1, 16, 1, frames=4, height=32, width=32)


class Seen(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.titles: list[str] = []
        self.ids: set[str] = set()
        self.places: set[str] = set()
        self.text = ""
        self._in_title = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids |= {value or "" for name, value in attrs if name == "id"}
        self.places |= {value or "" for name, value in attrs if name == "id" and tag == "span"}
        self._in_title = tag == "h2"
        if tag == "h2":
            self.titles.append("")
        self.addresses += [value or "" for name, value in attrs if name in ("src", "srcset", "href", "action", "data")]

    def handle_endtag(self, tag: str) -> None:
        self._in_title = self._in_title and tag != "h2"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_title:
            self.titles[-1] += data


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    for number, label in enumerate(("dance", "dance", "jump")):
        (folder / "videos" / label).mkdir(parents=True, exist_ok=True)
        frames = numbered_frames(120, width=96 + 32 * number, height=128)
        write_video(folder / "videos" / label / f"{number}.mp4", frames)
    (folder / "videos" / "dance" / "junk.mp4").write_bytes(b"no video")
    rows = [
        f"videos/{name},{label}"
        for name, label in (("dance/0.mp4", "dance"), ("dance/1.mp4", HOSTILE), ("jump/2.mp4", "jump"))
    ]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows, "videos/dance/junk.mp4,dance"]) + "\n")
    api.curate(folder / "list.csv", folder / "data", detector="none", min_person_frames=0, keep_duplicates=True)
    return folder / "data"


def a_run(folder: Path, init: str | None, right: str, classes: int = 3, epochs: int = 3) -> Path:
    """A run as its files tell it; ``right``: by clip, whether the test of a fine-tuned one got it."""
    test = folder / "evaluations" / "test"
    test.mkdir(parents=True)
    (folder / "result.json").write_text('{"steps": 1, "loss": 0.5}')
    hits = right.count("y")
    options = {"model": "tiny", "epochs": epochs, "seed": len(folder.name)}
    write_run(
        folder,
        RunInfo(
            kind="finetune" if right else "pretrain",
            model=MODEL,
            labels=tuple(f"class {n}" for n in range(classes)),
            options=options,
            data=TrainingData(("/somewhere/clips",), 9, "0"),
            derived=Derived(
                **dict.fromkeys(("processes", "videos_per_step", "clips_per_step", "steps_per_epoch"), 1),
                steps=1,
                warmup_steps=0,
                lr=0.1,
                min_lr=0.0,
                tokens=8,
                parameters=1000,
            ),
            init=None if init is None else FirstWeights(init, 1),
            versions={},
            created="2026-01-01T00:00:00+00:00",
        ),
    )
    if not right:
        return folder
    result = Evaluation(len(right), hits / len(right), *wilson_interval(hits, len(right)), 1.0, 0.5, classes, 2, 1.0,
                        str(folder), "/somewhere/data", str(test))  # fmt: skip
    (test / "confusion.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (test / "result.json").write_text(json.dumps(dataclasses.asdict(result)))
    rows = [
        {"path": f"{n}.mp4", "start_s": None, "end_s": None, "correct": said == "y"} for n, said in enumerate(right)
    ]
    schema = pa.schema(
        [("path", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64()), ("correct", pa.bool_())]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), test / "predictions.parquet")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    return a_run(tmp_path / "pretrained", None, ""), a_run(tmp_path / "finetuned", "/far/pretrained", "yyn")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose extrapolation refuses to answer 99 %."""
    folder = tmp_path / "scaling"
    (folder / "extrapolation").mkdir(parents=True)
    (folder / "trials" / "a").mkdir(parents=True)
    (folder / "trials" / "a" / "result.json").write_text("{}")
    row = {"size": 1000, "runs": 2, "top1": 0.912, "top1_sd": 0.01, "top5": 0.99}
    (folder / "study.json").write_text(json.dumps({"study": "scaling", "seed": 0}))
    result = {
        "trials": 2,
        "failed": {"b": "Traceback\nMemoryError: big"},
        "equal": "steps",
        "table": [row],
        "warnings": [],
    }
    (folder / "result.json").write_text(json.dumps(result))
    answer = {"0.95": {"size": 9100, "low": 6900, "high": None, "probability": 0.8}}
    family = {"name": "t", "sse": 1e-5, "sizes": {"0.95": 9099.5}, "flags": ["at_bound"]}
    found = {
        "sentence": "to reach 95 % you need about 9,100 videos",
        "notes": ["few runs"],
        "answer": answer,
        "prediction": [{"size": 9000, "accuracy": 0.94, "low": 0.93, "high": 0.96}],
        "families": [family],
        "method": "honest",
    }
    (folder / "extrapolation" / "extrapolation.json").write_text(json.dumps(found))
    return folder


def seen(path: Path) -> Seen:
    return Seen(path.read_text(encoding="utf-8"))


def test_everything_on_one_page_in_the_order_of_the_flow(
    dataset: Path, runs: tuple[Path, Path], study: Path, tmp_path: Path
) -> None:
    written = api.report([study, runs[1], dataset, runs[0], dataset], tmp_path / "report.html")
    page = seen(Path(written.report))
    assert [title.strip() for title in page.titles] == [
        *("In short", "From raw videos to clips", "What the clips are", "Sample clips", "Quality"),
        *("Pre-training", "Fine-tuning", "How much data: accuracy by size"),
        *("How much data a target needs", "How to reproduce", "Settings and versions"),
    ]
    short = page.text[page.text.index("In short", page.text.index("Settings and versions")) :]
    short = " ".join(short[: short.index("rejected, each with a reason")].split())
    assert "4 videos became 3 clips of 3 labels (75.0 %; of more such videos 30.1 % to 95.4 %, 95 % interval)" in short
    assert "test: top-1 " in short and "Top-1: 1,000 videos 91.2 %." in short
    assert "to reach 95 % you need about 9,100 videos" in short
    commands = page.text[page.text.rindex("How to reproduce") : page.text.rindex("Settings and versions")]
    steps = [line.split()[2] for line in commands.splitlines() if line.startswith("$ ")]
    assert steps == ["curate", "pretrain", "finetune", "extrapolate", "report"]
    for told in (
        *("4", "not_a_video", "top-1", "Confusion", "not told", "standard deviation of the runs"),
        *(
            "b crashed: MemoryError: big",
            "tiktokactions curate VIDEOS -o data",
            "--detector none",
            "--min-person-frames 0",
        ),
        *("tiktokactions pretrain clips -o pretrained", "tiktokactions finetune clips -o finetuned --init pretrained"),
    ):
        assert told in page.text, told
    assert written.bytes == Path(written.report).stat().st_size < 10_000_000
    assert written.left_out == 0


def test_the_page_needs_nothing_else_and_runs_nothing(dataset: Path, tmp_path: Path) -> None:
    api.report(dataset, tmp_path / "report.html")
    page = seen(tmp_path / "report.html")
    assert page.addresses
    assert all(address.startswith(("data:image/", "#s", "#reproduce", "#settings")) for address in page.addresses)
    assert not {"script", "iframe", "object", "link", "form"} & set(page.tags)
    assert HOSTILE in page.text  # as text
    links = {address for address in page.addresses if address.startswith("#")}
    assert {link.removeprefix("#") for link in links} <= page.ids, "every link leads somewhere"
    assert len(links & {f"#{place}" for place in page.places}) == 4, "a clip of each label, and any accepted one"
    assert sum(address.startswith("data:image/webp") for address in page.addresses) == 3


@pytest.mark.parametrize("previews", [0, 1, 3])
def test_as_many_moving_clips_as_asked(dataset: Path, tmp_path: Path, previews: int) -> None:
    api.report(dataset, tmp_path / "report.html", previews=previews)
    moving = [a for a in seen(tmp_path / "report.html").addresses if a.startswith("data:image/webp")]
    assert len(moving) == previews
    assert len(set(moving)) == previews


def test_missing_clips_and_an_interrupted_run_are_no_obstacle(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(dataset, copy)
    shutil.rmtree(copy / "clips")
    info = json.loads((copy / "dataset.json").read_text()) | {"settled": False}
    (copy / "dataset.json").write_text(json.dumps(info))
    api.report(copy, tmp_path / "report.html")
    assert "This is the last settled version of the dataset" in seen(tmp_path / "report.html").text
    assert (
        not (copy / "stats.json").exists()
        or (copy / "stats.json").read_bytes() == (dataset / "stats.json").read_bytes()
    )


def test_what_people_said_is_shown_without_their_names(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(dataset, copy)
    ids = sorted(path.stem for path in (copy / "thumbs").glob("*.jpg"))[:2]
    store = Store(copy)
    for name, verdicts in (("Ann Smith", ("accept", "reject")), ("Bob", ("accept", "accept"))):
        person, _ = invite(store, name)
        for number, (video_id, verdict) in enumerate(zip(ids, verdicts, strict=True)):
            add_decision(store, person.id, Decision(f"{name[:3]}-key-{number:04d}", video_id, verdict))
    store.close()
    api.report(copy, tmp_path / "report.html")
    page = seen(tmp_path / "report.html")
    assert "What people said" in " ".join(page.titles)
    assert "person 1 and person 2" in page.text and "50.0 %" in page.text
    assert "tiktokactions review import data REVIEWED/data/reviews.sqlite" in page.text
    assert "Ann Smith" not in page.text


def test_pre_trained_against_scratch_clip_by_clip(tmp_path: Path) -> None:
    """Of 20 clips only the first got 9, only the second 1: McNemar's exact p is 2 (1 + 10) / 1024."""
    first = a_run(tmp_path / "tuned", "pretrained", "y" * 14 + "n" * 6, 5)
    second = a_run(tmp_path / "scratch", None, "y" * 5 + "n" * 9 + "y" + "n" * 5, 5, epochs=4)
    api.report([second, first], tmp_path / "report.html")
    text = " ".join(seen(tmp_path / "report.html").text.split())
    told = "top-1 70.0 % and 30.0 % on the same 20 clips, a difference of +40.0 points (95 % interval"
    assert text.count(told) == 2, "in the summary and in its section"
    assert "McNemar's p = 0.02148" in text
    assert "they differ in more than their first weights (epochs 3 and 4)" in text
    assert text.index("Pre-trained against from scratch") > text.index("tuned")


@pytest.mark.parametrize(("classes", "told"), [(5, False), (19, False), (20, True)])
def test_top_five_is_told_where_it_tells_something(tmp_path: Path, classes: int, told: bool) -> None:
    api.report(a_run(tmp_path / "tuned", None, "yyn", classes), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert ("top-5" in html) == told
    assert f'class="mark" style="left:{100 / classes:.2f}%"' in html, "chance is drawn"


@pytest.mark.parametrize("runs", [1, 2])
def test_a_deviation_needs_several_runs(study: Path, tmp_path: Path, runs: int) -> None:
    result = json.loads((study / "result.json").read_text())
    result["table"][0] |= {"runs": runs, "top1_sd": None if runs == 1 else 0.01}
    (study / "result.json").write_text(json.dumps(result))
    api.report(study, tmp_path / "report.html")
    assert ("standard deviation" in seen(tmp_path / "report.html").text) == (runs > 1)


@pytest.mark.slow
def test_its_commands_make_the_dataset_again(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Curation, two people's judgements with one taken back, sides: a folder in which the commands are given has the same."""
    (tmp_path / "old").mkdir()
    old = Path(shutil.copytree(dataset, tmp_path / "old" / "data"))
    rows = pq.read_table(old / "manifest.parquet").to_pylist()
    ids = [row["video_id"] for row in rows if row["status"] == "accepted"]
    with closing(open_desk(api.Dataset(old), ReviewOptions(reviewers_per_video=2, sample=2))) as desk:
        people = [invite(desk.store, name)[0].id for name in ("Ann", "Bob")]
        for number, (person, video_id) in enumerate(itertools.product(people, ids)):
            answers = dict.fromkeys(desk.item(video_id).record.labels, "no" if video_id == ids[0] else "yes")
            desk.decide(person, Decision(f"key-{number:05}", video_id, "accept", answers=answers))
        desk.undo(people[0], "key-undo", takes_back="key-00002")
        desk.decide(people[0], Decision("key-anew", ids[2], "reject"))
    api.review_apply(old)
    api.dataset_split(old, val=0, test=0.5, certify=0)
    api.report(old, tmp_path / "report.html", title="data")
    text = seen(tmp_path / "report.html").text
    commands = [line[2:] for line in text[text.rindex("How to reproduce") :].splitlines() if line.startswith("$ ")]
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path / "new")
    for line in commands:
        words = shlex.split(
            line.replace("VIDEOS", str(dataset.parent / "list.csv")).replace("REVIEWED", str(old.parent))
        )
        assert cli.main(words[1:]) in (0, 1), line
    columns = ["video_id", "status", "human_labels", "reasons", "split"]
    made, meant = (pq.read_table(folder / "manifest.parquet", columns=columns) for folder in (Path("data"), old))
    assert made.sort_by("video_id").to_pylist() == meant.sort_by("video_id").to_pylist()
    again = seen(Path("report.html")).text
    said, after = "What people said", "What the clips are"
    assert again[again.rindex(said) : again.rindex(after)] == text[text.rindex(said) : text.rindex(after)]


def test_an_unfinished_training_says_so(runs: tuple[Path, Path], tmp_path: Path) -> None:
    (runs[0] / "result.json").unlink()
    api.report(runs[0], tmp_path / "report.html")
    assert "This run is not finished" in seen(tmp_path / "report.html").text


def test_where_there_is_no_room_moving_clips_go_first() -> None:
    figure = Picture("data:" + "x" * 95, "the funnel")
    clips = Previews((Preview("y" * 50, "z" * 50, "a"), Preview("y" * 50, "z" * 50, "b")))
    for largest, kept, lost in ((1000, 2, 0), (250, 1, 2), (50, 0, 3)):
        [section], left_out = page._within([Section("t", (clips, figure))], largest)
        assert sum(isinstance(block, (Picture, Previews)) for block in section.blocks) == kept
        assert left_out == lost


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere", "no such folder"),
        (lambda folder: folder, "nothing known in it; expected a folder with one of dataset.json"),
        (lambda folder: Path(__file__), "not a folder"),
    ],
    ids=["missing", "empty", "file"],
)
def test_what_is_none_of_ours_is_refused(tmp_path: Path, make, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        recognise(make(tmp_path))
    with pytest.raises(api.UsageError, match=message):
        api.report(make(tmp_path), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_damaged_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(api.UsageError, match=r"run\.json"):
        api.report(tmp_path, tmp_path / "report.html")


def test_each_folder_once(dataset: Path, study: Path) -> None:
    assert [item.kind for item in in_order([study, dataset, study.parent / "scaling", dataset])] == ["dataset", "study"]


def test_the_command(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "r.html")
    assert cli.main(["report", str(dataset), "-o", target, "--title", "Mine <b>", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == target
    assert "<h1>Mine &lt;b&gt;</h1>" in Path(target).read_text()
    assert cli.main(["report", str(tmp_path), "-o", target]) == 2
    assert cli.main(["report", str(dataset), "-o", str(tmp_path)]) == 2
