# SPDX-License-Identifier: Apache-2.0
"""Errors of random quantized GRUs: of the engine, and of the same scheme in float64."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

import grucore
from grucore.fileformat import read, write
from grucore.graph.graph import Graph
from grucore.graph.layers import Cell, Gru
from grucore.graph.node import Value
from grucore.graph.weights import Quantized, as_float64
from oracle.float64_scheme import ROUNDINGS
from oracle.float64_scheme import Cell as Simulated

__all__ = ["FRAMES", "Errors", "measure"]

FRAMES = 200


class Errors(NamedTuple):
    """Largest and RMS difference from the float64 GRU with the unrounded weights.

    ``engine``: what `Model.quantize` made, run by the engine. ``scheme``: the plain scheme in
    float64. ``same_weights``: float64 with the engine's own integers and scales.
    """

    engine: tuple[float, float]
    scheme: tuple[float, float]
    same_weights: tuple[float, float]


def random_gru(size: tuple[int, int], cell: Cell, seed: int) -> Gru:
    """Weights and biases uniform within 1 / sqrt(H), as torch initialises them."""
    inputs, hidden = size
    rng = np.random.default_rng([seed, inputs, hidden])
    bound = 1 / np.sqrt(hidden)

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-bound, bound, shape).astype(np.float32)

    return Gru(
        name="gru",
        inputs=("x",),
        output="h",
        weight_ih=uniform(3 * hidden, inputs),
        weight_hh=uniform(3 * hidden, hidden),
        bias=uniform((4 if cell is Cell.RESET_AFTER else 3) * hidden),
        cell=cell,
    )


def _matrices(weights: list[Quantized | np.ndarray]) -> list[np.ndarray]:
    """The values of stored weights, by the file's own integers and scales."""
    found = []
    for weight in weights:
        if not isinstance(weight, Quantized):
            found.append(weight.astype(np.float64))
            continue
        values, scale = weight.values.astype(np.float64), weight.scale.astype(np.float64)
        scale = (
            scale.repeat(32, axis=1)[:, : values.shape[1]] if scale.ndim == 2 else scale[:, None]
        )
        found.append(values * scale)
    return found


@functools.lru_cache(maxsize=64)
def _case(size: tuple[int, int], seed: int, cell: Cell) -> tuple[Gru, np.ndarray, np.ndarray]:
    """A GRU, standard normal inputs, and what it gives without rounding, in float64."""
    gru = random_gru(size, cell, seed)
    x = np.random.default_rng([seed, 1]).normal(size=(FRAMES, size[0])).astype(np.float32)
    return gru, x, Simulated(as_float64(gru.weight_ih), as_float64(gru.weight_hh), gru.bias).run(x)


def measure(
    kind: str,
    bits: int,
    size: tuple[int, int],
    seed: int,
    *,
    cell: Cell = Cell.RESET_AFTER,
    isa: str | None = None,
) -> Errors:
    """Over `FRAMES` frames from a state of zeros; ``bits`` of the activations, 0 for float16."""
    gru, x, truth = _case(size, seed, cell)
    values = (Value("x", size[0]), Value("h", size[1]))
    graph = Graph(values=values, inputs=("x",), outputs=("h",), nodes=(gru,))
    model = grucore.load(write(graph), isa=isa).quantize(kind, activations=bits or 16)
    (stored,) = read(bytes(model)).nodes
    assert isinstance(stored, Gru)
    plain = [ROUNDINGS[kind](as_float64(weight)) for weight in (gru.weight_ih, gru.weight_hh)]
    own = _matrices([stored.weight_ih, stored.weight_hh])

    def errors(found: np.ndarray) -> tuple[float, float]:
        difference = found - truth
        return float(np.abs(difference).max()), float(np.sqrt(np.square(difference).mean()))

    return Errors(
        errors(model.run(x)),
        errors(Simulated(*plain, gru.bias, bits).run(x)),
        errors(Simulated(*own, stored.bias, bits).run(x)),
    )
