# SPDX-License-Identifier: Apache-2.0
"""Numbers of bfloat16, which numpy does not have."""

from __future__ import annotations

import numpy as np

from grucore.graph.tensors import Array


def bfloat16_to_float32(bits: Array) -> Array:
    """The exact float32 values of bfloat16 ones, given as uint16."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
