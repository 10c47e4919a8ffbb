"""Release a dataset for others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath
from tiktokactions.errors import UsageError

if TYPE_CHECKING:
    from tiktokactions.dataset.publisher import Publisher
    from tiktokactions.releases.release import Released


def release(
    dataset: AnyPath,
    output: AnyPath,
    *,
    sides: Sequence[str] = (),
    labels: Sequence[str] = (),
    ids_only: bool = False,
    publisher: str | None = None,
    licence: str | None = None,
    contact: str | None = None,
    citation: str | None = None,
    gated: bool = False,
) -> Released:
    """Release a dataset: clips, manifest, card, Croissant, checksums, leak certificate and take-down list in one folder.

    ``datasets.load_dataset`` opens the folder, and the hub's viewer shows it. Killed, the same command goes on. A take-down
    reaches the folder as long as it stays there.

    Args:
        dataset: a folder made by 'curate'.
        output: a new folder or prefix of a store, or that of an earlier release of this dataset, which is brought up to date.
        sides: only clips on these sides, for example train val.
        labels: only clips with one of these labels.
        ids_only: no clips, only the list of ids and seconds, from which 'dataset hydrate' makes the dataset again.
        publisher: who publishes it. This and the next three are kept in ``publisher.toml`` and asked for once.
        licence: the licence, as an SPDX name or in your own words.
        contact: whom people in the videos may write to.
        citation: how to cite the dataset.
        gated: on the hub, people see the files only after they agreed to the terms on the card and you let them in.

    Raises:
        UsageError: not a dataset, a damaged clip, publisher's facts that nobody has given, or a place that holds something
            else.

    Example:
        tiktokactions release data/ -o public/ --publisher "A lab" --licence CC-BY-NC-4.0 --contact lab@example.org
    """
    from tiktokactions.files import disk_errors, located
    from tiktokactions.releases.card import GATED
    from tiktokactions.releases.release import write_release
    from tiktokactions.releases.rows import Export

    out = located(output)
    data = Dataset(dataset)
    facts = {"name": publisher, "licence": licence, "contact": contact, "citation": citation}
    with data.reading(), disk_errors():
        who = _publisher(data, {name: said for name, said in facts.items() if said is not None})
        export = Export(data, tuple(sides), tuple(labels))
        return write_release(export, out, who, gated=GATED if gated else "", has_clips=not ids_only)


def _publisher(data: Dataset, said: dict[str, str]) -> Publisher:
    """What is known of the publisher; on a terminal the rest is asked for, elsewhere there is a file to fill in."""
    from tiktokactions.dataset.publisher import PUBLISHER, keep_publisher

    folder = data.parent.folder
    known = keep_publisher(folder, said)
    if known.missing and sys.stdin.isatty() and sys.stderr.isatty():
        asked = [*known.missing, *(["citation"] if not known.citation else [])]
        for name in asked:
            print(known.question(name), end=" ", file=sys.stderr, flush=True)
            said[name] = sys.stdin.readline().strip()
        known = keep_publisher(folder, said)
    if known.missing:
        options = {"name": "`publisher`", "licence": "`licence`", "contact": "`contact`"}
        raise UsageError(
            f"{folder / PUBLISHER}: {', '.join(known.missing)}: nobody has said it, and a release tells it; fill it in there,"
            f" or give {', '.join(options[name] for name in known.missing)}"
        )
    return known
