"""Each command as one plain function. What spans rooms is composed here; the command line only adds help and progress."""

from tiktokactions.api.collecting import collect_export, collect_import, collect_plan, collect_run, collect_status
from tiktokactions.api.curating import CurateResult, Progress, curate
from tiktokactions.api.datasets import dataset_card, dataset_split, dataset_stats, dataset_verify
from tiktokactions.api.demos import demo, demo_learning, demo_study, doctor
from tiktokactions.api.downloading import DownloadResult, download
from tiktokactions.api.errors import DiskFullError, UsageError
from tiktokactions.api.hashtags import hashtags_explain, hashtags_propose, hashtags_select
from tiktokactions.api.planning import plan
from tiktokactions.api.refreshing import RefreshResult, refresh
from tiktokactions.api.reviewing import (
    Invitation,
    ReviewApplied,
    review,
    review_apply,
    review_export,
    review_import,
    review_invite,
    review_status,
    review_watch,
)
from tiktokactions.api.studies import StudyPlan, StudyResult, extrapolate, study_scaling, study_sources
from tiktokactions.api.training import FeaturesWritten, evaluate, export, finetune, predict, pretrain
from tiktokactions.model.progress import TrainingProgress

__all__ = [
    "CurateResult",
    "DiskFullError",
    "DownloadResult",
    "FeaturesWritten",
    "Invitation",
    "Progress",
    "RefreshResult",
    "ReviewApplied",
    "StudyPlan",
    "StudyResult",
    "TrainingProgress",
    "UsageError",
    "collect_export",
    "collect_import",
    "collect_plan",
    "collect_run",
    "collect_status",
    "curate",
    "dataset_card",
    "dataset_split",
    "dataset_stats",
    "dataset_verify",
    "demo",
    "demo_learning",
    "demo_study",
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
    "review",
    "review_apply",
    "review_export",
    "review_import",
    "review_invite",
    "review_status",
    "review_watch",
    "study_scaling",
    "study_sources",
]
