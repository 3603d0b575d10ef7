# SPDX-License-Identifier: Apache-2.0
"""Layers between samples and features as functions of C."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import numpy as np

from grucore.export.literals import float_text
from grucore.export.unit import Call, lines
from grucore.graph.layers import Filterbank, Irfft, OverlapAdd, Rfft, Spectrum, Window
from grucore.graph.tensors import Array, Role

__all__ = [
    "write_filterbank",
    "write_irfft",
    "write_overlap_add",
    "write_rfft",
    "write_window",
]


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


def _transform(node: Rfft | Irfft, source: str = "a", spare: str = "a") -> tuple[str, list[str]]:
    """The passes of docs/numerics.md between two arrays, and which of them has the end."""
    rows, columns = node.shape
    length, numbers = node.length, node.numbers
    here, there = source, "b"
    body: list[str] = []

    def go(function: str, arguments: str) -> None:
        nonlocal here, there, spare
        body.append(f"{function}({there}, {here}, {arguments});")
        here, there, spare = there, spare, there

    for radix, arguments in _passes(rows, columns, length):
        go(f"gc_fft{radix}", arguments)
    if columns > 1:
        go("gc_fft_turn", f"{rows}, {columns}, roots, {length}, {length // numbers}")
    for radix, arguments in _passes(columns, rows, length):
        go(f"gc_fft{radix}", arguments)
    return here, body


def _write_transform(call: Call, roots: str, numbers: int, *body: str) -> None:
    """A function of this body, with the arrays of numbers that it uses on the stack."""
    whole = "\n".join(body)
    used = [name for name in "ab" if re.search(rf"\b{name}\b", whole)]
    kind = "float" if re.search(r"x\[i\] = |\(x, ", whole) else "const float"
    name = call.function(
        f"float *y, {kind} *x",
        f"const float *roots = {roots};",
        f"float {', '.join(f'{name}[{2 * numbers}]' for name in used)};" if used else "",
        "uint32_t i;",
        *body,
    )
    call.step(f"{name}({call.target}, {call.sources[0]});")


def write_rfft(call: Call) -> None:
    """Samples two by two as numbers, a transform, and the bins of both kinds of samples joined."""
    node, count = cast(Rfft, call.node), call.reads[0].features
    length, bins = node.length, node.length // 2 + 1
    numbers = node.numbers
    table = np.asarray(node.tensors()[Role.TABLE])
    _check_mirrored(call, table)
    roots = call.unit.constant(f"{call.name}.roots", table.reshape(-1))
    source = "a" if length % 2 else "x"
    spare = "x" if length % 2 == 0 and call.unit.readers[node.inputs[0]] == 1 else "a"
    here, body = _transform(node, source, spare)
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
        # The value has room for the zeros: memory.py.
        fill = f"for (i = {count}; i < {length}; ++i) x[i] = 0.0f;" if count < length else ""
        each = lines(
            "float bin[4];",
            f"gc_fft_bins(bin, {here} + 2 * i, far, roots[i], roots[i + {length}]);",
            _written(node, "i", "bin", scale),
            _written(node, f"{numbers} - i", "(bin + 2)", scale),
            f"far = i ? far - 2 : {here} + {2 * numbers - 2};",
        )
        loop = f"for (i = 0; i <= {numbers // 2}; ++i) {{\n{each}}}"
        write = f"{{\n{lines(f'const float *far = {here};', loop)}}}"
    _write_transform(call, roots, numbers, fill, *body, write)


def write_irfft(call: Call) -> None:
    """The same backwards: the parts of each number change places before the transform and after."""
    node = cast(Irfft, call.node)
    length, bins, numbers = node.length, node.length // 2 + 1, node.numbers
    table = np.asarray(node.tensors()[Role.TABLE])
    roots = call.unit.constant(f"{call.name}.roots", table.reshape(-1))
    here, body = _transform(node)
    factor = float_text(float(np.float32(1) / np.float32(length)))
    if length % 2:
        each = lines(
            f"a[2 * i] = x[{bins} + i];",
            f"a[2 * ({length} - i)] = 0.0f - x[{bins} + i];",
            f"a[2 * i + 1] = a[2 * ({length} - i) + 1] = x[i];",
        )
        fill = f"a[0] = 0.0f;\na[1] = x[0];\nfor (i = 1; i < {bins}; ++i) {{\n{each}}}"
        each = lines(f"y[i] = gc_flush({here}[2 * i + 1] * {factor});")
    else:
        each = lines(
            f"const uint32_t j = {numbers} - i;",
            f"const float a_i = i ? x[{bins} + i] : 0.0f, b_i = i ? x[{bins} + j] : 0.0f;",
            f"gc_ifft_number(a + 2 * i, x[i], a_i, x[j], b_i, roots[i], roots[i + {length}]);",
        )
        fill = f"for (i = 0; i < {numbers}; ++i) {{\n{each}}}"
        each = lines(
            f"y[2 * i] = gc_flush({here}[2 * i + 1] * {factor});",
            f"y[2 * i + 1] = gc_flush({here}[2 * i] * {factor});",
        )
    write = f"for (i = 0; i < {numbers}; ++i) {{\n{each}}}"
    _write_transform(call, roots, numbers, fill, *body, write)


def write_overlap_add(call: Call) -> None:
    """The frame's products and what earlier frames have left; then the rest is kept."""
    node = cast(OverlapAdd, call.node)
    size = len(node.weight)
    weight = call.unit.constant(f"{call.name}.weight", node.weight)
    kept = size - node.hop
    past = call.unit.state(f"{call.name}.overlap", kept) if kept else "0"
    arguments = f"{call.target}, {past}, {call.sources[0]}, {weight}, {size}, {node.hop}"
    call.step(f"gc_overlap_add({arguments});")


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
