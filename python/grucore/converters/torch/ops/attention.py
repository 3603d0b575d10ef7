# SPDX-License-Identifier: Apache-2.0
"""PyTorch's operations on a memory: what attention is written in. On all else they are as ever."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.torch.ops.products import constant_of
from grucore.converters.torch.walk.walk import Arguments, Walk, number, on_memory, op
from grucore.converters.trace.axes import Tracked, Unfit
from grucore.converters.trace.memory import Memory, Scores
from grucore.converters.trace.ops.attention_maps import bent, combined, joined, mapped
from grucore.converters.trace.ops.attention_scores import multiplied, shared
from grucore.converters.trace.ops.views import axis_of

__all__: list[str] = []


@on_memory("linear.default")
def _linear(walk: Walk, a: Arguments) -> Any:
    x, bias = a["input"], a.get("bias")
    if not isinstance(x, Memory):
        raise Unfit(f"reads {x.text}, the scores of a memory")
    shift = None if bias is None else constant_of(bias, "bias")
    return mapped(walk, x, constant_of(a["weight"], "weight").T, shift)


@on_memory("matmul.default", "mm.default")
def _matmul(walk: Walk, a: Arguments) -> Any:
    return multiplied(walk, number(a["self"]), number(a.first("other", "mat2")))


@on_memory("bmm.default")
def _bmm(walk: Walk, a: Arguments) -> Any:
    return multiplied(walk, number(a["self"]), number(a["mat2"]))


@on_memory("add.Tensor", "add_.Tensor", "add.Scalar")
def _add(walk: Walk, a: Arguments) -> Any:
    a.only(alpha=1)
    return combined(walk, number(a["self"]), number(a["other"]), "add")


@on_memory("sub.Tensor", "sub_.Tensor", "sub.Scalar")
def _sub(walk: Walk, a: Arguments) -> Any:
    a.only(alpha=1)
    return combined(walk, number(a["self"]), number(a["other"]), "sub")


@on_memory("mul.Tensor", "mul_.Tensor", "mul.Scalar")
def _mul(walk: Walk, a: Arguments) -> Any:
    return combined(walk, number(a["self"]), number(a["other"]), "mul")


@on_memory("div.Tensor", "div_.Tensor", "div.Scalar")
def _div(walk: Walk, a: Arguments) -> Any:
    return combined(walk, number(a["self"]), number(a["other"]), "div")


@on_memory("tanh.default", "tanh_.default")
def _tanh(walk: Walk, a: Arguments) -> Any:
    if not isinstance(a["self"], Memory):
        raise Unfit("takes the tanh of scores")
    return bent(a["self"])


@on_memory("cat.default", "concat.default")
def _cat(walk: Walk, a: Arguments) -> Any:
    tensors = a["tensors"]
    return joined(walk, tensors, axis_of(a.get("dim", 0), len(walk.shape(tensors[0]))))


@on_memory("softmax.int", "_softmax.default")
def _softmax(walk: Walk, a: Arguments) -> Any:
    x = a["self"]
    if not isinstance(x, Scores):
        raise Unfit(f"goes over {x.text}, expected scores of a memory")
    return shared(x, axis_of(a["dim"], x.rank))


@op("scaled_dot_product_attention.default")
def _elsewhere(walk: Walk, a: Arguments) -> Any:
    raise Unfit(
        "it multiplies two values that the model computes: attention is expressed over an input of "
        "frames of its own that comes once for a sequence, such as the outputs of an encoder"
    )


@on_memory("scaled_dot_product_attention.default")
def _attention(walk: Walk, a: Arguments) -> Any:
    a.only(dropout_p=0.0, is_causal=False, enable_gqa=False, attn_mask=None)
    query, key, value = (number(a[name]) for name in ("query", "key", "value"))
    if not isinstance(key, Memory) or not isinstance(query, Tracked):
        raise Unfit("it attends to something else than a memory: to the frames themselves?")
    order = (*range(key.rank - 2), key.rank - 1, key.rank - 2)
    turned = key.moved(tuple(key.axes[i] for i in order), key.index.transpose(order))
    scale = a.get("scale") or 1 / np.sqrt(walk.shape(query)[-1])
    scores = multiplied(walk, query, turned)
    scaled = combined(walk, scores, np.array(scale), "mul")
    if not isinstance(scaled, Scores):
        raise Unfit(f"its scores are {scaled.text}")
    return multiplied(walk, shared(scaled, scaled.rank - 1), value)
