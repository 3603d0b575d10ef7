# SPDX-License-Identifier: Apache-2.0
"""A model in words: layers, states, parameters, whether it streams, text and HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

import grucore
from grucore.fileformat import read
from grucore.summary.describe import LayerInfo


def test_layers_are_those_of_the_file(any_model: grucore.Model) -> None:
    graph = read(bytes(any_model))
    assert [layer.name for layer in any_model.layers] == [node.name for node in graph.nodes]
    assert [layer.kind for layer in any_model.layers] == [node.layer for node in graph.nodes]
    assert sum(layer.parameters for layer in any_model.layers) == any_model.parameters
    numbers = sum(array.size for node in graph.nodes for array in node.tensors().values())
    assert any_model.parameters == numbers


def test_a_gru_is_counted_by_hand(frames_model: grucore.Model) -> None:
    gru, dense = frames_model.layers
    # 3 gates of 7 units, 5 inputs and 7 states; four biases each: the candidate has two
    assert gru == LayerInfo(gru.name, "gru", (5,), 7, 280, "float32", gru.nbytes, 252)
    assert (dense.parameters, dense.multiply_adds) == (7 * 3 + 3, 7 * 3)


def test_states_have_the_shapes_of_streams(any_model: grucore.Model) -> None:
    if any_model.streamable:
        state = any_model.stream().state
        assert any_model.states == {name: array.shape for name, array in state.items()}
    else:
        assert "reads the future" in any_model.streamable.reason


def test_the_reason_names_the_layer(bidirectional_model: grucore.Model) -> None:
    assert not bidirectional_model.streamable
    with pytest.raises(grucore.UnsupportedError) as refused:
        bidirectional_model.stream()
    assert bidirectional_model.streamable.reason in str(refused.value)


def test_the_text_has_a_row_for_each_layer_and_the_sums(any_model: grucore.Model) -> None:
    lines = any_model.summary().splitlines()
    for layer in any_model.layers:
        assert any(line.startswith(layer.name) and layer.kind in line for line in lines)
    assert lines[-1].split()[:2] == ["all", f"{any_model.parameters:,}"]


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "br":
            self.open.append(tag)
        self.cells += tag == "td"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_well_formed(any_model: grucore.Model) -> None:
    cells = _Cells()
    cells.feed(any_model._repr_html_())
    assert cells.open == []
    assert cells.cells == 7 * (len(any_model.layers) + 1)


def test_overloads_return_what_they_say(frames_model: grucore.Model) -> None:
    x = np.zeros((3, 5), np.float32)
    y, state = frames_model.run(x, return_state=True)
    assert y.shape == (3, 3)
    assert {name: array.shape for name, array in state.items()} == frames_model.states
