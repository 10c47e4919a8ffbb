"""The sections about a dataset: the funnel from raw videos to clips, all figures, sample clips, quality, settings."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import itertools
import json
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.card import curate_command
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.figures import save_sample_frames
from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.dataset.manifest import labels_of
from tiktokactions.dataset.statistics import Statistics, dataset_statistics
from tiktokactions.dataset.tally import NO_LABEL, STAGES, labels_of_rows
from tiktokactions.files import Place, poster_path, strip_path
from tiktokactions.intervals import wilson_interval
from tiktokactions.records import REASONS, JsonObject, to_builtins
from tiktokactions.reporting.blocks import Block, Picture, Preview, Previews, Section, Text, bars, counted, facts, table
from tiktokactions.reporting.numbers import count, hours, percent, share
from tiktokactions.reporting.pictures import figure, preview, smaller, strip
from tiktokactions.reporting.quality import draw_quality
from tiktokactions.splits.options import DEFAULTS as SPLIT_DEFAULTS

PICTURE_WIDTH = 1100
MOST_LABELS, MOST_BARS = 200, 40
ACCEPTED, TO_REVIEW = "accepted", "to review"
"""Stages that are shown by samples."""


def dataset_sections(data: Dataset, previews: int) -> list[Section]:
    """What a dataset holds, its clips, their quality, how it was made.

    Raises:
        ValueError, FileNotFoundError: the dataset is damaged or has no manifest; the message says what to do.
    """
    info, about = data.info, data.folder.name
    stats = dataset_statistics(data.manifest, data.options.min_person_frames)
    with tempfile.TemporaryDirectory() as scratch:
        quality = _quality(data, Path(scratch))
        frames = _sample_frames(data, stats, Path(scratch))
    shown, anchors = _samples(data, previews)
    labelled = sum(f.accepted > 0 and f.label != NO_LABEL for f in stats.labels)
    low, high = wilson_interval(stats.accepted, stats.videos)
    answer = (
        f"{count(stats.videos)} videos became {count(stats.accepted)} clips of {count(labelled)} labels"
        f" ({share(stats.accepted, stats.videos)}; of more such videos {percent(low)} to {percent(high)}, 95 % interval),"
        f" {hours(stats.clip_hours)} in all; {count(stats.to_judge)} wait for a person."
    )
    return [
        Section(
            "From raw videos to clips",
            (*_overview(stats, data.going_on), *_funnel(stats, anchors), *_reasons(stats)),
            about,
            answer,
            (curate_command(replace(info, name=about)),),
            _settings(info),
        ),
        Section(
            "What the clips are",
            (*_clips(stats, anchors), *frames),
            about,
            commands=_split_commands(data.folder),
        ),
        *([Section("Sample clips", tuple(shown), about)] if shown else []),
        *([Section("Quality", tuple(quality), about)] if quality else []),
    ]


def _split_commands(folder: Place) -> tuple[str, ...]:
    """The command that gave the clips of a dataset their sides; none where they have none."""
    try:
        given = json.loads((folder / "splits" / "report.json").read_text(encoding="utf-8"))["options"]
    except (OSError, ValueError, KeyError):
        return ()
    options = [
        (name, value) for name, value in given.items() if value is not None and value != SPLIT_DEFAULTS.get(name)
    ]
    words = [word for name, value in options for word in (f"--{name}", str(value))]
    return (shlex.join(["tiktokactions", "dataset", "split", folder.name, *words]),)


def _overview(stats: Statistics, going_on: str) -> list[Block]:
    funnel = stats.funnel
    blocks: list[Block] = [
        facts(
            (count(stats.videos), "videos"),
            (count(funnel.accepted), f"clips accepted ({share(funnel.accepted, stats.videos)})"),
            (count(stats.to_judge), "wait for a person"),
            (count(stats.status["rejected"]), "rejected, each with a reason"),
            (hours(stats.clip_hours), "of clips"),
            (count(stats.creators_accepted), "creators"),
        )
    ]
    if going_on:
        blocks.append(Text(f"This is the last settled version of the dataset: {going_on}.", "warning"))
    return blocks


def _reasons(stats: Statistics) -> list[Block]:
    rows = [
        (code, count(number), share(number, stats.videos), REASONS.get(code, ""))
        for code, number in sorted(stats.reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    return table("Why videos were accepted, rejected or sent to review", ("reason", "videos", "share", "meaning"), rows)


def _funnel(stats: Statistics, anchors: Mapping[str, str]) -> list[Block]:
    funnel, required = stats.funnel, stats.min_person_frames
    people = f"people in {required} or more frames" if required else "people (not required)"
    names = ("seen", "readable", "long enough", people, ACCEPTED, TO_REVIEW)
    counts = [getattr(funnel, stage) for stage in STAGES]
    told = "How many videos reached each stage. Bars lead to sample clips."
    return bars(told, counted(zip(names, counts, strict=True), stats.videos, anchors))


def _clips(stats: Statistics, anchors: Mapping[str, str]) -> list[Block]:
    # The paper's ranges say nothing where all labels are in the first.
    ranges = stats.paper_ranges if any(b.count for b in stats.paper_ranges[1:]) else stats.fitted_ranges
    per_label = [(f.label, f.accepted) for f in stats.labels if f.accepted][:MOST_BARS]
    some = f", the first {MOST_BARS} of {len(stats.labels):,} labels" if len(stats.labels) > MOST_BARS else ""
    head = ("label", "seen", "long enough", "with people", "accepted", "to review", "rejected")
    rows = [
        (f.label, *map(count, (f.seen, f.long_enough, f.people, f.accepted, f.needs_review, f.rejected)))
        for f in stats.labels[:MOST_LABELS]
    ]
    more = f", the first {MOST_LABELS} of {len(stats.labels):,}" if len(stats.labels) > MOST_LABELS else ""
    return [
        *bars(f"Clips per label (paper, Figure 6){some}. Bars lead to a clip.", counted(per_label, anchors=anchors)),
        *bars("Labels by their number of clips (paper, Figure 7)", counted((b.name, b.count) for b in ranges)),
        *bars(
            "Durations of the clips (paper, Table 6)",
            counted(((b.name, b.count) for b in stats.durations), stats.accepted),
        ),
        *bars("Sides for training and testing", counted(stats.splits.items(), stats.accepted)),
        *table(f"Every label{more}", head, rows, folded=True),
    ]


def _sample_frames(data: Dataset, stats: Statistics, scratch: Path) -> list[Picture]:
    save_sample_frames(data.folder, stats, scratch / "frames", data.manifest)
    told = "Sample frames (paper, Figure 5)."
    return [smaller(picture, PICTURE_WIDTH) for picture in figure(scratch / "frames", told, told)]


def _quality(data: Dataset, scratch: Path) -> list[Block]:
    if not draw_quality(data, scratch / "quality"):
        return []
    told = "Motion, sharpness, brightness, still frames and flat borders of accepted and of all other readable videos."
    return [replace(picture, narrow=True) for picture in figure(scratch / "quality", told, told)]


# --- clips that move -------------------------------------------------------------------------------------------------


def _samples(data: Dataset, wanted: int) -> tuple[list[Previews], dict[str, str]]:
    """Accepted clips, spread over the labels, the same ones every time; and strips of some that wait for a person. And the
    place on the page of each label and stage that is shown."""
    places: dict[str, str] = {}

    def anchors(*names: str) -> tuple[str, ...]:
        new = [name for name in names if name not in places]
        for name in new:
            said = f"{data.folder.resolve()} {name}".encode("utf-8", "replace")
            places[name] = f"s-{hashlib.sha256(said).hexdigest()[:10]}"
        return tuple(places[name] for name in new)

    moving: list[Preview] = []
    for row in _chosen(data, "accepted", wanted):
        clip, poster = data.file(row["clip_path"]), poster_path(data.folder, row["video_id"])
        found = preview(clip, poster, _caption(row))
        moving += [replace(item, anchors=anchors(ACCEPTED, *(labels_of(row) or [NO_LABEL]))) for item in found]
    doubtful: list[Preview] = []
    for row in _chosen(data, "needs_review", min(4, wanted)):
        seen = f"{_caption(row)}: a person in {row['person_frames']} of {row['sampled_frames']} frames"
        found = strip(strip_path(data.folder, row["video_id"]), seen)
        doubtful += [replace(item, anchors=anchors(TO_REVIEW)) for item in found]
    told = (
        (moving, "Accepted clips, the first seconds of each, spread over the labels."),
        (doubtful, "The ten sampled frames of videos that wait for a person."),
    )
    return [Previews(tuple(shown), caption) for shown, caption in told if shown], places


def _caption(row: JsonObject) -> str:
    names = labels_of(row)
    return ", ".join(f"#{name}" for name in names[:3]) or "no label"


def _chosen(data: Dataset, status: str, wanted: int) -> list[JsonObject]:
    """At most ``wanted`` rows of the manifest with this status, one label after the other in turn; always the same rows."""
    if wanted < 1:
        return []
    columns = ["video_id", "status", "labels", "human_labels", "clip_path", "person_frames", "sampled_frames"]
    best: dict[str, list[tuple[str, str]]] = {}
    for batch in data.batches(columns):
        fitting = batch.filter(pc.and_(pc.equal(batch["status"], status), pc.is_valid(batch["clip_path"])))
        numbers, names = labels_of_rows(fitting)
        ids = fitting["video_id"].take(pa.array(numbers)).to_pylist()
        for video_id, label in zip(ids, names.to_pylist(), strict=True):
            ranked = (hashlib.sha256(video_id.encode()).hexdigest(), video_id)
            best[label] = heapq.nsmallest(wanted, [*best.get(label, []), ranked])
    labels = sorted(best, key=lambda label: (label == NO_LABEL, hashlib.sha256(label.encode()).hexdigest()))
    turns = itertools.zip_longest(*(best[label] for label in labels))
    picked = list(dict.fromkeys(ranked[1] for turn in turns for ranked in turn if ranked))[:wanted]
    rows: dict[str, JsonObject] = {}
    for batch in data.batches(columns):
        found = batch.filter(pc.is_in(batch["video_id"], value_set=pa.array(picked, pa.string())))
        rows |= {row["video_id"]: row for row in found.to_pylist()}
    return [rows[video_id] for video_id in picked]


# --- configuration ---------------------------------------------------------------------------------------------------


def _settings(info: DatasetInfo) -> tuple[Block, ...]:
    options = [option for option in dataclasses.fields(CurateOptions) if option.metadata["group"] != "run"]
    settings = [(o.name, json.dumps(info.options.get(o.name, to_builtins(o.default)))) for o in options]
    weights = [("person detector", info.detector.name), ("its weights", info.detector.sha256)]
    return (
        Text(f"Version {info.version}, made {info.created}, last changed {info.updated}."),
        *table("Settings", ("option", "value"), settings, folded=True),
        *table("Versions", ("what", "version"), [*info.versions.items(), *weights], folded=True),
    )
