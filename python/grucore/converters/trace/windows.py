# SPDX-License-Identifier: Apache-2.0
"""Windows that move along time: convolutions, and pools that average or take the maximum."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grucore.converters.trace.axes import TIME, Data, Unfit, WrongAxes, arrange
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import Binary, Concat, Conv1d, Dense, Operation, Pool1d, Pooling
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array

__all__ = ["Window", "convolved", "convolved_in_frame", "windowed"]

MAX_PLACES = 64  # of a window in one frame
MAX_PADDED_TAPS = 16  # of a window that takes the maximum of zeros as well


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
    if is_own and not (counts and pooling is Pooling.MEAN):
        raise Unfit(
            f"pads {before} and {after} that do not count: expected none, or an average "
            "that counts them as zeros"
        )
    _check_padding(before, after, taps - 1)
    if pooling is Pooling.MEAN:
        kernels: Array = np.full((1, taps), 1 / taps)
    elif taps <= MAX_PADDED_TAPS:
        kernels = np.eye(taps)
    else:
        raise Unfit(f"a window of {taps} frames over zeros, expected at most {MAX_PADDED_TAPS}")
    return replace(
        x, value=_over_zeros(trace, x.value, kernels, stride, (before, after)), padding=(0, 0)
    )


def _over_zeros(
    trace: Trace, value: Value, kernels: Array, stride: int, padding: tuple[int, int]
) -> Value:
    """The largest of what each kernel gives of each feature, with zeros around the sequence."""
    parts = [
        trace.add(
            Conv1d,
            [value],
            str(number) if len(kernels) > 1 else "",
            weight=np.tile(kernel[:, None], (value.features, 1, 1)),
            bias=np.zeros(value.features),
            groups=value.features,
            stride=stride,
            before=padding[0],
            after=padding[1],
        )
        for number, kernel in enumerate(kernels)
    ]
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


def _whole(weight: Array, groups: int) -> Array:
    """The matrix (out, in x taps) of a weight in groups."""
    outputs, inner, taps = weight.shape
    rows = outputs // groups
    whole = np.zeros((outputs, groups, inner * taps), weight.dtype)
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        whole[part, group] = weight[part].reshape(rows, inner * taps)
    return whole.reshape(outputs, groups * inner * taps)
