# SPDX-License-Identifier: Apache-2.0
"""Keras's layers over several tensors, with the masks of what they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.read.config import Layer
from grucore.graph.layers import Affine, Binary, Concat, Embedding, Mask, Operation, Select
from grucore.graph.node import Value

__all__ = ["BINARY", "MERGES", "any_of", "concatenated", "folded", "merge"]

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
        settings = context.settings(layer, {"axis"})
        result = concatenated(context, layer, flows, settings.get("axis", -1))
    else:
        context.settings(layer, ())
        operation = BINARY[layer.kind]
        extreme = operation in (Operation.MAXIMUM, Operation.MINIMUM)
        if extreme and any(flow.mask for flow in flows) and not _is_before(context, 3):
            raise ConversionError(
                f"{layer} reads a tensor with a mask, of which it takes the other tensor's frames: "
                "this cannot be expressed"
            )
        read = flows
        if operation is Operation.MULTIPLY and _is_masked_since_3_4(context, flows):
            read = [_with_ones(context, layer, flow) for flow in flows]
        result = folded(context, layer, read, operation)
        if read is not flows and all(flow.mask is not None for flow in flows):
            result = _zeroed(context, layer, result, flows)
        if layer.kind == "Average":
            size = result.value.features
            scale, shift = np.full(size, 1 / len(flows)), np.zeros(size)
            name = f"{layer.path}.mean"
            value = context.builder.add(Affine, name, [result.value], scale=scale, shift=shift)
            result = result.of(value, result.dims)
    return Flow(result.value, result.dims, _merged_mask(context, layer, flows))


def _is_before(context: Context, major: int) -> bool:
    return context.version is not None and context.version < (major,)


def _is_masked_since_3_4(context: Context, flows: Sequence[Flow]) -> bool:
    """True if the layer Multiply looks at masks: masked factors count as 1 since Keras 3.4."""
    masked = any(flow.mask is not None for flow in flows)
    return masked and context.version is not None and context.version >= (3, 4)


def _factor(context: Context, layer: Layer, mask: Value, size: int, inverse: bool) -> Value:
    """1.0 where the mask is and 0.0 where it is not, or the inverse, as so many features."""
    table = np.repeat(np.array([[0], [1]], np.float32), size, axis=1)
    name = f"{layer.path}.{'unmasked' if inverse else 'masked'}"
    return context.builder.add(Embedding, name, [mask], table=table[::-1] if inverse else table)


def _with_ones(context: Context, layer: Layer, flow: Flow) -> Flow:
    """The same with ones in place of masked frames."""
    if flow.mask is None:
        return flow
    keep, ones = (
        _factor(context, layer, flow.mask, flow.value.features, inverse)
        for inverse in (False, True)
    )
    name = f"{layer.path}.kept"
    kept = context.builder.add(Binary, name, [flow.value, keep], operation=Operation.MULTIPLY)
    name = f"{layer.path}.ones"
    value = context.builder.add(Binary, name, [kept, ones], operation=Operation.ADD)
    return flow.of(value, flow.dims)


def _zeroed(context: Context, layer: Layer, result: Flow, flows: Sequence[Flow]) -> Flow:
    """The same with zeros where every factor is masked."""
    masks = {flow.mask.name: flow.mask for flow in flows if flow.mask is not None}
    mask = any_of(context, layer, list(masks.values()))
    keep = _factor(context, layer, mask, result.value.features, False)
    name = f"{layer.path}.zeroed"
    value = context.builder.add(Binary, name, [result.value, keep], operation=Operation.MULTIPLY)
    return result.of(value, result.dims)


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
    return any_of(context, layer, list(found.values()))


def any_of(context: Context, layer: Layer, masks: list[Value]) -> Value:
    """1 where one of the masks is."""
    if len(masks) == 1:
        return masks[0]
    joined = context.builder.add(Concat, f"{layer.path}.masks", masks)
    return context.builder.add(Mask, f"{layer.path}.mask", [joined], bits=0)


def _check_alike(layer: Layer, flows: Sequence[Flow]) -> None:
    for flow in flows[1:]:
        if flow.value.clock != flows[0].value.clock:
            raise ConversionError(
                f"{layer} joins values of different rates, as of a sequence and of its last frame"
            )


def folded(context: Context, layer: Layer, flows: Sequence[Flow], operation: Operation) -> Flow:
    _check_alike(layer, flows)
    widest = max(flows, key=lambda flow: flow.value.features)
    values = [_broadcast(context, layer, flow, widest) for flow in flows]
    if operation is Operation.SUBTRACT and len(values) != 2:
        raise ConversionError(f"{layer} reads {len(values)} tensors, expected 2")
    value = values[0]
    for other in values[1:]:
        value = context.builder.add(Binary, layer.path, [value, other], operation=operation)
    return widest.of(value, widest.dims).unmasked()


def _broadcast(context: Context, layer: Layer, flow: Flow, widest: Flow) -> Value:
    if flow.dims == widest.dims:
        return flow.value
    if len(flow.dims) != len(widest.dims) or any(
        mine not in (1, other) for mine, other in zip(flow.dims, widest.dims, strict=True)
    ):
        raise ConversionError(f"{layer} joins features of shapes {flow.dims} and {widest.dims}")
    index = np.arange(flow.value.features, dtype=np.int32).reshape(flow.dims)
    index = np.broadcast_to(index, widest.dims).reshape(-1)
    return context.builder.add(Select, f"{layer.path}.spread", [flow.value], index=index)


def concatenated(context: Context, layer: Layer, flows: Sequence[Flow], axis: Any) -> Flow:
    _check_alike(layer, flows)
    for flow in flows:
        if len(flow.dims) != 1:
            raise ConversionError(f"{layer} joins features of shape {flow.dims}, expected one axis")
        context.axis(layer, flow, axis)
    return flows[0].of(context.builder.add(Concat, layer.path, [f.value for f in flows])).unmasked()
