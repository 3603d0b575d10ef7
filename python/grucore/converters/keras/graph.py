# SPDX-License-Identifier: Apache-2.0
"""From the layers of a Keras model, and their weights, to a graph."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from grucore._core import ConversionError
from grucore.converters.boundary import at
from grucore.converters.build.builder import GraphBuilder
from grucore.converters.build.folding import fold
from grucore.converters.keras.context import Bits, CellState, Context, Flow, Start, dtype_policy
from grucore.converters.keras.ops.fed_back import feed_back, rows
from grucore.converters.keras.ops.layers import LAYERS, VANISHING
from grucore.converters.keras.ops.merge import MERGES, merge
from grucore.converters.keras.ops.operations import OPERATIONS, mask_of, operation
from grucore.converters.keras.ops.recurrent import CELLS, SINGLE, bidirectional, recurrent
from grucore.converters.keras.ops.returned import check_returned
from grucore.converters.keras.ops.states import take_start
from grucore.converters.keras.read.config import MODELS, Call, Layer, Ref, node_shifts, references
from grucore.converters.keras.read.inputs import (
    GENERATED,
    Port,
    flat_inputs,
    id_inputs,
    input_ports,
)
from grucore.converters.keras.read.names import Weights
from grucore.graph.graph import Graph
from grucore.graph.tensors import Dtype

__all__ = [
    "check_kinds",
    "graph_of",
]

RECURRENT = (*SINGLE, "RNN")
# Layers that read a sequence with frames of zeros around it.
PADDED = {
    "MaxPooling1D",
    "AveragePooling1D",
    "Conv1D",
    "DepthwiseConv1D",
    "SeparableConv1D",
    "ZeroPadding1D",
    *VANISHING,
}
EXPRESSED = {
    *(*LAYERS, *VANISHING, *MERGES, *OPERATIONS, *RECURRENT),
    *("InputLayer", "Bidirectional", "TimeDistributed", "StackedRNNCells", *CELLS),
}


def graph_of(
    model: Layer,
    weights: Weights,
    version: tuple[int, ...] | None,
    metadata: Mapping[str, Any],
) -> Graph:
    """The checked graph of a model; ``metadata``'s source gets what became of its options.

    States of one frame a call that are no layer's own are fed back.
    """
    try:
        return _graph(model, weights, version, metadata, delayed=False)
    except ConversionError as error:
        ports = input_ports(model)
        rows = [port for port in ports if _is_row(port, id_inputs(model, ports))]
        steps = {port.shape[0] for port in ports if port not in rows}
        if not rows or steps != {1}:
            raise
        with contextlib.suppress(ConversionError):
            return _graph(model, weights, version, metadata, delayed=True)
        raise error from None


def _graph(
    model: Layer,
    weights: Weights,
    version: tuple[int, ...] | None,
    metadata: Mapping[str, Any],
    *,
    delayed: bool,
) -> Graph:
    ports = input_ports(model)
    of_ids = id_inputs(model, ports)
    flat = flat_inputs(model, ports)
    of_ids |= flat
    lengths = {port.shape[0] for port in ports if not _is_row(port, of_ids)}
    context = Context(GraphBuilder(), weights, version, delayed=delayed)
    context.frames = lengths.pop() if len(lengths) == 1 else None
    if flat:  # a Reshape says how many frames there are
        context.notes["frames"] = context.frames
    flows: list[Any] = [_input(context, port, ports, of_ids, flat) for port in ports]
    found = _model(context, model, flows)
    named = {}
    returned = {}
    for place, (name, flow) in enumerate(found.items()):
        if isinstance(flow, CellState) and flow.state in context.states.values():
            returned[str(place)] = flow.state  # the state that a stream carries itself
            continue
        if isinstance(flow, CellState):
            raise ConversionError(
                f"output {name!r} of {model} is {flow}, which is no value of a frame: leave it "
                "out of the outputs, and take it from run(..., return_state=True)"
            )
        if not isinstance(flow, Flow):
            what = "an input" if isinstance(flow, Start) else "a mask"
            raise ConversionError(f"output {name!r} of {model} is {what}, expected numbers")
        _check_padding(f"output {name!r} of {model}", [flow])
        named[name] = flow.value
    if returned:
        context.notes["returned_states"] = returned
    called = dict(zip(found, _output_names(model, list(found)), strict=True))
    if delayed:
        feed_back(context, {called[name]: flow for name, flow in found.items()})
    else:
        check_returned(
            context,
            {
                called[name]: flow if isinstance(flow, CellState) else named[name]
                for name, flow in found.items()
            },
        )
    named = {called[name]: value for name, value in named.items()}
    fold(context.builder, [value.name for value in named.values()])
    if context.states:
        is_state = "the input is the state of {}".format
        context.notes["states"] = {name: is_state(at) for name, at in context.states.items()}
    for start in flows:
        if isinstance(start, Start) and start.name not in context.states:
            raise ConversionError(f"input {start.name!r} of {model} is read by no layer")
    source = {**metadata.get("source", {}), **context.notes}
    return context.builder.finish(named, {**metadata, "source": source})


def _output_names(model: Layer, names: list[str]) -> list[str]:
    """The names of the outputs: as in Keras, where they have names; "y" for a nameless one."""
    if not all(name.isdigit() for name in names):
        return names
    if len(names) == 1:
        return ["y"]
    # The last layer of a Sequential gives them all, such as a GRU with return_state.
    layers = [ref.layer for ref in model.outputs.values()]
    layers = layers or [model.layers[-1].name] * len(names)
    return [
        layer if layers.count(layer) == 1 else f"{layer}_{number}"
        for number, layer in enumerate(layers)
    ]


def _is_row(port: Port, of_ids: set[str]) -> bool:
    """True if an input has one row for a sequence."""
    return port.name not in of_ids and len(port.shape) == 1 and port.shape[0] is not None


def _input(
    context: Context, port: Port, ports: tuple[Port, ...], of_ids: set[str], flat: set[str]
) -> Flow | Start:
    if _is_row(port, of_ids) and context.delayed:
        size = port.shape[0] or 0
        context.delays[port.name] = context.builder.delay(port.name, size)
        return Flow(context.delays[port.name], (size,), is_row=True)
    if _is_row(port, of_ids):
        return Start(port.name, port.shape[0] or 0)
    ports = tuple(other for other in ports if not _is_row(other, of_ids))
    alone = len(ports) == 1 and GENERATED.fullmatch(port.name)
    name = "x" if alone else port.name
    if port.name in flat:
        return Flow(context.builder.input(name, 1), (1,))
    if port.name in of_ids:
        if len(port.shape) not in (1, 2) or (len(port.shape) == 2 and port.shape[1] != 1):
            raise ConversionError(
                f"input {port.name!r} of ids has shape {port.shape}, expected (time,): one for "
                "each frame"
            )
        return Flow(context.builder.input(name, 1, Dtype.INT32), (1,) * (len(port.shape) - 1))
    if len(port.shape) < 2 or None in port.shape[1:]:
        raise ConversionError(
            f"input {port.name!r} has shape {port.shape}, expected (time, features)"
        )
    dims = tuple(extent for extent in port.shape[1:] if extent is not None)
    features = 1
    for extent in dims:
        features *= extent
    return Flow(context.builder.input(name, features), dims)


def check_kinds(model: Layer) -> None:
    """Raise `ConversionError` that names the first layer of a kind that cannot be expressed."""
    for layer in (*model.layers, *model.inside.values()):
        if layer.kind not in EXPRESSED and layer.kind not in MODELS:
            raise ConversionError(f"{layer} is of a kind that cannot be expressed")
        if layer.kind != "InputLayer" and not layer.kind.startswith("ops."):
            dtype_policy(layer)
        check_kinds(layer)


def _model(context: Context, model: Layer, flows: list[Flow]) -> dict[str, Any]:
    """The outputs of a model that reads these flows."""
    if model.kind == "Sequential":
        if len(flows) != 1:
            raise ConversionError(f"{model} reads {len(flows)} tensors, expected 1")
        result: Any = flows[0]
        for layer in model.layers:
            if isinstance(result, tuple):
                raise ConversionError(f"{layer} in {model} reads {len(result)} tensors")
            with at(str(layer)):
                results = _apply(context, layer, [result], {})
            result = results[0] if len(results) == 1 else results
        outputs = result if isinstance(result, tuple) else (result,)
        return {str(number): flow for number, flow in enumerate(outputs)}
    known: dict[Ref, Any] = {}
    if len(flows) != len(model.inputs):
        message = f"{model} reads {len(flows)} tensors, expected {len(model.inputs)}"
        raise ConversionError(message)
    known.update(zip(model.inputs, flows, strict=True))
    shift = node_shifts(model)
    waiting = [
        (layer, Ref(layer.name, number + shift[layer.name], 0), call)
        for layer in model.layers
        if layer.kind != "InputLayer"
        for number, call in enumerate(model.calls[layer.name])
    ]
    while waiting:
        later = []
        for layer, ref, call in waiting:
            if not all(read in known for read in references([call.arguments, call.keywords])):
                later.append((layer, ref, call))
                continue
            with at(str(layer)):
                results = _call(context, layer, call, known)
            known |= {ref._replace(tensor=number): flow for number, flow in enumerate(results)}
        if len(later) == len(waiting):
            names = ", ".join(str(layer) for layer, _, _ in waiting[:4])
            raise ConversionError(f"{names} read each other's outputs, or ones that are not there")
        waiting = later
    for ref in model.outputs.values():
        if ref not in known:
            raise ConversionError(f"{model} gives {ref}, which is not there")
    return {name: known[ref] for name, ref in model.outputs.items()}


def _call(context: Context, layer: Layer, call: Call, known: Mapping[Ref, Any]) -> tuple[Any, ...]:
    def filled(content: Any) -> Any:
        if isinstance(content, Ref):
            return known[content]
        if isinstance(content, list):
            return [filled(item) for item in content]
        return content

    arguments = [filled(entry) for entry in call.arguments]
    keywords = {name: filled(entry) for name, entry in call.keywords.items()}
    if layer.kind.startswith("ops."):
        if layer.kind not in OPERATIONS or keywords:
            raise ConversionError(f"the operation {layer} cannot be expressed")
        context.count_call()
        _check_padding(layer, arguments)
        return rows(context, layer, arguments, (operation(context, layer, arguments),))
    flows = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else arguments
    for flow in flows:
        if isinstance(flow, CellState):
            raise ConversionError(f"{layer} reads {flow}, which only its LSTM may")
    if any(not isinstance(flow, Flow | Start) for flow in flows):
        raise ConversionError(f"{layer} reads {arguments!r:.120}, expected tensors of numbers")
    return _apply(context, layer, list(flows), keywords)


def _apply(
    context: Context, layer: Layer, flows: list[Flow], keywords: Mapping[str, Any]
) -> tuple[Any, ...]:
    """The result of a layer for these tensors."""
    if context.delayed and layer.kind not in (*MODELS, *RECURRENT):
        return rows(context, layer, flows, _results(context, layer, flows, keywords))
    return _results(context, layer, flows, keywords)


def _results(
    context: Context, layer: Layer, flows: list[Flow], keywords: Mapping[str, Any]
) -> tuple[Any, ...]:
    context.count_call()
    starts: tuple[Start, ...] = ()
    if layer.kind in (*RECURRENT, "Bidirectional"):
        flows, keywords, starts = take_start(layer, flows, keywords)
    flows = _with_keywords(context, layer, flows, keywords)
    if layer.kind in MODELS:
        return tuple(_model(context, layer, flows).values())
    if layer.kind not in PADDED:
        _check_padding(layer, flows)
    for flow in flows:
        if isinstance(flow, Start):
            raise ConversionError(
                f"{layer} reads input {flow.name!r} of shape ({flow.size},), a row that does not "
                "come with every frame: it can only be the initial state of a recurrent layer"
            )
    if layer.kind in MERGES:
        return (merge(context, layer, flows),)
    if len(flows) != 1:
        raise ConversionError(f"{layer} reads {len(flows)} tensors, expected 1")
    (flow,) = flows
    if layer.kind == "InputLayer":
        return (flow,)
    if layer.kind in RECURRENT:
        return recurrent(context, layer, flow, starts)
    if layer.kind == "Bidirectional":
        return bidirectional(context, layer, flow, starts)
    if layer.kind == "TimeDistributed":
        return _time_distributed(context, layer, flow)
    if layer.kind in VANISHING:
        context.settings(layer, VANISHING[layer.kind])
        return (flow,)
    if layer.kind in LAYERS:
        return (LAYERS[layer.kind](context, layer, flow),)
    raise ConversionError(f"{layer} is of a kind that cannot be expressed")


def _check_padding(reader: Layer | str, arguments: Sequence[Any]) -> None:
    """Raise where something other than a convolution reads frames of zeros around a sequence."""
    for flow in arguments:
        if isinstance(flow, list):
            _check_padding(reader, flow)
        elif isinstance(flow, Flow) and flow.padding != (0, 0):
            raise ConversionError(
                f"{reader} reads what a ZeroPadding1D gives, which can only be expressed before a "
                "convolution or a pool over windows"
            )


def _with_keywords(
    context: Context, layer: Layer, flows: list[Flow], keywords: Mapping[str, Any]
) -> list[Flow]:
    """The tensors with the mask that a call gives; any other argument is refused by name."""
    for name, content in keywords.items():
        if content is None or (name == "training" and content is False):
            continue
        if name == "mask" and isinstance(content, Bits):
            flows = [replace(flow, mask=mask_of(context, layer, content)) for flow in flows]
        elif name == "mask" and isinstance(content, list):
            flows = [
                flow if bits is None else replace(flow, mask=mask_of(context, layer, bits))
                for flow, bits in zip(flows, content, strict=True)
            ]
        else:
            raise ConversionError(
                f"{layer} is called with {name}={str(content)[:80]}, which cannot be expressed"
            )
    return flows


def _time_distributed(context: Context, layer: Layer, flow: Flow) -> tuple[Any, ...]:
    context.settings(layer, {"layer"})
    if not flow.in_time:
        raise ConversionError(f"{layer} reads no sequence")
    before, context.framewise = context.framewise, True
    results = _apply(context, layer.inside["layer"], [flow], {})
    context.framewise = before
    return tuple(replace(result, mask=flow.mask) for result in results)
