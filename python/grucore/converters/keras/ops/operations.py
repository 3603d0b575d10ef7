# SPDX-License-Identifier: Apache-2.0
"""Operations of `keras.ops` in functional models: arithmetic, slices, and what makes masks.

Functional models of Keras 3 have in their configs, as operations, how each mask came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras.context import Bits, Context, Flow
from grucore.converters.keras.ops.merge import BINARY, any_of, concatenated, folded
from grucore.converters.keras.ops.windows import crop
from grucore.converters.keras.read.config import Layer
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Dense,
    Mask,
    Operation,
    Pool,
    Pool1d,
    Pooling,
    Position,
    Select,
    Take,
)
from grucore.graph.node import Value, float32_bits

__all__ = ["OPERATIONS", "mask_of", "operation"]

OPERATIONS = {f"ops.{kind}" for kind in (*BINARY, "Concatenate", "GetItem")} - {"ops.Average"}
OPERATIONS |= {f"ops.{kind}" for kind in ("NotEqual", "Any", "LogicalOr", "ExpandDims", "Squeeze")}
OPERATIONS |= {"ops.OnesLike", "ops.ZerosLike", "ops.Divide", "ops.TrueDivide"}
REDUCED = ("Mean", "Max", "Min", "Sum")
OPERATIONS |= {f"ops.{kind}" for kind in REDUCED}
MAX_REDUCED = 64  # features of which a maximum is taken one by one


def operation(context: Context, layer: Layer, arguments: list[Any]) -> Flow | Bits:
    """An operation of `keras.ops`: arithmetic, slices, or a step in the making of a mask."""
    kind = layer.kind.removeprefix("ops.")
    if kind in BINARY:
        return _arithmetic(context, layer, BINARY[kind], arguments)
    if kind in ("Divide", "TrueDivide"):
        return _divided(context, layer, arguments)
    if kind in REDUCED:
        return _reduced(context, layer, kind, arguments)
    if kind == "GetItem":
        return _item(context, layer, arguments)
    first = arguments[0]
    if kind == "Concatenate":
        tensors = first if isinstance(first, list) else []
        if tensors and all(isinstance(tensor, Flow) for tensor in tensors):
            return concatenated(context, layer, tensors, layer.settings.get("axis", -1))
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
    return any_of(context, layer, list(bits.masks))


def _arithmetic(context: Context, layer: Layer, operation: Operation, arguments: list[Any]) -> Flow:
    tensors = [entry for entry in arguments if isinstance(entry, Flow)]
    numbers = [entry for entry in arguments if isinstance(entry, int | float)]
    if len(tensors) == 2:
        return folded(context, layer, tensors, operation)
    if len(tensors) != 1 or len(numbers) != 1 or len(arguments) != 2:
        raise ConversionError(f"{layer} reads {arguments!r:.120}, which cannot be expressed")
    size, number = tensors[0].value.features, float(numbers[0])
    if operation in (Operation.MAXIMUM, Operation.MINIMUM):
        least = operation is Operation.MAXIMUM
        limits = Activation.clip(number, np.inf) if least else Activation.clip(-np.inf, number)
        value = context.builder.add(Activate, layer.path, [tensors[0].value], activation=limits)
        return tensors[0].of(value, tensors[0].dims).unmasked()
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


def _divided(context: Context, layer: Layer, arguments: list[Any]) -> Flow:
    flow, by = (*arguments, None, None)[:2]
    if not isinstance(flow, Flow) or isinstance(by, bool) or not isinstance(by, int | float):
        raise ConversionError(
            f"{layer} divides {arguments!r:.120}, expected a tensor divided by a number"
        )
    if not by:
        raise ConversionError(f"{layer} divides by 0")
    context.check_numbers(layer, flow)
    size = flow.value.features
    scale, shift = np.full(size, 1.0 / by), np.zeros(size)
    value = context.builder.add(Affine, layer.path, [flow.value], scale=scale, shift=shift)
    return flow.of(value, flow.dims).unmasked()


def _reduced(context: Context, layer: Layer, kind: str, arguments: list[Any]) -> Flow:
    """Over all frames, or over the features of each."""
    (flow,) = arguments if len(arguments) == 1 else (None,)
    axis = layer.settings.get("axis")
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    keeps = bool(layer.settings.get("keepdims"))
    if not isinstance(flow, Flow) or not isinstance(axis, int) or len(flow.dims) != 1:
        raise ConversionError(
            f"{layer} reads {arguments!r:.80} over axis {axis}, expected one axis"
        )
    context.check_numbers(layer, flow)
    add, size = context.builder.add, flow.value.features
    if flow.in_time and axis in (1, -2):
        if keeps or kind not in ("Mean", "Max"):
            raise ConversionError(
                f"{layer} over time{' with keepdims' * keeps} cannot be expressed, expected the "
                "mean or the maximum of all frames: a GlobalAveragePooling1D or GlobalMaxPooling1D"
            )
        pooling = Pooling.MEAN if kind == "Mean" else Pooling.MAXIMUM
        return flow.of(add(Pool, layer.path, [flow.value], pooling=pooling)).unmasked()
    context.axis(layer, flow, axis)
    if kind in ("Mean", "Sum"):
        weight = np.full((1, size), 1.0 / size if kind == "Mean" else 1.0)
        value = add(Dense, layer.path, [flow.value], weight=weight, bias=np.zeros(1))
    else:
        if size > MAX_REDUCED:
            raise ConversionError(
                f"{layer} is over {size} features, expected at most {MAX_REDUCED}"
            )
        parts = [
            add(Select, f"{layer.path}.{place}", [flow.value], index=np.array([place], np.int32))
            for place in range(size)
        ]
        value = parts[0]
        operation = Operation.MAXIMUM if kind == "Max" else Operation.MINIMUM
        for part in parts[1:]:
            value = add(Binary, layer.path, [value, part], operation=operation)
    return flow.of(value, (1,) if keeps else ()).unmasked()


def _item(context: Context, layer: Layer, arguments: list[Any]) -> Flow:
    """``x[:, -1]``, ``x[:, 2::2]``, ``x[:, :, a:b]``: some frames, some features."""
    flow, keys = arguments[0], arguments[1:]
    keys = keys[0] if len(keys) == 1 and isinstance(keys[0], list) else keys
    shown = f"{layer} takes the item {keys!r:.100}"
    if not isinstance(flow, Flow) or not keys or keys[0] != slice(None):
        raise ConversionError(f"{shown}, which cannot be expressed")
    keys = list(keys[1:])
    if flow.in_time and keys:
        flow = _frames(context, layer, flow, keys.pop(0), shown)
    if keys and len(keys) == len(flow.dims):
        if not all(isinstance(key, int | slice) for key in keys):
            raise ConversionError(f"{shown}, which cannot be expressed")
        index = np.arange(flow.value.features, dtype=np.int32).reshape(flow.dims)[tuple(keys)]
        value = context.builder.add(Select, layer.path, [flow.value], index=index.reshape(-1))
        return flow.of(value, index.shape).unmasked()
    if any(key != slice(None) for key in keys):
        raise ConversionError(f"{shown}, which cannot be expressed")
    return flow.unmasked()


def _frames(context: Context, layer: Layer, flow: Flow, key: Any, shown: str) -> Flow:
    """The last or first frame, or those from one on, up to one from the end, by a stride."""
    add = context.builder.add
    if context.delayed and isinstance(key, int) and key in (-1, 0):  # of one frame
        return replace(flow, is_row=True)
    if isinstance(key, int) and key in (-1, 0):
        position = Position.LAST if key == -1 else Position.FIRST
        return flow.of(add(Take, f"{layer.path}.take", [flow.value], position=position), flow.dims)
    start, stop, step = (key.start, key.stop, key.step) if isinstance(key, slice) else (0, 0, 0)
    first, last = start or 0, -(stop or 0)
    if not isinstance(key, slice) or first < 0 or last < 0 or stop == 0 or (step or 1) < 1:
        raise ConversionError(
            f"{shown}: of time only the first or the last frame can be taken, or a slice whose "
            "start counts from the start and whose stop counts from the end"
        )
    value = flow.value
    if first or last:
        context.check_numbers(layer, flow)
        value = crop(context, f"{layer.path}.crop", value, first, last)
    if (step or 1) > 1:
        context.check_numbers(layer, flow)
        value = add(Pool1d, f"{layer.path}.stride", [value], taps=1, stride=step)
    return flow.of(value, flow.dims)
