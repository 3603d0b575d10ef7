# SPDX-License-Identifier: Apache-2.0
"""Keras's layers over several tensors, with the masks of what they give."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Tracked, Unfit
from grucore.converters.trace.ops.elementwise import binary, scaled
from grucore.converters.trace.ops.joins import joined
from grucore.graph.layers import Binary, Concat, Embedding, Mask, Operation
from grucore.graph.node import Value

__all__ = ["BINARY", "MERGES", "any_of", "merge", "zeroed"]

BINARY = {
    "Add": Operation.ADD,
    "Average": Operation.ADD,
    "Subtract": Operation.SUBTRACT,
    "Multiply": Operation.MULTIPLY,
    "Maximum": Operation.MAXIMUM,
    "Minimum": Operation.MINIMUM,
}
MERGES = (*BINARY, "Concatenate")


def merge(context: Context, layer: Layer, flows: Sequence[Flow]) -> Flow:
    """A merging layer, with the mask that Keras gives its result."""
    if len(flows) < 2:
        raise ConversionError(f"{layer} reads {len(flows)} tensors, expected two or more")
    if layer.kind == "Concatenate":
        axis = context.settings(layer, {"axis"}).get("axis", -1)
        (place,) = context.axes(layer, flows[0].tensor, axis)
        result = joined(context, [flow.tensor for flow in flows], place)
    else:
        context.settings(layer, ())
        result = _combined(context, layer, flows, BINARY[layer.kind])
    return Flow(result, _merged_mask(context, layer, flows))


def _combined(
    context: Context, layer: Layer, flows: Sequence[Flow], operation: Operation
) -> Tracked:
    extreme = operation in (Operation.MAXIMUM, Operation.MINIMUM)
    if extreme and any(flow.mask for flow in flows) and not _is_before(context, 3):
        raise Unfit(
            "reads a tensor with a mask, of which it takes the other tensor's frames: "
            "this cannot be expressed"
        )
    if operation is Operation.SUBTRACT and len(flows) != 2:
        raise Unfit(f"reads {len(flows)} tensors, expected 2")
    read = [context.numbers(flow) for flow in flows]
    looks = operation is Operation.MULTIPLY and _is_masked_since_3_4(context, flows)
    if looks:
        read = [_with_ones(context, x, flow.mask) for x, flow in zip(read, flows, strict=True)]
    result = reduce(lambda a, b: binary(context, a, b, operation), read)
    if looks and all(flow.mask is not None for flow in flows):
        result = zeroed(context, result, flows)
    if layer.kind == "Average":
        result = scaled(context, result, 1 / len(flows))
    return result


def _is_before(context: Context, major: int) -> bool:
    return context.version is not None and context.version < (major,)


def _is_masked_since_3_4(context: Context, flows: Sequence[Flow]) -> bool:
    """True if the layer Multiply looks at masks: masked factors count as 1 since Keras 3.4."""
    masked = any(flow.mask is not None for flow in flows)
    return masked and context.version is not None and context.version >= (3, 4)


def _factor(context: Context, mask: Value, size: int, *, inverse: bool) -> Value:
    """1.0 where the mask is and 0.0 where it is not, or the inverse, as so many features."""
    table = np.repeat(np.array([[0], [1]], np.float32), size, axis=1)
    name = "unmasked" if inverse else "masked"
    return context.add(Embedding, [mask], name, table=table[::-1] if inverse else table)


def _with_ones(context: Context, x: Data, mask: Value | None) -> Data:
    """The same with ones in place of masked frames."""
    if mask is None:
        return x
    value = context.ordered(x)
    keep, ones = (
        _factor(context, mask, value.features, inverse=inverse) for inverse in (False, True)
    )
    kept = context.add(Binary, [value, keep], "kept", operation=Operation.MULTIPLY)
    return context.fresh(x, context.add(Binary, [kept, ones], "ones", operation=Operation.ADD))


def zeroed(context: Context, result: Data, flows: Sequence[Flow]) -> Data:
    """The same with zeros where every factor is masked."""
    masks = {flow.mask.name: flow.mask for flow in flows if flow.mask is not None}
    value = context.ordered(result)
    keep = _factor(context, any_of(context, list(masks.values())), value.features, inverse=False)
    zeroed = context.add(Binary, [value, keep], "zeroed", operation=Operation.MULTIPLY)
    return context.fresh(result, zeroed)


def _merged_mask(context: Context, layer: Layer, flows: Sequence[Flow]) -> Value | None:
    masks = [flow.mask for flow in flows]
    found = {mask.name: mask for mask in masks if mask is not None}
    missing = any(mask is None for mask in masks)
    if not found:
        return None
    if context.version is None or (3,) <= context.version < (3, 4):
        raise ConversionError(
            f"{layer} reads a tensor with a mask, which versions of Keras before 3.4 mistake: save "
            "the model with a newer one"
        )
    if context.version < (3,):
        if len(found) > 1 or missing:
            raise ConversionError(
                f"{layer} reads tensors with different masks, which versions of Keras before 3 "
                "join in several ways"
            )
        return next(iter(found.values()))
    if missing:  # a tensor without a mask has all frames
        return None
    return any_of(context, list(found.values()))


def any_of(context: Context, masks: list[Value]) -> Value:
    """1 where one of the masks is."""
    if len(masks) == 1:
        return masks[0]
    return context.add(Mask, [context.add(Concat, masks, "masks")], "mask", bits=0)
