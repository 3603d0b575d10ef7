# SPDX-License-Identifier: Apache-2.0
"""Operations of PyTorch that make constants, and those on weights before they are used."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grucore.converters.torch.walk.walk import MAX_ELEMENTS, Arguments, Walk, op
from grucore.converters.trace.axes import Data, Tracked, Unfit
from grucore.converters.trace.ops.masks import compared, is_mask
from grucore.graph.tensors import Array

__all__ = ["fold"]


def _filled(shape: Sequence[int], number: float) -> Array:
    """A constant of that shape in the memory of one element."""
    if any(not 0 <= extent < 1 << 40 for extent in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise Unfit(f"a constant of shape {tuple(shape)}, expected at most {MAX_ELEMENTS} elements")
    return np.broadcast_to(np.float32(number), shape)


@op("zeros.default", "new_zeros.default", "empty.memory_format")
def _zeros(walk: Walk, a: Arguments) -> Any:
    return _filled(a["size"], 0.0)


@op("ones.default", "new_ones.default")
def _ones(walk: Walk, a: Arguments) -> Any:
    return _filled(a["size"], 1.0)


@op("full.default", "new_full.default")
def _full(walk: Walk, a: Arguments) -> Any:
    return _filled(a["size"], float(a["fill_value"]))


@op("zeros_like.default")
def _zeros_like(walk: Walk, a: Arguments) -> Any:
    return _filled(walk.shape(a["self"]), 0.0)


@op("ones_like.default")
def _ones_like(walk: Walk, a: Arguments) -> Any:
    return _filled(walk.shape(a["self"]), 1.0)


@op("full_like.default")
def _full_like(walk: Walk, a: Arguments) -> Any:
    return _filled(walk.shape(a["self"]), float(a["fill_value"]))


@op("tril.default", "triu.default")
def _triangle(walk: Walk, a: Arguments) -> Any:
    assert walk.node is not None
    return (np.tril if "tril" in walk.node.op else np.triu)(a["self"], a.get("diagonal", 0))


@op("scalar_tensor.default")
def _scalar(walk: Walk, a: Arguments) -> Any:
    return np.float32(a["s"]).reshape(())


@op("to.dtype", "to.dtype_layout", "to.device", "_to_copy.default", "to.other", "type_as.default")
def _to(walk: Walk, a: Arguments) -> Any:
    tensor = a["self"]
    wanted = a.get("dtype")
    if wanted is None or not isinstance(tensor, Data):
        keep = wanted is None or isinstance(tensor, Tracked)
        return tensor if keep else _cast(tensor, wanted)
    if is_mask(walk, tensor) and wanted != "float16":
        return tensor
    if wanted == "bool":
        return compared(walk, tensor, 0.0, "ne")
    is_ids = not isinstance(wanted, str) or wanted.startswith("int")
    if is_ids != (tensor.value.dtype.name == "INT32") or wanted not in (
        *("float32", "float64", "int64", "int32"),
    ):
        raise Unfit(f"it turns {tensor.value.dtype.name.lower()} into {wanted}")
    return tensor


def _cast(array: Array, dtype: str) -> Array:
    if dtype not in ("float32", "float64", "int64", "int32", "bool"):
        raise Unfit(f"it turns a constant into {dtype}")
    return array.astype(dtype)


_FOLDED: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
}


def fold(operation: str, one: Any, other: Any) -> Any:
    """An operation on constants, in float64 where they are floats; float32 as torch's result."""
    wide = [each.astype(np.float64) if _is_float(each) else each for each in (one, other)]
    with np.errstate(all="ignore"):
        result = np.asarray(_FOLDED[operation](*wide))
    return result.astype(np.float32) if result.dtype == np.float64 else result


def _is_float(each: Any) -> bool:
    return isinstance(each, np.ndarray) and each.dtype.kind == "f"


@op("_weight_norm.default", "_weight_norm_interface.default")
def _weight_norm(walk: Walk, a: Arguments) -> Any:
    v, g, dim = a["v"], a["g"], a.get("dim", 0)
    if isinstance(v, Tracked) or isinstance(g, Tracked):
        raise Unfit("a normalized value cannot be converted")
    axes = tuple(axis for axis in range(v.ndim) if axis != dim)
    wide = v.astype(np.float64)
    norm = np.sqrt((wide**2).sum(axis=axes, keepdims=True))
    result = (g.astype(np.float64) * wide / norm).astype(np.float32)
    is_pair = walk.node is not None and walk.node.op.startswith("aten._weight_norm_interface")
    return (result, norm.astype(np.float32)) if is_pair else result
