"""Candidate hashtags for actions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiktokactions.commands.errors import on_disk

if TYPE_CHECKING:
    from tiktokactions.hashtags.select import Candidate


def hashtags_propose(
    sources: Sequence[str], output: str | os.PathLike[str], *, knowledge: str | os.PathLike[str] | None = None
) -> list[Candidate]:
    """Candidate hashtags for the class names of datasets or of files (paper, section 3.2), written as CSV to ``output``."""
    from tiktokactions.files import write_atomic
    from tiktokactions.hashtags import principles, select

    known = principles.read_knowledge(None if knowledge is None else on_disk(knowledge, "`knowledge`"))
    found = select.candidates_of(principles.propose(list(sources), known))
    write_atomic(on_disk(output, "a list of candidates"), select.write_candidates(found).encode())
    return found
