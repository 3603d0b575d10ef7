# SPDX-License-Identifier: Apache-2.0
"""The architecture language: what it reads, what it refuses, and that it reads what it writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import grucore
from grucore.converters.torch.chain.architecture import Step, describe, parse


def test_steps_names_and_options() -> None:
    assert parse("gru(encoder) > last>linear( head.0 ) > relu > linear > sigmoid") == (
        Step("gru", "encoder"),
        Step("last"),
        Step("linear", "head.0"),
        Step("relu"),
        Step("linear"),
        Step("sigmoid"),
    )
    assert parse("conv1d(c, padding=causal, stride=1,dilation=2) > layer_norm(eps=1e-3) > gru") == (
        Step("conv1d", "c", {"padding": "causal", "stride": 1, "dilation": 2}),
        Step("layer_norm", None, {"eps": 1e-3}),
        Step("gru"),
    )
    assert parse("gru > gelu(approximate=none) > leaky_relu(negative_slope=0.1)")[1:] == (
        Step("gelu", None, {"approximate": "none"}),
        Step("leaky_relu", None, {"negative_slope": 0.1}),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no step"),
        ("gru >", "is no step"),
        ("gru > gcn", "'gcn' is no step, expected gru, lstm, rnn, linear, embedding, conv1d"),
        ("rnn(nonlinearity=selu)", "nonlinearity of rnn cannot be 'selu'"),
        ("gru(a) (b)", "is no step"),
        ("gru()", "an empty name"),
        ("gru(a, b)", "two names"),
        ("gru > last(x)", "last has no weights to name"),
        ("gru > last > gru", "gru needs a sequence, but last leaves one frame only"),
        ("gru > last > last", "last needs a sequence"),
        ("gru > relu > final", "final needs a gru, lstm or rnn right before it"),
        ("gru > final > gru", "gru needs a sequence, but final"),
        ("gru > mean > conv1d(c, padding=0)", "conv1d needs a sequence, but mean"),
        ("gru(a) > linear(a)", "uses 'a' twice"),
        ("gru(a, eps=1)", "gru has an argument 'eps', expected h_0"),
        ("layer_norm(eps=small)", "eps of layer_norm cannot be 'small'"),
        ("layer_norm(eps=1, eps=2)", "has an argument 'eps'"),
        ("conv1d(padding=left)", "padding of conv1d cannot be 'left'"),
        ("conv1d(stride=0)", "stride of conv1d cannot be '0'"),
        ("gru > gelu", "gelu needs approximate"),
        ("gru > elu", "elu needs alpha"),
    ],
)
def test_refusals_name_the_step(text: str, reason: str) -> None:
    with pytest.raises(grucore.ConversionError) as refusal:
        parse(text)
    assert reason in str(refusal.value)
    assert repr(text) in str(refusal.value)


NAMES = st.none() | st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True)
STEPS = (
    st.builds(Step, st.sampled_from(["linear", "gru", "embedding", "prelu"]), NAMES)
    | st.builds(Step, st.sampled_from(["relu", "sigmoid", "softmax"]))
    | st.builds(Step, st.just("layer_norm"), NAMES, st.builds(dict, eps=st.floats(0, 1)))
)


@given(st.lists(STEPS, min_size=1, max_size=5))
def test_what_is_described_is_read_back(steps: list[Step]) -> None:
    names = [step.name for step in steps if step.name]
    if len(set(names)) == len(names):
        assert parse(describe(steps)) == tuple(steps)
