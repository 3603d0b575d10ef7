# SPDX-License-Identifier: Apache-2.0
"""The layout `blocks8x4` of docs/format.md: the blocks of a matrix that are not 0, and back."""

from __future__ import annotations

import numpy as np

from grucore.fileformat.layout import places_bytes
from grucore.fileformat.packing import panel_order
from grucore.fileformat.refusal import check_zero, refuse
from grucore.graph.blocks import BLOCK_INPUTS, BLOCK_ROWS, blocks_of, filled_blocks
from grucore.graph.tensors import Array, Slot

__all__ = ["pack_blocks", "unpack_blocks"]


def _strip_order(slot: Slot) -> Array:
    """The strips of 8 rows of the matrix, in the order of the file: that of `panel16`."""
    return panel_order(slot.gates, slot.shape[0] // slot.gates)[::BLOCK_ROWS] // BLOCK_ROWS


def pack_blocks(slot: Slot, matrix: Array) -> bytes:
    """The bytes of a matrix (gates * rows, k), int8."""
    order = _strip_order(slot)
    filled, blocks = filled_blocks(matrix)[order], blocks_of(matrix)[order]
    ends = np.cumsum(filled.sum(axis=1)).astype("<u4")
    places = ends.tobytes() + np.nonzero(filled)[1].astype("<u2").tobytes()
    return places.ljust(places_bytes(slot), b"\0") + blocks[filled].tobytes()


def unpack_blocks(slot: Slot, name: str, data: bytes, at: int) -> Array:
    """The inverse, of a tensor that begins at byte ``at``: (gates * rows, k), int8.

    Refuses places that do not ascend or are outside, and a block that is all 0.
    """
    strips, columns = slot.shape[0] // BLOCK_ROWS, slot.shape[1] // BLOCK_INPUTS
    ends = np.frombuffer(data, "<u4", strips, at)
    begins = np.concatenate([[0], ends[:-1]])
    for wrong, expected in (
        (ends > slot.blocks, f"at most {slot.blocks}"),
        (ends < begins, "as many as before or more"),
        ((np.arange(strips) == strips - 1) & (ends != slot.blocks), f"{slot.blocks}"),
    ):
        if wrong.any():
            strip = int(np.argmax(wrong))
            message = f"{name} has {ends[strip]} blocks up to strip {strip}, expected {expected}"
            refuse("kBadIndex", at + 4 * strip, message)
    fours = np.frombuffer(data, "<u2", slot.blocks, at + 4 * strips)
    of_strip = np.repeat(np.arange(strips), np.diff(ends, prepend=0))
    follows = np.diff(of_strip, prepend=-1) == 0
    wrong = (fours >= columns) | (follows & (np.diff(fours.astype(int), prepend=-1) <= 0))
    if wrong.any():
        block = int(np.argmax(wrong))
        message = f"{name} has block {block} at inputs {4 * int(fours[block])}, which do not ascend"
        refuse("kBadIndex", at + 4 * strips + 2 * block, f"{message} to {slot.shape[1]}")
    first = at + places_bytes(slot)
    check_zero(data, at + 4 * strips + 2 * slot.blocks, first)
    blocks = np.frombuffer(data, np.int8, slot.blocks * BLOCK_ROWS * BLOCK_INPUTS, first)
    blocks = blocks.reshape(-1, BLOCK_ROWS, BLOCK_INPUTS)
    empty = ~(blocks != 0).any(axis=(1, 2))
    if empty.any():
        block = int(np.argmax(empty))
        message = f"{name} has block {block} of zeros alone"
        refuse("kBadIndex", first + block * BLOCK_ROWS * BLOCK_INPUTS, message)
    matrix = np.zeros(slot.shape, np.int8)
    blocks_of(matrix)[_strip_order(slot)[of_strip], fours] = blocks
    return matrix
