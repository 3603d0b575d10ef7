# SPDX-License-Identifier: Apache-2.0
"""Between the axes of a source and grucore's, for a witness: one sequence in, its outputs out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore._core import ConversionError
from grucore.converters.trace.axes import BATCH, FEATURES, Axes
from grucore.graph.tensors import Array

__all__ = ["inward", "outward"]


def inward(x: Array, axes: Axes, sizes: Sequence[int | str | None], batch: int) -> Array:
    """(frames, features), or (features,) of one frame, in the axes of a source; each row of the
    batch is the same. Where no axis is time, it has the first frame alone. ``sizes`` are those of
    the source, and count along features alone."""
    parts = [part for axis, size in zip(axes, sizes, strict=True) for part in axis.parts or (size,)]
    extents = [part for part in parts if isinstance(part, int)]
    has_time = "time" in parts
    one = x[:1] if x.ndim == 2 and not has_time else x
    array = one.reshape([*([len(x)] if has_time else []), *extents])
    free = iter(range(int(has_time), array.ndim))
    order = [0 if part == "time" else next(free) for part in parts if part != "batch"]
    array = array.transpose(order)
    if any(axis.hop for axis in axes):
        each = zip(axes, sizes, strict=True)
        shape = [s if a == FEATURES and isinstance(s, int) else -1 for a, s in each if a != BATCH]
        array = array.reshape(shape)
    if BATCH in axes:
        array = np.repeat(np.expand_dims(array, axes.index(BATCH)), batch, axes.index(BATCH))
    return np.ascontiguousarray(array)


def outward(
    raw: Array, axes: Axes, extents: Sequence[int], frames: int, batch: int | None
) -> Array:
    """An output of a source as (frames, features), or (features,), of its first row.

    ``extents`` are those of features along each axis, ``frames`` those that the output has.
    ``batch`` None: what is left. Axes of size 1 may be missing.
    """
    parts: list[str | int] = []
    for axis, extent in zip(axes, extents, strict=True):
        parts += axis.parts or (int(extent),)
    known = int(np.prod([frames if part == "time" else part for part in parts if part != "batch"]))  # type: ignore[arg-type]
    rows = raw.size // max(known, 1) if batch is None else batch
    sizes = [rows if p == "batch" else frames if p == "time" else int(p) for p in parts]
    if int(np.prod(sizes)) != raw.size or not raw.size:
        message = f"an output has shape {raw.shape} for {frames} frames"
        raise ConversionError(f"{message}: a limit on the frames cannot be converted")
    array = raw.reshape(sizes)
    if "batch" in parts:
        array = array.take(0, parts.index("batch"))
        parts.remove("batch")
    if "time" not in parts:
        return array.reshape(-1)
    return np.moveaxis(array, parts.index("time"), 0).reshape(frames, -1)
