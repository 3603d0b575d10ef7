# SPDX-License-Identifier: Apache-2.0
"""Windows along time, norms of groups, and arithmetic of a value with itself, after a GRU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_models import Maker, answer, gru
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")

FEATURES, HIDDEN, FRAMES = 3, 6, 21
Tail = Callable[[Maker, str], str]


def model(tail: Tail, opset: int = 18) -> Any:
    """A GRU over (time, batch, features); the tail reads (time, batch, H)."""
    made = Maker(np.random.default_rng(0), opset=opset)
    x = made.input("x", ["time", "batch", FEATURES])
    y = gru(made, x, FEATURES, HIDDEN, linear_before_reset=1)[0]
    return made.model(tail(made, made.add("Squeeze", y, made.axes(1))))


def pool(op: str, **attributes: Any) -> Tail:
    def tail(made: Maker, y: str) -> str:
        turned = made.add("Transpose", y, perm=[1, 2, 0])
        return made.add("Transpose", made.add(op, turned, **attributes), perm=[2, 0, 1])

    return tail


def groups(made: Maker, y: str) -> str:
    """GroupNorm of torch over the features of each frame, as its exporter writes it."""
    rows = made.add("Reshape", y, made.axes(-1, HIDDEN))
    parts = made.add("Reshape", rows, made.axes(0, 2, -1))
    ones, zeros = made.constant(np.ones(2, np.float32)), made.constant(np.zeros(2, np.float32))
    normed = made.add("InstanceNormalization", parts, ones, zeros, epsilon=1e-5)
    back = made.add("Reshape", normed, made.add("Shape", rows))
    scaled = made.add("Add", made.add("Mul", back, made.weight(HIDDEN)), made.weight(HIDDEN))
    return made.add("Reshape", scaled, made.add("Shape", y))


def halves(made: Maker, y: str) -> str:
    """A layer norm of each half of the features."""
    parts = made.add("Reshape", y, made.constant(np.array([0, 0, 2, HIDDEN // 2])))
    normed = made.add("LayerNormalization", parts, made.weight(HIDDEN // 2), axis=-1)
    return made.add("Reshape", normed, made.constant(np.array([0, 0, HIDDEN])))


def larger(made: Maker, y: str) -> str:
    return made.add("Max", y, made.add("MatMul", y, made.weight(HIDDEN, HIDDEN)))


def split_in_two(made: Maker, y: str) -> str:
    return made.add("Reshape", y, made.constant(np.array([0, 0, 2, HIDDEN // 2])))


def later(made: Maker, y: str) -> str:
    ends = [made.constant(np.array([number])) for number in (0, -1, 0)]
    padded = made.add("Pad", y, made.constant(np.array([1, 0, 0, 0, 0, 0])))
    return made.add("Slice", padded, *ends)


TAILS: dict[str, Tail] = {
    "maximum": pool("MaxPool", kernel_shape=[3]),
    "maximum of two": pool("MaxPool", kernel_shape=[2], strides=[2]),
    "average": pool("AveragePool", kernel_shape=[4]),
    "maximum over the ends": pool("MaxPool", kernel_shape=[3], pads=[1, 1]),
    "maximum over the ends of five": pool("MaxPool", kernel_shape=[5], strides=[2], pads=[3, 1]),
    "average over the ends": pool("AveragePool", kernel_shape=[4], strides=[2], pads=[1, 2]),
    "average with zeros": pool("AveragePool", kernel_shape=[3], pads=[1, 1], count_include_pad=1),
    "group norm": groups,
    "norm of halves": halves,
    "absolute": lambda made, y: made.add("Abs", y),
    "logarithm": lambda made, y: made.add("Log", made.add("Exp", y)),
    "fifth power": lambda made, y: made.add("Pow", y, made.constant(np.float32(5))),
    "the larger of two": larger,
    "root": lambda made, y: made.add("Sqrt", made.add("Exp", y)),
    "inverse": lambda made, y: made.add("Reciprocal", made.add("Exp", y)),
    "cube root": lambda made, y: made.add(
        "Pow", made.add("Abs", y), made.constant(np.float32(1 / 3))
    ),
    "quotient": lambda made, y: made.add("Div", y, made.add("Exp", y)),
    "sums up to": lambda made, y: made.add("CumSum", y, made.constant(np.array(0))),
    "inverse of any sign": lambda made, y: made.add(
        "Reciprocal", made.add("Sub", y, made.constant(np.float32(2)))
    ),
    "softmax of groups": lambda made, y: made.add(
        "Reshape", made.add("Softmax", split_in_two(made, y), axis=2), made.axes(0, 0, HIDDEN)
    ),
    "a frame later": later,
    "celu": lambda made, y: made.add("Celu", y, alpha=0.5),
    "shrink": lambda made, y: made.add("Shrink", y, lambd=0.125, bias=0.125),
    "logarithm of a sum": lambda made, y: made.add("ReduceLogSumExp", y, made.axes(2)),
    "always the second": lambda made, y: made.add(
        "Where", made.constant(np.zeros((1, 1, HIDDEN), bool)), y, made.add("Exp", y)
    ),
    "mish": lambda made, y: made.add("Mul", y, made.add("Tanh", made.add("Softplus", y))),
}


@pytest.mark.parametrize("name", TAILS)
def test_against_onnxruntime(name: str) -> None:
    proto = model(TAILS[name])
    x = np.random.default_rng(1).standard_normal((FRAMES, 2, FEATURES)).astype(np.float32)
    wanted = answer(proto, {"x": x})[0]
    found = grucore.from_onnx(proto).run(x, time_first=True)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-5


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (pool("MaxPool", kernel_shape=[3], pads=[0, 1]), "pads are 0 and 1: expected"),
        (pool("MaxPool", kernel_shape=[3], strides=[2], ceil_mode=1), "depends on the length"),
    ],
)
def test_what_has_no_place_in_a_stream_is_refused(tail: Tail, message: str) -> None:
    with pytest.raises(grucore.ConversionError, match=message):
        grucore.from_onnx(model(tail))


def test_a_loop_is_refused_with_a_way_out() -> None:
    proto = model(TAILS["absolute"])
    proto.graph.node[-1].op_type = "Scan"
    with pytest.raises(grucore.ConversionError, match=r"Scan .* attribute body is missing"):
        grucore.from_onnx(proto)
