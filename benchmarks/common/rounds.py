# SPDX-License-Identifier: Apache-2.0
"""Interleaved timing: every contender takes a short chunk in turn, round after round."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Contender", "interleave", "machine", "undisturbed"]

CHUNK_NANOSECONDS = 5_000_000
PREEMPTED = 1.03  # wall clock over CPU time, above which a chunk is taken again
RETAKES = 6
LONG_CHUNK = 100_000_000  # hardly ever undisturbed: not taken again


class Contender:
    """Something to time: ``work(count)`` does it so many times."""

    def __init__(self, name: str, work: Callable[[int], None]) -> None:
        self.name = name
        self.work = work
        self.count = 1
        self.microseconds: list[float] = []
        self.preempted = 0  # chunks kept in spite of it

    def calibrate(self) -> None:
        """Choose how often a chunk repeats the work; warms it up on the way."""
        while (took := self._chunk()[0]) < CHUNK_NANOSECONDS and self.count < 1 << 24:
            factor = min(max(1.2 * CHUNK_NANOSECONDS / max(took, 1), 1.5), 16.0)
            self.count = int(self.count * factor) + 1

    def _chunk(self) -> tuple[int, int]:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        self.work(self.count)
        wall = time.perf_counter_ns() - wall
        return wall, time.process_time_ns() - cpu

    def take(self) -> None:
        """One chunk, again if somebody else had the core meanwhile."""
        for _ in range(RETAKES):
            wall, cpu = self._chunk()
            if wall <= PREEMPTED * max(cpu, 1):
                break
            if wall > LONG_CHUNK:
                self.preempted += 1
                break
        else:
            self.preempted += 1
        self.microseconds.append(wall / self.count / 1000.0)

    def result(self) -> dict[str, Any]:
        """Figures in microseconds for one repetition."""
        return {
            "us_min": round(min(self.microseconds), 4),
            "us_median": round(statistics.median(self.microseconds), 4),
            "chunks": len(self.microseconds),
            "preempted": self.preempted,
            "chunk_repeats": self.count,
        }


def interleave(contenders: Iterable[Contender], rounds: int) -> None:
    """Take a chunk of each contender in turn, so that a busy spell of the machine hits them all."""
    contenders = list(contenders)
    with undisturbed():
        for contender in contenders:
            contender.calibrate()
        for turn in range(rounds):
            # Who goes first changes: what the one before leaves in the caches counts too.
            shift = turn % max(len(contenders), 1)
            for contender in contenders[shift:] + contenders[:shift]:
                contender.take()


@contextmanager
def undisturbed() -> Iterator[None]:
    """The garbage collector stays off."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def machine(core: int | None = None) -> dict[str, Any]:
    """Pin this process to a core, if asked for, and say where it runs."""
    if core is not None:
        if not hasattr(os, "sched_setaffinity"):
            raise OSError("this system cannot pin a process to a core")
        os.sched_setaffinity(0, {core})
    name = platform.processor()
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = described.read_text("utf-8").splitlines()
        said = dict(line.split(":", 1) for line in lines if ":" in line)
        fields = {key.strip(): value.strip() for key, value in said.items()}
        name = fields.get("model name", name)
        if "cpu family" in fields:  # of virtual machines, whose processors tell no more
            name += f", family {fields['cpu family']}, model {fields['model']}"
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "core": core,
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
    }
