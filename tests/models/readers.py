# SPDX-License-Identifier: Apache-2.0
"""The graph of a file, without proof and engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grucore.converters.keras.convert import graph_of_source, read_source
from grucore.converters.onnx.convert import read, read_bytes
from grucore.converters.source import read_file
from grucore.graph.graph import Graph


def keras_graph(path: Path, *, config: Any = None) -> Graph:
    """``config`` goes with `.weights.h5`: a path, a JSON text or a dict."""
    return graph_of_source(read_source(read_file(path), path.name, config=config))


def onnx_graph(path: Path) -> Graph:
    return read_bytes(read_file(path), path).graph


def proto_graph(model: Any) -> Graph:
    """The graph of an ``onnx.ModelProto`` that has its numbers in it."""
    return read(model).graph
