# SPDX-License-Identifier: Apache-2.0
"""Exported code gives the engine's bits, frame by frame: every layer kind and kind of weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grucore
from export.c_code import COMPILERS, frames_of, shared_library
from grucore import fileformat
from grucore.export.c99 import Export, export_c99
from grucore.export.layers import WRITERS
from grucore.graph.graph import Graph
from grucore.graph.layers import KINDS, Expand, Flip
from models.layer_models import KIND_NAMES, frames_for, inputs_for, make
from models.quantized_models import FLOATS, INTEGERS, requantized
from oracle.exact_bits import as_tuple, one, same, wild

SEEDS = range(10)
EXTRA_FRAMES = 20
TABLES = {"fused": "scalar", "muladd": "scalar_muladd"}


def graphs_of(kind: str) -> dict[int, Graph]:
    """Those that stream; every other one with weights of any kinds."""
    graphs = {}
    for seed in SEEDS:
        graph = make(kind, seed)
        if seed % 2:
            rng = np.random.default_rng([21, seed])
            graph = requantized(rng, graph, (*INTEGERS, *FLOATS))
        if graph.streamable:
            graphs[seed] = graph
    return graphs


def compare(graph: Graph, export: Export, library: object, isa: str, seed: int) -> None:
    rng = np.random.default_rng([5, seed])
    frames = frames_for(graph, rng) + EXTRA_FRAMES
    inputs = tuple(array[0] for array in wild(rng, inputs_for(graph, rng, 1, frames)))
    stream = grucore.load(fileformat.write(graph), isa=isa).stream()
    found = frames_of(library, export, graph, inputs)
    for t, frame in enumerate(zip(*inputs, strict=True)):
        expected = as_tuple(stream.step(one(frame)))
        for name, have, want in zip(graph.outputs, found[t], expected, strict=True):
            if want is None:
                assert have is None, (export.prefix, t, name)
            else:
                assert have is not None, (export.prefix, t, name)
                assert same(have, want), (export.prefix, t, name)


def test_every_kind_that_streams_has_code() -> None:
    """These read the future whatever their settings are."""
    assert set(KINDS.values()) - {Flip, Expand} <= set(WRITERS)


@pytest.mark.parametrize("numerics", ["fused", "muladd"])
@pytest.mark.parametrize("kind", [kind for kind in KIND_NAMES if kind not in ("flip", "expand")])
def test_every_kind_gives_the_bits_of_the_engine(kind: str, numerics: str, tmp_path: Path) -> None:
    graphs = graphs_of(kind)
    assert graphs
    exports = {
        seed: export_c99(graph, f"m{seed}", numerics=numerics) for seed, graph in graphs.items()
    }
    turn = KIND_NAMES.index(kind) + (numerics == "muladd")
    library = shared_library(tmp_path, list(exports.values()), COMPILERS[turn % len(COMPILERS)])
    for seed, graph in graphs.items():
        compare(graph, exports[seed], library, TABLES[numerics], seed)


@pytest.mark.skipif("avx2" not in grucore.supported_isas(), reason="wants fused multiply-adds")
@pytest.mark.parametrize("numerics", ["fused", "muladd"])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_nothing_fuses_by_itself(name: str, numerics: str, tmp_path: Path) -> None:
    """With the compiler's own choice of contraction, which of gcc is to fuse."""
    graphs = graphs_of("gru") | {seed + 100: graph for seed, graph in graphs_of("dense").items()}
    exports = {
        seed: export_c99(graph, f"m{seed}", numerics=numerics) for seed, graph in graphs.items()
    }
    command = (name, "-std=gnu11", "-O2", "-march=haswell")
    library = shared_library(tmp_path, list(exports.values()), command, "-Wall", "-Werror")
    for seed, graph in graphs.items():
        compare(graph, exports[seed], library, TABLES[numerics], seed)
