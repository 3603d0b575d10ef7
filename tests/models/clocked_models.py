# SPDX-License-Identifier: Apache-2.0
"""Models of ids, and of outputs that do not come with every frame."""

from __future__ import annotations

from typing import Any

import numpy as np

import grucore
from grucore.fileformat import write
from grucore.graph.layers import Conv1d, Embedding, Mask, Pool
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from models.chain import Chain, add_gru


def conv(rng: np.random.Generator, features: int, inner: int, **settings: Any) -> dict[str, Any]:
    weight = rng.normal(size=(features, 3, inner)).astype(np.float32)
    return {"weight": weight, "bias": np.zeros(features, np.float32), **settings}


def words_model() -> grucore.Model:
    """ids (1) -> 10 rows of 4 -> gru, and their mask."""
    rng = np.random.default_rng(1)
    chain = Chain(Value("ids", 1, Dtype.INT32))
    table = rng.normal(size=(10, 4)).astype(np.float32)
    rows = chain.add(Embedding, table=table)
    mask = chain.add(Mask, chain.values["ids"])
    y = add_gru(rng, chain, rows, mask)
    return grucore.load(write(chain.graph(y, mask)))


def strided_model() -> grucore.Model:
    """x (2) -> every third frame from the third on (4), its mean, and x again as it is."""
    rng = np.random.default_rng(2)
    chain = Chain(Value("x", 2))
    y = chain.add(Conv1d, **conv(rng, 4, 2, stride=3))
    mean = chain.add(Pool)
    return grucore.load(write(chain.graph(y, mean, chain.values["x"])))
