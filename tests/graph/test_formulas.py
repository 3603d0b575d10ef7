# SPDX-License-Identifier: Apache-2.0
"""The float64 formula of every layer kind against the textbook, and against torch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    ArgMax,
    Attention,
    Binary,
    Cell,
    Concat,
    Conv1d,
    Delay,
    Dense,
    Direction,
    Embedding,
    Expand,
    Filterbank,
    Flip,
    Gru,
    Irfft,
    LayerNorm,
    Lstm,
    Mask,
    MaskedOutput,
    OverlapAdd,
    Pool,
    Pool1d,
    Pooling,
    Position,
    Recurrent,
    Rfft,
    Rnn,
    Select,
    Softmax,
    Spectrum,
    Take,
    Window,
)
from grucore.graph.node import Node, Rate, Value
from grucore.graph.tensors import Dtype
from grucore.reference import run as reference
from models.layer_models import KIND_NAMES, frames_for, inputs_for, make
from oracle import textbook
from oracle.oracles import oracle

DOUBLE = 1e-11  # of the scale: both are float64


def function(activation: Activation) -> Any:
    """One number to one number."""
    formula = textbook.FUNCTIONS[activation.name]
    return lambda x: formula(float(x), activation.alpha, activation.beta)


def each(activation: Activation, x: np.ndarray) -> np.ndarray:
    return np.vectorize(function(activation), otypes=[float])(x)


def recurrent(node: Recurrent, sources: list[np.ndarray]) -> np.ndarray:
    turn = slice(None, None, -1 if node.direction is Direction.REVERSE else 1)
    mask = sources[1][turn, 0] if len(sources) > 1 else None
    zeros = np.zeros(node.hidden_size)
    starts = [zeros if start is None else start for start in node.initial_states]
    weights = (sources[0][turn], node.weight_ih, node.weight_hh, node.bias)
    match node:
        case Gru():
            states, _ = textbook.gru(
                *weights,
                reset_after=node.cell is Cell.RESET_AFTER,
                gate=function(node.gate_activation),
                candidate=function(node.activation),
                h=starts[0],
                mask=mask,
            )
        case Lstm():
            states, _, _ = textbook.lstm(
                *weights,
                gate=function(node.gate_activation),
                candidate=function(node.activation),
                output=function(node.cell_activation),
                h=starts[0],
                c=starts[1],
                mask=mask,
            )
        case Rnn():
            activation = function(node.activation)
            states = textbook.rnn(*weights, activation=activation, h=starts[0], mask=mask)
    result = np.array(states).reshape(-1, node.hidden_size)
    if mask is not None and node.masked_output is MaskedOutput.ZERO:
        result[mask == 0] = 0
    return result[turn]


def pooled(node: Pool, sources: list[np.ndarray]) -> np.ndarray:
    x = sources[0]
    frames = [row for t, row in enumerate(x) if len(sources) < 2 or sources[1][t, 0]]
    if not frames:
        return np.zeros(x.shape[1])
    columns = zip(*frames, strict=True)
    if node.pooling is Pooling.MAXIMUM:
        return np.array([max(column) for column in columns])
    return np.array([sum(column) / len(frames) for column in columns])


def embedded(node: Embedding, x: np.ndarray) -> np.ndarray:
    width = node.table.shape[1]
    rows = [
        [
            value
            for number in frame
            for value in (
                node.table[int(number)] if 0 <= number < len(node.table) else [0.0] * width
            )
        ]
        for frame in x
    ]
    return np.array(rows, float).reshape(len(x), -1)


def layer(node: Node, sources: list[np.ndarray]) -> np.ndarray:
    """The textbook's result for one sequence: (frames, features), or (features,)."""
    x = sources[0]
    rows = np.atleast_2d(x)
    match node:
        case Recurrent():
            return recurrent(node, sources)
        case Dense():
            weights = node.weight.astype(float), node.bias.astype(float)
            return each(node.activation, np.einsum("...i,oi->...o", x, weights[0]) + weights[1])
        case Conv1d():
            settings = ("dilation", "stride", "groups", "before", "after")
            convolve = partial(textbook.conv1d, **{name: getattr(node, name) for name in settings})
            return each(node.activation, convolve(x, node.weight, node.bias))
        case Embedding():
            return embedded(node, x)
        case ArgMax():
            groups = np.array_split(x, node.groups, axis=-1)
            return np.stack([[row.argmax() for row in np.atleast_2d(g)] for g in groups], -1)
        case Activate() if node.slope is not None:
            return np.maximum(x, 0) + node.slope.astype(float) * np.minimum(x, 0)
        case Activate():
            return each(node.activation, x)
        case Softmax():
            result = np.array([textbook.softmax(row) for row in rows]).reshape(x.shape)
            return np.log(result) if node.logarithm else result
        case LayerNorm():
            norm = partial(
                textbook.layer_norm,
                scale=node.scale.tolist(),
                shift=node.shift.tolist(),
                epsilon=float(np.float32(node.epsilon)),
            )
            return np.array([norm(row) for row in rows]).reshape(x.shape)
        case Affine():
            return x * node.scale.astype(float) + node.shift.astype(float)
        case Binary():
            return textbook.OPERATIONS[node.operation.name.lower()](*sources)
        case Concat():
            return np.hstack(sources)
        case Select():
            return np.take(x, node.index, axis=-1)
        case Take():
            place = 0 if node.position is Position.FIRST else -1
            return x[place] if len(x) else np.zeros(x.shape[1])
        case Pool():
            return pooled(node, sources)
        case Pool1d():
            return textbook.pool1d(x, node.taps, node.stride, node.pooling is Pooling.MAXIMUM)
        case Flip():
            return x[::-1]
        case Expand():
            return np.array([sources[1]] * len(x)).reshape(len(x), -1)
        case Delay():
            start = np.zeros((node.frames, x.shape[1]))
            given = start if node.initial_state is None else node.initial_state.astype(float)
            return np.vstack([given, x])[: len(x)]
        case Window():
            emphasis = float(np.float32(node.emphasis))
            return textbook.window(x, node.weight, node.delay, node.lost, emphasis)
        case Rfft():
            bins = textbook.dft(x, node.length)
            if node.spectrum is Spectrum.COMPLEX:
                return np.hstack([bins.real, bins.imag])
            return abs(bins) ** 2 if node.spectrum is Spectrum.POWER else abs(bins)
        case Filterbank():
            return x @ dense_matrix(node, x.shape[-1]).T
        case Irfft():
            return textbook.inverse_dft(x, node.length)
        case OverlapAdd():
            return textbook.overlap_add(x, node.weight, node.hop)
        case Attention():
            keys = None
            if node.weight is not None:
                keys = node.weight.astype(float), node.bias.astype(float), node.vector.astype(float)
            sizes = (node.heads, node.width, float(np.float32(node.scale)))
            return textbook.attention(x, node.initial_state, keys, *sizes)
        case Mask():
            is_float = node.inputs[0] != "ids"
            number = np.uint32(node.bits & 0xFFFFFFFF).view(np.float32 if is_float else np.int32)
            return np.array([[float(any(value != number for value in row))] for row in x])
    raise NotImplementedError(type(node))


def dense_matrix(node: Filterbank, features: int) -> np.ndarray:
    matrix = np.zeros((len(node.index), features))
    weights = iter(node.weight.tolist())
    for row, (first, count) in enumerate(node.index):
        for column in range(first, first + count):
            matrix[row, column] = next(weights)
    return matrix


def run_textbook(graph: Graph, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    values = dict(zip(graph.inputs, [array.astype(float) for array in inputs], strict=True))
    frames = len(inputs[0])
    later = {node.output for node in graph.nodes} - values.keys()
    values |= {name: np.zeros(graph.value(name).shape(frames)) for name in later}
    # Each round makes one more frame of a loop right.
    rounds = frames if any(isinstance(node, Delay) for node in graph.nodes) else 1
    for _ in range(rounds):
        for node in graph.nodes:
            values[node.output] = layer(node, [values[name] for name in node.inputs])
    return [values[name] for name in graph.outputs]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_textbook(kind: str) -> None:
    for seed in range(12):
        graph = make(kind, seed)
        rng = np.random.default_rng(seed)
        frames = frames_for(graph, rng)
        (*inputs,) = (array[0] for array in inputs_for(graph, rng, 1, frames))
        found, _ = reference.run(graph, tuple(array[None] for array in inputs))
        for name, have, want in zip(
            graph.outputs, found, run_textbook(graph, tuple(inputs)), strict=True
        ):
            value = graph.value(name)
            shape = (value.features,) if value.rate is Rate.SEQUENCE else have[0].shape
            assert want.shape == shape, seed
            scale = max(1.0, float(np.abs(want).max(initial=0)))
            assert np.abs(have[0] - want).max(initial=0) <= DOUBLE * scale, seed


def test_conv1d_continues_from_its_history(rng: np.random.Generator) -> None:
    node = Conv1d(
        name="conv",
        inputs=("x",),
        output="y",
        weight=rng.normal(size=(6, 3, 2)).astype(np.float32),
        bias=rng.normal(size=6).astype(np.float32),
        dilation=2,
        groups=2,
        before=4,
    )
    x = Value("x", 4)
    graph = Graph(values=(x, node.written(x)), inputs=("x",), outputs=("y",), nodes=(node,))
    check(graph)
    frames = rng.normal(size=(11, 4))
    (whole,), final = reference.run(graph, frames)
    (first,), state = reference.run(graph, frames[:5])
    assert state["conv.history"].shape == (4, 4)
    assert np.array_equal(state["conv.history"], frames[1:5])
    (second,), end = reference.run(graph, frames[5:], state=state)
    assert np.array_equal(np.concatenate([first, second]), whole)
    assert np.array_equal(end["conv.history"], final["conv.history"])


@pytest.mark.parametrize("length", [2, 3, 5, 8, 15, 30, 64, 75, 200, 512, 1000])
def test_spectra_are_those_of_numpy(length: int, rng: np.random.Generator) -> None:
    x = Value("x", max(1, length - length // 4))
    frames = rng.normal(size=(5, x.features))
    want = np.fft.rfft(frames, length)
    parts = np.hstack([want.real, want.imag])
    for kind, expected in zip(Spectrum, (abs(want) ** 2, abs(want), parts), strict=True):
        node = Rfft(name="rfft", inputs=("x",), output="y", length=length, spectrum=kind)
        graph = Graph(values=(x, node.written(x)), inputs=("x",), outputs=("y",), nodes=(node,))
        check(graph)
        (found,), _ = reference.run(graph, frames)
        assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()  # of 32-bit roots


@pytest.mark.parametrize("length", [2, 3, 5, 8, 15, 30, 64, 75, 200, 512, 1000])
def test_samples_are_those_of_numpy(length: int, rng: np.random.Generator) -> None:
    bins = length // 2 + 1
    x = Value("x", 2 * bins)
    frames = rng.normal(size=(5, x.features))
    want = np.fft.irfft(frames[:, :bins] + 1j * frames[:, bins:], length)
    node = Irfft(name="irfft", inputs=("x",), output="y", length=length)
    graph = Graph(values=(x, node.written(x)), inputs=("x",), outputs=("y",), nodes=(node,))
    check(graph)
    (found,), _ = reference.run(graph, frames)
    assert np.abs(found - want).max() < 1e-6 * np.abs(want).max()  # of 32-bit roots


def test_a_filterbank_is_its_matrix(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(5, 9)).astype(np.float32)
    matrix[0, 3:] = matrix[1, :4] = matrix[2] = matrix[3, 8] = 0
    node = Filterbank.of_matrix(matrix, name="bank", inputs=("x",), output="y")
    assert node.index.tolist() == [[0, 3], [4, 5], [0, 0], [0, 8], [0, 9]]
    assert np.array_equal(dense_matrix(node, 9), matrix)
    with pytest.raises(ValueError, match=r"the matrix \(2, 3\) of a filterbank is zero everywhere"):
        Filterbank.of_matrix(np.zeros((2, 3)), name="bank", inputs=("x",), output="y")


def test_ids_may_come_without_their_axis(rng: np.random.Generator) -> None:
    table = rng.normal(size=(7, 3)).astype(np.float32)
    node = Embedding(name="table", inputs=("ids",), output="y", table=table)
    ids = Value("ids", 1, Dtype.INT32)
    graph = Graph(values=(ids, node.written(ids)), inputs=("ids",), outputs=("y",), nodes=(node,))
    (y,), _ = reference.run(graph, [3, 0, 9, -1])
    assert np.array_equal(y, [table[3], table[0], np.zeros(3), np.zeros(3)])
    (batch,), _ = reference.run(graph, np.array([[[3], [0], [9], [-1]]]))
    assert np.array_equal(batch, y[None])
    (column,), _ = reference.run(graph, np.array([[3], [0], [9], [-1]]))
    assert np.array_equal(column, y)


@pytest.mark.oracle
def test_torch_activations(rng: np.random.Generator) -> None:
    torch = oracle("torch")
    functional = torch.nn.functional
    pairs = {
        Activation.SIGMOID: torch.sigmoid,
        Activation.TANH: torch.tanh,
        Activation.RELU: functional.relu,
        Activation.leaky_relu(0.125): partial(functional.leaky_relu, negative_slope=0.125),
        Activation.elu(0.75): partial(functional.elu, alpha=0.75),
        Activation.SOFTSIGN: functional.softsign,
        Activation.SOFTPLUS: functional.softplus,
        Activation.GELU: functional.gelu,
        Activation.GELU_TANH: partial(functional.gelu, approximate="tanh"),
        Activation.SILU: functional.silu,
        Activation.HARD_SWISH: functional.hardswish,
        Activation.clip(-1, 2): partial(functional.hardtanh, min_val=-1.0, max_val=2.0),
        Activation.EXP: torch.exp,
        Activation.log(0.0625, 1.5): lambda x: 1.5 * x.clamp(min=0.0625).log(),
        Activation.log1p(-0.5, 0.75): lambda x: 0.75 * x.clamp(min=-0.5).log1p(),
    }
    x = rng.normal(0, 5, 1000)
    for activation, theirs in pairs.items():
        want = theirs(torch.from_numpy(x)).numpy()
        # torch's softplus is linear above 20.
        tolerance = 1e-8 if activation == Activation.SOFTPLUS else 1e-13
        assert np.allclose(activation(x), want, rtol=tolerance, atol=1e-13), activation
    sixth = Activation.hard_sigmoid(1 / 6, 0.5)(x)
    want = functional.hardsigmoid(torch.from_numpy(x)).numpy()
    assert np.abs(sixth - want).max() < 1e-7  # a sixth is rounded to float32


@pytest.mark.oracle
def test_torch_layers(rng: np.random.Generator) -> None:
    torch = oracle("torch")
    functional = torch.nn.functional
    for seed in range(40):
        for kind in ("conv1d", "layer_norm", "softmax"):
            graph = make(kind, seed)
            node = graph.nodes[-1]
            x = rng.normal(size=(2, 60, graph.values[0].features))
            if len(graph.nodes) > 1 or graph.inputs != ("x",):
                continue
            (found,), _ = reference.run(graph, x)
            theirs = torch.from_numpy(x)
            if isinstance(node, Conv1d):
                weight = torch.from_numpy(node.weight.astype(float).transpose(0, 2, 1).copy())
                padded = functional.pad(theirs.transpose(1, 2), (node.before, node.after))
                result = functional.conv1d(
                    padded,
                    weight,
                    torch.from_numpy(node.bias.astype(float)),
                    stride=node.stride,
                    dilation=node.dilation,
                    groups=node.groups,
                ).transpose(1, 2)
                want = node.activation(result.numpy())
            elif isinstance(node, LayerNorm):
                scale, shift = (torch.from_numpy(a.astype(float)) for a in (node.scale, node.shift))
                epsilon = float(np.float32(node.epsilon))
                want = functional.layer_norm(theirs, (x.shape[-1],), scale, shift, epsilon).numpy()
            else:
                assert isinstance(node, Softmax)
                apply = torch.log_softmax if node.logarithm else torch.softmax
                want = apply(theirs, -1).numpy()
            assert found.shape == want.shape
            assert np.abs(found - want).max() < 1e-11 * max(1.0, np.abs(want).max())
