# SPDX-License-Identifier: Apache-2.0
"""The inputs of a Keras model: their shapes, and which of them are ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from grucore._core import ConversionError
from grucore.converters.keras.read.config import MODELS, Layer, references

__all__ = [
    "GENERATED",
    "Port",
    "flat_inputs",
    "id_inputs",
    "input_ports",
    "memory_inputs",
    "sound_inputs",
]

GENERATED = re.compile(r"input(_layer)?(_\d+)?|.*_input")  # names that Keras makes up


# Layers without which nothing attends to a memory.
ATTENDING = {"Attention", "AdditiveAttention", "MultiHeadAttention", "Dot", "ops.Matmul"}


@dataclass(frozen=True)
class Port:
    """An input of the model: its shape as Keras has it, without the batch."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    batch: int | None = None


def input_ports(model: Layer) -> tuple[Port, ...]:
    """The inputs of a model, in their order."""
    if model.kind == "Sequential":
        first = model.layers[0]
        while first.kind in MODELS:
            if first.kind != "Sequential":
                return input_ports(first)
            first = first.layers[0]
        settings = dict(first.settings)
        if first.kind in ("Bidirectional", "TimeDistributed") and not _shape_of(settings):
            settings = dict(first.inside["layer"].settings) | {
                name: value for name, value in settings.items() if value is not None
            }
        shape = _shape_of(settings) or model.settings.get("build_input_shape")
        return (_port(model, first.name, settings, shape),)
    by_name = {layer.name: layer for layer in model.layers}
    ports = []
    for ref in model.inputs:
        layer = by_name.get(ref.layer)
        if layer is None or layer.kind != "InputLayer":
            raise ConversionError(f"input {ref.layer!r} of {model} is not an InputLayer")
        for option in ("sparse", "ragged"):
            if layer.settings.get(option):
                raise ConversionError(f"{layer} has {option}=True, which cannot be expressed")
        ports.append(_port(model, layer.name, layer.settings, _shape_of(layer.settings)))
    return tuple(ports)


def _shape_of(settings: Mapping[str, Any]) -> Any:
    shape = settings.get("batch_shape", settings.get("batch_input_shape"))
    if shape is None and settings.get("input_dim") and "output_dim" in settings:
        # Keras 1: a recurrent or embedding layer that comes first.
        return [None, settings.get("input_length"), settings["input_dim"]]
    return shape


def _port(model: Layer, name: str, settings: Mapping[str, Any], shape: Any) -> Port:
    if not isinstance(shape, list | tuple) or not shape:
        raise ConversionError(
            f"{model} does not say the shape of its input: build it, then save it"
        )
    if not all(extent is None or (isinstance(extent, int) and extent > 0) for extent in shape):
        raise ConversionError(f"input {name!r} has shape {shape}")
    dtype = settings.get("dtype", "float32")
    text = dtype if isinstance(dtype, str) else "float32"
    return Port(name, tuple(shape[1:]), text, shape[0])


def id_inputs(model: Layer, ports: tuple[Port, ...]) -> set[str]:
    """The inputs that an embedding reads: their dtype alone does not say it, as it may be float."""
    if model.kind == "Sequential":
        first = model.layers[0]
        for inner in model.layers:
            if inner.kind != "InputLayer":
                first = inner
                break
        if first.kind in MODELS:
            inner_ports = input_ports(first)
            return {ports[0].name} if id_inputs(first, inner_ports) else set()
        return {ports[0].name} if first.kind == "Embedding" else set()
    found: set[str] = set()
    by_name = {port.name for port in ports}
    for layer in model.layers:
        for call in model.calls[layer.name]:
            read = [ref.layer for ref in references(call.arguments) if ref.layer in by_name]
            if layer.kind == "Embedding":
                found.update(read)
            elif layer.kind in MODELS and read:
                inner_ports = input_ports(layer)
                of_ids = id_inputs(layer, inner_ports)
                refs = list(references(call.arguments))
                found.update(
                    ref.layer
                    for ref, port in zip(refs, inner_ports, strict=False)
                    if port.name in of_ids and ref.layer in by_name
                )
    return found


def memory_inputs(model: Layer) -> list[str]:
    """The inputs of known numbers of frames of a model that may attend to one of them."""
    kinds = {layer.kind for layer in _layers(model)}
    if not kinds & ATTENDING:
        return []
    ports = input_ports(model)
    if len(ports) < 2:  # something has to attend to it
        return []
    return [port.name for port in ports if len(port.shape) == 2 and None not in port.shape]


def _layers(model: Layer) -> Iterator[Layer]:
    for layer in model.layers:
        yield layer
        yield from _layers(layer)


def flat_inputs(model: Layer, ports: tuple[Port, ...]) -> set[str]:
    """The inputs (frames,) that a layer makes a sequence of one feature of, before all else."""
    found = set()
    for port in ports:
        if len(port.shape) != 1 or port.shape[0] is None:
            continue
        readers = _readers(model, port.name)
        if readers and all(_gives_a_feature(layer, port.shape[0]) for layer in readers):
            found.add(port.name)
    return found


def _gives_a_feature(layer: Layer, frames: int) -> bool:
    """True if it makes (frames,) to (frames, 1)."""
    if layer.kind == "ops.ExpandDims":
        return layer.settings.get("axis") in (-1, 2)
    targets = ([frames, 1], [-1, 1])
    return layer.kind == "Reshape" and list(layer.settings.get("target_shape", ())) in targets


def sound_inputs(model: Layer, ports: tuple[Port, ...]) -> dict[str, int]:
    """The inputs of samples, and how many of these are a hop: those of a model that cuts samples
    into frames, whose shape is (samples,) or (samples, 1)."""
    hops = {hop for layer in model.layers if (hop := _hop(layer))}
    if not hops:
        return {}
    found = {port.name for port in ports if port.shape[1:] in ((), (1,))}
    if len(hops) > 1 and found:
        raise ConversionError(f"{model} has frames each {sorted(hops)} samples, expected one hop")
    return dict.fromkeys(found, max(hops))


def _hop(layer: Layer) -> int:
    """Samples from frame to frame, of a layer that makes frames of them; else 0."""
    found: Any = 0
    if layer.kind == "ops.STFT":
        found = layer.settings.get("sequence_stride")
    elif layer.kind == "STFTSpectrogram":
        found = layer.settings.get("frame_step") or layer.settings.get("frame_length", 256) // 2
    return found if isinstance(found, int) and found > 0 else 0


def _readers(model: Layer, name: str) -> list[Layer]:
    """The layers that read an input."""
    if model.kind == "Sequential":
        return [layer for layer in model.layers if layer.kind != "InputLayer"][:1]
    return [
        layer
        for layer in model.layers
        for call in model.calls[layer.name]
        if any(ref.layer == name for ref in references([call.arguments, call.keywords]))
    ]
