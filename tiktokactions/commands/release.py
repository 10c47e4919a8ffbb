"""Release a dataset for others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiktokactions.commands.dataset import Dataset
from tiktokactions.commands.options import AnyPath, on_disk
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
    terms: str | None = None,
    push: str | None = None,
    private: bool = False,
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
        publisher: who publishes it. This, the next three and ``terms`` are kept in ``publisher.toml`` and asked for once.
        licence: the licence, as an SPDX name or in your own words.
        contact: whom people in the videos may write to.
        citation: how to cite the dataset.
        gated: on the hub, people see the files only after they agreed to the terms on the card and you let them in.
        terms: these terms instead of the usual ones, for this and every later gated release.
        push: then upload it to this data set on the Hugging Face hub, ``user/name``; killed, the same command goes on. Sign
            in with 'hf auth login', or set ``HF_TOKEN``.
        private: on the hub, only you see it.

    Raises:
        UsageError: not a dataset, a damaged clip, publisher's facts that nobody has given, a place that holds something
            else, or a hub that refuses.
        StoreError: the hub does not answer.

    Example:
        tiktokactions release data/ -o public/ --publisher "A lab" --licence CC-BY-NC-4.0 --contact lab@example.org
        tiktokactions release data/ -o public/ --gated --push a-lab/actions
    """
    from tiktokactions.files import disk_errors, located, may_be_refused
    from tiktokactions.releases import hub
    from tiktokactions.releases.card import GATED
    from tiktokactions.releases.release import remember_push, write_release
    from tiktokactions.releases.rows import Export

    if private and push is None:
        raise UsageError("`private` is about a data set on the hub: say which one with `push`")
    if push is not None:
        hub.check_push(push)
    out = located(output) if push is None else on_disk(output, "a release that is pushed")
    data = Dataset(dataset)
    facts = {"name": publisher, "licence": licence, "contact": contact, "citation": citation, "terms": terms}
    gated = gated or terms is not None
    with data.reading(), disk_errors():
        who = _publisher(data, {name: said for name, said in facts.items() if said is not None})
        export = Export(data, tuple(sides), tuple(labels))
        done = write_release(export, out, who, gated=(who.terms or GATED) if gated else "", has_clips=not ids_only)
        if push is None:
            return done
        with may_be_refused(f"{data.folder}: cannot be written to, so no take-down will name {push}"):
            remember_push(data.folder, out, push)
        pushed = hub.push_release(Path(str(out)), push, private=private, gated=gated)
    left = f"{pushed.removed:,} files of before are gone from {push}, but not from its earlier commits: {hub.FORGET}"
    return replace(done, pushed=pushed.url, notes=(*done.notes, *([left] if pushed.removed else [])))


def _publisher(data: Dataset, said: dict[str, str]) -> Publisher:
    """What is known of the publisher; on a terminal the rest is asked for, elsewhere there is a file to fill in."""
    from tiktokactions.dataset.publisher import PUBLISHER, keep_publisher, read_publisher
    from tiktokactions.files import may_be_refused

    folder = data.parent.folder
    known = replace(read_publisher(folder), **said)
    if known.missing and sys.stdin.isatty() and sys.stderr.isatty():
        # Written when all is said: whoever interrupts this has said nothing.
        for name in (*known.missing, *(["citation"] if not known.citation else [])):
            print(known.question(name), end=" ", file=sys.stderr, flush=True)
            said[name] = sys.stdin.readline().strip()
    known = replace(known, **said)
    with may_be_refused(f"{folder / PUBLISHER}: not written, so the next release asks again"):
        known = keep_publisher(folder, said)
    if known.missing:
        options = {"name": "`publisher`", "licence": "`licence`", "contact": "`contact`"}
        raise UsageError(
            f"{folder / PUBLISHER}: {', '.join(known.missing)}: nobody has said it, and a release tells it; fill it in there,"
            f" or give {', '.join(options[name] for name in known.missing)}"
        )
    return known
