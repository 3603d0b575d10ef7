# SPDX-License-Identifier: Apache-2.0
"""The one state dict among all that a checkpoint holds, and the tensors that lie beside it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.ignored import Ignored
from grucore.converters.torch.chain.layers import RECURRENT
from grucore.converters.torch.chain.names import QUANTIZED
from grucore.graph.tensors import Array

__all__ = ["Held", "state_dict_in"]

MAX_DEPTH = 4  # of the dicts around a state dict
MOST_BESIDE = 64
MOST_OF_A_LIST = 16  # that torch.save was given, as a state dict and an epoch
ROOT = "."  # the checkpoint itself, where paths name what is in it


@dataclass(frozen=True)
class Held:
    """A state dict, and the tensors of the checkpoint outside of it, by path."""

    state: Mapping[str, Any]
    beside: Mapping[str, Array] = field(default_factory=dict)


def state_dict_in(checkpoint: Any, ignored: Ignored) -> Held:
    """The only state dict in the containers of a checkpoint that nobody ignores.

    Raises `ConversionError` that names them where there are several, or none.
    """
    dicts = dict(_dicts(checkpoint))
    found = {path: content for path, content in dicts.items() if _is_state_dict(content)}
    # A loss, an epoch or statistics beside the weights are tensors too.
    weights = {path: content for path, content in found.items() if _has_recurrent(content)}
    found = weights or found
    if len(found) > 1 and ignored:
        found = {path: content for path, content in found.items() if not ignored.takes(path)}
    if len(found) > 1:
        names = sorted(found)
        raise ConversionError(
            f"several state dicts ({', '.join(names)}), and nothing says which was meant: "
            f"--ignore {shlex.quote(names[0])} leaves that one out"
        )
    if not found:
        raise ConversionError(
            "there is no state dict in it: expected a dict of tensors, as "
            "torch.save(model.state_dict(), path) writes it"
        )
    ((path, state),) = found.items()
    return Held(state, dict(_beside(dicts, path)))


def _dicts(checkpoint: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Each dict in the checkpoint's dicts and lists, by path."""
    pending: list[tuple[str, Any]] = [(ROOT, checkpoint)]
    seen: set[int] = set()
    while pending:
        path, content = pending.pop()
        if not isinstance(content, dict | list | tuple) or id(content) in seen:
            continue
        seen.add(id(content))
        if isinstance(content, dict):
            yield path, content
            inner = [(key, value) for key, value in content.items() if isinstance(key, str)]
        else:
            inner = [(str(place), value) for place, value in enumerate(content[:MOST_OF_A_LIST])]
        if path.count("/") < MAX_DEPTH:
            pending += [(_join(path, key), value) for key, value in inner]


def _join(path: str, key: str) -> str:
    return key if path == ROOT else f"{path}/{key}"


def _beside(dicts: Mapping[str, dict[Any, Any]], chosen: str) -> Iterator[tuple[str, Array]]:
    """Tensors outside of the state dict and of others."""
    count = 0
    for path, content in dicts.items():
        if path == chosen or _has_recurrent(content):
            continue
        for key, value in content.items():
            is_tensor = isinstance(key, str) and isinstance(value, np.ndarray)
            if is_tensor and value.dtype.kind in "fiub" and count < MOST_BESIDE:
                count += 1
                yield _join(path, key), value


def _has_recurrent(content: Mapping[Any, Any]) -> bool:
    return any(
        isinstance(key, str) and (RECURRENT.fullmatch(key) or QUANTIZED.fullmatch(key))
        for key in content
    )


def _is_state_dict(content: dict[Any, Any]) -> bool:
    if not all(isinstance(key, str) for key in content):
        return False
    # Quantized layers hold no tensors that could be read, and are refused by their names.
    return any(isinstance(value, np.ndarray) for value in content.values()) or any(
        QUANTIZED.fullmatch(key) for key in content
    )
