# SPDX-License-Identifier: Apache-2.0
"""The layouts against the formulas of docs/format.md, element by element."""

from __future__ import annotations

import numpy as np
import pytest

import oracle.textbook_packing as textbook
from grucore.fileformat.layout import stored_bytes, stored_size
from grucore.fileformat.packing import byte_of, pack, unpack
from grucore.graph.tensors import Dtype, Layout, Role, Slot

ROWS = (1, 3, 4, 5, 8, 12, 13, 15, 16, 17, 20, 31, 32, 33, 64)
COLUMNS = (1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 33, 70, 1030)


def numbers(*shape: int) -> np.ndarray:
    """All different, none of them zero."""
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


def quantized(rng: np.random.Generator, dtype: Dtype, *shape: int) -> np.ndarray:
    """Any number that the dtype has, but zero, so that padding shows."""
    least, most = (-127, 127) if dtype is Dtype.INT8 else (-8, 7)
    values = rng.integers(least, most, shape).astype(np.int8)
    return np.where(values >= 0, values + 1, values).astype(np.int8)


def check_padding(slot: Slot, packed: np.ndarray, spoil: object) -> None:
    """Every zero that is there for nothing is found if it is set."""
    for place in np.flatnonzero(packed == 0):
        spoilt = packed.copy()
        spoilt[place] = spoil
        found = unpack(slot, spoilt)[1]
        assert found is not None
        assert byte_of(slot, found) == place * packed.itemsize


@pytest.mark.parametrize("dtype", [Dtype.FLOAT32, Dtype.FLOAT16])
@pytest.mark.parametrize("gates", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", ROWS)
def test_every_element_stands_where_the_formula_says(dtype: Dtype, gates: int, rows: int) -> None:
    for columns in (1, 2, 7):
        matrix = numbers(gates * rows, columns).astype(dtype.numpy)
        slot = Slot.weights(Role.WEIGHT, matrix.shape, gates)._replace(dtype=dtype)
        packed = pack(slot, matrix)
        assert packed.dtype == dtype.numpy
        assert packed.tolist() == textbook.panel16(matrix.tolist(), gates)
        assert packed.size == stored_size(slot)
        assert packed.nbytes == stored_bytes(slot)
        logical, dirty = unpack(slot, packed)
        assert dirty is None
        assert np.array_equal(logical, matrix)


@pytest.mark.parametrize("groups", [1, 2, 3, 8])
@pytest.mark.parametrize("rows", [1, 4, 5, 16, 19, 35])
def test_groups_are_matrices_one_after_the_other(groups: int, rows: int) -> None:
    matrix = numbers(groups * rows, 3)
    slot = Slot.panels(Role.WEIGHT, matrix.shape, 1, groups)
    packed = pack(slot, matrix)
    assert packed.tolist() == textbook.panel16(matrix.tolist(), 1, groups)
    assert stored_size(slot) == packed.size
    logical, dirty = unpack(slot, packed)
    assert dirty is None
    assert np.array_equal(logical, matrix)
    check_padding(slot, packed, -0.0)  # equal to zero, but another file


def textbook_bytes(slot: Slot, values: np.ndarray) -> bytes:
    packer = textbook.panel16_int8 if slot.dtype is Dtype.INT8 else textbook.panel16_int4
    rows = values.reshape(len(values), -1).tolist()
    taps = values.shape[1] if values.ndim == 3 else 1
    return packer(rows, slot.gates, slot.groups, taps)


@pytest.mark.parametrize("dtype", [Dtype.INT8, Dtype.INT4])
@pytest.mark.parametrize("gates", [1, 2, 3])
def test_quantized_weights_stand_where_the_formula_says(
    dtype: Dtype, gates: int, rng: np.random.Generator
) -> None:
    for rows in range(1, 34):
        for columns in COLUMNS if rows < 6 else rng.choice(COLUMNS[:-1], 3):
            values = quantized(rng, dtype, gates * rows, int(columns))
            slot = Slot.weights(Role.WEIGHT, values.shape, gates)._replace(dtype=dtype)
            packed = pack(slot, values)
            assert packed.tobytes() == textbook_bytes(slot, values)
            assert packed.nbytes == stored_bytes(slot)
            logical, dirty = unpack(slot, packed)
            assert dirty is None
            assert np.array_equal(logical, values)
            if packed.size < 600:
                check_padding(slot, packed, 1)


@pytest.mark.parametrize("dtype", [Dtype.INT8, Dtype.INT4])
@pytest.mark.parametrize("groups", [1, 2, 5])
@pytest.mark.parametrize("taps", [1, 2, 3])
def test_taps_of_a_convolution_fill_whole_groups(
    dtype: Dtype, groups: int, taps: int, rng: np.random.Generator
) -> None:
    for rows in (1, 4, 6, 17):
        for inner in (1, 4, 5, 8, 11, 33):
            values = quantized(rng, dtype, groups * rows, taps, inner)
            slot = Slot.panels(Role.WEIGHT, values.shape, 1, groups)._replace(dtype=dtype)
            packed = pack(slot, values)
            assert packed.tobytes() == textbook_bytes(slot, values)
            assert packed.nbytes == stored_bytes(slot)
            logical, dirty = unpack(slot, packed)
            assert dirty is None
            assert np.array_equal(logical, values)
            if packed.size < 600:
                check_padding(slot, packed, 1)


def test_either_half_of_a_byte_may_be_padding() -> None:
    """The ninth of nine inputs is the low half of a byte, whose high half is padding."""
    values = np.full((4, 9), 7, np.int8)
    slot = Slot.panels(Role.WEIGHT, values.shape)._replace(dtype=Dtype.INT4)
    packed = pack(slot, values)
    assert packed[16:20].tolist() == [7, 0, 0, 0]
    for half in (1, 0xF):
        spoilt = packed.copy()
        spoilt[20] |= half << 4
        logical, dirty = unpack(slot, spoilt)
        assert dirty is not None
        assert byte_of(slot, dirty) == 20
        assert np.array_equal(logical, values)


@pytest.mark.parametrize("dtype", [Dtype.FLOAT32, Dtype.FLOAT16, Dtype.INT8])
@pytest.mark.parametrize("columns", [1, 15, 16, 17, 40])
def test_rows_are_padded_to_sixteen(dtype: Dtype, columns: int) -> None:
    table = numbers(3, columns).astype(dtype.numpy)
    slot = Slot(Role.TABLE, table.shape, Layout.ROWS, dtype=dtype)
    packed = pack(slot, table)
    width = 16 * ((columns + 15) // 16)
    assert packed.size == stored_size(slot) == 3 * width
    assert packed.nbytes == stored_bytes(slot)
    for row in range(3):
        assert packed[row * width : row * width + columns].tolist() == table[row].tolist()
        assert not packed[row * width + columns : (row + 1) * width].any()
    logical, dirty = unpack(slot, packed)
    assert dirty is None
    assert np.array_equal(logical, table)
    check_padding(slot, packed, 1 if dtype is Dtype.INT8 else -0.0)


def test_rowmajor_is_as_it_is() -> None:
    index = np.array([3, 1, 2], np.int32)
    slot = Slot(Role.INDEX, (3,), dtype=Dtype.INT32)
    assert stored_size(slot) == 3
    assert pack(slot, index).tolist() == [3, 1, 2]
    assert unpack(slot, index)[0].tolist() == [3, 1, 2]
