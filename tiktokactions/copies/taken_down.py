"""Footage that was taken down is recognised when it comes back under other bytes and another id.

``removed_hashes.parquet`` keeps of each video that was taken down what the index of copies holds of it: 256-bit codes of
corners and of whole pictures, and where they lay. No picture can be made of them, and no id stands beside them. A new video
with enough like codes at places that agree is sent to a person. Without pictures nobody can tell whether two videos move in
step, so other footage of the same fixed camera may be meant, too: hence a person, and not a rejection.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.copies.proposals import Index, Indexed, indexed
from tiktokactions.curation.description import VERSION, Description
from tiktokactions.files import Place, description_path, write_listed
from tiktokactions.records import JsonObject

FILE = "removed_hashes.parquet"
VOTES = 10
"""Codes that must agree. Of 35 real videos with 18 transformations each 565 of 630 copies are found (benchmarks/copies.py's
videos). Of 24,850 pairs of other footage 3 are taken for copies, and nearly all pairs of two videos of one fixed camera."""
SCHEMA = pa.schema({"sha256": pa.string(), "codes": pa.binary(), "places": pa.binary()})


def remember(dataset: Place, ids: Iterable[str]) -> None:
    """Keep the hashes of videos that are about to go."""
    rows = {row["sha256"]: row for row in _rows(dataset)}
    before = len(rows)
    for path in (description_path(dataset, video_id) for video_id in ids):
        try:
            one = indexed(Description.from_bytes(path.read_bytes()))
        except (OSError, ValueError):  # none was kept, or one of another version
            continue
        codes, places = one.codes.tobytes(), one.places.tobytes()
        name = hashlib.sha256(codes + places).hexdigest()
        rows[name] = {"sha256": name, "codes": codes, "places": places}
    if len(rows) > before:
        _write(dataset, rows)


def take_over(datasets: Sequence[Place], out: Place) -> None:
    """What was taken down in any of these datasets stays out of a merge."""
    rows = {row["sha256"]: row for dataset in (*datasets, out) for row in _rows(dataset)}
    if len(rows) > len(_rows(out)):
        _write(out, rows)


def recognised(dataset: Place, videos: Mapping[str, Indexed]) -> set[str]:
    """Those of the videos that may show what was taken down."""
    rows, names = _rows(dataset) if videos else [], sorted(videos)
    if not rows:
        return set()
    index = Index()
    for row in rows:
        codes = np.frombuffer(row["codes"], np.uint8).reshape(-1, 32)
        index.add(Indexed(codes, np.frombuffer(row["places"], np.float16).reshape(-1, 4)))
    for name in names:
        index.add(videos[name])
    is_new = np.arange(len(index)) >= len(rows)
    return {names[other - len(rows)] for _, other, _ in index.pairs(is_new, VOTES, side=is_new).tolist()}


def _rows(dataset: Place) -> list[JsonObject]:
    path = dataset / FILE
    if not path.is_file():
        return []
    table = pq.read_table(
        io.BytesIO(path.read_bytes()), use_threads=False
    )  # see :mod:`tiktokactions.copies.of_dataset`
    is_ours = (table.schema.metadata or {}).get(b"description") == str(VERSION).encode()
    found: list[JsonObject] = table.to_pylist() if is_ours else []
    return found


def _write(dataset: Place, rows: Mapping[str, JsonObject]) -> None:
    table = pa.Table.from_pylist([rows[name] for name in sorted(rows)], schema=SCHEMA)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"description": str(VERSION)}), buffer, compression="none")
    write_listed(dataset, FILE, buffer.getvalue())
