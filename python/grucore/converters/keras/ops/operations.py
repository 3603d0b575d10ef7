# SPDX-License-Identifier: Apache-2.0
"""Operations of `keras.ops` in functional models: one function for each kind.

Functional models of Keras 3 have in their configs, as operations, how each mask came about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from grucore.converters.keras.context import Bits, Context, Flow
from grucore.converters.keras.ops.activations import PLAIN, activate, named
from grucore.converters.keras.ops.layers import reshaped_to
from grucore.converters.keras.ops.merge import BINARY, any_of
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Operand, Tracked, Unfit
from grucore.converters.trace.ops.elementwise import (
    ABSOLUTE,
    activated,
    arithmetic,
    clipped,
    extreme,
    scaled,
)
from grucore.converters.trace.ops.joins import joined, stacked
from grucore.converters.trace.ops.norms import softmax
from grucore.converters.trace.ops.pieces import ENDLESS, flipped, selected, sliced, split
from grucore.converters.trace.ops.powers import (
    EXPONENTS,
    LOGARITHMS,
    divided,
    logged,
    normed,
    raised,
    variance,
)
from grucore.converters.trace.ops.products import matmul
from grucore.converters.trace.ops.reduce import accumulated, arg_max, einsum, reduced
from grucore.converters.trace.ops.views import axis_of, squeezed, transposed, unsqueezed
from grucore.graph.layers import Activation, Mask
from grucore.graph.node import Value, float32_bits

__all__ = ["OPERATIONS", "mask_of", "operation"]

Handler: TypeAlias = Callable[[Context, Layer, list[Any]], Any]


def operation(context: Context, layer: Layer, arguments: list[Any]) -> tuple[Flow | Bits, ...]:
    """The results of an operation: tensors without masks, or a step in the making of a mask."""
    found = OPERATIONS[layer.kind](context, layer, arguments)
    several = found if isinstance(found, list) else [found]
    return tuple(each if isinstance(each, Bits) else Flow(each) for each in several)


def _operand(argument: Any) -> Operand:
    """A tensor; or numbers, as an array of floats."""
    if isinstance(argument, Flow):
        return argument.tensor
    if isinstance(argument, bool) or not isinstance(argument, int | float | np.ndarray):
        raise Unfit(f"reads {str(argument)[:80]}, expected a tensor or numbers")
    return np.asarray(argument, np.float64)


def _tensor(context: Context, arguments: Sequence[Any], count: int = 1) -> Data:
    """The first argument of so many: a tensor of floats."""
    if len(arguments) != count or not isinstance(arguments[0], Flow):
        raise Unfit(f"reads {str(arguments)[:80]}, which cannot be expressed")
    return context.numbers(arguments[0])


def _two(context: Context, layer: Layer, arguments: Sequence[Any]) -> tuple[Operand, Operand]:
    if len(arguments) != 2:
        raise Unfit(f"reads {len(arguments)} tensors, expected 2")
    for each in arguments:
        if isinstance(each, Flow) and isinstance(each.tensor, Data):
            context.numbers(each)
    one, other = map(_operand, arguments)
    return one, other


def _arithmetic(word: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return arithmetic(context, *_two(context, layer, arguments), word)


def _extreme(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    kind = BINARY[layer.kind.removeprefix("ops.")]
    return extreme(context, *_two(context, layer, arguments), kind)


def _divided(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return divided(context, *_two(context, layer, arguments))


def _power(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, exponent = _tensor(context, arguments, 2), arguments[1]
    if isinstance(exponent, Flow) or np.asarray(exponent).size != 1:
        raise Unfit("its exponent is a tensor, expected one number")
    return raised(context, x, float(np.asarray(exponent).reshape(-1)[0]))


def _of_one(function: Callable[[Context, Data], Data]) -> Handler:
    return lambda context, layer, arguments: function(context, _tensor(context, arguments))


def _clip(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    least, most = layer.settings.get("x_min"), layer.settings.get("x_max")
    if not isinstance(least, int | float) or not isinstance(most, int | float):
        raise Unfit(f"clips between {least} and {most}, expected two numbers")
    return clipped(context, _tensor(context, arguments), float(least), float(most))


def _activation(name: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    settings, x = layer.settings, _tensor(context, arguments)
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
    x = _tensor(context, arguments)
    axes = context.feature_axes(layer, x, layer.settings.get("axis", -1))
    return softmax(context, x, axes, logarithm=layer.kind == "ops.LogSoftmax")


def _axes(context: Context, layer: Layer, x: Tracked) -> list[int]:
    axis = layer.settings.get("axis")
    return list(range(x.rank)) if axis is None else context.axes(layer, x, axis)


def _reduced(kind: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, keep = _tensor(context, arguments), bool(layer.settings.get("keepdims"))
    return reduced(context, x, _axes(context, layer, x), kind, keep=keep)


def _arg_max(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, axis = _tensor(context, arguments), layer.settings.get("axis")
    if not isinstance(axis, int):
        raise context.refuse(layer, "axis", "one axis of features")
    return arg_max(context, x, axis_of(axis, x.rank), keep=bool(layer.settings.get("keepdims")))


def _cumsum(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, axis = _tensor(context, arguments), layer.settings.get("axis")
    if axis is None:
        raise context.refuse(layer, "axis", "one axis")
    return accumulated(context, x, *context.axes(layer, x, axis))


def _variance(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, keep = _tensor(context, arguments), bool(layer.settings.get("keepdims"))
    axes, root = _axes(context, layer, x), layer.kind == "ops.Std"
    return variance(context, x, axes, 0, root=root, keep=keep)


def _norm(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, keep = _tensor(context, arguments), bool(layer.settings.get("keepdims"))
    axes, order = _axes(context, layer, x), layer.settings.get("ord")
    if len(axes) != 1 and order is not None:
        raise context.refuse(layer, "ord", "None of a matrix")
    return normed(context, x, axes, 2 if order is None else order, keep=keep)


def _matmul(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return matmul(context, *_two(context, layer, arguments))


def _einsum(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return einsum(context, layer.settings["subscripts"], [_operand(each) for each in arguments])


def _join(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    parts = arguments[0] if arguments and isinstance(arguments[0], list) else []
    if parts and all(isinstance(part, Bits) for part in parts):
        return _union(parts)
    tensors = [_operand(part) for part in parts]
    rank = max((x.rank for x in tensors if isinstance(x, Tracked)), default=0)
    stacks = layer.kind == "ops.Stack"
    axis = axis_of(layer.settings.get("axis", 0 if stacks else -1), rank + stacks)
    return (stacked if stacks else joined)(context, tensors, axis)


def _split(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, places = arguments[0].tensor, layer.settings["indices_or_sections"]
    (axis,) = context.axes(layer, x, layer.settings.get("axis", 0))
    size = context.size(x, axis)
    if not isinstance(size, int):
        raise Unfit(f"splits axis {axis} of {x.text}, expected features")
    if isinstance(places, int):
        if places < 1 or size % places:
            raise Unfit(f"splits {size} features into {places} parts")
        places = range(size // places, size, size // places)
    edges = [0, *places, size]
    return split(context, x, axis, np.diff(edges).tolist())


def _flip(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x = _tensor(context, arguments)
    return flipped(context, x, _axes(context, layer, x))


def _transpose(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, order = arguments[0].tensor, layer.settings.get("axes")
    return transposed(x, range(x.rank)[::-1] if order is None else order)


def _swap(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x = arguments[0].tensor
    one, other = (axis_of(layer.settings[name], x.rank) for name in ("axis1", "axis2"))
    order = list(range(x.rank))
    order[one], order[other] = other, one
    return transposed(x, order)


def _reshape(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    x, target = arguments[0].tensor, list(layer.settings["newshape"])
    if target[:1] in ([None], [-1]) and -1 in target[1:]:
        target[0] = context.size(x, 0)
    return reshaped_to(context, x, [-1 if size is None else size for size in target])


def _squeeze(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    first, axis = arguments[0], layer.settings.get("axis")
    if isinstance(first, Bits):
        return _same_bits(context, layer, first)
    x = first.tensor
    axes = [
        place for place in range(x.rank) if context.size(x, place) == 1 and x.is_features(place)
    ]
    return squeezed(context, x, axes if axis is None else context.axes(layer, x, axis))


def _expand(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    first, axis = arguments[0], layer.settings.get("axis")
    if isinstance(first, Bits):
        return _same_bits(context, layer, first)
    axes: Any = axis if isinstance(axis, list | tuple) else [axis]
    return unsqueezed(first.tensor, axes)


def _same_bits(context: Context, layer: Layer, bits: Bits) -> Bits:
    if layer.settings.get("axis") not in (-1, [-1], 2):
        raise context.refuse(layer, "axis", "-1")
    return bits


def _any(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    if not isinstance(arguments[0], Bits):
        raise Unfit("reads numbers, expected the test that a mask is made of")
    return _same_bits(context, layer, arguments[0])


def _union(tensors: Sequence[Any]) -> Bits:
    if not all(isinstance(tensor, Bits) for tensor in tensors):
        raise Unfit("reads numbers, expected the tests that a mask is made of")
    masks = {mask.name: mask for tensor in tensors for mask in tensor.masks}
    return Bits(tuple(masks.values()), any(tensor.always for tensor in tensors))


def _test(context: Context, layer: Layer, arguments: list[Any]) -> Bits:
    flow, number = (*arguments, None, None)[:2]
    if not isinstance(flow, Flow) or isinstance(number, bool | Flow) or np.size(number) != 1:
        raise Unfit(f"compares {str(arguments)[:80]}, expected a tensor with a number")
    value = context.ordered(flow.tensor)
    is_float = value.dtype.numpy.kind == "f"
    number = float(np.asarray(number, np.float64).reshape(-1)[0])
    bits = float32_bits(number) if is_float else int(number)
    return Bits((context.add(Mask, [value], bits=bits),))


def _constant_bits(context: Context, layer: Layer, arguments: list[Any]) -> Bits:
    if layer.settings.get("dtype") != "bool":
        raise context.refuse(layer, "dtype", "bool")
    return Bits(always=layer.kind == "ops.OnesLike")


def mask_of(context: Context, bits: Bits) -> Value | None:
    """The mask that these bits are, None where they are all True."""
    if bits.always:
        return None
    if not bits.masks:
        raise Unfit("reads a mask that is False everywhere")
    return any_of(context, list(bits.masks))


def _item(context: Context, layer: Layer, arguments: list[Any]) -> Any:
    """``x[:, -1]``, ``x[:, 2::2]``, ``x[:, :, a:b]``: some frames, some features."""
    if not arguments or not isinstance(arguments[0], Flow):
        raise Unfit(f"takes an item of {str(arguments)[:80]}, expected a tensor")
    x, keys = arguments[0].tensor, arguments[1:]
    keys = list(keys[0]) if len(keys) == 1 and isinstance(keys[0], list | tuple) else list(keys)
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        more = x.rank - sum(key is not None and key is not Ellipsis for key in keys)
        keys[place : place + 1] = [slice(None)] * more
    axis = 0
    for key in keys:
        if key is None:
            x = unsqueezed(x, [axis])
            axis += 1
        elif isinstance(key, int) and not isinstance(key, bool) and axis < x.rank:
            x = selected(context, x, axis, key)
        elif isinstance(key, slice) and axis < x.rank:
            x = x if key == slice(None) else _cut(context, x, axis, key)
            axis += 1
        else:
            raise Unfit(f"takes the item {str(keys)[:80]}, which cannot be expressed")
    return x


def _cut(context: Context, x: Tracked, axis: int, key: slice) -> Tracked:
    step = 1 if key.step is None else key.step
    start = key.start if key.start is not None else (0 if step > 0 else -1)
    stop = key.stop if key.stop is not None else (ENDLESS if step > 0 else -ENDLESS)
    return sliced(context, x, axis, start, stop, step)


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
REDUCED = {"Mean": "mean", "Max": "max", "Min": "min", "Sum": "sum", "Amax": "max", "Amin": "min"}


def _raised(exponent: float, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return raised(context, _tensor(context, arguments), exponent)


def _logged(word: str, context: Context, layer: Layer, arguments: list[Any]) -> Any:
    return logged(context, _tensor(context, arguments), word)


_TABLE: dict[str, Handler] = {
    **{_class_name(name): partial(_raised, power) for name, power in EXPONENTS.items()},
    **{_class_name(name): partial(_logged, name) for name in (*LOGARITHMS, "log1p")},
    **{name: partial(_activation, word) for name, word in ACTIVATIONS.items()},
    **{name: partial(_reduced, word) for name, word in REDUCED.items()},
    **dict.fromkeys(("Divide", "TrueDivide"), _divided),
    **dict.fromkeys(("Maximum", "Minimum"), _extreme),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    **dict.fromkeys(("Concatenate", "Stack"), _join),
    **dict.fromkeys(("Var", "Std"), _variance),
    **dict.fromkeys(("OnesLike", "ZerosLike"), _constant_bits),
    "Add": partial(_arithmetic, "add"),
    "Subtract": partial(_arithmetic, "sub"),
    "Multiply": partial(_arithmetic, "mul"),
    "Negative": _of_one(lambda context, x: scaled(context, x, -1.0)),
    "Absolute": _of_one(lambda context, x: activated(context, x, ABSOLUTE)),
    "Abs": _of_one(lambda context, x: activated(context, x, ABSOLUTE)),
    "Exp": _of_one(lambda context, x: activated(context, x, Activation.EXP)),
    "Power": _power,
    "Cumsum": _cumsum,
    "Argmax": _arg_max,
    "Clip": _clip,
    "Norm": _norm,
    "Matmul": _matmul,
    "Einsum": _einsum,
    "Split": _split,
    "Flip": _flip,
    "Transpose": _transpose,
    "Swapaxes": _swap,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "ExpandDims": _expand,
    "GetItem": _item,
    "NotEqual": _test,
    "Any": _any,
    "LogicalOr": lambda context, layer, arguments: _union(arguments),
}
OPERATIONS: dict[str, Handler] = {f"ops.{name}": handler for name, handler in _TABLE.items()}
