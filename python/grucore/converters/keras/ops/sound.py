# SPDX-License-Identifier: Apache-2.0
"""Sound in Keras: STFTSpectrogram, whose transform is its weights, and `keras.ops` for spectra."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.ops.windows import check_channels_last
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Unfit
from grucore.converters.trace.ops.elementwise import activated, affine, binary, clipped
from grucore.converters.trace.ops.joins import joined
from grucore.converters.trace.ops.powers import raised
from grucore.converters.trace.ops.products import times
from grucore.converters.trace.ops.spectra import framed, imaginary, real, short_time, transformed
from grucore.converters.trace.ops.views import squeezed, unsqueezed
from grucore.graph.layers import Activation, Operation
from grucore.graph.tensors import Array

__all__ = ["MIRRORING", "rfft", "stft", "stft_spectrogram"]

EPSILON = 1e-7  # keras.config.epsilon()
# Layers that pad a recording by what it has at both ends.
MIRRORING = {
    "MelSpectrogram": (
        "mirrors the samples at both ends of a recording, and the end of a stream is not known "
        "before it comes: convert the model without it, and put grucore.audio.like("
        "'keras.MelSpectrogram', ...) before it (model.with_front_end)"
    )
}
SETTINGS = {
    *("mode", "frame_length", "frame_step", "fft_length", "window", "periodic", "scaling"),
    *("padding", "expand_dims", "data_format"),
}


def stft_spectrogram(context: Context, layer: Layer, flow: Flow) -> Flow:
    """Frames times both kernels, which may have been trained; then what the mode says of them."""
    settings = context.settings(layer, SETTINGS)
    check_channels_last(context, layer)
    if settings.get("padding", "valid") != "valid":
        raise context.refuse(layer, "padding", "'valid': the other depends on the length")
    size = int(settings.get("frame_length", 256))
    step = int(settings.get("frame_step") or size // 2)
    length = int(settings.get("fft_length") or 2 ** math.ceil(math.log2(size)))
    x = context.numbers(flow)
    if x.rank != 3 or not x.is_features(2) or x.index.shape[2] != 1:
        raise Unfit(f"reads {x.text}, expected (batch, samples, 1)")
    frames = framed(context, context.data(squeezed(context, x, [2])), 1, size, step)

    def product(name: str) -> Data:
        shape = (size, 1, length // 2 + 1)
        kernel = context.weight(layer, name, shape).astype(np.float64)
        return times(context, frames, kernel[:, 0])

    found = _of_mode(context, layer, str(settings.get("mode", "log")), product)
    return Flow(unsqueezed(found, [found.rank]) if settings.get("expand_dims") else found)


def _of_mode(context: Context, layer: Layer, mode: str, product: Callable[[str], Data]) -> Data:
    if mode == "real":
        return product("real_kernel")
    if mode == "imag":
        return product("imag_kernel")
    if mode not in ("stft", "psd", "magnitude", "log"):
        raise context.refuse(layer, "mode", "real, imag, stft, psd, magnitude or log")
    one, other = product("real_kernel"), product("imag_kernel")
    if mode == "stft":
        return context.data(joined(context, [one, other], 2))
    real_squares, squares = raised(context, one, 2.0), raised(context, other, 2.0)
    power = binary(context, real_squares, squares, Operation.ADD)
    if mode == "psd":  # of both sides, but for the first bin and the last one
        factors = np.full(power.index.size, 2.0)
        factors[[0, -1]] = 1.0
        return affine(context, power, factors, np.zeros(power.index.size))
    if mode == "log":  # of the root
        return activated(context, power, Activation.log(EPSILON, 0.5))
    return raised(context, clipped(context, power, EPSILON, math.inf), 0.5)


def stft(context: Context, layer: Layer, x: Data) -> list[Data]:
    """Real and imaginary parts (batch, time, bins) of samples (batch, samples)."""
    settings = layer.settings
    if settings.get("center", True):
        raise context.refuse(
            layer, "center", "False: the end of a stream, which it mirrors, is not known before"
        )
    size, length = int(settings["sequence_length"]), int(settings["fft_length"])
    window = _window(context, layer, size)
    hop = int(settings["sequence_stride"])
    found = short_time(context, x, x.rank - 1, length, hop, window)
    return [real(context, found), imaginary(context, found)]


def _window(context: Context, layer: Layer, size: int) -> Array:
    window = layer.settings.get("window", "hann")
    angles = 2 * np.pi * np.arange(size) / size
    if window is None:
        return np.ones(size)
    if window == "hann":
        return np.asarray(0.5 - 0.5 * np.cos(angles))
    if window == "hamming":
        return np.asarray(0.54 - 0.46 * np.cos(angles))
    if isinstance(window, list | tuple | np.ndarray) and np.shape(window) == (size,):
        return np.asarray(window, np.float64)
    raise context.refuse(layer, "window", f"hann, hamming, or {size} numbers")


def rfft(context: Context, layer: Layer, x: Data) -> list[Data]:
    """Real and imaginary parts of the spectra of frames (batch, time, samples)."""
    length = layer.settings.get("fft_length")
    found = transformed(context, x, x.rank - 1, None if length is None else int(length))
    return [real(context, found), imaginary(context, found)]
