"""Test a fine-tuned run."""

from __future__ import annotations

from collections.abc import Callable

from tiktokactions.commands.options import AnyPath, AnyPaths, need_torch, nothing, on_disk, path_list, takes
from tiktokactions.commands.training_clips import clips_of, one_set, register_made
from tiktokactions.files import disk_errors, located
from tiktokactions.model.options import EvaluateOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import Evaluation
from tiktokactions.options import checked_options


@takes(EvaluateOptions)
def evaluate(
    run: AnyPath,
    data: AnyPaths,
    output: AnyPath | None = None,
    *,
    label_map: AnyPath | None = None,
    progress: Callable[[TrainingProgress], None] = nothing,
    **options: object,
) -> Evaluation:
    """Test a fine-tuned run on labelled videos: 5 × 3 views of each from one decode, probabilities averaged.

    A video that cannot be read is a row with its reason.

    Args:
        run: a finished run of 'finetune'.
        data: split datasets, official splits, lists or folders of class folders.
        output: folder for predictions, tables and pictures (default: in the run, named after the data).
        label_map: a CSV file ``label,class`` by which labels take the names of the run's classes.
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

        sources = path_list(data)
        name = "-".join([*(located(source).resolve().stem for source in sources), settings.side])
        tested = on_disk(run, "a run")
        folder = tested / "evaluations" / name if output is None else on_disk(output, "an evaluation")
        clips = one_set([clips_of(source, settings.side, settings) for source in sources], label_map)
        register_made([tested, *sources], clips.clips, folder, "evaluation")
        return evaluate(tested, clips, settings, folder, report=progress)
