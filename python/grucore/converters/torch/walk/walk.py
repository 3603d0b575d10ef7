# SPDX-License-Identifier: Apache-2.0
"""Walks a graph of aten calls, with given meanings of the inputs' axes, onto a GraphBuilder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenGraph, AtenNode, Ref
from grucore.converters.torch.walk.extents import check_numbers
from grucore.converters.trace.axes import (
    FEATURES,
    RISING,
    TIME,
    Axes,
    Data,
    Held,
    Operand,
    Purpose,
    Tracked,
    Undecided,
    Unfit,
    WrongAxes,
    arrange,
    text_of,
)
from grucore.converters.trace.memory import MEMORY, Memory, Scores
from grucore.converters.trace.trace import Trace
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Dtype

__all__ = [
    "REGISTERED",
    "ZEROS",
    "Arguments",
    "Handler",
    "Meaning",
    "Walk",
    "number",
    "on_memory",
    "op",
    "per_frame",
]

ZEROS = "zeros after the recording"  # the name of a choice
DECOMPOSED = "a piece of a recurrent layer: export without run_decompositions()"
REPEATS = (
    "aten.repeat_interleave.self_int",
    "aten.upsample_nearest1d.default",
    "aten.upsample_nearest1d.vec",
    "aten.upsample_linear1d.default",
    "aten.upsample_linear1d.vec",
)
PIECES = ("aten.bmm.default", "aten.addmm.default", "aten.mm.default")
MAX_ELEMENTS = 1 << 26  # of a constant that the graph computes


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of an input: its axes; or that it is an initial state, or a memory."""

    axes: Axes
    is_state: bool = False

    @property
    def has_time(self) -> bool:
        """True if an axis counts frames, or samples."""
        return any(TIME.parts[0] in axis.parts for axis in self.axes)

    @property
    def is_memory(self) -> bool:
        """True if its frames are those of a memory, which each sequence has one of."""
        return MEMORY in self.axes

    @property
    def is_given(self) -> bool:
        """True if it does not come with the frames: a state or a memory."""
        return self.is_state or self.is_memory

    def __str__(self) -> str:
        return text_of(self.axes)


class Arguments:
    """A call's arguments by name, with references resolved."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            raise Unfit(f"it has no argument {name}")
        return self._found[name]

    def has(self, name: str) -> bool:
        """True if the argument is there."""
        return name in self._found

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
ON_MEMORY: dict[str, Handler] = {}  # and those of attention


def op(*names: str) -> Callable[[Handler], Handler]:
    """Register what a call of these operations becomes."""

    def register(handler: Handler) -> Handler:
        for name in names:
            REGISTERED[f"aten.{name}"] = handler
        return handler

    return register


def on_memory(*names: str) -> Callable[[Handler], Handler]:
    """Register what a call of these becomes where it reads a memory, or what is made of one."""

    def register(handler: Handler) -> Handler:
        for name in names:
            ON_MEMORY[f"aten.{name}"] = handler
        return handler

    return register


def _reads_memory(found: Any) -> bool:
    several = isinstance(found, list | tuple)
    return any(map(_reads_memory, found)) if several else isinstance(found, Memory | Scores)


@dataclass
class Walk(Trace):
    """A trace of a graph: what each name stands for, and the layers so far.

    ``cells``: the layers of loops over frames that are written out. ``handed_back``: for each state
    that goes in the number of the output that gives it back. ``zeros``: hops of zeros that the
    model reads after the samples of the source; None: nobody asked.
    """

    ORDER: ClassVar[str] = "select"
    KEEPS_FRAMES: ClassVar[bool] = True

    graph: AtenGraph = field(kw_only=True)
    meanings: tuple[Meaning, ...] = field(kw_only=True)
    ops: Mapping[str, Handler] = field(kw_only=True)
    names: dict[str, Any] = field(default_factory=dict)
    node: AtenNode | None = None
    done: int = 0
    misread: bool = False
    doubts: list[str] = field(default_factory=list)
    cells: dict[Any, Value] = field(default_factory=dict)
    handed_back: dict[str, int] = field(default_factory=dict)
    zeros: int | None = None

    @property
    def in_steps(self) -> bool:
        """True if each call of the model is one frame, its state an input."""
        return self.frames is None

    @property
    def starts(self) -> dict[str, tuple[str, int]]:
        """For each state of the model that an input starts: the input, and its row there."""
        return {
            part.state: (name, part.first // part.size)
            for name, parts in self.states.items()
            for part in parts
        }

    def reaches_beyond(self, frames: int) -> None:
        """Ask how many hops of zeros the model needs after the recording for them."""
        if self.zeros is None:
            raise Undecided(ZEROS, tuple(range(frames + 1)))

    def doubt(self, what: str) -> None:
        """Note what may mean something else at another number of frames."""
        if not self.cells:
            self.doubts.append(what)

    def shape(self, x: Operand) -> tuple[int, ...]:
        """The shape of a tensor or constant."""
        return tuple(self.sizes(x))  # type: ignore[arg-type]

    def name(self, suffix: str = "") -> str:
        """A name for a layer of the current operation."""
        if self.node is None:
            return f"output.{suffix}"
        kind = self.node.op.split(".")[1]
        own = self.node.module.rpartition(".")[2].lower().replace("_", "")
        is_own = bool(self.node.path) and own.startswith(kind.replace("_", "")[:4])
        parts = [self.node.path, "" if is_own else kind, suffix]
        return ".".join(part for part in parts if part)

    def run(self) -> tuple[Any, ...]:
        """Walk to the end; the outputs."""
        for spec, meaning in zip(self.graph.inputs, self.meanings, strict=True):
            self.names[spec.name] = self._input(spec.name, spec.shape, spec.dtype, meaning)
        read = _read_names(self.graph)
        for node in self.graph.nodes:
            if not read & set(node.outputs) and not _changes(node):
                continue  # such as the shares of nn.MultiheadAttention, which nobody takes
            self.node = node
            self.result = node.outputs[0] if node.outputs else ""
            self._call(node)
            self.done += 1
        self.node = None
        return tuple(self.resolve(output) for output in self.graph.outputs)

    def _input(self, name: str, shape: tuple[int, ...], dtype: str, meaning: Meaning) -> Tracked:
        index = arrange(
            extent if axis == FEATURES else axis.hop or 1
            for axis, extent in zip(meaning.axes, shape, strict=True)
        )
        is_ids = dtype in ("int64", "int32")
        kind = Dtype.INT32 if is_ids else Dtype.FLOAT32
        if meaning.is_state and name in (self.delayed or ()):
            return self.delay(name, meaning.axes, index, kind)
        if meaning.is_state:
            return Held(meaning.axes, index, name, Purpose.STATE)
        if meaning.is_memory:
            return Memory(meaning.axes, index, name, np.eye(index.size), np.zeros(index.size))
        if not is_ids and dtype not in ("float32", "float64", "bool"):
            raise ConversionError(f"input {name!r} is of {dtype}, expected float32, int64 or bool")
        if self.frames is not None and not meaning.has_time:
            found = self.once(name, meaning.axes, index, kind)
            return self.masked(found) if dtype == "bool" else found
        hop = max(axis.hop for axis in meaning.axes) if meaning.axes else 0
        silence = (0, -hop * (self.zeros or 0))
        self.shortest = max(self.shortest, 1 + (self.zeros or 0))
        value = self.builder.input(name, index.size, kind)
        found = Data(meaning.axes, index, value, silence=silence)
        return self.masked(found) if dtype == "bool" else found

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
            rising = RISING if node.op in REPEATS else "this operation cannot be converted"
            raise node.refuse(DECOMPOSED if _in_layer(node) else rising)
        given = {name: self.resolve(each) for name, each in node.arguments.items()}
        if any(map(_reads_memory, given.values())):
            handler = ON_MEMORY.get(node.op, handler)
        try:
            check_numbers(given)
            result = handler(self, Arguments(given))
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
            if shape is not None and isinstance(found, Tracked) and self.shape(found) != shape:
                message = f"gives shape {shape}, understood as {self.shape(found)}"
                raise node.refuse(message)
            if not node.is_tuple:
                self.names[name] = found
        if _changes(node) and len(results) == 1:
            self._changed_in_place(node, results[0])

    def _changed_in_place(self, node: AtenNode, result: Any) -> None:
        """Give what was changed its new value under every name that it has."""
        own = next((each for each in node.arguments.values() if isinstance(each, Ref)), None)
        before = None if own is None else self.names.get(own.name)
        for name, found in self.names.items():
            if before is not None and found is before:
                self.names[name] = result


def _changes(node: AtenNode) -> bool:
    """True if it changes its argument in place."""
    return node.op.split(".")[1].endswith("_")


def _read_names(graph: AtenGraph) -> set[str]:
    """The names of all that the outputs are made of."""
    found: set[str] = set()

    def note(argument: Any) -> None:
        if isinstance(argument, Ref):
            found.add(argument.name)
        elif isinstance(argument, list | tuple):
            for each in argument:
                note(each)

    note(list(graph.outputs))
    for node in reversed(graph.nodes):
        if _changes(node) or found & set(node.outputs):
            note(list(node.arguments.values()))
    return found


def _in_layer(node: AtenNode) -> bool:
    """True if it is a piece of a recurrent layer, which should have been one operation."""
    kind = node.module.rpartition(".")[2]
    return kind.removesuffix("Cell") in ("GRU", "LSTM", "RNN") and node.op in PIECES


def per_frame(value: Value) -> bool:
    """True if a value comes with frames, and not once for all of them."""
    return value.rate is not Rate.SEQUENCE


def number(found: Any) -> Operand:
    """An operand of arithmetic: numbers, also plain ones and whole ones, as an array of floats."""
    return found if isinstance(found, Tracked) else np.asarray(found, np.float64)
