# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers to the bit: GRU, LSTM and the plain one."""

from __future__ import annotations

import numpy as np

from grucore.graph.layers import Cell, Direction, Gru, Lstm, MaskedOutput, Recurrent, Rnn
from oracle.exact.activations import activate
from oracle.exact.call import Call, Result
from oracle.exact.functions import Floats, flush
from oracle.exact.products import multiply, stored

__all__ = ["recurrent"]

STATE_RANGE = 1.0  # what a tanh cell's state stays within


def _gru(node: Gru, projected: Floats, h: Floats, numerics: str) -> Floats:
    size = node.hidden_size
    gates = slice(0, 2 * size)
    sums = multiply(
        projected[:, gates], node.weight_hh[gates], h, numerics, least_range=STATE_RANGE
    )
    r, z = np.split(activate(node.gate_activation, sums), 2, axis=1)
    candidate = projected[:, 2 * size :]
    weight_hn = node.weight_hh[2 * size :]
    if node.cell is Cell.RESET_AFTER:
        bias = np.broadcast_to(stored(node.bias)[3 * size :], h.shape)
        candidate = candidate + r * multiply(bias, weight_hn, h, numerics, least_range=STATE_RANGE)
    else:
        candidate = multiply(candidate, weight_hn, flush(r * h), numerics, least_range=STATE_RANGE)
    n = activate(node.activation, candidate)
    return flush(z * h + (np.float32(1) - z) * n)


def _lstm(
    node: Lstm, projected: Floats, h: Floats, c: Floats, numerics: str
) -> tuple[Floats, Floats]:
    sums = multiply(projected, node.weight_hh, h, numerics, least_range=STATE_RANGE)
    i, f, g, o = np.split(sums, 4, axis=1)
    i, f, o = (activate(node.gate_activation, gate) for gate in (i, f, o))
    c = flush(f * c + i * activate(node.activation, g))
    return flush(o * activate(node.cell_activation, c)), c


def _step(
    node: Recurrent, projected: Floats, states: tuple[Floats, ...], numerics: str
) -> tuple[Floats, ...]:
    """One frame: ``projected`` (N, gates x H), ``states`` (N, H) each -> the new ones."""
    match node:
        case Gru():
            return (_gru(node, projected, *states, numerics),)
        case Lstm():
            return _lstm(node, projected, *states, numerics)
        case Rnn():
            (h,) = states
            sums = multiply(projected, node.weight_hh, h, numerics, least_range=STATE_RANGE)
            return (flush(activate(node.activation, sums)),)
    raise TypeError(type(node).__name__)


def recurrent(node: Recurrent, call: Call) -> Result:
    """The outputs of all frames, and the last states."""
    size, rows = node.hidden_size, len(node.weight_ih)
    batch, frames = call.at.shape
    x = call.sources[0][call.at]
    bias = np.broadcast_to(stored(node.bias)[:rows], (len(x), rows))
    projected = np.zeros((batch, frames, rows), np.float32)
    projected[call.at] = multiply(
        bias, node.weight_ih, x, call.numerics, input_range=node.input_range
    )
    opened = call.at & (call.sources[1][..., 0] != 0) if len(call.sources) > 1 else call.at
    states = []
    for own, given in zip(node.initial_states, call.states, strict=True):
        state = np.zeros((batch, size), np.float32)
        if given is not None:
            state[:] = given
        elif own is not None:
            state[:] = stored(own)
        states.append(state)
    result = np.zeros((batch, frames, size), np.float32)
    order = range(frames)
    for frame in order if node.direction is Direction.FORWARD else reversed(order):
        where = opened[:, frame]
        before = tuple(state[where] for state in states)
        after = _step(node, projected[where, frame], before, call.numerics)
        for state, new in zip(states, after, strict=True):
            state[where] = new
        written = where if node.masked_output is MaskedOutput.ZERO else call.at[:, frame]
        result[written, frame] = states[0][written]
    return result, tuple(states)
