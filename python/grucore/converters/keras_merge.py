# SPDX-License-Identifier: Apache-2.0
"""Keras's layers and operations over several tensors, and the operations that masks are made of.

Functional models of Keras 3 have in their configs, as operations, how each mask came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras_config import Layer
from grucore.converters.keras_flow import Bits, Context, Flow
from grucore.layers import (
    Affine,
    Binary,
    Concat,
    Embedding,
    Mask,
    Operation,
    Position,
    Select,
    Take,
)
from grucore.node import Value, float32_bits

__all__ = ["MERGES", "OPERATIONS", "merge", "operation"]

BINARY = {
    "Add": Operation.ADD,
    "Average": Operation.ADD,
    "Subtract": Operation.SUBTRACT,
    "Multiply": Operation.MULTIPLY,
}
MERGES = (*BINARY, "Concatenate")
OPERATIONS = {f"ops.{kind}" for kind in ("Add", "Subtract", "Multiply", "Concatenate", "GetItem")}
OPERATIONS |= {f"ops.{kind}" for kind in ("NotEqual", "Any", "LogicalOr", "ExpandDims", "Squeeze")}
OPERATIONS |= {"ops.OnesLike", "ops.ZerosLike"}


def merge(context: Context, layer: Layer, flows: Sequence[Flow]) -> Flow:
    """A merging layer, with the mask that Keras gives its result."""
    if len(flows) < 2:
        raise ConversionError(f"{layer} reads {len(flows)} tensors, expected two or more")
    if layer.kind == "Concatenate":
        settings = context.settings(layer, {"axis"})
        result = _concatenated(context, layer, flows, settings.get("axis", -1))
    else:
        context.settings(layer, ())
        operation = BINARY[layer.kind]
        read = flows
        if operation is Operation.MULTIPLY and _is_masked_since_3_4(context, flows):
            read = [_with_ones(context, layer, flow) for flow in flows]
        result = _folded(context, layer, read, operation)
        if read is not flows and all(flow.mask is not None for flow in flows):
            result = _zeroed(context, layer, result, flows)
        if layer.kind == "Average":
            size = result.value.features
            scale, shift = np.full(size, 1 / len(flows)), np.zeros(size)
            name = f"{layer.path}.mean"
            value = context.builder.add(Affine, name, [result.value], scale=scale, shift=shift)
            result = result.of(value, result.dims)
    return Flow(result.value, result.dims, _merged_mask(context, layer, flows))


def _is_masked_since_3_4(context: Context, flows: Sequence[Flow]) -> bool:
    """Whether the layer Multiply looks at masks: masked factors count as 1 since Keras 3.4."""
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
    mask = _any_of(context, layer, list(masks.values()))
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
    return _any_of(context, layer, list(found.values()))


def _any_of(context: Context, layer: Layer, masks: list[Value]) -> Value:
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


def _folded(context: Context, layer: Layer, flows: Sequence[Flow], operation: Operation) -> Flow:
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


def _concatenated(context: Context, layer: Layer, flows: Sequence[Flow], axis: Any) -> Flow:
    _check_alike(layer, flows)
    for flow in flows:
        if len(flow.dims) != 1:
            raise ConversionError(f"{layer} joins features of shape {flow.dims}, expected one axis")
        context.axis(layer, flow, axis)
    return flows[0].of(context.builder.add(Concat, layer.path, [f.value for f in flows])).unmasked()


def operation(context: Context, layer: Layer, arguments: list[Any]) -> Flow | Bits:
    """An operation of `keras.ops`: arithmetic, slices, or a step in the making of a mask."""
    kind = layer.kind.removeprefix("ops.")
    if kind in ("Add", "Subtract", "Multiply"):
        return _arithmetic(context, layer, BINARY[kind], arguments)
    if kind == "GetItem":
        return _item(context, layer, arguments)
    first = arguments[0]
    if kind == "Concatenate":
        tensors = first if isinstance(first, list) else []
        if tensors and all(isinstance(tensor, Flow) for tensor in tensors):
            return _concatenated(context, layer, tensors, layer.settings.get("axis", -1))
        if tensors and all(isinstance(tensor, Bits) for tensor in tensors):
            return _union(tensors)
    if kind == "NotEqual" and isinstance(first, Flow) and len(arguments) == 2:
        return _test(context, layer, first, arguments[1])
    if kind in ("OnesLike", "ZerosLike") and layer.settings.get("dtype") == "bool":
        return Bits(always=kind == "OnesLike")
    if kind == "LogicalOr" and all(isinstance(tensor, Bits) for tensor in arguments):
        return _union(arguments)
    if kind in ("Any", "ExpandDims", "Squeeze") and isinstance(first, Bits):
        if layer.settings.get("axis") not in (-1, [-1], 2):
            raise context.refuse(layer, "axis", "-1")
        return first
    raise ConversionError(f"{layer} reads {arguments!r:.120}, which cannot be expressed")


def _union(tensors: Sequence[Bits]) -> Bits:
    masks = {mask.name: mask for tensor in tensors for mask in tensor.masks}
    return Bits(tuple(masks.values()), any(tensor.always for tensor in tensors))


def _test(context: Context, layer: Layer, flow: Flow, number: Any) -> Bits:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ConversionError(f"{layer} compares with {str(number)[:60]}, expected a number")
    is_float = flow.value.dtype.numpy.kind == "f"
    bits = float32_bits(float(number)) if is_float else int(number)
    return Bits((context.builder.add(Mask, layer.path, [flow.value], bits=bits),))


def mask_of(context: Context, layer: Layer, bits: Bits) -> Value | None:
    """The mask that these bits are, None where they are all True."""
    if bits.always:
        return None
    if not bits.masks:
        raise ConversionError(f"{layer} reads a mask that is False everywhere")
    return _any_of(context, layer, list(bits.masks))


def _arithmetic(context: Context, layer: Layer, operation: Operation, arguments: list[Any]) -> Flow:
    tensors = [entry for entry in arguments if isinstance(entry, Flow)]
    numbers = [entry for entry in arguments if isinstance(entry, int | float)]
    if len(tensors) == 2:
        return _folded(context, layer, tensors, operation)
    if len(tensors) != 1 or len(numbers) != 1 or len(arguments) != 2:
        raise ConversionError(f"{layer} reads {arguments!r:.120}, which cannot be expressed")
    size, number = tensors[0].value.features, float(numbers[0])
    scale, shift = 1.0, number
    if operation is Operation.MULTIPLY:
        scale, shift = number, 0.0
    elif operation is Operation.SUBTRACT:
        scale, shift = (1.0, -number) if arguments[0] is tensors[0] else (-1.0, number)
    value = context.builder.add(
        Affine,
        layer.path,
        [tensors[0].value],
        scale=np.full(size, scale),
        shift=np.full(size, shift),
    )
    return tensors[0].of(value, tensors[0].dims).unmasked()


def _item(context: Context, layer: Layer, arguments: list[Any]) -> Flow:
    """``x[:, -1]``, ``x[:, :, a:b]``: the last or first frame, some features."""
    flow, keys = arguments[0], arguments[1:]
    keys = keys[0] if len(keys) == 1 and isinstance(keys[0], list) else keys
    shown = f"{layer} takes the item {keys!r:.100}"
    if not isinstance(flow, Flow) or not keys or keys[0] != slice(None):
        raise ConversionError(f"{shown}, which cannot be expressed")
    keys = list(keys[1:])
    if flow.in_time and keys:
        frame = keys.pop(0)
        if frame in (-1, 0):
            position = Position.LAST if frame == -1 else Position.FIRST
            flow = flow.of(
                context.builder.add(Take, f"{layer.path}.take", [flow.value], position=position),
                flow.dims,
            )
        elif frame != slice(None):
            raise ConversionError(f"{shown}: of time only the first or the last frame can be taken")
    if keys and len(keys) == len(flow.dims):
        if not all(isinstance(key, int | slice) for key in keys):
            raise ConversionError(f"{shown}, which cannot be expressed")
        index = np.arange(flow.value.features, dtype=np.int32).reshape(flow.dims)[tuple(keys)]
        value = context.builder.add(Select, layer.path, [flow.value], index=index.reshape(-1))
        return flow.of(value, index.shape).unmasked()
    if any(key != slice(None) for key in keys):
        raise ConversionError(f"{shown}, which cannot be expressed")
    return flow.unmasked()
