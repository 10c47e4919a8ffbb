"""The sections about a dataset: the funnel from raw videos to clips, all figures, sample clips, quality, settings."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import itertools
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.card import curate_command
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.dataset.figures import FIGURES, draw_figures
from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.dataset.manifest import labels_of
from tiktokactions.dataset.statistics import NO_LABEL, Statistics, dataset_statistics, labels_of_rows
from tiktokactions.files import poster_path, strip_path
from tiktokactions.records import REASONS, JsonObject, to_builtins
from tiktokactions.reporting.blocks import Block, Commands, Picture, Preview, Previews, Section, Text, facts, table
from tiktokactions.reporting.numbers import count, hours, share
from tiktokactions.reporting.pictures import figure, preview, smaller, strip
from tiktokactions.reporting.quality import draw_quality

CAPTIONS = {
    "funnel": "How many videos reached each stage, overall and per label.",
    "clips_per_label": "Accepted clips per label (paper, Figure 6).",
    "clips_per_label_names": "Every label with its clips.",
    "label_ranges": "Labels by their number of clips (paper, Figure 7).",
    "durations": "Durations of the clips, with the bins of the paper's Table 6.",
    "timings": "Seconds per video and stage of curation.",
    "sample_frames": "Sample frames (paper, Figure 5).",
}
FIRST = ("funnel", "clips_per_label", "label_ranges", "durations")
PICTURE_WIDTH = 1100
MOST_LABELS = 200


def dataset_sections(data: Dataset, previews: int) -> list[Section]:
    """What a dataset holds, its clips, their quality, how it was made.

    Raises:
        ValueError, FileNotFoundError: the dataset is damaged or has no manifest; the message says what to do.
    """
    info = data.info
    stats = dataset_statistics(data.manifest, data.options.min_person_frames)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = _figures(data, stats, Path(scratch))
        quality = _quality(data, Path(scratch))
    parts: list[tuple[str, list[Block]]] = [
        ("From raw videos to clips", [*_overview(stats, data.going_on), *drawn[:1], *_reasons(stats)]),
        ("What the clips are", [*drawn[1:], *_labels(stats), *_splits(stats)]),
        ("Sample clips", _samples(data, previews)),
        ("Quality", quality),
        ("How the dataset was made", _made(info)),
    ]
    return [Section(title, tuple(blocks), data.folder.name) for title, blocks in parts if blocks]


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


def _labels(stats: Statistics) -> list[Block]:
    head = ("label", "seen", "long enough", "with people", "accepted", "to review", "rejected")
    rows = [
        (f.label, *map(count, (f.seen, f.long_enough, f.people, f.accepted, f.needs_review, f.rejected)))
        for f in stats.labels[:MOST_LABELS]
    ]
    more = f", the first {MOST_LABELS} of {len(stats.labels):,}" if len(stats.labels) > MOST_LABELS else ""
    return table(f"Every label{more}", head, rows, folded=True)


def _splits(stats: Statistics) -> list[Block]:
    accepted = stats.funnel.accepted
    rows = [(name, count(number), share(number, accepted)) for name, number in stats.splits.items()]
    return table("Sides for training and testing", ("side", "clips", "share"), rows)


def _figures(data: Dataset, stats: Statistics, scratch: Path) -> list[Picture]:
    draw_figures(data.folder, stats, scratch, data.manifest)
    names = [*FIRST, *(name for name in FIGURES if name not in FIRST)]
    return [smaller(p, PICTURE_WIDTH) for n in names for p in figure(scratch / n, CAPTIONS[n], CAPTIONS[n])]


def _quality(data: Dataset, scratch: Path) -> list[Block]:
    if not draw_quality(data, scratch / "quality"):
        return []
    told = "Motion, sharpness, brightness, still frames and flat borders of accepted and of all other readable videos."
    return [*figure(scratch / "quality", told, told)]


# --- clips that move -------------------------------------------------------------------------------------------------


def _samples(data: Dataset, wanted: int) -> list[Block]:
    """Accepted clips, spread over the labels, the same ones every time; and strips of some that wait for a person."""
    moving: list[Preview] = []
    for row in _chosen(data, "accepted", wanted):
        clip, poster = data.file(row["clip_path"]), poster_path(data.folder, row["video_id"])
        moving += preview(clip, poster, _caption(row))
    doubtful: list[Preview] = []
    for row in _chosen(data, "needs_review", min(4, wanted)):
        seen = f"{_caption(row)}: a person in {row['person_frames']} of {row['sampled_frames']} frames"
        doubtful += strip(strip_path(data.folder, row["video_id"]), seen)
    told = (
        (moving, "Accepted clips, the first seconds of each, spread over the labels."),
        (doubtful, "The ten sampled frames of videos that wait for a person."),
    )
    return [Previews(tuple(shown), caption) for shown, caption in told if shown]


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


def _made(info: DatasetInfo) -> list[Block]:
    options = [option for option in dataclasses.fields(CurateOptions) if option.metadata["group"] != "run"]
    settings = [(o.name, json.dumps(info.options.get(o.name, to_builtins(o.default)))) for o in options]
    weights = [("person detector", info.detector.name), ("its weights", info.detector.sha256)]
    versions = [*info.versions.items(), *weights]
    return [
        Text(f"Version {info.version}, made {info.created}, last changed {info.updated}."),
        *table("Settings", ("option", "value"), settings, folded=True),
        *table("Versions", ("what", "version"), versions, folded=True),
        Commands((curate_command(info), f"tiktokactions dataset stats {info.name}")),
    ]
