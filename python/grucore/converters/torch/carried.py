# SPDX-License-Identifier: Apache-2.0
"""States of a step that are more than a cell's own: values of the frame before, fed back.

The caller hands each state on from the output that belongs to it. Where that is the new state of
one of PyTorch's cells, the layer carries it; any other becomes a delay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from grucore._core import ConversionError
from grucore.converters.torch.aten import AtenGraph, Ref
from grucore.converters.torch.returned import inputs_of, states_of
from grucore.converters.torch.walk.walk import Meaning, Walk
from grucore.converters.trace.axes import TIME, Data, Ended, Tracked, Unfit

__all__ = ["are_states", "feed_back", "is_called_a_state"]

# Words by which a forward calls what it carries from frame to frame.
CALLED = (
    "h hx hn c cx cn hidden state states carry carried cell mem memory cache caches buf buffer "
    "buffers past prev previous history recurrent rnn gru lstm feedback"
)
WORDS = frozenset(re.findall(r"\w+", CALLED))
CELLS = ("gru", "lstm", "rnn_tanh", "rnn_relu")


def are_states(graph: AtenGraph, names: Sequence[str]) -> bool:
    """True if these inputs, and no others, are called states or start a recurrent layer."""
    given: set[str] = set()
    for node in graph.nodes:
        kind = node.op.split(".")[1]
        if kind.removesuffix("_cell") in CELLS:
            hx = node.arguments.get("hx")
            given.update(
                each.name
                for each in (hx if isinstance(hx, list) else [hx])
                if isinstance(each, Ref)
            )
    found = {spec.name for spec in graph.inputs if is_called_a_state(spec.name)} | given
    return set(names) == found & {spec.name for spec in graph.inputs}


def is_called_a_state(name: str) -> bool:
    """True if an input has the name of a state."""
    return bool(WORDS.intersection(re.split(r"[_\W\d]+", name.lower())))


def feed_back(walked: Walk, outputs: Sequence[Any]) -> dict[str, int]:
    """Give each delay its value of the next frame; the output of every state."""
    tensors = {n: x for n, x in enumerate(outputs) if isinstance(x, Tracked)}
    shapes = {n: walked.shape(x) for n, x in tensors.items()}
    pairs = _outputs_of(walked.graph, walked.meanings, outputs, shapes)
    for name, number in pairs.items():
        x = tensors[number]
        if name not in walked.delays:
            own = set() if isinstance(x, Ended) and not x.in_order else states_of(walked, x)
            if name not in inputs_of(walked, own):
                raise ConversionError(f"output {number} is not the new state {name!r}")
            continue
        delay = walked.delays[name]
        try:
            alike = x.axes == delay.axes and x.index.shape == delay.index.shape
            if not isinstance(x, Data) or x.has(TIME) or not alike:
                raise Unfit(f"it is {x.text}, expected {delay.text} as the state {name!r}")
            walked.builder.feed_back(delay.value, walked.ordered(x))
        except Unfit as problem:
            raise ConversionError(f"output {number}: {problem}") from None
        walked.fed_back[name] = number
    return pairs


def _outputs_of(
    graph: AtenGraph,
    meanings: Sequence[Meaning],
    outputs: Sequence[object],
    shapes: Mapping[int, tuple[int, ...]],
) -> dict[str, int]:
    """For each state the output that its caller hands back: in one order, and of one shape.

    The states are the last arguments and come back last, or the first ones and come back first;
    otherwise their shapes have to say which is which. Raises `ConversionError`.
    """
    specs = graph.inputs
    places = [place for place, meaning in enumerate(meanings) if meaning.is_state]
    count, total = len(places), len(outputs)
    fits = [[n for n in range(total) if shapes.get(n) == specs[place].shape] for place in places]
    for name, found in zip([specs[place].name for place in places], fits, strict=True):
        if not found:
            raise ConversionError(f"no output gives the state {name!r} back: none has its shape")
    usual: list[int] = []
    if places == list(range(len(specs) - count, len(specs))):
        usual = list(range(total - count, total))
    elif places == list(range(count)):
        usual = list(range(count))
    if not usual or any(n not in found for n, found in zip(usual, fits, strict=True)):
        orders = _increasing(fits)
        if len(orders) != 1:
            names = ", ".join(repr(specs[place].name) for place in places)
            raise ConversionError(
                f"the states {names} may come back as outputs {orders[:2]}: give them as the last "
                "arguments, and return them last in the same order"
            )
        usual = orders[0]
    return {specs[place].name: n for place, n in zip(places, usual, strict=True)}


def _increasing(fits: Sequence[Sequence[int]]) -> list[list[int]]:
    """Every choice of one output for each state that keeps their order; two are enough."""
    found: list[list[int]] = [[]]
    for options in fits:
        found = [[*before, n] for before in found for n in options if not before or n > before[-1]][
            :64
        ]
    return found
