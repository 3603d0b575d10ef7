# SPDX-License-Identifier: Apache-2.0
"""The example: final state out of one model into another, each token fed back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")

EXAMPLE = Path(__file__).parents[2] / "examples" / "encoder_decoder"
STEPS = 40  # far too few to learn it: the two have to agree about anything


@pytest.fixture(scope="module")
def scripts() -> object:
    """The modules of the example."""
    if not EXAMPLE.is_dir():
        pytest.skip("the examples are not here")
    sys.path.insert(0, str(EXAMPLE))
    try:
        import reverse
        import train
    finally:
        sys.path.remove(str(EXAMPLE))
    return train, reverse


def greedy(train: object, encoder: object, decoder: object, digits: str, most: int) -> str:
    """The answer of torch."""
    token, said = train.START, ""
    with torch.no_grad():
        h = encoder(torch.tensor([[int(digit) for digit in digits]]))
        for _ in range(most):
            scores, h = decoder(torch.tensor([[token]]), h)
            token = int(scores.argmax())
            if token == train.STOP:
                break
            said += str(token)
    return said


def test_tokens_are_those_of_torch(scripts: tuple[object, object]) -> None:
    train, reverse = scripts
    encoder, decoder = train.train(STEPS)
    models = train.convert(encoder, decoder)
    for digits in ("7", "31415926", "000"):
        expected = greedy(train, encoder, decoder, digits, 12)
        assert reverse.reverse(*models, digits, 12) == expected


def test_states_are_those_of_torch_for_a_batch(scripts: tuple[object, object]) -> None:
    train, _ = scripts
    encoder, decoder = train.train(2)
    ours, theirs = train.convert(encoder, decoder), torch.randint(0, 10, (3, 5))
    _, state = ours[0].run(theirs.numpy(), return_state=True)
    with torch.no_grad():
        h = encoder(theirs)
        scores, h = decoder(torch.full((3, 1), train.START), h)
    stream = ours[1].stream(batch=3)
    stream.state = state
    y = stream.step(np.full(3, train.START))
    assert np.abs(y - scores[:, 0].numpy()).max() < 1e-5
    assert np.abs(stream.state["gru.l0.h"] - h[0].numpy()).max() < 1e-5
    assert ours[1].metadata["source"]["states"] == {"gru.l0.h": "h[0]"}
    assert isinstance(ours[0], grucore.Model)


def test_the_scripts_name_what_is_missing_and_find_what_was_trained(
    scripts: tuple[object, object], tmp_path: Path
) -> None:
    script, more = str(EXAMPLE / "reverse.py"), ["--models", str(tmp_path / "models")]
    before = sorted(EXAMPLE.iterdir())
    missing = subprocess.run([sys.executable, script, *more, "12"], capture_output=True, text=True)
    assert missing.returncode == 2
    assert "not there yet: run train.py, which writes them" in missing.stderr
    assert "Traceback" not in missing.stderr
    command = [sys.executable, str(EXAMPLE / "train.py"), "--steps", "2", "--output", more[1]]
    subprocess.run(command, capture_output=True, check=True, timeout=300)
    done = subprocess.run([sys.executable, script, *more, "12"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("12 -> ")
    assert sorted(EXAMPLE.iterdir()) == before
