# SPDX-License-Identifier: Apache-2.0
"""Random graphs that feed back: delays of features and of ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activation,
    ArgMax,
    Binary,
    Concat,
    Delay,
    Dense,
    Embedding,
    Gru,
    LayerNorm,
    Lstm,
    Operation,
    Rnn,
)
from grucore.graph.tensors import Dtype
from models.chain import SIZES, Chain, add_dense, add_gru, scale_and_shift, uniform


def _delayed(rng: np.random.Generator, chain: Chain, source: str, features: int) -> Delay:
    """A delay by a few frames, with or without numbers to start from; adds its value."""
    frames = int(rng.choice([1, 1, 2, 3, 7]))
    start = (
        rng.uniform(-1, 1, (frames, features)).astype(np.float32) if rng.random() < 0.5 else None
    )
    name = f"delay.{len(chain.nodes)}"
    value = replace(chain.at, name=f"{name}.out", features=features)
    chain.values[value.name] = value
    return Delay(name=name, inputs=(source,), output=value.name, frames=frames, initial_state=start)


def add_delay(rng: np.random.Generator, chain: Chain) -> Graph:
    """A delay of what comes before it, or of what comes later: then layers of several kinds."""
    source = chain.at
    if rng.random() < 0.3:
        chain.nodes.append(_delayed(rng, chain, source.name, source.features))
        chain.at = chain.values[chain.nodes[-1].output]
        return chain.graph()
    features = int(rng.choice(SIZES))
    first, delays = len(chain.nodes), int(rng.integers(1, 3))
    for _ in range(delays):
        chain.nodes.append(_delayed(rng, chain, "later", features))
    fed_back = [chain.values[node.output] for node in chain.nodes[first:]]
    chain.add(Concat, *fed_back, source)
    if rng.random() < 0.5:
        add_gru(rng, chain, kind=[Gru, Lstm, Rnn][int(rng.integers(3))])
    weight = uniform(rng, features, chain.at.features)
    chain.add(Dense, weight=weight, bias=uniform(rng, features), activation=Activation.TANH)
    if rng.random() < 0.5:
        chain.add(Binary, chain.at, fed_back[0], operation=Operation.SUBTRACT)
        chain.add(LayerNorm, epsilon=1e-2, **scale_and_shift(rng, features))
    for place in range(first, first + delays):
        chain.nodes[place] = replace(chain.nodes[place], inputs=(chain.at.name,))
    looped = chain.at
    outside = add_dense(rng, chain)
    return chain.graph(outside, looped) if rng.random() < 0.5 else chain.graph()


def add_arg_max(rng: np.random.Generator, chain: Chain) -> Graph:
    """The largest of some groups; in a loop the ids of the frame before feed an embedding."""
    source, groups = chain.at, int(rng.choice([1, 1, 2, 3]))
    width = int(rng.integers(1, 9))
    loops = rng.random() < 0.5
    if loops:
        start = rng.integers(0, width, (1, groups)).astype(np.float32)
        past = replace(source, name="past", features=groups, dtype=Dtype.INT32)
        delay = Delay(
            name="delay",
            inputs=("later",),
            output="past",
            initial_state=start if rng.random() < 0.5 else None,
        )
        chain.nodes.append(delay)
        chain.values["past"] = past
        rows = chain.add(Embedding, past, table=uniform(rng, width, int(rng.choice(SIZES))))
        chain.add(Concat, rows, source)
        add_gru(rng, chain)
    scores = uniform(rng, groups * width, chain.at.features)
    chain.add(Dense, weight=scores, bias=uniform(rng, groups * width))
    ids = chain.add(ArgMax, groups=groups)
    if loops:
        place = next(k for k, node in enumerate(chain.nodes) if node.name == "delay")
        chain.nodes[place] = replace(chain.nodes[place], inputs=(ids.name,))
        return chain.graph()
    rows = chain.add(Embedding, ids, table=uniform(rng, width, int(rng.choice(SIZES))))
    return chain.graph(ids, rows) if rng.random() < 0.5 else chain.graph()
