# SPDX-License-Identifier: Apache-2.0
"""Keras's layers and operations on a memory: what attention is written in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from grucore.converters.keras.context import Context, Flow
from grucore.converters.keras.read.config import Layer
from grucore.converters.trace.axes import Data, Operand, Tracked, Unfit
from grucore.converters.trace.memory import Memory, Scores
from grucore.converters.trace.ops.attention_maps import bent, combined, mapped
from grucore.converters.trace.ops.attention_scores import multiplied, shared
from grucore.converters.trace.ops.elementwise import binary
from grucore.converters.trace.ops.powers import normalized
from grucore.converters.trace.ops.products import matmul, times
from grucore.converters.trace.ops.reduce import reduced
from grucore.converters.trace.ops.views import axis_of, transposed, unsqueezed
from grucore.graph.layers import Operation

__all__ = ["ATTENDING", "MOVING", "ON_MEMORY", "attends", "given_by_name"]

EPSILON = 1e-7  # that of Keras

Handler: TypeAlias = Callable[[Context, Layer, list[Any]], Tracked]


def attends(flows: Sequence[Any]) -> bool:
    """True if one of these is a memory, or made of one."""
    found = (flow.tensor for flow in flows if isinstance(flow, Flow))
    return any(isinstance(tensor, Memory | Scores) for tensor in found)


def given_by_name(
    flows: list[Any], keywords: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The tensors of a call of MultiHeadAttention in their order, and its other keywords."""
    named = [keywords[name] for name in ("query", "value", "key") if keywords.get(name) is not None]
    rest = {name: each for name, each in keywords.items() if name not in ("query", "value", "key")}
    return [*flows, *named], rest


def _turned(x: Tracked) -> Tracked:
    return transposed(x, [*range(x.rank - 2), x.rank - 1, x.rank - 2])


def _three(operands: Sequence[Any]) -> tuple[Data, Memory, Memory]:
    """Query, value and key, which is the value where there is none."""
    query, value, *rest = operands
    key = rest[0] if rest else value
    if not isinstance(query, Data) or not isinstance(value, Memory) or not isinstance(key, Memory):
        raise Unfit(
            "attends to what the model computes: attention is expressed over an Input of its own "
            "that comes once for a sequence, such as the outputs of an encoder, of at most so many "
            "frames: Input((frames, features))"
        )
    return query, value, key


def _sum(context: Context, scores: Tracked, value: Memory) -> Tracked:
    if not isinstance(scores, Scores):
        raise Unfit(f"its scores are {scores.text}")
    return multiplied(context, shared(scores, scores.rank - 1), value)


def _attention(context: Context, layer: Layer, operands: list[Any]) -> Tracked:
    """Luong's dot product, Bahdanau's tanh of a sum."""
    settings = context.settings(layer, {"use_scale", "score_mode", "dropout"})
    query, value, key = _three(operands)
    arrays = context.variables.get(layer, {})
    scale = arrays.get("scale", np.ones(())).astype(np.float64)
    if layer.kind == "Attention" and settings.get("score_mode", "dot") == "dot":
        scores = multiplied(context, query, _turned(key))
        return _sum(context, combined(context, scores, scale, "mul"), value)
    if layer.kind == "Attention":
        raise context.refuse(layer, "score_mode", "dot")
    met = combined(context, unsqueezed(key, [1]), unsqueezed(query, [2]), "add")
    if not isinstance(met, Memory):
        raise Unfit(f"adds {query.text} to {key.text}")
    vector = np.broadcast_to(scale, key.index.shape[-1:])[:, None]
    scores = mapped(context, bent(met), vector, None)
    return _sum(context, scores.moved(scores.axes[:-1], scores.index.squeeze(-1)), value)


def _heads(context: Context, layer: Layer, operands: list[Any]) -> Tracked:
    """Scaled dot products of several heads, each of a part of the features."""
    settings = context.settings(
        layer,
        {
            "num_heads",
            "key_dim",
            "value_dim",
            "use_bias",
            "output_shape",
            "attention_axes",
            "dropout",
        },
    )
    if settings.get("attention_axes") not in (None, [1], 1):
        raise context.refuse(layer, "attention_axes", "[1]")
    query, value, key = _three(operands)
    count = settings["num_heads"]

    def projected(x: Tracked, name: str) -> Tracked:
        arrays = context.variables[layer.inside[name]]
        kernel = arrays["kernel"].astype(np.float64)
        matrix = (
            kernel.reshape(-1, kernel.shape[-1])
            if name == "output_dense"
            else kernel.reshape(len(kernel), -1)
        )
        bias = arrays["bias"].astype(np.float64).reshape(-1) if "bias" in arrays else None
        if isinstance(x, Memory):
            return mapped(context, x, matrix, bias)
        return times(context, context.data(x), matrix, bias)

    def apart(x: Tracked) -> Tracked:
        index = x.index.reshape(*x.index.shape[:2], count, -1)
        return transposed(x.moved((*x.axes, x.axes[2]), index), [0, 2, 1, 3])

    one, keys, values = (
        apart(projected(x, name))
        for x, name in ((query, "query_dense"), (key, "key_dense"), (value, "value_dense"))
    )
    scores = multiplied(context, one, _turned(keys))
    scaled = combined(context, scores, np.array(settings["key_dim"] ** -0.5), "mul")
    assert isinstance(values, Memory)
    found = transposed(_sum(context, scaled, values), [0, 2, 1, 3])
    together = found.index.reshape(*found.index.shape[:2], -1)
    return projected(found.moved(found.axes[:3], together), "output_dense")


def _dense(context: Context, layer: Layer, operands: list[Any]) -> Tracked:
    settings = context.settings(layer, {"units", "activation", "use_bias"})
    (x,), arrays = operands, context.variables[layer]
    if not isinstance(x, Memory):
        raise Unfit(f"reads {x.text}, the scores of a memory")
    made = mapped(context, x, arrays["kernel"], arrays.get("bias"))
    return _activated(context, layer, made, settings.get("activation"))


def _activated(context: Context, layer: Layer, x: Tracked, name: Any) -> Tracked:
    if name in (None, "linear"):
        return x
    if name == "tanh" and isinstance(x, Memory):
        return bent(x)
    if name == "softmax" and isinstance(x, Scores):
        return shared(x, x.rank - 1)
    raise context.refuse(layer, "activation", "linear or tanh of a memory, softmax of scores")


def _activation(context: Context, layer: Layer, operands: list[Any]) -> Tracked:
    return _activated(
        context, layer, operands[0], context.settings(layer, {"activation"})["activation"]
    )


def _softmax(context: Context, layer: Layer, operands: list[Any]) -> Tracked:
    x = operands[0]
    if not isinstance(x, Scores):
        raise Unfit(f"goes over {x.text}, expected scores of a memory")
    return shared(x, axis_of(layer.settings.get("axis", -1), x.rank))


def _tanh(context: Context, layer: Layer, operands: list[Any]) -> Tracked:
    return _activated(context, layer, operands[0], "tanh")


def _dot(context: Context, layer: Layer, operands: list[Any]) -> Tracked:
    """The product over one axis of each: of queries and keys, or of shares and values."""
    settings = context.settings(layer, {"axes", "normalize"})
    if all(isinstance(x, Data) and x.rank == 2 for x in operands):
        return _dot_of_rows(context, settings, [context.data(x) for x in operands])
    if len(operands) != 2 or any(x.rank != 3 for x in operands):
        raise Unfit(f"reads {', '.join(x.text for x in operands)}, expected two of three axes")
    given = settings["axes"]
    pair = [given, given] if isinstance(given, int) else given
    first, second = (axis_of(axis, 3) for axis in pair)
    one, other = operands
    if settings.get("normalize"):
        raise context.refuse(layer, "normalize", "False")
    product = multiplied if any(isinstance(x, Memory | Scores) for x in operands) else matmul
    return product(
        context, one if first == 2 else _turned(one), other if second == 1 else _turned(other)
    )


def _dot_of_rows(context: Context, settings: Mapping[str, Any], rows: list[Data]) -> Data:
    """Of two vectors (batch, features) the sum of products, (batch, 1)."""
    if settings["axes"] not in (1, -1, [1, 1], [-1, -1]) or len(rows) != 2:
        raise Unfit(f"goes over axes {settings['axes']} of {len(rows)} vectors, expected -1 of two")
    if settings.get("normalize"):
        rows = [normalized(context, x, [1], 2, EPSILON) for x in rows]
    product = binary(context, rows[0], rows[1], Operation.MULTIPLY)
    return reduced(context, product, [1], "sum", keep=True)


def _matmul(context: Context, layer: Layer, operands: list[Operand]) -> Tracked:
    one, other = operands
    return multiplied(context, one, other)


def _combined(word: str, context: Context, layer: Layer, operands: list[Operand]) -> Tracked:
    one, other = operands
    return combined(context, one, other, word)


MOVING = ("Permute", "ops.Transpose", "ops.Swapaxes")  # as they move features of any tensor
# Layers of which one input is a memory, and has to be.
ATTENDING: dict[str, Handler] = {
    "Attention": _attention,
    "AdditiveAttention": _attention,
    "MultiHeadAttention": _heads,
    "Dot": _dot,
}
WORDS = {"Add": "add", "Subtract": "sub", "Multiply": "mul", "Divide": "div", "TrueDivide": "div"}
ON_MEMORY: dict[str, Handler] = {
    **ATTENDING,
    **{f"ops.{kind}": partial(_combined, word) for kind, word in WORDS.items()},
    "Add": partial(_combined, "add"),
    "Dense": _dense,
    "Activation": _activation,
    **dict.fromkeys(("Softmax", "ops.Softmax"), _softmax),
    "ops.Tanh": _tanh,
    "ops.Matmul": _matmul,
}
