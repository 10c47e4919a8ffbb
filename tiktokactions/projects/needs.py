"""What a project needs: the lines of ``plan`` that its steps are about, and the GPU hours of each of its trainings."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tiktokactions.clips.read import read_clips
from tiktokactions.clips.synthetic import asked_synthetic
from tiktokactions.collection.options import CollectOptions
from tiktokactions.collection.plan import read_hashtags
from tiktokactions.curation.sources import Listing, list_videos
from tiktokactions.dataset.history import accepted_rows
from tiktokactions.errors import TiktokactionsError
from tiktokactions.files import located
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.projects.project import TOGETHER, Project, Step, is_there
from tiktokactions.study.options import PlanOptions, ScalingOptions
from tiktokactions.study.plan import Need, Needs, money, training
from tiktokactions.study.subsets import parse_sizes

LINES = {
    "collect run": ("API quota",),
    "download": ("download",),
    "curate": ("raw videos", "core-hours of curate", "accepted", "for review", "clips", "thumbnails", "records"),
    "review apply": ("review",),
}
"""Which lines of the plan a step is about."""


@dataclass(frozen=True)
class ProjectNeeds:
    """The plan of a project: each need with the step that has it, '' for those of all."""

    rows: tuple[tuple[str, Need], ...]
    base: Needs
    """Of the videos alone."""
    notes: tuple[str, ...]

    def as_needs(self) -> Needs:
        """As ``plan`` tells it."""
        named = (replace(need, name=f"{step}: {need.name}" if step else need.name) for step, need in self.rows)
        return replace(self.base, needs=tuple(named), notes=(*self.base.notes, *self.notes))


def videos_of(project: Project) -> tuple[int, str]:
    """How many raw videos there will be, and what that follows from."""
    for step in project.steps:
        if step.command == "collect run":
            per_hashtag = step.call.get("per_hashtag", CollectOptions().per_hashtag)
            if found := _hashtags(project, str(step.call["hashtags"])):
                return found * int(str(per_hashtag)), f"{found} hashtags × {per_hashtag} videos"
    for step in project.steps:
        if step.command == "curate":
            given = step.call["videos"]
            paths = [given] if isinstance(given, str) else list(given)  # type: ignore[call-overload]
            found = sum(1 for _ in list_videos([path for path in paths if is_there(path)], Listing(skip_missing=True)))
            if found:
                return found, f"{found} videos are there"
    videos = PlanOptions().videos
    return videos, f"nothing says how many videos there will be; {videos:,} is the paper's number, plan.videos another"


def _hashtags(project: Project, listed: str) -> int:
    if is_there(listed):
        return len(read_hashtags(Path(listed)))
    targets = (step.call.get("target") for step in project.steps if step.command == "hashtags select")
    return int(str(next(targets, None) or 0))


def needs_of_project(project: Project, base: Needs, options: PlanOptions, note: str = "") -> ProjectNeeds:
    """``base``: what ``plan`` says of the raw videos, for these ``options``."""
    by_name = {need.name: need for need in base.needs}
    accepted, on_cores = by_name.get("accepted"), next((name for name in by_name if name.startswith("curate on ")), "")
    rows: list[tuple[str, Need]] = []
    for step in project.steps:
        names = LINES.get("curate" if step.command == "curate" or "curate_into" in step.call else "", ())
        names = (*names, *LINES.get(step.command, ()), *([on_cores] if names and on_cores else []))
        rows += [(step.name, need) for name, need in by_name.items() if name in names]
        rows += [(step.name, need) for need in _trainings(project, step, options, accepted)]
    if "disk, all of it" in by_name:
        rows.append(("", by_name["disk, all of it"]))
    rows += [("", need) for need in money(options, [need for _, need in rows])]
    return ProjectNeeds(tuple(rows), base, (note,) if note else ())


def _trainings(project: Project, step: Step, options: PlanOptions, accepted: Need | None) -> list[Need]:
    call = step.call
    match step.command:
        case "pretrain":
            return [_pretraining(options, step, call, _clips(project, str(call["data"]), accepted))]
        case "finetune":
            return [_finetuning(options, step, call, _labelled(project, call, accepted))]
        case "study scaling" | "study sources":
            before, after = (_table(call.get(f"{name}_config")) for name in ("pretrain", "finetune"))
            repeats = int(str(call.get("repeats", ScalingOptions().repeats)))
            sources: Sequence[str] = call.get("sources", ())  # type: ignore[assignment]
            size = call.get("size") or (accepted and accepted.value)
            sizes: list[Any] = [size for source in sources if source != "scratch"]
            if "sizes" in call:
                told = call["sizes"]
                sizes = parse_sizes(list(map(str, told if isinstance(told, list) else [told])))
            tuned = [_finetuning(options, step, after)] * (len(sources) or len(sizes))
            sizes = [max(sizes) if n == 0 else n for n in sizes]  # 0: as many synthetic videos
            each = [*(_pretraining(options, step, before, n and round(n)) for n in sizes), *tuned]
            return [_together(each, repeats)]
    return []


def _pretraining(options: PlanOptions, step: Step, call: Mapping[str, Any], clips: int | None) -> Need:
    if clips is None:
        return Need("pre-training", None, "GPU-h", "unknown: needs the number of clips, plan.measure")
    recipe, gpus = PretrainOptions(), _processes(step) or options.gpus
    batch = call.get("batch_size", recipe.batch_size) * call.get("accumulate", 1) * gpus
    return training(replace(options, epochs=call.get("epochs", recipe.epochs), batch_size=batch, gpus=gpus), clips)


def _finetuning(options: PlanOptions, step: Step, call: Mapping[str, Any], clips: int | None = None) -> Need:
    clips = clips or options.finetune_videos
    if clips is None:
        return Need("fine-tuning", None, "GPU-h", "unknown: plan.finetune_videos says on how many videos")
    recipe, gpus = FinetuneOptions(), _processes(step) or options.gpus
    batch = call.get("batch_size", recipe.batch_size) * call.get("accumulate", 1) * gpus
    epochs = call.get("epochs", recipe.epochs)
    settings = replace(options, finetune_epochs=epochs, finetune_batch_size=batch, gpus=gpus)
    return training(settings, clips, "finetune_")


def _together(each: Sequence[Need], repeats: int) -> Need:
    known = [need.value for need in each if need.value is not None]
    if len(known) < len(each):
        why = next(need.arithmetic for need in each if need.value is None)
        return Need("trainings", None, "GPU-h", f"{len(each)} × {repeats} repeats; one of them: {why}")
    how = f"({' + '.join(f'{value:.3g}' for value in known)}) GPU-h × {repeats} repeats"
    return Need("trainings", repeats * sum(known), "GPU-h", how)


def _clips(project: Project, data: str, accepted: Need | None) -> int | None:
    """How many clips a pre-training sees: those that are there, those of a subset that will be made, else what is planned."""
    if (asked := asked_synthetic(data)) is not None:
        return asked[0]
    data = data.rstrip("/")
    place = located(data)
    if (place / "manifest.parquet").is_file():
        return sum(1 for _ in accepted_rows(place))
    made = [step for step in project.steps if step.output == data and step.command == "dataset subset"]
    if made and made[0].call.get("size"):
        return int(str(made[0].call["size"]))
    return None if accepted is None or accepted.value is None else round(accepted.value)


def _labelled(project: Project, call: Mapping[str, Any], accepted: Need | None) -> int | None:
    """How many clips a fine-tuning learns from, where the data are there or will be made; else the plan says it."""
    data = str(call["data"]).rstrip("/")
    if is_there(data):
        with contextlib.suppress(TiktokactionsError):
            return len(read_clips(data, side="train", media=call.get("media"), fold=call.get("fold", 1)).clips)
    return _clips(project, data, accepted) if data in project.made else None


def gpus_of(step: Step) -> int:
    """How many GPUs a step is at work on."""
    if step.command not in (*TOGETHER, "study scaling", "study sources"):
        return 0
    recipes = [step.call, *(_table(step.call.get(f"{name}_config")) for name in ("pretrain", "finetune"))]
    asked = {str(recipe["device"]) for recipe in recipes if "device" in recipe} or {"auto"}
    if asked == {"cpu"} or importlib.util.find_spec("torch") is None:
        return 0
    import torch

    return min(torch.cuda.device_count(), _processes(step) or int(str(step.call.get("jobs", 1))))


def _processes(step: Step) -> int:
    """How many torchrun starts; 0 where it does not start any or does not say."""
    found = {name: int(number) for name, number in re.findall(r"--(nproc-per-node|nnodes)[ =](\d+)", step.torchrun)}
    return found.get("nproc-per-node", 0) * found.get("nnodes", 1)


def _table(config: object) -> Mapping[str, Any]:
    if isinstance(config, str) and is_there(config):
        import tomllib

        return tomllib.loads(Path(config).read_text(encoding="utf-8"))
    return config if isinstance(config, Mapping) else {}
