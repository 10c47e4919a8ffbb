"""ONNX files, written byte by byte, so that a model can be put together without the ONNX package.

Field numbers: onnx.proto3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np

_ELEMENTS = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "float16": 10}
_FLOAT, _INT, _INTS = 1, 2, 7
"""Types of attributes."""

Attribute = int | float | Sequence[int]
Value = tuple[str, Sequence[int | str], str]
"""Name, shape (a name where a side is free) and element type."""


class Graph:
    """Collects nodes and constants; every call gives the name of a tensor, which later calls take."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._count = 0

    def __call__(self, operator: str, *takes: str, gives: str = "", **attributes: Attribute) -> str:
        """Add a node with one output."""
        gives = gives or self._new_name()
        node = b"".join(_bytes(1, name.encode()) for name in takes)
        node += _bytes(2, gives.encode()) + _bytes(4, operator.encode())
        for name, value in attributes.items():
            node += _bytes(5, _attribute(name, value))
        self._parts.append(_bytes(1, node))
        return gives

    def constant(self, array: np.ndarray | np.generic) -> str:
        name = self._new_name()
        dims = b"".join(_number(1, side) for side in array.shape)
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        tensor = dims + _number(2, _ELEMENTS[array.dtype.name]) + _bytes(8, name.encode())
        self._parts.append(_bytes(5, tensor + _bytes(9, little_endian.tobytes())))
        return name

    def model(self, takes: Sequence[Value], gives: Value, metadata: Mapping[str, str] | None = None) -> bytes:
        """The bytes of the file: the graph from its inputs to one output."""
        inputs = b"".join(_bytes(11, _value(*value)) for value in takes)
        graph = b"".join(self._parts) + _bytes(2, b"graph") + inputs + _bytes(12, _value(*gives))
        model = _number(1, 8) + _bytes(8, _number(2, 17)) + _bytes(7, graph)
        for key, text in (metadata or {}).items():
            model += _bytes(14, _bytes(1, key.encode()) + _bytes(2, text.encode()))
        return model

    def _new_name(self) -> str:
        self._count += 1
        return f"t{self._count}"


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        typed = _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, _FLOAT)
    elif isinstance(value, int):
        typed = _number(3, value) + _number(20, _INT)
    else:
        typed = b"".join(_number(8, item) for item in value) + _number(20, _INTS)
    return _bytes(1, name.encode()) + typed


def _value(name: str, shape: Sequence[int | str], element: str) -> bytes:
    dims = [_number(1, side) if isinstance(side, int) else _bytes(2, side.encode()) for side in shape]
    tensor = _number(1, _ELEMENTS[element]) + _bytes(2, b"".join(_bytes(1, dim) for dim in dims))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value % (1 << 64))


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
