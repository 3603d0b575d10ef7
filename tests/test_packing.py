# SPDX-License-Identifier: Apache-2.0
"""The panel16 layout against the formula of docs/format.md, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from grucore.fileformat.packing import pack_panel16, packed_size, unpack_panel16

ROWS = (1, 3, 4, 5, 8, 12, 13, 15, 16, 17, 20, 31, 32, 33, 64)


def textbook_pack(matrix: np.ndarray, gates: int) -> list[float]:
    """The formula, one element at a time."""
    rows, columns = matrix.shape[0] // gates, matrix.shape[1]
    last = rows % 16
    padded = rows - last + (4 * ((last + 3) // 4))
    packed = [0.0] * (gates * padded * columns)
    for g in range(gates):
        for row in range(rows):
            for k in range(columns):
                panel = row // 16
                before = 16 * panel
                width = min(16, padded - before)
                index = gates * before * columns + (k * gates + g) * width + (row - before)
                packed[index] = float(matrix[g * rows + row, k])
    return packed


@pytest.mark.parametrize("gates", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", ROWS)
def test_every_element_stands_where_the_formula_says(gates: int, rows: int) -> None:
    for columns in (1, 2, 7):
        matrix = np.arange(1, gates * rows * columns + 1, dtype=np.float32)
        matrix = matrix.reshape(gates * rows, columns)
        packed = pack_panel16(matrix, gates)
        assert packed.dtype == np.float32
        assert packed.shape == (packed_size(gates, rows, columns),)
        assert packed.tolist() == textbook_pack(matrix, gates)
        logical, dirty = unpack_panel16(packed, gates, rows, columns)
        assert dirty is None
        assert np.array_equal(logical, matrix)


def test_padding_that_is_not_zero_is_found() -> None:
    matrix = np.ones((3 * 5, 2), np.float32)
    clean = pack_panel16(matrix, 3)
    for index in np.flatnonzero(clean == 0):
        packed = clean.copy()
        packed[index] = -0.0  # equal to zero, but another file
        assert unpack_panel16(packed, 3, 5, 2)[1] == index
