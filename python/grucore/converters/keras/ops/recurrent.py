# SPDX-License-Identifier: Apache-2.0
"""Keras's recurrent layers: GRU, LSTM, SimpleRNN, RNN of their cells, Bidirectional."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, TypeAlias

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.ops.cells import CELL, CELLS, SINGLE, numbers_of
from grucore.converters.keras.ops.merge import zeroed
from grucore.converters.keras.read.config import Layer
from grucore.converters.keras.read.names import backward_of
from grucore.converters.trace.axes import (
    BATCH,
    FEATURES,
    TIME,
    Data,
    Ended,
    Tracked,
    Unfit,
    arrange,
)
from grucore.converters.trace.ops.elementwise import binary, scaled
from grucore.converters.trace.ops.joins import joined
from grucore.converters.trace.ops.pieces import flipped
from grucore.converters.trace.ops.recurrent import Start, add_layer, check_sequence, final, initial
from grucore.converters.trace.ops.views import unsqueezed
from grucore.graph.layers import MaskedOutput, Operation, Recurrent
from grucore.graph.node import Value

__all__ = ["RECURRENT", "bidirectional", "recurrent", "take_start"]

SEQUENCE = {
    *("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask"),
    *("unroll", "use_cudnn"),
}
RECURRENT = (*SINGLE, "RNN")
MERGED = {"sum": Operation.ADD, "ave": Operation.ADD, "mul": Operation.MULTIPLY}

Result: TypeAlias = tuple[Flow, ...]


def take_start(
    flows: list[Any], keywords: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any], list[Tracked]]:
    """The tensors and keywords of a recurrent layer's call without its initial states, and these.

    A GRU has one state, an LSTM two, h and c; cells of a stack stand one after the other.
    """
    rest = dict(keywords)
    given = rest.pop("initial_state", None)
    if given is None and len(flows) > 1:  # as early versions write it
        flows, given = flows[:1], flows[1:]
    if given is None:
        return flows, rest, []
    starts = list(_flat(given))
    if any(not isinstance(start, Flow) for start in starts):
        raise Unfit(
            f"has {str(starts)[:80]} as its initial_state, expected a tensor for each state"
        )
    return flows, rest, [start.tensor for start in starts]


def _flat(given: Any) -> Iterator[Any]:
    """The tensors of lists in lists: of a stack each LSTM cell has a list of its own."""
    for each in given if isinstance(given, list | tuple) else [given]:
        yield from _flat(each) if isinstance(each, list | tuple) else [each]


def recurrent(context: Context, layer: Layer, flow: Flow, starts: list[Tracked]) -> Result:
    """A recurrent layer as Keras gives it: the sequence, or its last frame; then the states."""
    x = context.sequence(flow)
    layers = _cells(context, layer, flow, starts)
    backwards = bool(layer.settings.get("go_backwards"))
    y = _frames(context, layer, flow, layers[-1][1][0])
    states = _states(context, layer, flow, layers, backwards=backwards)
    if not layer.settings.get("return_sequences"):
        return (Flow(_end(context, x, layer.path, y.value, backwards)), *states)
    if backwards:  # the frames come in the order in which they were processed
        y = context.data(flipped(context, y, [1]))
    return (flow.of(y), *states)


def _frames(context: Context, layer: Layer, flow: Flow, value: Value) -> Data:
    """The output of a layer; where its states are wanted too, masked frames become zeros here."""
    y = _along(context.data(flow.tensor), value)
    return zeroed(context, y, [flow]) if _zeroes_apart(layer, flow) else y


def _zeroes_apart(layer: Layer, flow: Flow) -> bool:
    options = layer.settings.get("zero_output_for_mask"), layer.settings.get("return_state")
    return flow.mask is not None and all(options)


def _along(x: Data, value: Value) -> Data:
    """The output of a layer, a frame for each that it reads."""
    return Data((*x.axes[:2], FEATURES), arrange((1, 1, value.features)), value)


def _end(context: Context, x: Data, name: str, value: Value, backwards: bool) -> Data:
    """The state after the last frame; of one frame a call it is that frame."""
    if TIME in x.axes:
        value = final(context, value, name=f"{name}.last", reverse=backwards)
    return Data((BATCH, FEATURES), arrange((1, value.features)), value)


def _states(
    context: Context,
    layer: Layer,
    flow: Flow,
    layers: Sequence[tuple[type[Recurrent], tuple[Value, ...]]],
    *,
    backwards: bool,
) -> list[Flow]:
    if not layer.settings.get("return_state"):
        return []
    x, states = context.data(flow.tensor), []
    for kind, (value, *more) in layers:
        states.append(Flow(_end(context, x, f"{layer.path}.state", value, backwards)))
        if more:
            states += [Flow(_end(context, x, layer.path, other, backwards)) for other in more]
            continue
        states += [
            Flow(Ended((BATCH, FEATURES), arrange((1, value.features)), (name,)))
            for end in kind.state_suffixes[1:]
            for name in [f"{context.layer_of(value)}{end}"]
        ]
    return states


def _cells(
    context: Context, layer: Layer, flow: Flow, starts: list[Tracked]
) -> list[tuple[type[Recurrent], tuple[Value, ...]]]:
    """The kind of each cell and what it writes, in the order of time."""
    known = {*SEQUENCE, "cell"} if layer.kind == "RNN" else {*SEQUENCE, *CELL}
    settings = context.settings(layer, known)
    cells = _cells_of(context, layer) if layer.kind == "RNN" else [layer]
    if settings.get("stateful"):
        context.notes.setdefault("stateful", []).append(layer.path)
    backwards = bool(settings.get("go_backwards"))
    if len(cells) > 1 and (starts or settings.get("return_state")) and _is_reversed(context):
        raise Unfit("lists the states of its cells, which Keras before 2.2.3 did from the last on")
    x, layers, left = context.sequence(flow), [], starts
    for number, cell in enumerate(cells):
        check_sequence(context, x, 1, x.index.size)
        kind, given = numbers_of(context, cell, x.index.size)
        own, left = left[: len(kind.state_suffixes)], left[len(kind.state_suffixes) :]
        # Between the cells of a stack a masked frame passes nothing on either way.
        zeroes = number == len(cells) - 1 and settings.get("zero_output_for_mask")
        zeroes = zeroes and not _zeroes_apart(layer, flow)
        masked = MaskedOutput.ZERO if zeroes and flow.mask is not None else MaskedOutput.REPEAT
        if context.delayed is None:
            given["masked_output"] = masked
        written = add_layer(
            context,
            kind,
            x,
            _starts(context, kind, own if starts else None, given["weight_hh"].shape[1]),
            name=f"{layer.path}.l{number}{'_reverse' if backwards else ''}",
            reverse=backwards,
            mask=flow.mask,
            **given,
        )
        layers.append((kind, written))
        x = _along(x, written[0])
    if left:
        raise Unfit(f"has {len(starts)} tensors as its initial_state, {len(left)} too many")
    return layers


def _is_reversed(context: Context) -> bool:
    return context.version is None or context.version < (2, 2, 3)


def _cells_of(context: Context, layer: Layer) -> list[Layer]:
    """The cells of an RNN."""
    cell = layer.inside.get("cell")
    if cell is None:
        raise context.refuse(layer, "cell")
    cells = list(cell.layers) if cell.kind == "StackedRNNCells" else [cell]
    if cell.kind == "StackedRNNCells":
        context.settings(cell, {"cells"})
    for inner in cells:
        if inner.kind not in CELLS:
            expected = ", ".join(CELLS)
            raise Unfit(f"has the cell {inner.kind}, expected one of {expected}")
        context.settings(inner, CELL)
    return cells


def _starts(
    context: Context, kind: type[Recurrent], starts: Sequence[Tracked] | None, hidden: int
) -> dict[str, Start]:
    """The start of each state of a cell."""
    suffixes = kind.state_suffixes
    if starts is None:
        if context.delayed is not None:
            raise Unfit(
                "starts anew in every call of a model whose caller carries other states: give it "
                "an initial_state"
            )
        return dict.fromkeys(suffixes)
    if len(starts) != len(suffixes):
        count = f"{len(starts)} tensors as the initial_state of a cell"
        raise Unfit(f"has {count}, expected {len(suffixes)}")
    found: dict[str, Start] = {}
    for suffix, start in zip(suffixes, starts, strict=True):
        if start.rank != 2:
            raise Unfit(f"starts from {start.text}, expected (batch, {hidden} features)")
        found |= {suffix: initial(context, unsqueezed(start, [1]), 1, hidden, 0, suffix)[0]}
    return found


def bidirectional(context: Context, layer: Layer, flow: Flow, starts: list[Tracked]) -> Result:
    """Two layers over one sequence, merged in the order of time; then the states.

    Initial states: those of the forward layer, then as many of the backward one.
    """
    context.settings(
        layer,
        {
            *("layer", "forward_layer", "backward_layer", "merge_mode"),
            *("return_sequences", "return_state", "stateful"),
        },
    )
    x = context.sequence(flow)
    forward = layer.inside.get("forward_layer") or layer.inside["layer"]
    sides = [forward, backward_of(layer)]
    for name in ("return_sequences", "return_state"):
        if bool(sides[0].settings.get(name)) is not bool(sides[1].settings.get(name)):
            raise Unfit(f"has two layers that differ in {name}")
    sequences = bool(forward.settings.get("return_sequences"))
    results: list[Data] = []
    states: list[Flow] = []
    half = len(starts) // 2
    for side, name, own in zip(
        sides, ("forward", "backward"), (starts[:half], starts[half:]), strict=True
    ):
        if side.kind not in RECURRENT:
            raise Unfit(f"wraps {side.kind}, expected one of {', '.join(RECURRENT)}")
        # Keras sets this on both layers, whatever their configs say.
        zeroes = _zeroes_of_sides(context, layer, flow) and sequences
        inner = replace(
            side,
            path=layer.path if name == "forward" or not _same_way(sides) else f"{layer.path}.back",
            settings={**side.settings, "zero_output_for_mask": zeroes},
        )
        context.variables |= {inner: context.variables[side]} if side in context.variables else {}
        layers = _cells(context, inner, flow, own)
        backwards = bool(inner.settings.get("go_backwards"))
        y = _frames(context, inner, flow, layers[-1][1][0])
        if not sequences:
            y = _end(context, x, f"{layer.path}.{name}", y.value, backwards)
        elif backwards is not (name == "backward"):
            # Keras flips the processing order of the second one.
            y = context.data(flipped(context, y, [1]))
        results.append(y)
        states += _states(context, inner, flow, layers, backwards=backwards)
    merged = _merged(context, layer, results)
    return (*(flow.of(each) if sequences else Flow(each) for each in merged), *states)


def _same_way(sides: list[Layer]) -> bool:
    first, second = (bool(side.settings.get("go_backwards")) for side in sides)
    return first is second


def _zeroes_of_sides(context: Context, layer: Layer, flow: Flow) -> bool:
    if flow.mask is not None and (context.version is None or context.version < (2, 2, 4)):
        raise ConversionError(
            f"{layer} reads a mask, with which versions of Keras before 2.2.4 do another thing"
        )
    return True


def _merged(context: Context, layer: Layer, results: list[Data]) -> list[Tracked]:
    mode = layer.settings.get("merge_mode", "concat")
    if mode is None:
        return list(results)
    if mode == "concat":
        return [joined(context, results, results[0].rank - 1)]
    if mode not in MERGED:
        raise context.refuse(layer, "merge_mode", "concat, sum, mul, ave or None")
    total = reduce(lambda a, b: binary(context, a, b, MERGED[mode]), results)
    return [scaled(context, total, 0.5) if mode == "ave" else total]
