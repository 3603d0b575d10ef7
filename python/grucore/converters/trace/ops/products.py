# SPDX-License-Identifier: Apache-2.0
"""Products with constants: matrices over features, tables of embeddings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grucore.converters.trace.axes import (
    FEATURES,
    Data,
    Operand,
    Tracked,
    Unfit,
    WrongAxes,
    arrange,
)
from grucore.converters.trace.ops.flat import flat
from grucore.converters.trace.ops.reduce import einsum
from grucore.converters.trace.ops.spectra import banded
from grucore.converters.trace.trace import MAX_FOLDED, Trace, padding_text
from grucore.graph.layers import Concat, Dense, Embedding
from grucore.graph.node import Value
from grucore.graph.tensors import Array, Dtype

__all__ = ["embedded", "matmul", "times"]

MAX_GROUPS = 64  # products with slices of a frame that are layers of their own, more in one


def matmul(trace: Trace, a: Operand | None, b: Operand | None) -> Data:
    """A value times a matrix, or a matrix times a value."""
    if not isinstance(b, Tracked):
        return times(trace, trace.data(a), trace.weights(b, "the matrix"))
    if isinstance(a, Tracked):
        return _of_two(trace, trace.data(a), trace.data(b))
    data, matrix = trace.data(b), trace.weights(a, "the matrix")
    if matrix.ndim != 2 or data.rank < 2:
        raise Unfit(f"a matrix of shape {matrix.shape} times {data.text}")
    return _swapped(times(trace, _swapped(data), matrix.T))


def _of_two(trace: Trace, a: Data, b: Data) -> Data:
    """Two values as matrices, or as vectors where they have one axis."""
    if not a.rank or not b.rank:
        raise WrongAxes(f"{a.text} times {b.text}")
    lead = "ABCDEFGH"[-max(a.rank, b.rank) + 2 :] if max(a.rank, b.rank) > 2 else ""
    left = "k" if a.rank == 1 else f"{lead[len(lead) - a.rank + 2 :]}ik"
    right = "k" if b.rank == 1 else f"{lead[len(lead) - b.rank + 2 :]}kj"
    rows, columns = "i" * (a.rank > 1), "j" * (b.rank > 1)
    return einsum(trace, f"{left},{right}->{lead}{rows}{columns}", [a, b])


def _swapped(x: Data) -> Data:
    """The last two axes the other way round."""
    axes = (*x.axes[:-2], x.axes[-1], x.axes[-2])
    return x.moved(axes, x.index.swapaxes(-1, -2))


def times(trace: Trace, x: Data, matrix: Array, bias: Array | None = None) -> Data:
    """Rows of the last axis times a matrix (in, out), or a matrix for each place of other feature
    axes, plus a bias (out,)."""
    x = flat(trace, x)
    if matrix.ndim == 1:
        return _dot(trace, x, matrix)
    if matrix.ndim < 2 or x.rank < 1 or not x.is_features(-1) or matrix.ndim > max(x.rank, 2):
        raise WrongAxes(f"{x.text} times a matrix of shape {matrix.shape}")
    size, width = matrix.shape[-2:]
    if x.index.shape[-1] != size:
        raise WrongAxes(f"{x.text} times a matrix of shape {matrix.shape}")
    if not x.is_plain:
        raise Unfit(padding_text(x))
    others = x.index.shape[:-1]
    matrix = matrix.reshape((1,) * (x.rank - matrix.ndim) + matrix.shape)
    lead = matrix.shape[:-2]
    if any(extent not in (1, have) for extent, have in zip(lead, others, strict=False)):
        raise Unfit(f"{x.text} times matrices of shape {matrix.shape}")
    shift = np.zeros(width) if bias is None else np.broadcast_to(bias.reshape(-1), width)
    by_row = matrix.reshape(*lead, 1, size, width) if x.rank > 1 else matrix
    matrices = np.broadcast_to(by_row, (*others, size, width)).reshape(-1, size, width)
    rows = x.index.reshape(-1, size)
    value = _each(trace, x, rows, matrices, shift)
    return replace(x, index=arrange((*others, width)), value=value)


def _dot(trace: Trace, x: Data, vector: Array) -> Data:
    """Rows of the last axis times a vector (in,): without that axis."""
    found = times(trace, x, vector[:, None])
    return found.moved(found.axes[:-1], found.index.squeeze(-1))


def _each(trace: Trace, x: Data, rows: Array, matrices: Array, bias: Array) -> Value:
    """The products of rows of features with a matrix each, side by side."""
    blocks, size, width = matrices.shape
    if blocks == 1 and not bias.any():
        bands = banded(trace, trace.picked(x.value, rows), matrices[0])
        if bands is not None:
            return bands
    if blocks <= MAX_GROUPS:
        parts = [
            trace.add(
                Dense,
                [trace.picked(x.value, row)],
                str(number) if blocks > 1 else "",
                weight=matrix.T,
                bias=bias,
            )
            for number, (row, matrix) in enumerate(zip(rows, matrices, strict=True))
        ]
        return parts[0] if blocks == 1 else trace.add(Concat, parts, "all")
    if blocks * blocks * size * width > MAX_FOLDED:
        raise Unfit(f"{blocks} products of {size} by {width}: too many")
    weight = np.zeros((blocks, width, blocks, size))
    for number, matrix in enumerate(matrices):
        weight[number, :, number] = matrix.T
    return trace.add(
        Dense,
        [trace.picked(x.value, rows)],
        weight=weight.reshape(blocks * width, blocks * size),
        bias=np.tile(bias, blocks),
    )


def embedded(trace: Trace, ids: Data, table: Array) -> Data:
    """Rows of a table (ids, width), along a new last axis."""
    if table.ndim != 2:
        raise Unfit(f"a table of shape {table.shape}, expected (ids, width)")
    if ids.value.dtype is not Dtype.INT32:
        raise Unfit(f"ids are {ids.value.dtype.name}, expected integers")
    value = trace.add(Embedding, [trace.ordered(ids)], table=table)
    shape = (*ids.index.shape, table.shape[1])
    return replace(ids, axes=(*ids.axes, FEATURES), index=arrange(shape), value=value)
