# SPDX-License-Identifier: Apache-2.0
"""Pools: windows that average or take the maximum, along time, bands or places in a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grucore.converters.trace.axes import TIME, Data, Unfit
from grucore.converters.trace.ops.joins import joined
from grucore.converters.trace.ops.reduce import reduced
from grucore.converters.trace.ops.windows import (
    MAX_PLACES,
    Window,
    band_axis,
    check_axes,
    check_padding,
)
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Conv1d,
    Operation,
    Pool1d,
    Pooling,
)
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["windowed", "windowed_in_frame"]

MAX_PADDED_TAPS = 16  # of a window that reaches over the ends
LEAST = 3e38  # minus this is less than any number of a sequence


def windowed(
    trace: Trace, x: Data, window: Window, pooling: Pooling, *, counts: bool = False
) -> Data:
    """The mean or the maximum of each window; ``counts``: frames of its padding count as zeros."""
    check_axes(x)
    if x.rank == 4 and len(window.taps) == 2:
        x, window = _pooled_bands(trace, x, window, pooling, counts=counts)
        if (window.taps, window.strides) == ((1,), (1,)):
            return x
        bands = x
        flat = x.moved((*x.axes[:2], TIME), x.index.reshape(1, -1, 1))
        found = windowed(trace, flat, window, pooling, counts=counts)
        return found.moved(bands.axes, found.index.reshape(bands.index.shape))
    taps, stride, dilation, before, after = window.along(x)
    if dilation != 1:
        raise Unfit(f"dilation is {dilation}, expected 1")
    if not before and not after:
        value = trace.add(Pool1d, [x.value], taps=taps, stride=stride, pooling=pooling)
        trace.shortest = max(trace.shortest, value.skip + 1)
        return replace(x, value=value)
    is_own = (before, after) != x.padding
    check_padding(before, after, taps - 1)
    if is_own and not (counts and pooling is Pooling.MEAN):
        if x.padding != (0, 0):
            raise Unfit("has padding of its own that does not count, over frames of zeros that do")
        value = _over_frames(trace, x, taps, stride, (before, after), pooling)
        return replace(x, value=value, padding=(0, 0))
    if pooling is Pooling.MEAN:
        kernels: Array = np.full((1, taps), 1 / taps)
    elif taps <= MAX_PADDED_TAPS:
        kernels = np.eye(taps)
    else:
        raise Unfit(f"a window of {taps} frames over zeros, expected at most {MAX_PADDED_TAPS}")
    parts = [
        _shifted(trace, x.value, kernel, stride, (before, after), str(number))
        for number, kernel in enumerate(kernels)
    ]
    return replace(x, value=_greatest(trace, parts), padding=(0, 0))


def _over_frames(
    trace: Trace, x: Data, taps: int, stride: int, padding: tuple[int, int], pooling: Pooling
) -> Value:
    """The mean or the maximum of those frames of each window that are frames of the sequence."""
    if taps > MAX_PADDED_TAPS:
        raise Unfit(
            f"a window of {taps} frames that reaches over the ends, expected at most "
            f"{MAX_PADDED_TAPS}"
        )
    first = trace.picked(x.value, np.zeros(1, np.int64))
    one = trace.add(Activate, [first], "one", activation=Activation.clip(1.0, 1.0))
    everywhere = np.zeros(x.value.features, np.int64)
    if pooling is Pooling.MAXIMUM:
        parts = []
        for tap, kernel in enumerate(np.eye(taps)):
            part = _shifted(trace, x.value, kernel, stride, padding, str(tap))
            if tap != padding[0]:  # which is never past an end
                there = _shifted(trace, one, kernel, stride, padding, f"{tap}.there")
                # 1 or 0 whatever becomes of the weights; then nothing, or less than any number.
                bit = _affine(trace, _steep(trace, there, 0.5), LEAST, -LEAST)
                apart = trace.picked(bit, everywhere)
                part = trace.add(Binary, [part, apart], operation=Operation.ADD)
            parts.append(part)
        return _greatest(trace, parts)
    total = _shifted(trace, x.value, np.ones(taps), stride, padding, "sum")
    count = _shifted(trace, one, np.ones(taps), stride, padding, "count")
    share = _affine(trace, count, 0.0, 1.0)
    for least in range(1, taps):  # 1 / (least + 1) is less than 1 / least by so much
        step = _affine(trace, _steep(trace, count, least + 0.5), 1 / (least + 1) - 1 / least, 0.0)
        share = trace.add(Binary, [share, step], operation=Operation.ADD)
    wide = trace.picked(share, everywhere)
    return trace.add(Binary, [total, wide], operation=Operation.MULTIPLY)


def _pooled_bands(
    trace: Trace, x: Data, window: Window, pooling: Pooling, *, counts: bool
) -> tuple[Data, Window]:
    """The windows along bands alone, and the window along time that is left."""
    axis = band_axis(x)
    own = window.alone(axis - 2)
    taps, stride, dilation, *_ = own.numbers
    rest = window.alone(3 - axis)
    if (taps, stride) == (1, 1):
        return x, rest
    if dilation != 1 or (window.same and taps > 1):
        raise Unfit(f"a window of {window.taps} over bands with dilation or padding 'same'")
    if not x.is_plain:
        raise Unfit(padding_text(x))
    order = (0, 1, 2, 3) if axis == 3 else (0, 1, 3, 2)
    turned = x.moved(tuple(x.axes[place] for place in order), x.index.transpose(order))
    found = windowed_in_frame(trace, turned, own, pooling, counts=counts)
    return found.moved(
        tuple(found.axes[place] for place in order), found.index.transpose(order)
    ), rest


def _affine(trace: Trace, value: Value, scale: float, shift: float) -> Value:
    size = value.features
    return trace.add(Affine, [value], scale=np.full(size, scale), shift=np.full(size, shift))


def _steep(trace: Trace, value: Value, bound: float) -> Value:
    """1 above a bound and 0 below, of whole numbers on both sides."""
    line = _affine(trace, value, 4.0, 0.5 - 4.0 * bound)
    return trace.add(Activate, [line], activation=Activation.clip(0.0, 1.0))


def _shifted(
    trace: Trace, value: Value, kernel: Array, stride: int, padding: tuple[int, int], suffix: str
) -> Value:
    """Each feature through one kernel (taps,), with zeros around the sequence."""
    return trace.add(
        Conv1d,
        [value],
        suffix,
        weight=np.tile(kernel[:, None], (value.features, 1, 1)),
        bias=np.zeros(value.features),
        groups=value.features,
        stride=stride,
        before=padding[0],
        after=padding[1],
    )


def _greatest(trace: Trace, parts: list[Value]) -> Value:
    found = parts[0]
    for part in parts[1:]:
        found = trace.add(Binary, [found, part], operation=Operation.MAXIMUM)
    return found


def windowed_in_frame(
    trace: Trace, x: Data, window: Window, pooling: Pooling, *, counts: bool = False
) -> Data:
    """The mean or the maximum of places side by side in one frame: the last axis."""
    taps, stride, _, before, after = window.numbers
    shape = x.index.shape
    count = (shape[-1] + before + after - taps) // stride + 1
    if not 1 <= count <= MAX_PLACES or (counts and (before or after)):
        raise Unfit(f"a window with {count} places in one frame, expected 1 to {MAX_PLACES}")
    word = "mean" if pooling is Pooling.MEAN else "max"
    parts = []
    for place in range(count):
        start = place * stride - before
        inside = x.index[..., max(start, 0) : start + taps]
        parts.append(reduced(trace, x.moved(x.axes, inside), [x.rank - 1], word, keep=True))
    return trace.data(joined(trace, parts, x.rank - 1))
