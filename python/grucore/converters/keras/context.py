# SPDX-License-Identifier: Apache-2.0
"""The tensors between Keras layers while they become a graph, and helpers of all layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras.read.config import Layer
from grucore.converters.keras.read.inputs import GENERATED, Port
from grucore.converters.keras.read.names import Weights
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    TIME,
    Axis,
    Data,
    Held,
    Purpose,
    Tracked,
    Unfit,
    arrange,
    samples,
)
from grucore.converters.trace.ops.views import axis_of
from grucore.converters.trace.trace import Trace
from grucore.graph.node import Value
from grucore.graph.tensors import Array, Dtype

__all__ = [
    "Bits",
    "Context",
    "Flow",
    "dtype_policy",
    "flow_of",
    "flow_of_samples",
    "flow_once",
    "frames_of",
    "is_row",
]

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
    """A tensor as Keras shapes it, and the mask that goes with it."""

    tensor: Tracked
    mask: Value | None = None

    def of(self, tensor: Tracked) -> Flow:
        """Another tensor with the same mask."""
        return replace(self, tensor=tensor)

    def unmasked(self) -> Flow:
        """The same without a mask."""
        return replace(self, mask=None)


@dataclass(frozen=True)
class Bits:
    """A tensor of booleans, which only masks are made of: ``any`` of tests over the features.

    ``masks``: a frame is True where one of these is; ``always``: every frame is.
    """

    masks: tuple[Value, ...] = ()
    always: bool = False


@dataclass
class Context(Trace):
    """A trace of layers: their weights, and what the source's version means for them."""

    variables: Weights = field(default_factory=dict)
    version: tuple[int, ...] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    calls: int = 0

    def doubt(self, what: str) -> None:
        """Refuse what may mean something else at another number of frames than the inputs have."""
        if self.frames is not None:
            raise Unfit(
                f"{what}, and the inputs have {self.frames} frames: at any other number this may "
                "mean something else. Give the Input a shape of (None, ...), or leave the bound out"
            )

    def count_call(self) -> None:
        """Raise for models inside models, each used twice, which make any number of layers."""
        self.calls += 1
        if self.calls > MAX_CALLS:
            raise ConversionError(f"the model calls more than {MAX_CALLS} layers")

    def weight(self, layer: Layer, name: str, *shapes: tuple[int, ...]) -> Array:
        """A variable of a layer, which has one of these shapes."""
        array = self.variables[layer][name]
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

    def axes(self, layer: Layer, x: Tracked, given: Any) -> list[int]:
        """The axes that a setting names, counted from the front."""
        axes = given if isinstance(given, list | tuple) else [given]
        if not all(isinstance(axis, int) for axis in axes):
            raise ConversionError(f"{layer} has axis {given!r} of a tensor of {x.rank} axes")
        return [axis_of(axis, x.rank) for axis in axes]

    def feature_axes(self, layer: Layer, x: Tracked, given: Any) -> list[int]:
        """The same of axes that have to be features."""
        axes = self.axes(layer, x, given)
        for axis in axes:
            if not x.is_features(axis):
                raise Unfit(f"axis {axis} is that of {x.axes[axis]}, expected features")
        return axes

    def numbers(self, flow: Flow) -> Data:
        """A tensor of floats."""
        data = self.data(flow.tensor)
        if data.value.dtype.numpy.kind != "f":
            raise Unfit("reads ids, expected numbers")
        return data

    def sequence(self, flow: Flow) -> Data:
        """A sequence of floats (batch, time, ...), or one frame of it where states are fed back."""
        data = self.numbers(flow)
        if data.rank < 3 or data.axes[0] != BATCH or data.axes[1] != self.time_axis:
            raise Unfit(f"reads no sequence, but {data.text}: it has one value for all frames")
        return data

    @property
    def time_axis(self) -> Axis:
        """The second axis of a sequence: of one frame a call, whose states are fed back, it has
        size 1."""
        return TIME if self.delayed is None else FEATURES


def is_row(port: Port, of_ids: set[str]) -> bool:
    """True if an input has one row for a sequence."""
    is_flat = len(port.shape) == 1 and port.shape[0] is not None
    return is_flat and port.name not in of_ids and port.dtype != "bool"


def flow_of(
    context: Context, port: Port, framed: tuple[Port, ...], of_ids: set[str], flat: set[str]
) -> Flow:
    """An input: frames, or a state."""
    if is_row(port, of_ids):
        index = arrange((1, port.shape[0] or 0))
        if port.name in (context.delayed or ()):
            return Flow(context.delay(port.name, (BATCH, FEATURES), index))
        return Flow(Held((BATCH, FEATURES), index, port.name, Purpose.STATE))
    alone = len(framed) == 1 and GENERATED.fullmatch(port.name)
    name = "x" if alone else port.name
    is_ids = port.name in of_ids and port.name not in flat
    dims = port.shape[1:]
    if is_ids and dims not in ((), (1,)):
        raise ConversionError(
            f"input {port.name!r} of ids has shape {port.shape}, expected (time,): one for "
            "each frame"
        )
    is_bool = port.dtype == "bool"
    if not port.shape or None in dims or not (dims or port.name in of_ids or is_bool):
        raise ConversionError(
            f"input {port.name!r} has shape {port.shape}, expected (time, features)"
        )
    extents = [int(extent or 1) for extent in dims]
    dtype = Dtype.INT32 if is_ids else Dtype.FLOAT32
    value = context.builder.input(name, int(np.prod(extents, dtype=object)), dtype)
    axes = (BATCH, context.time_axis, *[FEATURES] * len(extents))
    found = Data(axes, arrange((1, 1, *extents)), value)
    return Flow(context.masked(found) if is_bool else found)


def frames_of(port: Port, hops: Mapping[str, int]) -> int | None:
    """The frames that a shape fixes; of samples those are hops of them."""
    size, hop = port.shape[0], hops.get(port.name, 1)
    if size is not None and size % hop:
        raise ConversionError(
            f"input {port.name!r} has {size} samples, expected whole hops of {hop}, which are the "
            f"frames of the model: make it of {size // hop * hop}, or of any number (None)"
        )
    return None if size is None else size // hop


def flow_of_samples(context: Context, port: Port, framed: tuple[Port, ...], hop: int) -> Flow:
    """An input (samples,) or (samples, 1), of which each frame has a hop."""
    alone = len(framed) == 1 and GENERATED.fullmatch(port.name)
    value = context.builder.input("x" if alone else port.name, hop)
    ones = [1] * (len(port.shape) - 1)
    axes = (BATCH, samples(hop), *[FEATURES] * len(ones))
    return Flow(Data(axes, arrange((1, hop, *ones)), value))


def flow_once(context: Context, port: Port, of_ids: set[str]) -> Flow:
    """An input that comes once for a sequence: a row of numbers, or an id."""
    size = port.shape[0] or 0
    dtype = Dtype.INT32 if port.name in of_ids else Dtype.FLOAT32
    return Flow(context.once(port.name, (BATCH, FEATURES), arrange((1, size)), dtype))


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
