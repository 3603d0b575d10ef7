# SPDX-License-Identifier: Apache-2.0
"""Files and objects through the converters' doors, by name or as bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grucore.converters.boundary import boundary
from grucore.converters.convert import finished
from grucore.converters.keras.convert import graph_of_source, read_source
from grucore.converters.keras.read.source import Source
from grucore.converters.onnx import convert as onnx
from grucore.converters.source import read_file, sniff
from grucore.converters.torch import convert as torch
from grucore.converters.torch.read.checkpoint import load_checkpoint
from grucore.graph.graph import Graph
from grucore.proof.proof import Finished


def keras_graph(path: Path, *, config: Any = None) -> Graph:
    """``config`` goes with `.weights.h5`: a path, a JSON text or a dict."""
    with boundary():
        return graph_of_source(keras_source(path.read_bytes(), path.name, config=config))


def keras_source(data: bytes, name: str, *, config: Any = None) -> Source:
    """The layers and weights in the bytes of a file."""
    with boundary():
        return read_source(sniff(data, name), config)


def checkpoint_in(data: bytes) -> Any:
    """The object that torch.save wrote."""
    with boundary():
        return load_checkpoint(sniff(data, "checkpoint.pt"))


def program_in(data: bytes) -> Finished:
    """The file made of a `.pt2` archive, proved."""
    with boundary():
        conversion = torch.of_file(sniff(data, "model.pt2"))
    return finished(conversion)


def torch_object(obj: Any, **options: Any) -> Finished:
    """The file made of a live module or a state dict, proved."""
    with boundary():
        conversion = torch.of_object(obj, **options)
    return finished(conversion)


def onnx_graph(path: Path) -> Graph:
    with boundary():
        return onnx.of_file(sniff(read_file(path), path)).graph


def proto_graph(model: Any) -> Graph:
    """The graph of an ``onnx.ModelProto`` that has its numbers in it."""
    with boundary():
        return onnx.of_proto(model).graph
