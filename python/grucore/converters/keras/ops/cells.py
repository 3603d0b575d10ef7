# SPDX-License-Identifier: Apache-2.0
"""Keras's cells: their weights in grucore's order of gates, and their activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grucore._core import ConversionError
from grucore.converters.keras.context import Context
from grucore.converters.keras.ops.activations import gate
from grucore.converters.keras.read.config import Layer
from grucore.converters.keras.read.variables import KERAS1
from grucore.graph import gates
from grucore.graph.layers import Cell, Gru, Lstm, Recurrent, Rnn
from grucore.graph.tensors import Array

__all__ = ["CELL", "CELLS", "GATES", "SINGLE", "numbers_of"]

CELL = {
    *("units", "activation", "recurrent_activation", "use_bias", "reset_after"),
    "unit_forget_bias",  # how a bias begins
    # Training, or speed.
    *("dropout", "recurrent_dropout", "implementation", "cache_kernel"),
    # Keras 1.
    *("output_dim", "inner_activation", "consume_less", "dropout_U", "dropout_W"),
}
# The cells, and the layers of one cell: gates that stand side by side in a kernel.
CELLS = {"GRUCell": 3, "LSTMCell": 4, "SimpleRNNCell": 1}
SINGLE = {"GRU": 3, "CuDNNGRU": 3, "LSTM": 4, "CuDNNLSTM": 4, "SimpleRNN": 1}
GATES = {**CELLS, **SINGLE}


def numbers_of(
    context: Context, cell: Layer, features: int
) -> tuple[type[Recurrent], dict[str, Any]]:
    """The layer that a cell is, its weights and activations."""
    kernel, recurrent_kernel, bias = _arrays(context, cell, features)
    more: dict[str, Any] = {}
    kind: type[Recurrent]
    if GATES[cell.kind] == 3:
        kind, reset_after = Gru, _is_reset_after(cell, bias)
        more["cell"] = Cell.RESET_AFTER if reset_after else Cell.RESET_BEFORE
        found = gates.from_keras(kernel, recurrent_kernel, bias, reset_after=reset_after)
    else:
        kind = Lstm if GATES[cell.kind] == 4 else Rnn
        found = gates.summed(kernel.T, recurrent_kernel.T, bias, None)
    if kind is Rnn:
        more["activation"] = gate(context, cell, cell.settings.get("activation", "tanh"))
    else:
        gate_setting, setting = _activations(context, cell, cell.settings)
        more["gate_activation"] = gate(context, cell, gate_setting)
        more["activation"] = gate(context, cell, setting)
    if kind is Lstm:
        more["cell_activation"] = more["activation"]
    return kind, {"weight_ih": found[0], "weight_hh": found[1], "bias": found[2], **more}


def _activations(context: Context, cell: Layer, settings: Mapping[str, Any]) -> tuple[Any, Any]:
    if cell.kind in ("CuDNNGRU", "CuDNNLSTM"):
        return "sigmoid", "tanh"
    if "inner_activation" in settings:  # Keras 1
        return settings["inner_activation"], settings.get("activation", "tanh")
    if "recurrent_activation" not in settings:
        # Keras changed the default; what an old file leaves out means the old one.
        raise ConversionError(
            f"{cell} has no recurrent_activation in its config, and its "
            "default was hard_sigmoid, then sigmoid: write it there"
        )
    return settings["recurrent_activation"], settings.get("activation", "tanh")


def _arrays(context: Context, cell: Layer, features: int) -> tuple[Array, Array, Array | None]:
    """Kernel (I, G H), recurrent kernel (H, G H) and bias, in Keras's order of gates."""
    settings, count = cell.settings, GATES[cell.kind]
    units = settings.get("units", settings.get("output_dim"))
    if not isinstance(units, int) or units < 1:
        raise context.refuse(cell, "units", "a number of units")
    if "inner_activation" in settings:
        arrays = {
            name: context.weight(
                cell, name, {"W": (features, units), "U": (units, units), "b": (units,)}[name[0]]
            )
            for name in KERAS1[cell.kind]
        }
        return gates.from_separate_keras(arrays)
    kernel = context.weight(cell, "kernel", (features, count * units))
    recurrent_kernel = context.weight(cell, "recurrent_kernel", (units, count * units))
    if cell.kind in ("CuDNNGRU", "CuDNNLSTM"):
        bias = context.weight(cell, "bias", (2 * count * units,))
        unpack = gates.from_cudnn_keras if count == 3 else gates.from_cudnn_keras_lstm
        return unpack(kernel, recurrent_kernel, bias)
    if "bias" not in context.variables[cell]:
        return kernel, recurrent_kernel, None
    shapes = [(count * units,)] if count != 3 else [(2, 3 * units), (3 * units,)]
    return kernel, recurrent_kernel, context.weight(cell, "bias", *shapes)


def _is_reset_after(cell: Layer, bias: Array | None) -> bool:
    """The config's word, confirmed by the bias's shape; without a word, the shape."""
    said = cell.settings.get("reset_after")
    if cell.kind == "CuDNNGRU":
        return True
    if bias is None:
        # Keras of before the option had the reset-before cell alone.
        return bool(said)
    found = bias.ndim == 2
    if said is not None and bool(said) is not found:
        raise ConversionError(
            f"{cell} has reset_after={said}, but a bias of shape {bias.shape}, which is that of "
            f"reset_after={found}"
        )
    return found
