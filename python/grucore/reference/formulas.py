# SPDX-License-Identifier: Apache-2.0
"""What each layer kind computes, in float64: one function for each, slow and obvious.

Weights are the numbers that they stand for, whatever their kind; activations are not quantized.
A function takes the layer and a `Call`, and gives the output and the final state, or None. Values
in time are (B, frames, features), of which row b has ``ends[b]``; what stands past them is not
looked at. Values per sequence are (B, features).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from grucore.graph.layers import (
    Activate,
    Activation,
    ActivationCode,
    Affine,
    Binary,
    Cell,
    Concat,
    Conv1d,
    Dense,
    Direction,
    Embedding,
    Flip,
    Gru,
    LayerNorm,
    Mask,
    MaskedOutput,
    Operation,
    Pool,
    Pool1d,
    Pooling,
    Position,
    Select,
    Softmax,
    Take,
)
from grucore.graph.node import Node, Value, float32_of
from grucore.graph.tensors import Dtype
from grucore.graph.weights import as_float64

__all__ = ["FORMULAS", "Call", "Float", "activate"]

Float: TypeAlias = npt.NDArray[np.float64]
Result: TypeAlias = tuple[Float, Float | None]


@dataclass(frozen=True)
class Call:
    """What a layer reads: its values, their arrays, the frames that rows have, the state before."""

    values: tuple[Value, ...]
    sources: tuple[Float, ...]
    ends: npt.NDArray[Any]
    state: Float | None


def _sigmoid(x: Float) -> Float:
    # exp of a negative number only: no overflow on either side.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


def _gelu(x: Float) -> Float:
    erf: Float = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2))
    return x / 2 * (1 + erf)


def _gelu_tanh(x: Float) -> Float:
    inner: Float = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    squashed: Float = np.tanh(inner)
    return x / 2 * (1 + squashed)


_ACTIVATIONS: dict[ActivationCode, Callable[[Float, float, float], Float]] = {
    ActivationCode.LINEAR: lambda x, alpha, beta: x,
    ActivationCode.SIGMOID: lambda x, alpha, beta: _sigmoid(x),
    ActivationCode.TANH: lambda x, alpha, beta: np.tanh(x),
    ActivationCode.RELU: lambda x, alpha, beta: np.where(x < 0, 0.0, x),
    ActivationCode.LEAKY_RELU: lambda x, alpha, beta: np.where(x < 0, alpha * x, x),
    ActivationCode.ELU: lambda x, alpha, beta: np.where(
        x < 0, alpha * np.expm1(np.minimum(x, 0)), x
    ),
    ActivationCode.HARD_SIGMOID: lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    ActivationCode.SOFTSIGN: lambda x, alpha, beta: x / (1 + np.abs(x)),
    ActivationCode.SOFTPLUS: lambda x, alpha, beta: np.logaddexp(0, x),
    ActivationCode.GELU: lambda x, alpha, beta: _gelu(x),
    ActivationCode.GELU_TANH: lambda x, alpha, beta: _gelu_tanh(x),
    ActivationCode.SILU: lambda x, alpha, beta: x * _sigmoid(x),
    ActivationCode.HARD_SWISH: lambda x, alpha, beta: x * np.clip(x / 6 + 0.5, 0, 1),
    ActivationCode.CLIP: lambda x, alpha, beta: np.clip(x, alpha, beta),
    ActivationCode.EXP: lambda x, alpha, beta: np.exp(x),
}


def activate(activation: Activation, x: Float) -> Float:
    """The activation of every element."""
    return _ACTIVATIONS[activation.code](x, activation.alpha, activation.beta)


class _GruStep:
    """One frame of the cell: what the input adds to each gate (B, 3H), ``h`` (B, H) -> ``h``."""

    def __init__(self, node: Gru) -> None:
        size = node.hidden_size
        self._node = node
        self._weight_hh = as_float64(node.weight_hh).T
        self._recurrent_bias = node.bias[3 * size :].astype(np.float64)

    def __call__(self, projected: Float, h: Float) -> Float:
        node, size = self._node, self._node.hidden_size
        gates = projected[:, : 2 * size] + h @ self._weight_hh[:, : 2 * size]
        r, z = np.split(activate(node.gate_activation, gates), 2, axis=1)
        if node.cell is Cell.RESET_AFTER:
            inner = r * (h @ self._weight_hh[:, 2 * size :] + self._recurrent_bias)
        else:
            inner = (r * h) @ self._weight_hh[:, 2 * size :]
        n = activate(node.activation, projected[:, 2 * size :] + inner)
        return z * h + (1.0 - z) * n


def _gru(node: Gru, call: Call) -> Result:
    x = call.sources[0]
    rows, frames = x.shape[:2]
    mask = call.sources[1][..., 0] if len(call.sources) > 1 else np.ones((rows, frames))
    start = call.state if call.state is not None else node.initial_state
    h = np.zeros((rows, node.hidden_size))
    if start is not None:
        h += start
    bias = node.bias[: 3 * node.hidden_size].astype(np.float64)
    projected = x @ as_float64(node.weight_ih).T + bias
    step = _GruStep(node)
    result = np.zeros((rows, frames, node.hidden_size))
    order = range(frames)
    for frame in order if node.direction is Direction.FORWARD else reversed(order):
        exists = call.ends > frame
        counts = exists & (mask[:, frame] != 0)
        h[counts] = step(projected[counts, frame], h[counts])
        shown = exists if node.masked_output is MaskedOutput.REPEAT else counts
        result[shown, frame] = h[shown]
    return result, h


def _dense(node: Dense, call: Call) -> Result:
    weight, bias = as_float64(node.weight), node.bias.astype(np.float64)
    return activate(node.activation, call.sources[0] @ weight.T + bias), None


def _conv1d(node: Conv1d, call: Call) -> Result:
    (x,) = call.sources
    history = np.zeros((len(x), node.reach, x.shape[2])) if call.state is None else call.state
    weight = as_float64(node.weight)
    outputs = len(weight) // node.groups
    lost = node.reach - node.before - node.after
    # As many values as the longest row gives.
    places = range(lost, x.shape[1], node.stride)
    result = np.zeros((len(x), len(places), len(weight)))
    last = np.zeros_like(history)
    for row, end in enumerate(call.ends):
        heard = np.concatenate([history[row], x[row, :end]])
        padded = np.concatenate([heard, np.zeros((node.after, x.shape[2]))])
        for value, place in enumerate(places):
            if place >= end:
                break
            first = place + node.after
            window = padded[first : first + node.reach + 1 : node.dilation]
            for group, columns in enumerate(np.split(window, node.groups, axis=1)):
                rows = slice(group * outputs, (group + 1) * outputs)
                result[row, value, rows] = np.tensordot(weight[rows], columns, 2)
        last[row] = heard[len(heard) - node.reach :]
    return activate(node.activation, result + node.bias.astype(np.float64)), last


def _embedding(node: Embedding, call: Call) -> Result:
    ids = call.sources[0].astype(np.int64)
    known = (ids >= 0) & (ids < len(node.table))
    rows = as_float64(node.table)[np.where(known, ids, 0)]
    rows = np.where(known[..., None], rows, 0.0)
    return rows.reshape(*ids.shape[:-1], -1), None


def _activate(node: Activate, call: Call) -> Result:
    (x,) = call.sources
    if node.slope is not None:
        return np.where(x < 0, node.slope.astype(np.float64) * x, x), None
    return activate(node.activation, x), None


def _softmax(node: Softmax, call: Call) -> Result:
    shifted = call.sources[0] - call.sources[0].max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1, keepdims=True)
    return shifted - np.log(total) if node.logarithm else np.exp(shifted) / total, None


def _layer_norm(node: LayerNorm, call: Call) -> Result:
    (x,) = call.sources
    epsilon = float(np.float32(node.epsilon))
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    # Without epsilon, equal features give 0/0 as the engine does.
    with np.errstate(invalid="ignore"):
        normal = centred / np.sqrt(variance + epsilon)
    return normal * node.scale.astype(np.float64) + node.shift.astype(np.float64), None


def _affine(node: Affine, call: Call) -> Result:
    scale, shift = node.scale.astype(np.float64), node.shift.astype(np.float64)
    return scale * call.sources[0] + shift, None


def _binary(node: Binary, call: Call) -> Result:
    a, b = call.sources
    return _OPERATIONS[node.operation](a, b), None


_OPERATIONS: dict[Operation, Callable[[Float, Float], Float]] = {
    Operation.ADD: np.add,
    Operation.SUBTRACT: np.subtract,
    Operation.MULTIPLY: np.multiply,
    Operation.MAXIMUM: np.maximum,
    Operation.MINIMUM: np.minimum,
}


def _concat(node: Concat, call: Call) -> Result:
    return np.concatenate(call.sources, axis=-1), None


def _select(node: Select, call: Call) -> Result:
    return call.sources[0][..., node.index], None


def _take(node: Take, call: Call) -> Result:
    (x,) = call.sources
    result = np.zeros((len(x), x.shape[2]))
    for row, end in enumerate(call.ends):
        if end:
            result[row] = x[row, 0 if node.position is Position.FIRST else end - 1]
    return result, None


def _pool(node: Pool, call: Call) -> Result:
    x = call.sources[0]
    result = np.zeros((len(x), x.shape[2]))
    for row, end in enumerate(call.ends):
        frames = x[row, :end]
        if len(call.sources) > 1:
            frames = frames[call.sources[1][row, :end, 0] != 0]
        if len(frames):
            result[row] = frames.mean(0) if node.pooling is Pooling.MEAN else frames.max(0)
    return result, None


def _pool1d(node: Pool1d, call: Call) -> Result:
    (x,) = call.sources
    history = np.zeros((len(x), node.reach, x.shape[2])) if call.state is None else call.state
    places = range(node.reach, x.shape[1], node.stride)
    result = np.zeros((len(x), len(places), x.shape[2]))
    last = np.zeros_like(history)
    for row, end in enumerate(call.ends):
        heard = np.concatenate([history[row], x[row, :end]])
        for value, place in enumerate(places):
            window = heard[place : place + node.taps]
            if place < end:
                mean = node.pooling is Pooling.MEAN
                result[row, value] = window.mean(0) if mean else window.max(0)
        last[row] = heard[len(heard) - node.reach :]
    return result, last


def _mask(node: Mask, call: Call) -> Result:
    is_float = call.values[0].dtype is Dtype.FLOAT32
    word = node.attributes[0]
    number = float32_of(word) if is_float else float(np.uint32(word).view(np.int32))
    return (call.sources[0] != number).any(axis=-1, keepdims=True).astype(np.float64), None


def _flip(node: Flip, call: Call) -> Result:
    result = np.zeros_like(call.sources[0])
    for row, end in enumerate(call.ends):
        result[row, :end] = call.sources[0][row, :end][::-1]
    return result, None


FORMULAS: dict[type[Node], Callable[[Any, Call], Result]] = {
    Gru: _gru,
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
}
