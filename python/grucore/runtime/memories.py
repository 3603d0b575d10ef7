# SPDX-License-Identifier: Apache-2.0
"""Memories that a decoder attends to: from what an encoder gives to states that hold it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore.runtime.arrays import as_float32, check_names, check_shape, plain
from grucore.runtime.loaded import Loaded
from grucore.runtime.states import Indexed

__all__ = ["memory_states"]

MEMORY, LENGTH = ".memory", ".length"


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
