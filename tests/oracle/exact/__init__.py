# SPDX-License-Identifier: Apache-2.0
"""A graph computed to the bit: docs/numerics.md in numpy, a second time and without the
engine.

It is slow, and holds all frames of all values at once; the approximate `grucore.reference.run` says
what a model means, this says what the engine gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grucore.graph.graph import Graph
from grucore.graph.layers import Delay
from grucore.graph.loops import is_fed_back, loops
from grucore.graph.node import Node, Rate, Value
from grucore.graph.tensors import Array, Dtype
from grucore.reference.run import arrange
from oracle.exact.call import Bools, Call
from oracle.exact.functions import Floats, flush
from oracle.exact.layers import FORMULAS, past_of, whole
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
    before = {name: flush(np.array(array, np.float32)) for name, array in state.items()}
    if single:
        before = {name: array[None] for name, array in before.items()}
    work = _Work(graph, values, valid & ~held, numerics)
    final: State = {}
    in_loops = {place: loop for loop in loops(graph.nodes) for place in loop}
    for place, node in enumerate(graph.nodes):
        loop = in_loops.get(place)
        if loop is None:
            values[node.output], states = work.node(node, values, slice(None), before)
            final |= states
        elif place == loop.start:
            final |= work.loop(loop, before)
    final = {name: last[0] if single else last for name, last in final.items() if last.size}
    outputs = [_given_out(values[name], graph.value(name), valid, held) for name in graph.outputs]
    return tuple(output[0] if single else output for output in outputs), final


@dataclass
class _Work:
    graph: Graph
    values: dict[str, Array]
    taken: Bools  # (B, T)
    numerics: str

    def node(
        self, node: Node, values: Mapping[str, Array], frames: slice, before: State
    ) -> tuple[Array, State]:
        """The output of a node over these frames, and its states after them."""
        reads, output = self.graph.ports(node)
        names = [f"{node.name}{suffix}" for suffix in node.state_suffixes]
        in_at, out_at = _places(reads[0], self.taken), _places(output, self.taken)
        per_frame = output.rate is not Rate.SEQUENCE and reads[0].rate is not Rate.SEQUENCE
        call = Call(
            values=reads,
            sources=tuple(values[value.name] for value in reads),
            at=in_at[:, frames] if per_frame else in_at,
            out_at=out_at[:, frames] if per_frame else out_at,
            states=tuple(before.get(name) for name in names),
            numerics=self.numerics,
        )
        result, states = FORMULAS[type(node)](node, call)
        return result, dict(zip(names, states, strict=True))

    def loop(self, loop: range, before: State) -> State:
        """The same for the nodes of a loop, frame by frame, into ``values``."""
        nodes = [self.graph.nodes[place] for place in loop]
        late = [self.graph.nodes[place] for place in loop if is_fed_back(self.graph.nodes, place)]
        state, rows = dict(before), len(self.taken)
        for node in nodes:
            value = self.graph.value(node.output)
            shape = (*self.taken.shape, value.features)
            self.values[node.output] = np.zeros(shape, value.dtype.numpy)
        nothing = {n: array[:, :0] for n, array in self.values.items() if array.ndim == 3}
        for node in nodes:  # the states before the first frame
            state |= self.node(node, nothing, slice(0, 0), state)[1]
        for frame in range(self.taken.shape[1]):
            here = slice(frame, frame + 1)
            now = {n: array[:, here] for n, array in self.values.items() if array.ndim == 3}
            for node in nodes:
                if node in late:
                    assert isinstance(node, Delay)
                    dtype = now[node.output].dtype
                    past = past_of(
                        node, state.get(f"{node.name}.x"), rows, now[node.output].shape[2]
                    )[:, :1]
                    past = whole(past) if dtype == np.int32 else past
                    now[node.output] = past.astype(dtype)
                    continue
                now[node.output], states = self.node(node, now, here, state)
                state |= states
            for node in late:
                state |= self.node(node, now, here, state)[1]
            for node in nodes:
                self.values[node.output][:, here] = now[node.output]
        own = {f"{node.name}{suffix}" for node in nodes for suffix in node.state_suffixes}
        return {name: last for name, last in state.items() if name in own}


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
