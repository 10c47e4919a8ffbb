"""The card of a release: ``README.md`` about the clips in this very folder, with pictures drawn of them, and Croissant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.resources import files
from string import Template

from tiktokactions import plots
from tiktokactions.dataset.card import leaks_section, making_section, markdown, size_category
from tiktokactions.dataset.figures import clips_per_label, durations, sample_frames, sample_posters
from tiktokactions.dataset.publisher import Publisher
from tiktokactions.dataset.statistics import Statistics, statistics_of
from tiktokactions.dataset.statistics_text import bin_rows
from tiktokactions.dataset.tally import COLUMNS, NO_LABEL
from tiktokactions.files import AnyPlace, write_atomic
from tiktokactions.releases.clip_folders import split_of
from tiktokactions.releases.croissant import release_croissant
from tiktokactions.releases.rows import UNSPLIT, Export
from tiktokactions.text import markdown_table

CARD_LABELS = 50
SPDX = frozenset(
    "apache-2.0 mit bsd-3-clause cc0-1.0 cc-by-4.0 cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-sa-4.0 cc-by-nc-nd-4.0"
    " odc-by odbl pddl".split()
)
"""Licences that the hub knows by these names; others are told as "other" with their own name."""
NO_LICENCE = "not said; the terms of the platform and of the videos' owners apply to every clip"
GATED = (
    "The clips show people who were not asked. Whoever takes them agrees not to identify anybody in them, not to pass"
    " them on, to leave out what is listed in `removed.csv`, and to delete what is added there."
)


def write_card(
    export: Export,
    out: AnyPlace,
    publisher: Publisher,
    *,
    notes: Iterable[str] = (),
    gated: str = "",
    has_clips: bool = True,
) -> list[AnyPlace]:
    """``figures/*.png``, ``README.md`` and ``croissant.json``.

    Args:
        notes: what else lies in the folder, one line of Markdown each.
        gated: the text that people agree to on the hub before they see the files.
        has_clips: False where only the list of ids is released.
    """
    stats = statistics_of(export.batches(COLUMNS), export.dataset.options.min_person_frames)
    pictures = _draw(export, stats, out, has_clips)
    text = _text(export, stats, publisher, [path.name for path in pictures], list(notes), gated, has_clips)
    write_atomic(out / "README.md", text.encode("utf-8", "surrogatepass"))
    told = release_croissant(export, out, stats, publisher, has_clips)
    write_atomic(out / "croissant.json", (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())
    return [*pictures, out / "README.md", out / "croissant.json"]


@plots.style()
def _draw(export: Export, stats: Statistics, out: AnyPlace, has_clips: bool) -> list[AnyPlace]:
    """Of the clips in the folder. Sample frames only where all clips of the dataset are there."""
    figures = {"clips_per_label": clips_per_label(stats), "durations": durations(stats)}
    if has_clips and not (export.sides or export.labels):
        posters = sample_posters(export.dataset.folder, stats, export.dataset.manifest)
        figures |= {"sample_frames": sample_frames(posters)} if posters else {}
    folder = out / "figures"
    return [path for name, figure in figures.items() for path in plots.save_figure(figure, folder / name, (".png",))]


def _text(
    export: Export,
    stats: Statistics,
    publisher: Publisher,
    pictures: list[str],
    notes: list[str],
    gated: str,
    has_clips: bool,
) -> str:
    name = export.dataset.name
    leaks = leaks_section(export.dataset.folder) if set(export.counts) != {UNSPLIT} and has_clips else ""
    rows = [[markdown(split_of(side)), f"{count:,}"] for side, count in export.counts.items()]
    labels = [[markdown(f.label), f"{f.accepted:,}"] for f in stats.labels if f.label != NO_LABEL]
    more = len(labels) - CARD_LABELS
    rest = f"And {more:,} more labels; `manifest.parquet` has them all." if more > 0 else ""
    table = _table(["Label", "Clips"], labels[:CARD_LABELS])
    choices = (("sides", export.sides), ("labels", export.labels))
    chosen = [f"{word} {', '.join(map(markdown, some))}" for word, some in choices if some]
    template = files(__package__).joinpath("card_template.md").read_text(encoding="utf-8")
    return Template(template).substitute(
        header=_header(export, stats, publisher, gated, has_clips),
        name=markdown(name),
        clips=f"{stats.funnel.accepted:,}",
        hours=f"{stats.clip_hours:,.2f}",
        version=export.dataset.version,
        chosen=f" Only {' and '.join(chosen)} of it." if chosen else "",
        sides=_table(["Split", "Clips"], rows),
        durations=_table(["Clip duration", "Clips", "Share"], bin_rows(stats.durations)),
        figures="\n\n".join(f"![{_title(picture)}](figures/{picture})" for picture in pictures),
        labels=f"{table}\n\n{rest}".strip() or "No clip has a label.",
        files=_files(has_clips, notes),
        loading=_LOADING if has_clips else _HYDRATING,
        making="\n\n".join(filter(None, [making_section(stats, export.dataset.info), leaks])),
        publisher=markdown(publisher.name) or "not said",
        licence=markdown(publisher.licence) or NO_LICENCE,
        contact=markdown(publisher.contact) or "not said",
        citation=f"{markdown(publisher.citation)}\n\n" if publisher.citation else "",
    )


def _header(export: Export, stats: Statistics, publisher: Publisher, gated: str, has_clips: bool) -> str:
    """The YAML that the hub reads. A text in JSON's quotes is one in YAML's."""
    licence = publisher.licence.strip().lower()
    lines = [f"pretty_name: {_quoted(export.dataset.name)}", f"license: {licence if licence in SPDX else 'other'}"]
    if licence and licence not in SPDX:
        lines.append(f"license_name: {_quoted(re.sub(r'[^a-z0-9.]+', '-', licence).strip('-') or 'own')}")
    lines += ["task_categories:", "- video-classification", "tags:", "- video", "- human-action-recognition"]
    lines += ["- tiktokactions", "size_categories:", f"- {size_category(stats.funnel.accepted)}"]
    if gated:
        lines += [f"extra_gated_prompt: {_quoted(gated)}", "extra_gated_fields:"]
        lines += [f"  {_quoted(name.strip())}: text" for name in publisher.asked.split(",") if name.strip()]
        lines += ["  I agree to these terms: checkbox"]
    splits = {split_of(side): None for side in export.counts} if has_clips else {}
    if splits:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        lines += [line for split in splits for line in (f"  - split: {split}", f"    path: data/{split}/**")]
    elif export.counts:
        lines += ["configs:", "- config_name: default", "  data_files: ids.csv"]
    return "\n".join(lines)


def _files(has_clips: bool, notes: list[str]) -> str:
    rows = ["- `croissant.json`: the same for machines"]
    if has_clips:
        rows = [
            "- `data/<split>/`: the clips, H.264 in MP4; `metadata.parquet` beside them is for the loader",
            "- `manifest.parquet`: a row per clip: path, SHA-256, labels, split, seconds in the source video, evidence",
            *rows,
        ]
    return "\n".join([*rows, *(f"- {note}" for note in notes)])


_LOADING = """```python
import datasets

clips = datasets.load_dataset("FOLDER_OR_NAME_ON_THE_HUB", streaming=True)
```"""
_HYDRATING = """Here are no clips, only which seconds of which videos they are. Whoever has the videos makes the
clips of them with `tiktokactions dataset hydrate` and `ids.csv`."""


def _quoted(text: str) -> str:
    return json.dumps(text)


def _title(picture: str) -> str:
    return picture.partition(".")[0].replace("_", " ").capitalize()


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(markdown_table([header, *rows])) if rows else ""
