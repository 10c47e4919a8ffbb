"""Each command as one plain function. What spans rooms is composed here; the command line only adds help and progress."""

from tiktokactions.commands.collecting import collect_export, collect_import, collect_plan, collect_run, collect_status
from tiktokactions.commands.curating import CurateResult, Progress, curate
from tiktokactions.commands.datasets import (
    dataset_card,
    dataset_check_against,
    dataset_split,
    dataset_stats,
    dataset_verify,
)
from tiktokactions.commands.demos import STEPS as DEMO_STEPS
from tiktokactions.commands.demos import DemoStep, demo, demo_curate, demo_learning, demo_study, doctor
from tiktokactions.commands.downloading import DownloadResult, download
from tiktokactions.commands.growing import dataset_diff, dataset_merge
from tiktokactions.commands.hashtags import hashtags_explain, hashtags_propose, hashtags_select
from tiktokactions.commands.planning import plan
from tiktokactions.commands.refreshing import RefreshResult, refresh
from tiktokactions.commands.releasing import dataset_export, dataset_hydrate, dataset_subset
from tiktokactions.commands.reporting import ReportWritten, report
from tiktokactions.commands.reviewing import (
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
from tiktokactions.commands.studies import StudyPlan, StudyResult, extrapolate, study_scaling, study_sources
from tiktokactions.commands.training import FeaturesWritten, evaluate, export, finetune, predict, pretrain
from tiktokactions.errors import DiskFullError, UsageError
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
