# SPDX-License-Identifier: Apache-2.0
"""Loops: which nodes run frame by frame, the order that a file has them in, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Delay,
    Flip,
    Operation,
    Pool1d,
)
from grucore.graph.loops import arranged, loops
from grucore.graph.node import Node, Value

FEATURES = 3


def add(output: str, *inputs: str) -> Binary:
    return Binary(name=output, inputs=inputs, output=output, operation=Operation.ADD)


def tanh(output: str, source: str) -> Activate:
    return Activate(name=output, inputs=(source,), output=output, activation=Activation.TANH)


def delay(output: str, source: str, **settings: object) -> Delay:
    return Delay(name=output, inputs=(source,), output=output, **settings)  # type: ignore[arg-type]


def graph_of(*nodes: Node, outputs: tuple[str, ...] = ("h",)) -> Graph:
    values = [Value(name, FEATURES) for name in ("x", *(node.output for node in nodes))]
    return Graph(values=tuple(values), inputs=("x",), outputs=outputs, nodes=nodes)


def test_nodes_of_a_cycle_come_side_by_side_after_what_they_read() -> None:
    nodes = [
        tanh("h", "sum"),
        tanh("after", "h"),
        add("sum", "before", "past"),
        delay("past", "h"),
        tanh("before", "x"),
    ]
    order = [node.name for node in arranged(nodes)]
    assert order == ["before", "past", "sum", "h", "after"]
    assert loops(arranged(nodes)) == [range(1, 4)]
    check(graph_of(*arranged(nodes)))


def test_two_cycles_stay_two_loops() -> None:
    nodes = [
        delay("a", "ha"),
        delay("b", "h"),
        add("ha", "x", "a"),
        add("h", "ha", "b"),
    ]
    order = arranged(nodes)
    assert [node.name for node in order] == ["a", "ha", "b", "h"]
    assert loops(order) == [range(2), range(2, 4)]


def test_a_delay_of_what_came_before_is_no_loop() -> None:
    nodes = [tanh("t", "x"), delay("past", "t"), add("h", "t", "past")]
    assert arranged(nodes) == tuple(nodes)
    assert loops(nodes) == []


def test_a_cycle_without_a_delay_has_no_order() -> None:
    with pytest.raises(ValueError, match="'sum' reads itself without a delay in between"):
        arranged([add("sum", "x", "h"), tanh("h", "sum")])


def test_what_cannot_run_frame_by_frame_is_no_part_of_a_loop() -> None:
    flip = Flip(name="turned", inputs=("sum",), output="turned")
    graph = graph_of(delay("past", "h"), add("sum", "x", "past"), flip, tanh("h", "turned"))
    with pytest.raises(grucore.ConversionError, match="'turned' reads the future"):
        check(graph)
    pool = Pool1d(name="slow", inputs=("x",), output="slow", taps=2, stride=2)
    graph = graph_of(delay("past", "h"), pool, add("h", "x", "past"))
    values = [pool.written(graph.value("x")) if v.name == "slow" else v for v in graph.values]
    graph = replace(graph, values=tuple(values))
    with pytest.raises(grucore.ConversionError, match="'slow' does not come with the frames"):
        check(graph)


def test_a_file_whose_loop_is_impossible_is_refused_by_reader_and_engine() -> None:
    scale = np.ones(FEATURES, np.float32)
    affine = Affine(name="turned", inputs=("sum",), output="turned", scale=scale, shift=scale)
    graph = graph_of(delay("past", "h"), add("sum", "x", "past"), affine, tanh("h", "turned"))
    file = bytearray(fileformat.write(graph))
    at = 64 + -(-len(graph.values) * 32 // 64) * 64  # the nodes
    for place, kind in ((2, Flip.kind), (0, Activate.kind)):
        changed = bytearray(file)
        changed[at + 64 * place] = kind
        changed[12:16] = fileformat.layout.checksum(changed).to_bytes(4, "little")
        for read in (fileformat.read, grucore.load):
            with pytest.raises(grucore.FormatError):
                read(bytes(changed))
    unwritten = replace(graph, nodes=graph.nodes[:3])
    with pytest.raises(grucore.ConversionError, match="neither an input nor written"):
        check(unwritten)


def test_a_delay_in_the_engine_is_its_definition(rng: np.random.Generator) -> None:
    start = rng.normal(size=(2, FEATURES)).astype(np.float32)
    model = grucore.load(fileformat.write(graph_of(delay("h", "x", frames=2, initial_state=start))))
    x = rng.normal(size=(7, FEATURES)).astype(np.float32)
    assert np.array_equal(model.run(x), np.concatenate([start, x[:-2]]))
    stream = model.stream()
    assert np.array_equal(stream.state["h.x"], start)
    stream.run(x)
    assert np.array_equal(stream.state["h.x"], x[-2:])
    stream.state = {"h.x": start[::-1]}
    assert np.array_equal(stream.step(x[0]), start[1])


def test_a_state_that_feeds_back_is_held_with_its_frame(rng: np.random.Generator) -> None:
    model = grucore.load(
        fileformat.write(graph_of(delay("past", "h"), add("sum", "x", "past"), tanh("h", "sum")))
    )
    x = rng.normal(size=(9, FEATURES)).astype(np.float32)
    gap = np.insert(x, 4, np.nan, axis=0)
    held = model.run(gap, nonfinite="hold")
    assert np.isnan(held[4]).all()
    assert np.array_equal(np.delete(held, 4, axis=0), model.run(x))
    stream = model.stream(batch=2)
    for frame in x:
        stream.step(np.stack([frame, frame]), active=[0])
    assert np.array_equal(stream.state["past.x"], [model.run(x)[-1], np.zeros(FEATURES)])
