# SPDX-License-Identifier: Apache-2.0
"""Contenders in processes of their own: thread pools do not meet, a crash takes one peer along."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from common.rounds import Contender, machine, undisturbed
from common.workloads import Array, Workload, frames, reference, state_dict

from peers import BOUNDS, GRUCORE, PEERS, Grucore, Peer

__all__ = ["Entrant", "NotTimed", "Worker"]

TIMED_FRAMES = 64
CALL_SECONDS = 300
OURS = "grucore"

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # children inherit it, before they import a framework


class NotTimed(Exception):
    """Why a contender is not timed."""


class Entrant:
    """A contender by name, in a worker: "torch GRU", or "grucore int8/8 avx2"; of a cell."""

    def __init__(
        self, name: str, variant: str = "", isa: str | None = None, cell: str = "gru"
    ) -> None:
        self.name, self.variant, self.isa, self.cell = name, variant, isa, cell
        self.weights = GRUCORE[variant][0] if variant else PEERS[name].weights
        peer = Grucore if variant else PEERS[name]
        self.forms = peer.forms if cell in peer.cells else ""

    @property
    def host(self) -> str:
        """Which worker runs it: all of grucore share one."""
        return OURS if self.variant else self.name

    @property
    def title(self) -> str:
        """Its name in reports."""
        name = self.name.replace("GRU", self.cell.upper())
        return " ".join(part for part in (name, self.variant, self.isa) if part)

    def peer(self, workload: Workload) -> Peer:
        """Build it."""
        if self.variant:
            return Grucore(workload, self.variant, self.isa)
        return PEERS[self.name](workload, state_dict(workload))


def _differences(peer: Peer, workload: Workload, expected: Array) -> tuple[float, float]:
    """Largest and root mean square difference from float64."""
    x = frames(workload, workload.checked_frames)
    if workload.form == "S":
        peer.reset()
        found = np.stack([peer.step(frame) for frame in peer.frames(x)])[:, None]
        peer.reset()
    else:
        found = np.array(peer.result(peer.run(peer.sequence(x))))
    if found.shape != expected.shape:
        raise NotTimed(f"gives {found.shape}, expected {expected.shape}")
    error = found.astype(np.float64) - expected
    return float(np.abs(error).max()), float(np.sqrt((error * error).mean()))


def _contender(peer: Peer, workload: Workload, title: str) -> Contender:
    """The peer with its input, ready to be timed."""
    if workload.form != "S":
        whole = peer.sequence(frames(workload, workload.frames, seed=3))

        def run(count: int) -> None:
            for _ in range(count):
                peer.run(whole)

        return Contender(title, run)
    native = peer.frames(frames(workload, TIMED_FRAMES, seed=3))
    if peer.in_cpp:
        return Contender(title, lambda count: peer.many(native, count))

    def steps(count: int) -> None:
        whole, rest = divmod(count, TIMED_FRAMES)
        for _ in range(whole):
            peer.steps(native)
        peer.steps(native[:rest])

    return Contender(title, steps)


def _prepare(
    entrant: Entrant, workload: Workload, expected: str
) -> tuple[Contender, dict[str, Any]]:
    """Build, compare, calibrate."""
    try:
        peer = entrant.peer(workload)
    except ImportError as error:
        raise NotTimed(str(error)) from None
    if peer.reset_after:
        truth = np.load(expected, mmap_mode="r")
    else:
        x = frames(workload, workload.checked_frames)
        truth = reference(workload, state_dict(workload), x, reset_after=False)
    largest, rms = _differences(peer, workload, truth)
    bound = BOUNDS[entrant.weights]
    if not largest <= bound:
        raise NotTimed(f"wrong: {largest:.3g} from float64, bound {bound:g}")
    contender = _contender(peer, workload, entrant.title)
    contender.calibrate()
    found: dict[str, Any] = {"weights": entrant.weights, "error": largest, "error_rms": rms}
    if isinstance(peer, Grucore):
        found |= {"isa": peer.model.isa, "file_bytes": peer.model.nbytes}
    return contender, found


def _serve(pipe: Connection, core: int | None) -> None:
    """A child's life: prepare, take chunks, forget, until the pipe closes."""
    machine(core)
    log = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # some peers greet on every load
        os.dup2(log, descriptor)
    held: dict[str, Contender] = {}
    with contextlib.suppress(EOFError), undisturbed():
        while True:
            work, *arguments = pipe.recv()
            try:
                if work == "prepare":
                    entrant, workload, expected = arguments
                    held[entrant.title], answer = _prepare(entrant, workload, expected)
                elif work == "take":
                    held[arguments[0]].take()
                    answer = held[arguments[0]].microseconds[-1]
                elif work == "result":
                    answer = held.pop(arguments[0]).result()
                else:
                    answer = None
                    held.clear()
                pipe.send((True, answer))
            except Exception as error:
                pipe.send((False, str(error) if isinstance(error, NotTimed) else repr(error)))


class Worker:
    """The parent's end of a child."""

    def __init__(self, core: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, core), daemon=True)
        self.process.start()
        theirs.close()
        self.alive = True

    def ask(self, *words: Any) -> Any:
        """The child's answer; NotTimed where it fails, dies or does not answer."""
        if not self.alive:
            raise NotTimed("its process has ended")
        try:
            self.pipe.send(words)
            if not self.pipe.poll(CALL_SECONDS):
                self.process.kill()
                raise EOFError
            good, answer = self.pipe.recv()
        except (EOFError, OSError):
            self.alive = False
            self.process.join()
            raise NotTimed(f"its process ended with {self.process.exitcode}") from None
        if not good:
            raise NotTimed(answer)
        return answer

    def close(self) -> None:
        """End the child."""
        self.pipe.close()
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()
