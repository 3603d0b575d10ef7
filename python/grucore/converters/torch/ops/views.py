# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that only relabel: views, permutations, and those that change nothing."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grucore.converters.torch.walk.extents import Extent
from grucore.converters.torch.walk.walk import REGISTERED, Arguments, Walk, op
from grucore.converters.trace.axes import TIME, Tracked, Unfit, spread
from grucore.converters.trace.ops.views import (
    axis_of,
    expanded,
    squeezed,
    tiled,
    transposed,
    unsqueezed,
    viewed,
)

__all__ = ["PYTHON"]


@op(
    *("contiguous.default", "clone.default", "detach.default", "detach_.default"),
    "lift_fresh_copy.default",
)
def _same(walk: Walk, a: Arguments) -> Any:
    return a["self"]


@op("alias.default")
def _alias(walk: Walk, a: Arguments) -> Any:
    x = a["self"]
    if isinstance(x, Tracked) and x.has(TIME) and walk.frames is not None:
        # Torch writes this for a slice that happens to take everything.
        count = walk.extent("time", x)
        walk.doubt(f"a slice of all {count} frames may mean so many, or all there are")
    return x


@op("dropout.default", "feature_dropout.default", "alpha_dropout.default")
def _dropout(walk: Walk, a: Arguments) -> Any:
    if a.get("train", False) and a.get("p", 0.5) != 0:
        raise Unfit("it drops out: call eval() before the export")
    return a["input"]


@op("native_dropout.default")
def _native_dropout(walk: Walk, a: Arguments) -> Any:
    if a.get("train", False):
        raise Unfit("it drops out: call eval() before the export")
    return a["input"], None


@op("_assert_tensor_metadata.default", "_assert_scalar.default", "sym_constrain_range.default")
def _nothing(walk: Walk, a: Arguments) -> Any:
    return ()


@op("view.default", "reshape.default", "_unsafe_view.default", "_reshape_alias.default")
def _view(walk: Walk, a: Arguments) -> Any:
    return _viewed(walk, a["self"], list(a.first("size", "shape")))


def _viewed(walk: Walk, x: Any, shape: list[int]) -> Any:
    return viewed(walk, x, shape) if isinstance(x, Tracked) else x.reshape(shape)


@op("flatten.using_ints")
def _flatten(walk: Walk, a: Arguments) -> Any:
    shape = list(walk.shape(a["self"]))
    first = axis_of(a.get("start_dim", 0), len(shape))
    last = axis_of(a.get("end_dim", -1), len(shape))
    merged = int(np.prod(shape[first : last + 1]))
    return _viewed(walk, a["self"], [*shape[:first], merged, *shape[last + 1 :]])


@op("unflatten.int")
def _unflatten(walk: Walk, a: Arguments) -> Any:
    shape = list(walk.shape(a["self"]))
    axis = axis_of(a["dim"], len(shape))
    return _viewed(walk, a["self"], [*shape[:axis], *a["sizes"], *shape[axis + 1 :]])


@op("unsqueeze.default")
def _unsqueeze(walk: Walk, a: Arguments) -> Any:
    x = a["self"]
    return unsqueezed(x, [a["dim"]]) if isinstance(x, Tracked) else np.expand_dims(x, a["dim"])


@op("squeeze.dim", "squeeze.dims", "squeeze.default")
def _squeeze(walk: Walk, a: Arguments) -> Any:
    shape = walk.shape(a["self"])
    dims = a.get("dim")
    if dims is None:
        raise Unfit("squeeze without an axis depends on the sizes: name the axis")
    axes = [axis_of(dim, len(shape)) for dim in (dims if isinstance(dims, list) else [dims])]
    axes = [axis for axis in axes if shape[axis] == 1]
    if not isinstance(a["self"], Tracked):
        return a["self"].squeeze(tuple(axes))
    return squeezed(walk, a["self"], axes)


@op("permute.default")
def _permute(walk: Walk, a: Arguments) -> Any:
    return _permuted(a["self"], a["dims"])


def _permuted(x: Any, order: Sequence[int]) -> Any:
    return transposed(x, order) if isinstance(x, Tracked) else x.transpose(order)


@op(
    "transpose.int",
    "swapaxes.default",
    "swapdims.default",
    "t.default",
    "numpy_T.default",
    "mT.default",
)
def _transpose(walk: Walk, a: Arguments) -> Any:
    rank = len(walk.shape(a["self"]))
    if rank < 2:
        return a["self"]
    one = axis_of(a.get("dim0", a.get("axis0", -2)), rank)
    other = axis_of(a.get("dim1", a.get("axis1", -1)), rank)
    order = list(range(rank))
    order[one], order[other] = order[other], order[one]
    return _permuted(a["self"], order)


@op("movedim.int", "movedim.intlist", "moveaxis.int")
def _movedim(walk: Walk, a: Arguments) -> Any:
    rank = len(walk.shape(a["self"]))
    given = [a["source"], a["destination"]]
    sources, targets = (each if isinstance(each, list) else [each] for each in given)
    sources = [axis_of(axis, rank) for axis in sources]
    order = [axis for axis in range(rank) if axis not in sources]
    for target, source in sorted(
        (axis_of(t, rank), s) for t, s in zip(targets, sources, strict=True)
    ):
        order.insert(target, source)
    return _permuted(a["self"], order)


@op("expand.default", "expand_as.default")
def _expand(walk: Walk, a: Arguments) -> Any:
    size = list(a["size"]) if a.has("size") else list(walk.shape(a["other"]))
    if isinstance(a["self"], Tracked):
        return expanded(walk, a["self"], size)
    shape = a["self"].shape
    lead = len(size) - len(shape)
    size = [shape[axis - lead] if each == -1 else each for axis, each in enumerate(size)]
    return np.broadcast_to(a["self"], size)


@op("repeat.default", "tile.default")
def _repeat(walk: Walk, a: Arguments) -> Any:
    times = list(a.first("repeats", "dims"))
    x = spread(a["self"])
    found = tiled(walk, x, [1] * (x.rank - len(times)) + times)
    return found if isinstance(a["self"], Tracked) else found.index


# Python's own operations on sizes, and on what a call gives.
PYTHON: dict[str, Callable[[Any, Any], Any]] = {
    **{"getitem": operator.getitem, "mul": operator.mul, "add": operator.add},
    **{"sub": operator.sub, "floordiv": operator.floordiv},
}


def _python(name: str) -> Callable[[Walk, Arguments], Any]:
    def run(walk: Walk, a: Arguments) -> Any:
        one, other = a["0"], a["1"]
        if name != "getitem" and not (isinstance(one, int) and isinstance(other, int)):
            raise Unfit("it computes with something else than sizes")
        return PYTHON[name](one, other)

    return run


REGISTERED.update({f"python.{name}": _python(name) for name in PYTHON})


@op("sym_size.int")
def _size(walk: Walk, a: Arguments) -> Any:
    x, axis = a["self"], a["dim"]
    size = walk.shape(x)[axis]
    return size if not isinstance(x, Tracked) or x.is_features(axis) else Extent(size)
