# SPDX-License-Identifier: Apache-2.0
"""Operators on shapes, and those that make or stretch constants by them; casts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore.converters.onnx.ops.pieces import integers_of, operand_of, tracked
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.read.tensors import DTYPES
from grucore.converters.onnx.state.axes import Axis, Constant, Data, Operand, Spread
from grucore.converters.onnx.state.context import MAX_FOLDED, Work
from grucore.converters.onnx.state.sizes import Size
from grucore.graph.tensors import Array, Dtype

__all__ = ["SHAPES"]

Operands = Sequence[Operand | None]


def _expand(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    target = integers_of(node, operands[1], "shape")
    rank = max(len(target), len(x.axes))
    ones: list[Size] = [1]
    target = ones * (rank - len(target)) + target
    lead = rank - len(x.axes)
    axes = (Axis.FEATURES,) * lead + x.axes
    x = x.moved(axes, x.index.reshape((1,) * lead + x.index.shape))
    shape: list[int] = []
    kinds: list[Axis] = []
    for place, size in enumerate(target):
        found = work.size(x, place)
        kind = x.axes[place]
        if size in (1, found):
            shape.append(int(x.index.shape[place]))
        elif found == 1 and isinstance(size, int) and kind is Axis.FEATURES:
            shape.append(size)
        elif found == 1 and kind is Axis.FEATURES and isinstance(x, Spread):
            kind = _symbol(node, size)
            shape.append(1)
        else:
            raise node.refuse(f"stretches axis {place} of {x.text} to {size}")
        kinds.append(kind)
    _check_folded(node, shape)
    return [operand_of(x.moved(tuple(kinds), np.broadcast_to(x.index, shape)))]


def _symbol(node: OnnxNode, size: Size) -> Axis:
    for axis in (Axis.BATCH, Axis.TIME):
        if str(size) == str(axis):
            return axis
    raise node.refuse(f"makes an axis of size {size}, expected the batch or the frames")


def _constant_of_shape(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    target = integers_of(node, operands[0], "shape")
    value = node.get("value", np.zeros(1, np.float32))
    if value.size != 1:
        raise node.refuse(f"attribute value has {value.size} numbers, expected one")
    kinds = tuple(
        Axis.FEATURES if isinstance(size, int) else _symbol(node, size) for size in target
    )
    shape = [size if isinstance(size, int) else 1 for size in target]
    if min(shape, default=0) < 0:
        raise node.refuse(f"makes a constant of shape {shape}")
    _check_folded(node, shape)
    return [operand_of(Spread(kinds, np.full(shape, value.reshape(-1)[0], value.dtype)))]


def _tile(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    repeats = integers_of(node, operands[1], "repeats")
    if len(repeats) != len(x.axes):
        raise node.refuse(f"repeats has {len(repeats)} numbers for {len(x.axes)} axes")
    counts: list[int] = []
    kinds = list(x.axes)
    for place, count in enumerate(repeats):
        if not isinstance(count, int) and isinstance(x, Spread) and work.size(x, place) == 1:
            kinds[place] = _symbol(node, count)
            count = 1
        if not isinstance(count, int) or count < 1 or (count > 1 and kinds[place] != "features"):
            raise node.refuse(f"repeats axis {place} of {x.text} {count} times")
        counts.append(count)
    _check_folded(node, [*counts, x.index.size])
    return [operand_of(x.moved(tuple(kinds), np.tile(x.index, counts)))]


def _check_folded(node: OnnxNode, shape: Sequence[int]) -> None:
    if np.prod([float(size) for size in shape]) > MAX_FOLDED:
        raise node.refuse(f"makes a constant of {shape}, expected at most {MAX_FOLDED} numbers")


def _shape(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = operands[0]
    assert x is not None
    sizes = work.sizes(x)[node.get("start", 0) : node.get("end", None)]
    symbolic = any(not isinstance(size, int) for size in sizes)
    array: Array = np.empty(len(sizes), object if symbolic else np.int64)
    array[:] = sizes
    return [Constant(array)]


def _cast(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    target = DTYPES.get(node.attributes.get("to", 0))
    if target is None:
        raise node.refuse(f"attribute to is {node.attributes.get('to')}, expected numbers")
    x = operands[0]
    is_float = target[0].endswith(("float16", "float32", "float64"))
    if isinstance(x, Constant):
        if x.array.dtype == object:
            if is_float or target[0] == "bool":
                raise node.refuse("makes numbers of sizes that the file leaves open")
            return [x]
        return [Constant(x.array.astype("f4" if target[0] == "bfloat16" else target[1]))]
    if isinstance(x, Spread):
        return [Spread(x.axes, x.index.astype(target[1]))]
    if isinstance(x, Data) and is_float != (x.value.dtype is Dtype.FLOAT32):
        raise node.refuse(f"turns {x.value.dtype.name} into {target[0]}, which is not supported")
    assert x is not None
    return [x]


SHAPES = {
    "Cast": (_cast, ("to", "saturate", "round_mode")),
    "Expand": (_expand, ()),
    "ConstantOfShape": (_constant_of_shape, ("value",)),
    "Tile": (_tile, ()),
    "Shape": (_shape, ("start", "end")),
}
