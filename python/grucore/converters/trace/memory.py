# SPDX-License-Identifier: Apache-2.0
"""A memory that a decoder attends to, and what a source makes of it before it is one number again.

An axis that counts the frames of a memory stands in no value of a model. Between the input and the
sum over these frames there are linear maps, scores and shares, which become one layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from grucore.converters.trace.axes import Axis, Tracked
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["MEMORY", "Memory", "Scores"]

MEMORY = Axis(("memory",))


@dataclass(frozen=True, eq=False)
class Memory(Tracked):
    """Numbers for each frame of a memory: ``index`` has the rows of ``weight`` (rows, features) and
    ``bias`` (rows,), float64, that make them of a frame.

    ``value``: if not None, features of it are added to each, those at ``places`` (rows,), -1 for
    none. ``is_bent``: and then the tanh.
    """

    name: str
    weight: Array
    bias: Array
    value: Value | None = None
    places: Array | None = None
    is_bent: bool = False


@dataclass(frozen=True, eq=False)
class Scores(Tracked):
    """Numbers for each query and frame of a memory: ``index`` has the numbers of the queries.

    A query is the features of ``value`` at ``queries`` (count, K), a key ``keys`` (count, K,
    features) times a frame, and the score ``scale`` times their product; or, where ``bent`` is
    there, the product of ``vector`` (count, rows) with what that is. ``are_shares``: their softmax
    over the memory.
    """

    name: str
    value: Value
    queries: Array
    keys: Array
    scale: float = 1.0
    bent: Memory | None = None
    vector: Array | None = None
    are_shares: bool = False
