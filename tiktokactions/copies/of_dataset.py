"""The copies within a dataset: what was compared, what was found, and which video is a copy of which better one.

``copies/`` remembers both. ``copies/index-*.parquet`` holds the indexed codes of all videos that were compared, with the
checksum of the description that they are of; ``copies/pairs.parquet`` the pairs that show the same footage. A settle compares
videos that stand in no index, or under another checksum, with each other and with all others: where nothing is new it
compares nothing. Both are derived from the descriptions and may be deleted.

The index lies in parts of :data:`PART` videos, and only a part and the new videos are in memory at a time.
"""

from __future__ import annotations

import functools
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tiktokactions.copies.footage import describe_file
from tiktokactions.copies.matcher import Match, same_footage
from tiktokactions.copies.proposals import Index, Indexed, indexed
from tiktokactions.copies.taken_down import recognised
from tiktokactions.curation.decide import LIKE_TAKEN_DOWN, refusals
from tiktokactions.curation.description import VERSION, Description
from tiktokactions.curation.engine_local import run_jobs
from tiktokactions.curation.options import CurateOptions
from tiktokactions.files import (
    Place,
    all_records,
    description_path,
    listing,
    records_of,
    write_atomic,
    write_listed,
    write_record,
)
from tiktokactions.machine import tell
from tiktokactions.records import VideoRecord
from tiktokactions.video import VideoError

FOLDER = "copies"
PAIRS = f"{FOLDER}/pairs.parquet"
PART = 40_000
"""Videos of an index file, some 230 MB. Each is compared with each other one, so larger ones take less time in all."""
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("video_id", "sha256")] + [("codes", pa.binary()), ("places", pa.binary())]
)
PAIR_SCHEMA = pa.schema(
    [("a", pa.string()), ("b", pa.string()), ("score", pa.float64()), ("mirrored", pa.bool_())]
    + [(name, pa.float64()) for name in ("scale", "a_start_s", "b_start_s", "seconds", "speed")]
)
COVERED_S = 0.5
"""Thumbs end so much before the footage does."""
IN_ONE_PROCESS = 400
"""So few pairs are compared without other processes, whose start would take longer."""
PAIRS_OF_A_JOB = 100
Proposal = tuple[str, str, bool | None]
"""Two videos, the smaller id first, and whether they are alike mirrored; None: nobody knows."""
MOST_RELATED = 20
"""Copies of its copies with which a new video is compared, whatever the index says."""


def duplicate_of(record: VideoRecord) -> str | None:
    """The better copy that a record was found to be a near-duplicate of."""
    return next((r.partition(":")[2] for r in record.reasons if r.startswith("duplicate_of:")), None)


@dataclass
class Videos:
    """The videos that are usable and long enough on their own."""

    worth: dict[str, tuple[float, ...]] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    """SHA-256 of the description, of those that have one."""
    twins: dict[str, str] = field(default_factory=dict)
    """What the records of those without a description say."""


def settle_copies(dataset: Place, options: CurateOptions) -> dict[str, str]:
    """Compare what is new, and remember it. Gives video id -> id of the better copy.

    Videos of an older dataset are described from their clips first; those without a clip stay what they are."""
    videos = _videos(dataset, options)
    found = _compare_new(dataset, videos, options, {}, is_kept=True)
    return duplicates(found, videos)


def duplicates_of(dataset: Place, options: CurateOptions) -> dict[str, str]:
    """The same without writing anything: what is remembered, and what was never compared."""
    made: dict[str, Description] = {}
    videos = _videos(dataset, options, made)
    return duplicates(_compare_new(dataset, videos, options, made, is_kept=False), videos)


def copies_of(dataset: Place, ids: Iterable[str]) -> set[str]:
    """Videos that are remembered as copies of these."""
    wanted = set(ids)
    return {other for m in read_pairs(dataset) for one, other in ((m.a, m.b), (m.b, m.a)) if one in wanted} - wanted


def read_pairs(dataset: Place) -> list[Match]:
    """The pairs that are remembered; none where nothing was compared yet, or by another matcher."""
    table = _read(dataset / PAIRS)
    return [] if table is None else [Match(**row) for row in table.to_pylist()]


def forget(dataset: Place, ids: Iterable[str]) -> None:
    """Take videos out of everything that is remembered."""
    gone = pa.array(sorted(ids), pa.string())
    for path in (dataset / PAIRS, *_parts(dataset)):
        if (table := _read(path)) is None:
            continue
        names = ("a", "b") if path == dataset / PAIRS else ("video_id",)
        stays = functools.reduce(pc.and_, (pc.invert(pc.is_in(table[name], value_set=gone)) for name in names))
        if not pc.all(stays).as_py():
            _write(dataset, path, table.filter(stays))


def stored_description(dataset: Place, record: VideoRecord) -> Description | None:
    """What curation kept of a video, if it covers all seconds of its clip."""
    found = _description(dataset, {}, record.video_id) if record.description_sha256 else None
    if found is None or record.segment is None:
        return None
    begin_s, end_s = found.times_s[0] - COVERED_S, found.times_s[-1] + COVERED_S
    return found if begin_s <= record.segment.start_s and record.segment.end_s <= end_s else None


# --- the videos --------------------------------------------------------------------------------------------------------


def _videos(dataset: Place, options: CurateOptions, made: dict[str, Description] | None = None) -> Videos:
    """``made``: receives what is described here; None: it is written into the dataset."""
    videos, bare = Videos(), dict[str, VideoRecord]()
    for record in all_records(dataset):
        if record.failure is None and record.scene is not None and not refusals(record, options):
            videos.worth[record.video_id] = _worth(record)
            if record.description_sha256:
                videos.sums[record.video_id] = record.description_sha256
            elif record.clip is not None:
                bare[record.video_id] = record
            if not record.description_sha256 and (twin := duplicate_of(record)):
                videos.twins[record.video_id] = twin
    work = functools.partial(_describe_clip, dataset=dataset)
    jobs = [(i, record.clip.path) for i, record in bare.items() if record.clip is not None]
    workers = max(1, min(options.worker_count, len(jobs)))
    for outcome in run_jobs(jobs, work, workers, options.timeout_s) if jobs else ():
        video_id = outcome.job[0]
        if outcome.result is None:
            continue
        data, sha256 = outcome.result
        videos.sums[video_id] = sha256
        videos.twins.pop(video_id, None)
        if made is not None:
            made[video_id] = Description.from_bytes(data)
        else:
            write_atomic(description_path(dataset, video_id), data)
            write_record(dataset, replace(bare[video_id], description_sha256=sha256))
    return videos


def _describe_clip(job: tuple[str, str], dataset: Place) -> tuple[bytes, str] | None:
    """In a worker: the description of a clip, and its SHA-256."""
    import hashlib

    try:
        parts = describe_file(str(dataset / job[1]))
    except (VideoError, OSError):
        return None
    data = parts[len(parts) // 2].to_bytes() if parts else b""
    return (data, hashlib.sha256(data).hexdigest()) if data else None


def _worth(record: VideoRecord) -> tuple[float, ...]:
    """What makes one copy better than another: pixels of picture (without borders), then bytes per second, then length."""
    assert record.probe is not None and record.quality is not None
    left, top, right, bottom = record.quality.borders
    pixels = record.probe.width * record.probe.height * (1 - left - right) * (1 - top - bottom)
    # A border's edge is found to a few pixels: copies of one size must not be ranked by that.
    return (round(pixels, -3), record.source.size_bytes / record.probe.duration_s, record.probe.duration_s)


def duplicates(pairs: Iterable[Match], videos: Videos) -> dict[str, str]:
    """Video id -> id of the better copy: going from the best video to the worst, each stays unless it shows the same footage
    as one that stays."""
    best_first = sorted(sorted(videos.worth), key=videos.worth.__getitem__, reverse=True)
    rank = {video_id: number for number, video_id in enumerate(best_first)}
    partners: defaultdict[str, list[str]] = defaultdict(list)
    for match in pairs:
        if match.a in rank and match.b in rank:
            partners[match.a].append(match.b)
            partners[match.b].append(match.a)
    found: dict[str, str] = {}
    for video_id in best_first:
        twin = videos.twins.get(video_id)
        better = [i for i in partners[video_id] if rank[i] < rank[video_id] and i not in found]
        better += [twin] if twin in rank and twin not in found else []
        if better:
            found[video_id] = min(better, key=rank.__getitem__)
    return found


# --- comparing -----------------------------------------------------------------------------------------------------------


def _compare_new(
    dataset: Place, videos: Videos, options: CurateOptions, made: Mapping[str, Description], is_kept: bool
) -> list[Match]:
    """All pairs among the videos, those that are remembered and those that are found now."""
    known = {path: table for path in _parts(dataset) if (table := _read(path, ["video_id", "sha256"])) is not None}
    compared: dict[str, str] = {}
    for table in known.values():
        compared |= dict(zip(table["video_id"].to_pylist(), table["sha256"].to_pylist(), strict=True))
    # What is no longer there goes; what does not qualify at present stays, and need not be compared again.
    stale = [i for i in compared if i in videos.sums and videos.sums[i] != compared[i]]
    if stale and is_kept:
        forget(dataset, stale)
    before = {(m.a, m.b): m for m in read_pairs(dataset) if not {m.a, m.b} & {*stale}}
    new = sorted(i for i, sha256 in videos.sums.items() if compared.get(i) != sha256)
    if not new:
        return [*before.values()]
    read = functools.lru_cache(512)(functools.partial(_description, dataset, made))
    fresh = {i: indexed(description) for i in new if (description := read(i)) is not None}
    held_back = recognised(dataset, fresh) if is_kept else set()
    _hold_back(dataset, sorted(held_back))
    proposed = _proposed(dataset, [*known], fresh, {*stale})
    found = {(m.a, m.b): m for m in _verified(dataset, sorted(proposed), options, made)}
    related = {(a, b, None) for a, b in _related(before | found, {*fresh}) - {(a, b) for a, b, _ in proposed}}
    found |= {(m.a, m.b): m for m in _verified(dataset, sorted(related), options, made)}
    if is_kept:
        _write(dataset, dataset / PAIRS, _pair_table((before | found).values()))
        # Those that are held back are looked at again each time, whatever becomes of their records.
        _add(dataset, {i: (videos.sums[i], one) for i, one in fresh.items() if i not in held_back})
    return [*(before | found).values()]


def _hold_back(dataset: Place, ids: Sequence[str]) -> None:
    """Send videos to a person that may show what was taken down."""
    new = [record for record in records_of(dataset, ids) if LIKE_TAKEN_DOWN not in record.reasons]
    for record in new:
        write_record(dataset, replace(record, reasons=(*record.reasons, LIKE_TAKEN_DOWN)))
    if new:
        few = ", ".join(record.video_id for record in new[:5]) + (" ..." if len(new) > 5 else "")
        tell(f"{dataset}: {len(new)} videos may show what was taken down; a person must look at them ({few})")


def _description(dataset: Place, made: Mapping[str, Description], video_id: str) -> Description | None:
    """None where it is gone or damaged, for 'dataset verify' to tell."""
    if video_id in made:
        return made[video_id]
    try:
        return Description.from_bytes(description_path(dataset, video_id).read_bytes())
    except (OSError, ValueError):
        return None


def _proposed(dataset: Place, parts: Sequence[Place], fresh: Mapping[str, Indexed], stale: set[str]) -> set[Proposal]:
    """Pairs worth a comparison: of new videos, and of new ones and those in the parts."""
    ids, found = sorted(fresh), set[Proposal]()
    blocks = [ids[start : start + PART] for start in range(0, len(ids), PART)]

    def add(one: Mapping[str, Indexed], other: Mapping[str, Indexed]) -> None:
        names, index = [*one, *other], Index()
        for video in (*one.values(), *other.values()):
            index.add(video)
        is_new = np.arange(len(names)) >= len(one)
        pairs = index.pairs(is_new, side=is_new if one else None)
        found.update((*sorted((names[a], names[b])), bool(mirrored)) for a, b, mirrored in pairs.tolist())

    for number, block in enumerate(blocks):
        own = {i: fresh[i] for i in block}
        add({}, own)
        for earlier in blocks[:number]:
            add({i: fresh[i] for i in earlier}, own)
        for path in parts:
            others = dict(_indexed_videos(path))
            add({i: one for i, one in others.items() if i not in fresh and i not in stale}, own)
    return found


def _verified(
    dataset: Place, pairs: Sequence[Proposal], options: CurateOptions, made: Mapping[str, Description]
) -> list[Match]:
    work = functools.partial(verify_pairs, dataset=dataset, made=made)
    jobs = [tuple(pairs[start : start + PAIRS_OF_A_JOB]) for start in range(0, len(pairs), PAIRS_OF_A_JOB)]
    if len(pairs) <= IN_ONE_PROCESS or made:
        return [match for job in jobs for match in work(job)]
    outcomes = run_jobs(jobs, work, max(1, min(options.worker_count, len(jobs))), options.timeout_s)
    return [match for outcome in outcomes for match in outcome.result or ()]


def verify_pairs(pairs: Sequence[Proposal], dataset: Place, made: Mapping[str, Description]) -> list[Match]:
    """In a worker: those of the pairs that show the same footage."""
    read = functools.lru_cache(512)(functools.partial(_description, dataset, made))
    found = []
    for a, b, mirrored in pairs:
        one, other = read(a), read(b)
        if one is not None and other is not None and (match := same_footage(one, other, (a, b), mirrored)) is not None:
            found.append(match)
    return found


def _related(pairs: Iterable[tuple[str, str]], fresh: set[str]) -> set[tuple[str, str]]:
    """Each new video with the copies of its copies."""
    partners: defaultdict[str, set[str]] = defaultdict(set)
    for a, b in pairs:
        partners[a].add(b)
        partners[b].add(a)
    found = set[tuple[str, str]]()
    for video_id in sorted(fresh & partners.keys()):
        second = set().union(*(partners[i] for i in partners[video_id])) - partners[video_id] - {video_id}
        found.update((min(video_id, i), max(video_id, i)) for i in sorted(second)[:MOST_RELATED])
    return found


# --- what is remembered --------------------------------------------------------------------------------------------------


def _parts(dataset: Place) -> list[Place]:
    there = listing(dataset / FOLDER)[0]
    return sorted((dataset / FOLDER / one.name for one in there if one.name.startswith("index-")), key=str)


def _read(path: Place, columns: Sequence[str] | None = None) -> pa.Table | None:
    """None where there is no such table, or one of another matcher; a damaged one is made again."""
    if not path.is_file():
        return None
    try:
        # With threads, a process that ends soon after this may abort or hang as it exits (apache/arrow, issues 33975, 34314).
        names = None if columns is None else list(columns)
        table = pq.read_table(io.BytesIO(path.read_bytes()), columns=names, use_threads=False)
    except (pa.ArrowException, OSError):
        return None
    return table if (table.schema.metadata or {}).get(b"matcher") == str(VERSION).encode() else None


def _write(dataset: Place, path: Place, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"matcher": str(VERSION)}), buffer, compression="none")
    write_listed(dataset, path.relative_to(dataset).as_posix(), buffer.getvalue())


def _pair_table(pairs: Iterable[Match]) -> pa.Table:
    return pa.Table.from_pylist([asdict(m) for m in sorted(pairs, key=lambda m: (m.a, m.b))], schema=PAIR_SCHEMA)


def _indexed_videos(path: Place) -> Iterator[tuple[str, Indexed]]:
    table = _read(path)
    for row in table.to_pylist() if table is not None else ():
        codes = np.frombuffer(row["codes"], np.uint8).reshape(-1, 32)
        yield row["video_id"], Indexed(codes, np.frombuffer(row["places"], np.float16).reshape(-1, 4))


def _add(dataset: Place, fresh: Mapping[str, tuple[str, Indexed]]) -> None:
    """Put new videos into the last part, and into further ones once it is full."""
    rows = [
        {"video_id": i, "sha256": sha256, "codes": one.codes.tobytes(), "places": one.places.tobytes()}
        for i, (sha256, one) in sorted(fresh.items())
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    parts = _parts(dataset)
    last = _read(parts[-1]) if parts else None
    number = len(parts)
    if last is not None and len(last) < PART:
        table, number = pa.concat_tables([last.replace_schema_metadata(None), table]), number - 1
    for start in range(0, len(table), PART):
        _write(dataset, dataset / FOLDER / f"index-{number:04d}.parquet", table.slice(start, PART))
        number += 1


assert PAIR_SCHEMA.names == [f.name for f in fields(Match)]
