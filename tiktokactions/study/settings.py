"""The settings of a study: the data for pre-training and testing, and what must not change while the study runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tiktokactions.clips.clip import Clip
from tiktokactions.clips.read import has_side, read_clips
from tiktokactions.clips.synthetic import asked_synthetic, synthetic_clips
from tiktokactions.dataset.assignments import is_split
from tiktokactions.files import holds_something, located, write_json
from tiktokactions.model.options import PretrainOptions
from tiktokactions.model.run import write_clips
from tiktokactions.options import checked_options
from tiktokactions.records import JsonObject
from tiktokactions.study.contents import OtherStudyError, StudyError, keep_contents, listed_before
from tiktokactions.study.options import Equal, StudyOptions
from tiktokactions.study.subsets import order
from tiktokactions.study.trials import Facts, Trial

SHAPE = ("model", "image_size", "frames", "tubelet", "patch")
"""Options of ``pretrain`` that fine-tuning takes over from its run."""


@dataclass(frozen=True)
class Design:
    """What all trials of a study share."""

    folder: Path
    """The study's folder."""
    evaluate_on: str
    """The data for fine-tuning and testing."""
    options: StudyOptions
    pretrain: Mapping[str, object]
    """Options of ``pretrain``."""
    finetune: Mapping[str, object]
    """Options of ``finetune``."""

    def settings(self) -> JsonObject:
        """What ``study.json`` holds; nothing before the study has begun."""
        path = self.folder / "study.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def keep(self, kind: str, may_grow: Sequence[str], **more: object) -> None:
        """Write ``study.json``, see :func:`keep_settings`. The number of jobs is left out, since it changes no result."""
        same = {name: getattr(self.options, name) for name in ("equal", "stratified", "seed", "repeats")}
        recipe = {"evaluate_on": self.evaluate_on, "pretrain": self.pretrain, "finetune": self.finetune}
        keep_settings(self.folder, {"kind": kind, **same, **recipe, **more}, may_grow)

    def order(self, pool: Sequence[Clip], data: str, lists: str, repeat: int) -> tuple[list[Clip], int]:
        """The pool in a repeat's order, those first that lists with such names have already, and how many these are."""
        first = listed_before((self.folder / "subsets").glob(lists), pool, data)
        return order(pool, trial_seed(self.options, repeat), self.options.stratified, first), len(first)

    def keep_contents(self, listed: Iterable[Sequence[Clip]]) -> None:
        """See :func:`tiktokactions.study.contents.keep_contents`. ``listed``: what is pre-trained on."""
        sides = {side: check_evaluation(self.evaluate_on, side) for side in ("train", "test")}
        keep_contents(self.folder, {**sides, "pool": [clip for clips in listed for clip in clips]})

    def trial(
        self,
        name: str,
        clips: Sequence[Clip] | None,
        largest: int,
        repeat: int,
        source: str = "",
        after: Trial | None = None,
        is_floor: bool = False,
    ) -> Trial:
        """A trial that pre-trains on these clips, which are listed in the study's folder; without any it starts from scratch.

        Args:
            largest: size of the study, see :func:`equal_epochs`.
            source: name of the source, in a comparison of sources.
            after: the trial of a smaller size with whose weights this one begins.
            is_floor: the clips are synthetic, and stand for a size of 0.
        """
        number = trial_seed(self.options, repeat)
        seed = {"seed": number}
        facts: Facts = {"size": 0 if is_floor else len(clips or ()), "repeat": repeat, "seed": number, "source": source}
        if clips is None:
            # From scratch there is no run to take the model's size from.
            shape = {k: v for k, v in self.pretrain.items() if k in SHAPE}
            return Trial(name, facts, None, {}, self.evaluate_on, {**shape, **self.finetune, **seed})
        listed = self.folder / "subsets" / f"{name}.csv"
        if not listed.exists():  # what a trial began with stays
            write_clips(listed, clips)
        epochs = equal_epochs(len(clips), largest, self.pretrain, self.options.equal)
        if after is not None:  # only as many steps as the smaller size has not made
            epochs = max(1, round(epochs * (1 - after.facts["size"] / len(clips))))
        before = {**self.pretrain, "epochs": epochs, **seed}
        facts["pretrain_epochs"] = epochs
        begin = None if after is None else self.folder / "trials" / after.name / "pretrained"
        return Trial(name, facts, listed, before, self.evaluate_on, {**self.finetune, **seed}, begin)


def pool_of(data: str) -> list[Clip]:
    """What may be pre-trained on: the train side of split data, else everything; or synthetic videos."""
    if (asked := asked_synthetic(data)) is not None:
        number, shown = asked
        return list(synthetic_clips(number, pool_of(shown) if shown else ()).clips)
    split = is_split(located(data)) if (located(data) / "dataset.json").is_file() else has_side(data, "train")
    clips = list(read_clips(data, side="train" if split else "all").clips)
    if any(clip.stored is not None for clip in clips):
        raise StudyError(f"{data}: subsets are lists of files on a disk; copy the dataset there and name that folder")
    return clips


def check_evaluation(data: str, wanted: Literal["train", "test"] = "test") -> tuple[Clip, ...]:
    """One side of the data that every trial is fine-tuned and tested on.

    Raises:
        StudyError: they have no train or no test side.
    """
    sides: tuple[Literal["train", "test"], ...] = ("train", "test")
    for side in sides:
        if not has_side(data, side):
            raise StudyError(
                f"`evaluate_on` {data}: has no {side} side; split it ('tiktokactions dataset split'), or give official splits"
            )
    return read_clips(data, side=wanted).clips


def keep_settings(study: Path, settings: Mapping[str, object], may_grow: Sequence[str]) -> None:
    """Write ``study.json``. An existing study must have the same settings, except for those that may grow.

    Raises:
        StudyError: the folder holds something else, or other settings.
    """
    path = study / "study.json"
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        now = json.loads(json.dumps(settings))
        changed = [k for k in sorted({*before, *now} - {*may_grow}) if before.get(k) != now.get(k)]
        if changed:
            told = ", ".join(f"{k} was {before.get(k)!r}, now {now.get(k)!r}" for k in changed)
            raise OtherStudyError(
                f"{study}: is a study with other settings ({told}); its results would not compare. Use another `output`"
            )
    elif holds_something(study):
        raise StudyError(f"{study}: not empty and not a study; choose a new folder")
    study.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


def trial_seed(options: StudyOptions, repeat: int) -> int:
    """One seed for all trials of a repeat: of the order of the videos, the weights and the training."""
    return options.seed * 1000 + repeat


def equal_epochs(size: int, largest: int, options: Mapping[str, object], equal: Equal) -> int:
    """Epochs of pre-training on ``size`` videos; with equal steps, enough for as many steps as the largest size takes."""
    recipe = checked_options(PretrainOptions, options)
    if equal == "epochs":
        return recipe.epochs
    batch = recipe.batch_size * recipe.accumulate
    return max(1, round(recipe.epochs * max(1, largest // batch) / max(1, size // batch)))
