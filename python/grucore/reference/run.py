# SPDX-License-Identifier: Apache-2.0
"""A graph run without the engine: the formulas of its layers in float64, one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.graph.graph import Graph
from grucore.graph.loops import is_fed_back, loops
from grucore.graph.node import Call, Node, Rate, Value
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
    given = {name: np.asarray(array, np.float64) for name, array in (state or {}).items()}
    before = {name: array[None] if single else array for name, array in given.items()}
    final: State = {}
    place, looped = 0, {loop.start: loop for loop in loops(graph.nodes)}
    while place < len(graph.nodes):
        loop = looped.get(place)
        if loop:
            final |= _run_loop(graph, loop, values, ends, before)
            place = loop.stop
            continue
        node = graph.nodes[place]
        counts = np.array([graph.value(node.inputs[0]).count(int(end)) for end in ends])
        result, states = _run_node(graph, node, values, counts, before)
        values[node.output] = _cut(result, graph.value(node.output), ends)
        final |= states
        place += 1
    final = {name: last[0] if single else last for name, last in final.items() if last.size}
    outputs = tuple(values[name] for name in graph.outputs)
    return tuple(output[0] if single else output for output in outputs), final


def _run_node(
    graph: Graph, node: Node, values: Mapping[str, Float], counts: npt.NDArray[Any], before: State
) -> tuple[Float, State]:
    """A node's output, and its states after the ``counts`` (B,) frames of each row."""
    reads, _ = graph.ports(node)
    names = [f"{node.name}{suffix}" for suffix in node.state_suffixes]
    call = Call(
        values=reads,
        sources=tuple(values[value.name] for value in reads),
        ends=counts,
        states=tuple(before.get(name) for name in names),
    )
    result, states = node.formula(call)
    return result, dict(zip(names, states, strict=True))


def _run_loop(
    graph: Graph, loop: range, values: dict[str, Float], ends: npt.NDArray[Any], before: State
) -> State:
    """Set what the nodes of a loop write, frame by frame; their states after the last one."""
    nodes = [graph.nodes[place] for place in loop]
    fed_back = [graph.nodes[place] for place in loop if is_fed_back(graph.nodes, place)]
    written = {node.output: graph.value(node.output) for node in nodes}
    outside = {name for node in nodes for name in node.inputs} - written.keys()
    clock = graph.value(nodes[0].output)
    counts = np.array([clock.count(int(end)) for end in ends])
    frames = clock.count(values[graph.inputs[0]].shape[1])
    for name, value in written.items():
        values[name] = np.zeros((len(ends), frames, value.features))
    state, nothing = dict(before), {name: array[:, :0] for name, array in values.items()}
    for node in nodes:  # the states before the first frame
        state |= _run_node(graph, node, nothing, 0 * counts, state)[1]
    for frame in range(frames):
        here = (frame < counts).astype(np.int64)
        now = {name: values[name][:, frame : frame + 1] for name in outside}
        # The output of a delay does not depend on its input, so zeros stand for it at first.
        now |= {name: np.zeros((len(ends), 1, value.features)) for name, value in written.items()}
        for node in nodes:
            now[node.output], states = _run_node(graph, node, now, here, state)
            if node not in fed_back:
                state |= states
        for node in fed_back:
            state |= _run_node(graph, node, now, here, state)[1]
        for name in written:
            values[name][:, frame] = np.where(here[:, None] > 0, now[name][:, 0], 0.0)
    own = {f"{node.name}{suffix}" for node in nodes for suffix in node.state_suffixes}
    return {name: last for name, last in state.items() if name in own}


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
