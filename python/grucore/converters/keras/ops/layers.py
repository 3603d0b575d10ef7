# SPDX-License-Identifier: Apache-2.0
"""Keras's layers without recurrence: one function for each kind, from a tensor to a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.build.powers import by_root_of_squares
from grucore.converters.keras.context import Context, Flow, reshaped
from grucore.converters.keras.ops.activations import activate, named, number, of_layer
from grucore.converters.keras.ops.products import conv1d, dense, separable_conv1d
from grucore.converters.keras.ops.windows import cropping, pool1d, zero_padding
from grucore.converters.keras.read.config import Layer
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Embedding,
    LayerNorm,
    Mask,
    Operation,
    Pool,
    Pooling,
    Select,
)
from grucore.graph.node import Node, Value, float32_bits
from grucore.graph.tensors import Array, Dtype

__all__ = ["LAYERS", "VANISHING", "apply_activation_layer"]

UNIT_EPSILON = 1e-30  # in place of Keras's bound of 1e12 on 1 / |x|
# Layers that do nothing at inference: Keras class -> attributes that say how they train.
VANISHING: dict[str, set[str]] = {
    "Dropout": {"rate", "noise_shape", "p"},
    "SpatialDropout1D": {"rate", "noise_shape", "p"},
    "AlphaDropout": {"rate", "noise_shape", "p"},
    "GaussianDropout": {"rate", "p"},
    "GaussianNoise": {"stddev", "sigma"},
    "ActivityRegularization": {"l1", "l2"},
    "Identity": set(),
}


def embedding(context: Context, layer: Layer, flow: Flow) -> Flow:
    known = {"input_dim", "output_dim", "mask_zero", "input_length", "dropout"}
    settings = context.settings(layer, known)
    rows, width = settings["input_dim"], settings["output_dim"]
    table = context.weight(layer, "embeddings", (rows, width)).astype(np.float32)
    if flow.value.dtype is not Dtype.INT32:
        raise ConversionError(f"{layer} reads numbers, expected the ids of an input")
    mask = None
    if settings.get("mask_zero"):
        mask = context.builder.add(Mask, f"{layer.path}.mask", [flow.value], bits=0)
    value = context.builder.add(Embedding, layer.path, [flow.value], table=table)
    if flow.dims not in ((), (1,)):
        raise ConversionError(f"{layer} reads {flow.dims} ids for each frame, expected one")
    return Flow(value, (value.features,), mask)


def masking(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"mask_value"})
    features = context.sequence(layer, flow)
    skipped = number(settings.get("mask_value", 0.0))
    name = layer.path
    bits = float32_bits(skipped)
    mask = context.builder.add(Mask, f"{name}.mask", [flow.value], bits=bits)
    if skipped == 0:
        return replace(flow, mask=mask)
    # A masked frame becomes zeros: what a layer sees that forgets the mask.
    table = np.repeat(np.array([[0], [1]], np.float32), features, axis=1)
    factor = context.builder.add(Embedding, f"{name}.factor", [mask], table=table)
    zeroed = context.builder.add(Binary, name, [flow.value, factor], operation=Operation.MULTIPLY)
    return Flow(zeroed, flow.dims, mask)


def batch_normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(
        layer,
        {
            *("axis", "momentum", "epsilon", "center", "scale", "synchronized", "fused", "mode"),
            *("virtual_batch_size", "renorm", "renorm_clipping", "renorm_momentum"),
        },
    )
    if settings.get("mode"):
        raise context.refuse(layer, "mode", "0")
    size = _feature_axis(context, layer, flow, settings.get("axis", -1))
    arrays = {
        name: context.weight(layer, name, (size,)).astype(np.float64)
        for name in context.weights[layer]
    }
    scale = arrays.get("gamma", 1.0) / np.sqrt(
        arrays["moving_variance"] + number(settings.get("epsilon", 1e-3))
    )
    shift = arrays.get("beta", 0.0) - arrays["moving_mean"] * scale
    return _affine(context, layer, flow, scale, shift)


def _feature_axis(context: Context, layer: Layer, flow: Flow, axis: Any) -> int:
    context.axis(layer, flow, axis)
    return context.features(layer, flow)


def _affine(context: Context, layer: Layer, flow: Flow, scale: Any, shift: Any) -> Flow:
    size = flow.value.features
    value = context.builder.add(
        Affine,
        layer.path,
        [flow.value],
        scale=np.broadcast_to(np.asarray(scale, np.float64), (size,)),
        shift=np.broadcast_to(np.asarray(shift, np.float64), (size,)),
    )
    return flow.of(value, flow.dims)


def layer_normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    known = {"axis", "epsilon", "center", "scale", "rms_scaling"}
    settings = context.settings(layer, known)
    if settings.get("rms_scaling"):
        raise context.refuse(layer, "rms_scaling", "False")
    size = _feature_axis(context, layer, flow, settings.get("axis", -1))
    arrays = {
        name: context.weight(layer, name, (size,)).astype(np.float32)
        for name in context.weights[layer]
    }
    value = context.builder.add(
        LayerNorm,
        layer.path,
        [flow.value],
        scale=arrays.get("gamma", np.ones(size, np.float32)),
        shift=arrays.get("beta", np.zeros(size, np.float32)),
        epsilon=number(settings.get("epsilon", 1e-3)),
    )
    return flow.of(value)


def normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"axis", "mean", "variance"})
    axis = settings.get("axis", -1)
    axes = [] if axis is None else axis if isinstance(axis, list | tuple) else [axis]
    context.check_numbers(layer, flow)
    kept = {context.axis(layer, flow, each) for each in axes}
    shape = [extent if place in kept else 1 for place, extent in enumerate(flow.dims)]
    found = context.weights.get(layer)
    arrays = []
    for name in ("mean", "variance"):
        array = np.asarray(settings[name] if found is None else found[name], np.float64)
        if array.size not in (1, math.prod(shape)):
            expected = f"{math.prod(shape)} numbers, one for each place of its axes {axes}"
            raise ConversionError(
                f"{layer} has {name} of {array.size} numbers, expected {expected}"
            )
        array = array.reshape(shape if array.size > 1 else [1] * len(shape))
        arrays.append(np.broadcast_to(array, flow.dims).reshape(-1))
    mean, variance = arrays
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    return _affine(context, layer, flow, 1.0 / deviation, -mean / deviation)


def unit_normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    """x / |x|; of a frame of zeros zeros."""
    settings = context.settings(layer, {"axis"})
    size = _feature_axis(context, layer, flow, settings.get("axis", -1))
    return _by_root_of_squares(context, layer, flow, np.full(size, size**-0.5), UNIT_EPSILON)


def rms_normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    """x / sqrt(mean(x^2) + epsilon), times a scale."""
    settings = context.settings(layer, {"axis", "epsilon"})
    size = _feature_axis(context, layer, flow, settings.get("axis", -1))
    scale = context.weight(layer, "scale", (size,)).astype(np.float64)
    return _by_root_of_squares(context, layer, flow, scale, number(settings.get("epsilon", 1e-6)))


def _by_root_of_squares(
    context: Context, layer: Layer, flow: Flow, scale: Array, epsilon: float
) -> Flow:
    def add(kind: type[Node], inputs: Sequence[Value], *, name: str, **given: Any) -> Value:
        return context.builder.add(kind, name, inputs, **given)

    half = by_root_of_squares(add, layer.path, flow.value, scale, epsilon)
    return flow.of(half, flow.dims)


def rescaling(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"scale", "offset"})
    if not all(isinstance(settings.get(name, 0.0), int | float) for name in ("scale", "offset")):
        raise context.refuse(layer, "scale", "one number")
    return _affine(context, layer, flow, number(settings["scale"]), number(settings.get("offset")))


def activation(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"activation"})
    return activate(context, layer, flow, named(context, layer, settings.get("activation")))


def apply_activation_layer(context: Context, layer: Layer, flow: Flow) -> Flow:
    for part in of_layer(context, layer) or []:
        flow = activate(context, layer, flow, part)
    return flow


def softmax(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"axis"})
    _feature_axis(context, layer, flow, settings.get("axis", -1))
    if flow.mask is not None:
        raise ConversionError(f"{layer} reads a mask, with which it leaves features out")
    return activate(context, layer, flow, "softmax")


def prelu(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"shared_axes"})
    features = context.features(layer, flow)
    alpha = context.weights[layer]["alpha"]
    if alpha.size not in (1, features) or alpha.shape[-1] != alpha.size:
        shape = f"{layer} has an alpha of shape {alpha.shape}"
        hint = f", expected (1, {features}): shared_axes=[1] shares it over time"
        raise ConversionError(shape + hint)
    if flow.in_time and not context.framewise and not settings.get("shared_axes"):
        raise context.refuse(layer, "shared_axes", "[1], as the slope of each frame differs")
    slope = np.broadcast_to(alpha.reshape(-1), (features,)).astype(np.float32)
    value = context.builder.add(
        Activate, layer.path, [flow.value], activation=Activation.leaky_relu(0.0), slope=slope
    )
    return flow.of(value)


def flatten(context: Context, layer: Layer, flow: Flow) -> Flow:
    context.settings(layer, {"data_format"})
    if flow.in_time and not context.framewise:
        raise ConversionError(
            f"{layer} joins all frames of a sequence into one row, whose weights fit one length "
            "only: take the last frame, or pool over time"
        )
    return reshaped(layer, flow, (math.prod(flow.dims),)).unmasked()


def reshape(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"target_shape"})
    target = list(settings["target_shape"])
    if flow.in_time and not context.framewise:
        if len(target) < 2 or math.prod(target[1:]) != flow.value.features or -1 in target[1:]:
            raise context.refuse(layer, "target_shape", "one that keeps the axis of time")
        return reshaped(layer, flow, tuple(target[1:])).unmasked()
    if -1 in target:
        known = -math.prod(target)
        target[target.index(-1)] = flow.value.features // known if known > 0 else 0
    return reshaped(layer, flow, tuple(target)).unmasked()


def permute(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"dims"})
    order = list(settings["dims"])
    first = 2 if flow.in_time and not context.framewise else 1
    if first == 2 and order[:1] != [1]:
        raise context.refuse(layer, "dims", "1 first, as time stays where it is")
    places = [entry - first for entry in order[first - 1 :]]
    if sorted(places) != list(range(len(flow.dims))):
        raise context.refuse(layer, "dims", f"an order of {len(flow.dims)} axes")
    index = np.arange(flow.value.features, dtype=np.int32).reshape(flow.dims).transpose(places)
    value = context.builder.add(Select, layer.path, [flow.value], index=index.reshape(-1))
    return flow.of(value, index.shape).unmasked()


def pool(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"data_format", "keepdims"})
    if settings.get("data_format") not in (None, "channels_last"):
        raise context.refuse(layer, "data_format", "channels_last")
    if settings.get("keepdims"):
        raise context.refuse(layer, "keepdims", "False")
    context.sequence(layer, flow)
    mean = layer.kind.startswith("GlobalAverage")
    masks: list[Value] = [flow.mask] if mean and flow.mask is not None else []
    value = context.builder.add(
        Pool,
        layer.path,
        [flow.value, *masks],
        pooling=Pooling.MEAN if mean else Pooling.MAXIMUM,
    )
    return flow.of(value).unmasked()


LAYERS: dict[str, Callable[[Context, Layer, Flow], Flow]] = {
    "Dense": dense,
    "TimeDistributedDense": dense,
    "Embedding": embedding,
    "Masking": masking,
    "Conv1D": conv1d,
    "Convolution1D": conv1d,
    "DepthwiseConv1D": conv1d,
    "SeparableConv1D": separable_conv1d,
    "SeparableConvolution1D": separable_conv1d,
    "ZeroPadding1D": zero_padding,
    "Cropping1D": cropping,
    "MaxPooling1D": pool1d,
    "AveragePooling1D": pool1d,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "Normalization": normalization,
    "UnitNormalization": unit_normalization,
    "RMSNormalization": rms_normalization,
    "Rescaling": rescaling,
    "Activation": activation,
    "ReLU": apply_activation_layer,
    "LeakyReLU": apply_activation_layer,
    "ELU": apply_activation_layer,
    "Softmax": softmax,
    "PReLU": prelu,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "GlobalAveragePooling1D": pool,
    "GlobalMaxPooling1D": pool,
    "GlobalMaxPool1D": pool,
    "GlobalAvgPool1D": pool,
}
