# SPDX-License-Identifier: Apache-2.0
"""A model with the engine as one source beside it: for what C99 alone does not do, such as whole
sequences, blocks of frames, or several models that share one engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from grucore.export.amalgamate import folded_header, folded_source
from grucore.export.names import checked_prefix
from grucore.graph.graph import Graph
from grucore.graph.layers import Activation, ActivationCode, Cell, Delay, Gru
from grucore.graph.node import Node, Rate
from grucore.graph.storage import SCALES, kind_of
from grucore.graph.tensors import Dtype
from grucore.graph.weights import Quantized

__all__ = ["EngineExport", "export_engine", "whole_matrices"]

_KIND = re.compile(r"[({](\d+), \"\w+\",")
_OBJECT = re.compile(r"^const LayerKind (k\w+) = ", re.MULTILINE)
_ISA = re.compile(r"^GRUCORE_ISA_ROW\((?!scalar)(\w+),", re.MULTILINE)
_MULADD = "scalar_muladd.cpp"
_FLOORS = ("format", "graph", "isa", "kernels", "layers", "model")


_HEADER = """\
// The interfaces of grucore's engine, in C++ and in C, with what they include in one file.
// SPDX-License-Identifier: Apache-2.0
#pragma once
"""
_SOURCE = """\
// grucore's engine in one file, with the layers, weights and functions of one model and the plain
// table of kernels. A linker leaves out what is not called.
// SPDX-License-Identifier: Apache-2.0
#if defined(__clang__)  // which calls names of a source unused that it lets stand in a header
#pragma clang diagnostic ignored "-Wunused"
#pragma clang diagnostic ignored "-Wunneeded-internal-declaration"
#endif
"""


@dataclass(frozen=True)
class EngineExport:
    """Files by name, texts all of them, and the layer kinds that the engine was given."""

    prefix: str
    files: Mapping[str, str]
    kinds: tuple[str, ...]
    weights: tuple[str, ...]


def _sources(folder: Path | None) -> dict[str, str]:
    """The engine's files by their paths from its folder. Raises ValueError where there are none."""
    # An editable installation has them beside it, a wheel has no room for them.
    tree = Path(__file__).parents[3] / "cpp" if folder is None else folder
    if not (tree / "src/model/load.cpp").is_file():
        where = "this installation has none" if folder is None else f"{folder} is not that"
        raise ValueError(
            f"target 'engine' wants the folder cpp of grucore's sources, and {where}: get them "
            "with `pip download --no-binary :all: --no-deps grucore`, unpack, and give --sources"
        )
    # One instruction set's own: firmware has a plain one alone.
    tables = _ISA.findall((tree / "include/grucore/isa_list.inc").read_text("utf-8"))
    found = {}
    for part in ("include", "src"):
        for path in sorted((tree / part).rglob("*.*")):
            if path.suffix != ".in" and not any(isa in path.name for isa in tables):
                found[path.relative_to(tree).as_posix()] = path.read_text("utf-8")
    return found


def _layer_objects(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and objects of the kinds of a layer's file, in one order."""
    yield from zip(map(int, _KIND.findall(text)), _OBJECT.findall(text), strict=True)


def _weights(graph: Graph) -> list[str]:
    """The kinds of weights, as the engine calls them: "kInt8"."""
    found = set()
    for node in graph.nodes:
        for role, weight in node.tensors().items():
            if role in SCALES:
                found.add(kind_of(weight).dtype)
    names = {Dtype.FLOAT32: "kFloat32", Dtype.FLOAT16: "kFloat16"}
    names |= {Dtype.INT8: "kInt8", Dtype.INT4: "kInt4"}
    return [names[dtype] for dtype in sorted(found or {Dtype.FLOAT32})]


def whole_matrices(graph: Graph) -> Graph:
    """The graph without weights in blocks, which firmware does not have: the same results."""

    def whole(node: Node) -> Node:
        weights = {name: getattr(node, name) for name in node.weight_fields}
        changes: dict[str, Any] = {
            name: replace(weight, in_blocks=False)
            for name, weight in weights.items()
            if isinstance(weight, Quantized)
        }
        return replace(node, **changes) if changes else node

    return replace(graph, nodes=tuple(map(whole, graph.nodes)))


def _activations(graph: Graph) -> list[str]:
    """The activations, as the engine calls them: "kHardSigmoid"."""
    found = {
        setting.code
        for node in graph.nodes
        for setting in (getattr(node, each.name) for each in fields(node))
        if isinstance(setting, Activation) and setting.code is not ActivationCode.LINEAR
    }
    return [f"k{code.name.title().replace('_', '')}" for code in sorted(found)]


def _cells(graph: Graph) -> list[str]:
    """The cells of GRUs, as the engine calls them."""
    names = {Cell.RESET_AFTER: "kResetAfter", Cell.RESET_BEFORE: "kResetBefore"}
    found = {node.cell for node in graph.nodes if isinstance(node, Gru)}
    return [names[cell] for cell in sorted(found)]


def export_engine(
    graph: Graph,
    data: bytes,
    name: str,
    *,
    model_bytes: int,
    stream_bytes: int,
    sources: Path | None = None,
    emulates_fused: bool = True,
) -> EngineExport:
    """The engine with the layers of this model, the file as an array, settings, an example.

    ``data``: the file; ``model_bytes`` and ``stream_bytes``: memory that both take on this machine,
    which is enough for smaller ones. ``sources``: the folder cpp of grucore's sources; None: that
    beside an editable installation. ``emulates_fused``: whether a processor without fused
    multiply-adds computes their bits, in many times the time.

    Raises ValueError where there are no sources, and for another name than C can have.
    """
    prefix = checked_prefix(name)
    wanted = {node.kind: node.layer for node in graph.nodes}
    objects: list[str] = []
    files: dict[str, str] = {}
    engine: dict[str, str] = {}
    for path, text in _sources(sources).items():
        kinds = list(_layer_objects(text)) if path.startswith("src/layers/") else []
        used = [name for number, name in kinds if number in wanted]
        objects += used
        # With the emulation there, no processor takes the other table.
        if (used or not kinds) and not (emulates_fused and path.endswith(_MULADD)):
            engine[path] = text
    weights = _weights(graph)
    files["grucore.h"] = _HEADER + folded_header(engine)
    settings = _SOURCE + _config(graph, weights, emulates_fused)
    files["grucore.cpp"] = settings + folded_source(engine, _layer_list(objects), _in_order(engine))
    files[f"{prefix}_model.h"] = _model(prefix, data, model_bytes, stream_bytes)
    files["main.cpp"] = _main(graph, prefix)
    return EngineExport(prefix, files, tuple(sorted(wanted.values())), tuple(weights))


def _layer_list(objects: list[str]) -> str:
    rows = "".join(f"GRUCORE_LAYER({name})\n" for name in sorted(objects))
    return rows


def _in_order(engine: Mapping[str, str]) -> list[str]:
    """The sources, lower floors first."""
    found = [path for path in engine if path.endswith(".cpp")]
    return sorted(found, key=lambda path: (_FLOORS.index(path.split("/")[1]), path))


def _config(graph: Graph, weights: list[str], emulates_fused: bool) -> str:
    def used(what: str, names: list[str]) -> str:
        uses = "".join(f" use({name})" for name in names)
        return f"#define GRUCORE_{what}(use){uses}"

    settings = ["#define GRUCORE_ONLY_SCALAR"]
    settings += ["#define GRUCORE_EMULATE_FUSED"] * emulates_fused
    settings.append(used("WEIGHTS", weights))
    settings.append(used("ACTIVATIONS", _activations(graph)))
    settings.append(used("CELLS", _cells(graph)))
    settings += ["#define GRUCORE_NO_LOOPS"] * (not any(isinstance(n, Delay) for n in graph.nodes))
    settings.append('#define GRUCORE_LAYER_LIST "the layers of this model"')
    return "\n".join([*settings, '#include "grucore.h"', "", ""])


def _model(prefix: str, data: bytes, model_bytes: int, stream_bytes: int) -> str:
    rows = [
        "  " + ", ".join(str(byte) for byte in data[at : at + 24]) + ","
        for at in range(0, len(data), 24)
    ]
    array = "\n".join(rows)
    upper = prefix.upper()
    return (
        f"// The model as a file in flash, and the memory that it takes.\n#pragma once\n"
        f"#define {upper}_MODEL_BYTES {model_bytes}\n#define {upper}_STREAM_BYTES {stream_bytes}\n"
        f"alignas(64) static const unsigned char {prefix}_file[{len(data)}] = {{\n{array}\n}};\n"
    )


def _main(graph: Graph, prefix: str) -> str:
    ports = [graph.value(name) for name in graph.outputs]
    buffers = [f"uint32_t output_{i}[{port.features}];" for i, port in enumerate(ports)]
    every = [
        "true" if port.rate is Rate.FRAME and port.skip == 0 and graph.streamable else "false"
        for port in ports
    ]
    parts = {
        "PREFIX": prefix,
        "UPPER": prefix.upper(),
        "OUTPUTS": "\n".join(buffers),
        "EVERY": ", ".join(every),
        "INPUT_COUNT": str(len(graph.inputs)),
        "OUTPUT_COUNT": str(len(ports)),
        "POINTERS": ", ".join(f"output_{i}" for i in range(len(ports))),
    }
    text = (resources.files("grucore.export") / "c" / "main.cpp").read_text("utf-8")
    for name, value in parts.items():
        text = text.replace(f"@{name}@", value)
    return text
