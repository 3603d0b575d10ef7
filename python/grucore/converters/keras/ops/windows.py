# SPDX-License-Identifier: Apache-2.0
"""Keras's layers that shift a window over time: padding, cropping, pooling, and what they share."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.read.config import Layer
from grucore.graph.layers import Binary, Conv1d, Operation, Pool1d, Pooling
from grucore.graph.node import Value

__all__ = ["crop", "cropping", "one", "pool1d", "window_padding", "zero_padding"]


MAX_TAPS, MAX_KERNEL = 65536, 1 << 22  # of the windows that croppings become
MAX_PADDED_TAPS = 16


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
    context.sequence(layer, flow)
    before, after = _two(context, layer, "padding", 1)
    padding = flow.padding[0] + before, flow.padding[1] + after
    return replace(flow, padding=padding).unmasked()


def cropping(context: Context, layer: Layer, flow: Flow) -> Flow:
    """The sequence without its first and last frames."""
    context.settings(layer, {"cropping"})
    context.sequence(layer, flow)
    before, after = _two(context, layer, "cropping", 1)
    return flow.of(crop(context, layer.path, flow.value, before, after)).unmasked()


def crop(context: Context, name: str, value: Value, before: int, after: int) -> Value:
    """Without the first and last frames: a window that gives one of its frames."""
    step = math.gcd(before, after)
    if not step:
        return value
    taps = (before + after) // step + 1
    if taps > MAX_TAPS or taps * value.features > MAX_KERNEL:
        raise ConversionError(
            f"{name!r} cuts off {before} and {after} frames of {value.features} features, expected "
            f"at most {MAX_KERNEL} numbers in all"
        )
    kernel = np.zeros((value.features, taps, 1))
    kernel[:, before // step] = 1.0
    return context.builder.add(
        Conv1d,
        name,
        [value],
        weight=kernel,
        bias=np.zeros(value.features),
        dilation=step,
        groups=value.features,
    )


def window_padding(
    context: Context, layer: Layer, flow: Flow, reach: int, stride: int
) -> tuple[int, int]:
    """Frames of zeros before and after, for a window that reaches over so many more frames."""
    name = "border_mode" if "border_mode" in layer.settings else "padding"
    match layer.settings.get(name, "valid"):
        case "valid":
            before, after = 0, 0
        case "causal":
            before, after = reach, 0
        case "same":
            before, after = _same(context, layer, flow.value, reach, stride)
        case _:
            raise context.refuse(layer, name, "valid, same or causal")
    before, after = before + flow.padding[0], after + flow.padding[1]
    if before > reach or (after and before + after != reach):
        raise ConversionError(
            f"{layer} reads {before} frames of zeros before the sequence and {after} after it, "
            f"expected at most {reach} before it or, with some after it, {reach} in all, as its "
            f"window has {reach + 1} frames"
        )
    return before, after


def _same(context: Context, layer: Layer, value: Value, reach: int, stride: int) -> tuple[int, int]:
    """Frames of zeros of padding='same', by which a stride of s gives every s-th part of a frame.

    Keras pads for the length at hand, so that the place of the first window depends on the rest
    that the length leaves, divided by the stride: of a known length, or where it is the same for
    all rests, the place is known.
    """
    frames = frames_of(context, value)
    rests = range(1, stride + 1) if frames is None else [frames % stride or stride]
    totals = [max(reach + 1 - rest, 0) for rest in rests]
    if len({total // 2 for total in totals}) > 1:
        raise ConversionError(
            f"{layer} has strides={stride} with padding='same', which pads as the length of the "
            "sequence asks for: expected an input of known length, or another padding"
        )
    if frames is not None and stride > 1:
        context.notes["frames"] = context.frames
    before = totals[0] // 2
    return before, (reach - before if any(totals) else 0)


def frames_of(context: Context, value: Value) -> int | None:
    """The frames that a value has, where the model knows one length only."""
    return None if context.frames is None else value.count(context.frames)


def pool1d(context: Context, layer: Layer, flow: Flow) -> Flow:
    """MaxPooling1D and AveragePooling1D."""
    old = {"pool_length", "stride", "border_mode"}  # Keras 1
    context.settings(layer, {"pool_size", "strides", "padding", "data_format", *old})
    check_channels_last(context, layer)
    context.sequence(layer, flow)
    taps = one(context, layer, "pool_size", "pool_length", default=2)
    stride = one(context, layer, "strides", "stride", default=taps)
    if flow.padding != (0, 0):
        return _padded_pool(context, layer, flow, taps, stride)
    if window_padding(context, layer, flow, taps - 1, stride) != (0, 0):
        raise ConversionError(
            f"{layer} has padding='same', expected 'valid' or a known length that needs none: "
            "windows at the ends have fewer frames, of which Keras's back ends make different means"
        )
    pooling = Pooling.MAXIMUM if layer.kind.startswith("Max") else Pooling.MEAN
    settings: dict[str, Any] = {"taps": taps, "stride": stride, "pooling": pooling}
    return flow.of(context.builder.add(Pool1d, layer.path, [flow.value], **settings)).unmasked()


def _padded_pool(context: Context, layer: Layer, flow: Flow, taps: int, stride: int) -> Flow:
    """A pool over frames of zeros, which count: a mean is a convolution, a maximum many of them."""
    name = "border_mode" if "border_mode" in layer.settings else "padding"
    if layer.settings.get(name, "valid") != "valid":
        raise context.refuse(layer, name, "valid after a ZeroPadding1D")
    padding = window_padding(context, layer, flow, taps - 1, stride)
    maximum = layer.kind.startswith("Max")
    if maximum and taps > MAX_PADDED_TAPS:
        raise ConversionError(
            f"{layer} has a window of {taps} frames over zeros, expected at most {MAX_PADDED_TAPS}"
        )
    size = flow.value.features
    kernels = np.eye(taps) if maximum else np.full((1, taps), 1.0 / taps)
    parts = [
        context.builder.add(
            Conv1d,
            f"{layer.path}.{place}" if maximum else layer.path,
            [flow.value],
            weight=np.broadcast_to(kernel[None, :, None], (size, taps, 1)).copy(),
            bias=np.zeros(size),
            groups=size,
            stride=stride,
            before=padding[0],
            after=padding[1],
        )
        for place, kernel in enumerate(kernels)
    ]
    value = parts[0]
    for part in parts[1:]:
        operands = [value, part]
        value = context.builder.add(Binary, layer.path, operands, operation=Operation.MAXIMUM)
    return Flow(value, flow.dims)
