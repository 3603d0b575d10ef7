# SPDX-License-Identifier: Apache-2.0
"""The engine on every table against `oracle.exact`: what the tests of both share."""

from __future__ import annotations

from typing import Any

import numpy as np

import grucore
from grucore import fileformat
from grucore.graph.graph import Graph
from oracle import exact

__all__ = ["ODD", "Tables", "as_tuple", "one", "same", "wild"]

# Kinds of floats: denormals, zeros, the largest numbers, none at all.
ODD = np.array(
    [1e-39, -1e-45, -0.0, 1.2e-38, 3e-5, 1e4, -1e20, 3e38, -3e38, np.inf, -np.inf, np.nan],
    np.float32,
)
FINITE = len(ODD) - 3


def as_tuple(result: Any) -> tuple[np.ndarray, ...]:
    return result if isinstance(result, tuple) else (result,)


def one(arrays: tuple[np.ndarray, ...]) -> Any:
    return arrays if len(arrays) > 1 else arrays[0]


def same(found: Any, expected: Any) -> bool:
    """Shape, dtype and every bit; of a NaN neither sign nor payload."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if found.dtype.kind != "f":
        return bool((found == expected).all())
    both_nan = np.isnan(found) & np.isnan(expected)
    return bool((both_nan | (found.view(np.uint32) == expected.view(np.uint32))).all())


def wild(rng: np.random.Generator, arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Copies with odd numbers in them: none, a few finite ones, or any."""
    result = []
    for array in arrays:
        array = array.copy()
        odds = ODD[: rng.choice([0, FINITE - 4, FINITE, len(ODD)])]
        if array.dtype == np.float32 and len(odds):
            places = rng.random(array.shape) < rng.choice([0.01, 0.1])
            array[places] = rng.choice(odds, int(places.sum()))
        result.append(array)
    return tuple(result)


class Tables:
    """A graph as every table of this machine has loaded it, and its exact results by class."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        data = fileformat.write(graph)
        self.models = [grucore.load(data, isa=isa) for isa in grucore.supported_isas()]

    def check(self, inputs: tuple[np.ndarray, ...], **arguments: Any) -> None:
        """`Model.run` on every table is `exact.run`: outputs and final states."""
        expected: dict[str, Any] = {}
        for model in self.models:
            if model.numerics not in expected:
                expected[model.numerics] = exact.run(
                    self.graph, inputs, numerics=model.numerics, **arguments
                )
            outputs, final = expected[model.numerics]
            found, state = model.run(one(inputs), return_state=True, **arguments)
            for name, have, want in zip(self.graph.outputs, as_tuple(found), outputs, strict=True):
                assert same(have, want), (model.isa, name)
            assert sorted(state) == sorted(final), model.isa
            for name, want in final.items():
                assert same(state[name], want), (model.isa, name)
