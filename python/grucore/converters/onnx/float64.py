# SPDX-License-Identifier: Apache-2.0
"""A file's graph in float64: onnx's reference evaluator, with recurrent operators of our own.

onnx's own leave attributes out. onnxruntime computes in float32, and its sigmoid is off by 6e-8
whatever the size of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from grucore.graph.tensors import Array

__all__ = ["evaluator"]

Function: TypeAlias = Callable[..., Array]


def evaluator(model: Any) -> Any:
    """Something with ``run(outputs, feeds)`` for a ModelProto whose numbers are float64."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model, new_ops=[_operator(name) for name in OPERATORS])


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


# As functions of x, alpha and beta; with the defaults of these, None where there is none.
FUNCTIONS: dict[str, tuple[Function, float | None, float | None]] = {
    "sigmoid": (lambda x, a, b: _sigmoid(x), None, None),
    "tanh": (lambda x, a, b: np.tanh(x), None, None),
    "relu": (lambda x, a, b: np.maximum(x, 0), None, None),
    "softsign": (lambda x, a, b: x / (1 + np.abs(x)), None, None),
    "leakyrelu": (lambda x, a, b: np.where(x < 0, a * x, x), 0.01, None),
    "elu": (lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x), 1.0, None),
    "hardsigmoid": (lambda x, a, b: np.clip(a * x + b, 0, 1), 0.2, 0.5),
    "affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
}


@dataclass(frozen=True)
class Direction:
    """The numbers and functions of one direction, in ONNX's order of gates.

    ``bias``: of the input side, then of the recurrent side. ``peepholes`` (3 H,): i, o, f.
    """

    weight: Array
    recurrence: Array
    bias: Array
    peepholes: Array
    functions: Sequence[Function]
    attributes: Mapping[str, Any]

    @property
    def size(self) -> int:
        """H."""
        return int(self.recurrence.shape[-1])

    def rows(self, gate: int) -> tuple[Array, Array]:
        """The recurrent matrix and bias of a gate."""
        rows = slice(gate * self.size, (gate + 1) * self.size)
        return self.recurrence[rows].T, self.bias[len(self.bias) // 2 :][rows]


States: TypeAlias = tuple[Array, ...]


def _gru(d: Direction, parts: Sequence[Array], states: States) -> States:
    (h,), (gate, candidate) = states, d.functions
    (rz, bz), (rr, br), (rh, bh) = (d.rows(gate) for gate in range(3))
    z = gate(parts[0] + h @ rz + bz)
    r = gate(parts[1] + h @ rr + br)
    before = d.attributes.get("linear_before_reset")
    inside = r * (h @ rh + bh) if before else (r * h) @ rh + bh
    return ((1 - z) * candidate(parts[2] + inside) + z * h,)


def _lstm(d: Direction, parts: Sequence[Array], states: States) -> States:
    (h, c), (gate, candidate, shown) = states, d.functions
    sums = [
        part + h @ matrix + bias
        for part, (matrix, bias) in zip(parts, map(d.rows, range(4)), strict=True)
    ]
    of_i, of_o, of_f = np.split(d.peepholes, 3)
    i = gate(sums[0] + of_i * c)
    f = 1 - i if d.attributes.get("input_forget") else gate(sums[2] + of_f * c)
    c = f * c + i * candidate(sums[3])
    return gate(sums[1] + of_o * c) * shown(c), c


def _rnn(d: Direction, parts: Sequence[Array], states: States) -> States:
    (h,), (function,) = states, d.functions
    matrix, bias = d.rows(0)
    return (function(parts[0] + h @ matrix + bias),)


# A frame of the operator, its gates, its states, the activations that it has by default.
OPERATORS: dict[str, tuple[Callable[..., States], int, int, tuple[str, ...]]] = {
    "GRU": (_gru, 3, 1, ("Sigmoid", "Tanh")),
    "LSTM": (_lstm, 4, 2, ("Sigmoid", "Tanh", "Tanh")),
    "RNN": (_rnn, 1, 1, ("Tanh",)),
}


def _functions(attributes: Mapping[str, Any], usual: Sequence[str]) -> list[Function]:
    """The activations of each direction, with their parameters."""
    alphas = list(attributes.get("activation_alpha") or ())
    betas = list(attributes.get("activation_beta") or ())
    found: list[Function] = []
    for name in attributes.get("activations") or usual:
        function, alpha, beta = FUNCTIONS[name.lower()]
        if alpha is not None and alphas:
            alpha = alphas.pop(0)
        if beta is not None and betas:
            beta = betas.pop(0)
        found.append(lambda x, f=function, a=alpha, b=beta: f(x, a, b))
    return found


def _frames(
    frame_of: Callable[..., States], d: Direction, x: Array, starts: States, lengths: Array
) -> tuple[Array, States]:
    """All h over frames (T, N, I) in the order of processing, and the last states."""
    gates = len(d.weight) // d.size
    hidden = np.zeros((len(x), x.shape[1], d.size))
    states = tuple(start.astype(np.float64) for start in starts)
    for frame, row in enumerate(x @ d.weight.T + d.bias[: len(d.weight)]):
        new = frame_of(d, np.split(row, gates, axis=-1), states)
        valid = (frame < lengths)[:, None]
        states = tuple(np.where(valid, a, b) for a, b in zip(new, states, strict=True))
        hidden[frame] = np.where(valid, states[0], 0)
    return hidden, states


def _turned(x: Array, lengths: Array) -> Array:
    """Each row turned around within its own length."""
    result = x.copy()
    for row, length in enumerate(lengths):
        result[:length, row] = x[:length, row][::-1]
    return result


def _layer(
    name: str, given: Sequence[Array | None], attributes: Mapping[str, Any]
) -> tuple[Array, ...]:
    """Y, Y_h, and of an LSTM Y_c, with layout 0."""
    padded: list[Any] = [*given, *[None] * (8 - len(given))]
    frame_of, gates, states, usual = OPERATORS[name]
    x, weight, recurrence, bias, sequence_lens, *rest = padded
    (frames, rows), count, size = x.shape[:2], len(weight), recurrence.shape[-1]
    bias = np.zeros((count, 2 * gates * size)) if bias is None else bias
    peepholes = np.zeros((count, 3 * size)) if rest[2] is None else rest[2]
    starts = [np.zeros((count, rows, size)) if each is None else each for each in rest[:states]]
    lengths = np.full(rows, frames) if sequence_lens is None else sequence_lens
    functions = _functions(attributes, usual * count)
    whole, finals = [], []
    for place in range(count):
        some = functions[len(usual) * place : len(usual) * (place + 1)]
        numbers = weight[place], recurrence[place], bias[place], peepholes[place]
        d = Direction(*numbers, some, attributes)
        reverse = attributes.get("direction") == "reverse" or place == 1
        signal = _turned(x, lengths) if reverse else x
        hidden, last = _frames(frame_of, d, signal, tuple(s[place] for s in starts), lengths)
        whole.append(_turned(hidden, lengths) if reverse else hidden)
        finals.append(last)
    ends = [np.stack(each) for each in zip(*finals, strict=True)]
    return (np.stack(whole, 1), *ends)


def _operator(name: str) -> Any:
    """The class by whose name and `op_domain` the evaluator finds it."""
    from onnx.reference.op_run import OpRun

    def run(self: Any, *given: Array | None, **attributes: Any) -> tuple[Array, ...]:
        return _layer(name, given, attributes)[: len(self.onnx_node.output)]

    return type(name, (OpRun,), {"op_domain": "", "_run": run})
