# SPDX-License-Identifier: Apache-2.0
"""The engine gives the bits of the second implementation: every layer kind, on every table."""

from __future__ import annotations

import numpy as np
import pytest

from grucore.graph.graph import Graph
from grucore.graph.layers import Dense
from grucore.graph.node import Value
from grucore.reference import run as reference
from models.chain import Chain, uniform
from models.layer_models import KIND_NAMES, frames_for, inputs_for, make
from oracle import exact
from oracle.exact_bits import ODD, Tables, as_tuple, one, same, wild

SEEDS = 25
BATCH = 4
# As a part of the output's scale: float32 sums, and activations that enlarge their differences.
TOLERANCE = 1e-5


@pytest.fixture(params=KIND_NAMES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def case(kind: str, seed: int) -> tuple[Graph, tuple[np.ndarray, ...], np.ndarray]:
    """A graph, inputs with odd numbers in them, lengths of the rows."""
    rng = np.random.default_rng([11, seed])
    graph = make(kind, seed)
    frames = frames_for(graph, rng)
    inputs = wild(rng, inputs_for(graph, rng, BATCH, frames))
    return graph, inputs, rng.integers(0, frames + 1, BATCH)


def test_every_kind_on_every_table(kind: str) -> None:
    for seed in range(SEEDS):
        graph, inputs, lengths = case(kind, seed)
        tables = Tables(graph)
        for nonfinite in ("propagate", "hold"):
            tables.check(inputs, nonfinite=nonfinite)
            tables.check(inputs, nonfinite=nonfinite, lengths=lengths)


def test_states_that_are_set(kind: str) -> None:
    for seed in range(SEEDS):
        graph, inputs, lengths = case(kind, seed)
        _, state = exact.run(graph, inputs, numerics="fused")
        if not state:
            continue
        rng = np.random.default_rng(seed)
        state = {name: rng.normal(0, 2, array.shape) for name, array in state.items()}
        for array in state.values():
            array[0].flat[0] = rng.choice(ODD)
        Tables(graph).check(inputs, state=state, lengths=lengths)


def test_a_sequence_without_a_batch(kind: str) -> None:
    graph, inputs, _ = case(kind, 1)
    Tables(graph).check(tuple(array[0] for array in inputs))


def test_steps_and_resets(kind: str) -> None:
    """Rows start over at frames of their own: each stretch is a sequence."""
    for seed in range(0, SEEDS, 3):
        graph, inputs, lengths = case(kind, seed)
        if not graph.streamable:
            continue
        for model in Tables(graph).models:
            stream = model.stream(BATCH)
            for frame in range(inputs[0].shape[1]):
                stream.reset([row for row in range(BATCH) if lengths[row] == frame])
                found = as_tuple(stream.step(one(tuple(array[:, frame] for array in inputs))))
            first = np.where(lengths < frame + 1, lengths, 0)
            for row in range(BATCH):
                rest = tuple(array[row, first[row] :] for array in inputs)
                outputs, state = exact.run(graph, rest, numerics=model.numerics)
                for name, have, want in zip(graph.outputs, found, outputs, strict=True):
                    value = graph.value(name)
                    count = len(rest[0])
                    if not value.shape(count)[:-1]:
                        assert same(have[row], want), (seed, model.isa, name)
                    elif have is not None and value.count(count) > value.count(count - 1):
                        assert same(have[row], want[-1]), (seed, model.isa, name)
                for name, want in state.items():
                    assert same(stream.state[name][row], want), (seed, model.isa, name)


def test_it_is_what_the_model_means(kind: str) -> None:
    for seed in range(SEEDS):
        rng = np.random.default_rng([7, seed])
        graph = make(kind, seed)
        inputs = inputs_for(graph, rng, BATCH, frames_for(graph, rng))
        for numerics in ("fused", "muladd"):
            found, state = exact.run(graph, inputs, numerics=numerics)
            expected, final = reference.run(graph, inputs)
            pairs = list(zip(found, expected, strict=True))
            pairs += [(state[name], array) for name, array in final.items()]
            for have, want in pairs:
                scale = max(1.0, float(np.abs(want).max(initial=0.0)))
                assert np.abs(have - want).max(initial=0.0) <= TOLERANCE * scale, seed


def test_no_frames_at_all(kind: str) -> None:
    graph, inputs, _ = case(kind, 2)
    Tables(graph).check(tuple(array[:, :0] for array in inputs))


def test_what_it_refuses(rng: np.random.Generator) -> None:
    chain = Chain(Value("x", 3))
    chain.add(Dense, weight=uniform(rng, 2, 3), bias=uniform(rng, 2))
    graph = chain.graph()
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match=r"layer 'dense\.0' has float weights"):
        exact.run(graph, x)
    with pytest.raises(ValueError, match="numerics='avx2': expected one of exact, fused, muladd"):
        exact.run(graph, x, numerics="avx2")
    with pytest.raises(ValueError, match="nonfinite='error': expected one of propagate, hold"):
        exact.run(graph, x, numerics="fused", nonfinite="error")
    with pytest.raises(ValueError, match="input 'x' has shape"):
        exact.run(graph, x[:, :2], numerics="fused")
