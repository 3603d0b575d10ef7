# SPDX-License-Identifier: Apache-2.0
"""States that a caller of the Keras model carries: what comes back must be what the cell made.

A stream keeps the new state of each cell. A model whose caller hands back something else, such as
a norm of it, another cell's, or the same start every time, computes something else than a stream.
"""

from __future__ import annotations

from collections.abc import Mapping

from grucore._core import ConversionError
from grucore.converters.keras.context import CellState, Context
from grucore.graph.layers import Conv1d, Direction, MaskedOutput, Pool1d, Position, Recurrent, Take
from grucore.graph.node import Rate, Value

__all__ = ["check_returned", "check_windows"]


def check_returned(context: Context, outputs: Mapping[str, Value | CellState]) -> None:
    """Raise `ConversionError` for states that come back changed, exchanged, or not at all.

    A model over whole sequences may take a state without giving one back: it is called once.
    """
    step = context.frames == 1
    places: list[int] = []
    missing: list[tuple[str, str]] = []
    for source, state in context.states.items():
        name, suffix = state[:-2], state[-2:]
        node = next(node for node in context.builder.nodes if node.name == name)
        assert isinstance(node, Recurrent)
        is_hidden = suffix == ".h"
        own = _own_states(context, node, step=step) if is_hidden else {state}
        found = [place for place, value in enumerate(outputs.values()) if _name(value) in own]
        if found:
            places.append(found[-1])
            continue
        made = _made_of(context, node, outputs) if is_hidden else None
        if made is not None:
            raise ConversionError(
                f"output {made!r} is made of the new state of {node.name!r} and is not that state: "
                f"who hands it back as input {source!r} carries another one than a stream would; "
                "give the state that the layer returns"
            )
        missing.append((source, node.name))
    if missing and (places or step):
        source, name = missing[0]
        raise ConversionError(
            f"input {source!r} is the state of {name!r}, but no output gives its new state back: "
            "add the state that the layer returns to the outputs"
        )
    if places != sorted(places):
        names = list(outputs)
        raise ConversionError(
            f"the states go in as {', '.join(context.states)}, and come back in another order, "
            f"{', '.join(names[place] for place in sorted(places))}: give them in the same order"
        )
    if context.states and step:
        check_windows(context)


def _name(value: Value | CellState) -> str:
    return value.state if isinstance(value, CellState) else value.name


def _own_states(context: Context, node: Recurrent, *, step: bool) -> set[str]:
    """The values that are the layer's new state."""
    if node.masked_output is MaskedOutput.ZERO and len(node.inputs) > 1:
        return set()
    last = Position.LAST if node.direction is Direction.FORWARD else Position.FIRST
    own = {node.output} if step else set()
    for other in context.builder.nodes:
        if isinstance(other, Take) and other.inputs[0] == node.output and other.position is last:
            own.add(other.output)
    return own


def _made_of(
    context: Context, node: Recurrent, outputs: Mapping[str, Value | CellState]
) -> str | None:
    """The output, of a sequence, of as many numbers as the state, that is computed from it."""
    below = {node.output}
    for other in context.builder.nodes:
        if below & set(other.inputs):
            below.add(other.output)
    for name, value in outputs.items():
        if isinstance(value, CellState):
            continue
        once = value.rate is Rate.SEQUENCE
        if value.name in below and once and value.features == node.hidden_size:
            return name
    return None


def check_windows(context: Context) -> None:
    """Raise for a window over frames in a model of one frame a call: nobody carries its history."""
    for node in context.builder.nodes:
        if isinstance(node, Conv1d | Pool1d) and node.reach:
            raise ConversionError(
                f"{node.name!r} looks back over {node.reach} frames, which are zeros in every call "
                "of a model of one frame: a stream would remember them; give the input more frames"
            )
