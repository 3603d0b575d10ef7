# SPDX-License-Identifier: Apache-2.0
"""An HDF5 file for the Keras converter: numbers and texts that lie in the file itself, no more.

HDF5 can point into other files, compute shapes that no memory holds, and load plugins that decode;
a file of Keras does none of it, so all of it is refused by name. Its own library follows damaged
structures without end and takes memory on their word; this reader counts every byte it looks at.

The format: "HDF5 File Format Specification Version 3.0", The HDF Group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.budget import Budget
from grucore.converters.containers.hdf5.datasets import is_dataset, read_dataset
from grucore.converters.containers.hdf5.groups import Elsewhere, is_group, members
from grucore.converters.containers.hdf5.headers import Message, messages, root_address
from grucore.converters.containers.hdf5.image import Image
from grucore.converters.containers.hdf5.texts import Attribute, Heaps, attributes, texts_of
from grucore.graph.tensors import Array

__all__ = ["Hdf5", "open_hdf5"]

MAX_OBJECTS = 1 << 16
MAX_DEPTH = 32


def open_hdf5(data: bytes, budget: Budget | None = None) -> Hdf5:
    """The file in these bytes; raises `ConversionError` for damage.

    ``budget``: that of the archive that it was in.
    """
    return Hdf5(Image(data, budget or Budget(len(data))))


class Hdf5:
    """Guarded access by path: what is not a hard link to numbers or texts here is refused."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._heaps = Heaps(image)
        self._headers: dict[int, list[Message]] = {}
        self._members: dict[int, dict[str, int | Elsewhere]] = {}
        self._attributes: dict[int, dict[str, Attribute]] = {}
        self._root = root_address(image)
        if not is_group(self._header(self._root)):
            raise ConversionError("the HDF5 file is damaged: its root is no group")

    def has(self, path: str) -> bool:
        """True if there is something at the path."""
        return self._find(path) is not None

    def names(self, path: str) -> list[str]:
        """The members of a group in order of their names; none where there is no group."""
        found = self._find(path)
        return [] if found is None else sorted(self._members_of(found, path))

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
                address = self._find(inner)
                if address is not None and is_dataset(self._header(address)):
                    yield inner
                else:
                    pending.append((inner, depth + 1))

    def array(self, path: str) -> Array:
        """The numbers of a dataset, as large as what the file stores for them."""
        address = self._find(path)
        if address is None or not is_dataset(self._header(address)):
            raise ConversionError(f"the file has no dataset {path!r}")
        array = read_dataset(self._image, self._header(address), path)
        marked = self.text(path, "dtype")
        if marked == "bfloat16" and array.dtype.kind in "Vu" and array.dtype.itemsize == 2:
            wide = array.view(np.uint16).astype(np.uint32) << np.uint32(16)
            return wide.view(np.float32)
        if array.dtype.kind not in "fiub":
            kind = f"{array.dtype}{f' marked {marked}' if marked else ''}"
            raise ConversionError(f"dataset {path!r} holds {kind}, expected numbers")
        return array.astype(array.dtype.newbyteorder("="))

    def text(self, path: str, name: str) -> str | None:
        """A text among the attributes of an object, or None."""
        found = self._texts(path, name)
        if found is None:
            return None
        if len(found) != 1:
            raise ConversionError(f"attribute {name!r} of {path!r} is no text")
        return found[0]

    def texts(self, path: str, name: str) -> list[str]:
        """A list of texts among the attributes, which long ones spread over name0, name1 ..."""
        found = self._texts(path, name)
        if found is not None:
            return found
        result: list[str] = []
        number = 0
        while (chunk := self._texts(path, f"{name}{number}")) is not None:
            result += chunk
            number += 1
        return result

    def _texts(self, path: str, name: str) -> list[str] | None:
        address = self._find(path)
        if address is None:
            return None
        if address not in self._attributes:
            header = self._header(address)
            self._attributes[address] = attributes(self._image, header, path)
        attribute = self._attributes[address].get(name)
        if attribute is None:
            return None
        what = f"attribute {name!r} of {path!r}"
        return texts_of(self._image, self._heaps, attribute, what)

    def _header(self, address: int) -> Sequence[Message]:
        found = self._headers.get(address)
        if found is None:
            found = self._headers[address] = messages(self._image, address)
        return found

    def _members_of(self, address: int, path: str) -> dict[str, int | Elsewhere]:
        found = self._members.get(address)
        if found is None:
            found = self._members[address] = members(self._image, self._header(address), path)
        return found

    def _find(self, path: str) -> int | None:
        """The address of the object at a path of hard links, or None."""
        address = self._root
        for part in filter(None, path.split("/")):
            found = self._members_of(address, path).get(part)
            if found is None:
                return None
            if isinstance(found, Elsewhere):
                raise ConversionError(
                    f"{path!r} is a {found.kind} to {found.target}, expected the thing itself"
                )
            address = found
        return address
