# SPDX-License-Identifier: Apache-2.0
"""Windows that move along time: convolutions, and pools that average or take the maximum."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grucore.converters.trace.axes import TIME, Data, Unfit, WrongAxes, arrange
from grucore.converters.trace.ops.joins import joined
from grucore.converters.trace.ops.reduce import reduced
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Concat,
    Conv1d,
    Dense,
    Operation,
    Pool1d,
    Pooling,
)
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array

__all__ = ["Window", "convolved", "convolved_in_frame", "windowed", "windowed_in_frame"]

MAX_PLACES = 64  # of a window in one frame
MAX_PADDED_TAPS = 16  # of a window that reaches over the ends
LEAST = 3e38  # minus this is less than any number of a sequence


@dataclass(frozen=True)
class Window:
    """How a window moves along each axis after the first two; padding before and after each.

    ``same``: frames of zeros so that as many come out; the odd one stands at the end ("upper") or
    at the start ("lower").
    """

    taps: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    same: str = ""

    def along(self, x: Data) -> tuple[int, int, int, int, int]:
        """Taps, stride, dilation, padding before and after along time; the others are of size 1."""
        return self.at(x, x.axes.index(TIME) - 2)

    def at(self, x: Data, at: int) -> tuple[int, int, int, int, int]:
        """The same along one of the axes."""
        spatial = x.rank - 2
        each = self.taps, self.strides, self.dilations, self.before, self.after
        if any(len(numbers) != spatial for numbers in each):
            raise Unfit(
                f"a window of {self.taps}, strides {self.strides}, dilations {self.dilations}, "
                f"padding {self.before} and {self.after}: not {spatial} axes of {x.text}"
            )
        for place in range(spatial):
            still = [numbers[place] for numbers in each]
            if place != at and (still[:2] != [1, 1] or still[3:] != [0, 0]):
                raise Unfit(f"goes over more axes of {x.text} than time: not a 1-D convolution")
        taps, stride, dilation, before, after = (int(numbers[at]) for numbers in each)
        reach = dilation * (taps - 1)
        if self.same:
            # With a stride the padding depends on the length, except of one tap, which needs none.
            if stride != 1 and reach:
                raise Unfit(f"padding 'same' with stride {stride}, which depends on the length")
            less = reach // 2
            before, after = (less, reach - less) if self.same == "upper" else (reach - less, less)
        return taps, stride, dilation, before + x.padding[0], after + x.padding[1]


def _checked(x: Data) -> None:
    """Raise unless the axes are (batch, channels, time), or have others of size 1."""
    if x.value.rate is Rate.SEQUENCE or x.axes.count(TIME) != 1:
        raise WrongAxes(f"X is {x.text}, expected (batch, channels, time)")
    if x.axes.index(TIME) < 2 or not x.is_features(1):
        raise WrongAxes(f"X is {x.text}, expected (batch, channels, time)")
    if x.tail:
        raise Unfit(padding_text(x))


def convolved(
    trace: Trace, x: Data, weight: Array, bias: Array | None, window: Window, groups: int
) -> Data:
    """A convolution with weights (channels out, channels in / groups, taps, 1, ...)."""
    _checked(x)
    if weight.ndim != x.rank:
        raise Unfit(f"X is {x.text}, W has shape {weight.shape}: not a 1-D convolution")
    taps = weight.reshape(*weight.shape[:2], -1)
    _, stride, dilation, before, after = window.along(x)
    if taps.shape[2] != weight.shape[x.axes.index(TIME)]:
        raise Unfit(f"X is {x.text}, W has shape {weight.shape}: not a 1-D convolution")
    reach = dilation * (taps.shape[2] - 1)
    tail = 0
    if after > 0 and before + after != reach and stride == 1 and 0 <= before <= reach:
        after, tail = 0, after  # to be cut off by a slice
    _check_padding(before, after, reach)
    if x.index.size != taps.shape[1] * groups or len(taps) % groups:
        raise Unfit(f"X is {x.text} in {groups} groups, W has shape {weight.shape}")
    if bias is not None and bias.shape != (len(taps),):
        raise Unfit(f"B has shape {bias.shape}, expected {(len(taps),)}")
    value = trace.add(
        Conv1d,
        [trace.picked(x.value, x.index)],
        weight=taps.transpose(0, 2, 1),
        bias=np.zeros(len(taps)) if bias is None else bias,
        dilation=dilation,
        stride=stride,
        groups=groups,
        before=before,
        after=after,
    )
    trace.shortest = max(trace.shortest, value.skip + 1, reach + 1 - before - after)
    shape = [1] * x.rank
    shape[1] = len(taps)
    return replace(x, index=arrange(shape), value=value, padding=(0, 0), tail=tail)


def _check_padding(before: int, after: int, reach: int) -> None:
    if before > reach or min(before, after) < 0 or (after and before + after != reach):
        raise Unfit(
            f"pads are {before} and {after}: expected at most {reach} before, and after it "
            f"nothing or what makes {reach} in all"
        )


def windowed(
    trace: Trace, x: Data, window: Window, pooling: Pooling, *, counts: bool = False
) -> Data:
    """The mean or the maximum of each window; ``counts``: frames of its padding count as zeros."""
    _checked(x)
    taps, stride, dilation, before, after = window.along(x)
    if dilation != 1:
        raise Unfit(f"dilation is {dilation}, expected 1")
    if not before and not after:
        value = trace.add(Pool1d, [x.value], taps=taps, stride=stride, pooling=pooling)
        trace.shortest = max(trace.shortest, value.skip + 1)
        return replace(x, value=value)
    is_own = (before, after) != x.padding
    _check_padding(before, after, taps - 1)
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


def convolved_in_frame(
    trace: Trace, x: Data, weight: Array, bias: Array | None, window: Window, groups: int
) -> Data:
    """A convolution over frames side by side in one frame: those of a cache and the new one.

    ``weight`` (out, in / groups, taps) goes over the last axis of a tensor (batch, in, places).
    """
    outputs, inner, _ = weight.shape
    channels, places = x.index.shape[1:]
    if channels != inner * groups or x.index.shape[0] != 1:
        raise Unfit(f"{x.text} for a weight of {inner} channels in {groups} groups")
    _, stride, dilation, before, after = window.at(x, 0)
    taps = dilation * np.arange(weight.shape[2])
    count = (places + before + after - int(taps[-1]) - 1) // stride + 1
    if not 1 <= count <= MAX_PLACES:
        raise Unfit(f"a window with {count} places in one frame, expected 1 to {MAX_PLACES}")
    shift = np.zeros(outputs) if bias is None else bias
    parts = []
    for place in range(count):
        at = place * stride - before + taps
        inside = (at >= 0) & (at < places)
        source = trace.picked(x.value, x.index[0][:, at[inside]])
        matrix = _whole(weight[:, :, inside], groups)
        suffix = str(place) if count > 1 else ""
        parts.append(trace.add(Dense, [source], suffix, weight=matrix, bias=shift))
    value = parts[0] if count == 1 else trace.add(Concat, parts, "all")
    return replace(x, index=arrange((count, outputs)).T[None], value=value)


def windowed_in_frame(
    trace: Trace, x: Data, window: Window, pooling: Pooling, *, counts: bool = False
) -> Data:
    """The mean or the maximum of places side by side in one frame: the last axis."""
    taps, stride, _, before, after = window.at(x, 0)
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


def _whole(weight: Array, groups: int) -> Array:
    """The matrix (out, in x taps) of a weight in groups."""
    outputs, inner, taps = weight.shape
    rows = outputs // groups
    whole = np.zeros((outputs, groups, inner * taps), weight.dtype)
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        whole[part, group] = weight[part].reshape(rows, inner * taps)
    return whole.reshape(outputs, groups * inner * taps)
