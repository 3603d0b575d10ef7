# SPDX-License-Identifier: Apache-2.0
"""Sound in PyTorch: frames of samples, short-time and plain Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np

from grucore.converters.torch.ops.products import constant_of
from grucore.converters.torch.walk.walk import Arguments, Walk, op
from grucore.converters.trace.axes import Unfit
from grucore.converters.trace.ops.spectra import (
    framed,
    imaginary,
    parts,
    real,
    short_time,
    transformed,
)
from grucore.converters.trace.ops.views import axis_of, transposed
from grucore.converters.trace.spectra import Spectra

__all__: list[str] = []


@op("unfold.default")
def _unfold(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["self"])
    return framed(walk, x, axis_of(a["dimension"], x.rank), a["size"], a["step"])


@op("stft.default", "stft.center")
def _stft(walk: Walk, a: Arguments) -> Any:
    a.only(center=False, onesided=True, align_to_window=False)
    x, length = walk.data(a["self"]), int(a["n_fft"])
    hop, size = a.get("hop_length", length // 4), a.get("win_length", length)
    window = a.get("window")
    numbers = np.ones(size) if window is None else constant_of(window, "window")
    scale = length**-0.5 if a.get("normalized", False) else 1.0
    found = short_time(walk, x, x.rank - 1, length, hop, numbers, scale=scale)
    order = [*range(found.rank - 2), found.rank - 1, found.rank - 2]  # bins, then frames
    turned = transposed(found, order)
    assert isinstance(turned, Spectra)
    return turned if a.get("return_complex", False) else parts(walk, turned)


@op("fft_rfft.default")
def _rfft(walk: Walk, a: Arguments) -> Any:
    x = walk.data(a["self"])
    return transformed(walk, x, axis_of(a.get("dim", -1), x.rank), a.get("n"), a.get("norm"))


@op("real.default")
def _real(walk: Walk, a: Arguments) -> Any:
    return real(walk, a["self"]) if isinstance(a["self"], Spectra) else a["self"]


@op("imag.default")
def _imag(walk: Walk, a: Arguments) -> Any:
    return imaginary(walk, _spectra(a["self"]))


@op("view_as_real.default")
def _view_as_real(walk: Walk, a: Arguments) -> Any:
    return parts(walk, _spectra(a["self"]))


def _spectra(found: Any) -> Spectra:
    if not isinstance(found, Spectra):
        raise Unfit("it reads something else than the spectrum of a value")
    return found
