# SPDX-License-Identifier: Apache-2.0
"""AveragePool and MaxPool: windows that move along time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axis, Data, Operand
from grucore.converters.onnx.state.context import Work, arrange
from grucore.graph.layers import Conv1d, Pool1d, Pooling
from grucore.graph.node import Rate
from grucore.graph.tensors import Array

__all__ = ["WINDOWS"]

Operands = Sequence[Operand | None]


def _pool(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    spatial = len(data.axes) - 2
    if data.value.rate is Rate.SEQUENCE or data.axes.count(Axis.TIME) != 1:
        raise node.contradict(f"X is {data.text}, expected (batch, channels, time)")
    at = data.axes.index(Axis.TIME) - 2
    if at < 0 or data.axes[1] is not Axis.FEATURES:
        raise node.contradict(f"X is {data.text}, expected (batch, channels, time)")
    taps = node.get("kernel_shape", ())
    strides = node.get("strides", (1,) * spatial)
    dilations = node.get("dilations", (1,) * spatial)
    pads = node.get("pads", (0,) * 2 * spatial)
    if not len(taps) == len(strides) == len(dilations) == spatial or len(pads) != 2 * spatial:
        raise node.refuse(
            f"kernel_shape {taps}, strides {strides}, pads {pads}: not {spatial} axes"
        )
    for place in range(spatial):
        if place != at and (taps[place], strides[place], pads[place::spatial]) != (1, 1, (0, 0)):
            raise node.refuse(f"goes over more axes of {data.text} than time")
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "", "VALID") or dilations[at] != 1:
        raise node.refuse("attribute auto_pad or dilations is set, expected neither")
    if node.written > 1:
        raise node.refuse("gives the places of the maxima, which is not supported")
    if node.get("ceil_mode", 0) and strides[at] > 1:
        raise node.refuse("attribute ceil_mode is 1: the last window depends on the length")
    before, after = pads[at], pads[at + spatial]
    value = work.picked(data.value, data.index, node.name or node.op)
    shape = data.index.shape
    padded = before or after or data.padding != (0, 0)
    if not padded:
        pooling = Pooling.MAXIMUM if node.op == "MaxPool" else Pooling.MEAN
        found = work.builder.add(
            Pool1d,
            node.name or "pool1d",
            [value],
            taps=int(taps[at]),
            stride=int(strides[at]),
            pooling=pooling,
        )
        return [Data(data.axes, arrange(data.axes, shape), found)]
    counts = bool(node.get("count_include_pad", 0)) or not (before or after)
    if node.op == "MaxPool" or not counts:
        raise node.refuse(
            f"pads {before} and {after} that do not count: expected none, or an average with "
            "count_include_pad=1"
        )
    before, after = before + data.padding[0], after + data.padding[1]
    reach = int(taps[at]) - 1
    if before > reach or min(before, after) < 0 or (after and before + after != reach):
        raise node.refuse(
            f"pads are {before} and {after}: expected at most {reach} before, and after it "
            f"nothing or what makes {reach} in all"
        )
    # The padding counts as zeros: a product of equal weights over each channel.
    weight: Array = np.full((value.features, int(taps[at]), 1), 1 / taps[at])
    found = work.builder.add(
        Conv1d,
        node.name or "pool1d",
        [value],
        weight=weight,
        bias=np.zeros(value.features),
        stride=int(strides[at]),
        groups=value.features,
        before=int(before),
        after=int(after),
    )
    return [Data(data.axes, arrange(data.axes, shape), found)]


POOLED = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
WINDOWS = {
    "AveragePool": (_pool, (*POOLED, "count_include_pad")),
    "MaxPool": (_pool, (*POOLED, "storage_order")),
}
