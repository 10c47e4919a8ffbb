"""The dataset card: a README.md with the header that the Hugging Face hub reads, from statistics and dataset.json.

``card_template.md`` holds what every card says.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable
from importlib.resources import files
from string import Template
from typing import Any

from tiktokactions.curation.options import CurateOptions
from tiktokactions.dataset.figures import needs_names_figure
from tiktokactions.dataset.info import DatasetInfo
from tiktokactions.dataset.publisher import Publisher
from tiktokactions.dataset.statistics import Statistics
from tiktokactions.dataset.statistics_text import bin_rows, share
from tiktokactions.dataset.tally import NO_LABEL, STAGES
from tiktokactions.files import Place
from tiktokactions.records import REASONS, STATUSES, WEAKER, JsonObject
from tiktokactions.text import markdown_table, printable

CARD_LABELS = 50
"""Labels listed by name; the others are counted."""


def dataset_card(stats: Statistics, info: DatasetInfo, publisher: Publisher | None = None, leaks: str = "") -> str:
    """The text of README.md. The same statistics and the same ``dataset.json`` give the same text."""
    per_label = stats.clips_per_label
    waiting = f"- {stats.to_judge:,} videos still wait for a person's judgement; their clips are proposals.\n"
    return Template(files(__package__).joinpath("card_template.md").read_text(encoding="utf-8")).substitute(
        pretty_name=json.dumps(printable(info.name), ensure_ascii=False),
        size_category=size_category(stats.funnel.accepted),
        name=markdown(info.name),
        clips=f"{stats.funnel.accepted:,}",
        under_labels=f" under {per_label.labels:,} labels" if per_label else "",
        hours=f"{stats.clip_hours:,.2f}",
        videos=f"{stats.videos:,}",
        version=info.version,
        created=markdown(info.created),
        composition=_composition(stats),
        figures=_figures(stats),
        labels=_labels(stats),
        making=making_section(stats, info) + (f"\n\n{leaks}" if leaks else ""),
        waiting=waiting if stats.to_judge else "",
        command=curate_command(info),
        publisher=_publisher(publisher or Publisher()),
    )


def size_category(clips: int) -> str:
    """The hub's class for a number of examples: ``n<1K``, ``1K<n<10K`` … ``n>1T``."""
    steps = [f"{n}{unit}" for unit in "KMB" for n in (1, 10, 100)] + ["1T"]
    step = max(0, len(str(clips)) - 3)
    if step == 0:
        return f"n<{steps[0]}"
    return f"{steps[step - 1]}<n<{steps[step]}" if step < len(steps) else f"n>{steps[-1]}"


def markdown(text: str) -> str:
    """Any text as one line of Markdown that shows it literally, in a heading or a table cell too."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|~$&" else c for c in printable(text))


def _code(text: str) -> str:
    """Text in the font of code; a backtick would end it, a bar would end the table cell."""
    return f"`{printable(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


# --- sections --------------------------------------------------------------------------------------------------------


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
        ["Clips with the platform's label for AI-generated content", f"{stats.ai_labelled_accepted:,}"],
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
    parts.append(_table(["Clip duration", "Clips", "Share"], bin_rows(stats.durations)))
    for title, shares in {
        "Short side of the source, pixels": stats.short_sides,
        "Orientation of the source": stats.orientations,
        "Frame rate of the source, rounded": stats.frame_rates,
    }.items():
        rows = [[markdown(s.name), f"{s.readable:,}", f"{s.accepted:,}"] for s in shares]
        parts.append(_table([title, "Readable videos", "Accepted"], rows))
    return "\n\n".join(part for part in parts if part)


def _figures(stats: Statistics) -> str:
    timings = ["timings"] if stats.stages else []
    pictures = ["funnel", "clips_per_label", "label_ranges", "durations", "sample_frames", *timings]
    pictures[2:2] = ["on_the_platform"] if stats.sampled else []
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
    people = f"a person in at least {stats.min_person_frames} of the clip's sampled frames, or accepted by a person"
    people = people if stats.min_person_frames else "not required here"
    parts.append(f"A video with several labels counts under each. *People*: {people}.")
    return "\n\n".join(parts)


def making_section(stats: Statistics, info: DatasetInfo) -> str:
    """How the clips came about: the steps, the settings, the versions."""
    options, detector = info.options, info.detector
    if detector.name == "none":
        looked = "No person detector was run."
    else:
        score = options.get("person_score") or detector.default_score
        looked = (
            f"People are looked for in them with {_code(detector.name)} (SHA-256 of its weights"
            f" {_code(detector.sha256 or 'unknown')}); a box counts from score {score:g} on."
        )
        if detector.name in WEAKER:
            looked += f" It is {WEAKER[detector.name]}."
    frames = options["min_person_frames"]
    steps = [
        f"Scenes are found with PySceneDetect's {_code(options['scenes'])} detector; the longest scene is kept.",
        f"{options['samples']} frames are sampled evenly from it, and as many from the clip that is cut of it. {looked}",
        f"Videos with a person in at least {frames} of the clip's frames qualify; others wait for a person's judgement."
        if frames
        else "Videos qualify without a person in them.",
        f"Scenes shorter than {options['min_clip_s']:g} s are rejected; of those longer than"
        f" {options['max_clip_s']:g} s the part with people and the most motion in and around them is taken.",
        "Near-duplicates are kept." if options["keep_duplicates"] else "Of near-duplicates the best copy is kept.",
        "The clip is cut to the frame, opened again and checked.",
    ]
    if stats.sampled:
        designs = "; ".join(f"{markdown(text)} ({n:,} clips)" for text, n in stats.designs.items())
        steps.insert(
            0,
            f"Videos were sampled: {designs}. The manifest has their `inclusion_probability`; by it the"
            f" {stats.sampled:,} clips stand for about {stats.represented:,.0f} videos of the platform.",
        )
    numbered = "\n".join(f"{i}. {step}" for i, step in enumerate(steps, 1))
    counts = "; ".join(f"{_code(name)} {n:,}" for name, n in stats.detectors.items())
    parts = ["## How it was made", numbered, *([f"Videos per detector: {counts}."] if counts else [])]
    versions = [[_code(name), markdown(version)] for name, version in sorted(info.versions.items())]
    parts += ["### Settings", _settings(options), "### Versions", _table(["Package", "Version"], versions)]
    return "\n\n".join(parts)


def leaks_section(dataset: Place) -> str:
    """What the certificate of the splits says; nothing where there is none."""
    path = dataset / "splits" / "certificate.json"
    if not path.is_file():
        return ""
    told = json.loads(path.read_text(encoding="utf-8"))
    text = (
        f"{told['compared']:,} of {told['clips']:,} clips were compared with each other. {told['found']:,} had a copy on"
        f" another side; {told['moved']:,} of these were put with their copies, {told['left']:,} were left."
    )
    if told["planted"]:
        text += f" Of {told['planted']:,} copies planted for the test {told['planted_found']:,} were found"
        most, longest = told["remaining_high"], told.get("remaining_high_s")
        seconds = "" if longest is None else f" ({told['remaining_low_s']:,.0f} to {longest:,.0f} seconds)"
        text += f" ({told['recall']:.0%})"
        text += (
            ""
            if most is None
            else f", so {told['remaining_low']:,} to {most:,} clips{seconds} may still have one (95 %)"
        )
        text += "."
    return f"## Leaks between the splits\n\n{text} See `certificate.json`."


def _publisher(publisher: Publisher) -> str:
    """What ``publisher.toml`` says; nothing where there is none."""
    titles = {"name": "Published by", "licence": "Licence", "contact": "Contact", "citation": "Citation"}
    rows = [[title, markdown(value)] for name, title in titles.items() if (value := getattr(publisher, name))]
    return f"## Publisher\n\n{_table(['', ''], rows)}\n\n" if rows else ""


def _settings(options: JsonObject) -> str:
    fields = {f.name: f for f in dataclasses.fields(CurateOptions)}
    rows = []
    for name, value in options.items():
        field = fields.get(name)
        if field is not None and field.metadata["group"] == "run":
            continue  # how fast it was made, not what came out
        text = json.dumps(value, ensure_ascii=False)
        rows.append([_code(name), _code(text), markdown(field.metadata["help"]) if field else ""])
    return _table(["Option", "Value", "Meaning"], rows)


def curate_command(info: DatasetInfo) -> str:
    """The ``tiktokactions curate`` command with every setting that differs from the default, quoted for a shell."""
    defaults: dict[str, Any] = {
        f.name: f.default for f in dataclasses.fields(CurateOptions) if f.metadata["group"] != "run"
    }
    options = dict(info.options)
    if options.get("detector") == "auto" and ":" not in info.detector.name:
        options["detector"] = info.detector.name  # 'auto' may find another one elsewhere
    words = ["tiktokactions", "curate", "VIDEOS", "-o", printable(info.name)]
    for name, default in defaults.items():
        value = options.get(name, default)
        flag = "--" + name.replace("_", "-")
        if isinstance(value, (list, tuple)):
            words += [] if list(value) == list(default) else [word for item in value for word in (flag, str(item))]
        elif isinstance(value, bool):
            words += [] if value == default else ["--" + ("" if value else "no-") + flag[2:]]
        elif value != default:
            words += [flag, "source" if name == "short_side" and value is None else str(value)]
    return shlex.join(words)


# --- tables ----------------------------------------------------------------------------------------------------------


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table, or nothing where there are no rows. Cells are Markdown already."""
    rows = list(rows)
    return "\n".join(markdown_table([header, *rows])) if rows else ""
