# SPDX-License-Identifier: Apache-2.0
"""A GRU written from the textbook in float64, on its own: it shares no code with grucore."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["textbook_gru"]

Matrix = Sequence[Sequence[float]]


def _dot(row: Sequence[float], x: Sequence[float]) -> float:
    return math.fsum(float(a) * float(b) for a, b in zip(row, x, strict=True))


def _sigmoid(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))


def textbook_gru(
    frames: Matrix,
    weight_ih: Matrix,
    weight_hh: Matrix,
    bias_ih: Sequence[float],
    bias_hh: Sequence[float],
    *,
    reset_after: bool = True,
    h: Sequence[float] | None = None,
) -> list[list[float]]:
    """The state after each frame; rows of the weights are r, then z, then n, as in PyTorch."""
    size = len(weight_hh[0])
    bias_ih, bias_hh = [float(b) for b in bias_ih], [float(b) for b in bias_hh]
    h = [0.0] * size if h is None else [float(value) for value in h]
    states = []
    for x in frames:
        r = [
            _sigmoid(_dot(weight_ih[i], x) + bias_ih[i] + _dot(weight_hh[i], h) + bias_hh[i])
            for i in range(size)
        ]
        z = [
            _sigmoid(_dot(weight_ih[i], x) + bias_ih[i] + _dot(weight_hh[i], h) + bias_hh[i])
            for i in range(size, 2 * size)
        ]
        reset = [r[i] * h[i] for i in range(size)]
        n = []
        for i in range(size):
            row = 2 * size + i
            inner = _dot(weight_ih[row], x) + bias_ih[row]
            if reset_after:
                inner += r[i] * (_dot(weight_hh[row], h) + bias_hh[row])
            else:
                inner += _dot(weight_hh[row], reset) + bias_hh[row]
            n.append(math.tanh(inner))
        h = [(1.0 - z[i]) * n[i] + z[i] * h[i] for i in range(size)]
        states.append(list(h))
    return states
