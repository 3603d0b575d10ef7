# SPDX-License-Identifier: Apache-2.0
"""Initial states of recurrent layers that are inputs of the Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Start
from grucore.converters.keras.read.config import Layer
from grucore.graph.node import Value


def take_start(
    layer: Layer, flows: list[Any], keywords: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any], Start | None]:
    """The tensors and keywords of a recurrent layer's call without its initial state, and that."""
    rest = dict(keywords)
    given = rest.pop("initial_state", None)
    if given is None and len(flows) > 1:  # as early versions write it
        flows, given = flows[:1], flows[1:]
    if isinstance(given, list | tuple) and len(given) == 1:
        given = given[0]
    if given is None or isinstance(given, Start):
        return flows, rest, given
    if isinstance(given, list | tuple) and all(isinstance(entry, Start) for entry in given):
        raise ConversionError(
            f"{layer} has {len(given)} inputs as its initial_state, expected the one of a GRU"
        )
    raise ConversionError(
        f"{layer} has an initial_state from another layer, which cannot be expressed: convert the "
        "models before and behind it apart, the second one with an Input of its own for the state, "
        "and hand it on as state="
    )


def note_start(context: Context, layer: Layer, start: Start, values: list[Value]) -> None:
    """Note which state of the model starts from an input: that of the layer that was just built."""
    (value, *more), node = values, context.builder.nodes[-1]
    if more or start.size != value.features or start.name in context.states:
        raise ConversionError(
            f"{layer} starts from input {start.name!r} of shape ({start.size},), expected one of "
            f"({', '.join(str(each.features) for each in values)},) that no other layer reads"
        )
    context.states[start.name] = f"{node.name}.h"
