# SPDX-License-Identifier: Apache-2.0
"""The meaning of the axes of a tensor: which is batch, which is time, which feature stands where.

A tensor of a graph is a grucore value seen through a relabelling. Each of its axes is a product of
atoms: `BATCH`, `TIME`, or an extent of features. ``index`` has one axis for each feature atom, in
their order, and says which feature of the value stands there: so views, slices and permutations of
features move numbers here, and no layer is needed until something wants them side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from grucore.graph.node import Value
from grucore.graph.tensors import Array

__all__ = [
    "BATCH",
    "TIME",
    "Axis",
    "Flow",
    "Unfit",
    "WrongAxes",
    "different_rates",
    "flow_of",
    "regroup",
]

BATCH = "batch"
TIME = "time"

Atom = str | int
Axis = tuple[Atom, ...]


class Unfit(Exception):
    """Why an operation cannot be expressed; the walker adds which one, and where."""


class WrongAxes(Unfit):
    """Axes that an operation cannot have: rather a wrong meaning than an operation too many."""


@dataclass(frozen=True, eq=False)
class Flow:
    """A tensor that a grucore value stands for.

    ``frame``: if not None, the tensor is this frame of the value alone. ``before``, ``after``:
    frames of zeros around the sequence, for a convolution to come. ``tail``: frames at the end
    that the value does not have, since a slice is to remove them. ``is_state``: the value is no
    value of the model, but an initial state that the caller gives.
    """

    value: Value
    axes: tuple[Axis, ...]
    index: Array
    frame: int | None = None
    before: int = 0
    after: int = 0
    tail: int = 0
    is_state: bool = False

    @property
    def plain(self) -> bool:
        """True if its frames are those of the value."""
        return not (self.before or self.after or self.tail)

    @property
    def rank(self) -> int:
        """Axes of the tensor."""
        return len(self.axes)

    @property
    def in_order(self) -> bool:
        """True if all features of the value stand in their order."""
        flat = self.index.reshape(-1)
        return len(flat) == self.value.features and bool((flat == np.arange(len(flat))).all())

    def axis_of(self, atom: str) -> int | None:
        """The axis that is this atom alone, or None."""
        return self.axes.index((atom,)) if (atom,) in self.axes else None

    def has(self, atom: str) -> bool:
        """True if any axis has this atom in it."""
        return any(atom in axis for axis in self.axes)

    def feature_axis(self, axis: int) -> bool:
        """True if an axis holds nothing but features."""
        return all(isinstance(atom, int) for atom in self.axes[axis])

    def extent(self, axis: int) -> int:
        """Features along an axis of features."""
        return math.prod(atom for atom in self.axes[axis] if isinstance(atom, int))

    def simple(self) -> Flow:
        """The same with at most one feature atom in each axis, and one in each axis of features."""
        axes: list[Axis] = []
        extents: list[int] = []
        for number, axis in enumerate(self.axes):
            if self.feature_axis(number):
                axes.append((self.extent(number),))
                extents.append(self.extent(number))
            else:
                axes.append(axis)
                extents += [atom for atom in axis if isinstance(atom, int)]
        return replace(self, axes=tuple(axes), index=self.index.reshape(extents))

    def place(self, axis: int) -> int:
        """The axis of ``index`` at which the atoms of an axis of the tensor begin."""
        return sum(isinstance(atom, int) for each in self.axes[:axis] for atom in each)

    def permuted(self, order: Sequence[int]) -> Flow:
        """The tensor's axes in another order."""
        places = [
            place
            for axis in order
            for place in range(self.place(axis), self.place(axis) + self._count(axis))
        ]
        axes = tuple(self.axes[axis] for axis in order)
        return replace(self, axes=axes, index=self.index.transpose(places))

    def _count(self, axis: int) -> int:
        return sum(isinstance(atom, int) for atom in self.axes[axis])


def different_rates(one: Flow, other: Flow) -> str:
    """Words for an error where one tensor has a value for each frame and the other has not."""
    if one.has(TIME) == other.has(TIME):
        return ""
    return ": one of each frame and one of the whole sequence, which is known at its end only"


def flow_of(value: Value, axes: Sequence[Axis]) -> Flow:
    """All features of a value in their order, on axes whose feature atoms hold them."""
    extents = [atom for axis in axes for atom in axis if isinstance(atom, int)]
    return Flow(value, tuple(axes), np.arange(value.features).reshape(extents))


def regroup(
    axes: Sequence[Axis], sizes: dict[str, int], shape: Sequence[int]
) -> tuple[tuple[Axis, ...], list[int]]:
    """The axes of a view of this shape, and the extents of its feature atoms.

    Raises `Unfit` where the view would cut batch or time, or mix them with features.
    """
    atoms = [atom for axis in axes for atom in axis]
    result: list[Axis] = []
    for wanted in shape:
        taken: list[Atom] = []
        have = 1
        # An axis of size 1 takes a batch or time of size 1 only where nothing else could be meant.
        while have < wanted or (wanted == 1 and not taken and atoms and _is_one(atoms[0], sizes)):
            if not atoms:
                raise Unfit(f"a view of shape {tuple(shape)} of another number of elements")
            atom = atoms.pop(0)
            size = sizes[atom] if isinstance(atom, str) else atom
            rest = wanted // have
            if size <= rest and rest % size == 0:
                # A batch of one is no longer told apart within a longer axis.
                if not (size == 1 and wanted > 1):
                    taken.append(atom)
                have *= size
            elif isinstance(atom, int) and atom % rest == 0:
                taken.append(rest)
                atoms.insert(0, atom // rest)
                have *= rest
            else:
                what = atom if isinstance(atom, str) else "feature"
                raise Unfit(f"a view of shape {tuple(shape)} cuts through the {what} axis")
        result.append(tuple(taken))
    left = [atom for atom in atoms if not _is_one(atom, sizes)]
    if left:
        raise Unfit(f"a view of shape {tuple(shape)} of another number of elements")
    named = [axis or (1,) for axis in result]
    return tuple(named), [atom for axis in named for atom in axis if isinstance(atom, int)]


def _is_one(atom: Atom, sizes: dict[str, int]) -> bool:
    return (sizes[atom] if isinstance(atom, str) else atom) == 1
