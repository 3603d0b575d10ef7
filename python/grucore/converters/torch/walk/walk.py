# SPDX-License-Identifier: Apache-2.0
"""Walks a graph of aten calls, with given meanings of the inputs' axes, onto a GraphBuilder."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from grucore._core import ConversionError
from grucore.converters.build.builder import GraphBuilder
from grucore.converters.torch.aten import AtenGraph, AtenNode, Ref
from grucore.converters.torch.walk.axes import BATCH, TIME, Axis, Flow, Unfit, WrongAxes, flow_of
from grucore.graph.layers import Position, Select, Take
from grucore.graph.node import Node, Rate, Value
from grucore.graph.tensors import Array, Dtype

__all__ = ["REGISTERED", "Arguments", "Handler", "Meaning", "Walk", "op"]

DECOMPOSED = "a piece of a recurrent layer: export without run_decompositions()"
PIECES = ("aten.bmm.default", "aten.addmm.default", "aten.mm.default")
MAX_ELEMENTS = 1 << 26  # of a constant that the graph computes


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of an input: its axes; or that it is an initial state."""

    axes: tuple[Axis, ...]
    is_state: bool = False

    def __str__(self) -> str:
        names = [
            "features" if isinstance(atom, int) else atom for axis in self.axes for atom in axis
        ]
        return f"({', '.join(names)})"


class Arguments:
    """A call's arguments by name, with references resolved."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            raise Unfit(f"it has no argument {name}")
        return self._found[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The argument, or ``default`` where it is not there."""
        found = self._found.get(name, default)
        return default if found is None else found

    def first(self, *names: str) -> Any:
        """The argument of the first of these names that is there."""
        for name in names:
            if name in self._found:
                return self._found[name]
        raise Unfit(f"it has no argument {names[0]}")

    def only(self, **allowed: Any) -> None:
        """Raise `Unfit` where one of these arguments is there and is not what stands here."""
        for name, expected in allowed.items():
            found = self._found.get(name)
            if found is not None and found != expected:
                raise Unfit(f"{name} is {found}, expected {expected}")


Handler: TypeAlias = "Callable[[Walk, Arguments], Any]"
REGISTERED: dict[str, Handler] = {}  # `ops` has them all


def op(*names: str) -> Callable[[Handler], Handler]:
    """Register what a call of these operations becomes."""

    def register(handler: Handler) -> Handler:
        for name in names:
            REGISTERED[f"aten.{name}"] = handler
        return handler

    return register


@dataclass
class Walk:
    """The state of a walk: what each name stands for, and the layers so far.

    ``states``: the input and its row that start a state of the model. ``cell_states``: for the
    names of values that stand for cell states at the end, these. ``given_back``: the states that an
    output is, which no value of the model has to give. ``delayed``: the states that are values of
    the frame before and no layer's own, or None where every state is some layer's and its output
    is found by what it is; ``delays``: these values; ``fed_back``: the outputs that
    are theirs of the next frame.
    """

    graph: AtenGraph
    meanings: tuple[Meaning, ...]
    sizes: dict[str, int]
    ops: Mapping[str, Handler]
    builder: GraphBuilder = field(default_factory=GraphBuilder)
    names: dict[str, Any] = field(default_factory=dict)
    node: AtenNode | None = None
    done: int = 0
    misread: bool = False
    shortest: int = 1
    states: dict[str, tuple[str, int]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    cells: dict[Any, Value] = field(default_factory=dict)
    finals: dict[str, str] = field(default_factory=dict)
    cell_states: dict[str, tuple[str, ...]] = field(default_factory=dict)
    given_back: dict[int, set[str]] = field(default_factory=dict)
    delayed: frozenset[str] | None = None
    delays: dict[str, Flow] = field(default_factory=dict)
    fed_back: dict[str, int] = field(default_factory=dict)
    _made: dict[Any, Value] = field(default_factory=dict)

    @property
    def in_steps(self) -> bool:
        """True if each call of the model is one frame, its state an input."""
        return TIME not in self.sizes

    def count(self, value: Value) -> int:
        """Frames that a value has here."""
        return value.count(self.sizes.get(TIME, 1))

    def sizes_of(self, flow: Flow) -> dict[str, int]:
        """The extents of batch and time."""
        frames = self.count(flow.value) + flow.before + flow.after + flow.tail
        return {BATCH: self.sizes.get(BATCH, 1), TIME: frames}

    def shape(self, flow: Flow) -> tuple[int, ...]:
        """The shape of the tensor."""
        sizes = self.sizes_of(flow)
        return tuple(
            math.prod(sizes[atom] if isinstance(atom, str) else atom for atom in axis)
            for axis in flow.axes
        )

    def name(self, suffix: str = "") -> str:
        """A name for a layer of the current operation."""
        if self.node is None:
            return f"output.{suffix}"
        kind = self.node.op.split(".")[1]
        own = self.node.module.rpartition(".")[2].lower().replace("_", "")
        is_own = bool(self.node.path) and own.startswith(kind.replace("_", "")[:4])
        parts = [self.node.path, "" if is_own else kind, suffix]
        return ".".join(part for part in parts if part)

    def add(
        self, kind: type[Node], inputs: Sequence[Value], *, name: str = "", **given: Any
    ) -> Value:
        """Add a layer, or find the one that reads the same and is the same."""
        key = (kind, tuple(value.name for value in inputs), *map(_key, sorted(given.items())))
        if key not in self._made:
            self._made[key] = self.builder.add(kind, name or self.name(), inputs, **given)
        return self._made[key]

    def layer_of(self, value: Value) -> str:
        """The name of the layer that writes a value."""
        return next(node.name for node in self.builder.nodes if node.output == value.name)

    def ordered(self, flow: Flow) -> Value:
        """A value whose features are the tensor's, in its order."""
        if flow.is_state:
            if flow.value.name in self.cell_states:
                raise Unfit(f"reads the cell state {flow.value.name!r}, which only its LSTM may")
            message = f"reads the initial state {flow.value.name!r}, which only a recurrent layer"
            raise Unfit(f"{message} may")
        if not flow.plain:
            raise Unfit(self.padding_text(flow))
        if flow.in_order:
            return flow.value
        index = np.ascontiguousarray(flow.index.reshape(-1), np.int32)
        return self.add(Select, [flow.value], name=self.name("select"), index=index)

    def padding_text(self, flow: Flow) -> str:
        """Why a padded sequence cannot be read by anything but a convolution."""
        if flow.tail:
            return f"reads {flow.tail} frames past the end that a convolution's padding makes"
        return f"reads a sequence padded by {flow.before} and {flow.after} frames"

    def same_axes(self, flow: Flow, value: Value) -> Flow:
        """The tensor of a value that was made element by element of `ordered`."""
        extents = [atom for axis in flow.axes for atom in axis if isinstance(atom, int)]
        index = np.arange(value.features).reshape(extents)
        return replace(flow, value=value, index=index)

    def whole(self, flow: Flow) -> Flow:
        """One frame of a value as a value of its own, at the end of the model."""
        if flow.frame is None:
            return flow
        if flow.frame == self.count(flow.value) - 1:
            if not self.cells:
                self.doubts.append(f"frame {flow.frame} may be the last one, or that one always")
            position = Position.LAST
        elif flow.frame == 0:
            position = Position.FIRST
        else:
            raise Unfit(
                f"frame {flow.frame} of a sequence is neither its first nor its last: of a cell "
                "written by hand convert one step, forward(x, h) -> (y, h), which then streams"
            )
        value = self.add(Take, [flow.value], name=self.name("frame"), position=position)
        return replace(flow, value=value, frame=None)

    def level(self, flows: Sequence[Flow]) -> list[Flow]:
        """Values to be combined: the first and the last frame become values of the sequence."""
        frames = {flow.frame for flow in flows}
        return list(flows) if len(frames) == 1 else [self.whole(flow) for flow in flows]

    def run(self) -> tuple[Any, ...]:
        """Walk to the end; the outputs."""
        for spec, meaning in zip(self.graph.inputs, self.meanings, strict=True):
            self.names[spec.name] = self._input(spec.name, spec.shape, spec.dtype, meaning)
        for node in self.graph.nodes:
            self.node = node
            self._call(node)
            self.done += 1
        self.node = None
        return tuple(self.resolve(output) for output in self.graph.outputs)

    def _input(self, name: str, shape: tuple[int, ...], dtype: str, meaning: Meaning) -> Flow:
        extents = [atom for axis in meaning.axes for atom in axis if isinstance(atom, int)]
        if meaning.is_state and name in (self.delayed or ()):
            self.delays[name] = flow_of(self.builder.delay(name, math.prod(extents)), meaning.axes)
            return self.delays[name]
        if meaning.is_state:
            value = Value(name, math.prod(extents), rate=Rate.SEQUENCE)
            return replace(flow_of(value, meaning.axes), is_state=True)
        is_ids = dtype in ("int64", "int32")
        if not is_ids and dtype not in ("float32", "float64"):
            raise ConversionError(f"input {name!r} is of {dtype}, expected float32 or int64")
        number = Dtype.INT32 if is_ids else Dtype.FLOAT32
        return flow_of(self.builder.input(name, math.prod(extents), number), meaning.axes)

    def resolve(self, argument: Any) -> Any:
        """The value that an argument stands for."""
        if isinstance(argument, Ref):
            if argument.name in self.names:
                return self.names[argument.name]
            if argument.name in self.graph.constants:
                return self.graph.constants[argument.name]
            raise ConversionError(f"the graph reads {argument.name!r}, which nothing writes")
        if isinstance(argument, list | tuple):
            return [self.resolve(each) for each in argument]
        return argument

    def _call(self, node: AtenNode) -> None:
        handler = self.ops.get(node.op)
        if handler is None:
            raise node.refuse(
                DECOMPOSED if _in_layer(node) else "this operation cannot be converted"
            )
        arguments = Arguments({name: self.resolve(each) for name, each in node.arguments.items()})
        try:
            result = handler(self, arguments)
        except Unfit as problem:
            self.misread = isinstance(problem, WrongAxes)
            raise node.refuse(DECOMPOSED if _in_layer(node) else str(problem)) from None
        except (IndexError, TypeError, AttributeError, KeyError, ValueError) as problem:
            if isinstance(problem, ConversionError):
                raise
            raise node.refuse(f"its arguments do not fit: {problem}") from None
        results = list(result) if isinstance(result, list | tuple) else [result]
        shapes = node.shapes or (None,) * len(node.outputs)
        names = node.outputs if not node.is_tuple else node.outputs * len(results)
        if node.is_tuple:
            self.names[node.outputs[0]] = results
        for name, found, shape in zip(names, results, shapes, strict=False):
            if shape is not None and isinstance(found, Flow) and self.shape(found) != shape:
                message = f"gives shape {shape}, understood as {self.shape(found)}"
                raise node.refuse(message)
            if not node.is_tuple:
                self.names[name] = found
        if node.op.split(".")[1].endswith("_") and len(results) == 1:
            self._changed_in_place(node, results[0])

    def _changed_in_place(self, node: AtenNode, result: Any) -> None:
        """Give what was changed its new value under every name that it has."""
        own = next((each for each in node.arguments.values() if isinstance(each, Ref)), None)
        before = None if own is None else self.names.get(own.name)
        for name, found in self.names.items():
            if before is not None and found is before:
                self.names[name] = result


def _in_layer(node: AtenNode) -> bool:
    """True if it is a piece of a recurrent layer, which should have been one operation."""
    kind = node.module.rpartition(".")[2]
    return kind.removesuffix("Cell") in ("GRU", "LSTM", "RNN") and node.op in PIECES


def _key(item: tuple[str, Any]) -> Any:
    name, given = item
    if isinstance(given, np.ndarray):
        return name, given.shape, given.tobytes()
    return name, given


def per_frame(value: Value) -> bool:
    """True if a value comes with frames, and not once for all of them."""
    return value.rate is not Rate.SEQUENCE


def rounded(array: Array) -> Array:
    """Contiguous float32 of a constant."""
    from grucore.graph import gates

    return gates.rounded(array)
