# SPDX-License-Identifier: Apache-2.0
"""Convolutions over frames that lie side by side in one frame: those of a cache and the new one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.walk.axes import Flow, Unfit
from grucore.converters.torch.walk.walk import Walk, rounded
from grucore.graph.layers import Concat, Dense
from grucore.graph.tensors import Array

__all__ = ["conv_in_frame"]

MAX_PLACES = 64  # of a window in one frame


def conv_in_frame(
    walk: Walk,
    flow: Flow,
    weight: Array,
    bias: Any,
    *,
    stride: int,
    dilation: int,
    groups: int,
    padding: tuple[int, int],
) -> Flow:
    """``weight`` (out, in / groups, taps) over the last axis of a tensor (batch, in, places)."""
    outputs, inner, taps = weight.shape
    channels, places = flow.extent(1), flow.extent(2)
    if channels != inner * groups:
        raise Unfit(f"{channels} channels for a weight of {inner} in {groups} groups")
    index = flow.index.reshape(channels, places)
    count = (places + sum(padding) - dilation * (taps - 1) - 1) // stride + 1
    if not 1 <= count <= MAX_PLACES:
        raise Unfit(f"a window with {count} places in one frame, expected 1 to {MAX_PLACES}")
    shift = np.zeros(outputs) if bias is None else np.asarray(bias)
    parts = []
    for place in range(count):
        at = place * stride - padding[0] + dilation * np.arange(taps)
        inside = (at >= 0) & (at < places)
        product = _whole(weight[:, :, inside], groups)
        window = index[:, at[inside]]
        piece = replace(flow, axes=((window.size,),), index=window.reshape(-1))
        name = walk.name(str(place)) if count > 1 else walk.name()
        given = {"weight": rounded(product), "bias": rounded(shift)}
        parts.append(walk.add(Dense, [walk.ordered(piece)], name=name, **given))
    value = parts[0] if count == 1 else walk.add(Concat, parts, name=walk.name("all"))
    order = np.arange(value.features).reshape(count, outputs).T
    shaped = order[None] if flow.index.ndim == 3 else order
    return replace(flow, value=value, axes=(flow.axes[0], (outputs,), (count,)), index=shaped)


def _whole(weight: Array, groups: int) -> Array:
    """The matrix (out, in x taps) of a weight in groups."""
    outputs, inner, taps = weight.shape
    rows = outputs // groups
    whole = np.zeros((outputs, groups, inner * taps), weight.dtype)
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        whole[part, group] = weight[part].reshape(rows, inner * taps)
    return whole.reshape(outputs, groups * inner * taps)
