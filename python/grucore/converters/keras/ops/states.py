# SPDX-License-Identifier: Apache-2.0
"""Initial states of recurrent layers that are inputs of the Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Flow, Start
from grucore.converters.keras.read.config import Layer
from grucore.graph.node import Value


def take_start(
    layer: Layer, flows: list[Any], keywords: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any], tuple[Any, ...]]:
    """The tensors and keywords of a recurrent layer's call without its initial states, and these.

    A GRU has one state, an LSTM two, h and c. Rows of the one frame of a call stay flows.
    """
    rest = dict(keywords)
    given = rest.pop("initial_state", None)
    if given is None and len(flows) > 1:  # as early versions write it
        flows, given = flows[:1], flows[1:]
    if given is None:
        return flows, rest, ()
    starts = given if isinstance(given, list | tuple) else [given]
    is_fed_back = all(isinstance(start, Flow) and start.is_row for start in starts)
    if is_fed_back or all(isinstance(start, Start) for start in starts):
        return flows, rest, tuple(starts)
    raise ConversionError(
        f"{layer} has an initial_state from another layer, which cannot be expressed: convert the "
        "models before and behind it apart, the second one with an Input of its own for the state, "
        "and hand it on as state="
    )


def note_start(
    context: Context, layer: Layer, starts: tuple[Start, ...], values: list[Value]
) -> None:
    """Note which states of the model start from inputs: those of the layer that was just built."""
    (value, *more), node = values, context.builder.nodes[-1]
    count = len(node.state_suffixes)
    if more or len(starts) != count:
        expected = (
            "none: a layer of one cell in one direction may have them"
            if more
            else f"the {count} of its cell"
        )
        raise ConversionError(
            f"{layer} has {len(starts)} inputs as its initial_state, expected {expected}"
        )
    for start, suffix in zip(starts, node.state_suffixes, strict=True):
        if start.size != value.features or start.name in context.states:
            raise ConversionError(
                f"{layer} starts from input {start.name!r} of shape ({start.size},), expected one "
                f"of ({value.features},) that no other layer reads"
            )
        context.states[start.name] = f"{node.name}{suffix}"
