"""Taking videos out of files of any kind: rows of tables, lines, elements of JSON, and files that bear a name of theirs.

What cannot be cleaned like this is told with its path, never passed over.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tiktokactions.files import (
    Place,
    delete,
    delete_folder,
    json_bytes,
    listing,
    local_path,
    readable,
    unfinished,
    write_atomic,
)
from tiktokactions.metadata.names import id_in_name

csv.field_size_limit(sys.maxsize)
WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".onnx")
"""Numbers alone."""
LINES = (".txt", ".log", ".jsonl", ".ndjson", ".md")
FROM_CLIPS = "reconstructions"
"""In a run: frames of some of its clips, which do not say of which."""
LONG = 8
"""Characters of a word that does not stand in other words by chance."""
CAPTION = 16
"""Characters of a caption that nobody else writes by chance."""
ID_COLUMNS = ("video_id", "id")
_WORDS = re.compile(r"[^\s/\\\"'`,;:|?&=#()<>\[\]{}]+")
_GONE = object()


def is_distinct(word: str) -> bool:
    """Whether a word can only be the id of a video."""
    return len(word) >= LONG and any(map(str.isdigit, word))


def tails(path: str) -> Iterator[str]:
    """A path as files may have it: absolute, or relative to one of the folders above it."""
    parts = path.split("/")
    shortest = 1 if len(parts[-1]) >= LONG else 2
    yield from ("/".join(parts[start:]) for start in range(len(parts) - shortest + 1))


@dataclass(frozen=True)
class Names:
    """By what videos are known in files."""

    ids: frozenset[str]
    """Ids of the platform and of datasets, and SHA-256 of files."""
    paths: frozenset[str] = frozenset()
    """Files that have no id in their names, see :func:`tails`."""
    texts: tuple[str, ...] = ()
    """Captions: where one is left, somebody has to look."""

    def among(self, text: str, column: str = "") -> bool:
        """Whether a text names one of the videos: by a path, an id, an address, or the name of a file with its id.

        An id that is a plain word or a small number counts as the name of a file, and in a ``column`` of ids.
        """
        if column in ID_COLUMNS and text in self.ids:
            return True
        parts = (text, *text.split(","), *re.findall(r'"([^"]*)"', text)) if self.paths else ()
        return any(map(self._is_word, _WORDS.findall(text))) or not self.paths.isdisjoint(parts)

    def _is_word(self, word: str) -> bool:
        if word in self.ids and is_distinct(word):
            return True
        stem, dot, _ = word.rpartition(".")
        return (bool(dot) and (stem in self.ids or self._is_word(stem))) or id_in_name(word) in self.ids

    @property
    def needles(self) -> list[bytes]:
        """What must not be left anywhere, byte by byte."""
        words = (*filter(is_distinct, self.ids), *(path for path in self.paths if path.startswith("/")), *self.texts)
        spelled = {spelling for word in words for spelling in (word, json.dumps(word)[1:-1])}
        return [word.encode("utf-8", "surrogatepass") for word in sorted(spelled)]


@dataclass
class Scrubbed:
    """What was done to the files of one place, or would be."""

    count: int = 0
    """Rows, lines, elements and whole files."""
    left: list[str] = field(default_factory=list)
    """Files that still say something, or that nobody can look into."""
    trained: list[str] = field(default_factory=list)
    """Runs among whose clips they were."""


def scrub(place: Place, names: Names, *, look: bool = False) -> Scrubbed:
    """Take videos out of a file, or of every file of a folder, on a disk or a store.

    Args:
        look: count only, and change nothing.
    """
    found = Scrubbed()
    partial = place.with_name(f"{place.stem}.partial.jsonl")  # of features, of a run that was killed
    for path in sorted({*_files(place), *([partial] if partial.is_file() else [])}):
        if not path.is_file():  # a picture that went with its run
            continue
        before = found.count
        if path.suffix not in WEIGHTS and names.among(path.name):
            found.count += 1
            if not look:
                delete(path)
            continue
        found.count += _scrub_file(path, names, look)
        if found.count > before and path.name == "clips.csv" and (path.parent / "run.json").is_file():
            found.trained.append(str(path.parent))
            pictures = local_path(path.parent / FROM_CLIPS)
            found.count += sum(one.is_file() for one in pictures.glob("*")) if pictures else 0
            if pictures and not look:
                delete_folder(pictures)
        elif not look and path.is_file() and (why := _what_is_left(path, names)):
            found.left.append(f"{path}: {why}")
    return found


def _files(place: Place) -> Iterator[Place]:
    if place.is_file():
        yield place
    elif local := local_path(place):  # no link is followed
        for folder, _, names in os.walk(local):
            yield from (Path(folder, name) for name in names)
    else:
        files, folders = listing(place)
        yield from itertools.chain(files, *map(_files, folders))


def _scrub_file(path: Place, names: Names, look: bool) -> int:
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            return _scrub_table(path, names, look)
        if suffix == ".parquet":
            return _scrub_parquet(path, names, look)
        if suffix in LINES:
            lines = path.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not names.among(line.decode("utf-8", "replace"))]
            return _write(path, b"".join(kept), len(lines) - len(kept), look)
        if suffix == ".json":
            return _scrub_json(path, names, look)
    except (ValueError, pa.ArrowException, csv.Error):
        # Half written by a killed command.
        if any(needle in path.read_bytes() for needle in names.needles):
            return 1 if look else delete(path)
    return 0


def _write(path: Place, data: bytes, count: int, look: bool) -> int:
    if count and not look:
        write_atomic(path, data)
    return count


def _scrub_table(path: Place, names: Names, look: bool) -> int:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    delimiter = max("\t,;", key=text.partition("\n")[0].count)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    header = [*(rows[0] if rows else []), *itertools.repeat("", max(map(len, rows), default=0))]
    kept = [row for row in rows if not any(map(names.among, row, header))]
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(kept)
    return _write(path, out.getvalue().encode("utf-8", "surrogateescape"), len(rows) - len(kept), look)


def _scrub_parquet(path: Place, names: Names, look: bool) -> int:
    with pq.ParquetFile(readable(path)) as file:
        texts = [one.name for one in file.schema_arrow if _is_text(one.type)]
        count = 0
        for batch in file.iter_batches(columns=texts):
            count += sum(_theirs(batch, names))
        if count and not look:
            with unfinished(path) as staged, pq.ParquetWriter(staged, file.schema_arrow, compression="zstd") as writer:
                for batch in file.iter_batches():
                    stays = pa.array([not one for one in _theirs(batch.select(texts), names)])
                    writer.write_batch(batch.filter(stays))
    return count


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or (pa.types.is_list(kind) and _is_text(kind.value_type))
    )


def _theirs(batch: pa.RecordBatch, names: Names) -> list[bool]:
    return [
        any(names.among(text, name) for name, value in row.items() for text in _strings(value))
        for row in batch.to_pylist()
    ]


def _strings(value: Any) -> list[str]:
    """Of a cell that may be a list."""
    return [text for item in value for text in _strings(item)] if isinstance(value, list) else [value] if value else []


def _scrub_json(path: Place, names: Names, look: bool) -> int:
    value = json.loads(path.read_bytes())
    counts = [0]
    kept = _pruned(value, names, counts)
    if kept is _GONE:  # one object about one video
        return 1 if look else delete(path)
    return _write(path, json_bytes(kept), counts[0], look)


def _pruned(value: Any, names: Names, counts: list[int], is_root: bool = True, key: str = "") -> Any:
    """A JSON value without the elements of lists, and the entries of objects, that tell of these videos."""
    if isinstance(value, str):
        return _GONE if names.among(value, key) else value
    if isinstance(value, list):
        kept = [found for item in value if (found := _pruned(item, names, counts, False)) is not _GONE]
        counts[0] += len(value) - len(kept)
        return kept
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        inside = _GONE if names.among(key) else _pruned(item, names, counts, False, key)
        if inside is not _GONE:
            found[key] = inside
        elif names.among(key) or is_root:
            counts[0] += 1
        else:
            return _GONE
    return found


def _what_is_left(path: Place, names: Names) -> str:
    if path.suffix in WEIGHTS:
        return ""
    if path.suffix == ".parquet":
        try:
            pq.read_schema(readable(path))
        except pa.ArrowException:
            return "cannot be read"
        return ""
    if path.suffix in (".zip", ".tar", ".gz", ".tgz", ".7z", ".sqlite", ".db"):
        return "nobody can take single videos out of it; look into it yourself"
    data = path.read_bytes()
    return "still names one of them" if any(needle in data for needle in names.needles) else ""
