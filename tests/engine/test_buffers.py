# SPDX-License-Identifier: Apache-2.0
"""Arguments x and out: converted without surprise, or refused by name."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grucore

FRAME = np.array(
    [0.5, -1.0, 2.0, 0.25, -0.125], np.float32
)  # exact in every dtype below but integers


def read_only(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


def unaligned(values: np.ndarray) -> np.ndarray:
    raw = np.zeros(values.nbytes + 1, np.uint8)[1:]
    view = raw.view(values.dtype).reshape(values.shape)
    view[...] = values
    assert not view.flags.aligned
    return view


class Tensor:
    """Stands for torch's: not an ndarray, but gives one."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return FRAME.astype(dtype or np.float32)


class Exchanged:
    """Gives its numbers by DLPack and in no other way, as arrays of several libraries do."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


class Subclass(np.ndarray):
    pass


ACCEPTED: dict[str, Callable[[], Any]] = {
    "float64": lambda: FRAME.astype(np.float64),
    "float16": lambda: FRAME.astype(np.float16),
    "longdouble": lambda: FRAME.astype(np.longdouble),
    "list": FRAME.tolist,
    "tuple": lambda: tuple(FRAME.tolist()),
    "array.array": lambda: array("f", FRAME.tolist()),
    "memoryview": lambda: memoryview(FRAME),
    "strided": lambda: np.repeat(FRAME, 3)[::3],
    "reversed": lambda: FRAME[::-1].copy()[::-1],
    "big-endian": lambda: FRAME.astype(">f4"),
    "read-only": lambda: read_only(FRAME),
    "unaligned": lambda: unaligned(FRAME),
    "subclass": lambda: FRAME.view(Subclass),
    "__array__": Tensor,
}


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_real_numbers_of_any_kind_step_like_float32(
    frames_model: grucore.Model, make: Callable[[], Any]
) -> None:
    expected = frames_model.stream().step(FRAME)
    assert np.array_equal(frames_model.stream().step(make()), expected)


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_real_numbers_of_any_kind_run_like_float32(
    frames_model: grucore.Model, make: Callable[[], Any]
) -> None:
    frame = np.asarray(make())
    expected = frames_model.run(np.stack([FRAME, FRAME]))
    assert np.array_equal(frames_model.run(np.stack([frame, frame])), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dlpack(frames_model: grucore.Model, dtype: type) -> None:
    block = np.stack([FRAME, FRAME]).astype(dtype)
    given = Exchanged(block)
    assert np.array_equal(frames_model.run(given), frames_model.run(block))
    stream, other = frames_model.stream(), frames_model.stream()
    assert np.array_equal(stream.step(Exchanged(block[0])), other.step(block[0]))
    assert np.array_equal(np.from_dlpack(frames_model.run(given)), frames_model.run(block))


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.bool_])
def test_integers_and_bools_are_numbers(frames_model: grucore.Model, dtype: type) -> None:
    frame = np.array([1, 0, 1, 1, 0], dtype)
    expected = frames_model.stream().step(frame.astype(np.float32))
    assert np.array_equal(frames_model.stream().step(frame), expected)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.astype(np.complex64),
        FRAME.astype(object),
        FRAME.astype("U8"),
        FRAME.astype("S8"),
        np.zeros(5, "datetime64[s]"),
        np.zeros(5, [("a", "f4")]),
        None,
        b"12345",
    ],
    ids=lambda frame: str(getattr(frame, "dtype", frame)),
)
def test_what_is_no_real_number_is_a_type_error(frames_model: grucore.Model, frame: Any) -> None:
    with pytest.raises(TypeError, match=r"input 'x' has dtype .*, expected real numbers"):
        frames_model.stream().step(frame)
    with pytest.raises(TypeError, match=r"input 'x' has dtype .*, expected real numbers"):
        frames_model.run(frame)


@pytest.mark.parametrize("shape", [(), (4,), (6,), (1, 5), (5, 1), (0,)])
def test_a_wrong_shape_says_found_and_expected(
    frames_model: grucore.Model, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"input 'x' has shape \(.*\), expected \(5,\)"):
        frames_model.stream().step(np.zeros(shape, np.float32))


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (1, 1, 1, 5)])
def test_a_wrong_shape_of_a_sequence(frames_model: grucore.Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"input 'x' has shape \(.*\), expected \((batch, )?frames, 5\)"
    ):
        frames_model.run(np.zeros(shape, np.float32))


def test_out_is_written_and_returned(frames_model: grucore.Model) -> None:
    expected = frames_model.stream().step(FRAME)
    out = np.full(3, 7, np.float32)
    assert frames_model.stream().step(FRAME, out) is out
    assert np.array_equal(out, expected)
    out[:] = 7
    assert frames_model.stream().step(FRAME.tolist(), out=out) is out
    assert np.array_equal(out, expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros(6, np.float32)[::2],
        lambda: np.zeros(3, np.float32)[::-1],
        lambda: unaligned(np.zeros(3, np.float32)),
        lambda: np.zeros(3, np.float32).view(Subclass),
    ],
    ids=["strided", "reversed", "unaligned", "subclass"],
)
def test_out_of_any_layout_is_filled_in_place(
    frames_model: grucore.Model, make: Callable[[], np.ndarray]
) -> None:
    out = make()
    assert frames_model.stream().step(FRAME, out) is out
    assert np.array_equal(out, frames_model.stream().step(FRAME))


@pytest.mark.parametrize(
    ("out", "error", "match"),
    [
        (np.zeros(3), TypeError, "out of 'y' has dtype float64, expected float32"),
        (np.zeros(3, ">f4"), TypeError, "out of 'y' has dtype >f4, expected float32"),
        (np.zeros(4, np.float32), ValueError, r"out of 'y' has shape \(4,\), expected \(3,\)"),
        (np.zeros((1, 3), np.float32), ValueError, "out of 'y' has shape"),
        (read_only(np.zeros(3, np.float32)), ValueError, "out of 'y' is read-only"),
        ([0.0, 0.0, 0.0], TypeError, "out of 'y' is list, expected a float32 ndarray"),
    ],
)
def test_an_inexact_out_is_refused(
    frames_model: grucore.Model, out: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        frames_model.stream().step(FRAME, out)
    with pytest.raises(
        error, match=match.replace("(3,)", "(1, 3)") if error is TypeError else "out of"
    ):
        frames_model.run(FRAME[None], out=out if isinstance(out, list) else out[None])


@pytest.mark.parametrize("shift", range(-4, 6))
def test_x_and_out_may_overlap_in_step(frames_model: grucore.Model, shift: int) -> None:
    memory = np.zeros(20, np.float32)
    x = memory[6:11]
    out = memory[6 + shift : 9 + shift]
    x[:] = FRAME
    assert np.array_equal(frames_model.stream().step(x, out), frames_model.stream().step(FRAME))


@pytest.mark.parametrize("shift", [-40, -7, -1, 0, 1, 8, 100])
def test_x_and_out_may_overlap_in_run(
    frames_model: grucore.Model, rng: np.random.Generator, shift: int
) -> None:
    frames = 200  # more than a block
    sequence = rng.normal(size=(frames, 5)).astype(np.float32)
    memory = np.zeros(2000, np.float32)
    x = memory[500 : 500 + 5 * frames].reshape(frames, 5)
    out = memory[500 + shift : 500 + shift + 3 * frames].reshape(frames, 3)
    x[:] = sequence
    assert np.array_equal(frames_model.run(x, out=out), frames_model.run(sequence))


@pytest.mark.parametrize(
    "view",
    [
        lambda x: np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3],
        lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
        lambda x: np.asfortranarray(x),
        lambda x: np.concatenate([x, x], axis=-1)[..., :5],
        lambda x: x.astype(">f8"),
        lambda x: unaligned(x),
    ],
    ids=["strided", "reversed", "fortran", "wide rows", "big-endian", "unaligned"],
)
@pytest.mark.parametrize("batch", [(), (3,)], ids=["sequence", "batch"])
@pytest.mark.parametrize("any_model", ["frames", "last", "bidirectional"], indirect=True)
def test_run_takes_any_layout(
    any_model: grucore.Model, rng: np.random.Generator, view: Any, batch: tuple[int, ...]
) -> None:
    x = rng.normal(size=(*batch, 12, 5)).astype(np.float32)
    assert np.array_equal(any_model.run(view(x)), any_model.run(x))


def test_a_broadcast_batch_is_read_where_it_lies(frames_model: grucore.Model) -> None:
    x = np.broadcast_to(FRAME, (4, 6, 5))
    assert np.array_equal(frames_model.run(x), frames_model.run(np.ascontiguousarray(x)))


@pytest.mark.parametrize("layout", ["C", "F", "strided", "reversed"])
def test_run_fills_out_of_any_layout(
    frames_model: grucore.Model, rng: np.random.Generator, layout: str
) -> None:
    x = rng.normal(size=(2, 9, 5)).astype(np.float32)
    out = {
        "C": np.zeros((2, 9, 3), np.float32),
        "F": np.zeros((2, 9, 3), np.float32, order="F"),
        "strided": np.zeros((4, 18, 6), np.float32)[::2, ::2, ::2],
        "reversed": np.zeros((2, 9, 3), np.float32)[:, ::-1],
    }[layout]
    assert frames_model.run(x, out=out) is out
    assert np.array_equal(out, frames_model.run(x))


def test_several_inputs_come_as_a_tuple_or_a_dict(ports_model: grucore.Model) -> None:
    audio, motion = FRAME[:3], FRAME[3:]
    expected = ports_model.stream().step((audio, motion))
    assert [array.shape for array in expected] == [(6,), (2,)]
    found = ports_model.stream().step({"motion": motion, "audio": audio.tolist()})
    for have, want in zip(found, expected, strict=True):
        assert np.array_equal(have, want)
    outs = (np.zeros(6, np.float32), np.zeros(2, np.float32))
    assert ports_model.stream().step((audio, motion), outs) == outs
    assert np.array_equal(outs[0], expected[0])


def test_one_input_may_be_named(frames_model: grucore.Model) -> None:
    expected = frames_model.stream().step(FRAME)
    assert np.array_equal(frames_model.stream().step({"x": FRAME}), expected)


@pytest.mark.parametrize(
    ("x", "error", "match"),
    [
        (FRAME, TypeError, r"2 inputs \(audio, motion\) need a tuple or a dict, not ndarray"),
        ((FRAME[:3],), ValueError, "found 1 inputs, expected 2"),
        ({"audio": FRAME[:3]}, ValueError, "missing input 'motion'"),
        ({"audio": 0, "motion": 0, "light": 0}, ValueError, "unknown input 'light'"),
        ((FRAME[:3], FRAME), ValueError, r"input 'motion' has shape \(5,\), expected \(2,\)"),
    ],
)
def test_wrong_inputs_are_named(
    ports_model: grucore.Model, x: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        ports_model.stream().step(x)


def test_inputs_agree_about_the_frames(ports_model: grucore.Model) -> None:
    with pytest.raises(ValueError, match=r"\(batch, frames\) of input 'motion'"):
        ports_model.run((np.zeros((4, 3)), np.zeros((5, 2))))
