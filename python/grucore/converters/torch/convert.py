# SPDX-License-Identifier: Apache-2.0
"""The doors of PyTorch: a file, or an object in memory, to the conversion that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grucore._core import ConversionError
from grucore.converters.containers.safetensors import load_safetensors
from grucore.converters.conversion import Conversion
from grucore.converters.source import Given, Kind
from grucore.converters.torch.chain.layers import RECURRENT, read_layers
from grucore.converters.torch.chain.names import QUANTIZED
from grucore.converters.torch.read.checkpoint import load_checkpoint
from grucore.converters.torch.read.modules import Tree
from grucore.converters.torch.sources.module_file import lightning, of_tree, tree_in
from grucore.converters.torch.sources.state_dict import of_layers

__all__ = ["of_file", "of_object"]

MAX_DEPTH = 4  # of the dicts around a state dict


def of_file(given: Given, architecture: str | None = None) -> Conversion:
    """The conversion of a `.pt2`, a checkpoint, or a file of safetensors."""
    if given.kind is Kind.PT2:
        from grucore.converters.torch.sources.exported import of_program

        return of_program(given)
    state, ordered, container = _structured(given)
    source = {"framework": "torch", "file": given.name, **container}
    if isinstance(state, Tree):
        return of_tree(state, architecture, source)
    return of_layers(read_layers(state, ordered=ordered), architecture, source)


def of_object(obj: Any, example_inputs: Any = None, architecture: str | None = None) -> Conversion:
    """The conversion of a state dict or a module."""
    from grucore.converters.torch.sources.live_layer import of_live

    return of_live(obj, example_inputs=example_inputs, architecture=architecture)


def _structured(given: Given) -> tuple[Mapping[str, Any] | Tree, bool, dict[str, Any]]:
    """As `_state_dict`; what is no structure of torch's may be of any type anywhere."""
    try:
        return _state_dict(given)
    except (AttributeError, TypeError, LookupError, ValueError, RecursionError) as error:
        if isinstance(error, ConversionError):
            raise
        found = f"{type(error).__name__}: {error}"
        raise ConversionError(f"another structure than a checkpoint has ({found:.200})") from None


def _state_dict(given: Given) -> tuple[Mapping[str, Any] | Tree, bool, dict[str, Any]]:
    """The state dict or module in a file, whether its order is the model's, and what holds it."""
    if given.kind is Kind.SAFETENSORS:
        return load_safetensors(given.data), False, {"container": "safetensors"}
    checkpoint = load_checkpoint(given)
    tree = tree_in(checkpoint)
    if tree is not None:
        container = "TorchScript" if isinstance(checkpoint, Tree) else "torch.save"
        return tree, True, {"container": container}
    trained = lightning(checkpoint)
    if trained is not None:
        state, settings = trained
        return state, True, {"container": "Lightning", "hyper_parameters": settings}
    return _only_state_dict(checkpoint), True, {"container": "torch.save"}


def _only_state_dict(checkpoint: Any) -> Mapping[str, Any]:
    """The one dict of tensors in the containers of a checkpoint."""
    found: dict[str, Mapping[str, Any]] = {}
    pending: list[tuple[str, Any]] = [("", checkpoint)]
    seen: set[int] = set()
    while pending:
        path, content = pending.pop()
        if not isinstance(content, dict) or id(content) in seen:
            continue
        seen.add(id(content))
        if _is_state_dict(content):
            found[path] = content
        if path.count("/") < MAX_DEPTH:
            pending += [
                (f"{path}/{key}" if path else key, value)
                for key, value in content.items()
                if isinstance(key, str)
            ]
    # A loss, an epoch or statistics beside the weights are tensors too.
    weights = {path: content for path, content in found.items() if _has_recurrent(content)}
    found = weights or found
    if len(found) > 1:
        names = ", ".join(sorted(found))
        raise ConversionError(f"several state dicts ({names}): save the one to convert alone")
    if not found:
        raise ConversionError("there is no state dict in it: expected a dict of tensors")
    return next(iter(found.values()))


def _has_recurrent(content: Mapping[str, Any]) -> bool:
    return any(RECURRENT.fullmatch(key) or QUANTIZED.fullmatch(key) for key in content)


def _is_state_dict(content: dict[Any, Any]) -> bool:
    if not all(isinstance(key, str) for key in content):
        return False
    # Quantized layers hold no tensors that could be read, and are refused by their names.
    return any(isinstance(value, np.ndarray) for value in content.values()) or any(
        QUANTIZED.fullmatch(key) for key in content
    )
