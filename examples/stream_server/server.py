# SPDX-License-Identifier: Apache-2.0
"""A server that runs one model for thousands of live streams: asyncio around a StreamPool."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from protocol import LEAVE, Records, answer_type, request_type

import grucore
from grucore.demo.runner import load_network


class Service:
    """The pool, its clock, and which connection a stream belongs to."""

    def __init__(self, model: Any, *, queue: int, period: float) -> None:
        self.pool = grucore.StreamPool(model, queue=queue)
        self.period = period
        self.request = request_type(model.inputs[0].features)
        self.answer = answer_type(model.outputs[0].features)
        self.owners: dict[int, Connection] = {}
        self.stalled: deque[Connection] = deque()  # waiting for room in a stream's queue
        self.arrived = asyncio.Event()
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Tick as frames arrive, at most once in a period."""
        while True:
            await self.arrived.wait()
            self.arrived.clear()
            begun, busy = time.perf_counter(), time.process_time()
            self.tick()
            self.counts["busy us"] += int((time.process_time() - busy) * 1e6)
            await asyncio.sleep(max(0.0, self.period - (time.perf_counter() - begun)))

    def tick(self) -> None:
        """Step all streams that have a frame, and send each connection its answers."""
        tick = self.pool.tick()
        self.counts["ticks"] += 1
        self.counts["frames"] += len(tick)
        places: dict[Connection, list[int]] = {}
        for place, stream in enumerate(tick.ids.tolist()):
            places.setdefault(self.owners[stream], []).append(place)
        for connection, chosen in places.items():
            connection.answer(tick.ids[chosen], tick.outputs[chosen])
        for _ in range(len(self.stalled)):
            self.stalled.popleft().resume()
        if any(self.pool.waiting(stream) for stream in tick.ids.tolist() if stream in self.pool):
            self.arrived.set()


def rounds(records: np.ndarray) -> Iterator[np.ndarray]:
    """The same records in parts that have each stream once, in order."""
    while len(records):
        _, first = np.unique(records["stream"], return_index=True)
        if len(first) == len(records):
            yield records
            return
        chosen = np.zeros(len(records), bool)
        chosen[first] = True
        yield records[chosen]
        records = records[~chosen]


class Connection(asyncio.Protocol):
    """One client: its streams, and what it has sent and the pool could not take yet."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.records = Records(service.request)
        self.streams: dict[int, int] = {}  # the client's number -> the pool's id
        self.numbers: dict[int, int] = {}  # and back
        self.sent: dict[int, deque[float]] = {}  # of each stream: when its waiting frames were sent
        self.pending: deque[np.ndarray] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        for stream in self.numbers:
            self.service.pool.close(stream)
            del self.service.owners[stream]
        self.streams.clear()
        self.numbers.clear()
        self.pending.clear()

    def data_received(self, data: bytes) -> None:
        self.pending.extend(rounds(self.records.feed(data)))
        self.take()

    def take(self) -> None:
        """Push what is pending; once a queue is full nothing more is read from this client."""
        while self.pending:
            if not self.push(self.pending[0]):
                if not self.transport.is_closing():
                    self.transport.pause_reading()
                self.service.counts["stalls"] += 1
                self.service.stalled.append(self)
                return
            self.pending.popleft()

    def push(self, records: np.ndarray) -> bool:
        """True if the pool took these frames, one of each stream; streams that leave then do."""
        service, leaving = self.service, records["kind"] == LEAVE
        frames = records[~leaving] if leaving.any() else records
        numbers = frames["stream"].tolist()
        streams = [self.streams[n] if n in self.streams else self.join(n) for n in numbers]
        try:
            service.pool.push_many(streams, np.ascontiguousarray(frames["frame"]))
        except BufferError:
            return False
        for stream, sent in zip(streams, frames["sent"].tolist(), strict=True):
            self.sent[stream].append(sent)
        for number in records["stream"][leaving].tolist():
            if number in self.streams:
                self.leave(number)
        service.arrived.set()
        return True

    def join(self, number: int) -> int:
        stream = self.streams[number] = self.service.pool.open()
        self.numbers[stream] = number
        self.sent[stream] = deque()
        self.service.owners[stream] = self
        return stream

    def leave(self, number: int) -> None:
        stream = self.streams.pop(number)
        self.service.pool.close(stream)
        del self.service.owners[stream], self.numbers[stream], self.sent[stream]

    def resume(self) -> None:
        """There is room again."""
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self.take()

    def answer(self, ids: np.ndarray, outputs: np.ndarray) -> None:
        """Send the outputs of some streams of this client."""
        records = np.empty(len(ids), self.service.answer)
        records["stream"] = [self.numbers[stream] for stream in ids.tolist()]
        records["sent"] = [self.sent[stream].popleft() for stream in ids.tolist()]
        records["outputs"] = outputs
        self.transport.write(records.tobytes())


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until the task is cancelled."""
    model = grucore.load(arguments.model) if arguments.model else load_network()
    service = Service(model, queue=arguments.queue, period=arguments.period / 1000)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), arguments.host, arguments.port)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", flush=True)
    async with server, asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run())
        tasks.create_task(report(service, arguments.report))


async def report(service: Service, seconds: float) -> None:
    """Print a line of figures now and then."""
    while True:
        before = Counter(service.counts)
        await asyncio.sleep(seconds)
        now = service.counts - before
        if now["frames"]:
            each, busy = now["busy us"] / now["ticks"] / 1e3, now["busy us"] / seconds / 1e4
            print(
                f"{len(service.pool):,} streams, {now['frames'] / seconds:,.0f} frames/s, "
                f"{now['ticks'] / seconds:.0f} ticks/s of {each:.2f} ms ({busy:.0f} % of a core), "
                f"{now['stalls']} stalls",
                flush=True,
            )


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("model", nargs="?", help="a .gru file of one float32 input (the demo's keyword spotter)")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=7070, help="port, 0 for any free one (%(default)s)")
    add("--queue", type=int, default=8, help="frames of a stream that may wait (%(default)s)")
    add("--period", type=float, default=5.0, help="least milliseconds between ticks (%(default)s)")
    add("--report", type=float, default=1.0, help="seconds between lines of figures (%(default)s)")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
