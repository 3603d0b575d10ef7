# SPDX-License-Identifier: Apache-2.0
"""Ids, outputs that do not come with every frame, and histories, as a user sees them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from cli.cli_calls import as_json, save_array
from grucore.fileformat import read, write
from grucore.graph.graph import Graph, TestVector
from grucore.graph.layers import Concat, Conv1d, Embedding, Mask
from grucore.graph.node import Value
from grucore.graph.tensors import Dtype
from models.chain import Chain
from models.clocked_models import conv


def test_ports_say_what_they_are(words: grucore.Model, strided: grucore.Model) -> None:
    assert words.inputs == (("ids", 1, "int32", "frame"),)
    assert [port.dtype for port in words.outputs] == ["float32", "int32"]
    assert [port.rate for port in strided.outputs] == ["3 frames", "sequence", "frame"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64, np.uint64, bool])
def test_ids_of_any_integer_dtype(words: grucore.Model, dtype: Any) -> None:
    ids = np.array([[1, 0, 1], [0, 1, 1]])
    expected, mask = words.run(ids)
    assert expected.shape[:2] == (2, 3)
    assert mask.dtype == np.int32
    assert mask[..., 0].tolist() == (ids != 0).tolist()
    for given in (ids.astype(dtype), ids.astype(dtype)[..., None]):
        assert np.array_equal(words.run(given)[0], expected)
    assert np.array_equal(words.run(ids[1].astype(dtype))[0], expected[1])
    turned = words.run(ids.T.astype(dtype), time_first=True)[0]
    assert np.array_equal(turned, expected.swapaxes(0, 1))


def test_ids_in_streams(words: grucore.Model) -> None:
    ids = np.array([[1, 0, 7], [9, 5, 5]])
    expected, mask = words.run(ids)
    stream = words.stream(2)
    for frame in range(3):
        shape = (2,) if frame % 2 else (2, 1)
        y, open_ = stream.step(ids[:, frame].reshape(shape))
        assert np.array_equal(y, expected[:, frame])
        assert np.array_equal(open_, mask[:, frame])
    single = words.stream()
    assert np.array_equal(single.step(9)[0], expected[1, 0])
    assert np.array_equal(single.run([5, 5])[0], expected[1, 1:])
    assert np.array_equal(words.stream(2).run(ids)[0], expected)


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.longlong])
def test_scalars_and_arrays_of_ids_step_alike(words: grucore.Model, kind: Any) -> None:
    expected = words.run([7])[0][0]
    for given in (
        7,
        kind(7),
        np.array(7, kind),
        np.array([7], kind),
        [7],
        np.array([7, 0], kind)[::2],
    ):
        y, mask = words.stream().step(given)
        assert np.array_equal(y, expected)
        assert mask == 1
    for given in (10, kind(10), np.array([10], kind), -1, np.array(-1, kind)):
        with pytest.raises(ValueError, match="expected 0 to 9"):
            words.stream().step(given)
    batch = words.stream(2)
    with pytest.raises(ValueError, match="has shape"):
        batch.step(kind(7))
    with pytest.raises(ValueError, match="has shape"):
        batch.step(np.array([7], kind))
    y, _ = batch.step(np.array([7, 7], kind), active=np.array([False, True]))
    assert not y[0].any()
    assert np.array_equal(y[1], expected)


def test_outputs_of_ids_and_several_inputs_may_be_given(words: grucore.Model) -> None:
    stream = words.stream()
    out = (np.empty(words.outputs[0].features, np.float32), np.empty(1, np.int32))
    given = stream.step(3, out)
    assert given[0] is out[0]
    assert given[1] is out[1]
    assert np.array_equal(out[0], words.run([3])[0][0])
    with pytest.raises(TypeError, match="has dtype float32, expected int32"):
        stream.step(3, (out[0], np.empty(1, np.float32)))
    with pytest.raises(ValueError, match="out must be a tuple of 2 arrays"):
        stream.step(3, out[0])


@pytest.mark.parametrize(("bad", "found"), [(10, "10"), (-1, "-1"), (2**40, str(2**40))])
def test_an_id_out_of_range_is_named(words: grucore.Model, bad: int, found: str) -> None:
    ids = np.array([[1, 2, 3], [4, bad, 6]])
    message = rf"input 'ids' has {found} at \(1, 1\), expected 0 to 9"
    for call in (words.run, words.stream(2).run):
        with pytest.raises(ValueError, match=message):
            call(ids)
    with pytest.raises(ValueError, match=f"input 'ids' has {found} at"):
        words.stream().step(bad)


def test_ids_are_integers(words: grucore.Model) -> None:
    with pytest.raises(TypeError, match="input 'ids' has dtype float64, expected integers"):
        words.run(np.zeros(3))
    with pytest.raises(TypeError, match="expected integers"):
        words.stream().step(1.0)


def test_the_smallest_embedding_bounds_the_ids() -> None:
    rng = np.random.default_rng(3)
    chain = Chain(
        Value("a", 1, Dtype.INT32), Value("b", 2, Dtype.INT32), Value("c", 1, Dtype.INT32)
    )
    a, b, c = chain.values.values()
    small = chain.add(Embedding, a, table=rng.normal(size=(5, 2)).astype(np.float32))
    both = chain.add(Concat, a, b)
    large = chain.add(Embedding, both, table=rng.normal(size=(7, 1)).astype(np.float32))
    model = grucore.load(write(chain.graph(small, large, chain.add(Mask, c))))
    zeros = np.zeros((1, 4), int), np.zeros((1, 4, 2), int), np.zeros((1, 4), int)
    model.run(zeros)
    for index, first_bad in ((0, 5), (1, 7)):
        given = list(zeros)
        given[index] = given[index] + first_bad - 1
        model.run(tuple(given))
        given[index] = given[index] + 1
        with pytest.raises(ValueError, match=f"expected 0 to {first_bad - 1}"):
            model.run(tuple(given))
    model.run((*zeros[:2], zeros[2] - 5))  # no embedding reads these
    with pytest.raises(ValueError, match="expected -2147483648 to 2147483647"):
        model.run((*zeros[:2], zeros[2] + 2**31))


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 5, 6, 20])
def test_strided_outputs_have_fewer_frames(strided: grucore.Model, frames: int) -> None:
    rng = np.random.default_rng(frames)
    x = rng.normal(size=(2, frames, 2)).astype(np.float32)
    y, mean, same = strided.run(x)
    count = len(range(2, frames, 3))
    assert (y.shape, mean.shape) == ((2, count, 4), (2, 4))
    assert np.array_equal(same, x)
    turned = strided.run(x.swapaxes(0, 1), time_first=True)
    assert np.array_equal(turned[0], y.swapaxes(0, 1))
    room = (np.empty((2, count, 4), np.float32), np.empty((2, 4), np.float32), np.empty_like(x))
    assert strided.run(x, out=room)[0] is room[0]
    assert np.array_equal(room[0], y)
    stream = strided.stream()
    steps = [stream.step(frame)[0] for frame in x[0]]
    assert [step is not None for step in steps] == [t in range(2, frames, 3) for t in range(frames)]
    if count:
        assert np.array_equal(np.stack([step for step in steps if step is not None]), y[0])


def test_a_step_without_an_output_is_none() -> None:
    chain = Chain(Value("x", 2))
    chain.add(Conv1d, **conv(np.random.default_rng(4), 3, 2, before=1))
    model = grucore.load(write(chain.graph()))
    stream, batch = model.stream(), model.stream(2)
    frame, out = np.ones(2, np.float32), np.full(3, 7, np.float32)
    assert stream.step(frame, out) is None
    assert (out == 7).all()
    assert stream.step(frame, out) is out
    assert (out != 7).all()
    assert batch.step(np.ones((2, 2), np.float32)) is None
    assert batch.step(np.ones((2, 2), np.float32)) is not None


def test_rows_at_different_frames(strided: grucore.Model) -> None:
    stream = strided.stream(2)
    x = np.ones((2, 2), np.float32)
    stream.step(x, active=[0])
    stream.step(x)
    y, _, _ = stream.step(x)  # the third frame of row 0, the second one of row 1
    assert y[0].any()
    assert not y[1].any()
    assert stream.step(x, active=[])[0] is None
    with pytest.raises(ValueError, match=r"not at the same frame.* 1 values .* row 0, 2 for row 1"):
        stream.run(np.ones((2, 4, 2)))
    stream.reset()
    assert stream.run(np.ones((2, 4, 2)))[0].shape == (2, 1, 4)


def test_a_history_is_frames_by_channels(strided: grucore.Model) -> None:
    x = np.arange(14, dtype=np.float32).reshape(7, 2)
    _, state = strided.run(x, return_state=True)
    assert list(state) == ["conv1d.0.history"]
    assert np.array_equal(state["conv1d.0.history"], x[-2:])
    stream = strided.stream(3)
    stream.run(np.stack([x, x + 1, x + 2]))
    snapshot = stream.state
    assert np.array_equal(snapshot["conv1d.0.history"], [x[-2:], x[-2:] + 1, x[-2:] + 2])
    other = strided.stream(3)
    other.state = snapshot
    assert np.array_equal(other.state["conv1d.0.history"], snapshot["conv1d.0.history"])
    with pytest.raises(ValueError, match=r"has shape \(4,\), expected \(2, 2\)"):
        strided.run(x, state={"conv1d.0.history": np.zeros(4)})


def test_vectors_of_ids_and_of_fewer_frames(words: grucore.Model, strided: grucore.Model) -> None:
    rng = np.random.default_rng(5)
    for model, shape in ((words, (9, 1)), (strided, (9, 2))):
        graph = read(bytes(model))
        x = rng.integers(0, 10, shape).astype(model.inputs[0].dtype)
        outputs = tuple(array[0] for array in model.run(x[None]))
        tested = grucore.load(write(replace(graph, test=TestVector((x,), outputs))))
        assert tested.selftest().exact
        assert _same_vector(read(bytes(tested)), x, outputs)


def _same_vector(graph: Graph, x: np.ndarray, outputs: tuple[np.ndarray, ...]) -> bool:
    assert graph.test is not None
    pairs = zip((*graph.test.inputs, *graph.test.outputs), (x, *outputs), strict=True)
    return all(np.array_equal(have, want) for have, want in pairs)


def test_other_inputs_say_whether_ids_are_a_batch() -> None:
    chain = Chain(Value("ids", 1, Dtype.INT32), Value("x", 2))
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    rows = chain.add(Embedding, chain.values["ids"], table=table)
    chain.add(Concat, rows, chain.values["x"])
    model = grucore.load(write(chain.graph()))
    x, ids = np.ones((1, 2), np.float32), np.array([[2]])
    assert model.run((ids, x)).shape == (1, 4)
    assert model.run((ids[0], x)).shape == (1, 4)
    assert model.run({"ids": ids, "x": x[None]}).shape == (1, 1, 4)
    assert model.run((ids[None], x[None])).tolist() == [[[4, 5, 1, 1]]]


@pytest.mark.parametrize("more", [[], ["--stream"]])
def test_the_command_line_runs_them(
    words: grucore.Model,
    strided: grucore.Model,
    tmp_path: Path,
    more: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(6)
    ids = rng.integers(0, 10, (2, 7))
    for model, x in ((words, ids), (strided, rng.normal(size=(2, 8, 2)).astype(np.float32))):
        path, output = str(tmp_path / "model.gru"), str(tmp_path / "y.npz")
        model.save(path)
        given = save_array(tmp_path / "x.npy", x)
        lengths = np.array([x.shape[1], 3])
        rows = save_array(tmp_path / "lengths.npy", lengths)
        report = as_json(capsys, "run", path, "-i", given, "--lengths", rows, "-o", output, *more)
        assert report["frames"] == 2 * x.shape[1]
        found = np.load(output)
        for port, expected in zip(model.outputs, model.run(x, lengths=lengths), strict=True):
            assert np.array_equal(found[port.name], expected)
