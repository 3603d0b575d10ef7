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
# The states of a layer that attends to a memory.
MEMORY, LENGTH = ".memory", ".length"


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


def memory_states(model: Loaded, memory: Any, lengths: Any, batch: int | None) -> Indexed:
    """The states of ``memory``, (n, features) or (batch, n, features), for every attention layer,
    or of one for each in a dict by the layers' names; ``lengths``: the frames of each row that
    count.

    Raises ValueError for a model without memories, a name it has not, or a shape that does not fit.
    """
    places = {name: (index, shape) for index, (name, shape, _) in enumerate(model._states())}
    layers = [
        name.removesuffix(MEMORY)
        for name in places
        if name.endswith(MEMORY) and f"{name.removesuffix(MEMORY)}{LENGTH}" in places
    ]
    if not layers:
        raise ValueError("a memory is given, but no layer of the model attends to one")
    given = memory if isinstance(memory, Mapping) else dict.fromkeys(layers, memory)
    check_names(given, layers, "memory")
    states: Indexed = []
    for layer in layers:
        index, (most, features) = places[f"{layer}{MEMORY}"]
        what = f"memory of layer {layer!r}"
        array = as_float32(given[layer], what)
        lead = () if batch is None else (batch,)
        if array.ndim != len(lead) + 2 or array.shape[len(lead)] > most:
            expected = (*lead, f"up to {most}", features)
            raise ValueError(
                f"{what} has shape {array.shape}, expected ({', '.join(map(str, expected))})"
            )
        count = array.shape[len(lead)]
        check_shape(array.shape, (*lead, count, features), what)
        rows = batch or 1
        whole = np.zeros((rows, most, features), np.float32)
        whole[:, :count] = array
        states.append((index, plain(whole.reshape(rows, math.prod(whole.shape[1:])))))
        counts = np.full((rows, 1), count, np.float32)
        if lengths is not None:
            counts[:, 0] = _lengths(lengths, rows, count)
        states.append((places[f"{layer}{LENGTH}"][0], counts))
    return states


def _lengths(lengths: Any, rows: int, most: int) -> Any:
    """One number of frames for each row, in the memory."""
    array = np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths of memories are {array.dtype}, expected integers")
    array = np.atleast_1d(array)
    check_shape(array.shape, (rows,), "lengths of memories")
    if (array < 0).any() or (array > most).any():
        raise ValueError(f"lengths of memories are {array.tolist()}, expected 0 to {most}")
    return array
