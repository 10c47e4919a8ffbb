"""The file beside a video that describes it."""

from __future__ import annotations

import json
from pathlib import Path

from tiktokactions.metadata.names import sidecar_names
from tiktokactions.records import JsonObject


def read_sidecar(path: Path) -> tuple[JsonObject, str]:
    """What ``NAME.json``, ``NAME.info.json`` or ``NAME.mp4.json`` beside a video says about it, and why it could not be read;
    nothing if there is none."""
    for name in sidecar_names(path.name):
        sidecar = path.with_name(name)
        try:
            return said_by(name, sidecar.read_bytes())
        except FileNotFoundError:
            continue
        except OSError as error:
            return {}, f"{name}: {error.strerror or error}"
    return {}, ""


def said_by(name: str, data: bytes) -> tuple[JsonObject, str]:
    """The object in a sidecar, and what is wrong with it. Bytes that are no UTF-8 cost one character each."""
    try:
        said = json.loads(data.decode("utf-8-sig", "replace"))
    except ValueError as error:
        return {}, f"{name}: {error}"
    if not isinstance(said, dict):
        return {}, f"{name}: expected a JSON object, got {type(said).__name__}"
    return said, ""
