"""What leaves a dataset: exports, subsets, and datasets made again from their released ids."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktokactions.commands.datasets import open_dataset
from tiktokactions.commands.errors import disk_errors, on_disk, usage_errors
from tiktokactions.dataset.tables import up_to_date_manifest, write_card, write_statistics
from tiktokactions.errors import UsageError
from tiktokactions.model.progress import TrainingProgress

if TYPE_CHECKING:
    import numpy as np

    from tiktokactions.release.export import Exported
    from tiktokactions.release.hydrate import Hydrated
    from tiktokactions.release.subset import Subset
    from tiktokactions.release.subset_options import By


def dataset_export(
    dataset: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    format: str,
    sides: Sequence[str] = (),
    labels: Sequence[str] = (),
    shard_mb: int = 256,
    frames: bool = False,
) -> Exported:
    """Write the accepted clips of a dataset in a form that other programs read; the same dataset gives the same bytes.

    Args:
        dataset: a folder made by :func:`curate`.
        output: a new or empty folder, or that of an earlier export in the same format, which is made anew.
        format: ``kinetics``, ``videomae``, ``webdataset``, ``huggingface``, ``parquet``, ``coco``, ``fiftyone``,
            ``labelstudio`` or ``ids``.
        sides: only clips on these sides.
        labels: only clips with one of these labels.
        shard_mb: largest size of a WebDataset shard; Parquet files hold four times as much.
        frames: for ``coco``, also the sampled frames as pictures, from the sources that are still there.

    Raises:
        UsageError: not a dataset folder, an unknown format, nothing to export, or a folder that holds something else.
    """
    from tiktokactions.files import dataset_lock
    from tiktokactions.release.export import export_dataset
    from tiktokactions.release.rows import Export

    if shard_mb < 1:
        raise UsageError(f"--shard-mb: got {shard_mb}, expected 1 or more")
    out = on_disk(output, "an export")
    folder, info, settings = open_dataset(dataset)
    with dataset_lock(folder), disk_errors(folder), usage_errors():
        up_to_date_manifest(folder, info, settings)
        return export_dataset(Export(folder, tuple(sides), tuple(labels), shard_mb, frames), format, out)


def dataset_hydrate(
    ids: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    media: str | os.PathLike[str],
    workers: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Hydrated:
    """Make a dataset again from ``ids.csv`` (``dataset export --format ids``) where its videos are at hand.

    Args:
        ids: the list; ``ids.json`` lies beside it.
        output: the dataset folder. Rerunning continues where it stopped.
        media: a folder of videos or a collection; files are found by id in their name, else by their bytes.
        workers: processes (default: one per core).
        progress: receives a line now and then.

    Raises:
        UsageError: a list that cannot be read, no such folder, or an output that holds another dataset.
    """
    from tiktokactions.curation.options import CurateOptions
    from tiktokactions.dataset.history import next_version
    from tiktokactions.dataset.info import now, read_info, resolve_options, write_info
    from tiktokactions.dataset.manifest import write_manifest
    from tiktokactions.files import all_records, dataset_lock
    from tiktokactions.release import hydrate

    began = time.perf_counter()
    listing, folder = on_disk(ids, "a released list"), on_disk(output, "what hydrate writes")
    videos = on_disk(media, "the media of hydrate")
    if not videos.is_dir():
        raise UsageError(f"--media {media}: no such folder; expected the videos, or a collection with its media")
    with usage_errors():
        told, seen_by = hydrate.read_info_of_release(listing)
        released = list(hydrate.read_ids(listing))
    folder.mkdir(parents=True, exist_ok=True)
    info = read_info(folder)
    if info is None and any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise UsageError(f"-o {folder}: not empty and not a dataset; choose a new or an empty folder")
    fresh = hydrate.info_of(told, folder, now(), seen_by, told["versions"])
    if info is not None and (info.options, info.detector) != (fresh.options, fresh.detector):
        raise UsageError(f"-o {folder}: is a dataset with other settings; choose a new folder")
    with dataset_lock(folder), disk_errors(folder), usage_errors():
        info = info or fresh
        write_info(folder, replace(info, settled=False))
        options: CurateOptions = resolve_options(info, {} if workers is None else {"workers": workers})
        found, gone = hydrate.find_media(released, videos)
        progress(f"{len(found)} of {len(released)} videos found in {media}")
        counts = {"rebuilt": 0, "anew": 0, "finished": 0}
        missing = [(r.record.video_id, r.record.status, "no file with its id or its bytes") for r in gone]
        for item, outcome in hydrate.hydrate_all(found, folder, options, seen_by.name):
            if outcome in counts:
                counts[outcome] += 1
            else:
                missing.append((item.released.record.video_id, item.released.record.status, outcome))
            progress(f"{sum(counts.values())} of {len(found)} videos")
        hydrate.write_sides(folder, released)
        hydrate.write_missing(folder, missing)
        write_manifest(folder, all_records(folder), options)
        info = next_version(folder, info)
        write_card(folder, info, write_statistics(folder, options))
        write_info(folder, replace(info, settled=True))
    return hydrate.Hydrated(
        dataset=str(folder),
        listed=len(released),
        rebuilt=counts["rebuilt"],
        curated_anew=counts["anew"],
        missing=len(missing),
        finished_before=counts["finished"],
        seconds=round(time.perf_counter() - began, 3),
    )


def dataset_subset(
    dataset: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    by: By = "random",
    size: int | None = None,
    seed: int = 0,
    labels: Sequence[str] = (),
    cap: int | None = None,
    sides: Sequence[str] = (),
    features: str | os.PathLike[str] | None = None,
    progress: Callable[[TrainingProgress], None] = lambda progress: None,
) -> Subset:
    """Choose some of a dataset's clips: a folder with a manifest that points at the same clips, read like a dataset.

    Args:
        dataset: a folder made by :func:`curate`.
        output: a new or empty folder, or an earlier subset of the same dataset, which is made anew.
        by: ``random`` (seeded, nested), ``balanced`` (one of each label in turn), ``labels`` (all clips of these),
            ``quality`` (weights: ``tiktokactions.release.subset.QUALITY_WEIGHTS``), ``diverse`` (greedy k-center).
        size: clips; None only with ``labels``: all of them.
        seed: of the random order, which also decides between equals.
        labels: only clips with one of these.
        cap: at most so many clips of one label.
        sides: only clips on these sides of a split dataset.
        features: for ``diverse``: a file of :func:`predict` with ``features``, or a run, whose features are computed now;
            None: perceptual hashes and colours.
        progress: receives the progress of computing features.

    Raises:
        UsageError: not a dataset, options that do not fit, or nothing to choose from.
    """
    from tiktokactions.dataset.subset_mark import is_subset
    from tiktokactions.files import dataset_lock
    from tiktokactions.release import subset as subsets
    from tiktokactions.release.rows import unmatched
    from tiktokactions.release.subset_options import Choice

    out = on_disk(output, "a subset")
    folder, info, settings = open_dataset(on_disk(dataset, "what a subset is taken of"), whole=True)
    with dataset_lock(folder), disk_errors(folder), usage_errors():
        choice = Choice(by, size, seed, tuple(labels), cap, tuple(sides))
        if out.exists() and not is_subset(out) and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"-o {out}: not empty and not a subset; choose a new or an empty folder")
        if features is not None and by != "diverse":
            raise UsageError(f"--features: only --by diverse looks at features, got --by {by}")
        up_to_date_manifest(folder, info, settings)
        rows = subsets.candidates_of(folder, choice)
        if by in ("quality", "diverse"):
            rows = subsets.without_copies(folder, rows, settings)
        if not rows:
            raise UsageError(f"{folder}: no accepted clip fits; 'dataset stats' says what there is")
        chosen = subsets.choose(
            rows, choice, _features(folder, rows, features, out, progress) if by == "diverse" else None
        )
        subsets.write_subset(folder, info, chosen, choice, out)
    counts: dict[str, int] = {}
    for row in chosen:
        name = subsets.label_of(row, choice.labels)
        counts[name] = counts.get(name, 0) + 1
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    notes = unmatched(choice.sides, {row["split"] for row in rows}, "--sides")
    notes += unmatched(choice.labels, {name for row in rows for name in row["names"]}, "--labels")
    if size is not None and len(chosen) < size:
        notes.append(f"only {len(chosen):,} clips fit, {size:,} were asked for")
    return subsets.Subset(str(out), str(folder), by, len(chosen), len(rows), ordered, tuple(notes))


def _features(
    folder: Path,
    rows: list[dict[str, Any]],
    features: str | os.PathLike[str] | None,
    output: Path,
    progress: Callable[[TrainingProgress], None],
) -> np.ndarray:
    """What clips are compared by: looks, features in a file, or those of a run, computed now and kept in the subset."""
    from tiktokactions.commands.training import predict
    from tiktokactions.release import subset as subsets

    if features is None:
        return subsets.features_of_looks(folder, rows)
    path = Path(features)
    if (path / "run.json").is_file():
        output.mkdir(parents=True, exist_ok=True)
        clips = [folder / row["clip_path"] for row in rows]
        predict(path, clips, features=output / "features.parquet", progress=progress)
        path = output / "features.parquet"
    if not path.is_file():
        raise UsageError(f"--features {features}: expected a run, or a file of 'predict --features'")
    return subsets.features_from_file(path, rows)
