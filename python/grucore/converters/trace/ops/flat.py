# SPDX-License-Identifier: Apache-2.0
"""All frames of a sequence of known length as one row of features."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from grucore.converters.trace.axes import FEATURES, TIME, Data, Unfit, arrange
from grucore.converters.trace.trace import Trace, padding_text
from grucore.graph.layers import Position, Take, Window
from grucore.graph.node import MAX_FEATURES

__all__ = ["flat"]


def flat(trace: Trace, x: Data) -> Data:
    """The tensor with features alone where its last axis has frames and features, if the source
    has sequences of one length only."""
    parts = x.axes[-1].parts if x.rank else ()
    words = [part for part in parts if isinstance(part, str)]
    if words != [TIME.parts[0]] or len(parts) < 2 or trace.frames is None:
        return x
    if not x.is_plain:
        raise Unfit(padding_text(x))
    count, width = x.value.count(trace.frames), x.value.features
    if count * width > MAX_FEATURES:
        raise Unfit(f"{count} frames of {width} features in one row: too many")
    # A window over all frames: its newest numbers, the oldest frame first.
    ones = np.ones(count * width, np.float32)
    window = trace.add(Window, [x.value], "frames", weight=ones, lost=count - 1)
    value = trace.add(Take, [window], "flat", position=Position.LAST)
    apart = [part if isinstance(part, int) else 1 for part in parts]
    time = x.rank - 1 + parts.index(TIME.parts[0])
    index = x.index.reshape(*x.index.shape[:-1], *apart)
    starts = arrange([count]) * width
    index = index + starts.reshape([count if at == time else 1 for at in range(index.ndim)])
    index = index.reshape(*x.index.shape[:-1], prod(apart) * count)
    axes = (*x.axes[:-1], FEATURES)
    trace.bound = True
    return replace(x, axes=axes, index=index, value=value)
