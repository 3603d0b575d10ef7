# SPDX-License-Identifier: Apache-2.0
"""Scripts of the examples as modules, beside those of the same names in other examples."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["scripts_of"]


@contextmanager
def scripts_of(folder: Path) -> Iterator[None]:
    """Imports find the modules of this folder first, and other folders' of their names never."""
    own = {path.stem for path in folder.glob("*.py")}
    others = {name: sys.modules.pop(name, None) for name in own}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in others.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
