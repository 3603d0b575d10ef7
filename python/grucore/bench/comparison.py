# SPDX-License-Identifier: Apache-2.0
"""Several contenders by one clock, each a little in turn, for `grucore bench`."""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from grucore._core import UnsupportedError
from grucore.bench.contenders import CHECKED_FRAMES, Contender, Ours, Twin, signals
from grucore.graph.graph import Graph
from grucore.model import Model
from grucore.runtime.timing import (
    CHUNKS,
    MOST_SINGLES,
    SEQUENCE_FRAMES,
    SINGLE_CHUNK,
    SINGLES,
    WARM_UP,
    clock_cost,
    step_figures,
    undisturbed,
)

__all__ = ["compare", "gather"]

Advance = Callable[[float], None]

LEAST_TURNS = 3
STORED = "as stored"


def gather(
    model: Model, graph: Graph, *, weights: Sequence[str], peers: Sequence[str], threads: int
) -> list[Contender]:
    """The model itself or its kinds of weights, then the frameworks.

    Raises ValueError where a framework is missing, UnsupportedError for a layer that it has not.
    """
    found: list[Contender] = []
    if weights and model.metadata.get("quantization"):
        raise UnsupportedError("--weights needs a model of float32 weights: this one is quantized")
    for kind in weights or (STORED,):
        name, _, bits = kind.partition("/")
        is_itself = kind in (STORED, "float32")
        ours = model
        if not is_itself:
            # `quantize` refuses other words: the command line hands on what was typed.
            ours = model.quantize(cast(Any, name), activations=cast(Any, int(bits or 16)))
        found.append(Ours(ours, kind, threads))
    return found + [_twin(peer, graph, threads) for peer in peers]


def _twin(name: str, graph: Graph, threads: int) -> Contender:
    try:
        if name == "torch":
            from grucore.bench.torch_twin import TorchTwin

            return TorchTwin(graph, threads)
        import onnx  # noqa: F401

        from grucore.bench.onnx_twin import OnnxTwin

        return OnnxTwin(graph, threads)
    except ImportError as error:
        message = f'--compare {name}: {error}; pip install "grucore[oracles]"'
        raise ValueError(message) from None


def _differences(contenders: Sequence[Contender], graph: Graph) -> list[float]:
    """From float64, of each; the error of a twin that is another network."""
    from grucore.reference import run as reference

    inputs = signals(graph, 1, CHECKED_FRAMES)
    expected = [np.asarray(y) for y in reference.run(graph, list(inputs))[0]]
    found = []
    for one in contenders:
        if isinstance(one, Twin):
            found.append(one.check(graph, expected, inputs))
        else:
            pairs = zip(one.outputs(inputs), expected, strict=True)
            found.append(max(float(np.abs(y - wanted).max(initial=0.0)) for y, wanted in pairs))
    return found


def compare(
    contenders: Sequence[Contender], graph: Graph, *, seconds: float, batch: int, advance: Advance
) -> list[dict[str, Any]]:
    """Steps, single steps and runs of each, and how far it is from float64."""
    differences = _differences(contenders, graph)
    with undisturbed():
        steps = _steps(contenders, seconds, advance) if graph.streamable else None
        share = (1.0 - WARM_UP - CHUNKS - SINGLES if steps else 1.0) / 2
        runs = [_runs(contenders, graph, rows, seconds * share, advance) for rows in (1, batch)]
    return [
        {
            "name": one.name,
            "weights": one.weights,
            "largest_difference": differences[index],
            **({"file_bytes": one.model.nbytes} if isinstance(one, Ours) else {}),
            "step": steps[index] if steps else None,
            "run": [run[index] for run in runs],
        }
        for index, one in enumerate(contenders)
    ]


def _in_turn(seconds: float, advance: Advance, works: Sequence[Callable[[], Any]]) -> None:
    """Each work once, with a changing first, again and again until the time is over."""
    now = started = time.monotonic()
    turn = 0
    while turn < LEAST_TURNS or now - started < seconds:
        first = turn % len(works)
        for work in (*works[first:], *works[:first]):
            work()
        before, now = now, time.monotonic()
        advance(now - before)
        turn += 1


def _steps(
    contenders: Sequence[Contender], seconds: float, advance: Advance
) -> list[dict[str, Any]]:
    clock = clock_cost()
    warm = [partial(one.chunk, one.frames) for one in contenders]
    _in_turn(seconds * WARM_UP, advance, warm)
    chunks = [one.enough() for one in contenders]
    costs: list[list[float]] = [[] for _ in contenders]
    taken: list[array[int]] = [array("q") for _ in contenders]

    def chunk(index: int) -> None:
        one, frames = contenders[index], chunks[index]
        one.chunk(
            frames[: 1 + len(frames) // 8]
        )  # the others have left their weights in the caches
        costs[index].append(one.chunk(frames) / len(frames))

    def singles(index: int) -> None:
        one, frames = contenders[index], chunks[index][:SINGLE_CHUNK]
        if len(taken[index]) < MOST_SINGLES:
            one.chunk(frames[: 1 + len(frames) // 8])
            one.singles(frames, taken[index])

    each = range(len(contenders))
    _in_turn(seconds * CHUNKS, advance, [partial(chunk, index) for index in each])
    _in_turn(seconds * SINGLES, advance, [partial(singles, index) for index in each])
    return [step_figures(costs[index], len(chunks[index]), taken[index], clock) for index in each]


def _runs(
    contenders: Sequence[Contender], graph: Graph, batch: int, seconds: float, advance: Advance
) -> list[dict[str, Any]]:
    inputs = signals(graph, batch, SEQUENCE_FRAMES)
    calls = [one.runs(inputs) for one in contenders]
    costs: list[list[float]] = [[] for _ in contenders]

    def run(index: int) -> None:
        before = time.perf_counter_ns()
        calls[index]()
        taken = (time.perf_counter_ns() - before) / 1000.0
        costs[index].append(taken / (batch * SEQUENCE_FRAMES))

    for call in calls:
        call()
    each = range(len(contenders))
    _in_turn(seconds, advance, [partial(run, index) for index in each])
    return [
        {
            "batch": batch,
            "frames": SEQUENCE_FRAMES,
            "us_per_frame_min": round(min(found), 4),
            "us_per_frame_median": round(statistics.median(found), 4),
            "runs": len(found),
        }
        for found in costs
    ]
