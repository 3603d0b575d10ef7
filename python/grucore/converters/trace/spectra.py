# SPDX-License-Identifier: Apache-2.0
"""Complex numbers: bins of transforms, until their magnitudes or parts are taken."""

from __future__ import annotations

from dataclasses import dataclass

from grucore.converters.trace.axes import Tracked
from grucore.graph.node import Value

__all__ = ["Spectra"]


@dataclass(frozen=True, eq=False)
class Spectra(Tracked):
    """The spectrum of each frame of ``value`` with zeros after it up to ``length``: ``index`` has
    the numbers of bins, of which there are ``length // 2 + 1``.

    ``label``: the name of the layer that makes them. ``tail``: as `Data` has it.
    """

    value: Value
    length: int
    label: str
    tail: int = 0
