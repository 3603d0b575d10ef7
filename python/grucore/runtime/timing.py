# SPDX-License-Identifier: Apache-2.0
"""The cost of models on this machine: chunks of calls, and single calls for percentiles."""

from __future__ import annotations

import gc
import math
import statistics
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from grucore.runtime.arrays import single
from grucore.runtime.loaded import Loaded
from grucore.runtime.sequences import run_whole
from grucore.runtime.stream import make_stream

__all__ = [
    "ModelSteps",
    "Steps",
    "clock_cost",
    "histogram",
    "in_turn",
    "measure",
    "percentiles",
    "step_figures",
    "undisturbed",
]

Advance = Callable[[float], None]

CHUNK_NANOSECONDS = 200_000
FRAMES = 64  # different inputs, one after the other
SEQUENCE_FRAMES = 100
SINGLE_CHUNK = 2_000  # calls between two looks at the budget
MOST_SINGLES = 2_000_000
WARM_UP = 0.1  # shares of the time
CHUNKS = 0.25
SINGLES = 0.35
BODY = (1.1, 1.2, 1.3, 1.5, 2.0)  # bounds of the histogram, as multiples of the smallest
TAIL = 4.0  # further out, from one to the next
POINTS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def clock_cost() -> float:
    """Nanoseconds that lie between two readings of the clock with nothing in between."""
    clock = time.perf_counter_ns
    costs = []
    for _ in range(2_000):
        before = clock()
        costs.append(clock() - before)
    return float(statistics.median(costs))


def _inputs(model: Loaded, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Standard normal for float32; zeros for anything that counts or names."""
    rng = np.random.default_rng(1)
    return tuple(
        rng.standard_normal((*shape, port.features)).astype(np.float32)
        if port.dtype == "float32"
        else np.zeros(shape if port.features == 1 else (*shape, port.features), np.int32)
        for port in model.inputs
    )


class Steps:
    """A steppable contender. ``frames`` holds FRAMES inputs; ``step`` consumes one."""

    frames: list[Any]
    step: Callable[[Any], Any]

    def enough(self) -> list[Any]:
        """Frames for a chunk of calls that takes long enough."""
        each = max(min(self.chunk(self.frames) for _ in range(3)) / FRAMES, 1.0)
        size = max(math.ceil(CHUNK_NANOSECONDS / each), 1)
        return (self.frames * -(-size // FRAMES))[:size]

    def chunk(self, frames: Sequence[Any]) -> int:
        """Nanoseconds of one call for each frame, the loop included."""
        step = self.step
        before = time.perf_counter_ns()
        for frame in frames:
            step(frame)
        return time.perf_counter_ns() - before

    def singles(self, frames: Sequence[Any], into: array[int]) -> None:
        """Nanoseconds of each call, the clock included."""
        step, clock, append = self.step, time.perf_counter_ns, into.append
        for frame in frames:
            before = clock()
            step(frame)
            append(clock() - before)


class ModelSteps(Steps):
    """A stream of a model, its inputs and its output, ready to be called."""

    def __init__(self, model: Loaded) -> None:
        self.step = make_stream(model, None, "propagate").step
        columns = _inputs(model, (FRAMES,))
        self.frames = [single(tuple(column[i].copy() for column in columns)) for i in range(FRAMES)]
        self.out = single(tuple(np.empty(port.features, port.dtype) for port in model.outputs))

    def chunk(self, frames: Sequence[Any]) -> int:
        step: Any = self.step
        out = self.out
        before = time.perf_counter_ns()
        for frame in frames:
            step(frame, out=out)
        return time.perf_counter_ns() - before

    def singles(self, frames: Sequence[Any], into: array[int]) -> None:
        step: Any = self.step
        out, clock, append = self.out, time.perf_counter_ns, into.append
        for frame in frames:
            before = clock()
            step(frame, out=out)
            append(clock() - before)


def step_figures(
    costs: Sequence[float], chunk_steps: int, singles: array[int], clock: float
) -> dict[str, Any]:
    """Figures of steps, from nanoseconds a step in each chunk and those of single steps."""
    taken = np.maximum(np.frombuffer(singles, np.int64) - clock, 0.0) / 1000.0
    taken.sort()
    return {
        "us_min": round(min(costs) / 1000.0, 4),
        "us_median": round(statistics.median(costs) / 1000.0, 4),
        "chunks": len(costs),
        "chunk_steps": chunk_steps,
        "steps": len(taken),
        "latency_us": percentiles(taken),
        "histogram": histogram(taken),
    }


def measure(
    model: Loaded, *, seconds: float, batch: int, threads: int, advance: Advance
) -> dict[str, Any]:
    """The cost of the clock, of steps (None where the model cannot stream) and of whole runs."""
    streams = model._unstreamable() is None
    with undisturbed():
        clock = clock_cost()
        step = _measure_steps(model, seconds, clock, advance) if streams else None
        share = (1.0 - WARM_UP - CHUNKS - SINGLES if streams else 1.0) / 2
        runs = [
            _measure_run(model, rows, count, seconds * share, advance)
            for rows, count in ((1, 1), (batch, threads))
        ]
    return {"clock_ns": clock, "step": step, "run": runs}


@contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage is collected meanwhile."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def in_turn(
    models: Sequence[Loaded], *, seconds: float, advance: Advance
) -> list[dict[str, float | str]]:
    """Cost of a step of each, in chunks taken in turn: a slow moment slows them all.

    Models that cannot stream take a frame of `run`; "what" says which.
    """
    works = [_chunk(model) for model in models]
    costs: list[list[float]] = [[] for _ in works]

    def turn() -> None:
        for (_, work), found in zip(works, costs, strict=True):
            found.append(work() / 1000.0)

    with undisturbed():
        turn()
        for found in costs:
            found.clear()
        _until(seconds, advance, turn)
    return [
        {
            "what": what,
            "us_min": round(min(found), 4),
            "us_median": round(statistics.median(found), 4),
        }
        for (what, _), found in zip(works, costs, strict=True)
    ]


def _chunk(model: Loaded) -> tuple[str, Callable[[], float]]:
    """The name of the timed unit, and a function that gives nanoseconds of one."""
    if model._unstreamable() is None:
        steps = ModelSteps(model)
        frames = steps.enough()

        def step() -> float:
            steps.chunk(frames[:2])  # the models before have left other weights in the caches
            return steps.chunk(frames) / len(frames)

        return "step", step
    x = single(_inputs(model, (SEQUENCE_FRAMES,)))

    def work() -> float:
        before = time.perf_counter_ns()
        run_whole(model, x)
        return (time.perf_counter_ns() - before) / SEQUENCE_FRAMES

    return "frame of run", work


def _measure_steps(model: Loaded, seconds: float, clock: float, advance: Advance) -> dict[str, Any]:
    steps = ModelSteps(model)
    _until(seconds * WARM_UP, advance, lambda: steps.chunk(steps.frames))
    chunk = steps.enough()
    size = len(chunk)
    costs = []
    _until(seconds * CHUNKS, advance, lambda: costs.append(steps.chunk(chunk) / size))

    taken: array[int] = array("q")
    count = min(max(int(SINGLE_CHUNK * 1000 / min(costs)), 1), SINGLE_CHUNK)
    frames = (steps.frames * -(-count // FRAMES))[:count]
    _until(
        seconds * SINGLES,
        advance,
        lambda: steps.singles(frames, taken),
        enough=lambda: len(taken) >= MOST_SINGLES,
    )
    return step_figures(costs, size, taken, clock)


def _until(
    seconds: float,
    advance: Advance,
    work: Callable[[], Any],
    *,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Work again and again, at least three times, until the time is over."""
    now = started = time.monotonic()
    rounds = 0
    while rounds < 3 or (now - started < seconds and not enough()):
        work()
        before, now = now, time.monotonic()
        advance(now - before)
        rounds += 1


def _measure_run(
    model: Loaded, batch: int, threads: int, seconds: float, advance: Advance
) -> dict[str, Any]:
    shape = (SEQUENCE_FRAMES,) if batch == 1 else (batch, SEQUENCE_FRAMES)
    x = single(_inputs(model, shape))
    costs: list[float] = []

    def work() -> None:
        before = time.perf_counter_ns()
        run_whole(model, x, threads=threads)
        costs.append((time.perf_counter_ns() - before) / 1000.0 / (batch * SEQUENCE_FRAMES))

    work()
    costs.clear()
    _until(seconds, advance, work)
    return {
        "batch": batch,
        "frames": SEQUENCE_FRAMES,
        "threads": threads,
        "us_per_frame_min": round(min(costs), 4),
        "us_per_frame_median": round(statistics.median(costs), 4),
        "runs": len(costs),
    }


def percentiles(ordered: Any) -> dict[str, float]:
    """The smallest of ascending numbers that this share of them does not exceed."""
    last = len(ordered) - 1
    found = {"min": round(float(ordered[0]), 3)}
    for name, share in POINTS.items():
        found[name] = round(float(ordered[min(math.ceil(share * len(ordered)) - 1, last)]), 3)
    return found


def histogram(ordered: Any) -> list[dict[str, Any]]:
    """Counts of ascending numbers, in buckets narrow near the smallest and wide far out."""
    high = float(ordered[-1])
    low = max(float(ordered[0]), 1e-3)
    bounds = [low * factor for factor in BODY if low * factor < high]
    while bounds and bounds[-1] * TAIL < high:
        bounds.append(bounds[-1] * TAIL)
    ends = [int(end) for end in np.searchsorted(ordered, bounds, side="right")]
    counts = np.diff([0, *ends, len(ordered)])
    return [
        {"up_to_us": round(bound, 3), "steps": int(count)}
        for bound, count in zip((*bounds, high), counts, strict=True)
    ]
