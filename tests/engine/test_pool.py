# SPDX-License-Identifier: Apache-2.0
"""The pool of streams: each has the bits that it has alone, whoever joins and leaves beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from grucore import StreamPool
from grucore.runtime.pages import PAGE
from models.small_models import frames


def frame_of(model: grucore.Model, rng: np.random.Generator) -> Any:
    """A frame as `push` and `step` take it."""
    made = [
        rng.integers(0, 2, port.features) if port.dtype == "int32" else frames(rng, port.features)
        for port in model.inputs
    ]
    return made[0] if len(made) == 1 else tuple(made)


def same(found: Any, expected: Any) -> bool:
    """Two answers of `step`, bit for bit."""
    if isinstance(expected, tuple):
        return all(same(one, other) for one, other in zip(found, expected, strict=True))
    if expected is None or found is None:
        return found is expected
    return np.array_equal(found, expected, equal_nan=True)


def nothing(answer: Any) -> bool:
    return all(one is None for one in answer) if isinstance(answer, tuple) else answer is None


@pytest.mark.parametrize(
    "name", ["frames_model", "last_model", "ports_model", "words", "strided"], ids=str
)
@pytest.mark.parametrize("queue", [1, 4])
def test_streams_that_come_and_go_are_streams_alone(
    request: pytest.FixtureRequest, rng: np.random.Generator, name: str, queue: int
) -> None:
    model = request.getfixturevalue(name)
    pool = StreamPool(model, queue=queue)
    alone: dict[int, grucore.Stream] = {}
    lines: dict[int, list[Any]] = {}
    answers = 0
    for _ in range(60):
        for _ in range(rng.integers(0, 12)):
            stream = pool.open()
            assert stream not in alone
            alone[stream], lines[stream] = model.stream(), []
        for stream in [*alone]:
            dice = rng.random()
            if dice < 0.1:
                pool.close(stream)
                del alone[stream], lines[stream]
            elif dice < 0.15:
                pool.reset(stream)
                alone[stream].reset()
                lines[stream].clear()
            elif dice < 0.8:
                for _ in range(rng.integers(1, queue + 1)):
                    if len(lines[stream]) < queue:
                        lines[stream].append(frame_of(model, rng))
                        pool.push(stream, lines[stream][-1])
        tick = pool.tick()
        expected = {}
        for stream, line in lines.items():
            if line:
                answer = alone[stream].step(line.pop(0))
                if not nothing(answer):
                    expected[stream] = answer
        assert set(tick) == set(expected)
        assert len(tick) == len(expected)
        assert all(same(tick[stream], answer) for stream, answer in expected.items())
        answers += len(expected)
    assert answers > 300
    assert set(pool) == set(alone)
    assert len(pool) == len(alone)


def test_growth_leaves_others_as_they_are(
    frames_model: grucore.Model, rng: np.random.Generator
) -> None:
    pool = StreamPool(frames_model, capacity=1)
    assert pool.capacity == PAGE
    first, alone = pool.open(), frames_model.stream()
    for joined in (0, 3 * PAGE, PAGE):
        for _ in range(joined):
            pool.open()
        frame = frames(rng, 5)
        pool.push(first, frame)
        assert np.array_equal(pool.tick()[first], alone.step(frame))
    assert pool.capacity == 5 * PAGE
    assert len(pool) == 4 * PAGE + 1


def test_arrays_of_a_tick(frames_model: grucore.Model, rng: np.random.Generator) -> None:
    pool = StreamPool(frames_model)
    streams = [pool.open() for _ in range(PAGE + 20)]
    x = frames(rng, len(streams), 5)
    for stream, frame in zip(streams, x, strict=True):
        pool.push(stream, frame)
    tick = pool.tick()
    assert tick.ids.dtype == np.int64
    assert sorted(tick.ids.tolist()) == sorted(streams)
    expected = frames_model.run(x[:, None])[:, 0]
    assert np.array_equal(tick.outputs, expected[[streams.index(s) for s in tick.ids]])
    kept = tick.outputs.copy()
    for stream in streams:
        pool.push(stream, x[0])
    pool.tick()
    assert np.array_equal(tick.outputs, kept)  # a tick's arrays are its own


@pytest.mark.parametrize("name", ["frames_model", "ports_model", "words"])
def test_many_frames_in_one_call(
    request: pytest.FixtureRequest, rng: np.random.Generator, name: str
) -> None:
    model = request.getfixturevalue(name)
    pools = [StreamPool(model, queue=2) for _ in range(2)]
    for pool in pools:
        streams = np.array([pool.open() for _ in range(PAGE + 40)])
    for turn in range(6):
        chosen = rng.permutation(streams)[: rng.integers(1, len(streams))]
        if turn % 2:  # one of them twice, and some that wait already
            chosen = np.append(chosen, chosen[0])
        made = [frame_of(model, rng) for _ in chosen]
        block = (
            tuple(np.stack(part) for part in zip(*made, strict=True))
            if isinstance(made[0], tuple)
            else np.stack(made)
        )
        pools[0].push_many(chosen, block)
        for stream, frame in zip(chosen.tolist(), made, strict=True):
            pools[1].push(stream, frame)
        ticks = [pool.tick() for pool in pools]
        assert len(ticks[0]) == len(set(chosen.tolist())) or turn
        assert set(ticks[0]) == set(ticks[1])
        assert all(same(ticks[0][stream], ticks[1][stream]) for stream in ticks[1])
        for pool in pools:
            pool.tick()


def test_many_frames_are_taken_together_or_not_at_all(frames_model: grucore.Model) -> None:
    pool = StreamPool(frames_model, queue=2, nonfinite="error")
    streams = [pool.open() for _ in range(4)]
    closed = pool.open()
    pool.close(closed)
    good = np.zeros((4, 5), np.float32)
    bad = good.copy()
    bad[2, 1] = np.nan
    pool.push(streams[3], good[0])
    pool.push(streams[3], good[0])
    for ids, block, error, text in (
        (streams, good, BufferError, f"stream {streams[3]} has 2 frames waiting"),
        ([*streams[:3], closed], good, KeyError, f"no open stream has the id {closed}"),
        ([*streams[:3], 10**9], good, KeyError, "no open stream has the id 1000000000"),
        ([streams[0]] * 4, good, BufferError, "stream 0 has 0 frames waiting"),
        (streams, bad, grucore.NonFiniteError, f"stream {streams[2]} is not finite"),
        (streams, good[:3], ValueError, "shape"),
        (streams[:3], good, ValueError, "shape"),
        ([0.5, 1], good[:2], TypeError, "expected integers"),
    ):
        with pytest.raises(error, match=text):
            pool.push_many(ids, block)
        assert [pool.waiting(stream) for stream in streams] == [0, 0, 0, 2]
    pool.push_many([], np.zeros((0, 5)))
    assert set(pool.tick()) == {streams[3]}


def test_a_tick_without_frames_is_empty(frames_model: grucore.Model) -> None:
    pool = StreamPool(frames_model)
    stream = pool.open()
    tick = pool.tick()
    assert len(tick) == 0
    assert list(tick) == []
    assert tick.outputs.shape == (0, 3)
    with pytest.raises(KeyError):
        tick[stream]


def test_the_id_of_a_closed_stream_is_nobodys(frames_model: grucore.Model) -> None:
    pool = StreamPool(frames_model)
    old = pool.open()
    pool.close(old)
    new = pool.open()
    assert new != old
    assert old not in pool
    assert new in pool
    assert np.int64(new) in pool
    assert "a" not in pool
    for call in (pool.close, pool.reset, pool.waiting, lambda s: pool.push(s, np.zeros(5))):
        for wrong in (old, -1, 10**30, "a", None, 1.5):
            with pytest.raises(KeyError, match="no open stream"):
                call(wrong)


def test_a_full_queue_says_so_and_keeps_what_waits(
    frames_model: grucore.Model, rng: np.random.Generator
) -> None:
    pool = StreamPool(frames_model, queue=2)
    stream, x = pool.open(), frames(rng, 3, 5)
    pool.push(stream, x[0])
    pool.push(stream, x[1])
    with pytest.raises(BufferError, match=r"2 frames waiting, 1 more do not fit \(queue=2\)"):
        pool.push(stream, x[2])
    assert pool.waiting(stream) == 2
    alone = frames_model.stream()
    assert np.array_equal(pool.tick()[stream], alone.step(x[0]))
    assert np.array_equal(pool.tick()[stream], alone.step(x[1]))
    assert pool.waiting(stream) == 0


def test_a_pushed_frame_is_copied(frames_model: grucore.Model, rng: np.random.Generator) -> None:
    pool = StreamPool(frames_model, queue=2)
    stream, x = pool.open(), frames(rng, 5)
    kept = x.copy()
    pool.push(stream, x)
    pool.push(stream, x)
    x[:] = np.nan
    alone = frames_model.stream()
    for _ in range(2):
        assert np.array_equal(pool.tick()[stream], alone.step(kept))


@pytest.mark.parametrize("nonfinite", ["propagate", "hold", "error"])
def test_one_bad_frame_is_one_streams_matter(
    strided: grucore.Model, rng: np.random.Generator, nonfinite: str
) -> None:
    pool = StreamPool(strided, nonfinite=nonfinite)
    streams = [pool.open() for _ in range(5)]
    alone = [strided.stream(nonfinite=nonfinite) for _ in streams]
    for frame in range(12):
        x = frames(rng, 5, 2)
        if frame in (4, 5, 8):
            x[3, 0] = np.inf
        expected = []
        for row, stream in enumerate(streams):
            if nonfinite == "error" and not np.isfinite(x[row]).all():
                with pytest.raises(grucore.NonFiniteError, match="not taken"):
                    pool.push(stream, x[row])
                expected.append(None)
                continue
            pool.push(stream, x[row])
            expected.append(alone[row].step(x[row]))
        tick = pool.tick()
        for stream, answer in zip(streams, expected, strict=True):
            assert same(tick.get(stream), answer)


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (np.zeros(4), ValueError),
        (np.zeros((1, 5)), ValueError),
        (np.float32(1), ValueError),
        (np.zeros(1, np.float32), ValueError),
        (["a"] * 5, TypeError),
        (np.zeros(5, complex), TypeError),
    ],
)
def test_wrong_frames_are_refused(frames_model: grucore.Model, frame: Any, error: type) -> None:
    pool = StreamPool(frames_model)
    stream = pool.open()
    with pytest.raises(error, match="input"):
        pool.push(stream, frame)
    assert pool.waiting(stream) == 0


@pytest.mark.parametrize("given", [{"capacity": -1}, {"queue": 0}, {"nonfinite": "x"}])
def test_wrong_options_are_refused(frames_model: grucore.Model, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        StreamPool(frames_model, **given)


def test_a_model_that_reads_the_future_is_refused(bidirectional_model: grucore.Model) -> None:
    with pytest.raises(grucore.UnsupportedError, match="reads the future"):
        StreamPool(bidirectional_model)
