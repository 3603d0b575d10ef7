# SPDX-License-Identifier: Apache-2.0
"""The tests of keras.ops that masks are made of, as functional models of Keras 3 have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore.converters.keras.context import Bits, Context, Flow
from grucore.converters.keras.ops.merge import any_of
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Unfit
from grucore.graph.layers import Mask
from grucore.graph.node import Value, float32_bits

__all__ = ["any_bits", "constant_bits", "mask_of", "same_bits", "test", "union"]


def same_bits(context: Context, layer: Layer, bits: Bits) -> Bits:
    """The same test after an axis of size 1 came or went."""
    if layer.settings.get("axis") not in (-1, [-1], 2):
        raise context.refuse(layer, "axis", "-1")
    return bits


def any_bits(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    """True where one feature of a frame is."""
    if not isinstance(arguments[0], Bits):
        raise Unfit("reads numbers, expected the test that a mask is made of")
    return same_bits(context, layer, arguments[0])


def union(tensors: Sequence[Any]) -> Bits:
    """True where one of several tests is."""
    if not all(isinstance(tensor, Bits) for tensor in tensors):
        raise Unfit("reads numbers, expected the tests that a mask is made of")
    masks = {mask.name: mask for tensor in tensors for mask in tensor.masks}
    return Bits(tuple(masks.values()), any(tensor.always for tensor in tensors))


def test(context: Context, layer: Layer, arguments: list[Any]) -> Bits:
    """True where a number is not the one that masked frames have."""
    flow, number = (*arguments, None, None)[:2]
    if not isinstance(flow, Flow) or isinstance(number, bool | Flow) or np.size(number) != 1:
        raise Unfit(f"compares {str(arguments)[:80]}, expected a tensor with a number")
    value = context.ordered(flow.tensor)
    is_float = value.dtype.numpy.kind == "f"
    number = float(np.asarray(number, np.float64).reshape(-1)[0])
    bits = float32_bits(number) if is_float else int(number)
    return Bits((context.add(Mask, [value], bits=bits),))


def constant_bits(context: Context, layer: Layer, arguments: list[Any]) -> Bits:
    """True or False everywhere."""
    if layer.settings.get("dtype") != "bool":
        raise context.refuse(layer, "dtype", "bool")
    return Bits(always=layer.kind == "ops.OnesLike")


def mask_of(context: Context, bits: Bits) -> Value | None:
    """The mask that these bits are, None where they are all True."""
    if bits.always:
        return None
    if not bits.masks:
        raise Unfit("reads a mask that is False everywhere")
    return any_of(context, list(bits.masks))
