# SPDX-License-Identifier: Apache-2.0
"""A dependency-free runtime for trained GRU networks: one frame in, one frame out, in microseconds.

>>> import grucore
>>> model = grucore.load("kws.gru")  # doctest: +SKIP
>>> stream = model.stream()  # doctest: +SKIP
>>> scores = stream.step(frame)  # doctest: +SKIP
"""

from __future__ import annotations

from grucore._core import (
    ConversionError,
    FormatError,
    GrucoreError,
    NonFiniteError,
    StreamBusyError,
    UnsupportedError,
    supported_isas,
)
from grucore.version import __version__

TYPE_CHECKING = False  # typing's own costs more to import than all the rest
if TYPE_CHECKING:
    from typing import Any

    from grucore import audio
    from grucore.conversion import convert, from_keras, from_onnx, from_torch
    from grucore.model import Model, load
    from grucore.places import get_cmake_dir, get_include
    from grucore.runtime.pool import StreamPool
    from grucore.runtime.ports import Port, SelftestResult
    from grucore.runtime.stream import Stream

__all__ = [
    "ConversionError",
    "FormatError",
    "GrucoreError",
    "Model",
    "NonFiniteError",
    "Port",
    "SelftestResult",
    "Stream",
    "StreamBusyError",
    "StreamPool",
    "UnsupportedError",
    "__version__",
    "audio",
    "convert",
    "from_keras",
    "from_onnx",
    "from_torch",
    "get_cmake_dir",
    "get_include",
    "load",
    "supported_isas",
]

# Imported when first asked for: `import grucore` loads _core alone, and numpy not at all.
_LAZY = {
    "Model": "grucore.model",
    "Port": "grucore.model",
    "SelftestResult": "grucore.model",
    "Stream": "grucore.runtime.stream",
    "StreamPool": "grucore.runtime.pool",
    "audio": "grucore.audio",
    "convert": "grucore.conversion",
    "from_keras": "grucore.conversion",
    "from_onnx": "grucore.conversion",
    "from_torch": "grucore.conversion",
    "get_cmake_dir": "grucore.places",
    "get_include": "grucore.places",
    "load": "grucore.model",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'grucore' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_LAZY[name])
    value = module if name == "audio" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
