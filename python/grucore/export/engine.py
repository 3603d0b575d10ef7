# SPDX-License-Identifier: Apache-2.0
"""A model with the engine's own sources beside it: for what C99 alone does not do, such as whole
sequences, blocks of frames, or several models that share one engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from grucore.export.names import checked_prefix
from grucore.graph.graph import Graph
from grucore.graph.node import Node, Rate
from grucore.graph.tensors import Dtype, Role
from grucore.graph.weights import Quantized

__all__ = ["EngineExport", "export_engine"]

_KIND = re.compile(r"\{(\d+), \"\w+\",")
_OBJECT = re.compile(r"^const LayerKind (k\w+) = ", re.MULTILINE)
# One instruction set's own: firmware has the plain table alone.
_OTHER_TABLES = ("avx", "sse", "neon", "muladd")


@dataclass(frozen=True)
class EngineExport:
    """Files by name, texts all of them, and the layer kinds that the engine was given."""

    prefix: str
    files: Mapping[str, str]
    kinds: tuple[str, ...]
    only_float32: bool


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
    found = {}
    for part in ("include", "src"):
        for path in sorted((tree / part).rglob("*.*")):
            if path.suffix != ".in" and not any(isa in path.name for isa in _OTHER_TABLES):
                found[path.relative_to(tree).as_posix()] = path.read_text("utf-8")
    return found


def _layer_objects(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and objects of the kinds of a layer's file, in one order."""
    yield from zip(map(int, _KIND.findall(text)), _OBJECT.findall(text), strict=True)


def _is_wide(node: Node) -> bool:
    """Whether a layer has nothing but float32 weights."""
    return all(
        not isinstance(weight, Quantized) and weight.dtype != Dtype.FLOAT16.numpy
        for role, weight in node.tensors().items()
        if role is not Role.INDEX
    )


def export_engine(
    graph: Graph,
    data: bytes,
    name: str,
    *,
    model_bytes: int,
    stream_bytes: int,
    sources: Path | None = None,
) -> EngineExport:
    """The engine with the layers of this model, the file as an array, settings, an example.

    ``data``: the file; ``model_bytes`` and ``stream_bytes``: memory that both take on this machine,
    which is enough for smaller ones. ``sources``: the folder cpp of grucore's sources; None: that
    beside an editable installation. Raises ValueError where it is not there, and for another name
    than C can have.
    """
    prefix = checked_prefix(name)
    wanted = {node.kind: node.layer for node in graph.nodes}
    objects: list[str] = []
    files: dict[str, str] = {}
    for path, text in _sources(sources).items():
        kinds = list(_layer_objects(text)) if path.startswith("src/layers/") else []
        used = [name for number, name in kinds if number in wanted]
        objects += used
        if used or not kinds:
            files[f"engine/{path}"] = text
    only_float32 = all(_is_wide(node) for node in graph.nodes)
    files["engine/layers.inc"] = _layer_list(objects)
    files["grucore_config.h"] = _config(only_float32)
    files[f"{prefix}_model.h"] = _model(prefix, data, model_bytes, stream_bytes)
    files["main.cpp"] = _main(graph, prefix)
    return EngineExport(prefix, files, tuple(sorted(wanted.values())), only_float32)


def _layer_list(objects: list[str]) -> str:
    rows = "".join(f"GRUCORE_LAYER({name})\n" for name in sorted(objects))
    return f"// The layer kinds of this model.\n{rows}"


def _config(only_float32: bool) -> str:
    settings = ["#define GRUCORE_ONLY_SCALAR", '#define GRUCORE_LAYER_LIST "layers.inc"']
    settings += ["#define GRUCORE_ONLY_FLOAT32"] * only_float32
    text = "\n".join(settings)
    return f"// What the engine is built with: include it in every file (-include).\n{text}\n"


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
