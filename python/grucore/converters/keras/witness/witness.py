# SPDX-License-Identifier: Apache-2.0
"""What a conversion is proved against: Keras's own layers with the weights that were read."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grucore.converters.keras.read.inputs import input_ports
from grucore.converters.keras.witness.rebuild import Rebuilt
from grucore.graph.graph import Graph
from grucore.graph.node import Rate
from grucore.graph.tensors import Array
from grucore.proof.proof import Witness
from grucore.reference import run as reference

if TYPE_CHECKING:
    from grucore.converters.keras.read.source import Source

__all__ = ["live_witness", "rebuilt_witness", "reference_witness", "states_of"]

NONE: Mapping[str, Array] = {}
STATE_OF = "the input is the state of "


def states_of(graph: Graph) -> dict[str, str]:
    """By the input of the Keras model that is a state, the name of that state."""
    noted = graph.metadata["source"].get("states", {})
    return {name: text.removeprefix(STATE_OF) for name, text in noted.items()}


def reference_witness(graph: Graph) -> Witness:
    """``python/grucore/reference/run.py`` on the graph."""

    def run(*xs: Array, starts: Mapping[str, Array] = NONE) -> tuple[Array, ...]:
        state = {states_of(graph)[name]: start for name, start in starts.items()}
        return reference.run(graph, xs if len(xs) > 1 else xs[0], state=state)[0]

    return run


def rebuilt_witness(source: Source, graph: Graph) -> Witness:
    """Keras layers made of the config, with the weights as they were read."""
    model = Rebuilt(source.model, source.weights, source.version)

    def run(*xs: Array, starts: Mapping[str, Array] = NONE) -> tuple[Array, ...]:
        batches = _batches(source, graph, xs, starts, batch=1)
        return _plain(graph, list(model(batches).values()))

    return run


def live_witness(model: Any, source: Source, graph: Graph) -> Witness:
    """A live model at inference, each sequence from its initial state."""
    batch = next((port.batch for port in input_ports(source.model) if port.batch), 1)
    inputs = getattr(model, "inputs", None)
    names = list(source.model.outputs)

    def run(*xs: Array, starts: Mapping[str, Array] = NONE) -> tuple[Array, ...]:
        batches = _batches(source, graph, xs, starts, batch)
        _reset(model)
        found = model(batches if inputs is None or len(inputs) > 1 else batches[0], training=False)
        _reset(model)
        if isinstance(found, dict):
            found = [found[name] for name in names]
        return _plain(graph, found if isinstance(found, list | tuple) else [found])

    return run


def _reset(model: Any) -> None:
    """Forget the states of stateful layers."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()


def _batches(
    source: Source, graph: Graph, xs: Sequence[Array], starts: Mapping[str, Array], batch: int
) -> list[Array]:
    """The arrays in the shapes of the model's inputs; states that ``starts`` lacks are zeros."""
    batches, left = [], list(xs)
    for port in input_ports(source.model):
        if port.name in states_of(graph):
            row = starts.get(port.name, np.zeros(port.shape[0] or 0, np.float32))
        else:
            x = left.pop(0)
            row = x[:, 0] if len(port.shape) == 1 else x.reshape(len(x), *port.shape[1:])
        batches.append(np.repeat(row[None], batch, axis=0))
    return batches


def _plain(graph: Graph, found: Sequence[Any]) -> tuple[Array, ...]:
    """The first row of each output, with its features on one axis."""
    convert = sys.modules["keras"].ops.convert_to_numpy
    results = []
    for name, part in zip(graph.outputs, found, strict=True):
        array = np.asarray(convert(part), np.float32)[0]
        per_sequence = graph.value(name).rate is Rate.SEQUENCE
        results.append(array.reshape(-1) if per_sequence else array.reshape(len(array), -1))
    return tuple(results)
