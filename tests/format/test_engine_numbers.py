# SPDX-License-Identifier: Apache-2.0
"""Python's enums and bounds of the file format against the engine's lists."""

from __future__ import annotations

from enum import IntEnum

import pytest

from grucore._core import _format_numbers
from grucore.fileformat import layout
from grucore.graph import check, node
from grucore.graph.layers import KINDS, ActivationCode
from grucore.graph.tensors import Dtype, Layout, Role

ENGINE = _format_numbers()


@pytest.mark.parametrize(
    ("name", "enum"),
    [("roles", Role), ("dtypes", Dtype), ("layouts", Layout), ("activations", ActivationCode)],
)
def test_enums(name: str, enum: type[IntEnum]) -> None:
    assert {member.name.lower(): member.value for member in enum} == ENGINE[name]


def test_layer_kinds() -> None:
    assert {layer.layer: number for number, layer in KINDS.items()} == ENGINE["kinds"]


def test_bounds() -> None:
    counts = layout.BOUNDS._asdict()
    ports = (counts.pop("inputs"), counts.pop("outputs"), check.MAX_PORTS)
    assert set(ports) == {ENGINE["limits"]["ports"]}
    assert {
        **counts,
        "ports": check.MAX_PORTS,
        "name_length": check.MAX_NAME_BYTES,
        "features": node.MAX_FEATURES,
        "skip": node.MAX_SKIP,
        "period": node.MAX_PERIOD,
        "attributes": layout.MAX_ATTRIBUTES,
        "node_tensors": layout.MAX_NODE_TENSORS,
    } == ENGINE["limits"]
    assert counts["nodes"] == check.MAX_NODES
