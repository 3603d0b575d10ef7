# SPDX-License-Identifier: Apache-2.0
"""Small graphs with a layer of each kind, of random shapes and attributes: `make(kind, seed)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from grucore.graph.graph import Graph
from grucore.graph.layers import (
    KINDS,
    Activate,
    Activation,
    ActivationCode,
    Affine,
    Attention,
    Binary,
    Concat,
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
    Operation,
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
from grucore.graph.node import Value, float32_bits
from grucore.graph.tensors import Dtype
from models.chain import (
    SIZES,
    Chain,
    activation,
    add_conv1d,
    add_dense,
    add_gru,
    scale_and_shift,
    uniform,
)
from models.loop_models import add_arg_max, add_delay

__all__ = ["KIND_NAMES", "frames_for", "inputs_for", "make"]

KIND_NAMES = tuple(cls.layer for cls in KINDS.values())
# Lengths of spectra: one radix each, several, odd ones, more rows than columns.
LENGTHS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 25, 27, 32, 36, 45, 50, 64, 100, 120, 256, 400)


def _source(rng: np.random.Generator) -> Chain:
    """A model's input, and sometimes a layer after it that makes its clock an uncommon one."""
    chain = Chain(Value("x", int(rng.choice(SIZES))))
    if rng.random() < 0.3:
        add_conv1d(rng, chain)
    return chain


def _mask(rng: np.random.Generator, chain: Chain) -> Value:
    source = chain.at
    mask = chain.add(Mask, bits=float32_bits(0.0))
    chain.at = source
    return mask


def _recurrent(rng: np.random.Generator, kind: type[Recurrent] = Gru) -> Graph:
    chain = _source(rng)
    gate, candidate = activation(rng, 8), activation(rng, 8)
    settings: dict[str, Any] = {"direction": Direction(int(rng.random() < 0.3))}
    if rng.random() < 0.7:
        settings |= {"gate_activation": gate, "activation": candidate}
        if kind is Lstm:
            settings["cell_activation"] = activation(rng, 8)
    reads = [chain.at]
    if rng.random() < 0.5:
        reads.append(_mask(rng, chain))
        settings["masked_output"] = MaskedOutput(int(rng.integers(2)))
    # Gates outside of [0, 1] let a state grow without bound: small weights keep it in bounds.
    is_bounded = gate.code in (ActivationCode.SIGMOID, ActivationCode.HARD_SIGMOID)
    if kind is Rnn:
        settings.pop("gate_activation", None)
        is_bounded = False
    add_gru(rng, chain, *reads, size=1.0 if is_bounded else 0.2, kind=kind, **settings)
    if rng.random() < 0.5:
        node = chain.nodes[-1]
        assert isinstance(node, Recurrent)
        names = ("initial_state", "initial_cell")[: len(node.state_suffixes)]
        starts = {n: rng.uniform(-1, 1, node.hidden_size).astype(np.float32) for n in names}
        chain.nodes[-1] = replace(node, **starts)
    return chain.graph()


def _dense(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    add_dense(rng, chain, activation=activation(rng))
    if rng.random() < 0.3:
        chain.add(Take)
        add_dense(rng, chain, activation=activation(rng))
    return chain.graph()


def _conv1d(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    add_conv1d(rng, chain, look_ahead=bool(rng.random() < 0.4))
    if rng.random() < 0.3:
        add_conv1d(rng, chain)
    return chain.graph()


def _embedding(rng: np.random.Generator) -> Graph:
    chain = Chain(Value("ids", int(rng.choice([1, 1, 2, 3])), Dtype.INT32))
    table = uniform(rng, int(rng.integers(1, 40)), int(rng.choice(SIZES)))
    chain.add(Embedding, table=table)
    if rng.random() < 0.4:
        mask = chain.add(Mask, chain.values["ids"], bits=0)
        add_gru(rng, chain, chain.values["embedding.0.out"], mask)
    return chain.graph()


def _activation(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    if rng.random() < 0.2:
        slope = rng.uniform(-1, 1, chain.at.features).astype(np.float32)
        chain.add(Activate, activation=Activation.leaky_relu(0), slope=slope)
    else:
        chain.add(Activate, activation=activation(rng))
    return chain.graph()


def _softmax(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    chain.add(Softmax, logarithm=bool(rng.integers(2)))
    return chain.graph()


def _layer_norm(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    epsilon = float(rng.choice([1e-3, 1e-2, 1.0]))
    chain.add(LayerNorm, epsilon=epsilon, **scale_and_shift(rng, chain.at.features))
    return chain.graph()


def _affine(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    chain.add(Affine, **scale_and_shift(rng, chain.at.features))
    return chain.graph()


def _binary(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    first = chain.at
    second = chain.add(Activate, activation=activation(rng))
    pair = (first, second) if rng.integers(2) else (second, first)
    chain.add(Binary, *pair, operation=Operation(int(rng.integers(len(Operation)))))
    return chain.graph()


def _concat(rng: np.random.Generator) -> Graph:
    features = [int(rng.choice(SIZES)) for _ in range(rng.integers(2, 5))]
    chain = Chain(*(Value(f"x{i}", count) for i, count in enumerate(features)))
    chain.add(Concat, *chain.values.values())
    return chain.graph()


def _select(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    index = rng.integers(0, chain.at.features, int(rng.choice(SIZES))).astype(np.int32)
    chain.add(Select, index=index)
    return chain.graph()


def _take(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    if rng.integers(2):
        add_gru(rng, chain)
    chain.add(Take, position=Position(int(rng.integers(2))))
    return chain.graph()


def _pool(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    reads = [chain.at]
    if rng.random() < 0.5:
        reads.append(_mask(rng, chain))
    chain.add(Pool, *reads, pooling=Pooling(int(rng.integers(2))))
    return chain.graph()


def _pool1d(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    for _ in range(int(rng.integers(1, 3))):
        taps, stride = (int(n) for n in rng.integers(1, (7, 5)))
        chain.add(Pool1d, taps=taps, stride=stride, pooling=Pooling(int(rng.integers(2))))
    return chain.graph()


def _masked(rng: np.random.Generator) -> Graph:
    if rng.integers(2):
        chain = Chain(Value("ids", int(rng.integers(1, 4)), Dtype.INT32))
        chain.add(Mask, bits=int(rng.integers(-1, 3)))
    else:
        chain = _source(rng)
        chain.add(Mask, bits=float32_bits(0.0))
    return chain.graph()


def _flip(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    chain.add(Flip)
    return chain.graph()


def _expand(rng: np.random.Generator) -> Graph:
    """The last frame, the mean or the maximum, and what is made of it, at every frame."""
    chain = _source(rng)
    frames = chain.at
    if rng.integers(2):
        chain.add(Take)
    else:
        chain.add(Pool, pooling=Pooling(int(rng.integers(2))))
    if rng.integers(2):
        add_dense(rng, chain, activation=activation(rng))
    chain.add(Expand, frames, chain.at)
    if rng.integers(2):
        add_gru(rng, chain)
        if rng.integers(2):
            chain.add(Take)
    return chain.graph()


def add_window(rng: np.random.Generator, chain: Chain, samples: int) -> Value:
    """A window of random numbers."""
    delay, lost = (int(n) for n in rng.integers(0, (2 * chain.at.features, 4)))
    return chain.add(
        Window,
        weight=uniform(rng, samples),
        delay=int(rng.choice([0, delay])),
        lost=int(rng.choice([0, lost])),
        emphasis=float(rng.choice([0, 0.97, 1])),
    )


def _window(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    add_window(rng, chain, int(rng.choice([*SIZES, 64, 100])))
    return chain.graph()


def _rfft(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    if rng.integers(2):
        add_window(rng, chain, int(rng.choice([*SIZES, 50, 64, 100, 200])))
    fast = [n for n in LENGTHS if n >= chain.at.features] or [512]
    chain.add(Rfft, length=int(rng.choice(fast)), spectrum=Spectrum(int(rng.integers(3))))
    return chain.graph()


def _filterbank(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    matrix = uniform(rng, int(rng.choice(SIZES)), chain.at.features)
    for row in matrix:
        first, last = np.sort(rng.integers(0, len(row) + 1, 2))
        row[:first] = row[last:] = 0
    matrix[0, 0] = 1
    bank = Filterbank.of_matrix(matrix, name="", inputs=(), output="")
    chain.add(Filterbank, weight=bank.weight, index=bank.index)
    return chain.graph()


def _irfft(rng: np.random.Generator) -> Graph:
    """The spectrum of some length, or any numbers in the place of one."""
    length = int(rng.choice(LENGTHS))
    if rng.integers(2):
        chain = _source(rng)
        length = int(rng.choice([n for n in LENGTHS if n >= chain.at.features]))
        chain.add(Rfft, length=length, spectrum=Spectrum.COMPLEX)
    else:
        chain = _source(rng)
        bins = length // 2 + 1
        weight = uniform(rng, 2 * bins, chain.at.features)
        chain.add(Dense, weight=weight, bias=uniform(rng, 2 * bins), activation=Activation.LINEAR)
    chain.add(Irfft, length=length)
    return chain.graph()


def _overlap_add(rng: np.random.Generator) -> Graph:
    chain = _source(rng)
    if rng.integers(2):
        add_window(rng, chain, int(rng.choice([*SIZES, 64, 100])))
    samples = chain.at.features
    hop = int(rng.choice([1, samples, 1 + samples // 2, rng.integers(1, samples + 1)]))
    chain.add(OverlapAdd, weight=uniform(rng, samples), hop=hop)
    return chain.graph()


def _attention(rng: np.random.Generator) -> Graph:
    """Over a memory that is there from the start, or over an empty one."""
    chain = _source(rng)
    frames, features = (int(n) for n in rng.integers(1, (40, 34)))
    settings: dict[str, Any] = {"frames": frames, "features": features}
    settings["width"] = int(rng.integers(1, features + 1))
    settings["scale"] = float(rng.choice([1.0, 0.25]))
    if rng.random() < 0.8:
        settings["initial_state"] = rng.uniform(-1, 1, (frames, features)).astype(np.float32)
    if rng.random() < 0.5:
        keys = chain.at.features
        settings |= {"weight": uniform(rng, keys, features), "bias": uniform(rng, keys)}
        settings["vector"] = uniform(rng, keys)
    else:
        keys = int(rng.integers(1, features + 1))
        settings["heads"] = int(rng.integers(1, 4))
        weight = uniform(rng, keys * settings["heads"], chain.at.features)
        chain.add(Dense, weight=weight, bias=uniform(rng, len(weight)))
    chain.add(Attention, **settings)
    if rng.random() < 0.3:
        add_gru(rng, chain)
    return chain.graph()


MAKERS: dict[str, Callable[[np.random.Generator], Graph]] = {
    "gru": _recurrent,
    "lstm": partial(_recurrent, kind=Lstm),
    "rnn": partial(_recurrent, kind=Rnn),
    "dense": _dense,
    "conv1d": _conv1d,
    "embedding": _embedding,
    "activation": _activation,
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "affine": _affine,
    "binary": _binary,
    "concat": _concat,
    "select": _select,
    "take": _take,
    "pool": _pool,
    "pool1d": _pool1d,
    "mask": _masked,
    "flip": _flip,
    "delay": lambda rng: add_delay(rng, _source(rng)),
    "window": _window,
    "rfft": _rfft,
    "filterbank": _filterbank,
    "irfft": _irfft,
    "overlap_add": _overlap_add,
    "arg_max": lambda rng: add_arg_max(rng, _source(rng)),
    "attention": _attention,
    "expand": _expand,
}


def make(kind: str, seed: int) -> Graph:
    """A checked graph with a layer of that kind."""
    return MAKERS[kind](np.random.default_rng([seed, sum(kind.encode())]))


def frames_for(graph: Graph, rng: np.random.Generator) -> int:
    """Frames after which every output has had a few values."""
    skip = max(graph.value(name).skip for name in graph.outputs)
    period = max(graph.value(name).period for name in graph.outputs)
    return skip + period * int(rng.integers(1, 9)) + 1


def inputs_for(
    graph: Graph, rng: np.random.Generator, batch: int, frames: int
) -> tuple[np.ndarray, ...]:
    """(batch, frames, features): noise with frames of zeros, or ids."""
    arrays = []
    for name in graph.inputs:
        value = graph.value(name)
        shape = (batch, frames, value.features)
        if value.dtype is Dtype.INT32:
            tables = [node.table for node in graph.nodes if isinstance(node, Embedding)]
            most = min((len(table) for table in tables), default=3)
            arrays.append(rng.integers(0, most, shape).astype(np.int32))
        else:
            noise = rng.normal(0, 1.5, shape).astype(np.float32)
            noise[rng.random((batch, frames)) < 0.2] = 0
            arrays.append(noise)
    return tuple(arrays)
