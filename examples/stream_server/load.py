# SPDX-License-Identifier: Apache-2.0
"""A load for the server: streams that join and leave, frames in time; latencies, streams a core."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

import numpy as np
from protocol import FRAME, LEAVE, Records, answer_type, request_type


class Client:
    """One connection with some streams, each of which sends a frame every hop."""

    def __init__(self, arguments: argparse.Namespace, streams: int, seed: int) -> None:
        self.arguments = arguments
        self.rng = np.random.default_rng(seed)
        self.records = np.zeros(streams, request_type(arguments.features))
        self.records["stream"] = np.arange(streams)
        self.next = streams
        self.frames = self.rng.standard_normal((64, streams, arguments.features)).astype("<f4")
        self.latencies: list[np.ndarray] = []
        self.asked = 0
        self.answered = 0
        self.late = 0  # hops that began more than one hop after their time

    async def send(self, writer: asyncio.StreamWriter) -> None:
        """Send in time, hop after hop; some streams leave, and others join in their place."""
        hop, churn = self.arguments.hop / 1000, self.arguments.churn
        count = round(self.arguments.seconds / hop)
        begun = time.perf_counter()
        for number in range(count):
            leaving = self.rng.random(len(self.records)) < churn * hop
            if leaving.any():
                gone = np.zeros(int(leaving.sum()), self.records.dtype)
                gone["kind"], gone["stream"] = LEAVE, self.records["stream"][leaving]
                writer.write(gone.tobytes())
                self.records["stream"][leaving] = np.arange(self.next, self.next + len(gone))
                self.next += len(gone)
            self.records["kind"] = FRAME
            self.records["frame"] = self.frames[number % len(self.frames)]
            self.records["sent"] = time.perf_counter()
            writer.write(self.records.tobytes())
            self.asked += len(self.records)
            await writer.drain()
            wait = begun + (number + 1) * hop - time.perf_counter()
            self.late += wait < -hop
            await asyncio.sleep(max(0.0, wait))

    async def receive(self, reader: asyncio.StreamReader) -> None:
        """Note the time from sending a frame to its answer."""
        records = Records(answer_type(self.arguments.outputs))
        while data := await reader.read(1 << 20):
            found = records.feed(data)
            self.latencies.append(time.perf_counter() - found["sent"])
            self.answered += len(found)

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection(self.arguments.host, self.arguments.port)
        receiving = asyncio.ensure_future(self.receive(reader))
        await self.send(writer)
        deadline = time.perf_counter() + 5.0
        # Frames of a stream that has left are not answered.
        while self.answered < self.asked and time.perf_counter() < deadline:
            before = self.answered
            await asyncio.sleep(0.2)
            if self.answered == before:
                break
        writer.close()
        await receiving


async def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Run all clients and put their figures together."""
    share = [len(part) for part in np.array_split(np.arange(arguments.streams), arguments.clients)]
    clients = [Client(arguments, streams, seed) for seed, streams in enumerate(share) if streams]
    await asyncio.gather(*(client.run() for client in clients))
    latencies = np.concatenate([part for client in clients for part in client.latencies])
    report = {
        "streams": arguments.streams,
        "frames": sum(client.asked for client in clients),
        "answered": sum(client.answered for client in clients),
        "late hops": sum(client.late for client in clients),
    }
    for percent in (50, 95, 99, 99.9):
        report[f"p{percent} ms"] = round(float(np.percentile(latencies, percent)) * 1e3, 3)
    return report


def main() -> int:
    """Load a server and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the server's address (%(default)s)")
    add("--port", type=int, default=7070, help="and its port (%(default)s)")
    add("--streams", type=int, default=1000, help="streams at a time (%(default)s)")
    add("--clients", type=int, default=4, help="connections that share them (%(default)s)")
    add("--seconds", type=float, default=10.0, help="how long (%(default)s)")
    add(
        "--hop",
        type=float,
        default=10.0,
        help="milliseconds between a stream's frames (%(default)s)",
    )
    add("--churn", type=float, default=0.02, help="share that leaves each second (%(default)s)")
    add("--features", type=int, default=40, help="numbers in a frame (%(default)s)")
    add("--outputs", type=int, default=12, help="numbers in an answer (%(default)s)")
    add("--json", action="store_true", help="print one line of JSON")
    arguments = parser.parse_args()
    report = asyncio.run(measure(arguments))
    if arguments.json:
        print(json.dumps(report))
    else:
        print("\n".join(f"{name:>12} {value:,}" for name, value in report.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
