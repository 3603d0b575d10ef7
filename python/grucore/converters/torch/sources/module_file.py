# SPDX-License-Identifier: Apache-2.0
"""Whole modules in files of torch.save and TorchScript: what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from grucore._core import ConversionError
from grucore.converters.containers.pickle import Inert
from grucore.converters.conversion import Conversion
from grucore.converters.torch.chain.sequential import is_plain, sequential_graph
from grucore.converters.torch.read.modules import Tree, flattened, foreign_of, options_of, tree_of
from grucore.converters.torch.readings import only, readings, source_entries
from grucore.converters.torch.sources.state_dict import Wanted, of_state
from grucore.converters.torch.witness.witness import program_evidence

__all__ = ["lightning", "of_tree", "tree_in"]

MAX_SETTINGS = 32


def tree_in(checkpoint: Any) -> Tree | None:
    """The module in a checkpoint: the object itself, or the only one in its dict; or None."""
    if isinstance(checkpoint, Tree):
        return checkpoint
    if isinstance(checkpoint, Inert):
        return tree_of(checkpoint)
    if not isinstance(checkpoint, dict):
        return None
    modules = [each for each in checkpoint.values() if _is_module(each)]
    return tree_of(modules[0]) if len(modules) == 1 else None


def _is_module(found: Any) -> bool:
    state = found.state if isinstance(found, Inert) else None
    return isinstance(state, dict) and "_modules" in state and "_parameters" in state


def lightning(checkpoint: Any) -> dict[str, Any] | None:
    """The settings of a Lightning checkpoint, or None for anything else."""
    if not isinstance(checkpoint, dict) or "pytorch-lightning_version" not in checkpoint:
        return None
    if not isinstance(checkpoint.get("state_dict"), dict):
        raise ConversionError("a Lightning checkpoint without a state_dict")
    given = checkpoint.get("hyper_parameters")
    plain = given if isinstance(given, dict) else {}
    return {
        name[:80]: value if _fits_json(value) else str(value)[:200]
        for name, value in list(plain.items())[:MAX_SETTINGS]
        if isinstance(name, str) and isinstance(value, int | float | str) and _is_short(value)
    }


def _is_short(value: float | str) -> bool:
    return not isinstance(value, int) or -(1 << 63) <= value < 1 << 63


def _fits_json(value: float | str) -> bool:
    """True if JSON has it: infinite numbers, which some settings are, it has not."""
    return len(value) <= 200 if isinstance(value, str) else math.isfinite(value)


def of_tree(tree: Tree, wanted: Wanted, source: Mapping[str, Any]) -> Conversion:
    """The conversion of a module.

    Where its class is somebody's own, an architecture says how its layers follow each other;
    without one, `ConversionError` lists those that fit.
    """
    entries = {**source, "module": tree.kind}
    if wanted.architecture is None and is_plain(tree):
        reading = only(readings(sequential_graph(tree)))
        graph = reading.graph.with_metadata(source={**entries, **source_entries(reading)})
        return Conversion(graph, lambda: program_evidence(reading))
    try:
        options, foreign = options_of(tree), foreign_of(tree)
        state = flattened(tree)
        return of_state(state, wanted, entries, options=options, foreign=foreign, is_own=True)
    except ConversionError as error:
        if wanted.architecture is not None:
            raise
        message = f"a module of class {tree.kind}, whose code is not in the file or is not read"
        raise ConversionError(f"{message}: {error}") from None
