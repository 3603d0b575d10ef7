# SPDX-License-Identifier: Apache-2.0
"""Layers over the features of one frame: activation, softmax, layer norm, affine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.activations import Activation, ActivationCode, check_activation
from grucore.graph.layers.checks import (
    check_arity,
    check_clock,
    check_features,
    check_flag,
    check_float32,
)
from grucore.graph.node import Call, Defect, Node, Result, Value, float32_bits, float32_of
from grucore.graph.tensors import Array, Role, Slot
from grucore.graph.weights import Weight

__all__ = ["Activate", "Affine", "LayerNorm", "Softmax"]


def _check_alike(inputs: Sequence[Value], output: Value) -> None:
    """One float32 value in, one like it out."""
    check_arity(inputs, 1, 1)
    check_float32(*inputs, output)
    check_clock(inputs[0], output)
    check_features(inputs[0], output)


@dataclass(frozen=True, eq=False, kw_only=True)
class Activate(Node):
    """An activation as a layer of its own; a leaky relu may have a ``slope`` (features,)."""

    activation: Activation
    slope: Array | None = None

    kind: ClassVar[int] = 6
    layer: ClassVar[str] = "activation"
    attribute_count: ClassVar[int] = 3

    @property
    def attributes(self) -> tuple[int, ...]:
        return self.activation.words

    def tensors(self) -> dict[Role, Weight]:
        return {} if self.slope is None else {Role.SLOPE: self.slope}

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        _check_alike(inputs, output)
        check_activation(words, 0, "the activation")

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (Slot(Role.SLOPE, (output.features,), is_optional=True),)

    @classmethod
    def check_tensors(
        cls, words: Sequence[int], inputs: Sequence[Value], tensors: Mapping[Role, Any]
    ) -> None:
        if tensors and (words[0] != ActivationCode.LEAKY_RELU or words[1] != 0):
            message = f"a slope goes with {Activation.of_words(words)}, expected leaky_relu(0)"
            raise Defect("kBadAttribute", message, 0)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"activation": Activation.of_words(words), "slope": tensors.get(Role.SLOPE)}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        if self.slope is not None:
            return np.where(x < 0, self.slope.astype(np.float64) * x, x), ()
        return self.activation(x), ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(Node):
    """Softmax over the features, or its logarithm."""

    logarithm: bool = False

    kind: ClassVar[int] = 7
    layer: ClassVar[str] = "softmax"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (int(self.logarithm),)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        _check_alike(inputs, output)
        check_flag(words, 0, "the logarithm")

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"logarithm": bool(words[0])}

    def formula(self, call: Call) -> Result:
        shifted = call.sources[0] - call.sources[0].max(axis=-1, keepdims=True)
        total = np.exp(shifted).sum(axis=-1, keepdims=True)
        return shifted - np.log(total) if self.logarithm else np.exp(shifted) / total, ()


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerNorm(Node):
    """Mean 0 and variance 1 over the features, then ``scale`` and ``shift`` (features,).

    ``epsilon``, within [0, 1] and rounded to float32, is added to the variance.
    """

    scale: Array
    shift: Array
    epsilon: float

    kind: ClassVar[int] = 8
    layer: ClassVar[str] = "layer_norm"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (float32_bits(self.epsilon),)

    def tensors(self) -> dict[Role, Weight]:
        return {Role.SCALE: self.scale, Role.SHIFT: self.shift}

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        _check_alike(inputs, output)
        epsilon = float32_of(words[0])
        if not 0 <= epsilon <= 1:
            raise Defect("kBadAttribute", f"epsilon is {epsilon}, expected 0 to 1", 0)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return _scale_and_shift(output)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        scale, shift = tensors[Role.SCALE], tensors[Role.SHIFT]
        return {"scale": scale, "shift": shift, "epsilon": float32_of(words[0])}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        epsilon = float(np.float32(self.epsilon))
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        # Without epsilon, equal features give 0/0 as the engine does.
        with np.errstate(invalid="ignore"):
            normal = centred / np.sqrt(variance + epsilon)
        return normal * self.scale.astype(np.float64) + self.shift.astype(np.float64), ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine(Node):
    """``scale * x + shift`` (features,), element by element: a batch norm at inference."""

    scale: Array
    shift: Array

    kind: ClassVar[int] = 9
    layer: ClassVar[str] = "affine"

    def tensors(self) -> dict[Role, Weight]:
        return {Role.SCALE: self.scale, Role.SHIFT: self.shift}

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        _check_alike(inputs, output)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return _scale_and_shift(output)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"scale": tensors[Role.SCALE], "shift": tensors[Role.SHIFT]}

    def formula(self, call: Call) -> Result:
        scale, shift = self.scale.astype(np.float64), self.shift.astype(np.float64)
        return scale * call.sources[0] + shift, ()


def _scale_and_shift(output: Value) -> tuple[Slot, ...]:
    shape = (output.features,)
    return Slot(Role.SCALE, shape), Slot(Role.SHIFT, shape)
