"""Test a fine-tuned run."""

from __future__ import annotations

from collections.abc import Callable

from tiktokactions.commands.options import AnyPath, need_torch, nothing, on_disk, takes
from tiktokactions.commands.training_clips import clips_of, register_made
from tiktokactions.files import disk_errors, located
from tiktokactions.model.options import EvaluateOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import Evaluation
from tiktokactions.options import checked_options


@takes(EvaluateOptions)
def evaluate(
    run: AnyPath,
    data: AnyPath,
    output: AnyPath | None = None,
    *,
    progress: Callable[[TrainingProgress], None] = nothing,
    **options: object,
) -> Evaluation:
    """Test a fine-tuned run on labelled videos: 5 × 3 views of each from one decode, probabilities averaged.

    A video that cannot be read is a row with its reason.

    Args:
        run: a finished run of 'finetune'.
        data: a split dataset, official splits, a list or a folder of class folders.
        output: folder for predictions, tables and pictures (default: in the run, named after the data).
        progress: called after every video.
        **options: any field of :class:`tiktokactions.model.options.EvaluateOptions`.

    Raises:
        UsageError: data, run or options that make no sense, or the extra ``train`` is not installed.
        UnreadableError: no clip can be read; the message names the first.

    Example:
        tiktokactions evaluate runs/finetuned data/
    """

    settings = checked_options(EvaluateOptions, options)
    need_torch(settings.decoder)
    with disk_errors():
        from tiktokactions.model.evaluate import evaluate

        name = f"{located(data).resolve().stem}-{settings.side}"
        tested = on_disk(run, "a run")
        folder = tested / "evaluations" / name if output is None else on_disk(output, "an evaluation")
        clips = clips_of(data, settings.side, settings)
        register_made([tested, data], clips.clips, folder, "evaluation")
        return evaluate(tested, clips, settings, folder, report=progress)
