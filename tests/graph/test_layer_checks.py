# SPDX-License-Identifier: Apache-2.0
"""Graphs of layers that do not fit together are refused by the name of what is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.fileformat import write
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Activation,
    ActivationCode,
    Binary,
    Concat,
    Conv1d,
    Embedding,
    Filterbank,
    Flip,
    Gru,
    LayerNorm,
    Lstm,
    Mask,
    MaskedOutput,
    Operation,
    Pool,
    Pool1d,
    Rfft,
    Rnn,
    Select,
    Take,
    Window,
)
from grucore.graph.node import Node, Rate, Value
from grucore.graph.tensors import Dtype
from models.small_models import parameter_bytes

ONES = np.ones(4, np.float32)


def graph_of(cls: type[Node], *reads: Value, writes: Value | None = None, **settings: Any) -> Graph:
    names = tuple(value.name for value in reads)
    node = cls(name="layer", inputs=names, output="y", **settings)
    output = writes or node.written(*reads)
    return Graph(values=(*reads, output), inputs=names, outputs=("y",), nodes=(node,))


def gru(**settings: Any) -> dict[str, Any]:
    weights = {"weight_ih": (6, 4), "weight_hh": (6, 2), "bias": (8,)}
    return {name: np.zeros(shape, np.float32) for name, shape in weights.items()} | settings


def cell(count: int, **settings: Any) -> dict[str, Any]:
    """Weights of a layer of so many gates."""
    weights = {"weight_ih": (2 * count, 4), "weight_hh": (2 * count, 2), "bias": (2 * count,)}
    return {name: np.zeros(shape, np.float32) for name, shape in weights.items()} | settings


def conv(**settings: Any) -> dict[str, Any]:
    weights = {"weight": np.zeros((4, 3, 2), np.float32), "bias": ONES}
    return {"groups": 2, "before": 1, **weights, **settings}


Y = Value("y", 4)


X, IDS = Value("x", 4), Value("ids", 1, Dtype.INT32)
MASK = Value("mask", 1, Dtype.INT32)

REFUSED: dict[str, tuple[Graph, str]] = {
    "gelu gates": (graph_of(Gru, X, **gru(activation=Activation.GELU)), "code below 8"),
    "an lstm with three gates": (graph_of(Lstm, X, **cell(3)), r"weight_ih has shape \(6, 4\)"),
    "initial cell": (graph_of(Lstm, X, **cell(4, initial_cell=ONES)), r"initial_cell has shape"),
    "an lstm's masked output": (
        graph_of(Lstm, X, **cell(4, masked_output=MaskedOutput.ZERO)),
        "expected 0 without a mask",
    ),
    "an rnn with the bias of two sides": (
        graph_of(Rnn, X, **cell(1, bias=ONES)),
        r"bias has shape \(4,\), expected \(2,\)",
    ),
    "masked output without a mask": (
        graph_of(Gru, X, **gru(masked_output=MaskedOutput.ZERO)),
        "expected 0 without a mask",
    ),
    "a mask of two features": (
        graph_of(Gru, X, replace(MASK, features=2), **gru()),
        "mask 'mask' has 2 features",
    ),
    "initial state": (graph_of(Gru, X, **gru(initial_state=ONES)), r"initial_state has shape \(4,"),
    "a clip of nothing": (graph_of(Activate, X, activation=Activation.clip(np.nan, 1)), "nan"),
    "a parameter too many": (
        graph_of(Activate, X, activation=Activation(ActivationCode.TANH, 1.0)),
        "tanh, has alpha 1.0, expected none",
    ),
    "slope of a relu": (
        graph_of(Activate, X, activation=Activation.RELU, slope=ONES),
        "a slope goes with relu",
    ),
    "epsilon": (graph_of(LayerNorm, X, scale=ONES, shift=ONES, epsilon=-1.0), "epsilon is -1.0"),
    "two clocks": (
        graph_of(Binary, X, replace(X, name="z", skip=1), operation=Operation.ADD),
        "input 'z' does not come with every frame",
    ),
    "two dtypes": (graph_of(Concat, X, IDS), "value 'y' is FLOAT32, expected INT32"),
    "an index": (graph_of(Select, X, index=np.array([0, 4], np.int32)), "picks feature 4"),
    "an index of int64": (graph_of(Select, X, index=np.array([0])), "int64, expected int32"),
    "floats as ids": (graph_of(Embedding, X, table=np.ones((3, 4), np.float32)), "not INT32"),
    "ids as numbers": (graph_of(Pool, IDS), "is INT32, not FLOAT32"),
    "a table of nothing": (
        graph_of(Embedding, IDS, table=np.ones((0, 4), np.float32)),
        r"table has shape \(0, 4\)",
    ),
    "groups": (graph_of(Conv1d, X, **conv(groups=3)), "not a multiple of 3 groups"),
    "dilation": (
        graph_of(Conv1d, X, writes=Y, **conv(dilation=0)),
        "dilation 0, expected 1",
    ),
    "before": (graph_of(Conv1d, X, writes=Y, **conv(before=3)), "before 3, expected at most 2"),
    "after": (graph_of(Conv1d, X, **conv(before=0, after=1)), "expected 2 in all"),
    "reach": (graph_of(Conv1d, X, writes=Y, **conv(dilation=2**20)), "dilation 1048576"),
    "taps of a window": (graph_of(Pool1d, X, writes=Y, taps=0), "taps 0, expected 1 to 65536"),
    "stride of a window": (graph_of(Pool1d, X, writes=Y, taps=2, stride=65537), "stride 65537"),
    "a window of ids": (graph_of(Pool1d, IDS, taps=2), "is INT32, not FLOAT32"),
    "the history of a window": (
        graph_of(Pool1d, replace(X, features=2**14), taps=2**15),
        "reaches back over 32767 x 16384",
    ),
    "stride": (graph_of(Conv1d, X, writes=Y, **conv(stride=65537)), "stride 65537"),
    "emphasis": (graph_of(Window, X, weight=ONES, emphasis=1.5), "emphasis is 1.5, expected 0 to"),
    "delay": (graph_of(Window, X, weight=ONES, delay=65537), "delay 65537, expected 0 to 65536"),
    "a length with 7": (graph_of(Rfft, X, length=28), "length 28, expected no factors but 2, 3"),
    "a length below the features": (graph_of(Rfft, X, length=3), "expected at most the length 3"),
    "no logarithm": (
        graph_of(Activate, X, activation=Activation.log(np.nan)),
        "log, has alpha nan",
    ),
    "an endless factor": (
        graph_of(Activate, X, activation=Activation.log1p(0, np.inf)),
        "log1p, has beta inf",
    ),
    "a band beyond": (
        graph_of(Filterbank, X, weight=ONES, index=np.array([[1, 4]], np.int32)),
        "reads features 1 to 5 of value 'x', which has 4",
    ),
    "a band before": (
        graph_of(Filterbank, X, weight=ONES, index=np.array([[-1, 4]], np.int32)),
        "reads features 4294967295 to",
    ),
    "numbers of bands": (
        graph_of(Filterbank, X, weight=ONES, index=np.array([[0, 2], [1, 1]], np.int32)),
        "has 4 numbers, expected 3 of all bands",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    graph, message = REFUSED[name]
    with pytest.raises(grucore.ConversionError, match=message):
        write(graph)


def test_a_value_at_other_frames_than_the_layer_writes() -> None:
    graph = graph_of(Conv1d, X, **conv(stride=2))
    assert graph.values[1].clock == (Rate.PERIOD, 2, 1)
    for changes in ({"skip": 0}, {"period": 3}):
        values = (X, replace(graph.values[1], **changes))  # type: ignore[arg-type]
        with pytest.raises(grucore.ConversionError, match="expected 2 and 1"):
            write(replace(graph, values=values))
    for changes in ({"skip": 2**20 + 1}, {"period": 1}, {"rate": Rate.SEQUENCE}):
        values = (X, replace(graph.values[1], **changes))  # type: ignore[arg-type]
        with pytest.raises(grucore.ConversionError, match="value 'y' has"):
            write(replace(graph, values=values))


@pytest.mark.parametrize(
    ("cls", "settings"),
    [(Flip, {}), (Conv1d, conv(before=1, after=1)), (Take, {}), (Mask, {})],
)
def test_what_reads_the_future(cls: type[Node], settings: dict[str, Any]) -> None:
    graph = graph_of(cls, X, **settings)
    future = cls is Flip or "after" in settings
    assert graph.streamable == (not future)
    assert (graph.first_unstreamable is not None) == future
    assert (grucore.load(write(graph))._unstreamable() == "layer") == future


def test_what_a_frame_costs() -> None:
    graph = graph_of(Conv1d, X, **conv(stride=5))
    (node,) = graph.nodes
    assert graph.multiply_adds(node) == 4 * 3 * 2
    assert graph.frame_multiply_adds(node) == graph.multiply_adds_per_frame == 24 // 5
    assert graph.parameters(node) == graph.parameter_count == 24 + 4
    picks = graph_of(Select, X, index=np.array([1, 2], np.int32))
    assert picks.parameter_count == 0
    assert parameter_bytes(picks) == 8


def test_activations_have_names() -> None:
    assert str(Activation.hard_sigmoid(0.2, 0.5)) == "hard_sigmoid(0.2, 0.5)"
    assert str(Activation.GELU_TANH) == Activation.GELU_TANH.name == "gelu_tanh"
    assert Activation.elu(1) == Activation.of_words(Activation.elu(1).words)
    assert Activation.elu(0.1).alpha == float(np.float32(0.1))
    assert {Activation.RELU: 1}[Activation(ActivationCode.RELU)] == 1
