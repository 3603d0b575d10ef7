# SPDX-License-Identifier: Apache-2.0
"""Window, spectrum and filterbank as functions of C."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from grucore.export.literals import float_text
from grucore.export.unit import Call, lines
from grucore.graph.layers import Filterbank, Rfft, Spectrum, Window
from grucore.graph.tensors import Array, Role

__all__ = ["write_filterbank", "write_rfft", "write_window"]


def write_window(call: Call) -> None:
    """The samples of the window out of the history and of the hop; then the history moves on."""
    node, hop = cast(Window, call.node), call.reads[0].features
    size, history = len(node.weight), node.history_samples(call.reads[0].features)
    weight = call.unit.constant(f"{call.name}.weight", node.weight)
    past = call.unit.state(f"{call.name}.history", history) if history else ""
    start = history + hop - node.delay - size
    from_past = min(size, max(0, history - start))
    emphasis = np.float32(node.emphasis)
    sample = "gc_flush(from[i] * weight[i])"
    if emphasis:
        sample = f"gc_flush((from[i] - {float_text(float(emphasis))} * before) * weight[i])"
    each = lines(f"y[i] = {sample};", "before = from[i];" if emphasis else "")
    before = f"{past}[{start - 1}]" if start <= history else f"x[{start - 1 - history}]"
    name = call.function(
        ", ".join(
            ["const gc_state *st"] * bool(history)
            + ["float *y"]
            + ["const float *x"] * (from_past < size)
        ),
        f"const float *weight = {weight};",
        f"const float *from = {f'{past} + {start}' if from_past else f'x + {start - history}'};",
        f"float before = {before};" if emphasis else "",
        "uint32_t i;",
        f"for (i = 0; i < {from_past}; ++i) {{\n{each}}}" if from_past else "",
        f"from = x - {from_past};" if 0 < from_past < size else "",
        f"for (i = {from_past}; i < {size}; ++i) {{\n{each}}}" if from_past < size else "",
    )
    arguments = ["st"] * bool(history) + [call.target] + [call.sources[0]] * (from_past < size)
    call.step(f"{name}({', '.join(arguments)});")
    if not history:
        return
    kept, new = max(0, history - hop), min(history, hop)
    if kept:
        move = call.unit.function(
            f"{call.name}.move",
            "gc_state *st",
            "uint32_t i;",
            f"for (i = 0; i < {kept}; ++i) {past}[i] = {past}[i + {hop}];",
        )
        call.step(f"{move}(st);", call.reads[0])
    source = f"{call.sources[0]} + {hop - new}"
    call.step(f"GC_COPY({past} + {kept}, {source}, {4 * new});", call.reads[0])


def _passes(size: int, stride: int, length: int) -> Iterator[tuple[int, str]]:
    """Radix and arguments of the passes that transform columns of so many numbers."""
    while size > 1:
        radix = next(radix for radix in (4, 2, 3, 5) if size % radix == 0)
        yield radix, f"{stride}, {size // radix}, roots, {length}, {length // size}"
        stride, size = stride * radix, size // radix


def _check_mirrored(call: Call, table: Array) -> None:
    """Raise ValueError unless root N / 2 - k mirrors root k, as code for pairs of bins wants."""
    length = table.shape[1]
    half = table[:, : length // 2 + 1]
    if length % 2 == 0 and not np.array_equal(half[:, ::-1] * [[-1], [1]], half):
        raise ValueError(
            f"layer {call.name!r}: the roots of its table do not mirror each other, as code in C "
            "wants them; use target 'engine'"
        )


def write_rfft(call: Call) -> None:
    """The passes of docs/numerics.md one after the other, between two arrays on the stack."""
    node, count = cast(Rfft, call.node), call.reads[0].features
    length, bins = node.length, node.length // 2 + 1
    numbers = node.numbers
    rows, columns = node.shape
    table = np.asarray(node.tensors()[Role.TABLE])
    _check_mirrored(call, table)
    roots = call.unit.constant(f"{call.name}.roots", table.reshape(-1))
    here, there = "a", "b"
    body = []

    def go(function: str, arguments: str) -> None:
        nonlocal here, there
        body.append(f"{function}({there}, {here}, {arguments});")
        here, there = there, here

    for radix, arguments in _passes(rows, columns, length):
        go(f"gc_fft{radix}", arguments)
    if columns > 1:
        go("gc_fft_turn", f"{rows}, {columns}, roots, {length}, {length // numbers}")
    for radix, arguments in _passes(columns, rows, length):
        go(f"gc_fft{radix}", arguments)
    scale = 1.0 if length % 2 else 0.5
    if length % 2:
        fill = lines(
            f"for (i = 0; i < {2 * numbers}; ++i) a[i] = 0.0f;",
            f"for (i = 0; i < {count}; ++i) a[2 * i] = x[i];",
            indent=0,
        )
        each = lines(f"const float *bin = {here} + 2 * i;", _written(node, "i", "bin", scale))
        write = f"for (i = 0; i < {bins}; ++i) {{\n{each}}}"
    else:
        fill = lines(
            f"for (i = 0; i < {count}; ++i) a[i] = x[i];",
            f"for (; i < {length}; ++i) a[i] = 0.0f;" if count < length else "",
            indent=0,
        )
        mirrored = f"{here} + 2 * (i ? {numbers} - i : 0)"
        each = lines(
            "float bin[4];",
            f"gc_fft_bins(bin, {here} + 2 * i, {mirrored}, roots[i], roots[i + {length}]);",
            _written(node, "i", "bin", scale),
            _written(node, f"{numbers} - i", "(bin + 2)", scale),
        )
        write = f"for (i = 0; i <= {numbers // 2}; ++i) {{\n{each}}}"
    name = call.function(
        "float *y, const float *x",
        f"const float *roots = {roots};",
        f"float a[{2 * numbers}], b[{2 * numbers}];",
        "uint32_t i;",
        fill,
        *body,
        write,
    )
    call.step(f"{name}({call.target}, {call.sources[0]});")


def _written(node: Rfft, index: str, parts: str, scale: float) -> str:
    """The statements that write a bin of these parts."""
    if node.spectrum is Spectrum.COMPLEX:
        factor, bins = float_text(scale), node.length // 2 + 1
        return lines(
            f"y[{index}] = gc_flush({factor} * {parts}[0]);",
            f"y[{index} + {bins}] = gc_flush({factor} * {parts}[1]);",
            indent=0,
        )
    power = f"gc_fft_mixed({parts}[0], {parts}[0], {parts}[1], {parts}[1])"
    if node.spectrum is Spectrum.MAGNITUDE:
        return f"y[{index}] = gc_flush({float_text(scale)} * gc_sqrt({power}));"
    return f"y[{index}] = gc_flush({float_text(scale * scale)} * {power});"


def write_filterbank(call: Call) -> None:
    """Sums over bands."""
    node = cast(Filterbank, call.node)
    weight = call.unit.constant(f"{call.name}.weight", node.weight)
    bands = call.unit.constant(f"{call.name}.bands", node.index)
    arguments = f"{call.target}, {call.sources[0]}, {bands}, {weight}, {len(node.index)}"
    call.step(f"gc_filterbank({arguments});")
