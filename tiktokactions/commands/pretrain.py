"""Pre-train on videos without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tiktokactions.commands.nouns import Run
from tiktokactions.commands.options import AnyPath, AnyPaths, need_torch, nothing, on_disk, path_list, takes
from tiktokactions.commands.training_clips import clips_of, first_of, readable_clips, register_made
from tiktokactions.errors import UsageError
from tiktokactions.files import disk_errors
from tiktokactions.model.options import PretrainOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.options import checked_options


@takes(PretrainOptions)
def pretrain(
    data: AnyPaths,
    output: AnyPath,
    *,
    init: AnyPath | None = None,
    resume_from: AnyPath | None = None,
    mix: Sequence[float] | None = None,
    dry_run: bool = False,
    progress: Callable[[TrainingProgress], None] = nothing,
    **options: object,
) -> Run:
    """Pre-train VideoMAE V2 on videos without using their labels (paper, section 4.1 and Table 2).

    Args:
        data: datasets, folders of videos or lists; of data with a test side only the train side is used. Also
            ``synthetic:NUMBER`` or ``synthetic:NUMBER:DATA``: made videos, the latter with cut-outs of frames of these data.
        output: the run folder; the same command continues where it stopped.
        init: weights to begin with, on a fresh schedule: a run, a ``.pth`` file or a Hugging Face folder.
        resume_from: a checkpoint of another run (``RUN/checkpoints/step-N``) to go on from, with other rates if you like.
        mix: one weight for each of the data: how much of an epoch comes from it.
        dry_run: return every derived number without training.
        progress: called every few steps.
        **options: any field of :class:`tiktokactions.model.options.PretrainOptions`.

    Returns:
        The run. Of a dry run only ``derived`` can be asked for.

    Raises:
        UsageError: data or options that make no sense, or the extra ``train`` is not installed.
        UnreadableError: a clip cannot be read; the message names it.
        NonFiniteLossError: training diverged.

    Example:
        tiktokactions pretrain data/ -o runs/pretrained --recipe small --batch-size 2 --epochs 2
        tiktokactions pretrain data/ -o runs/paper --batch-size 4 --dry-run
    """

    settings = checked_options(PretrainOptions, options)
    sources = path_list(data)
    if not sources:
        raise UsageError("no data given: expected datasets, folders of videos or lists")
    if mix is not None and (len(mix) != len(sources) or min(mix) <= 0):
        raise UsageError(f"`mix`: got {list(mix)}, expected a weight above 0 for each of the {len(sources)} data")
    need_torch(settings.decoder, settings.track)
    with disk_errors():
        from tiktokactions.model.pretrain import dry_pretrain, pretrain

        parts = [clips_of(source, "train", settings, unsplit_is_all=True) for source in sources]
        if dry_run:
            return Run(output, derived=dry_pretrain(sum(len(part.clips) for part in parts), settings))
        folder = on_disk(output, "a run")
        begin = first_of(init=init, resume_from=resume_from)
        target = [] if settings.target == "pixels" else [settings.target]
        register_made(
            [*sources, *begin.values(), *target], (clip for part in parts for clip in part.clips), folder, "run"
        )
        parts = readable_clips(parts, settings, folder, progress)
        clips, shares = [clip for part in parts for clip in part.clips], None
        if mix is not None:  # for each clip its share of an epoch, so that every data has its weight whatever its size
            sizes = [len(part.clips) for part in parts]
            shares = [weight / size for weight, size in zip(mix, sizes, strict=True) for _ in range(size)]
        run = pretrain(clips, settings, folder, sources=sources, shares=shares, **begin, report=progress)
        return Run.of(run)
