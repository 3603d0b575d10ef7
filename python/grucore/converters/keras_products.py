# SPDX-License-Identifier: Apache-2.0
"""Keras's layers that multiply by weights: Dense, Conv1D and DepthwiseConv1D."""

from __future__ import annotations

import numpy as np

from grucore.converters.keras_activations import activate, fused
from grucore.converters.keras_config import Layer
from grucore.converters.keras_flow import Context, Flow
from grucore.layers import Conv1d, Dense
from grucore.node import Array

__all__ = ["conv1d", "dense"]


def dense(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(
        layer, {"units", "activation", "use_bias", "output_dim", "bias", "lora_rank"}
    )
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


def conv1d(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(
        layer,
        {
            "filters",
            "kernel_size",
            "strides",
            "padding",
            "data_format",
            "dilation_rate",
            "groups",
            "activation",
            "use_bias",
            "rank",
            "depth_multiplier",
            "nb_filter",
            "filter_length",
            "subsample_length",
            "subsample",
            "border_mode",
            "bias",
        },
    )
    features = context.sequence(layer, flow)
    if settings.get("data_format") not in (None, "channels_last"):
        raise context.refuse(layer, "data_format", "channels_last")
    taps = _one(context, layer, "kernel_size", "filter_length")
    stride = _one(context, layer, "strides", "subsample_length", default=1)
    dilation = _one(context, layer, "dilation_rate", default=1)
    groups, kernel = _kernel(context, layer, features, taps)
    before, after = _padding(context, layer, taps, dilation, stride)
    inner, then = fused(context, layer, settings.get("activation"))
    value = context.builder.add(
        Conv1d,
        layer.path,
        [flow.value],
        weight=kernel,
        bias=_bias(context, layer, len(kernel)),
        dilation=dilation,
        stride=stride,
        groups=groups,
        before=before,
        after=after,
        activation=inner,
    )
    result = flow.of(value).unmasked()  # Keras's convolutions forget masks
    return result if then is None else activate(context, layer, result, then)


def _kernel(context: Context, layer: Layer, features: int, taps: int) -> tuple[int, Array]:
    """Groups, and weights (channels out, taps, channels in / groups)."""
    settings = layer.settings
    if layer.kind == "DepthwiseConv1D":
        multiplier = settings.get("depth_multiplier", 1)
        kernel = context.weight(layer, "kernel", (taps, features, multiplier))
        return features, kernel.reshape(taps, -1).T[:, :, None].astype(np.float64)
    filters = settings.get("filters", settings.get("nb_filter"))
    groups = settings.get("groups", 1)
    if "nb_filter" in settings:
        raise context.refuse(layer, "nb_filter", "a convolution of Keras 2 or newer")
    kernel = context.weight(layer, "kernel", (taps, features // groups, filters))
    return groups, kernel.transpose(2, 0, 1).astype(np.float64)


def _padding(
    context: Context, layer: Layer, taps: int, dilation: int, stride: int
) -> tuple[int, int]:
    """Frames of zeros before and after."""
    reach = dilation * (taps - 1)
    match layer.settings.get("padding", "valid"):
        case "valid":
            return 0, 0
        case "causal":
            return reach, 0
        case "same":
            if stride > 1 and reach > 0:
                # Keras pads for the length of the sequence at hand: with another length, the
                # window stands elsewhere.
                raise context.refuse(layer, "strides", "1 with padding='same'")
            return reach // 2, reach - reach // 2
        case _:
            raise context.refuse(layer, "padding", "valid, same or causal")


def _one(context: Context, layer: Layer, *names: str, default: int | None = None) -> int:
    for name in names:
        found = layer.settings.get(name)
        if isinstance(found, list | tuple) and len(found) == 1:
            found = found[0]
        if isinstance(found, int) and found >= 1:
            return found
        if found is not None:
            raise context.refuse(layer, name, "one number")
    if default is None:
        raise context.refuse(layer, names[0], "a number")
    return default
