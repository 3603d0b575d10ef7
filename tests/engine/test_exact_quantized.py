# SPDX-License-Identifier: Apache-2.0
"""Models of int8, int4 and float16 weights: the engine's bits are those of `oracle.exact`, and
where all weights are integers, those of every table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.graph.layers import Activation, Cell, Dense, Gru
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized
from grucore.reference import run as reference
from models.chain import Chain, uniform
from models.layer_models import frames_for, inputs_for, make
from models.quantized_models import FLOATS, INTEGERS, Kind, requantized
from oracle import exact
from oracle.exact_bits import Tables, as_tuple, one, same, wild

SEEDS = 40
BATCH = 5
# As a part of the output's scale: activations of 8 bits, enlarged by what comes after them.
ROUNDING = 0.1
WEIGHTED = ("gru", "dense", "conv1d", "embedding")
GROUPS = {"integers": INTEGERS, "any": FLOATS + INTEGERS}


@pytest.fixture(params=WEIGHTED)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=GROUPS)
def kinds(request: pytest.FixtureRequest) -> Sequence[Kind]:
    return GROUPS[request.param]


def case(kind: str, seed: int, kinds: Sequence[Kind]) -> tuple[Any, tuple[np.ndarray, ...], Any]:
    rng = np.random.default_rng([13, seed])
    graph = requantized(rng, make(kind, seed), kinds)
    frames = frames_for(graph, rng)
    inputs = wild(rng, inputs_for(graph, rng, BATCH, frames))
    return graph, inputs, rng.integers(0, frames + 1, BATCH)


def test_every_kind_of_weights_on_every_table(kind: str, kinds: Sequence[Kind]) -> None:
    for seed in range(SEEDS):
        graph, inputs, lengths = case(kind, seed, kinds)
        tables = Tables(graph)
        for nonfinite in ("propagate", "hold"):
            tables.check(inputs, nonfinite=nonfinite)
            tables.check(inputs, nonfinite=nonfinite, lengths=lengths)


def test_steps_are_the_same_bits(kind: str, kinds: Sequence[Kind]) -> None:
    for seed in range(0, SEEDS, 4):
        graph, inputs, _ = case(kind, seed, kinds)
        if not graph.streamable:
            continue
        for model in Tables(graph).models:
            expected, state = exact.run(graph, inputs, numerics=model.numerics)
            stream = model.stream(BATCH)
            steps = [
                as_tuple(stream.step(one(tuple(array[:, frame] for array in inputs))))
                for frame in range(inputs[0].shape[1])
            ]
            for index, name in enumerate(graph.outputs):
                column = [step[index] for step in steps if step[index] is not None]
                if expected[index].ndim == 2:
                    assert same(column[-1], expected[index]), (seed, model.isa, name)
                else:
                    assert same(np.stack(column, axis=1), expected[index]), (seed, model.isa, name)
            for name, want in state.items():
                assert same(stream.state[name], want), (seed, model.isa, name)


@pytest.mark.parametrize("size", [1, 31, 33, 100, 1023, 1024, 1025, 2050, 3100])
def test_long_products(size: int, rng: np.random.Generator) -> None:
    """Several blocks and groups, whole ones and rests, at the ends of all ranges."""
    x = rng.normal(0, 2, (7, size)).astype(np.float32)
    x[1], x[2], x[3] = 1, -1, np.sign(x[3])
    for weights in INTEGERS:
        chain = Chain(Value("x", size))
        chain.add(Dense, weight=uniform(rng, 21, size), bias=uniform(rng, 21))
        graph = requantized(rng, chain.graph(), (weights,))
        (dense,) = graph.nodes
        assert isinstance(dense, Dense)
        assert isinstance(dense.weight, Quantized)
        # The largest sums that there may be.
        dense.weight.values[:2] = 127 if dense.weight.dtype is Dtype.INT8 else 7
        dense.weight.values[2:4] = -127 if dense.weight.dtype is Dtype.INT8 else -8
        for input_range in (None, 1.0, 3.7, 0.01):
            changed = replace(graph, nodes=(replace(dense, input_range=input_range),))
            Tables(changed).check((x,))


def test_ranges_that_are_next_to_nothing(rng: np.random.Generator) -> None:
    x = rng.uniform(-1, 1, (60, 9)).astype(np.float32)
    x[:, 0] = 1
    x[:12, 0] = np.nextafter(np.float32(1), np.float32(0))
    x *= np.exp2(np.arange(-110, -90, dtype=np.float32)).repeat(3)[:, None]
    x[30:33] *= 2.0 ** rng.integers(1, 9)
    for weights in INTEGERS:
        chain = Chain(Value("x", 9))
        chain.add(Dense, weight=uniform(rng, 5, 9), bias=np.zeros(5, np.float32))
        graph = requantized(rng, chain.graph(), (weights,))
        Tables(graph).check((x,))


@pytest.mark.parametrize("cell", list(Cell))
@pytest.mark.parametrize("hidden", [16, 33, 100])
def test_states_of_many_units(cell: Cell, hidden: int, rng: np.random.Generator) -> None:
    """Reset gates above 1, states beyond 1: what is multiplied has a range of its own."""
    for weights in INTEGERS:
        for gate in (Activation.SIGMOID, Activation.RELU):
            chain = Chain(Value("x", 40))
            chain.add(
                Gru,
                weight_ih=uniform(rng, 3 * hidden, 40),
                weight_hh=uniform(rng, 3 * hidden, hidden),
                bias=uniform(rng, (4 if cell is Cell.RESET_AFTER else 3) * hidden),
                cell=cell,
                gate_activation=gate,
            )
            x = rng.normal(0, 2, (17, 4, 40)).astype(np.float32)
            graph = requantized(rng, chain.graph(), (weights,))
            state = {"gru.0.h": rng.normal(0, 3, (17, hidden)).astype(np.float32)}
            Tables(graph).check((x,), state=state)


def test_more_frames_and_rows_than_a_block(kind: str, kinds: Sequence[Kind]) -> None:
    rng = np.random.default_rng(5)
    graph = requantized(rng, make(kind, 6), kinds)
    inputs = inputs_for(graph, rng, 70, 150)
    Tables(graph).check(inputs, lengths=rng.integers(0, 151, 70))


def test_models_of_integers_are_exact(kind: str) -> None:
    for seed in range(10):
        graph, _, _ = case(kind, seed, INTEGERS)
        assert {model.numerics for model in Tables(graph).models} == {"exact"}


def test_it_is_what_the_model_means(kind: str, kinds: Sequence[Kind]) -> None:
    """Close to the same integers multiplied by activations that are not rounded."""
    for seed in range(SEEDS):
        rng = np.random.default_rng([7, seed])
        graph = requantized(rng, make(kind, seed), kinds, ranged=False)
        inputs = inputs_for(graph, rng, BATCH, frames_for(graph, rng))
        numerics = grucore.load(fileformat.write(graph), isa="scalar").numerics
        found, _ = exact.run(graph, inputs, numerics=numerics)
        expected, _ = reference.run(graph, inputs)
        for have, want in zip(found, expected, strict=True):
            scale = max(1.0, float(np.abs(want).max(initial=0.0)))
            assert np.abs(have - want).max(initial=0.0) <= ROUNDING * scale, seed
