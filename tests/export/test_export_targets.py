# SPDX-License-Identifier: Apache-2.0
"""Exported code on other processors, under emulators: the host's bits, and bounds on what it costs.

Instructions are those of QEMU's -icount, calibrated with a loop of known length: not cycles.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.c_code import compiler
from export.targets import TARGETS, Measured, measure, missing_tools, required, with_frames
from grucore.demo.runner import front_end
from grucore.fileformat import read
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Activation,
    Cell,
    Conv1d,
    Dense,
    Gru,
    LayerNorm,
    Mask,
    Softmax,
)
from grucore.graph.node import Dtype, Value
from models.chain import Chain, uniform
from models.quantized_models import Kind, requantized

pytestmark = pytest.mark.slow

FRAMES = 12
KINDS: dict[str, Kind] = {
    "float32": (Dtype.FLOAT32, 0),
    "float16": (Dtype.FLOAT16, 0),
    "int8/8": (Dtype.INT8, 8),
    "int8/16": (Dtype.INT8, 16),
    "int4/16": (Dtype.INT4, 16),
}


def recurrent(inputs: int, hidden: int, outputs: int) -> Graph:
    """A GRU of PyTorch's cell and a dense layer."""
    rng = np.random.default_rng([inputs, hidden, outputs])
    chain = Chain(Value("x", inputs))
    chain.add(
        Gru,
        weight_ih=uniform(rng, 3 * hidden, inputs),
        weight_hh=uniform(rng, 3 * hidden, hidden),
        bias=uniform(rng, 4 * hidden),
    )
    chain.add(Dense, weight=uniform(rng, outputs, hidden), bias=uniform(rng, outputs))
    return chain.graph()


def many_layers() -> Graph:
    """Layers beyond a keyword spotter: windows, masks, the other cell, norms, functions, roots."""
    rng = np.random.default_rng(8)
    chain = Chain(Value("x", 6))
    grouped = uniform(rng, 12, 3, 2)
    chain.add(Conv1d, weight=grouped, bias=uniform(rng, 12), groups=3, stride=2, before=1)
    chain.add(Conv1d, weight=uniform(rng, 9, 2, 12), bias=uniform(rng, 9), dilation=2)
    heard = chain.at
    mask = chain.add(Mask)
    chain.add(
        Gru,
        heard,
        mask,
        cell=Cell.RESET_BEFORE,
        weight_ih=uniform(rng, 30, 9),
        weight_hh=uniform(rng, 30, 10),
        bias=uniform(rng, 30),
        initial_state=uniform(rng, 10),
    )
    chain.add(LayerNorm, scale=uniform(rng, 10), shift=uniform(rng, 10), epsilon=1e-3)
    for activation in (Activation.GELU, Activation.elu(0.7), Activation.SOFTPLUS):
        chain.add(Dense, weight=uniform(rng, 10, chain.at.features), bias=uniform(rng, 10))
        chain.add(Activate, activation=activation)
    chain.add(Softmax, logarithm=True)
    return chain.graph()


def of_kind(graph: Graph, kind: str) -> Graph:
    if kind == "float32":
        return graph
    return requantized(np.random.default_rng(4), graph, (KINDS[kind],), ranged=False)


@pytest.fixture(params=TARGETS)
def cpu(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    need(name)
    return name


def need(cpu: str) -> None:
    """Skip without the tools, or fail where the environment wants them."""
    missing = missing_tools(TARGETS[cpu])
    if missing and required():
        pytest.fail(f"{', '.join(missing)}: missing")
    if missing:
        pytest.skip(f"{', '.join(missing)}: missing")


def on(cpu: str, graph: Graph, folder: Path, numerics: str = "fused") -> Measured:
    """The figures measured there; the bits are the host's."""
    found = measure(with_frames(graph, FRAMES, numerics), cpu, folder, numerics=numerics)
    assert found.different == 0
    return found


SMALL: dict[str, Callable[[], Graph]] = {
    "float32": lambda: recurrent(9, 14, 5),
    "float16": lambda: of_kind(recurrent(9, 14, 5), "float16"),
    "int8/8": lambda: of_kind(recurrent(9, 14, 5), "int8/8"),
    "int4/16": lambda: of_kind(recurrent(41, 14, 5), "int4/16"),
    "layers": many_layers,
    "layers int8/16": lambda: of_kind(many_layers(), "int8/16"),
    "front end": lambda: read(bytes(front_end().model)),
}


def test_small_models_give_the_bits_of_the_host(cpu: str, tmp_path: Path) -> None:
    for name, make in SMALL.items():
        folder = tmp_path / name.replace("/", "_")
        folder.mkdir()
        on(cpu, make(), folder)
    on(cpu, SMALL["layers"](), tmp_path, "muladd")


CLANG = {
    "cortex-m0plus": "clang --target=thumbv6m-none-eabi -mcpu=cortex-m0plus",
    "cortex-m4": "clang --target=thumbv7em-none-eabihf -mcpu=cortex-m4 -mfloat-abi=hard",
    "cortex-m55": "clang --target=thumbv8.1m.main-none-eabi -mcpu=cortex-m55 -mfloat-abi=hard",
}


@pytest.mark.parametrize("cpu", CLANG)
def test_code_by_clang_gives_the_same_bits(cpu: str, tmp_path: Path) -> None:
    need(cpu)
    compiler("clang")
    for level in ("-O0", "-O2"):
        for name in ("float16", "int8/8", "int4/16", "layers"):
            folder = tmp_path / f"{level}_{name.replace('/', '_')}"
            folder.mkdir()
            graph = with_frames(SMALL[name](), FRAMES, "fused")
            found = measure(graph, cpu, folder, compiler=f"{CLANG[cpu]} {level}")
            assert found.different == 0, (level, name)


# The keyword spotter's shape, 40 -> 64 -> 12 with 20,736 multiply-adds: instructions a frame,
# bytes of code, bytes of RAM (state and deepest stack). A little above what is reached.
BOUNDS = {
    ("cortex-m4", "float32"): (40_500, 1_200, 1_300),
    ("cortex-m4", "float16"): (65_500, 1_200, 1_300),
    ("cortex-m4", "int8/8"): (48_000, 1_900, 1_500),
    ("cortex-m4", "int8/16"): (48_000, 1_900, 1_500),
    ("cortex-m4", "int4/16"): (76_000, 2_000, 1_500),
    ("cortex-m7", "float32"): (40_500, 1_200, 1_300),
    ("cortex-m55", "float32"): (21_500, 2_100, 1_500),
    ("cortex-m55", "int8/8"): (18_660, 2_600, 1_700),
    ("cortex-m3", "int8/8"): (420_000, 1_900, 1_600),
    ("cortex-m3", "float32"): (2_750_000, 2_000, 1_400),
    ("cortex-m0plus", "int8/8"): (900_000, 1_900, 1_600),
    ("rv32imc", "int8/8"): (740_000, 2_700, 1_700),
    ("rv32imfc", "float32"): (81_000, 1_600, 1_400),
    ("rv32imfc", "int8/8"): (111_000, 2_300, 1_600),
}


@pytest.mark.parametrize(("cpu", "kind"), BOUNDS)
def test_what_a_frame_costs(cpu: str, kind: str, tmp_path: Path) -> None:
    need(cpu)
    found = on(cpu, of_kind(recurrent(40, 64, 12), kind), tmp_path)
    assert abs(found.calibration - 1_000_000) < 2_000
    instructions, code, ram = BOUNDS[cpu, kind]
    assert instructions * 0.8 < found.instructions <= instructions
    assert found.code <= code
    assert found.stack + 256 <= ram


def test_what_the_features_of_the_demo_cost(tmp_path: Path) -> None:
    need("cortex-m4")
    found = on("cortex-m4", SMALL["front end"](), tmp_path)
    assert 20_000 < found.instructions <= 25_000
    assert found.code <= 2_200
    assert found.stack + 640 <= 5_300
