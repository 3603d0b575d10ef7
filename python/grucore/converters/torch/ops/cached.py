# SPDX-License-Identifier: Apache-2.0
"""Convolutions over the frames of a cache that is a state, and the new one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.build.in_frame import windows_in_frame
from grucore.converters.torch.walk.axes import Flow, Unfit
from grucore.converters.torch.walk.walk import Walk, rounded
from grucore.graph.layers import Concat, Dense
from grucore.graph.tensors import Array

__all__ = ["conv_in_frame"]


def conv_in_frame(walk: Walk, flow: Flow, weight: Array, bias: Any, **settings: Any) -> Flow:
    """``weight`` (out, in / groups, taps) over the last axis of a tensor (batch, in, places)."""
    index = flow.index.reshape(flow.extent(1), flow.extent(2))
    try:
        windows = windows_in_frame(index, weight, **settings)
    except ValueError as problem:
        raise Unfit(str(problem)) from None
    outputs, count = len(weight), len(windows)
    shift = rounded(np.zeros(outputs) if bias is None else np.asarray(bias))
    parts = []
    for place, (window, product) in enumerate(windows):
        piece = replace(flow, axes=((window.size,),), index=window)
        name = walk.name(str(place)) if count > 1 else walk.name()
        given = {"weight": rounded(product), "bias": shift}
        parts.append(walk.add(Dense, [walk.ordered(piece)], name=name, **given))
    value = parts[0] if count == 1 else walk.add(Concat, parts, name=walk.name("all"))
    order = np.arange(value.features).reshape(count, outputs).T
    shaped = order[None] if flow.index.ndim == 3 else order
    return replace(flow, value=value, axes=(flow.axes[0], (outputs,), (count,)), index=shaped)
