# SPDX-License-Identifier: Apache-2.0
"""The variables of a `.weights.h5` or `.weights.npz` file by the path of their layer."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import numpy as np

from grucore._core import ConversionError
from grucore.converters.archives import DAMAGED, checked_entries, read_entry
from grucore.converters.keras_hdf5 import Hdf5
from grucore.converters.pickle_machine import Global, Inert, load_pickle
from grucore.node import Array

__all__ = ["Hdf5Tree", "NpzTree"]

OLD_ROOT = "_layer_checkpoint_dependencies"  # where tf.keras 2.12 and 2.13 have `layers`


class Hdf5Tree:
    """`layers/gru/cell/vars/0` ... of an open file."""

    def __init__(self, file: Hdf5) -> None:
        self._file = file
        self._old = file.has(OLD_ROOT)

    def _path(self, path: str) -> str:
        return path.replace("layers", OLD_ROOT, 1) if self._old else path

    def variables(self, path: str) -> list[Array]:
        """The variables of a layer, in their order."""
        group = f"{self._path(path)}/vars"
        names = self._file.names(group)
        if not all(name.isdecimal() for name in names):
            raise ConversionError(f"{group!r} has the variables {', '.join(names)[:200]}")
        return [self._file.array(f"{group}/{name}") for name in sorted(names, key=int)]

    def owner(self, path: str) -> str | None:
        """The name of the layer, which newer versions of Keras write."""
        group = f"{self._path(path)}/vars"
        return self._file.text(group, "name") if self._file.has(group) else None

    def paths(self) -> Iterator[str]:
        """Every path that has variables."""
        seen = set()
        for dataset in self._file.datasets():
            path, found, _ = dataset.rpartition("/vars/")
            if not found:
                if dataset.startswith("vars/"):
                    raise ConversionError(f"the model has a variable of its own, {dataset!r}")
                raise ConversionError(f"the file has {dataset!r}, which Keras does not write")
            path = path.replace(OLD_ROOT, "layers", 1) if self._old else path
            if path not in seen:
                seen.add(path)
                yield path


class NpzTree:
    """`layers/gru/cell.npy` ...: each entry the pickle of a dict of arrays, which is read inert."""

    def __init__(self, data: bytes) -> None:
        self._found: dict[str, dict[str, Array]] = {}
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name, info in checked_entries(archive, len(data)).items():
                    path = name.removesuffix(".npy")
                    content = _read_npy(path, read_entry(archive, info))
                    if content:
                        self._found[path] = content
        except ConversionError:
            raise
        except DAMAGED as error:
            raise ConversionError(f"the npz archive is damaged: {error}") from None

    def variables(self, path: str) -> list[Array]:
        """The variables of a layer, in their order."""
        found = self._found.get(path, {})
        if not all(name.isdecimal() for name in found):
            raise ConversionError(f"{path!r} has the variables {', '.join(found)[:200]}")
        return [found[name] for name in sorted(found, key=int)]

    def owner(self, path: str) -> str | None:
        """This format does not keep names."""
        return None

    def paths(self) -> Iterator[str]:
        """Every path that has variables."""
        return iter(self._found)


NUMPY = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")


def _read_npy(path: str, data: bytes) -> dict[str, Array]:
    """The dict that an object array without axes holds."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    reader = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    if version[0] not in reader:
        raise ConversionError(f"entry {path!r} is of npy version {version}")
    shape, _, dtype = reader[version[0]](stream)
    if shape != () or dtype != np.dtype(object):
        raise ConversionError(f"entry {path!r} holds {dtype} {shape}, expected a dict of arrays")
    found = load_pickle(stream, Inert, _refused)
    # The array of one object is: _reconstruct, then a state whose last part lists the objects.
    try:
        content = found.state[4][0] if isinstance(found, Inert) else found
        if not isinstance(content, dict):
            raise TypeError("no dict")
        return {str(name): _array(entry) for name, entry in content.items()}
    except (TypeError, IndexError, KeyError, AttributeError, ValueError) as error:
        raise ConversionError(f"entry {path!r} holds no dict of arrays: {error}") from None


def _refused(_: object) -> object:
    raise ConversionError("the pickle refers to something outside of it")


def _array(entry: object) -> Array:
    """An array from the calls and states that its pickle asks for, none of which is run."""
    if not isinstance(entry, Inert):
        raise TypeError(f"a {type(entry).__name__}")
    made: Global = entry.made_by
    if made.module not in NUMPY or made.name != "_reconstruct":
        raise TypeError(f"a {made}")
    _, shape, dtype, fortran, raw = entry.state
    code = str(dtype.arguments[0])
    order = dtype.state[1] if isinstance(dtype.state, tuple) else "<"
    if not isinstance(raw, bytes) or code not in ("f2", "f4", "f8", "i4", "i8", "u4", "u8"):
        raise TypeError(f"an array of {code[:20]}")
    kind = np.dtype(f">{code}" if order == ">" else f"<{code}")
    flat = np.frombuffer(raw, kind)
    array = flat.reshape(shape, order="F" if fortran else "C")
    return array.astype(kind.newbyteorder("="))
