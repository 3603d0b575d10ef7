# SPDX-License-Identifier: Apache-2.0
"""Layers written from the textbook, one number at a time: they share no code with grucore."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

__all__ = [
    "FUNCTIONS",
    "OPERATIONS",
    "attention",
    "conv1d",
    "dft",
    "gru",
    "layer_norm",
    "lstm",
    "normal",
    "pool1d",
    "rnn",
    "sigmoid",
    "softmax",
    "window",
]

Frames = list[list[float]]
Function = Callable[[float], float]


def sigmoid(x: float) -> float:
    """By the hyperbolic tangent, which does not overflow."""
    return 0.5 * (1 + math.tanh(x / 2))


def _clip(x: float, least: float, most: float) -> float:
    return least if x < least else most if x > most else x


def normal(x: float) -> float:
    """The part of a normal distribution below x."""
    return math.erfc(-x / math.sqrt(2)) / 2


# By the names of docs/format.md: x, alpha, beta.
FUNCTIONS = {
    "linear": lambda x, a, b: x,
    "sigmoid": lambda x, a, b: sigmoid(x),
    "tanh": lambda x, a, b: math.tanh(x),
    "relu": lambda x, a, b: max(x, 0.0),
    "leaky_relu": lambda x, a, b: a * x if x < 0 else x,
    "elu": lambda x, a, b: a * math.expm1(x) if x < 0 else x,
    "hard_sigmoid": lambda x, a, b: _clip(a * x + b, 0, 1),
    "softsign": lambda x, a, b: x / (1 + abs(x)),
    "softplus": lambda x, a, b: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    "gelu": lambda x, a, b: x * normal(x),
    "gelu_tanh": lambda x, a, b: (
        x / (1 + math.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    ),
    "silu": lambda x, a, b: x / (1 + math.exp(-x)),
    "hard_swish": lambda x, a, b: x * _clip(x + 3, 0, 6) / 6,
    "clip": lambda x, a, b: _clip(x, a, b),
    "exp": lambda x, a, b: math.exp(x),
    "log": lambda x, a, b: b * math.log2(max(x, a)) / math.log2(math.e),
    "log1p": lambda x, a, b: b * math.log1p(max(x, a)),
}


# The function of two numbers, or of two arrays of them.
OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "maximum": lambda a, b: (a + b + abs(a - b)) / 2,
    "minimum": lambda a, b: (a + b - abs(a - b)) / 2,
}


def conv1d(
    frames: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    *,
    dilation: int,
    stride: int,
    groups: int,
    before: int,
    after: int,
) -> np.ndarray:
    """``frames`` (T, in), ``weight`` (out, taps, in / groups): a polynomial product per pair."""
    outputs, taps, inner = weight.shape
    padded = np.pad(frames.astype(np.float64), ((before, after), (0, 0)))
    reach = dilation * (taps - 1)
    columns = []
    for output in range(outputs):
        first = output // (outputs // groups) * inner
        total = np.zeros(max(0, len(padded) - reach))
        for channel in range(inner):
            kernel = np.zeros(reach + 1)
            kernel[::dilation] = weight[output, :, channel]
            if len(total):
                total += np.convolve(padded[:, first + channel], kernel[::-1], "valid")
        columns.append((total + float(bias[output]))[::stride])
    return np.stack(columns, axis=1)


def pool1d(frames: np.ndarray, taps: int, stride: int, maximum: bool) -> np.ndarray:
    """``frames`` (T, features): of each whole window the largest, or a difference of totals."""
    if maximum:
        starts = range(0, len(frames) - taps + 1, stride)
        windows = [zip(*frames[start : start + taps], strict=True) for start in starts]
        rows = [[max(column) for column in window] for window in windows]
        return np.array(rows, float).reshape(-1, frames.shape[1])
    totals = np.vstack([np.zeros(frames.shape[1]), np.cumsum(frames.astype(np.float64), axis=0)])
    return (totals[taps:] - totals[: max(0, len(totals) - taps)])[::stride] / taps


def window(
    frames: np.ndarray, weight: np.ndarray, delay: int, lost: int, emphasis: float
) -> np.ndarray:
    """Each frame of samples: those of the window that ends ``delay`` samples before its end."""
    hop = frames.shape[1]
    samples = [0.0] * (len(weight) + delay + 1) + list(frames.reshape(-1))
    start = len(weight) + delay + 1
    rows = []
    for frame in range(lost, len(frames)):
        end = start + (frame + 1) * hop - delay
        places = range(end - len(weight), end)
        heard = [samples[n] - emphasis * samples[n - 1] for n in places]
        rows.append([x * float(w) for x, w in zip(heard, weight, strict=True)])
    return np.array(rows, float).reshape(len(rows), len(weight))


def overlap_add(frames: np.ndarray, weight: np.ndarray, hop: int) -> np.ndarray:
    """Each sample is the sum of all frames that lie over it."""
    samples = [0.0] * (hop * len(frames) + len(weight))
    for frame, numbers in enumerate(frames):
        for n, (x, w) in enumerate(zip(numbers, weight, strict=True)):
            samples[frame * hop + n] += float(x) * float(w)
    return np.array(samples[: hop * len(frames)], float).reshape(len(frames), hop)


def _circle(turns: np.ndarray) -> np.ndarray:
    """The points of the unit circle, each coordinate rounded to 32 bits."""
    parts = (part(2 * np.pi * turns).astype(np.float32).astype(float) for part in (np.cos, np.sin))
    cosine, sine = (np.where(abs(part) < 1e-9, 0, part) for part in parts)
    return cosine + 1j * sine


def inverse_dft(x: np.ndarray, length: int) -> np.ndarray:
    """The samples of each row's bins: of the whole spectrum, by its definition."""
    bins = length // 2 + 1
    spectrum = np.zeros((*x.shape[:-1], length), complex)
    spectrum[..., :bins] = x[..., :bins] + 1j * x[..., bins:]
    for k in range(bins):
        mirrored = spectrum[..., k].conj()
        if k in (0, length - k):
            mirrored = spectrum[..., k].real
        spectrum[..., -k % length] = mirrored
    turns = np.outer(np.arange(length), np.arange(length)) % length / length
    return (spectrum @ _circle(turns)).real / length


def dft(x: np.ndarray, length: int) -> np.ndarray:
    """The spectrum of each row by its definition, with cosines and sines of 32 bits."""
    turns = np.outer(np.arange(x.shape[-1]), np.arange(length // 2 + 1)) % length / length
    return x @ _circle(turns).conj()


def softmax(row: Sequence[float]) -> list[float]:
    """Exponentials over their sum."""
    terms = [math.exp(x - max(row)) for x in row]
    return [term / math.fsum(terms) for term in terms]


def layer_norm(
    row: Sequence[float], scale: Sequence[float], shift: Sequence[float], epsilon: float
) -> list[float]:
    """From the moments about zero: the variance is the mean square less the squared mean."""
    mean = math.fsum(row) / len(row)
    variance = math.fsum(x * x for x in row) / len(row) - mean * mean
    factor = 1 / math.sqrt(max(variance, 0) + epsilon)
    return [a * (x - mean) * factor + b for x, a, b in zip(row, scale, shift, strict=True)]


def _dot(row: Sequence[float], x: Sequence[float]) -> float:
    return math.fsum(float(a) * float(b) for a, b in zip(row, x, strict=True))


def gru(
    frames: Sequence[Sequence[float]],
    weight_ih: np.ndarray,
    weight_hh: np.ndarray,
    bias: np.ndarray,
    *,
    reset_after: bool,
    gate: Function,
    candidate: Function,
    h: Sequence[float],
    mask: Sequence[float] | None = None,
) -> tuple[Frames, list[float]]:
    """The state after each frame, None where it is masked; rows are r, then z, then n."""
    size = len(h)
    h = [float(value) for value in h]
    states: Frames = []
    for t, x in enumerate(frames):
        if mask is not None and not mask[t]:
            states.append(list(h))
            continue
        given = [_dot(weight_ih[i], x) + float(bias[i]) for i in range(3 * size)]
        r = [gate(given[i] + _dot(weight_hh[i], h)) for i in range(size)]
        z = [gate(given[size + i] + _dot(weight_hh[size + i], h)) for i in range(size)]
        reset = [r[i] * h[i] for i in range(size)]
        n = []
        for i in range(2 * size, 3 * size):
            if reset_after:
                inner = r[i - 2 * size] * (_dot(weight_hh[i], h) + float(bias[i + size]))
            else:
                inner = _dot(weight_hh[i], reset)
            n.append(candidate(given[i] + inner))
        h = [z[i] * h[i] + (1 - z[i]) * n[i] for i in range(size)]
        states.append(list(h))
    return states, h


def lstm(
    frames: Sequence[Sequence[float]],
    weight_ih: np.ndarray,
    weight_hh: np.ndarray,
    bias: np.ndarray,
    *,
    gate: Function,
    candidate: Function,
    output: Function,
    h: Sequence[float],
    c: Sequence[float],
    mask: Sequence[float] | None = None,
) -> tuple[Frames, list[float], list[float]]:
    """The state h after each frame, then h and c at the end; rows are i, then f, then g, then o."""
    size = len(h)
    h, c = [float(value) for value in h], [float(value) for value in c]
    states: Frames = []
    for t, x in enumerate(frames):
        if mask is None or mask[t]:
            sums = [
                _dot(weight_ih[row], x) + _dot(weight_hh[row], h) + float(bias[row])
                for row in range(4 * size)
            ]
            for unit in range(size):
                kept = gate(sums[size + unit]) * c[unit]
                c[unit] = kept + gate(sums[unit]) * candidate(sums[2 * size + unit])
            h = [gate(sums[3 * size + unit]) * output(c[unit]) for unit in range(size)]
        states.append(list(h))
    return states, h, c


def rnn(
    frames: Sequence[Sequence[float]],
    weight_ih: np.ndarray,
    weight_hh: np.ndarray,
    bias: np.ndarray,
    *,
    activation: Function,
    h: Sequence[float],
    mask: Sequence[float] | None = None,
) -> Frames:
    """The state after each frame."""
    h = [float(value) for value in h]
    states: Frames = []
    for t, x in enumerate(frames):
        if mask is None or mask[t]:
            rows = range(len(h))
            sums = [_dot(weight_ih[i], x) + _dot(weight_hh[i], h) + float(bias[i]) for i in rows]
            h = [activation(total) for total in sums]
        states.append(list(h))
    return states


def attention(
    queries: np.ndarray,
    memory: np.ndarray | None,
    keys: Sequence[np.ndarray] | None,
    heads: int,
    width: int,
    scale: float,
) -> np.ndarray:
    """(frames, heads * width). ``keys``: of additive attention the weight, the bias, the vector."""
    results = np.zeros((len(queries), heads * width))
    for frame, query in enumerate([] if memory is None else queries):
        for head, part in enumerate(np.split(query, heads)):
            if keys is None:
                scores = [_dot(part, row[: len(part)]) for row in memory]
            else:
                made = [
                    [_dot(w, row) + b for w, b in zip(*keys[:2], strict=True)] for row in memory
                ]
                sums = [[q + k for q, k in zip(part, key, strict=True)] for key in made]
                scores = [_dot(keys[2], [math.tanh(each) for each in key]) for key in sums]
            shares = softmax([scale * score for score in scores])
            for place in range(width):
                column = memory[:, memory.shape[1] - width + place]
                results[frame, head * width + place] = _dot(shares, column)
    return results
