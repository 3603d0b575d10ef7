# SPDX-License-Identifier: Apache-2.0
"""Weights that a file has twice: as they were trained, and their average over the training."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.torch.chain.names import HABITS, plain_name

__all__ = ["check_averages"]

MARK = re.compile(r"(?:(.*)_)?(?:ema|swa|averaged?|shadow)(?:_(.*))?", re.IGNORECASE)
MOST = 4


def check_averages(state: Mapping[str, Any]) -> None:
    """Raise `ConversionError` for tensors that are there both as they are and averaged."""
    known = {_key(name): name for name in state}
    pairs: dict[str, str] = {}
    for name in state:
        for marked, plain in _plain_names(name):
            other = known.get(_key(plain))
            if other is not None and other != name and not _are_equal(state[name], state[other]):
                pairs.setdefault(name, other)
                patterns = marked
    if not pairs:
        return
    averaged, plain = next(iter(pairs.items()))
    tops = sorted({f"{other.partition('.')[0]}.*" for other in pairs.values()})
    rest = " ".join(f"--ignore {shlex.quote(top)}" for top in tops[:MOST])
    raise ConversionError(
        f"{plain} is there twice, as it was trained and averaged, {averaged} ({len(pairs)} such "
        f"pairs), and nothing says which was meant: --ignore {shlex.quote(patterns)} takes the "
        f"trained weights, {rest} the averaged ones"
    )


def _plain_names(name: str) -> Iterator[tuple[str, str]]:
    """The names without a mark of averages, with the pattern of what has that mark."""
    parts = name.split(".")
    for place, part in enumerate(parts):
        match = MARK.fullmatch(part)
        if match is None:
            continue
        is_last = place == len(parts) - 1
        pattern = f"*{part[len(match[1]) :]}" if is_last and match[1] else None
        pattern = pattern or ".".join([*parts[:place], part, "*"])
        rest = "_".join(filter(None, match.groups()))
        for without in ([rest], []) if rest else ([],):
            yield pattern, ".".join(filter(None, [*parts[:place], *without, *parts[place + 1 :]]))


def _key(name: str) -> str:
    """The name without dots, wrappers and habits: some averages are called so."""
    plain = plain_name(name)
    for habit in HABITS:
        plain = plain.removeprefix(habit)
    return plain.replace(".", "")


def _are_equal(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    return one.shape == other.shape and np.array_equal(one, other)
