# SPDX-License-Identifier: Apache-2.0
"""Quantized GRUs as docs/numerics.md defines them, in numpy's float64, and none of grucore's code.

Weights are rounded the plain way: to the nearest multiple of the scale that just reaches the
largest weight. Only integers, scales and biases are what a file would hold; everything between is
float64, so what this errs by is the scheme's own error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["ROUNDINGS", "Cell", "rounded_int4", "rounded_int8"]


def rounded_int8(matrix: np.ndarray) -> np.ndarray:
    """The numbers that int8 weights stand for: a scale for each row, (rows, k) -> (rows, k)."""
    found = np.zeros(matrix.shape)
    for row, weights in enumerate(matrix.astype(np.float64)):
        scale = np.float64(np.float32(np.abs(weights).max() / 127))
        if scale > 0:
            found[row] = np.clip(np.rint(weights / scale), -127, 127) * scale
    return found


def rounded_int4(matrix: np.ndarray) -> np.ndarray:
    """Those of int4 weights: a scale of either sign for each row and 32 inputs, in float16."""
    found = np.zeros(matrix.shape)
    for row, weights in enumerate(matrix.astype(np.float64)):
        for first in range(0, len(weights), 32):
            group = weights[first : first + 32]
            largest = group[np.abs(group).argmax()]
            scale = np.float64(np.float16(largest / -8))
            if scale != 0:
                found[row, first : first + 32] = np.clip(np.rint(group / scale), -8, 7) * scale
    return found


def _float16(matrix: np.ndarray) -> np.ndarray:
    return matrix.astype(np.float16).astype(np.float64)


ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "float16": _float16,
    "int8": rounded_int8,
    "int4": rounded_int4,
}


def _activations(x: np.ndarray, bits: int, least: float) -> np.ndarray:
    """The multiples of the row's own scale that are nearest; x itself for 0 bits."""
    if not bits:
        return x
    levels = {8: 127, 16: 16383}[bits]
    largest = max(least, float(np.abs(x).max(initial=0.0)))
    if largest == 0:
        return x
    return np.clip(np.rint(x * (levels / largest)), -levels, levels) * (largest / levels)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class Cell:
    """A recurrent layer with gates r, z, n, sigmoid and tanh, from a state of zeros.

    ``weight_ih`` (3 H, I), ``weight_hh`` (3 H, H), float64; ``bias`` (4 H,), or (3 H,) where r
    enters before the recurrent product of n. ``bits``: of the activations, 0 for none.
    """

    def __init__(
        self, weight_ih: np.ndarray, weight_hh: np.ndarray, bias: np.ndarray, bits: int = 0
    ) -> None:
        self.weight_ih, self.weight_hh = weight_ih, weight_hh
        self.bias, self.bits = bias.astype(np.float64), bits

    def run(self, x: np.ndarray) -> np.ndarray:
        """(T, I) -> (T, H)."""
        size = self.weight_hh.shape[1]
        states = np.zeros((len(x), size))
        h = np.zeros(size)
        for t, frame in enumerate(x.astype(np.float64)):
            from_x = self.weight_ih @ _activations(frame, self.bits, 0.0) + self.bias[: 3 * size]
            from_h = self.weight_hh[: 2 * size] @ _activations(h, self.bits, 1.0)
            r = _sigmoid(from_x[:size] + from_h[:size])
            z = _sigmoid(from_x[size : 2 * size] + from_h[size:])
            recurrent = self.weight_hh[2 * size :]
            if len(self.bias) == 4 * size:
                product = recurrent @ _activations(h, self.bits, 1.0) + self.bias[3 * size :]
                n = np.tanh(from_x[2 * size :] + r * product)
            else:
                n = np.tanh(from_x[2 * size :] + recurrent @ _activations(r * h, self.bits, 1.0))
            h = z * h + (1 - z) * n
            states[t] = h
        return states
