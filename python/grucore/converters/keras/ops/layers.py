# SPDX-License-Identifier: Apache-2.0
"""Keras's layers without recurrence: one function for each kind, from a tensor to a tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.ops.activations import activate, named, number, of_layer
from grucore.converters.keras.ops.products import (
    conv1d,
    conv2d,
    dense,
    einsum_dense,
    separable_conv1d,
)
from grucore.converters.keras.ops.sound import stft_spectrogram
from grucore.converters.keras.ops.windows import (
    check_channels_last,
    cropping,
    pool1d,
    pool2d,
    zero_padding,
)
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import TIME, Tracked, Undecided, Unfit
from grucore.converters.trace.ops.elementwise import affine, prelu
from grucore.converters.trace.ops.norms import group_norm, layer_norm, softmax
from grucore.converters.trace.ops.powers import rms_norm
from grucore.converters.trace.ops.products import embedded
from grucore.converters.trace.ops.reduce import reduced
from grucore.converters.trace.ops.views import expanded, transposed, unsqueezed, viewed
from grucore.converters.trace.sizes import Size
from grucore.graph.layers import Binary, Embedding, Mask, Operation, Pool, Pooling
from grucore.graph.node import float32_bits
from grucore.graph.tensors import Array

__all__ = ["LAYERS", "VANISHING", "mean_of_unmasked", "reshaped_to"]

UNIT_EPSILON = 1e-30  # in place of Keras's bound of 1e12 on 1 / |x|
# Layers that do nothing at inference: Keras class -> attributes that say how they train.
VANISHING: dict[str, set[str]] = {
    "Dropout": {"rate", "noise_shape", "p"},
    "SpatialDropout1D": {"rate", "noise_shape", "p"},
    "SpatialDropout2D": {"rate", "noise_shape"},
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
    ids = context.data(flow.tensor)
    if ids.index.size != 1:
        raise Unfit(f"reads {ids.text}, expected one id for each frame")
    found = embedded(context, ids, table)
    mask = None
    if settings.get("mask_zero"):
        mask = context.add(Mask, [ids.value], "mask", bits=0)
    return Flow(found, mask)


def masking(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"mask_value"})
    x, skipped = context.sequence(flow), number(settings.get("mask_value", 0.0))
    value = context.ordered(x)
    mask = context.add(Mask, [value], "mask", bits=float32_bits(skipped))
    if skipped == 0:
        return replace(flow, mask=mask)
    # A masked frame becomes zeros: what a layer sees that forgets the mask.
    table = np.repeat(np.array([[0], [1]], np.float32), value.features, axis=1)
    factor = context.add(Embedding, [mask], "factor", table=table)
    zeroed = context.add(Binary, [value, factor], operation=Operation.MULTIPLY)
    return Flow(context.fresh(x, zeroed), mask)


def _wide(x: Tracked, axes: list[int], array: Array) -> Array:
    """Numbers for each place of some axes, as one for each feature in C order."""
    shape = [size if place in axes else 1 for place, size in enumerate(x.index.shape)]
    if array.size not in (1, int(np.prod(shape))):
        raise Unfit(f"has {array.size} numbers, expected one for each of {int(np.prod(shape))}")
    array = array.astype(np.float64).reshape(shape if array.size > 1 else [1] * len(shape))
    return np.broadcast_to(array, x.index.shape).reshape(-1)


def _weights(context: Context, layer: Layer, x: Tracked, axes: list[int]) -> dict[str, Array]:
    """The weights of a norm, with a number for each feature."""
    return {name: _wide(x, axes, array) for name, array in context.variables.get(layer, {}).items()}


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
    x = context.numbers(flow)
    axes = context.feature_axes(layer, x, settings.get("axis", -1))
    arrays = _weights(context, layer, x, axes)
    epsilon = number(settings.get("epsilon", 1e-3))
    scale = arrays.get("gamma", 1.0) / np.sqrt(arrays["moving_variance"] + epsilon)
    shift = arrays.get("beta", 0.0) - arrays["moving_mean"] * scale
    return flow.of(affine(context, x, scale, shift))


def layer_normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"axis", "epsilon", "center", "scale", "rms_scaling"})
    if settings.get("rms_scaling"):
        raise context.refuse(layer, "rms_scaling", "False")
    x = context.numbers(flow)
    axes = context.feature_axes(layer, x, settings.get("axis", -1))
    arrays = {
        name: each.astype(np.float32).reshape(x.index.shape)
        for name, each in _weights(context, layer, x, axes).items()
    }
    epsilon = number(settings.get("epsilon", 1e-3))
    gamma, beta = arrays.get("gamma"), arrays.get("beta")
    return flow.of(layer_norm(context, x, axes, gamma, beta, epsilon))


def group_normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"groups", "axis", "epsilon", "center", "scale"})
    x = context.numbers(flow)
    (axis,) = context.feature_axes(layer, x, settings.get("axis", -1))
    channels = x.index.shape[axis]
    groups = settings.get("groups", 32)
    groups = channels if groups == -1 else groups
    arrays = context.variables.get(layer, {})
    order = [0, axis, *(place for place in range(1, x.rank) if place != axis)]
    result = group_norm(
        context,
        context.data(transposed(x, order)),
        groups,
        arrays.get("gamma", np.ones(channels)).astype(np.float64),
        arrays.get("beta", np.zeros(channels)).astype(np.float64),
        number(settings.get("epsilon", 1e-3)),
    )
    return flow.of(transposed(result, np.argsort(order).tolist()))


def normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"axis", "mean", "variance", "invert"})
    x, axis = context.numbers(flow), settings.get("axis", -1)
    axes = [] if axis is None else context.feature_axes(layer, x, axis)
    found = context.variables.get(layer)
    given = settings if found is None else found
    mean, variance = (
        _wide(x, axes, np.asarray(given[name], np.float64)) for name in ("mean", "variance")
    )
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    if settings.get("invert"):
        return flow.of(affine(context, x, deviation, mean))
    return flow.of(affine(context, x, 1.0 / deviation, -mean / deviation))


def unit_normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    """x / |x|; of a frame of zeros zeros."""
    settings, x = context.settings(layer, {"axis"}), context.numbers(flow)
    axes = context.feature_axes(layer, x, settings.get("axis", -1))
    scale = np.full(x.index.size, x.index.size**-0.5)
    return flow.of(rms_norm(context, x, axes, scale, UNIT_EPSILON))


def rms_normalization(context: Context, layer: Layer, flow: Flow) -> Flow:
    """x / sqrt(mean(x^2) + epsilon), times a scale."""
    settings, x = context.settings(layer, {"axis", "epsilon"}), context.numbers(flow)
    axes = context.feature_axes(layer, x, settings.get("axis", -1))
    scale = _weights(context, layer, x, axes)["scale"]
    return flow.of(rms_norm(context, x, axes, scale, number(settings.get("epsilon", 1e-6))))


def rescaling(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"scale", "offset"})
    x = context.numbers(flow)
    scale, offset = (
        _wide(x, context.feature_axes(layer, x, -1), np.asarray(settings.get(name, 0.0)))
        for name in ("scale", "offset")
    )
    return flow.of(affine(context, x, scale, offset))


def activation(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"activation"})
    found = named(context, layer, settings.get("activation"))
    return flow.of(activate(context, layer, context.numbers(flow), found))


def activation_layer(context: Context, layer: Layer, flow: Flow) -> Flow:
    x = context.numbers(flow)
    for part in of_layer(context, layer) or []:
        x = activate(context, layer, x, part)
    return flow.of(x)


def softmax_layer(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"axis"})
    x = context.numbers(flow)
    axes = context.axes(layer, x, settings.get("axis", -1))
    if flow.mask is not None:
        raise Unfit("reads a mask, with which it leaves features out")
    return flow.of(softmax(context, x, axes, logarithm=False))


def prelu_layer(context: Context, layer: Layer, flow: Flow) -> Flow:
    context.settings(layer, {"shared_axes"})
    alpha = context.variables[layer]["alpha"]
    return flow.of(prelu(context, context.numbers(flow), alpha))


def flatten(context: Context, layer: Layer, flow: Flow) -> Flow:
    context.settings(layer, {"data_format"})
    x = flow.tensor
    if TIME in x.axes and context.frames is None:
        raise Unfit(
            "joins all frames of a sequence into one row, whose weights fit one length "
            "only: take the last frame, pool over time, or give the Input its number of frames"
        )
    return Flow(reshaped_to(context, x, [context.size(x, 0), -1]))


def reshape(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"target_shape"})
    target = list(settings["target_shape"])
    return Flow(reshaped_to(context, flow.tensor, [context.size(flow.tensor, 0), *target]))


def reshaped_to(context: Context, x: Tracked, target: list[Size]) -> Tracked:
    """The tensor in another shape; where sizes of 1 leave axes open, time stays the second one."""
    try:
        found = viewed(context, x, target)
    except Undecided as open_axes:
        usual = [axes for axes in open_axes.options if axes[1:2] == x.axes[1:2]]
        choice = {context.result: (usual or list(open_axes.options))[0]}
        context.choices = {**context.choices, **choice}
        found = viewed(context, x, target)
    if any(axis == TIME and size != -1 for axis, size in zip(found.axes, target, strict=True)):
        context.notes["frames"] = context.frames  # which Keras can reshape alone
    return found


def permute(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"dims"})
    return Flow(transposed(flow.tensor, [0, *settings["dims"]]))


def repeat_vector(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"n"})
    if flow.tensor.rank != 2:
        raise Unfit(f"reads {flow.tensor.text}, expected one row of features")
    row, count = unsqueezed(flow.tensor, [1]), settings["n"]
    timed = (*row.axes[:1], TIME, *row.axes[2:])
    if count == context.frames:  # then the frames are meant, where features cannot be
        context.notes["frames"] = count
        context.choices = {**context.choices, context.result: timed}
    return Flow(expanded(context, row, [-1, count, -1]))


def pool(context: Context, layer: Layer, flow: Flow) -> Flow:
    settings = context.settings(layer, {"data_format", "keepdims"})
    check_channels_last(context, layer)
    x, mean = context.sequence(flow), layer.kind.startswith("GlobalAverage")
    keep = bool(settings.get("keepdims"))
    if mean and flow.mask is not None and TIME in x.axes:
        return Flow(mean_of_unmasked(context, flow, keep=keep))
    return Flow(reduced(context, x, [1], "mean" if mean else "max", keep=keep))


def mean_of_unmasked(context: Context, flow: Flow, *, keep: bool) -> Tracked:
    """The mean of the frames that are not masked."""
    x, mask = context.data(flow.tensor), flow.mask
    assert mask is not None
    value = context.add(Pool, [context.ordered(x), mask], pooling=Pooling.MEAN)
    index = np.arange(value.features).reshape(x.index.shape).squeeze(1)
    found = replace(x, axes=(x.axes[0], *x.axes[2:]), index=index, value=value)
    return unsqueezed(found, [1]) if keep else found


LAYERS: dict[str, Callable[[Context, Layer, Flow], Flow]] = {
    "Dense": dense,
    "TimeDistributedDense": dense,
    "EinsumDense": einsum_dense,
    "Embedding": embedding,
    "Masking": masking,
    "Conv1D": conv1d,
    "Convolution1D": conv1d,
    "DepthwiseConv1D": conv1d,
    "Conv2D": conv2d,
    "SeparableConv1D": separable_conv1d,
    "SeparableConvolution1D": separable_conv1d,
    "ZeroPadding1D": zero_padding,
    "Cropping1D": cropping,
    "MaxPooling1D": pool1d,
    "AveragePooling1D": pool1d,
    "MaxPooling2D": pool2d,
    "AveragePooling2D": pool2d,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "Normalization": normalization,
    "GroupNormalization": group_normalization,
    "UnitNormalization": unit_normalization,
    "RMSNormalization": rms_normalization,
    "Rescaling": rescaling,
    "Activation": activation,
    "ReLU": activation_layer,
    "LeakyReLU": activation_layer,
    "ELU": activation_layer,
    "Softmax": softmax_layer,
    "PReLU": prelu_layer,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "RepeatVector": repeat_vector,
    "GlobalAveragePooling1D": pool,
    "GlobalMaxPooling1D": pool,
    "GlobalMaxPool1D": pool,
    "GlobalAvgPool1D": pool,
    "STFTSpectrogram": stft_spectrogram,
}
