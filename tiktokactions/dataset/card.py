"""The dataset card: a README.md with the header that the Hugging Face hub reads, from statistics and dataset.json."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable
from typing import Any

from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.figures import needs_names_figure
from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.dataset.statistics import NO_LABEL, STAGES, Bin, Share, Statistics
from tiktokactions.dataset.statistics_text import share
from tiktokactions.records import REASONS, STATUSES
from tiktokactions.text import markdown_table, printable

CARD_LABELS = 50
"""Labels listed by name; the others are counted."""

_HUB_SIZES = [(10**k, 10 ** (k + 1)) for k in range(3, 12)]
_UNITS = {10**3: "K", 10**6: "M", 10**9: "B", 10**12: "T"}

# What the hub's own list knows is named so; the rest are free words.
_TAGS = ("video", "human-action-recognition", "tiktokactions")

_PAPER = """```bibtex
@article{qian2024tiktokactions,
  title   = {TikTokActions: A TikTok-Derived Video Dataset for Human Action Recognition},
  author  = {Qian, Yang and Sun, Yinan and Kargarandehkordi, Ali and Mutlu, Onur Cezmi and Surabhi, Saimourya and
             Chen, Pingyi and Jabbar, Zain and Wall, Dennis Paul and Washington, Peter},
  journal = {arXiv preprint arXiv:2402.08875},
  year    = {2024}
}
```"""

_FIELDS = [
    ("video_id", "the source's own id, or the first 16 hex digits of the file's SHA-256"),
    ("labels", "hashtags as they came with the video"),
    ("human_labels", "labels that people gave; where there are any, they count instead of `labels`"),
    ("human_tags", "free tags that people gave"),
    ("status, reasons", "`accepted`, `needs_review` or `rejected`, and why"),
    ("clip_path", "the clip, relative to this folder; null where there is none"),
    ("clip_start_s, clip_end_s", "where the clip lies in the source video, in seconds"),
    ("clip_frames", "frames in the clip"),
    ("split", "train, val or test; null while the dataset is not split"),
    ("person_frames, sampled_frames", "sampled frames with a person in them, and how many were sampled"),
    ("scenes, longest_scene_s", "scenes found in the source, and the length of the longest, which the clip is from"),
    ("duration_s, fps, width, height", "of the source video, upright"),
    ("motion, static_share, border_share, brightness, sharpness, orientation", "quality scores"),
    (
        "sound, derived_from",
        "what tells which videos belong together: their sound, a longer video they were cut from",
    ),
    ("source_path, creator, category, copies, size_bytes, sha256", "where the source video came from"),
    ("detector, timings", "which person detector looked at it, and seconds spent per stage"),
    (
        "title, frame_scores, person_score",
        "as the source told it; the surest person of each sampled frame, and the score from which one counts",
    ),
]


def dataset_card(stats: Statistics, info: DatasetInfo) -> str:
    """The text of README.md. The same statistics and the same ``dataset.json`` give the same text."""
    sections = [
        _header(stats, info),
        _summary(stats, info),
        _composition(stats),
        _figures(stats),
        _labels(stats),
        _making(stats, info),
        _fields(),
        _limits(stats),
        _use_and_people(),
        _reproduction(info),
        "## Citation\n\nThe procedure is that of the paper below; its authors did not make this dataset.\n\n" + _PAPER,
    ]
    return "\n\n".join(sections) + "\n"


def size_category(clips: int) -> str:
    """The hub's class for a number of examples: ``n<1K``, ``1K<n<10K`` … ``n>1T``."""
    if clips < 1000:
        return "n<1K"
    for low, high in _HUB_SIZES:
        if clips < high:
            return f"{_short(low)}<n<{_short(high)}"
    return "n>1T"


def _short(n: int) -> str:
    unit = max(u for u in _UNITS if u <= n)
    return f"{n // unit}{_UNITS[unit]}"


def markdown(text: str) -> str:
    """Any text as one line of Markdown that shows it literally, in a heading or a table cell too."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|~$&" else c for c in printable(text))


def _code(text: str) -> str:
    """Text in the font of code; a backtick would end it, a bar would end the table cell."""
    return f"`{printable(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


# --- sections --------------------------------------------------------------------------------------------------------


def _header(stats: Statistics, info: DatasetInfo) -> str:
    lines = [
        f"pretty_name: {json.dumps(printable(info.name), ensure_ascii=False)}",
        "license: other",
        "task_categories:\n- video-classification",
        "tags:\n" + "\n".join(f"- {tag}" for tag in _TAGS),
        f"size_categories:\n- {size_category(stats.funnel.accepted)}",
        "configs:\n- config_name: default\n  data_files: manifest.parquet",
    ]
    return "\n".join(["---", *lines, "---"])


def _summary(stats: Statistics, info: DatasetInfo) -> str:
    per_label = stats.clips_per_label
    under = f" under {per_label.labels:,} labels" if per_label else ""
    return (
        f"# {markdown(info.name)}\n\n"
        f"{stats.funnel.accepted:,} clips of human action{under}, {stats.clip_hours:,.2f} hours, cut from"
        f" {stats.videos:,} videos by the program tiktokactions, which follows the paper cited at the end.\n\n"
        f"Version {info.version}, created {markdown(info.created)}."
    )


def _composition(stats: Statistics) -> str:
    rows = [[s.replace("_", " "), f"{stats.status[s]:,}", share(stats.status[s], stats.videos)] for s in STATUSES]
    parts = ["## Composition", _table(["Status", "Videos", "Share"], [*rows, ["all", f"{stats.videos:,}", ""]])]
    reasons = [[_code(code), f"{n:,}", REASONS.get(code, "")] for code, n in stats.reasons.items()]
    parts.append(_table(["Reason", "Videos", "Meaning"], reasons))
    facts = [
        ["Clips", f"{stats.funnel.accepted:,}"],
        ["Hours of clips", f"{stats.clip_hours:,.2f}"],
        ["Hours of source video", f"{stats.source_hours:,.2f}"],
        ["Creators of source videos", f"{stats.creators:,}"],
        ["Creators of clips", f"{stats.creators_accepted:,}"],
        *([f"Clips in split {markdown(name)}", f"{n:,}"] for name, n in stats.splits.items()),
    ]
    if per_label := stats.clips_per_label:
        facts += [
            ["Labels with clips", f"{per_label.labels:,}"],
            ["Clips per label, mean", f"{per_label.mean:,.1f}"],
            ["Clips per label, largest", f"{per_label.largest:,} ({markdown(per_label.largest_label)})"],
            ["Clips per label, smallest", f"{per_label.smallest:,} ({markdown(per_label.smallest_label)})"],
        ]
    parts.append(_table(["", "Value"], facts))
    parts.append(_bins("Clip duration", "Clips", stats.durations))
    for title, shares in [
        ("Short side of the source, pixels", stats.short_sides),
        ("Orientation of the source", stats.orientations),
        ("Frame rate of the source, rounded", stats.frame_rates),
    ]:
        parts.append(_shares(title, shares))
    return "\n\n".join(part for part in parts if part)


def _figures(stats: Statistics) -> str:
    pictures = ["funnel", "clips_per_label", "label_ranges", "durations", "sample_frames"]
    if stats.stages:
        pictures.append("timings")
    lines = [f"![{name.replace('_', ' ').capitalize()}](figures/{name}.svg)" for name in pictures]
    if needs_names_figure(stats):
        lines.insert(2, "All labels by name: [figures/clips_per_label_names.svg](figures/clips_per_label_names.svg)")
    return "\n\n".join(["## Figures", *lines])


def _labels(stats: Statistics) -> str:
    named = [f for f in stats.labels if f.label != NO_LABEL]
    if not named:
        return "## Labels\n\nNo video has a label."
    rows = [[markdown(f.label), *(f"{getattr(f, stage):,}" for stage in STAGES)] for f in named[:CARD_LABELS]]
    parts = ["## Labels", _table(["Label", *(stage.replace("_", " ") for stage in STAGES)], rows)]
    if rest := named[CARD_LABELS:]:
        clips = sum(f.accepted for f in rest)
        parts.append(f"And {len(rest):,} other labels with {clips:,} clips together; `stats.json` lists all of them.")
    people = f"a person in at least {stats.min_person_frames} of the sampled frames, or accepted by a person"
    people = people if stats.min_person_frames else "not required here"
    parts.append(f"A video with several labels counts under each. *People*: {people}.")
    return "\n\n".join(parts)


def _making(stats: Statistics, info: DatasetInfo) -> str:
    options, detector = info.options, info.detector
    if detector.name == "none":
        looked = "No person detector was run."
    else:
        score = options.get("person_score") or detector.default_score
        looked = (
            f"People are looked for in them with {_code(detector.name)} (SHA-256 of its weights"
            f" {_code(detector.sha256 or 'unknown')}); a box counts from score {score:g} on."
        )
    frames = options["min_person_frames"]
    steps = [
        f"Scenes are found with PySceneDetect's {_code(options['scenes'])} detector; the longest scene is kept.",
        f"{options['samples']} frames are sampled evenly from it. {looked}",
        f"Videos with a person in at least {frames} of these frames qualify; others wait for a person's judgement."
        if frames
        else "Videos qualify without a person in them.",
        f"Scenes shorter than {options['min_clip_s']:g} s are rejected; of those longer than"
        f" {options['max_clip_s']:g} s the part with the most motion in and around people is taken.",
        "Near-duplicates are kept." if options["keep_duplicates"] else "Of near-duplicates the best copy is kept.",
        "The clip is cut to the frame, opened again and checked.",
    ]
    numbered = "\n".join(f"{i}. {step}" for i, step in enumerate(steps, 1))
    counts = "; ".join(f"{_code(name)} {n:,}" for name, n in stats.detectors.items())
    parts = ["## How it was made", numbered]
    if counts:
        parts.append(f"Videos per detector: {counts}.")
    parts.append("### Settings\n\n" + _settings(options))
    versions = [[_code(name), markdown(version)] for name, version in sorted(info.versions.items())]
    parts.append("### Versions\n\n" + _table(["Package", "Version"], versions))
    return "\n\n".join(part for part in parts if part)


def _settings(options: dict[str, Any]) -> str:
    fields = {f.name: f for f in dataclasses.fields(CurateOptions)}
    rows = []
    for name, value in options.items():
        field = fields.get(name)
        if field is not None and field.metadata["group"] == "run":
            continue  # how fast it was made, not what came out
        text = json.dumps(value, ensure_ascii=False)
        rows.append([_code(name), _code(text), markdown(field.metadata["help"]) if field else ""])
    return _table(["Option", "Value", "Meaning"], rows)


def _fields() -> str:
    rows = [[", ".join(f"`{n}`" for n in names.split(", ")), meaning] for names, meaning in _FIELDS]
    return (
        "## Files and fields\n\n"
        "`clips/` holds the clips, `thumbs/` a poster and the sampled frames of each, `records/` one JSON file of"
        " evidence per video, `manifest.parquet` one row per video, rejected ones too:\n\n"
        + _table(["Column", "Meaning"], rows)
        + '\n\nThe clips to train on are the rows whose `status` is `"accepted"`.'
    )


def _limits(stats: Statistics) -> str:
    limits = [
        "A label is what somebody wrote under a video (or the folder it lay in), not what a trained person saw in it:"
        " `labels` are weak, only `human_labels` were checked.",
        "Whether people are in a clip was decided by a detector on a few frames. It misses people and sees some where"
        " there are none; the boxes with their scores are in the records.",
        "The longest scene need not be the one that shows the labelled action.",
        "Social video is not a sample of the world: which people, places and actions are in it follows from who posts"
        " and how the videos were chosen. This card does not measure that.",
    ]
    if stats.to_judge:
        limits.insert(0, f"{stats.to_judge:,} videos still wait for a person's judgement; their clips are proposals.")
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def _use_and_people() -> str:
    return """## Intended use

Research on human action recognition: pre-training video models without labels, and fine-tuning on labels after people \
have checked them. Not for identifying people, for judging them (by age, health, emotion, origin or the like), or for \
surveillance.

The terms of the platform and of the videos' owners apply to every clip; this folder grants no rights to them, hence \
`license: other`.

## Personal data and take-down

The clips show people, who may be recognisable, may be minors, and were not asked by this software. `source_path`, \
`creator`, `title` and the records may name accounts. Before sharing the dataset, decide what of this is needed, and \
write here whom to contact.

To take a video down, delete its source file, its clip (`clip_path`), `thumbs/<video_id>.*` and its record under \
`records/`, then run `tiktokactions curate` with `redecide`, which writes the manifest, the figures and this card \
anew. Ask everyone who has a copy to do the same."""


def _reproduction(info: DatasetInfo) -> str:
    return (
        "## How to reproduce\n\n"
        "With the same source videos and the versions above:\n\n"
        f"```bash\n{curate_command(info)}\n```"
    )


def curate_command(info: DatasetInfo) -> str:
    """The ``tiktokactions curate`` command with every setting that differs from the default, quoted for a shell."""
    defaults = {f.name: f.default for f in dataclasses.fields(CurateOptions) if f.metadata["group"] != "run"}
    options = dict(info.options)
    if options.get("detector") == "auto" and ":" not in info.detector.name:
        options["detector"] = info.detector.name  # 'auto' may find another one elsewhere
    words = ["tiktokactions", "curate", "VIDEOS", "-o", printable(info.name)]
    for name, default in defaults.items():
        value = options.get(name, default)
        flag = "--" + name.replace("_", "-")
        if isinstance(value, list):
            words += [word for item in value for word in (flag, str(item))]
        elif isinstance(default, bool):
            words += [flag] if value and value != default else []
        elif value != default:
            words += [flag, "source" if name == "short_side" and value is None else str(value)]
    return shlex.join(words)


# --- tables ----------------------------------------------------------------------------------------------------------


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table, or nothing where there are no rows. Cells are Markdown already."""
    rows = list(rows)
    return "\n".join(markdown_table([header, *rows])) if rows else ""


def _bins(title: str, unit: str, bins: tuple[Bin, ...]) -> str:
    total = sum(b.count for b in bins)
    return _table([title, unit, "Share"], [[b.name, f"{b.count:,}", share(b.count, total)] for b in bins])


def _shares(title: str, shares: tuple[Share, ...]) -> str:
    rows = [[markdown(s.name), f"{s.readable:,}", f"{s.accepted:,}"] for s in shares]
    return _table([title, "Readable videos", "Accepted"], rows)
