# SPDX-License-Identifier: Apache-2.0
"""The evidence for a conversion from Keras: its own layers with the weights that were read."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from grucore._core import ConversionError, GrucoreError
from grucore.converters.keras.read.inputs import input_ports
from grucore.converters.keras.read.source import Source
from grucore.converters.keras.witness.rebuild import Rebuilt
from grucore.graph.graph import Graph
from grucore.graph.node import Rate
from grucore.graph.tensors import Array
from grucore.proof.evidence import Evidence, reference_evidence
from grucore.proof.signals import LENGTHS, memory_states

__all__ = ["live_evidence", "rebuilt_evidence"]

STATE_OF = "the input is the state of "


def states_of(graph: Graph) -> dict[str, list[str]]:
    """By the input of the Keras model that is a state, the names of the states that it starts."""
    noted = graph.metadata["source"].get("states", {})
    return {name: text.removeprefix(STATE_OF).split(", ") for name, text in noted.items()}


def _names(graph: Graph) -> tuple[str, ...]:
    return tuple(name for names in states_of(graph).values() for name in names)


def rebuilt_evidence(source: Source, graph: Graph) -> Evidence:
    """Keras layers made of the config, with the weights as they were read; without Keras the
    reference."""
    lengths, states = _lengths(graph), _names(graph)
    try:
        import keras
    except ImportError as error:
        why = _why_no_keras(error)
        return reference_evidence(graph, why, lengths=lengths, states=states)
    model = Rebuilt(source.model, source.weights, source.version)

    def call(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        with _in_words(len(xs[0])):
            return _rows(model(_batches(source, graph, xs, state, batch=1)).values())

    run = _carried(graph, call, whole=False)

    return Evidence(
        lambda *xs: run({}, xs),
        f"the layers of keras {keras.__version__} ({keras.backend.backend()})",
        lengths=lengths,
        states=states,
        from_states=run,
        given=_memories(graph, whole=False),
    )


def _memories(graph: Graph, *, whole: bool) -> Callable[[int], Mapping[str, Array]] | None:
    """The states of a model that attends to a memory, by the frames of a sequence."""
    attends = "memories" in graph.metadata["source"]
    return partial(memory_states, graph, whole=whole) if attends else None


@contextmanager
def _in_words(frames: int) -> Iterator[None]:
    """Turn what Keras raises into an error that says so."""
    try:
        yield
    except GrucoreError:
        raise
    except Exception as error:  # whatever a layer raises
        text = " ".join(str(error).split())
        message = f"Keras fails on {frames} frames: {type(error).__name__}: {text:.200}"
        raise ConversionError(f"{message}: a limit on the frames cannot be converted") from error


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
    about = graph.metadata["source"]
    given = {*states, *about.get("once", ()), *about.get("memories", {}).values()}
    hop = about.get("hop", 1)
    sizes = [(port.shape[0] or 0) // hop or None for port in ports if port.name not in given]
    steps = {size for size in sizes if size is not None}
    if len(steps) > 1:
        raise ConversionError(f"the model's inputs have {sorted(steps)} frames, expected one")

    def call(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        batches = _batches(source, graph, xs, state, batch)
        _reset(model)
        given = batches if inputs is None or len(inputs) > 1 else batches[0]
        with _in_words(len(xs[0])):
            found = model(given, training=False)
        _reset(model)
        if isinstance(found, dict):
            found = [found[name] for name in names]
        return _rows(found if isinstance(found, list | tuple) else [found])

    run = _carried(graph, call, whole=True)  # a model has one size of it
    in_steps = "steps" in graph.metadata["source"]
    return Evidence(
        lambda *xs: run({}, xs),
        f"{type(model).__name__} of keras {keras.__version__} ({keras.backend.backend()})",
        lengths=LENGTHS if in_steps else list(steps) or _lengths(graph),
        states=_names(graph),
        from_states=run,
        given=_memories(graph, whole=True),
    )


Stated: TypeAlias = Callable[[Mapping[str, Array], tuple[Array, ...]], tuple[Array, ...]]


def _carried(graph: Graph, call: Stated, *, whole: bool) -> Stated:
    """The answers of calls: of one call, or of one frame after the other, where what the caller
    hands back goes into the next call."""
    about, names, given = graph.metadata["source"], states_of(graph), _memories(graph, whole=whole)

    def run(state: Mapping[str, Array], xs: tuple[Array, ...]) -> tuple[Array, ...]:
        state = {**state, **(given(len(xs[0])) if given else {})}
        if "steps" not in about:
            return _answers(graph, call(state, xs))
        state, answers = dict(state), []
        for frame in range(len(xs[0])):
            found = call(state, tuple(x[frame : frame + 1] for x in xs))
            answers.append(_answers(graph, found))
            for source, place in about["handed_back"].items():
                row, start = found[place].reshape(-1), 0
                for name in names[source]:
                    size = len(row) if len(names[source]) == 1 else _size(graph, name)
                    state[name] = row[start : start + size]
                    start += size
        return tuple(np.concatenate(column) for column in zip(*answers, strict=True))

    return run


def _size(graph: Graph, state: str) -> int:
    node = next(node for node in graph.nodes if state.startswith(f"{node.name}."))
    return graph.value(node.output).features


def _lengths(graph: Graph) -> list[int]:
    """Lengths at which every layer has a frame to work on: Keras refuses shorter ones."""
    frames = graph.metadata["source"].get("frames")
    if frames is not None:  # of no other length does the graph say what Keras computes
        return [frames]
    shortest = 1 + max(value.skip for value in graph.values)
    return sorted({max(length, shortest) for length in LENGTHS})


def _reset(model: Any) -> None:
    """Forget the states of stateful layers."""
    tree = sys.modules["keras"].tree
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):  # its own reset_state fails on a stack of cells
            for state in tree.flatten(getattr(layer, "states", None) or []):
                state.assign(np.zeros(state.shape, np.float32))


def _batches(
    source: Source, graph: Graph, xs: Sequence[Array], state: Mapping[str, Array], batch: int
) -> list[Array]:
    """The arrays in the shapes of the model's inputs; a state that is not given is zeros."""
    batches, left, states = [], list(xs), states_of(graph)
    memories = {name: layer for layer, name in graph.metadata["source"].get("memories", {}).items()}
    for port in input_ports(source.model):
        names, size = states.get(port.name, []), port.shape[0] or 0
        if port.name in memories:
            layer = memories[port.name]
            row = state[f"{layer}.memory"][: int(state[f"{layer}.length"][0])]
        elif names:
            sizes = [size] if len(names) == 1 else [_size(graph, name) for name in names]
            rows = [
                state.get(name, np.zeros(each, np.float32))
                for name, each in zip(names, sizes, strict=True)
            ]
            row = np.concatenate(rows)
        else:
            x = left.pop(0)
            if port.name in graph.metadata["source"].get("once", ()):
                batches.append(np.repeat(x[:1], batch, axis=0))
                continue
            row = x.reshape(-1, *port.shape[1:])  # samples lie along both axes
            row = row.astype(bool) if port.dtype == "bool" else row
        batches.append(np.repeat(row[None], batch, axis=0))
    return batches


def _rows(found: Iterable[Any]) -> tuple[Array, ...]:
    """The first row of each output of the source."""
    convert = sys.modules["keras"].ops.convert_to_numpy
    arrays = [np.asarray(convert(part))[0] for part in found]
    return tuple(each if each.dtype == np.float64 else each.astype(np.float32) for each in arrays)


def _answers(graph: Graph, found: Sequence[Array]) -> tuple[Array, ...]:
    """Those that are outputs of the model, with their features on one axis."""
    about = graph.metadata["source"]
    kept = about.get("kept_outputs", range(len(found)))
    results = []
    for name, place in zip(graph.outputs, kept, strict=True):
        array = found[place]
        if "steps" in about:  # one frame, with a time axis or without
            results.append(array.reshape(1, -1))
        elif graph.value(name).rate is Rate.SEQUENCE:
            results.append(array.reshape(-1))
        else:
            results.append(array.reshape(len(array), -1))
    return tuple(results)
