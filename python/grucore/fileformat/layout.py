# SPDX-License-Identifier: Apache-2.0
"""Where everything stands in a `.gru` file: magic, structures, bounds, codes of docs/format.md."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from grucore._core import _crc32c
from grucore.fileformat.packing import packed_size, padded_width, panel_columns
from grucore.graph.blocks import BLOCK_INPUTS, BLOCK_ROWS
from grucore.graph.tensors import Layout, Slot

__all__ = [
    "ALIGNMENT",
    "CRC_OFFSET",
    "HEADER",
    "MAGIC",
    "MAX_FILE_BYTES",
    "NODE",
    "TENSOR",
    "VALUE",
    "VERSION",
    "Counts",
    "aligned",
    "checksum",
    "places_bytes",
    "sections",
    "stored_bytes",
    "stored_size",
]

MAGIC = b"\x89GRU\r\n\x1a\n"
VERSION = 1
ALIGNMENT = 64
CRC_OFFSET = 12
SPARE_BLOCKS = 3  # of `blocks8x4`, whose places are zeros
MAX_FILE_BYTES = 1 << 40

# Reserved bytes are read, not skipped: they have to be zero.
HEADER = struct.Struct("<8sIIQ8I8s")
VALUE = struct.Struct("<6I8s")
NODE = struct.Struct("<6I40s")
TENSOR = struct.Struct("<12IQQ")


class Counts(NamedTuple):
    """The eight counts of the header, in their order."""

    values: int
    nodes: int
    tensors: int
    inputs: int
    outputs: int
    words: int
    name_bytes: int
    metadata_bytes: int


# Least and most of each count, and what one node may have.
BOUNDS = Counts(4096, 4096, 65536, 64, 64, 1 << 20, 1 << 20, 1 << 26)
LEAST = Counts(1, 1, 0, 1, 1, 0, 0, 0)
MAX_ATTRIBUTES = 64
MAX_NODE_TENSORS = 64


def checksum(file: bytes | bytearray) -> int:
    """The CRC-32C of a file, its own four bytes taken as zero."""
    view = memoryview(file)
    head = bytes(view[:CRC_OFFSET]) + bytes(4)
    return _crc32c(view[CRC_OFFSET + 4 :], _crc32c(head))


def aligned(offset: int) -> int:
    """The next multiple of 64."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def sections(counts: Counts) -> list[tuple[int, int]]:
    """Start and end of values, nodes, tensors, words, names, metadata, in the file's order."""
    sizes = (
        VALUE.size * counts.values,
        NODE.size * counts.nodes,
        TENSOR.size * counts.tensors,
        4 * counts.words,
        counts.name_bytes,
        counts.metadata_bytes,
    )
    places, end = [], HEADER.size
    for size in sizes:
        start = aligned(end)
        end = start + size
        places.append((start, end))
    return places


def stored_size(slot: Slot) -> int:
    """Elements that the tensor takes in the file."""
    if slot.layout is Layout.PANEL16:
        rows = slot.shape[0] // (slot.gates * slot.groups)
        return slot.groups * packed_size(slot.gates, rows, panel_columns(slot))
    if slot.layout is Layout.ROWS:
        return slot.shape[0] * padded_width(slot.shape[1])
    return math.prod(slot.shape)


def places_bytes(slot: Slot) -> int:
    """Bytes of a tensor in `blocks8x4` before its first block."""
    return aligned(4 * (slot.shape[0] // BLOCK_ROWS) + 2 * (slot.blocks + SPARE_BLOCKS))


def stored_bytes(slot: Slot) -> int:
    """Bytes that the tensor takes in the file."""
    if slot.layout is Layout.BLOCKS8X4:
        return places_bytes(slot) + slot.blocks * BLOCK_ROWS * BLOCK_INPUTS
    return -(-stored_size(slot) * slot.dtype.bits // 8)
