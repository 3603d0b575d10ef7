# SPDX-License-Identifier: Apache-2.0
"""The layouts against the formulas of docs/format.md, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from grucore.fileformat.layout import stored_size
from grucore.fileformat.packing import pack, pack_panel16, packed_size, unpack, unpack_panel16
from grucore.ir import Dtype, Layout, Role, Slot

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


@pytest.mark.parametrize("groups", [1, 2, 3, 8])
@pytest.mark.parametrize("rows", [1, 4, 5, 16, 19, 35])
def test_groups_are_matrices_one_after_the_other(groups: int, rows: int) -> None:
    matrix = np.arange(1, groups * rows * 3 + 1, dtype=np.float32).reshape(groups * rows, 3)
    slot = Slot.panels(Role.WEIGHT, matrix.shape, 1, groups)
    packed = pack(slot, matrix)
    expected: list[float] = []
    for group in range(groups):
        expected += textbook_pack(matrix[group * rows : (group + 1) * rows], 1)
    assert packed.tolist() == expected
    assert stored_size(slot) == packed.size
    logical, dirty = unpack(slot, packed)
    assert dirty is None
    assert np.array_equal(logical, matrix)
    for index in np.flatnonzero(packed == 0):
        spoilt = packed.copy()
        spoilt[index] = -0.0
        assert unpack(slot, spoilt)[1] == index


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 40])
def test_rows_are_padded_to_sixteen(columns: int) -> None:
    table = np.arange(1, 3 * columns + 1, dtype=np.float32).reshape(3, columns)
    slot = Slot(Role.TABLE, table.shape, Layout.ROWS)
    packed = pack(slot, table)
    width = 16 * ((columns + 15) // 16)
    assert packed.size == stored_size(slot) == 3 * width
    for row in range(3):
        assert packed[row * width : row * width + columns].tolist() == table[row].tolist()
        assert not packed[row * width + columns : (row + 1) * width].any()
    logical, dirty = unpack(slot, packed)
    assert dirty is None
    assert np.array_equal(logical, table)
    for index in np.flatnonzero(packed == 0):
        spoilt = packed.copy()
        spoilt[index] = -0.0
        assert unpack(slot, spoilt)[1] == index


def test_rowmajor_is_as_it_is() -> None:
    index = np.array([3, 1, 2], np.int32)
    slot = Slot(Role.INDEX, (3,), dtype=Dtype.INT32)
    assert stored_size(slot) == 3
    assert pack(slot, index).tolist() == [3, 1, 2]
    assert unpack(slot, index)[0].tolist() == [3, 1, 2]
