# SPDX-License-Identifier: Apache-2.0
"""`Model.quantize`: what becomes of each weight, how well, and what is refused."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Cell,
    Conv1d,
    Dense,
    Direction,
    Embedding,
    Gru,
    LayerNorm,
    Mask,
    MaskedOutput,
    Take,
)
from grucore.graph.node import Value, float32_bits
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized, as_float64
from grucore.proof import proof
from grucore.quantize.candidates import FLOAT16, Candidates, Choice
from grucore.quantize.quantize import KINDS, quantize
from grucore.runtime.run import run
from models.chain import Chain, uniform
from models.layer_models import KIND_NAMES, frames_for, inputs_for, make
from models.small_models import GRAPHS, frames, frames_graph, parameter_bytes


def loaded(graph: Graph) -> grucore.Model:
    return grucore.load(fileformat.write(graph))


def kinds_of(model: grucore.Model) -> dict[str, str]:
    found: dict[str, str] = model.metadata["quantization"]["weights"]
    return found


def outputs_of(model: grucore.Model, x: Any) -> list[np.ndarray]:
    result = model.run(x)
    return list(result) if isinstance(result, tuple) else [result]


def difference(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max(initial=0)) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def wide() -> grucore.Model:
    """24 features -> gru of 40 -> gru of 40 -> 7."""
    graph = frames_graph(features=24, hidden_size=40, out=7, layers=2)
    return loaded(graph.with_metadata(producer="test", source={"framework": "none"}))


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    """(2, 600, 24): features that go together, as those of speech do."""
    rng = np.random.default_rng(1)
    sources = rng.normal(size=(5, 24))
    slow = np.cumsum(rng.normal(size=(2, 600, 5)), axis=1) * 0.05
    noise = 0.2 * rng.normal(size=(2, 600, 24))
    return (np.sin(slow) @ sources + noise + 0.5).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activations", [8, 16])
def test_a_quantized_model(
    wide: grucore.Model, recording: np.ndarray, kind: str, activations: int
) -> None:
    small = wide.quantize(kind, activations=activations)
    bits = "" if kind == "float16" else f"/{activations}"
    assert set(kinds_of(small).values()) == {kind + bits}
    assert small.isa == wide.isa
    assert small.numerics == ("fused" if kind == "float16" else "exact")
    assert small.metadata["producer"] == "test"
    assert small.metadata["source"] == {"framework": "none"}
    assert small.metadata["quantization"]["kind"] == kind
    assert small.metadata["quantization"]["wider"] == {}
    assert small.selftest().exact
    assert bytes(wide.quantize(kind, activations=activations)) == bytes(small)
    assert fileformat.write(fileformat.read(bytes(small))) == bytes(small)
    bounds = {"float16": 2e-3, "int8/16": 2e-2, "int8/8": 4e-2, "int4/16": 0.4, "int4/8": 0.4}
    error = difference(outputs_of(small, recording), outputs_of(wide, recording))
    assert 0 < error < bounds[kind + bits]
    assert small.nbytes < wide.nbytes * {"float16": 0.6, "int8": 0.4, "int4": 0.3}[kind]
    assert bytes(pickle.loads(pickle.dumps(small))) == bytes(small)


def test_calibration_makes_it_better(wide: grucore.Model, recording: np.ndarray) -> None:
    expected = outputs_of(wide, recording[1:])
    for kind in ("int8", "int4"):
        errors = [
            np.sqrt(np.mean((outputs_of(small, recording[1:])[0] - expected[0]) ** 2))
            for small in (wide.quantize(kind), wide.quantize(kind, calibration=recording[0]))
        ]
        assert errors[1] < 0.7 * errors[0]
        small = wide.quantize(kind, calibration=recording)
        assert small.metadata["quantization"]["calibration_frames"] == 1200
        assert "compensated" in small.metadata["quantization"]["scheme"]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_every_layer_kind(kind: str) -> None:
    for seed in range(8):
        graph = make(kind, seed)
        rng = np.random.default_rng(seed)
        length = max(frames_for(graph, rng), 80)
        inputs = inputs_for(graph, rng, 2, length)
        x = inputs if len(inputs) > 1 else inputs[0]
        model = loaded(graph)
        for wanted in KINDS:
            small = model.quantize(wanted, calibration=x)
            assert small.selftest().exact
            quantized = fileformat.read(bytes(small))
            assert quantized.parameter_count == graph.parameter_count
            assert parameter_bytes(quantized) <= parameter_bytes(graph) + 16 * graph.parameter_count
            if wanted == "float16":
                scale = max(1.0, max(float(np.abs(y).max(initial=0)) for y in outputs_of(model, x)))
                found = difference(outputs_of(small, x), outputs_of(model, x))
                assert found < 0.05 * scale, seed


@pytest.mark.parametrize("cell", list(Cell))
@pytest.mark.parametrize("masked", [None, *MaskedOutput])
@pytest.mark.parametrize("direction", list(Direction))
def test_calibration_sees_what_a_gru_multiplies(
    cell: Cell, masked: MaskedOutput | None, direction: Direction
) -> None:
    """Rounded by the inputs of each product, states among them: better than by none."""
    rng = np.random.default_rng(int(cell) + 2 * int(direction))
    size = 32
    chain = Chain(Value("x", size))
    reads = [chain.at]
    if masked is not None:
        reads.append(chain.add(Mask, bits=float32_bits(0.0)))
    chain.add(
        Gru,
        *reads,
        weight_ih=uniform(rng, 3 * size, size),
        weight_hh=uniform(rng, 3 * size, size),
        bias=uniform(rng, (4 if cell is Cell.RESET_AFTER else 3) * size),
        cell=cell,
        direction=direction,
        masked_output=masked or MaskedOutput.REPEAT,
        initial_state=rng.uniform(-1, 1, size).astype(np.float32),
    )
    model = loaded(chain.graph())
    x = (rng.normal(size=(2, 900, 4)) @ rng.normal(size=(4, size)) + 1).astype(np.float32)
    if masked is not None:
        x[rng.random((2, 900)) < 0.3] = 0
    expected = outputs_of(model, x[1])[0]
    errors = [
        np.sqrt(np.mean((outputs_of(small, x[1])[0] - expected) ** 2))
        for small in (model.quantize("int4"), model.quantize("int4", calibration=x[0]))
    ]
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("groups", [1, 2])
def test_calibration_sees_the_windows_of_a_convolution(groups: int) -> None:
    rng = np.random.default_rng(groups)
    chain = Chain(Value("x", 16))
    weight = uniform(rng, 12, 3, 16 // groups)
    chain.add(
        Conv1d,
        weight=weight,
        bias=uniform(rng, 12),
        groups=groups,
        dilation=2,
        stride=3,
        before=1,
    )
    model = loaded(chain.graph())
    sources = np.stack([rng.normal(size=(2, 1500, 4))[:, i : i + 1490] for i in range(9)]).sum(0)
    x = (sources @ rng.normal(size=(4, 16)) + 1).astype(np.float32)
    expected = outputs_of(model, x[1])[0]
    errors = [
        np.sqrt(np.mean((outputs_of(small, x[1])[0] - expected) ** 2))
        for small in (model.quantize("int4"), model.quantize("int4", calibration=x[0]))
    ]
    assert errors[1] < 0.6 * errors[0]


def test_max_error_holds(wide: grucore.Model, recording: np.ndarray) -> None:
    expected = outputs_of(wide, recording)
    sizes = []
    for bound in (10.0, 0.1, 0.01, 1e-3, 1e-5, 0):
        small = wide.quantize("int4", calibration=recording, max_error=bound)
        entry = small.metadata["quantization"]
        error = difference(outputs_of(small, recording), expected)
        assert error <= bound
        assert entry["max_error"] == bound
        assert entry["largest_error"] == pytest.approx(error, abs=1e-12)
        assert entry["measured_on"] == "the calibration data"
        wider = {name for name, kind in kinds_of(small).items() if kind != "int4/16"}
        assert set(entry["wider"]) == wider
        for name, why in entry["wider"].items():
            assert why.startswith(f"{kinds_of(small)[name]}: alone, ")
        sizes.append(small.nbytes)
    assert sizes == sorted(sizes)
    assert set(kinds_of(small).values()) == {"float32"}


def test_max_error_on_generated_signals(wide: grucore.Model) -> None:
    small = wide.quantize("int8", activations=8, max_error=0.01)
    assert small.metadata["quantization"]["measured_on"] == "generated signals"
    largest = 0.0
    for signal in proof.sequences(fileformat.read(bytes(wide))):
        largest = max(largest, difference(list(run(small, signal)), list(run(wide, signal))))
    assert largest <= 0.01
    assert small.metadata["quantization"]["largest_error"] == pytest.approx(largest, abs=1e-12)
    assert set(kinds_of(small).values()) <= {"int8/8", "int8/16", "float16"}


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_small_models_with_a_bound(name: str) -> None:
    """Several inputs, several outputs, outputs per sequence, both directions."""
    model = loaded(GRAPHS[name]())
    small = model.quantize("int4", max_error=0.02)
    assert small.selftest().exact
    assert small.metadata["quantization"]["largest_error"] <= 0.02


def test_layers_that_are_not_what_was_asked_for() -> None:
    rng = np.random.default_rng(5)
    chain = Chain(Value("ids", 1, Dtype.INT32))
    chain.add(Embedding, table=uniform(rng, 9, 12))
    chain.add(Conv1d, weight=uniform(rng, 12, 3, 1), bias=uniform(rng, 12), groups=12)
    chain.add(Conv1d, weight=uniform(rng, 12, 3, 3), bias=uniform(rng, 12), groups=4)
    chain.add(Dense, weight=uniform(rng, 40, 12) * np.float32(3e5), bias=uniform(rng, 40))
    scale, shift = np.ones((2, 40), np.float32)
    chain.add(LayerNorm, scale=scale, shift=shift, epsilon=1e-3)
    chain.add(Take)
    chain.add(Dense, weight=uniform(rng, 3, 40), bias=uniform(rng, 3))
    model = loaded(chain.graph())
    table, depthwise, grouped, large, last = (
        f"{name}.{field}"
        for name, field in (
            ("embedding.0", "table"),
            ("conv1d.1", "weight"),
            ("conv1d.2", "weight"),
            ("dense.3", "weight"),
            ("dense.6", "weight"),
        )
    )
    int8 = model.quantize("int8")
    expected = {table: "int8", depthwise: "float16", grouped: "int8/16", large: "int8/16"}
    assert kinds_of(int8) == {**expected, last: "int8/16"}
    assert int8.metadata["quantization"]["wider"][depthwise].startswith("float16: int8 would take")
    int4 = model.quantize("int4", activations=8)
    assert kinds_of(int4)[table] == "int8"
    assert kinds_of(int4)[depthwise] == "float16"
    assert kinds_of(int4)[last] == "int4/8"
    assert int4.metadata["quantization"]["wider"][table] == "int8: a table has no int4"
    half = model.quantize("float16")
    assert kinds_of(half)[large] == "float32"
    assert "beyond float16" in half.metadata["quantization"]["wider"][large]
    assert kinds_of(half)[table] == "float16"
    for small in (int8, int4, half):
        node = fileformat.read(bytes(small)).nodes[4]
        assert isinstance(node, LayerNorm)
        assert node.scale.dtype == np.float32


def test_weights_beyond_the_scales_of_int4() -> None:
    rng = np.random.default_rng(5)
    chain = Chain(Value("x", 4))
    chain.add(Dense, weight=uniform(rng, 40, 4) * np.float32(1e7), bias=uniform(rng, 40))
    small = loaded(chain.graph()).quantize("int4")
    assert kinds_of(small) == {"dense.0.weight": "int8/16"}
    assert "beyond the scales of int4" in small.metadata["quantization"]["wider"]["dense.0.weight"]


def test_weights_that_are_zero(rng: np.random.Generator) -> None:
    graph = frames_graph(features=6, hidden_size=9)
    gru, linear = graph.nodes
    assert isinstance(gru, Gru)
    blank = replace(gru, weight_ih=np.zeros((27, 6), np.float32))
    model = loaded(replace(graph, nodes=(blank, linear)))
    x = frames(rng, 200, 6)
    for kind in KINDS:
        small = model.quantize(kind, calibration=x)
        node = fileformat.read(bytes(small)).nodes[0]
        assert isinstance(node, Gru)
        assert not as_float64(node.weight_ih).any()
        if isinstance(node.weight_ih, Quantized):
            assert not node.weight_ih.scale.any()


def test_selftests_of_mixed_models_on_every_table() -> None:
    """A float layer that rounds in another way may move what is rounded after it by a step."""
    for seed in range(12):
        graph = frames_graph(features=20, hidden_size=48, out=8, layers=3, seed=seed)
        candidates = Candidates(graph, None)
        wanted = (FLOAT16, Choice(Dtype.INT8, 16 if seed % 2 else 8))
        choices = {part: wanted[place % 2] for place, part in enumerate(candidates.parts)}
        data = proof.finish(candidates.graph(choices)).data
        for isa in grucore.supported_isas():
            there = grucore.load(data, isa=isa)
            assert there.selftest().exact or there.numerics == "muladd"


def test_a_model_without_weights() -> None:
    small = loaded(make("softmax", 0)).quantize("int8", max_error=0.0)
    assert small.selftest().exact


def test_what_is_refused(wide: grucore.Model, recording: np.ndarray) -> None:
    with pytest.raises(ValueError, match="kind='int5': expected one of 'int8', 'float16', 'int4'"):
        wide.quantize("int5")
    with pytest.raises(ValueError, match=r"activations=4: expected 8 or 16"):
        wide.quantize("int8", activations=4)
    for bound in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="expected a number of at least 0"):
            wide.quantize("int8", max_error=bound)
    for kind in KINDS:
        small = wide.quantize("float16")
        with pytest.raises(ValueError, match=r"quantized already, gru\.l0\.weight_ih is float16"):
            small.quantize(kind)
    with pytest.raises(ValueError, match="has shape"):
        wide.quantize("int8", calibration=recording[:, :, :5])
    with pytest.raises(ValueError, match="no frames"):
        wide.quantize("int8", calibration=recording[:, :0])
    spoilt = recording.copy()
    spoilt[1, 7, 3] = np.nan
    with pytest.raises(grucore.NonFiniteError):
        wide.quantize("int8", calibration=spoilt)


def test_calibration_of_several_inputs(rng: np.random.Generator) -> None:
    model = loaded(GRAPHS["ports"]())
    audio, motion = frames(rng, 300, 3), frames(rng, 300, 2)
    files = [
        bytes(model.quantize("int8", calibration=given))
        for given in ((audio, motion), {"audio": audio, "motion": motion})
    ]
    assert files[0] == files[1]
    with pytest.raises(ValueError, match="missing input 'motion'"):
        model.quantize("int8", calibration={"audio": audio})


def test_short_calibration_is_as_none(wide: grucore.Model, recording: np.ndarray) -> None:
    """A few frames say nothing of what goes together."""
    short, none = (
        fileformat.read(bytes(wide.quantize("int8", calibration=given)))
        for given in (recording[0, :20], None)
    )
    for one, other in zip(short.nodes, none.nodes, strict=True):
        found = [[t.tobytes() for t in node.tensors().values()] for node in (one, other)]
        assert found[0] == found[1]


def test_progress_is_told(wide: grucore.Model) -> None:
    shares: list[float] = []
    quantize(fileformat.read(bytes(wide)), "int8", progress=shares.append)
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(1)
