# SPDX-License-Identifier: Apache-2.0
"""The bytes between server and clients: records of one size, read a thousand at a time.

A connection carries any number of streams, which its client numbers. The first frame of a number
begins a stream; a record of kind LEAVE ends it. Everything is little-endian.
"""

from __future__ import annotations

import numpy as np

FRAME, LEAVE = 0, 1


def request_type(features: int) -> np.dtype:
    """A record of a client: what it is, of which stream, when it was sent, and the frame."""
    frame = ("frame", "<f4", (features,))
    return np.dtype([("kind", "<u4"), ("stream", "<u4"), ("sent", "<f8"), frame])


def answer_type(outputs: int) -> np.dtype:
    """A record of the server: of which stream, when its frame was sent, and the outputs."""
    return np.dtype([("stream", "<u4"), ("sent", "<f8"), ("outputs", "<f4", (outputs,))])


class Records:
    """Bytes as they arrive, cut into records."""

    def __init__(self, record: np.dtype) -> None:
        self.record = record
        self.rest = b""

    def feed(self, data: bytes) -> np.ndarray:
        """All records that are complete now."""
        data = self.rest + data
        whole = len(data) - len(data) % self.record.itemsize
        self.rest = data[whole:]
        return np.frombuffer(data[:whole], self.record)
