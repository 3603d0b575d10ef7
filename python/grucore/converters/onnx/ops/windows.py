# SPDX-License-Identifier: Apache-2.0
"""Windows that move along time: Conv, pools, and the padding before them."""

from __future__ import annotations

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work, number_of
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.trace.axes import FEATURES, Operand, Unfit
from grucore.converters.trace.ops.joins import padded
from grucore.converters.trace.ops.pools import windowed
from grucore.converters.trace.ops.spectra import check_mode
from grucore.converters.trace.ops.views import axis_of
from grucore.converters.trace.ops.windows import Window, convolved, convolved_in_frame
from grucore.graph.layers import Pooling

__all__ = ["WINDOWS"]

SAME = {"SAME_UPPER": "upper", "SAME_LOWER": "lower"}


def _window(node: OnnxNode, taps: tuple[int, ...]) -> Window:
    spatial = len(taps)
    pads = node.get("pads", (0,) * 2 * spatial)
    strides = node.get("strides", (1,) * spatial)
    dilations = node.get("dilations", (1,) * spatial)
    kind = node.get("auto_pad", "NOTSET")
    if kind == "VALID":
        pads = (0,) * 2 * spatial
    # With a stride the padding depends on the length, except of one tap, which needs none.
    strided = max(strides, default=1) != 1 and max(taps, default=1) != 1
    if kind not in ("NOTSET", "", "VALID", *SAME) or (kind in SAME and strided):
        raise Unfit(
            f"attribute auto_pad is {kind!r} with stride {max(strides, default=1)}: expected pads, "
            "which do not depend on the length"
        )
    half = len(pads) // 2
    return Window(taps, strides, dilations, pads[:half], pads[half:], SAME.get(kind, ""))


def _conv(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data, weight = work.data(operands[0]), work.weights(operands[1], "W")
    taps = weight.shape[2:]
    if list(node.get("kernel_shape", taps)) != list(taps):
        raise Unfit(f"attribute kernel_shape is {node.get('kernel_shape', ())}")
    has_bias = len(operands) > 2 and operands[2] is not None
    bias = work.weights(operands[2], "B") if has_bias else None
    window = _window(node, taps)
    if work.in_frames and data.rank == 3 and data.axes[1:] == (FEATURES, FEATURES):
        return convolved_in_frame(work, data, weight, bias, window, int(node.get("group", 1)))
    return convolved(work, data, weight, bias, window, int(node.get("group", 1)))


def _pool(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    if node.written > 1:
        raise Unfit("gives the places of the maxima, which is not supported")
    window = _window(node, tuple(node.get("kernel_shape", ())))
    if node.get("ceil_mode", 0) and max(window.strides, default=1) > 1:
        raise Unfit("attribute ceil_mode is 1: the last window depends on the length")
    pooling = Pooling.MAXIMUM if node.op == "MaxPool" else Pooling.MEAN
    return windowed(work, data, window, pooling, counts=bool(node.get("count_include_pad", 0)))


def _pad(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    check_mode(data, str(node.get("mode", "constant")))
    if node.get("mode", "constant") != "constant":
        raise Unfit(f"attribute mode is {node.get('mode', '')!r}, expected 'constant'")
    given = [*operands, None, None, None]
    fill = node.get("value", 0.0)
    if given[2] is not None:
        fill = number_of(work, given[2], "the padding")
    pads = [int(n) for n in node.get("pads", ())]
    if not pads:
        pads = [int(n) for n in np.reshape(work.constant(given[1], "pads"), -1)]
    axes = list(range(data.rank))
    if given[3] is not None:
        axes = [axis_of(int(n), data.rank) for n in work.constant(given[3], "axes").reshape(-1)]
    if len(pads) != 2 * len(axes):
        raise Unfit(f"pads are {pads} for {len(axes)} axes")
    for place, axis in enumerate(axes):
        data = padded(work, data, axis, pads[place], pads[place + len(axes)], fill)
    return data


POOLED = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
WINDOWS: Table = {
    "Conv": (_conv, ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")),
    "Pad": (_pad, ("mode", "pads", "value")),
    "AveragePool": (_pool, (*POOLED, "count_include_pad")),
    "MaxPool": (_pool, (*POOLED, "storage_order")),
}
