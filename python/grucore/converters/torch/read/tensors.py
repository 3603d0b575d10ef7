# SPDX-License-Identifier: Apache-2.0
"""PyTorch's storages and tensors as a checkpoint describes them, checked and read with numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.bfloat16 import bfloat16_to_float32
from grucore.converters.containers.pickle import Global, Inert
from grucore.graph.tensors import Array

__all__ = ["StorageKind", "StorageRef", "TensorRef", "rebuild", "storage_of"]

MAX_AXES = 8


@dataclass(frozen=True, slots=True)
class StorageKind:
    """The element type of a storage class: a numpy code, or ``bf``, or None if not supported."""

    name: str
    code: str | None

    @property
    def size(self) -> int:
        """Bytes of an element."""
        if self.code is None:
            raise ConversionError(f"a tensor of torch.{self.name} cannot be converted")
        return 2 if self.code == "bf" else np.dtype(self.code).itemsize

    def decode(self, raw: bytes, *, big_endian: bool) -> Array:
        """The elements, in this machine's byte order."""
        code = "u2" if self.code == "bf" else self.code
        stored = np.dtype(code).newbyteorder(">" if big_endian else "<")
        array = np.frombuffer(raw, stored).astype(stored.newbyteorder("="))
        return bfloat16_to_float32(array) if self.code == "bf" else array


KINDS = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "bf",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True, slots=True)
class StorageRef:
    """A storage that the file holds elsewhere, under ``key``."""

    key: str
    kind: StorageKind
    elements: int


def storage_of(identifier: Any) -> StorageRef:
    """The storage that a persistent id of torch means."""
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6):
        raise ConversionError("a persistent id that torch.save does not write")
    tag, kind, key, _, elements, *view = identifier
    if tag != "storage" or not isinstance(kind, Global) or not isinstance(key, str | int):
        raise ConversionError("a persistent id that torch.save does not write")
    if kind.module not in ("torch", "torch.storage") or (view and view[0] is not None):
        raise ConversionError(f"a storage of {kind}, expected one of torch")
    if not _is_count(elements):
        raise ConversionError(f"storage {key!s:.40} has an impossible number of elements")
    return StorageRef(str(key), StorageKind(kind.name, KINDS.get(kind.name)), elements)


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 48


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A view of a storage: offset, extents and strides in elements."""

    storage: StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or len(self.shape) > MAX_AXES:
            raise ConversionError(f"a tensor with {len(self.shape)} axes cannot be converted")
        if not all(_is_count(number) for number in numbers):
            raise ConversionError(f"a tensor of {self._where} has a negative or impossible extent")
        elements = 1
        for extent in self.shape:
            elements *= extent
        pairs = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((extent - 1) * stride for extent, stride in pairs)
        if elements and last >= self.storage.elements:
            raise ConversionError(
                f"a tensor {self.shape} with strides {self.strides} and offset {self.offset} "
                f"leaves {self._where} of {self.storage.elements} elements"
            )
        if elements > self.storage.elements:
            raise ConversionError(
                f"a tensor {self.shape} repeats the elements of {self._where}: "
                "save a contiguous copy"
            )

    @property
    def _where(self) -> str:
        return f"storage {self.storage.key:.40}"

    def array(self, buffers: Mapping[str, Array]) -> Array:
        """A view of the elements: many tensors may share one storage, so none is copied here."""
        buffer = buffers[self.storage.key]
        if 0 in self.shape:
            return np.zeros(self.shape, buffer.dtype)
        strides = tuple(stride * buffer.itemsize for stride in self.strides)
        return np.ndarray(
            self.shape, buffer.dtype, buffer.data, self.offset * buffer.itemsize, strides
        )


def rebuild(name: Global, arguments: tuple[Any, ...]) -> Any:
    """The result of a call that a checkpoint asks for: a tensor, a dict, or an `Inert`."""
    match (name.module, name.name, arguments):
        case ("collections", "OrderedDict", ()):
            return {}
        case ("collections", "OrderedDict", (list(pairs),)) if all(map(_is_pair, pairs)):
            return dict(pairs)  # as Python 2 pickles it
        case ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", _):
            return _tensor(arguments)
        case (
            "torch._utils",
            "_rebuild_parameter" | "_rebuild_parameter_with_state",
            (TensorRef() as tensor, *_),
        ):
            return tensor
        case _:
            return Inert(name, arguments)


def _is_pair(found: Any) -> bool:
    return isinstance(found, list | tuple) and len(found) == 2 and isinstance(found[0], str)


def _tensor(arguments: tuple[Any, ...]) -> TensorRef:
    match arguments:
        case (StorageRef() as storage, offset, tuple(shape), tuple(strides), *rest):
            # The third argument after these, where there is one, holds lazy negation and the like.
            if len(rest) > 2 and rest[2]:
                raise ConversionError("a tensor with a lazy operation cannot be converted")
            return TensorRef(storage, offset, shape, strides)
        case _:
            raise ConversionError("a tensor in a form that torch.save does not write")
