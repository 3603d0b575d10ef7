# SPDX-License-Identifier: Apache-2.0
"""The engine of axes alone: where features stand after each operation, against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grucore.converters.build.folding import fold
from grucore.converters.trace.axes import BATCH, FEATURES, TIME, Axes, Data, Tracked, Unfit, arrange
from grucore.converters.trace.ops.joins import joined, padded, stacked
from grucore.converters.trace.ops.pieces import ENDLESS, selected, sliced, split
from grucore.converters.trace.ops.pools import windowed
from grucore.converters.trace.ops.reduce import accumulated, einsum, reduced
from grucore.converters.trace.ops.views import expanded, tiled, transposed, unsqueezed, viewed
from grucore.converters.trace.ops.windows import Window
from grucore.converters.trace.sizes import Unit
from grucore.converters.trace.trace import Trace
from grucore.graph.layers import Pooling
from grucore.reference.run import run

FRAMES, ROWS, COLUMNS = 7, 2, 3
X = np.random.default_rng(0).standard_normal((FRAMES, ROWS * COLUMNS))
WHOLE = X.reshape(1, FRAMES, ROWS, COLUMNS)  # (batch, time, features, features)
MATRIX = np.random.default_rng(1).standard_normal((COLUMNS, 4))
ALL: Axes = (BATCH, TIME, FEATURES, FEATURES)


def start() -> tuple[Trace, Data]:
    trace = Trace()
    value = trace.builder.input("x", ROWS * COLUMNS)
    return trace, Data(ALL, arrange((1, 1, ROWS, COLUMNS)), value)


def numbers(trace: Trace, x: Tracked) -> np.ndarray:
    """The result in the shape of its features, after (time,) where it has time."""
    value = trace.ordered(x)
    fold(trace.builder, [value.name])
    graph = trace.builder.finish({"y": value}, {})
    (y,), _ = run(graph, X)
    shape = [size for axis, size in zip(x.axes, x.index.shape, strict=True) if axis == FEATURES]
    return np.asarray(y).reshape(-1, *shape) if x.has(TIME) else np.asarray(y).reshape(shape)


Case = tuple[Callable[[Trace, Data], Tracked], Callable[[np.ndarray], np.ndarray]]
# The engine's result of the tensor, and numpy's of (time, features, features).
CASES: dict[str, Case] = {
    "transposed": (lambda t, x: transposed(x, (0, 1, 3, 2)), lambda w: w.swapaxes(1, 2)),
    "time last": (lambda t, x: transposed(x, (0, 3, 2, 1)), lambda w: w.swapaxes(1, 2)),
    "flat": (
        lambda t, x: viewed(t, x, [Unit(("batch",)), Unit(("time",)), -1]),
        lambda w: w.reshape(FRAMES, -1),
    ),
    "a row": (lambda t, x: selected(t, x, 2, -1), lambda w: w[:, -1]),
    "the last frame": (lambda t, x: selected(t, x, 1, -1), lambda w: w[-1]),
    "every other column": (lambda t, x: sliced(t, x, 3, 0, ENDLESS, 2), lambda w: w[:, :, ::2]),
    "frames cut off": (lambda t, x: sliced(t, x, 1, 2, -1), lambda w: w[2:-1]),
    "parts": (
        lambda t, x: joined(t, split(t, x, 3, [1, 2])[::-1], 3),
        lambda w: np.concatenate([w[:, :, 1:], w[:, :, :1]], 2),
    ),
    "stacked": (lambda t, x: stacked(t, [x, x], 2), lambda w: np.stack([w, w], 1)),
    "repeated": (
        lambda t, x: expanded(t, unsqueezed(x, [2]), [-1, -1, 4, -1, -1]),
        lambda w: np.repeat(w[:, None], 4, 1),
    ),
    "tiled": (lambda t, x: tiled(t, x, [1, 1, 1, 2]), lambda w: np.tile(w, (1, 1, 2))),
    "more features": (
        lambda t, x: padded(t, x, 3, 1, 2, 5.0),
        lambda w: np.pad(w, ((0, 0), (0, 0), (1, 2)), constant_values=5.0),
    ),
    "mean of rows": (lambda t, x: reduced(t, x, [2], "mean", keep=False), lambda w: w.mean(1)),
    "largest of time": (lambda t, x: reduced(t, x, [1], "max", keep=False), lambda w: w.max(0)),
    "sum of time and rows": (
        lambda t, x: reduced(t, x, [1, 2], "sum", keep=False),
        lambda w: w.sum((0, 1)),
    ),
    "sums up to": (lambda t, x: accumulated(t, x, 1), lambda w: w.cumsum(0)),
    "sums of columns": (lambda t, x: accumulated(t, x, 3), lambda w: w.cumsum(2)),
    "einsum": (
        lambda t, x: einsum(t, "btij,jk->btki", [x, MATRIX]),
        lambda w: np.einsum("tij,jk->tki", w, MATRIX),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_as_in_numpy(name: str) -> None:
    make, wanted = CASES[name]
    trace, x = start()
    found, expected = numbers(trace, make(trace, x)), wanted(WHOLE[0])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-6


@pytest.mark.parametrize("pooling", list(Pooling))
@pytest.mark.parametrize(
    ("taps", "stride", "before", "after"), [(3, 1, 1, 1), (3, 2, 1, 1), (2, 2, 0, 1), (4, 1, 3, 0)]
)
def test_windows_over_the_ends(
    pooling: Pooling, taps: int, stride: int, before: int, after: int
) -> None:
    trace, x = start()
    flat = viewed(trace, x, [Unit(("batch",)), Unit(("time",)), -1])
    turned = trace.data(transposed(flat, (0, 2, 1)))
    window = Window((taps,), (stride,), (1,), (before,), (after,))
    found = numbers(trace, windowed(trace, turned, window, pooling))
    starts = range(-before, FRAMES + after - taps + 1, stride)
    parts = [X[max(start, 0) : start + taps] for start in starts]
    wanted = [part.max(0) if pooling is Pooling.MAXIMUM else part.mean(0) for part in parts]
    assert np.abs(found - np.array(wanted)).max() < 1e-6


REFUSED: dict[str, tuple[Callable[[Trace, Data], Any], str]] = {
    "a frame inside": (lambda t, x: selected(t, x, 1, 3), "expected the first or last frame"),
    "the first frames": (lambda t, x: sliced(t, x, 1, 0, 5), "slices axis 1 from 0 to 5"),
    "frames as features": (
        lambda t, x: viewed(t, x, [Unit(("batch",)), 3, -1]),
        r"turns \(batch, time, 2 features, 3 features\)",
    ),
    "over the batch": (
        lambda t, x: reduced(t, x, [0], "sum", keep=True),
        "expected time or features",
    ),
    "too many features": (lambda t, x: joined(t, [x] * (1 << 18), 3), "joins 1572864 features"),
    "frames of ones": (lambda t, x: padded(t, x, 1, 1, 0, 1.0), "expected zeros"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_speak_of_the_axes(name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(Unfit, match=reason):
        make(*start())
