# SPDX-License-Identifier: Apache-2.0
"""The architecture language: what it reads, what it refuses, and that it reads what it writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import grucore
from grucore.architecture import Step, describe, parse
from grucore.ir import Activation


def test_steps_names_and_folded_activations() -> None:
    assert parse("gru(encoder) > last>linear( head.0 ) > relu > linear > sigmoid") == (
        Step("gru", "encoder"),
        Step("last"),
        Step("linear", "head.0", Activation.RELU),
        Step("linear", None, Activation.SIGMOID),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no step"),
        ("gru >", "is no step"),
        ("gru > lstm", "'lstm' is no step, expected gru, linear, last, relu, sigmoid, tanh"),
        ("gru(a) (b)", "is no step"),
        ("gru()", "an empty name"),
        ("gru > last(x)", "last has no weights to name"),
        ("gru > relu", "relu follows gru, expected it after linear"),
        ("relu", "relu follows nothing"),
        ("gru > linear > relu > tanh", "tanh follows relu, expected one activation"),
        ("gru > last > gru", "gru needs a sequence"),
        ("gru > last > last", "last needs a sequence"),
        ("gru(a) > linear(a)", "uses 'a' twice"),
    ],
)
def test_refusals_name_the_step(text: str, reason: str) -> None:
    with pytest.raises(grucore.ConversionError) as refusal:
        parse(text)
    assert reason in str(refusal.value)
    assert repr(text) in str(refusal.value)


NAMES = st.none() | st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True)
FOLDED = (Activation.LINEAR, Activation.RELU, Activation.SIGMOID, Activation.TANH)
LINEAR = st.builds(Step, st.just("linear"), NAMES, st.sampled_from(FOLDED))
GRU = st.builds(Step, st.just("gru"), NAMES)


@given(st.lists(LINEAR | GRU, min_size=1, max_size=5))
def test_what_is_described_is_read_back(steps: list[Step]) -> None:
    names = [step.name for step in steps if step.name]
    if len(set(names)) == len(names):
        assert parse(describe(steps)) == tuple(steps)
