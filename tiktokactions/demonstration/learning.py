"""The whole of training in a few minutes on a CPU: pre-train, fine-tune and test on the rendered actions.

``python -m tiktokactions.demonstration.learning RENDERED RUN OPTIONS`` is the fine-tuning from random weights by itself: it
takes the second core while the first one pre-trains.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tiktokactions.clips.clip import ClipSet
from tiktokactions.clips.read import read_clips
from tiktokactions.curation.options import usable_cores
from tiktokactions.demonstration.rendered import render_actions
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions, PretrainOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.study.child import die_with_parent

BATCH = 16
_SHARED: dict[str, Any] = {
    "model": "tiny",
    "stride": 2,
    "batch_size": BATCH,
    "num_samples": 1,
    "base_lr": 1e-3 * 256 / BATCH,
    "warmup_epochs": 1,
    "device": "cpu",
    "workers": 0,
    "threads": 1,
    "log_steps": 20,
}
PRETRAINING: dict[str, Any] = _SHARED | {
    "mask_ratio": 0.75,
    "normalize_target": False,
    "epochs": 8,
    "min_lr": 1e-5 * 256 / BATCH,
    "pictures_epochs": 8,
}
"""The paper's ratio 0.9 and normalised tokens learn too slowly for minutes on a CPU. One thread: so small a model gains
nothing from a second one, and the comparison with scratch can have it."""
FINETUNING: dict[str, Any] = _SHARED | {
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


def study_recipes() -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of pre-training and fine-tuning for a study of a few minutes: shorter."""
    precision = {"precision": "bf16" if cpu_has_bf16() else "fp32"}
    before = PRETRAINING | precision | {"epochs": 2, "pictures_epochs": 0}
    after = FINETUNING | precision | {"epochs": 4, "validate_epochs": 0, "segments": 1, "crops": 1}
    return before, after


def learn_rendered_actions(
    output: Path,
    *,
    seed: int = 0,
    scratch: bool = False,
    report: Callable[[TrainingProgress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Render six actions, pre-train ``tiny`` on the train side, fine-tune it, test it on figures it has never seen.

    Args:
        output: folder for ``rendered/`` and ``runs/``; what is finished there is not done again.
        seed: of training; the set itself is always the same.
        scratch: also fine-tune the same network from random weights, and test that.

    Returns:
        The evaluation as a dict, with ``pretrain_loss`` and ``finetune_loss``, and with ``scratch`` its evaluation.
    """
    from tiktokactions.model.pretrain import pretrain

    rendered = render_actions(output / "rendered", progress=lambda line: report(TrainingProgress(line)))
    train, test = (read_clips(rendered.folder, side=side) for side in ("train", "test"))
    runs = output / "runs"
    pretrained, tuned, other = (runs / f"{name}-{seed}" for name in ("pretrained", "finetuned", "scratch"))
    settings = {"seed": seed, "precision": "bf16" if cpu_has_bf16() else "fp32"}
    tuning = FINETUNING | settings
    with _second_core(rendered.folder, other, tuning) if scratch else contextlib.nullcontext():
        report(TrainingProgress("pre-training on rendered clips, without their labels"))
        done = pretrain(
            train.clips, PretrainOptions(**(PRETRAINING | settings)), pretrained, sources=[train.source], report=report
        )
        report(TrainingProgress("fine-tuning on the same clips with their labels"))
        found = _tune_and_test(train, test, tuned, pretrained, tuning, report)
        if scratch:
            report(TrainingProgress("the same fine-tuning from random weights, for comparison"))
    if scratch:
        found |= {"scratch": _tune_and_test(train, test, other, None, tuning, report)}
    return found | {"pretrain_loss": done["loss"]}


@contextlib.contextmanager
def _second_core(rendered: Path, run: Path, tuning: dict[str, Any]) -> Iterator[None]:
    """Fine-tune from random weights in a process of its own where there is a core for it, and wait for it at the end. What it
    leaves undone, whatever the reason, is done or told by the caller, who takes the same step afterwards.
    """
    if usable_cores() < 2:
        yield
        return
    command = [
        sys.executable,
        "-m",
        "tiktokactions.demonstration.learning",
        str(rendered),
        str(run),
        json.dumps(tuning),
    ]
    none = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=none, stdout=none, stderr=none)
    try:
        yield
        process.wait()
    finally:
        process.terminate()
        process.wait()


def _tune_and_test(
    train: ClipSet,
    test: ClipSet,
    run: Path,
    init: Path | None,
    tuning: dict[str, Any],
    report: Callable[[TrainingProgress], None],
) -> dict[str, Any]:
    from tiktokactions.model.evaluate import evaluate
    from tiktokactions.model.finetune import finetune

    done = finetune(train, FinetuneOptions(**tuning), run, init=init, report=report)
    looks = EvaluateOptions(segments=1, crops=3, device="cpu", workers=0, threads=1, precision="fp32")
    found = evaluate(run, test, looks, run / "evaluations" / "test", report=report)
    return dataclasses.asdict(found) | {"finetune_loss": done["loss"]}


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies in bf16 faster than in float32, as far as Linux tells."""
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return bool({"avx512_bf16", "amx_bf16"} & set(flags.split()))


if __name__ == "__main__":
    folder, into, options = sys.argv[1:]
    die_with_parent()
    to_learn, to_ask = (read_clips(folder, side=side) for side in ("train", "test"))
    _tune_and_test(to_learn, to_ask, Path(into), None, json.loads(options), lambda progress: None)
