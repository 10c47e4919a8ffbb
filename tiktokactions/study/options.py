"""What a person can set for ``study scaling``, ``study sources`` and ``extrapolate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tiktokactions.errors import UsageError
from tiktokactions.options import check_options, option

Equal = Literal["epochs", "steps"]
Engine = Literal["local", "ray"]
Method = Literal["honest", "paper"]
TARGETS = (0.95, 0.96, 0.97, 0.98, 0.99)


def _check_targets(targets: tuple[float, ...]) -> None:
    wrong = next((target for target in targets if not 0 < target < 1), None)
    if wrong is not None or not targets:
        told = "nothing" if wrong is None else f"{wrong:g}"
        raise UsageError(f"`targets`: got {told}, expected fractions between 0 and 1, e.g. 0.95")


@dataclass(frozen=True)
class StudyOptions:
    """What both studies share besides their data."""

    repeats: int = option(3, "study", "seeds, each with its own order of the videos")
    equal: Equal = option("epochs", "study", "epochs: every video is seen equally often; steps: as many for every size")
    stratified: bool = option(False, "study", "every subset holds each label in its share")
    seed: int = option(0, "study", "of everything")
    jobs: int = option(1, "run", "trials at a time, a GPU each")
    engine: Engine = option("local", "run", "ray: place trials on a cluster (docs/scale.md)")

    def __post_init__(self) -> None:
        check_options(self, [(self.repeats >= 1, "repeats", "1 or more"), (self.jobs >= 1, "jobs", "1 or more")])
        check_options(self, [(self.equal in ("epochs", "steps"), "equal", "'epochs' or 'steps'")])
        check_options(self, [(self.engine in ("local", "ray"), "engine", "'local' or 'ray'")])


@dataclass(frozen=True)
class ScalingOptions(StudyOptions):
    """Every option of ``study scaling``."""

    targets: tuple[float, ...] = option(TARGETS, "study", "accuracies to extrapolate to")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_targets(self.targets)


@dataclass(frozen=True)
class SourcesOptions(StudyOptions):
    """Every option of ``study sources``."""

    size: int | None = option(None, "study", "videos of each source (default: all)")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self, [(self.size is None or self.size >= 1, "size", "1 or more")])


@dataclass(frozen=True)
class ExtrapolateOptions:
    """Every option of ``extrapolate``."""

    targets: tuple[float, ...] = option(TARGETS, "study", "accuracies that are asked for")
    method: Method = option("honest", "study", "paper: its Table 5; honest: with all uncertainty")
    metric: str | None = option(None, "study", "rows of this metric (default: top1)")
    draws: int = option(500, "study", "bootstrap samples of each curve")
    seed: int = option(0, "study", "of the bootstrap")

    def __post_init__(self) -> None:
        _check_targets(self.targets)
        check_options(self, [(self.method in ("honest", "paper"), "method", "'honest' or 'paper'")])
        check_options(self, [(self.draws >= 50, "draws", "50 or more")])
