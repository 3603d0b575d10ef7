# SPDX-License-Identifier: Apache-2.0
"""Convolutions: windows that move along time, and along bands or places in a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grucore.converters.trace.axes import TIME, Data, Unfit, WrongAxes, arrange
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import Concat, Conv1d, Dense
from grucore.graph.node import Rate
from grucore.graph.tensors import Array

__all__ = [
    "MAX_PLACES",
    "Window",
    "band_axis",
    "check_axes",
    "check_padding",
    "convolved",
    "convolved_in_frame",
]

MAX_UNROLLED = 1 << 20  # weights of a convolution over bands
MAX_PLACES = 64  # of a window in one frame


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

    def alone(self, place: int) -> Window:
        """The same along one of two axes."""
        each = self.taps, self.strides, self.dilations, self.before, self.after
        if any(len(numbers) != 2 for numbers in each):
            raise Unfit(f"a window of {self.taps} over two axes")
        taps, strides, dilations, before, after = ((int(numbers[place]),) for numbers in each)
        return Window(taps, strides, dilations, before, after, self.same)

    @property
    def numbers(self) -> tuple[int, int, int, int, int]:
        """Taps, stride, dilation, padding before and after along the first axis."""
        each = self.taps, self.strides, self.dilations, self.before, self.after
        taps, stride, dilation, before, after = (int(numbers[0]) for numbers in each)
        return taps, stride, dilation, before, after

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
            before, after = _same(reach, stride, self.same)
        return taps, stride, dilation, before + x.padding[0], after + x.padding[1]


def check_axes(x: Data) -> None:
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
    check_axes(x)
    if weight.ndim != x.rank:
        raise Unfit(f"X is {x.text}, W has shape {weight.shape}: not a 1-D convolution")
    if x.rank == 4 and (x.index.size > x.index.shape[1] or weight.shape[band_axis(x)] > 1):
        return _over_bands(trace, x, weight, bias, window, groups)
    taps = weight.reshape(*weight.shape[:2], -1)
    _, stride, dilation, before, after = window.along(x)
    if taps.shape[2] != weight.shape[x.axes.index(TIME)]:
        raise Unfit(f"X is {x.text}, W has shape {weight.shape}: not a 1-D convolution")
    reach = dilation * (taps.shape[2] - 1)
    tail = 0
    if after > 0 and before + after != reach and stride == 1 and 0 <= before <= reach:
        after, tail = 0, after  # to be cut off by a slice
    check_padding(before, after, reach)
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


def band_axis(x: Data) -> int:
    """The axis of bands of a tensor (batch, channels, time, bands), or with the last two turned."""
    return 5 - x.axes.index(TIME)


def _over_bands(
    trace: Trace, x: Data, weight: Array, bias: Array | None, window: Window, groups: int
) -> Data:
    """A convolution over time and bands, as one over time whose channels are bands of channels:
    the kernel stands once for each place that it has along the bands."""
    axis = band_axis(x)
    bands, place = x.index.shape[axis], axis - 2
    taps, stride, dilation, before, after = window.alone(place).numbers
    if window.same:
        before, after = _same(dilation * (taps - 1), stride, window.same)
    count = (bands + before + after - dilation * (taps - 1) - 1) // stride + 1
    outputs, inner = weight.shape[:2]
    channels = x.index.shape[1]
    if channels != inner * groups or outputs % groups or count < 1 or not weight.size:
        raise Unfit(f"X is {x.text} in {groups} groups, W has shape {weight.shape}")
    kernel = np.moveaxis(weight, axis, 3)  # taps along time, then along bands
    most = outputs * count * channels * bands * kernel.shape[2]
    if most > MAX_UNROLLED:
        raise Unfit(
            f"goes over {bands} bands of {channels} channels with a kernel of {taps}: as one over "
            f"time alone it has {most} weights, expected at most {MAX_UNROLLED}. A stride or fewer "
            "bands or channels make it smaller"
        )
    whole = np.zeros((outputs, count, channels, bands, kernel.shape[2]))
    rows = outputs // groups
    for group in range(groups):
        own, read = slice(group * rows, (group + 1) * rows), slice(group * inner, None)
        for at in range(count):
            for tap in range(taps):
                band = at * stride - before + tap * dilation
                if 0 <= band < bands:
                    part = whole[own, at, read][:, :inner, band]
                    part += kernel[own, :, :, tap]
    axes = (*x.axes[:2], TIME)
    found = convolved(
        trace,
        x.moved(axes, x.index.reshape(1, -1, 1)),
        whole.reshape(outputs * count, channels * bands, -1),
        None if bias is None else np.repeat(bias, count),
        window.alone(1 - place),
        1,
    )
    shape = (1, outputs, *((1, count) if axis == 3 else (count, 1)))
    return found.moved(x.axes, found.index.reshape(shape))


def _same(reach: int, stride: int, same: str) -> tuple[int, int]:
    """Zeros before and after so that as many come out."""
    # With a stride the padding depends on the length, except of one tap, which needs none.
    if stride != 1 and reach:
        raise Unfit(f"padding 'same' with stride {stride}, which depends on the length")
    less = reach // 2
    return (less, reach - less) if same == "upper" else (reach - less, less)


def check_padding(before: int, after: int, reach: int) -> None:
    if before > reach or min(before, after) < 0 or (after and before + after != reach):
        raise Unfit(
            f"pads are {before} and {after}: expected at most {reach} before, and after it "
            f"nothing or what makes {reach} in all"
        )


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


def _whole(weight: Array, groups: int) -> Array:
    """The matrix (out, in x taps) of a weight in groups."""
    outputs, inner, taps = weight.shape
    rows = outputs // groups
    whole = np.zeros((outputs, groups, inner * taps), weight.dtype)
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        whole[part, group] = weight[part].reshape(rows, inner * taps)
    return whole.reshape(outputs, groups * inner * taps)
