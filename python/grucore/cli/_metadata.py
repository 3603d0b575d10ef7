# SPDX-License-Identifier: Apache-2.0
"""The metadata of a file in words; it is free-form, so anything goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["entries", "proof_text", "quantization_entries"]

LONGEST = 300  # characters of one entry


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def entries(name: str, value: Any) -> list[tuple[str, str]]:
    """Rows (name, text) of an entry; an object gives a row for each of its members."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [row for key, member in value.items() for row in entries(f"{name} {key}", member)]
    return [(name, _text(value))]


def quantization_entries(found: Any) -> list[tuple[str, str]]:
    """Rows of what `Model.quantize` wrote; the table of layers has the kind of each weight."""
    if not isinstance(found, Mapping):
        return entries("quantization", found)
    first = ("kind", "activations", "scheme")
    names = [*first, *(name for name in found if name not in (*first, "weights", "wider"))]
    parts = [f"{name.replace('_', ' ')} {_text(found[name])}" for name in names if name in found]
    return [("quantization", "; ".join(parts)), *entries("wider", found.get("wider"))]


def proof_text(proof: Any) -> str:
    """The proof of a conversion in one line."""
    if proof is None:
        return "none (not verified)"
    from grucore.runtime.proof_record import Proof

    try:
        return str(Proof.read(proof))
    except (TypeError, ValueError, AttributeError):  # another producer's words
        return _text(proof)
