# SPDX-License-Identifier: Apache-2.0
"""The contenders of `grucore bench`: this model, smaller ones, the same network elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grucore._core import GrucoreError, UnsupportedError
from grucore.graph.graph import Graph
from grucore.graph.layers import Activation, Recurrent
from grucore.graph.node import Node
from grucore.graph.tensors import Array, Dtype
from grucore.graph.weights import Quantized, as_float64
from grucore.model import Model
from grucore.runtime.arrays import as_tuple, single
from grucore.runtime.timing import FRAMES, ModelSteps, Steps

__all__ = [
    "CHECKED_FRAMES",
    "FRAMES",
    "Contender",
    "Ours",
    "Twin",
    "check_ports",
    "float32",
    "signals",
]

CHECKED_FRAMES = 50
BOUND = 1e-4  # of a twin's outputs from float64, as a share of the largest
SIGMOID, TANH = Activation.SIGMOID, Activation.TANH
ACTIVATIONS = ("gate_activation", "activation", "cell_activation")  # fields of recurrent layers


def signals(graph: Graph, *shape: int) -> tuple[Array, ...]:
    """Inputs (*shape, features): standard normal for float32, zeros for what counts or names."""
    rng = np.random.default_rng(1)
    ports = [graph.value(name) for name in graph.inputs]
    return tuple(
        rng.standard_normal((*shape, port.features)).astype(np.float32)
        if port.dtype is Dtype.FLOAT32
        else np.zeros((*shape, port.features), np.int32)
        for port in ports
    )


class Contender(Steps, ABC):
    """Something that makes steps, unless it reads the future, and runs sequences.

    ``frames`` is empty where it cannot step.
    """

    name: str
    weights: str

    @abstractmethod
    def runs(self, inputs: tuple[Array, ...]) -> Callable[[], Any]:
        """A call that runs inputs (batch, frames, features), their layout already its own."""

    @abstractmethod
    def outputs(self, inputs: tuple[Array, ...]) -> list[Array]:
        """The outputs of that call, laid out as grucore's."""


class Ours(ModelSteps, Contender):
    """A model of grucore."""

    def __init__(self, model: Model, weights: str, threads: int) -> None:
        self.name, self.weights, self.model = "grucore", weights, model
        self.threads = threads
        self.frames = []
        if model._unstreamable() is None:
            super().__init__(model)

    def runs(self, inputs: tuple[Array, ...]) -> Callable[[], Any]:
        x, threads = single(inputs), self.threads if len(inputs[0]) > 1 else 1
        return lambda: self.model.run(x, threads=threads)

    def outputs(self, inputs: tuple[Array, ...]) -> list[Array]:
        return list(as_tuple(self.model.run(single(inputs))))


class Twin(Contender):
    """The network of a graph, rebuilt in a framework from the file's float32 weights."""

    weights = "float32"

    def refuse(self, node: Node, why: str = "") -> UnsupportedError:
        """The error for a layer that is not rebuilt."""
        what = f"layer {node.name!r} ({node.layer})"
        return UnsupportedError(f"--compare {self.name}: {what} cannot be rebuilt{why}")

    def check_recurrent(self, node: Recurrent, *, plain: Sequence[Activation] = (TANH,)) -> None:
        """Refuse what frameworks do not have, or each in its own way.

        ``plain``: the activations of the plain layer that the framework has.
        """
        if len(node.inputs) > 1:
            raise self.refuse(node, " with a mask")
        if any(start is not None for start in node.initial_states):
            raise self.refuse(node, " with an initial state")
        found = tuple(getattr(node, name) for name in ACTIVATIONS if hasattr(node, name))
        usual = (SIGMOID, TANH, TANH)[: len(found)]
        if (found[0] not in plain) if len(found) == 1 else found != usual:
            raise self.refuse(node, f" with {' and '.join(map(str, found))}")

    def check(self, graph: Graph, expected: Sequence[Array], inputs: tuple[Array, ...]) -> float:
        """The largest difference from float64; GrucoreError where it is another network."""
        pairs = list(zip(self.outputs(inputs), expected, strict=True))
        if self.frames:
            stepped = self.last_step(tuple(column[0] for column in inputs))
            last = [
                array[0, -1] if array.ndim == 3 else array[0]
                for array in (np.asarray(one) for one in expected)
            ]
            pairs += list(zip(stepped, last, strict=True))
        largest = max(float(np.abs(found - wanted).max()) for found, wanted in pairs)
        scale = max(1.0, *(float(np.abs(array).max()) for array in expected))
        if not largest <= BOUND * scale:
            raise GrucoreError(
                f"--compare {self.name}: the rebuilt network is {largest:.3g} from float64, "
                f"expected at most {BOUND * scale:.3g}"
            )
        return largest

    @abstractmethod
    def last_step(self, columns: tuple[Array, ...]) -> list[Array]:
        """Outputs of the last of the frames (frames, features), stepped from the zero state."""


def float32(weight: Any) -> Array:
    """The numbers that weights stand for."""
    plain = weight if not isinstance(weight, Quantized) else as_float64(weight)
    return np.ascontiguousarray(plain, np.float32)


def check_ports(graph: Graph, twin: Twin) -> None:
    """Refuse inputs that are not float32."""
    for name in graph.inputs:
        if graph.value(name).dtype is not Dtype.FLOAT32:
            raise UnsupportedError(f"--compare {twin.name}: input {name!r} is not float32")
