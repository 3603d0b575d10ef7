# SPDX-License-Identifier: Apache-2.0
"""Layers over one frame as lines of C: activations, affine, softmax, layer norm."""

from __future__ import annotations

from typing import cast

from grucore.export.literals import float_text
from grucore.export.products import activated
from grucore.export.unit import Call
from grucore.graph.layers import Activate, Affine, LayerNorm, Softmax

__all__ = ["write_activation", "write_affine", "write_layer_norm", "write_softmax"]


def write_activation(call: Call) -> None:
    """An activation, or a leaky relu with a slope for each feature."""
    node = cast(Activate, call.node)
    if node.slope is None:
        result = activated(node.activation, "x[i]")
    else:
        slope = call.unit.constant(f"{call.name}.slope", node.slope)
        result = f"gc_leaky_relu(x[i], {slope}[i])"
    call.each_feature("const float *x", f"gc_flush({result})")


def write_affine(call: Call) -> None:
    """A multiplication and an addition."""
    node = cast(Affine, call.node)
    scale = call.unit.constant(f"{call.name}.scale", node.scale)
    shift = call.unit.constant(f"{call.name}.shift", node.shift)
    call.each_feature("const float *x", f"gc_flush({scale}[i] * x[i] + {shift}[i])")


def write_softmax(call: Call) -> None:
    """Or its logarithm."""
    kernel = "gc_log_softmax" if cast(Softmax, call.node).logarithm else "gc_softmax"
    call.step(f"{kernel}({call.target}, {call.sources[0]}, {call.writes.features});")


def write_layer_norm(call: Call) -> None:
    """With scale and shift."""
    node = cast(LayerNorm, call.node)
    scale = call.unit.constant(f"{call.name}.scale", node.scale)
    shift = call.unit.constant(f"{call.name}.shift", node.shift)
    epsilon = float_text(node.epsilon)
    numbers = f"{scale}, {shift}, {call.writes.features}, {epsilon}"
    call.step(f"gc_layer_norm({call.target}, {call.sources[0]}, {numbers});")
