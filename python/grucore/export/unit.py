# SPDX-License-Identifier: Apache-2.0
"""The pieces of a C file: constants, state, functions, and the lines of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.export.literals import array_text
from grucore.export.names import Names
from grucore.export.pieces import own_names
from grucore.graph.node import Node, Rate, Value

__all__ = ["Call", "Field", "Unit", "lines"]

LOCALS = ("st", "x", "y", "i", "j", "mask", "sums", "tap", "frame", "place", "count", "word")
INTERFACE = ("step", "reset", "state", "selftest", "different", "state_has_its_bytes")
SMALLEST_NORMAL = np.finfo(np.float32).smallest_normal


def lines(*parts: str, indent: int = 2) -> str:
    """The lines, indented; empty ones left out."""
    return "".join(f"{' ' * indent}{line}\n" for part in parts for line in part.split("\n") if line)


@dataclass(frozen=True)
class Field:
    """A member of the state: elements of four bytes."""

    c_type: str
    name: str
    count: int  # 0: no array
    initial: str  # what it starts from, if not zeros: a constant's name, or a number

    @property
    def bytes(self) -> int:
        """Bytes of all elements."""
        return 4 * max(self.count, 1)


@dataclass
class Unit:
    """Collects; names of C start with ``gc_`` until the file is written."""

    names: Names = field(default_factory=lambda: Names(*LOCALS, *INTERFACE, *own_names()))
    constants: list[str] = field(default_factory=list)
    weight_bytes: int = 0
    fields: list[Field] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    clocks: dict[tuple[int, int], str] = field(default_factory=dict)
    steps: list[tuple[str, str]] = field(default_factory=list)  # condition, statement
    last_steps: list[tuple[str, str]] = field(default_factory=list)  # after all nodes
    readers: Mapping[str, int] = field(
        default_factory=dict
    )  # how many nodes and outputs read a value

    def constant(self, text: str, array: npt.NDArray[Any]) -> str:
        """A constant array in flash; returns its name."""
        name = f"gc_{self.names.new(text)}"
        if array.dtype == np.float32:
            small = (np.abs(array) < SMALLEST_NORMAL) & (array != 0)
            array = np.where(small, np.float32(0), array)
        self.constants.append(array_text(name, array))
        self.weight_bytes += array.nbytes
        return name

    def state(self, text: str, count: int, c_type: str = "float", initial: str = "") -> str:
        """A member of the state; returns how a function reads it."""
        name = self.names.new(text)
        self.fields.append(Field(c_type, name, count, initial))
        return f"st->{name}"

    def function(self, text: str, parameters: str, *body: str) -> str:
        """A function without a result; returns its name."""
        name = f"gc_{self.names.new(text)}"
        self.functions.append(f"static void {name}({parameters}) {{\n{lines(*body)}}}\n")
        return name

    def condition(self, value: Value) -> str:
        """The variable that says whether a value comes at this frame; "" if it always does."""
        if value.rate is Rate.SEQUENCE or (value.period == 1 and value.skip == 0):
            return ""
        clock = (value.period, value.skip)
        if clock not in self.clocks:
            initial = str(value.skip) if value.skip else ""
            name = f"wait_{value.period}_{value.skip}"
            self.clocks[clock] = self.state(name, 0, "uint32_t", initial)
        return f"ticks_{value.period}_{value.skip}"

    @property
    def state_bytes(self) -> int:
        """Bytes of the whole state."""
        return sum(member.bytes for member in self.fields)


@dataclass(frozen=True)
class Call:
    """A node to be written: its values, and where a step has them (expressions of pointers)."""

    unit: Unit
    node: Node
    reads: tuple[Value, ...]
    writes: Value
    sources: Sequence[str]
    target: str

    @property
    def name(self) -> str:
        """The node's."""
        return self.node.name

    def function(self, parameters: str, *body: str) -> str:
        """A function of the node's name, which says in a comment what it is."""
        sizes = f"{self.reads[0].features} -> {self.writes.features}"
        comment = f"/* {self.name}: {self.node.layer}, {sizes} */"
        name = self.unit.function(self.name, parameters, *body)
        self.unit.functions[-1] = f"{_safe(comment)}\n{self.unit.functions[-1]}"
        return name

    def each_feature(self, parameters: str, expression: str) -> None:
        """A function that computes ``y[i]`` for each feature by itself, and the call of it."""
        name = self.function(
            f"float *y, {parameters}",
            "uint32_t i;",
            f"for (i = 0; i < {self.writes.features}; ++i) y[i] = {expression};",
        )
        self.step(f"{name}({', '.join([self.target, *self.sources])});")

    def step(self, statement: str, value: Value | None = None) -> None:
        """A statement of the step, at the frames at which ``value`` comes (else the output)."""
        condition = self.unit.condition(self.writes if value is None else value)
        self.unit.steps.append((condition, statement))

    def last_step(self, statement: str) -> None:
        """The same after the lines of all nodes."""
        self.unit.last_steps.append((self.unit.condition(self.writes), statement))


def _safe(comment: str) -> str:
    """A comment that a name cannot end."""
    inner = comment[2:-2].replace("*/", "* /").replace("/*", "/ *").replace("\\", "/")
    ascii_only = inner.encode("ascii", "replace").decode()
    return f"/*{ascii_only}*/"
