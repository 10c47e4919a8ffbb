"""Fine-tune a classifier and test it."""

from __future__ import annotations

from collections.abc import Callable

from tiktokactions.clips.clip import ClipSet, Side
from tiktokactions.clips.read import has_side
from tiktokactions.commands.nouns import Run
from tiktokactions.commands.options import AnyPath, need_torch, nothing, on_disk, takes
from tiktokactions.commands.training_clips import clips_of, first_of, readable_clips, register_made
from tiktokactions.files import disk_errors
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.options import checked_options


@takes(FinetuneOptions)
def finetune(
    data: AnyPath,
    output: AnyPath,
    *,
    val: AnyPath | None = None,
    test: AnyPath | None = None,
    init: AnyPath | None = None,
    resume_from: AnyPath | None = None,
    dry_run: bool = False,
    progress: Callable[[TrainingProgress], None] = nothing,
    **options: object,
) -> Run:
    """Fine-tune a classifier on labelled videos and test it (paper, section 4.2 and Table 3).

    Args:
        data: a split dataset, official splits, a list or a folder of class folders; its train side is learned from.
        output: the run folder; the same command continues where it stopped.
        val: other data to look at after epochs (default: the data's val side, if it has one).
        test: other data to test on at the end (default: the data's test side, if it has one).
        init: weights to begin with: a run, a ``.pth`` file or a Hugging Face folder.
        resume_from: a checkpoint of another run (``RUN/checkpoints/step-N``) to go on from, with other rates if you like.
        dry_run: return every derived number without training.
        progress: called every few steps.
        **options: any field of :class:`tiktokactions.model.options.FinetuneOptions`.

    Returns:
        The run; ``evaluations["test"]`` is its test, if there was one. Of a dry run only ``derived`` can be asked for.

    Raises:
        UsageError, UnreadableError, NonFiniteLossError: as :func:`pretrain`.

    Example:
        tiktokactions finetune data/ -o runs/finetuned --init runs/pretrained --batch-size 2 --epochs 2
    """
    settings = checked_options(FinetuneOptions, options)
    need_torch(settings.decoder)
    with disk_errors():
        from tiktokactions.model.evaluate import evaluate, label_numbers
        from tiktokactions.model.finetune import dry_finetune, finetune, require_labels

        train = clips_of(data, "train", settings)
        looked_at, tested_on = _other_side(data, val, "val", settings), _other_side(data, test, "test", settings)
        for other in (*looked_at, *tested_on):
            label_numbers(other, require_labels(train), train.source)  # now, not after hours of training
        begin = first_of(init=init, resume_from=resume_from)
        if dry_run:
            return Run(output, derived=dry_finetune(train, settings, begin.get("init")))
        folder = on_disk(output, "a run")
        parts = (train, *looked_at, *tested_on)
        register_made([data, *begin.values()], (clip for part in parts for clip in part.clips), folder, "run")
        [train, *looked_at] = readable_clips([train, *looked_at], settings, folder, progress)
        val_clips = next((v for v in looked_at if v.clips), None)
        run = finetune(train, settings, folder, val=val_clips, **begin, report=progress)
        if not run.finished or not tested_on:
            return Run.of(run)
        given = {name: value for name, value in vars(settings).items() if name in vars(EvaluateOptions())}
        tests = folder / "evaluations" / "test"
        evaluate(folder, tested_on[0], EvaluateOptions(**given | {"stride": None}), tests, report=progress)
        return Run.of(run)


def _other_side(data: AnyPath, other: AnyPath | None, side: Side, settings: FinetuneOptions) -> list[ClipSet]:
    """The val or test side, of other data where they are given; none where the same data have no such side."""
    if other is None and not has_side(data, side):
        return []
    found = clips_of(data if other is None else other, side, settings)
    return [found] if found.clips or other is not None else []
