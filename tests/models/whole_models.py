# SPDX-License-Identifier: Apache-2.0
"""Whole models at random, as graphs: a front, some blocks, a head. No framework makes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Activation,
    ActivationCode,
    Affine,
    Binary,
    Concat,
    Direction,
    Embedding,
    LayerNorm,
    Operation,
    Pool,
    Pooling,
    Softmax,
    Take,
)
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from models.chain import SIZES, Chain, add_conv1d, add_dense, add_gru, uniform

__all__ = ["whole"]

BLOCKS = ("gru", "gru", "both", "dense", "conv1d", "norm", "affine", "activation", "residual")
HEADS = ("frames", "frames", "last", "mean", "softmax")
CODES = (ActivationCode.TANH, ActivationCode.SIGMOID, ActivationCode.RELU, ActivationCode.SILU)


def _block(rng: np.random.Generator, chain: Chain, kind: str) -> None:
    features = chain.at.features
    if kind == "gru":
        add_gru(rng, chain)
    elif kind == "both":
        source = chain.at
        forward = add_gru(rng, chain, source)
        reverse = add_gru(rng, chain, source, direction=Direction.REVERSE)
        chain.add(Concat, forward, reverse)
    elif kind == "dense":
        add_dense(rng, chain, activation=Activation(CODES[rng.integers(4)]))
    elif kind == "conv1d":
        add_conv1d(rng, chain, look_ahead=bool(rng.random() < 0.3))
    elif kind == "norm":
        scale, shift = rng.uniform(0.5, 1.5, (2, features)).astype(np.float32)
        chain.add(LayerNorm, epsilon=0.1, scale=scale, shift=shift)
    elif kind == "affine":
        scale, shift = rng.uniform(-1, 1, (2, features)).astype(np.float32)
        chain.add(Affine, scale=scale, shift=shift)
    elif kind == "activation":
        chain.add(Activate, activation=Activation(CODES[rng.integers(4)]))
    else:
        source = chain.at
        inner = chain.add(Activate, activation=Activation(ActivationCode.TANH))
        chain.add(Binary, source, inner, operation=Operation.ADD)


def whole(seed: int) -> Graph:
    """A checked graph with at least one recurrent layer."""
    rng = np.random.default_rng([seed, 77])
    if rng.random() < 0.2:
        chain = Chain(Value("ids", 1, Dtype.INT32))
        table: Any = uniform(rng, int(rng.integers(2, 40)), int(rng.choice(SIZES)))
        chain.add(Embedding, table=table)
    else:
        chain = Chain(Value("x", int(rng.choice(SIZES))))
    kinds = [str(kind) for kind in rng.choice(BLOCKS, rng.integers(1, 6))]
    kinds.insert(int(rng.integers(len(kinds) + 1)), "gru")
    for kind in kinds:
        _block(rng, chain, kind)
    head = HEADS[rng.integers(len(HEADS))]
    if head == "last":
        chain.add(Take)
    elif head == "mean":
        chain.add(Pool, pooling=Pooling.MEAN)
    add_dense(rng, chain)
    if head == "softmax":
        chain.add(Softmax, logarithm=bool(rng.integers(2)))
    return chain.graph()
