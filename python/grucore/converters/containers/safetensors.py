# SPDX-License-Identifier: Apache-2.0
"""Reads `.safetensors` with the package of that name, which checks sizes and offsets."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.bfloat16 import bfloat16_to_float32
from grucore.graph.tensors import Array

__all__ = ["load_safetensors"]

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
    "BOOL": "?",
}
MAX_TENSORS = 65536
MAX_HEADER = 1 << 24
MAX_AXES = 8


def load_safetensors(data: bytes) -> dict[str, Array | str]:
    """The tensors by name; one of a dtype that numpy lacks gives the dtype's name instead.

    `save_model` writes one of several tensors that share their memory, and the names of the others
    as metadata: all of them are returned.

    Raises `ConversionError` for a damaged file, and where the package is not installed.
    """
    try:
        from safetensors import SafetensorError, deserialize
    except ImportError:
        raise ConversionError(
            "reading safetensors needs a package: pip install 'grucore[convert]'"
        ) from None
    size = int.from_bytes(data[:8], "little")
    if size > MAX_HEADER:
        raise ConversionError(f"the header has {size} bytes, expected at most {MAX_HEADER}")
    try:
        entries: list[tuple[str, Any]] = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ConversionError(f"the safetensors file is damaged: {error}") from None
    header = _checked_header(data, len(entries))
    tensors: dict[str, Array | str] = {}
    for name, entry in entries:
        raw, shape, dtype = entry["data"], entry["shape"], entry["dtype"]
        # Where one extent is 0 the package takes any others.
        if len(shape) > MAX_AXES or (0 in shape and max(shape) > len(data)):
            raise ConversionError(f"{name} has shape {shape}, which no tensor has")
        if dtype == "BF16":
            tensors[name] = bfloat16_to_float32(np.frombuffer(raw, "<u2")).reshape(shape)
        elif dtype in DTYPES:
            tensors[name] = np.frombuffer(raw, DTYPES[dtype]).reshape(shape)
        else:
            tensors[name] = str(dtype)
    shared = header.get("__metadata__") or {}
    for name, kept in list(shared.items())[:MAX_TENSORS]:
        if kept in tensors and name not in tensors:
            tensors[name] = tensors[kept]
    return tensors


def _checked_header(data: bytes, count: int) -> dict[str, Any]:
    """The header, without faults that the package lets pass: a name twice, endless names."""
    if count > MAX_TENSORS:
        raise ConversionError(f"{count} tensors, expected at most {MAX_TENSORS}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConversionError(f"the header has {twice!r} twice")
        return content

    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size], object_pairs_hook=unique)
    return header
