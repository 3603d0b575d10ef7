# SPDX-License-Identifier: Apache-2.0
"""Graphs whose weights are of other kinds: random integers and scales in the place of floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.graph.blocks import blocks_of
from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.layers import Conv1d, Dense, Embedding, Gru
from grucore.graph.node import Node
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized, Weight, scale_shape

__all__ = ["FLOATS", "INTEGERS", "Kind", "in_blocks", "requantized", "weights_of_kind"]

Kind = tuple[Dtype, int]  # and the bits of the activations

FLOATS: tuple[Kind, ...] = ((Dtype.FLOAT32, 0), (Dtype.FLOAT16, 0))
INTEGERS: tuple[Kind, ...] = tuple(
    (dtype, bits) for dtype in (Dtype.INT8, Dtype.INT4) for bits in (8, 16)
)


def weights_of_kind(rng: np.random.Generator, weight: Any, kind: Kind) -> Weight:
    """Weights as large as a float32 one of the same shape, the largest integers among them."""
    dtype, bits = kind
    if dtype in (Dtype.FLOAT32, Dtype.FLOAT16):
        return np.asarray(weight.astype(dtype.numpy))
    least, most = (-127, 127) if dtype is Dtype.INT8 else (-8, 7)
    values = rng.integers(least, most + 1, weight.shape).astype(np.int8)
    size = float(np.abs(weight).max(initial=1e-3)) / most
    scale = size * rng.uniform(0.3, 1.2, scale_shape(dtype, weight.shape))
    if dtype is Dtype.INT4:
        scale *= rng.choice([-1, 1], scale.shape)
        return Quantized(values, scale.astype(np.float16), dtype, bits)
    scale[rng.random(scale.shape) < 0.05] = 0
    return Quantized(values, scale.astype(np.float32), dtype, bits)


def in_blocks(rng: np.random.Generator, weight: Quantized, kept: float) -> Quantized:
    """The weights in blocks of 8 rows and 4 inputs, of which about that share is not all 0."""
    values = weight.values.copy()
    blocks_of(values)[rng.random((len(values) // 8, values.shape[1] // 4)) >= kept] = 0
    return replace(weight, values=values, in_blocks=True)


def requantized(
    rng: np.random.Generator, graph: Graph, kinds: Sequence[Kind], *, ranged: bool = True
) -> Graph:
    """A copy whose weights are each of one of these kinds; ``ranged``: some with a fixed range of
    inputs, which may be far too large or too small for them.
    """

    def of_some_kind(weight: Any) -> Weight:
        return weights_of_kind(rng, weight, kinds[rng.integers(len(kinds))])

    def fixed(weight: Weight) -> float | None:
        may_be = ranged and isinstance(weight, Quantized) and rng.random() < 0.3
        return float(np.float32(rng.choice([0.5, 3.7, 1e-31, 1e30]))) if may_be else None

    def changed(node: Node) -> Node:
        if isinstance(node, Gru):
            weight_ih, weight_hh = of_some_kind(node.weight_ih), of_some_kind(node.weight_hh)
            node = replace(node, weight_ih=weight_ih, weight_hh=weight_hh)
            return replace(node, input_range=fixed(weight_ih))
        if isinstance(node, Dense | Conv1d):
            weight = of_some_kind(node.weight)
            return replace(node, weight=weight, input_range=fixed(weight))
        if isinstance(node, Embedding):
            kind = (*FLOATS, (Dtype.INT8, 0))[rng.integers(3)]
            return replace(node, table=weights_of_kind(rng, node.table, kind))
        return node

    result = replace(graph, nodes=tuple(changed(node) for node in graph.nodes))
    check(result)
    return result
