# SPDX-License-Identifier: Apache-2.0
"""Memories that a caller sets: shapes, lengths, several layers, what is left after a reset."""

from __future__ import annotations

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.graph.layers import Attention
from grucore.graph.node import Value
from models.chain import Chain, add_gru, uniform

FRAMES, FEATURES = 5, 4


def model_of(rng: np.random.Generator, layers: int = 1, *, additive: bool = False) -> grucore.Model:
    chain = Chain(Value("x", FEATURES))
    for _ in range(layers):
        settings = {"frames": FRAMES, "features": FEATURES, "width": FEATURES}
        if additive:
            weight = uniform(rng, FEATURES, FEATURES)
            settings |= {"weight": weight, "bias": uniform(rng, FEATURES)}
            settings["vector"] = uniform(rng, FEATURES)
        chain.add(Attention, **settings)
    return grucore.load(fileformat.write(chain.graph()))


def attended(x: np.ndarray, memory: np.ndarray) -> np.ndarray:
    scores = x.astype(float) @ memory.astype(float).T
    terms = np.exp(scores - scores.max(axis=1, keepdims=True))
    return terms / terms.sum(axis=1, keepdims=True) @ memory


def test_a_memory_is_what_the_formula_says(rng: np.random.Generator) -> None:
    model, x = model_of(rng), rng.normal(size=(6, FEATURES)).astype(np.float32)
    assert not model.run(x).any()
    for frames in (FRAMES, 1, 3):
        memory = rng.normal(size=(frames, FEATURES))  # float64 is converted
        assert np.abs(model.run(x, memory=memory) - attended(x, memory)).max() < 1e-6
    assert not model.run(x, memory=np.zeros((0, FEATURES))).any()


def test_another_memory_takes_the_place_of_the_first(rng: np.random.Generator) -> None:
    """The keys of an additive layer, too, which are made once."""
    model, x = model_of(rng, additive=True), rng.normal(size=FEATURES).astype(np.float32)
    first, second = rng.normal(size=(2, FRAMES, FEATURES)).astype(np.float32)
    stream, fresh = model.stream(), model.stream()
    stream.set_memory(first)
    stream.step(x)
    stream.set_memory(second[:3])
    fresh.set_memory(second[:3])
    assert np.array_equal(stream.step(x), fresh.step(x))
    twin = stream.copy()
    assert np.array_equal(twin.step(x), fresh.step(x))
    stream.state = stream.state | {"attention.0.length": [2]}
    fresh.set_memory(second[:2])
    assert np.array_equal(stream.step(x), fresh.step(x))
    stream.reset()
    assert not stream.step(x).any()


def test_each_layer_may_have_its_own(rng: np.random.Generator) -> None:
    model, x = model_of(rng, 2), rng.normal(size=(3, FEATURES)).astype(np.float32)
    one, two = rng.normal(size=(2, FRAMES, FEATURES)).astype(np.float32)
    want = attended(attended(x, one).astype(np.float32), two)
    found = model.run(x, memory={"attention.0": one, "attention.1": two})
    assert np.abs(found - want).max() < 1e-5
    with pytest.raises(ValueError, match=r"attention\.1"):
        model.run(x, memory={"attention.0": one})


@pytest.mark.parametrize(
    ("shape", "lengths", "message"),
    [
        ((FRAMES + 1, FEATURES), None, r"\(6, 4\), expected \(up to 5, 4\)"),
        ((FRAMES, FEATURES + 1), None, r"\(5, 5\)"),
        ((FEATURES,), None, r"\(4,\), expected"),
        ((FRAMES, FEATURES), [FRAMES + 1], r"\[6\], expected 0 to 5"),
        ((FRAMES, FEATURES), [1, 2], r"lengths of memories"),
    ],
)
def test_shapes_and_lengths_are_checked(
    shape: tuple[int, ...], lengths: object, message: str, rng: np.random.Generator
) -> None:
    stream = model_of(rng).stream()
    with pytest.raises(ValueError, match=message):
        stream.set_memory(np.zeros(shape), lengths)


def test_a_model_without_memories_says_so() -> None:
    chain = Chain(Value("x", 1))
    add_gru(np.random.default_rng(1), chain)
    model = grucore.load(fileformat.write(chain.graph()))
    with pytest.raises(ValueError, match="no layer of the model attends"):
        model.stream().set_memory(np.zeros((1, 1)))
    with pytest.raises(ValueError, match="no layer of the model attends"):
        model.run(np.zeros((2, 1)), memory=np.zeros((1, 1)))


@pytest.mark.parametrize("additive", [False, True])
def test_streams_of_a_pool_have_memories_of_their_own(
    additive: bool, rng: np.random.Generator
) -> None:
    model = model_of(rng, additive=additive)
    pool, alone = grucore.StreamPool(model), {}
    for frames in (FRAMES, 2, 0, 4):
        caller, memory = pool.open(), rng.normal(size=(frames, FEATURES)).astype(np.float32)
        alone[caller] = model.stream()
        pool.set_memory(caller, memory)
        alone[caller].set_memory(memory)
    left = next(iter(alone))
    for step in range(6):
        if step == 3:  # one leaves, another takes its place, with no memory yet
            pool.close(left)
            del alone[left]
            alone[pool.open()] = model.stream()
        if step == 4:
            memory = rng.normal(size=(3, FEATURES))
            pool.set_memory(list(alone)[-1], memory, length=2)
            alone[list(alone)[-1]].set_memory(memory, [2])
        frames = {stream: rng.normal(size=FEATURES).astype(np.float32) for stream in alone}
        for stream, frame in frames.items():
            pool.push(stream, frame)
        tick = pool.tick()
        for stream, frame in frames.items():
            assert np.array_equal(tick[stream], alone[stream].step(frame))


def test_what_a_pool_refuses(rng: np.random.Generator) -> None:
    pool = grucore.StreamPool(model_of(rng))
    caller = pool.open()
    with pytest.raises(ValueError, match="memory of layer"):
        pool.set_memory(caller, np.zeros((FRAMES + 1, FEATURES)))
    with pytest.raises(KeyError, match="no open stream"):
        pool.set_memory(caller + 1, np.zeros((1, FEATURES)))
    page = pool._pages[0]
    with pytest.raises(IndexError, match="rows 256 to 257 of 256"):
        page.stream._move_state([], True, 256, 1)
