# SPDX-License-Identifier: Apache-2.0
"""Decoders that attend to a memory: streams compute what the caller's loop in torch does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.graph.layers import Attention
from models.torch_attention import (
    FEATURES,
    FRAMES,
    HIDDEN,
    TOKENS,
    WAYS,
    decoder,
    example,
    loop,
)
from oracle.oracles import oracle

torch = oracle("torch")
nn = torch.nn
pytestmark = pytest.mark.oracle

BOUND = 3e-6  # of the scale of the outputs
STEPS = 12


def memory_of(rng: np.random.Generator, frames: int) -> np.ndarray:
    return rng.normal(size=(frames, FEATURES)).astype(np.float32)


def near(found: Any, want: Any) -> bool:
    scale = max(1.0, float(np.abs(want).max()))
    return float(np.abs(np.asarray(found) - np.asarray(want)).max()) <= BOUND * scale


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_is_the_loop_of_the_caller(way: str, rng: np.random.Generator) -> None:
    module = decoder(way)
    model = grucore.from_torch(module, example_inputs=example())
    assert [port.name for port in model.inputs] == ["tokens"]
    assert list(model.metadata["source"]["memories"].values()) == ["memory"]
    stream = model.stream()
    for frames in (FRAMES, 1, 4):
        memory = memory_of(rng, frames)
        tokens = rng.integers(0, TOKENS, STEPS)
        want = loop(module, tokens, memory)
        stream.reset()
        stream.set_memory(memory)
        found = np.array([stream.step([token]) for token in tokens])
        assert near(found, want)
        assert np.array_equal(model.run(tokens, memory=memory), found)
        assert stream.state["gru.l0.h"].shape == (HIDDEN,)


def test_rows_of_a_batch_have_memories_of_their_own(rng: np.random.Generator) -> None:
    module = decoder("additive")
    model = grucore.from_torch(module, example_inputs=example())
    lengths = np.array([3, FRAMES, 1])
    memory = rng.normal(size=(3, FRAMES, FEATURES)).astype(np.float32)
    tokens = rng.integers(0, TOKENS, (3, STEPS))
    found = model.run(tokens, memory=memory, memory_lengths=lengths)
    stream = model.stream(batch=3)
    stream.set_memory(memory, lengths)
    stepped = np.stack([stream.step(column[:, None]) for column in tokens.T], axis=1)
    assert np.array_equal(stepped, found)
    for row, count in enumerate(lengths):
        assert near(found[row], loop(module, tokens[row], memory[row, :count]))
        alone = model.run(tokens[row], memory=memory[row, :count])
        assert np.array_equal(alone, found[row])


class Previous(nn.Module):
    """Attends by the state before, and feeds what it finds into the cell."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.cell = nn.Embedding(TOKENS, 6), nn.GRUCell(6 + FEATURES, HIDDEN)
        self.query, self.key = nn.Linear(HIDDEN, 10), nn.Linear(FEATURES, 10)
        self.vector, self.head = nn.Linear(10, 1), nn.Linear(HIDDEN, 5)

    def forward(self, tokens: Any, hidden: Any, encoder_outputs: Any) -> Any:
        met = torch.tanh(self.query(hidden).unsqueeze(1) + self.key(encoder_outputs))
        shares = torch.softmax(self.vector(met), dim=1).transpose(1, 2)
        context = torch.bmm(shares, encoder_outputs).squeeze(1)
        hidden = self.cell(torch.cat([self.embedding(tokens), context], dim=1), hidden)
        return self.head(hidden), hidden


def test_what_is_attended_to_may_enter_the_cell(rng: np.random.Generator) -> None:
    torch.manual_seed(3)
    module = Previous().eval()
    tokens = torch.zeros(2, dtype=torch.long)
    given = (tokens, torch.zeros(2, HIDDEN), torch.randn(2, FRAMES, FEATURES))
    model = grucore.from_torch(module, example_inputs=given)
    memory, h, stream = memory_of(rng, 5), torch.zeros(1, HIDDEN), model.stream()
    stream.set_memory(memory)
    for token in rng.integers(0, TOKENS, STEPS):
        with torch.inference_mode():
            y, h = module(torch.tensor([int(token)]), h, torch.from_numpy(memory)[None])
        assert near(stream.step([token]), y.numpy()[0])


def test_a_sequence_at_once_attends_frame_by_frame(rng: np.random.Generator) -> None:
    """As in training, where the tokens are known: an example of several frames."""
    module = decoder("dot")
    tokens, h, memory = example()
    model = grucore.from_torch(module, example_inputs=(tokens.repeat(1, 4), h, memory))
    given, ids = memory_of(rng, 4), rng.integers(0, TOKENS, STEPS)
    assert near(model.run(ids, memory=given), loop(module, ids, given))


class Refused(nn.Module):
    """A module whose forward is a function of it, a token, a state and a memory."""

    def __init__(self, attend: Any) -> None:
        super().__init__()
        self.attend = attend
        self.embedding, self.gru = nn.Embedding(TOKENS, 6), nn.GRU(6, FEATURES, batch_first=True)

    def forward(self, tokens: Any, h: Any, *memory: Any) -> Any:
        y, h = self.gru(self.embedding(tokens), h)
        return *self.attend(self, y, *memory), h


def _shares(m: Any, y: Any, memory: Any) -> Any:
    shares = torch.softmax(y @ memory.mT, -1)
    return shares @ memory, shares


REFUSALS = {
    "is the shares of the frames of the memory 'memory_0'": (_shares, 1),
    "keys are made of 'memory_0', values of 'memory_1'": (
        lambda m, y, keys, values: [torch.softmax(y @ keys.mT, -1) @ values],
        2,
    ),
    "sums up a memory by scores of which no softmax was taken": (
        lambda m, y, memory: [y @ memory.mT @ memory + torch.softmax(y, -1)],
        1,
    ),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_what_is_no_attention_is_refused(message: str) -> None:
    attend, count = REFUSALS[message]
    memories = [torch.randn(2, FRAMES, FEATURES) for _ in range(count)]
    given = (torch.zeros(2, 1, dtype=torch.long), torch.zeros(1, 2, FEATURES), *memories)
    with pytest.raises(grucore.ConversionError) as raised:
        grucore.from_torch(Refused(attend).eval(), example_inputs=given)
    assert message in str(raised.value)


def test_linear_maps_of_keys_and_values_go_into_the_layers_around(tmp_path: Any) -> None:
    model = grucore.from_torch(decoder("MultiheadAttention"), example_inputs=example())
    (layer,) = [node for node in graph_of(model).nodes if isinstance(node, Attention)]
    assert (layer.heads, layer.frames, layer.features) == (2, FRAMES, FEATURES)
    model.save(tmp_path / "m.gru")
    assert grucore.load(tmp_path / "m.gru").selftest().exact


def graph_of(model: grucore.Model) -> Any:
    return fileformat.read(bytes(model))
