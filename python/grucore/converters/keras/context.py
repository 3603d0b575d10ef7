# SPDX-License-Identifier: Apache-2.0
"""The values between Keras layers while they become a graph, and helpers of all layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from grucore._core import ConversionError
from grucore.converters.build.builder import GraphBuilder
from grucore.converters.keras.read.config import Layer
from grucore.converters.keras.read.names import Weights
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array

__all__ = ["Bits", "CellState", "Context", "Flow", "Start", "dtype_policy", "reshaped"]

# Attributes that change nothing at inference, of any layer.
HARMLESS = {
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape"),
    *("input_dtype", "input_dim", "input_length", "activity_regularizer", "build_config"),
    *("seed", "registered_name", "init", "inner_init", "forget_bias_init", "weights"),
}
HARMLESS_ENDINGS = ("_initializer", "_regularizer", "_constraint")
MAX_CALLS = 1 << 14
NUMBERS = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Flow:
    """A tensor: a value, its features in ``dims`` as Keras shapes them, and its mask.

    ``dims`` stand after the axes of batch and, unless there is one value per sequence, time.
    ``padding``: frames of zeros before and after the value's own, which have no value of theirs.
    ``is_row``: the one frame of a call, without a time axis.
    """

    value: Value
    dims: tuple[int, ...]
    mask: Value | None = None
    padding: tuple[int, int] = (0, 0)
    is_row: bool = False

    @property
    def in_time(self) -> bool:
        """True if there is a time axis."""
        return self.value.rate is not Rate.SEQUENCE and not self.is_row

    def of(self, value: Value, dims: tuple[int, ...] | None = None) -> Flow:
        """Another value with the same mask; its features are one axis unless ``dims`` says more."""
        return replace(self, value=value, dims=(value.features,) if dims is None else dims)

    def unmasked(self) -> Flow:
        """The same without a mask."""
        return replace(self, mask=None)


@dataclass(frozen=True)
class Start:
    """An input of the model that is one row for a sequence: a state to start from."""

    name: str
    size: int


@dataclass(frozen=True)
class CellState:
    """The cell state of an LSTM after the last frame, by its name: no value of a model has it."""

    state: str

    def __str__(self) -> str:
        return f"the cell state {self.state!r}"


@dataclass(frozen=True)
class Bits:
    """A tensor of booleans, which only masks are made of: ``any`` of tests over the features.

    ``masks``: a frame is True where one of these is; ``always``: every frame is.
    """

    masks: tuple[Value, ...] = ()
    always: bool = False


@dataclass
class Context:
    """The graph so far, the weights, and what the source's version means for a layer."""

    builder: GraphBuilder
    weights: Weights
    version: tuple[int, ...] | None
    notes: dict[str, Any] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)  # by the input that they start from
    framewise: bool = False
    calls: int = 0
    delayed: bool = False  # rows that go in are values of the frame before, and no layer's states
    delays: dict[str, Value] = field(default_factory=dict)  # by the input
    frames: int | None = None  # that the model's inputs have, where it is a known number

    def count_call(self) -> None:
        """Raise for models inside models, each used twice, which make any number of layers."""
        self.calls += 1
        if self.calls > MAX_CALLS:
            raise ConversionError(f"the model calls more than {MAX_CALLS} layers")

    def weight(self, layer: Layer, name: str, *shapes: tuple[int, ...]) -> Array:
        """A variable of a layer, which has one of these shapes."""
        array = self.weights[layer][name]
        if array.shape not in shapes:
            expected = " or ".join(str(shape) for shape in shapes)
            raise ConversionError(f"{name} of {layer} has shape {array.shape}, expected {expected}")
        return array

    def settings(self, layer: Layer, known: Iterable[str]) -> Mapping[str, Any]:
        """The attributes of a layer, after a look that each one is known or harmless."""
        known = {*known, *HARMLESS}
        for name, value in layer.settings.items():
            if name in known or name.endswith(HARMLESS_ENDINGS):
                continue
            if value is None or value is False:  # an option that was not taken
                continue
            raise self.refuse(layer, name)
        self._note_dtype(layer)
        return layer.settings

    def refuse(self, layer: Layer, attribute: str, expected: str = "") -> ConversionError:
        """The error that an attribute of a layer cannot be expressed."""
        found = layer.settings.get(attribute)
        tail = f", expected {expected}" if expected else ", which cannot be expressed"
        return ConversionError(f"{layer} has {attribute}={str(found)[:80]}{tail}")

    def _note_dtype(self, layer: Layer) -> None:
        policy = dtype_policy(layer)
        if policy is not None and policy != "float32":
            seen = self.notes.setdefault("dtype_policies", [])
            if policy not in seen:
                seen.append(policy)

    def axis(self, layer: Layer, flow: Flow, axis: Any) -> int:
        """Which of ``flow.dims`` an axis of Keras is; raises for batch and time."""
        if isinstance(axis, list | tuple) and len(axis) == 1:
            axis = axis[0]
        first = 2 if flow.in_time and not self.framewise else 1
        rank = first + len(flow.dims)
        if not isinstance(axis, int) or not -rank <= axis < rank:
            raise ConversionError(f"{layer} has axis {axis!r} of a tensor of {rank} axes")
        place = axis % rank - first
        if place < 0:
            what = "time" if axis % rank else "the batch"
            raise ConversionError(f"{layer} has axis {axis}, which is {what}, expected features")
        return place

    def features(self, layer: Layer, flow: Flow) -> int:
        """The features of a float tensor whose features are one axis."""
        if len(flow.dims) != 1:
            shape = f"features of shape {flow.dims}"
            raise ConversionError(f"{layer} reads {shape}, expected one axis of features")
        self.check_numbers(layer, flow)
        return flow.dims[0]

    def check_numbers(self, layer: Layer, flow: Flow) -> None:
        """Raise for a tensor of ids."""
        if flow.value.dtype.numpy.kind != "f":
            raise ConversionError(f"{layer} reads ids, expected numbers")

    def sequence(self, layer: Layer, flow: Flow) -> int:
        """The features of a sequence; raises where there is no time axis."""
        if not flow.in_time or self.framewise:
            raise ConversionError(f"{layer} reads no sequence: it has one value for all frames")
        return self.features(layer, flow)


def dtype_policy(layer: Layer) -> str | None:
    """The precision of a layer: any floats; quantized layers are refused."""
    policy: Any = layer.settings.get("dtype")
    if isinstance(policy, dict):
        kind, inner = policy.get("class_name"), policy.get("config", {})
        if kind not in ("DTypePolicy", "Policy"):
            raise ConversionError(f"{layer} has the dtype policy {kind}, expected floats")
        policy = inner.get("name")
    if policy is not None and str(policy).removeprefix("mixed_") not in NUMBERS:
        raise ConversionError(f"{layer} has dtype {policy}, expected {', '.join(NUMBERS)}")
    return None if policy is None else str(policy)


def reshaped(layer: Layer, flow: Flow, dims: tuple[int, ...]) -> Flow:
    """The same numbers with other axes of features."""
    if math.prod(dims) != flow.value.features:
        raise ConversionError(f"{layer} makes {dims} of {flow.dims}")
    return replace(flow, dims=dims)
