# SPDX-License-Identifier: Apache-2.0
"""Keras's layers that multiply by weights: Dense and the convolutions over time."""

from __future__ import annotations

import numpy as np

from grucore._core import ConversionError
from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.ops.activations import activate, named
from grucore.converters.keras.ops.windows import (
    bands_of,
    check_channels_last,
    one,
    two_of,
    window_of,
    window_over_bands,
)
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Operand, Unfit
from grucore.converters.trace.ops.elementwise import arithmetic
from grucore.converters.trace.ops.flat import flat
from grucore.converters.trace.ops.products import times
from grucore.converters.trace.ops.reduce import einsum
from grucore.converters.trace.ops.views import transposed
from grucore.converters.trace.ops.windows import convolved, convolved_in_frame
from grucore.graph.tensors import Array

__all__ = ["conv1d", "conv2d", "dense", "einsum_dense", "separable_conv1d"]


def dense(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"units", "activation", "use_bias", "output_dim", "bias"})
    units = settings.get("units", settings.get("output_dim"))
    x = flat(context, context.numbers(flow))
    if not x.rank or not x.is_features(-1):
        raise Unfit(f"reads {x.text}, expected features last")
    kernel = context.weight(layer, "kernel", (x.index.shape[-1], units)).astype(np.float64)
    result = times(context, x, kernel, _bias(context, layer, units))
    return flow.of(
        activate(context, layer, result, named(context, layer, settings.get("activation")))
    )


def einsum_dense(context: Context, layer: Layer, flow: Flow) -> Flow:
    """A product by an equation, plus a bias along some axes."""
    known = {"equation", "output_shape", "activation", "bias_axes"}
    settings, arrays = context.settings(layer, known), context.variables[layer]
    operands: list[Operand] = [context.numbers(flow), arrays["kernel"].astype(np.float64)]
    result = einsum(context, settings["equation"], operands)
    if "bias" in arrays:
        result = arithmetic(context, result, arrays["bias"].astype(np.float64), "add")
    found = named(context, layer, settings.get("activation"))
    return flow.of(activate(context, layer, result, found))


def _bias(context: Context, layer: Layer, size: int) -> Array:
    if "bias" not in context.variables[layer]:
        return np.zeros(size)
    return context.weight(layer, "bias", (size,)).astype(np.float64)


CONVOLUTION = {
    *("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups"),
    *("activation", "use_bias", "rank", "depth_multiplier"),
    # Keras 1.
    *("nb_filter", "filter_length", "subsample_length", "subsample", "border_mode", "bias"),
}


def conv1d(context: Context, layer: Layer, flow: Flow) -> Flow:
    """Conv1D and DepthwiseConv1D."""
    context.settings(layer, CONVOLUTION)
    check_channels_last(context, layer)
    x = context.numbers(flow)
    groups, kernel = _kernel(context, layer, _channels(x))
    bias = _bias(context, layer, len(kernel))
    return _activated(context, layer, _convolved(context, layer, x, kernel, bias, groups))


def conv2d(context: Context, layer: Layer, flow: Flow) -> Flow:
    """A convolution over time and bands: (batch, time, bands, channels)."""
    context.settings(layer, CONVOLUTION)
    check_channels_last(context, layer)
    x, settings = bands_of(context, flow), layer.settings
    taps = two_of(context, layer, "kernel_size", None)
    groups, filters = settings.get("groups", 1), settings["filters"]
    if not isinstance(groups, int) or groups < 1 or x.index.shape[3] % groups:
        raise context.refuse(layer, "groups", "a part of the channels")
    shape = (*taps, x.index.shape[3] // groups, filters)
    kernel = context.weight(layer, "kernel", shape).astype(np.float64).transpose(3, 2, 0, 1)
    window = window_over_bands(
        context,
        layer,
        x,
        taps,
        two_of(context, layer, "strides", 1),
        two_of(context, layer, "dilation_rate", 1),
    )
    turned = context.data(transposed(x, (0, 3, 1, 2)))
    bias = _bias(context, layer, filters)
    found = convolved(context, turned, kernel, bias, window, groups)
    return _activated(context, layer, context.data(transposed(found, (0, 2, 3, 1))))


def separable_conv1d(context: Context, layer: Layer, flow: Flow) -> Flow:
    """A convolution of each channel by itself, then a product over the channels."""
    settings = context.settings(layer, CONVOLUTION)
    check_channels_last(context, layer)
    x, filters = context.numbers(flow), settings["filters"]
    features = _channels(x)
    depthwise = _depthwise(context, layer, "depthwise_kernel", features)
    context.label = f"{layer.path}.depthwise"
    filtered = _convolved(context, layer, x, depthwise, None, features)
    context.label = f"{layer.path}.pointwise"
    shape = (1, len(depthwise), filters)
    pointwise = context.weight(layer, "pointwise_kernel", shape)[0].astype(np.float64)
    result = times(context, filtered, pointwise, _bias(context, layer, filters))
    context.label = layer.path
    return _activated(context, layer, result)


def _channels(x: Data) -> int:
    if x.rank != 3 or not x.is_features(2):
        raise Unfit(f"reads {x.text}, expected (batch, time, features)")
    return int(x.index.shape[2])


def _activated(context: Context, layer: Layer, x: Data) -> Flow:
    found = named(context, layer, layer.settings.get("activation"))
    return Flow(activate(context, layer, x, found))  # Keras's convolutions forget masks


def _convolved(
    context: Context, layer: Layer, x: Data, kernel: Array, bias: Array | None, groups: int
) -> Data:
    """A convolution along axis 1: over time, or over places in one frame."""
    stride = one(context, layer, "strides", "subsample_length", default=1)
    dilation = one(context, layer, "dilation_rate", default=1)
    window = window_of(context, layer, x, _taps(context, layer), stride, dilation)
    weight = kernel.transpose(0, 2, 1)
    made = convolved_in_frame if x.is_features(1) else convolved
    turned = context.data(transposed(x, (0, 2, 1)))
    return context.data(transposed(made(context, turned, weight, bias, window, groups), (0, 2, 1)))


def _taps(context: Context, layer: Layer) -> int:
    return one(context, layer, "kernel_size", "filter_length")


def _kernel(context: Context, layer: Layer, features: int) -> tuple[int, Array]:
    """Groups, and weights (channels out, taps, channels in / groups)."""
    settings = layer.settings
    if layer.kind == "DepthwiseConv1D":
        return features, _depthwise(context, layer, "kernel", features)
    if "nb_filter" in settings:
        raise context.refuse(layer, "nb_filter", "a convolution of Keras 2 or newer")
    filters, groups = settings["filters"], settings.get("groups", 1)
    if not isinstance(groups, int) or groups < 1 or filters % groups:
        raise ConversionError(f"{layer} has {groups} groups of {filters} filters")
    kernel = context.weight(layer, "kernel", (_taps(context, layer), features // groups, filters))
    return groups, kernel.transpose(2, 0, 1).astype(np.float64)


def _depthwise(context: Context, layer: Layer, name: str, features: int) -> Array:
    """The kernel of a convolution by channel: (channels out, taps, 1)."""
    taps, multiplier = _taps(context, layer), layer.settings.get("depth_multiplier", 1)
    kernel = context.weight(layer, name, (taps, features, multiplier))
    return kernel.reshape(taps, -1).T[:, :, None].astype(np.float64)
