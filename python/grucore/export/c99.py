# SPDX-License-Identifier: Apache-2.0
"""A model as code: one header and one source of C99 that compute what the engine computes, to the
bit, and need nothing else (docs/embedded.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grucore import fileformat
from grucore.export.layers import check_exportable
from grucore.export.names import checked_prefix
from grucore.export.source import write_c
from grucore.graph.graph import Graph
from grucore.version import __version__

__all__ = ["Export", "export_c99"]

NUMERICS = ("fused", "muladd")


@dataclass(frozen=True)
class Export:
    """Files by name, and what they hold in bytes: weights in flash, state, values on the stack."""

    prefix: str
    files: Mapping[str, str]
    weight_bytes: int
    state_bytes: int
    frame_bytes: int
    multiply_adds: int


def export_c99(graph: Graph, name: str, *, numerics: str = "fused") -> Export:
    """``name.h`` and ``name.c`` of a model that runs frame by frame.

    ``name``: an identifier of C, with which all others start. ``numerics``: the class of products
    of float weights, "fused" or "muladd"; the graph's test vector, if it has one, is of that class
    and becomes the self-test.

    Raises ValueError for another name or class, and for a layer that cannot be written so: it names
    the layer, and says what to do.
    """
    prefix = checked_prefix(name)
    if numerics not in NUMERICS:
        raise ValueError(f"numerics={numerics!r}: expected one of {', '.join(NUMERICS)}")
    check_exportable(graph)
    digest = hashlib.sha256(fileformat.write(graph)).hexdigest()
    origin = [f"grucore {__version__}, products {numerics}", f"model sha256 {digest}"]
    origin += _source_text(graph.metadata.get("source"))
    written = write_c(graph, prefix, origin, numerics)
    return Export(
        prefix=prefix,
        files={f"{prefix}.h": written.header, f"{prefix}.c": written.source},
        weight_bytes=written.weight_bytes,
        state_bytes=written.state_bytes,
        frame_bytes=written.frame_bytes,
        multiply_adds=graph.multiply_adds_per_frame,
    )


def _source_text(source: Any) -> list[str]:
    """The metadata on the checkpoint, in plain characters."""
    if not isinstance(source, dict):
        return []
    texts = [f"{key}: {value}" for key, value in source.items() if isinstance(value, str | int)]
    return [text.encode("ascii", "replace").decode().replace("*/", "* /") for text in texts]
