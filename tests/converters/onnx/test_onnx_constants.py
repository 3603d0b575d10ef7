# SPDX-License-Identifier: Apache-2.0
"""Values that no input reaches are computed while reading; proofs in float64 beside float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.converters.onnx.convert import read
from grucore.converters.onnx.float64 import evaluator
from grucore.converters.onnx.witness import evidence_of
from grucore.proof.signals import LENGTHS
from models.onnx_models import Maker, answer, gru, random_case
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")

FEATURES, HIDDEN = 3, 4
Constant = Callable[[Maker], str]


def model(weight: Constant, *, head: str = "", shift: float = 0.0) -> Any:
    """A GRU over (time, batch, features), a product with a computed matrix, and a head."""
    made = Maker(np.random.default_rng(0))
    x = made.input("x", ["time", "batch", FEATURES])
    y = gru(made, x, FEATURES, HIDDEN, linear_before_reset=1)[0]
    y = made.add("MatMul", made.add("Squeeze", y, made.axes(1)), weight(made))
    y = made.add("Add", y, made.constant(np.float32(shift)))
    return made.model(made.add(head, y) if head else y)


def normalized(made: Maker) -> str:
    v = made.weight(HIDDEN, 2)
    norm = made.add("ReduceL2", v, made.axes(0), keepdims=1)
    return made.add("Mul", made.add("Div", v, norm), made.weight(1, 2))


def lower(made: Maker) -> str:
    return made.add("Trilu", made.weight(HIDDEN, HIDDEN), upper=0)


def symmetric(made: Maker) -> str:
    a = made.weight(HIDDEN, HIDDEN)
    return made.add("Einsum", a, a, equation="ij,kj->ik")


def rounded(made: Maker) -> str:
    scaled = made.add("Mul", made.weight(HIDDEN, 2), made.constant(np.float32(127)))
    return made.add("Div", made.add("Round", scaled), made.constant(np.float32(127)))


def chosen(made: Maker) -> str:
    a = made.weight(HIDDEN, 2)
    large = made.add("Greater", made.add("Abs", a), made.constant(np.float32(0.2)))
    return made.add("Where", large, a, made.add("Softmax", a, axis=0))


@pytest.mark.parametrize("weight", [normalized, lower, symmetric, rounded, chosen])
def test_weights_that_operators_compute(weight: Constant) -> None:
    proto = model(weight)
    x = np.random.default_rng(1).standard_normal((9, 2, FEATURES)).astype(np.float32)
    wanted = answer(proto, {"x": x})[0]
    assert np.abs(grucore.from_onnx(proto).run(x, time_first=True) - wanted).max() < 1e-5


def doubled(made: Maker) -> str:
    name = made.weight(HIDDEN, 2)
    for _ in range(32):
        name = made.add("Concat", name, name, axis=0)
    return name


def tiled(made: Maker) -> str:
    return made.add("Tile", made.weight(HIDDEN, 2), made.constant(np.array([10**5, 10**5])))


def multiplied(made: Maker) -> str:
    name = made.add("Expand", made.weight(1, 1), made.constant(np.array([2000, 2000])))
    for _ in range(8):
        name = made.add("MatMul", name, name)
    return name


@pytest.mark.parametrize("weight", [doubled, tiled, multiplied])
def test_constants_that_a_small_file_makes_large_are_refused(weight: Constant) -> None:
    with pytest.raises(grucore.ConversionError, match=r"at most .* for a file of this size"):
        grucore.from_onnx(model(weight))


@pytest.mark.parametrize("shift", [-6.0, -12.0])
def test_probabilities_far_below_one_are_proved_in_float64(shift: float) -> None:
    proto = model(normalized, head="Sigmoid", shift=shift)
    found = grucore.from_onnx(proto)  # onnxruntime alone is off by more than any bound
    x = np.random.default_rng(1).standard_normal((50, FEATURES)).astype(np.float32)
    exact = evidence_of(read(proto), LENGTHS).exact
    assert exact is not None
    (wanted,) = exact(x)
    assert np.abs(found.run(x) - wanted).max() < 2e-6 * np.abs(wanted).max()


def test_the_evaluator_knows_every_attribute_of_recurrent_operators() -> None:
    known = set()
    for seed in range(60):
        reading = read(random_case(seed).model)
        found = evidence_of(reading, LENGTHS)
        known |= {node.op for node in reading.source.nodes}
        by_onnxruntime, exact = found.witness, found.exact
        assert exact is not None
        inputs = [reading.graph.value(name) for name in reading.graph.inputs]
        rng = np.random.default_rng(seed)
        xs = [
            rng.standard_normal((8, each.features)).astype(np.float32)
            if each.dtype.numpy == np.float32
            else np.zeros((8, each.features), np.int32)
            for each in inputs
        ]
        for one, other in zip(by_onnxruntime(*xs), exact(*xs), strict=True):
            assert other.dtype == np.float64
            assert np.abs(one - other).max() < 1e-5 * max(1.0, float(np.abs(other).max()))
    assert known >= {"GRU", "LSTM", "RNN"}


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_peepholes_in_float64(direction: str, rng: np.random.Generator) -> None:
    """No layer here has them, so the evaluator alone is compared."""
    onnx, onnxruntime = oracle("onnx"), oracle("onnxruntime")
    count, size, inputs, rows, frames = 2 if direction == "bidirectional" else 1, 4, 3, 2, 6
    shapes = {
        "W": (count, 4 * size, inputs),
        "R": (count, 4 * size, size),
        "B": (count, 8 * size),
        "h": (count, rows, size),
        "c": (count, rows, size),
        "P": (count, 3 * size),
    }
    arrays = {name: rng.uniform(-1, 1, shape) for name, shape in shapes.items()}
    helper = onnx.helper
    node = helper.make_node(
        "LSTM",
        ["x", "W", "R", "B", "lengths", "h", "c", "P"],
        ["y", "y_h", "y_c"],
        hidden_size=size,
        direction=direction,
        activations=["HardSigmoid", "Softsign", "Tanh"] * count,
    )

    def model(kind: type) -> Any:
        code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        constants = [
            onnx.numpy_helper.from_array(array.astype(kind), name) for name, array in arrays.items()
        ]
        lengths = onnx.numpy_helper.from_array(np.array([frames, 3], np.int32), "lengths")
        graph = helper.make_graph(
            [node],
            "peepholes",
            [helper.make_tensor_value_info("x", code, [frames, rows, inputs])],
            [helper.make_empty_tensor_value_info(name) for name in ("y", "y_h", "y_c")],
            [*constants, lengths],
        )
        opsets = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    x = rng.normal(size=(frames, rows, inputs))
    found = evaluator(model(np.float64)).run(None, {"x": x})
    data = model(np.float32).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for one, other in zip(found, session.run(None, {"x": x.astype(np.float32)}), strict=True):
        assert one.dtype == np.float64
        assert np.abs(one - other).max() < 1e-6
