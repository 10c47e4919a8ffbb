"""Show the whole chain on sample videos."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tiktokactions.commands.curate import Progress
from tiktokactions.commands.extrapolate import extrapolate
from tiktokactions.commands.options import AnyPath, Kept, missing_for_training, nothing, on_disk
from tiktokactions.commands.report import report as write_report
from tiktokactions.commands.run import run, shipped
from tiktokactions.demonstration.steps import FULL, SHORT, STEPS, Step
from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import disk_errors, write_atomic, write_csv
from tiktokactions.machine import cpu_has_bf16
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.projects import chain as chains

PAPER_POINTS = ((1000, 0.741), (2000, 0.836), (3000, 0.894), (4000, 0.916), (5000, 0.909), (6000, 0.932))
"""The paper's Figure 3, reconstructed from its text and table: top-1 on UCF101 after pre-training on so many videos."""
START_S = 60.0
NOT_FILMED = "rendered figures, not filmed people"
COMMANDS = {
    "samples": "tiktokactions run laptop.toml --write laptop",
    "curate": "tiktokactions curate VIDEOS -o DATASET",
    "review": "tiktokactions review DATASET",
    "release": "tiktokactions dataset split DATASET; tiktokactions release DATASET -o OUT",
    "figures": "tiktokactions demo --steps figures",
    "train": "tiktokactions finetune DATASET -o RUN && tiktokactions evaluate RUN DATASET",
    "learn": "tiktokactions pretrain DATASET -o RUN && tiktokactions finetune DATASET -o TUNED --init RUN",
    "study": "tiktokactions study scaling DATASET --sizes 1000:6000:1000 --evaluate-on DATA -o STUDY",
    "extrapolate": "tiktokactions extrapolate RESULTS.csv -o OUT",
    "report": "tiktokactions report DATASET RUN... STUDY -o report.html",
}
"""The command that does each step with the user's own data."""
CONFUSION = "evaluations/test/confusion.png"
PARTS: dict[str, tuple[str | None, str, str, tuple[str, ...]]] = {
    "curate": (None, "curate", "sample videos: ", ("dataset/figures/funnel.png", "dataset/README.md")),
    "release": ("review-apply", "release", "split without leaks, released with its checksums", ("release/README.md",)),
    "train": (
        "figures",
        "scratch",
        f"{NOT_FILMED}, asked about figures it never saw: ",
        (f"runs/scratch/{CONFUSION}",),
    ),
    "learn": ("figures", "finetune", f"{NOT_FILMED}, with pre-training: ", (f"runs/finetuned/{CONFUSION}",)),
    "study": ("figures", "study-scaling", f"{NOT_FILMED}: ", ("study/figures/accuracy_by_size.png",)),
}
"""Steps that are parts of the project for laptops: its first step, its last, what is said of it, the files to open."""


class StepSkippedError(TiktokactionsError):
    """A step lacks something; the message says what."""


@dataclass(frozen=True)
class DemoStep:
    """One step of the demonstration."""

    name: str
    seconds: float
    told: str
    """What came out, in a sentence; or why nothing did."""
    command: str
    """The command that does it with the user's own data."""
    files: tuple[str, ...] = ()
    skipped: bool = False


@dataclass(frozen=True)
class _Place:
    """Where a step works, and who hears of its progress."""

    folder: Path
    seed: int
    progress: Callable[[Progress], None]
    training: Callable[[TrainingProgress], None]
    note: Callable[[str], None]


Outcome = tuple[str, list[Path]]
"""What came out, in a sentence, and the files worth opening."""


def demo(
    output: AnyPath = "demo",
    *,
    full: bool = False,
    steps: Sequence[Step] | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] = nothing,
    training: Callable[[TrainingProgress], None] = nothing,
    note: Kept = nothing,
    finished: Callable[[DemoStep], None] = nothing,
) -> list[DemoStep]:
    """Show the whole chain: sample videos, curation, review, split and release, training, report.

    Its steps are those of ``laptop.toml``, which lies in its folder afterwards: 'run' goes on with it. A step that lacks
    something (a browser, the extra ``train``) is skipped and says what.

    Args:
        output: folder for everything. What is finished there is not done again.
        full: also pre-train, compare with random weights and run a small study: a few minutes more.
        steps: only these steps, in the order of the chain.
        seed: seed of the training.
        progress, training, note: receive the progress of curation, of training, of everything else.
        finished: receives each step when it is done.

    Raises:
        UsageError: an unknown step.
        SamplesError: the sample videos cannot be fetched; the message says why.

    Example:
        tiktokactions demo -o demo/
        tiktokactions demo -o demo/ --full
        tiktokactions demo -o demo/ --steps curate release report
    """
    wanted = steps if steps is not None else FULL if full else SHORT
    if unknown := sorted(set(wanted) - set(STEPS)):
        raise UsageError(f"steps: got {', '.join(unknown)}, expected some of {', '.join(STEPS)}")
    place = _Place(on_disk(output, "a demo"), seed, progress, training, note)
    done = []
    for name, step in zip(STEPS, _STEPS, strict=True):
        if name in wanted:
            began = time.perf_counter()
            try:
                with disk_errors():
                    (told, files), skipped = step(place), False
            except StepSkippedError as reason:
                told, files, skipped = str(reason), [], True
            seconds = round(time.perf_counter() - began, 1)
            done.append(DemoStep(name, seconds, told, COMMANDS[name], tuple(map(str, files)), skipped))
            finished(done[-1])
    return done


# --- steps ---------------------------------------------------------------------------------------------------------


def _laptop(place: _Place, until: str, from_step: str | None = None) -> None:
    """Carry out steps of the project that is shipped for laptops, in the demo's folder."""
    text = shipped("laptop").replace('"laptop/', '"').replace("seed = 0", f"seed = {place.seed}")
    if cpu_has_bf16():
        text = text.replace('precision = "fp32"', 'precision = "bf16"')
    file = place.folder / "laptop.toml"
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_atomic(file, text.encode())
    run(file, from_step=from_step, until=until, progress=place.progress, training=place.training, note=place.note)


def _samples(place: _Place) -> Outcome:
    from tiktokactions.demonstration.samples import make_sample_videos

    videos = make_sample_videos(place.folder / "videos", place.note)
    return f"{len(videos)} sample videos", [place.folder / "videos"]


def _part(name: Step) -> Callable[[_Place], Outcome]:
    """A step of the demo that is a part of the project for laptops."""
    first, until, about, files = PARTS[name]

    def carried_out(place: _Place) -> Outcome:
        if first == "figures" and missing_for_training():
            raise StepSkippedError("needs torch: pip install 'tiktokactions[train]'")
        _laptop(place, until, first)
        told = chains.read_chain(place.folder / "laptop.chain").records[until].last.told
        return f"{about}{told}", [place.folder / file for file in files]

    return carried_out


def _review(place: _Place) -> Outcome:
    """A picture of the page on which people decide about the doubtful videos."""
    from tiktokactions.demonstration.browser import BrowserError, find_browser, screenshot

    browser, picture = find_browser(), place.folder / "review.png"
    if browser is None:
        raise StepSkippedError("no Chromium, Chrome or Edge on PATH to show the page in")
    place.note("opening the review page")
    server = subprocess.Popen(
        [sys.executable, "-m", "tiktokactions", "review", str(place.folder / "dataset"), "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        screenshot(browser, _address_of(server), picture)
    except BrowserError as error:
        raise StepSkippedError(f"the page could not be shown: {error}") from error
    finally:
        server.terminate()
        server.communicate(timeout=START_S)
    return "the page that shows the doubtful videos, one key for each decision", [picture]


def _address_of(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line.strip())
        if found := re.search(r"http://127\.0\.0\.1:\d+\S*", line):
            return found[0]
    raise StepSkippedError(f"the review server ended: {' '.join(said[-3:])}")


def _figures(place: _Place) -> Outcome:
    from tiktokactions.demonstration.rendered import render_actions

    made = render_actions(place.folder / "few_rendered", train_figures=80, test_figures=20, progress=place.note)
    return NOT_FILMED, [made.folder]


def _extrapolate(place: _Place) -> Outcome:
    """The paper's own points, and what they can tell."""
    out = place.folder / "extrapolation"
    if not (out / "extrapolation.json").is_file():
        out.mkdir(parents=True, exist_ok=True)
        points = out / "paper_points.csv"
        write_csv(points, [("size", "accuracy"), *PAPER_POINTS])
        place.note("fitting every distribution and law to the paper's six points")
        extrapolate(points, out)
    said = json.loads((out / "extrapolation.json").read_text(encoding="utf-8"))["sentence"]
    return f"the paper's six points: {said}", [out / "extrapolation.png"]


def _report(place: _Place) -> Outcome:
    from tiktokactions.reporting.inputs import MARKS

    names = ("dataset", "runs/*", "study", "extrapolation", "laptop.chain")
    there = [path for name in names for path in sorted(place.folder.glob(name))]
    found = [path for path in there if any((path / mark).is_file() for mark, _ in MARKS)]
    if not found:
        raise StepSkippedError("nothing to report on yet: run the other steps first")
    written = write_report(found, place.folder / "report.html", title="Demonstration", progress=place.note)
    return f"{written.sections} sections, {written.bytes / 1e6:.1f} MB, one file", [Path(written.report)]


_STEPS = (
    *(_samples, _part("curate"), _review, _part("release"), _figures, _part("train"), _part("learn"), _part("study")),
    *(_extrapolate, _report),
)
"""In the order of ``STEPS``."""
