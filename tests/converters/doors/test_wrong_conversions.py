# SPDX-License-Identifier: Apache-2.0
"""Conversions that are wrong on purpose: the proof finds each, where errors are amplified too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.graph.graph import Graph
from grucore.graph.layers import (
    Activate,
    Activation,
    ActivationCode,
    Cell,
    Conv1d,
    Dense,
    Direction,
    Gru,
    LayerNorm,
    Position,
    Take,
)
from grucore.graph.node import Node, Value
from grucore.proof.evidence import Evidence
from grucore.proof.proof import LOOSEST, prove
from grucore.reference import run as reference
from grucore.runtime.proof_record import Proof
from models.chain import Chain, uniform
from oracle.oracles import oracle

HIDDEN = 8


def model(kind: str, seed: int) -> Graph:
    """linear > layer norm > gru > gru > linear > leaky relu > linear, as the kind has it."""
    rng = np.random.default_rng(seed)
    chain = Chain(Value("x", 5))
    small = kind == "little variance"
    weight = uniform(rng, HIDDEN, 5) * np.float32(1e-3 if small else 1)
    chain.add(Dense, weight=weight, bias=np.full(HIDDEN, 0.5, np.float32))
    ones, zeros = np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)
    if kind != "plain":
        # The norm of nearly equal features is a division by almost nothing.
        epsilon = 1e-10 if small else 1e-5
        chain.add(LayerNorm, scale=ones, shift=zeros, epsilon=epsilon)
    size = np.float32(5 if kind == "chaos" else 1)
    for cell in (Cell.RESET_AFTER, Cell.RESET_BEFORE):
        chain.add(
            Gru,
            weight_ih=uniform(rng, 3 * HIDDEN, HIDDEN),
            weight_hh=size * uniform(rng, 3 * HIDDEN, HIDDEN),
            bias=uniform(rng, (4 if cell is Cell.RESET_AFTER else 3) * HIDDEN),
            cell=cell,
            activation=Activation.RELU if kind == "growth" else Activation.TANH,
        )
    chain.add(Dense, weight=uniform(rng, HIDDEN, HIDDEN), bias=uniform(rng, HIDDEN))
    chain.add(Activate, activation=Activation.leaky_relu(0.01))
    chain.add(Dense, weight=uniform(rng, 3, HIDDEN), bias=uniform(rng, 3))
    if kind == "steep":
        chain.add(Activate, activation=Activation(ActivationCode.EXP))
    return chain.graph()


KINDS = ("plain", "norm", "little variance", "chaos", "growth", "steep")


def changed(graph: Graph, kind: type[Node], change: Callable[[Any], Any], which: int = 0) -> Graph:
    """The graph with one node of that kind replaced."""
    places = [i for i, node in enumerate(graph.nodes) if isinstance(node, kind)]
    nodes = list(graph.nodes)
    nodes[places[which]] = change(nodes[places[which]])
    return replace(graph, nodes=tuple(nodes))


def gates(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([array[i * HIDDEN : (i + 1) * HIDDEN] for i in order])


def swapped(node: Gru) -> Gru:
    return replace(
        node,
        weight_ih=gates(node.weight_ih, (1, 0, 2)),
        weight_hh=gates(node.weight_hh, (1, 0, 2)),
        bias=gates(node.bias, (1, 0, 2, 3)[: len(node.bias) // HIDDEN]),
    )


def without_bias(node: Gru) -> Gru:
    return replace(node, bias=np.zeros_like(node.bias))


def bias_of_the_reset_gate(node: Gru) -> Gru:
    bias = node.bias.copy()
    bias[0] = 0
    return replace(node, bias=bias)


def transposed(node: Gru) -> Gru:
    pieces = node.weight_hh.reshape(3, HIDDEN, HIDDEN).swapaxes(1, 2)
    return replace(node, weight_hh=np.ascontiguousarray(pieces.reshape(-1, HIDDEN)))


def other_cell(node: Gru) -> Gru:
    if node.cell is Cell.RESET_AFTER:
        # The recurrent bias of n goes where the other cell has its only one.
        bias = node.bias[: 3 * HIDDEN].copy()
        bias[2 * HIDDEN :] += node.bias[3 * HIDDEN :]
        return replace(node, cell=Cell.RESET_BEFORE, bias=bias)
    bias = np.concatenate([node.bias, np.zeros(HIDDEN, np.float32)])
    return replace(node, cell=Cell.RESET_AFTER, bias=bias)


def leaky(node: Activate) -> Activate:
    return replace(node, activation=Activation.leaky_relu(0.011))


WRONG: dict[str, tuple[type[Node], Callable[[Any], Any], int]] = {
    "r and z swapped": (Gru, swapped, 0),
    "r and z swapped in the second layer": (Gru, swapped, 1),
    "no bias": (Gru, without_bias, 0),
    "one bias of one gate": (Gru, bias_of_the_reset_gate, 1),
    "recurrent weights transposed": (Gru, transposed, 0),
    "reset before for after": (Gru, other_cell, 0),
    "reset after for before": (Gru, other_cell, 1),
    "backwards": (Gru, lambda node: replace(node, direction=Direction.REVERSE), 1),
    "leaky slope off by 1e-3": (Activate, leaky, 0),
    "linear transposed": (
        Dense,
        lambda node: replace(node, weight=np.ascontiguousarray(node.weight.T)),
        1,
    ),
    "no bias of linear": (Dense, lambda node: replace(node, bias=np.zeros_like(node.bias)), 1),
}


def witness_of(graph: Graph) -> Callable[..., tuple[np.ndarray, ...]]:
    return lambda *xs: reference.run(graph, xs)[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_right_conversion_is_proved(kind: str, seed: int) -> None:
    graph = model(kind, seed)
    proof = prove(graph, Evidence(witness_of(graph), "itself in float64")).proof
    assert proof.largest_difference <= proof.bound
    assert proof.bound <= LOOSEST


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_conversion_is_found(what: str, kind: str) -> None:
    for seed in range(3):
        graph = model(kind, seed)
        with pytest.raises(grucore.ConversionError, match="does not agree with its source"):
            prove(changed(graph, *WRONG[what]), Evidence(witness_of(graph), "the right one"))


@pytest.mark.parametrize("epsilon", [1e-6, 1e-4])
def test_a_wrong_epsilon_is_found(epsilon: float) -> None:
    graph = model("norm", 0)
    wrong = changed(graph, LayerNorm, lambda node: replace(node, epsilon=epsilon))
    with pytest.raises(grucore.ConversionError, match="does not agree"):
        prove(wrong, Evidence(witness_of(graph), "the right one"))


def test_what_is_looser_than_anything_wrong_proves_nothing() -> None:
    """A norm that divides by nothing makes of rounding what it makes of a signal."""
    rng = np.random.default_rng(0)
    chain = Chain(Value("x", 4))
    weight = uniform(rng, HIDDEN, 4) * np.float32(1e-7)
    chain.add(Dense, weight=weight, bias=np.full(HIDDEN, 0.7, np.float32))
    ones, zeros = np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32)
    chain.add(LayerNorm, scale=ones, shift=zeros, epsilon=1e-20)
    graph = chain.graph()
    with pytest.raises(grucore.ConversionError, match=r"nothing can be proved of output '.*'"):
        prove(graph, Evidence(witness_of(graph), "itself"))


def test_the_scale_is_the_output_s_own() -> None:
    """Numbers of 1e-6 are compared as closely as those near 1, and those of 1e6 no closer."""
    for size in (1e-6, 1.0, 1e6):
        rng = np.random.default_rng(1)
        chain = Chain(Value("x", 4))
        weight = np.float32(size) * uniform(rng, 3, 4)
        chain.add(Dense, weight=weight, bias=np.zeros(3, np.float32))
        graph = chain.graph()
        proof = prove(graph, Evidence(witness_of(graph), "itself")).proof
        assert 1e-9 < proof.largest_difference < 1e-6
        wrong = changed(graph, Dense, lambda node: replace(node, weight=node.weight * 1.0001))
        with pytest.raises(grucore.ConversionError, match="does not agree"):
            prove(wrong, Evidence(witness_of(graph), "the right one"))


def test_zeros_are_compared_with_zeros() -> None:
    chain = Chain(Value("x", 4))
    chain.add(Dense, weight=np.zeros((3, 4), np.float32), bias=np.full(3, -1, np.float32))
    chain.add(Activate, activation=Activation.RELU)
    graph = chain.graph()
    proof = prove(graph, Evidence(witness_of(graph), "itself")).proof
    assert proof.largest_difference == 0
    with pytest.raises(grucore.ConversionError, match="does not agree"):
        prove(graph, Evidence(lambda x: (np.full((len(x), 3), 1e-20),), "something else"))


def test_the_report_says_what_rounding_does() -> None:
    graph = model("little variance", 0)
    proof = prove(graph, Evidence(witness_of(graph), "itself in float64")).proof
    assert proof.rounding > 1e-5
    assert proof.largest_difference <= proof.bound <= LOOSEST
    assert "rounding alone moves some sequences by" in str(proof)
    plain = model("plain", 0)
    assert "rounding" not in str(prove(plain, Evidence(witness_of(plain), "itself")).proof)


def test_a_later_release_may_say_more_of_a_proof() -> None:
    proof = Proof("it", 1e-7, 2e-6, 10, {"y": 1e-7})
    entries = {"against": "it", "largest_difference": 1e-7, "bound": 2e-6, "frames": 10}
    assert Proof.read({**entries, "differences": {"y": 1e-7}, "another": 1}) == proof


@pytest.mark.oracle
@pytest.mark.parametrize("what", [*WRONG, "taps turned round", "first for last"])
def test_a_wrong_conversion_of_a_module_is_found(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same against torch: the reader is made to read wrong."""
    torch = oracle("torch")
    from grucore.converters import convert as converter

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv1d(5, HIDDEN, 3)
            self.gru = torch.nn.GRU(HIDDEN, HIDDEN, 2, batch_first=True)
            self.middle = torch.nn.Linear(HIDDEN, HIDDEN)
            self.out = torch.nn.Linear(HIDDEN, 3)

        def forward(self, x: Any) -> Any:
            padded = torch.nn.functional.pad(x.transpose(1, 2), (2, 0))
            y, _ = self.gru(self.conv(padded).transpose(1, 2))
            y = torch.nn.functional.leaky_relu(self.middle(y), 0.01)
            return self.out(y[:, -1])

    torch.manual_seed(0)
    net, x = Net().eval(), torch.randn(2, 12, 5)
    assert grucore.from_torch(net, example_inputs=(x,)).proof is not None
    changes = {
        **WRONG,
        "linear transposed": (WRONG["linear transposed"][0], WRONG["linear transposed"][1], 0),
        "no bias of linear": (WRONG["no bias of linear"][0], WRONG["no bias of linear"][1], 0),
        "reset after for before": (Gru, other_cell, 1),
        "leaky slope off by 1e-3": (
            Dense,
            lambda node: replace(node, activation=Activation.leaky_relu(0.011)),
            0,
        ),
        "taps turned round": (
            Conv1d,
            lambda node: replace(node, weight=np.ascontiguousarray(node.weight[:, ::-1])),
            0,
        ),
        "first for last": (Take, lambda node: replace(node, position=Position.FIRST), 0),
    }

    def misread(graph: Graph, evidence: Evidence, *more: Any) -> Any:
        return prove(changed(graph, *changes[what]), evidence, *more)

    monkeypatch.setattr(converter, "prove", misread)
    with pytest.raises(grucore.ConversionError, match="does not agree with its source"):
        grucore.from_torch(net, example_inputs=(x,))
