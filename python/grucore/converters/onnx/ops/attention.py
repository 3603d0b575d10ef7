# SPDX-License-Identifier: Apache-2.0
"""Operators on a memory: what attention is written in. On all else they are as ever."""

from __future__ import annotations

from grucore.converters.onnx.context import Operands, Table, Work
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.trace.axes import Operand, Unfit
from grucore.converters.trace.memory import Memory, Scores
from grucore.converters.trace.ops.attention_maps import bent, combined, joined
from grucore.converters.trace.ops.attention_scores import multiplied, shared
from grucore.converters.trace.ops.views import axis_of

__all__ = ["ON_MEMORY", "reads_memory"]

WORDS = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}


def reads_memory(operands: Operands) -> bool:
    """True if one of them is a memory, or what is made of one."""
    return any(isinstance(operand, Memory | Scores) for operand in operands)


def _two(operands: Operands) -> tuple[Operand, Operand]:
    one, other = operands[:2]
    assert one is not None
    assert other is not None
    return one, other


def _matmul(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return multiplied(work, *_two(operands))


def _arithmetic(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return combined(work, *_two(operands), WORDS[node.op])


def _tanh(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    if not isinstance(operands[0], Memory):
        raise Unfit("takes the tanh of scores")
    return bent(operands[0])


def _softmax(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    x = operands[0]
    if not isinstance(x, Scores):
        raise Unfit("goes over a memory, expected the scores of one")
    axis = axis_of(node.get("axis", -1 if work.opset >= 13 else 1), x.rank)
    if work.opset < 13 and axis < x.rank - 1:
        raise Unfit(f"goes over all axes from {axis} on, as before opset 13")
    return shared(x, axis)


def _concat(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    given = [operand for operand in operands if operand is not None]
    rank = next(x.rank for x in given if isinstance(x, Memory | Scores))
    return joined(work, given, axis_of(node.attributes["axis"], rank))


ON_MEMORY: Table = {
    **{name: (_arithmetic, ()) for name in WORDS},
    "MatMul": (_matmul, ()),
    "Tanh": (_tanh, ()),
    "Softmax": (_softmax, ("axis",)),
    "Concat": (_concat, ("axis",)),
}
