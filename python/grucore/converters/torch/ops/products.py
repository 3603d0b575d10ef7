# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that become layers of a frame or a sequence: products, norms, pools."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from grucore.converters.torch.ops.cached import conv_in_frame
from grucore.converters.torch.walk.axes import BATCH, TIME, Flow, Unfit, WrongAxes
from grucore.converters.torch.walk.walk import Arguments, Walk, op, rounded
from grucore.graph.layers import Concat, Conv1d, Dense, Embedding
from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = ["constant_of", "product"]

MAX_GROUPS = 64  # products of one weight with several slices of a frame


def constant_of(found: Any, what: str) -> Array:
    if not isinstance(found, np.ndarray):
        raise Unfit(f"its {what} is computed from the input")
    return found


@op("embedding.default")
def _embedding(walk: Walk, a: Arguments) -> Any:
    table, flow = constant_of(a["weight"], "table"), a["indices"]
    if not isinstance(flow, Flow):
        return table[flow]
    value = walk.ordered(flow)
    out = walk.add(Embedding, [value], name=walk.name(), table=rounded(table))
    axes = (*flow.axes, (table.shape[1],))
    extents = [atom for axis in axes for atom in axis if isinstance(atom, int)]
    return replace(flow, value=out, axes=axes, index=np.arange(out.features).reshape(extents))


@op("linear.default")
def _linear(walk: Walk, a: Arguments) -> Any:
    return product(walk, a["input"], constant_of(a["weight"], "weight"), a.get("bias"))


@op("matmul.default", "mm.default")
def _matmul(walk: Walk, a: Arguments) -> Any:
    one, other = a["self"], a.first("other", "mat2")
    if not isinstance(one, Flow):
        if not isinstance(other, Flow):
            return (one.astype(np.float64) @ other.astype(np.float64)).astype(np.float32)
        raise Unfit("a constant times a value: expected the value first")
    weight = constant_of(other, "second factor")
    if weight.ndim != 2:
        raise Unfit(f"its second factor has shape {weight.shape}, expected a matrix")
    return product(walk, one, weight.T, None)


@op("addmm.default")
def _addmm(walk: Walk, a: Arguments) -> Any:
    a.only(beta=1, alpha=1)
    return product(walk, a["mat1"], constant_of(a["mat2"], "second factor").T, a["self"])


def product(walk: Walk, tensor: Flow, weight: Array, bias: Any) -> Flow:
    """``weight`` (out, in) times the last axis, for each slice of the other features."""
    flow = tensor.simple()
    if not flow.axes or not flow.feature_axis(flow.rank - 1):
        axis = flow.axes[-1] if flow.axes else ()
        raise WrongAxes(f"it is a product along the axis {axis}, expected features")
    if flow.extent(flow.rank - 1) != weight.shape[1]:
        raise WrongAxes(f"{flow.extent(flow.rank - 1)} features for a weight of {weight.shape}")
    shift = np.zeros(len(weight)) if bias is None else constant_of(bias, "bias").reshape(-1)
    given = {"weight": rounded(weight), "bias": rounded(np.broadcast_to(shift, len(weight)))}
    rows = flow.index.reshape(-1, weight.shape[1])
    if len(rows) > MAX_GROUPS:
        raise Unfit(
            f"it multiplies {len(rows)} slices of each frame, expected at most {MAX_GROUPS}"
        )
    parts: list[Value] = []
    for number, row in enumerate(rows):
        piece = replace(flow, axes=((len(row),),), index=row)
        name = walk.name(str(number)) if len(rows) > 1 else walk.name()
        parts.append(walk.add(Dense, [walk.ordered(piece)], name=name, **given))
    value = parts[0]
    if len(parts) > 1:
        value = walk.add(Concat, parts, name=walk.name("all"))
    axes = (*flow.axes[:-1], (len(weight),))
    extents = [atom for axis in axes for atom in axis if isinstance(atom, int)]
    return replace(flow, value=value, axes=axes, index=np.arange(value.features).reshape(extents))


@op("conv1d.default", "conv1d.padding", "convolution.default")
def _conv1d(walk: Walk, a: Arguments) -> Any:
    a.only(transposed=False)
    flow: Flow = a["input"].simple()
    weight = constant_of(a["weight"], "weight")
    if weight.ndim != 3:
        raise Unfit(f"its weight has shape {weight.shape}, expected three axes")
    if flow.rank == 2:  # without a batch
        flow = replace(flow, axes=((1,), *flow.axes), index=flow.index[None])
    if walk.delayed and flow.rank == 3 and flow.feature_axis(1) and flow.feature_axis(2):
        return _in_frame(walk, a, flow, weight)
    if flow.rank != 3 or flow.axes[2] != (TIME,) or not flow.feature_axis(1):
        raise WrongAxes(f"its axes are {flow.axes}, expected (batch, channels, time)")
    if flow.axes[0] not in ((BATCH,), (1,)):
        raise WrongAxes(f"its axis 0 is not the batch, but {flow.axes[0]}")
    if flow.tail:
        raise Unfit(walk.padding_text(flow))
    stride, dilation, groups = _one(a, "stride", 1), _one(a, "dilation", 1), a.get("groups", 1)
    reach = dilation * (weight.shape[2] - 1)
    before, after = _padding(a, flow, reach, stride)
    tail = 0
    if after and before + after != reach:
        if stride != 1 or before > reach:
            raise Unfit(f"it pads by {before} and {after} frames, expected {reach} in all")
        tail = after  # to be cut off by a slice
        after = 0
    if before > reach:
        raise Unfit(f"it pads by {before} frames, expected at most {reach}")
    bias = a.get("bias")
    value = walk.ordered(replace(flow, before=0, after=0))
    out = walk.add(
        Conv1d,
        [value],
        name=walk.name(),
        weight=np.ascontiguousarray(rounded(weight).transpose(0, 2, 1)),
        bias=rounded(np.zeros(len(weight)) if bias is None else constant_of(bias, "bias")),
        dilation=dilation,
        stride=stride,
        groups=groups,
        before=before,
        after=after,
    )
    walk.shortest = max(walk.shortest, out.skip + 1, reach + 1 - before - after)
    index = np.arange(out.features)
    axes = (flow.axes[0], (out.features,), (TIME,))
    if flow.axes[0] == (1,):
        index = index[None]
    flow = Flow(out, axes, index, tail=tail)
    return flow if a["input"].rank == 3 else replace(flow, axes=axes[1:], index=flow.index[0])


def _in_frame(walk: Walk, a: Arguments, flow: Flow, weight: Array) -> Flow:
    if a["input"].rank != 3:
        raise WrongAxes("it has no batch")
    stride, dilation = _one(a, "stride", 1), _one(a, "dilation", 1)
    reach = dilation * (weight.shape[2] - 1)
    settings = {"stride": stride, "dilation": dilation, "groups": a.get("groups", 1)}
    padding = _padding(a, flow, reach, stride)
    return conv_in_frame(walk, flow, weight, a.get("bias"), padding=padding, **settings)


def _one(a: Arguments, name: str, default: int) -> int:
    found = a.get(name, default)
    number = found[0] if isinstance(found, list) else found
    if not isinstance(number, int):
        raise Unfit(f"{name} is {found}")
    return number


def _padding(a: Arguments, flow: Flow, reach: int, stride: int) -> tuple[int, int]:
    padding = a.get("padding", 0)
    if padding == "same":
        if stride != 1:
            raise Unfit("padding='same' with a stride")
        return flow.before + reach // 2, flow.after + reach - reach // 2
    number = 0 if padding == "valid" else _one(a, "padding", 0)
    return flow.before + number, flow.after + number


@op("pad.default", "constant_pad_nd.default")
def _pad(walk: Walk, a: Arguments) -> Any:
    a.only(mode="constant")
    if a.get("value", 0.0) != 0.0:
        raise Unfit(f"it pads with {a['value']}, expected zeros")
    flow, pads = a["self"], list(a["pad"])
    if not isinstance(flow, Flow):
        widths = [(0, 0)] * flow.ndim
        for place in range(len(pads) // 2):
            widths[-1 - place] = (pads[2 * place], pads[2 * place + 1])
        return np.pad(flow, widths)
    for place in range(len(pads) // 2):
        before, after = pads[2 * place : 2 * place + 2]
        axis = flow.rank - 1 - place
        if not before and not after:
            continue
        if flow.axes[axis] != (TIME,):
            raise Unfit(f"it pads axis {axis}, which is not time")
        if after < 0 and flow.tail == -after and not before:
            flow = replace(flow, tail=0)
            continue
        if before < 0 or after < 0 or flow.tail:
            raise Unfit(f"it pads by {before} and {after} frames")
        flow = replace(flow, before=flow.before + before, after=flow.after + after)
    return flow


@op("einsum.default")
def _einsum(walk: Walk, a: Arguments) -> Any:
    """A value times a constant: a product for each combination of the letters that both keep."""
    tensors = list(a["tensors"])
    terms, arrow, result = str(a["equation"]).replace(" ", "").partition("->")
    names = terms.split(",")
    moving = [place for place, tensor in enumerate(tensors) if isinstance(tensor, Flow)]
    if len(tensors) != 2 or len(names) != 2 or not arrow or "." in terms or len(moving) != 1:
        raise Unfit(f"{a['equation']}, expected a value and a constant, such as bti,oi->bto")
    flow: Flow = tensors[moving[0]].simple()
    weight, own, other = tensors[1 - moving[0]], names[moving[0]], names[1 - moving[0]]
    summed = [x for x in own if x in other and x not in result]
    shared = [x for x in own if x in other and x in result]
    kept = [x for x in own if x not in other]
    free = [x for x in other if x not in own]
    letters = [set(own), set(other), set(result)]
    if len(set(own)) < len(own) or len(set(other)) < len(other) or not summed or len(free) != 1:
        raise Unfit(f"{a['equation']}, expected one axis summed and one new")
    if letters[2] != {*kept, *shared, *free} or len(result) != len(letters[2]) or len(summed) > 1:
        raise Unfit(f"{a['equation']}, expected every other axis in the result")
    flow = flow.permuted([own.index(x) for x in (*shared, *kept, *summed)])
    weight = weight.transpose([other.index(x) for x in (*shared, *free, *summed)])
    if not all(flow.feature_axis(axis) for axis in range(len(shared))):
        raise Unfit(f"{a['equation']} has another weight for each row or frame")
    groups = [flow.extent(axis) for axis in range(len(shared))]
    outputs = _each_group(walk, flow, weight, groups)
    order = [*shared, *kept, *free]
    return outputs.permuted([order.index(x) for x in result])


def _each_group(walk: Walk, flow: Flow, weight: Array, groups: list[int]) -> Flow:
    """The product of each slice of the first axes with its own matrix, side by side again."""
    if not groups:
        return product(walk, flow, weight, None)
    if math.prod(groups) > MAX_GROUPS:
        raise Unfit(f"it has {math.prod(groups)} matrices, expected at most {MAX_GROUPS}")
    parts: list[Flow] = []
    for number in range(groups[0]):
        place = flow.index.take(number, flow.place(0))
        piece = replace(flow, axes=flow.axes[1:], index=place)
        parts.append(_each_group(walk, piece, weight[number], groups[1:]))
    value = parts[0].value
    if len(parts) > 1:
        value = walk.add(Concat, [part.value for part in parts], name=walk.name("all"))
    starts = np.cumsum([0, *(part.value.features for part in parts[:-1])])
    index = np.stack([part.index + start for part, start in zip(parts, starts, strict=True)])
    return replace(parts[0], value=value, axes=((groups[0],), *parts[0].axes), index=index)
