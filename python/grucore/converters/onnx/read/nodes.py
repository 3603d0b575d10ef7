# SPDX-License-Identifier: Apache-2.0
"""Reads the nodes of a graph, and of the graphs inside them, whose names become the file's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grucore.converters.boundary import at
from grucore.converters.onnx.read.source import Body, OnnxNode
from grucore.converters.onnx.read.tensors import External, array_of
from grucore.graph.tensors import Array

__all__ = ["Reader"]

FLOAT, INT, STRING, TENSOR, GRAPH, FLOATS, INTS, STRINGS = 1, 2, 3, 4, 5, 6, 7, 8
# The operators that may hold graphs, and how these attributes are called.
BODIES = {"Loop": ("body",), "Scan": ("body",), "If": ("then_branch", "else_branch")}
MAX_BODY_NODES = 1 << 14
MAX_DEPTH = 8
LBR_TEXT = (
    "linear_before_reset is 0, but the file comes from PyTorch, whose GRU is always "
    "linear_before_reset=1. Some versions of its exporter wrote 0 by mistake (onnxscript issue "
    "2852), and any runtime then computes something else than the model that was trained. Export "
    "again with a newer onnxscript, or convert with pytorch_lbr_fix=True (--pytorch-lbr-fix), "
    "which reads 1"
)


@dataclass
class Reader:
    """Reads nodes; ``constants`` grows by those that stand in nodes and in graphs inside them.

    ``known``: the values that are written so far. ``names``: what the names of a graph inside a
    node became, since two of such graphs may use the same ones.
    """

    constants: dict[str, Array]
    external: External
    known: set[str]
    from_pytorch: bool = False
    pytorch_lbr_fix: bool = False
    fixed: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    depth: int = 0

    def read(self, protos: Iterable[Any]) -> tuple[OnnxNode, ...]:
        """The nodes that are no constants."""
        nodes: list[OnnxNode] = []
        for proto in protos:
            with at(f"{proto.op_type} {proto.name!r}"):
                node = self._node(proto)
            _check_names(node, self.known)
            self.known.update(filter(None, node.outputs))
            if node.op == "Constant":
                self.constants[node.outputs[0]] = _constant(node)
            else:
                nodes.append(self._checked(node))
        return tuple(nodes)

    def _checked(self, node: OnnxNode) -> OnnxNode:
        """The node; a GRU of PyTorch with the cell that it has."""
        if node.op == "SplitToSequence" and len(node.inputs) > 1:
            # onnxruntime heeds keepdims beside a split of 1, and onnx's own evaluator does not.
            split = self.constants.get(node.inputs[1])
            if split is not None and split.ndim == 0 and int(split) == 1:
                return replace(node, inputs=node.inputs[:1])
        if node.op != "GRU" or node.get("linear_before_reset", 0) != 0:
            return node
        if self.from_pytorch and not self.pytorch_lbr_fix:
            raise node.refuse(LBR_TEXT)
        if not self.pytorch_lbr_fix:
            return node
        # Who asks for it knows where the file is from, whatever tool wrote it last.
        self.fixed += 1
        return replace(node, attributes={**node.attributes, "linear_before_reset": 1})

    def _node(self, proto: Any) -> OnnxNode:
        inputs = tuple(self.names.get(name, name) for name in proto.input)
        outputs = tuple(name and self.prefix + name for name in proto.output)
        node = OnnxNode(proto.op_type, proto.name, inputs, outputs)
        if proto.domain not in ("", "ai.onnx"):
            raise node.refuse(f"domain is {proto.domain!r}, expected an operator of ONNX itself")
        attributes: dict[str, Any] = {}
        for attribute in proto.attribute:
            if attribute.name in attributes:
                raise node.refuse(f"attribute {attribute.name} stands twice")
            if attribute.type == GRAPH and attribute.name in BODIES.get(node.op, ()):
                attributes[attribute.name] = self._body(node, attribute.name, attribute.g)
            else:
                attributes[attribute.name] = _attribute(node, attribute, self.external)
        for name in BODIES.get(node.op, ()):
            if not isinstance(attributes.get(name), Body):
                raise node.refuse(f"attribute {name} is missing, expected a graph")
        if self.prefix:
            renamed = dict(zip(proto.output, outputs, strict=True))
            self.names = {**self.names, **{old: new for old, new in renamed.items() if old}}
        return replace(node, attributes=attributes)

    def _body(self, node: OnnxNode, attribute: str, graph: Any) -> Body:
        if self.depth >= MAX_DEPTH or len(graph.node) > MAX_BODY_NODES:
            raise node.refuse(
                f"attribute {attribute} has {len(graph.node)} nodes at depth {self.depth + 1}, "
                f"expected at most {MAX_BODY_NODES} at {MAX_DEPTH}"
            )
        if len(graph.sparse_initializer):
            raise node.refuse(f"attribute {attribute} has sparse initializers, expected none")
        prefix = f"{next(filter(None, node.outputs), node.name)}/{attribute}/"
        names = dict(self.names)
        inputs: list[str] = []
        for tensor in graph.initializer:
            name = prefix + tensor.name
            if not tensor.name or name in self.constants:
                raise node.refuse(f"two initializers of {attribute} are called {tensor.name!r}")
            self.constants[name] = array_of(tensor, name, self.external)
            self.known.add(name)
            names[tensor.name] = name
        for value in graph.input:
            name = prefix + value.name
            if not value.name or name in self.known:
                raise node.refuse(f"attribute {attribute} has two inputs {value.name!r}")
            self.known.add(name)
            names[value.name] = name
            inputs.append(name)
        inner = replace(self, names=names, prefix=prefix, depth=self.depth + 1, fixed=0)
        nodes = inner.read(graph.node)
        self.fixed += inner.fixed
        outputs = tuple(inner.names.get(value.name, value.name) for value in graph.output)
        for name in outputs:
            if name not in self.known:
                raise node.refuse(f"{attribute} gives {name!r}, which nothing writes")
        return Body(nodes, tuple(inputs), outputs)


def _attribute(node: OnnxNode, attribute: Any, external: External) -> Any:
    if attribute.ref_attr_name:
        raise node.refuse(f"attribute {attribute.name} refers to one of a function")
    kind = attribute.type
    try:
        if kind in (FLOAT, INT):
            return attribute.f if kind == FLOAT else attribute.i
        if kind == STRING:
            return attribute.s.decode()
        if kind == TENSOR:
            return array_of(attribute.t, f"{node.label}.{attribute.name}", external)
        if kind in (FLOATS, INTS):
            return tuple(attribute.floats if kind == FLOATS else attribute.ints)
        if kind == STRINGS:
            return tuple(text.decode() for text in attribute.strings)
    except UnicodeDecodeError:
        raise node.refuse(f"attribute {attribute.name} is not UTF-8") from None
    what = "a graph" if kind == GRAPH else f"of type {kind}"
    raise node.refuse(f"attribute {attribute.name} is {what}, expected numbers or text")


def _check_names(node: OnnxNode, known: set[str]) -> None:
    for name in node.inputs:
        if name and name not in known:
            raise node.refuse(f"reads {name!r}, which nothing before it writes")
    seen: set[str] = set()
    for name in filter(None, node.outputs):
        if name in known or name in seen:
            raise node.refuse(f"writes {name!r}, which is written already")
        seen.add(name)
    if not seen:
        raise node.refuse("writes nothing")


def _constant(node: OnnxNode) -> Array:
    forms: dict[str, Callable[[Any], Any]] = {
        "value": lambda value: value,
        "value_float": lambda value: np.array(value, np.float32),
        "value_floats": lambda value: np.array(value, np.float32),
        "value_int": lambda value: np.array(value, np.int64),
        "value_ints": lambda value: np.array(value, np.int64),
    }
    node.check_attributes(tuple(forms))
    if len(node.attributes) != 1 or len(node.outputs) != 1:
        raise node.refuse(f"{len(node.attributes)} values, expected one")
    ((name, value),) = node.attributes.items()
    return np.asarray(forms[name](value))
