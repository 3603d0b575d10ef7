# SPDX-License-Identifier: Apache-2.0
"""Reads a `.pt2` archive of torch.export, without torch: a JSON graph and raw weights."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from typing import Any

from grucore._core import ConversionError
from grucore.converters.boundary import at
from grucore.converters.containers.budget import Budget
from grucore.converters.containers.zip import DAMAGED, checked_entries, read_entry
from grucore.converters.source import Given
from grucore.converters.torch.aten import AtenGraph, AtenNode, InputSpec, Ref
from grucore.converters.torch.read.tensors import KINDS, StorageKind, StorageRef, TensorRef
from grucore.graph.tensors import Array

__all__ = ["load_pt2"]

MAX_JSON = 1 << 26
MAX_NODES = 1 << 16
MAJOR = (5, 8)  # of the schema: the first and the last version that is known
STRIDED = 7
# torch's numbers for element types in these files, and the storages that hold them.
SCALARS = {
    **{1: ("uint8", "Byte"), 2: ("int8", "Char"), 3: ("int16", "Short"), 4: ("int32", "Int")},
    **{5: ("int64", "Long"), 6: ("float16", "Half"), 7: ("float32", "Float")},
    **{8: ("float64", "Double"), 12: ("bool", "Bool"), 13: ("bfloat16", "BFloat16")},
}
FOLDERS = {"parameter": "weights", "buffer": "weights", "tensor_constant": "constants"}


def load_pt2(given: Given) -> tuple[AtenGraph, dict[str, Any]]:
    """The graph of the archive's one model, and what there is to say about its source.

    Raises `ConversionError` for damage, tricks, and whatever else than one model in it.
    """
    assert given.archive is not None  # which is how its kind was told
    try:
        return _Archive(given.archive, len(given.data)).load()
    except ConversionError:
        raise
    except DAMAGED as error:
        raise ConversionError(f"the torch.export archive is damaged: {error}") from None


class _Archive:
    def __init__(self, archive: zipfile.ZipFile, file_bytes: int) -> None:
        self.archive = archive
        self.file_bytes = file_bytes
        self.entries = checked_entries(archive, file_bytes)
        self.budget = Budget(file_bytes)
        roots = [n.removesuffix("archive_format") for n in self.entries if "archive_format" in n]
        if len(roots) != 1:
            message = "an archive of torch.export before 2.8: export it again with a later torch"
            raise ConversionError(f"{message}, or save the module's state_dict()")
        self.root = roots[0]
        self.big_endian = self.content("byteorder", b"little") == b"big"
        self.buffers: dict[str, Array] = {}

    def content(self, name: str, default: bytes | None = None, most: int | None = None) -> bytes:
        """The bytes of an entry."""
        info = self.entries.get(f"{self.root}{name}")
        if info is None:
            if default is not None:
                return default
            raise ConversionError(f"the archive has no entry {self.root}{name}")
        return read_entry(self.archive, info, self.budget, most)

    def json(self, name: str) -> Any:
        """The JSON in an entry."""
        return json.loads(self.content(name, most=MAX_JSON).decode(), parse_constant=float)

    def load(self) -> tuple[AtenGraph, dict[str, Any]]:
        """The one model."""
        folder = f"{self.root}models/"
        models = [n.removeprefix(self.root) for n in self.entries if n.startswith(folder)]
        if len(models) != 1 or not models[0].endswith(".json"):
            raise ConversionError(f"a torch.export archive with {len(models)} models, expected one")
        model = self.json(models[0])
        version = model["schema_version"]
        if not MAJOR[0] <= version["major"] <= MAJOR[1]:
            found = f"{version['major']}.{version['minor']}"
            raise ConversionError(f"schema version {found}, expected {MAJOR[0]} to {MAJOR[1]}")
        name = models[0].removeprefix("models/").removesuffix(".json")
        graph = self._graph(model["graph_module"], name)
        return graph, {"version": str(model.get("torch_version", "unknown"))[:40]}

    def _graph(self, module: Mapping[str, Any], name: str) -> AtenGraph:
        graph, signature = module["graph"], module["signature"]
        if len(graph["nodes"]) > MAX_NODES:
            raise ConversionError(f"{len(graph['nodes'])} operations, expected at most {MAX_NODES}")
        tensors = graph["tensor_values"]
        configs = {
            kind: self.json(f"data/{kind}/{name}_{kind}_config.json")["config"]
            for kind in ("weights", "constants")
        }
        constants: dict[str, Array] = {}
        parameters: dict[str, str] = {}
        inputs: list[InputSpec] = []
        for spec in signature["input_specs"]:
            ((kind, content),) = spec.items()
            if kind in FOLDERS:
                argument, full = content["arg"]["name"], content[f"{kind}_name"]
                folder = FOLDERS[kind]
                if full not in configs[folder]:
                    folder = "constants"
                constants[argument] = self._tensor(full, configs[folder].get(full), folder)
                parameters[argument] = full
            elif kind == "user_input":
                inputs += _user_input(content["arg"], tensors)
            elif kind != "constant_input" or "as_none" not in content["value"]:
                raise ConversionError(f"the graph has an argument of kind {kind!r}")
        outputs: list[Any] = []
        for spec in signature["output_specs"]:
            ((kind, content),) = spec.items()
            if kind != "user_output":
                raise ConversionError(f"the graph has an output of kind {kind!r}")
            outputs.append(_argument(content["arg"]))
        nodes = []
        for node in graph["nodes"]:
            with at(f"operation {str(node)[:80]}"):
                nodes.append(_node(node, tensors))
        return AtenGraph(tuple(inputs), tuple(outputs), tuple(nodes), constants, parameters)

    def _tensor(self, name: str, config: Any, folder: str) -> Array:
        """A weight, as a view of the bytes of its entry."""
        if config is None:
            raise ConversionError(f"the archive has no tensor {name!r}")
        if config["use_pickle"]:
            raise ConversionError(f"{name} is pickled, expected raw bytes")
        meta = config["tensor_meta"]
        if meta["layout"] != STRIDED:
            raise ConversionError(f"{name} has layout {meta['layout']}, expected strided")
        if meta["dtype"] not in SCALARS:
            raise ConversionError(f"{name} has elements of type {meta['dtype']}, expected floats")
        path = config["path_name"]
        if not isinstance(path, str) or "/" in path:
            raise ConversionError(f"{name} stands in an entry called {path!r}")
        storage_name = SCALARS[meta["dtype"]][1] + "Storage"
        kind = StorageKind(storage_name, KINDS[storage_name])
        key = f"{folder}/{path}"
        raw = self.content(f"data/{key}", most=2 * self.file_bytes)  # torch compresses none
        if len(raw) % kind.size:
            raise ConversionError(f"{name}: entry {key} has {len(raw)} bytes of {kind.size} each")
        storage = StorageRef(key, kind, len(raw) // kind.size)
        buffer = self.buffers.get(key + storage_name)
        if buffer is None:
            buffer = kind.decode(raw, big_endian=self.big_endian)
            self.buffers[key + storage_name] = buffer
        shape, strides = (
            tuple(_size(each) for each in meta[what]) for what in ("sizes", "strides")
        )
        offset = _size(meta["storage_offset"])
        try:
            reference = TensorRef(storage, offset, shape, strides)
        except ConversionError as error:
            raise ConversionError(f"{name}: {error}") from None
        return reference.array({key: buffer})


def _user_input(argument: Mapping[str, Any], tensors: Mapping[str, Any]) -> list[InputSpec]:
    if "as_none" in argument:
        return []
    if "as_tensor" not in argument:
        raise ConversionError(f"an argument of kind {next(iter(argument))!r}, expected tensors")
    name = argument["as_tensor"]["name"]
    meta = tensors[name]
    dtype = SCALARS.get(meta["dtype"], ("another type",))[0]
    return [InputSpec(name, tuple(_size(each) for each in meta["sizes"]), dtype)]


def _size(size: Mapping[str, Any]) -> int:
    """A size, or that of the example where it may differ."""
    number = size.get("as_int")
    if number is None:
        hint = size["as_expr"].get("hint")
        if hint is None:
            raise ConversionError(f"size {size['as_expr']['expr_str']!s:.40} is not known")
        number = hint["as_int"]
    if not isinstance(number, int) or isinstance(number, bool):
        raise ConversionError(f"a size is {number!r}")
    return number


def _node(node: Mapping[str, Any], tensors: Mapping[str, Any]) -> AtenNode:
    target = str(node["target"])
    _, is_torch, name = target.rpartition("torch.ops.")
    stack = str(node["metadata"].get("nn_module_stack", "")).rpartition(";")[2].split(",")
    path, module = stack[1:3] if len(stack) > 2 else ("", "")
    arguments = {str(each["name"]): _argument(each["arg"]) for each in node["inputs"]}
    if not is_torch:  # no operation of torch, but one of Python
        arguments = {str(place): arg for place, arg in enumerate(arguments.values())}
        name = f"python.{target.rpartition('.')[2]}"
    names: list[str] = []
    for output in node["outputs"]:
        names += _names(output)
    shapes = tuple(
        tuple(_size(each) for each in tensors[name]["sizes"]) if name in tensors else None
        for name in names
    )
    return AtenNode(name, arguments, tuple(names), shapes, path, module)


def _names(output: Mapping[str, Any]) -> list[str]:
    ((kind, content),) = output.items()
    if kind in ("as_tensor", "as_optional_tensor") and "name" in content:
        return [content["name"]]
    if kind in ("as_tensors", "as_optional_tensors"):
        return [each.get("name", "") for each in content]
    if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
        return [content["as_name"]]
    if kind == "as_none":
        return [""]
    raise ConversionError(f"an operation with a result of kind {kind!r}")


def _argument(argument: Mapping[str, Any]) -> Any:
    ((kind, content),) = argument.items()
    match kind:
        case "as_none":
            return None
        case "as_tensor":
            return Ref(content["name"])
        case "as_tensors":
            return [Ref(each["name"]) for each in content]
        case "as_optional_tensors":
            return [
                Ref(each["as_tensor"]["name"]) if "as_tensor" in each else None for each in content
            ]
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _symbol(content)
        case "as_sym_ints":
            return [_symbol(each) for each in content]
        case "as_scalar_type":
            return SCALARS.get(content, ("another type",))[0]
        case "as_device" | "as_memory_format" | "as_layout":
            return None
        case "as_int" | "as_bool" | "as_float" | "as_string":
            return _plain(content)
        case "as_ints" | "as_bools" | "as_floats" | "as_strings":
            return [_plain(each) for each in content]
        case "as_graph":
            raise ConversionError(
                "an operation with a graph of its own (scan, cond, while_loop), which a file is "
                "not read with: convert the live module, whose scan over all frames is"
            )
        case _:
            raise ConversionError(f"an operation with an argument of kind {kind!r}")


def _symbol(content: Mapping[str, Any]) -> Any:
    if "as_name" in content:
        return Ref(content["as_name"])
    return _plain(next(iter(content.values())))


def _plain(content: Any) -> Any:
    special = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
    if isinstance(content, str) and content in special:
        return special[content]
    if not isinstance(content, int | float | str | bool):
        raise ConversionError(f"an argument is {type(content).__name__}, expected a number")
    return content
