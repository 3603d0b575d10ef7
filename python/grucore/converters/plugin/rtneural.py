# SPDX-License-Identifier: Apache-2.0
"""RTNeural's layout, which AIDA-X reads too: layers in order, their weights as Keras has them.

    {"in_shape": [null, null, 1], "in_skip": 1, "in_gain": 0, "out_gain": -3, "layers": [
      {"type": "gru", "activation": "", "shape": [null, null, 16], "weights": [...]}, ...]}

A frame goes in, a frame comes out: convolutions are causal, and recurrent layers give every state.
``in_skip`` adds the first input to the output; gains are in dB, of the input and of that sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.build.builder import GraphBuilder
from grucore.converters.build.folding import fold
from grucore.converters.plugin.text import (
    array,
    check_names,
    entry,
    number,
    text_entries,
    whole,
)
from grucore.graph import gates
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Activation,
    ActivationCode,
    Affine,
    Binary,
    Conv1d,
    Dense,
    Gru,
    Lstm,
    Operation,
    Select,
    Softmax,
)
from grucore.graph.node import Value

__all__ = ["describe", "graph_of"]

NOTES = ("author", "license", "name", "samplerate", "source")
MODEL = ("in_shape", "in_skip", "in_gain", "out_gain", "layers")
# Data of the training and of other programs' tests.
ASIDE = ("esr", "loss", "samplerate", "metadata", "input_batch", "output_batch")
LAYER = ("type", "activation", "shape", "weights", "name")
MAX_LAYERS = 1024
SILENCE = -90.0  # dB, which and below which the plug-in gives nothing
ACTIVATIONS = {
    "tanh": ActivationCode.TANH,
    "relu": ActivationCode.RELU,
    "sigmoid": ActivationCode.SIGMOID,
}


def graph_of(document: Mapping[str, Any], source: Mapping[str, Any]) -> Graph:
    """The graph of such a document; raises `ConversionError` that names the layer."""
    check_names(document, (*MODEL, *ASIDE), "the model")
    shape = entry(document, "in_shape", list, "the model")
    if len(shape) == 4:
        raise ConversionError("in_shape has 4 axes, of images: expected one frame after the other")
    builder = GraphBuilder()
    x = builder.input("x", whole(shape, "in_shape"))
    layers = entry(document, "layers", list, "the model")
    if not 0 < len(layers) <= MAX_LAYERS:
        raise ConversionError(f"{len(layers)} layers, expected 1 to {MAX_LAYERS}")
    value = first = _gain(builder, document, "in_gain", x)
    for place, layer in enumerate(layers, 1):
        value = _layer(builder, place, layer, value)
    if _skips(document):
        value = _with_input(builder, first, value)
    value = _gain(builder, document, "out_gain", value)
    fold(builder, [value.name])
    inside = document.get("metadata")
    notes = text_entries(inside, NOTES) if isinstance(inside, dict) else {}
    notes |= text_entries(document, NOTES)
    about = {**source, "layout": "RTNeural", "axes": "(batch, time, features)"}
    if notes:
        about["notes"] = notes
    return builder.finish({"y": value}, {"source": about})


def describe(document: Mapping[str, Any]) -> str:
    """The layers in a line."""
    layers = document.get("layers")
    types = [layer.get("type") for layer in layers if isinstance(layer, dict)] if layers else []
    return f"RTNeural's layout, {' > '.join(f'{each!s:.20}' for each in types[:12])}"


def _decibels(document: Mapping[str, Any], name: str) -> float:
    found = document.get(name)
    if found is None:
        return 1.0
    decibels = number(document, name, "the model")
    return 0.0 if decibels <= SILENCE else 10.0 ** (min(decibels, 1000.0) / 20.0)


def _gain(builder: GraphBuilder, document: Mapping[str, Any], name: str, x: Value) -> Value:
    factor = _decibels(document, name)
    if factor == 1.0:
        return x
    scale, shift = np.full(x.features, 1.0), np.zeros(x.features)
    scale[0] = factor
    return builder.add(Affine, name, [x], scale=scale, shift=shift)


def _skips(document: Mapping[str, Any]) -> bool:
    found = document.get("in_skip")
    if found is None:
        return False
    if isinstance(found, bool) or found not in (0, 1):
        raise ConversionError(f"in_skip is {found!r:.60}, expected 0 or 1")
    return bool(found)


def _with_input(builder: GraphBuilder, first: Value, value: Value) -> Value:
    if value.features != 1:
        raise ConversionError(f"in_skip adds one number to {value.features}, expected one output")
    if first.features > 1:
        index = np.zeros(1, np.int32)
        first = builder.add(Select, "in_skip.first", [first], index=index)
    return builder.add(Binary, "in_skip", [first, value], operation=Operation.ADD)


def _layer(builder: GraphBuilder, place: int, layer: Any, x: Value) -> Value:
    """One layer and its activation."""
    where = f"layer {place}"
    if not isinstance(layer, dict):
        raise ConversionError(f"{where} is {layer!r:.60}, expected an object")
    kind = entry(layer, "type", str, where)
    where = f"{where} ({kind:.40})"
    if kind not in LAYERS:
        raise ConversionError(f"{where}: expected one of {', '.join(LAYERS)}")
    make, more = LAYERS[kind]
    check_names(layer, (*LAYER, *more), where)
    size = whole(entry(layer, "shape", list, where), f"the shape of {where}")
    weights = entry(layer, "weights", list, where)
    value = make(builder, where, layer, weights, x, size)
    if value.features != size:
        raise ConversionError(f"{where} has {size} features, expected {value.features}")
    return value


def _counted(weights: list[Any], counts: tuple[int, ...], where: str) -> None:
    if len(weights) not in counts:
        expected = " or ".join(map(str, counts))
        raise ConversionError(f"{where} has {len(weights)} arrays of weights, expected {expected}")


def _activated(builder: GraphBuilder, where: str, layer: Mapping[str, Any], x: Value) -> Value:
    said = layer.get("activation", "")
    if said == "":
        return x
    name = f"{layer['type']}.{said!s:.20}"
    if said in ACTIVATIONS:
        return builder.add(Activate, name, [x], activation=Activation(ACTIVATIONS[said]))
    if said == "elu":
        elu = Activation(ActivationCode.ELU, 1.0)
        return builder.add(Activate, name, [x], activation=elu)
    if said == "softmax":
        return builder.add(Softmax, name, [x])
    expected = ", ".join((*ACTIVATIONS, "elu", "softmax"))
    raise ConversionError(f"{where} has the activation {said!r:.60}, expected {expected}")


def _dense(
    builder: GraphBuilder, where: str, layer: Any, weights: list[Any], x: Value, size: int
) -> Value:
    _counted(weights, (2,), where)
    kernel = array(weights[0], (x.features, size), f"the kernel of {where}")
    bias = array(weights[1], (size,), f"the bias of {where}")
    value = builder.add(Dense, layer["type"], [x], weight=kernel.T, bias=bias)
    return _activated(builder, where, layer, value)


def _conv1d(
    builder: GraphBuilder, where: str, layer: Any, weights: list[Any], x: Value, size: int
) -> Value:
    _counted(weights, (2,), where)
    taps, dilation, groups = (
        whole(layer.get(name, default), f"{name} of {where}")
        for name, default in (("kernel_size", None), ("dilation", 1), ("groups", 1))
    )
    if layer.get("strides", 1) not in (1, [1]):
        raise ConversionError(f"{where} has strides {layer['strides']!r:.60}, expected 1")
    if x.features % groups or size % groups:
        raise ConversionError(f"{where} has {groups} groups of {x.features} and {size} channels")
    shape = (taps, x.features // groups, size)
    kernel = array(weights[0], shape, f"the kernel of {where}")
    value = builder.add(
        Conv1d,
        "conv1d",
        [x],
        weight=kernel.transpose(2, 0, 1),
        bias=array(weights[1], (size,), f"the bias of {where}"),
        dilation=dilation,
        groups=groups,
        before=dilation * (taps - 1),
    )
    return _activated(builder, where, layer, value)


def _recurrent(
    builder: GraphBuilder, where: str, layer: Any, weights: list[Any], x: Value, size: int
) -> Value:
    _counted(weights, (3,), where)
    if layer.get("activation", "") not in ("", "tanh"):
        raise ConversionError(f"{where} has the activation {layer['activation']!r:.60}, not tanh")
    is_gru = layer["type"] == "gru"
    rows = (3 if is_gru else 4) * size
    kernel = array(weights[0], (x.features, rows), f"the kernel of {where}")
    recurrent = array(weights[1], (size, rows), f"the recurrent kernel of {where}")
    bias = array(weights[2], (2, rows) if is_gru else (rows,), f"the bias of {where}")
    if is_gru:
        found = gates.from_keras(kernel, recurrent, bias, reset_after=True)
    else:
        found = gates.summed(kernel.T, recurrent.T, bias, None)
    return builder.add(
        Gru if is_gru else Lstm,
        f"{layer['type']}.l0",
        [x],
        weight_ih=found[0],
        weight_hh=found[1],
        bias=found[2],
    )


def _prelu(
    builder: GraphBuilder, where: str, layer: Any, weights: list[Any], x: Value, size: int
) -> Value:
    _counted(weights, (1,), where)
    first = weights[0][0] if isinstance(weights[0], list) and len(weights[0]) == 1 else None
    shape = (1,) if isinstance(first, list) and len(first) == 1 else (x.features,)
    slope = array(first, shape, f"the slopes of {where}")
    leaky = Activation(ActivationCode.LEAKY_RELU, 0.0)
    slopes = np.broadcast_to(slope, (x.features,)).astype(np.float32)
    return builder.add(Activate, "prelu", [x], activation=leaky, slope=slopes)


def _batchnorm(
    builder: GraphBuilder, where: str, layer: Any, weights: list[Any], x: Value, size: int
) -> Value:
    """Mean and variance, after scale and shift if there are four."""
    _counted(weights, (2, 4), where)
    epsilon = number(layer, "epsilon", where)
    arrays = [array(each, (x.features,), f"the weights of {where}") for each in weights]
    mean, variance = arrays[-2:]
    gamma, beta = arrays[:2] if len(arrays) == 4 else (np.ones(size), np.zeros(size))
    if not (variance + epsilon > 0).all():
        raise ConversionError(f"{where} has a variance that is not positive")
    scale = gamma / np.sqrt(variance + epsilon)
    return builder.add(Affine, "batchnorm", [x], scale=scale, shift=beta - mean * scale)


def _activation(
    builder: GraphBuilder, where: str, layer: Any, weights: list[Any], x: Value, size: int
) -> Value:
    _counted(weights, (0,), where)
    return _activated(builder, where, layer, x)


_Maker = Callable[[GraphBuilder, str, Any, list[Any], Value, int], Value]
LAYERS: dict[str, tuple[_Maker, tuple[str, ...]]] = {
    "dense": (_dense, ()),
    "time-distributed-dense": (_dense, ()),
    "conv1d": (_conv1d, ("kernel_size", "dilation", "groups", "strides")),
    "gru": (_recurrent, ()),
    "lstm": (_recurrent, ()),
    "prelu": (_prelu, ()),
    "batchnorm": (_batchnorm, ("epsilon",)),
    "activation": (_activation, ()),
}
