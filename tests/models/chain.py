# SPDX-License-Identifier: Apache-2.0
"""A graph of layers one after the other, and layers of random weights to put there."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.graph.check import check
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activation,
    ActivationCode,
    Cell,
    Conv1d,
    Dense,
    Gru,
    Recurrent,
)
from grucore.graph.node import Node, Value

__all__ = ["SIZES", "Chain", "activation", "add_conv1d", "add_dense", "add_gru", "uniform"]

SIZES = (1, 2, 3, 4, 5, 8, 11, 15, 16, 17, 24, 31, 33)


def uniform(rng: np.random.Generator, *shape: int) -> Any:
    """Weights that keep sums of their outputs near 1."""
    bound = 1.5 / np.sqrt(max(shape[-1], 1))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def activation(rng: np.random.Generator, codes: int = len(ActivationCode)) -> Activation:
    """Any of the first codes, with parameters of its own."""
    code = ActivationCode(int(rng.integers(codes)))
    alpha, beta = float(rng.uniform(0.05, 1.5)), float(rng.uniform(0.1, 0.9))
    if code in (ActivationCode.LEAKY_RELU, ActivationCode.ELU):
        return Activation(code, alpha)
    if code is ActivationCode.HARD_SIGMOID:
        return Activation(code, alpha, beta)
    if code in (ActivationCode.LOG, ActivationCode.LOG1P):
        return Activation(code, alpha, beta)
    if code is ActivationCode.CLIP:
        return Activation.clip(-alpha, float(rng.choice([beta, np.inf])))
    return Activation(code)


class Chain:
    """Appends layers to a graph, each of them reading what came before."""

    def __init__(self, *inputs: Value) -> None:
        self.values = {value.name: value for value in inputs}
        self.inputs = tuple(self.values)
        self.nodes: list[Node] = []
        self.at = inputs[0]

    def add(self, cls: type[Node], *reads: Value, **settings: Any) -> Value:
        """The value that the new layer writes; it reads the last one if nothing is named."""
        sources = reads or (self.at,)
        name = f"{cls.layer}.{len(self.nodes)}"
        names = tuple(value.name for value in sources)
        node = cls(name=name, inputs=names, output=f"{name}.out", **settings)
        self.at = node.written(*sources)
        self.nodes.append(node)
        self.values[self.at.name] = self.at
        return self.at

    def graph(self, *outputs: Value) -> Graph:
        """The checked graph; the last value is the output unless others are named."""
        names = tuple(value.name for value in outputs or (self.at,))
        graph = Graph(
            values=tuple(self.values.values()),
            inputs=self.inputs,
            outputs=names,
            nodes=tuple(self.nodes),
        )
        check(graph)
        return graph


def add_gru(
    rng: np.random.Generator,
    chain: Chain,
    *reads: Value,
    size: float = 1.0,
    kind: type[Recurrent] = Gru,
    **settings: Any,
) -> Value:
    """A recurrent layer of random weights, of that size."""
    source = reads[0] if reads else chain.at
    hidden = int(rng.choice(SIZES[:9]))
    rows = biases = len(kind.gates)
    if kind is Gru:
        cell = settings.setdefault("cell", Cell(int(rng.integers(2))))
        biases = 4 if cell is Cell.RESET_AFTER else 3
    return chain.add(
        kind,
        *(reads or (source,)),
        weight_ih=np.float32(size) * uniform(rng, rows * hidden, source.features),
        weight_hh=np.float32(size) * uniform(rng, rows * hidden, hidden),
        bias=np.float32(size) * uniform(rng, biases * hidden),
        **settings,
    )


def add_dense(rng: np.random.Generator, chain: Chain, **settings: Any) -> Value:
    """A dense layer of random weights."""
    features = int(rng.choice(SIZES))
    weight = uniform(rng, features, chain.at.features)
    return chain.add(Dense, weight=weight, bias=uniform(rng, features), **settings)


def add_conv1d(rng: np.random.Generator, chain: Chain, *, look_ahead: bool = False) -> Value:
    """A convolution: causal or not, with or without padding, grouped, dilated and strided."""
    source = chain.at
    groups = int(rng.choice([g for g in (1, 2, 3, 4, source.features) if source.features % g == 0]))
    taps, dilation, stride = (int(n) for n in rng.integers(1, (6, 4, 4)))
    reach = dilation * (taps - 1)
    after = int(rng.integers(0, reach + 1)) if look_ahead else 0
    before = reach - after if after else int(rng.integers(0, reach + 1))
    features = groups * int(rng.integers(1, 20))
    inner = source.features // groups
    return chain.add(
        Conv1d,
        weight=uniform(rng, features, taps, inner) / np.float32(np.sqrt(taps)),
        bias=uniform(rng, features),
        dilation=dilation,
        stride=stride,
        groups=groups,
        before=before,
        after=after,
        activation=activation(rng),
    )


def scale_and_shift(rng: np.random.Generator, features: int) -> dict[str, Any]:
    scale, shift = rng.uniform(-1.5, 1.5, (2, features)).astype(np.float32)
    return {"scale": scale, "shift": shift}
