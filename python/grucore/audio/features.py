# SPDX-License-Identifier: Apache-2.0
"""Front ends by name: spectrogram, log_mel, mfcc."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from grucore.audio.filters import MelScale, Transform, Triangles, dct_matrix, mel_filters
from grucore.audio.frames import Frames, WindowName
from grucore.audio.front_end import Chain, FrontEnd, Timing
from grucore.graph.layers import (
    Activate,
    Activation,
    Affine,
    Binary,
    Concat,
    Dense,
    Operation,
    Spectrum,
)
from grucore.graph.tensors import Float

__all__ = ["Log", "log_mel", "mfcc", "spectrogram"]

Log: TypeAlias = Literal["ln", "log10", "db", "log1p"]


def spectrogram(
    *,
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    win_length: int | None = None,
    window: WindowName = "hann",
    power: Literal[1, 2] | None = 2,
    log: Log | None = None,
    floor: float = 1e-10,
    offset: float = 0.0,
    reference: float = 1.0,
    center: bool = False,
    scale: float = 1.0,
    causal: bool = False,
    emphasis: float = 0.0,
) -> FrontEnd:
    """The spectrum of each frame, bins 0 to ``n_fft // 2``.

    Parameters
    ----------
    sample_rate : int
        Samples per second.
    n_fft : int
        Length of the transform: 2 to 65536, a product of 2, 3 and 5.
    hop_length, win_length : int
        Samples from frame to frame, and of the window (else n_fft), which lies in the middle of the
        n_fft samples.
    window : str or array_like, (win_length,)
        As `grucore.audio.window` takes it.
    power : {2, 1, None}
        The square of each bin's magnitude, the magnitude, or real parts and then imaginary parts.
    log : {None, "ln", "log10", "db", "log1p"}
        The logarithm of ``x + offset``, or of ``floor`` where that is larger. "db" is ``10 log10``
        of a power and ``20 log10`` of a magnitude, less that of ``reference``.
    center : bool
        Frame j lies around sample ``j * hop_length``, with zeros before the recording; a stream
        gives it when half a window more has come. Else it begins there.
    causal : bool
        A frame for every hop, from the first one on, that ends with the newest sample.
    scale : float
        Multiplies the samples: 32768 where the network was trained on 16-bit numbers.
    emphasis : float
        So many times the sample before is taken away from each sample.

    Raises
    ------
    ValueError
        The settings make no front end.
    ConversionError
        A length has other factors than 2, 3 and 5.
    """
    frames = Frames.of(locals())
    kinds = {2: Spectrum.POWER, 1: Spectrum.MAGNITUDE, None: Spectrum.COMPLEX}
    if power not in kinds:
        raise ValueError(f"power={power!r}: expected 2, 1 or None")
    if power is None and log is not None:
        raise ValueError(f"log={log!r} of real and imaginary parts: expected power=1 or 2")
    settings = _settings("spectrogram", locals())
    chain = Chain(hop_length)
    timing = frames.start(chain, kinds[power], scale)
    _add_log(chain, log, floor, offset, reference, power or 2)
    return FrontEnd(chain.graph(settings), timing, settings)


def log_mel(
    *,
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    n_mels: int,
    win_length: int | None = None,
    window: WindowName = "hann",
    fmin: float = 0.0,
    fmax: float | None = None,
    mel_scale: MelScale = "htk",
    norm: Literal["slaney"] | None = None,
    triangles: Triangles = "hertz",
    power: Literal[1, 2] = 2,
    log: Log | None = "ln",
    floor: float = 1e-10,
    offset: float = 0.0,
    reference: float = 1.0,
    scale: float = 1.0,
    mean: npt.ArrayLike | None = None,
    std: npt.ArrayLike | None = None,
    center: bool = False,
    causal: bool = False,
    emphasis: float = 0.0,
    window_at: Literal["center", "start"] = "center",
    zero_mean: bool = False,
) -> FrontEnd:
    """The logarithm of the energy in mel bands.

    Parameters that are not listed are those of `spectrogram`, and so are the errors.

    Parameters
    ----------
    n_mels, fmin, fmax, mel_scale, norm, triangles
        As `grucore.audio.mel_filters` takes them.
    log : {"ln", "log10", "db", "log1p", None}
        As in `spectrogram`; None leaves the energies as they are.
    mean, std : array_like, (n_mels,) or a number, optional
        Each band of the result has its mean taken away, and is divided by its deviation.
    window_at : {"center", "start"}
        Where a window shorter than n_fft lies within it.
    zero_mean : bool
        Each frame has its own mean taken away first, and before its first sample ``emphasis`` takes
        that sample: as Kaldi.
    """
    frames = Frames.of(locals())
    settings = _settings("log_mel", locals())
    chain = Chain(hop_length)
    filters = mel_filters(**_filter_settings(locals()))
    timing = _start_mel(chain, frames, filters, power, scale)
    _add_log(chain, log, floor, offset, reference, power)
    _add_normalisation(chain, mean, std)
    return FrontEnd(chain.graph(settings), timing, settings)


def mfcc(
    *,
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    n_mels: int,
    n_mfcc: int,
    win_length: int | None = None,
    window: WindowName = "hann",
    fmin: float = 0.0,
    fmax: float | None = None,
    mel_scale: MelScale = "htk",
    norm: Literal["slaney"] | None = None,
    triangles: Triangles = "hertz",
    power: Literal[1, 2] = 2,
    log: Log = "ln",
    floor: float = 1e-10,
    offset: float = 0.0,
    reference: float = 1.0,
    scale: float = 1.0,
    lifter: float = 0.0,
    dct: Transform = "orthonormal",
    energy: bool | Literal["raw"] = False,
    mean: npt.ArrayLike | None = None,
    std: npt.ArrayLike | None = None,
    center: bool = False,
    causal: bool = False,
    emphasis: float = 0.0,
    window_at: Literal["center", "start"] = "center",
    zero_mean: bool = False,
) -> FrontEnd:
    """Mel-frequency cepstral coefficients: the cosine transform of `log_mel`.

    Parameters that are not listed are those of `log_mel`, and so are the errors.

    Parameters
    ----------
    n_mfcc : int
        Coefficients, from 0 on.
    lifter, dct
        As `grucore.audio.dct_matrix` takes them.
    energy : bool or "raw"
        Coefficient 0 is the logarithm of the sum of all bins instead, or ("raw", with zero_mean)
        of the frame's energy before its window.
    mean, std : array_like, (n_mfcc,) or a number, optional
        Each coefficient has its mean taken away, and is divided by its deviation.
    """
    frames = Frames.of(locals())
    settings = _settings("mfcc", locals())
    chain = Chain(hop_length)
    filters = mel_filters(**_filter_settings(locals()))
    matrix = dct_matrix(n_mfcc, n_mels, lifter=lifter, dct=dct)
    if energy not in (False, True, "raw") or (energy == "raw" and not zero_mean):
        raise ValueError(
            f"energy={energy!r}, zero_mean={zero_mean}: expected False, True, or "
            "'raw' with zero_mean"
        )
    if energy:
        if energy != "raw":
            filters = np.vstack([filters, np.ones(filters.shape[1])])
        matrix = np.pad(matrix, ((0, 0), (0, 1)))
        matrix[0] = 0.0
        matrix[0, -1] = 1.0
    timing = _start_mel(chain, frames, filters, power, scale)
    if energy == "raw":
        _add_energy(chain, scale)
    _add_log(chain, log, floor, offset, reference, power)
    shift, factor = _shift_and_factor(mean, std, n_mfcc)
    weight, bias = (matrix * factor[:, None]).astype(np.float32), shift.astype(np.float32)
    chain.add(Dense, "dct", weight=weight, bias=bias, activation=Activation.LINEAR)
    return FrontEnd(chain.graph(settings), timing, settings)


def _filter_settings(given: dict[str, Any]) -> dict[str, Any]:
    names = ("sample_rate", "n_fft", "n_mels", "fmin", "fmax", "mel_scale", "norm", "triangles")
    return {name: given[name] for name in names}


def _settings(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments as JSON can hold them."""
    plain = {"kind": kind}
    for name, value in given.items():
        if name in ("frames", "kinds"):
            continue
        is_plain = value is None or isinstance(value, str | int | float)
        plain[name] = value if is_plain else np.asarray(value, np.float64).tolist()
    return plain


def _start_mel(chain: Chain, frames: Frames, filters: Float, power: int, scale: float) -> Timing:
    if power not in (1, 2):
        raise ValueError(f"power={power!r}: expected 2 or 1")
    kind = Spectrum.POWER if power == 2 else Spectrum.MAGNITUDE
    timing = frames.start(chain, kind, scale)
    chain.add_filters("mel", filters)
    return timing


def _add_energy(chain: Chain, scale: float) -> None:
    """The sum of a frame's squares behind the bands."""
    bands, frame = chain.last, "front.centred.out"
    squares = chain.add(Binary, "squares", frame, frame, operation=Operation.MULTIPLY)
    chain.add_filters("energy", np.full((1, chain.features), scale**2), squares)
    chain.add(Concat, "bands", bands, chain.last)


def _add_log(
    chain: Chain, log: Log | None, floor: float, offset: float, reference: float, power: int
) -> None:
    if log is None:
        return
    tens = 1 / math.log(10)
    factors = {"ln": 1.0, "log10": tens, "db": 20 / power * tens, "log1p": 1.0}
    if log not in factors:
        raise ValueError(f"log={log!r}: expected None or one of {', '.join(map(repr, factors))}")
    least = 0.0 if log == "log1p" else floor
    if not least >= 0 or not (reference > 0 and math.isfinite(offset)):
        raise ValueError(
            f"floor={floor}, offset={offset}, reference={reference}: expected a floor of at least "
            "0, a finite offset, a reference above 0"
        )
    ones = np.ones(chain.features, np.float32)
    if offset:
        chain.add(Affine, "offset", scale=ones, shift=np.float32(offset) * ones)
    function = Activation.log1p if log == "log1p" else Activation.log
    chain.add(Activate, "log", activation=function(least, factors[log]))
    if log == "db" and reference != 1.0:
        shift = -factors["db"] * math.log(max(floor, reference))
        chain.add(Affine, "reference", scale=ones, shift=np.float32(shift) * ones)


def _shift_and_factor(
    mean: npt.ArrayLike | None, std: npt.ArrayLike | None, features: int
) -> tuple[Float, Float]:
    numbers = []
    for name, given, usual in (("mean", mean, 0.0), ("std", std, 1.0)):
        array = np.asarray(usual if given is None else given, np.float64)
        if array.shape not in ((), (features,)):
            raise ValueError(f"{name} has shape {array.shape}, expected () or ({features},)")
        numbers.append(np.broadcast_to(array, (features,)))
    if not (numbers[1] > 0).all():
        raise ValueError(f"std has {numbers[1].min()}, expected numbers above 0")
    return -numbers[0] / numbers[1], 1 / numbers[1]


def _add_normalisation(chain: Chain, mean: npt.ArrayLike | None, std: npt.ArrayLike | None) -> None:
    if mean is None and std is None:
        return
    shift, factor = _shift_and_factor(mean, std, chain.features)
    numbers = {"scale": factor.astype(np.float32), "shift": shift.astype(np.float32)}
    chain.add(Affine, "normalisation", **numbers)
