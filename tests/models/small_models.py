# SPDX-License-Identifier: Apache-2.0
"""Graphs of small models, from seeded weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import grucore
from grucore.fileformat import write
from grucore.graph.graph import Graph, TestVector
from grucore.graph.layers import Activation, Cell, Concat, Dense, Direction, Gru, Take
from grucore.graph.node import Rate, Value


def frames(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Noise: the last axis is the features."""
    return rng.normal(size=shape).astype(np.float32)


def gru(
    rng: np.random.Generator,
    name: str,
    reads: tuple[str, int],
    hidden_size: int,
    *,
    cell: Cell = Cell.RESET_AFTER,
    reverse: bool = False,
) -> Gru:
    """A layer of uniform weights, as torch initialises them."""
    bound = 1 / np.sqrt(hidden_size)

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-bound, bound, shape).astype(np.float32)

    return Gru(
        name=name,
        inputs=(reads[0],),
        output=f"{name}.out",
        weight_ih=uniform(3 * hidden_size, reads[1]),
        weight_hh=uniform(3 * hidden_size, hidden_size),
        bias=uniform((4 if cell is Cell.RESET_AFTER else 3) * hidden_size),
        cell=cell,
        direction=Direction.REVERSE if reverse else Direction.FORWARD,
    )


def dense(rng: np.random.Generator, reads: tuple[str, int], features: int) -> Dense:
    """The output layer."""
    return Dense(
        name="linear",
        inputs=(reads[0],),
        output="y",
        weight=rng.uniform(-0.5, 0.5, (features, reads[1])).astype(np.float32),
        bias=rng.uniform(-0.5, 0.5, features).astype(np.float32),
        activation=Activation.LINEAR,
    )


def frames_graph(
    features: int = 5, hidden_size: int = 7, out: int = 3, layers: int = 1, seed: int = 0
) -> Graph:
    """x -> gru ... -> linear -> y, frame by frame."""
    rng = np.random.default_rng(seed)
    values = [Value("x", features)]
    nodes = []
    for layer in range(layers):
        reads = (values[-1].name, values[-1].features)
        nodes.append(gru(rng, f"gru.l{layer}", reads, hidden_size))
        values.append(Value(nodes[-1].output, hidden_size))
    nodes.append(dense(rng, (values[-1].name, hidden_size), out))
    values.append(Value("y", out))
    return Graph(values=tuple(values), inputs=("x",), outputs=("y",), nodes=tuple(nodes))


def last_graph(features: int = 5, hidden_size: int = 7, out: int = 3, seed: int = 0) -> Graph:
    """x -> gru -> last frame -> linear -> y, once per sequence."""
    rng = np.random.default_rng(seed)
    layer = gru(rng, "gru.l0", ("x", features), hidden_size)
    values = (
        Value("x", features),
        Value("gru.l0.out", hidden_size),
        Value("last", hidden_size, rate=Rate.SEQUENCE),
        Value("y", out, rate=Rate.SEQUENCE),
    )
    nodes = (
        layer,
        Take(name="take", inputs=("gru.l0.out",), output="last"),
        dense(rng, ("last", hidden_size), out),
    )
    return Graph(values=values, inputs=("x",), outputs=("y",), nodes=nodes)


def bidirectional_graph(features: int = 5, hidden_size: int = 7, seed: int = 0) -> Graph:
    """x -> forward and reverse gru -> side by side."""
    rng = np.random.default_rng(seed)
    forward = gru(rng, "gru.l0", ("x", features), hidden_size)
    reverse = gru(rng, "gru.l0_reverse", ("x", features), hidden_size, reverse=True)
    both = Concat(name="concat", inputs=(forward.output, reverse.output), output="y")
    values = (
        Value("x", features),
        Value(forward.output, hidden_size),
        Value(reverse.output, hidden_size),
        Value("y", 2 * hidden_size),
    )
    return Graph(values=values, inputs=("x",), outputs=("y",), nodes=(forward, reverse, both))


def ports_graph(seed: int = 0) -> Graph:
    """Two inputs side by side -> gru; the state per frame and a score per sequence come out."""
    rng = np.random.default_rng(seed)
    layer = gru(rng, "gru.l0", ("both", 5), 6)
    values = (
        Value("audio", 3),
        Value("motion", 2),
        Value("both", 5),
        Value("gru.l0.out", 6),
        Value("last", 6, rate=Rate.SEQUENCE),
        Value("y", 2, rate=Rate.SEQUENCE),
    )
    nodes = (
        Concat(name="concat", inputs=("audio", "motion"), output="both"),
        layer,
        Take(name="take", inputs=("gru.l0.out",), output="last"),
        dense(rng, ("last", 6), 2),
    )
    return Graph(
        values=values, inputs=("audio", "motion"), outputs=("gru.l0.out", "y"), nodes=nodes
    )


GRAPHS: dict[str, Callable[[], Graph]] = {
    "frames": frames_graph,
    "last": last_graph,
    "bidirectional": bidirectional_graph,
    "ports": ports_graph,
}


def with_test_vector(graph: Graph, frames: int = 9, isa: str | None = None) -> bytes:
    """The file of a graph that carries what the engine gives for seeded noise."""
    rng = np.random.default_rng(99)
    model = grucore.load(write(graph), isa=isa)
    inputs = tuple(
        rng.normal(size=(frames, port.features)).astype(np.float32) for port in model.inputs
    )
    outputs = model.run(inputs if len(inputs) > 1 else inputs[0])
    vector = TestVector(inputs, outputs if isinstance(outputs, tuple) else (outputs,))
    return write(replace(graph, test=vector))


def parameter_bytes(graph: Graph) -> int:
    """Bytes of all tensors as they are stored, padding not counted."""
    return sum(weight.nbytes for node in graph.nodes for weight in node.tensors().values())
