# SPDX-License-Identifier: Apache-2.0
"""Operators with weights: MatMul, Gemm, Conv, and Gather as an embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore.converters.onnx.ops.cached import conv_in_frame
from grucore.converters.onnx.ops.pieces import gather
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axis, Constant, Data, Operand
from grucore.converters.onnx.state.context import MAX_FOLDED, Work, arrange
from grucore.graph.layers import Conv1d, Dense, Embedding
from grucore.graph.node import Rate
from grucore.graph.tensors import Array, Dtype

__all__ = ["PRODUCTS"]

Operands = Sequence[Operand | None]


def _matmul(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    a, b = operands[0], operands[1]
    if isinstance(b, Constant):
        assert a is not None
        return [_times(work, node, work.data(node, a), work.weights(node, b, "the matrix"))]
    if isinstance(a, Constant):
        assert b is not None
        data, matrix = work.data(node, b), work.weights(node, a, "the matrix")
        if matrix.ndim != 2 or len(data.axes) < 2:
            raise node.refuse(f"a matrix of shape {matrix.shape} times {data.text}")
        turned = _swap(data)
        return [_swap(_times(work, node, turned, matrix.T))]
    raise node.refuse("multiplies two values that the model computes (attention?)")


def _swap(data: Data) -> Data:
    """With the last two axes the other way round."""
    axes = (*data.axes[:-2], data.axes[-1], data.axes[-2])
    return data.moved(axes, data.index.swapaxes(-1, -2))


def _times(work: Work, node: OnnxNode, data: Data, matrix: Array) -> Data:
    """Rows of the last axis times a matrix, or a matrix for each place of other feature axes."""
    rank = len(data.axes)
    if matrix.ndim < 2 or data.axes[-1] is not Axis.FEATURES or matrix.ndim > rank:
        raise node.contradict(f"{data.text} times a matrix of shape {matrix.shape}")
    size, width = matrix.shape[-2:]
    if data.index.shape[-1] != size:
        raise node.contradict(f"{data.text} times a matrix of shape {matrix.shape}")
    matrix = matrix.reshape((1,) * (rank - matrix.ndim) + matrix.shape)
    for place in range(rank - 2):
        if matrix.shape[place] not in (1, data.index.shape[place]):
            raise node.refuse(f"{data.text} times matrices of shape {matrix.shape}")
    others = data.index.shape[:-1]
    blocks = int(np.prod(others))
    if blocks * blocks * size * width > MAX_FOLDED:
        raise node.refuse(f"{blocks} products of {size} by {width}: too many")
    weight = np.zeros((blocks, width, blocks, size))
    for block, where in enumerate(np.ndindex(*others)):
        at = tuple(p if matrix.shape[i] > 1 else 0 for i, p in enumerate(where[: rank - 2]))
        weight[block, :, block] = matrix[at].T
    value = work.builder.add(
        Dense,
        node.name or node.op,
        [work.features(node, data)],
        weight=weight.reshape(blocks * width, blocks * size),
        bias=np.zeros(blocks * width),
    )
    shape = (*others, width)
    return Data(data.axes, arrange(data.axes, shape), value)


def _gemm(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    if node.get("transA", 0):
        data = _swap(data)
    if len(data.axes) != 2 or data.axes[1] is not Axis.FEATURES or data.index.shape[0] != 1:
        raise node.refuse(f"A is {data.text}, expected (batch, features)")
    matrix = work.weights(node, operands[1], "B")
    if matrix.ndim != 2:
        raise node.refuse(f"B has shape {matrix.shape}, expected two axes")
    matrix = matrix if node.get("transB", 0) else matrix.T
    if matrix.shape[1] != data.index.size:
        raise node.refuse(f"A has {data.index.size} features, B reads {matrix.shape[1]}")
    bias = np.zeros(len(matrix))
    if len(operands) > 2 and operands[2] is not None:
        given = work.weights(node, operands[2], "C")
        if given.ndim == 2 and len(given) > 1:
            raise node.refuse(f"C has shape {given.shape}, expected one row")
        bias = bias + node.get("beta", 1.0) * given.reshape(-1)
    value = work.builder.add(
        Dense,
        node.name or "gemm",
        [work.features(node, data)],
        weight=node.get("alpha", 1.0) * matrix,
        bias=bias,
    )
    return [Data(data.axes, arrange(data.axes, (1, len(matrix))), value)]


def _conv(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    weight = work.weights(node, operands[1], "W")
    rank = len(data.axes)
    if work.delayed and rank == 3 and data.axes[1:] == (Axis.FEATURES, Axis.FEATURES):
        return [_in_frame(work, node, operands, data, weight)]
    if data.value.rate is Rate.SEQUENCE or data.axes.count(Axis.TIME) != 1:
        raise node.contradict(f"X is {data.text}, expected (batch, channels, time)")
    time = data.axes.index(Axis.TIME)
    if time < 2 or data.axes[1] is not Axis.FEATURES or weight.ndim != rank:
        raise node.refuse(f"X is {data.text}, W has shape {weight.shape}: not a 1-D convolution")
    if list(node.get("kernel_shape", weight.shape[2:])) != list(weight.shape[2:]):
        raise node.refuse(f"attribute kernel_shape is {node.get('kernel_shape', ())}")
    spatial = rank - 2
    strides = node.get("strides", (1,) * spatial)
    dilations = node.get("dilations", (1,) * spatial)
    pads = node.get("pads", (0,) * 2 * spatial)
    if not len(strides) == len(dilations) == spatial or len(pads) != 2 * spatial:
        raise node.refuse(f"strides {strides}, dilations {dilations} or pads {pads}")
    at = time - 2
    for place in range(spatial):
        lone = data.index.shape[2 + place] == weight.shape[2 + place] == 1
        if place != at and not (lone and strides[place] == 1 and pads[place::spatial] == (0, 0)):
            raise node.refuse(
                f"X is {data.text}, W has shape {weight.shape}: not a 1-D convolution"
            )
    taps = weight.reshape(*weight.shape[:2], -1)
    before, after = pads[at], pads[at + spatial]
    reach = dilations[at] * (taps.shape[2] - 1)
    before, after = _automatic(node, before, after, reach, strides[at])
    before, after = before + data.padding[0], after + data.padding[1]
    if before > reach or before < 0 or after < 0 or (after and before + after != reach):
        raise node.refuse(
            f"pads are {before} and {after}: expected at most {reach} before, and after it "
            f"nothing or what makes {reach} in all"
        )
    groups = node.get("group", 1)
    if data.index.size != taps.shape[1] * groups or len(taps) % groups:
        raise node.refuse(f"X is {data.text} in {groups} groups, W has shape {weight.shape}")
    bias = np.zeros(len(taps))
    if len(operands) > 2 and operands[2] is not None:
        bias = work.weights(node, operands[2], "B")
        if bias.shape != (len(taps),):
            raise node.refuse(f"B has shape {bias.shape}, expected {(len(taps),)}")
    value = work.builder.add(
        Conv1d,
        node.name or "conv",
        [work.picked(data.value, data.index, node.name or "conv")],
        weight=taps.transpose(0, 2, 1),
        bias=bias,
        dilation=int(dilations[at]),
        stride=int(strides[at]),
        groups=int(groups),
        before=int(before),
        after=int(after),
    )
    shape = [1] * rank
    shape[1] = len(taps)
    return [Data(data.axes, arrange(data.axes, tuple(shape)), value)]


def _in_frame(work: Work, node: OnnxNode, operands: Operands, data: Data, weight: Array) -> Data:
    stride, dilation = int(node.get("strides", (1,))[0]), int(node.get("dilations", (1,))[0])
    before, after = node.get("pads", (0, 0))
    reach = dilation * (weight.shape[2] - 1)
    padding = _automatic(node, int(before), int(after), reach, stride)
    bias = np.zeros(len(weight))
    if len(operands) > 2 and operands[2] is not None:
        bias = work.weights(node, operands[2], "B")
    settings = {"stride": stride, "dilation": dilation, "groups": int(node.get("group", 1))}
    return conv_in_frame(work, node, data, weight, bias, padding=padding, **settings)


def _automatic(node: OnnxNode, before: int, after: int, reach: int, stride: int) -> tuple[int, int]:
    kind = node.get("auto_pad", "NOTSET")
    if kind in ("NOTSET", ""):
        return before, after
    if kind == "VALID":
        return 0, 0
    # With a stride the padding depends on the length, except of one tap, which needs none.
    if kind not in ("SAME_UPPER", "SAME_LOWER") or (stride != 1 and reach):
        raise node.refuse(
            f"attribute auto_pad is {kind!r} with stride {stride}: expected pads, which do not "
            "depend on the length"
        )
    less = reach // 2
    return (less, reach - less) if kind == "SAME_UPPER" else (reach - less, less)


def _pad(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    assert operands[0] is not None
    data = work.data(node, operands[0])
    rank = len(data.axes)
    if node.get("mode", "constant") != "constant":
        raise node.refuse(f"attribute mode is {node.get('mode', '')!r}, expected 'constant'")
    given = [*operands, None, None, None]
    fill = node.get("value", 0.0)
    if given[2] is not None:
        fill = float(work.weights(node, given[2], "the padding").reshape(-1)[0])
    pads = [int(n) for n in node.get("pads", ())]
    if not pads:
        pads = [int(n) for n in work.constant(node, given[1], "pads").reshape(-1)]
    axes = list(range(rank))
    if given[3] is not None:
        axes = [int(n) % rank for n in work.constant(node, given[3], "axes").reshape(-1)]
    if len(pads) != 2 * len(axes):
        raise node.refuse(f"pads are {pads} for {len(axes)} axes")
    before, after = data.padding
    for place, axis in enumerate(axes):
        pair = pads[place], pads[place + len(axes)]
        if pair == (0, 0):
            continue
        if data.axes[axis] is not Axis.TIME or min(pair) < 0 or fill != 0:
            raise node.refuse(
                f"pads axis {axis} of {data.text} by {pair} with {fill}: expected zeros in time"
            )
        before, after = before + pair[0], after + pair[1]
    return [Data(data.axes, data.index, data.value, (before, after))]


def _gather(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    table, ids = operands[0], operands[1]
    if not isinstance(table, Constant) or not isinstance(ids, Data):
        return gather(work, node, operands)
    rows = work.weights(node, table, "the table")
    if rows.ndim != 2 or node.get("axis", 0) not in (0, -2):
        raise node.refuse(f"a table of shape {rows.shape}, expected (ids, width) along axis 0")
    if ids.value.dtype is not Dtype.INT32:
        raise node.refuse(f"ids are {ids.value.dtype.name}, expected integers")
    value = work.builder.add(
        Embedding, node.name or "embedding", [work.features(node, ids)], table=rows
    )
    axes = (*ids.axes, Axis.FEATURES)
    return [Data(axes, arrange(axes, (*ids.index.shape, rows.shape[1])), value)]


PRODUCTS = {
    "MatMul": (_matmul, ()),
    "Gemm": (_gemm, ("alpha", "beta", "transA", "transB")),
    "Conv": (
        _conv,
        ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"),
    ),
    "Pad": (_pad, ("mode", "pads", "value")),
    "Gather": (_gather, ("axis",)),
}
