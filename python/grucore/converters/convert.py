# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint file to a `.gru` file: what it is, by content; what is in it; the proof."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.safetensors import load_safetensors
from grucore.converters.keras import convert as keras
from grucore.converters.onnx import convert as onnx
from grucore.converters.source import read_file
from grucore.converters.torch.chain.layers import read_layers
from grucore.converters.torch.chain.names import QUANTIZED
from grucore.converters.torch.read.checkpoint import LEGACY_START, load_checkpoint
from grucore.converters.torch.read.modules import Tree
from grucore.converters.torch.read.pt2 import is_pt2
from grucore.converters.torch.sources.exported import convert_pt2
from grucore.converters.torch.sources.module_file import convert_tree, lightning, tree_in
from grucore.converters.torch.sources.state_dict import (
    convert_layers,
)
from grucore.fileformat import layout
from grucore.runtime.proof_record import Proof

__all__ = [
    "convert_path",
]

MAX_DEPTH = 4  # of the dicts around a state dict
ZIP_START = b"PK\x03\x04"
READABLE = (
    "PyTorch (.pt, .pth, .ckpt, .pt2), safetensors, Keras (.keras, .h5) or ONNX; a module or a "
    "model in memory is for grucore.from_torch, from_keras and from_onnx"
)


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
