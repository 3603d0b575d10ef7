# SPDX-License-Identifier: Apache-2.0
"""Keras's layers that shift a window over time: padding, cropping, pooling, and what they share."""

from __future__ import annotations

from typing import Any

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Unfit
from grucore.converters.trace.ops.joins import padded
from grucore.converters.trace.ops.pieces import ENDLESS, sliced
from grucore.converters.trace.ops.pools import windowed, windowed_in_frame
from grucore.converters.trace.ops.views import transposed
from grucore.converters.trace.ops.windows import Window
from grucore.graph.layers import Pooling

__all__ = [
    "bands_of",
    "check_channels_last",
    "cropping",
    "one",
    "pool1d",
    "pool2d",
    "two_of",
    "window_of",
    "window_over_bands",
    "zero_padding",
]

MOST_RESTS = 1 << 16  # beyond the taps that a window may have


def one(context: Context, layer: Layer, *names: str, default: int | None = None) -> int:
    """A setting of one number for the axis of time, under the first of its names that is there."""
    for name in names:
        found = layer.settings.get(name)
        if isinstance(found, list | tuple) and len(found) == 1:
            found = found[0]
        if isinstance(found, int) and found >= 1:
            return found
        if found is not None:
            raise context.refuse(layer, name, "one number")
    if default is None:
        raise context.refuse(layer, names[0], "a number")
    return default


def _two(context: Context, layer: Layer, name: str, default: int) -> tuple[int, int]:
    """A setting of frames before and after."""
    found = layer.settings.get(name, default)
    pair = (found, found) if isinstance(found, int) else found
    fits = isinstance(pair, list | tuple) and len(pair) == 2
    if not fits or not all(isinstance(count, int) and count >= 0 for count in pair):
        raise context.refuse(layer, name, "frames before and after")
    return pair[0], pair[1]


def check_channels_last(context: Context, layer: Layer) -> None:
    """Raise unless time stands before features."""
    if layer.settings.get("data_format") not in (None, "channels_last"):
        raise context.refuse(layer, "data_format", "channels_last")


def zero_padding(context: Context, layer: Layer, flow: Flow) -> Flow:
    """Frames of zeros, which the convolution that comes next takes up."""
    context.settings(layer, {"padding", "data_format"})
    check_channels_last(context, layer)
    return Flow(padded(context, context.sequence(flow), 1, *_two(context, layer, "padding", 1)))


def cropping(context: Context, layer: Layer, flow: Flow) -> Flow:
    """The sequence without its first and last frames."""
    context.settings(layer, {"cropping"})
    before, after = _two(context, layer, "cropping", 1)
    x = context.sequence(flow)
    return Flow(sliced(context, x, 1, before, -after if after else ENDLESS))


def window_of(
    context: Context, layer: Layer, x: Data, taps: int, stride: int, dilation: int = 1
) -> Window:
    """A window along axis 1, with the frames of zeros that its setting of padding means."""
    name = "border_mode" if "border_mode" in layer.settings else "padding"
    reach = dilation * (taps - 1)
    match layer.settings.get(name, "valid"):
        case "valid":
            before, after = 0, 0
        case "causal":
            before, after = reach, 0
        case "same":
            before, after = _same(context, layer, x, reach, stride)
        case _:
            raise context.refuse(layer, name, "valid, same or causal")
    return Window((taps,), (stride,), (dilation,), (before,), (after,))


def _totals(context: Context, x: Data, reach: int, stride: int) -> list[int]:
    """Frames of zeros in all, for each rest that the length may leave."""
    length = context.size(x, 1)
    # A longer rest leaves nothing to pad, as the last of these does; a hostile file names any.
    most = min(stride, reach + 1, MOST_RESTS)
    rests = [length % stride or stride] if isinstance(length, int) else range(1, most + 1)
    return [max(reach + 1 - rest, 0) for rest in rests]


def _same(context: Context, layer: Layer, x: Data, reach: int, stride: int) -> tuple[int, int]:
    """Frames of zeros of padding='same', by which a stride of s gives every s-th part of a frame.

    Keras pads for the length at hand, so that the place of the first window depends on the rest
    that the length leaves, divided by the stride: of a known length, or where it is the same for
    all rests, the place is known.
    """
    length = context.size(x, 1)
    frames = length if isinstance(length, int) else None
    totals = _totals(context, x, reach, stride)
    if len({total // 2 for total in totals}) > 1:
        raise ConversionError(
            f"{layer} has strides={stride} with padding='same', which pads as the length of the "
            "sequence asks for: expected an input of known length, or another padding"
        )
    before = totals[0] // 2
    if x.is_features(1):
        return before, totals[0] - before
    if frames is not None and stride > 1:
        context.notes["frames"] = context.frames
    return before, (reach - before if any(totals) else 0)


def pool1d(context: Context, layer: Layer, flow: Flow) -> Flow:
    """MaxPooling1D and AveragePooling1D."""
    old = {"pool_length", "stride", "border_mode"}  # Keras 1
    context.settings(layer, {"pool_size", "strides", "padding", "data_format", *old})
    check_channels_last(context, layer)
    x = context.numbers(flow)
    if x.rank != 3:
        raise Unfit(f"reads {x.text}, expected (batch, time, features)")
    taps = one(context, layer, "pool_size", "pool_length", default=2)
    stride = one(context, layer, "strides", "stride", default=taps)
    window = window_of(context, layer, x, taps, stride)
    pooling = Pooling.MAXIMUM if layer.kind.startswith("Max") else Pooling.MEAN
    odd = [total for total in _totals(context, x, taps - 1, stride) if total % 2]
    if pooling is Pooling.MEAN and taps > 2 and odd and any((*window.before, *window.after)):
        raise ConversionError(
            f"{layer} has padding='same' by {odd[0]} frames in all, one more behind than in front: "
            "of these windows Keras's back ends make different means. Expected an odd pool_size, "
            "or 'valid'"
        )
    pool = windowed_in_frame if x.is_features(1) else windowed
    pooled: Any = pool(context, context.data(transposed(x, (0, 2, 1))), window, pooling)
    return Flow(transposed(pooled, (0, 2, 1)))


def two_of(context: Context, layer: Layer, name: str, default: int | None) -> tuple[int, int]:
    """A setting for the axes of time and bands: two numbers, or one for both."""
    found = layer.settings.get(name)
    found = default if found is None else found
    pair = [found, found] if isinstance(found, int) else found
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise context.refuse(layer, name, "two numbers")
    if not all(isinstance(number, int) and number >= 1 for number in pair):
        raise context.refuse(layer, name, "two numbers above 0")
    return pair[0], pair[1]


def bands_of(context: Context, flow: Flow) -> Data:
    """A sequence (batch, time, bands, channels)."""
    x = context.sequence(flow)
    if x.rank != 4 or x.is_features(1):
        raise Unfit(f"reads {x.text}, expected (batch, time, bands, channels)")
    return x


def window_over_bands(
    context: Context,
    layer: Layer,
    x: Data,
    taps: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int] = (1, 1),
) -> Window:
    """A window along time and bands, with the zeros that its setting of padding means."""
    along = window_of(context, layer, x, taps[0], strides[0], dilations[0])
    before = after = 0
    if layer.settings.get("padding") == "same":
        size, reach = x.index.shape[2], dilations[1] * (taps[1] - 1)
        total = max(reach + 1 - (size % strides[1] or strides[1]), 0)
        before, after = total // 2, total - total // 2
    return Window(taps, strides, dilations, (*along.before, before), (*along.after, after))


def pool2d(context: Context, layer: Layer, flow: Flow) -> Flow:
    """MaxPooling2D and AveragePooling2D."""
    context.settings(layer, {"pool_size", "strides", "padding", "data_format"})
    check_channels_last(context, layer)
    x, taps = bands_of(context, flow), two_of(context, layer, "pool_size", 2)
    strides = two_of(context, layer, "strides", None) if layer.settings.get("strides") else taps
    window = window_over_bands(context, layer, x, taps, strides)
    is_mean = not layer.kind.startswith("Max")
    if is_mean and any((*window.before, *window.after)):
        raise context.refuse(layer, "padding", "valid")
    pooling = Pooling.MEAN if is_mean else Pooling.MAXIMUM
    found = windowed(context, context.data(transposed(x, (0, 3, 1, 2))), window, pooling)
    return Flow(transposed(found, (0, 2, 3, 1)))
