# SPDX-License-Identifier: Apache-2.0
"""docs/performance_lstm.md: LSTM and RNN beside peers and the engine's GRU; docs/streaming.md."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from claims.files import figure, markdown, result
from claims.performance import best, described, header, times, workloads

__all__ = ["TABLES", "sentences"]

PAGE = "docs/performance_lstm.md"
RUNS = {"lstm": "compare_lstm", "rnn": "compare_rnn"}
KINDS = ("float32", "int8/16", "int8/8")


def _limits(run: str, forms: str, kind: str) -> list[tuple[float, float, float]]:
    """For each workload microseconds, times the limit, and those of a GRU of the same sizes."""
    found = []
    for one in workloads(forms, run).values():
        ours = one["contenders"][f"grucore {kind}"]
        engine, gru = ours["engine"], ours["engine_gru"]
        found.append((engine["us"], engine["us"] / engine["limit_us"], gru["us"] / gru["limit_us"]))
    return found


def limits(run: str, forms: str) -> str:
    """The engine in C++: microseconds, and in brackets its limits and those that a GRU takes."""
    rows = [["weights", *header(workloads(forms, run))[1:]]]
    for kind in KINDS:
        cells = [f"{figure(us)} ({a:.2f}; {b:.2f})" for us, a, b in _limits(run, forms, kind)]
        rows.append([kind, *cells])
    return markdown(rows, 1)


def _leads(run: str, kind: str) -> dict[str, float]:
    found = {name: best(name, kind, "", run) for name in workloads("SQ", run)}
    return {name: theirs / ours for name, (_, theirs, ours) in found.items()}


def sentences() -> dict[str, list[str]]:
    """Figures in the text."""
    text = []
    for run, cell in (("compare_lstm", "LSTM"), ("compare_rnn", "RNN")):
        of_floats, of_bytes = _leads(run, "float32"), _leads(run, "int8")
        least, least_bytes = min(of_floats.values()), min(of_bytes.values())
        text.append(
            f"Of the {cell} the best peer takes {least:.2f} to {max(of_floats.values()):.1f} times "
            f"as long in float32, {least_bytes:.2f} to {max(of_bytes.values()):.1f} in int8"
        )
    pool = result("pool")
    ticks = {size: one["us_min"] for size, one in pool["ticks"].items()}
    few, many = ticks["1000"], ticks["10000"]
    return {
        PAGE: text,
        "docs/streaming.md": [
            f"with its push, a stream takes {many:.2f} microseconds a tick among 10,000, "
            f"{many / few:.2f} times what it takes among 1,000",
            f"a join and a leave together {pool['join_and_leave']:.2f} microseconds",
            f"{pool['differ']} of {pool['compared']:,} probabilities differ",
        ],
    }


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    (PAGE, "machine"): partial(described, "compare_lstm"),
    **{(PAGE, f"{cell}-streaming"): partial(times, "S", "", run) for cell, run in RUNS.items()},
    **{(PAGE, f"{cell}-sequences"): partial(times, "Q", "", run) for cell, run in RUNS.items()},
    **{(PAGE, f"{cell}-steps"): partial(limits, run, "S") for cell, run in RUNS.items()},
    **{(PAGE, f"{cell}-frames"): partial(limits, run, "Q") for cell, run in RUNS.items()},
}
