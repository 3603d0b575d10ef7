# SPDX-License-Identifier: Apache-2.0
"""The example of a server: every client gets the bits of its own stream, also under a load."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grucore.demo.runner import load_network

FOLDER = Path(__file__).parents[2] / "examples" / "stream_server"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="away from the source tree")


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server with short queues."""
    command = [sys.executable, str(FOLDER / "server.py"), "--port", "0", "--queue", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r":(\d+)$", server.stdout.readline())
        assert found
        yield int(found[1])
        server.terminate()


def read_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        assert part, "the server hung up"
        data += part
    return data


def test_answers_are_those_of_streams_alone(
    port: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    from protocol import FRAME, LEAVE, answer_type, request_type

    frames = rng.standard_normal((3, 30, 40)).astype(np.float32)
    records = np.zeros((30, 3), request_type(40))
    records["kind"] = FRAME
    records["stream"] = [7, 8, 4_000_000_000]
    records["sent"] = np.arange(30)[:, None]
    records["frame"] = frames.transpose(1, 0, 2)
    leave = np.zeros(1, request_type(40))
    leave["kind"], leave["stream"] = LEAVE, 8
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for _ in range(2):  # the second time stream 8 begins anew, the others go on
            # All at once, in pieces that are no records: more than queues hold.
            data = records.tobytes()
            for start in range(0, len(data), 1001):
                connection.sendall(data[start : start + 1001])
            size = answer_type(12).itemsize * records.size
            answers = np.frombuffer(read_exactly(connection, size), answer_type(12))
            connection.sendall(leave.tobytes())
            if _ == 0:
                first = answers
    whole = load_network().run(np.concatenate([frames, frames], axis=1))
    once = load_network().run(frames)
    for row, stream in enumerate([7, 8, 4_000_000_000]):
        for turn, found in enumerate((first, answers)):
            mine = found[found["stream"] == stream]
            assert mine["sent"].tolist() == list(range(30))
            anew = stream == 8 or turn == 0
            expected = once[row] if anew else whole[row, 30:]
            assert np.array_equal(mine["outputs"], expected)


def test_a_load_is_answered(port: int) -> None:
    command = [sys.executable, str(FOLDER / "load.py"), "--port", str(port), "--json"]
    command += ["--streams", "50", "--seconds", "1", "--hop", "50", "--churn", "0"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    report = json.loads(done.stdout)
    assert report["frames"] == report["answered"] == 50 * 20
    assert 0 < report["p50 ms"] <= report["p99.9 ms"]
