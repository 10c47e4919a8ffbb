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

from tiktokactions.commands.curate import Progress, curate
from tiktokactions.commands.dataset_export import dataset_export
from tiktokactions.commands.dataset_split import dataset_split
from tiktokactions.commands.extrapolate import extrapolate
from tiktokactions.commands.options import AnyPath, Kept, missing_for_training, nothing, on_disk
from tiktokactions.commands.report import report as write_report
from tiktokactions.commands.studies import StudyResult
from tiktokactions.commands.study_scaling import study_scaling
from tiktokactions.demonstration.steps import FULL, SHORT, STEPS, Step
from tiktokactions.errors import TiktokactionsError, UsageError
from tiktokactions.files import disk_errors, write_csv
from tiktokactions.machine import usable_cores
from tiktokactions.model.progress import TrainingProgress

PAPER_POINTS = ((1000, 0.741), (2000, 0.836), (3000, 0.894), (4000, 0.916), (5000, 0.909), (6000, 0.932))
"""The paper's Figure 3, reconstructed from its text and table: top-1 on UCF101 after pre-training on so many videos."""
START_S = 60.0
NOT_FILMED = "rendered figures, not filmed people"
COMMANDS = {
    "samples": "tiktokactions run laptop.toml --write laptop",
    "curate": "tiktokactions curate VIDEOS -o DATASET",
    "review": "tiktokactions review DATASET",
    "release": "tiktokactions dataset split DATASET && tiktokactions dataset export DATASET --format webdataset -o OUT",
    "train": "tiktokactions finetune DATASET -o RUN && tiktokactions evaluate RUN DATASET",
    "learn": "tiktokactions pretrain DATASET -o RUN && tiktokactions finetune DATASET -o TUNED --init RUN",
    "study": "tiktokactions study scaling DATASET --sizes 1000:6000:1000 --evaluate-on DATA -o STUDY",
    "extrapolate": "tiktokactions extrapolate RESULTS.csv -o OUT",
    "report": "tiktokactions report DATASET RUN... STUDY -o report.html",
}
"""The command that does each step with the user's own data."""


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
    """Show the whole chain: sample videos, curation, review, split and export, training, report.

    A step that lacks something (a browser, the extra ``train``) is skipped and says what.

    Args:
        output: folder for everything. What is finished there is not done again.
        full: also pre-train, compare with random weights and run a small study: about ten minutes instead of four.
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


def _samples(place: _Place) -> Outcome:
    """What other steps begin with, alone: for a project."""
    from tiktokactions.demonstration.learning import render_few
    from tiktokactions.demonstration.samples import make_sample_videos

    videos = make_sample_videos(place.folder / "videos", place.note)
    rendered = render_few(place.folder, place.training)
    return f"{len(videos)} sample videos, and {NOT_FILMED}", [place.folder / "videos", rendered]


def _curate(place: _Place) -> Outcome:
    from tiktokactions.demonstration.samples import make_sample_videos

    videos, dataset = place.folder / "videos", place.folder / "dataset"
    make_sample_videos(videos, lambda line: place.progress(Progress(message=line)))
    made = curate(videos, dataset, progress=place.progress).last_run
    told = f"{made.videos} videos: {made.accepted} accepted, {made.needs_review} to review, {made.rejected} rejected"
    return told, [dataset / name for name in ("manifest.parquet", "figures/funnel.png", "README.md")]


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


def _release(place: _Place) -> Outcome:
    dataset, out = place.folder / "dataset", place.folder / "export"
    split = dataset_split(dataset)
    exported = dataset_export(dataset, out, format="webdataset")
    sides = ", ".join(f"{side} {count}" for side, count in split.sides.items() if count)
    told = f"split without leaks ({sides}); {exported.clips} clips exported as WebDataset in {exported.files} files"
    return told, [dataset / "splits", out]


def _train(place: _Place) -> Outcome:
    from tiktokactions.demonstration.learning import train_briefly

    _need_torch()
    found = train_briefly(place.folder, seed=place.seed, report=place.training)
    chance = f"chance {1 / found.classes:.0%}"
    told = f"{NOT_FILMED}: after a short training, top-1 is {found.top1:.1%} on figures it never saw ({chance})"
    return told, [Path(found.folder, "confusion.png")]


def _learn(place: _Place) -> Outcome:
    from tiktokactions.demonstration.learning import learn_rendered_actions

    _need_torch()
    found, scratch = learn_rendered_actions(place.folder, seed=place.seed, report=place.training)
    top1 = f"top-1 {found.top1:.1%} on unseen ones, {scratch.top1:.1%} from random weights"
    shown = f"(chance {1 / found.classes:.0%}); this shows that training works, and says nothing about real video"
    return f"{NOT_FILMED}: {top1} {shown}", [Path(found.folder, "confusion.png")]


def _study(place: _Place) -> Outcome:
    """A data-size study of a few sizes: what a study looks like."""
    from tiktokactions.demonstration.learning import STUDY_SIZES, study_recipes
    from tiktokactions.demonstration.rendered import render_actions

    _need_torch()
    study = place.folder / "study"
    rendered = render_actions(place.folder / "rendered", progress=place.note).folder
    before, after = study_recipes()
    found = study_scaling(
        rendered,
        study,
        sizes=STUDY_SIZES,
        evaluate_on=rendered,
        repeats=1,
        equal="steps",
        pretrain_config=before,
        finetune_config=after,
        jobs=min(2, usable_cores()),
        report=place.note,
    )
    assert isinstance(found, StudyResult)
    rows = ", ".join(f"{row['size']} clips {row['top1']:.0%}" for row in found.table)
    return f"{NOT_FILMED}: top-1 by size of the pre-training data: {rows}", [study / "figures" / "accuracy_by_size.png"]


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

    names = ("dataset", "runs/*", "study", "extrapolation")
    there = [path for name in names for path in sorted(place.folder.glob(name))]
    found = [path for path in there if any((path / mark).is_file() for mark, _ in MARKS)]
    if not found:
        raise StepSkippedError("nothing to report on yet: run the other steps first")
    written = write_report(found, place.folder / "report.html", title="Demonstration", progress=place.note)
    return f"{written.sections} sections, {written.bytes / 1e6:.1f} MB, one file", [Path(written.report)]


def _need_torch() -> None:
    if missing_for_training():
        raise StepSkippedError("needs torch: pip install 'tiktokactions[train]'")


_STEPS = (_samples, _curate, _review, _release, _train, _learn, _study, _extrapolate, _report)
"""In the order of ``STEPS``."""
