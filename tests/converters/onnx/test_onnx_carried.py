# SPDX-License-Identifier: Apache-2.0
"""States that the caller hands back: the stream against the caller's own loop in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_models import Maker, answer, gru
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")

FEATURES, HIDDEN, FRAMES = 3, 4, 30
Change = Callable[[Maker, str], str]


def stack(
    change: Change | None = None,
    *,
    order: Sequence[int] = (0, 1),
    time: Any = 1,
    names: Sequence[str] = ("a", "b"),
    before: Callable[[Maker, str], str] = lambda made, x: x,
) -> Any:
    """Two GRUs and a head, (time, 1, features); both states go in, and those of ``order`` out."""
    made = Maker(np.random.default_rng(0))
    x = before(made, made.input("x", [time, 1, FEATURES]))
    size, news = FEATURES, []
    for name in names:
        h0 = made.input(name, [1, 1, HIDDEN])
        y, last = gru(made, x, size, HIDDEN, h0=h0, linear_before_reset=1)
        x, size = made.add("Squeeze", y, made.axes(1)), HIDDEN
        news.append(last if change is None else change(made, last))
    head = made.add("MatMul", x, made.weight(HIDDEN, 2))
    return made.model(head, *(made.add("Identity", news[place]) for place in order))


def caller(model: Any, x: np.ndarray, calls: Sequence[int]) -> np.ndarray:
    """The head's outputs of a caller who hands the states back, in calls of so many frames."""
    states = {name.name: np.zeros((1, 1, HIDDEN), np.float32) for name in model.graph.input[1:]}
    rows, start = [], 0
    for count in calls:
        some = x[start : start + count, None]
        y, *news = answer(model, {"x": some, **states})
        states |= dict(zip(states, news, strict=False))
        rows.append(y[:, 0])
        start += count
    return np.concatenate(rows)


@pytest.mark.parametrize(("time", "calls"), [(1, (1,) * FRAMES), ("time", (1, 7, 2, 20))])
def test_states_that_come_back_as_they_are(time: Any, calls: Sequence[int]) -> None:
    model = stack(time=time)
    x = np.random.default_rng(1).standard_normal((FRAMES, FEATURES)).astype(np.float32)
    stream, start, rows = grucore.from_onnx(model).stream(), 0, []
    for count in calls:
        rows.append(np.array(stream.run(x[start : start + count])))
        start += count
    assert np.abs(np.concatenate(rows) - caller(model, x, calls)).max() < 1e-5


def scaled(made: Maker, h: str) -> str:
    return made.add("Mul", h, made.constant(np.float32(0.9)))


def clipped(made: Maker, h: str) -> str:
    return made.add("Clip", h, made.constant(np.float32(-0.1)), made.constant(np.float32(0.1)))


def normed(made: Maker, h: str) -> str:
    return made.add("LayerNormalization", h, made.weight(HIDDEN), axis=-1)


def projected(made: Maker, h: str) -> str:
    return made.add("MatMul", h, made.weight(HIDDEN, HIDDEN))


def turned(made: Maker, h: str) -> str:
    end = made.axes(-HIDDEN - 1)
    return made.add("Slice", h, made.axes(-1), end, made.axes(2), made.axes(-1))


CHANGES = [scaled, clipped, normed, projected, turned]


def assert_streams(model: Any) -> None:
    x = np.random.default_rng(1).standard_normal((FRAMES, FEATURES)).astype(np.float32)
    found = grucore.from_onnx(model).stream().run(x)
    assert np.abs(found - caller(model, x, (1,) * FRAMES)).max() < 1e-5


@pytest.mark.parametrize("change", CHANGES)
def test_states_that_come_back_changed_after_every_frame(change: Change) -> None:
    assert_streams(stack(change))


def test_states_that_change_places_after_every_frame() -> None:
    assert_streams(stack(order=(1, 0)))


@pytest.mark.parametrize("change", CHANGES)
def test_states_that_come_back_changed_after_many_frames_are_refused(change: Change) -> None:
    with pytest.raises(grucore.ConversionError, match=r"'a' is the state of .* new one back"):
        grucore.from_onnx(stack(change, time="time"), verify=False)


@pytest.mark.parametrize("time", [1, "time"])
def test_a_state_that_does_not_come_back_is_refused(time: Any) -> None:
    with pytest.raises(grucore.ConversionError, match="'b' is the state of"):
        grucore.from_onnx(stack(order=(0,), time=time), verify=False)


def test_states_that_change_places_after_many_frames_are_refused() -> None:
    with pytest.raises(grucore.ConversionError, match="another order"):
        grucore.from_onnx(stack(order=(1, 0), time="time"), verify=False)


def test_initial_states_need_not_come_back_from_whole_sequences() -> None:
    model = stack(order=(), time="time")
    x = np.random.default_rng(1).standard_normal((FRAMES, FEATURES)).astype(np.float32)
    found = grucore.from_onnx(model).run(x)
    assert np.abs(found - caller(model, x, (FRAMES,))).max() < 1e-5


def convolved(made: Maker, x: str) -> str:
    y = made.add("Transpose", x, perm=[1, 2, 0])
    y = made.add("Conv", y, made.weight(FEATURES, FEATURES, 3), pads=[2, 0])
    return made.add("Transpose", y, perm=[2, 0, 1])


def another_gru(made: Maker, x: str) -> str:
    return made.add("Squeeze", gru(made, x, FEATURES, FEATURES)[0], made.axes(1))


@pytest.mark.parametrize("before", [convolved, another_gru])
def test_a_layer_that_starts_anew_in_every_call_is_refused(before: Any) -> None:
    with pytest.raises(grucore.ConversionError, match="starts anew in every call"):
        grucore.from_onnx(stack(time="time", before=before), verify=False)


def test_a_state_that_comes_back_with_its_batch_elsewhere_is_refused() -> None:
    made = Maker(np.random.default_rng(0))
    x, h0 = made.input("x", [1, "rows", FEATURES]), made.input("h", [1, "rows", HIDDEN])
    y, last = gru(made, x, FEATURES, HIDDEN, h0=h0, linear_before_reset=1)
    head = made.add("MatMul", made.add("Squeeze", y, made.axes(1)), made.weight(HIDDEN, 2))
    turned_over = made.add("Transpose", last, perm=[1, 0, 2])
    with pytest.raises(grucore.ConversionError, match="no output gives"):
        grucore.from_onnx(made.model(head, turned_over))
    made.nodes.pop()
    grucore.from_onnx(made.model(head, last))


def test_one_row_and_one_frame_whose_reshapes_say_nothing() -> None:
    made = Maker(np.random.default_rng(0))
    x = made.input("x", [1, FEATURES])
    h0 = made.input("h", [1, 1, HIDDEN])
    sequence = made.add("Reshape", x, made.axes(1, 1, FEATURES))
    y, last = gru(made, sequence, FEATURES, HIDDEN, h0=h0, linear_before_reset=1)
    rows = made.add("Reshape", y, made.axes(1, 1, HIDDEN))
    rows = made.add("Reshape", rows, made.axes(1, HIDDEN))
    model = made.model(made.add("MatMul", rows, made.weight(HIDDEN, 2)), last)
    frames = np.random.default_rng(1).standard_normal((9, 1, FEATURES)).astype(np.float32)
    stream, h = grucore.from_onnx(model).stream(), np.zeros((1, 1, HIDDEN), np.float32)
    for frame in frames:
        wanted, h = answer(model, {"x": frame, "h": h})
        assert np.abs(stream.step(frame[0]) - wanted[0]).max() < 1e-5


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_layers_that_read_the_states_in_another_order_than_the_inputs_stand(
    order: tuple[int, int],
) -> None:
    """The caller hands the outputs back to the inputs as they stand, whoever reads them."""
    made = Maker(np.random.default_rng(0))
    x = made.input("x", ["time", 1, FEATURES])
    states = [made.input(name, [1, 1, HIDDEN]) for name in ("a", "b")]
    size, news = FEATURES, []
    for h0 in reversed(states):
        y, last = gru(made, x, size, HIDDEN, h0=h0, linear_before_reset=1)
        x, size = made.add("Squeeze", y, made.axes(1)), HIDDEN
        news.append(last)
    head = made.add("MatMul", x, made.weight(HIDDEN, 2))
    model = made.model(head, *(made.add("Identity", news[place]) for place in order))
    frames = np.random.default_rng(1).standard_normal((FRAMES, FEATURES)).astype(np.float32)
    if order == (0, 1):  # a goes into the second layer, whose new state comes back last
        with pytest.raises(grucore.ConversionError, match="in another order than they go in"):
            grucore.from_onnx(model)
        return
    stream, start, rows = grucore.from_onnx(model).stream(), 0, []
    for count in (1, 9, 20):
        rows.append(np.array(stream.run(frames[start : start + count])))
        start += count
    assert np.abs(np.concatenate(rows) - caller(model, frames, (1, 9, 20))).max() < 1e-5
