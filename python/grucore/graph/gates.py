# SPDX-License-Identifier: Apache-2.0
"""The one place that knows gate orders and bias conventions other than grucore's own.

Inside grucore a GRU has its rows in the order r, z, n and one bias. The reset-after cell needs four
parts of bias (r, z, n of the input side, n of the recurrent side, which the reset gate multiplies);
in the reset-before cell everything folds into three. An LSTM has its rows in the order i, f, g, o,
as PyTorch and Keras, which calls g c; the plain recurrent layer has no gates; both add up their
biases. Sums are made in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grucore.graph.tensors import Array

__all__ = [
    "fold_reset_after",
    "fold_reset_before",
    "from_cudnn_keras",
    "from_cudnn_keras_lstm",
    "from_keras",
    "from_onnx",
    "from_onnx_lstm",
    "from_separate_keras",
    "from_torch",
    "rounded",
    "summed",
    "to_onnx",
    "unfolded",
]


def rounded(array: Array) -> Array:
    """The nearest float32 values; what is too large becomes infinite, which `Graph` refuses."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def fold_reset_after(bias_ih: Array, bias_hh: Array) -> Array:
    """(3 H,) and (3 H,) in the order r, z, n -> (4 H,) float32: r, z, n_input, n_recurrent."""
    hidden = bias_ih.shape[0] // 3
    total = np.asarray(bias_ih, np.float64) + np.asarray(bias_hh, np.float64)
    parts = (total[: 2 * hidden], bias_ih[2 * hidden :], bias_hh[2 * hidden :])
    return rounded(np.concatenate(parts))


def fold_reset_before(bias_ih: Array, bias_hh: Array) -> Array:
    """(3 H,) and (3 H,) in the order r, z, n -> (3 H,) float32."""
    total = np.asarray(bias_ih, np.float64) + np.asarray(bias_hh, np.float64)
    return rounded(total)


def from_torch(
    weight_ih: Array, weight_hh: Array, bias_ih: Array | None, bias_hh: Array | None
) -> tuple[Array, Array, Array]:
    """PyTorch's GRU, (3 H, I), (3 H, H), (3 H,), (3 H,) -> float32 weights and bias (4 H,).

    PyTorch knows the reset-after cell alone, in the order r, z, n; without biases they are zero.
    """
    none = np.zeros(weight_hh.shape[0], np.float32)
    bias = fold_reset_after(
        none if bias_ih is None else bias_ih, none if bias_hh is None else bias_hh
    )
    return rounded(weight_ih), rounded(weight_hh), bias


def _from_zrn(array: Array) -> Array:
    """Rows in the order z, r, n -> r, z, n."""
    z, r, n = np.split(array, 3)
    return np.concatenate([r, z, n])


def from_keras(
    kernel: Array, recurrent_kernel: Array, bias: Array | None, *, reset_after: bool
) -> tuple[Array, Array, Array]:
    """Keras's GRU, (I, 3 H), (H, 3 H), in the order z, r, n -> float32 weights and bias.

    Its ``bias``: (2, 3 H), of the input and the recurrent side, of the reset-after cell; (3 H,) of
    the reset-before cell, whose biases are all of the input side; None for zeros. The result's:
    (4 H,) or (3 H,).
    """
    none = np.zeros(kernel.shape[1], np.float32)
    if bias is None:
        bias_ih, bias_hh = none, none
    elif reset_after:
        bias_ih, bias_hh = (_from_zrn(part) for part in bias)
    else:
        bias_ih, bias_hh = _from_zrn(bias), none
    fold = fold_reset_after if reset_after else fold_reset_before
    weights = rounded(_from_zrn(kernel.T)), rounded(_from_zrn(recurrent_kernel.T))
    return (*weights, fold(bias_ih, bias_hh))


def from_cudnn_keras(
    kernel: Array, recurrent_kernel: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Keras's CuDNNGRU -> what its GRU would have: (I, 3 H), (H, 3 H), (2, 3 H), order z, r, n.

    cuDNN's matrices are (H, I) for each gate, row after row; Keras keeps their numbers in arrays of
    the shape (I, H), and the biases of both sides one after the other, (6 H,).
    """
    kernels = [part.reshape(part.shape[::-1]).T for part in np.split(kernel, 3, axis=1)]
    recurrent = [part.T for part in np.split(recurrent_kernel, 3, axis=1)]
    joined = np.concatenate(kernels, axis=1), np.concatenate(recurrent, axis=1)
    return (*joined, bias.reshape(2, -1))


def from_separate_keras(arrays: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """Keras 1's GRU or LSTM, whose gates have variables of their own -> kernel, recurrent kernel,
    bias.

    ``arrays``: W_z, U_z, b_z and the same of r and of the candidate h; or of i, f, c and o. The
    result is what later versions have: (I, 3 H), (H, 3 H), (3 H,), order z, r, n; or i, f, n, o.
    """
    order = "zrh" if "W_z" in arrays else "ifco"
    kernel, recurrent, bias = (
        np.concatenate([arrays[f"{what}_{gate}"] for gate in order], axis=-1) for what in "WUb"
    )
    return kernel, recurrent, bias


def from_onnx(
    weight: Array, recurrence: Array, bias: Array, *, reset_after: bool
) -> tuple[Array, Array, Array]:
    """ONNX's GRU, one direction: W (3 H, I), R (3 H, H), B (6 H,) -> float32 weights and bias.

    ONNX has the order z, r, h, and in B first the biases of the input side, then the others.
    """
    hidden = recurrence.shape[1]
    rows = np.r_[hidden : 2 * hidden, :hidden, 2 * hidden : 3 * hidden]
    fold = fold_reset_after if reset_after else fold_reset_before
    folded = fold(bias[: 3 * hidden][rows], bias[3 * hidden :][rows])
    return rounded(weight[rows]), rounded(recurrence[rows]), folded


def summed(
    weight_ih: Array, weight_hh: Array, bias_ih: Array | None, bias_hh: Array | None
) -> tuple[Array, Array, Array]:
    """An LSTM (G = 4, order i, f, g, o) or a plain layer (G = 1) -> float32 weights, bias (G H,).

    (G H, I), (G H, H), (G H,), (G H,) or None for zeros.
    """
    total = np.zeros(weight_hh.shape[0], np.float64)
    for bias in (bias_ih, bias_hh):
        if bias is not None:
            total = total + np.asarray(bias, np.float64)
    return rounded(weight_ih), rounded(weight_hh), rounded(total)


def from_cudnn_keras_lstm(
    kernel: Array, recurrent_kernel: Array, bias: Array
) -> tuple[Array, Array, Array]:
    """Keras's CuDNNLSTM -> what its LSTM would have: (I, 4 H), (H, 4 H), (4 H,).

    The matrices as in `from_cudnn_keras`; the biases of both sides, (8 H,), are added up in
    float64.
    """
    kernels = [part.reshape(part.shape[::-1]).T for part in np.split(kernel, 4, axis=1)]
    recurrent = [part.T for part in np.split(recurrent_kernel, 4, axis=1)]
    both = bias.reshape(2, -1).astype(np.float64).sum(axis=0)
    return np.concatenate(kernels, axis=1), np.concatenate(recurrent, axis=1), both


def from_onnx_lstm(weight: Array, recurrence: Array, bias: Array) -> tuple[Array, Array, Array]:
    """ONNX's LSTM, one direction: W (4 H, I), R (4 H, H), B (8 H,) -> float32 weights, bias (4 H,).

    ONNX has the order i, o, f, c, and in B first the biases of the input side, then the others.
    """
    rows = np.arange(len(weight)).reshape(4, -1)[[0, 2, 3, 1]].reshape(-1)
    bias_ih, bias_hh = bias[: len(weight)], bias[len(weight) :]
    return summed(weight[rows], recurrence[rows], bias_ih[rows], bias_hh[rows])


def unfolded(bias: Array, rows: int) -> tuple[Array, Array]:
    """The bias of a layer of so many rows (G H) as two, (G H,) each: of the input, the recurrence.

    The recurrent one holds the candidate's of a reset-after GRU, and zeros elsewhere.
    """
    recurrent = np.zeros(rows, np.float32)
    own = bias[rows:]
    recurrent[rows - len(own) :] = own
    return np.array(bias[:rows], np.float32), recurrent


def to_onnx(array: Array, gates: int) -> Array:
    """Rows of a GRU (3 gates), an LSTM (4) or a plain layer (1) in ONNX's order of gates."""
    order = {1: [0], 3: [1, 0, 2], 4: [0, 3, 1, 2]}[gates]
    parts = np.split(array, gates)
    return np.concatenate([parts[place] for place in order])
