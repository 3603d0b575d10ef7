# SPDX-License-Identifier: Apache-2.0
"""Convolutions over the frames of a cache that is a state, and the new one."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.build.in_frame import windows_in_frame
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Data
from grucore.converters.onnx.state.context import Work
from grucore.graph.layers import Concat, Dense
from grucore.graph.tensors import Array

__all__ = ["conv_in_frame"]


def conv_in_frame(
    work: Work, node: OnnxNode, data: Data, weight: Array, bias: Array, **settings: Any
) -> Data:
    """``weight`` (out, in / groups, taps) over the last axis of X (batch, in, places)."""
    index = data.index.reshape(data.index.shape[1:])
    try:
        windows = windows_in_frame(index, weight, **settings)
    except ValueError as problem:
        raise node.refuse(str(problem)) from None
    base, outputs, count = node.name or "conv", len(weight), len(windows)
    parts = []
    for place, (window, product) in enumerate(windows):
        name = f"{base}.{place}" if count > 1 else base
        source = work.picked(data.value, window, name)
        parts.append(work.builder.add(Dense, name, [source], weight=product, bias=bias))
    value = parts[0] if count == 1 else work.builder.add(Concat, f"{base}.all", parts)
    order = np.arange(value.features).reshape(count, outputs).T
    return Data(data.axes, order[None], value)
