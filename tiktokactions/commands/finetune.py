"""Fine-tune a classifier and test it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tiktokactions.clips.clip import ClipSet, Side
from tiktokactions.clips.read import has_side
from tiktokactions.commands.nouns import Run
from tiktokactions.commands.options import AnyPath, AnyPaths, need_torch, nothing, on_disk, path_list, takes
from tiktokactions.commands.training_clips import classes_of, clips_of, first_of, readable_clips, register_made
from tiktokactions.files import disk_errors
from tiktokactions.model.options import EvaluateOptions, FinetuneOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.options import checked_options


@takes(FinetuneOptions)
def finetune(
    data: AnyPaths,
    output: AnyPath,
    *,
    val: AnyPaths | None = None,
    test: AnyPaths | None = None,
    label_map: AnyPath | None = None,
    init: AnyPath | None = None,
    resume_from: AnyPath | None = None,
    dry_run: bool = False,
    progress: Callable[[TrainingProgress], None] = nothing,
    **options: object,
) -> Run:
    """Fine-tune a classifier on labelled videos and test it (paper, section 4.2 and Table 3).

    Args:
        data: split datasets, official splits, lists or folders of class folders; their train sides are learned from together.
        output: the run folder; the same command continues where it stopped.
        val: other data to look at after epochs (default: the data's val side, if it has one).
        test: other data to test on at the end (default: the data's test side, if it has one).
        label_map: a CSV file ``label,class`` (``label,class,data`` if names differ in meaning) by which the labels of
            all data become classes; labels that are not in it keep their names, and equal names are one class.
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
        tiktokactions finetune data/ -o runs/finetuned --init runs/pretrained --recipe small --batch-size 2 --epochs 2
    """
    settings = checked_options(FinetuneOptions, options)
    need_torch(settings.decoder, settings.track)
    with disk_errors():
        from tiktokactions.model.evaluate import evaluate
        from tiktokactions.model.finetune import dry_finetune, finetune
        from tiktokactions.model.labels import expect_used, merged, require_labels, targets_of, usable, with_all_labels

        sources = path_list(data)
        parts = [clips_of(source, "train", settings) for source in sources]
        classes = classes_of(label_map)
        if val is None and test is None:  # the map speaks of no other data
            expect_used(classes, parts, label_map)
        train = merged(parts, classes)
        looked_at = _other_side(data, val, "val", settings, classes)
        tested_on = _other_side(data, test, "test", settings, classes)
        if len(sources) > 1:
            train = _apart(train, [*looked_at, *tested_on], progress)
        several = settings.multi_label
        if several:
            train = with_all_labels([train, *looked_at, *tested_on])[0]
        train, *looked_at = (usable(part, several, progress) for part in (train, *looked_at))
        tested_on = [usable(part, several, nothing) for part in tested_on]  # the test itself says which it leaves out
        for other in (*looked_at, *tested_on):
            targets_of(other, require_labels(train, several), train.source, several)  # now, not after hours of training
        begin = first_of(init=init, resume_from=resume_from)
        if dry_run:
            return Run(output, derived=dry_finetune(train, settings, begin.get("init")))
        folder = on_disk(output, "a run")
        clips = [clip for part in (train, *looked_at, *tested_on) for clip in part.clips]
        register_made([*sources, *begin.values(), *filter(None, [settings.teacher])], clips, folder, "run")
        [train, *looked_at] = readable_clips([train, *looked_at], settings, folder, progress)
        val_clips = next((v for v in looked_at if v.clips), None)
        run = finetune(train, settings, folder, val=val_clips, **begin, report=progress)
        if not run.finished or not tested_on:
            return Run.of(run)
        given = {name: value for name, value in vars(settings).items() if name in vars(EvaluateOptions())}
        tests = folder / "evaluations" / "test"
        evaluate(folder, tested_on[0], EvaluateOptions(**given | {"stride": None}), tests, report=progress)
        return Run.of(run)


def _other_side(
    data: AnyPaths,
    other: AnyPaths | None,
    side: Side,
    settings: FinetuneOptions,
    classes: Mapping[tuple[str, str], str],
) -> list[ClipSet]:
    """The val or test side, of other data where they are given; none where the same data have no such side."""
    from tiktokactions.model.labels import merged

    sources = path_list(data if other is None else other)
    parts = [clips_of(source, side, settings) for source in sources if other is not None or has_side(source, side)]
    found = merged(parts, classes) if parts else None
    return [found] if found is not None and (found.clips or other is not None) else []


def _apart(train: ClipSet, others: Sequence[ClipSet], progress: Callable[[TrainingProgress], None]) -> ClipSet:
    """The clips of merged data without those that another of the data has on its val or test side."""
    held = {name for part in others for clip in part.clips for name in (clip.path, clip.video_id)} - {None}
    kept = tuple(clip for clip in train.clips if not {clip.path, clip.video_id} & held)
    if lost := len(train.clips) - len(kept):
        progress(TrainingProgress(f"{lost} clips to learn from are left out: others test on them"))
    return replace(train, clips=kept)
