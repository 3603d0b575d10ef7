# SPDX-License-Identifier: Apache-2.0
"""The formulas, slow and obvious, in float64: what a graph computes, without the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.ir import Graph
from grucore.layers import Activation, Cell, Concat, Dense, Direction, Gru, Take
from grucore.node import Node, Rate

__all__ = ["run"]

Float = npt.NDArray[np.float64]
State = dict[str, Float]


def run(
    graph: Graph,
    inputs: npt.ArrayLike | Sequence[npt.ArrayLike],
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
) -> tuple[tuple[Float, ...], State]:
    """Outputs, and the final state ``{"<node>.h": (H,) or (B, H)}``, in float64.

    ``inputs``: (T, features) or (B, T, features), or one of these for each input of the graph.
    ``lengths`` (B,), or a number: the valid frames of each row; outputs are 0 past them, the state
    is that of the last valid frame, and a reverse layer starts there. ``state``: initial states by
    name, zero where missing. Raises ValueError for shapes that do not fit.
    """
    several = isinstance(inputs, tuple | list) and len(inputs) == len(graph.inputs)
    given: Sequence[Any] = inputs if several else [inputs]  # type: ignore[assignment]
    arrays = [np.asarray(array, np.float64) for array in given]
    single = arrays[0].ndim == 2
    batches = [array[None] if single else array for array in arrays]
    batch, frames = batches[0].shape[:2]
    for name, array in zip(graph.inputs, batches, strict=True):
        shape = (batch, frames, graph.value(name).features)
        if array.shape != shape:
            raise ValueError(f"input {name!r} has shape {array.shape}, expected {shape}")
    ends = np.full(batch, frames) if lengths is None else np.asarray(lengths).reshape(-1)
    if ends.shape != (batch,) or (ends < 0).any() or (ends > frames).any():
        raise ValueError(f"lengths {ends} for {batch} rows of {frames} frames")

    values = dict(zip(graph.inputs, batches, strict=True))
    final: State = {}
    valid = np.arange(frames) < ends[:, None]
    for node in graph.nodes:
        sources = [values[name] for name in node.inputs]
        start = (state or {}).get(f"{node.name}.h")
        result, last = _LAYERS[type(node)](node, sources, ends, start)
        if graph.value(node.output).rate is Rate.FRAME:
            result = np.where(valid[:, :, None], result, 0.0)
        values[node.output] = result
        if last is not None:
            final[f"{node.name}.h"] = last
    if single:
        final = {name: array[0] for name, array in final.items()}
    outputs = tuple(values[name] for name in graph.outputs)
    return tuple(output[0] if single else output for output in outputs), final


def _sigmoid(x: Float) -> Float:
    # exp of a negative number only: no overflow on either side.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


_ACTIVATIONS: dict[Activation, Callable[[Float], Float]] = {
    Activation.LINEAR: lambda x: x,
    Activation.SIGMOID: _sigmoid,
    Activation.TANH: np.tanh,
    Activation.RELU: lambda x: np.where(x < 0, 0.0, x),
}


def gru_step(node: Gru, x: Float, h: Float) -> Float:
    """One frame of the cell: ``x`` (I,), ``h`` (H,) -> the new ``h``."""
    size = node.hidden_size
    gate, candidate = _ACTIVATIONS[node.gate_activation], _ACTIVATIONS[node.activation]
    bias = node.bias.astype(np.float64)
    weight_hh = node.weight_hh.astype(np.float64)
    projected = node.weight_ih.astype(np.float64) @ x + bias[: 3 * size]
    r = gate(projected[:size] + weight_hh[:size] @ h)
    z = gate(projected[size : 2 * size] + weight_hh[size : 2 * size] @ h)
    if node.cell is Cell.RESET_AFTER:
        inner = r * (weight_hh[2 * size :] @ h + bias[3 * size :])
    else:
        inner = weight_hh[2 * size :] @ (r * h)
    n = candidate(projected[2 * size :] + inner)
    return z * h + (1.0 - z) * n


def _gru(
    node: Node, sources: list[Float], ends: npt.NDArray[Any], start: npt.ArrayLike | None
) -> tuple[Float, Float]:
    assert isinstance(node, Gru)
    (x,) = sources
    size = node.hidden_size
    result = np.zeros((*x.shape[:2], size))
    h = np.zeros((len(x), size))
    if start is not None:
        h += np.asarray(start, np.float64).reshape(h.shape)
    for row, end in enumerate(ends):
        order = range(int(end))
        for frame in order if node.direction is Direction.FORWARD else reversed(order):
            h[row] = gru_step(node, x[row, frame], h[row])
            result[row, frame] = h[row]
    return result, h


def _dense(node: Node, sources: list[Float], *_: object) -> tuple[Float, None]:
    assert isinstance(node, Dense)
    weight, bias = node.weight.astype(np.float64), node.bias.astype(np.float64)
    return _ACTIVATIONS[node.activation](sources[0] @ weight.T + bias), None


def _take(
    node: Node, sources: list[Float], ends: npt.NDArray[Any], _: object
) -> tuple[Float, None]:
    (x,) = sources
    rows = [x[row, end - 1] if end else np.zeros(x.shape[2]) for row, end in enumerate(ends)]
    return np.stack(rows), None


def _concat(node: Node, sources: list[Float], *_: object) -> tuple[Float, None]:
    return np.concatenate(sources, axis=-1), None


_LAYERS: dict[type[Node], Callable[..., tuple[Float, Float | None]]] = {
    Gru: _gru,
    Dense: _dense,
    Take: _take,
    Concat: _concat,
}
