# SPDX-License-Identifier: Apache-2.0
"""PyTorch's activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grucore.converters.torch.walk.walk import Arguments, Walk, number, op
from grucore.converters.trace.axes import Tracked, Unfit
from grucore.converters.trace.ops.elementwise import (
    ABSOLUTE,
    activated,
    celu,
    clipped,
    log_sigmoid,
    mish,
    prelu,
    selu,
    soft_shrink,
    softplus,
    threshold,
)
from grucore.converters.trace.ops.spectra import magnitude
from grucore.converters.trace.spectra import Spectra
from grucore.graph.layers import Activation
from grucore.graph.tensors import Array

__all__: list[str] = []

INFINITE = math.inf


_PLAIN = {
    "relu": Activation.RELU,
    "sigmoid": Activation.SIGMOID,
    "tanh": Activation.TANH,
    "silu": Activation.SILU,
    "hardswish": Activation.HARD_SWISH,
    "hardsigmoid": Activation.hard_sigmoid(1 / 6, 0.5),
    "relu6": Activation.clip(0.0, 6.0),
    "exp": Activation.EXP,
}


@op(*(f"{name}{tail}.default" for name in _PLAIN for tail in ("", "_")))
def _plain(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    kind = _PLAIN[walk.node.op.split(".")[1].rstrip("_")]
    if isinstance(a["self"], Tracked):
        return activated(walk, a["self"], kind)
    return _on_constant(kind, a["self"])


def _on_constant(kind: Activation, array: Array) -> Array:
    return kind(array.astype(np.float64)).astype(np.float32)


@op("abs.default")
def _abs(walk: Walk, a: Arguments) -> Any:
    if isinstance(a["self"], Spectra):
        return magnitude(walk, a["self"])
    if isinstance(a["self"], Tracked):
        return activated(walk, a["self"], ABSOLUTE)
    return np.abs(a["self"])


@op("gelu.default")
def _gelu(walk: Walk, a: Arguments) -> Any:
    kinds = {"none": Activation.GELU, "tanh": Activation.GELU_TANH}
    return activated(walk, a["self"], kinds[a.get("approximate", "none")])


@op("leaky_relu.default", "leaky_relu_.default")
def _leaky_relu(walk: Walk, a: Arguments) -> Any:
    return activated(walk, a["self"], Activation.leaky_relu(a.get("negative_slope", 0.01)))


@op("elu.default", "elu_.default")
def _elu(walk: Walk, a: Arguments) -> Any:
    a.only(scale=1, input_scale=1)
    return activated(walk, a["self"], Activation.elu(a.get("alpha", 1.0)))


@op("celu.default", "celu_.default")
def _celu(walk: Walk, a: Arguments) -> Any:
    return celu(walk, a["self"], a.get("alpha", 1.0))


@op("selu.default", "selu_.default")
def _selu(walk: Walk, a: Arguments) -> Any:
    return selu(walk, a["self"])


@op("softplus.default")
def _softplus(walk: Walk, a: Arguments) -> Any:
    if a.get("threshold", 20) < 20:
        raise Unfit(f"threshold is {a['threshold']}, expected at least 20")
    if not isinstance(a["self"], Tracked) and a.get("beta", 1) == 1:
        return _on_constant(Activation.SOFTPLUS, a["self"])
    return softplus(walk, a["self"], a.get("beta", 1.0))


@op("softshrink.default")
def _soft_shrink(walk: Walk, a: Arguments) -> Any:
    return soft_shrink(walk, a["self"], a.get("lambd", 0.5))


@op("mish.default", "mish_.default")
def _mish(walk: Walk, a: Arguments) -> Any:
    return mish(walk, a["self"])


@op("threshold.default", "threshold_.default")
def _threshold(walk: Walk, a: Arguments) -> Any:
    return threshold(walk, a["self"], a["threshold"], a["value"])


@op("log_sigmoid.default")
def _log_sigmoid(walk: Walk, a: Arguments) -> Any:
    return log_sigmoid(walk, a["self"])


@op(
    *(f"{name}{tail}.default" for name in ("clamp", "clip", "hardtanh") for tail in ("", "_")),
    "clamp_min.default",
    "clamp_max.default",
)
def _clip(walk: Walk, a: Arguments) -> Any:
    hard = walk.node is not None and "hardtanh" in walk.node.op
    least = a.get("min_val", -1.0) if hard else a.get("min", -INFINITE)
    most = a.get("max_val", 1.0) if hard else a.get("max", INFINITE)
    if not isinstance(a["self"], Tracked):
        return np.clip(a["self"], least, most)
    return clipped(walk, a["self"], float(least), float(most))


@op("prelu.default", "_prelu_kernel.default")
def _prelu(walk: Walk, a: Arguments) -> Any:
    x, weight = walk.data(a["self"]), a["weight"]
    if not isinstance(weight, np.ndarray):
        raise Unfit("its slope is computed from the input")
    if weight.size > 1 and (x.rank < 2 or not x.is_features(1) or x.index.shape[1] != weight.size):
        raise Unfit(f"{weight.size} slopes, and axis 1 does not hold as many features")
    lead = weight.reshape(-1, *(1,) * max(x.rank - 2, 0))
    return prelu(walk, x, number(lead))
