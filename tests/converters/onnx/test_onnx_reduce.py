# SPDX-License-Identifier: Apache-2.0
"""Sums, means, extremes and Einsum over features and time, and what a fixed length hides."""

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

FEATURES, HIDDEN = 3, 5
Tail = Callable[[Maker, str, str], str]


def model(tail: Tail, *, time: Any = "time", batch: Any = "batch") -> Any:
    """A bidirectional GRU over (time, batch, features); the tail reads Y and Y_h."""
    made = Maker(np.random.default_rng(0))
    x = made.input("x", [time, batch, FEATURES])
    y, last = gru(made, x, FEATURES, HIDDEN, direction="bidirectional", linear_before_reset=1)
    return made.model(tail(made, y, last))


def over(op: str, axis: int, *, keepdims: int = 0, of_last: bool = False) -> Tail:
    def tail(made: Maker, y: str, last: str) -> str:
        source = last if of_last else y
        if op == "ReduceSum" or made.opset >= 18:
            return made.add(op, source, made.axes(axis), keepdims=keepdims)
        return made.add(op, source, axes=[axis], keepdims=keepdims)

    return tail


def ends(made: Maker, y: str, last: str) -> str:
    """The first and the last frame, side by side."""
    found = [made.add("Gather", y, made.constant(np.array(place)), axis=0) for place in (0, -1)]
    joined = made.add("Concat", *found, axis=2)
    return made.add("ReduceSum", joined, made.axes(0), keepdims=0)


def grouped(made: Maker, y: str, last: str) -> str:
    """A product of its own for each direction."""
    return made.add("Einsum", y, made.weight(2, HIDDEN, 3), equation="tdbh,dhk->tbdk")


def everything(made: Maker, y: str, last: str) -> str:
    return made.add("ReduceMean", y, made.axes(0, 1, 3), keepdims=0)


TAILS = {
    "sum of directions": over("ReduceSum", 1),
    "mean of directions": over("ReduceMean", 1),
    "largest of directions": over("ReduceMax", 1),
    "smallest of directions": over("ReduceMin", 1, keepdims=1),
    "mean of features": over("ReduceMean", 3),
    "largest of features": over("ReduceMax", 3, keepdims=1),
    "mean of final states": over("ReduceMean", 0, of_last=True),
    "smallest of time": over("ReduceMin", 0),
    "mean of all but rows": everything,
    "first and last frame": ends,
    "a product for each direction": grouped,
}


@pytest.mark.parametrize("name", TAILS)
def test_over_features_and_time(name: str) -> None:
    proto = model(TAILS[name])
    converted = grucore.from_onnx(proto)
    for frames in (1, 6, 300):
        x = np.random.default_rng(frames).standard_normal((frames, 1, FEATURES))
        x = x.astype(np.float32)
        wanted = answer(proto, {"x": x})[0]
        found = converted.run(x, time_first=True)
        assert np.abs(found.reshape(-1) - wanted.reshape(-1)).max() < 1e-5


@pytest.mark.parametrize(("op", "axis"), [("ReduceMean", 2), ("ReduceMax", 2)], ids=str)
def test_over_time_and_rows_is_refused(op: str, axis: int) -> None:
    with pytest.raises(grucore.ConversionError, match="expected time or"):
        grucore.from_onnx(model(over(op, axis)))


def cut(start: int, end: int) -> Tail:
    def tail(made: Maker, y: str, last: str) -> str:
        return made.add("Slice", y, made.axes(start), made.axes(end), made.axes(0))

    return tail


def frame(place: int) -> Tail:
    return lambda made, y, last: made.add("Gather", y, made.constant(np.array(place)), axis=0)


def times(number: float) -> Tail:
    return lambda made, y, last: made.add("Mul", y, made.constant(np.float32(number)))


@pytest.mark.parametrize(
    "tail", [cut(0, 9), cut(0, 200), cut(-9, 2**62), cut(-200, 2**62), frame(8), frame(3), times(9)]
)
def test_a_bound_on_time_is_refused_though_the_file_fixes_as_many(tail: Tail) -> None:
    with pytest.raises(grucore.ConversionError, match=r"file fixes|expected all of it"):
        grucore.from_onnx(model(tail, time=9, batch=1))


@pytest.mark.parametrize("tail", [cut(0, 2**62), cut(-1, 2**62), frame(0), frame(-1), times(0.5)])
def test_a_fixed_length_that_nothing_depends_on(tail: Tail) -> None:
    proto = model(tail, time=9, batch=1)
    x = np.random.default_rng(1).standard_normal((9, 1, FEATURES)).astype(np.float32)
    wanted = answer(proto, {"x": x})[0]
    found = grucore.from_onnx(proto).run(x, time_first=True)
    assert np.abs(found.reshape(-1) - wanted.reshape(-1)).max() < 1e-5
