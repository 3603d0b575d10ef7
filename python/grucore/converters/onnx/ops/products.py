# SPDX-License-Identifier: Apache-2.0
"""Products with constants: MatMul, Gemm, Einsum."""

from __future__ import annotations

from grucore.converters.onnx.context import Operands, Table, Work
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.trace.axes import Operand, Unfit
from grucore.converters.trace.ops.products import matmul, times
from grucore.converters.trace.ops.reduce import einsum
from grucore.converters.trace.ops.views import transposed

__all__ = ["PRODUCTS"]


def _gemm(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    data = work.data(operands[0])
    if node.get("transA", 0):
        data = work.data(transposed(data, [1, 0]))
    if data.rank != 2 or data.index.shape[0] != 1:
        raise Unfit(f"A is {data.text}, expected (batch, features)")
    matrix = work.weights(operands[1], "B")
    if matrix.ndim != 2:
        raise Unfit(f"B has shape {matrix.shape}, expected two axes")
    matrix = matrix.T if node.get("transB", 0) else matrix
    bias = None
    if len(operands) > 2 and operands[2] is not None:
        given = work.weights(operands[2], "C")
        if given.ndim == 2 and len(given) > 1:
            raise Unfit(f"C has shape {given.shape}, expected one row")
        bias = node.get("beta", 1.0) * given
    return times(work, data, node.get("alpha", 1.0) * matrix, bias)


PRODUCTS: Table = {
    "MatMul": (lambda work, node, operands: matmul(work, *operands), ()),
    "Gemm": (_gemm, ("alpha", "beta", "transA", "transB")),
    "Einsum": (
        lambda work, node, operands: einsum(
            work, str(node.get("equation", "")), [x for x in operands if x is not None]
        ),
        ("equation",),
    ),
}
