# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch over all features of a frame: norms, softmax, gates."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.torch.ops.products import constant_of
from grucore.converters.torch.walk.walk import Arguments, Walk, number, op
from grucore.converters.trace.axes import Unfit
from grucore.converters.trace.ops.norms import channelwise, gated, group_norm, layer_norm, softmax
from grucore.converters.trace.ops.views import axis_of

__all__: list[str] = []


def _is_native(walk: Walk) -> bool:
    """True if it gives mean and deviation as well."""
    return walk.node is not None and "native" in walk.node.op


@op("layer_norm.default", "native_layer_norm.default")
def _layer_norm(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["input"])
    shape = tuple(a["normalized_shape"])
    axes = range(x.rank - len(shape), x.rank)
    if any(not x.is_features(axis) for axis in axes) or walk.shape(x)[axes.start :] != shape:
        raise Unfit(f"it normalizes {list(shape)} of {x.text}, expected features of a frame")
    scale, shift = a.get("weight"), a.get("bias")
    result = layer_norm(
        walk,
        x,
        axes,
        None if scale is None else number(constant_of(scale, "weight")),
        None if shift is None else number(constant_of(shift, "bias")),
        a.get("eps", 1e-5),
    )
    return (result, None, None) if _is_native(walk) else result


@op("group_norm.default", "instance_norm.default")
def _group_norm(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["input"])
    if not a.get("use_input_stats", True):
        return _batch_norm(walk, a)
    if not a.has("num_groups"):
        walk.shortest = max(walk.shortest, 2)  # torch refuses the deviation of one frame
    channels = walk.shape(x)[1]
    scale, shift = a.get("weight"), a.get("bias")
    return group_norm(
        walk,
        x,
        a.get("num_groups", channels),
        np.ones(channels) if scale is None else constant_of(scale, "weight"),
        np.zeros(channels) if shift is None else constant_of(shift, "bias"),
        a.get("eps", 1e-5),
    )


@op(
    *("batch_norm.default", "_native_batch_norm_legit_no_training.default"),
    *("native_batch_norm.default", "_batch_norm_no_update.default"),
)
def _batch_norm(walk: Walk, a: Arguments) -> Any:
    if a.get("training", a.get("train", False)):
        raise Unfit("it normalizes by the batch itself: call eval() before the export")
    mean, variance = a.get("running_mean"), a.get("running_var")
    if mean is None or variance is None:
        raise Unfit("it has no running mean and variance")
    mean, variance = constant_of(mean, "mean"), constant_of(variance, "variance")
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + float(a.get("eps", 1e-5)))
    weight, bias = a.get("weight"), a.get("bias")
    if weight is not None:
        scale = scale * constant_of(weight, "weight")
    shift = -mean.astype(np.float64) * scale
    if bias is not None:
        shift = shift + constant_of(bias, "bias")
    result = channelwise(walk, walk.data(a["input"]), scale, shift)
    return (result, None, None) if _is_native(walk) else result


@op("softmax.int", "_softmax.default", "log_softmax.int", "_log_softmax.default")
def _softmax(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["self"])
    logarithm = walk.node is not None and "log" in walk.node.op
    return softmax(walk, x, [axis_of(a["dim"], x.rank)], logarithm=logarithm)


@op("glu.default")
def _glu(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["self"])
    return gated(walk, x, axis_of(a.get("dim", -1), x.rank))
