# SPDX-License-Identifier: Apache-2.0
"""Reductions over the features of each row, in sixteen partial sums: softmax, layer norm."""

from __future__ import annotations

import numpy as np

from oracle.exact.functions import Floats, exp, flush, log

__all__ = ["PARTS", "joined", "layer_norm", "softmax"]

PARTS = 16


def _total(x: Floats) -> Floats:
    """The sums of the rows of x (N, features): (N, 1). Partial sums begin at +0."""
    padded = np.pad(x, ((0, 0), (0, -x.shape[1] % PARTS)))
    parts = np.zeros((len(x), PARTS), np.float32)
    for first in range(0, padded.shape[1], PARTS):
        parts = parts + padded[:, first : first + PARTS]
    return joined(parts)


def joined(parts: Floats) -> Floats:
    """Sixteen partial sums (N, 16) as one: (N, 1)."""
    half = PARTS
    while half > 1:
        half //= 2
        parts = parts[:, :half] + parts[:, half : 2 * half]
    return parts


def softmax(x: Floats, *, logarithm: bool) -> Floats:
    """Softmax of each row of x (N, features), or its logarithm."""
    shifted = x - x.max(axis=1, keepdims=True)
    terms = exp(shifted)
    total = _total(terms)
    return flush(shifted - log(total) if logarithm else terms / total)


def layer_norm(x: Floats, scale: Floats, shift: Floats, epsilon: np.float32) -> Floats:
    """Layer norm of each row of x (N, features)."""
    count = np.float32(x.shape[1])
    mean = _total(x) / count
    centred = x - mean
    variance = _total(centred * centred) / count
    normal = centred / np.sqrt(variance + epsilon)
    return flush(normal * scale + shift)
