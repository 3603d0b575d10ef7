# SPDX-License-Identifier: Apache-2.0
"""The evidence for a conversion from Keras: its own layers with the weights that were read."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras.read.inputs import input_ports
from grucore.converters.keras.read.source import Source
from grucore.converters.keras.witness.rebuild import Rebuilt
from grucore.graph.graph import Graph
from grucore.graph.node import Rate
from grucore.graph.tensors import Array
from grucore.proof.evidence import Evidence, reference_evidence
from grucore.proof.signals import LENGTHS

__all__ = ["live_evidence", "rebuilt_evidence"]

STATE_OF = "the input is the state of "


def states_of(graph: Graph) -> dict[str, str]:
    """By the input of the Keras model that is a state, the name of that state."""
    noted = graph.metadata["source"].get("states", {})
    return {name: text.removeprefix(STATE_OF) for name, text in noted.items()}


def rebuilt_evidence(source: Source, graph: Graph) -> Evidence:
    """Keras layers made of the config, with the weights as they were read; without Keras the
    reference."""
    lengths, states = _lengths(graph), tuple(states_of(graph).values())
    try:
        import keras
    except ImportError as error:
        why = _why_no_keras(error)
        return reference_evidence(graph, why, lengths=lengths, states=states)
    model = Rebuilt(source.model, source.weights, source.version)

    def call(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        return _plain(graph, list(model(_batches(source, graph, xs, state, batch=1)).values()))

    run = _carried(graph, call)

    return Evidence(
        lambda *xs: run({}, xs),
        f"the layers of keras {keras.__version__} ({keras.backend.backend()})",
        lengths=lengths,
        states=states,
        from_states=run,
    )


def _why_no_keras(error: ImportError) -> str:
    """Why there are no layers of Keras to compare with, and what brings them."""
    if importlib.util.find_spec("keras") is None:
        return "keras is not installed"
    return (
        f"keras is installed, but not its back end: {error}; KERAS_BACKEND=torch or jax in the "
        "environment chooses one that is"
    )


def live_evidence(model: Any, source: Source, graph: Graph) -> Evidence:
    """A live model at inference, each sequence from its initial state."""
    keras = sys.modules["keras"]
    states = states_of(graph)
    ports = input_ports(source.model)
    batch = next((port.batch for port in ports if port.batch), 1)
    inputs = getattr(model, "inputs", None)
    names = list(source.model.outputs)
    sizes = [port.shape[0] for port in ports if port.name not in states]
    steps = {size for size in sizes if size is not None}
    if len(steps) > 1:
        raise ConversionError(f"the model's inputs have {sorted(steps)} frames, expected one")

    def call(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        batches = _batches(source, graph, xs, state, batch)
        _reset(model)
        found = model(batches if inputs is None or len(inputs) > 1 else batches[0], training=False)
        _reset(model)
        if isinstance(found, dict):
            found = [found[name] for name in names]
        return _plain(graph, found if isinstance(found, list | tuple) else [found])

    run = _carried(graph, call)
    fed_back = "fed_back" in graph.metadata["source"]
    return Evidence(
        lambda *xs: run({}, xs),
        f"{type(model).__name__} of keras {keras.__version__} ({keras.backend.backend()})",
        lengths=LENGTHS if fed_back else list(steps) or _lengths(graph),
        states=tuple(states.values()),
        from_states=run,
    )


Stated: TypeAlias = Callable[[Mapping[str, Array], tuple[Array, ...]], tuple[Array, ...]]


def _carried(graph: Graph, call: Stated) -> Stated:
    """The caller's own loop, where states that are fed back go into the next call."""
    fed_back = graph.metadata["source"].get("fed_back", {})
    names = states_of(graph)
    if not fed_back:
        return call

    def run(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        state, answers = dict(state), []
        for frame in range(len(xs[0])):
            found = call(state, tuple(x[frame : frame + 1] for x in xs))
            answers.append(found)
            for source, output in fed_back.items():
                state[names[source]] = found[graph.outputs.index(output)].reshape(-1)
        return tuple(np.concatenate(column) for column in zip(*answers, strict=True))

    return run


def _lengths(graph: Graph) -> list[int]:
    """Lengths at which every layer has a frame to work on: Keras refuses shorter ones."""
    frames = graph.metadata["source"].get("frames")
    if frames is not None:  # of no other length does the graph say what Keras computes
        return [frames]
    shortest = 1 + max(value.skip for value in graph.values)
    return sorted({max(length, shortest) for length in LENGTHS})


def _reset(model: Any) -> None:
    """Forget the states of stateful layers."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            layer.reset_state()


def _batches(
    source: Source, graph: Graph, xs: Sequence[Array], state: Mapping[str, Array], batch: int
) -> list[Array]:
    """The arrays in the shapes of the model's inputs; a state that is not given is zeros."""
    batches, left, states = [], list(xs), states_of(graph)
    for port in input_ports(source.model):
        if port.name in states:
            row = state.get(states[port.name], np.zeros(port.shape[0] or 0, np.float32))
        else:
            x = left.pop(0)
            row = x[:, 0] if len(port.shape) == 1 else x.reshape(len(x), *port.shape[1:])
        batches.append(np.repeat(row[None], batch, axis=0))
    return batches


def _plain(graph: Graph, found: Sequence[Any]) -> tuple[Array, ...]:
    """The first row of each output, with its features on one axis."""
    convert = sys.modules["keras"].ops.convert_to_numpy
    returned = graph.metadata["source"].get("returned_states", {})
    found = [part for place, part in enumerate(found) if str(place) not in returned]
    results = []
    for name, part in zip(graph.outputs, found, strict=True):
        array = np.asarray(convert(part))[0]
        array = array if array.dtype == np.float64 else array.astype(np.float32)
        per_sequence = graph.value(name).rate is Rate.SEQUENCE
        if "fed_back" in graph.metadata["source"]:  # one frame, with a time axis or without
            array = array.reshape(1, -1)
        results.append(array.reshape(-1) if per_sequence else array.reshape(len(array), -1))
    return tuple(results)
