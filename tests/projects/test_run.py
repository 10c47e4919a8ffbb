"""A project as it is carried out, changed, interrupted and taken up again."""

from __future__ import annotations

import html
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tiktokactions as ta
from tests.conftest import REPOSITORY
from tests.made_videos import numbered_frames, write_video
from tests.projects import CURATE, REPORT, SPLIT, SUBSET, TAGS, killed_until_done, written
from tiktokactions.collection.store import Collection
from tiktokactions.commands.outcomes import outcome_of
from tiktokactions.demonstration import rendered
from tiktokactions.demonstration.samples import AS_IT_IS, RECIPES
from tiktokactions.files import DatasetBusyError, dataset_lock
from tiktokactions.projects import chain as chains
from tiktokactions.projects.project import Step

WHOLE = TAGS + REPORT
NAMES = ["hashtags-propose", "hashtags-select", "report"]
AFTER = "steps before it were carried out"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a project that was carried out once."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "actions.txt").write_text("playing piano\narchery\n")
    (folder / "views.csv").write_text("hashtag,views\npiano,44\nplayingpiano,29\narchery,17\n")
    assert [(step.name, step.state) for step in ta.run(written(folder, WHOLE)).steps] == [(n, "done") for n in NAMES]
    return folder


@pytest.fixture
def project(made, tmp_path) -> Path:
    """A copy of it, times of files included, as a backup would be."""
    return shutil.copytree(made, tmp_path / "copy") / "project.toml"


def reasons(file: Path, **options: Any) -> dict[str, str]:
    return {step.name: step.why for step in ta.run(file, **options).steps if step.state != "up to date"}


def chain_of(file: Path) -> chains.Chain:
    return chains.read_chain(file.with_name("project.chain"))


def state_of(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")}


def test_what_is_done_is_not_done_again(project):
    before = state_of(project.parent)
    assert reasons(project) == {}
    assert state_of(project.parent) == before


def test_a_dry_run_says_what_a_run_would_do_and_changes_nothing(project):
    written(project.parent, WHOLE.replace("min_views = 10", "min_views = 20"))
    before = state_of(project.parent)
    planned = ta.run(project, dry_run=True)
    assert [(step.state, step.why) for step in planned.steps] == [
        ("up to date", ""),
        ("to do", "min_views: was 10, is 20"),
        ("to do", "if hashtags changes in step hashtags-select"),
    ]
    assert planned.steps[0].typed == "tiktokactions hashtags propose --from actions.txt -o candidates.csv"
    assert planned.needs is not None and state_of(project.parent) == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            lambda folder: (folder / "actions.txt").write_text("archery\nbowling\n"),
            {
                "hashtags-propose": "actions.txt changed",
                "hashtags-select": "candidates.csv changed",
                "report": "hashtags changed",
            },
            id="an input",
        ),
        pytest.param(
            lambda folder: (folder / "actions.txt").write_text("archery\nplaying piano\nplaying piano\n"),
            {"hashtags-propose": "actions.txt changed"},
            id="an input, and nothing came of it",
        ),
        pytest.param(
            lambda folder: os.utime(folder / "views.csv", (1, 1)), {}, id="the time of a file with the same contents"
        ),
        pytest.param(
            lambda folder: written(folder, WHOLE.replace("min_views = 10", "min_views = 20")),
            {"hashtags-select": "min_views: was 10, is 20", "report": "hashtags changed"},
            id="an option",
        ),
        pytest.param(
            lambda folder: written(folder, WHOLE.replace("min_views = 10", "min_views = 10\ntarget = 1")),
            {"hashtags-select": "target: was not given, is 1", "report": "hashtags changed"},
            id="an option more",
        ),
        pytest.param(
            lambda folder: (folder / "report.html").unlink(), {"report": "report.html is gone"}, id="a result"
        ),
        pytest.param(
            lambda folder: shutil.rmtree(folder / "hashtags"),
            {"hashtags-select": "hashtags is gone", "report": "hashtags changed"},
            id="a folder is gone",
        ),
        pytest.param(
            lambda folder: written(folder, WHOLE + REPORT.replace("report.html", "two.html") + 'name = "two"'),
            {"two": "not done yet"},
            id="a step more",
        ),
        pytest.param(lambda folder: written(folder, TAGS), {}, id="a step less"),
    ],
)
def test_only_what_changed_is_done_again_and_the_reason_is_told(change, expected, project):
    change(project.parent)
    found = reasons(project)
    assert {name: why for name, why in found.items() if why != AFTER} == {
        n: w for n, w in expected.items() if n in found
    }
    assert expected.keys() - found.keys() == set() and found.keys() - expected.keys() <= {"report"}
    assert reasons(project) == {}, "and then all is up to date"


def test_from_and_until(project):
    (project.parent / "actions.txt").write_text("archery\nbowling\n")
    assert list(reasons(project, until="hashtags-propose")) == ["hashtags-propose"]
    assert list(reasons(project, from_step="report")) == []
    assert list(reasons(project)) == ["hashtags-select", "report"]


def test_a_step_that_was_killed_is_taken_up_and_one_that_failed_says_why(project):
    folder = project.with_name("project.chain")
    told = json.loads((folder / "chain.json").read_text())
    record = told["records"]["hashtags-select"]
    record["after"], record["attempts"][-1]["state"] = None, "running"
    (folder / "chain.json").write_text(json.dumps(told))
    assert reasons(project)["hashtags-select"].startswith("was interrupted; begun 2")
    written(project.parent, WHOLE.replace("min_views = 10", "target = 0"))
    with pytest.raises(ta.UsageError, match="target"):
        ta.run(project)
    written(project.parent, WHOLE)
    assert reasons(project)["hashtags-select"].startswith("failed before: `target` 0")
    states = [attempt.state for attempt in chain_of(project).records["hashtags-select"].attempts]
    assert states == ["running", "done", "failed", "done"]


def test_a_folder_does_not_change_by_what_steps_make_in_it(made, tmp_path):
    shutil.copytree(made, tmp_path / "in")
    text = TAGS.replace('"actions.txt"', '"in/actions.txt"').replace('"views.csv"', '"in/views.csv"')
    text = text.replace("candidates.csv", "in/new.csv").replace('"hashtags"', '"in/new"')
    around = '[[step]]\ncommand = "collect import"\nfile = "in"\noutput = "in/collection"\n'
    (tmp_path / "in" / "7300000000000000001.mp4").write_bytes(b"a video")
    file = written(tmp_path, around + text)
    assert {step.state for step in ta.run(file).steps} == {"done"}
    assert reasons(file) == {}


def test_two_runs_do_not_work_on_one_project(project):
    with dataset_lock(project.with_name("project.chain")), pytest.raises(DatasetBusyError):
        ta.run(project)


def test_a_damaged_memory_is_named(project):
    (project.with_name("project.chain") / "chain.json").write_text("{")
    with pytest.raises(ta.UsageError, match=r"project\.chain/chain\.json: not a valid chain\.json"):
        ta.run(project)


def test_the_report_shows_the_chain(project):
    page = (project.parent / "report.html").read_text()
    for told in ("Steps against the plan", "tiktokactions hashtags propose --from actions.txt", "not done yet"):
        assert told in page


# --- with videos ----------------------------------------------------------------------------------------------------


def add_video(folder: Path, number: int) -> None:
    path = folder / "videos" / ("walking", "jumping")[number % 2] / f"{number}.mp4"
    write_video(path, numbered_frames(20 + number, 96, 64, first=1000 * number), fps=10)


@pytest.fixture
def filmed(tmp_path) -> Path:
    for number in range(3):
        add_video(tmp_path, number)
    return tmp_path


@pytest.mark.slow
def test_a_dataset_that_later_steps_change_is_not_curated_again(filmed):
    file = written(filmed, CURATE + SPLIT + SUBSET)
    assert [step.state for step in ta.run(file).steps] == ["done"] * 3
    assert reasons(file) == {}
    add_video(filmed, 3)
    changed = "data changed"
    assert reasons(file) == {"curate": "videos changed", "dataset-split": changed, "dataset-subset": changed}
    written(filmed, (CURATE + SPLIT + SUBSET).replace("min_clip_s = 1.0", "min_clip_s = 1.1"))
    assert list(reasons(file)) == ["curate"], "it has the same clips afterwards"
    written(filmed, (CURATE + SPLIT + SUBSET).replace("min_clip_s = 1.0", "min_clip_s = 1.1\ncrf = 30"))
    assert list(reasons(file)) == ["curate", "dataset-split", "dataset-subset"], "its clips are others"


@pytest.mark.slow
def test_a_step_that_waits_for_review(filmed):
    apply = '[[step]]\ncommand = "review apply"\ndataset = "data"\nwait_for_review = true\n'
    file = written(filmed, CURATE.replace("min_person_frames = 0", "min_person_frames = 4") + apply + SUBSET)
    first = ta.run(file)
    assert [step.state for step in first.steps] == ["done", "stopped", "left out"]
    assert first.stopped is not None
    assert first.stopped.told.startswith("3 videos wait for people: tiktokactions review data")
    assert reasons(file)["review-apply"].startswith("stopped before: 3 videos wait"), "curation is not repeated"
    ids = [record.video_id for record in ta.Dataset(filmed / "data")]
    answers = "video_id,verdict,annotator\n" + "".join(f"{i},accept,Eve\n" for i in ids)
    (filmed / "answers.csv").write_text(answers)
    ta.review_import(filmed / "data", filmed / "answers.csv")
    assert [step.state for step in ta.run(file).steps] == ["up to date", "done", "done"]
    assert ta.Dataset(filmed / "data").stats().accepted == 3
    assert reasons(file) == {}


TRAIN = """
[[step]]
command = "pretrain"
data = "data"
output = "run"
model = "tiny"
frames = 4
epochs = 2
batch_size = 1
num_samples = 1
pictures_epochs = 0
workers = 0
threads = 1
device = "cpu"
"""


@pytest.mark.slow
def test_shards_share_the_curation_and_the_last_goes_on(filmed):
    pytest.importorskip("torch")
    file = written(filmed, CURATE + TRAIN)  # whose own option `shard` splits the model
    first = ta.run(file, shard="1/2")
    assert [(step.state, step.told) for step in first.steps] == [("stopped", "waits for shard 2/2"), ("left out", "")]
    assert [step.state for step in ta.run(file, shard="2/2").steps] == ["done", "done"]
    assert [step.state for step in ta.run(file).steps] == ["up to date"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("torchrun", ["", 'torchrun = "--standalone --nproc-per-node 2"\n'], ids=["one process", "two"])
def test_a_model_of_other_data_is_begun_anew_and_the_old_one_stays(torchrun, filmed):
    pytest.importorskip("torch")
    file = written(filmed, CURATE + TRAIN + torchrun)
    assert [step.state for step in ta.run(file).steps] == ["done", "done"]
    first = ta.Run(filmed / "run").result
    add_video(filmed, 3)
    assert reasons(file) == {"curate": "videos changed", "pretrain": "data changed"}
    assert ta.Run(filmed / "run.before-1").result == first
    assert ta.Run(filmed / "run").info.data.clips == 4
    written(filmed, CURATE + TRAIN.replace("epochs = 2", "epochs = 3") + torchrun)
    assert reasons(file) == {"pretrain": "epochs: was 2, is 3"}
    assert {path.name for path in filmed.glob("run*")} == {"run", "run.before-1", "run.before-2"}


@pytest.mark.slow
def test_killed_anywhere_it_ends_in_the_undisturbed_result(filmed):
    pytest.importorskip("torch")
    text = CURATE + SPLIT + SUBSET + TRAIN
    undisturbed = shutil.copytree(filmed, filmed / "undisturbed")
    command = [sys.executable, "-m", "tiktokactions", "run", "project.toml"]
    alike: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(REPOSITORY)}, "stderr": subprocess.DEVNULL}
    written(undisturbed, text)
    subprocess.run(command, cwd=undisturbed, check=True, **alike)
    written(filmed, text)
    assert killed_until_done(command, filmed, 10, (1, 6), **alike) >= 3
    assert outcome(filmed) == outcome(undisturbed)


def outcome(folder: Path) -> tuple[object, ...]:
    clips = {path.name: path.read_bytes() for path in (folder / "data" / "clips").rglob("*.mp4")}
    sides = {path.name: path.read_bytes() for path in (folder / "data" / "splits").glob("*.csv")}
    return clips, sides, ta.Run(folder / "run").result.loss, ta.Dataset(folder / "subset").stats().accepted


LOOK = 'detector = "none"\nmin_person_frames = 0\nmin_clip_s = 1.0\nstatic = "keep"\nworkers = 1\nsecond_look = false\n'
"""Accepts every video, so that nobody is waited for."""
SMALL = "frames = 4\nbatch_size = 2\nepochs = 1\nnum_samples = 2\nworkers = 0\nthreads = 1\n"
TINY = f'device = "cpu"\nmodel = "tiny"\n{SMALL}'


def in_small(folder: Path, name: Any, *changes: tuple[str, str]) -> Path:
    """The file as it is shipped, with these texts replaced; each has to be in it."""
    file = folder / f"{name}.toml"
    ta.run(file, write=name, dry_run=True)
    text = file.read_text()
    for shipped, small in changes:
        assert shipped in text
        text = text.replace(shipped, small)
    file.write_text(text)
    return file


def ends(file: Path, steps: int) -> None:
    """Every step is carried out, once, and the report shows what it took against the plan."""
    assert [step.state for step in ta.run(file).steps] == ["done"] * steps
    assert reasons(file) == {}
    chain = chains.read_chain(file.with_suffix(".chain"))
    spent = {name: record.last.spent for name, record in chain.records.items()}
    assert all(one["core_h"] > 0 for one in spent.values())
    assert all(
        "gb" in spent[step.name] for step in ta.run(file).steps if step.name in ("curate", "download", "pretrain")
    )


FIGURES = """import sys
from tiktokactions.demonstration import rendered
all_figures = rendered.render_actions
rendered.render_actions = lambda out, **_: all_figures(out, train_figures=6, test_figures=1)
from tiktokactions.cli import main
sys.exit(main(["run", "laptop.toml"]))
"""
"""A run with few figures."""


def laptop(folder: Path) -> Path:
    """With videos of the test's own in place of footage from the package registry, an epoch of everything."""
    for number, recipe in enumerate((*(recipe.path for recipe in RECIPES), AS_IT_IS[0])):
        path = folder / "laptop/samples/videos" / recipe
        write_video(path, numbered_frames(30, 96, 64, first=1000 * number), fps=10)
    return in_small(
        folder,
        "laptop",
        ('output = "laptop/dataset"\n', f'output = "laptop/dataset"\n{LOOK}'),
        ("epochs = 8\n", "epochs = 1\n"),
        ("epochs = 4\n", "epochs = 1\n"),
        ("epochs = 2\n", "epochs = 1\n"),
        ("warmup_epochs = 1\n", "warmup_epochs = 0\n"),
        ("sizes = [120, 480]", "sizes = [16, 32]"),
        ("stride = 2\n", "stride = 2\nframes = 4\nsave_steps = 1\n"),
    )


@pytest.mark.slow
def test_the_file_for_a_laptop_runs_in_small(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    all_figures = rendered.render_actions
    monkeypatch.setattr(rendered, "render_actions", lambda out, **_: all_figures(out, train_figures=6, test_figures=1))
    ends(laptop(tmp_path), 11)
    page = (tmp_path / "laptop/report.html").read_text()
    assert "Steps against the plan" in page and "Everything that ran" in page


@pytest.mark.slow
def test_the_file_for_a_laptop_killed_ten_times_ends_in_the_undisturbed_result(tmp_path):
    pytest.importorskip("torch")
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        laptop(folder)
    command = [sys.executable, "-c", FIGURES]
    alike: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(REPOSITORY)}, "stderr": subprocess.DEVNULL}
    began = time.monotonic()
    subprocess.run(command, cwd=one, check=True, stdout=subprocess.DEVNULL, **alike)
    at_most_s = max(6.0, (time.monotonic() - began) / 4)
    assert killed_until_done(command, two, 10, (3, at_most_s), stdout=subprocess.DEVNULL, **alike) >= 5
    made = [made_by(folder / "laptop") for folder in (one, two)]
    assert len(made[0]) > 50 and made[0] == made[1] and (two / "laptop/report.html").is_file()
    assert reasons(two / "laptop.toml") == {}


def made_by(folder: Path) -> dict[str, object]:
    """Clips, sides, weights, losses, the study's results and the release."""
    patterns = ("dataset/clips/**/*.mp4", "dataset/splits/*.csv", "samples/few_rendered/**/*.mp4", "release/**/*.mp4")
    files = [
        path
        for pattern in (*patterns, "runs/*/model.safetensors", "study/results.csv")
        for path in folder.glob(pattern)
    ]
    made: dict[str, object] = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return made | {name: ta.Run(folder / "runs" / name).result.loss for name in ("scratch", "pretrained", "finetuned")}


@pytest.mark.slow
def test_the_file_for_a_lab_runs_in_small(tmp_path):
    """As it is shipped, with eight videos, a tiny model, and nobody to wait for; and with prices."""
    pytest.importorskip("torch")
    for number in range(8):
        add_video(tmp_path, number)
    recipe = f'pretrain_config = {{ model = "tiny", {", ".join(SMALL.split(chr(10))[:-1])} }}\n'
    study = f"sizes = [2, 3]\nrepeats = 1\n{recipe}{recipe.replace('pretrain', 'finetune')}"
    file = in_small(
        tmp_path,
        "lab",
        (
            "videos = 10000\n",
            'videos = 8\nmeasure = "videos"\ndetector = "none"\ncore_h_price = 3600\ncurrency = "EUR"\n',
        ),
        ('output = "data"\n', f'output = "data"\n{LOOK}'),
        ('model = "vit-b"\n', ""),
        ('sizes = ["1000:6000:1000"]\nrepeats = 3\n', study),
        ('device = "cuda"\n', TINY),
    )
    ends(file, 9)
    page = (tmp_path / "report.html").read_text()
    for told in ("Steps against the plan", "core-hours", "GB written", "EUR so far, of ", "people's hours"):
        assert told in html.unescape(page)


@pytest.mark.slow
def test_the_file_of_the_paper_runs_in_small(tmp_path):
    """From hashtags to report: a made-up API, files of our own, two benchmarks of two classes."""
    pytest.importorskip("torch")
    names = ("archery", "surfing", "juggling", "bowling")
    (tmp_path / "views.csv").write_text("hashtag,views\n" + "".join(f"{name},9000000\n" for name in names))
    for at, (name, number) in enumerate(itertools.product(("YoYo", "Kayaking"), (1, 8))):
        for path in (f"UCF101/videos/{name}/v_{name}_g0{number}_c01.avi", f"HMDB51/videos/{name}/{number}.avi"):
            write_video(
                tmp_path / path, numbered_frames(20, 96, 64, first=5000 + 100 * at + 50 * ("H" in path)), fps=10
            )
    for name, text in {
        "UCF101/classInd.txt": "1 Kayaking\n2 YoYo\n",
        "UCF101/trainlist01.txt": "Kayaking/v_Kayaking_g08_c01.avi 1\nYoYo/v_YoYo_g08_c01.avi 2\n",
        "UCF101/testlist01.txt": "Kayaking/v_Kayaking_g01_c01.avi\nYoYo/v_YoYo_g01_c01.avi\n",
        "HMDB51/Kayaking_test_split1.txt": "1.avi 1\n8.avi 2\n",
        "HMDB51/YoYo_test_split1.txt": "1.avi 1\n8.avi 2\n",
    }.items():
        (tmp_path / name).write_text(text)
    recipe = "".join(f"{line}\n" for line in TINY.split("\n")[:-1])
    curate = f'\n[[step]]\ncommand = "curate"\nvideos = "collection"\noutput = "data"\n{LOOK}'
    file = in_small(
        tmp_path,
        "paper",
        ("target = 386\n", f"target = {len(names)}\n"),
        ("per_hashtag = 900\n", "per_hashtag = 3\nsandbox = true\nspeed = 1e6\n"),
        ('curate = "data"\ndelete_raw = true\n', f'from_folder = "files"\n{curate}'),
        ("size = 10000\n", "size = 6\n"),
        ("size = 6900\n", "size = 5\n"),
        ('sizes = ["1000:6000:1000"]\nrepeats = 3\n', "sizes = [2, 3, 4]\nrepeats = 1\n"),
        ("repeats = 3\n", "repeats = 1\n"),
        ('device = "cuda"\n', recipe),
    )
    assert [step.state for step in ta.run(file, until="collect-run").steps] == ["done"] * 3
    with Collection(tmp_path / "collection") as collection:
        ids = [row[0] for row in collection.database.execute("SELECT video_id FROM videos ORDER BY video_id")]
    assert len(ids) >= 10
    for number, video_id in enumerate(ids):
        path = tmp_path / "files" / f"{video_id}.mp4"
        write_video(path, numbered_frames(20 + number, 96, 64, first=1000 * number), fps=10)
    done = ta.run(file)
    assert [(step.name, step.state) for step in done.steps if step.state != "done"] == [
        (name, "up to date") for name in ("hashtags-propose", "hashtags-select", "collect-run")
    ]
    assert len(done.steps) == 17 and reasons(file) == {}
    spent = chains.read_chain(file.with_suffix(".chain")).records["collect-run"].last.spent
    assert spent["requests"] > 0
    assert "days of quota" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("trained", "tested", "expected"),
    [
        (None, None, "5 steps, loss 1.1000"),
        ("this model has not learned: the loss …", None, "5 steps, loss 1.1000; this model has not learned"),
        (None, (0.9, None), "5 steps, loss 1.1000, top-1 90.0%"),
        ("this model …: why", (0.3, "top-1 30.0% cannot be told from guessing, 33.3%; this model …: why"), "33.3%"),
        ("this model has not learned: why", (0.9, None), "top-1 90.0%; this model has not learned"),
    ],
    ids=["learned", "not learned", "tested", "test at chance", "only the training"],
)
def test_the_steps_say_that_a_model_has_not_learned(trained, tested, expected):
    result = SimpleNamespace(steps=5, loss=1.1, warning=trained)
    test = None if tested is None else SimpleNamespace(top1=tested[0], warning=tested[1])
    run = SimpleNamespace(finished=True, result=result, evaluations={} if test is None else {"test": test})
    assert outcome_of(Step("finetune", "finetune", {}), run).told.endswith(expected)
