# SPDX-License-Identifier: Apache-2.0
"""Layers that a file has under two names, as a module has that stands in two places."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from grucore.converters.torch.chain.kinds import Layer, LinearLayer
from grucore.converters.torch.chain.layers import Layers
from grucore.graph.tensors import Array

__all__ = ["without_aliases"]

NUMBER = re.compile(r"\d+")


def without_aliases(layers: Layers) -> Layers:
    """The layers, each once; ``aliases`` has the other names.

    Names that differ by a number alone are those of layers in a row, which a model runs one after
    the other even where they are one. A matrix alone may be an embedding and the product that
    undoes it: both count.
    """
    found: list[Layer] = []
    aliases: dict[str, str] = {}
    for layer in layers.found:
        first = next((each for each in found if _are_one(each, layer)), None)
        if first is None:
            found.append(layer)
        else:
            aliases[layer.name] = first.name
    return replace(layers, found=tuple(found), aliases=aliases) if aliases else layers


def _are_one(first: Layer, other: Layer) -> bool:
    if type(first) is not type(other) or getattr(first, "kind", "") != getattr(other, "kind", ""):
        return False
    if isinstance(first, LinearLayer) and first.bias is None:
        return False
    if NUMBER.sub("", first.name) == NUMBER.sub("", other.name):
        return False
    pairs = list(zip(first.arrays, other.arrays, strict=False))
    return (
        len(first.arrays) == len(other.arrays)
        and all(_equal(a, b) for a, b in pairs)
        and (
            # Fresh norms are equal too: all ones and zeros.
            any(a.size and (a != a.reshape(-1)[0]).any() for a, _ in pairs)
        )
    )


def _equal(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and np.array_equal(one, other)
