"""Training on the rendered actions, on a CPU: one fine-tuning in about a minute, or everything in several minutes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tiktokactions.clips.clip import ClipSet
from tiktokactions.clips.read import read_clips
from tiktokactions.demonstration.rendered import render_actions
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions, PretrainOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import Evaluation
from tiktokactions.options import checked_options
from tiktokactions.study.child import die_with_parent

Report = Callable[[TrainingProgress], None]

Recipe = dict[str, object]
"""Options of a training, by name."""
BATCH = 16
_SHARED: Recipe = {
    "model": "tiny",
    "stride": 2,
    "batch_size": BATCH,
    "num_samples": 1,
    "base_lr": 1e-3 * 256 / BATCH,
    "warmup_epochs": 1,
    "device": "cpu",
    "workers": 0,
    "threads": 1,
}
PRETRAINING: Recipe = _SHARED | {
    "mask_ratio": 0.75,
    "normalize_target": False,
    "epochs": 8,
    "min_lr": 1e-5 * 256 / BATCH,
    "pictures_epochs": 0,
}
"""So short a pre-training reconstructs the mean colour of a square and nothing of the figure: no pictures of that.
The paper's mask ratio of 0.9 and normalised targets learn too slowly for a few minutes on a CPU. One thread: a model this
small gains nothing from a second one, and the comparison with random weights can have it."""
FINETUNING: Recipe = _SHARED | {
    "epochs": 8,
    "min_lr": 1e-6 * 256 / BATCH,
    "layer_decay": 1.0,
    "drop_path": 0.0,
    "init_scale": 1.0,
    "clip_grad": 1.0,
    "augment": "none",
    "erase": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "min_area": 0.9,
}

STUDY_SIZES = (120, 240, 480, 960)


def study_recipes() -> tuple[Recipe, Recipe]:
    """Shorter recipes for pre-training and fine-tuning, so that a study takes a few minutes."""
    one_view = {"epochs": 4, "validate_epochs": 0, "segments": 1, "crops": 1}
    return PRETRAINING | _precision() | {"epochs": 2}, FINETUNING | _precision() | one_view


def train_briefly(output: Path, *, seed: int = 0, report: Report = lambda progress: None) -> Evaluation:
    """Fine-tune ``tiny`` from random weights on few rendered figures and test it on others, in a minute or two.

    Args:
        output: folder for ``few_rendered/`` and ``runs/``; what is finished there is not done again.
        seed: of the training; the clips are always the same.
    """
    train, test = (read_clips(render_few(output, report), side=side) for side in ("train", "test"))
    report(TrainingProgress("training a classifier on rendered clips"))
    # Nothing else is at work: a second core reads the clips meanwhile, which changes no loss.
    alone = _tuning(seed) | {"workers": 1}
    return _tune_and_test(train, test, output / "runs" / f"brief-{seed}", None, alone, report)


def learn_rendered_actions(
    output: Path, *, seed: int = 0, report: Report = lambda progress: None
) -> tuple[Evaluation, Evaluation]:
    """Render six actions, pre-train ``tiny`` on the train side, fine-tune it, and test it on figures it has never seen.

    The same network is also fine-tuned from random weights, for comparison. A second process does that meanwhile.

    Args:
        output: folder for ``rendered/`` and ``runs/``; what is finished there is not done again.
        seed: of the training; the clips are always the same.

    Returns:
        The evaluations after pre-training, and from random weights.
    """
    from tiktokactions.model.pretrain import pretrain

    rendered = render_actions(output / "rendered", progress=lambda line: report(TrainingProgress(line))).folder
    train, test = (read_clips(rendered, side=side) for side in ("train", "test"))
    pretrained, tuned, other = (output / "runs" / f"{name}-{seed}" for name in ("pretrained", "finetuned", "scratch"))
    tuning = _tuning(seed)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=die_with_parent) as second_core:
        scratch = second_core.submit(_tune_and_test, train, test, other, None, tuning)
        report(TrainingProgress("pre-training on rendered clips, without their labels"))
        options = checked_options(PretrainOptions, PRETRAINING | _precision() | {"seed": seed})
        pretrain(train.clips, options, pretrained, sources=[train.source], report=report)
        report(TrainingProgress("fine-tuning on the same clips with their labels"))
        found = _tune_and_test(train, test, tuned, pretrained, tuning, report)
        report(TrainingProgress("waiting for the same fine-tuning from random weights"))
        return found, scratch.result()


def render_few(output: Path, report: Report) -> Path:
    """A rendered set for a brief training, in ``few_rendered/``, made if it is not there."""
    found = render_actions(
        output / "few_rendered", train_figures=80, test_figures=20, progress=lambda line: report(TrainingProgress(line))
    )
    return found.folder


def _tuning(seed: int) -> Recipe:
    return FINETUNING | _precision() | {"seed": seed}


def _precision() -> Recipe:
    return {"precision": "bf16" if cpu_has_bf16() else "fp32"}


def _tune_and_test(
    train: ClipSet,
    test: ClipSet,
    run: Path,
    init: Path | None,
    tuning: Recipe,
    report: Report = lambda progress: None,
) -> Evaluation:
    from tiktokactions.model.evaluate import evaluate
    from tiktokactions.model.finetune import finetune

    finetune(train, checked_options(FinetuneOptions, tuning), run, init=init, report=report)
    views = EvaluateOptions(segments=1, crops=3, device="cpu", workers=0, threads=1, precision="fp32")
    return evaluate(run, test, views, run / "evaluations" / "test", report=report)


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies in bf16 faster than in float32, as far as Linux tells."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpuinfo.read_text().split())
