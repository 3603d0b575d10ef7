# SPDX-License-Identifier: Apache-2.0
"""Reshape: which of the old axes stand in which of the new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from grucore.converters.onnx.read.source import OnnxNode
from grucore.converters.onnx.state.axes import Axes, Axis, Tracked, Undecided
from grucore.converters.onnx.state.context import Work
from grucore.converters.onnx.state.sizes import Size, Unknown, divide, product

__all__ = ["reshape", "resolve"]


@dataclass(frozen=True)
class Atom:
    """An axis, or a factor of one of features."""

    axis: Axis
    size: Size


Atoms: TypeAlias = tuple[Atom, ...]


def resolve(
    node: OnnxNode, sizes: Sequence[Size], target: Sequence[Size], *, zero_copies: bool
) -> list[Size]:
    """The target of Reshape without its special numbers 0 and -1."""
    found: list[Size] = []
    for place, size in enumerate(target):
        if size == 0 and zero_copies:
            if place >= len(sizes):
                raise node.refuse(f"size {place} of the shape copies an axis that is not there")
            size = sizes[place]
        found.append(size)
    if found.count(-1) > 1 or any(isinstance(size, int) and size < -1 for size in found):
        raise node.refuse(f"shape is {_text(found)}, expected one -1 at most")
    if -1 in found:
        others = product(size for size in found if size != -1)
        try:
            found[found.index(-1)] = divide(product(sizes), others)
        except Unknown:
            message = f"shape {_text(found)} does not divide {_text(sizes)}"
            raise node.refuse(message) from None
    return found


def reshape(work: Work, node: OnnxNode, operand: Tracked, target: Sequence[Size]) -> Tracked:
    """The operand with its axes merged and divided; refuses what mixes time with features."""
    atoms: list[Atom] = []
    for place, axis in enumerate(operand.axes):
        if axis is Axis.FEATURES:
            size = int(operand.index.shape[place])
            atoms += [Atom(axis, size)] * (size > 1)
        else:
            atoms += [Atom(part, work.extent(part, operand)) for part in axis.parts]
    solutions = [
        (score, axes, solution)
        for solution in _divisions(tuple(atoms), tuple(target))
        for score, axes in [_axes(work, solution)]
        if axes is not None
    ]
    shapes = f"{operand.text} to {_text(target)}"
    if not solutions:
        raise node.refuse(f"turns {shapes}: batch, time and features do not stay apart")
    least = min(score for score, _, _ in solutions)
    best: dict[Axes, list[Atoms]] = {}
    for score, axes, solution in solutions:
        if score == least:
            best.setdefault(axes, solution)
    chosen = next(iter(best))
    if len(best) > 1:
        if node.outputs[0] not in work.choices:
            raise Undecided(node.outputs[0], tuple(best))
        chosen = work.choices[node.outputs[0]]
    axes, solution = chosen, best[chosen]
    shape = [_features(group) for group in solution]
    return operand.moved(axes, operand.index.reshape(shape))


def _divisions(atoms: Atoms, target: tuple[Size, ...]) -> Iterator[list[Atoms]]:
    if not target:
        if not atoms:
            yield []
        return
    for group, rest in _prefixes(atoms, target[0]):
        for tail in _divisions(rest, target[1:]):
            yield [group, *tail]


def _prefixes(atoms: Atoms, size: Size) -> Iterator[tuple[Atoms, Atoms]]:
    """The ways to begin with atoms whose sizes multiply to ``size``; and what is left."""
    if size == 1:
        yield (), atoms
    if not atoms:
        return
    first, others = atoms[0], atoms[1:]
    try:
        remaining = divide(size, first.size)
    except Unknown:
        remaining = 0
    if remaining != 0:
        for group, rest in _prefixes(others, remaining):
            yield (first, *group), rest
    if first.axis is not Axis.FEATURES or not isinstance(size, int):
        return
    if isinstance(first.size, int) and 1 < size < first.size and first.size % size == 0:
        yield (Atom(first.axis, size),), (Atom(first.axis, first.size // size), *others)


def _features(group: Atoms) -> int:
    sizes = [atom.size for atom in group if atom.axis is Axis.FEATURES]
    return int(product(sizes))  # type: ignore[arg-type]


def _axes(work: Work, solution: list[Atoms]) -> tuple[int, Axes | None]:
    """The new axes, None where batch or time run into features; and how far-fetched that is."""
    score = 0
    axes: list[Axis] = []
    for group in solution:
        outer = tuple(atom.axis for atom in group if atom.axis is not Axis.FEATURES)
        if _features(group) > 1 and outer:
            # An axis of size 1 may vanish: one row, or one frame of a model that is fed its state.
            alone = all(atom.size == 1 for atom in group if atom.axis is not Axis.FEATURES)
            if not alone or (Axis.TIME in outer and not work.has_states):
                return 0, None
            score += 100
            outer = ()
        if len(outer) == 2:
            score += 1
            outer = (Axis.BATCH_TIME if outer[0] is Axis.BATCH else Axis.TIME_BATCH,)
        axes.append(outer[0] if outer else Axis.FEATURES)
    return score, tuple(axes)


def _text(sizes: Sequence[Size]) -> str:
    return f"({', '.join(str(size) for size in sizes)})"
