"""A run on disk: what was asked, what followed from it, which clips, one line per step, the result. Needs no torch.

```
RUN/
  run.json               kind, model, labels, options, data, derived numbers, versions
  clips.csv              every clip that is trained on
  unreadable.csv         clips left out by skip_unreadable, with the reason
  checkpoints/           the last ones, for going on after an interruption
  log.jsonl              one line every few steps
  model.safetensors      the final weights, official key names
  result.json            the last word: written when the run is finished
  curves.svg, .png       learning curves
```
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from tiktokactions import __version__
from tiktokactions.clips.clip import Clip
from tiktokactions.errors import TiktokactionsError
from tiktokactions.files import write_atomic
from tiktokactions.model.config import ModelConfig, config_from_json, config_to_json

FORMAT = 1
PACKAGES = ("torch", "av", "numpy", "opencv-python-headless", "pillow", "safetensors")
Kind = Literal["pretrain", "finetune"]


class RunError(TiktokactionsError, ValueError):
    """A run folder that cannot be used as asked; the message says what to do."""


@dataclass(frozen=True)
class RunInfo:
    """The contents of ``run.json``."""

    kind: Kind
    model: ModelConfig
    labels: tuple[str, ...] | None
    """Class names in the order of the outputs; None for pre-training."""
    options: dict[str, Any]
    data: dict[str, Any]
    """Where the clips came from, how many, and the fingerprint of their list."""
    derived: dict[str, Any]
    init: dict[str, Any] | None
    """Where the first weights came from; None: drawn at random."""
    versions: dict[str, str]
    created: str


# --- run.json ------------------------------------------------------------------------------------------------------


def write_run(run: Path, info: RunInfo) -> None:
    data = {"format": FORMAT} | dataclasses.asdict(info) | {"model": config_to_json(info.model)}
    write_json(run / "run.json", data)


def read_run(run: Path) -> RunInfo:
    """Raises ``RunError`` where the folder is not a run, or is a damaged or newer one."""
    path = run / "run.json"
    if not path.exists():
        raise RunError(f"{run}: no run.json there; expected a folder made by 'tiktokactions pretrain' or 'finetune'")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") > FORMAT:
            raise RunError(f"{path}: made by a newer tiktokactions; update this one")
        labels = data.pop("labels")
        return RunInfo(
            **(data | {"model": config_from_json(data["model"]), "labels": None if labels is None else tuple(labels)})
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise RunError(f"{path}: not a valid run.json: {error}") from error


def differences(old: RunInfo, new: RunInfo, ignore: Sequence[str]) -> list[str]:
    """What keeps a run from being continued with these options, in words; empty where nothing does."""
    found = [
        f"{name}: was {a}, is {b}" for name, a, b in _pairs(old.options, new.options) if a != b and name not in ignore
    ]
    if old.kind != new.kind:
        found.append(f"command: was {old.kind}, is {new.kind}")
    if old.model != new.model:
        found.append(f"model: was {old.model}, is {new.model}")
    if old.data["fingerprint"] != new.data["fingerprint"]:
        found.append(f"clips: were {old.data['clips']}, are {new.data['clips']}, or others of the same number")
    if old.init != new.init:
        found.append(f"`init`: was {old.init}, is {new.init}")
    if old.derived.get("processes") != new.derived.get("processes"):
        found.append(f"processes: were {old.derived.get('processes')}, are {new.derived.get('processes')}")
    return found


def _pairs(old: dict[str, Any], new: dict[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    plain = json.loads(json.dumps(new))  # tuples become lists, as in the file
    return ((name, old.get(name), plain.get(name)) for name in sorted(set(old) | set(plain)))


def write_json(path: Path, data: Any) -> None:
    write_atomic(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def package_versions() -> dict[str, str]:
    found = {"tiktokactions": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


# --- clips ---------------------------------------------------------------------------------------------------------


def clips_fingerprint(clips: Sequence[Clip], labels: Sequence[str]) -> str:
    """Names a list of clips: their paths, parts and labels in order, not their contents."""
    told = hashlib.sha256("\0".join(labels).encode())
    for clip in clips:
        told.update(repr((clip.path, clip.label, clip.start_s, clip.end_s)).encode())
    return told.hexdigest()[:16]


def write_clips(path: Path, clips: Iterable[Clip], reasons: Iterable[str] | None = None) -> None:
    """``path,label,start_s,end_s`` of every clip, and where given the reason why it was left out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "start_s", "end_s", *(["reason"] if reasons is not None else [])])
    given = iter(reasons) if reasons is not None else None
    for clip in clips:
        row = [clip.path, clip.label, clip.start_s, clip.end_s]
        writer.writerow([*row, next(given)] if given is not None else row)
    write_atomic(path, text.getvalue().encode("utf-8", "surrogateescape"))


# --- log -----------------------------------------------------------------------------------------------------------


def read_log(run: Path) -> list[dict[str, Any]]:
    """The lines of ``log.jsonl``; a last line that was cut off in the middle is left out."""
    path = run / "log.jsonl"
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def rewind_log(run: Path, step: int) -> None:
    """Keep the lines up to ``step``: those after the checkpoint that training goes on from are written again."""
    kept = [json.dumps(line) for line in read_log(run) if line["step"] <= step]
    write_atomic(run / "log.jsonl", "".join(f"{line}\n" for line in kept).encode())


def append_log(run: Path, line: dict[str, Any]) -> None:
    with (run / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
