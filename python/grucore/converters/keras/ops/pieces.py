# SPDX-License-Identifier: Apache-2.0
"""Operations of `keras.ops` that move features and frames, and compute nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.keras.context import Bits, Context, Flow
from grucore.converters.keras.ops.arguments import Handler, axes_of, operand, tensor
from grucore.converters.keras.ops.layers import reshaped_to
from grucore.converters.keras.ops.masks import same_bits, union
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Tracked, Unfit
from grucore.converters.trace.ops.joins import joined, padded, stacked
from grucore.converters.trace.ops.pieces import (
    ENDLESS,
    flipped,
    gathered,
    rolled,
    selected,
    sliced,
    split,
)
from grucore.converters.trace.ops.views import axis_of, squeezed, tiled, transposed, unsqueezed

__all__ = ["PIECES"]


def _join(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    parts = arguments[0] if arguments and isinstance(arguments[0], list) else []
    if parts and all(isinstance(part, Bits) for part in parts):
        return union(parts)
    tensors = [operand(part) for part in parts]
    rank = max((x.rank for x in tensors if isinstance(x, Tracked)), default=0)
    stacks = layer.kind == "ops.Stack"
    axis = axis_of(layer.settings.get("axis", 0 if stacks else -1), rank + stacks)
    return (stacked if stacks else joined)(context, tensors, axis)


def _split(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, places = arguments[0].tensor, layer.settings["indices_or_sections"]
    (axis,) = context.axes(layer, x, layer.settings.get("axis", 0))
    size = context.size(x, axis)
    if not isinstance(size, int):
        raise Unfit(f"splits axis {axis} of {x.text}, expected features")
    if isinstance(places, int):
        if places < 1 or size % places:
            raise Unfit(f"splits {size} features into {places} parts")
        places = range(size // places, size, size // places)
    edges = [0, *places, size]
    return split(context, x, axis, np.diff(edges).tolist())


def _flip(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x = tensor(context, arguments)
    return flipped(context, x, axes_of(context, layer, x))


def _roll(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, shift, axis = arguments[0].tensor, layer.settings["shift"], layer.settings.get("axis")
    if axis is None:
        raise context.refuse(layer, "axis", "axes of features")
    return rolled(x, shift, context.axes(layer, x, axis))


def _take(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, axis = arguments[0].tensor, layer.settings.get("axis")
    if axis is None or isinstance(arguments[1], Flow):
        raise Unfit("takes places along no axis, or ones that the model computes")
    (axis,) = context.axes(layer, x, axis)
    return gathered(context, x, axis, np.asarray(arguments[1]).astype(np.int64))


def _repeat(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, times = arguments[0].tensor, layer.settings["repeats"]
    (axis,) = context.feature_axes(layer, x, layer.settings.get("axis"))
    return x.moved(x.axes, np.repeat(x.index, times, axis))


def _tile(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return tiled(context, arguments[0].tensor, layer.settings["repeats"])


def _pad(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, fill = tensor(context, arguments), layer.settings.get("constant_values")
    if layer.settings.get("mode") != "constant":
        raise context.refuse(layer, "mode", "constant")
    for axis, (before, after) in enumerate(layer.settings["pad_width"]):
        if before or after:
            x = padded(context, x, axis, before, after, 0.0 if fill is None else float(fill))
    return x


def _move_axis(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x = arguments[0].tensor
    places = (layer.settings[name] for name in ("source", "destination"))
    order = np.moveaxis(np.empty((1, 2, 3, 4, 5, 6)[: x.rank]), *places).shape
    return transposed(x, [size - 1 for size in order])


def _transpose(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, order = arguments[0].tensor, layer.settings.get("axes")
    return transposed(x, range(x.rank)[::-1] if order is None else order)


def _swap(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x = arguments[0].tensor
    one, other = (axis_of(layer.settings[name], x.rank) for name in ("axis1", "axis2"))
    order = list(range(x.rank))
    order[one], order[other] = other, one
    return transposed(x, order)


def _reshape(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, target = arguments[0].tensor, list(layer.settings["newshape"])
    if target[:1] in ([None], [-1]) and -1 in target[1:]:
        target[0] = context.size(x, 0)
    return reshaped_to(context, x, [-1 if size is None else size for size in target])


def _squeeze(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    first, axis = arguments[0], layer.settings.get("axis")
    if isinstance(first, Bits):
        return same_bits(context, layer, first)
    if axis is None:
        raise Unfit("squeeze without an axis depends on the sizes: name the axis")
    return squeezed(context, first.tensor, context.axes(layer, first.tensor, axis))


def _expand(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    first, axis = arguments[0], layer.settings.get("axis")
    if isinstance(first, Bits):
        return same_bits(context, layer, first)
    axes: Any = axis if isinstance(axis, list | tuple) else [axis]
    return unsqueezed(first.tensor, axes)


def _item(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    """``x[:, -1]``, ``x[:, 2::2]``, ``x[:, :, a:b]``: some frames, some features."""
    if not arguments or not isinstance(arguments[0], Flow):
        raise Unfit(f"takes an item of {str(arguments)[:80]}, expected a tensor")
    x, keys = arguments[0].tensor, arguments[1:]
    keys = list(keys[0]) if len(keys) == 1 and isinstance(keys[0], list | tuple) else list(keys)
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        more = x.rank - sum(key is not None and key is not Ellipsis for key in keys)
        keys[place : place + 1] = [slice(None)] * more
    axis = 0
    for key in keys:
        if key is None:
            x = unsqueezed(x, [axis])
            axis += 1
        elif isinstance(key, int) and not isinstance(key, bool) and axis < x.rank:
            x = selected(context, x, axis, key)
        elif isinstance(key, slice) and axis < x.rank:
            x = x if key == slice(None) else _cut(context, x, axis, key)
            axis += 1
        else:
            raise Unfit(f"takes the item {str(keys)[:80]}, which cannot be expressed")
    return x


def _cut(context: Context, x: Tracked, axis: int, key: slice) -> Tracked:
    step = 1 if key.step is None else key.step
    start = key.start if key.start is not None else (0 if step > 0 else -1)
    stop = key.stop if key.stop is not None else (ENDLESS if step > 0 else -ENDLESS)
    return sliced(context, x, axis, start, stop, step)


PIECES: dict[str, Handler] = {
    **dict.fromkeys(("Concatenate", "Stack"), _join),
    "Split": _split,
    "Flip": _flip,
    "Roll": _roll,
    "Take": _take,
    "Repeat": _repeat,
    "Tile": _tile,
    "Pad": _pad,
    "Moveaxis": _move_axis,
    "Transpose": _transpose,
    "Swapaxes": _swap,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "ExpandDims": _expand,
    "GetItem": _item,
}
