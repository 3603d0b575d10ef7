# SPDX-License-Identifier: Apache-2.0
"""The layouts of docs/format.md, one number at a time: it shares no code with grucore."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["panel16", "panel16_int4", "panel16_int8"]

Matrix = Sequence[Sequence[float]]


def _place(row: int, rows: int) -> tuple[int, int]:
    """The rows before the panel of a row, and the width of that panel."""
    before = 16 * (row // 16)
    left = rows - before
    for width in (4, 8, 12):
        if left <= width:
            return before, width
    return before, 16


def _padded(rows: int) -> int:
    return (rows + 3) // 4 * 4


def _spread(row: Sequence[int], taps: int, group: int) -> list[int]:
    """The row with zeros after each tap, up to a whole group."""
    inner = len(row) // taps
    spread: list[int] = []
    for tap in range(taps):
        spread += row[tap * inner : (tap + 1) * inner]
        while len(spread) % group:
            spread.append(0)
    return spread


def _blocks(matrix: Matrix, groups: int) -> list[Matrix]:
    rows = len(matrix) // groups
    return [matrix[group * rows : (group + 1) * rows] for group in range(groups)]


def panel16(matrix: Matrix, gates: int, groups: int = 1) -> list[float]:
    """float32 and float16: the numbers."""
    packed: list[float] = []
    for block in _blocks(matrix, groups):
        rows, columns = len(block) // gates, len(block[0])
        part = [0.0] * (gates * _padded(rows) * columns)
        for g in range(gates):
            for row in range(rows):
                before, width = _place(row, rows)
                for k in range(columns):
                    index = gates * before * columns + (k * gates + g) * width + (row - before)
                    part[index] = float(block[g * rows + row][k])
        packed += part
    return packed


def panel16_int8(
    matrix: Sequence[Sequence[int]], gates: int, groups: int = 1, taps: int = 1
) -> bytes:
    """int8: the bytes. A row of a convolution is its taps one after the other."""
    packed = b""
    for block in _blocks(matrix, groups):
        rows = len(block) // gates
        spread = [_spread(row, taps, 4) for row in block]
        columns = len(spread[0])
        part = bytearray(gates * _padded(rows) * columns)
        for g in range(gates):
            for row in range(rows):
                before, width = _place(row, rows)
                for k in range(columns):
                    inner = ((k // 4 * gates + g) * width + (row - before)) * 4 + k % 4
                    part[gates * before * columns + inner] = spread[g * rows + row][k] % 256
        packed += bytes(part)
    return packed


def panel16_int4(
    matrix: Sequence[Sequence[int]], gates: int, groups: int = 1, taps: int = 1
) -> bytes:
    """int4: the bytes. A row of a convolution is its taps one after the other."""
    packed = b""
    for block in _blocks(matrix, groups):
        rows = len(block) // gates
        spread = [_spread(row, taps, 8) for row in block]
        columns = len(spread[0])
        part = bytearray(gates * _padded(rows) * columns // 2)
        for g in range(gates):
            for row in range(rows):
                before, width = _place(row, rows)
                for q in range(columns // 8):
                    eight = spread[g * rows + row][8 * q : 8 * q + 8]
                    for j in range(4):
                        inner = ((q * gates + g) * width + (row - before)) * 4 + j
                        both = eight[j] % 16 + 16 * (eight[4 + j] % 16)
                        part[gates * before * columns // 2 + inner] = both
        packed += bytes(part)
    return packed
