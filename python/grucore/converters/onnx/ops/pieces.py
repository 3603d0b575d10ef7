# SPDX-License-Identifier: Apache-2.0
"""Operators that only move features: transpose, reshape, slice, split, gather, concat and so on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grucore._core import ConversionError
from grucore.converters.onnx.ops.reshape import reshape, resolve
from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axis, Constant, Data, Operand, Spread, Tracked
from grucore.converters.onnx.state.context import Work, arrange
from grucore.converters.onnx.state.sizes import Size, integers, product
from grucore.graph.layers import Concat, Flip, Position, Take

__all__ = [
    "RELABELLING",
    "axes_of",
    "drop",
    "gather",
    "integers_of",
    "normal",
    "operand_of",
    "take_frame",
    "tracked",
]

Operands = Sequence[Operand | None]
ENDLESS = 1 << 30  # a slice that ends here or later ends with the axis


def tracked(operand: Operand | None) -> Tracked:
    """A constant is something whose axes are all features, its index the numbers themselves."""
    if isinstance(operand, Constant):
        return Spread((Axis.FEATURES,) * operand.array.ndim, operand.array)
    assert operand is not None
    return operand


def operand_of(result: Tracked) -> Operand:
    if isinstance(result, Spread) and set(result.axes) <= {Axis.FEATURES}:
        return Constant(result.index)
    return result


def normal(node: OnnxNode, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise node.refuse(f"axis is {axis} of {rank} axes")
    return axis % rank


def axes_of(node: OnnxNode, operands: Operands, place: int, rank: int) -> list[int] | None:
    """The attribute ``axes``, an input since opset 13 or 18; None where it is missing."""
    found: Sequence[Size] | None = node.get("axes", None)
    if found is None and len(operands) > place and operands[place] is not None:
        found = integers_of(node, operands[place], "axes")
    if found is None:
        return None
    return [normal(node, int(axis), rank) for axis in found]  # type: ignore[arg-type]


def integers_of(node: OnnxNode, operand: Operand | None, what: str) -> list[Size]:
    if not isinstance(operand, Constant):
        raise node.refuse(f"{what} is computed by the model, expected a constant")
    return integers(operand.array)


def _transpose(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    rank = len(x.axes)
    order = node.get("perm", tuple(reversed(range(rank))))
    if sorted(order) != list(range(rank)):
        raise node.refuse(f"attribute perm is {order} for {rank} axes")
    return [operand_of(x.moved(tuple(x.axes[i] for i in order), x.index.transpose(order)))]


def _reshape(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    target = integers_of(node, operands[1], "shape")
    zero_copies = not node.get("allowzero", 0)
    sizes = resolve(node, work.sizes(x), target, zero_copies=zero_copies)
    if isinstance(operands[0], Constant):
        shape = [size for size in sizes if isinstance(size, int)]
        if len(shape) < len(sizes) or product(shape) != x.index.size:
            raise node.refuse(f"turns a constant of shape {x.index.shape} to {sizes}")
        return [Constant(x.index.reshape(shape))]
    return [operand_of(reshape(work, node, x, sizes))]


def _flatten(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    axis = node.get("axis", 1)
    axis = axis if axis == len(x.axes) else normal(node, axis, len(x.axes))
    sizes = work.sizes(x)
    return [operand_of(reshape(work, node, x, [product(sizes[:axis]), product(sizes[axis:])]))]


def _squeeze(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    axes = axes_of(node, operands, 1, len(x.axes))
    if axes is None:
        axes = [i for i, size in enumerate(work.sizes(x)) if size == 1]
    for axis in sorted(axes, reverse=True):
        x = drop(work, node, x, axis)
    return [operand_of(x)]


def drop(work: Work, node: OnnxNode, x: Tracked, axis: int) -> Tracked:
    """Without an axis of size 1."""
    size, kind = work.size(x, axis), x.axes[axis]
    if size != 1:
        raise node.refuse(f"squeezes axis {axis} of {x.text}, which has {size}")
    if kind is not Axis.FEATURES and Axis.TIME in kind.parts and not work.has_states:
        raise node.refuse(
            f"drops the time axis of {x.text}, whose size is 1 in the file: this may mean the last "
            "frame, or a model for one frame; export with a dynamic size or with its state"
        )
    axes = x.axes[:axis] + x.axes[axis + 1 :]
    return x.moved(axes, x.index.squeeze(axis))


def _unsqueeze(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    found = node.get("axes", None)
    count = len(found) if found is not None else len(integers_of(node, operands[1], "axes"))
    axes = axes_of(node, operands, 1, len(x.axes) + count) or []
    if len(set(axes)) < len(axes):
        raise node.refuse(f"axes are {axes}, one of them twice")
    kinds = list(x.axes)
    for axis in sorted(axes):
        kinds.insert(axis, Axis.FEATURES)
    return [operand_of(x.moved(tuple(kinds), np.expand_dims(x.index, tuple(axes))))]


def _identity(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    return [operand_of(tracked(operands[0]))]


def _dropout(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    training = operands[2] if len(operands) > 2 else None
    if training is not None and work.constant(node, training, "training_mode").any():
        raise node.refuse("training_mode is true, expected inference")
    if node.written > 1:
        raise node.refuse("gives its mask, which is not supported")
    return _identity(work, node, operands)


def _slice(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    rank = len(x.axes)
    if work.opset < 10:
        starts, ends = list(node.attributes["starts"]), list(node.attributes["ends"])
        axes = list(node.get("axes", range(len(starts))))
        steps: list[Size] = [1] * len(starts)
    else:
        given = [*operands, None, None, None]
        starts = integers_of(node, given[1], "starts")
        ends = integers_of(node, given[2], "ends")
        axes = list(range(len(starts)))
        if given[3] is not None:
            axes = [int(axis) for axis in integers_of(node, given[3], "axes")]  # type: ignore[arg-type]
        steps = [1] * len(starts) if given[4] is None else integers_of(node, given[4], "steps")
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise node.refuse("starts, ends, axes and steps differ in number")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = normal(node, axis, rank)
        if x.axes[place] is Axis.FEATURES:
            if not all(isinstance(number, int) for number in (start, end, step)) or step == 0:
                raise node.refuse(f"slices features from {start} to {end} by {step}")
            cut = [slice(None)] * rank
            stop = None if step < 0 and end <= -ENDLESS else end  # type: ignore[operator]
            cut[place] = slice(start, stop, step)
            x = x.moved(x.axes, x.index[tuple(cut)])
        else:
            x = _slice_frames(work, node, x, place, (start, end, step))
    return [operand_of(x)]


def _slice_frames(
    work: Work, node: OnnxNode, x: Tracked, axis: int, cut: tuple[Size, Size, Size]
) -> Tracked:
    start, end, step = cut
    size = work.size(x, axis)
    # Counted from the end, whatever the size is.
    from_end = start if isinstance(start, int) and start < 0 else start - size
    is_last = from_end == -1
    starts_first = start == 0 or from_end == 0 - size
    ends_last = end == size or (isinstance(end, int) and end >= ENDLESS)
    if isinstance(size, int) and isinstance(end, int):
        ends_last = ends_last or end >= size
    is_time = x.axes[axis] is Axis.TIME
    if is_time and isinstance(size, int) and size > 1:
        bounds = (start if isinstance(start, int) and start not in (0, -1) else None), end
        if not (isinstance(end, int) and (abs(end) >= ENDLESS or end == 1)) or bounds[0]:
            raise _limit(node, f"slices frames from {start} to {end}", size)
    if step == 1 and starts_first and ends_last:
        return x
    if step == -1 and is_time and is_last and isinstance(end, int) and end <= -ENDLESS:
        data = work.data(node, x)
        value = work.features(node, data)
        return work.fresh(data, work.builder.add(Flip, node.name or "flip", [value]))
    if step == 1 and is_time and is_last and ends_last:
        return take_frame(work, node, x, axis, Position.LAST, keep=True)
    if step == 1 and is_time and starts_first and end == 1:
        return take_frame(work, node, x, axis, Position.FIRST, keep=True)
    what = f"from {start} to {end} by {step} of {x.text}"
    raise node.refuse(f"slices axis {axis} {what}: expected all of it, or the first or last frame")


def _limit(node: OnnxNode, what: str, frames: int) -> ConversionError:
    return node.refuse(
        f"{what}, and the file fixes {frames} frames: at any other number this may mean something "
        "else. Export with a dynamic size of time, or without the bound"
    )


def take_frame(
    work: Work, node: OnnxNode, x: Tracked, axis: int, position: Position, *, keep: bool
) -> Tracked:
    """The first or last frame; the time axis has size 1 afterwards, or is gone."""
    if work.frames == 1:
        x = drop(work, node, x, axis)
    else:
        data = work.data(node, x)
        value = work.features(node, data)
        taken = work.builder.add(Take, node.name or "take", [value], position=position)
        axes = data.axes[:axis] + data.axes[axis + 1 :]
        shape = data.index.shape[:axis] + data.index.shape[axis + 1 :]
        x = Data(axes, arrange(axes, shape), taken)
    if not keep:
        return x
    axes = (*x.axes[:axis], Axis.FEATURES, *x.axes[axis:])
    return x.moved(axes, np.expand_dims(x.index, axis))


def gather(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    """Rows of an axis: of features, or the first or last frame."""
    x = tracked(operands[0])
    axis = normal(node, node.get("axis", 0), len(x.axes))
    if not isinstance(operands[1], Constant):
        raise node.refuse("indices are computed by the model, expected constants or an embedding")
    places = operands[1].array
    if x.axes[axis] is Axis.FEATURES:
        if places.dtype.kind not in "iu":
            raise node.refuse(f"indices are {integers(places)}, expected plain numbers")
        size = x.index.shape[axis]
        if ((places < -size) | (places >= size)).any():
            raise node.refuse(f"indices are {places.tolist()} of {size}")
        axes = x.axes[:axis] + (Axis.FEATURES,) * places.ndim + x.axes[axis + 1 :]
        taken = np.asarray(np.take(x.index, places, axis=axis), x.index.dtype)
        return [operand_of(x.moved(axes, taken))]
    if places.size != 1 or places.ndim > 1:
        raise node.refuse(f"indices have shape {places.shape} along axis {axis} of {x.text}")
    (place,) = integers(places)
    size = work.size(x, axis)
    is_last = place in (-1, size - 1)
    if x.axes[axis] is Axis.TIME and isinstance(size, int) and size > 1 and place not in (0, -1):
        raise _limit(node, f"takes frame {place}", size)
    if x.axes[axis] is Axis.BATCH and size == 1 and place in (0, -1):
        x = drop(work, node, x, axis)
        if places.ndim:
            x = x.moved(
                (*x.axes[:axis], Axis.FEATURES, *x.axes[axis:]), np.expand_dims(x.index, axis)
            )
        return [operand_of(x)]
    if x.axes[axis] is not Axis.TIME or not (is_last or place == 0):
        message = f"takes {place} along axis {axis} of {x.text}"
        raise node.refuse(f"{message}, expected the first or last frame")
    position = Position.LAST if is_last else Position.FIRST
    return [take_frame(work, node, x, axis, position, keep=places.ndim == 1)]


def _split(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    x = tracked(operands[0])
    axis = normal(node, node.get("axis", 0), len(x.axes))
    if x.axes[axis] is not Axis.FEATURES:
        raise node.refuse(f"splits axis {axis} of {x.text}, expected features")
    size = x.index.shape[axis]
    parts: Sequence[Size] | None = node.get("split", None)
    if parts is None and len(operands) > 1 and operands[1] is not None:
        parts = integers_of(node, operands[1], "split")
    if parts is None:
        count = len(node.outputs)
        if node.get("num_outputs", count) != count:
            raise node.refuse(f"attribute num_outputs is {node.get('num_outputs', 0)}")
        each = -(-size // count)
        parts = [each] * (count - 1) + [size - each * (count - 1)]
    lengths = [int(part) for part in parts]  # type: ignore[arg-type]
    if sum(lengths) != size or len(lengths) != len(node.outputs) or min(lengths) < 0:
        raise node.refuse(f"split is {lengths} of {size} for {len(node.outputs)} outputs")
    pieces = np.split(x.index, np.cumsum(lengths)[:-1], axis=axis)
    return [operand_of(x.moved(x.axes, piece)) for piece in pieces]


def _concat(work: Work, node: OnnxNode, operands: Operands) -> list[Operand]:
    pieces = [tracked(operand) for operand in operands]
    axis = normal(node, node.attributes.get("axis", 0), len(pieces[0].axes))
    if len({type(piece) for piece in pieces}) > 1 or any(
        piece.axes != pieces[0].axes for piece in pieces
    ):
        found = ", ".join(piece.text for piece in pieces)
        raise node.refuse(f"joins {found}, expected values of the same axes")
    if pieces[0].axes[axis] is not Axis.FEATURES:
        raise node.refuse(f"joins along axis {axis} of {pieces[0].text}, expected features")
    shapes = {piece.index.shape[:axis] + piece.index.shape[axis + 1 :] for piece in pieces}
    if len(shapes) > 1:
        raise node.refuse(f"joins shapes that differ: {', '.join(p.text for p in pieces)}")
    if isinstance(pieces[0], Spread):
        index = np.concatenate([piece.index for piece in pieces], axis=axis)
        return [operand_of(Spread(pieces[0].axes, index))]
    data = [work.data(node, piece) for piece in pieces]
    if len({piece.value.clock for piece in data}) > 1:
        raise node.refuse("joins values of different rates: per frame, per sequence or strided")
    if any(piece.padding != data[0].padding for piece in data):
        raise node.refuse("joins values with different padding")
    values = {piece.value.name: piece.value for piece in data}
    starts = dict(zip(values, np.cumsum([0, *(v.features for v in values.values())]), strict=False))
    index = np.concatenate([piece.index + starts[piece.value.name] for piece in data], axis=axis)
    joined = data[0].value
    if len(values) > 1:
        joined = work.builder.add(Concat, node.name or "concat", list(values.values()))
    return [Data(data[0].axes, index, joined, data[0].padding)]


RELABELLING = {
    "Transpose": (_transpose, ("perm",)),
    "Reshape": (_reshape, ("allowzero",)),
    "Flatten": (_flatten, ("axis",)),
    "Squeeze": (_squeeze, ("axes",)),
    "Unsqueeze": (_unsqueeze, ("axes",)),
    "Identity": (_identity, ()),
    "Dropout": (_dropout, ("ratio", "seed")),
    "Slice": (_slice, ("starts", "ends", "axes")),
    "Split": (_split, ("axis", "split", "num_outputs")),
    "Concat": (_concat, ("axis",)),
}
