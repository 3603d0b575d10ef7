# SPDX-License-Identifier: Apache-2.0
"""Reads an ONNX file or proto into a `Source`; what cannot be vouched for is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.boundary import at
from grucore.converters.onnx.read.source import OnnxNode, Port, Source
from grucore.converters.onnx.read.tensors import DTYPES, External, array_of, external_folder
from grucore.graph.tensors import Array

__all__ = ["parse", "source_of"]

MAX_BYTES = 1 << 31  # what a protobuf can be
MAX_NODES = 1 << 16
MAX_NAMES = 1 << 18
MAX_INPUTS = 64
# The GRU of today came with opset 7; a newer opset may change what an operator means.
OPSETS = range(7, 27)

FLOAT, INT, STRING, TENSOR, GRAPH, FLOATS, INTS, STRINGS = 1, 2, 3, 4, 5, 6, 7, 8
LOOP_TEXT = (
    "it is a loop over frames with a graph of its own inside, which is not read. Convert the model "
    "that this file was exported from; or export its recurrent layers as operators GRU, as "
    "torch.onnx.export and recent tf2onnx do, or its cell for one frame with the state as input"
)
SUBGRAPH_TEXT = {
    "If": (
        "it chooses between two graphs of its own, which is not read. Export with fixed sizes, or "
        "write squeeze with the axis and no condition on sizes"
    ),
    "Loop": LOOP_TEXT,
    "Scan": LOOP_TEXT,
    "SequenceMap": LOOP_TEXT,
}
LBR_TEXT = (
    "linear_before_reset is 0, but the file comes from PyTorch, whose GRU is always "
    "linear_before_reset=1. Some versions of its exporter wrote 0 by mistake (onnxscript issue "
    "2852), and any runtime then computes something else than the model that was trained. Export "
    "again with a newer onnxscript, or convert with pytorch_lbr_fix=True (--pytorch-lbr-fix), "
    "which reads 1"
)


def parse(data: bytes) -> Any:
    """The ModelProto in these bytes; raises `ConversionError`."""
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError:
        raise ConversionError(
            "reading ONNX needs a package: pip install 'grucore[convert]'"
        ) from None
    if len(data) > MAX_BYTES:
        raise ConversionError(f"{len(data)} bytes, expected at most {MAX_BYTES}")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise ConversionError(f"not an ONNX file, or a damaged one: {error}") from None
    return model


def source_of(model: Any, folder: Path | None = None, *, pytorch_lbr_fix: bool = False) -> Source:
    """The content of a ModelProto; ``folder`` is where its external data may be."""
    graph = model.graph
    opset = _opset(model)
    _check_model(model)
    external = external_folder(folder)
    constants: dict[str, Array] = {}
    for tensor in graph.initializer:
        if tensor.name in constants or not tensor.name:
            raise ConversionError(f"two initializers are called {tensor.name!r}")
        with at(f"initializer {tensor.name!r}"):
            constants[tensor.name] = array_of(tensor, tensor.name, external)
    # Files before IR version 4 list their initializers among the inputs.
    inputs = tuple(_port(value) for value in graph.input if value.name not in constants)
    outputs = tuple(value.name for value in graph.output)
    for what, names in (("inputs", [port.name for port in inputs]), ("outputs", list(outputs))):
        if not 1 <= len(names) <= MAX_INPUTS:
            raise ConversionError(f"{len(names)} {what}, expected 1 to {MAX_INPUTS}")
        if len(set(names)) < len(names) or not all(names):
            raise ConversionError(f"{what} share a name: {', '.join(map(repr, names))}")
    from_pytorch = model.producer_name == "pytorch"
    known = {*constants, *(port.name for port in inputs)}
    nodes: list[OnnxNode] = []
    fixed = 0
    for proto in graph.node:
        with at(f"{proto.op_type} {proto.name!r}"):
            node = _node(proto, external)
        resets_before = node.op == "GRU" and node.get("linear_before_reset", 0) == 0
        if resets_before and from_pytorch and not pytorch_lbr_fix:
            raise node.refuse(LBR_TEXT)
        # Who asks for it knows where the file is from, whatever tool wrote it last.
        if resets_before and pytorch_lbr_fix:
            node = _with(node, linear_before_reset=1)
            fixed += 1
        _check_names(node, known)
        known.update(filter(None, node.outputs))
        if node.op == "Constant":
            constants[node.outputs[0]] = _constant(node)
        else:
            nodes.append(node)
    for name in outputs:
        if name not in known:
            raise ConversionError(f"output {name!r} is written by no node")
    about: dict[str, Any] = {
        "framework": "onnx",
        "opset": opset,
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
    }
    if fixed:
        about["pytorch_lbr_fix"] = f"linear_before_reset read as 1 in {fixed} GRU nodes"
    return Source(tuple(nodes), constants, inputs, outputs, opset, about)


def _with(node: OnnxNode, **attributes: Any) -> OnnxNode:
    changed = {**node.attributes, **attributes}
    return OnnxNode(node.op, node.name, node.inputs, node.outputs, changed)


def _opset(model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1 or versions[0] not in OPSETS:
        found = ", ".join(map(str, versions)) or "none"
        raise ConversionError(f"opset {found}, expected {OPSETS[0]} to {OPSETS[-1]}")
    return int(versions[0])


def _check_model(model: Any) -> None:
    graph = model.graph
    for what, found in (
        ("functions of its own", model.functions),
        ("training information", model.training_info),
        ("sparse initializers", graph.sparse_initializer),
    ):
        if len(found):
            raise ConversionError(f"the file has {what}, expected none")
    if len(graph.node) > MAX_NODES or len(graph.initializer) > MAX_NAMES:
        message = f"{len(graph.node)} nodes and {len(graph.initializer)} initializers"
        raise ConversionError(f"{message}, expected at most {MAX_NODES} and {MAX_NAMES}")


def _port(value: Any) -> Port:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise ConversionError(f"input {value.name!r} is a {kind}, expected a tensor")
    tensor = value.type.tensor_type
    if tensor.elem_type not in DTYPES:
        raise ConversionError(f"input {value.name!r} has ONNX data type {tensor.elem_type}")
    if not tensor.HasField("shape"):
        raise ConversionError(f"input {value.name!r} has no shape: not even its rank is known")
    dims: list[int | str | None] = []
    for dim in tensor.shape.dim:
        which = dim.WhichOneof("value")
        if which == "dim_value" and not 1 <= dim.dim_value < MAX_BYTES:
            raise ConversionError(f"input {value.name!r} has a size of {dim.dim_value}")
        dims.append(dim.dim_value if which == "dim_value" else dim.dim_param or None)
    return Port(value.name, DTYPES[tensor.elem_type][0], tuple(dims))


def _node(proto: Any, external: External) -> OnnxNode:
    node = OnnxNode(proto.op_type, proto.name, tuple(proto.input), tuple(proto.output))
    if proto.domain not in ("", "ai.onnx"):
        raise node.refuse(f"domain is {proto.domain!r}, expected an operator of ONNX itself")
    if proto.op_type in SUBGRAPH_TEXT:
        raise node.refuse(SUBGRAPH_TEXT[proto.op_type])
    attributes: dict[str, Any] = {}
    for attribute in proto.attribute:
        if attribute.name in attributes:
            raise node.refuse(f"attribute {attribute.name} stands twice")
        attributes[attribute.name] = _attribute(node, attribute, external)
    return OnnxNode(node.op, node.name, node.inputs, node.outputs, attributes)


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
