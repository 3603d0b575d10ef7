# SPDX-License-Identifier: Apache-2.0
"""Where bits are easily lost: any float in an activation, long sums, denormals, signs of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from grucore.graph.layers import (
    Activate,
    Activation,
    ActivationCode,
    Binary,
    Cell,
    Concat,
    Conv1d,
    Dense,
    Direction,
    Embedding,
    Gru,
    LayerNorm,
    Mask,
    Operation,
    Pool,
    Pooling,
    Softmax,
    Take,
)
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from grucore.reference import run as reference
from models.chain import Chain, uniform
from oracle import exact
from oracle.exact_bits import ODD, Tables, wild


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


def test_denormal_weights_are_zeros(rng: np.random.Generator) -> None:
    """As the writer makes them; else they would count for these inputs."""
    chain = Chain(Value("x", 6))
    weight = uniform(rng, 9, 6)
    weight[::2, ::2] = rng.choice(ODD[:2], (5, 3))
    chain.add(Dense, weight=weight, bias=uniform(rng, 9) * np.float32(2.0**-120))
    x = rng.uniform(1e30, 1e38, (4, 6)).astype(np.float32)
    x[:, 1::2] = 0
    Tables(chain.graph()).check((x,))
    (y,), _ = exact.run(chain.graph(), x, numerics="fused")
    assert (np.abs(y[:, ::2]) < 1e-30).all()


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
