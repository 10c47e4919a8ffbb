"""``dataset split --check-against``: is something that is trained on also among the clips that others test on?

Foreign videos are decoded once, their ten sampled frames hashed as in curation, and compared with the training side: the
same footage is found in another size or compression, mirrored, with other borders. A piece of another length is not:
samples then show other moments.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tiktokactions import video
from tiktokactions.curate.engine_local import run_jobs
from tiktokactions.curate.evidence import gather_evidence
from tiktokactions.curate.options import CurateOptions
from tiktokactions.curate.quality import frame_hashes, picture_borders
from tiktokactions.curate.sources import list_videos
from tiktokactions.dataset.duplicates import HashedVideos, matching_pairs
from tiktokactions.dataset.settle import all_records
from tiktokactions.files import staging_folder, write_atomic

FIELDS = ("video_id", "path", "label", "foreign_path", "problem")
LONG_SIDE_PX = 416
"""As pictures are kept for the person detectors of curation, whose hashes these are compared with."""


@dataclass(frozen=True)
class Hashes:
    """What is remembered of a foreign video; ``problem``: why it has none."""

    path: str
    size: int
    mtime_ns: int
    plain: tuple[str, ...] = ()
    mirrored: tuple[str, ...] = ()
    duration_s: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class ForeignCheck:
    """``pairs``: video id, label, foreign path; ``unread``: foreign path and why. ``table``: the file that lists both."""

    trained_on: int
    foreign: int
    pairs: tuple[tuple[str, str, str], ...]
    unread: tuple[tuple[str, str], ...]
    table: str


def check_against(
    dataset: Path, foreign: Sequence[str], sides: Mapping[str, str], settings: CurateOptions
) -> ForeignCheck:
    """Compare the training side of a split dataset (of one in folds: all folds) with foreign videos.

    Raises:
        InputError: nothing that can be read as videos.
    """
    known = list(_foreign_hashes(dataset, [found.path for found in list_videos(foreign)], settings))
    usable = [video for video in known if not video.problem]
    hashed = HashedVideos(settings.samples)
    trained: list[tuple[str, str, str]] = []
    for record in all_records(dataset):
        side, scene = sides.get(record.video_id, ""), record.scene
        if record.clip is None or scene is None or not (side == "train" or side.startswith("fold")):
            continue
        trained.append((record.video_id, record.clip.path, record.labels[0] if record.labels else ""))
        plain, mirrored = [s.phash for s in record.samples], [s.phash_mirrored for s in record.samples]
        hashed.add(f"own:{record.video_id}", plain, mirrored, scene.duration_s)
    for other in usable:
        hashed.add(f"foreign:{other.path}", other.plain, other.mirrored, other.duration_s)
    group = np.arange(len(hashed)) < len(trained)
    pairs = sorted((*trained[own], usable[other - len(trained)].path) for own, other in matching_pairs(hashed, group))
    unread = tuple((video.path, video.problem) for video in known if video.problem)
    table = dataset / "splits" / "check_against" / "pairs.csv"
    rows = [(*pair, "") for pair in pairs] + [("", "", "", path, problem) for path, problem in unread]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([FIELDS, *rows])
    write_atomic(table, text.getvalue().encode("utf-8", "surrogatepass"), staging=staging_folder(dataset))
    told = tuple((video_id, label, path) for video_id, _, label, path in pairs)
    return ForeignCheck(len(trained), len(known), told, unread, str(table))


def _foreign_hashes(dataset: Path, paths: Sequence[str], settings: CurateOptions) -> Iterator[Hashes]:
    """Those remembered from an earlier check of unchanged files, and the rest made now."""
    store = dataset / "splits" / "check_against" / "hashes.jsonl"
    before: dict[str, Hashes] = {}
    if store.exists():
        for line in store.read_text(encoding="utf-8").splitlines():
            found = Hashes(**json.loads(line))
            before[found.path] = replace(found, plain=tuple(found.plain), mirrored=tuple(found.mirrored))
    done: dict[str, Hashes] = {}
    todo: list[str] = []
    for path in paths:
        old, stat = before.get(path), os.stat(path)
        if old is not None and (old.size, old.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            done[path] = old
        else:
            todo.append(path)
    work = functools.partial(hash_file, settings=settings)
    for outcome in run_jobs(todo, work, max(1, min(settings.worker_count, len(todo))), settings.timeout_s):
        failed = Hashes(outcome.job, 0, 0, problem=f"{outcome.failure}: {outcome.detail}")
        done[outcome.job] = outcome.result if outcome.result is not None else failed
    kept = before | {path: found for path, found in done.items() if found.size}
    lines = "".join(json.dumps(asdict(kept[path])) + "\n" for path in sorted(kept))
    write_atomic(store, lines.encode(), staging=staging_folder(dataset))
    yield from (done[path] for path in paths)


def hash_file(path: str, settings: CurateOptions) -> Hashes:
    """Hashes of the sampled frames of one file's longest scene; a file that cannot be read has a ``problem``."""
    stat = os.stat(path)
    base = Hashes(path, stat.st_size, stat.st_mtime_ns)
    try:
        with video.VideoFile(path, skip_loop_filter="noref") as opened:
            evidence = gather_evidence(opened, settings, LONG_SIDE_PX)
    except video.VideoError as error:
        return replace(base, problem=f"{error.reason}: {error.detail}")
    pictures = [video.to_bgr(video.upright(frame.picture, evidence.probe.rotation)) for frame in evidence.samples]
    borders = picture_borders(pictures)
    pairs = [frame_hashes(picture, borders) for picture in pictures]
    scene = evidence.scenes[evidence.longest_scene]
    return replace(
        base,
        plain=tuple(plain for plain, _ in pairs),
        mirrored=tuple(mirrored for _, mirrored in pairs),
        duration_s=scene.duration_s,
    )


def check_text(found: ForeignCheck) -> str:
    """The check as a person reads it."""
    lines = [f"{found.trained_on:,} clips trained on, compared with {found.foreign:,} foreign videos"]
    for video_id, label, path in found.pairs[:20]:
        lines.append(f"  {video_id} ({label or 'no label'}) is in {path}")
    if found.pairs:
        lines.append(f"attention: {len(found.pairs):,} near-duplicates; all of them: {found.table}")
    if found.unread:
        lines.append(f"attention: {len(found.unread):,} foreign files could not be compared; listed in {found.table}")
    return "\n".join(lines)
