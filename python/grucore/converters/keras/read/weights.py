# SPDX-License-Identifier: Apache-2.0
"""The variables of a `.weights.h5` file by the path of the layer that has them."""

from __future__ import annotations

from collections.abc import Iterator

from grucore._core import ConversionError
from grucore.converters.containers.hdf5.file import Hdf5
from grucore.graph.tensors import Array

__all__ = ["Hdf5Tree"]

OLD_ROOT = "_layer_checkpoint_dependencies"  # where tf.keras 2.12 and 2.13 have `layers`


class Hdf5Tree:
    """`layers/gru/cell/vars/0` ... of an open file.

    tf.keras 2.12 and 2.13 name each group by the path of the system that they run on: on Windows
    one group is called ``_layer_checkpoint_dependencies\\gru\\cell``.
    """

    def __init__(self, file: Hdf5) -> None:
        self._file = file
        self._groups: dict[str, str] = {}  # by path as Keras 3 has it
        self.counts_twice = False
        for dataset in file.datasets():
            group, found, _ = dataset.rpartition("/vars/")
            if not found:
                if dataset.startswith("vars/"):
                    raise ConversionError(f"the model has a variable of its own, {dataset!r}")
                raise ConversionError(f"the file has {dataset!r}, which Keras does not write")
            parts = group.replace("\\", "/").split("/")
            self.counts_twice |= OLD_ROOT in parts
            path = "/".join("layers" if part == OLD_ROOT else part for part in parts)
            if self._groups.setdefault(path, group) != group:
                raise ConversionError(f"the file has both {group!r} and {self._groups[path]!r}")

    def variables(self, path: str) -> list[Array]:
        """The variables of a layer, in their order."""
        if path not in self._groups:
            return []
        group = f"{self._groups[path]}/vars"
        names = self._file.names(group)
        if not all(name.isdecimal() for name in names):
            raise ConversionError(f"{group!r} has the variables {', '.join(names)[:200]}")
        return [self._file.array(f"{group}/{name}") for name in sorted(names, key=int)]

    def owner(self, path: str) -> str | None:
        """The name of the layer, which newer versions of Keras write."""
        group = f"{self._groups.get(path, path)}/vars"
        return self._file.text(group, "name") if self._file.has(group) else None

    def paths(self) -> Iterator[str]:
        """Every path that has variables."""
        yield from self._groups
