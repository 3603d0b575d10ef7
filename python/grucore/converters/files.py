# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint file to a `.gru` file: what it is, by content; what is in it; the proof."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grucore import gates
from grucore._core import ConversionError
from grucore.converters import keras, onnx
from grucore.converters.assemble import Stage, assemble, choose, reading_of, unused
from grucore.converters.safetensors import load_safetensors
from grucore.converters.state_dict import Layers, read_layers
from grucore.converters.tensor_names import QUANTIZED
from grucore.converters.torch_files import convert_tree, lightning, tree_in
from grucore.converters.torch_modules import Tree
from grucore.converters.torch_pickle import LEGACY_START, load_checkpoint
from grucore.converters.torch_program import convert_pt2
from grucore.converters.torch_pt2 import is_pt2
from grucore.converters.torch_witness import witness_of
from grucore.fileformat import layout
from grucore.ir import Graph
from grucore.node import Array
from grucore.proof import Proof, finish, prove

__all__ = ["convert_layers", "convert_path", "read_file"]

MAX_DEPTH = 4  # of the dicts around a state dict
ZIP_START = b"PK\x03\x04"
READABLE = (
    "PyTorch (.pt, .pth, .ckpt, .pt2), safetensors, Keras (.keras, .h5) or ONNX; a module or a "
    "model in memory is for grucore.from_torch, from_keras and from_onnx"
)
MAX_BYTES = 1 << 32  # of a checkpoint
SUFFIXES = (".pt", ".pth", ".ckpt", ".pt2", ".safetensors", ".keras", ".h5", ".hdf5", ".onnx")


def convert_path(
    path: str | os.PathLike[str],
    *,
    architecture: str | None = None,
    config: Any = None,
    pytorch_lbr_fix: bool = False,
    verify: bool = True,
) -> tuple[bytes, Proof | None]:
    """The `.gru` bytes of a checkpoint, and the proof (None without ``verify``).

    Raises `ConversionError` that names the file and what in it cannot be converted, or OSError.
    """
    name = Path(path).name or os.fspath(path)
    try:
        data = read_file(path)
        if keras.is_keras(data):
            source_read = keras.read_source(data, name, config=config)
            return keras.convert_source(source_read, verify=verify)
        if data.startswith(ZIP_START) and is_pt2(data):
            return convert_pt2(data, name, verify=verify)
        if onnx.is_onnx(data, name):
            reading = onnx.read_bytes(data, Path(path), pytorch_lbr_fix=pytorch_lbr_fix)
            return onnx.convert_source(reading, verify=verify)
        state, ordered, container = _structured(data, name)
        source = {"framework": "torch", "file": name, **container}
        if isinstance(state, Tree):
            return convert_tree(state, architecture, source, verify=verify)
        layers = read_layers(state, ordered=ordered)
        return convert_layers(layers, architecture, source, verify=verify)
    except ConversionError as error:
        raise ConversionError(f"{name}: {error}") from None


def convert_layers(
    layers: Layers,
    architecture: str | None,
    source: Mapping[str, Any],
    *,
    verify: bool = True,
    examples: tuple[Array, ...] = (),
) -> tuple[bytes, Proof | None]:
    """The `.gru` bytes of the layers of a state dict, proved against torch or the reference."""
    stages = choose(layers, architecture)
    graph = graph_of(stages, layers, architecture, source)
    if not verify:
        return finish(graph), None
    found = witness_of(stages, graph)
    lengths = reading_of(stages).lengths
    return prove(
        graph, found.witness, found.against, exact=found.exact, examples=examples, lengths=lengths
    )


def graph_of(
    stages: tuple[Stage, ...],
    layers: Layers,
    architecture: str | None,
    source: Mapping[str, Any],
) -> Graph:
    """The graph, whose metadata says where it comes from and what was left out or rounded."""
    # Imported here because the package's own __init__ may be what is running.
    from grucore import __version__

    entries = {"axes": "(batch, time, features)", **source}
    if architecture is not None:
        entries["architecture"] = architecture
    left = unused(stages, layers)
    if left:
        entries["left_out"] = left
    rounding = _largest_rounding(stages)
    if rounding:
        entries["largest_rounding"] = rounding
    return assemble(stages, {"producer": f"grucore {__version__}", "source": entries})


def _largest_rounding(stages: tuple[Stage, ...]) -> float:
    """The largest change by which float64 became float32, relative to each tensor's largest."""
    largest = 0.0
    for stage in stages:
        for array in getattr(stage, "arrays", []):
            if array.dtype.itemsize > 4:
                change = np.abs(gates.rounded(array).astype(array.dtype) - array).max(initial=0.0)
                largest = max(largest, float(change / (np.abs(array).max(initial=0.0) or 1.0)))
    return largest


def read_file(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a regular file, opened once; raises OSError or `ConversionError`."""
    if Path(path).is_dir():
        raise ConversionError(_folder_text(path))
    # O_NONBLOCK: a pipe must be refused, not waited for.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ConversionError("not a regular file")
        if found.st_size > MAX_BYTES:
            raise ConversionError(f"{found.st_size} bytes, expected at most {MAX_BYTES}")
        return file.read(found.st_size)


def _folder_text(path: str | os.PathLike[str]) -> str:
    """What to convert instead of a folder."""
    names = sorted(entry.name for entry in Path(path).iterdir())
    if "saved_model.pb" in names:
        return "a TensorFlow SavedModel: load it in Keras and save it as .keras"
    if "data.pkl" in names or "archive_format" in names:
        return "the folder of an unpacked archive, expected the archive itself"
    files = [name for name in names if name.lower().endswith(SUFFIXES)]
    inside = f"; it holds {', '.join(files[:5])}" if files else ""
    return f"a folder, expected a file{inside}"


def _structured(data: bytes, name: str) -> tuple[Mapping[str, Any] | Tree, bool, dict[str, Any]]:
    """As `_state_dict`; what is no structure of torch's may be of any type anywhere."""
    try:
        return _state_dict(data, name)
    except (AttributeError, TypeError, LookupError, ValueError, RecursionError) as error:
        if isinstance(error, ConversionError):
            raise
        what = f"{type(error).__name__}: {error}"
        raise ConversionError(f"another structure than a checkpoint has ({what:.200})") from None


def _state_dict(data: bytes, name: str) -> tuple[Mapping[str, Any] | Tree, bool, dict[str, Any]]:
    """The state dict or module in a file, whether its order is the model's, and what holds it."""
    if data.startswith(layout.MAGIC):
        raise ConversionError("a .gru file already: open it with grucore.load")
    if data.startswith((ZIP_START, LEGACY_START)):
        checkpoint = load_checkpoint(data)
        tree = tree_in(checkpoint)
        if tree is not None:
            container = "TorchScript" if isinstance(checkpoint, Tree) else "torch.save"
            return tree, True, {"container": container}
        trained = lightning(checkpoint)
        if trained is not None:
            state, settings = trained
            return state, True, {"container": "Lightning", "hyper_parameters": settings}
        return _only_state_dict(checkpoint), True, {"container": "torch.save"}
    if name.endswith(".safetensors") or data[8:9] == b"{":
        return load_safetensors(data), False, {"container": "safetensors"}
    raise ConversionError(f"the file starts with {data[:8]!r}: expected {READABLE}")


def _only_state_dict(checkpoint: Any) -> Mapping[str, Any]:
    """The one dict of tensors in the containers of a checkpoint."""
    found: dict[str, Mapping[str, Any]] = {}
    pending: list[tuple[str, Any]] = [("", checkpoint)]
    seen: set[int] = set()
    while pending:
        path, content = pending.pop()
        if not isinstance(content, dict) or id(content) in seen:
            continue
        seen.add(id(content))
        if _is_state_dict(content):
            found[path] = content
        elif path.count("/") < MAX_DEPTH:
            pending += [
                (f"{path}/{key}" if path else key, value)
                for key, value in content.items()
                if isinstance(key, str)
            ]
    if len(found) > 1:
        names = ", ".join(sorted(found))
        raise ConversionError(f"several state dicts ({names}): save the one to convert alone")
    if not found:
        raise ConversionError("there is no state dict in it: expected a dict of tensors")
    return next(iter(found.values()))


def _is_state_dict(content: dict[Any, Any]) -> bool:
    if not all(isinstance(key, str) for key in content):
        return False
    # Quantized layers hold no tensors that could be read, and are refused by their names.
    return any(isinstance(value, np.ndarray) for value in content.values()) or any(
        QUANTIZED.fullmatch(key) for key in content
    )
