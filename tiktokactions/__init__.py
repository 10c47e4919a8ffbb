"""Turn hashtags and raw social video into a human-action dataset, train a video model on it, and learn how much is enough.

Every command is a function here: ``import tiktokactions as ta; ta.curate("videos/", "data/")``. Names are imported when they
are first used, so that the import itself takes milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tiktokactions.commands.collect_export import collect_export
    from tiktokactions.commands.collect_import import collect_import
    from tiktokactions.commands.collect_plan import collect_plan
    from tiktokactions.commands.collect_run import collect_run
    from tiktokactions.commands.collect_status import collect_status
    from tiktokactions.commands.curate import CurateResult, Progress, curate
    from tiktokactions.commands.dataset_card import dataset_card
    from tiktokactions.commands.dataset_check_against import dataset_check_against
    from tiktokactions.commands.dataset_diff import dataset_diff
    from tiktokactions.commands.dataset_export import dataset_export
    from tiktokactions.commands.dataset_hydrate import dataset_hydrate
    from tiktokactions.commands.dataset_merge import dataset_merge
    from tiktokactions.commands.dataset_split import dataset_split
    from tiktokactions.commands.dataset_stats import dataset_stats
    from tiktokactions.commands.dataset_subset import dataset_subset
    from tiktokactions.commands.dataset_verify import dataset_verify
    from tiktokactions.commands.demo import DemoStep, demo
    from tiktokactions.commands.doctor import doctor
    from tiktokactions.commands.download import DownloadResult, download
    from tiktokactions.commands.evaluate import evaluate
    from tiktokactions.commands.export import export
    from tiktokactions.commands.extrapolate import extrapolate
    from tiktokactions.commands.finetune import finetune
    from tiktokactions.commands.hashtags_explain import hashtags_explain
    from tiktokactions.commands.hashtags_propose import hashtags_propose
    from tiktokactions.commands.hashtags_select import hashtags_select
    from tiktokactions.commands.nouns import Dataset, Run
    from tiktokactions.commands.plan import plan
    from tiktokactions.commands.predict import predict
    from tiktokactions.commands.pretrain import pretrain
    from tiktokactions.commands.refresh import RefreshResult, refresh
    from tiktokactions.commands.release import release
    from tiktokactions.commands.report import ReportWritten, report
    from tiktokactions.commands.review import review
    from tiktokactions.commands.review_apply import ReviewApplied, review_apply
    from tiktokactions.commands.review_export import review_export
    from tiktokactions.commands.review_import import review_import
    from tiktokactions.commands.review_invite import Invitation, review_invite
    from tiktokactions.commands.review_status import review_status
    from tiktokactions.commands.review_suggest import review_suggest
    from tiktokactions.commands.run import ProjectRun, StepDone, run
    from tiktokactions.commands.studies import StudyPlan, StudyResult
    from tiktokactions.commands.study_scaling import study_scaling
    from tiktokactions.commands.study_sources import study_sources
    from tiktokactions.commands.takedown import TakedownResult, takedown
    from tiktokactions.commands.update import UpdateResult, update
    from tiktokactions.errors import AccessError, DiskFullError, NotFoundError, TiktokactionsError, UsageError
    from tiktokactions.model.predictions import FeaturesWritten
    from tiktokactions.model.progress import TrainingProgress

__all__ = [
    "AccessError",
    "CurateResult",
    "Dataset",
    "DemoStep",
    "DiskFullError",
    "DownloadResult",
    "FeaturesWritten",
    "Invitation",
    "NotFoundError",
    "Progress",
    "ProjectRun",
    "RefreshResult",
    "ReportWritten",
    "ReviewApplied",
    "Run",
    "StepDone",
    "StudyPlan",
    "StudyResult",
    "TakedownResult",
    "TiktokactionsError",
    "TrainingProgress",
    "UpdateResult",
    "UsageError",
    "collect_export",
    "collect_import",
    "collect_plan",
    "collect_run",
    "collect_status",
    "curate",
    "dataset_card",
    "dataset_check_against",
    "dataset_diff",
    "dataset_export",
    "dataset_hydrate",
    "dataset_merge",
    "dataset_split",
    "dataset_stats",
    "dataset_subset",
    "dataset_verify",
    "demo",
    "doctor",
    "download",
    "evaluate",
    "export",
    "extrapolate",
    "finetune",
    "hashtags_explain",
    "hashtags_propose",
    "hashtags_select",
    "plan",
    "predict",
    "pretrain",
    "refresh",
    "release",
    "report",
    "review",
    "review_apply",
    "review_export",
    "review_import",
    "review_invite",
    "review_status",
    "review_suggest",
    "run",
    "study_scaling",
    "study_sources",
    "takedown",
    "update",
]

_ELSEWHERE = {
    "AccessError": "errors",
    "CurateResult": "commands.curate",
    "Dataset": "commands.nouns",
    "DemoStep": "commands.demo",
    "DiskFullError": "errors",
    "DownloadResult": "commands.download",
    "FeaturesWritten": "model.predictions",
    "Invitation": "commands.review_invite",
    "NotFoundError": "errors",
    "Progress": "commands.curate",
    "ProjectRun": "commands.run",
    "RefreshResult": "commands.refresh",
    "ReportWritten": "commands.report",
    "ReviewApplied": "commands.review_apply",
    "Run": "commands.nouns",
    "StepDone": "commands.run",
    "StudyPlan": "commands.studies",
    "StudyResult": "commands.studies",
    "TakedownResult": "commands.takedown",
    "TiktokactionsError": "errors",
    "TrainingProgress": "model.progress",
    "UpdateResult": "commands.update",
    "UsageError": "errors",
}
"""Where a name lies that is not the command of its own file."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_ELSEWHERE.get(name, 'commands.' + name)}")
    found = globals()[name] = getattr(home, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
