# SPDX-License-Identifier: Apache-2.0
"""A Keras model as it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grucore.converters.keras.read.config import Layer
from grucore.converters.keras.read.names import Weights


@dataclass(frozen=True, eq=False)
class Source:
    """A model as it was read: its config, parsed and not, its weights, where they come from."""

    config: Mapping[str, Any]
    model: Layer
    weights: Weights
    version: tuple[int, ...] | None
    entries: Mapping[str, Any]
