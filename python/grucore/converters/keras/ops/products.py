# SPDX-License-Identifier: Apache-2.0
"""Keras's layers that multiply by weights: Dense and the convolutions over time."""

from __future__ import annotations

import numpy as np

from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.ops.activations import activate, fused
from grucore.converters.keras.ops.windows import check_channels_last, one, window_padding
from grucore.converters.keras.read.config import Layer
from grucore.graph.layers import Conv1d, Dense
from grucore.graph.tensors import Array

__all__ = ["conv1d", "dense", "separable_conv1d"]


def dense(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"units", "activation", "use_bias", "output_dim", "bias"})
    units = settings.get("units", settings.get("output_dim"))
    features = context.features(layer, flow)
    kernel = context.weight(layer, "kernel", (features, units))
    inner, after = fused(context, layer, settings.get("activation"))
    value = context.builder.add(
        Dense,
        layer.path,
        [flow.value],
        weight=kernel.T.astype(np.float64),
        bias=_bias(context, layer, units),
        activation=inner,
    )
    result = flow.of(value)
    return result if after is None else activate(context, layer, result, after)


def _bias(context: Context, layer: Layer, size: int) -> Array:
    if "bias" not in context.weights[layer]:
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
    settings = context.settings(layer, CONVOLUTION)
    check_channels_last(context, layer)
    groups, kernel = _kernel(context, layer, context.sequence(layer, flow))
    inner, after = fused(context, layer, settings.get("activation"))
    value = context.builder.add(
        Conv1d,
        layer.path,
        [flow.value],
        weight=kernel,
        bias=_bias(context, layer, len(kernel)),
        groups=groups,
        activation=inner,
        **_window(context, layer, flow),
    )
    result = Flow(value, (value.features,))  # Keras's convolutions forget masks
    return result if after is None else activate(context, layer, result, after)


def separable_conv1d(context: Context, layer: Layer, flow: Flow) -> Flow:
    """A convolution of each channel by itself, then a product over the channels."""
    settings = context.settings(layer, CONVOLUTION)
    check_channels_last(context, layer)
    features, filters = context.sequence(layer, flow), settings["filters"]
    depthwise = _depthwise(context, layer, "depthwise_kernel", features)
    inner, after = fused(context, layer, settings.get("activation"))
    filtered = context.builder.add(
        Conv1d,
        f"{layer.path}.depthwise",
        [flow.value],
        weight=depthwise,
        bias=np.zeros(len(depthwise)),
        groups=features,
        **_window(context, layer, flow),
    )
    pointwise = context.weight(layer, "pointwise_kernel", (1, len(depthwise), filters))
    value = context.builder.add(
        Dense,
        f"{layer.path}.pointwise",
        [filtered],
        weight=pointwise[0].T.astype(np.float64),
        bias=_bias(context, layer, filters),
        activation=inner,
    )
    result = Flow(value, (value.features,))
    return result if after is None else activate(context, layer, result, after)


def _taps(context: Context, layer: Layer) -> int:
    return one(context, layer, "kernel_size", "filter_length")


def _window(context: Context, layer: Layer, flow: Flow) -> dict[str, int]:
    """How the window of a convolution moves, and the zeros around the sequence."""
    stride = one(context, layer, "strides", "subsample_length", default=1)
    dilation = one(context, layer, "dilation_rate", default=1)
    reach = dilation * (_taps(context, layer) - 1)
    before, after = window_padding(context, layer, flow, reach, stride)
    return {"dilation": dilation, "stride": stride, "before": before, "after": after}


def _kernel(context: Context, layer: Layer, features: int) -> tuple[int, Array]:
    """Groups, and weights (channels out, taps, channels in / groups)."""
    settings = layer.settings
    if layer.kind == "DepthwiseConv1D":
        return features, _depthwise(context, layer, "kernel", features)
    if "nb_filter" in settings:
        raise context.refuse(layer, "nb_filter", "a convolution of Keras 2 or newer")
    filters, groups = settings["filters"], settings.get("groups", 1)
    kernel = context.weight(layer, "kernel", (_taps(context, layer), features // groups, filters))
    return groups, kernel.transpose(2, 0, 1).astype(np.float64)


def _depthwise(context: Context, layer: Layer, name: str, features: int) -> Array:
    """The kernel of a convolution by channel: (channels out, taps, 1)."""
    taps, multiplier = _taps(context, layer), layer.settings.get("depth_multiplier", 1)
    kernel = context.weight(layer, name, (taps, features, multiplier))
    return kernel.reshape(taps, -1).T[:, :, None].astype(np.float64)
