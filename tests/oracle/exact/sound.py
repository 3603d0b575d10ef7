# SPDX-License-Identifier: Apache-2.0
"""Layers between samples and features to the bit, as docs/numerics.md writes them."""

from __future__ import annotations

import numpy as np

from grucore.graph.layers import Filterbank, Irfft, OverlapAdd, Rfft, Spectrum, Window
from grucore.graph.tensors import Array, Role
from oracle.exact.call import Call, Result
from oracle.exact.functions import Floats, flush, number
from oracle.exact.products import stored

__all__ = ["filterbank", "irfft", "overlap_add", "rfft", "window"]

HALF, SINE_60 = np.float32(0.5), number("0x1.bb67aep-1")
COSINE_72, COSINE_144 = number("0x1.3c6ef4p-2"), number("-0x1.9e377ap-1")
SINE_72, SINE_144 = number("0x1.e6f0e2p-1"), number("0x1.2cf230p-1")

Complex = tuple[Floats, Floats]  # real and imaginary parts


def window(node: Window, call: Call) -> Result:
    """One product a sample, after the emphasis."""
    (x,) = call.sources
    hop, size = x.shape[2], len(node.weight)
    emphasis = np.float32(node.emphasis)
    history = max(0, size + node.delay + int(emphasis != 0) - hop)
    past = np.zeros((len(x), history), np.float32) if call.states[0] is None else call.states[0]
    last = np.zeros((len(x), history), np.float32)
    windows = []
    for row in range(len(x)):
        heard = np.concatenate([past[row], x[row, call.at[row]].reshape(-1)])
        for place in np.flatnonzero(call.out_at[row, call.at[row]]):
            stop = history + (place + 1) * hop - node.delay
            samples = heard[stop - size : stop]
            if emphasis != 0:
                samples = samples - emphasis * heard[stop - size - 1 : stop - 1]
            windows.append(flush(samples * stored(node.weight)))
        last[row] = heard[len(heard) - history :]
    return call.spread(np.array(windows, np.float32).reshape(-1, size)), (last,)


def _times(a: Complex, b: Complex) -> Complex:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _add(a: Complex, b: Complex) -> Complex:
    return a[0] + b[0], a[1] + b[1]


def _subtract(a: Complex, b: Complex) -> Complex:
    return a[0] - b[0], a[1] - b[1]


def _scale(factor: np.float32, a: Complex) -> Complex:
    return factor * a[0], factor * a[1]


def _before(a: Complex, b: Complex) -> Complex:
    """a - i b"""
    return a[0] + b[1], a[1] - b[0]


def _after(a: Complex, b: Complex) -> Complex:
    """a + i b"""
    return a[0] - b[1], a[1] + b[0]


def _butterfly(a: list[Complex]) -> list[Complex]:
    """The transform of 2, 3, 4 or 5 numbers."""
    if len(a) == 2:
        return [_add(*a), _subtract(*a)]
    if len(a) == 3:
        total = _add(a[1], a[2])
        middle = _subtract(a[0], _scale(HALF, total))
        far = _scale(SINE_60, _subtract(a[1], a[2]))
        return [_add(a[0], total), _before(middle, far), _after(middle, far)]
    if len(a) == 4:
        even, odd = _add(a[0], a[2]), _add(a[1], a[3])
        middle, far = _subtract(a[0], a[2]), _subtract(a[1], a[3])
        return [_add(even, odd), _before(middle, far), _subtract(even, odd), _after(middle, far)]
    one, two = _add(a[1], a[4]), _add(a[2], a[3])
    third, fourth = _subtract(a[1], a[4]), _subtract(a[2], a[3])
    near = _add(a[0], _add(_scale(COSINE_72, one), _scale(COSINE_144, two)))
    wide = _add(a[0], _add(_scale(COSINE_144, one), _scale(COSINE_72, two)))
    first = _add(_scale(SINE_72, third), _scale(SINE_144, fourth))
    second = _subtract(_scale(SINE_144, third), _scale(SINE_72, fourth))
    return [
        _add(a[0], _add(one, two)),
        _before(near, first),
        _before(wide, second),
        _after(wide, second),
        _after(near, first),
    ]


def _transform(x: Complex, table: Floats) -> Complex:
    """The transform along axis 1; other axes hold independent rows."""
    size, length = x[0].shape[1], table.shape[1]
    if size == 1:
        return x
    radix = next(radix for radix in (4, 2, 3, 5) if size % radix == 0)
    rest = size // radix
    result = (np.empty_like(x[0]), np.empty_like(x[0]))
    for g in range(rest):
        parts = [(x[0][:, g + rest * j], x[1][:, g + rest * j]) for j in range(radix)]
        for j, part in enumerate(_butterfly(parts)):
            root = table[:, j * g * (length // size)]
            turned = _times(part, (root[0], root[1])) if j * g else part
            result[0][:, j * rest + g], result[1][:, j * rest + g] = turned
    # Number j of each butterfly goes on in a transform of its own, whose bin b is bin j + radix b.
    ends = (np.empty_like(x[0]), np.empty_like(x[0]))
    for j in range(radix):
        span = slice(j * rest, (j + 1) * rest)
        inner = _transform((result[0][:, span], result[1][:, span]), table)
        ends[0][:, j::radix], ends[1][:, j::radix] = inner
    return ends


def _spectrum(z: Complex, table: Floats) -> Complex:
    """The transform of (N, numbers): of columns, then of rows."""
    numbers, length = z[0].shape[1], table.shape[1]
    rows = next(n for n in range(1, numbers + 1) if numbers % n == 0 and n >= numbers // n)
    columns = numbers // rows
    # Axes N, row, column; then N, column, row.
    first = _transform((z[0].reshape(-1, rows, columns), z[1].reshape(-1, rows, columns)), table)
    turned = (first[0].transpose(0, 2, 1).copy(), first[1].transpose(0, 2, 1).copy())
    for column in range(1, columns):
        for row in range(1, rows):
            at = column * row * (length // numbers)
            product = _times((turned[0][:, column, row], turned[1][:, column, row]), table[:, at])
            turned[0][:, column, row], turned[1][:, column, row] = product
    last = _transform(turned, table)
    return last[0].reshape(-1, numbers), last[1].reshape(-1, numbers)


def rfft(node: Rfft, call: Call) -> Result:
    """Even lengths by a transform of half as many numbers."""
    x = call.sources[0][call.at]
    table: Array = stored(node.tensors()[Role.TABLE])
    length, bins = node.length, node.length // 2 + 1
    samples = np.zeros((len(x), length), np.float32)
    samples[:, : x.shape[1]] = x
    if length % 2:
        real, imaginary = _spectrum((samples, np.zeros_like(samples)), table)
        real, imaginary, scale = real[:, :bins], imaginary[:, :bins], np.float32(1)
    else:
        a = _spectrum((samples[:, ::2], samples[:, 1::2]), table)
        a = (np.c_[a[0], a[0][:, 0]], np.c_[a[1], a[1][:, 0]])
        b = (a[0][:, ::-1], a[1][:, ::-1])
        odd = (a[1] + b[1], b[0] - a[0])
        turned = _times(odd, (table[0, :bins], table[1, :bins]))
        real, imaginary = (a[0] + b[0]) + turned[0], (a[1] - b[1]) + turned[1]
        scale = HALF
    if node.spectrum is Spectrum.COMPLEX:
        return call.spread(flush(scale * np.concatenate([real, imaginary], axis=1))), ()
    power = real * real + imaginary * imaginary
    if node.spectrum is Spectrum.MAGNITUDE:
        return call.spread(flush(scale * np.sqrt(power))), ()
    return call.spread(flush((scale * scale) * power)), ()


def irfft(node: Irfft, call: Call) -> Result:
    """The transform of numbers whose parts have changed places."""
    x = call.sources[0][call.at]
    table: Array = stored(node.tensors()[Role.TABLE])
    length, bins = node.length, node.length // 2 + 1
    zero = np.float32(0)
    real, imaginary = x[:, :bins], x[:, bins:].copy()
    imaginary[:, 0] = 0
    samples = np.empty((len(x), length), np.float32)
    if length % 2:
        z = np.c_[imaginary, zero - imaginary[:, :0:-1]], np.c_[real, real[:, :0:-1]]
        samples[:] = _spectrum(z, table)[1]
    else:
        imaginary[:, -1] = 0
        a = (real[:, :-1], imaginary[:, :-1])
        b = (real[:, :0:-1], imaginary[:, :0:-1])
        odd = (a[0] - b[0], zero - (a[1] + b[1]))
        turned = _times(odd, (table[0, : bins - 1], table[1, : bins - 1]))
        z = (a[1] - b[1]) + turned[0], (a[0] + b[0]) + turned[1]
        samples[:, 1::2], samples[:, ::2] = _spectrum(z, table)
    return call.spread(flush(samples * (np.float32(1) / np.float32(length)))), ()


def overlap_add(node: OverlapAdd, call: Call) -> Result:
    """The sums that earlier frames have left, plus each frame's products."""
    (x,) = call.sources
    hop, overlap = node.hop, x.shape[2] - node.hop
    start = call.states[0]
    last = np.zeros((len(x), overlap), np.float32) if start is None else start.copy()
    rows = []
    for row in range(len(x)):
        for frame in x[row, call.at[row]]:
            total = flush(frame * stored(node.weight))
            total[:overlap] = flush(last[row] + total[:overlap])
            rows.append(total[:hop])
            last[row] = total[hop:]
    return call.spread(np.array(rows, np.float32).reshape(-1, hop)), (last,)


def filterbank(node: Filterbank, call: Call) -> Result:
    """One chain a band, from +0, no product of it fused."""
    x = call.sources[0][call.at]
    weight = stored(node.weight)
    result = np.zeros((len(x), len(node.index)), np.float32)
    at = 0
    for row, (first, count) in enumerate(node.index):
        for k in range(count):
            result[:, row] = result[:, row] + weight[at + k] * x[:, first + k]
        at += count
    return call.spread(flush(result)), ()
