# SPDX-License-Identifier: Apache-2.0
"""From the layers of a Keras model, and their weights, to a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from grucore._core import ConversionError
from grucore.converters.boundary import at
from grucore.converters.build.folding import fold
from grucore.converters.keras.context import (
    Bits,
    Context,
    Flow,
    dtype_policy,
    flow_of,
    flow_of_samples,
    flow_once,
    frames_of,
    is_row,
)
from grucore.converters.keras.ops.arguments import operand
from grucore.converters.keras.ops.attention import (
    ATTENDING,
    MOVING,
    ON_MEMORY,
    attends,
    given_by_name,
)
from grucore.converters.keras.ops.cells import CELLS
from grucore.converters.keras.ops.layers import LAYERS, VANISHING
from grucore.converters.keras.ops.masks import mask_of
from grucore.converters.keras.ops.merge import MERGES, merge
from grucore.converters.keras.ops.operations import OPERATIONS, operation
from grucore.converters.keras.ops.recurrent import RECURRENT, bidirectional, recurrent, take_start
from grucore.converters.keras.ops.sound import MIRRORING
from grucore.converters.keras.ports import memory_flow, note, output_names
from grucore.converters.keras.read.config import MODELS, Call, Layer, Ref, node_shifts, references
from grucore.converters.keras.read.inputs import (
    flat_inputs,
    id_inputs,
    input_ports,
    sound_inputs,
)
from grucore.converters.keras.read.names import Weights
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    RISING,
    Axis,
    Ended,
    Held,
    Tracked,
    Unfit,
    text_of,
)
from grucore.converters.trace.carried import Caller, connect, handed_back, left
from grucore.converters.trace.memory import Memory, Scores
from grucore.converters.trace.ops.masks import is_mask
from grucore.converters.trace.sizes import Unknown
from grucore.graph.graph import Graph
from grucore.graph.layers import Mask
from grucore.graph.node import MAX_FEATURES

__all__ = [
    "check_kinds",
    "graph_as_read",
]

EXPRESSED = {
    *(*LAYERS, *VANISHING, *MERGES, *OPERATIONS, *RECURRENT, *ATTENDING),
    *("InputLayer", "Bidirectional", "TimeDistributed", "SpectralNormalization"),
    *("StackedRNNCells", *CELLS),
}


def graph_as_read(
    model: Layer,
    weights: Weights,
    version: tuple[int, ...] | None,
    metadata: Mapping[str, Any],
    delayed: frozenset[str] | None,
    once: frozenset[str],
    memory: str | None,
) -> Graph:
    """The graph of one reading of the inputs.

    ``delayed``: of a model of one frame a call the states that are fed back, else None.
    ``once``: the inputs that come once for a sequence. ``memory``: the one that is attended to.
    """
    ports = input_ports(model)
    of_ids = id_inputs(model, ports)
    flat = flat_inputs(model, ports)
    hops = sound_inputs(model, ports)
    of_ids |= flat | set(hops)  # which are no rows either
    others = (*once, memory)
    framed = tuple(port for port in ports if not is_row(port, of_ids) and port.name not in others)
    lengths = {frames_of(port, hops) for port in framed}
    context = Context(variables=dict(weights), version=version, delayed=delayed)
    context.frames = lengths.pop() if len(lengths) == 1 and delayed is None else None
    if hops:
        context.notes["hop"] = max(hops.values())
    if flat:  # a Reshape says how many frames there are
        context.notes["frames"] = context.frames
    context.memory = next((port.shape[0] for port in ports if port.name == memory), None)
    flows = [
        memory_flow(port)
        if port.name == memory
        else flow_once(context, port, of_ids)
        if port.name in once
        else flow_of_samples(context, port, framed, hops[port.name])
        if port.name in hops
        else flow_of(context, port, framed, of_ids, flat)
        for port in ports
    ]
    if context.booleans:
        context.notes["booleans"] = context.booleans
    if once:
        context.notes["once"] = [name for name in context.builder.inputs if name in context.still]
    found = _model(context, model, flows)
    if context.bound:
        context.notes["frames"] = context.frames
    called = dict(zip(found, output_names(model, list(found)), strict=True))
    tensors: dict[str, Tracked] = {}
    for name, flow in found.items():
        if not isinstance(flow, Flow) or isinstance(flow.tensor, Held | Memory | Scores):
            what = "an input, or made of a memory" if isinstance(flow, Flow) else "a mask"
            raise ConversionError(f"output {name!r} of {model} is {what}, expected numbers")
        tensors[called[name]] = flow.tensor
    caller = Caller({port.name: len(port.shape) + 1 for port in ports}, tensors, {})
    pairs = handed_back(context, caller, steps=delayed is not None)
    connect(context, caller, pairs)
    kept = left(caller, pairs)
    named = {}
    for name in kept:
        tensor = tensors[name]
        if isinstance(tensor, Ended):
            raise ConversionError(
                f"output {name!r} of {model} is the cell state {', '.join(tensor.states)}, which "
                "is no value of a frame: leave it out of the outputs, and take it from "
                "run(..., return_state=True)"
            )
        in_order = tensor.axes[:1] == (BATCH,) and {*tensor.axes[2:]} <= {FEATURES}
        if not in_order or any(axis.is_mixed for axis in tensor.axes):
            raise ConversionError(
                f"output {name!r} of {model} is {tensor.text}, expected batch, then time: put a "
                "Permute or a Reshape behind it"
            )
        context.label = name
        try:
            named[name] = context.answer(tensor)
        except Unfit as problem:
            raise ConversionError(f"output {name!r} of {model}: {problem}") from None
    read = {*context.states, *context.delays, *context.memories.values()}
    for flow in flows:
        if isinstance(flow.tensor, Held | Memory) and flow.tensor.name not in read:
            raise ConversionError(f"input {flow.tensor.name!r} of {model} is read by no layer")
    fold(context.builder, [value.name for value in named.values()])
    note(context, list(tensors), kept, pairs)
    several = {name: tensors[name].axes for name in kept if tensors[name].axes.count(FEATURES) > 1}
    if several:  # the model has them in one row
        context.notes["outputs"] = {name: text_of(axes) for name, axes in several.items()}
    source = {**metadata.get("source", {}), **context.notes}
    return context.builder.finish(named, {**metadata, "source": source})


def check_kinds(model: Layer) -> None:
    """Raise `ConversionError` that names the first layer of a kind that cannot be expressed."""
    for layer in (*model.layers, *model.inside.values()):
        if layer.kind in MIRRORING:
            raise ConversionError(f"{layer} {MIRRORING[layer.kind]}")
        if layer.kind in ("UpSampling1D", "Conv1DTranspose"):
            raise ConversionError(f"{layer} {RISING}")
        if layer.kind not in EXPRESSED and layer.kind not in MODELS:
            raise ConversionError(f"{layer} is of a kind that cannot be expressed")
        if layer.kind != "InputLayer" and not layer.kind.startswith("ops."):
            dtype_policy(layer)
        check_kinds(layer)


def _model(context: Context, model: Layer, flows: list[Any]) -> dict[str, Any]:
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
        # Their configs have all else that they are called with.
        given = {name: value for name, value in keywords.items() if value is not None}
        if layer.kind not in OPERATIONS or given.keys() - {"constant_values"}:
            raise ConversionError(f"the operation {layer} cannot be expressed")
        layer = replace(layer, settings={**layer.settings, **given}) if given else layer
        if attends(arguments) and layer.kind not in MOVING:
            return _applied(context, layer, lambda: _attended(context, layer, arguments))
        return _applied(context, layer, lambda: operation(context, layer, arguments))
    flows = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else arguments
    if any(not isinstance(flow, Flow) for flow in flows):
        raise ConversionError(f"{layer} reads {arguments!r:.120}, expected tensors of numbers")
    return _apply(context, layer, list(flows), keywords)


def _apply(
    context: Context, layer: Layer, flows: list[Flow], keywords: Mapping[str, Any]
) -> tuple[Any, ...]:
    """The result of a layer for these tensors."""
    return _applied(context, layer, lambda: _results(context, layer, flows, keywords))


def _applied(
    context: Context, layer: Layer, make: Callable[[], tuple[Any, ...]]
) -> tuple[Any, ...]:
    """Apply a layer; an error has its name."""
    context.count_call()
    before = context.label, context.result
    context.label = context.result = layer.path
    try:
        results = make()
        for each in results:
            if isinstance(each, Flow) and each.tensor.index.size > MAX_FEATURES:
                raise Unfit(f"gives {each.tensor.text}, expected at most {MAX_FEATURES} features")
        return results
    except (Unfit, Unknown) as problem:
        raise ConversionError(f"{layer} {problem}") from None
    finally:
        context.label, context.result = before


def _results(
    context: Context, layer: Layer, flows: list[Flow], keywords: Mapping[str, Any]
) -> tuple[Any, ...]:
    starts: list[Tracked] = []
    if layer.kind in (*RECURRENT, "Bidirectional"):
        flows, keywords, starts = take_start(flows, keywords)
    if layer.kind == "MultiHeadAttention":
        flows, keywords = given_by_name(flows, keywords)
    flows = _with_keywords(context, layer, flows, keywords)
    if layer.kind in MODELS:
        return tuple(_model(context, layer, flows).values())
    moves = layer.kind in ("InputLayer", *MOVING, *VANISHING)
    if layer.kind in ATTENDING or (attends(flows) and not moves):
        return _attended(context, layer, flows)
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
    if layer.kind == "SpectralNormalization":  # which the kernel in the file has been through
        context.settings(layer, {"layer", "power_iterations"})
        return _apply(context, layer.inside["layer"], [flow], {})
    if layer.kind == "TimeDistributed":
        return _time_distributed(context, layer, flow)
    if layer.kind in VANISHING:
        context.settings(layer, VANISHING[layer.kind])
        return (flow,)
    if layer.kind in LAYERS:
        return (LAYERS[layer.kind](context, layer, flow),)
    raise ConversionError(f"{layer} is of a kind that cannot be expressed")


def _attended(context: Context, layer: Layer, arguments: Sequence[Any]) -> tuple[Flow, ...]:
    """The result of a layer or an operation that reads a memory, or what is made of one."""
    handler = ON_MEMORY.get(layer.kind)
    if handler is None:
        raise Unfit("reads what is made of a memory, which it cannot")
    if any(isinstance(flow, Flow) and flow.mask is not None for flow in arguments):
        raise Unfit("attends with a mask: give a row's memory a length of its own instead")
    return (Flow(handler(context, layer, [operand(each) for each in arguments])),)


def _with_keywords(
    context: Context, layer: Layer, flows: list[Flow], keywords: Mapping[str, Any]
) -> list[Flow]:
    """The tensors with the mask that a call gives; any other argument is refused by name."""
    for name, content in keywords.items():
        if content is None or content is False:  # an option that was not taken
            continue
        if name == "mask" and isinstance(content, Bits):
            flows = [replace(flow, mask=mask_of(context, content)) for flow in flows]
        elif name == "mask" and isinstance(content, Flow) and is_mask(context, content.tensor):
            mask = context.add(Mask, [context.ordered(content.tensor)], "mask", bits=0)
            flows = [replace(flow, mask=mask) for flow in flows]
        elif name == "mask" and isinstance(content, list):
            flows = [
                flow if bits is None else replace(flow, mask=mask_of(context, bits))
                for flow, bits in zip(flows, content, strict=True)
            ]
        else:
            raise ConversionError(
                f"{layer} is called with {name}={str(content)[:80]}, which cannot be expressed"
            )
    return flows


def _time_distributed(context: Context, layer: Layer, flow: Flow) -> tuple[Any, ...]:
    """The frames as rows of a batch, and apart again."""
    context.settings(layer, {"layer"})
    x = flow.tensor
    if x.rank < 3 or x.axes[0].is_mixed or BATCH.parts[0] not in x.axes[0].parts:
        raise Unfit(f"reads no sequence, but {x.text}")
    first, second = x.axes[:2]
    extent = x.index.shape[1]
    inner = layer.inside["layer"]
    if {each.kind for each in (inner, *inner.layers)} & {*RECURRENT, "Bidirectional"}:
        raise Unfit(
            f"runs {inner} over an axis of each frame by itself: convert {inner} as a model of its "
            "own, run it over the frames, and give what it answers to a model of the other layers"
        )
    parts = (*first.parts, *(second.parts or (extent,) * (extent > 1)))
    rows = x.moved((Axis(parts), *x.axes[2:]), x.index.reshape(-1, *x.index.shape[2:]))
    results = _apply(context, inner, [Flow(rows)], {})
    apart = []
    for result in results:
        y = result.tensor
        if y.axes[:1] != rows.axes[:1]:
            raise Unfit(f"gives {y.text}, expected a row for each frame")
        index = y.index.reshape(x.index.shape[0], extent, *y.index.shape[1:])
        apart.append(Flow(y.moved((first, second, *y.axes[1:]), index), flow.mask))
    return tuple(apart)
