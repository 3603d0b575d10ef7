# SPDX-License-Identifier: Apache-2.0
"""Numbers that count the iterations of a Loop: which values are such, and what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from grucore.converters.onnx.read.source import LOOP_TEXT, Body, OnnxNode
from grucore.graph.tensors import Array

__all__ = ["Bound", "Counters"]

MOVED = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze")
COMPARED = {"Less": 0, "LessOrEqual": 1, "Greater": 0, "GreaterOrEqual": 1}
MAX_COUNT = 1 << 31  # a trip count from here on is none


@dataclass(frozen=True)
class Bound:
    """A loop goes on while ``counter``, at the end of an iteration, is below a limit."""

    counter: str
    limit: str
    inclusive: bool


@dataclass
class Counters:
    """How much each value of a body grows from one iteration to the next, if it is a count.

    ``slopes``: of counts alone. In the graph around it each stands for its first number.
    """

    node: OnnxNode
    body: Body
    constants: Mapping[str, Array]
    slopes: dict[str, int] = field(default_factory=dict)
    conditions: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.maker = {name: each for each in self.body.nodes for name in each.outputs if name}

    def source(self, name: str) -> str:
        """The value, past operators that give it as it is."""
        while (made := self.maker.get(name)) is not None and made.op in ("Identity", "Cast"):
            name = made.inputs[0]
        return name

    def steps_of(self, state: str, output: str) -> int | None:
        """The constant that an iteration adds to a state; 0 where it stays; else None."""
        output = self.source(output)
        if output == state:
            return 0
        made = self.maker.get(output)
        if made is None or made.op != "Add":
            return None
        for one, other in (made.inputs, made.inputs[::-1]):
            step = self.constants.get(self.source(other))
            if self.source(one) == state and step is not None:
                whole = step.dtype.kind in "iu" and step.size == 1
                return int(step.reshape(-1)[0]) if whole else None
        return None

    def follow(self) -> None:
        """Find all counts; raises where one is read as anything but a place or a condition."""
        for node in self.body.nodes:
            slopes = [self.slopes.get(name, 0) for name in node.inputs]
            if not any(slopes):
                if any(name in self.conditions for name in node.inputs):
                    self._condition(node)
                continue
            slope = self._slope(node, slopes)
            if slope is None:
                self._place(node, slopes)
            elif slope:
                self.slopes[node.outputs[0]] = slope

    def _slope(self, node: OnnxNode, slopes: list[int]) -> int | None:
        if node.op in MOVED and slopes[0] and not any(slopes[1:]):
            return slopes[0]
        if node.op == "Concat" and len(slopes) == 1:
            return slopes[0]
        if node.op == "Neg":
            return -slopes[0]
        if node.op == "Add":
            return sum(slopes)
        return slopes[0] - slopes[1] if node.op == "Sub" else None

    def _place(self, node: OnnxNode, slopes: list[int]) -> None:
        """A count that is read as a place, or compared."""
        if node.op in COMPARED:
            self.conditions.add(node.outputs[0])
            return
        places = {"Gather": (1,), "Slice": (1, 2), "SequenceAt": (1,), "SequenceInsert": (2,)}
        if any(slope and k not in places.get(node.op, ()) for k, slope in enumerate(slopes)):
            raise self.node.refuse(
                f"{node.label} in its body computes with the number of the iteration, expected it "
                f"as the place of a frame alone. {LOOP_TEXT}"
            )

    def _condition(self, node: OnnxNode) -> None:
        if node.op not in ("And", "Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"):
            raise self.node.refuse(
                f"{node.label} in its body computes with a condition on the number of the "
                f"iteration, expected it as the end of the loop alone. {LOOP_TEXT}"
            )
        self.conditions.add(node.outputs[0])

    def bounds(self, condition: str, given: str) -> Iterable[Bound]:
        """The bounds of the loop, by its condition; ``given``: that of the iteration before."""
        condition = self.source(condition)
        if condition == given or self._is_true(condition):
            return
        made = self.maker.get(condition)
        if made is not None and made.op == "And":
            for name in made.inputs:
                yield from self.bounds(name, given)
            return
        if made is not None and made.op in ("Reshape", "Squeeze", "Unsqueeze"):
            yield from self.bounds(made.inputs[0], given)
            return
        if made is not None and made.op in COMPARED:
            turned = made.op.startswith("Greater")
            counter, limit = made.inputs[::-1] if turned else made.inputs
            if self.slopes.get(counter) == 1 and not self.slopes.get(limit, 0):
                yield Bound(counter, limit, bool(COMPARED[made.op]))
                return
        raise self.node.refuse(
            "when it ends depends on what it computes: expected one iteration for each frame "
            f"(a trip count, and a condition that stays true). {LOOP_TEXT}"
        )

    def _is_true(self, name: str) -> bool:
        found = self.constants.get(name)
        return found is not None and found.dtype.kind == "b" and bool(found.all())
