# SPDX-License-Identifier: Apache-2.0
"""What a model reads and writes, and what its self-test found, as named tuples."""

from __future__ import annotations

from typing import NamedTuple


class Port(NamedTuple):
    """An input or an output.

    dtype is "float32" or "int32", rate "frame", "sequence", or "<k> frames" for one in k frames.
    """

    name: str
    features: int
    dtype: str
    rate: str


class SelftestResult(NamedTuple):
    """What `Model.selftest` found: `exact` says that every bit was the file's."""

    frames: int
    exact: bool
    max_error: float
    isa: str
