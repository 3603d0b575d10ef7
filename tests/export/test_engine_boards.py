# SPDX-License-Identifier: Apache-2.0
"""The engine on emulated boards: the host's bits, and bounds on the instructions of a frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.engine_code import SOURCES, measure_engine
from export.targets import with_frames
from export.test_export_targets import KINDS, many_layers, need, of_kind, recurrent
from grucore.graph.graph import Graph
from grucore.graph.layers import Conv1d, Dense, Gru
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized
from models.chain import Chain, uniform
from models.quantized_models import requantized

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SOURCES.exists(), reason="away from the source tree"),
]

FRAMES = 12

# The keyword spotter's shape, 40 -> 64 -> 12 with 20,736 multiply-adds: instructions a frame and
# bytes of flash without the file, main and start-up in them. A little above what is reached.
BOUNDS = {
    ("cortex-m4", "float32"): (70_500, 18_700),
    ("cortex-m4", "int8/8"): (59_700, 20_200),
    ("cortex-m4", "int8/16"): (59_700, 20_200),
    ("cortex-m55", "float32"): (24_000, 27_000),
    ("cortex-m55", "int8/8"): (18_660, 28_700),
    ("cortex-m55", "int8/16"): (24_000, 28_700),
}


MACHINES = ["cortex-m0plus", "cortex-m3", "cortex-m7", "cortex-m33"]
MACHINES += ["rv32imc", "rv32imfc", "rv64", "armv7", "aarch64", "i386", "wasm", "wasmtime"]


@pytest.mark.parametrize("cpu", MACHINES)
def test_the_bits_of_the_host(cpu: str, tmp_path: Path) -> None:
    """Layers of many kinds, weights of all."""
    need(cpu)
    graph = requantized(np.random.default_rng(11), many_layers(), tuple(KINDS.values()))
    found = measure_engine(with_frames(graph, FRAMES, "fused"), cpu, tmp_path)
    assert found.different == 0


@pytest.mark.parametrize(("cpu", "kind"), BOUNDS)
def test_what_a_frame_costs(cpu: str, kind: str, tmp_path: Path) -> None:
    need(cpu)
    graph = with_frames(of_kind(recurrent(40, 64, 12), kind), FRAMES, "fused")
    found = measure_engine(graph, cpu, tmp_path)
    assert found.different == 0
    assert abs(found.calibration - 1_000_000) < 2_000
    instructions, flash = BOUNDS[cpu, kind]
    assert instructions * 0.8 < found.instructions <= instructions
    assert found.code <= flash


def tiny_states() -> Graph:
    """A GRU whose states are just above the smallest normal number, so that parts are below."""
    rng = np.random.default_rng(3)
    chain = Chain(Value("x", 9))
    chain.add(
        Gru,
        weight_ih=uniform(rng, 72, 9) * np.float32(4e-38),
        weight_hh=uniform(rng, 72, 24),
        bias=np.zeros(96, np.float32),
    )
    chain.add(Dense, weight=uniform(rng, 12, 24), bias=np.zeros(12, np.float32))
    return chain.graph()


def tiny_sums() -> Graph:
    """A dense layer whose sums begin below the smallest normal number."""
    rng = np.random.default_rng(5)
    chain = Chain(Value("x", 24))
    chain.add(Dense, weight=uniform(rng, 12, 24) * np.float32(1e-37), bias=np.zeros(12, np.float32))
    return chain.graph()


def tiny_taps() -> Graph:
    """A convolution of int8 weights, whose taps add up to normal numbers from less."""
    rng = np.random.default_rng(6)
    values = rng.integers(-1, 2, (12, 5, 8)).astype(np.int8)
    scale = np.full(12, 1.2e-38, np.float32)
    chain = Chain(Value("x", 8))
    weight = Quantized(values, scale, Dtype.INT8, 8)
    chain.add(Conv1d, weight=weight, bias=np.zeros(12, np.float32), before=4)
    return chain.graph()


@pytest.mark.parametrize("cpu", ["cortex-m55", "armv7"])
@pytest.mark.parametrize("make", [tiny_states, tiny_sums, tiny_taps])
def test_vectors_keep_denormals(cpu: str, make: Callable[[], Graph], tmp_path: Path) -> None:
    """They make them zero: what met one is worked out again without."""
    need(cpu)
    graph = with_frames(make(), FRAMES, "fused")
    assert graph.test is not None
    assert np.count_nonzero(graph.test.outputs[0]) > 20
    assert measure_engine(graph, cpu, tmp_path).different == 0


def wide_and_odd() -> Graph:
    """More inputs than one sum of integers takes, and none of its sizes a multiple of 4."""
    rng = np.random.default_rng(9)
    chain = Chain(Value("x", 1_301))
    chain.add(Dense, weight=uniform(rng, 7, 1_301), bias=uniform(rng, 7))
    chain.add(
        Gru,
        weight_ih=uniform(rng, 57, 7),
        weight_hh=uniform(rng, 57, 19),
        bias=uniform(rng, 76),
    )
    return chain.graph()


@pytest.mark.parametrize("cpu", ["cortex-m55", "armv7"])
@pytest.mark.parametrize("kind", ["float32", "float16", "int8/8", "int8/16", "int4/16"])
def test_odd_sizes(cpu: str, kind: str, tmp_path: Path) -> None:
    need(cpu)
    graph = with_frames(of_kind(wide_and_odd(), kind), FRAMES, "fused")
    assert measure_engine(graph, cpu, tmp_path).different == 0
