# SPDX-License-Identifier: Apache-2.0
"""A graph run without the engine: the formulas of its layers in float64, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.graph.graph import Graph
from grucore.graph.node import Call, Rate, Value
from grucore.graph.tensors import Array, Float

__all__ = ["arrange", "run"]

State = dict[str, Float]


def run(
    graph: Graph,
    inputs: npt.ArrayLike | Sequence[npt.ArrayLike],
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
) -> tuple[tuple[Float, ...], State]:
    """Outputs, and the final states by name, in float64.

    ``"<node>.h"``, and of an LSTM ``"<node>.c"``: (H,) or (B, H). ``"<node>.history"`` of a
    convolution: (frames, channels) or (B, frames, channels).

    ``inputs``: (T, features) or (B, T, features), or one of these for each input of the graph; of
    one feature also (T,). Outputs have the values that T frames give.
    ``lengths`` (B,), or a number: the valid frames of each row; outputs are 0 past them, the state
    is that of the last valid frame, and a reverse layer starts there. ``state``: initial states by
    name; where one is missing, the layer's own. Raises ValueError for shapes that do not fit.
    """
    arrays, ends, single = arrange(graph, inputs, lengths)
    batches = [array.astype(np.float64) for array in arrays]

    values = dict(zip(graph.inputs, batches, strict=True))
    final: State = {}
    for node in graph.nodes:
        reads, output = graph.ports(node)
        names = [f"{node.name}{suffix}" for suffix in node.state_suffixes]
        given = [np.asarray(state[n], np.float64) if state and n in state else None for n in names]
        call = Call(
            values=reads,
            sources=tuple(values[value.name] for value in reads),
            ends=np.array([reads[0].count(int(end)) for end in ends]),
            states=tuple(s if s is None or not single else s[None] for s in given),
        )
        result, states = node.formula(call)
        values[node.output] = _cut(result, output, ends)
        for name, last in zip(names, states, strict=True):
            if last.size:
                final[name] = last[0] if single else last
    outputs = tuple(values[name] for name in graph.outputs)
    return tuple(output[0] if single else output for output in outputs), final


def arrange(
    graph: Graph,
    inputs: npt.ArrayLike | Sequence[npt.ArrayLike],
    lengths: npt.ArrayLike | None,
) -> tuple[list[Array], npt.NDArray[Any], bool]:
    """The arguments of `run` as arrays (B, T, features) of their own dtypes, the frames
    (B,) of each row, and whether it was one sequence without a batch. Raises as `run` does.
    """
    several = isinstance(inputs, tuple | list) and len(inputs) == len(graph.inputs)
    given: Sequence[Any] = inputs if several else [inputs]  # type: ignore[assignment]
    ports = [graph.value(name) for name in graph.inputs]
    arrays = [np.asarray(array) for array in given]
    arrays = [array[:, None] if array.ndim == 1 else array for array in arrays]
    single = arrays[0].ndim == 2
    batches = [array[None] if single else array for array in arrays]
    batch, frames = batches[0].shape[:2]
    for port, array in zip(ports, batches, strict=True):
        shape = (batch, frames, port.features)
        if array.shape != shape:
            raise ValueError(f"input {port.name!r} has shape {array.shape}, expected {shape}")
    ends = np.full(batch, frames) if lengths is None else np.asarray(lengths).reshape(-1)
    if ends.shape != (batch,) or (ends < 0).any() or (ends > frames).any():
        raise ValueError(f"lengths {ends} for {batch} rows of {frames} frames")
    return batches, ends, single


def _cut(result: Float, value: Value, ends: npt.NDArray[Any]) -> Float:
    """The output of a layer with zeros past the end of each row, and for rows without frames."""
    if value.rate is Rate.SEQUENCE:
        return np.where(ends[:, None] > 0, result, 0.0)
    counts = np.array([value.count(int(end)) for end in ends])
    valid = np.arange(result.shape[1]) < counts[:, None]
    return np.where(valid[:, :, None], result, 0.0)
