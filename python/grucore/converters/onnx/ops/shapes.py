# SPDX-License-Identifier: Apache-2.0
"""Operators that only move features, those on shapes, and those that make constants by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work, axes_of, integers_of
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.read.tensors import DTYPES
from grucore.converters.trace.axes import FEATURES, Data, Operand, Spread, Tracked, Unfit, spread
from grucore.converters.trace.ops.joins import joined
from grucore.converters.trace.ops.masks import compared, is_mask
from grucore.converters.trace.ops.pieces import gathered, sliced, split
from grucore.converters.trace.ops.products import embedded
from grucore.converters.trace.ops.reshape import reshaped, resolve
from grucore.converters.trace.ops.views import (
    axis_of,
    check_folded,
    expanded,
    squeezed,
    symbol,
    tiled,
    transposed,
    unsqueezed,
)
from grucore.converters.trace.sizes import Size, product
from grucore.graph.tensors import Array, Dtype

__all__ = ["SHAPES"]


def _transpose(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    x = spread(operands[0])
    return transposed(x, node.get("perm", tuple(reversed(range(x.rank)))))


def _reshape(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    x = spread(operands[0])
    sizes = work.sizes(x)
    target = integers_of(operands[1], "shape")
    for place, size in enumerate(target):
        if size == 0 and not node.get("allowzero", 0):
            if place >= len(sizes):
                raise Unfit(f"size {place} of the shape copies an axis that is not there")
            target[place] = sizes[place]
    target = resolve(sizes, target)
    if not isinstance(operands[0], Tracked):
        shape = [size for size in target if isinstance(size, int)]
        if len(shape) < len(target) or product(shape) != x.index.size:
            raise Unfit(f"turns a constant of shape {x.index.shape} to {target}")
        return x.index.reshape(shape)
    return reshaped(work, x, target)


def _flatten(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    x = spread(operands[0])
    axis = node.get("axis", 1)
    axis = axis if axis == x.rank else axis_of(axis, x.rank)
    sizes = work.sizes(x)
    return reshaped(work, x, [product(sizes[:axis]), product(sizes[axis:])])


def _squeeze(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    x = spread(operands[0])
    axes = axes_of(node, operands, x.rank)
    if axes is None:
        axes = [axis for axis, size in enumerate(work.sizes(x)) if size == 1]
    return squeezed(work, x, axes)


def _unsqueeze(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    x = spread(operands[0])
    found = node.get("axes", None)
    count = len(found) if found is not None else len(integers_of(operands[1], "axes"))
    return unsqueezed(x, axes_of(node, operands, x.rank + count) or [])


def _identity(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return spread(operands[0])


def _dropout(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    training = operands[2] if len(operands) > 2 else None
    if training is not None and work.constant(training, "training_mode").any():
        raise Unfit("training_mode is true, expected inference")
    if node.written > 1:
        raise Unfit("gives its mask, which is not supported")
    return _identity(work, node, operands)


def _slice(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    x = spread(operands[0])
    given = [*operands, None, None, None, None]
    if work.opset < 10:
        starts, ends = list(node.attributes["starts"]), list(node.attributes["ends"])
        axes = list(node.get("axes", range(len(starts))))
        steps: list[Size] = [1] * len(starts)
    else:
        starts, ends = integers_of(given[1], "starts"), integers_of(given[2], "ends")
        axes = list(range(len(starts))) if given[3] is None else integers_of(given[3], "axes")
        steps = [1] * len(starts) if given[4] is None else integers_of(given[4], "steps")
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise Unfit("starts, ends, axes and steps differ in number")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = sliced(work, x, axis_of(int(axis), x.rank), start, end, step)
    return x


def _one_hot(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    ids, depth = work.data(operands[0]), integers_of(operands[1], "depth")[0]
    if node.get("axis", -1) not in (-1, ids.rank) or not isinstance(depth, int):
        raise Unfit(f"{depth} classes along axis {node.get('axis', -1)}, expected the last axis")
    off, on = np.asarray(work.constant(operands[2], "values"), np.float64)
    return embedded(work, ids, off + (on - off) * np.eye(depth))


def _gather(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    """Rows of an axis; or of a table, which is an embedding."""
    x, places = operands[0], operands[1]
    if isinstance(places, Data) and not isinstance(x, Tracked):
        if node.get("axis", 0) not in (0, -2):
            raise Unfit(f"rows along axis {node.get('axis', 0)} of a table, expected axis 0")
        return embedded(work, places, work.weights(x, "the table"))
    if places is None or isinstance(places, Tracked):
        raise Unfit("indices are computed by the model, expected constants or an embedding")
    x = spread(x)
    return gathered(work, x, axis_of(node.get("axis", 0), x.rank), places)


def _split(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = spread(operands[0])
    axis = axis_of(node.get("axis", 0), x.rank)
    parts: Sequence[Size] | None = node.get("split", None)
    if parts is None and len(operands) > 1 and operands[1] is not None:
        parts = integers_of(operands[1], "split")
    if parts is None:
        size, count = x.index.shape[axis], len(node.outputs)
        if node.get("num_outputs", count) != count:
            raise Unfit(f"attribute num_outputs is {node.get('num_outputs', 0)}")
        each = -(-size // count)
        parts = [each] * (count - 1) + [size - each * (count - 1)]
    if len(parts) != len(node.outputs):
        raise Unfit(f"split is {list(parts)} for {len(node.outputs)} outputs")
    return [*split(work, x, axis, [int(part) for part in parts])]  # type: ignore[arg-type]


def _concat(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    pieces = [operand for operand in operands if operand is not None]
    return joined(work, pieces, axis_of(node.attributes.get("axis", 0), spread(pieces[0]).rank))


def _expand(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return expanded(work, spread(operands[0]), integers_of(operands[1], "shape"))


def _tile(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return tiled(work, spread(operands[0]), integers_of(operands[1], "repeats"))


def _constant_of_shape(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    target = integers_of(operands[0], "shape")
    value = node.get("value", np.zeros(1, np.float32))
    if value.size != 1:
        raise Unfit(f"attribute value has {value.size} numbers, expected one")
    kinds = tuple(FEATURES if isinstance(size, int) else symbol(size) for size in target)
    shape = [size if isinstance(size, int) else 1 for size in target]
    if min(shape, default=0) < 0:
        raise Unfit(f"makes a constant of shape {shape}")
    check_folded(shape)
    return Spread(kinds, np.full(shape, value.reshape(-1)[0], value.dtype))


def _shape(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    sizes = work.sizes(spread(operands[0]))[node.get("start", 0) : node.get("end", None)]
    symbolic = any(not isinstance(size, int) for size in sizes)
    array: Array = np.empty(len(sizes), object if symbolic else np.int64)
    array[:] = sizes
    return array


def _cast(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    target = DTYPES.get(node.attributes.get("to", 0))
    if target is None:
        raise Unfit(f"attribute to is {node.attributes.get('to')}, expected numbers")
    x = operands[0]
    assert x is not None
    is_float = target[0].endswith(("float16", "float32", "float64"))
    if isinstance(x, Spread):
        return Spread(x.axes, x.index.astype(target[1]))
    if is_mask(work, x):
        return x
    if isinstance(x, Data) and target[0] == "bool":
        return compared(work, x, 0.0, "ne")
    if isinstance(x, Data) and is_float != (x.value.dtype is Dtype.FLOAT32):
        raise Unfit(f"turns {x.value.dtype.name} into {target[0]}, which is not supported")
    if isinstance(x, Tracked):
        return x
    if x.dtype == object:
        if target[0] == "bool":
            raise Unfit("makes truth of sizes that the file leaves open")
        return x
    return x.astype("f4" if target[0] == "bfloat16" else target[1])


SHAPES: Table = {
    "Transpose": (_transpose, ("perm",)),
    "Reshape": (_reshape, ("allowzero",)),
    "Flatten": (_flatten, ("axis",)),
    "Squeeze": (_squeeze, ("axes",)),
    "Unsqueeze": (_unsqueeze, ("axes",)),
    "Identity": (_identity, ()),
    "Dropout": (_dropout, ("ratio", "seed")),
    "Slice": (_slice, ("starts", "ends", "axes")),
    "Split": (_split, ("axis", "split", "num_outputs")),
    "Concat": (_concat, ("axis",)),
    "OneHot": (_one_hot, ("axis",)),
    "Gather": (_gather, ("axis",)),
    "Cast": (_cast, ("to", "saturate", "round_mode")),
    "Expand": (_expand, ()),
    "ConstantOfShape": (_constant_of_shape, ("value",)),
    "Tile": (_tile, ()),
    "Shape": (_shape, ("start", "end")),
}
