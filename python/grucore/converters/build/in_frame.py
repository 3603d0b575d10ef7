# SPDX-License-Identifier: Apache-2.0
"""Convolutions over places that lie side by side in one frame: those of a cache and the new one."""

from __future__ import annotations

import numpy as np

from grucore.graph.tensors import Array

__all__ = ["MAX_PLACES", "windows_in_frame"]

MAX_PLACES = 64  # of a window in one frame


def windows_in_frame(
    index: Array,
    weight: Array,
    *,
    stride: int,
    dilation: int,
    groups: int,
    padding: tuple[int, int],
) -> list[tuple[Array, Array]]:
    """For each place of the window the features that it reads, and the matrix that they go into.

    ``index`` (channels, places) says where features stand; ``weight`` (out, in / groups, taps).
    Raises ValueError where they do not fit, or the window has more than `MAX_PLACES` places.
    """
    channels, places = index.shape
    _, inner, taps = weight.shape
    if channels != inner * groups:
        raise ValueError(f"{channels} channels for a weight of {inner} in {groups} groups")
    count = (places + sum(padding) - dilation * (taps - 1) - 1) // stride + 1
    if not 1 <= count <= MAX_PLACES:
        raise ValueError(f"a window of {count} places in one frame, expected 1 to {MAX_PLACES}")
    found = []
    for place in range(count):
        at = place * stride - padding[0] + dilation * np.arange(taps)
        inside = (at >= 0) & (at < places)
        found.append((index[:, at[inside]].reshape(-1), _whole(weight[:, :, inside], groups)))
    return found


def _whole(weight: Array, groups: int) -> Array:
    """The matrix (out, in x taps) of a weight in groups."""
    outputs, inner, taps = weight.shape
    rows = outputs // groups
    whole = np.zeros((outputs, groups, inner * taps), weight.dtype)
    for group in range(groups):
        part = slice(group * rows, (group + 1) * rows)
        whole[part, group] = weight[part].reshape(rows, inner * taps)
    return whole.reshape(outputs, groups * inner * taps)
