# SPDX-License-Identifier: Apache-2.0
"""Reshape: which of the old axes stand in which of the new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from grucore.converters.trace.axes import Axes, Axis, Data, Tracked, Undecided, Unfit
from grucore.converters.trace.sizes import Size, Unknown, divide, product
from grucore.converters.trace.trace import Trace

__all__ = ["reshaped", "resolve", "sizes_text"]

ALONE, MIXED = 100, 10  # how far-fetched it is that an axis vanishes, or runs into another kind


@dataclass(frozen=True)
class Atom:
    """Batch or time; or an extent of features, a factor of an axis."""

    part: str | None
    size: Size


Atoms: TypeAlias = tuple[Atom, ...]


def resolve(sizes: Sequence[Size], target: Sequence[Size]) -> list[Size]:
    """The target of a reshape without its special number -1."""
    found = list(target)
    if found.count(-1) > 1 or any(isinstance(size, int) and size < -1 for size in found):
        raise Unfit(f"shape is {sizes_text(found)}, expected one -1 at most")
    if -1 in found:
        others = product(size for size in found if size != -1)
        try:
            found[found.index(-1)] = divide(product(sizes), others)
        except Unknown:
            raise Unfit(f"shape {sizes_text(found)} does not divide {sizes_text(sizes)}") from None
    return found


def reshaped(trace: Trace, x: Tracked, target: Sequence[Size]) -> Tracked:
    """The tensor with its axes merged and divided, none of batch and time cut."""
    if isinstance(x, Data) and x.silence != (0, 0):
        return _padded(trace, x, target)
    atoms: list[Atom] = []
    for place, axis in enumerate(x.axes):
        sizes = axis.parts or (int(x.index.shape[place]),)
        for part in sizes:
            if isinstance(part, str):
                atoms.append(Atom(part, trace.extent(part, x)))
            elif part > 1:
                atoms.append(Atom(None, part))
    solutions = [
        (score, axes, solution)
        for solution in _divisions(tuple(atoms), tuple(target))
        for score, axes in [_axes(trace, solution)]
        if axes is not None
    ]
    if not solutions:
        shapes = f"{x.text} to {sizes_text(target)}"
        raise Unfit(f"turns {shapes}: batch, time and features do not stay apart")
    least = min(score for score, _, _ in solutions)
    best: dict[Axes, list[Atoms]] = {}
    for score, axes, solution in solutions:
        if score == least:
            best.setdefault(axes, solution)
    chosen = next(iter(best))
    if len(best) > 1:
        if trace.result not in trace.choices:
            raise Undecided(trace.result, tuple(best))
        chosen = trace.choices[trace.result]
    return x.moved(chosen, x.index.reshape([_features(group) for group in best[chosen]]))


def _padded(trace: Trace, x: Data, target: Sequence[Size]) -> Tracked:
    """The same of samples with zeros around them, whose axis stays as it is."""
    axis = next(place for place, each in enumerate(x.axes) if each.hop)
    long, plain = trace.size(x, axis), replace(x, silence=(0, 0))
    if list(target).count(long) != 1:
        raise Unfit(f"turns {x.text} to {sizes_text(target)} after it was padded")
    short = [trace.size(plain, axis) if size == long else size for size in target]
    found = reshaped(trace, plain, short)
    assert isinstance(found, Data)
    return replace(found, silence=x.silence)


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
    if first.part is not None or not isinstance(size, int):
        return
    if isinstance(first.size, int) and 1 < size < first.size and first.size % size == 0:
        yield (Atom(None, size),), (Atom(None, first.size // size), *others)


def _features(group: Atoms) -> int:
    sizes = [atom.size for atom in group if atom.part is None]
    return int(product(sizes))  # type: ignore[arg-type]


def _axes(trace: Trace, solution: list[Atoms]) -> tuple[int, Axes | None]:
    """The new axes, None where time of one frame would vanish; and how far-fetched that is."""
    score = 0
    axes: list[Axis] = []
    for group in solution:
        outer = [atom for atom in group if atom.part is not None]
        if outer and _features(group) > 1:
            if all(atom.size == 1 for atom in outer):
                # An axis of size 1 may vanish: one row, or the one frame of a step.
                if any(atom.part == "time" for atom in outer) and not trace.has_states:
                    return 0, None
                score += ALONE
                axes.append(Axis())
                continue
            score += MIXED
        elif len(outer) == 2:
            score += 1
        axes.append(Axis(_parts(group) if outer else ()))
    return score, tuple(axes)


def _parts(group: Atoms) -> tuple[str | int, ...]:
    """Batch and time, and the extents of features between them."""
    parts: list[str | int] = []
    for atom in group:
        if atom.part is not None:
            parts.append(atom.part)
            continue
        assert isinstance(atom.size, int)
        if parts and isinstance(parts[-1], int):
            parts[-1] *= atom.size
        else:
            parts.append(atom.size)
    return tuple(parts)


def sizes_text(sizes: Sequence[Size]) -> str:
    return f"({', '.join(str(size) for size in sizes)})"
