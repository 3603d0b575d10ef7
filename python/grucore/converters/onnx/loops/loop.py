# SPDX-License-Identifier: Apache-2.0
"""A Loop over the frames of sequences, and a Scan: the same operators without a graph inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from grucore.converters.onnx.loops.indices import MAX_COUNT, Bound, Counters
from grucore.converters.onnx.read.source import (
    AFTER,
    BEFORE,
    FRAME,
    FRAMES,
    LOOP_TEXT,
    Body,
    OnnxNode,
)
from grucore.graph.tensors import Array

__all__ = ["Inlined", "Sequence", "loop", "scan"]

LOOPS = ("Loop", "Scan")
Nodes: TypeAlias = list[OnnxNode]
State: TypeAlias = tuple[str, str, str, str]
"""The names of a state: at first, before a frame, after it, and after the last one."""


@dataclass(frozen=True)
class Sequence:
    """A list of the frames of ``x``; ``keeps``: each has an axis of size 1 in place of time."""

    x: str
    axis: int
    keeps: bool


@dataclass
class Inlined:
    """The nodes that take the place of a loop.

    ``lists``: for a list that the loop fills, what it appends in each frame.
    """

    nodes: list[OnnxNode] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)

    def put(self, op: str, name: str, inputs: tuple[str, ...], output: str, **more: object) -> str:
        """Add an operator; gives its output."""
        self.nodes.append(OnnxNode(op, name, inputs, (output,), more))
        return output

    def number(self, name: str, number: int) -> str:
        """Add a constant."""
        self.constants[name] = np.array(number, np.int64)
        return name


def scan(node: OnnxNode, opset: int) -> Inlined:
    """The nodes that take the place of a Scan."""
    if opset < 9:
        raise node.refuse(f"opset {opset} has another Scan, expected that of opset 9. {LOOP_TEXT}")
    body = _body(node)
    scanned = int(node.get("num_scan_inputs", 0))
    count = len(node.inputs) - scanned
    outputs = len(body.outputs) - count
    if not 1 <= scanned <= len(node.inputs) or len(body.inputs) != len(node.inputs):
        raise node.refuse(f"num_scan_inputs is {scanned} of {len(node.inputs)} inputs")
    if outputs < 0 or len(node.outputs) > len(body.outputs):
        raise node.refuse(f"its body gives {len(body.outputs)} values for {count} states")
    lists = {
        name: _numbers(node, name, size)
        for name, size in (
            ("scan_input_axes", scanned),
            ("scan_input_directions", scanned),
            ("scan_output_axes", outputs),
            ("scan_output_directions", outputs),
        )
    }
    result = Inlined()
    sequences = node.inputs[count:]
    for place, (x, inner) in enumerate(zip(sequences, body.inputs[count:], strict=True)):
        axis, turned = lists["scan_input_axes"][place], lists["scan_input_directions"][place]
        result.put(FRAME, node.name, (x,), inner, axis=axis, turned=turned)
    final = [*node.outputs, *[""] * len(body.outputs)]
    states = list(zip(node.inputs[:count], body.inputs, body.outputs, final, strict=False))
    _carried(node, result, sequences, states, list(body.nodes))
    for place in range(outputs):
        axis, turned = lists["scan_output_axes"][place], lists["scan_output_directions"][place]
        if final[count + place]:
            inner = body.outputs[count + place]
            result.put(FRAMES, node.name, (inner,), final[count + place], axis=axis, turned=turned)
    return result


def _numbers(node: OnnxNode, name: str, size: int) -> list[int]:
    found = [int(number) for number in node.get(name, (0,) * size)]
    if len(found) != size or (name.endswith("directions") and not {*found} <= {0, 1}):
        raise node.refuse(f"attribute {name} is {found}, expected {size} numbers")
    return found


def _body(node: OnnxNode) -> Body:
    body = node.attributes["body"]
    assert isinstance(body, Body)
    _check_flat(node, body)
    return body


def _check_flat(node: OnnxNode, body: Body) -> None:
    """Refuse a loop in a loop, which starts anew in every iteration; also within a branch."""
    for inner in body.nodes:
        if inner.op in LOOPS:
            raise node.refuse(
                f"{inner.label} in its body is a loop in a loop, which is not read. {LOOP_TEXT}"
            )
        for branch in inner.attributes.values():
            if isinstance(branch, Body):
                _check_flat(node, branch)


def _carried(
    node: OnnxNode, result: Inlined, sequences: tuple[str, ...], states: list[State], body: Nodes
) -> None:
    """The body between the states before and after it."""
    for given, before, _, _ in states:
        result.put(BEFORE, node.name, (given, *sequences), before)
    result.nodes += body
    for _, before, after, final in states:
        result.put(AFTER, node.name, (before, after), final or f"{before}/final")


def loop(
    node: OnnxNode,
    constants: Mapping[str, Array],
    sequences: Mapping[str, Sequence],
    lists: set[str],
) -> Inlined:
    """The nodes that take the place of a Loop. ``sequences``: lists of the frames of a value;
    ``lists``: those that are empty."""
    return _Loop(node, constants, sequences, lists).inlined()


class _Loop:
    def __init__(
        self,
        node: OnnxNode,
        constants: Mapping[str, Array],
        sequences: Mapping[str, Sequence],
        lists: set[str],
    ) -> None:
        self._node, self._body = node, _body(node)
        self._constants, self._sequences = constants, sequences
        self._result = Inlined()
        self._counters = Counters(node, self._body, constants)
        states = len(self._body.inputs) - 2
        inputs = [*node.inputs, "", ""] if len(node.inputs) < 2 else list(node.inputs)
        self._inputs = inputs
        if states < 0 or states != len(inputs) - 2 or len(self._body.outputs) < 1 + states:
            raise node.refuse(
                f"{len(node.inputs)} inputs, and a body with {len(self._body.inputs)} and "
                f"{len(self._body.outputs)} outputs, which do not belong together"
            )
        if len(node.outputs) > len(self._body.outputs) - 1:
            raise node.refuse(f"{len(node.outputs)} outputs, expected at most its body's")
        self._lists = [k for k in range(states) if inputs[2 + k] in lists]
        self._states = states
        self._changing: set[str] = set()

    def _final(self, place: int) -> str:
        outputs = self._node.outputs
        name = outputs[place] if place < len(outputs) else ""
        return name or f"{self._body.inputs[0]}/final.{place}"

    def inlined(self) -> Inlined:
        body, result, counters = self._body, self._result, self._counters
        number, given = body.inputs[:2]
        carried: list[int] = []
        result.number(number, 0)
        counters.slopes[number] = 1
        for place in range(self._states):
            if place in self._lists:
                continue
            inner = body.inputs[2 + place]
            step = counters.steps_of(inner, body.outputs[1 + place])
            if step not in (0, 1):
                carried.append(place)
                continue
            # A count from its first number on, or what no iteration changes.
            result.put("Identity", self._node.name, (self._inputs[2 + place],), inner)
            if step:
                counters.slopes[inner] = step
            else:
                result.put("Identity", self._node.name, (inner,), self._final(place))
        counters.conditions.add(given)
        counters.follow()
        result.nodes += self._steady(carried)
        limits = self._limits(given)
        nodes, frames = self._frames(limits)
        if not frames:
            raise self._node.refuse(
                "no iteration takes a frame of a sequence, so that it is no loop over frames of "
                f"an input. {LOOP_TEXT}"
            )
        for place in range(self._states):
            inner = body.inputs[2 + place]
            if inner in counters.slopes:
                result.put("Add", self._node.name, (inner, limits[0]), self._final(place))
        states = [
            (
                self._inputs[2 + place],
                body.inputs[2 + place],
                body.outputs[1 + place],
                self._final(place),
            )
            for place in carried
        ]
        _carried(self._node, result, frames, states, nodes)
        for place in self._lists:
            result.lists[self._final(place)] = self._appended(place)
        for place in range(self._states, len(self._node.outputs)):
            if self._node.outputs[place]:
                inner = body.outputs[1 + place]
                final = self._node.outputs[place]
                result.put(FRAMES, self._node.name, (inner,), final, axis=0, turned=0)
        return result

    def _limits(self, given: str) -> list[str]:
        """The values that say how often the loop runs."""
        trips, start = self._inputs[:2]
        found: list[str] = []
        count = self._constants.get(trips)
        if trips and (count is None or count.size != 1 or int(count.reshape(-1)[0]) < MAX_COUNT):
            found.append(trips)
        bounds = list(self._counters.bounds(self._body.outputs[0], given))
        begins = self._constants.get(start)
        if begins is not None and not begins.all():
            raise self._node.refuse("its condition is false at the start, so that it never runs")
        if start and begins is None and not bounds:
            raise self._node.refuse(
                f"whether it runs depends on {start!r}, which is no constant. {LOOP_TEXT}"
            )
        found += [self._counted(bound, place) for place, bound in enumerate(bounds)]
        if not found:
            raise self._node.refuse("has neither a trip count nor a condition that ends it")
        return found

    def _counted(self, bound: Bound, place: int) -> str:
        """The iterations of a loop that goes on while a count is below a limit."""
        stem = f"{self._body.inputs[0]}/limit.{place}"
        result, name = self._result, self._node.name
        one = result.number(f"{stem}.one", 2 if bound.inclusive else 1)
        # The limit and the count's first number stand in the body's own nodes.
        left = result.put("Sub", name, (bound.limit, bound.counter), f"{stem}.left")
        return result.put("Add", name, (left, one), stem)

    def _steady(self, carried: list[int]) -> Nodes:
        """The nodes that give the same in every iteration, or a count."""
        changing = {self._body.inputs[2 + place] for place in (*carried, *self._lists)}
        found: Nodes = []
        for node in self._body.nodes:
            if self._counters.conditions.intersection((*node.inputs, *node.outputs)):
                continue
            if changing.intersection(node.reads) or self._picks(node):
                changing.update(node.outputs)
            else:
                found.append(node)
        self._changing = changing
        return found

    def _picks(self, node: OnnxNode) -> bool:
        """True if it takes the frame of an iteration."""
        slopes = self._counters.slopes
        return any(name in slopes for name in node.inputs) and node.outputs[0] not in slopes

    def _frames(self, limits: list[str]) -> tuple[Nodes, tuple[str, ...]]:
        """The nodes that change, with frames in place of what a count picks; the sequences."""
        slopes = self._counters.slopes
        appended = {self._body.outputs[1 + place] for place in self._lists}
        nodes: Nodes = []
        frames: dict[str, None] = {}
        for node in self._body.nodes:
            if not self._changing.intersection(node.outputs) or appended.intersection(node.outputs):
                continue
            if self._picks(node):
                turns = [slopes.get(name, 0) for name in node.inputs]
                x, node = self._frame(node, turns, limits)
                frames[x] = None
            nodes.append(node)
        return nodes, tuple(frames)

    def _frame(self, node: OnnxNode, turns: list[int], limits: list[str]) -> tuple[str, OnnxNode]:
        x, axis, keeps = node.inputs[0], int(node.get("axis", 0)), False
        slope = turns[1]
        if node.op == "SequenceAt":
            found = self._sequences.get(x)
            if found is None:
                raise self._node.refuse(f"{node.label} in its body reads a list of no frames")
            x, axis, keeps = found.x, found.axis, found.keeps
        if node.op == "Slice":
            axis, keeps = self._sliced(node, turns), True
        if slope not in (1, -1) or x in self._changing:
            raise self._node.refuse(
                f"{node.label} in its body takes a piece that the number of the iteration picks "
                "of what the loop itself computes, or not frame after frame: expected one frame "
                f"after the other of a sequence from outside. {LOOP_TEXT}"
            )
        more = {"axis": axis, "turned": int(slope < 0), "keeps": int(keeps)}
        places = node.inputs[1:3] if node.op == "Slice" else node.inputs[1:2]
        inputs = (x, *places, *limits)
        attributes = {**more, "places": len(places)}
        return x, OnnxNode(FRAME, node.name, inputs, node.outputs, attributes)

    def _sliced(self, node: OnnxNode, turns: list[int]) -> int:
        """The axis of a slice of one frame."""
        axes = self._constants.get(node.inputs[3]) if len(node.inputs) > 3 else np.zeros(1)
        steps = self._constants.get(node.inputs[4]) if len(node.inputs) > 4 else np.ones(1)
        one = axes is not None and axes.size == 1 and steps is not None and steps.size == 1
        if not one or turns[1] != turns[2] or int(np.reshape(steps, -1)[0]) != 1:  # type: ignore[arg-type]
            raise self._node.refuse(
                f"{node.label} in its body takes other pieces than one frame. {LOOP_TEXT}"
            )
        return int(np.reshape(axes, -1)[0])  # type: ignore[arg-type]

    def _appended(self, place: int) -> str:
        """The value that an iteration appends to a list."""
        made = self._counters.maker.get(self._body.outputs[1 + place])
        readers = [node for node in self._body.nodes if self._body.inputs[2 + place] in node.reads]
        fits = made is not None and made.op == "SequenceInsert" and readers == [made]
        if made is None or not fits or made.inputs[0] != self._body.inputs[2 + place]:
            raise self._node.refuse(
                f"list {self._node.inputs[2 + place]!r} is read or changed otherwise than by one "
                f"value appended in each iteration. {LOOP_TEXT}"
            )
        if (
            len(made.inputs) > 2
            and made.inputs[2]
            and self._counters.slopes.get(made.inputs[2]) != 1
        ):
            raise self._node.refuse(f"{made.label} in its body appends elsewhere than at the end")
        return made.inputs[1]
