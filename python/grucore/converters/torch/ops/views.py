# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that only relabel: views, slices, permutations, pieces put side by side."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.walk.axes import TIME, Flow, Unfit, regroup
from grucore.converters.torch.walk.walk import REGISTERED, Arguments, Walk, op

__all__ = ["PYTHON", "axis_of", "shape_of", "without"]


def axis_of(number: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= number < max(rank, 1):
        raise Unfit(f"axis {number} of {rank}")
    return number % rank if rank else 0


def shape_of(walk: Walk, tensor: Any) -> tuple[int, ...]:
    """The shape of a tensor or constant."""
    return walk.shape(tensor) if isinstance(tensor, Flow) else tuple(tensor.shape)


@op(
    *("contiguous.default", "clone.default", "detach.default", "detach_.default"),
    "lift_fresh_copy.default",
)
def _same(walk: Walk, a: Arguments) -> Any:
    return a["self"]


@op("alias.default")
def _alias(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    if isinstance(tensor, Flow) and tensor.has(TIME):
        # Torch writes this for a slice that happens to take everything.
        count = walk.count(tensor.value)
        walk.doubts.append(f"a slice of all {count} frames may mean so many, or all there are")
    return tensor


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
    return viewed(walk, a["self"], list(a.first("size", "shape")))


def viewed(walk: Walk, tensor: Any, shape: list[int]) -> Any:
    """The tensor in another shape, one of whose extents may be -1."""
    if not isinstance(tensor, Flow):
        return tensor.reshape(shape)
    total = int(np.prod(walk.shape(tensor)))
    if shape.count(-1) == 1:
        rest = int(np.prod([extent for extent in shape if extent != -1]))
        shape = [total // max(rest, 1) if extent == -1 else extent for extent in shape]
    if int(np.prod(shape)) != total:
        raise Unfit(f"a view of shape {tuple(shape)} of {total} elements")
    axes, extents = regroup(tensor.axes, walk.sizes_of(tensor), shape)
    return replace(tensor, axes=axes, index=tensor.index.reshape(extents))


@op("flatten.using_ints")
def _flatten(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    shape = list(shape_of(walk, tensor))
    first = axis_of(a.get("start_dim", 0), len(shape))
    last = axis_of(a.get("end_dim", -1), len(shape))
    merged = int(np.prod(shape[first : last + 1]))
    return viewed(walk, tensor, [*shape[:first], merged, *shape[last + 1 :]])


@op("unflatten.int")
def _unflatten(walk: Walk, a: Arguments) -> Any:
    shape = list(shape_of(walk, a["self"]))
    axis = axis_of(a["dim"], len(shape))
    sizes = list(a["sizes"])
    if -1 in sizes:
        rest = int(np.prod([size for size in sizes if size != -1]))
        sizes[sizes.index(-1)] = shape[axis] // max(rest, 1)
    return viewed(walk, a["self"], [*shape[:axis], *sizes, *shape[axis + 1 :]])


@op("unsqueeze.default")
def _unsqueeze(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    if not isinstance(tensor, Flow):
        return np.expand_dims(tensor, a["dim"])
    axis = axis_of(a["dim"], tensor.rank + 1)
    index = np.expand_dims(tensor.index, tensor.place(axis))
    return replace(tensor, axes=(*tensor.axes[:axis], (1,), *tensor.axes[axis:]), index=index)


@op("squeeze.dim", "squeeze.dims", "squeeze.default")
def _squeeze(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    shape = list(shape_of(walk, tensor))
    dims = a.get("dim")
    if dims is None:
        raise Unfit("squeeze without an axis depends on the sizes: name the axis")
    axes = [axis_of(dim, len(shape)) for dim in (dims if isinstance(dims, list) else [dims])]
    keep = [axis for axis in range(len(shape)) if axis not in axes or shape[axis] != 1]
    if not isinstance(tensor, Flow):
        return tensor.reshape([shape[axis] for axis in keep])
    for axis in set(range(len(shape))) - set(keep):
        if TIME in tensor.axes[axis]:
            raise Unfit("it removes the time axis, which has one frame here")
    return without(tensor, keep)


def without(tensor: Flow, keep: Sequence[int]) -> Flow:
    """The tensor without the axes of one element that are not to be kept."""
    axes = tuple(tensor.axes[axis] for axis in keep)
    extents = [atom for axis in axes for atom in axis if isinstance(atom, int)]
    return replace(tensor, axes=axes, index=tensor.index.reshape(extents))


@op("permute.default")
def _permute(walk: Walk, a: Arguments) -> Any:
    return permuted(a["self"], a["dims"])


def permuted(tensor: Any, order: Sequence[int]) -> Any:
    """The axes in another order."""
    if not isinstance(tensor, Flow):
        return tensor.transpose(order)
    return tensor.permuted([axis_of(axis, tensor.rank) for axis in order])


@op(
    "transpose.int",
    "swapaxes.default",
    "swapdims.default",
    "t.default",
    "numpy_T.default",
    "mT.default",
)
def _transpose(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    rank = len(shape_of(walk, tensor))
    if rank < 2:
        return tensor
    one = axis_of(a.get("dim0", a.get("axis0", -2)), rank)
    other = axis_of(a.get("dim1", a.get("axis1", -1)), rank)
    order = list(range(rank))
    order[one], order[other] = order[other], order[one]
    return permuted(tensor, order)


@op("movedim.int", "movedim.intlist", "moveaxis.int")
def _movedim(walk: Walk, a: Arguments) -> Any:
    rank = len(shape_of(walk, a["self"]))
    given = [a["source"], a["destination"]]
    sources, targets = (each if isinstance(each, list) else [each] for each in given)
    sources = [axis_of(axis, rank) for axis in sources]
    order = [axis for axis in range(rank) if axis not in sources]
    for target, source in sorted(
        (axis_of(t, rank), s) for t, s in zip(targets, sources, strict=True)
    ):
        order.insert(target, source)
    return permuted(a["self"], order)


@op("expand.default", "expand_as.default")
def _expand(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    size = list(a["size"]) if "size" in a._found else list(shape_of(walk, a["other"]))
    shape = list(shape_of(walk, tensor))
    size = [
        shape[axis - len(size) + len(shape)] if extent == -1 else extent
        for axis, extent in enumerate(size)
    ]
    if not isinstance(tensor, Flow):
        return np.broadcast_to(tensor, size)
    if len(size) != len(shape):
        raise Unfit(f"it expands {tuple(shape)} to {tuple(size)}")
    flow = tensor.simple()
    extents: list[int] = []
    for axis, (have, want) in enumerate(zip(shape, size, strict=True)):
        if have != want and not (flow.feature_axis(axis) and have == 1):
            raise Unfit(f"it expands {tuple(shape)} to {tuple(size)}")
        atoms = (want,) if flow.feature_axis(axis) else flow.axes[axis]
        extents += [atom for atom in atoms if isinstance(atom, int)]
    axes = tuple((size[i],) if flow.feature_axis(i) else flow.axes[i] for i in range(flow.rank))
    return replace(flow, axes=axes, index=np.broadcast_to(flow.index, extents))


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
    return shape_of(walk, a["self"])[a["dim"]]
