# SPDX-License-Identifier: Apache-2.0
"""States by name: the dict that `Stream.state` and `Model.run` give and take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore.runtime.arrays import Floats, as_float32, check_names, check_shape, plain
from grucore.runtime.loaded import Loaded

Indexed = list[tuple[int, Floats]]  # (the engine's index, (rows, size))


def new_states(model: Loaded, rows: int) -> Indexed:
    """Arrays for the states that users see."""
    return [
        (index, np.zeros((rows, math.prod(shape)), np.float32))
        for index, (_, shape, public) in enumerate(model._states())
        if public
    ]


def to_dict(model: Loaded, states: Indexed, *, batched: bool) -> dict[str, Floats]:
    """Each in its own shape by name; of a batch, all rows of it."""
    rows = model._states()
    shaped = [(rows[i][0], array.reshape(-1, *rows[i][1])) for i, array in states]
    return {name: array if batched else array[0] for name, array in shaped}


def from_dict(model: Loaded, values: Mapping[str, Any], batch: int | None) -> Indexed:
    """The inverse of `to_dict`: ValueError for an unknown or a missing name, or a wrong shape."""
    if not isinstance(values, Mapping):
        raise TypeError(f"a state is a dict of arrays, not {type(values).__name__}")
    rows = [(i, name, shape) for i, (name, shape, public) in enumerate(model._states()) if public]
    check_names(values, [name for _, name, _ in rows], "state")
    states = []
    for index, name, shape in rows:
        array = as_float32(values[name], f"state {name!r}")
        expected = shape if batch is None else (batch, *shape)
        check_shape(array.shape, expected, f"state {name!r}")
        states.append((index, plain(array.reshape(-1, math.prod(shape)))))
    return states
