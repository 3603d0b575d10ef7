# SPDX-License-Identifier: Apache-2.0
"""A memory that a model attends to, names of its outputs, and notes on its states."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.read.config import Layer
from grucore.converters.keras.read.inputs import Port
from grucore.converters.trace.axes import BATCH, FEATURES, arrange
from grucore.converters.trace.memory import MEMORY, Memory

__all__ = ["memory_flow", "note", "output_names"]


def note(context: Context, outputs: list[str], kept: list[str], pairs: Mapping[str, str]) -> None:
    """Notes what became of the states, for who reads the file and for the witness."""
    is_state = "the input is the state of {}".format
    states = {
        name: is_state(", ".join(part.state for part in sorted(parts, key=lambda part: part.first)))
        for name, parts in context.states.items()
    }
    states |= {
        name: is_state(f"{delay.value.name.removesuffix('.out')}.x")
        for name, delay in context.delays.items()
    }
    if states:
        context.notes["states"] = states
    if pairs:
        context.notes["handed_back"] = {name: outputs.index(key) for name, key in pairs.items()}
    if len(kept) < len(outputs):
        context.notes["kept_outputs"] = [outputs.index(name) for name in kept]
    if context.delayed is not None:
        context.notes["steps"] = True
    if context.memories:
        context.notes["memories"] = dict(context.memories)


def output_names(model: Layer, names: list[str]) -> list[str]:
    """The names of the outputs: as in Keras, where they have names; "y" for a nameless one."""
    if not all(name.isdigit() for name in names):
        return names
    if len(names) == 1:
        return ["y"]
    # The last layer of a Sequential gives them all, such as a GRU with return_state.
    layers = [ref.layer for ref in model.outputs.values()]
    layers = layers or [model.layers[-1].name] * len(names)
    return [
        layer if layers.count(layer) == 1 else f"{layer}_{number}"
        for number, layer in enumerate(layers)
    ]


def memory_flow(port: Port) -> Flow:
    """An input that is attended to: (batch, memory, features)."""
    index = arrange((1, 1, port.shape[1] or 1))
    size = index.size
    found = Memory((BATCH, MEMORY, FEATURES), index, port.name, np.eye(size), np.zeros(size))
    return Flow(found)
