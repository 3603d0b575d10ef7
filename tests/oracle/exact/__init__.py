# SPDX-License-Identifier: Apache-2.0
"""A graph computed to the bit: docs/numerics.md in numpy, a second time and without the
engine.

It is slow, and holds all frames of all values at once; the approximate `grucore.reference.run` says
what a model means, this says what the engine gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.graph.graph import Graph
from grucore.graph.node import Rate, Value
from grucore.graph.tensors import Array, Dtype
from grucore.reference.run import arrange
from oracle.exact.call import Bools, Call
from oracle.exact.functions import Floats, flush
from oracle.exact.layers import FORMULAS
from oracle.exact.products import float_weights

__all__ = ["run"]

State = dict[str, Floats]
CLASSES = ("exact", "fused", "muladd")
POLICIES = ("propagate", "hold")


def run(
    graph: Graph,
    inputs: npt.ArrayLike | Sequence[npt.ArrayLike],
    lengths: npt.ArrayLike | None = None,
    state: Mapping[str, npt.ArrayLike] | None = None,
    numerics: str = "exact",
    *,
    nonfinite: str = "propagate",
) -> tuple[tuple[Array, ...], State]:
    """Outputs, float32 or int32, and the final state, float32: the bits of `Model.run`.

    The sign and the payload of a NaN are excepted. Names, shapes and arguments are those of
    `grucore.reference.run.run`; inputs are made float32 or int32.

    ``numerics``: the class of the products of float weights, "fused" or "muladd" (`Model.numerics`
    of the table to compare with); "exact" for a graph that has none. ``nonfinite``: "hold" skips a
    frame with a NaN or an infinity for its row.

    Raises ValueError for shapes that do not fit, an unknown class or policy, and for "exact" where
    a product has float weights: it names the layer.
    """
    if numerics not in CLASSES:
        raise ValueError(f"numerics={numerics!r}: expected one of {', '.join(CLASSES)}")
    if nonfinite not in POLICIES:
        raise ValueError(f"nonfinite={nonfinite!r}: expected one of {', '.join(POLICIES)}")
    for node in graph.nodes:
        if numerics == "exact" and float_weights(node):
            raise ValueError(
                f"layer {node.name!r} has float weights, so numerics is 'fused' or 'muladd'"
            )
    arrays, ends, single = arrange(graph, inputs, lengths)
    # Infinities and NaNs are results here like any other.
    with np.errstate(all="ignore"):
        return _run(graph, arrays, ends, state or {}, numerics, nonfinite == "hold", single)


def _run(
    graph: Graph,
    arrays: Sequence[Array],
    ends: npt.NDArray[Any],
    state: Mapping[str, npt.ArrayLike],
    numerics: str,
    holds: bool,
    single: bool,
) -> tuple[tuple[Array, ...], State]:
    ports = [graph.value(name) for name in graph.inputs]
    given = [array.astype(port.dtype.numpy) for port, array in zip(ports, arrays, strict=True)]
    valid = np.arange(given[0].shape[1]) < ends[:, None]
    finite = [np.isfinite(array).all(axis=2) for array in given]
    held = valid & ~np.logical_and.reduce(finite) if holds else np.zeros_like(valid)
    values = {
        port.name: flush(array) if port.dtype is Dtype.FLOAT32 else array
        for port, array in zip(ports, given, strict=True)
    }
    final: State = {}
    for node in graph.nodes:
        reads, output = graph.ports(node)
        names = [f"{node.name}{suffix}" for suffix in node.state_suffixes]
        given = [flush(np.array(state[n], np.float32)) if n in state else None for n in names]
        call = Call(
            values=reads,
            sources=tuple(values[value.name] for value in reads),
            at=_places(reads[0], valid & ~held),
            out_at=_places(output, valid & ~held),
            states=tuple(s if s is None or not single else s[None] for s in given),
            numerics=numerics,
        )
        values[node.output], states = FORMULAS[type(node)](node, call)
        for name, last in zip(names, states, strict=True):
            if last.size:
                final[name] = last[0] if single else last
    outputs = [_given_out(values[name], graph.value(name), valid, held) for name in graph.outputs]
    return tuple(output[0] if single else output for output in outputs), final


def _ticks(value: Value, frames: int) -> Bools:
    """The frames of the model's input at which a value in time is written: (frames,)."""
    since = np.arange(frames) - value.skip
    ticks: Bools = (since >= 0) & (since % value.period == 0)
    return ticks


def _places(value: Value, taken: Bools) -> Bools:
    """Where a value is written, of the frames that are taken (B, T); per sequence (B,)."""
    if value.rate is Rate.SEQUENCE:
        return np.ones(len(taken), np.bool_)
    return taken & _ticks(value, taken.shape[1])


def _given_out(array: Array, value: Value, valid: Bools, held: Bools) -> Array:
    """A value as it leaves the engine: zeros past the end, NaN (of an int32, -1) at held frames."""
    if value.rate is Rate.SEQUENCE:
        # A row without frames gives zeros, whatever its layers make of none; the fate of the last
        # frame is that of the sequence.
        frames = valid.shape[1]
        last = valid & (np.arange(frames) == valid.sum(axis=1, keepdims=True) - 1)
        shown, skipped = np.logical_or.reduce(valid, axis=1), (held & last).sum(axis=1) > 0
    else:
        ticks = _ticks(value, valid.shape[1])
        array, shown, skipped = array[:, ticks], valid[:, ticks], held[:, ticks]
    nothing = array.dtype.type(np.nan if value.dtype is Dtype.FLOAT32 else -1)
    given = np.where(skipped[..., None], nothing, array)
    return np.where(shown[..., None], given, array.dtype.type(0))
