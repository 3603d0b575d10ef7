# SPDX-License-Identifier: Apache-2.0
"""Reads HDF5 for the Keras converter: numbers and texts that lie in the file itself, no more.

HDF5 can point into other files, compute shapes that no memory holds, and load plugins that decode;
a file of Keras does none of it, so all of it is refused by name before anything is read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.graph.tensors import Array

__all__ = ["HDF5_START", "Hdf5", "open_hdf5"]

HDF5_START = b"\x89HDF\r\n\x1a\n"
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}  # those that libhdf5 has in itself
MAX_RATIO = 1000
MAX_EXPANSION = 100
EXPANSION_FLOOR = 1 << 26
MAX_TEXTS = 1 << 20
MAX_TEXT_BYTES = 1 << 30
MAX_OBJECTS = 1 << 16
MAX_DEPTH = 32


@contextmanager
def open_hdf5(data: bytes, archive_bytes: int | None = None) -> Iterator[Hdf5]:
    """The file in these bytes; raises `ConversionError` for damage, and without h5py.

    ``archive_bytes``: the size of the archive that it was in, by which its numbers are bounded.
    """
    try:
        import h5py
    except ImportError:
        raise ConversionError(
            "reading HDF5 needs a package: pip install 'grucore[convert]'"
        ) from None
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            yield Hdf5(file, h5py, len(data), archive_bytes or len(data))
    except ConversionError:
        raise
    except (
        OSError,
        LookupError,
        ArithmeticError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:
        raise ConversionError(f"the HDF5 file is damaged: {error}") from None


class Hdf5:
    """Guarded access by path: what is not a hard link to numbers or texts here is refused."""

    def __init__(self, file: Any, h5py: Any, file_bytes: int, given_bytes: int) -> None:
        self._file, self._h5py, self._file_bytes = file, h5py, file_bytes
        self._left = max(EXPANSION_FLOOR, MAX_EXPANSION * given_bytes)

    def has(self, path: str) -> bool:
        """Whether there is something at the path."""
        return self._find(path) is not None

    def names(self, path: str) -> list[str]:
        """The members of a group; none where there is no group."""
        found = self._find(path)
        return list(found) if isinstance(found, self._h5py.Group) else []

    def datasets(self) -> Iterator[str]:
        """The paths of all datasets."""
        pending: list[tuple[str, int]] = [("", 0)]
        found = 0
        while pending:
            path, depth = pending.pop()
            if depth > MAX_DEPTH:
                raise ConversionError(f"{path[:200]!r} nests groups more than {MAX_DEPTH} deep")
            for name in self.names(path):
                found += 1
                if found > MAX_OBJECTS:  # a group may be a member of itself, by two names
                    raise ConversionError(f"the file has more than {MAX_OBJECTS} objects")
                inner = f"{path}/{name}" if path else name
                if isinstance(self._find(inner), self._h5py.Dataset):
                    yield inner
                else:
                    pending.append((inner, depth + 1))

    def array(self, path: str) -> Array:
        """The numbers of a dataset, as large as what the file stores for them."""
        found = self._find(path)
        if not isinstance(found, self._h5py.Dataset):
            raise ConversionError(f"the file has no dataset {path!r}")
        self._check(path, found)
        array: Array = np.asarray(found[()])
        marked = self.text(path, "dtype")
        if marked == "bfloat16" and array.dtype.kind in "Vu" and array.dtype.itemsize == 2:
            wide = array.view(np.uint16).astype(np.uint32) << np.uint32(16)
            return wide.view(np.float32)
        if array.dtype.kind not in "fiub":
            kind = f"{array.dtype}{f' marked {marked}' if marked else ''}"
            raise ConversionError(f"dataset {path!r} holds {kind}, expected numbers")
        return array.astype(array.dtype.newbyteorder("="))

    def _check(self, path: str, dataset: Any) -> None:
        if dataset.external:
            raise ConversionError(
                f"dataset {path!r} lies in another file, {dataset.external[0][0]}"
            )
        if dataset.is_virtual:
            raise ConversionError(f"dataset {path!r} is virtual: its numbers lie elsewhere")
        if dataset.dtype.kind not in "fiubV" or dataset.dtype.hasobject or dataset.dtype.names:
            raise ConversionError(f"dataset {path!r} holds {dataset.dtype}, expected numbers")
        if dataset.shape is None:
            raise ConversionError(f"dataset {path!r} has no shape")
        properties = dataset.id.get_create_plist()
        for index in range(properties.get_nfilters()):
            code = properties.get_filter(index)[0]
            if code not in FILTERS:
                known = ", ".join(FILTERS.values())
                raise ConversionError(f"dataset {path!r} has filter {code}, expected {known}")
        # A chunk is decoded as a whole, and may be larger than what there is of the dataset.
        extent = max(math.prod(dataset.shape), math.prod(dataset.chunks) if dataset.chunks else 0)
        size = extent * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if size > (MAX_RATIO if dataset.chunks else 1) * stored:
            raise ConversionError(
                f"dataset {path!r} has shape {dataset.shape} and chunks {dataset.chunks}, "
                f"{size} bytes, but the file stores {stored} for it"
            )
        self._left -= size
        if self._left < 0:
            raise ConversionError(f"the datasets up to {path!r} are far larger than the file")

    def text(self, path: str, name: str) -> str | None:
        """A text among the attributes of a group, or None."""
        found = self._attribute(path, name)
        if found is None:
            return None
        if isinstance(found, np.ndarray) and found.shape in ((), (1,)):
            found = found.reshape(-1)[0]
        if isinstance(found, bytes):
            return found.decode("utf-8", "replace")
        if not isinstance(found, str):
            raise ConversionError(f"attribute {name!r} of {path!r} is no text")
        return found

    def texts(self, path: str, name: str) -> list[str]:
        """A list of texts among the attributes, which long ones spread over name0, name1 ..."""
        found = self._attribute(path, name)
        chunks = [] if found is None else [found]
        if found is None:
            while (chunk := self._attribute(path, f"{name}{len(chunks)}")) is not None:
                chunks.append(chunk)
        result: list[str] = []
        for chunk in chunks:
            for item in np.asarray(chunk).reshape(-1):
                if not isinstance(item, str | bytes):
                    raise ConversionError(f"attribute {name!r} of {path!r} is no list of texts")
                result.append(item.decode("utf-8", "replace") if isinstance(item, bytes) else item)
        return result

    def _attribute(self, path: str, name: str) -> Any:
        found = self._find(path)
        if found is None or name not in found.attrs:
            return None
        identity = found.attrs.get_id(name)
        count = math.prod(identity.shape or ())
        # Texts of any length are references, which may all be to one text as long as the file.
        free = identity.dtype.hasobject and count > 1
        if count > MAX_TEXTS or (free and count * self._file_bytes > MAX_TEXT_BYTES):
            raise ConversionError(f"attribute {name!r} of {path!r} has shape {identity.shape}")
        return found.attrs[name]

    def _find(self, path: str) -> Any:
        """The object at a path of hard links, or None."""
        found = self._file
        for part in filter(None, path.split("/")):
            if not isinstance(found, self._h5py.Group) or part == "..":
                return None
            link = found.get(part, getlink=True)
            if link is None:
                return None
            if not isinstance(link, self._h5py.HardLink):
                target = f"{getattr(link, 'filename', '')}:{link.path}".lstrip(":")
                raise ConversionError(
                    f"{path!r} is a {type(link).__name__} to {target}, expected the thing itself"
                )
            found = found[part]
        return found
