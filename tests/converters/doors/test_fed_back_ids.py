# SPDX-License-Identifier: Apache-2.0
"""A decoder whose token is a state: the largest score of a frame is read in the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

torch = oracle("torch")
pytestmark = pytest.mark.oracle

FRAMES, TOKENS, SEEN = 60, 7, 5


class Greedy(torch.nn.Module):  # type: ignore[name-defined,misc]
    """A frame of an encoder, and the token before it, make the next token."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = torch.nn.Embedding(TOKENS, 6)
        self.cell = torch.nn.GRUCell(6 + SEEN, 12)
        self.scores = torch.nn.Linear(12, TOKENS)
        with torch.no_grad():
            self.embedding.weight *= 3
            self.scores.weight *= 3

    def forward(self, x: Any, prev_token: Any, h: Any) -> Any:
        h = self.cell(torch.cat([self.embedding(prev_token), x], -1), h)
        return self.scores(h).argmax(-1), h


@pytest.fixture(scope="module")
def module() -> Greedy:
    return Greedy().eval()


def decoded(module: Greedy, x: np.ndarray, token: int = 0) -> list[int]:
    """The outputs of a loop in Python over (frames, features)."""
    found, previous, h = [], torch.full((1,), token), torch.zeros(1, 12)
    with torch.no_grad():
        for frame in torch.from_numpy(x):
            previous, h = module(frame[None], previous, h)
            found.append(int(previous))
    return found


def ids(outputs: Any) -> np.ndarray:
    """The tokens: the first output, where the cell's state is another one."""
    found = outputs[0] if isinstance(outputs, tuple) else outputs
    return np.asarray(found).reshape(-1)


def check(model: grucore.Model, module: Greedy, rng: np.random.Generator) -> None:
    assert [layer.kind for layer in model.layers].count("arg_max") == 1
    x = rng.normal(0, 2, (FRAMES, SEEN)).astype(np.float32)
    want = decoded(module, x)
    assert len(set(want)) > 3
    found = ids(model.run(x))
    assert found.dtype == np.int32
    assert found.tolist() == want
    stream = model.stream()
    steps = [int(ids(stream.step(frame))[0]) for frame in x]
    assert steps == want
    # The state of the token is its number, and a stream may begin with any.
    (token,) = (name for name in model.states if "token" in name)
    assert stream.state[token].tolist() == [want[-1]]
    stream.reset()
    stream.state = {**stream.state, token: np.array([4.0], np.float32)}
    assert [int(ids(stream.step(frame))[0]) for frame in x] == decoded(module, x, 4)


def test_from_a_live_module(module: Greedy, rng: np.random.Generator) -> None:
    example = (torch.zeros(1, SEEN), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 12))
    check(grucore.from_torch(module, example_inputs=example), module, rng)


@pytest.mark.filterwarnings("ignore:.*legacy TorchScript:DeprecationWarning")
def test_from_onnx(module: Greedy, tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "greedy.onnx"
    example = (torch.zeros(1, SEEN), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 12))
    names = {
        "input_names": ["x", "prev_token", "h"],
        "output_names": ["prev_token_out", "h_out"],
    }
    torch.onnx.export(module, example, path, dynamo=False, **names)
    check(grucore.convert(path), module, rng)


def test_every_table_gives_the_same_ids(
    module: Greedy, tmp_path: Path, rng: np.random.Generator
) -> None:
    example = (torch.zeros(1, SEEN), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 12))
    path = tmp_path / "greedy.gru"
    grucore.from_torch(module, example_inputs=example).save(path)
    x = rng.normal(0, 2, (3, FRAMES, SEEN)).astype(np.float32)
    found = [ids(grucore.load(path, isa=isa).run(x)) for isa in grucore.supported_isas()]
    assert all(np.array_equal(found[0], other) for other in found)
