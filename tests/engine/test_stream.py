# SPDX-License-Identifier: Apache-2.0
"""Streams: state, batches, active rows, reset and copies."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

import grucore
from models.small_models import frames


def test_steps_are_run(frames_model: grucore.Model, rng: np.random.Generator) -> None:
    x = frames(rng, 150, 5)
    stream = frames_model.stream()
    steps = np.stack([stream.step(frame) for frame in x])
    assert np.array_equal(steps, frames_model.run(x))


@pytest.mark.parametrize("cut", [1, 7, 64, 149])
def test_run_in_blocks_continues_the_state(
    frames_model: grucore.Model, rng: np.random.Generator, cut: int
) -> None:
    x = frames(rng, 150, 5)
    stream = frames_model.stream()
    parts = [stream.run(x[:cut]), stream.step(x[cut])[None], stream.run(x[cut + 1 :])]
    assert np.array_equal(np.concatenate(parts), frames_model.run(x))


def test_an_empty_block_changes_nothing(frames_model: grucore.Model, rng: Any) -> None:
    stream = frames_model.stream()
    stream.step(frames(rng, 5))
    before = stream.state["gru.l0.h"]
    assert stream.run(np.zeros((0, 5), np.float32)).shape == (0, 3)
    assert np.array_equal(stream.state["gru.l0.h"], before)


@pytest.mark.parametrize("batch", [1, 2, 5, 17])
def test_a_row_does_not_see_its_batch(
    frames_model: grucore.Model, rng: np.random.Generator, batch: int
) -> None:
    x = frames(rng, batch, 30, 5)
    stream = frames_model.stream(batch)
    stepped = np.stack([stream.step(x[:, t]) for t in range(30)], axis=1)
    assert stepped.shape == (batch, 30, 3)
    alone = np.stack([frames_model.run(row) for row in x])
    assert np.array_equal(stepped, alone)
    assert np.array_equal(frames_model.stream(batch).run(x), alone)
    assert np.array_equal(frames_model.run(x), alone)


def test_an_output_per_sequence_answers_as_if_it_ended_here(
    last_model: grucore.Model, rng: np.random.Generator
) -> None:
    x = frames(rng, 20, 5)
    stream = last_model.stream()
    for t, frame in enumerate(x):
        assert np.array_equal(stream.step(frame), last_model.run(x[: t + 1]))
    stream.reset()
    stream.run(x[:11])
    assert np.array_equal(stream.run(x[11:]), last_model.run(x))
    batch = last_model.stream(3)
    assert batch.run(frames(rng, 3, 4, 5)).shape == (3, 3)


@pytest.mark.parametrize(
    "active",
    [
        np.array([True, False, True, True]),
        [True, False, True, True],
        [3, 0, 2],
        np.array([-1, 0, 2], np.int8),
    ],
    ids=["bool", "list of bool", "indices", "negative"],
)
def test_inactive_rows_keep_state_and_output(
    frames_model: grucore.Model, rng: np.random.Generator, active: Any
) -> None:
    stream = frames_model.stream(4)
    stream.step(frames(rng, 4, 5))
    before = stream.state["gru.l0.h"]
    x = frames(rng, 4, 5)
    full = stream.copy().step(x)
    out = np.full((4, 3), 7, np.float32)
    assert stream.step(x, out, active=active) is out
    assert np.array_equal(out[[0, 2, 3]], full[[0, 2, 3]])
    assert np.array_equal(out[1], [7, 7, 7])
    after = stream.state["gru.l0.h"]
    assert np.array_equal(after[1], before[1])
    assert not np.any(np.all(after[[0, 2, 3]] == before[[0, 2, 3]], axis=1))


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int32, np.uint32, np.int64, np.longlong])
@pytest.mark.parametrize("rows", [[0], [4], [1, 3], [3, 0, 4], [-1, 2], [0, 1, 2, 3, 4], []])
def test_indices_of_any_integer_dtype(
    frames_model: grucore.Model, rng: np.random.Generator, kind: Any, rows: list[int]
) -> None:
    if np.dtype(kind).kind == "u":
        rows = [row % 5 for row in rows]
    x, out = frames(rng, 5, 5), np.zeros((5, 3), np.float32)
    expected = np.where(
        np.isin(np.arange(5), np.mod(rows, 5))[:, None], frames_model.run(x[:, None])[:, 0], 0
    )
    stream = frames_model.stream(5)
    given = np.array(rows, kind)
    assert np.array_equal(stream.step(x, out, active=given), expected)
    stream.reset()
    assert np.array_equal(stream.step(x, active=np.repeat(given, 2)[::2]), expected)
    stream.reset()
    assert np.array_equal(
        stream.step(x.astype(np.float64), active=np.isin(range(5), np.mod(rows, 5))), expected
    )


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint32])
def test_wrong_arrays_of_indices_are_refused(frames_model: grucore.Model, kind: Any) -> None:
    stream, x = frames_model.stream(3), np.ones((3, 5), np.float32)
    for rows, error in (([3], IndexError), ([1, 1], ValueError), ([2, 0, 2], ValueError)):
        with pytest.raises(error):
            stream.step(x, active=np.array(rows, kind))
    with pytest.raises(IndexError):
        stream.step(x, active=np.array([2**31 - 1, 0], kind))
    with pytest.raises(ValueError, match="twice"):
        stream.step(x, active=np.array([0, 1, 2, 0], kind))
    for marks in (np.ones(2, bool), np.ones(4, bool)):
        with pytest.raises(ValueError, match=r"expected \(3,\)"):
            stream.step(x, active=marks)
    assert not np.any(stream.state["gru.l0.h"])
    assert np.array_equal(stream.step(x), frames_model.run(x[:, None])[:, 0])


def test_inactive_rows_are_zero_without_out(frames_model: grucore.Model, rng: Any) -> None:
    y = frames_model.stream(3).step(frames(rng, 3, 5), active=[1])
    assert np.array_equal(y[[0, 2]], np.zeros((2, 3)))
    assert np.all(y[1] != 0)


@pytest.mark.parametrize("nobody", [[], np.zeros(3, bool), np.zeros(0, np.int64)])
def test_nobody_may_be_active(frames_model: grucore.Model, rng: Any, nobody: Any) -> None:
    stream = frames_model.stream(3)
    assert np.array_equal(stream.step(frames(rng, 3, 5), active=nobody), np.zeros((3, 3)))
    assert not np.any(stream.state["gru.l0.h"])


@pytest.mark.parametrize(
    ("active", "error", "match"),
    [
        ([True, False], ValueError, r"active has shape \(2,\), expected \(3,\)"),
        ([3], IndexError, "active has a row out of range for a batch of 3"),
        ([-4], IndexError, "out of range"),
        ([1, 1], ValueError, "active names a row twice"),
        ([1, -2], ValueError, "active names a row twice"),
        ([0.5], TypeError, "active must be bool"),
        ([[0, 1]], TypeError, "active must be bool"),
    ],
)
def test_wrong_active_is_refused(
    frames_model: grucore.Model, active: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        frames_model.stream(3).step(np.zeros((3, 5)), active=active)
    with pytest.raises(error, match=match.replace("active", "rows")):
        frames_model.stream(3).reset(active)


def test_active_needs_a_batch(frames_model: grucore.Model) -> None:
    with pytest.raises(ValueError, match="active= needs a stream with batch=n"):
        frames_model.stream().step(np.zeros(5), active=[0])


def test_reset_goes_back_to_the_start(frames_model: grucore.Model, rng: Any) -> None:
    x = frames(rng, 5)
    stream = frames_model.stream()
    first = stream.step(x)
    assert not np.array_equal(stream.step(x), first)
    stream.reset()
    assert np.array_equal(stream.step(x), first)


def test_reset_of_rows_leaves_the_others(frames_model: grucore.Model, rng: Any) -> None:
    stream = frames_model.stream(4)
    stream.step(frames(rng, 4, 5))
    before = stream.state["gru.l0.h"]
    stream.reset([3, 1])
    after = stream.state["gru.l0.h"]
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert not np.any(after[[1, 3]])


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_state_is_a_snapshot_that_can_be_assigned(
    frames_model: grucore.Model, rng: np.random.Generator, batch: int | None
) -> None:
    lead = () if batch is None else (batch,)
    stream = frames_model.stream(batch)
    stream.step(frames(rng, *lead, 5))
    state = stream.state
    assert {name: array.shape for name, array in state.items()} == {"gru.l0.h": (*lead, 7)}
    x = frames(rng, *lead, 5)
    expected = stream.step(x)
    assert not np.array_equal(stream.state["gru.l0.h"], state["gru.l0.h"])
    stream.state = state
    assert np.array_equal(stream.step(x), expected)
    stream.state = {"gru.l0.h": state["gru.l0.h"].tolist()}
    assert np.array_equal(stream.step(x), expected)


@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        ({}, ValueError, "missing state 'gru.l0.h'"),
        ({"gru.l0.h": np.zeros(7), "h": np.zeros(7)}, ValueError, "unknown state 'h'"),
        ({"gru.l0.h": np.zeros(6)}, ValueError, r"has shape \(6,\), expected \(7,\)"),
        ({"gru.l0.h": np.zeros((1, 7))}, ValueError, "has shape"),
        ({"gru.l0.h": "zero"}, TypeError, "state 'gru.l0.h' has dtype"),
        (np.zeros(7), TypeError, "a state is a dict of arrays, not ndarray"),
    ],
)
def test_wrong_state_is_refused_and_changes_nothing(
    frames_model: grucore.Model, rng: Any, state: Any, error: type[Exception], match: str
) -> None:
    stream = frames_model.stream()
    stream.step(frames(rng, 5))
    before = stream.state["gru.l0.h"]
    with pytest.raises(error, match=match):
        stream.state = state
    assert np.array_equal(stream.state["gru.l0.h"], before)


@pytest.mark.parametrize("duplicate", [lambda s: s.copy(), copy.copy, copy.deepcopy])
def test_a_copy_goes_its_own_way(last_model: grucore.Model, rng: Any, duplicate: Any) -> None:
    stream = last_model.stream(2, nonfinite="hold")
    stream.step(frames(rng, 2, 5))
    twin = duplicate(stream)
    assert type(twin) is type(stream)
    assert (twin.batch, twin.nonfinite) == (2, "hold")
    assert twin.model is stream.model
    x = frames(rng, 2, 5)
    expected = stream.step(x)
    stream.step(x)
    assert np.array_equal(twin.step(x), expected)


def test_streams_and_models_can_be_keys_of_weak_caches(frames_file: bytes) -> None:
    model = grucore.load(frames_file)
    stream = model.stream()
    cache = weakref.WeakKeyDictionary({model: 1, stream: 2})
    del stream
    gc.collect()
    assert dict(cache) == {model: 1}


def test_a_stream_does_not_pickle(frames_model: grucore.Model) -> None:
    with pytest.raises(TypeError, match="a stream does not pickle"):
        pickle.dumps(frames_model.stream())


def test_a_stream_keeps_its_model_alive(frames_file: bytes, rng: Any) -> None:
    stream = grucore.load(frames_file).stream()
    assert stream.step(frames(rng, 5)).shape == (3,)
    assert repr(stream).startswith("<grucore.Stream of <grucore.Model x (5)")


@pytest.mark.parametrize("batch", [0, -1, 1.5, "2", 1 << 32, 1 << 80])
def test_a_batch_is_a_number_of_rows(frames_model: grucore.Model, batch: Any) -> None:
    with pytest.raises(ValueError, match=r"batch=.*: expected None or an integer from 1 to"):
        frames_model.stream(batch)


def test_reading_the_future_names_the_layer(bidirectional_model: grucore.Model) -> None:
    with pytest.raises(grucore.UnsupportedError, match=r"layer 'gru.l0_reverse' reads the future"):
        bidirectional_model.stream()


def test_the_wrong_batch_of_a_block(frames_model: grucore.Model) -> None:
    with pytest.raises(ValueError, match="2 rows, the stream has batch=3"):
        frames_model.stream(3).run(np.zeros((2, 4, 5)))
    with pytest.raises(ValueError, match=r"expected \(batch, frames, 5\)"):
        frames_model.stream(3).run(np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"expected \(frames, 5\)"):
        frames_model.stream().run(np.zeros((1, 4, 5)))
