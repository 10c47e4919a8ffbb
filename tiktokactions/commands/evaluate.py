"""Test a fine-tuned run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tiktokactions.clips.clip import Clip, ClipSet, Side, labels_in_order
from tiktokactions.commands.options import AnyPath, AnyPaths, need_torch, nothing, on_disk, path_list, takes
from tiktokactions.commands.training_clips import classes_of, clips_of, register_made
from tiktokactions.curation.takedowns import Dead, read_takedowns
from tiktokactions.errors import UsageError
from tiktokactions.files import disk_errors, located
from tiktokactions.model.options import EvaluateOptions
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.model.run import Evaluation, Run
from tiktokactions.model.survivors import Survivors, if_vanished_at_random
from tiktokactions.options import checked_options
from tiktokactions.records import JsonObject
from tiktokactions.study.paired import Answers, answers_in, answers_of, paired


@takes(EvaluateOptions)
def evaluate(
    run: AnyPath,
    data: AnyPaths,
    output: AnyPath | None = None,
    *,
    label_map: AnyPath | None = None,
    ids: AnyPath | None = None,
    against: AnyPath | None = None,
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
        ids: the released ``ids.csv`` that the data were made of: test what is left of it, and tell what vanished can change.
        against: another run, tested on the same videos, or the folder of a test: both compared on what both answered.
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
        from tiktokactions.model.labels import merged

        sources = path_list(data)
        name = "-".join([*(located(source).resolve().stem for source in sources), settings.side])
        tested = on_disk(run, "a run")
        folder = tested / "evaluations" / name if output is None else on_disk(output, "an evaluation")
        classes = classes_of(label_map)
        clips = merged([clips_of(source, settings.side, settings) for source in sources], classes)
        release = None
        if ids is not None:
            if len(sources) != 1:
                raise UsageError(f"`ids` {ids}: got {len(sources)} data, expected the one that was made of this list")
            release = _released(on_disk(ids, "a released list"), clips, settings.side, classes, tested, progress)
            clips = release.left
        other: Answers | None = None
        if against is not None:
            place = on_disk(against, "a run or a test")
            if not (place / "predictions.parquet").is_file():
                if not (place / "run.json").is_file():
                    raise UsageError(
                        f"`against` {against}: neither a run nor the folder of a test (predictions.parquet)"
                    )
                place, run_of_it = (place / "evaluations" / name if output is None else folder / "against"), place
                register_made([run_of_it, *sources], clips.clips, place, "evaluation")
                evaluate(run_of_it, clips, settings, place, report=progress)
            other = answers_of(place)
        register_made([tested, *sources], clips.clips, folder, "evaluation")

        def complete(result: Evaluation, rows: Sequence[JsonObject]) -> Evaluation:
            compared = None if other is None else paired(answers_in(rows), other)
            survivors = None if release is None else release.survivors(rows)
            if survivors is not None and compared is not None:
                both, lost = compared.difference * compared.videos, survivors.listed - compared.videos
                ends = ((both - lost) / survivors.listed, (both + lost) / survivors.listed)
                survivors = replace(survivors, difference_low=ends[0], difference_high=ends[1])
            named = None if against is None else str(against)
            return replace(result, survivors=survivors, against=named, compared=compared)

        return evaluate(tested, clips, settings, folder, complete=complete, report=progress)


@dataclass(frozen=True)
class _Release:
    """One side of a released list, and what the data still have of it."""

    ids: Path
    listed: dict[str, str]
    """The label of each video."""
    dead: frozenset[str]
    left: ClipSet
    """Clips of the data that are listed and not taken down."""
    not_listed: int

    def survivors(self, rows: Sequence[JsonObject]) -> Survivors:
        ids = {clip.path: _id_of(clip) for clip in self.left.clips}
        answered = {ids[row["path"]]: row for row in rows if row["reason"] is None}
        unreadable = {ids[row["path"]] for row in rows} - set(answered)
        vanished = [video for video in self.listed if video not in answered]
        right = [(str(row["label"]), bool(row["correct"])) for row in answered.values()]
        hits, of = sum(is_right for _, is_right in right), len(self.listed)
        middle, low, high = if_vanished_at_random(right, Counter(self.listed[video] for video in vanished))
        dead = len(self.dead)
        return Survivors(
            ids=str(self.ids),
            listed=of,
            there=len(answered),
            taken_down=dead,
            unreadable=len(unreadable),
            gone=len(vanished) - dead - len(unreadable),
            not_listed=self.not_listed,
            all_wrong=hits / of,
            all_right=(hits + len(vanished)) / of,
            at_random=middle,
            at_random_low=low,
            at_random_high=high,
        )


def _released(
    ids: Path,
    data: ClipSet,
    side: Side,
    classes: Mapping[tuple[str, str], str],
    run: Path,
    progress: Callable[[TrainingProgress], None],
) -> _Release:
    """The list as clips, which take part in the test by the same rules as those of the data."""
    from tiktokactions.model.labels import merged, usable
    from tiktokactions.releases.hydrate import read_names

    ids = ids / "ids.csv" if ids.is_dir() else ids
    named = {n.video_id: n for n in read_names(ids) if n.accepted and side in ("all", n.side)}
    if not named:
        sides = sorted({n.side for n in read_names(ids) if n.accepted} - {""})
        hint = f"it has {', '.join(sides)}" if sides else "it was never split, so choose `side` all"
        raise UsageError(f"{ids}: no accepted clip is on the {side} side; {hint}")
    clips = [
        Clip(n.video_id, next(iter(n.labels or ()), None), video_id=n.video_id, labels=n.labels, answers=n.answers)
        for n in named.values()
    ]
    listed = ClipSet(data.source, data.kind, tuple(clips), labels_in_order([c.label for c in clips if c.label]))
    listed = merged([listed], classes)
    multi_label = bool(Run(run).options.get("multi_label"))
    listed, data = usable(listed, multi_label, nothing), usable(data, multi_label, progress)
    labels = {clip.path: clip.label or "" for clip in listed.clips if clip.labels is not None}
    takedowns = [t for place in (ids.parent, located(data.source)) for t in read_takedowns(place).values()]
    if (dead := Dead(takedowns)).sealed:
        progress(TrainingProgress(f"comparing {len(labels)} ids with the take-downs beside {ids.name}"))
    removed = dead.among(name for video in labels for name in named[video].names)
    gone = frozenset(video for video in labels if named[video].names & removed)
    left = tuple(clip for clip in data.clips if _id_of(clip) in labels and _id_of(clip) not in gone)
    if not left:
        raise UsageError(f"{data.source}: none of the {len(labels)} clips of {ids} is there; hydrate that list first")
    others = sum(_id_of(clip) not in labels for clip in data.clips)
    return _Release(ids, labels, gone, replace(data, clips=left), others)


def _id_of(clip: Clip) -> str:
    """Of exports the name of the file."""
    return clip.video_id or Path(clip.path).stem
