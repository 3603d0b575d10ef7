# SPDX-License-Identifier: Apache-2.0
"""A loop that computes what a GRU, an LSTM or a plain recurrent layer does becomes that layer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grucore.converters.build.builder import GraphBuilder
from grucore.converters.build.linear import Gate, Sum, Sums, Term, TooMuch
from grucore.graph import gates
from grucore.graph.layers import (
    Activation,
    ActivationCode,
    Binary,
    Cell,
    Concat,
    Delay,
    Direction,
    Flip,
    Gru,
    Lstm,
    Operation,
    Recurrent,
    Rnn,
)
from grucore.graph.node import Value
from grucore.graph.tensors import Array, Dtype

__all__ = ["known_cells"]

MOST_CODE = 7  # of the activations that cells have
MOST_DELAYS = 64
STATES_OF_RNN = (ActivationCode.TANH, ActivationCode.RELU)


def known_cells(
    builder: GraphBuilder, outputs: Collection[str], among: Collection[str]
) -> dict[str, str]:
    """Put cells in the place of the loops that are such; what their states are called now.

    ``among``: the values of the delays to look at; ``outputs``: values that must stay. A loop stays
    where it is another one: with a state that is clipped, scaled or mixed, with peepholes, or one
    whose state is read outside of the cell.
    """
    renamed: dict[str, str] = {}
    pending = [name for name in among][:MOST_DELAYS]
    while pending:
        name = pending.pop(0)
        delay = next((node for node in builder.nodes if node.output == name), None)
        if isinstance(delay, Delay) and delay.frames == 1:
            found = _Loops(builder, among).cell(delay)
            if found is not None:
                renamed |= _put(builder, found, outputs)
    return renamed


@dataclass
class _Found:
    """A cell: the value that is its h, the delays that it replaces, its weights by input."""

    kind: type[Recurrent]
    output: str
    delays: tuple[Delay, ...]
    weights: dict[str, Array]
    settings: dict[str, Any] = field(default_factory=dict)


class _Loops:
    def __init__(self, builder: GraphBuilder, among: Collection[str]) -> None:
        self._nodes = builder.nodes
        self._makers = {node.output: node for node in builder.nodes}
        self._values = {value.name: value for value in builder.values}
        self._delays = [
            node for node in builder.nodes if isinstance(node, Delay) and node.output in among
        ]

    def cell(self, delay: Delay) -> _Found | None:
        """The cell whose h this delay holds."""
        value = self._values[delay.output]
        if value.dtype is not Dtype.FLOAT32:
            return None
        looped = self._reached([delay.output])
        if delay.inputs[0] not in looped:
            return None
        try:
            found = self._rnn(delay) or self._gru(delay) or self._lstm(delay)
        except TooMuch:
            return None
        if found is None or set(found.weights) <= {delay.output}:  # it reads no input
            return None
        used = [each for each in found.settings.values() if isinstance(each, Activation)]
        return found if all(each.code <= MOST_CODE for each in used) else None

    def _reached(self, starts: Iterable[str]) -> set[str]:
        """These values, and all that depend on them within a frame."""
        found, count = set(starts), 0
        while len(found) > count:
            count = len(found)
            for node in self._nodes:
                if not node.reads_later and found.intersection(node.inputs):
                    found.add(node.output)
        return found

    def _sums(self, *delays: Delay) -> Sums:
        looped = self._reached(delay.output for delay in delays)
        return Sums(self._nodes, self._values, looped)

    def _rnn(self, delay: Delay) -> _Found | None:
        sums = self._sums(delay)
        gate = _lone_gate(sums.of(delay.inputs[0]))
        if gate is None or gate.activation.code not in STATES_OF_RNN:
            return None
        linear = self._linear(sums.inside(gate), (delay,))
        if linear is None or delay.output not in linear:
            return None
        weights = self._weights([linear], delay)
        settings = {"activation": gate.activation, "bias": gates.rounded(_bias(linear))}
        return _Found(Rnn, delay.inputs[0], (delay,), weights, settings)

    def _gru(self, delay: Delay) -> _Found | None:
        """``h' = z h + (1 - z) n``."""
        sums = self._sums(delay)
        mixed = _mixture(sums.of(delay.inputs[0]), delay.output)
        if mixed is None:
            return None
        z, n, is_turned = mixed
        update = self._linear(sums.inside(z), (delay,))
        if update is None:
            return None
        if is_turned:
            if z.activation != Activation.SIGMOID:
                return None
            update = {name: -matrix for name, matrix in update.items()}
        return self._before(delay, sums, z, n, update) or self._after(delay, sums, z, n, update)

    def _after(
        self, delay: Delay, sums: Sums, z: Gate, n: Gate, update: dict[str | None, Array]
    ) -> _Found | None:
        """The candidate is ``activation(W x + b + r (U h + c))``."""
        terms = sums.inside(n)
        resets = {term.gates for term in terms if term.gates}
        if len(resets) != 1 or len(next(iter(resets))) != 1:
            return None
        (r,) = next(iter(resets))
        reset = self._linear(sums.inside(r), (delay,))
        plain = self._linear([term for term in terms if not term.gates], (delay,))
        gated = self._linear([Term((), t.source, t.matrix) for t in terms if t.gates], (delay,))
        if reset is None or plain is None or gated is None or r.activation != z.activation:
            return None
        if delay.output in plain or not set(gated) <= {delay.output, None}:
            return None
        size = len(n.places)
        both = {**plain, delay.output: gated.get(delay.output, np.zeros((size, size)))}
        bias = [_bias(each) for each in (reset, update, plain, gated)]
        return self._made(delay, (reset, update, both), Cell.RESET_AFTER, bias, z, n)

    def _before(
        self, delay: Delay, sums: Sums, z: Gate, n: Gate, update: dict[str | None, Array]
    ) -> _Found | None:
        """The candidate is ``activation(W x + b + U (r h))``."""
        terms = sums.inside(n)
        for source in [term.source for term in terms if term.source is not None]:
            r = self._reset_of(sums, source, delay.output)
            reset = None if r is None else self._linear(sums.inside(r), (delay,))
            candidate = self._linear(terms, (delay,), also=source)
            if r is None or reset is None or candidate is None or r.activation != z.activation:
                continue
            if delay.output in candidate:
                continue
            both = {**candidate, delay.output: candidate[source]}
            del both[source]
            bias = [_bias(each) for each in (reset, update, candidate)]
            return self._made(delay, (reset, update, both), Cell.RESET_BEFORE, bias, z, n)
        return None

    def _reset_of(self, sums: Sums, source: str, h: str) -> Gate | None:
        """r, where a value is r h."""
        node = self._makers.get(source)
        if not isinstance(node, Binary) or node.operation is not Operation.MULTIPLY:
            return None
        terms = sums.of(source)
        if len(terms) != 1 or len(terms[0].gates) != 1 or not _is_all_of(terms[0], h):
            return None
        return terms[0].gates[0]

    def _made(
        self,
        delay: Delay,
        parts: Sequence[dict[str | None, Array]],
        cell: Cell,
        bias: Sequence[Array],
        z: Gate,
        n: Gate,
    ) -> _Found | None:
        weights = self._weights(parts, delay)
        settings = {
            "cell": cell,
            "bias": gates.rounded(np.concatenate(bias)),
            "gate_activation": z.activation,
            "activation": n.activation,
        }
        return _Found(Gru, delay.inputs[0], (delay,), weights, settings)

    def _lstm(self, h: Delay) -> _Found | None:
        """``c' = f c + i g``, ``h' = o activation(c')``."""
        for c in self._delays:
            if c is h or self._values[c.output].features != self._values[h.output].features:
                continue
            found = self._lstm_of(h, c)
            if found is not None:
                return found
        return None

    def _lstm_of(self, h: Delay, c: Delay) -> _Found | None:
        sums = self._sums(h, c)
        shown = sums.of(h.inputs[0])
        if len(shown) != 1 or shown[0].source is not None or not _are_ones(shown[0].matrix):
            return None
        every = tuple(range(self._values[c.output].features))
        out = [g for g in shown[0].gates if (g.value, g.places) != (c.inputs[0], every)]
        last = [g for g in shown[0].gates if (g.value, g.places) == (c.inputs[0], every)]
        kept = [t for t in sums.of(c.inputs[0]) if t.source is not None]
        taken = [t for t in sums.of(c.inputs[0]) if t.source is None]
        if not len(out) == len(last) == len(kept) == len(taken) == 1:
            return None
        (f,), pair = kept[0].gates or (None,), taken[0].gates
        if f is None or len(kept[0].gates) != 1 or len(pair) != 2:
            return None
        if not _is_all_of(kept[0], c.output) or not _are_ones(taken[0].matrix):
            return None
        (o,) = out
        i, g = pair if pair[0].activation == f.activation else pair[::-1]
        if not f.activation == i.activation == o.activation:
            return None
        parts = [self._linear(sums.inside(gate), (h, c)) for gate in (i, f, g, o)]
        if any(part is None or c.output in part for part in parts):
            return None
        linear = [part for part in parts if part is not None]
        settings: dict[str, Any] = {
            "bias": gates.rounded(np.concatenate([_bias(part) for part in linear])),
            "gate_activation": f.activation,
            "activation": g.activation,
            "cell_activation": last[0].activation,
        }
        return _Found(Lstm, h.inputs[0], (h, c), self._weights(linear, h), settings)

    def _linear(
        self, terms: Sum, delays: Sequence[Delay], also: str = ""
    ) -> dict[str | None, Array] | None:
        """Matrices by what they multiply, numbers alone at None; None where it is no such sum, or
        reads what depends on these delays, ``also`` excepted."""
        own = {delay.output for delay in delays}
        looped = self._reached(own) - own
        found: dict[str | None, Array] = {}
        for term in terms:
            if term.gates:
                return None
            if term.source in looped and term.source != also:
                return None
            found[term.source] = term.matrix
        if None not in found:
            size = next((len(matrix) for matrix in found.values()), 0)
            found[None] = np.zeros(size)
        return found

    def _weights(self, parts: Sequence[dict[str | None, Array]], h: Delay) -> dict[str, Array]:
        """The rows of all parts below each other, by what they multiply."""
        names = dict.fromkeys(name for part in parts for name in part if name is not None)
        return {
            name: np.concatenate(
                [
                    part.get(name, np.zeros((len(_bias(part)), self._values[name].features)))
                    for part in parts
                ]
            )
            for name in (*names, h.output)
        }


def _lone_gate(terms: Sum) -> Gate | None:
    if len(terms) != 1 or len(terms[0].gates) != 1 or terms[0].source is not None:
        return None
    gate = terms[0].gates[0]
    return gate if _are_ones(terms[0].matrix) else None


def _mixture(terms: Sum, h: str) -> tuple[Gate, Gate, bool] | None:
    """(z, n, False) of ``z h + n - z n``; or (u, n, True) of ``h - u h + u n``, z being 1 - u."""
    of_h = {term.gates: term for term in terms if term.source == h}
    alone = {term.gates: term.matrix for term in terms if term.source is None}
    if len(of_h) + len(alone) != len(terms) or len(terms) != 3:
        return None
    if len(of_h) == 1:
        ((z_gates, kept),) = of_h.items()
        n_gates = next((g for g, m in alone.items() if len(g) == 1 and _are_ones(m)), None)
        both = next((g for g, m in alone.items() if len(g) == 2 and _are_ones(-m)), None)
        if len(z_gates) != 1 or n_gates is None or both is None or not _is_all_of(kept, h):
            return None
        z, n = z_gates[0], n_gates[0]
        return (z, n, False) if set(both) == {z, n} else None
    if len(of_h) == 2 and () in of_h and _is_all_of(of_h[()], h):
        turned = next(term for term in of_h.values() if term.gates)
        ((pair, numbers),) = alone.items()
        if len(turned.gates) != 1 or len(pair) != 2 or not _are_ones(numbers):
            return None
        u = turned.gates[0]
        if u not in pair or not _is_all_of(Term((), h, -turned.matrix), h):
            return None
        return u, pair[0] if pair[1] == u else pair[1], True
    return None


def _are_ones(matrix: Array) -> bool:
    return bool((matrix == 1).all())


def _is_all_of(term: Term, source: str) -> bool:
    """True if it has all features of a value in their order."""
    rows, columns = term.matrix.shape if term.matrix.ndim == 2 else (0, 1)
    return term.source == source and rows == columns and np.array_equal(term.matrix, np.eye(rows))


def _bias(part: dict[str | None, Array]) -> Array:
    found: Array = part[None]
    return found


def _put(builder: GraphBuilder, found: _Found, outputs: Collection[str]) -> dict[str, str]:
    """The cell in the place of the layer that wrote its h, unless its delays are needed still."""
    nodes, values = list(builder.nodes), list(builder.values)
    by_name = {value.name: value for value in values}
    h = found.delays[0]
    weights = dict(found.weights)
    weight_hh = weights.pop(h.output)
    flips = _flips(builder, found, list(weights), outputs)
    sources = [by_name[flips.get(name, name)] for name in weights]
    base = h.name.removesuffix(".state")
    name = builder.unique(f"{base}.{found.kind.layer}")
    x: Value = sources[0] if len(sources) == 1 else builder.add(Concat, f"{name}.x", sources)
    starts: dict[str, Any] = {
        key: gates.rounded(delay.initial_state.reshape(-1))
        for key, delay in zip(("initial_state", "initial_cell"), found.delays, strict=False)
        if delay.initial_state is not None
    }
    place = next(k for k, each in enumerate(builder.nodes) if each.output == found.output)
    builder.nodes[place] = found.kind(
        name=name,
        inputs=(x.name,),
        output=flips.get(found.output, found.output),
        direction=Direction.REVERSE if flips else Direction.FORWARD,
        weight_ih=gates.rounded(np.concatenate(list(weights.values()), axis=1)),
        weight_hh=gates.rounded(weight_hh),
        **starts,
        **found.settings,
    )
    if flips:
        builder.nodes[:] = [
            node
            for k, node in enumerate(builder.nodes)
            if k == place or node.output != flips[found.output]
        ]
    if builder.needed(outputs).intersection(delay.output for delay in found.delays):
        builder.nodes[:], builder.values[:] = nodes, values
        return {}
    suffixes = found.kind.state_suffixes
    return {f"{d.name}.x": f"{name}{s}" for d, s in zip(found.delays, suffixes, strict=True)}


def _flips(
    builder: GraphBuilder, found: _Found, reads: Collection[str], outputs: Collection[str]
) -> dict[str, str]:
    """The values before and after the flips around a loop that runs backwards; empty if none."""
    makers = {node.output: node for node in builder.nodes}
    needed = builder.needed(outputs)
    readers = [n for n in builder.nodes if found.output in n.inputs and n.output in needed]
    after = [node for node in readers if isinstance(node, Flip)]
    own = {delay.name for delay in found.delays}
    others = [node for node in readers if node not in after and node.name not in own]
    before = {name: makers[name] for name in reads if isinstance(makers.get(name), Flip)}
    if len(after) != 1 or others or len(before) < len(reads) or found.output in outputs:
        return {}
    return {
        **{name: node.inputs[0] for name, node in before.items()},
        found.output: after[0].output,
    }
