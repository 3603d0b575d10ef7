# SPDX-License-Identifier: Apache-2.0
"""The proof of a conversion: engine and source on the same inputs, and the largest difference.

The bound is ``2e-6 * scale``. A float32 sum is wrong by about 2^-24 of the sum of the absolute
values of its terms; ``scale`` is 1 while no sum in the model exceeds 16 of these, and grows
with the largest beyond that. A wrong gate order or cell misses it by four orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from grucore._core import ConversionError
from grucore._magnitudes import largest_sum
from grucore.fileformat import write
from grucore.ir import Graph, TestVector
from grucore.layers import Embedding
from grucore.node import Array, Dtype

__all__ = ["BOUND", "Proof", "Witness", "finish", "given", "noise", "outputs", "prove", "sequences"]

Witness: TypeAlias = Callable[..., tuple[Array, ...]]
"""Gives the outputs of the source for one sequence: called with an array (T, features) for each
input of the graph, float32 or int32."""

BOUND = 2e-6
COMFORTABLE_SUM = 16.0
LARGEST_INPUT = 4.0
LENGTHS = (1, 2, 3, 17, 60, 200)
TEST_FRAMES, MOST_TEST_FRAMES = 16, 4096
SEED = 20240229


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared: ``against`` what, on how many frames, and what came out."""

    against: str
    largest_difference: float
    bound: float
    frames: int
    differences: dict[str, float]

    def __str__(self) -> str:
        return (
            f"largest difference {self.largest_difference:.2g} (bound {self.bound:.2g}) "
            f"over {self.frames} frames against {self.against}"
        )


def prove(
    graph: Graph,
    witness: Witness,
    against: str,
    *,
    examples: Sequence[Array | tuple[Array, ...]] = (),
    lengths: Sequence[int] = LENGTHS,
) -> tuple[bytes, Proof]:
    """The file of a graph, with proof and test vector in it, and the proof.

    ``examples``: sequences (T, features), or a tuple of these for several inputs, to compare on,
    besides generated ones of these ``lengths`` within [-4, 4]. Raises `ConversionError` if a
    difference is above the bound.
    """
    model = _model(write(graph))
    differences = dict.fromkeys(graph.outputs, 0.0)
    frames, largest_input = 0, LARGEST_INPUT
    for example in (*sequences(graph, lengths), *examples):
        xs = example if isinstance(example, tuple) else (example,)
        ours, theirs = outputs(model.run(given(xs))), witness(*xs)
        frames += len(xs[0])
        for x in xs:
            if x.dtype.kind == "f":
                largest_input = max(largest_input, float(np.abs(x).max(initial=0.0)))
        for name, mine, other in zip(graph.outputs, ours, theirs, strict=True):
            differences[name] = max(differences[name], _difference(name, mine, other))
    bound = BOUND * max(1.0, largest_sum(graph, largest_input) / COMFORTABLE_SUM)
    proof = Proof(against, max(differences.values()), bound, frames, differences)
    if not proof.largest_difference <= bound:
        raise ConversionError(f"the converted model does not agree with its source: {proof}")
    return finish(graph.with_metadata(proof=asdict(proof))), proof


def finish(graph: Graph) -> bytes:
    """The file of a graph, with a test vector of the engine's own outputs.

    Without one if its outputs begin so late that the vector would be large.
    """
    frames = TEST_FRAMES + max(graph.value(name).skip for name in graph.outputs)
    if frames > MOST_TEST_FRAMES:
        return write(replace(graph, test=None))
    model = _model(write(graph))
    if model.numerics == "muladd":
        model = _model(write(graph), isa="scalar")  # fused on every machine
    generator = np.random.default_rng(SEED)
    inputs = tuple(
        _ids(graph, name, frames, generator)
        if graph.value(name).dtype is Dtype.INT32
        else generator.uniform(-2, 2, (frames, graph.value(name).features)).astype(np.float32)
        for name in graph.inputs
    )
    return write(replace(graph, test=TestVector(inputs, outputs(model.run(given(inputs))))))


def _model(data: bytes, **options: Any) -> Any:
    # Imported here: grucore.model offers the converters, which end here.
    from grucore.model import Model

    return Model(data, **options)


def given(xs: tuple[Array, ...]) -> Any:
    """What `Model.run` takes: ids with two axes would be several sequences."""
    plain = tuple(x[:, 0] if x.dtype.kind == "i" and x.shape[1] == 1 else x for x in xs)
    return plain if len(plain) > 1 else plain[0]


def outputs(result: Any) -> tuple[Array, ...]:
    """What `Model.run` gave, as a tuple in any case."""
    return result if isinstance(result, tuple) else (result,)


def sequences(graph: Graph, lengths: Sequence[int] = LENGTHS) -> Iterator[tuple[Array, ...]]:
    """Noise of several sizes, then what noise never is: silence, steps, extremes, one impulse."""
    generator = np.random.default_rng(SEED)
    # A model that knows one length only is compared on that one, several times.
    for length in lengths if len(lengths) > 1 else (*lengths, *lengths, *lengths):
        size = generator.choice([0.1, 1.0, 4.0])
        yield tuple(noise(graph, name, length, size, generator) for name in graph.inputs)
    length = 48 if len(lengths) > 1 else lengths[0]
    yield tuple(_odd(graph, name, length, generator) for name in graph.inputs)


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
    odd = np.zeros((max(length, 48), value.features), np.float32)
    odd[8] = 1.0
    odd[16:24] = LARGEST_INPUT
    odd[24:32] = -LARGEST_INPUT
    odd[32:40, ::2] = np.float32(2**-24)
    odd[40:48] = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    return odd[:length]


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


def _difference(name: str, mine: Array, other: Array) -> float:
    if mine.shape != other.shape:
        message = f"output {name!r} has shape {mine.shape}, the source gives {other.shape}"
        raise ConversionError(f"the converted model does not agree with its source: {message}")
    difference = np.abs(mine.astype(np.float64) - other.astype(np.float64))
    largest = float(difference.max(initial=0.0))
    return float("inf") if np.isnan(largest) else largest
