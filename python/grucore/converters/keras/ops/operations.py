# SPDX-License-Identifier: Apache-2.0
"""Operations of `keras.ops` in functional models: one function for each kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from grucore.converters.keras.context import Bits, Context, Flow
from grucore.converters.keras.ops.activations import PLAIN, activate, named
from grucore.converters.keras.ops.arguments import Handler, axes_of, operand, tensor, two
from grucore.converters.keras.ops.masks import (
    any_bits,
    compared,
    constant_bits,
    joined,
    negated,
    test,
    where,
)
from grucore.converters.keras.ops.merge import BINARY
from grucore.converters.keras.ops.pieces import PIECES
from grucore.converters.keras.ops.sound import rfft, stft
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Unfit
from grucore.converters.trace.ops.elementwise import (
    ABSOLUTE,
    activated,
    arithmetic,
    clipped,
    extreme,
    scaled,
)
from grucore.converters.trace.ops.masks import sign
from grucore.converters.trace.ops.norms import softmax
from grucore.converters.trace.ops.powers import (
    EXPONENTS,
    LOGARITHMS,
    divided,
    error_function,
    log_sum_exp,
    logged,
    normalized,
    normed,
    raised,
    variance,
)
from grucore.converters.trace.ops.products import embedded, matmul
from grucore.converters.trace.ops.reduce import accumulated, arg_max, einsum, reduced
from grucore.converters.trace.ops.views import axis_of
from grucore.graph.layers import Activation

__all__ = ["OPERATIONS", "operation"]


def operation(context: Context, layer: Layer, arguments: list[Any]) -> tuple[Flow | Bits, ...]:
    """The results of an operation: tensors without masks, or a step in the making of a mask."""
    found = OPERATIONS[layer.kind](context, layer, arguments)
    several = found if isinstance(found, list) else [found]
    return tuple(each if isinstance(each, Bits) else Flow(each) for each in several)


def _arithmetic(word: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return arithmetic(context, *two(context, layer, arguments), word)


def _extreme(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    kind = BINARY[layer.kind.removeprefix("ops.")]
    return extreme(context, *two(context, layer, arguments), kind)


def _divided(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return divided(context, *two(context, layer, arguments))


def _power(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, exponent = tensor(context, arguments, 2), arguments[1]
    if isinstance(exponent, Flow) or np.asarray(exponent).size != 1:
        raise Unfit("its exponent is a tensor, expected one number")
    return raised(context, x, float(np.asarray(exponent).reshape(-1)[0]))


def _of_one(function: Callable[[Context, Data], Data]) -> Handler:
    return lambda context, layer, arguments: function(context, tensor(context, arguments))


def _clip(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    least, most = layer.settings.get("x_min"), layer.settings.get("x_max")
    if not isinstance(least, int | float) or not isinstance(most, int | float):
        raise Unfit(f"clips between {least} and {most}, expected two numbers")
    return clipped(context, tensor(context, arguments), float(least), float(most))


def _activation(name: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    settings, x = layer.settings, tensor(context, arguments)
    if name == "leaky_relu":
        return activated(context, x, Activation.leaky_relu(settings.get("negative_slope", 0.2)))
    if name in ("elu", "celu"):
        alpha = float(settings.get("alpha", 1.0))
        if name == "celu" and alpha != 1:
            raise context.refuse(layer, "alpha", "1")
        return activated(context, x, Activation.elu(alpha))
    if name == "gelu":
        kind = Activation.GELU_TANH if settings.get("approximate", True) else Activation.GELU
        return activated(context, x, kind)
    if name == "soft_shrink" and settings.get("threshold", 0.5) != 0.5:
        raise context.refuse(layer, "threshold", "0.5")
    if name == "glu" and axis_of(settings.get("axis", -1), x.rank) != x.rank - 1:
        raise context.refuse(layer, "axis", "-1")
    return activate(context, layer, x, named(context, layer, name))


def _softmax(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x = tensor(context, arguments)
    axes = context.axes(layer, x, layer.settings.get("axis", -1))
    return softmax(context, x, axes, logarithm=layer.kind == "ops.LogSoftmax")


def _reduced(kind: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, keep = tensor(context, arguments), bool(layer.settings.get("keepdims"))
    return reduced(context, x, axes_of(context, layer, x), kind, keep=keep)


def _arg_max(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, axis = tensor(context, arguments), layer.settings.get("axis")
    if not isinstance(axis, int):
        raise context.refuse(layer, "axis", "one axis of features")
    return arg_max(context, x, axis_of(axis, x.rank), keep=bool(layer.settings.get("keepdims")))


def _cumsum(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, axis = tensor(context, arguments), layer.settings.get("axis")
    if axis is None:
        raise context.refuse(layer, "axis", "one axis")
    return accumulated(context, x, *context.axes(layer, x, axis))


def _variance(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, keep = tensor(context, arguments), bool(layer.settings.get("keepdims"))
    axes, root = axes_of(context, layer, x), layer.kind == "ops.Std"
    return variance(context, x, axes, 0, root=root, keep=keep)


def _norm(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, keep = tensor(context, arguments), bool(layer.settings.get("keepdims"))
    axes, order = axes_of(context, layer, x), layer.settings.get("ord")
    if len(axes) != 1 and order is not None:
        raise context.refuse(layer, "ord", "None of a matrix")
    return normed(context, x, axes, 2 if order is None else order, keep=keep)


def _cast(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x = tensor(context, arguments)
    if not str(layer.settings.get("dtype")).startswith(("float", "bfloat")):
        raise context.refuse(layer, "dtype", "floats")
    return x


def _one_hot(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    settings, ids = layer.settings, context.data(operand(arguments[0]))
    if settings.get("axis", -1) not in (-1, ids.rank) or settings.get("sparse"):
        raise context.refuse(layer, "axis", "-1")
    return embedded(context, ids, np.eye(settings["num_classes"], dtype=np.float32))


def _normalize(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, settings = tensor(context, arguments), layer.settings
    epsilon = settings.get("epsilon")
    axes = context.axes(layer, x, settings.get("axis", -1))
    least = EPSILON if epsilon is None else float(epsilon)
    return normalized(context, x, axes, settings.get("order", 2), least)


def _log_sum_exp(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, keep = tensor(context, arguments), bool(layer.settings.get("keepdims"))
    return log_sum_exp(context, x, axes_of(context, layer, x), keep=keep)


def _matmul(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return matmul(context, *two(context, layer, arguments))


def _einsum(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return einsum(context, layer.settings["subscripts"], [operand(each) for each in arguments])


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


ACTIVATIONS = {
    **{_class_name(name): name for name in PLAIN if name not in ("linear", "exponential")},
    **{
        _class_name(name): name
        for name in ("selu", "mish", "log_sigmoid", "tanh_shrink", "soft_shrink")
    },
    "Glu": "glu",
    "HardSigmoid": "hard_sigmoid",
}
COMPARED = {
    **{"Greater": "gt", "GreaterEqual": "ge", "Less": "lt", "LessEqual": "le", "Equal": "eq"},
}
EPSILON = 1e-7  # that of Keras, where none is given
REDUCED = {"Mean": "mean", "Max": "max", "Min": "min", "Sum": "sum", "Amax": "max", "Amin": "min"}


def _raised(exponent: float, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return raised(context, tensor(context, arguments), exponent)


def _logged(word: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return logged(context, tensor(context, arguments), word)


_TABLE: dict[str, Handler] = {
    **{_class_name(name): partial(_raised, power) for name, power in EXPONENTS.items()},
    **{_class_name(name): partial(_logged, name) for name in (*LOGARITHMS, "log1p")},
    **{name: partial(_activation, word) for name, word in ACTIVATIONS.items()},
    **{name: partial(_reduced, word) for name, word in REDUCED.items()},
    **dict.fromkeys(("Divide", "TrueDivide"), _divided),
    **dict.fromkeys(("Maximum", "Minimum"), _extreme),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **PIECES,
    **dict.fromkeys(("Var", "Std"), _variance),
    **dict.fromkeys(("OnesLike", "ZerosLike"), constant_bits),
    "Add": partial(_arithmetic, "add"),
    "Subtract": partial(_arithmetic, "sub"),
    "Multiply": partial(_arithmetic, "mul"),
    **dict.fromkeys(("StopGradient", "Copy"), _of_one(lambda context, x: x)),
    **dict.fromkeys(("Matmul", "Dot"), _matmul),
    "Negative": _of_one(lambda context, x: scaled(context, x, -1.0)),
    "Absolute": _of_one(lambda context, x: activated(context, x, ABSOLUTE)),
    "Abs": _of_one(lambda context, x: activated(context, x, ABSOLUTE)),
    "Exp": _of_one(lambda context, x: activated(context, x, Activation.EXP)),
    "Power": _power,
    "Cumsum": _cumsum,
    "Argmax": _arg_max,
    "Clip": _clip,
    "Norm": _norm,
    "Einsum": _einsum,
    "NotEqual": test,
    "Any": any_bits,
    **{f"Logical{word.capitalize()}": partial(joined, word) for word in ("and", "or")},
    "LogicalNot": negated,
    "Where": where,
    **{name: partial(compared, word) for name, word in COMPARED.items()},
    "Cast": _cast,
    "OneHot": _one_hot,
    "Sign": _of_one(sign),
    "Erf": _of_one(error_function),
    "Normalize": _normalize,
    "Logsumexp": _log_sum_exp,
}
_TABLE["STFT"] = lambda context, layer, given: stft(context, layer, tensor(context, given))
_TABLE["RFFT"] = lambda context, layer, given: rfft(context, layer, tensor(context, given))
OPERATIONS: dict[str, Handler] = {f"ops.{name}": handler for name, handler in _TABLE.items()}
