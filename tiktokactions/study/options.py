"""What a person can set for ``study scaling``, ``study sources`` and ``extrapolate``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tiktokactions.errors import UsageError
from tiktokactions.options import check_bounds, check_options, option

Equal = Literal["epochs", "steps"]
Engine = Literal["local", "ray"]
Method = Literal["honest", "paper"]
PAPER_TARGETS = (0.95, 0.96, 0.97, 0.98, 0.99)
"""Those of Table 5."""


TARGETS_HELP = "accuracies to reach, as fractions (default: the next five above what was measured)"


def _check_targets(targets: tuple[float, ...] | None) -> None:
    wrong = next((target for target in targets or () if not 0 < target < 1), None)
    if wrong is not None or targets == ():
        told = "nothing" if wrong is None else f"{wrong:g}"
        raise UsageError(f"`targets`: got {told}, expected fractions between 0 and 1, e.g. 0.95")


@dataclass(frozen=True)
class StudyOptions:
    """What both studies share besides what they pre-train on."""

    evaluate_on: str = option(
        "",
        "study",
        "labelled data with train and test sides; every trial is fine-tuned and tested on it",
        required=True,
        metavar="PATH",
    )
    pretrain_config: Mapping[str, Any] | str | None = option(
        None, "study", "options of 'pretrain' for every trial: a TOML file, or a dict", metavar="PATH"
    )
    finetune_config: Mapping[str, Any] | str | None = option(
        None, "study", "options of 'finetune' for every trial: a TOML file, or a dict", metavar="PATH"
    )
    repeats: int = option(3, "study", "seeds, each with its own order of the videos", least=1)
    equal: Equal = option(
        "epochs", "study", "what all sizes have in common: epochs (every video is seen equally often) or steps"
    )
    stratified: bool = option(False, "study", "every subset holds each label in its share")
    seed: int = option(0, "study", "seed of the order of the videos, the weights and the training")
    jobs: int = option(1, "run", "trials at a time, a GPU each", least=1)
    engine: Engine = option("local", "run", "ray: place trials on a cluster (docs/scale.md)")
    retry: bool = option(False, "run", "run trials that crashed again")
    dry_run: bool = option(False, "run", "return the plan, with an estimate from steps that are measured now, and end")

    def __post_init__(self) -> None:
        check_bounds(self)
        check_options(self, [(self.equal in ("epochs", "steps"), "equal", "'epochs' or 'steps'")])
        check_options(self, [(self.engine in ("local", "ray"), "engine", "'local' or 'ray'")])


@dataclass(frozen=True)
class ScalingOptions(StudyOptions):
    """Every option of ``study scaling``."""

    targets: tuple[float, ...] | None = option(None, "study", TARGETS_HELP)
    budget: float | None = option(
        None,
        "run",
        "GPU hours: run what narrows the answer most per hour, until they are spent or nothing does",
        above=0,
    )
    warm: bool = option(
        False, "study", "a size begins with the weights of the next smaller one of its repeat, and trains for the rest"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_targets(self.targets)


@dataclass(frozen=True)
class SourcesOptions(StudyOptions):
    """Every option of ``study sources``."""

    size: int | None = option(None, "study", "videos of each source (default: all)", least=1)


@dataclass(frozen=True)
class ExtrapolateOptions:
    """Every option of ``extrapolate``."""

    targets: tuple[float, ...] | None = option(None, "study", TARGETS_HELP)
    at: tuple[float, ...] = option((), "study", "sizes in videos whose accuracy is asked for")
    classes: int | None = option(None, "study", "number of classes: tells what guessing reaches", least=2)
    test_clips: int | None = option(
        None,
        "study",
        "number of test clips: intervals then speak of all such clips (default: the column test_clips)",
        least=1,
    )
    method: Method = option("honest", "study", "honest: probabilities learned on real curves; paper: its Table 5")
    all_families: bool = option(False, "study", "fit every distribution of scipy too, for the table")
    metric: str | None = option(None, "study", "use the rows of this metric (default: top1)")
    size_column: str | None = option(None, "study", "column of the sizes, e.g. of an export (default: size)")
    metric_column: str | None = option(None, "study", "column of the accuracies, e.g. of an export (default: accuracy)")
    draws: int = option(20, "study", "possible curves that the figure draws", least=0, most=1000)
    seed: int = option(0, "study", "seed of these curves; the answer needs none")

    def __post_init__(self) -> None:
        _check_targets(self.targets)
        check_options(self, [(self.method in ("honest", "paper"), "method", "'honest' or 'paper'")])
        check_options(self, [(all(0 < size < math.inf for size in self.at), "at", "numbers of videos above 0")])
        check_bounds(self)


@dataclass(frozen=True)
class PlanOptions:
    """Every option of ``tiktokactions plan``. The training defaults are Tables 2 and 3 of the paper."""

    videos: int = option(340_000, "plan", "raw videos")
    detector: str = option("auto", "plan", "person detector for `measure`, as in curate")
    hashtags: int | None = option(None, "plan", "hashtags that are collected: every window of each is a request")
    windows: int | None = option(None, "plan", "windows of a hashtag, as in collect (default: one for every 50 videos)")
    target: float | None = option(
        None, "plan", "accuracy to reach, a fraction: what missing it costs; needs `results`", most=1
    )
    cores: int | None = option(None, "plan", "cores to spread the work over (default: those of this machine)")
    download_mbit_s: float | None = option(None, "plan", "megabits a second at which videos arrive")
    review: Literal["needs_review", "all"] = option(
        "needs_review", "plan", "what people look at: the uncertain clips, or all"
    )
    review_s: float | None = option(None, "people", "seconds that a person takes for a clip")
    reviewers: int = option(1, "people", "people who look at each clip")
    review_accepts: float | None = option(
        None,
        "people",
        "share of the clips looked at that people accept, which train too (default: none to all)",
        most=1,
    )
    epochs: int = option(200, "gpu", "epochs of pre-training")
    batch_size: int = option(32, "gpu", "videos in a step of pre-training, on all GPUs together")
    gpu_step_s: float | None = option(None, "gpu", "seconds that a step of pre-training takes on your GPUs")
    gpus: int = option(1, "gpu", "GPUs that make a step together")
    finetune_videos: int | None = option(None, "gpu", "labelled videos to fine-tune on (UCF101 split 1: 9537)")
    finetune_epochs: int = option(100, "gpu", "epochs of fine-tuning")
    finetune_batch_size: int = option(8, "gpu", "videos in a step of fine-tuning")
    gpu_finetune_step_s: float | None = option(None, "gpu", "seconds that a step of fine-tuning takes on your GPUs")
    core_h_price: float | None = option(None, "prices", "price of an hour of a core")
    gpu_h_price: float | None = option(None, "prices", "price of an hour of a GPU")
    person_h_price: float | None = option(None, "prices", "price of an hour of a person who looks at clips")
    gb_price: float | None = option(None, "prices", "price of a gigabyte of disk, for as long as you keep it")
    currency: str = option("USD", "prices", "what prices are in")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not (0 < value < math.inf):
                raise UsageError(f"`{field.name}`: got {value}, expected a number above 0")
        check_bounds(self)
