"""The page: every input's sections in the order of the data flow, in one HTML file that needs nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources

from tiktokactions import __version__
from tiktokactions.dataset.dataset import Dataset
from tiktokactions.files import Place, on_disk
from tiktokactions.reporting.blocks import Block, Picture, Previews, Section, Text
from tiktokactions.reporting.comparison import comparison_sections
from tiktokactions.reporting.dataset import dataset_sections
from tiktokactions.reporting.inputs import Input, in_order
from tiktokactions.reporting.judgements import judgement_sections
from tiktokactions.reporting.numbers import count
from tiktokactions.reporting.origins import collection_section, hashtag_section
from tiktokactions.reporting.project import project_section
from tiktokactions.reporting.runs import run_section
from tiktokactions.reporting.studies import extrapolation_section, study_sections
from tiktokactions.reporting.updates import updates_section

LARGEST = 9_500_000
"""Bytes of all pictures together. Those that do not fit are left out, and the page says so."""


@dataclass(frozen=True)
class Page:
    html: str
    sections: int
    left_out: int
    """Pictures for which there was no room."""


def make_page(
    paths: Sequence[Place], *, title: str, previews: int = 12, report: Callable[[str], None] = lambda line: None
) -> Page:
    """The whole report as HTML.

    Args:
        paths: folders made by this program, in any order.
        title: title of the page.
        previews: moving clips of each dataset.
        report: receives a line for each input.

    Raises:
        ReportError: a folder that this program did not make.
        ValueError, OSError: one of them is damaged.
    """
    import jinja2

    sections: list[Section] = []
    items = in_order(paths)
    for place, item in enumerate(items):
        report(f"{item.kind}: {item.path}")
        sections += _sections(item, previews)
        if item.kind == "run" and [later.kind for later in items[place + 1 :]].count("run") == 0:
            sections += comparison_sections([on_disk(run.path, "a run") for run in items if run.kind == "run"])
    sections, left_out = _within(sections, LARGEST)
    commands = [line for section in sections for line in section.commands]
    commands.append(shlex.join(["tiktokactions", "report", *(item.path.name for item in items), "--title", title]))
    named = [(f"s{number}", section) for number, section in enumerate(sections, start=1)]
    here = resources.files("tiktokactions.reporting")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    html = environment.from_string(here.joinpath("page.html").read_text(encoding="utf-8")).render(
        title=title,
        style=here.joinpath("page.css").read_text(encoding="utf-8"),
        sections=named,
        answers=[(anchor, section) for anchor, section in named if section.answer],
        appendix=[(anchor, section) for anchor, section in named if section.appendix],
        commands=list(dict.fromkeys(commands)),  # each once
        left_out=left_out,
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return Page(html, len(sections), left_out)


def _sections(item: Input, previews: int) -> list[Section]:
    match item.kind:
        case "hashtags":
            return [hashtag_section(item.path)]
        case "collection":
            return [collection_section(item.path)]
        case "dataset":
            data = Dataset(item.path)
            with data.reading():
                made, *clips = dataset_sections(data, previews)
                return [made, *judgement_sections(data), *clips]
        case "run":
            return [run_section(on_disk(item.path, "a run"))]
        case "study":
            return study_sections(item.path)
        case "extrapolation":
            return [extrapolation_section(item.path)]
        case "project":
            return [project_section(item.path)]
        case "updates":
            return [updates_section(item.path)]


def _within(sections: Sequence[Section], largest: int) -> tuple[list[Section], int]:
    """The same sections with pictures of at most ``largest`` bytes: figures are kept before moving clips."""
    blocks = [block for s in sections for block in s.blocks if isinstance(block, (Picture, Previews))]
    room, kept, left_out = largest, set[int](), 0
    for block in sorted(blocks, key=lambda block: isinstance(block, Previews)):
        if block.bytes <= room:
            kept.add(id(block))
            room -= block.bytes
        else:
            left_out += 1 if isinstance(block, Picture) else len(block.items)

    def fitting(block: Block) -> Block:
        if not isinstance(block, (Picture, Previews)) or id(block) in kept:
            return block
        what = block.alt if isinstance(block, Picture) else f"{len(block.items)} previews"
        return Text(f"Left out to keep the page under {count(largest / 1e6)} MB: {what}.")

    return [replace(s, blocks=tuple(fitting(block) for block in s.blocks)) for s in sections], left_out
