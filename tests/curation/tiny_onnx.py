"""Tiny ONNX files for tests, written byte by byte: a model that takes pictures and answers one fixed array.

Written here so that the tests need no ONNX library. Field numbers: onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ELEMENT_TYPES = {"float32": 1, "float16": 10}


def write_constant_model(
    path: Path,
    takes: Sequence[int | str],
    gives: np.ndarray,
    metadata: Mapping[str, str] | None = None,
    element: str = "float32",
) -> Path:
    """``takes``: the shape of the input, names where a side is free. ``gives``: the output whatever the input."""
    kind = ELEMENT_TYPES[element]
    answer = gives.astype(element)
    dims = b"".join(_number(1, side) for side in answer.shape)
    initializer = dims + _number(2, kind) + _bytes(8, b"answer") + _bytes(9, answer.tobytes())
    node = _bytes(1, b"answer") + _bytes(2, b"output") + _bytes(4, b"Identity")
    graph = (
        _bytes(1, node)
        + _bytes(2, b"constant")
        + _bytes(5, initializer)
        + _bytes(11, _value("images", takes, kind))
        + _bytes(12, _value("output", answer.shape, kind))
    )
    model = _number(1, 8) + _bytes(8, _number(2, 13)) + _bytes(7, graph)
    for key, text in (metadata or {}).items():
        model += _bytes(14, _bytes(1, key.encode()) + _bytes(2, text.encode()))
    path.write_bytes(model)
    return path


def _value(name: str, shape: Sequence[int | str], kind: int) -> bytes:
    dims = [_number(1, side) if isinstance(side, int) else _bytes(2, side.encode()) for side in shape]
    tensor = _number(1, kind) + _bytes(2, b"".join(_bytes(1, dim) for dim in dims))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
