# SPDX-License-Identifier: Apache-2.0
"""Base of layers that look back over a window of frames: clocks, and their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grucore.graph.node import Defect, Rate, Value

__all__ = ["MAX_TAPS", "check_history", "check_range", "check_window_clock", "window_value"]

MAX_TAPS = 65536  # and the most of a dilation and a stride
MAX_HISTORY = 1 << 28  # numbers that a stream carries for a row


def _clock(source: Value, lost: int, stride: int) -> tuple[int, int]:
    """Period and skip of the output: one value for ``stride`` inputs, after the first ``lost``."""
    return source.period * stride, source.skip + lost * source.period


def window_value(name: str, source: Value, lost: int, stride: int) -> Value:
    """The value that a window over ``source`` gives, with as many features."""
    period, skip = _clock(source, lost, stride)
    rate = Rate.FRAME if period == 1 else Rate.PERIOD
    return replace(source, name=name, rate=rate, period=period, skip=skip)


def check_window_clock(source: Value, output: Value, lost: int, stride: int) -> None:
    """Raise `Defect` unless the output comes at the frames where the window has a value."""
    expected = _clock(source, lost, stride)
    if (output.period, output.skip) != expected:
        message = f"value {output.name!r} has period {output.period} and skip {output.skip}"
        raise Defect("kBadShape", f"{message}, expected {expected[0]} and {expected[1]}")


def check_range(words: Sequence[int], index: int, what: str, least: int, most: int) -> None:
    """Raise `Defect` unless attribute ``index`` is in this range."""
    if not least <= words[index] <= most:
        message = f"{what} {words[index]}, expected {least} to {most}"
        raise Defect("kBadAttribute", message, index)


def check_history(reach: int, channels: int) -> None:
    """Raise `Defect` for a history that no stream can carry."""
    if reach * channels > MAX_HISTORY:
        message = f"a window reaches back over {reach} x {channels} numbers"
        raise Defect("kBadAttribute", f"{message}, expected at most {MAX_HISTORY}")
