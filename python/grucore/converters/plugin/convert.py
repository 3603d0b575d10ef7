# SPDX-License-Identifier: Apache-2.0
"""A JSON file of weights to the conversion that it stands for.

The programs that play such files are written in C++, so that the float64 reference is the witness.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from grucore._core import ConversionError
from grucore.converters.conversion import Conversion
from grucore.converters.plugin import guitarml, rtneural
from grucore.converters.plugin.text import parse
from grucore.converters.source import Given
from grucore.graph.graph import Graph
from grucore.proof.evidence import reference_evidence

__all__ = ["describe", "of_file"]

EXPECTED = "the layout of RTNeural and AIDA-X ('layers') or of GuitarML ('model_data')"


def of_file(given: Given) -> Conversion:
    """The conversion of a `.json` file of weights."""
    document = parse(given.data)
    graph: Graph = _layout(document).graph_of(
        document, {"framework": "plugin", "file": given.name, "container": "JSON"}
    )
    return Conversion(graph, lambda: reference_evidence(graph, "the file's players are C++"))


def describe(given: Given) -> str:
    """The kind of the file, in a few words; raises `ConversionError`."""
    document = parse(given.data)
    return f"weights in JSON: {_layout(document).describe(document)}"


def _layout(document: Mapping[str, Any]) -> ModuleType:
    if "layers" in document and "in_shape" in document:
        return rtneural
    if "model_data" in document:
        return guitarml
    if "class_name" in document:
        raise ConversionError(
            "the config of a Keras model, without weights: give it as config= (--config) beside "
            "the .weights.h5"
        )
    if "architecture" in document and "config" in document:
        raise ConversionError(f"a model of Neural Amp Modeler, expected {EXPECTED}")
    names = ", ".join(map(repr, document))
    raise ConversionError(f"JSON with {names or 'nothing'!s:.100}, expected {EXPECTED}")
