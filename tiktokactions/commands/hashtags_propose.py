"""Propose hashtags for the class names of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from tiktokactions.commands.options import AnyPath, Kept, Typed, nothing, on_disk
from tiktokactions.files import write_atomic
from tiktokactions.hashtags import principles, select


def hashtags_propose(
    sources: Annotated[Sequence[str], Typed("from", "LIST")] = ("ucf101", "hmdb51", "kinetics400"),
    output: AnyPath = "candidates.csv",
    *,
    knowledge: AnyPath | None = None,
    report: Kept = nothing,
) -> list[select.Candidate]:
    """Propose hashtags for the class names of datasets (paper, section 3.2).

    Args:
        sources: ucf101, hmdb51, kinetics400, something_something_v2, or files with one action a line.
        output: the CSV file to write.
        knowledge: your copy of ``knowledge.toml``: umbrellas, dances, challenges, synonyms.
        report: told of typing errors that were corrected, and of phrases in other languages, which are left out.

    Example:
        tiktokactions hashtags propose --from ucf101 hmdb51 kinetics400 -o candidates.csv
    """
    known = principles.read_knowledge(None if knowledge is None else on_disk(knowledge, "`knowledge`"))
    found = select.candidates_of(principles.propose(list(sources), known, report))
    write_atomic(on_disk(output, "a list of candidates"), select.write_candidates(found).encode())
    return found
