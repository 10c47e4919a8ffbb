"""What a study learned from and tested on, by content, so that it can grow and nothing changes behind its back.

``contents.csv`` has every clip that was listed or tested, with the hash of its file. A study does not go on with another test
set, nor with listed clips that are gone or changed. Clips that are new in the pool come after those that were listed.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tiktokactions.clips.clip import Clip
from tiktokactions.errors import BegunOtherwiseError, UsageError
from tiktokactions.files import sha256_file, write_csv
from tiktokactions.study.subsets import Part, part_of

COLUMNS = ("role", "path", "start_s", "end_s", "label", "sha256", "bytes", "mtime_ns")
KEPT = {"train": "the train side of the evaluation data", "test": "the test set", "pool": "the pool"}
"""Roles, and what they are called. A pool may grow, and its labels may change; the others stay as they are."""


class StudyError(UsageError):
    """A study that makes no sense as asked; the message says what to do."""


class OtherStudyError(StudyError, BegunOtherwiseError):
    """A study that was begun with other settings or other data."""


def listed_before(lists: Iterable[Path], pool: Sequence[Clip], data: str) -> list[Clip]:
    """The clips of the longest of these lists, of which the others are prefixes.

    Raises:
        OtherStudyError: some of them are not in the pool any more.
    """
    by_part = {part_of(clip): clip for clip in pool}
    longest = max(map(_parts, lists), key=len, default=[])
    found = [by_part.get(part) or _synthetic(part) for part in longest]
    kept = [clip for clip in found if clip is not None]
    if gone := [part for part, clip in zip(longest, found, strict=True) if clip is None]:
        raise OtherStudyError(
            f"{data}: {len(gone)} clip(s) that this study has listed are gone (for example {gone[0][0]}); put them back, or"
            " use another `output`"
        )
    return kept


def _synthetic(part: Part) -> Clip | None:
    """A synthetic clip, which can be made as long as what it shows is there: other videos in the pool make others."""
    clip = Clip(part[0], None, part[1], part[2])
    return clip if clip.synthetic is not None and (not clip.file or os.path.isfile(clip.file)) else None


def real_clips(lists: Iterable[Path]) -> list[Clip]:
    """The clips of these lists, each once; of synthetic ones those that they show, if any."""
    listed = (Clip(path, None, start_s, end_s) for one in lists for path, start_s, end_s in _parts(one))
    return list(dict.fromkeys(Clip(clip.file, None, clip.start_s, clip.end_s) for clip in listed if clip.file))


def _parts(listed: Path) -> list[Part]:
    rows = _rows(listed, "surrogateescape")
    return [(row["path"], *(float(row[n]) if row[n] else None for n in ("start_s", "end_s"))) for row in rows]  # type: ignore[misc]


def keep_contents(study: Path, clips_by_role: Mapping[str, Sequence[Clip]]) -> None:
    """Write ``contents.csv``; files whose size and time are as before are not read again.

    Raises:
        OtherStudyError: the study was begun with other contents.
    """
    path = study / "contents.csv"
    before = {_key(row): row for row in _rows(path)} if path.is_file() else {}
    hashes = {(row["path"], row["bytes"], row["mtime_ns"]): row["sha256"] for row in before.values()}
    now = {}
    for role, clips in clips_by_role.items():
        for clip in clips:
            if clip.stored is not None or not clip.file:  # a synthetic one follows from its name
                size, changed = "", clip.stored.version if clip.stored else clip.path
                hashes[clip.path, size, changed] = changed
            else:
                size, changed = str((seen := os.stat(clip.file)).st_size), str(seen.st_mtime_ns)
            if (clip.path, size, changed) not in hashes:
                hashes[clip.path, size, changed] = sha256_file(clip.file)
            part = (role, clip.path, *("" if t is None else repr(t) for t in (clip.start_s, clip.end_s)))
            values = (*part, clip.label or "", hashes[clip.path, size, changed], size, changed)
            row = dict(zip(COLUMNS, values, strict=True))
            now[_key(row)] = row
    for role, name in KEPT.items():
        old, new = ({k: r for k, r in rows.items() if k[0] == role} for rows in (before, now))
        different = [k for k in old.keys() & new.keys() if _content(old[k]) != _content(new[k])]
        added, gone = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
        if role == "pool" or not before:
            added = gone = []
        wrong = {"added": added, "gone": gone, "changed": sorted(different)}
        if any(wrong.values()):
            told = ", ".join(f"{len(keys)} {what} (for example {keys[0][1]})" for what, keys in wrong.items() if keys)
            raise OtherStudyError(
                f"{study}: {name} is not what this study began with: {told}; its results would not compare. Put it back, or"
                " use another `output`"
            )
    rows = [tuple(row.values()) for row in (before | now).values()]
    write_csv(path, [COLUMNS, *rows])


def _rows(path: Path, errors: str = "surrogatepass") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors=errors) as file:
        return list(csv.DictReader(file))


def _key(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in COLUMNS[:4])


def _content(row: Mapping[str, str]) -> tuple[str, str]:
    return row["sha256"], "" if row["role"] == "pool" else row["label"]
