# SPDX-License-Identifier: Apache-2.0
"""Operators on single numbers: activations, arithmetic of two values or with constants."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from grucore.converters.onnx.context import Operands, Table, Work, number_of
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.trace.axes import Data, Operand, Tracked, Unfit
from grucore.converters.trace.ops import masks
from grucore.converters.trace.ops.elementwise import (
    ABSOLUTE,
    SELU_ALPHA,
    SELU_SCALE,
    activated,
    arithmetic,
    celu,
    clipped,
    extreme,
    mish,
    prelu,
    scaled,
    selu,
    soft_shrink,
)
from grucore.converters.trace.ops.over_time import frames_in
from grucore.converters.trace.ops.powers import EXPONENTS, divided, error_function, raised
from grucore.converters.trace.sizes import Unit, may_be_of_frames
from grucore.graph.layers import Activation, Operation

__all__ = ["ELEMENTWISE"]

PLAIN = {
    "Relu": Activation.RELU,
    "Sigmoid": Activation.SIGMOID,
    "Tanh": Activation.TANH,
    "Softsign": Activation.SOFTSIGN,
    "Softplus": Activation.SOFTPLUS,
    "HardSwish": Activation.HARD_SWISH,
    "Exp": Activation.EXP,
    "Log": Activation.log(-math.inf),
    "Abs": ABSOLUTE,
}
# Those with parameters: ours, and the attributes with their defaults.
MADE: dict[str, tuple[Callable[..., Activation], dict[str, float]]] = {
    "LeakyRelu": (Activation.leaky_relu, {"alpha": 0.01}),
    "Elu": (Activation.elu, {"alpha": 1.0}),
    "HardSigmoid": (Activation.hard_sigmoid, {"alpha": 0.2, "beta": 0.5}),
}
GELUS = {"none": Activation.GELU, "tanh": Activation.GELU_TANH}
COMPARED = {
    **{"Equal": "eq", "Greater": "gt", "Less": "lt"},
    **{"GreaterOrEqual": "ge", "LessOrEqual": "le"},
}
WORDS = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}
EXTREMES = {"Max": Operation.MAXIMUM, "Min": Operation.MINIMUM}


def _activation(work: Work, node: OnnxNode, operands: Operands) -> Data:
    kind = PLAIN.get(node.op)
    if kind is None:
        make, defaults = MADE[node.op]
        kind = make(*(node.get(name, default) for name, default in defaults.items()))
    return activated(work, operands[0], kind)


def _selu(work: Work, node: OnnxNode, operands: Operands) -> Data:
    return selu(work, operands[0], node.get("alpha", SELU_ALPHA), node.get("gamma", SELU_SCALE))


def _gelu(work: Work, node: OnnxNode, operands: Operands) -> Data:
    approximate = node.get("approximate", "none")
    if approximate not in GELUS:
        raise Unfit(f"attribute approximate is {approximate!r}, expected none or tanh")
    return activated(work, operands[0], GELUS[approximate])


def _swish(work: Work, node: OnnxNode, operands: Operands) -> Data:
    if node.get("alpha", 1.0) != 1.0:
        raise Unfit(f"attribute alpha is {node.get('alpha', 1.0)}, expected 1")
    return activated(work, operands[0], Activation.SILU)


def _shrink(work: Work, node: OnnxNode, operands: Operands) -> Data:
    bound, bias = node.get("lambd", 0.5), node.get("bias", 0.0)
    if bound != bias:
        raise Unfit(
            f"jumps by {bound - bias:g} at {bound:g}, expected bias and lambd to be one number"
        )
    return soft_shrink(work, operands[0], bound)


def _clip(work: Work, node: OnnxNode, operands: Operands) -> Data:
    limits = []
    for place, (name, default) in enumerate((("min", -math.inf), ("max", math.inf)), start=1):
        limit = node.get(name, None)
        if limit is None and len(operands) > place and operands[place] is not None:
            given = work.constant(operands[place], name)  # whole where a mask was added up
            limit = number_of(work, given.astype("f4") if given.dtype.kind == "i" else given, name)
        limits.append(default if limit is None else limit)
    return clipped(work, operands[0], *limits)


def _extreme(work: Work, node: OnnxNode, operands: Operands) -> Data:
    if len(operands) != 2:
        raise Unfit(f"reads {len(operands)} values, expected two")
    return extreme(work, operands[0], operands[1], EXTREMES[node.op])


def _arithmetic(work: Work, node: OnnxNode, operands: Operands) -> Data:
    operands = [_number_of_frames(work, operand) for operand in operands]
    for operand in operands:
        if operand is not None and not isinstance(operand, Tracked) and operand.size == 1:
            _check_not_frames(
                work, node, float(work.weights(operand, "the constant").reshape(-1)[0])
            )
    if node.op == "Div":
        return divided(work, operands[0], operands[1])
    return arithmetic(work, operands[0], operands[1], WORDS[node.op])


def _number_of_frames(work: Work, operand: Operand | None) -> Operand | None:
    """A size that the file leaves open, as a number that the model counts."""
    if operand is None or isinstance(operand, Tracked) or operand.size != 1:
        return operand
    (size,) = np.reshape(operand, -1).tolist()
    return frames_in(work, size) if isinstance(size, Unit) else operand


def _check_not_frames(work: Work, node: OnnxNode, number: float) -> None:
    """Refuse a number that an exporter may have made of the frames that the file fixes."""
    if node.op in ("Mul", "Div") and may_be_of_frames(number, work.frames):
        raise Unfit(
            f"the constant {number:g} goes with the {work.frames} frames that the file fixes, "
            "and may be another at any other number. Export with a dynamic size of time"
        )


def _power(work: Work, node: OnnxNode, operands: Operands) -> Data:
    exponent = np.asarray(work.constant(operands[1], "the exponent")).reshape(-1)
    if exponent.size != 1:
        raise Unfit(f"the exponent is {exponent.tolist()}, expected one number")
    return raised(work, operands[0], float(exponent[0]))


def _root(work: Work, node: OnnxNode, operands: Operands) -> Data:
    return raised(work, operands[0], EXPONENTS[node.op.lower()])


def _sum(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    total = operands[0]
    for operand in operands[1:]:
        total = arithmetic(work, total, operand, "add")
    return np.zeros(1) if total is None else total


def _where(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    if isinstance(operands[0], Data):
        return masks.chosen(work, operands[0], operands[1], operands[2])
    chosen = work.constant(operands[0], "the condition").astype(bool)
    one, other = operands[1:] if chosen.all() else (operands[2], operands[1])
    if not isinstance(one, Tracked) or not isinstance(other, Tracked):
        raise Unfit("chooses between a value and a constant, expected two values")
    if chosen.any() != chosen.all() or work.sizes(one) != work.sizes(other):
        raise Unfit("chooses some numbers of one value and some of another, expected all of one")
    return one


def _compared(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return masks.ordered_by(work, operands[0], operands[1], COMPARED[node.op])


def _joined(work: Work, node: OnnxNode, operands: Operands) -> Operand:
    return masks.joined_masks(work, operands[0], operands[1], node.op.lower())


ELEMENTWISE: Table = {
    **{name: (_compared, ()) for name in COMPARED},
    "Not": (lambda work, node, operands: masks.negated(work, operands[0]), ()),
    **{name: (_joined, ()) for name in ("And", "Or")},
    **{name: (_activation, ()) for name in PLAIN},
    **{name: (_activation, tuple(defaults)) for name, (_, defaults) in MADE.items()},
    **{name: (_arithmetic, ()) for name in WORDS},
    **{name: (_extreme, ()) for name in EXTREMES},
    "Celu": (
        lambda work, node, operands: celu(work, operands[0], node.get("alpha", 1.0)),
        ("alpha",),
    ),
    "Shrink": (_shrink, ("lambd", "bias")),
    "Selu": (_selu, ("alpha", "gamma")),
    "Gelu": (_gelu, ("approximate",)),
    "Swish": (_swish, ("alpha",)),
    "Clip": (_clip, ("min", "max")),
    "PRelu": (lambda work, node, operands: prelu(work, *operands), ()),
    "Neg": (lambda work, node, operands: scaled(work, work.data(operands[0]), -1.0), ()),
    "Mish": (lambda work, node, operands: mish(work, operands[0]), ()),
    "Pow": (_power, ()),
    "Where": (_where, ()),
    "Sqrt": (_root, ()),
    "Reciprocal": (_root, ()),
    "Sum": (_sum, ()),
    "Erf": (lambda work, node, operands: error_function(work, operands[0]), ()),
    "Sign": (lambda work, node, operands: masks.sign(work, operands[0]), ()),
}
