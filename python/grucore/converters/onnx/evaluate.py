# SPDX-License-Identifier: Apache-2.0
"""Operators on numbers: what does not depend on the input, computed while the file is read.

The arithmetic is that of onnx's own reference evaluator. One budget of bytes and multiply-adds,
tied to the numbers that the file holds, bounds it; sizes are inferred before anything is made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grucore.converters.onnx.read.source import Body, OnnxNode, Source
from grucore.converters.onnx.read.tensors import DTYPES
from grucore.graph.tensors import Array

__all__ = ["Budget", "evaluate", "folded", "made_node"]

LEAST_BYTES, BYTES_PER_BYTE = 1 << 25, 16
LEAST_PRODUCTS, PRODUCTS_PER_BYTE = 10**9, 4000
COST_OF_A_NODE = 10**5  # the evaluator's own work, in multiply-adds
TRIALS = 16  # times that a walk over the file may make all these bytes
FORBIDDEN = re.compile(
    "Bernoulli|ConcatFromS|Constant$|Dropout|GRU|If|LSTM|Loop|Multinomial|Optional|RNN|Random|Scan|"
    "Sequence|SplitToS|loop"
)


@dataclass
class Budget:
    """Bytes that may be made and multiply-adds that may be done for one file."""

    bytes: int
    products: int
    spent: int = 0
    total: list[int] = field(default_factory=lambda: [0, 0])

    @classmethod
    def of(cls, constants: Mapping[str, Array]) -> Budget:
        """The budget of a file with these numbers in it."""
        size = sum(array.nbytes for array in constants.values())
        return cls(LEAST_BYTES + BYTES_PER_BYTE * size, LEAST_PRODUCTS + PRODUCTS_PER_BYTE * size)

    def fork(self) -> Budget:
        """For another walk over the same file: nothing of its bytes is held yet."""
        return replace(self, spent=0)

    def spend(self, node: OnnxNode, size: int, products: int = 0) -> None:
        """Take so many bytes and multiply-adds; raises `ConversionError`."""
        self.spent += size
        self.total[0] += size
        self.total[1] += products
        for what, found, most in (
            ("bytes", self.spent, self.bytes),
            ("bytes in all readings", self.total[0], TRIALS * self.bytes),
            ("multiply-adds", self.total[1], self.products),
        ):
            if found > most:
                raise node.refuse(
                    f"constants up to here take {found} {what}, expected at most {most} for a file "
                    "of this size: store computed constants in the file"
                )


def folded(source: Source, budget: Budget) -> Source:
    """The graph without the nodes whose inputs are all constants; they are constants now."""
    constants = dict(source.constants)
    kept: list[OnnxNode] = []
    for node in source.nodes:
        arrays = [constants.get(name) if name else None for name in node.inputs]
        known = all(not name or name in constants for name in node.inputs)
        results = None
        if known and any(node.inputs) and not FORBIDDEN.match(node.op):
            results = evaluate(node, arrays, source.opset, budget)
        if results is None:
            kept.append(node)
            continue
        constants.update((n, a) for n, a in zip(node.outputs, results, strict=False) if n)
    return replace(source, nodes=tuple(kept), constants=constants)


def evaluate(
    node: OnnxNode, arrays: Sequence[Array | None], opset: int, budget: Budget
) -> list[Array] | None:
    """The node's outputs; None where the evaluator does not know it or refuses its inputs."""
    if node.op == "Cast":
        target = DTYPES.get(node.attributes.get("to", 0))
        if target is None or arrays[0] is None:
            return None
        budget.spend(node, 8 * arrays[0].size)
        # bfloat16 is read as float32 everywhere.
        return [arrays[0].astype("f4" if target[0] == "bfloat16" else target[1])]
    size = _bytes_of_sound(node, arrays)
    size = _bytes_of_outputs(node, arrays, opset) if size is None else size
    if size is None:
        return None
    given = sum(array.nbytes for array in arrays if array is not None)
    budget.spend(node, size, _products(node, arrays, size) + given + COST_OF_A_NODE)
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in dict.fromkeys(node.inputs) if name]
    outputs = [name for name in node.outputs if name]
    graph = helper.make_graph(
        [made_node(node)],
        "constants",
        [helper.make_empty_tensor_value_info(name) for name in names],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    feeds = {name: a for name, a in zip(node.inputs, arrays, strict=True) if a is not None}
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, feeds)
    except MemoryError:
        raise
    except Exception:  # of every kind: the walk says what is wrong with the node
        return None
    found = dict(zip(outputs, results, strict=True))
    if not all(isinstance(a, np.ndarray | np.generic) for a in results):
        return None
    made = [np.asarray(found[name]) if name else np.zeros(0) for name in node.outputs]
    return made if all(array.dtype.kind in "fiub" for array in made) else None


def made_node(node: OnnxNode) -> Any:
    """The NodeProto."""
    from onnx import helper

    attributes = {
        key: _proto_of(node, value) if isinstance(value, np.ndarray | Body) else value
        for key, value in node.attributes.items()
    }
    return helper.make_node(node.op, list(node.inputs), list(node.outputs), node.name, **attributes)


def _proto_of(node: OnnxNode, value: Array | Body) -> Any:
    """A TensorProto or a GraphProto."""
    from onnx import helper, numpy_helper

    if not isinstance(value, Body):
        return numpy_helper.from_array(value)
    inputs = [helper.make_empty_tensor_value_info(name) for name in value.inputs]
    if node.op == "Loop":  # onnxruntime wants to know that these are scalars
        for place, kind in enumerate(("int64", "bool")):
            number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
            inputs[place] = helper.make_tensor_value_info(value.inputs[place], number, [])
    return helper.make_graph(
        [made_node(inner) for inner in value.nodes],
        "body",
        inputs,
        [helper.make_empty_tensor_value_info(name) for name in value.outputs],
    )


def _bytes_of_sound(node: OnnxNode, arrays: Sequence[Array | None]) -> int | None:
    """The same of windows and mel filters, whose size is a number that they read."""
    numbers = [int(a.reshape(-1)[0]) for a in arrays[:2] if a is not None and a.size == 1]
    if node.op in ("HannWindow", "HammingWindow", "BlackmanWindow") and len(numbers) == 1:
        return 8 * numbers[0]
    if node.op == "MelWeightMatrix" and len(numbers) == 2:
        return 8 * numbers[0] * (numbers[1] // 2 + 1)
    return None


def _bytes_of_outputs(node: OnnxNode, arrays: Sequence[Array | None], opset: int) -> int | None:
    """How much the node makes, by onnx's inference of shapes; None where it cannot tell."""
    import onnx
    from onnx import helper, numpy_helper, shape_inference

    types, values = {}, {}
    for name, array in zip(node.inputs, arrays, strict=True):
        if array is None:
            continue
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        types[name] = helper.make_tensor_type_proto(kind, array.shape)
        if array.dtype.kind in "iu" and array.size <= 1024:  # shapes, axes, repeats
            values[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
    try:
        schema = onnx.defs.get_schema(node.op, opset, "")
        found = shape_inference.infer_node_outputs(
            schema, made_node(node), types, values, None, [helper.make_opsetid("", opset)], 10
        )
    except MemoryError:
        raise
    except Exception:  # an operator of no schema, inputs of no meaning
        return None
    total = 0
    for name in filter(None, node.outputs):
        tensor = found[name].tensor_type if name in found else None
        if tensor is None or not tensor.HasField("shape"):
            return None
        if not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            return None
        total += 8 * math.prod(int(dim.dim_value) for dim in tensor.shape.dim)
    return total


def _products(node: OnnxNode, arrays: Sequence[Array | None], size: int) -> int:
    """Multiply-adds, not below what they are."""
    sizes = [array.size for array in arrays if array is not None]
    if node.op == "Einsum":
        text = str(node.attributes.get("equation", "")).replace(" ", "").partition("->")[0]
        letters: dict[str, int] = {}
        for labels, array in zip(text.split(","), arrays, strict=False):
            if array is not None and "..." not in labels:
                letters.update(zip(labels, array.shape, strict=False))
        return math.prod(letters.values()) if letters else math.prod(sizes)
    if node.op in ("MatMul", "Gemm", "MatMulInteger", "QLinearMatMul"):
        first = arrays[0]
        rank = 0 if first is None else first.ndim
        inner = max(first.shape[-2:]) if first is not None and rank else 1
        return size // 8 * inner
    if "Conv" in node.op or node.op in ("Det", "Resize"):
        return math.prod(sizes)
    return size + sum(sizes)
