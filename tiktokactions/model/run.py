"""A run: what was asked, what followed from it, which clips, one line per step, the result. Needs no torch.

```
RUN/
  run.json               kind, model, labels, options, data, derived numbers, versions
  clips.csv              every clip that is trained on
  unreadable.csv         clips left out because they cannot be decoded, with the reason
  checkpoints/           the newest ones, to continue after an interruption
  log.jsonl              one line every few steps
  model.safetensors      the final weights, official key names
  average.safetensors    the averaged weights, where an average is kept
  best.safetensors       the best on the val side, where they are chosen by it
  result.json            written last, when the run is finished
  evaluations/           tests of a fine-tuned run, a folder each
  curves.svg, .png       learning curves
```
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import hashlib
import io
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from tiktokactions import __version__
from tiktokactions.clips.clip import Clip
from tiktokactions.errors import BegunOtherwiseError, UsageError
from tiktokactions.files import write_atomic, write_json
from tiktokactions.intervals import Paired
from tiktokactions.machine import utc_now
from tiktokactions.model.config import ModelConfig
from tiktokactions.model.options import FinetuneOptions, PretrainOptions
from tiktokactions.model.survivors import Survivors
from tiktokactions.records import JsonObject

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FORMAT = 1
PACKAGES = ("torch", "av", "numpy", "opencv-python-headless", "pillow", "safetensors")
Kind = Literal["pretrain", "finetune"]
RecordType = TypeVar("RecordType")


class RunError(UsageError):
    """A run folder that cannot be used as asked; the message says what to do."""


class OtherRunError(RunError, BegunOtherwiseError):
    """A run that was begun with other settings."""


@dataclass(frozen=True)
class TrainingData:
    """What a run is trained on."""

    sources: tuple[str, ...]
    clips: int
    fingerprint: str
    """Names the list of clips, see :func:`clips_fingerprint`."""
    shares: str | None = None
    """Names the shares of a mixed pre-training."""
    kind: str | None = None
    """Of fine-tuning: see :class:`tiktokactions.clips.clip.ClipSet`."""
    flip: bool | None = None


@dataclass(frozen=True)
class Derived:
    """The numbers that follow from the options, the clips and the processes."""

    processes: int
    videos_per_step: int
    clips_per_step: int
    steps_per_epoch: int
    steps: int
    warmup_steps: int
    lr: float
    min_lr: float
    tokens: int
    parameters: int
    visible_tokens: int | None = None
    """Of pre-training, as are the next two."""
    decoded_tokens: int | None = None
    supervised_tokens: int | None = None
    first_layer_lr: float | None = None
    """Of fine-tuning, as is the next."""
    classes: int | None = None
    flop_per_clip: int | None = None
    """Floating-point operations of the model for one clip, forward and backward, without recomputed activations."""


@dataclass(frozen=True)
class FirstWeights:
    """Where the first weights came from."""

    path: str
    loaded: int
    """How many tensors fitted."""
    fresh: tuple[str, ...] | None = None
    """Of fine-tuning: the tensors that were drawn at random."""


@dataclass(frozen=True)
class RunInfo:
    """The contents of ``run.json``."""

    kind: Kind
    model: ModelConfig
    labels: tuple[str, ...] | None
    """Class names in the order of the outputs; None for pre-training."""
    options: JsonObject
    """The fields of ``PretrainOptions`` or ``FinetuneOptions`` as JSON has them."""
    data: TrainingData
    derived: Derived
    init: FirstWeights | None
    """None: the first weights were drawn at random."""
    versions: dict[str, str] = field(default_factory=lambda: package_versions())
    created: str = field(default_factory=utc_now)


@dataclass(frozen=True)
class TrainingResult:
    """How far a training came; of a finished one the contents of ``result.json``."""

    steps: int
    loss: float | None
    """The last in the log, a mean over a few steps; of an unfinished run that of its last step."""
    finished: bool = True
    seconds_of_last_start: float | None = None
    penalty: float | None = None
    """Of a linear probe: of the regression, chosen by cross-validation, whose accuracy follows."""
    cross_validated_top1: float | None = None
    layer_weights: tuple[float, ...] | None = None
    """Of an attentive probe: how much each block counts."""
    warning: str | None = None
    """A sentence where the loss says that the model has not learned, with what to change."""


@dataclass(frozen=True)
class Evaluation:
    """The test of a run on labelled videos; accuracies are fractions."""

    videos: int
    top1: float
    top1_low: float
    """Lower end of the 95 % interval (Wilson) that other videos of the same kind would give."""
    top1_high: float
    top5: float
    mean_class_accuracy: float
    classes: int
    views: int
    """Of each video."""
    seconds: float
    run: str
    data: str
    folder: str
    """Where predictions, table and pictures are."""
    unreadable: int = 0
    """Videos that could not be read: the numbers above are without them."""
    skip_unreadable: bool = False
    """Whether the caller had said that such videos may be left out."""
    mean_average_precision: float | None = None
    """Of a run that tells every label by itself: the mean over the classes that occur. There ``top1`` and ``top5`` are shares
    of videos that have a label among their one or five most probable classes."""
    survivors: Survivors | None = None
    """Of a test on a released list: what is left of it, and what the rest can have changed."""
    against: str | None = None
    """The other run or test, where one was asked for."""
    compared: Paired | None = None
    """Against it; None also where both have answered nothing in common."""
    chance: float | None = None
    """Top-1 of the same answers if they had nothing to do with the videos."""
    warning: str | None = None
    """A sentence where ``top1`` cannot be told from that, with what to change."""


class Run:
    """A pre-training or a fine-tuning in its folder, begun or finished. Wherever a path is asked for, a run will do.

    Args:
        path: the folder.
        result: how its training ended, where that is known; else ``result.json`` tells.
        derived: the numbers of a dry run, which leaves no folder; else ``run.json`` tells.
    """

    def __init__(
        self, path: str | os.PathLike[str], result: TrainingResult | None = None, derived: Derived | None = None
    ) -> None:
        self.path, self._result, self._derived = Path(path), result, derived

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @functools.cached_property
    def info(self) -> RunInfo:
        """What ``run.json`` says. Raises ``RunError`` where the folder is not a run, or is a damaged or newer one."""
        return read_run(self.path)

    @property
    def kind(self) -> Kind:
        return self.info.kind

    @property
    def config(self) -> ModelConfig:
        return self.info.model

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Class names in the order of the outputs; None for pre-training."""
        return self.info.labels

    @property
    def options(self) -> Mapping[str, object]:
        """The options that the run was begun with."""
        return self.info.options

    @property
    def derived(self) -> Derived:
        """The numbers that follow from the options: steps, learning rate, tokens …"""
        return self._derived or self.info.derived

    @property
    def result(self) -> TrainingResult:
        """How far it came: steps, loss. Raises ``RunError`` where an unfinished run was trained by another process."""
        if self._result is None:
            if not self.finished:
                raise RunError(f"{self}: this run is not finished; start it again as it was begun")
            self._result = read_record(self.path / "result.json", TrainingResult)
        return self._result

    @property
    def finished(self) -> bool:
        return (self.path / "result.json").is_file() if self._result is None else self._result.finished

    @property
    def weights(self) -> Path:
        """The file to test and predict with: the best on the val side or the averaged weights, where there are any."""
        names = ("best.safetensors", "average.safetensors", "model.safetensors")
        return next((self.path / name for name in names if (self.path / name).is_file()), self.path / names[-1])

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """The tests of this run in ``evaluations/``, by name; the one that fine-tuning ends with is called ``test``."""
        found = sorted((self.path / "evaluations").glob("*/result.json"))
        return {path.parent.name: read_record(path, Evaluation) for path in found}

    def log(self) -> list[JsonObject]:
        """The lines of ``log.jsonl``, see :func:`read_log`."""
        return read_log(self.path)

    def as_json(self) -> JsonObject:
        """``run``, ``steps``, ``loss`` and more, as in ``result.json``; ``test``: the evaluation that fine-tuning ended with.

        Of a dry run the derived numbers. Raises ``RunError`` as ``result`` does.
        """
        if self._derived is not None:
            return filled(self._derived)
        test = self.evaluations.get("test") if self.finished else None
        return {"run": str(self), **filled(self.result), **({} if test is None else {"test": filled(test)})}


# --- run.json and result.json --------------------------------------------------------------------------------------


def write_run(run: Path, info: RunInfo) -> None:
    parts = {"data": filled(info.data), "derived": filled(info.derived), "init": info.init and filled(info.init)}
    write_json(run / "run.json", {"format": FORMAT, **dataclasses.asdict(info), **parts})


def write_result(run: Path, result: TrainingResult) -> None:
    write_json(run / "result.json", {"run": str(run), **filled(result)})


def read_run(run: Path) -> RunInfo:
    """Raises ``RunError`` where the folder is not a run, or is a damaged or newer one."""
    path = run / "run.json"
    if not path.exists():
        raise RunError(f"{run}: no run.json there; expected a folder made by 'tiktokactions pretrain' or 'finetune'")
    return read_record(path, RunInfo)


def read_record(path: Path, kind: type[RecordType]) -> RecordType:
    """A frozen dataclass from a JSON file. Raises ``RunError`` where the file does not hold one."""
    try:
        data = msgspec.json.decode(path.read_bytes(), type=JsonObject)
        if data.get("format", FORMAT) > FORMAT:
            raise RunError(f"{path}: made by a newer tiktokactions; update this one")
        return msgspec.convert(data, kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: not a valid {path.name}: {error}".replace("`", "'")) from error


def differences(old: RunInfo, new: RunInfo, ignore: Sequence[str]) -> list[str]:
    """Why a run cannot be continued with these options, in words; empty if it can."""
    plain = json.loads(json.dumps(new.options))  # tuples become lists, as in the file
    earlier = dataclasses.asdict(PretrainOptions() if old.kind == "pretrain" else FinetuneOptions()) | old.options
    # Options that are newer than the run had their default.
    names = sorted((earlier.keys() | plain.keys()) - set(ignore))
    pairs = [(name, earlier.get(name), plain.get(name)) for name in names]
    pairs += [("command", old.kind, new.kind), ("model", old.model, new.model), ("`init`", old.init, new.init)]
    if new.derived.steps:  # a linear probe takes none
        pairs.append(("videos in a step", old.derived.videos_per_step, new.derived.videos_per_step))
    found = [f"{name}: was {a}, is {b}" for name, a, b in pairs if a != b]
    if old.data.fingerprint != new.data.fingerprint:
        found.append(f"clips: were {old.data.clips}, are {new.data.clips}, or others of the same number")
    return found


def filled(record: DataclassInstance) -> JsonObject:
    """The fields of a record that are not None."""
    return {name: value for name, value in dataclasses.asdict(record).items() if value is not None}


def package_versions() -> dict[str, str]:
    found = {"tiktokactions": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


# --- clips ---------------------------------------------------------------------------------------------------------


def clips_fingerprint(clips: Sequence[Clip], labels: Sequence[str]) -> str:
    """A hash of a list of clips: of their paths, parts and labels in order, not of their contents."""
    told = hashlib.sha256("\0".join(labels).encode())
    for clip in clips:
        told.update(repr((clip.path, clip.label, clip.start_s, clip.end_s)).encode())
    return told.hexdigest()[:16]


def write_clips(path: Path, clips: Iterable[Clip], reasons: Iterable[str] | None = None) -> None:
    """``path,label,start_s,end_s`` of every clip, and where given the reason why it was left out."""
    rows: list[list[object]] = [["path", "label", "start_s", "end_s"]]
    rows += [[clip.path, clip.label, clip.start_s, clip.end_s] for clip in clips]
    if reasons is not None:
        rows = [[*row, reason] for row, reason in zip(rows, ("reason", *reasons), strict=True)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomic(path, text.getvalue().encode("utf-8", "surrogateescape"))


# --- log -----------------------------------------------------------------------------------------------------------


def read_log(run: Path) -> list[JsonObject]:
    """The lines of ``log.jsonl``; a last line that was cut off in the middle is left out."""
    path = run / "log.jsonl"
    if not path.exists():
        return []
    lines = []
    with contextlib.suppress(json.JSONDecodeError):
        for line in path.read_text(encoding="utf-8").splitlines():
            lines.append(json.loads(line))
    return lines


def rewind_log(run: Path, step: int) -> None:
    """Keep the lines up to ``step``, the checkpoint that training continues from; later ones are written again."""
    kept = [json.dumps(line) for line in read_log(run) if line["step"] <= step]
    write_atomic(run / "log.jsonl", "".join(f"{line}\n" for line in kept).encode())


def append_log(run: Path, line: JsonObject) -> None:
    with (run / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
