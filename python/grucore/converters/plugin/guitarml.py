# SPDX-License-Identifier: Apache-2.0
"""The layout of GuitarML, Proteus and NeuralSeed: a state dict of PyTorch, and what its module is.

    {"model_data": {"model": "SimpleRNN", "unit_type": "LSTM", "input_size": 1, "output_size": 1,
                    "hidden_size": 20, "num_layers": 1, "skip": 1, "bias_fl": true},
     "state_dict": {"rec.weight_ih_l0": [...], ..., "lin.weight": [...], "lin.bias": [...]}}

Recurrent layers, a linear one, and the first ``skip`` inputs added to its outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.build.builder import GraphBuilder
from grucore.converters.build.folding import fold
from grucore.converters.plugin.text import array, check_names, entry, whole
from grucore.graph import gates
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activation,
    ActivationCode,
    Binary,
    Dense,
    Gru,
    Lstm,
    Operation,
    Rnn,
    Select,
)
from grucore.graph.node import Value

__all__ = ["describe", "graph_of"]

GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
SIZES = ("input_size", "output_size", "hidden_size", "num_layers")
DATA = ("model", "unit_type", "skip", "bias_fl", *SIZES)
MAX_LAYERS = 64


def graph_of(document: Mapping[str, Any], source: Mapping[str, Any]) -> Graph:
    """The graph of such a document; raises `ConversionError` that names the tensor."""
    check_names(document, ("model_data", "state_dict"), "the model")
    data = entry(document, "model_data", dict, "the model")
    check_names(data, DATA, "model_data")
    model, unit = (entry(data, name, str, "model_data") for name in ("model", "unit_type"))
    if model != "SimpleRNN" or unit not in GATES:
        raise ConversionError(
            f"model_data is of {model!r:.60} with {unit!r:.60}, expected 'SimpleRNN' with "
            f"{', '.join(GATES)}"
        )
    inputs, outputs, hidden, layers = (whole(data.get(name), f"{name}") for name in SIZES)
    if layers > MAX_LAYERS:
        raise ConversionError(f"num_layers is {layers}, expected at most {MAX_LAYERS}")
    if not isinstance(data.get("bias_fl"), bool):
        raise ConversionError(f"bias_fl is {data.get('bias_fl')!r:.60}, expected true or false")
    state = dict(entry(document, "state_dict", dict, "the model"))
    builder = GraphBuilder()
    x = builder.input("x", inputs)
    value = x
    for layer in range(layers):
        value = _recurrent(builder, state, unit, layer, value, hidden)
    weight = _taken(state, "lin.weight", (outputs, hidden))
    bias = _taken(state, "lin.bias", (outputs,)) if data["bias_fl"] else np.zeros(outputs)
    value = builder.add(Dense, "lin", [value], weight=weight, bias=bias)
    if state:
        raise ConversionError(f"state_dict has {', '.join(state):.200}, which no layer reads")
    value = _with_skip(builder, data.get("skip"), x, value)
    fold(builder, [value.name])
    about = {**source, "layout": "GuitarML", "axes": "(batch, time, features)"}
    return builder.finish({"y": value}, {"source": about})


def describe(document: Mapping[str, Any]) -> str:
    """The layers in a line."""
    data = document.get("model_data")
    found = data if isinstance(data, dict) else {}
    return f"GuitarML's layout, {found.get('unit_type')!s:.20} {found.get('hidden_size')!s:.20}"


def _taken(state: dict[str, Any], name: str, shape: tuple[int, ...]) -> Any:
    """A tensor, which leaves the dict."""
    if name not in state:
        raise ConversionError(f"state_dict has no {name!r}")
    return array(state.pop(name), shape, f"{name!r}")


def _recurrent(
    builder: GraphBuilder, state: dict[str, Any], unit: str, layer: int, x: Value, hidden: int
) -> Value:
    rows = GATES[unit] * hidden
    shapes = {
        "weight_ih": (rows, x.features),
        "weight_hh": (rows, hidden),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
    }
    arrays = [_taken(state, f"rec.{name}_l{layer}", shape) for name, shape in shapes.items()]
    weight_ih, weight_hh, bias = (gates.from_torch if unit == "GRU" else gates.summed)(*arrays)
    kinds: dict[str, Any] = {"GRU": Gru, "LSTM": Lstm, "RNN": Rnn}
    more = {"activation": Activation(ActivationCode.TANH)} if unit == "RNN" else {}
    return builder.add(
        kinds[unit],
        f"rec.l{layer}",
        [x],
        weight_ih=weight_ih,
        weight_hh=weight_hh,
        bias=bias,
        **more,
    )


def _with_skip(builder: GraphBuilder, skip: Any, x: Value, value: Value) -> Value:
    """PyTorch's ``lin(h) + x[:, :, 0:skip]``, which repeats one of either."""
    if skip in (0, None, False):
        return value
    count = min(whole(skip, "skip"), x.features)
    if count not in (1, value.features):
        raise ConversionError(f"skip adds {count} inputs to {value.features} outputs")
    index = np.zeros(value.features, np.int32) if count == 1 else np.arange(count, dtype=np.int32)
    if len(index) != x.features or count == 1 < len(index):
        x = builder.add(Select, "skip.inputs", [x], index=index)
    return builder.add(Binary, "skip", [value, x], operation=Operation.ADD)
