"""The classes of labelled clips: their names, numbers and counts, and several data merged under one set of names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tiktokactions.clips.clip import Clip, ClipSet, labels_in_order
from tiktokactions.clips.readers.text import table
from tiktokactions.errors import UsageError
from tiktokactions.model.progress import TrainingProgress
from tiktokactions.reviews.decisions import EVERY_OTHER

EVERYWHERE = ""
"""The data of a row of the map that holds for all of them."""


def labels_of(clip: Clip) -> tuple[str, ...]:
    """All labels of a clip, where its data name several; else its one."""
    one = () if clip.label is None else (clip.label,)
    return one if clip.labels is None else clip.labels


def usable(data: ClipSet, multi_label: bool, tell: Callable[[TrainingProgress], None]) -> ClipSet:
    """The data without clips that tell nothing: of which people said that they show none of the actions, and so are of no
    class; with ``multi_label`` those of which nobody could tell anything."""
    if multi_label:
        kept = tuple(c for c in data.clips if c.answers is None or {"yes", "no"} & set(dict(c.answers).values()))
        why = "of which nobody could tell anything are left out"
    else:
        kept = tuple(clip for clip in data.clips if clip.labels != ())
        why = "show none of the actions, as people said, and are left out"
    if lost := len(data.clips) - len(kept):
        tell(TrainingProgress(f"{data.source}: {lost} clips {why}"))
    return replace(data, clips=kept)


def refuse_unlabelled(data: ClipSet, multi_label: bool = False) -> None:
    """Raises :class:`UsageError` for clips without a label. With ``multi_label`` a clip may show none of the classes, where
    its data say so."""
    unlabelled = [c.path for c in data.clips if c.label is None and not (multi_label and c.labels is not None)]
    if unlabelled:
        raise UsageError(
            f"{data.source}: {len(unlabelled)} clips without a label, for example {unlabelled[0]};"
            " expected a label for every clip"
        )


def require_labels(data: ClipSet, multi_label: bool = False) -> tuple[str, ...]:
    """The class names of labelled clips.

    Raises:
        ValueError: clips without a label, or fewer than two classes.
    """
    refuse_unlabelled(data, multi_label)
    if len(data.labels) < 2:
        raise UsageError(f"{data.source}: got the classes {list(data.labels)}, expected two or more")
    return data.labels


def targets_of(data: ClipSet, known: Sequence[str], by: object, multi_label: bool = False) -> Tensor:
    """What each clip shows, as ``by`` (a run, or what it is trained on) numbers the classes.

    Returns:
        int64 (clips,), the label of each; with ``multi_label`` float32 (clips, classes), 1 for every label of the clip, 0 for
        a no, and nan where nobody was asked or could tell.

    Raises:
        ValueError: no clips, unlabelled ones, or labels that are not among ``known``.
    """
    if not data.clips:
        raise UsageError(f"{data.source}: no clips on this side; expected at least one")
    refuse_unlabelled(data, multi_label)
    numbers = {label: number for number, label in enumerate(known)}
    told = [labels_of(clip) if multi_label else (str(clip.label),) for clip in data.clips]
    strange = sorted({label for labels in told for label in labels} - set(numbers))
    if strange:
        raise UsageError(
            f"{data.source}: {len(strange)} label{'s' * (len(strange) > 1)} unknown to {by}: {', '.join(strange[:5])};"
            f" it knows {', '.join(list(known)[:5])}{' ...' if len(known) > 5 else ''}"
        )
    if not multi_label:
        return torch.tensor([numbers[labels[0]] for labels in told])
    targets = torch.zeros(len(told), len(known))
    for row, clip, labels in zip(targets, data.clips, told, strict=True):
        row[torch.tensor([numbers[label] for label in labels], dtype=torch.long)] = 1
        if clip.answers is not None:
            said = dict(clip.answers)
            told_of = [said.get(label, said.get(EVERY_OTHER, "not_asked")) for label in known]
            row[:] = torch.tensor([{"yes": 1.0, "no": 0.0}.get(answer, torch.nan) for answer in told_of])
    return targets


def multi_hot(targets: Tensor, classes: int) -> Tensor:
    """bool (clips, classes) of what :func:`targets_of` gives: where a clip has a label for sure."""
    return targets > 0 if targets.ndim == 2 else torch.nn.functional.one_hot(targets, classes) > 0


# --- unequal classes -----------------------------------------------------------------------------------------------


def class_counts(targets: Tensor, classes: int) -> Tensor:
    """float32 (classes,): clips of every class, at least 1."""
    return multi_hot(targets, classes).sum(0).clamp(min=1).float()


def class_weights(targets: Tensor, classes: int, power: float) -> Tensor:
    """float32 (classes,): the inverse of the counts to this power; their mean over all clips is 1.

    Of several labels: what a class's yes weighs beside its no, those said not to show it over those that do to this power.
    """
    counts = class_counts(targets, classes)
    if targets.ndim == 2:
        return ((targets == 0).sum(0).clamp(min=1) / counts) ** power
    weights = counts**-power
    return weights * (counts.sum() / (counts * weights).sum())


def balanced_shares(targets: Tensor, classes: int, power: float) -> list[float] | None:
    """How often each clip is drawn: by its rarest class; one that shows none as if that were a class. None: all alike."""
    if power == 0:
        return None
    hot, counts = multi_hot(targets, classes), class_counts(targets, classes)
    none = (~hot.any(1)).sum().clamp(min=1).item() ** -power
    rarest = torch.where(hot, counts**-power, 0).amax(1)
    return torch.where(rarest > 0, rarest, none).tolist()


# --- several data --------------------------------------------------------------------------------------------------


def read_label_map(path: Path) -> dict[tuple[str, str], str]:
    """What a CSV file ``label,class`` says, by data (``EVERYWHERE``, or what its column ``data`` names) and label."""
    return {(row.get("data", EVERYWHERE), row["label"]): row["class"] for _, row in table(path, ("label", "class"))}


def merged(parts: Sequence[ClipSet], classes: Mapping[tuple[str, str], str]) -> ClipSet:
    """Several data as one: labels take the names of their classes, and equal names are one class.

    Args:
        classes: as of :func:`read_label_map`; a label that is not there keeps its name, one without a class is left out,
            and so are clips that had no other.
    """
    if len(parts) == 1 and not classes:
        return parts[0]
    clips, names = list[Clip](), list[str]()
    for part in parts:
        places = (part.source, Path(part.source).name, EVERYWHERE)
        own = {x: next((classes[p, x] for p in places if (p, x) in classes), x) for x in _names_in(part)}
        names += filter(None, own.values())
        for clip in part.clips:
            label = None if clip.label is None else own[clip.label]
            several = None if clip.labels is None else tuple(dict.fromkeys(own[x] for x in clip.labels if own[x]))
            if label != "" or several:
                first = label or next(iter(several or ()), None)
                clips.append(replace(clip, label=first, labels=several, answers=_answers_by_class(clip, own)))
    kinds = {part.kind for part in parts}
    return ClipSet(
        ", ".join(part.source for part in parts),
        kinds.pop() if len(kinds) == 1 else "several",
        tuple(clips),
        labels_in_order(names),
        flip=all(part.flip for part in parts),
    )


def _answers_by_class(clip: Clip, own: Mapping[str, str]) -> tuple[tuple[str, str], ...] | None:
    """What people said of classes: yes where one of their labels (``own``: label to class) has it, no where all are a no."""
    if clip.answers is None:
        return None
    said, rest = dict(clip.answers), dict(clip.answers).get(EVERY_OTHER, "not_asked")
    of_class: dict[str, list[str]] = {}
    for label in dict.fromkeys([*own, *said]):
        of_class.setdefault(own.get(label, label), []).append(said.get(label, rest))
    worst = ("yes", "cannot_tell", "not_asked", "no")
    return tuple((name, min(answers, key=worst.index)) for name, answers in of_class.items() if name)


def expect_used(classes: Mapping[tuple[str, str], str], parts: Sequence[ClipSet], path: object) -> None:
    """Raises :class:`UsageError` for labels of a map that no data have: a slip of the pen would go unnoticed."""
    there = {(place, x) for p in parts for x in _names_in(p) for place in (p.source, Path(p.source).name, EVERYWHERE)}
    unknown = [" of ".join(filter(None, (label, place))) for place, label in classes if (place, label) not in there]
    if unknown:
        raise UsageError(
            f"`label_map` {path}: no data have {', '.join(unknown[:5])}; take these rows out, or correct them"
        )


def with_all_labels(parts: Sequence[ClipSet]) -> list[ClipSet]:
    """The same with every label of every clip among the class names, for heads that tell each label by itself."""
    names = dict.fromkeys(name for part in parts for name in part.labels)
    others = {label for part in parts for clip in part.clips for label in labels_of(clip)} - set(names)
    return [replace(part, labels=(*names, *sorted(others))) for part in parts]


def _names_in(data: ClipSet) -> dict[str, None]:
    return dict.fromkeys([*data.labels, *(label for clip in data.clips for label in labels_of(clip))])
