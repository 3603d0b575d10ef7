# SPDX-License-Identifier: Apache-2.0
"""The sequences on which a proof compares: noise of several sizes, and what noise never is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from grucore.graph.graph import Graph
from grucore.graph.layers import Attention, Embedding
from grucore.graph.tensors import Array, Dtype

__all__ = ["LENGTHS", "drawn_memory", "memory_states", "noise", "sequences", "test_inputs"]

LARGEST_INPUT = 4.0
LENGTHS = (1, 2, 3, 17, 60, 200)
SIZES = (1.0, 0.1, 4.0)
ODD_FRAMES = 48
SEED = 20240229
MEMORY_SEED = 20261130


def sequences(graph: Graph, lengths: Sequence[int] = LENGTHS) -> Iterator[tuple[Array, ...]]:
    """Arrays (T, features), one for each input: noise, then silence, steps, extremes, an impulse.

    A model that knows one length only is compared on that one, with noise of each size.
    """
    generator = np.random.default_rng(SEED)
    several = tuple(lengths) if len(lengths) > 1 else (lengths[0],) * len(SIZES)
    for place, length in enumerate(several):
        size = SIZES[place % len(SIZES)]
        yield _held(graph, [noise(graph, name, length, size, generator) for name in graph.inputs])
    length = max(ODD_FRAMES, *lengths[:1]) if len(lengths) > 1 else lengths[0]
    yield _held(graph, [_odd(graph, name, length, generator) for name in graph.inputs])


def test_inputs(graph: Graph, frames: int) -> tuple[Array, ...]:
    """The inputs of the test vector that goes into the file."""
    generator = np.random.default_rng(SEED)
    return _held(
        graph,
        [
            _ids(graph, name, frames, generator)
            if graph.value(name).dtype is Dtype.INT32
            else generator.uniform(-2, 2, (frames, graph.value(name).features)).astype(np.float32)
            for name in graph.inputs
        ],
    )


def _held(graph: Graph, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """The same; of an input that its source takes once for a sequence the last frame, again and
    again: the first ones of what is odd are zeros. Of booleans 0 and 1."""
    source = graph.metadata.get("source", {})
    found = []
    for name, array in zip(graph.inputs, arrays, strict=True):
        if name in source.get("once", ()):
            array = np.repeat(array[-1:], len(array), axis=0)
        if name in source.get("booleans", ()):
            array = (array > 0).astype(array.dtype)
            array[-1] = 1  # the mean of no frame at all is anything
        found.append(array)
    return tuple(found)


def noise(
    graph: Graph, name: str, length: int, size: float, generator: np.random.Generator
) -> Array:
    """Frames (length, features) of an input: normal within [-4, 4], or ids that there are."""
    value = graph.value(name)
    if value.dtype is Dtype.INT32:
        return _ids(graph, name, length, generator)
    frames = generator.standard_normal((length, value.features)) * size
    return frames.clip(-LARGEST_INPUT, LARGEST_INPUT).astype(np.float32)


def _odd(graph: Graph, name: str, length: int, generator: np.random.Generator) -> Array:
    value = graph.value(name)
    if value.dtype is Dtype.INT32:
        return _ids(graph, name, length, generator)
    odd = np.zeros((max(length, ODD_FRAMES), value.features), np.float32)
    odd[8] = 1.0
    odd[16:24] = LARGEST_INPUT
    odd[24:32] = -LARGEST_INPUT
    odd[32:40, ::2] = np.float32(2**-24)
    odd[40:48] = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    start = max(9 - length, 0)  # silence alone says little, and of masked frames there may be none
    return odd[start : start + length]


def _ids(graph: Graph, name: str, length: int, generator: np.random.Generator) -> Array:
    """Ids that all the embeddings which read this input have, 0 more often than by chance."""
    tables = [
        len(node.table)
        for node in graph.nodes
        if isinstance(node, Embedding) and name in _sources(graph, node.inputs[0])
    ]
    shape = (length, graph.value(name).features)
    ids = generator.integers(0, min(tables, default=2), shape)
    return np.where(generator.random(shape) < 0.2, 0, ids).astype(np.int32)


def _sources(graph: Graph, name: str) -> set[str]:
    """The value and all those that it is made of."""
    found = {name}
    for node in reversed(graph.nodes):
        if node.output in found:
            found.update(node.inputs)
    return found


def memory_states(graph: Graph, frames: int, *, whole: bool = False) -> dict[str, Array]:
    """The states of a model that attends to a memory, for a sequence of so many frames.

    The memories are drawn at random, of a length that depends on the number of frames, or whole.
    """
    found: dict[str, Array] = {}
    for node in graph.nodes:
        if isinstance(node, Attention):
            drawn = drawn_memory(node.frames, node.features, 0 if whole else frames)
            full = np.zeros((node.frames, node.features), np.float32)
            full[: len(drawn)] = drawn
            found[f"{node.name}.memory"] = full
            found[f"{node.name}.length"] = np.array([len(drawn)], np.float32)
    return found


def drawn_memory(most: int, features: int, frames: int) -> Array:
    """A memory (count, features) for a sequence of so many frames."""
    generator = np.random.default_rng([MEMORY_SEED, features, frames])
    count = most - frames * 3 % most
    return generator.uniform(-1, 1, (count, features)).astype(np.float32)
