"""The report: one file that needs nothing else, about any subset of what there is, hostile names included."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import tiktokactions as api
from tests.made_videos import numbered_frames, write_video
from tests.model.made_clips import make_clips
from tiktokactions import cli
from tiktokactions.reporting import page
from tiktokactions.reporting.blocks import Picture, Preview, Previews, Section
from tiktokactions.reporting.inputs import ReportError, in_order, recognise

HOSTILE = "<script>alert('x')</script>"
SMALL: dict[str, Any] = {
    "model": "tiny",
    "image_size": 32,
    "frames": 4,
    "stride": 2,
    "workers": 0,
    "threads": 1,
    "device": "cpu",
}


class Seen(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.titles: list[str] = []
        self.text = ""
        self._in_title = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
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


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("runs")
    for side in ("train", "test"):
        make_clips(folder / "clips" / side, 2)
    before, after = folder / "pretrained", folder / "finetuned"
    api.pretrain(folder / "clips", before, **SMALL, batch_size=2, num_samples=1, epochs=1, pictures_epochs=1)
    api.finetune(folder / "clips", after, init=before, **SMALL, batch_size=2, num_samples=1, epochs=1, crops=1)
    return before, after


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
    assert [title.split(" data")[0].strip() for title in page.titles][:3] == [
        *("From raw videos to clips", "What the clips are", "Sample clips")
    ]
    flow = " ".join(page.titles)
    parts = ("Quality", "How the dataset was made", "Fine-tuning", "How much data: accuracy by size", "target needs")
    places = [flow.index(part) for part in parts]
    assert places == sorted(places)
    assert "Pre-training" in flow
    for told in (
        *("4", "not_a_video", "top-1", "Confusion", "to reach 95 % you need about 9,100 videos", "not told"),
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
    assert all(address.startswith(("data:image/", "#s", "#reproduce")) for address in page.addresses)
    assert not {"script", "iframe", "object", "link", "form"} & set(page.tags)
    assert HOSTILE in page.text  # as text
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
    from tiktokactions.reviews.decisions import Decision
    from tiktokactions.reviews.ledger import add_decision
    from tiktokactions.reviews.people import named_reviewer
    from tiktokactions.reviews.store import Store

    copy = tmp_path / "data"
    shutil.copytree(dataset, copy)
    ids = sorted(path.stem for path in (copy / "thumbs").glob("*.jpg"))[:2]
    store = Store(copy)
    for name, verdicts in (("Ann Smith", ("accept", "reject")), ("Bob", ("accept", "accept"))):
        person = named_reviewer(store, name)
        for number, (video_id, verdict) in enumerate(zip(ids, verdicts, strict=True)):
            add_decision(store, person.id, Decision(f"{name[:3]}-key-{number:04d}", video_id, verdict))
    store.close()
    api.report(copy, tmp_path / "report.html")
    page = seen(tmp_path / "report.html")
    assert "What people said" in " ".join(page.titles)
    assert "person 1 and person 2" in page.text and "50.0 %" in page.text
    assert "Ann Smith" not in page.text


def test_an_unfinished_training_says_so(runs: tuple[Path, Path], tmp_path: Path) -> None:
    copy = tmp_path / "pretrained"
    shutil.copytree(runs[0], copy)
    (copy / "result.json").unlink()
    api.report(copy, tmp_path / "report.html")
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
