# SPDX-License-Identifier: Apache-2.0
"""Joins layers: a scale and shift, or an activation, into the product right before it; a scale
into a window of samples.

Scales and shifts are folded in float64, before the weights are rounded to float32. They are only
folded backwards: forwards into a convolution they would change what its zero padding stands for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, TypeAlias

import numpy as np

from grucore.converters.build.builder import GraphBuilder
from grucore.graph import gates
from grucore.graph.layers import Activate, Activation, Affine, Conv1d, Dense, Window
from grucore.graph.node import Node
from grucore.graph.tensors import Array
from grucore.graph.weights import as_float64

__all__ = ["fold"]

Product: TypeAlias = Dense | Conv1d


def fold(builder: GraphBuilder, outputs: Iterable[str]) -> None:
    """Fold in place; then all weights are float32. ``outputs``: values that must stay."""
    uses = Counter(name for node in builder.nodes for name in node.inputs)
    uses.update(outputs)
    kept: list[Node] = []
    by_output: dict[str, int] = {}
    for node in builder.nodes:
        place = by_output.get(node.inputs[0])
        before = None if place is None else kept[place]
        joined = _joined(before, node) if uses[node.inputs[0]] == 1 else None
        if joined is None or place is None:
            by_output[node.output] = len(kept)
            kept.append(node)
        else:
            kept[place] = joined
            by_output[node.output] = place
    written = {node.output for node in kept}
    gone = {node.output for node in builder.nodes} - written
    builder.values[:] = [value for value in builder.values if value.name not in gone]
    # A product that took over the output of a later node may stand before a value it does not
    # read: the order of nodes stays topological, since it stays where its own inputs are written.
    builder.nodes[:] = [_rounded(node) for node in kept]


def _joined(before: Node | None, node: Node) -> Node | None:
    """Both as one layer, or None."""
    if isinstance(before, Window) and isinstance(node, Affine) and not node.shift.any():
        weight = as_float64(before.weight) * node.scale.astype(np.float64)
        return replace(before, output=node.output, weight=weight)
    if not isinstance(before, Product) or before.activation != Activation.LINEAR:
        return None
    if isinstance(node, Affine):
        scale = node.scale.astype(np.float64)
        shape = (-1,) + (1,) * (before.weight.ndim - 1)
        return replace(
            before,
            output=node.output,
            weight=as_float64(before.weight) * scale.reshape(shape),
            bias=before.bias * scale + node.shift,
        )
    if isinstance(node, Activate) and node.slope is None:
        return replace(before, output=node.output, activation=node.activation)
    return None


def _rounded(node: Node) -> Node:
    changes: dict[str, Any] = {
        field.name: gates.rounded(array)
        for field in fields(node)
        if isinstance(array := getattr(node, field.name), np.ndarray) and _is_wide(array)
    }
    return replace(node, **changes) if changes else node


def _is_wide(array: Array) -> bool:
    return array.dtype.kind == "f" and (array.dtype != np.float32 or not array.flags.c_contiguous)
