# SPDX-License-Identifier: Apache-2.0
"""A model against the program that it comes from, run by its own framework."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Argument", "Memo", "Source", "check"]

SIZES = ((3, 1), (3, 4), (7, 9), (9, 7), (3, 23), (2, 1301))  # batch and frames
CHUNKS = ((1, 1, 3, 12), (9, 12, 10))  # frames of the caller's calls; of a program of windows
BEFORE = (".history", ".x")
LARGEST = 1e12  # what is larger overflows soon

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Argument:
    """An argument of a program: a sequence (batch, time, features), one frame of it, or a state.

    ``ids``: the number of ids, of a sequence of integers (batch, time). ``step``: one frame (batch,
    features). ``state``: the shape of a state, in which "B" is the batch.
    """

    name: str
    features: int = 0
    ids: int = 0
    step: bool = False
    state: tuple[Any, ...] = ()

    def array(self, generator: np.random.Generator, batch: int, frames: int) -> Array:
        if self.state:
            shape = [batch if each == "B" else each for each in self.state]
            return generator.uniform(-0.9, 0.9, shape).astype(np.float32)
        if self.ids:
            return generator.integers(0, self.ids, (batch, frames))
        shape = [batch, self.features] if self.step else [batch, frames, self.features]
        return generator.normal(size=shape).astype(np.float32)


@dataclass(frozen=True)
class Source:
    """A program and its arguments.

    ``run``: all outputs, or None where the program itself fails. ``back``: the numbers of the
    outputs that the caller feeds back, for each state in their order. ``frames``, ``batch``: the
    only ones that it has. ``least``: the frames below which its framework may end the process.
    """

    arguments: Sequence[Argument]
    run: Callable[[Sequence[Array]], list[Array] | None]
    back: Sequence[int] = ()
    frames: int | None = None
    batch: int | None = None
    least: int = 1


class Memo:
    """A program that remembers what it answered."""

    def __init__(self, run: Callable[[Sequence[Array]], list[Array] | None]) -> None:
        self._run = run
        self._known: dict[Any, list[Array] | None] = {}

    def __call__(self, arrays: Sequence[Array]) -> list[Array] | None:
        key = tuple((each.shape, each.tobytes()) for each in arrays)
        if key not in self._known:
            self._known[key] = self._run(arrays)
        return self._known[key]


def onnx_run(
    model: Any, names: Sequence[str], *, optimized: bool = False
) -> Callable[[Sequence[Array]], list[Array] | None]:
    """A call of onnxruntime on a file or its bytes: outputs, or None where it cannot run."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    if not optimized:
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    known = [each.name for each in session.get_inputs()]

    def run(arrays: Sequence[Array]) -> list[Array] | None:
        given = dict(zip(names, arrays, strict=True))
        try:
            found: list[Array] = session.run(None, {name: given[name] for name in known})
        except Exception:  # of its own: it has a type for each failure
            return None
        return found

    return run


def check(model: Any, source: Source) -> None:
    """Raise AssertionError where the model computes something else than its program."""
    _Check(model, source).all()


class _Check:
    def __init__(self, model: Any, source: Source) -> None:
        self.model = model
        self.source = source
        about = model.metadata["source"]
        axes, outputs = about.get("axes", "(batch, time, features)"), about.get("outputs", {})
        self.sequences = [each for each in source.arguments if not each.state]
        self.states = [each for each in source.arguments if each.state]
        self.inputs = [
            _words(axes[each.name] if isinstance(axes, dict) else axes) for each in self.sequences
        ]
        self.outputs = []
        for each in model.outputs:
            claim = outputs.get(each.name) or (axes.get(each.name) if isinstance(axes, dict) else 0)
            usual = (
                "(batch, features)" if "sequence" in str(each.rate) else "(batch, time, features)"
            )
            self.outputs.append(_words(claim or usual))
        self.in_steps = not any("time" in words for words in self.inputs)
        self.starts = self._starts(about.get("states", {}))

    def _starts(self, claims: Any) -> dict[str, tuple[str, int | None]]:
        """By the model's state: the argument, and the row in it; None for all of it."""
        found: dict[str, tuple[str, int | None]] = {}
        arguments = [each.name for each in self.states]
        for one, other in claims.items():
            if other in arguments:  # a state that layers between frames made
                found[one] = (other, None)
                continue
            row = re.fullmatch(r"(\w+)\[(\d+)\]", other)
            if row:
                found[one] = (row[1], int(row[2]))
            else:  # an input of an ONNX file, and its states in their order
                for place, name in enumerate(other.partition("state of ")[2].split(", ")):
                    found[name] = (one, place)
        return found

    def all(self) -> None:
        compared = 0
        for seed, (batch, frames) in enumerate(SIZES):
            compared += self._whole(batch, frames, np.random.default_rng(seed))
        if self.states and self.starts and self.source.back:
            compared += any(self._loop(np.random.default_rng(9), chunks) for chunks in CHUNKS)
        assert compared, "nothing could be compared"

    def _whole(self, batch: int, frames: int, generator: np.random.Generator) -> bool:
        """Whole sequences, from states that are given."""
        if (self.in_steps and frames > 1) or frames < self.source.least:
            return False  # one frame a call
        given = [each.array(generator, batch, frames) for each in self.source.arguments]
        found = self._run(given, generator)
        if found is None:
            return False
        x = self._x(given)
        if self.in_steps:
            x = tuple(each[:, None] for each in x) if isinstance(x, tuple) else x[:, None]
        state = self._state(given)
        if state:  # frames before the first one are zeros
            others = self.model.run(x, return_state=True)[1].items()
            zeros = {name: np.zeros_like(x) for name, x in others if name.endswith(BEFORE)}
            state = zeros | state
        ours = self.model.run(x, **({"state": state} if state else {}))
        ours = list(ours) if isinstance(ours, tuple) else [ours]
        if self.in_steps:
            ours = [each[:, 0] if each.ndim > 2 else each for each in ours]
        self._compare(ours, *found, batch, frames, f"{batch} x {frames} frames")
        return True

    def _loop(self, generator: np.random.Generator, chunks: Sequence[int]) -> bool:
        """The caller's loop, states fed back, against a stream of the model."""
        fixed = self.source.frames is not None and not self.in_steps
        if fixed or self.in_steps:
            chunks = (self.source.frames or 1,) * 3 if fixed else (1,) * 9
        if min(chunks) < self.source.least and not self.in_steps:
            return False
        batch = self.source.batch or 3
        stream, fed = None, None
        for number, frames in enumerate(chunks):
            given = [each.array(generator, batch, frames) for each in self.source.arguments]
            given = [
                array if not each.state else np.zeros_like(array) if fed is None else fed[each.name]
                for each, array in zip(self.source.arguments, given, strict=True)
            ]
            found = self._run(given, generator)
            if found is None or max(self.source.back) >= len(found[0]):
                return number > 0
            stream = stream or self.model.stream(batch=batch)
            x = self._x(given)
            if self.in_steps:
                ours = stream.step(*x) if isinstance(x, tuple) else stream.step(x)
            else:
                ours = stream.run(x)
            ours = list(ours) if isinstance(ours, tuple) else [ours]
            ours = [
                each[:, -1] if each.ndim > 2 and "time" not in words and self._ends(place) else each
                for place, (each, words) in enumerate(zip(ours, self.outputs, strict=True))
            ]
            self._compare(ours, *found, batch, frames, f"call {number} of a loop")
            shapes = {
                each.name: array.shape
                for each, array in zip(self.source.arguments, given, strict=True)
            }
            fed = {
                each.name: found[0][place]
                for each, place in zip(self.states, self.source.back, strict=True)
            }
            if any(shapes[name] != array.shape for name, array in fed.items()):
                return True  # the program cannot be called with these
        return True

    def _ends(self, place: int) -> bool:
        return "sequence" in str(self.model.outputs[place].rate)

    def _run(
        self, given: Sequence[Array], generator: np.random.Generator
    ) -> tuple[list[Array], list[Array]] | None:
        """The program's outputs, and the same from inputs that are rounded otherwise."""
        arranged = self._arranged(given)
        found = self.source.run(arranged)
        if found is None or not all(each.size for each in found):
            return None
        nudged = [_nudged(each, generator) for each in arranged]
        return found, self.source.run(nudged) or found

    def _arranged(self, given: Sequence[Array]) -> list[Array]:
        claims = iter(self.inputs)
        return [
            array if each.state else _in_axes(array, next(claims), each)
            for each, array in zip(self.source.arguments, given, strict=True)
        ]

    def _x(self, given: Sequence[Array]) -> Any:
        rows = [g for a, g in zip(self.source.arguments, given, strict=True) if not a.state]
        return rows[0] if len(rows) == 1 else tuple(rows)

    def _state(self, given: Sequence[Array]) -> dict[str, Array]:
        by_name = {a.name: (a, g) for a, g in zip(self.source.arguments, given, strict=True)}
        found = {}
        for state, (name, row) in self.starts.items():
            argument, array = by_name[name]
            rows = np.moveaxis(array, argument.state.index("B"), 0)
            whole = rows.reshape(len(rows), -1)
            if row is not None:
                whole = np.split(whole, array.size // len(rows) // argument.state[-1], 1)[row]
            found[state] = np.ascontiguousarray(whole)
        return found

    def _compare(
        self,
        ours: list[Array],
        found: list[Array],
        nudged: list[Array],
        batch: int,
        frames: int,
        where: str,
    ) -> None:
        """The model's outputs are the program's, in their order, but for states left out."""
        missing = len(found) - len(ours)
        assert missing >= 0, f"{len(ours)} outputs of a program of {len(found)}"
        shapes = [[batch if n == "B" else n for n in each.state] for each in self.states]
        alike = [place for place, each in enumerate(found) if list(each.shape) in shapes]
        reason = "an output is missing that is no state"
        for left_out in itertools.combinations(alike, missing):
            kept = [place for place in range(len(found)) if place not in left_out]
            reasons = [
                self._difference(mine, found[place], nudged[place], words, batch, frames)
                for mine, place, words in zip(ours, kept, self.outputs, strict=True)
            ]
            wrong = [f"output {k}: {said}" for k, said in zip(kept, reasons, strict=True) if said]
            if not wrong:
                return
            reason = wrong[0]
        raise AssertionError(f"{where}: {reason}")

    def _difference(
        self, mine: Array, other: Array, nudged: Array, words: list[str], batch: int, frames: int
    ) -> str:
        """Words for what differs, or nothing."""
        if 1 in (batch, frames) and other.size == mine.size and other.ndim < len(words):
            # A squeeze took away an axis that has but one place this time.
            return _far(mine.reshape(-1), other.reshape(-1), nudged.reshape(-1))
        if words[-1:] == ["features"] and mine.shape[-1] == 1 and other.ndim == len(words) - 1:
            other, nudged = other[..., None], nudged[..., None]  # one number, without its axis
        if len(words) != other.ndim:
            return f"shape {other.shape} in the program, axes ({', '.join(words)}) by the model"
        sizes = {"batch": batch, "time": mine.shape[1] if mine.ndim > 2 else 1}
        extents: list[int] = []
        for size, word in zip(other.shape, words, strict=True):
            axis = word.split(" x ")
            here = [sizes.get(atom, -1) for atom in axis] if len(axis) > 1 else [size]
            if here.count(-1) > 1 or size % abs(math.prod(here)):
                return f"an axis of {size} in the program, {word} by the model"
            extents += here
        words = [atom for word in words for atom in word.split(" x ")]
        if other.size % abs(math.prod(extents)):
            return f"shape {other.shape} in the program, axes ({', '.join(words)}) by the model"
        other, nudged = other.reshape(extents), nudged.reshape(extents)
        lead = [words.index(word) for word in ("batch", "time") if word in words]
        order = lead + [place for place in range(len(words)) if place not in lead]
        other, nudged = (
            (turned := each.transpose(order)).reshape(*turned.shape[: len(lead)], -1)
            for each in (other, nudged)
        )
        mine = mine if "batch" in words else mine[0]
        if not mine.size:
            return ""  # too short for the model's windows, where some programs answer nonsense
        if mine.shape != other.shape:
            return f"shape {mine.shape} by the model, {other.shape} by the program"
        return _far(mine, other, nudged)


def _words(claim: str) -> list[str]:
    return [each.strip() for each in claim.strip("()").split(",") if each.strip()]


def _in_axes(array: Array, words: list[str], argument: Argument) -> Array:
    """(batch, time, features) in the axes that the model says the program has."""
    order = ["batch", "features"] if argument.step else ["batch", "time", "features"][: array.ndim]
    if argument.ids and words[-1:] == ["features"]:
        words = words[:-1]  # said of every input of Keras
    if "batch" not in words:
        array, order = array[0], order[1:]
    assert sorted(order) == sorted(words), f"axes ({', '.join(words)}) of {argument.name!r}"
    return np.ascontiguousarray(array.transpose([order.index(word) for word in words]))


def _nudged(array: Array, generator: np.random.Generator) -> Array:
    if array.dtype != np.float32:
        return array
    towards = np.where(generator.random(array.shape) < 0.5, -np.inf, np.inf).astype(np.float32)
    return np.where(array == 0, array, np.nextafter(array, towards))


def _far(mine: Array, other: Array, nudged: Array) -> str:
    mine, other, nudged = (each.astype(np.float64) for each in (mine, other, nudged))
    with np.errstate(all="ignore"):
        usable = np.isfinite(other) & (np.abs(other) < LARGEST) & np.isfinite(nudged)
        if not usable.all():
            same = usable | (mine == other) | ~np.isfinite(mine) | (np.abs(mine) > LARGEST / 10)
            if not same.all():
                return "what is not finite in the program is a number in the model"
            mine, other, nudged = (np.where(usable, each, 0) for each in (mine, other, nudged))
        scale = np.abs(other).max(initial=0.0)
        bound = max(3e-5 * scale, 30 * np.abs(nudged - other).max(initial=0.0), 1e-30)
        found = np.abs(mine - other).max(initial=0.0)
    return "" if found <= bound else f"differs by {found:.3g} at scale {scale:.3g}"
