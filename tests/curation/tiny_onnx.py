"""Tiny ONNX files for tests, written byte by byte: a model that takes pictures and answers one fixed array, or any graph.

Written here so that the tests need no ONNX library. Field numbers: onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ELEMENT_TYPES = {"float32": 1, "int32": 6, "int64": 7, "float16": 10}
Tensor = tuple[Sequence[int | str], str]
"""Shape, with names where a side is free, and type."""
Node = tuple[str, Sequence[str], str, Mapping[str, int | Sequence[int]]]
"""Operator, inputs, output and attributes."""


def write_constant_model(
    path: Path,
    takes: Sequence[int | str],
    gives: np.ndarray,
    metadata: Mapping[str, str] | None = None,
    element: str = "float32",
) -> Path:
    """``takes``: the shape of the input, names where a side is free. ``gives``: the output whatever the input."""
    node: Node = ("Identity", ["answer"], "output", {})
    constants = {"answer": gives.astype(element)}
    return write_graph(
        path, [node], {"images": (takes, element)}, {"output": (gives.shape, element)}, constants, metadata
    )


def write_graph(
    path: Path,
    nodes: Sequence[Node],
    takes: Mapping[str, Tensor],
    gives: Mapping[str, Tensor],
    constants: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """``nodes`` in the order in which they are computed."""
    graph = _bytes(2, b"tiny")
    for operator, inputs, output, attributes in nodes:
        node = b"".join(_bytes(1, name.encode()) for name in inputs) + _bytes(2, output.encode())
        node += _bytes(4, operator.encode())
        for name, value in attributes.items():
            if isinstance(value, int):
                told = _number(3, value) + _number(20, 2)
            else:
                told = b"".join(_number(8, v) for v in value) + _number(20, 7)
            node += _bytes(5, _bytes(1, name.encode()) + told)
        graph += _bytes(1, node)
    for name, array in constants.items():
        dims = b"".join(_number(1, side) for side in array.shape)
        kind = ELEMENT_TYPES[str(array.dtype)]
        graph += _bytes(5, dims + _number(2, kind) + _bytes(8, name.encode()) + _bytes(9, array.tobytes()))
    for field, tensors in ((11, takes), (12, gives)):
        for name, (shape, element) in tensors.items():
            graph += _bytes(field, _value(name, shape, ELEMENT_TYPES[element]))
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
