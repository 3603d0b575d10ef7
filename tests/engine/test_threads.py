# SPDX-License-Identifier: Apache-2.0
"""One model and many threads, one stream and two threads, and processes that fork."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.fileformat import write
from models.small_models import GRAPHS, frames_graph


@pytest.mark.parametrize("name", sorted(GRAPHS))
@pytest.mark.parametrize("threads", [2, 3, 8, 200])
def test_threads_do_not_change_a_bit(name: str, threads: int, rng: np.random.Generator) -> None:
    model = grucore.load(write(GRAPHS[name]()))
    arrays = tuple(rng.normal(size=(131, 20, p.features)) for p in model.inputs)
    x: Any = arrays if len(arrays) > 1 else arrays[0]
    lengths = rng.integers(0, 21, 131)
    alone, state = model.run(x, lengths=lengths, return_state=True)
    split, split_state = model.run(x, lengths=lengths, return_state=True, threads=threads)
    if not isinstance(alone, tuple):
        alone, split = (alone,), (split,)
    for one, other in zip(alone, split, strict=True):
        assert np.array_equal(one, other)
    for key, array in state.items():
        assert np.array_equal(array, split_state[key])


@pytest.mark.parametrize("threads", [0, -1, 1.5, None])
def test_threads_are_counted_from_one(frames_model: grucore.Model, threads: Any) -> None:
    with pytest.raises(ValueError, match=r"threads=.*: expected an integer of at least 1"):
        frames_model.run(np.zeros((3, 5)), threads=threads)


def test_a_bad_frame_in_another_thread_is_named(frames_model: grucore.Model, rng: Any) -> None:
    x = rng.normal(size=(40, 6, 5)).astype(np.float32)
    x[37, 2, 0] = np.nan
    with pytest.raises(grucore.NonFiniteError, match="row 37 frame 2"):
        frames_model.run(x, threads=4, nonfinite="error")


def test_threads_share_a_model(rng: np.random.Generator) -> None:
    model = grucore.load(write(frames_graph(20, 48, 9)))
    x = rng.normal(size=(8, 60, 20)).astype(np.float32)
    expected = model.run(x)

    def work(row: int) -> bool:
        same = True
        for _ in range(10):
            stream = model.stream()
            steps = np.stack([stream.step(frame) for frame in x[row]])
            again = grucore.load(bytes(model)).run(x[row])
            same &= bool(np.array_equal(steps, expected[row]) and np.array_equal(again, steps))
        return same

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_two_threads_in_one_stream_are_told(rng: np.random.Generator) -> None:
    """A long call succeeds or says that the stream is busy, and somebody meets somebody."""
    model = grucore.load(write(frames_graph(64, 256, 8)))
    stream = model.stream(16)
    x = rng.normal(size=(16, 40, 64)).astype(np.float32)
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(10):
            try:
                stream.run(x)
                stream.step(x[:, 0])
                stream.reset([0])
                _ = stream.state
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors
    assert {type(error) for error in errors} == {grucore.StreamBusyError}
    assert "another thread is using this stream" in str(errors[0])
    stream.reset()
    assert np.array_equal(stream.run(x), model.run(x))


def test_an_error_does_not_leave_a_stream_busy(frames_model: grucore.Model) -> None:
    stream = frames_model.stream(2, nonfinite="error")
    bad = np.full((2, 5), np.nan, np.float32)
    for _ in range(3):
        with pytest.raises(grucore.NonFiniteError):
            stream.step(bad)
        with pytest.raises(ValueError, match="shape"):
            stream.step(bad[0])
    assert np.all(np.isfinite(stream.step(np.zeros((2, 5), np.float32))))


def _child(model: Any, stream: Any, x: np.ndarray, results: Any) -> None:
    parts = [model.run(x), model.run(x[None], threads=2)[0]]
    if stream is not None:
        parts.append(stream.run(x))
    results.put([part.tobytes() for part in parts])


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_model_goes_to_another_process(
    frames_model: grucore.Model, rng: np.random.Generator, method: str
) -> None:
    if method != "fork" and not hasattr(sys.modules["__main__"], "__spec__"):
        pytest.skip("the main module cannot be imported again")
    context = multiprocessing.get_context(method)
    x = rng.normal(size=(30, 5)).astype(np.float32)
    expected = frames_model.run(x).tobytes()
    frames_model.run(np.stack([x] * 4), threads=2)  # threads before a fork must not matter
    stream = frames_model.stream() if method == "fork" else None
    results = context.SimpleQueue()
    process = context.Process(target=_child, args=(frames_model, stream, x, results))
    process.start()
    parts = results.get()
    process.join()
    assert process.exitcode == 0
    assert all(part == expected for part in parts)
