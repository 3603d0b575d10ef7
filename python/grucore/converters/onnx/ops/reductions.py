# SPDX-License-Identifier: Apache-2.0
"""Sums, means and extremes over features or time."""

from __future__ import annotations

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work, axes_of, number_of
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.trace.axes import Operand, Unfit
from grucore.converters.trace.ops.powers import log_sum_exp, normed, raised
from grucore.converters.trace.ops.reduce import accumulated, arg_max, reduced
from grucore.converters.trace.ops.views import axis_of

__all__ = ["REDUCTIONS"]

REDUCED = {"ReduceMax": "max", "ReduceMin": "min", "ReduceMean": "mean", "ReduceSum": "sum"}
NORMS = {"ReduceL1": 1, "ReduceL2": 2}
GLOBAL = {"GlobalAveragePool": "mean", "GlobalMaxPool": "max"}
WITH_AXES = (*REDUCED, *NORMS, "ReduceSumSquare", "ReduceLogSumExp")


def _reduce(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    axes = axes_of(node, operands, data.rank)
    if axes is None:
        if node.get("noop_with_empty_axes", 0):
            return data
        axes = list(range(data.rank))
    keep = bool(node.get("keepdims", 1))
    if node.op in NORMS:
        return normed(work, data, axes, NORMS[node.op], keep=keep)
    if node.op == "ReduceLogSumExp":
        return log_sum_exp(work, data, axes, keep=keep)
    if node.op == "ReduceSumSquare":
        return reduced(work, raised(work, data, 2.0), axes, "sum", keep=keep)
    return reduced(work, data, axes, REDUCED[node.op], keep=keep)


def _cumsum(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    if node.get("exclusive", 0) or node.get("reverse", 0):
        raise Unfit("is exclusive or reverse, expected the sum up to each place")
    data = work.data(operands[0])
    axis = number_of(work, np.asarray(work.constant(operands[1], "axis"), np.float64), "axis")
    return accumulated(work, data, axis_of(int(axis), data.rank))


def _global(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    return reduced(work, data, range(2, data.rank), GLOBAL[node.op], keep=True)


def _arg_max(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    if node.get("select_last_index", 0):
        raise Unfit("attribute select_last_index is 1, expected the first of equal ones")
    axis = axis_of(node.get("axis", 0), data.rank)
    return arg_max(work, data, axis, keep=bool(node.get("keepdims", 1)))


REDUCTIONS: Table = {
    "ArgMax": (_arg_max, ("axis", "keepdims", "select_last_index")),
    **{name: (_reduce, ("axes", "keepdims", "noop_with_empty_axes")) for name in WITH_AXES},
    **{name: (_global, ()) for name in GLOBAL},
    "CumSum": (_cumsum, ("exclusive", "reverse")),
}
