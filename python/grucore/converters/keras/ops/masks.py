# SPDX-License-Identifier: Apache-2.0
"""The tests of keras.ops that masks are made of, as functional models of Keras 3 have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grucore.converters.keras.context import Bits, Context, Flow
from grucore.converters.keras.ops.arguments import operand, tensor, two
from grucore.converters.keras.ops.merge import any_of
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import FEATURES, Spread, Unfit
from grucore.converters.trace.ops import masks
from grucore.graph.layers import Mask
from grucore.graph.node import Value, float32_bits

__all__ = [
    "any_bits",
    "compared",
    "constant_bits",
    "joined",
    "mask_of",
    "negated",
    "same_bits",
    "test",
    "union",
    "where",
]


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


def compared(word: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    """1 where two tensors, or a tensor and a number, compare so."""
    return masks.ordered_by(context, *two(context, layer, arguments), word)


def negated(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    """1 where a mask is 0."""
    return masks.negated(context, operand(arguments[0]))


def joined(word: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    """1 where both masks are ("and"), or one of them ("or")."""
    if word == "or" and any(isinstance(each, Bits) for each in arguments):
        return union(arguments)
    one, other = arguments
    return masks.joined_masks(context, operand(one), operand(other), word)


def where(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    """Numbers of one tensor where a mask is 1, and of another where it is 0."""
    if len(arguments) != 3:
        raise Unfit(f"reads {len(arguments)} tensors, expected 3")
    return masks.chosen(context, *map(operand, arguments))


def constant_bits(context: Context, layer: Layer, arguments: list[Any]) -> Bits | Spread:
    """True or False everywhere; or ones or zeros, of the shape of a tensor."""
    is_one = layer.kind == "ops.OnesLike"
    if layer.settings.get("dtype") == "bool":
        return Bits(always=is_one)
    x = tensor(context, arguments)
    return Spread((FEATURES,) * x.rank, np.full(x.index.shape, float(is_one)))


def mask_of(context: Context, bits: Bits) -> Value | None:
    """The mask that these bits are, None where they are all True."""
    if bits.always:
        return None
    if not bits.masks:
        raise Unfit("reads a mask that is False everywhere")
    return any_of(context, list(bits.masks))
