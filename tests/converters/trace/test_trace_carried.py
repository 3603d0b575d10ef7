# SPDX-License-Identifier: Apache-2.0
"""Which output is handed back to which state: the rule of all frontends, on its own vocabulary."""

from __future__ import annotations

import pytest

from grucore._core import ConversionError
from grucore.converters.trace.axes import BATCH, FEATURES, Data, Operand, arrange
from grucore.converters.trace.carried import Caller, connect, handed_back, left
from grucore.converters.trace.ops.elementwise import scaled
from grucore.converters.trace.trace import Trace


class Step:
    """A step of one frame: x and states of these sizes go in."""

    def __init__(self, **sizes: int) -> None:
        self.trace = Trace(delayed=frozenset(sizes), has_states=True)
        self.tensors: dict[str, Data] = {}
        for name, size in sizes.items():
            axes, index = (BATCH, FEATURES), arrange((1, size))
            if name == "x":
                value = self.trace.builder.input(name, size)
                self.tensors[name] = Data(axes, index, value)
            else:
                self.tensors[name] = self.trace.delay(name, axes, index)

    def new(self, name: str, factor: float = 0.5) -> Data:
        return scaled(self.trace, self.tensors[name], factor)

    def pairs(self, inputs: str, **outputs: Operand) -> dict[str, str]:
        caller = Caller(dict.fromkeys(inputs.split(), 2), outputs, {})
        found = handed_back(self.trace, caller, steps=True)
        connect(self.trace, caller, found)
        self.kept = left(caller, found)
        return found


def test_the_last_outputs_for_the_last_inputs() -> None:
    step = Step(x=4, h=4)
    assert step.pairs("x h", a=step.new("x"), b=step.new("h")) == {"h": "b"}
    assert step.kept == ["a"]


def test_names_come_before_places() -> None:
    step = Step(x=4, h=4, c=4)
    outputs = {"c_out": step.new("c"), "h_out": step.new("h"), "y": step.new("x")}
    assert step.pairs("h c x", **outputs) == {"h": "h_out", "c": "c_out"}
    assert step.kept == ["y"]


def test_a_shape_that_only_one_output_has() -> None:
    step = Step(x=3, h=4)
    assert step.pairs("h x", a=step.new("x"), b=step.new("h")) == {"h": "b"}


def test_a_state_that_is_all_there_is_stays_an_output() -> None:
    step = Step(x=4, h=4)
    assert step.pairs("x h", new=step.new("h")) == {"h": "new"}
    assert step.kept == ["new"]


def test_first_inputs_that_two_outputs_fit_are_refused() -> None:
    step = Step(x=4, h=4)
    with pytest.raises(ConversionError, match=r"'h' may come back as outputs \[\['a'\], \['b'\]\]"):
        step.pairs("h x", a=step.new("x"), b=step.new("h"))


def test_a_state_that_does_not_come_back_is_refused() -> None:
    step = Step(x=3, h=4)
    with pytest.raises(ConversionError, match=r"'h' .* no output gives it back: none is \(batch"):
        step.pairs("x h", a=step.new("x"))
