# SPDX-License-Identifier: Apache-2.0
"""Steps whose state is not a cell's own: streams compute what the caller's loop in torch does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.torch_steps import COLUMN, ROW, STEPS, made, normalized, zeros
from oracle.oracles import oracle

torch = oracle("torch")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:The tensor attributes self.:UserWarning"),
]

FRAMES = 25
BOUND = 2e-6  # of the scale of the outputs


def loop(module: Any, shapes: tuple[Any, ...], place: int, frames: np.ndarray) -> np.ndarray:
    """The caller's own: what came back last goes in next."""
    states = [zeros(shape) for at, shape in enumerate(shapes) if at != place]
    rows = []
    with torch.inference_mode():
        for frame in frames:
            x = torch.from_numpy(frame).reshape(shapes[place])
            result = module(*states[:place], x, *states[place:])
            result = list(result) if isinstance(result, tuple) else [result, result]
            y = result.pop(0 if place == 0 else -1)
            states = result
            rows.append(y.numpy().reshape(-1))
    return np.array(rows)


def agrees(model: grucore.Model, want: np.ndarray, frames: np.ndarray) -> bool:
    stream = model.stream()
    found = np.array([stream.step(frame) for frame in frames])
    assert np.array_equal(found, model.run(frames))
    assert np.array_equal(found, model.stream().run(frames))
    return float(np.abs(found - want).max()) <= BOUND * max(1.0, float(np.abs(want).max()))


@pytest.mark.parametrize("name", STEPS)
def test_a_stream_is_the_loop_of_the_caller(
    name: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    step, shapes, place, own = STEPS[name]
    module = made(step, step)
    example = tuple(zeros(shape) for shape in shapes)
    frames = rng.normal(size=(FRAMES, 3)).astype(np.float32)
    want = loop(module, shapes, place, frames)
    model = grucore.from_torch(module, example_inputs=example)
    assert len(model.inputs) == 1
    assert [state for state in model.states if not state.endswith(".x")] == own
    assert agrees(model, want, frames)
    torch.export.save(torch.export.export(module, example), tmp_path / "m.pt2")
    assert agrees(grucore.convert(tmp_path / "m.pt2"), want, frames)


def test_a_state_starts_from_what_the_user_gives(rng: np.random.Generator) -> None:
    module = made(normalized, normalized)
    model = grucore.from_torch(module, example_inputs=(torch.zeros(ROW), torch.zeros(COLUMN)))
    start = rng.normal(size=8).astype(np.float32)
    x = rng.normal(size=3).astype(np.float32)
    with torch.inference_mode():
        want, after = module(torch.from_numpy(x)[None], torch.from_numpy(start)[None])
    stream = model.stream()
    (name,) = model.states
    stream.state = {name: start}
    assert np.abs(stream.step(x) - want.numpy()[0]).max() < 1e-6
    assert np.abs(stream.state[name] - after.numpy()[0]).max() < 1e-6


def test_inputs_that_are_not_called_states_stay_inputs(rng: np.random.Generator) -> None:
    """Both channels of a step without a memory have the shapes of its outputs."""

    def forward(s: Any, left: Any, right: Any) -> Any:
        return torch.tanh(s.p(left) + right), torch.tanh(s.p(right) - left)

    example = torch.zeros(2, 8), torch.zeros(2, 8)
    model = grucore.from_torch(made(forward, forward), example_inputs=example)
    assert [port.name for port in model.inputs] == ["left", "right"]
    assert not model.states


def test_states_that_could_come_back_in_several_ways_stay_inputs() -> None:
    def forward(s: Any, h: Any, x: Any, c: Any) -> Any:
        h, c = torch.tanh(s.p(h) + c), torch.tanh(s.p(c) + s.w(x)[:, :8])
        return h + c, h, c

    example = torch.zeros(COLUMN), torch.zeros(ROW), torch.zeros(COLUMN)
    model = grucore.from_torch(made(forward, forward), example_inputs=example)
    assert [port.name for port in model.inputs] == ["h", "x", "c"]
    assert len(model.outputs) == 3
    assert not model.states


class Carried(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Frames and a state, which the caller hands on."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self.gru = torch.nn.GRU(3, 8, batch_first=True)
        self.other = torch.nn.GRU(3, 3, batch_first=True)
        self.conv = torch.nn.Conv1d(3, 3, 3, padding=1)
        self.call = call

    def forward(self, x: Any, h0: Any) -> Any:
        return self.call(self, x, h0)


# Beside the state that the caller carries: what begins anew with the first frame of a call.
FORGETFUL: dict[str, tuple[Any, Any]] = {
    "take 'output.frame' gives the first frame": (lambda s, x: x, lambda y: y[:, 0]),
    "pool 'mean' sees the frames of one call": (lambda s, x: x, lambda y: y.mean(1)),
    "delay 'cumsum.before' starts anew": (lambda s, x: x.cumsum(1), lambda y: y),
    "conv1d 'conv' starts anew": (lambda s, x: s.conv(x.mT).mT, lambda y: y),
    "gru 'other.l0' starts anew": (lambda s, x: s.other(x)[0], lambda y: y),
    "leaves out frames, from the first": (lambda s, x: x, lambda y: y[:, ::2]),
    "'slice.crop' leaves out frames": (lambda s, x: x[:, 1:], lambda y: y),
}


@pytest.mark.parametrize("said", FORGETFUL)
def test_what_begins_anew_in_each_call_beside_a_state_is_refused(
    said: str, rng: np.random.Generator
) -> None:
    """A stream would go on. Without the state among its outputs it reads whole sequences."""
    before, behind = FORGETFUL[said]

    def call(s: Any, x: Any, h0: Any) -> Any:
        y, h = s.gru(before(s, x), h0)
        return behind(y), h

    module = Carried(call).eval()
    given = torch.randn(2, 9, 3), torch.zeros(1, 2, 8)
    with pytest.raises(grucore.ConversionError, match=f"{said}.* Take the new states out"):
        grucore.from_torch(module, example_inputs=given)
    module.call = lambda *args: call(*args)[0]
    model = grucore.from_torch(module, example_inputs=given)
    x, h0 = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 12, 3), (2, 8)))
    state = {name: np.zeros_like(old) for name, old in model.run(x, return_state=True)[1].items()}
    with torch.inference_mode():
        want = module(torch.from_numpy(x), torch.from_numpy(h0)[None])
    found = model.run(x, state={**state, "gru.l0.h": h0})
    assert np.abs(found - want.numpy()).max() < 1e-5


def test_a_state_that_starts_no_layer_is_refused() -> None:
    given = torch.randn(2, 9, 3), torch.zeros(1, 2, 8)
    with pytest.raises(grucore.ConversionError, match=r"nothing reads it|no sequence"):
        grucore.from_torch(Carried(lambda s, x, h0: s.gru(x)).eval(), example_inputs=given)


@pytest.mark.parametrize(
    ("back", "said"),
    [
        (lambda h: h.mT, "no output gives the new one back"),
        (lambda h: h[None], "return each state in the axes of its input"),
    ],
)
def test_a_state_that_comes_back_in_other_axes_is_refused(back: Any, said: str) -> None:
    def forward(s: Any, x: Any, h: Any) -> Any:
        h = s.a(x, h)
        return s.out(h), back(h)

    example = torch.zeros(2, 3), torch.zeros(2, 8)
    with pytest.raises(grucore.ConversionError, match=said):
        grucore.from_torch(made(forward, forward), example_inputs=example)


def test_a_step_of_an_exported_program_in_memory() -> None:
    """Its graph takes the results of the GRU apart, which the proof's program has to do as well."""

    class Step(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(7, 8)

        def forward(self, x: Any, h: Any) -> Any:
            y, h = self.gru(x.view(1, x.size(0), x.size(1)), h)
            return y.view(1, 8), h

    given = torch.zeros(1, 7), torch.zeros(1, 1, 8)
    model = grucore.from_torch(torch.export.export(Step().eval(), given))
    assert model.proof is not None
    assert [port.features for port in model.outputs] == [8]
    assert list(model.states) == ["gru.l0.h"]
