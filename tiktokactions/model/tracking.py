"""Numbers of a training sent to an experiment tracker, as they are written to its log."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tiktokactions.files import write_atomic
from tiktokactions.model.options import Tracker

PROJECT = "tiktokactions"
Send = Callable[[Mapping[str, float], int], None]
"""Takes numbers by their names, and the step that they belong to."""


def nobody() -> tuple[Send, Callable[[], object]]:
    """What takes numbers and keeps none."""
    return (lambda numbers, at: None), lambda: None


def track(
    kind: Tracker | None, run: Path, options: Mapping[str, object], step: int
) -> tuple[Send, Callable[[], object]]:
    """What sends numbers to a tracker, and what ends that; a run that goes on at ``step`` is continued there, too.

    Args:
        kind: None: TensorBoard where it is installed, else nobody.
        options: shown beside the numbers.

    Raises:
        ImportError: the tracker's package is not installed.
    """
    with contextlib.redirect_stdout(sys.stderr):  # what the package has to say is no result of ours
        send, end = _begin(kind, run, options, step)

    def close() -> None:
        with contextlib.redirect_stdout(sys.stderr):
            end()

    return send, close


def _begin(
    kind: Tracker | None, run: Path, options: Mapping[str, object], step: int
) -> tuple[Send, Callable[[], object]]:
    if kind in ("wandb", "trackio"):
        client: Any = importlib.import_module(kind)
        own_id = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
        # Trackio knows a run by its name alone, and folders of the same name are many.
        more = {"name": f"{run.name}-{own_id[:6]}"}
        if kind == "wandb":
            more = {"name": run.name, "id": own_id, "dir": str(run)}
        client.init(project=PROJECT, config=dict(options), resume="allow", **more)
        return (lambda numbers, at: client.log(dict(numbers), step=at)), client.finish
    if kind == "mlflow":
        client = importlib.import_module(kind)
        remembered = run / "mlflow.txt"
        known = remembered.read_text() if remembered.is_file() else None
        client.set_experiment(PROJECT)
        try:
            begun = client.start_run(run_id=known, run_name=run.name)
        except client.exceptions.MlflowException:
            if known is None:
                raise
            known, begun = None, client.start_run(run_id=None, run_name=run.name)  # its store is another now
        if known is None:
            client.log_params({name: str(value) for name, value in options.items()})
            write_atomic(remembered, begun.info.run_id.encode())
        return (lambda numbers, at: client.log_metrics(dict(numbers), step=at)), client.end_run
    if kind is None and importlib.util.find_spec("tensorboard") is None:
        return nobody()
    from torch.utils.tensorboard import SummaryWriter

    events = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1 if step else None)

    def send(numbers: Mapping[str, float], at: int) -> None:
        for name, value in numbers.items():
            events.add_scalar(name, value, at)
        events.flush()

    return send, events.close
