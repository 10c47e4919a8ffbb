"""Each command as one plain function. What spans rooms is composed here; the command line only adds help and progress."""

from tiktokactions.api.collecting import collect_export, collect_import, collect_plan, collect_run, collect_status
from tiktokactions.api.curating import CurateResult, Progress, curate
from tiktokactions.api.datasets import dataset_card, dataset_check_against, dataset_split, dataset_stats, dataset_verify
from tiktokactions.api.demos import STEPS as DEMO_STEPS
from tiktokactions.api.demos import DemoStep, demo, demo_curate, demo_learning, demo_study, doctor
from tiktokactions.api.downloading import DownloadResult, download
from tiktokactions.api.errors import DiskFullError, UsageError
from tiktokactions.api.growing import dataset_diff, dataset_merge
from tiktokactions.api.hashtags import hashtags_explain, hashtags_propose, hashtags_select
from tiktokactions.api.planning import plan
from tiktokactions.api.refreshing import RefreshResult, refresh
from tiktokactions.api.releasing import dataset_export, dataset_hydrate, dataset_subset
from tiktokactions.api.reporting import ReportWritten, report
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
    "DEMO_STEPS",
    "CurateResult",
    "DemoStep",
    "DiskFullError",
    "DownloadResult",
    "FeaturesWritten",
    "Invitation",
    "Progress",
    "RefreshResult",
    "ReportWritten",
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
    "demo_curate",
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
    "report",
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
