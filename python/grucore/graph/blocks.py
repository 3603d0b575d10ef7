# SPDX-License-Identifier: Apache-2.0
"""Weights of which only some blocks of 8 rows and 4 inputs are not 0."""

from __future__ import annotations

import numpy as np

from grucore.graph.tensors import Array

__all__ = ["BLOCK_INPUTS", "BLOCK_ROWS", "MOST_INPUTS", "blocks_of", "filled_blocks", "fit_blocks"]

BLOCK_ROWS, BLOCK_INPUTS = 8, 4
MOST_INPUTS = BLOCK_INPUTS << 16  # the place of a block takes two bytes


def fit_blocks(shape: tuple[int, ...], gates: int = 1) -> bool:
    """True if a matrix (gates * rows, k) comes in whole blocks."""
    return (
        len(shape) == 2
        and shape[0] % (gates * BLOCK_ROWS) == 0
        and shape[1] % BLOCK_INPUTS == 0
        and shape[1] <= MOST_INPUTS
    )


def blocks_of(matrix: Array) -> Array:
    """(rows, k) as (rows / 8, k / 4, 8, 4)."""
    rows, k = matrix.shape
    split = matrix.reshape(rows // BLOCK_ROWS, BLOCK_ROWS, k // BLOCK_INPUTS, BLOCK_INPUTS)
    return split.transpose(0, 2, 1, 3)


def filled_blocks(matrix: Array) -> Array:
    """bool (rows / 8, k / 4): blocks with a number that is not 0."""
    return np.asarray((blocks_of(matrix) != 0).any(axis=(2, 3)))
