# SPDX-License-Identifier: Apache-2.0
"""Facts of a loaded file that the engine does not tell: numbers of ids, shapes of histories."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from grucore import _core

__all__ = ["has_integer_weights", "history_channels", "id_counts"]

TAKE, CONCAT, EMBEDDING, FLIP, CONV1D, POOL1D = 3, 4, 5, 14, 15, 16
INT8, INT4 = 3, 4


class _Node(NamedTuple):
    kind: int
    name: str
    inputs: tuple[int, ...]
    output: int
    table_rows: int  # first extent of the first tensor


class _Tables(NamedTuple):
    features: list[int]  # of each value
    inputs: tuple[int, ...]
    nodes: list[_Node]


def _aligned(size: int) -> int:
    return -(-size // 64) * 64


def _read(model: _core.Model) -> _Tables:
    """The tables of docs/format.md, which the engine has checked."""
    counts = struct.unpack("<8I", model._slice(24, 32))
    values, nodes, tensors, input_count, output_count, words, name_bytes, _ = counts
    nodes_at = _aligned(64 + 32 * values)
    tensors_at = _aligned(nodes_at + 64 * nodes)
    words_at = _aligned(tensors_at + 64 * tensors)
    names_at = _aligned(words_at + 4 * words)
    lengths, features = [], []
    for length, count in struct.iter_unpack("<II24x", model._slice(64, 32 * values)):
        lengths.append(length)
        features.append(count)
    numbers: Iterator[int] = iter(struct.unpack(f"<{words}I", model._slice(words_at, 4 * words)))
    names = model._slice(names_at, name_bytes)[sum(lengths) :]
    rows = [
        row for (row,) in struct.iter_unpack("<16xI44x", model._slice(tensors_at, 64 * tensors))
    ]
    inputs = tuple(next(numbers) for _ in range(input_count))
    for _ in range(output_count):
        next(numbers)
    found, tensor = [], 0
    for kind, length, reads, output, attributes, used in struct.iter_unpack(
        "<6I40x", model._slice(nodes_at, 64 * nodes)
    ):
        sources = tuple(next(numbers) for _ in range(reads))
        for _ in range(attributes):
            next(numbers)
        name, names = names[:length].decode("utf-8", "replace"), names[length:]
        found.append(_Node(kind, name, sources, output, rows[tensor] if used else 0))
        tensor += used
    return _Tables(features, inputs, found)


def has_integer_weights(model: _core.Model) -> bool:
    """True if a tensor is int8 or int4."""
    values, nodes, tensors = struct.unpack("<3I", model._slice(24, 12))
    start = _aligned(_aligned(64 + 32 * values) + 64 * nodes)
    records = struct.iter_unpack("<4xI56x", model._slice(start, 64 * tensors))
    return any(dtype in (INT8, INT4) for (dtype,) in records)


def id_counts(model: _core.Model) -> tuple[int | None, ...]:
    """For each input the number of ids of the smallest embedding that reads it; None: no embedding.

    Seen through layers that hand on all features: concat, flip, take.
    """
    tables = _read(model)
    counts: dict[int, int] = {}
    for node in reversed(tables.nodes):
        if node.kind == EMBEDDING:
            count = node.table_rows
        elif node.kind in (CONCAT, FLIP, TAKE) and node.output in counts:
            count = counts[node.output]
        else:
            continue
        for value in node.inputs:
            counts[value] = min(count, counts.get(value, count))
    return tuple(counts.get(value) for value in tables.inputs)


def history_channels(model: _core.Model) -> dict[str, int]:
    """By the name of its state, the channels that a convolution or a window reads."""
    tables = _read(model)
    return {
        f"{node.name}.history": tables.features[node.inputs[0]]
        for node in tables.nodes
        if node.kind in (CONV1D, POOL1D)
    }
