# SPDX-License-Identifier: Apache-2.0
"""The operations of aten: a handler for each, and `OPS`, the table of them all."""

from grucore.converters.torch.ops import (
    activations,
    arrays,
    attention,
    cells,
    elementwise,
    loops,
    masks,
    norms,
    pieces,
    powers,
    products,
    recurrent,
    reductions,
    spectra,
    views,
)
from grucore.converters.torch.walk.walk import REGISTERED as OPS

__all__ = [
    "OPS",
    "activations",
    "arrays",
    "attention",
    "cells",
    "elementwise",
    "loops",
    "masks",
    "norms",
    "pieces",
    "powers",
    "products",
    "recurrent",
    "reductions",
    "spectra",
    "views",
]
