# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that take tensors to pieces, and put pieces side by side."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from grucore.converters.torch.walk.walk import Arguments, Walk, op
from grucore.converters.trace.axes import Tracked, Unfit
from grucore.converters.trace.ops.joins import joined, stacked
from grucore.converters.trace.ops.pieces import (
    ENDLESS,
    flipped,
    gathered,
    rolled,
    selected,
    sliced,
)
from grucore.converters.trace.ops.views import axis_of

__all__: list[str] = []


@op("select.int")
def _select(walk: Walk, a: Arguments) -> Any:
    return _row(walk, a["self"], a["dim"], a["index"])


def _row(walk: Walk, x: Any, dim: int, place: int) -> Any:
    axis = axis_of(dim, len(walk.shape(x)))
    return selected(walk, x, axis, place) if isinstance(x, Tracked) else np.take(x, place, axis)


@op("slice.Tensor", "narrow.default")
def _slice(walk: Walk, a: Arguments) -> Any:
    start = a.get("start", 0)
    end = start + a["length"] if a.has("length") else a.get("end", ENDLESS)
    return _part(walk, a["self"], a.get("dim", 0), start, end, a.get("step", 1))


def _part(walk: Walk, x: Any, dim: int, start: int, end: int, step: int = 1) -> Any:
    axis = axis_of(dim, len(walk.shape(x)))
    if isinstance(x, Tracked):
        return sliced(walk, x, axis, start, end, step)
    return x[(slice(None),) * axis + (slice(start, end, step),)]


@op("index_select.default")
def _index_select(walk: Walk, a: Arguments) -> Any:
    x, index = a["self"], a["index"]
    if not isinstance(index, np.ndarray):
        raise Unfit("an index that is computed")
    if isinstance(x, Tracked):
        return gathered(walk, x, axis_of(a["dim"], x.rank), index)
    return np.take(x, index, a["dim"])


@op("index.Tensor")
def _index(walk: Walk, a: Arguments) -> Any:
    given = [(place, each) for place, each in enumerate(a["indices"]) if each is not None]
    if len(given) != 1 or not isinstance(given[0][1], np.ndarray) or given[0][1].ndim != 1:
        raise Unfit("it picks with something else than one row of known numbers")
    axis, index = given[0]
    if index.dtype.kind == "b":
        index = np.flatnonzero(index)
    return _index_select(walk, Arguments({"self": a["self"], "dim": axis, "index": index}))


@op("flip.default")
def _flip(walk: Walk, a: Arguments) -> Any:
    x = a["self"]
    if not isinstance(x, Tracked):
        return np.flip(x, a["dims"])
    return flipped(walk, x, [axis_of(dim, x.rank) for dim in a["dims"]])


@op("roll.default")
def _roll(walk: Walk, a: Arguments) -> Any:
    x, shifts, dims = a["self"], list(a["shifts"]), list(a.get("dims", []))
    if not isinstance(x, Tracked):
        return np.roll(x, shifts, dims or None)
    return rolled(x, shifts, [axis_of(dim, x.rank) for dim in dims])


@op("unbind.int")
def _unbind(walk: Walk, a: Arguments) -> Any:
    shape, dim = walk.shape(a["self"]), a.get("dim", 0)
    return [_row(walk, a["self"], dim, place) for place in range(shape[axis_of(dim, len(shape))])]


@op(
    "chunk.default",
    "split.Tensor",
    "split_with_sizes.default",
    "split.sizes",
    "tensor_split.sections",
)
def _split(walk: Walk, a: Arguments) -> Any:
    shape = walk.shape(a["self"])
    dim = axis_of(a.get("dim", 0), len(shape))
    extent = shape[dim]
    if a.has("chunks"):
        sizes: Any = -(-extent // a["chunks"])
    elif a.has("sections"):
        part, more = divmod(extent, a["sections"])
        sizes = [part + (place < more) for place in range(a["sections"])]
    else:
        sizes = a.first("split_size", "split_sizes")
    if isinstance(sizes, int):
        sizes = [min(sizes, extent - start) for start in range(0, extent, max(sizes, 1))]
    starts = np.cumsum([0, *sizes]).tolist()
    return [_part(walk, a["self"], dim, start, end) for start, end in pairwise(starts)]


@op("cat.default", "concat.default", "concatenate.default")
def _cat(walk: Walk, a: Arguments) -> Any:
    tensors = a["tensors"]
    axis = axis_of(a.get("dim", 0), len(walk.shape(tensors[0])))
    if any(isinstance(x, Tracked) for x in tensors):
        return joined(walk, tensors, axis)
    return np.concatenate(tensors, axis)


@op("stack.default")
def _stack(walk: Walk, a: Arguments) -> Any:
    tensors = a["tensors"]
    axis = axis_of(a.get("dim", 0), len(walk.shape(tensors[0])) + 1)
    if any(isinstance(x, Tracked) for x in tensors):
        return stacked(walk, tensors, axis)
    return np.stack(tensors, axis)
