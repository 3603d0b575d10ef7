# SPDX-License-Identifier: Apache-2.0
"""The numbers of a live module's tensors, as numpy arrays, and its mode while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from grucore._core import ConversionError

EXACT_DTYPES = ("torch.float32", "torch.float16", "torch.float64", "torch.bfloat16")


WHOLE_DTYPES = ("torch.int64", "torch.int32", "torch.int16", "torch.int8", "torch.uint8")


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def to_array(name: str, content: Any) -> Any:
    """A tensor or array as a numpy array of exactly its values; anything else as it is.

    Raises `ConversionError` that names a tensor without such values: meta, sparse, quantized...
    """
    if isinstance(content, np.ndarray) or not hasattr(content, "detach"):
        return content
    cls, dtype = _qualified(type(content)), str(content.dtype)
    if cls not in ("torch.Tensor", "torch.nn.parameter.Parameter"):
        raise ConversionError(f"{name} is a {cls}, expected a plain tensor")
    for what in ("is_meta", "is_sparse", "is_quantized", "is_complex"):
        found = getattr(content, what, False)
        if found() if callable(found) else found:
            what = what.removeprefix("is_")
            raise ConversionError(f"{name} is a {what} tensor, expected numbers in memory")
    if str(content.layout) != "torch.strided":
        raise ConversionError(f"{name} has layout {content.layout}, expected torch.strided")
    if dtype not in (*EXACT_DTYPES, *WHOLE_DTYPES, "torch.bool"):
        raise ConversionError(f"{name} is of {dtype}, expected {', '.join(EXACT_DTYPES)}")
    plain = content.detach().cpu()
    return np.array((plain.float() if dtype == "torch.bfloat16" else plain).resolve_neg().numpy())


@contextmanager
def at_inference(module: Any) -> Iterator[Any]:
    """The module in eval mode and without gradients, then as it was."""
    torch = sys.modules["torch"]
    # Exported programs and frozen scripts have one mode only.
    modes = [(each, each.training) for each in module.modules() if hasattr(each, "training")]
    try:
        if any(training for _, training in modes):
            with suppress(NotImplementedError):
                module.eval()
        with torch.no_grad():
            yield torch
    finally:
        for each, training in modes:
            each.training = training
