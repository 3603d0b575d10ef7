# SPDX-License-Identifier: Apache-2.0
"""Front ends as text: ``log_mel:sample_rate=16000,n_fft=400,hop_length=160,n_mels=40``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from grucore.audio.features import log_mel, mfcc, spectrogram
from grucore.audio.front_end import FrontEnd
from grucore.audio.presets import PRESETS, like

__all__ = ["parse"]

_FUNCTIONS: dict[str, Callable[..., FrontEnd]] = {
    "log_mel": log_mel,
    "mfcc": mfcc,
    "spectrogram": spectrogram,
}
_TEXTS = ("window", "window_at", "mel_scale", "norm", "triangles", "log", "dct", "energy")
_WORDS = {"true": True, "false": False, "none": None}


def parse(text: str) -> FrontEnd:
    """The front end of a name, of a function or of a preset, and settings behind a colon.

    Raises ValueError that names the word at fault, and as the functions do.
    """
    name, _, rest = text.partition(":")
    settings: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"front end {text!r}: {part!r} is no setting, expected name=value")
        settings[key.strip()] = _value(value.strip())
    if name not in _FUNCTIONS and name not in PRESETS:
        known = ", ".join([*_FUNCTIONS, *PRESETS])
        raise ValueError(f"front end {name!r}: expected one of {known}")
    function, usual = PRESETS[name] if name in PRESETS else (_FUNCTIONS[name], {})
    _check(name, function, settings, usual)
    return like(name, **settings) if name in PRESETS else function(**settings)


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _check(
    name: str,
    function: Callable[..., FrontEnd],
    settings: Mapping[str, Any],
    usual: Mapping[str, Any],
) -> None:
    """Names that the function has, all that it needs, numbers where numbers belong."""
    parameters = inspect.signature(function).parameters
    for key, value in settings.items():
        if key not in parameters:
            raise ValueError(
                f"front end {name}: no setting is called {key!r}, expected " + ", ".join(parameters)
            )
        if isinstance(value, str) and key not in _TEXTS:
            raise ValueError(f"front end {name}: {key}={value}, expected a number")
    needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    missing = [key for key in parameters if key in needed - {*settings, *usual}]
    if missing:
        raise ValueError(f"front end {name}: {', '.join(missing)} missing, such as {missing[0]}=N")
