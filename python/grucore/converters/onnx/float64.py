# SPDX-License-Identifier: Apache-2.0
"""A file's graph in float64: onnx's reference evaluator, with a GRU that knows all attributes.

onnxruntime computes in float32, and its sigmoid is off by 6e-8 whatever the size of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from grucore.converters.onnx.read.source import Source
from grucore.graph.tensors import Array

__all__ = ["evaluator", "is_known"]

UNKNOWN = ("LSTM", "RNN")  # onnx's own leave attributes of these out
Function: TypeAlias = Callable[..., Array]


def evaluator(model: Any) -> Any:
    """Something with ``run(outputs, feeds)`` for a ModelProto whose numbers are float64."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model, new_ops=[_gru_operator()])


def is_known(source: Source) -> bool:
    """True if all of its operators are computed as ONNX says."""
    return not any(node.op in UNKNOWN for node in source.nodes)


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


def _functions(names: Any, alphas: Any, betas: Any, count: int) -> list[Function]:
    """Activations of gates and candidate of each direction, with their parameters."""
    alphas, betas = list(alphas or ()), list(betas or ())
    found: list[Function] = []
    for name in names or ["Sigmoid", "Tanh"] * count:
        function, alpha, beta = FUNCTIONS[name.lower()]
        if alpha is not None and alphas:
            alpha = alphas.pop(0)
        if beta is not None and betas:
            beta = betas.pop(0)
        found.append(lambda x, f=function, a=alpha, b=beta: f(x, a, b))
    return found


def _direction(
    x: Array,
    weights: tuple[Array, Array, Array],
    start: Array,
    lengths: Array,
    lbr: int,
    functions: list[Function],
) -> tuple[Array, Array]:
    """One direction over frames (T, N, I) in the order of processing: all states and the last."""
    w, r, bias = weights
    size = r.shape[-1]
    inner, outer = bias[: 3 * size], bias[3 * size :]
    gate, candidate = functions
    states = np.zeros((len(x), x.shape[1], size))
    h = start.astype(np.float64)
    for frame, row in enumerate(x @ w.T + inner):
        z = gate(row[:, :size] + h @ r[:size].T + outer[:size])
        reset = gate(row[:, size : 2 * size] + h @ r[size : 2 * size].T + outer[size : 2 * size])
        u, c = r[2 * size :].T, outer[2 * size :]
        inside = reset * (h @ u + c) if lbr else (reset * h) @ u + c
        new = (1 - z) * candidate(row[:, 2 * size :] + inside) + z * h
        valid = (frame < lengths)[:, None]
        h = np.where(valid, new, h)
        states[frame] = np.where(valid, h, 0)
    return states, h


def _turned(x: Array, lengths: Array) -> Array:
    """Each row turned around within its own length."""
    result = x.copy()
    for row, length in enumerate(lengths):
        result[:length, row] = x[:length, row][::-1]
    return result


def _gru(
    X: Array,
    W: Array,
    R: Array,
    B: Array | None,
    sequence_lens: Array | None,
    initial_h: Array | None,
    *,
    direction: str,
    lbr: int,
    functions: list[Function],
) -> tuple[Array, Array]:
    """Y and Y_h of the operator GRU with layout 0."""
    frames, rows, _ = X.shape
    count, size = len(W), R.shape[-1]
    bias = np.zeros((count, 6 * size)) if B is None else B
    start = np.zeros((count, rows, size)) if initial_h is None else initial_h
    lengths = np.full(rows, frames) if sequence_lens is None else sequence_lens
    whole, finals = [], []
    for place in range(count):
        reverse = direction == "reverse" or place == 1
        x = _turned(X, lengths) if reverse else X
        states, final = _direction(
            x,
            (W[place], R[place], bias[place]),
            start[place],
            lengths,
            lbr,
            functions[2 * place : 2 * place + 2],
        )
        whole.append(_turned(states, lengths) if reverse else states)
        finals.append(final)
    return np.stack(whole, 1), np.stack(finals)


def _gru_operator() -> Any:
    from onnx.reference.op_run import OpRun

    class GRU(OpRun):
        """The operator; `op_domain` and its name are how the evaluator finds it."""

        op_domain = ""

        def _run(
            self: Any,
            X: Array,
            W: Array,
            R: Array,
            B: Array | None = None,
            sequence_lens: Array | None = None,
            initial_h: Array | None = None,
            **attributes: Any,
        ) -> tuple[Array, ...]:
            names = attributes.get("activations")
            functions = _functions(
                names,
                attributes.get("activation_alpha"),
                attributes.get("activation_beta"),
                len(W),
            )
            results = _gru(
                X,
                W,
                R,
                B,
                sequence_lens,
                initial_h,
                direction=attributes.get("direction") or "forward",
                lbr=attributes.get("linear_before_reset") or 0,
                functions=functions,
            )
            return results[: len(self.onnx_node.output)]

    return GRU
