# SPDX-License-Identifier: Apache-2.0
"""Reads an ONNX file or proto into a `Source`; what cannot be vouched for is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grucore._core import ConversionError
from grucore.converters.boundary import at
from grucore.converters.onnx.read.nodes import Reader
from grucore.converters.onnx.read.source import Port, Source
from grucore.converters.onnx.read.tensors import DTYPES, array_of, external_folder
from grucore.graph.tensors import Array

__all__ = ["parse", "source_of"]

MAX_BYTES = 1 << 31  # what a protobuf can be
MAX_NODES = 1 << 16
MAX_NAMES = 1 << 18
MAX_INPUTS = 64
# The GRU of today came with opset 7; a newer opset may change what an operator means.
OPSETS = range(7, 27)


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
    reader = Reader(
        constants=constants,
        external=external,
        known={*constants, *(port.name for port in inputs)},
        from_pytorch=model.producer_name == "pytorch",
        pytorch_lbr_fix=pytorch_lbr_fix,
    )
    nodes = reader.read(graph.node)
    for name in outputs:
        if name not in reader.known:
            raise ConversionError(f"output {name!r} is written by no node")
    about: dict[str, Any] = {
        "framework": "onnx",
        "opset": opset,
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
    }
    if reader.fixed:
        about["pytorch_lbr_fix"] = f"linear_before_reset read as 1 in {reader.fixed} GRU nodes"
    return Source(nodes, constants, inputs, outputs, opset, about)


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
