# SPDX-License-Identifier: Apache-2.0
"""The ports of a model and the result of its self-test, as named tuples."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Port(NamedTuple):
    """An input or an output.

    dtype is "float32" or "int32", rate "frame", "sequence", or "<k> frames" for one in k frames.
    """

    name: str
    features: int
    dtype: Literal["float32", "int32"]
    rate: str


class SelftestResult(NamedTuple):
    """The result of `Model.selftest`: `exact` says that every bit was the file's."""

    frames: int
    exact: bool
    max_error: float
    isa: str
