# SPDX-License-Identifier: Apache-2.0
"""Keras's activations by name: one of the engine's, or a few layers of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from grucore._core import ConversionError
from grucore.converters.keras.context import Context
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Operand
from grucore.converters.trace.ops.elementwise import (
    activated,
    log_sigmoid,
    mish,
    selu,
    soft_shrink,
    tanh_shrink,
)
from grucore.converters.trace.ops.norms import gated, softmax
from grucore.converters.trace.trace import Trace
from grucore.graph.layers import Activation

__all__ = ["PLAIN", "SEVERAL", "activate", "gate", "named", "number", "of_layer"]

GATE_CODES = 8

PLAIN: dict[str, Activation] = {
    "linear": Activation.LINEAR,
    "relu": Activation.RELU,
    "relu6": Activation.clip(0, 6),
    "sigmoid": Activation.SIGMOID,
    "tanh": Activation.TANH,
    "elu": Activation.elu(1.0),
    "celu": Activation.elu(1.0),
    "softsign": Activation.SOFTSIGN,
    "softplus": Activation.SOFTPLUS,
    "exponential": Activation.EXP,
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "gelu": Activation.GELU,
    "leaky_relu": Activation.leaky_relu(0.2),
    "hard_tanh": Activation.clip(-1, 1),
    "hard_silu": Activation.HARD_SWISH,
    "hard_swish": Activation.HARD_SWISH,
    "sparse_sigmoid": Activation.hard_sigmoid(0.5, 0.5),
}


def named(context: Context, layer: Layer, activation: Any) -> Activation | str:
    """The engine's activation, or the name of one that takes several layers."""
    if activation is None:
        return Activation.LINEAR
    if isinstance(activation, Mapping):
        return _of_object(context, layer, activation)
    if not isinstance(activation, str):
        raise ConversionError(f"{layer} has activation {str(activation)[:60]}")
    if activation == "hard_sigmoid":
        return _hard_sigmoid(context, layer)
    if activation in PLAIN:
        return PLAIN[activation]
    if activation in SEVERAL or activation in ("softmax", "log_softmax"):
        return activation
    raise ConversionError(f"{layer} has activation {activation!r}, which cannot be expressed")


def _of_object(context: Context, layer: Layer, config: Mapping[str, Any]) -> Activation | str:
    """An activation that is a layer or a function in the config, not a name."""
    kind, settings = config.get("class_name"), config.get("config")
    module = str(config.get("module") or "keras")
    if kind == "function" and isinstance(settings, str):
        if module not in ("builtins", "keras", "keras.activations") or ">" in settings:
            raise ConversionError(f"{layer} has the custom activation {module}.{settings}")
        return named(context, layer, settings)
    if not module.startswith("keras") or not isinstance(settings, Mapping):
        raise ConversionError(f"{layer} has the custom activation {module}.{kind}")
    inner = Layer(str(kind), layer.name, layer.path, settings)
    found = of_layer(context, inner)
    if found is None or len(found) != 1:
        raise ConversionError(f"{layer} has the activation {kind}, which cannot be expressed")
    return found[0]


def _hard_sigmoid(context: Context, layer: Layer) -> Activation:
    """Two functions have borne this name: Keras changed it with version 3."""
    if context.version is None:
        raise ConversionError(
            f"{layer} has activation 'hard_sigmoid', which is clip(0.2 x + 0.5) up to Keras 2 and "
            "clip(x / 6 + 0.5) in Keras 3, and neither the file nor the config says the version: "
            'write "keras_version" into the config'
        )
    if context.version[0] >= 3:
        return Activation.hard_sigmoid(1 / 6, 0.5)
    context.notes["hard_sigmoid"] = (
        "clip(0.2 x + 0.5), with which it was trained; Keras 3 reads the same file as "
        "clip(x / 6 + 0.5) and gives other numbers"
    )
    return Activation.hard_sigmoid(0.2, 0.5)


def of_layer(context: Context, layer: Layer) -> list[Activation] | None:
    """The activations that a layer which is nothing else means, one after the other, or None."""
    match layer.kind:
        case "ReLU":
            settings = context.settings(layer, {"max_value", "negative_slope", "threshold"})
            if settings.get("threshold"):
                raise context.refuse(layer, "threshold", "0")
            slope, most = number(settings.get("negative_slope")), settings.get("max_value")
            if most is None:
                return [Activation.leaky_relu(slope) if slope else Activation.RELU]
            if not slope:
                return [Activation.clip(0, number(most))]
            return [Activation.leaky_relu(slope), Activation.clip(-math.inf, number(most))]
        case "LeakyReLU":
            settings = context.settings(layer, {"negative_slope", "alpha"})
            slope = settings.get("negative_slope", settings.get("alpha", 0.3))
            return [Activation.leaky_relu(number(slope))]
        case "ELU":
            settings = context.settings(layer, {"alpha"})
            return [Activation.elu(number(settings.get("alpha", 1.0)))]
        case _:
            return None


def number(content: Any) -> float:
    """A number of a config; None is 0."""
    if isinstance(content, Mapping):  # tf.keras wrote some as arrays of no axes
        content = content.get("value", content.get("config"))
    if content is None:
        return 0.0
    if isinstance(content, bool) or not isinstance(content, int | float):
        raise ConversionError(f"{str(content)[:60]!r} stands where a number is expected")
    return float(content)


def gate(context: Context, layer: Layer, setting: Any) -> Activation:
    """An activation inside a GRU."""
    found = named(context, layer, setting)
    if isinstance(found, str) or found.code >= GATE_CODES:
        raise ConversionError(
            f"{layer} has activation {setting!r} inside its cell, where only "
            "linear, sigmoid, tanh, relu, leaky_relu, elu, hard_sigmoid and "
            "softsign can be expressed"
        )
    return found


def activate(
    context: Context, layer: Layer, x: Operand | None, activation: Activation | str
) -> Data:
    """The activation as layers of its own."""
    data = context.data(x)
    if activation in ("softmax", "log_softmax"):
        return softmax(context, data, [data.rank - 1], logarithm=activation == "log_softmax")
    if isinstance(activation, str):
        return SEVERAL[activation](context, data)
    if activation == Activation.LINEAR:
        return data
    return activated(context, data, activation, suffix=activation.name)


SEVERAL: dict[str, Callable[[Trace, Data], Data]] = {
    "selu": selu,
    "mish": mish,
    "log_sigmoid": log_sigmoid,
    "tanh_shrink": tanh_shrink,
    "soft_shrink": soft_shrink,
    "glu": lambda context, x: gated(context, x, x.rank - 1),
}
