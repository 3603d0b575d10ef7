# SPDX-License-Identifier: Apache-2.0
"""Keras's recurrent layers: GRU, LSTM, SimpleRNN, RNN of their cells, Bidirectional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.build.cells import cell_in_pieces
from grucore.converters.keras.context import CellState, Context, Flow, Start
from grucore.converters.keras.ops.activations import gate
from grucore.converters.keras.ops.states import note_start
from grucore.converters.keras.read.config import Layer
from grucore.converters.keras.read.names import backward_of
from grucore.converters.keras.read.variables import KERAS1_GRU
from grucore.graph import gates
from grucore.graph.layers import (
    Affine,
    Binary,
    Cell,
    Concat,
    Direction,
    Flip,
    Gru,
    Lstm,
    MaskedOutput,
    Operation,
    Position,
    Recurrent,
    Rnn,
    Take,
)
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["CELLS", "SINGLE", "bidirectional", "recurrent"]

CELL = {
    *("units", "activation", "recurrent_activation", "use_bias", "reset_after"),
    "unit_forget_bias",  # how a bias begins
    # Training, or speed.
    *("dropout", "recurrent_dropout", "implementation", "cache_kernel"),
    # Keras 1.
    *("output_dim", "inner_activation", "consume_less", "dropout_U", "dropout_W"),
}
SEQUENCE = {
    *("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask"),
    *("unroll", "use_cudnn"),
}
# The cells, and the layers of one cell: gates that stand side by side in a kernel.
CELLS = {"GRUCell": 3, "LSTMCell": 4, "SimpleRNNCell": 1}
SINGLE = {"GRU": 3, "CuDNNGRU": 3, "LSTM": 4, "CuDNNLSTM": 4, "SimpleRNN": 1}
GATES = {**CELLS, **SINGLE}

Result = tuple[Flow | CellState, ...]


def recurrent(context: Context, layer: Layer, flow: Flow, starts: tuple[Any, ...]) -> Result:
    """A recurrent layer as Keras gives it: the sequence, or its last frame; then the states."""
    context.sequence(layer, flow)
    if context.delayed:
        return _fed_back(context, layer, flow, starts)
    settings = layer.settings
    values, backwards = _cells(context, layer, flow)
    if starts:
        note_start(context, layer, starts, values)
    name = layer.path
    if settings.get("return_sequences"):
        value = values[-1]
        if backwards:  # the frames come in the order in which they were processed
            value = context.builder.add(Flip, f"{name}.flip", [value])
        result = flow.of(value)
    else:
        result = flow.of(_last(context, name, values[-1], backwards)).unmasked()
    return (result, *_states(context, layer, flow, values, backwards))


def _fed_back(context: Context, layer: Layer, flow: Flow, starts: tuple[Any, ...]) -> Result:
    """One frame of a layer whose states are values of the frame before."""
    known = {*SEQUENCE, "cell"} if layer.kind == "RNN" else {*SEQUENCE, *CELL}
    settings = context.settings(layer, known)
    cell = layer.inside["cell"] if layer.kind == "RNN" else layer
    if cell.kind not in GATES or settings.get("stateful") or flow.mask is not None:
        raise ConversionError(
            f"{layer} is a stack, stateful or masked, in a model whose caller carries states that "
            "are not its own"
        )
    if layer.kind == "RNN":
        context.settings(cell, CELL)
    kind, given = _numbers(context, cell, flow.value.features)
    if len(starts) != len(kind.state_suffixes):
        raise ConversionError(
            f"{layer} has {len(starts)} initial states, expected {len(kind.state_suffixes)}: it "
            "starts anew in every call of a model whose caller carries other states"
        )
    size = given["weight_hh"].shape[1]
    if any(start.value.features != size for start in starts):
        raise ConversionError(f"{layer} has initial states of other sizes than {size}")

    def add(kind: Any, inputs: list[Value], *, name: str, **arguments: Any) -> Value:
        return context.builder.add(kind, name, inputs, **arguments)

    before = [start.value for start in starts]
    new = cell_in_pieces(add, kind, f"{layer.path}.l0", flow.value, before, **given)
    rows = [replace(flow.of(value), is_row=True) for value in new]
    y = flow.of(new[0]) if settings.get("return_sequences") else rows[0]
    return (y, *(rows if settings.get("return_state") else []))


def _states(
    context: Context, layer: Layer, flow: Flow, values: list[Value], backwards: bool
) -> list[Flow | CellState]:
    if not layer.settings.get("return_state"):
        return []
    if flow.mask is not None and _zeroes(layer):
        raise ConversionError(
            f"{layer} has return_state with masked frames that give zeros, "
            "which cannot be expressed: its state is not among its outputs"
        )
    writers = {node.output: node for node in context.builder.nodes}
    states: list[Flow | CellState] = []
    for value in values:
        node = writers[value.name]
        if isinstance(node, Lstm) and len(values) > 1:
            raise ConversionError(
                f"{layer} has return_state with a stack of LSTM cells, which cannot be expressed"
            )
        last = _last(context, f"{layer.path}.state", value, backwards)
        states.append(flow.of(last).unmasked())
        states += [CellState(f"{node.name}{end}") for end in node.state_suffixes[1:]]
    return states


def _last(context: Context, name: str, value: Value, backwards: bool) -> Value:
    position = Position.FIRST if backwards else Position.LAST
    return context.builder.add(Take, f"{name}.last", [value], position=position)


def _zeroes(layer: Layer) -> bool:
    return bool(layer.settings.get("zero_output_for_mask"))


def _cells(context: Context, layer: Layer, flow: Flow) -> tuple[list[Value], bool]:
    """The sequences of each cell, in the order of time, and whether they run backwards."""
    known = {*SEQUENCE, "cell"} if layer.kind == "RNN" else {*SEQUENCE, *CELL}
    settings = context.settings(layer, known)
    if layer.kind == "RNN":
        cell = layer.inside.get("cell")
        if cell is None:
            raise context.refuse(layer, "cell")
        cells = list(cell.layers) if cell.kind == "StackedRNNCells" else [cell]
        if cell.kind == "StackedRNNCells":
            context.settings(cell, {"cells"})
        for inner in cells:
            if inner.kind not in CELLS:
                expected = ", ".join(CELLS)
                raise ConversionError(
                    f"{layer} has the cell {inner.kind}, expected one of {expected}"
                )
            context.settings(inner, CELL)
    else:
        cells = [layer]
    if settings.get("stateful"):
        context.notes.setdefault("stateful", []).append(layer.path)
    backwards = bool(settings.get("go_backwards"))
    value, values = flow.value, []
    for number, cell in enumerate(cells):
        is_last = number == len(cells) - 1
        value = _cell(
            context,
            cell,
            replace(flow, value=value),
            f"{layer.path}.l{number}{'_reverse' if backwards else ''}",
            Direction.REVERSE if backwards else Direction.FORWARD,
            # Between the cells of a stack a masked frame passes nothing on either way.
            zeroes=is_last and _zeroes(layer),
        )
        values.append(value)
    return values, backwards


def _cell(
    context: Context, cell: Layer, flow: Flow, name: str, direction: Direction, *, zeroes: bool
) -> Value:
    """One cell over all frames."""
    kind, given = _numbers(context, cell, flow.value.features)
    masked = zeroes and flow.mask is not None
    return context.builder.add(
        kind,
        name,
        [flow.value, *([] if flow.mask is None else [flow.mask])],
        direction=direction,
        masked_output=MaskedOutput.ZERO if masked else MaskedOutput.REPEAT,
        **given,
    )


def _numbers(
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
    if count != 3 and "output_dim" in settings:
        raise ConversionError(
            f"{cell} is of Keras 1, whose LSTM and SimpleRNN are not read: "
            "load it with Keras 2 and save it again"
        )
    if "inner_activation" in settings:
        arrays = {
            name: context.weight(
                cell, name, {"W": (features, units), "U": (units, units), "b": (units,)}[name[0]]
            )
            for name in KERAS1_GRU
        }
        return gates.from_separate_keras(arrays)
    kernel = context.weight(cell, "kernel", (features, count * units))
    recurrent_kernel = context.weight(cell, "recurrent_kernel", (units, count * units))
    if cell.kind in ("CuDNNGRU", "CuDNNLSTM"):
        bias = context.weight(cell, "bias", (2 * count * units,))
        unpack = gates.from_cudnn_keras if count == 3 else gates.from_cudnn_keras_lstm
        return unpack(kernel, recurrent_kernel, bias)
    if "bias" not in context.weights[cell]:
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


def bidirectional(context: Context, layer: Layer, flow: Flow, starts: tuple[Start, ...]) -> Result:
    """Two layers over one sequence, merged in the order of time; then the states."""
    if starts:
        names = ", ".join(repr(start.name) for start in starts)
        raise ConversionError(f"{layer} starts from inputs ({names}), which cannot be expressed")
    settings = context.settings(
        layer,
        {
            "layer",
            "forward_layer",
            "backward_layer",
            "merge_mode",
            "return_sequences",
            "return_state",
            "stateful",
        },
    )
    context.sequence(layer, flow)
    forward = layer.inside.get("forward_layer") or layer.inside["layer"]
    sides = [forward, backward_of(layer)]
    for name in ("return_sequences", "return_state"):
        if bool(sides[0].settings.get(name)) is not bool(sides[1].settings.get(name)):
            raise ConversionError(f"{layer} has two layers that differ in {name}")
    sequences = bool(forward.settings.get("return_sequences"))
    results: list[Value] = []
    states: list[Flow | CellState] = []
    for side, name in zip(sides, ("forward", "backward"), strict=True):
        if side.kind not in (*SINGLE, "RNN"):
            expected = ", ".join((*SINGLE, "RNN"))
            raise ConversionError(f"{layer} wraps {side.kind}, expected one of {expected}")
        # Keras sets this on both layers, whatever their configs say.
        zeroes = _zeroes_of_sides(context, layer, flow) and sequences
        inner = replace(
            side,
            path=layer.path if name == "forward" or not _same_way(sides) else f"{layer.path}.back",
            settings={**side.settings, "zero_output_for_mask": zeroes},
        )
        context.weights |= {inner: context.weights[side]} if side in context.weights else {}
        values, backwards = _cells(context, inner, flow)
        if not sequences:
            results.append(_last(context, f"{layer.path}.{name}", values[-1], backwards))
        elif backwards is (name == "backward"):
            results.append(values[-1])  # Keras flips the processing order of the second one
        else:
            results.append(context.builder.add(Flip, f"{layer.path}.{name}.flip", [values[-1]]))
        states += _states(context, inner, flow, values, backwards)
    flows = _merged(context, layer, flow, results, settings.get("merge_mode", "concat"))
    return (*(item if sequences else item.unmasked() for item in flows), *states)


def _same_way(sides: list[Layer]) -> bool:
    first, second = (bool(side.settings.get("go_backwards")) for side in sides)
    return first is second


def _zeroes_of_sides(context: Context, layer: Layer, flow: Flow) -> bool:
    if flow.mask is not None and (context.version is None or context.version < (2, 2, 4)):
        raise ConversionError(
            f"{layer} reads a mask, with which versions of Keras before 2.2.4 do another thing"
        )
    return True


def _merged(
    context: Context, layer: Layer, flow: Flow, results: list[Value], mode: Any
) -> list[Flow]:
    name = f"{layer.path}.{mode}"
    add = context.builder.add
    match mode:
        case None:
            return [flow.of(value) for value in results]
        case "concat":
            return [flow.of(add(Concat, name, results))]
        case "sum":
            return [flow.of(add(Binary, name, results, operation=Operation.ADD))]
        case "mul":
            return [flow.of(add(Binary, name, results, operation=Operation.MULTIPLY))]
        case "ave":
            total = add(Binary, f"{layer.path}.sum", results, operation=Operation.ADD)
            half = np.full(total.features, 0.5)
            mean = add(Affine, name, [total], scale=half, shift=np.zeros(total.features))
            return [flow.of(mean)]
        case _:
            raise context.refuse(layer, "merge_mode", "concat, sum, mul, ave or None")
