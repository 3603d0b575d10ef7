# SPDX-License-Identifier: Apache-2.0
"""Random networks of many layers, branches and clocks: exported code gives the engine's bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.c_code import COMPILERS, shared_library
from export.test_export_layers import compare
from grucore.export.c99 import export_c99
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Affine,
    Binary,
    Concat,
    Embedding,
    LayerNorm,
    Mask,
    Operation,
    Pool,
    Pool1d,
    Pooling,
    Position,
    Select,
    Softmax,
    Take,
)
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Dtype
from models.chain import Chain, activation, add_conv1d, add_dense, add_gru, uniform
from models.quantized_models import FLOATS, INTEGERS, requantized

SEEDS = range(32)


def alike(rng: np.random.Generator, chain: Chain, source: Value) -> Value:
    """A value with the clock, the dtype and the features of the source, maybe itself."""
    found = [
        value
        for value in chain.values.values()
        if (value.clock, value.dtype, value.features)
        == (source.clock, source.dtype, source.features)
    ]
    return found[int(rng.integers(len(found)))]


def grow(rng: np.random.Generator, chain: Chain) -> None:
    """One more layer, on any value that it can read."""
    floats = [value for value in chain.values.values() if value.dtype is Dtype.FLOAT32]
    source = floats[int(rng.integers(len(floats)))]
    chain.at = source
    features = source.features
    numbers = {"scale": uniform(rng, features), "shift": uniform(rng, features)}
    anywhere: list[Callable[[], Any]] = [
        lambda: add_dense(rng, chain, activation=activation(rng)),
        lambda: chain.add(Activate, activation=activation(rng)),
        lambda: chain.add(Softmax),
        lambda: chain.add(LayerNorm, epsilon=1e-2, **numbers),
        lambda: chain.add(Affine, **numbers),
        lambda: chain.add(Select, index=rng.integers(0, features, 5).astype(np.int32)),
        lambda: chain.add(Concat, source, alike(rng, chain, source)),
        lambda: chain.add(
            Binary,
            source,
            alike(rng, chain, source),
            operation=Operation(int(rng.integers(len(Operation)))),
        ),
    ]
    in_time: list[Callable[[], Any]] = [
        lambda: add_gru(rng, chain),
        lambda: add_gru(rng, chain, source, chain.add(Mask, source)),
        lambda: add_conv1d(rng, chain),
        lambda: chain.add(Pool1d, taps=2, pooling=Pooling(int(rng.integers(2)))),
        lambda: chain.add(Take, position=Position(int(rng.integers(2)))),
        lambda: chain.add(Pool, pooling=Pooling(int(rng.integers(2)))),
    ]
    ways = anywhere if source.rate is Rate.SEQUENCE or source.period > 12 else anywhere + in_time
    ways[int(rng.integers(len(ways)))]()


def network(seed: int) -> Graph:
    rng = np.random.default_rng([77, seed])
    inputs = [Value("x", int(rng.integers(1, 12)))]
    if seed % 3 == 0:
        inputs.append(Value("more", inputs[0].features))
    if seed % 4 == 0:
        inputs.append(Value("ids", 2, Dtype.INT32))
    chain = Chain(*inputs)
    if seed % 4 == 0:
        chain.add(Embedding, chain.values["ids"], table=uniform(rng, 7, 5))
    for _ in range(int(rng.integers(4, 14))):
        grow(rng, chain)
    last = chain.at
    others = [value for value in chain.values.values() if value.name not in chain.inputs]
    chosen = {last.name: last}
    for index in rng.integers(0, len(others), 2):
        chosen[others[index].name] = others[index]
    graph = chain.graph(*chosen.values())
    return requantized(rng, graph, (*INTEGERS, *FLOATS)) if seed % 2 else graph


@pytest.mark.parametrize("numerics", ["fused", "muladd"])
def test_random_networks(numerics: str, tmp_path: Path) -> None:
    graphs = {seed: network(seed) for seed in SEEDS}
    exports = {
        seed: export_c99(graph, f"m{seed}", numerics=numerics) for seed, graph in graphs.items()
    }
    library = shared_library(tmp_path, list(exports.values()), COMPILERS[numerics == "muladd"])
    isa = {"fused": "scalar", "muladd": "scalar_muladd"}[numerics]
    for seed, graph in graphs.items():
        compare(graph, exports[seed], library, isa, seed)
