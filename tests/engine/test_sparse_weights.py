# SPDX-License-Identifier: Apache-2.0
"""Weights in blocks on every table: the bits of `oracle.exact`, which knows only whole matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.export.engine import whole_matrices
from grucore.graph.graph import Graph
from grucore.graph.layers import Cell, Dense, Gru, Lstm, Rnn
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized
from grucore.reference.run import run as reference
from models.chain import Chain, uniform
from models.quantized_models import in_blocks, weights_of_kind
from oracle.exact_bits import Tables, as_tuple, same

BATCH, FRAMES = 5, 9
LAYERS: dict[str, tuple[type[Any], int, int, dict[str, Any]]] = {
    "gru": (Gru, 3, 4, {}),
    "gru reset-before": (Gru, 3, 3, {"cell": Cell.RESET_BEFORE}),
    "lstm": (Lstm, 4, 4, {}),
    "rnn": (Rnn, 1, 1, {}),
}


def network(kind: str, bits: int, features: int, hidden: int) -> Graph:
    """features -> a recurrent layer -> a dense layer, all weights in blocks."""
    rng = np.random.default_rng([bits, features, hidden])
    cls, gates, biases, settings = LAYERS[kind]

    def weight(rows: int, inputs: int) -> Quantized:
        found = weights_of_kind(rng, uniform(rng, rows, inputs), (Dtype.INT8, bits))
        assert isinstance(found, Quantized)
        return in_blocks(rng, found, rng.choice([0.1, 0.4, 1.0]))

    chain = Chain(Value("x", features))
    chain.add(
        cls,
        weight_ih=weight(gates * hidden, features),
        weight_hh=weight(gates * hidden, hidden),
        bias=uniform(rng, biases * hidden),
        **settings,
    )
    chain.add(Dense, weight=weight(16, hidden), bias=uniform(rng, 16))
    return chain.graph()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("bits", [8, 16])
def test_the_bits_are_those_of_whole_matrices(kind: str, bits: int) -> None:
    rng = np.random.default_rng(3)
    for features, hidden in ((4, 8), (12, 24), (40, 64), (1032, 8)):
        graph = network(kind, bits, features, hidden)
        x = rng.normal(size=(BATCH, FRAMES, features)).astype(np.float32)
        tables = Tables(graph)
        tables.check((x,), lengths=np.array([9, 0, 3, 8, 1]))
        whole = grucore.load(fileformat.write(whole_matrices(graph)))
        expected = whole.run(x)
        for model in tables.models:
            stream = model.stream(BATCH)
            steps = np.stack([stream.step(x[:, frame]) for frame in range(FRAMES)], axis=1)
            assert same(steps, expected), (model.isa, features, hidden)
            assert len(bytes(model)) < len(bytes(whole)) or hidden == 8


@pytest.mark.parametrize("kind", LAYERS)
def test_near_the_float64_reference(kind: str) -> None:
    graph = network(kind, 16, 40, 64)
    x = np.random.default_rng(5).normal(size=(2, FRAMES, 40)).astype(np.float32)
    found = as_tuple(grucore.load(fileformat.write(graph)).run(x))[0]
    expected = reference(graph, (x,))[0][0]
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_a_file_says_the_same_again() -> None:
    graph = network("gru", 8, 12, 24)
    data = fileformat.write(graph)
    again = fileformat.read(data)
    assert fileformat.write(again) == data
    for node, other in zip(graph.nodes, again.nodes, strict=True):
        for name in node.weight_fields:
            one, two = getattr(node, name), getattr(other, name)
            assert two.in_blocks
            assert two.blocks == one.blocks
            assert (two.values == one.values).all()


def test_matrices_that_have_no_whole_blocks() -> None:
    values = np.ones((24, 6), np.int8)
    with pytest.raises(ValueError, match=r"INT8 \(24, 6\) is not int8 in blocks of 8 by 4"):
        Quantized(values, np.ones(24, np.float32), Dtype.INT8, 8, in_blocks=True)
    # Four gates of two rows: whole blocks of the matrix, but not of each gate.
    weight = Quantized(np.ones((8, 4), np.int8), np.ones(8, np.float32), Dtype.INT8, 8, True)
    chain = Chain(Value("x", 4))
    chain.add(
        Lstm,
        weight_ih=weight,
        weight_hh=np.ones((8, 2), np.float32),
        bias=np.zeros(8, np.float32),
    )
    with pytest.raises(grucore.ConversionError, match="weight_ih is not made of whole blocks"):
        chain.graph()
