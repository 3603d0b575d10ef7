# SPDX-License-Identifier: Apache-2.0
"""The variables of a `.weights.h5` file by the path of the layer that has them."""

from __future__ import annotations

from collections.abc import Iterator

from grucore._core import ConversionError
from grucore.converters.keras_hdf5 import Hdf5
from grucore.node import Array

__all__ = ["Hdf5Tree"]

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
