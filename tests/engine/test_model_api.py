# SPDX-License-Identifier: Apache-2.0
"""Models: what they say about themselves, run with every option, save, pickle, self-test."""

from __future__ import annotations

import copy
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.fileformat import write
from models.small_models import GRAPHS, frames, frames_graph, last_graph, with_test_vector


def inputs_of(model: grucore.Model, rng: np.random.Generator, *lead: int) -> Any:
    arrays = tuple(frames(rng, *lead, port.features) for port in model.inputs)
    return arrays if len(arrays) > 1 else arrays[0]


def each(outputs: Any) -> tuple[np.ndarray, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def test_a_model_describes_itself(frames_model: grucore.Model, frames_file: bytes) -> None:
    assert frames_model.inputs == (("x", 5, "float32", "frame"),)
    assert frames_model.outputs[0].name == "y"
    assert frames_model.outputs[0].features == 3
    assert frames_model.nbytes == len(frames_file)
    assert frames_model.isa == (os.environ.get("GRUCORE_ISA") or grucore.supported_isas()[0])
    assert frames_model.numerics in {"fused", "muladd"}
    isa = frames_model.isa
    assert repr(frames_model) == f"<grucore.Model x (5) -> y (3), {len(frames_file)} bytes, {isa}>"
    assert bytes(frames_model) == frames_file


def test_rates_are_words(last_model: grucore.Model, ports_model: grucore.Model) -> None:
    assert [port.rate for port in last_model.outputs] == ["sequence"]
    assert [port.rate for port in ports_model.outputs] == ["frame", "sequence"]


@pytest.mark.parametrize("name", ["isa", "numerics", "nbytes", "inputs", "metadata", "other"])
def test_a_model_is_immutable(frames_model: grucore.Model, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(frames_model, name, None)
    with pytest.raises(AttributeError):
        delattr(frames_model, name)


def test_metadata_is_a_fresh_dict() -> None:
    graph = frames_graph().with_metadata(source={"framework": "torch"}, unit="µV")
    model = grucore.load(write(graph))
    assert model.metadata["source"] == {"framework": "torch"}
    assert model.metadata["unit"] == "µV"
    model.metadata["source"]["framework"] = "keras"
    assert model.metadata["source"] == {"framework": "torch"}
    assert model.proof is None


@pytest.mark.parametrize("isa", grucore.supported_isas())
def test_every_isa_of_a_class_gives_the_same_bits(isa: str, rng: np.random.Generator) -> None:
    data = write(frames_graph(13, 37, 6, layers=2))
    model = grucore.load(data, isa=isa)
    assert model.isa == isa
    twin = grucore.load(data, isa="scalar" if model.numerics == "fused" else "scalar_muladd")
    assert twin.numerics == model.numerics
    x = frames(rng, 5, 40, 13)
    assert np.array_equal(model.run(x), twin.run(x))


def test_batches_and_sequences_have_their_shapes(any_model: grucore.Model, rng: Any) -> None:
    for lead in ((4,), (2, 4), (0,), (3, 0), (0, 4)):
        outputs = each(any_model.run(inputs_of(any_model, rng, *lead)))
        for port, output in zip(any_model.outputs, outputs, strict=True):
            kept = lead if port.rate == "frame" else lead[:-1]
            assert output.shape == (*kept, port.features)
            assert output.dtype == np.float32
            if 0 in lead:
                assert not np.any(output)


def test_rows_of_a_batch_are_sequences(any_model: grucore.Model, rng: Any) -> None:
    x = inputs_of(any_model, rng, 70, 9)  # more rows than one stream takes
    outputs = each(any_model.run(x))
    for row in (0, 33, 64, 69):
        alone = each(any_model.run(tuple(a[row] for a in x) if isinstance(x, tuple) else x[row]))
        for output, single in zip(outputs, alone, strict=True):
            assert np.array_equal(output[row], single)


def test_time_first_swaps_the_axes_and_nothing_else(any_model: grucore.Model, rng: Any) -> None:
    x = inputs_of(any_model, rng, 3, 8)
    swapped = tuple(a.swapaxes(0, 1) for a in x) if isinstance(x, tuple) else x.swapaxes(0, 1)
    plain = each(any_model.run(x))
    found = each(any_model.run(swapped, time_first=True))
    shapes = []
    for port, have, want in zip(any_model.outputs, found, plain, strict=True):
        want = want.swapaxes(0, 1) if port.rate == "frame" else want
        assert np.array_equal(have, want)
        shapes.append(have.shape)
    outs = tuple(np.zeros(shape, np.float32) for shape in shapes)
    any_model.run(swapped, time_first=True, out=outs if len(outs) > 1 else outs[0])
    for have, want in zip(outs, found, strict=True):
        assert np.array_equal(have, want)


def test_time_first_of_one_sequence_changes_nothing(frames_model: grucore.Model, rng: Any) -> None:
    x = frames(rng, 8, 5)
    assert np.array_equal(frames_model.run(x, time_first=True), frames_model.run(x))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, list])
def test_lengths_cut_each_row(any_model: grucore.Model, rng: Any, dtype: Any) -> None:
    x = inputs_of(any_model, rng, 4, 9)
    lengths = [9, 1, 0, 6]
    given = lengths if dtype is list else np.array(lengths, dtype)
    outputs, state = any_model.run(x, lengths=given, return_state=True)
    for row, length in enumerate(lengths):
        cut = tuple(a[row, :length] for a in x) if isinstance(x, tuple) else x[row, :length]
        alone, alone_state = any_model.run(cut, return_state=True)
        for port, output, single in zip(any_model.outputs, each(outputs), each(alone), strict=True):
            if port.rate == "frame":
                assert np.array_equal(output[row, :length], single)
                assert not np.any(output[row, length:])
            else:
                assert np.array_equal(output[row], single)
        for name, array in alone_state.items():
            assert np.array_equal(state[name][row], array)


def test_the_length_of_one_sequence_is_a_number(frames_model: grucore.Model, rng: Any) -> None:
    x = frames(rng, 9, 5)
    y = frames_model.run(x, lengths=4)
    assert np.array_equal(y[:4], frames_model.run(x[:4]))
    assert not np.any(y[4:])
    assert np.array_equal(frames_model.run(x, lengths=[4]), y)


@pytest.mark.parametrize(
    ("lengths", "error", "match"),
    [
        ([1, 2], ValueError, r"lengths has shape \(2,\), expected \(3,\)"),
        (2, ValueError, "lengths has shape"),
        ([1, 2, 5], ValueError, "lengths must lie between 0 and the number of frames, 4"),
        ([1, -1, 2], ValueError, "between 0 and"),
        ([1.0, 2.0, 3.0], TypeError, "lengths has dtype float64, expected integers"),
    ],
)
def test_wrong_lengths_are_refused(
    frames_model: grucore.Model, lengths: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        frames_model.run(np.zeros((3, 4, 5)), lengths=lengths)


def test_the_state_of_one_run_starts_the_next(frames_model: grucore.Model, rng: Any) -> None:
    for lead in ((), (3,), (70,)):
        x = frames(rng, *lead, 20, 5)
        y, final = frames_model.run(x, return_state=True)
        head, state = frames_model.run(x[..., :8, :], return_state=True)
        assert state["gru.l0.h"].shape == (*lead, 7)
        tail, end = frames_model.run(x[..., 8:, :], state=state, return_state=True)
        assert np.array_equal(np.concatenate([head, tail], axis=-2), y)
        assert np.array_equal(end["gru.l0.h"], final["gru.l0.h"])


def test_the_state_of_no_frames_is_the_state_given(frames_model: grucore.Model, rng: Any) -> None:
    given = {"gru.l0.h": frames(rng, 2, 7)}
    y, state = frames_model.run(np.zeros((2, 0, 5)), state=given, return_state=True)
    assert y.shape == (2, 0, 3)
    assert np.array_equal(state["gru.l0.h"], given["gru.l0.h"])
    _, state = frames_model.run(np.zeros((0, 4, 5)), return_state=True)
    assert state["gru.l0.h"].shape == (0, 7)


def test_both_directions_have_a_state(bidirectional_model: grucore.Model, rng: Any) -> None:
    x = frames(rng, 9, 5)
    y, state = bidirectional_model.run(x, return_state=True)
    assert list(state) == ["gru.l0.h", "gru.l0_reverse.h"]
    assert np.array_equal(state["gru.l0.h"], y[-1, :7])
    assert np.array_equal(state["gru.l0_reverse.h"], y[0, 7:])


def test_wrong_states_are_refused(frames_model: grucore.Model) -> None:
    x = np.zeros((2, 4, 5))
    with pytest.raises(ValueError, match=r"missing state 'gru\.l0\.h'"):
        frames_model.run(x, state={})
    with pytest.raises(ValueError, match="unknown state 'h'"):
        frames_model.run(x, state={"h": np.zeros((2, 7))})
    with pytest.raises(ValueError, match=r"has shape \(7,\), expected \(2, 7\)"):
        frames_model.run(x, state={"gru.l0.h": np.zeros(7)})


def test_out_of_run_is_exact(frames_model: grucore.Model) -> None:
    x = np.zeros((2, 4, 5))
    with pytest.raises(ValueError, match=r"shape \(2, 4, 4\), expected \(2, 4, 3\)"):
        frames_model.run(x, out=np.zeros((2, 4, 4), np.float32))
    with pytest.raises(TypeError, match="dtype float64"):
        frames_model.run(x, out=np.zeros((2, 4, 3)))


def test_several_outs_are_a_tuple(ports_model: grucore.Model, rng: Any) -> None:
    x = inputs_of(ports_model, rng, 6)
    outs = (np.zeros((6, 6), np.float32), np.zeros(2, np.float32))
    assert ports_model.run(x, out=outs) == outs
    for have, want in zip(outs, ports_model.run(x), strict=True):
        assert np.array_equal(have, want)
    with pytest.raises(ValueError, match="out must be a tuple of 2 arrays"):
        ports_model.run(x, out=outs[0])


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_save_is_the_file_and_replaces_it(tmp_path: Path, name: str) -> None:
    model = grucore.load(write(GRAPHS[name]()))
    path = tmp_path / "model.gru"
    path.write_bytes(b"before")
    model.save(path)
    assert path.read_bytes() == bytes(model)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.gru"]
    again = grucore.load(path)
    assert (again.inputs, again.outputs) == (model.inputs, model.outputs)
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "nowhere" / "model.gru")


def test_a_model_pickles_as_its_file(frames_file: bytes, rng: Any) -> None:
    model = grucore.load(frames_file, isa="scalar")
    again = pickle.loads(pickle.dumps(model))
    assert bytes(again) == frames_file
    assert again.isa == grucore.load(frames_file).isa  # chosen anew
    x = frames(rng, 4, 5)
    assert np.array_equal(again.run(x), grucore.load(frames_file).run(x))
    assert copy.copy(model) is model
    assert copy.deepcopy(model) is model


@pytest.mark.parametrize("name", sorted(GRAPHS))
@pytest.mark.parametrize("isa", grucore.supported_isas())
def test_selftest_replays_the_vector(name: str, isa: str) -> None:
    model = grucore.load(with_test_vector(GRAPHS[name](), isa="scalar"), isa=isa)
    result = model.selftest()
    assert (result.frames, result.isa) == (9, isa)
    assert result.exact == (result.max_error == 0)
    assert result.exact or model.numerics != "fused"
    assert result.max_error < 1e-5


def test_selftest_finds_another_result() -> None:
    graph = frames_graph()
    vector = grucore.load(with_test_vector(graph, isa="scalar"))
    inputs, outputs = vector._test_vector()[1:]
    x = np.frombuffer(inputs[0], np.float32).reshape(9, 5)
    y = np.frombuffer(outputs[0], np.float32).reshape(9, 3).copy()
    y[4, 1] = np.nextafter(y[4, 1], np.float32(9))
    from grucore.graph.graph import TestVector

    model = grucore.load(write(replace(graph, test=TestVector((x,), (y,)))), isa="scalar")
    with pytest.raises(grucore.GrucoreError, match="self-test: output 'y' of run differs by"):
        model.selftest()


def test_selftest_needs_a_vector(frames_model: grucore.Model) -> None:
    with pytest.raises(ValueError, match="the file has no test vector"):
        frames_model.selftest()


def test_damaged_metadata_is_a_format_error() -> None:
    from grucore.fileformat import layout

    data = bytearray(write(last_graph().with_metadata(note="fine")))
    text = json.dumps({"note": "fine"}, separators=(",", ":")).encode()
    start = data.index(b'"note"')
    data[start] = ord("!")
    checksum = layout.checksum(data)
    data[layout.CRC_OFFSET : layout.CRC_OFFSET + 4] = checksum.to_bytes(4, "little")
    assert len(text) > 0
    with pytest.raises(grucore.FormatError, match="the metadata is not JSON"):
        _ = grucore.load(bytes(data)).metadata
