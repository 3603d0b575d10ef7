# SPDX-License-Identifier: Apache-2.0
"""How samples are cut into frames: the first layers of a front end, up to the spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from grucore.audio.front_end import Chain, Timing
from grucore.audio.windows import window as window_of
from grucore.graph.layers import Binary, Operation, Rfft, Spectrum, Window
from grucore.graph.tensors import Float

__all__ = ["Frames", "WindowName"]

WindowName: TypeAlias = str | npt.ArrayLike


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The arguments that all front ends share."""

    sample_rate: int
    n_fft: int
    hop_length: int
    win_length: int | None
    window: WindowName
    center: bool
    causal: bool
    emphasis: float
    window_at: Literal["center", "start"] = "center"
    zero_mean: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Frames:
        """Those of a function's arguments that belong here."""
        return cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})

    def start(self, chain: Chain, spectrum: Spectrum, factor: float) -> Timing:
        """Append window and spectrum, whose window is multiplied by a factor."""
        size = self.n_fft if self.win_length is None else self.win_length
        for name, number in (("hop_length", self.hop_length), ("win_length", size)):
            if number < 1:
                raise ValueError(f"{name}={number}: expected at least 1 (samples)")
        if size > self.n_fft:
            raise ValueError(f"win_length={size}: expected at most n_fft, {self.n_fft}")
        if self.center and self.causal:
            raise ValueError("center and causal: expected at most one of them")
        weight = factor * window_of(self.window, size)
        offset = (self.n_fft - size) // 2 if self.window_at == "center" else 0
        if spectrum is Spectrum.COMPLEX:  # where the window lies turns the phases
            weight = np.pad(weight, (offset, self.n_fft - size - offset))
            size, offset = self.n_fft, 0
        timing = self._timing(offset, size)
        where = {"delay": timing.delay, "lost": timing.lost}
        if self.zero_mean:
            self._add_centred(chain, weight, where)
        else:
            weight = weight.astype(np.float32)
            chain.add(Window, "window", weight=weight, emphasis=self.emphasis, **where)
        chain.add(Rfft, "spectrum", length=self.n_fft, spectrum=spectrum)
        return timing

    def _add_centred(self, chain: Chain, weight: Float, where: Mapping[str, int]) -> None:
        """A frame less its mean, then emphasis and window as one matrix of two diagonals."""
        size = len(weight)
        frame = chain.add(Window, "samples", weight=np.ones(size, np.float32), **where)
        chain.add_filters("mean", np.full((1, size), 1 / size))
        means = chain.add_filters("means", np.ones((size, 1)))
        chain.add(Binary, "centred", frame, means, operation=Operation.SUBTRACT)
        matrix = np.diag(weight) - self.emphasis * np.diag(weight[1:], -1)
        matrix[0, 0] *= 1 - self.emphasis
        chain.add_filters("window", matrix)

    def _timing(self, offset: int, size: int) -> Timing:
        hop = self.hop_length
        if self.causal:  # the window ends with the newest sample
            return Timing(hop, hop - size, hop, hop)
        if self.center:
            first = offset - self.n_fft // 2
            return Timing(hop, first, first + size, 0)
        whole = size if self.window_at == "start" else self.n_fft
        return Timing(hop, offset, offset + size, whole)
