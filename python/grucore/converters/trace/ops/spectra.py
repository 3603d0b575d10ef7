# SPDX-License-Identifier: Apache-2.0
"""Sound: samples in frames, spectra of frames, and sums of squares that are a power."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from grucore.converters.trace.axes import (
    FEATURES,
    TIME,
    Data,
    Unfit,
    WrongAxes,
    arrange,
)
from grucore.converters.trace.spectra import Spectra
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import (
    Affine,
    Binary,
    Filterbank,
    Operation,
    Rfft,
    Select,
    Spectrum,
    Window,
    is_fast,
)
from grucore.graph.node import Node, Value
from grucore.graph.tensors import Array

__all__ = [
    "banded",
    "check_mode",
    "framed",
    "imaginary",
    "magnitude",
    "multiplied",
    "parts",
    "real",
    "short_time",
    "summed",
    "transformed",
]

MOST_FULL = 0.5  # of a matrix that is one of bands
NORMS: dict[str, Callable[[int], float]] = {
    "backward": lambda length: 1.0,
    "ortho": lambda length: length**-0.5,
    "forward": lambda length: 1.0 / length,
}


def framed(trace: Trace, x: Data, axis: int, size: int, step: int) -> Data:
    """Frames of ``size`` samples, each ``step`` after the one before: time, and a last axis."""
    hop = x.axes[axis].hop
    if not hop:
        raise WrongAxes(
            f"cuts {x.text} into frames along axis {axis}, expected samples: whole hops of {step}"
        )
    if step != hop:
        raise Unfit(f"has frames each {step} samples in a model with hops of {hop}")
    if x.index.size != hop:
        raise Unfit(f"cuts {x.text} into frames, expected one channel")
    if x.padding != (0, 0) or x.tail:
        raise Unfit(padding_text(x))
    before, after = x.silence
    lost = (size - before - 1) // hop
    if lost < 0 or before < 0:
        raise Unfit(f"pads frames of {size} samples by {before} and {after}: some have no sample")
    delay = (lost + 1) * hop - (size - before)
    value = trace.add(
        Window,
        [trace.picked(x.value, x.index)],
        "window",
        weight=np.ones(size),
        delay=delay,
        lost=lost,
    )
    trace.shortest = max(trace.shortest, value.skip + 1)
    axes = (*(TIME if place == axis else each for place, each in enumerate(x.axes)), FEATURES)
    index = arrange([*(1 for _ in x.axes), size])
    tail = lost + 1 + (before + after - size) // hop
    if tail < 0:
        raise Unfit(f"cuts {-after} samples off before frames of {size}")
    if tail:
        trace.reaches_beyond(tail)
    return replace(x, axes=axes, index=index, value=value, silence=(0, 0), tail=tail)


def check_mode(x: Data, mode: str) -> None:
    """Raise `Unfit` for a padding of samples by what they are at both ends."""
    if mode != "constant" and any(axis.hop for axis in x.axes):
        raise Unfit(
            f"it pads samples at both ends as {mode!r}, and the end of a stream is not known "
            "before it comes: convert with center=False (of a transform, spectrogram.center = "
            "False), whose frames are the same but for those at the ends"
        )


def transformed(
    trace: Trace, x: Data, axis: int, length: int | None = None, norm: str | None = None
) -> Spectra:
    """The bins 0 to ``length // 2`` of a transform along an axis of features."""
    if not x.is_features(axis) or x.index.size != x.index.shape[axis]:
        raise Unfit(f"transforms axis {axis} of {x.text}, expected the features of a frame")
    have = x.index.shape[axis]
    length = have if length is None else length
    if norm is not None and norm not in NORMS:
        raise Unfit(f"norm is {norm!r}, expected one of {', '.join(NORMS)}")
    if length < 2 or not is_fast(length):
        raise Unfit(
            f"a transform of {length} numbers, expected a product of 2, 3 and 5: "
            "zeros after a frame (n_fft above win_length) make it one"
        )
    if not replace(x, tail=0).is_plain:
        raise Unfit(padding_text(x))
    value = trace.picked(x.value, x.index.reshape(-1)[:length])
    factor = NORMS[norm or "backward"](length)
    if factor != 1:
        value = _times(trace, value, np.full(value.features, factor))
    shape = list(x.index.shape)
    shape[axis] = length // 2 + 1
    return Spectra(x.axes, arrange(shape), value, length, trace.name(), x.tail)


def short_time(
    trace: Trace, x: Data, axis: int, length: int, hop: int, window: Array, *, scale: float = 1.0
) -> Spectra:
    """The spectra of windows (at most ``length``,), in the middle of so many samples: time where
    the samples were, bins along a last axis."""
    frames = framed(trace, x, axis, length, hop)
    before = (length - len(window)) // 2
    weight = np.pad(window.astype(np.float64) * scale, (before, length - len(window) - before))
    return transformed(trace, replace(frames, value=_times(trace, frames.value, weight)), -1)


def _times(trace: Trace, value: Value, factors: Array) -> Value:
    return trace.add(Affine, [value], "window", scale=factors, shift=np.zeros(value.features))


def multiplied(trace: Trace, x: Spectra, factor: float) -> Spectra:
    """The spectra of frames that are multiplied by a number."""
    return replace(x, value=_times(trace, x.value, np.full(x.value.features, factor)))


def magnitude(trace: Trace, x: Spectra) -> Data:
    """The magnitude of each bin."""
    return _data(x, x.index, _spectrum(trace, x, Spectrum.MAGNITUDE))


def real(trace: Trace, x: Spectra) -> Data:
    """The real part of each bin."""
    return _data(x, x.index, _spectrum(trace, x, Spectrum.COMPLEX))


def imaginary(trace: Trace, x: Spectra) -> Data:
    """The imaginary part of each bin."""
    return _data(x, x.index + x.length // 2 + 1, _spectrum(trace, x, Spectrum.COMPLEX))


def parts(trace: Trace, x: Spectra) -> Data:
    """The real and the imaginary part of each bin, along a last axis."""
    one, other = real(trace, x), imaginary(trace, x)
    return one.moved((*x.axes, FEATURES), np.stack([one.index, other.index], -1))


def _data(x: Spectra, index: Array, value: Value) -> Data:
    return Data(x.axes, index, value, tail=x.tail)


def _spectrum(trace: Trace, x: Spectra, spectrum: Spectrum) -> Value:
    return trace.add(
        Rfft,
        [x.value],
        called=f"{x.label}.{spectrum.name.lower()}",
        length=x.length,
        spectrum=spectrum,
    )


def squared(trace: Trace, value: Value) -> Value | None:
    """The powers of a spectrum of magnitudes; None: it is none."""
    node = _writer(trace, value.name)
    if not isinstance(node, Rfft) or node.spectrum is not Spectrum.MAGNITUDE:
        return None
    return _as(trace, node, Spectrum.POWER)


def rooted(trace: Trace, value: Value) -> Value | None:
    """The magnitudes of a spectrum of powers; None: it is none."""
    node = _writer(trace, value.name)
    index = node.index if isinstance(node, Select) else None
    if isinstance(node, Select):
        node = _writer(trace, node.inputs[0])
    if not isinstance(node, Rfft) or node.spectrum is not Spectrum.POWER:
        return None
    found = _as(trace, node, Spectrum.MAGNITUDE)
    return found if index is None else trace.picked(found, index)


def summed(trace: Trace, values: list[Value]) -> Value:
    """The sum of two values: of squares of real and imaginary parts the power of a spectrum."""
    one, other = (_squares(trace, value.name) for value in values)
    if one is not None and other is not None and one[0] is other[0]:
        node, bins = one[0], one[0].length // 2 + 1
        least = np.minimum(one[1], other[1])
        if np.array_equal(np.maximum(one[1], other[1]), least + bins) and (least < bins).all():
            return trace.picked(_as(trace, node, Spectrum.POWER), least)
    return trace.add(Binary, values, operation=Operation.ADD)


def _as(trace: Trace, node: Rfft, spectrum: Spectrum) -> Value:
    """Another number of each bin of a transform."""
    source = next(value for value in trace.builder.values if value.name == node.inputs[0])
    called = f"{node.name.rpartition('.')[0]}.{spectrum.name.lower()}"
    return trace.add(Rfft, [source], called=called, length=node.length, spectrum=spectrum)


_Parts: TypeAlias = "tuple[Rfft, Array] | None"


def _squares(trace: Trace, name: str) -> _Parts:
    """The parts of a spectrum that these are the squares of."""
    node = _writer(trace, name)
    if isinstance(node, Select):
        return _picked(_squares(trace, node.inputs[0]), node.index)
    is_square = (
        isinstance(node, Binary)
        and node.operation is Operation.MULTIPLY
        and node.inputs[0] == node.inputs[1]
    )
    return _of_spectrum(trace, node.inputs[0]) if is_square and node is not None else None


def _of_spectrum(trace: Trace, name: str) -> _Parts:
    node = _writer(trace, name)
    if isinstance(node, Select):
        return _picked(_of_spectrum(trace, node.inputs[0]), node.index)
    if not isinstance(node, Rfft) or node.spectrum is not Spectrum.COMPLEX:
        return None
    return node, np.arange(2 * (node.length // 2 + 1))


def _picked(found: _Parts, index: Array) -> _Parts:
    return None if found is None else (found[0], found[1][index])


def _writer(trace: Trace, name: str) -> Node | None:
    return next((node for node in reversed(trace.builder.nodes) if node.output == name), None)


def banded(trace: Trace, value: Value, matrix: Array) -> Value | None:
    """A spectrum times a matrix (bins, bands) most of whose numbers are zero; None: it is none."""
    filled = [np.flatnonzero(column) for column in matrix.T]
    widths = [places[-1] + 1 - places[0] for places in filled if len(places)]
    if not 0 < sum(widths) <= MOST_FULL * matrix.size or not _is_spectrum(trace, value):
        return None
    bank = Filterbank.of_matrix(matrix.T, name="", inputs=(), output="")
    return trace.add(Filterbank, [value], weight=bank.weight, index=bank.index)


def _is_spectrum(trace: Trace, value: Value) -> bool:
    """True if a value is made of a spectrum bin by bin."""
    node = _writer(trace, value.name)
    while isinstance(node, Select | Affine) or (
        isinstance(node, Binary) and node.inputs[0] == node.inputs[1]
    ):
        node = _writer(trace, node.inputs[0])
    return isinstance(node, Rfft)
