# SPDX-License-Identifier: Apache-2.0
"""The results of each layer kind, to the bit: one function for each.

A function takes the layer and a `Call`, and gives the output and the final states. Values
in time are (B, T, features) over all frames of the model's input; a frame without a value holds
zeros that nobody looks at. Values per sequence are (B, features).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grucore.graph.layers import (
    Activate,
    Affine,
    ArgMax,
    Attention,
    Binary,
    Concat,
    Conv1d,
    Delay,
    Dense,
    Embedding,
    Expand,
    Filterbank,
    Flip,
    Gru,
    Irfft,
    LayerNorm,
    Lstm,
    Mask,
    Operation,
    OverlapAdd,
    Pool,
    Pool1d,
    Pooling,
    Position,
    Rfft,
    Rnn,
    Select,
    Softmax,
    Take,
    Window,
)
from grucore.graph.node import Node
from grucore.graph.tensors import Dtype
from oracle.exact.activations import activate, leaky
from oracle.exact.attention import attention
from oracle.exact.call import Call, Result
from oracle.exact.features import layer_norm, softmax
from oracle.exact.functions import Floats, flush
from oracle.exact.products import multiply, stored, table_rows, tap_of
from oracle.exact.recurrent import recurrent
from oracle.exact.sound import filterbank, irfft, overlap_add, rfft, window

__all__ = ["FORMULAS", "past_of"]


MOST_ID = 1 << 24


def past_of(node: Delay, state: Floats | None, rows: int, features: int) -> Floats:
    """The frames that a delay holds, oldest first: (rows, frames, features)."""
    shape = (rows, node.frames, features)
    if state is not None:
        return state.reshape(shape)
    if node.initial_state is None:
        return np.zeros(shape, np.float32)
    return np.broadcast_to(flush(node.initial_state), shape)


def whole(numbers: Floats) -> Floats:
    """The ids that a state holds, as numbers: of what is none, -1."""
    known = np.abs(numbers) <= MOST_ID
    return np.where(known, np.trunc(np.where(known, numbers, 0)), np.float32(-1))


def _delay(node: Delay, call: Call) -> Result:
    (x,) = call.sources
    past = past_of(node, call.states[0], len(x), x.shape[2])
    result, last = np.zeros_like(x), np.zeros_like(past)
    if x.dtype == np.int32:
        x = np.where(np.abs(x) <= MOST_ID, x, -1).astype(np.float32)
    for row, at in enumerate(call.at):
        heard = np.concatenate([past[row], x[row, at]])
        given = heard[: at.sum()]
        result[row, at] = whole(given) if result.dtype == np.int32 else given
        last[row] = heard[at.sum() :]
    return result, (last[:, 0] if node.frames == 1 else last,)


def _dense(node: Dense, call: Call) -> Result:
    x = call.sources[0][call.at]
    bias = np.broadcast_to(stored(node.bias), (len(x), len(node.bias)))
    sums = multiply(bias, node.weight, x, call.numerics, input_range=node.input_range)
    return call.spread(flush(activate(node.activation, sums))), ()


def _windows(call: Call, taps: int, dilation: int = 1, after: int = 0) -> tuple[Floats, Floats]:
    """The windows (N, taps, features) of all places with an output, and the history behind them."""
    (x,) = call.sources
    reach = dilation * (taps - 1)
    shape = (len(x), reach, x.shape[2])
    history = np.zeros(shape, np.float32) if call.states[0] is None else call.states[0]
    last = np.zeros(shape, np.float32)
    windows = []
    for row in range(len(x)):
        heard = np.concatenate([history[row], x[row, call.at[row]]])
        last[row] = heard[len(heard) - reach :]
        padded = np.concatenate([heard, np.zeros((after, x.shape[2]), np.float32)])
        # The newest frame of a window stands ``after`` behind the frame of its output.
        places = np.flatnonzero(call.out_at[row, call.at[row]]) + after
        windows.append(padded[places[:, None] + dilation * np.arange(taps)])
    return np.concatenate(windows), last


def _conv1d(node: Conv1d, call: Call) -> Result:
    frames, last = _windows(call, node.taps, node.dilation, node.after)
    channels = frames.shape[2]
    outputs, inner = len(node.bias) // node.groups, channels // node.groups
    sums = np.empty((len(frames), len(node.bias)), np.float32)
    sums[:] = stored(node.bias)
    for group in range(node.groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        weight = node.weight[rows]
        for tap in range(node.taps):
            heard = frames[:, tap, group * inner : (group + 1) * inner]
            part = tap_of(weight, tap)
            sums[:, rows] = multiply(
                sums[:, rows], part, heard, call.numerics, input_range=node.input_range
            )
    return call.spread(flush(activate(node.activation, sums))), (last,)


def _embedding(node: Embedding, call: Call) -> Result:
    ids = call.sources[0][call.at]
    known = (ids >= 0) & (ids < len(node.table))
    rows = table_rows(node.table, np.where(known, ids, 0))
    rows = np.where(known[..., None], rows, np.float32(0))
    return call.spread(rows.reshape(len(ids), ids.shape[1] * rows.shape[2])), ()


def _arg_max(node: ArgMax, call: Call) -> Result:
    (x,) = call.sources
    groups = x.reshape(*x.shape[:-1], node.groups, x.shape[-1] // node.groups)
    return np.argmax(groups, axis=-1).astype(np.int32), ()


def _activate(node: Activate, call: Call) -> Result:
    (x,) = call.sources
    if node.slope is not None:
        return flush(leaky(x, stored(node.slope))), ()
    return flush(activate(node.activation, x)), ()


def _softmax(node: Softmax, call: Call) -> Result:
    return call.spread(softmax(call.sources[0][call.at], logarithm=node.logarithm)), ()


def _layer_norm(node: LayerNorm, call: Call) -> Result:
    x = call.sources[0][call.at]
    scale, shift = stored(node.scale), stored(node.shift)
    return call.spread(layer_norm(x, scale, shift, np.float32(node.epsilon))), ()


def _affine(node: Affine, call: Call) -> Result:
    return flush(stored(node.scale) * call.sources[0] + stored(node.shift)), ()


def _joined(operation: Operation, a: Floats, b: Floats) -> Floats:
    match operation:
        case Operation.ADD:
            return flush(a + b)
        case Operation.SUBTRACT:
            return flush(a - b)
        case Operation.MULTIPLY:
            return flush(a * b)
        case Operation.MAXIMUM:
            return flush(np.where((a > b) | np.isnan(a), a, b))
        case Operation.MINIMUM:
            return flush(np.where((a < b) | np.isnan(a), a, b))


def _binary(node: Binary, call: Call) -> Result:
    return _joined(node.operation, *call.sources), ()


def _concat(node: Concat, call: Call) -> Result:
    return np.concatenate(call.sources, axis=-1), ()


def _select(node: Select, call: Call) -> Result:
    return call.sources[0][..., node.index], ()


def _take(node: Take, call: Call) -> Result:
    (x,) = call.sources
    result = np.zeros((len(x), x.shape[2]), x.dtype)
    for row, at in enumerate(call.at):
        if at.any():
            frames = np.flatnonzero(at)
            result[row] = x[row, frames[0 if node.position is Position.FIRST else -1]]
    return result, ()


def _pool(node: Pool, call: Call) -> Result:
    x = call.sources[0]
    opened = call.at & (call.sources[1][..., 0] != 0) if len(call.sources) > 1 else call.at
    result = np.zeros((len(x), x.shape[2]), np.float32)
    for row in range(len(x)):
        frames = x[row, opened[row]]
        if not len(frames):
            continue
        if node.pooling is Pooling.MEAN:
            total = np.zeros(x.shape[2], np.float32)
            for frame in frames:
                total = flush(total + frame)
            result[row] = flush(total / np.float32(len(frames)))
        else:
            most = frames[0]
            for frame in frames[1:]:
                most = np.where((frame > most) | np.isnan(frame), frame, most)
            result[row] = most
    return result, ()


def _pool1d(node: Pool1d, call: Call) -> Result:
    windows, last = _windows(call, node.taps)
    is_mean = node.pooling is Pooling.MEAN
    result = windows[:, 0]
    for tap in range(1, node.taps):
        operation = Operation.ADD if is_mean else Operation.MAXIMUM
        result = _joined(operation, result, windows[:, tap])
    return call.spread(flush(result / np.float32(node.taps)) if is_mean else result), (last,)


def _mask(node: Mask, call: Call) -> Result:
    dtype = np.float32 if call.values[0].dtype is Dtype.FLOAT32 else np.int32
    number = np.uint32(node.attributes[0]).view(dtype)
    return (call.sources[0] != number).any(axis=-1, keepdims=True).astype(np.int32), ()


def _flip(node: Flip, call: Call) -> Result:
    result = np.zeros_like(call.sources[0])
    for row, at in enumerate(call.at):
        result[row, at] = call.sources[0][row, at][::-1]
    return result, ()


def _expand(node: Expand, call: Call) -> Result:
    rows = np.nonzero(call.out_at)[0]
    return call.spread(call.sources[1][rows]), ()


FORMULAS: dict[type[Node], Callable[[Any, Call], Result]] = {
    Gru: recurrent,
    Lstm: recurrent,
    Rnn: recurrent,
    Dense: _dense,
    Take: _take,
    Concat: _concat,
    Embedding: _embedding,
    Activate: _activate,
    Softmax: _softmax,
    LayerNorm: _layer_norm,
    Affine: _affine,
    Binary: _binary,
    Select: _select,
    Pool: _pool,
    Mask: _mask,
    Flip: _flip,
    Conv1d: _conv1d,
    Pool1d: _pool1d,
    Delay: _delay,
    ArgMax: _arg_max,
    Window: window,
    Rfft: rfft,
    Filterbank: filterbank,
    Irfft: irfft,
    OverlapAdd: overlap_add,
    Attention: attention,
    Expand: _expand,
}
