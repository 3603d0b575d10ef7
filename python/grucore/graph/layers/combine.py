# SPDX-License-Identifier: Apache-2.0
"""Layers that bring features together or apart: concat, binary, select, embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np

from grucore.graph.layers.checks import (
    check_arity,
    check_clock,
    check_code,
    check_dtype,
    check_features,
    check_float32,
)
from grucore.graph.node import Call, Defect, Node, Result, Value
from grucore.graph.tensors import Array, Dtype, Float, Layout, Role, Slot
from grucore.graph.weights import Weight, as_float64

__all__ = ["ArgMax", "Binary", "Concat", "Embedding", "Operation", "Select"]


class Operation(IntEnum):
    """An operation on two numbers."""

    ADD = 0
    SUBTRACT = 1
    MULTIPLY = 2
    MAXIMUM = 3
    MINIMUM = 4


_FUNCTIONS: dict[Operation, Callable[[Float, Float], Float]] = {
    Operation.ADD: np.add,
    Operation.SUBTRACT: np.subtract,
    Operation.MULTIPLY: np.multiply,
    Operation.MAXIMUM: np.maximum,
    Operation.MINIMUM: np.minimum,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Concat(Node):
    """Several values of one dtype and clock side by side."""

    kind: ClassVar[int] = 4
    layer: ClassVar[str] = "concat"

    def written(self, *inputs: Value) -> Value:
        total = sum(value.features for value in inputs)
        return replace(inputs[0], name=self.output, features=total)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 2, None)
        for value in inputs:
            check_dtype(value, output)
            check_clock(value, output)
        total = sum(value.features for value in inputs)
        if total != output.features:
            raise Defect(
                "kBadShape", f"the inputs have {total} features, the output {output.features}"
            )

    def formula(self, call: Call) -> Result:
        return np.concatenate(call.sources, axis=-1), ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Binary(Node):
    """Two values into one, element by element: the first ``operation`` the second."""

    operation: Operation

    kind: ClassVar[int] = 10
    layer: ClassVar[str] = "binary"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (int(self.operation),)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 2, 2)
        check_float32(*inputs, output)
        for value in inputs:
            check_clock(value, output)
            check_features(value, output)
        check_code(Operation, words, 0, "the operation")

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"operation": Operation(words[0])}

    def formula(self, call: Call) -> Result:
        a, b = call.sources
        return _FUNCTIONS[self.operation](a, b), ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Select(Node):
    """Features picked by ``index`` (features,), int32: slices, permutations, repetitions."""

    index: Array

    kind: ClassVar[int] = 11
    layer: ClassVar[str] = "select"

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, features=len(self.index))

    def tensors(self) -> dict[Role, Weight]:
        return {Role.INDEX: self.index}

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_dtype(inputs[0], output)
        check_clock(inputs[0], output)

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        return (Slot(Role.INDEX, (output.features,), dtype=Dtype.INT32),)

    @classmethod
    def check_tensors(
        cls, words: Sequence[int], inputs: Sequence[Value], tensors: Mapping[Role, Any]
    ) -> None:
        index, features = tensors[Role.INDEX], inputs[0].features
        for number in index[(index < 0) | (index >= features)][:1]:
            message = f"picks feature {number} of value {inputs[0].name!r}, which has {features}"
            raise Defect("kBadIndex", message, tensor=Role.INDEX)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"index": tensors[Role.INDEX]}

    def formula(self, call: Call) -> Result:
        return call.sources[0][..., self.index], ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedding(Node):
    """For each int32 id its row of ``table`` (ids, width), side by side; 0 for a foreign id.

    ``table``: float32, float16 or int8.
    """

    table: Weight

    kind: ClassVar[int] = 5
    layer: ClassVar[str] = "embedding"
    weight_fields: ClassVar[tuple[str, ...]] = ("table",)

    def written(self, *inputs: Value) -> Value:
        features = inputs[0].features * int(self.table.shape[1])
        return replace(inputs[0], name=self.output, dtype=Dtype.FLOAT32, features=features)

    def tensors(self) -> dict[Role, Weight]:
        return {Role.TABLE: self.table}

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        if inputs[0].dtype is not Dtype.INT32:
            message = f"value {inputs[0].name!r} is {inputs[0].dtype.name}, not INT32"
            raise Defect("kBadShape", message)
        check_float32(output)
        check_clock(inputs[0], output)
        if output.features % inputs[0].features:
            message = f"value {output.name!r} has {output.features} features"
            raise Defect("kBadShape", f"{message} for {inputs[0].features} ids")

    @classmethod
    def slots(
        cls, words: Sequence[int], inputs: Sequence[Value], output: Value
    ) -> tuple[Slot, ...]:
        # Any number of ids.
        width = output.features // inputs[0].features
        slot = Slot(Role.TABLE, (0, width), Layout.ROWS)
        return (slot._replace(others=(Dtype.FLOAT16, Dtype.INT8)),)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"table": tensors[Role.TABLE]}

    def formula(self, call: Call) -> Result:
        ids = call.sources[0].astype(np.int64)
        known = (ids >= 0) & (ids < len(self.table))
        rows = as_float64(self.table)[np.where(known, ids, 0)]
        rows = np.where(known[..., None], rows, 0.0)
        return rows.reshape(*ids.shape[:-1], ids.shape[-1] * rows.shape[-1]), ()


@dataclass(frozen=True, eq=False, kw_only=True)
class ArgMax(Node):
    """The place of the largest feature as an id; of several groups side by side, one for each.

    The first of equal ones; a NaN is larger than any number.
    """

    groups: int = 1

    kind: ClassVar[int] = 26
    layer: ClassVar[str] = "arg_max"
    attribute_count: ClassVar[int] = 1

    @property
    def attributes(self) -> tuple[int, ...]:
        return (self.groups,)

    def written(self, *inputs: Value) -> Value:
        return replace(inputs[0], name=self.output, dtype=Dtype.INT32, features=self.groups)

    @classmethod
    def check(cls, words: Sequence[int], inputs: Sequence[Value], output: Value) -> None:
        check_arity(inputs, 1, 1)
        check_float32(inputs[0])
        if output.dtype is not Dtype.INT32:
            message = f"value {output.name!r} is {output.dtype.name}, not INT32"
            raise Defect("kBadShape", message)
        check_clock(inputs[0], output)
        if inputs[0].features % output.features:
            message = f"value {inputs[0].name!r} has {inputs[0].features} features"
            raise Defect("kBadShape", f"{message} for {output.features} ids")
        if words[0] != output.features:
            raise Defect("kBadAttribute", f"{words[0]} groups, but {output.features} ids", 0)

    @classmethod
    def settings(cls, words: Sequence[int], tensors: Mapping[Role, Any]) -> dict[str, Any]:
        return {"groups": words[0]}

    def formula(self, call: Call) -> Result:
        (x,) = call.sources
        groups = x.reshape(*x.shape[:-1], self.groups, x.shape[-1] // self.groups)
        return np.argmax(groups, axis=-1).astype(np.float64), ()
