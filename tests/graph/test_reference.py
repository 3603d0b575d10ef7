# SPDX-License-Identifier: Apache-2.0
"""The float64 reference against a textbook GRU, torch in double precision, and onnxruntime."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from grucore.graph import gates
from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.layers import Activation, Cell, Direction, Gru
from grucore.graph.node import Value
from grucore.reference import run as reference
from models.small_models import bidirectional_graph, frames_graph, last_graph, ports_graph
from oracle import textbook
from oracle.oracles import oracle

# Both sides are float64 and differ in the order of their sums only.
DOUBLE = 1e-13


def tensors(rng: np.random.Generator, size: int, hidden: int) -> list[np.ndarray]:
    shapes = ((3 * hidden, size), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,))
    return [rng.uniform(-0.7, 0.7, shape).astype(np.float32) for shape in shapes]


def graph_of(parts: list[np.ndarray], cell: Cell, direction: Direction) -> Graph:
    weight_ih, weight_hh, bias_ih, bias_hh = parts
    fold = gates.fold_reset_after if cell is Cell.RESET_AFTER else gates.fold_reset_before
    node = Gru(
        name="gru.l0",
        inputs=("x",),
        output="y",
        weight_ih=weight_ih,
        weight_hh=weight_hh,
        bias=fold(bias_ih, bias_hh),
        cell=cell,
        direction=direction,
    )
    values = (Value("x", weight_ih.shape[1]), Value("y", weight_hh.shape[1]))
    graph = Graph(values=values, inputs=("x",), outputs=("y",), nodes=(node,))
    check(graph)
    return graph


@pytest.mark.parametrize("cell", list(Cell))
def test_textbook(cell: Cell, rng: np.random.Generator) -> None:
    for size, hidden in ((1, 1), (3, 5), (6, 4)):
        parts = tensors(rng, size, hidden)
        parts[3][: 2 * hidden] = 0  # so that folding rounds nothing
        if cell is Cell.RESET_BEFORE:
            parts[3][:] = 0
        x = rng.uniform(-4, 4, (9, size))
        h = rng.uniform(-1, 1, hidden)
        graph = graph_of(parts, cell, Direction.FORWARD)
        (y,), state = reference.run(graph, x, state={"gru.l0.h": h})
        (node,) = graph.nodes
        assert isinstance(node, Gru)
        expected, _ = textbook.gru(
            x,
            *(node.weight_ih, node.weight_hh, node.bias),
            reset_after=cell is Cell.RESET_AFTER,
            gate=textbook.sigmoid,
            candidate=math.tanh,
            h=h,
        )
        assert np.abs(y - expected).max() < DOUBLE
        assert np.array_equal(state["gru.l0.h"], y[-1])


def test_reverse_is_forward_on_the_turned_sequence(rng: np.random.Generator) -> None:
    parts = tensors(rng, 3, 5)
    x = rng.standard_normal((7, 3))
    (forward,), _ = reference.run(graph_of(parts, Cell.RESET_AFTER, Direction.FORWARD), x[::-1])
    (reverse,), state = reference.run(graph_of(parts, Cell.RESET_AFTER, Direction.REVERSE), x)
    assert np.array_equal(reverse, forward[::-1])
    assert np.array_equal(state["gru.l0.h"], reverse[0])


@pytest.mark.parametrize("make", [frames_graph, last_graph, bidirectional_graph])
def test_lengths_cut_each_row(make: object, rng: np.random.Generator) -> None:
    graph = make()  # type: ignore[operator]
    x = rng.standard_normal((4, 6, 5))
    lengths = [6, 3, 1, 0]
    (y,), state = reference.run(graph, x, lengths=lengths)
    for row, length in enumerate(lengths):
        (alone,), alone_state = reference.run(graph, x[row, :length])
        if y.ndim == 3:
            assert np.allclose(y[row, :length], alone, rtol=0, atol=DOUBLE)
            assert not y[row, length:].any()
        else:
            assert np.allclose(y[row], alone, rtol=0, atol=DOUBLE)
        for name, h in alone_state.items():
            assert np.allclose(state[name][row], h, rtol=0, atol=DOUBLE)


def test_blocks_continue_from_the_state(rng: np.random.Generator) -> None:
    graph = frames_graph(layers=2)
    x = rng.standard_normal((8, 5))
    (whole,), final = reference.run(graph, x)
    (first,), state = reference.run(graph, x[:3])
    (second,), end = reference.run(graph, x[3:], state=state)
    assert np.allclose(np.concatenate([first, second]), whole, rtol=0, atol=DOUBLE)
    assert all(np.allclose(end[name], final[name], rtol=0, atol=DOUBLE) for name in final)


def test_several_inputs_and_outputs(rng: np.random.Generator) -> None:
    audio, motion = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    outputs, _ = reference.run(ports_graph(), (audio, motion))
    assert [output.shape for output in outputs] == [(4, 6), (2,)]


SIMPLE = (Activation.LINEAR, Activation.SIGMOID, Activation.TANH, Activation.RELU)


@pytest.mark.parametrize("activation", SIMPLE, ids=str)
def test_activations(activation: Activation, rng: np.random.Generator) -> None:
    graph = frames_graph()
    dense = replace(graph.nodes[1], activation=activation)
    x = rng.uniform(-4, 4, (5, 5))
    (plain,), _ = reference.run(graph, x)
    (y,), _ = reference.run(replace(graph, nodes=(graph.nodes[0], dense)), x)
    expected = {
        Activation.LINEAR: plain,
        Activation.SIGMOID: 1 / (1 + np.exp(-plain)),
        Activation.TANH: np.tanh(plain),
        Activation.RELU: np.maximum(plain, 0),
    }[activation]
    assert np.abs(y - expected).max() < DOUBLE


def test_shapes_are_checked() -> None:
    graph = frames_graph()
    with pytest.raises(ValueError, match=r"input 'x' has shape \(1, 3, 4\), expected \(1, 3, 5\)"):
        reference.run(graph, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="lengths"):
        reference.run(graph, np.zeros((2, 3, 5)), lengths=[1, 4])


@pytest.mark.oracle
@pytest.mark.parametrize("direction", list(Direction))
def test_torch_in_double(direction: Direction, rng: np.random.Generator) -> None:
    torch = oracle("torch")
    parts = tensors(rng, 4, 6)
    parts[3][:12] = 0
    module = torch.nn.GRU(4, 6, bidirectional=True, batch_first=True, dtype=torch.float64)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    state = {name: torch.from_numpy(part).double() for name, part in zip(names, parts, strict=True)}
    state |= {f"{name}_reverse": tensor for name, tensor in state.items()}
    module.load_state_dict(state)
    x = rng.uniform(-4, 4, (2, 20, 4))
    with torch.no_grad():
        both, h = module(torch.from_numpy(x))
    reverse = direction is Direction.REVERSE
    (y,), final = reference.run(graph_of(parts, Cell.RESET_AFTER, direction), x)
    expected = both[..., 6:] if reverse else both[..., :6]
    assert np.abs(y - expected.numpy()).max() < DOUBLE
    assert np.abs(final["gru.l0.h"] - h[int(reverse)].numpy()).max() < DOUBLE


@pytest.mark.oracle
@pytest.mark.parametrize("cell", list(Cell))
def test_onnxruntime(cell: Cell, rng: np.random.Generator) -> None:
    onnx, runtime = oracle("onnx"), oracle("onnxruntime")
    hidden, size = 6, 4
    parts = tensors(rng, size, hidden)

    def zrh(rows: np.ndarray) -> np.ndarray:
        r, z, n = np.split(rows, 3)
        return np.concatenate([z, r, n])[None]

    weights = {
        "W": zrh(parts[0]),
        "R": zrh(parts[1]),
        "B": np.concatenate([zrh(parts[2]), zrh(parts[3])], axis=1),
    }
    helper = onnx.helper
    node = helper.make_node(
        "GRU",
        ["x", "W", "R", "B", "lengths"],
        ["y", "h"],
        hidden_size=hidden,
        linear_before_reset=int(cell is Cell.RESET_AFTER),
    )
    kinds = onnx.TensorProto
    model = helper.make_model(
        helper.make_graph(
            [node],
            "gru",
            [
                helper.make_tensor_value_info("x", kinds.FLOAT, [20, 3, size]),
                helper.make_tensor_value_info("lengths", kinds.INT32, [3]),
            ],
            [
                helper.make_tensor_value_info("y", kinds.FLOAT, [20, 1, 3, hidden]),
                helper.make_tensor_value_info("h", kinds.FLOAT, [1, 3, hidden]),
            ],
            [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 14)],
        ir_version=8,
    )
    session = runtime.InferenceSession(model.SerializeToString())
    x = rng.uniform(-4, 4, (3, 20, size)).astype(np.float32)
    lengths = np.array([20, 7, 1], np.int32)
    y, h = session.run(None, {"x": x.swapaxes(0, 1), "lengths": lengths})
    graph = graph_of(parts, cell, Direction.FORWARD)
    (ours,), state = reference.run(graph, x, lengths=lengths)
    # onnxruntime computes in float32.
    assert np.abs(ours - y[:, 0].swapaxes(0, 1)).max() < 2e-6
    assert np.abs(state["gru.l0.h"] - h[0]).max() < 2e-6
