# SPDX-License-Identifier: Apache-2.0
"""Recurrent networks that people put on microcontrollers: their shapes, with random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grucore.demo.runner import front_end
from grucore.fileformat import read
from grucore.graph.graph import Graph
from grucore.graph.layers import Activation, Cell, Concat, Dense, Gru
from grucore.graph.node import Dtype, Value
from models.chain import Chain, uniform
from models.quantized_models import Kind, requantized

KINDS: dict[str, Kind] = {
    "float32": (Dtype.FLOAT32, 0),
    "float16": (Dtype.FLOAT16, 0),
    "int8/8": (Dtype.INT8, 8),
    "int8/16": (Dtype.INT8, 16),
    "int4/16": (Dtype.INT4, 16),
}


def gru(chain: Chain, reads: Value, hidden: int, cell: Cell = Cell.RESET_AFTER) -> Value:
    """A GRU with sigmoid and tanh."""
    rng = np.random.default_rng([reads.features, hidden])
    return chain.add(
        Gru,
        reads,
        cell=cell,
        weight_ih=uniform(rng, 3 * hidden, reads.features),
        weight_hh=uniform(rng, 3 * hidden, hidden),
        bias=uniform(rng, (4 if cell is Cell.RESET_AFTER else 3) * hidden),
    )


def dense(chain: Chain, reads: Value, features: int, activation: Activation) -> Value:
    """A dense layer."""
    rng = np.random.default_rng([reads.features, features, 1])
    weight = uniform(rng, features, reads.features)
    return chain.add(
        Dense, reads, weight=weight, bias=uniform(rng, features), activation=activation
    )


def classifier(inputs: int, hidden: int, outputs: int) -> Graph:
    """A GRU and a dense layer, each frame."""
    chain = Chain(Value("x", inputs))
    gru(chain, chain.at, hidden)
    dense(chain, chain.at, outputs, Activation.LINEAR)
    return chain.graph()


def rnnoise() -> Graph:
    """The denoiser of 2018: three GRUs of the original cell, gains of 22 bands and a voice."""
    chain = Chain(Value("x", 42))
    x = chain.at
    first = dense(chain, x, 24, Activation.TANH)
    voice = gru(chain, first, 24, Cell.RESET_BEFORE)
    vad = dense(chain, voice, 1, Activation.SIGMOID)
    noise_in = chain.add(Concat, first, voice, x)
    noise = gru(chain, noise_in, 48, Cell.RESET_BEFORE)
    denoise_in = chain.add(Concat, voice, noise, x)
    gains = gru(chain, denoise_in, 96, Cell.RESET_BEFORE)
    out = dense(chain, gains, 22, Activation.SIGMOID)
    return chain.graph(out, vad)


def features() -> Graph:
    """The front end of the demo, a hop of samples to log-mel bands."""
    return read(bytes(front_end().model))


WORKLOADS: dict[str, tuple[str, Callable[[], Graph]]] = {
    "keywords": ("the demo's keyword spotter, 40 -> 64 -> 12", lambda: classifier(40, 64, 12)),
    "edgemark": ("EdgeMark's GRU, 32 -> 64 -> 32, 100 frames", lambda: classifier(32, 64, 32)),
    "hello-s": ("Hello Edge GRU S, 10 -> 154 -> 12", lambda: classifier(10, 154, 12)),
    "hello-m": ("Hello Edge GRU M, 10 -> 250 -> 12", lambda: classifier(10, 250, 12)),
    "hello-l": ("Hello Edge GRU L, 10 -> 400 -> 12", lambda: classifier(10, 400, 12)),
    "front-end": ("the demo's features, 80 samples to 40 bands", features),
    "rnnoise": ("RNNoise of 2018, GRUs of 24, 48 and 96", rnnoise),
}


def of_kind(graph: Graph, kind: str) -> Graph:
    """The graph with weights of that kind."""
    if kind == "float32":
        return graph
    return requantized(np.random.default_rng(4), graph, (KINDS[kind],), ranged=False)
