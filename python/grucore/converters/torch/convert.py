# SPDX-License-Identifier: Apache-2.0
"""The doors of PyTorch: a file, or an object in memory, to the conversion that it stands for."""

from __future__ import annotations

from typing import Any

from grucore.converters.containers.npz import load_npy, load_npz
from grucore.converters.containers.safetensors import load_safetensors
from grucore.converters.conversion import Conversion
from grucore.converters.ignored import Ignored
from grucore.converters.source import Given, Kind
from grucore.converters.torch.read.checkpoint import load_checkpoint
from grucore.converters.torch.read.modules import Tree
from grucore.converters.torch.sources.checkpoint import Held, state_dict_in
from grucore.converters.torch.sources.module_file import lightning, of_tree, tree_in
from grucore.converters.torch.sources.state_dict import Wanted, of_state

__all__ = ["of_file", "of_object"]


def of_file(
    given: Given, architecture: str | None = None, ignored: Ignored | None = None
) -> Conversion:
    """The conversion of a `.pt2`, a checkpoint, or a file of safetensors or numpy."""
    if given.kind is Kind.PT2:
        from grucore.converters.torch.sources.exported import of_program

        return of_program(given)
    wanted = Wanted(architecture, ignored or Ignored())
    held, ordered, container = _held(given, wanted.ignored)
    source = {"framework": "torch", "file": given.name, **container}
    if isinstance(held, Tree):
        return of_tree(held, wanted, source)
    return of_state(held.state, wanted, source, ordered=ordered, beside=held.beside)


def of_object(
    obj: Any,
    example_inputs: Any = None,
    architecture: str | None = None,
    ignored: Ignored | None = None,
) -> Conversion:
    """The conversion of a state dict or a module."""
    from grucore.converters.torch.sources.live_layer import of_live

    wanted = Wanted(architecture, ignored or Ignored())
    return of_live(obj, example_inputs=example_inputs, wanted=wanted)


def _held(given: Given, ignored: Ignored) -> tuple[Held | Tree, bool, dict[str, Any]]:
    """The state dict or module in a file, whether its order is the model's, and what holds it."""
    if given.kind is Kind.SAFETENSORS:
        return Held(load_safetensors(given.data)), False, {"container": "safetensors"}
    if given.kind is Kind.NPY:
        return Held(load_npy(given.data)), True, {"container": ".npy"}
    if given.kind is Kind.NPZ:
        assert given.archive is not None  # which is how its kind was told
        arrays = load_npz(given.archive, len(given.data))
        return Held(arrays), True, {"container": ".npz"}
    checkpoint = load_checkpoint(given)
    tree = tree_in(checkpoint)
    if tree is not None:
        container = "TorchScript" if isinstance(checkpoint, Tree) else "torch.save"
        return tree, True, {"container": container}
    settings = lightning(checkpoint)
    held = state_dict_in(checkpoint, ignored)
    if settings is not None:
        return held, True, {"container": "Lightning", "hyper_parameters": settings}
    return held, True, {"container": "torch.save"}
