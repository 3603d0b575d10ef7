# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that take tensors to pieces, and put pieces side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.ops.views import axis_of, shape_of, without
from grucore.converters.torch.walk.axes import TIME, Axis, Flow, Unfit, different_rates
from grucore.converters.torch.walk.walk import Arguments, Walk, op, per_frame
from grucore.graph.layers import Concat, Flip, Position, Take
from grucore.graph.node import Value

__all__: list[str] = []

END = 1 << 31  # a slice to here, or beyond, ends with the axis


@op("select.int")
def _select(walk: Walk, a: Arguments) -> Any:
    tensor, number = a["self"], a["index"]
    if not isinstance(tensor, Flow):
        return np.take(tensor, number, axis_of(a["dim"], tensor.ndim))
    axis = axis_of(a["dim"], tensor.rank)
    if tensor.feature_axis(axis):
        flow = tensor.simple()
        index = np.take(flow.index, number, flow.place(axis))
        return replace(flow, axes=(*flow.axes[:axis], *flow.axes[axis + 1 :]), index=index)
    return framed(walk, tensor, axis, number)


def framed(walk: Walk, tensor: Flow, axis: int, number: int) -> Flow:
    """One frame of a tensor."""
    if tensor.axes[axis] != (TIME,):
        raise Unfit(f"it takes one row of the {_names(tensor.axes[axis])} axis")
    if not tensor.plain:
        raise Unfit(walk.padding_text(tensor))
    rest = (*tensor.axes[:axis], *tensor.axes[axis + 1 :])
    count = walk.count(tensor.value)
    if number == -1:
        value = walk.add(Take, [tensor.value], name=walk.name("last"), position=Position.LAST)
        return replace(tensor, value=value, axes=rest)
    if not -count <= number < count:
        raise Unfit(f"frame {number} of {count}")
    if number < 0:
        raise Unfit(f"frame {number}, expected the last one, -1")
    return replace(tensor, axes=rest, frame=number)


def _names(axis: Axis) -> str:
    return " and ".join("feature" if isinstance(atom, int) else atom for atom in axis)


@op("slice.Tensor", "narrow.default")
def _slice(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    rank = len(shape_of(walk, tensor))
    axis = axis_of(a.get("dim", 0), rank)
    extent = shape_of(walk, tensor)[axis]
    start = a.get("start", 0)
    end = start + a["length"] if "length" in a._found else a.get("end", END)
    step = a.get("step", 1)
    if not isinstance(tensor, Flow):
        return tensor[(slice(None),) * axis + (slice(start, end, step),)]
    if tensor.feature_axis(axis):
        flow = tensor.simple()
        place = (slice(None),) * flow.place(axis) + (slice(start, end, step),)
        index = flow.index[place]
        length = len(range(extent)[start:end:step])
        return replace(
            flow, axes=(*flow.axes[:axis], (length,), *flow.axes[axis + 1 :]), index=index
        )
    if tensor.axes[axis] == (TIME,) and step == 1:
        return _frames(walk, tensor, axis, start, end, extent)
    if step == 1 and start == 0 and end >= extent:
        return tensor
    raise Unfit(f"it takes rows {start} to {end} by {step} of the {_names(tensor.axes[axis])} axis")


def _frames(walk: Walk, tensor: Flow, axis: int, start: int, end: int, extent: int) -> Flow:
    whole = end >= END or end == extent
    if end == extent:
        walk.doubts.append(f"a slice to {end} may mean that frame, or the end")
    if start < -1 and -start >= extent:
        raise Unfit(f"it takes the last {-start} frames, a limit that is lost on short sequences")
    first = start if start >= 0 else max(0, start + extent)
    if tensor.tail and first == 0 and not whole:
        removed = -end if end < 0 else extent - end
        if end > 0:
            walk.doubts.append(f"a slice to {end} may mean that frame, or {removed} from the end")
        if removed == tensor.tail:
            return replace(tensor, tail=0)
    if first == 0 and whole:
        return tensor
    if not tensor.plain:
        raise Unfit(walk.padding_text(tensor))
    if whole and start == -1:
        position = Position.LAST
    elif start == 0 and end == 1:
        position = Position.FIRST
    else:
        raise Unfit(f"it takes frames {start} to {end}")
    value = walk.add(Take, [tensor.value], name=walk.name("frame"), position=position)
    place = tensor.place(axis)
    axes = (*tensor.axes[:axis], (1,), *tensor.axes[axis + 1 :])
    return replace(tensor, value=value, axes=axes, index=np.expand_dims(tensor.index, place))


@op("index_select.default")
def _index_select(walk: Walk, a: Arguments) -> Any:
    tensor, index = a["self"], a["index"]
    if not isinstance(index, np.ndarray):
        raise Unfit("an index that is computed")
    if not isinstance(tensor, Flow):
        return np.take(tensor, index, a["dim"])
    flow, axis = tensor.simple(), axis_of(a["dim"], tensor.rank)
    if not flow.feature_axis(axis):
        raise Unfit(f"it picks from the {_names(flow.axes[axis])} axis")
    picked = np.take(flow.index, index, flow.place(axis))
    return replace(
        flow, axes=(*flow.axes[:axis], (len(index),), *flow.axes[axis + 1 :]), index=picked
    )


@op("index.Tensor")
def _index(walk: Walk, a: Arguments) -> Any:
    given = [(place, each) for place, each in enumerate(a["indices"]) if each is not None]
    if len(given) != 1 or not isinstance(given[0][1], np.ndarray) or given[0][1].ndim != 1:
        raise Unfit("it picks with something else than one row of known numbers")
    axis, index = given[0]
    if index.dtype.kind == "b":
        index = np.flatnonzero(index)
    return _index_select(walk, Arguments({"self": a["self"], "dim": axis, "index": index}))


@op("flip.default")
def _flip(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    if not isinstance(tensor, Flow):
        return np.flip(tensor, a["dims"])
    flow = tensor.simple()
    for dim in a["dims"]:
        axis = axis_of(dim, flow.rank)
        if flow.feature_axis(axis):
            flow = replace(flow, index=np.flip(flow.index, flow.place(axis)))
        elif flow.axes[axis] == (TIME,):
            if not flow.plain:
                raise Unfit(walk.padding_text(flow))
            flow = replace(flow, value=walk.add(Flip, [flow.value]))
        else:
            raise Unfit(f"it turns the {_names(flow.axes[axis])} axis around")
    return flow


@op("unbind.int")
def _unbind(walk: Walk, a: Arguments) -> Any:
    count = shape_of(walk, a["self"])[axis_of(a.get("dim", 0), len(shape_of(walk, a["self"])))]
    return [_piece(walk, a["self"], a.get("dim", 0), number) for number in range(count)]


def _piece(walk: Walk, tensor: Any, dim: int, number: int) -> Any:
    return _select(walk, Arguments({"self": tensor, "dim": dim, "index": number}))


@op(
    "chunk.default",
    "split.Tensor",
    "split_with_sizes.default",
    "split.sizes",
    "tensor_split.sections",
)
def _split(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    shape = shape_of(walk, tensor)
    dim = axis_of(a.get("dim", 0), len(shape))
    extent = shape[dim]
    if "chunks" in a._found:
        sizes: Any = -(-extent // a["chunks"])
    elif "sections" in a._found:
        part, more = divmod(extent, a["sections"])
        sizes = [part + (number < more) for number in range(a["sections"])]
    else:
        sizes = a.first("split_size", "split_sizes")
    if isinstance(sizes, int):
        sizes = [min(sizes, extent - start) for start in range(0, extent, max(sizes, 1))]
    pieces, start = [], 0
    for size in sizes:
        where = {"self": tensor, "dim": dim, "start": start, "end": start + size}
        pieces.append(_slice(walk, Arguments(where)))
        start += size
    return pieces


@op("cat.default", "concat.default", "concatenate.default")
def _cat(walk: Walk, a: Arguments) -> Any:
    tensors = a["tensors"]
    if not any(isinstance(tensor, Flow) for tensor in tensors):
        return np.concatenate(tensors, a.get("dim", 0))
    rank = len(shape_of(walk, tensors[0]))
    axis = axis_of(a.get("dim", 0), rank)
    padded = _padding(tensors, axis)
    if padded is not None:
        return padded
    flows = _flows(tensors)
    if flows[0].frame is not None and _in_sequence(walk, flows):
        gone = [without(flow, [x for x in range(rank) if x != axis]) for flow in flows]
        return _sequence(walk, gone, axis)
    if any(not flow.feature_axis(axis) for flow in flows):
        raise Unfit(f"it joins along the {_names(flows[0].axes[axis])} axis")
    return _joined(walk, flows, axis)


def _flows(tensors: Sequence[Any]) -> list[Flow]:
    for tensor in tensors:
        if not isinstance(tensor, Flow):
            raise Unfit(f"it joins values and a constant of shape {tuple(tensor.shape)}")
    return [tensor.simple() for tensor in tensors]


def _padding(tensors: Sequence[Any], axis: int) -> Flow | None:
    """Zeros joined to a sequence along time are padding."""
    flows = [place for place, tensor in enumerate(tensors) if isinstance(tensor, Flow)]
    if len(flows) != 1 or tensors[flows[0]].axes[axis] != (TIME,):
        return None
    if any(tensor.any() for tensor in tensors if not isinstance(tensor, Flow)):
        return None
    flow: Flow = tensors[flows[0]]
    before = sum(tensor.shape[axis] for tensor in tensors[: flows[0]])
    after = sum(tensor.shape[axis] for tensor in tensors[flows[0] + 1 :])
    return replace(flow, before=flow.before + before, after=flow.after + after)


@op("stack.default")
def _stack(walk: Walk, a: Arguments) -> Any:
    tensors = a["tensors"]
    if not any(isinstance(tensor, Flow) for tensor in tensors):
        return np.stack(tensors, a.get("dim", 0))
    flows = _flows(tensors)
    axis = axis_of(a.get("dim", 0), flows[0].rank + 1)
    if flows[0].frame is not None and _in_sequence(walk, flows):
        return _sequence(walk, flows, axis)
    wide = [
        replace(
            flow,
            axes=(*flow.axes[:axis], (1,), *flow.axes[axis:]),
            index=np.expand_dims(flow.index, flow.place(axis)),
        )
        for flow in flows
    ]
    return _joined(walk, wide, axis)


def _in_sequence(walk: Walk, flows: Sequence[Flow]) -> bool:
    first = flows[0]
    frames = [flow.frame for flow in flows]
    whole = list(range(walk.count(first.value)))
    if set(frames) <= {0, None, whole[-1]} and len(frames) < len(whole):
        return False  # its ends, which are values of the whole sequence
    if frames not in (whole, whole[::-1]):
        raise Unfit(f"it joins frames {frames} of a sequence of {len(whole)}")
    for flow in flows:
        same = flow.value == first.value and flow.axes == first.axes
        if not same or not np.array_equal(flow.index, first.index):
            raise Unfit("it joins frames of several values, or that are computed in several ways")
    return True


def _sequence(walk: Walk, flows: Sequence[Flow], axis: int) -> Flow:
    """All frames of a value, in time again."""
    first = flows[0]
    value: Value = first.value
    if first.frame != 0:
        value = walk.add(Flip, [value])
    axes = (*first.axes[:axis], (TIME,), *first.axes[axis:])
    return replace(first, value=value, axes=axes, frame=None)


def _joined(walk: Walk, flows: Sequence[Flow], axis: int) -> Flow:
    """Tensors side by side along an axis of features."""
    flows = walk.level(flows)
    first = flows[0]
    for flow in flows:
        others = [each for number, each in enumerate(flow.axes) if number != axis]
        if others != [each for number, each in enumerate(first.axes) if number != axis]:
            shapes = f"{walk.shape(first)} and {walk.shape(flow)}"
            raise Unfit(f"it joins {shapes} of other axes{different_rates(first, flow)}")
        if flow.frame != first.frame:
            raise Unfit(f"it joins frames {first.frame} and {flow.frame}")
        if per_frame(flow.value) != per_frame(first.value):
            raise Unfit("it joins a value of each frame and one of the sequence")
        if not flow.plain:
            raise Unfit(walk.padding_text(flow))
        if flow.is_state != first.is_state:
            raise Unfit("it joins an initial state and a value")
    indices, start = [], 0
    values: dict[str, int] = {}
    for flow in flows:
        if flow.value.name not in values:
            values[flow.value.name] = start
            start += flow.value.features
        indices.append(flow.index + values[flow.value.name])
    sources = list({flow.value.name: flow.value for flow in flows}.values())
    if first.is_state and len(sources) > 1:
        raise Unfit("it joins several initial states")
    value = walk.add(Concat, sources, name=walk.name()) if len(sources) > 1 else sources[0]
    index = np.concatenate(indices, first.place(axis))
    extent = sum(flow.extent(axis) for flow in flows)
    axes = (*first.axes[:axis], (extent,), *first.axes[axis + 1 :])
    return replace(first, value=value, axes=axes, index=index)
