# SPDX-License-Identifier: Apache-2.0
"""The engine gives the bits of the second implementation: every layer kind, on every table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from exact_bits import ODD, Tables, as_tuple, one, same, wild
from grucore import exact, reference
from grucore.ir import (
    Activate,
    Activation,
    ActivationCode,
    Binary,
    Cell,
    Concat,
    Conv1d,
    Dense,
    Direction,
    Dtype,
    Embedding,
    Graph,
    Gru,
    LayerNorm,
    Mask,
    Operation,
    Pool,
    Pooling,
    Softmax,
    Take,
    Value,
)
from layer_models import KIND_NAMES, Chain, frames_for, inputs_for, make, uniform

SEEDS = 25
BATCH = 4
# Of the output's scale: float32 sums, and activations that enlarge their differences.
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
        for isa in grucore.supported_isas():
            model = grucore.load(grucore.fileformat.write(graph), isa=isa)
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
                        assert same(have[row], want), (seed, isa, name)
                    elif have is not None and value.count(count) > value.count(count - 1):
                        assert same(have[row], want[-1]), (seed, isa, name)
                for name, want in state.items():
                    assert same(stream.state[name][row], want), (seed, isa, name)


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


def floats(rng: np.random.Generator, count: int) -> Any:
    """Any bit patterns, then numbers of common sizes."""
    words = rng.integers(0, 1 << 32, count // 2, dtype=np.uint32).view(np.float32)
    common = rng.uniform(-20, 20, count - len(words)).astype(np.float32)
    return np.concatenate([ODD, words, common])[:count]


@pytest.mark.parametrize("code", list(ActivationCode), ids=lambda code: code.name.lower())
def test_activations_of_any_float(code: ActivationCode, rng: np.random.Generator) -> None:
    chain = Chain(Value("x", 1000))
    parameters = {
        ActivationCode.LEAKY_RELU: (0.3,),
        ActivationCode.ELU: (1.0,),
        ActivationCode.HARD_SIGMOID: (0.2, 0.5),
        ActivationCode.CLIP: (-1.25, 6.0),
    }
    chain.add(Activate, activation=Activation(code, *parameters.get(code, ())))
    Tables(chain.graph()).check((floats(rng, 40_000).reshape(40, 1000),))


def test_a_clip_whose_limits_have_changed_places(rng: np.random.Generator) -> None:
    chain = Chain(Value("x", 10))
    chain.add(Activate, activation=Activation.clip(1.0, -1.0))
    x = rng.normal(0, 2, (5, 10)).astype(np.float32)
    graph = chain.graph()
    Tables(graph).check((x,))
    (meant,), _ = reference.run(graph, x)
    assert (meant == -1).all()


@pytest.mark.parametrize("features", [1, 15, 16, 17, 40, 1000])
def test_sums_over_features(features: int, rng: np.random.Generator) -> None:
    chain = Chain(Value("x", features))
    x = chain.at
    scale, shift = rng.normal(0, 1, (2, features)).astype(np.float32)
    outputs = [
        chain.add(Softmax, x),
        chain.add(Softmax, x, logarithm=True),
        chain.add(LayerNorm, x, scale=scale, shift=shift, epsilon=1e-5),
        chain.add(LayerNorm, x, scale=scale, shift=shift, epsilon=0.0),
    ]
    frames = rng.normal(0, 3, (30, features)).astype(np.float32)
    frames[1:10] = wild(rng, (frames[1:10],))[0]
    frames[10] = 0
    frames[11:20] *= np.float32(30)
    Tables(chain.graph(*outputs)).check((frames,))


@pytest.mark.parametrize("cell", list(Cell))
@pytest.mark.parametrize(("size", "hidden"), [(70, 50), (5, 100), (33, 7)])
def test_wide_layers(cell: Cell, size: int, hidden: int, rng: np.random.Generator) -> None:
    """Panels of every width, several at a time, and blocks of frames."""
    chain = Chain(Value("x", size))
    gates = 4 if cell is Cell.RESET_AFTER else 3
    source = chain.at
    for direction in Direction:
        chain.add(
            Gru,
            source,
            weight_ih=uniform(rng, 3 * hidden, size),
            weight_hh=uniform(rng, 3 * hidden, hidden),
            bias=uniform(rng, gates * hidden),
            cell=cell,
            direction=direction,
        )
    both = [value for value in chain.values.values() if value.name != "x"]
    chain.add(Concat, *both)
    chain.add(Conv1d, weight=uniform(rng, 37, 3, 2 * hidden), bias=uniform(rng, 37), before=2)
    chain.add(Dense, weight=uniform(rng, 21, 37), bias=uniform(rng, 21))
    x = rng.normal(0, 1, (9, 12, size)).astype(np.float32)
    tables = Tables(chain.graph())
    tables.check((x,))
    tables.check((x[:1],), lengths=[5])


def test_products_that_cancel(rng: np.random.Generator) -> None:
    """Sums whose exact value lies half way between two floats, or just beside it."""
    size = 400
    x = np.float32(1) + rng.integers(0, 1 << 12, (50, size)).astype(np.float32) / np.float32(4096)
    weight = rng.integers(-(1 << 12), 1 << 12, (32, size)).astype(np.float32)
    weight *= np.exp2(rng.integers(-30, 30, size)).astype(np.float32)
    chain = Chain(Value("x", size))
    chain.add(Dense, weight=weight, bias=rng.normal(0, 1e4, 32).astype(np.float32))
    Tables(chain.graph()).check((x,))


def test_denormals_inside(rng: np.random.Generator) -> None:
    """Sums, gates, states and means that are denormal: made zero where the page says so."""
    for cell in Cell:
        for gate in (Activation.LINEAR, Activation.RELU, Activation.SIGMOID):
            chain = Chain(Value("x", 5))
            source = chain.at
            weight_ih = uniform(rng, 33, 5) * np.exp2(rng.integers(-64, 8, (33, 5)))
            weight_hh = uniform(rng, 33, 11) * np.exp2(rng.integers(-20, 8, (33, 11)))
            # Nothing else in the sums of half the units.
            bias = uniform(rng, 44 if cell is Cell.RESET_AFTER else 33)
            bias[::2] = 0
            chain.add(
                Gru,
                source,
                weight_ih=weight_ih.astype(np.float32),
                weight_hh=weight_hh.astype(np.float32),
                bias=bias * np.float32(2.0**-60),
                cell=cell,
                gate_activation=gate,
                activation=Activation.LINEAR,
            )
            states = chain.at
            outputs = [states, chain.add(Pool, source), chain.add(Pool, states)]
            x = np.exp2(rng.integers(-126, -60, (8, 20, 5))) * rng.normal(0, 2, (8, 20, 5))
            x[4:] = np.sign(x[4:]) * rng.uniform(1.0, 4.0, (4, 20, 5)) * 2.0**-126
            Tables(chain.graph(*outputs)).check((x.astype(np.float32),))


def test_zeros_keep_their_sign_where_they_are_only_moved() -> None:
    chain = Chain(Value("ids", 2, Dtype.INT32))
    table = np.array([[-0.0, 1.0], [-2.0, -0.0]], np.float32)
    rows = chain.add(Embedding, table=table)
    outputs = [
        rows,
        chain.add(Take, rows),
        chain.add(Pool, rows, pooling=Pooling.MAXIMUM),
        chain.add(Pool, rows, pooling=Pooling.MEAN),
        chain.add(Binary, rows, rows, operation=Operation.ADD),
    ]
    graph = chain.graph(*outputs)
    Tables(graph).check((np.array([[0, 1], [1, 0], [5, -1]], np.int32)[:2],))
    (given, *_), _ = exact.run(graph, np.array([[0, 1]]), numerics="exact")
    assert np.signbit(given[0, [0, 3]]).all()


def test_closed_frames_repeat_an_initial_state(rng: np.random.Generator) -> None:
    chain = Chain(Value("x", 3))
    source = chain.at
    mask = chain.add(Mask)
    chain.add(
        Gru,
        source,
        mask,
        weight_ih=uniform(rng, 6, 3),
        weight_hh=uniform(rng, 6, 2),
        bias=uniform(rng, 8),
        initial_state=np.array([0.5, 0.25], np.float32),
    )
    graph = chain.graph()
    x = np.zeros((3, 3), np.float32)
    Tables(graph).check((x,))
    (y,), _ = exact.run(graph, x, numerics="muladd")
    assert (y == np.array([0.5, 0.25])).all()


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
