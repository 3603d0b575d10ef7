# SPDX-License-Identifier: Apache-2.0
"""Steps whose state is not a cell's own: a stream is the caller's loop in onnxruntime."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.torch_steps import COLUMN, ROW, STEPS, made, zeros
from oracle.oracles import oracle

torch = oracle("torch")
onnxruntime = oracle("onnxruntime")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),  # of the exporters, which have many
]

FRAMES = 25
BOUND = 5e-6  # of the scale of the outputs
# The old exporter gives an output twice one name, which is no ONNX.
TWICE = ("cached", "average")


def exported(path: Path, module: Any, shapes: tuple[Any, ...], *, dynamo: bool) -> Path:
    names = []
    for name, shape in zip(inspect.signature(module.step).parameters, (None, *shapes), strict=True):
        several = shape is not None and isinstance(shape[0], tuple)
        names += [f"{name}_{place}" for place in range(len(shape))] if several else [name]
    arguments = tuple(zeros(shape) for shape in shapes)
    torch.onnx.export(module, arguments, path, dynamo=dynamo, input_names=names[1:])
    return path


def loop(path: Path, place: int, frames: np.ndarray) -> np.ndarray:
    """The caller's own: what came back last goes in next, in its order."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    ports = session.get_inputs()
    states = [np.zeros(p.shape, np.float32) for at, p in enumerate(ports) if at != place]
    rows = []
    for frame in frames:
        given = [*states[:place], frame.reshape(ports[place].shape), *states[place:]]
        feeds = {port.name: array for port, array in zip(ports, given, strict=True)}
        results = session.run(None, feeds)
        rows.append(results[0 if place == 0 else -1].reshape(-1))
        is_state_alone = len(results) == len(states)
        states = results if is_state_alone else results[1:] if place == 0 else results[:-1]
    return np.array(rows)


CASES = [(name, False) for name in STEPS if name not in TWICE]
CASES += [(name, True) for name in ("clamped", "layer_norm_gru", "cached", "average")]


@pytest.mark.parametrize(("name", "dynamo"), CASES)
def test_a_stream_is_the_loop_of_the_caller(
    name: str, dynamo: bool, rng: np.random.Generator, tmp_path: Path
) -> None:
    step, shapes, place, own = STEPS[name]
    path = exported(tmp_path / "m.onnx", made(step, step), shapes, dynamo=dynamo)
    frames = rng.normal(size=(FRAMES, 3)).astype(np.float32)
    want = loop(path, place, frames)
    model = grucore.convert(path)
    assert len(model.inputs) == 1
    assert len([state for state in model.states if not state.endswith(".x")]) == len(own)
    stream = model.stream()
    found = np.array([stream.step(frame) for frame in frames])
    assert np.array_equal(found, model.run(frames))
    assert np.abs(found - want).max() <= BOUND * max(1.0, float(np.abs(want).max()))


def test_a_state_of_whole_sequences_is_not_fed_back(tmp_path: Path) -> None:
    """Between two calls of many frames the file changes the state; a stream has no such place."""

    class Chunk(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(3, 8, batch_first=True)

        def forward(self, x: Any, h: Any) -> Any:
            y, h = self.gru(x, h)
            return y, h.clamp(-0.1, 0.1)

    path = tmp_path / "m.onnx"
    torch.onnx.export(
        Chunk().eval(),
        (torch.zeros(1, 5, 3), torch.zeros(1, 1, 8)),
        path,
        dynamo=False,
        input_names=["x", "h"],
        dynamic_axes={"x": {1: "time"}},
    )
    with pytest.raises(grucore.ConversionError, match="no output gives the new one back"):
        grucore.convert(path)


def test_a_step_with_a_state_that_nobody_hands_back_is_refused(tmp_path: Path) -> None:
    def forgets(s: Any, x: Any, h1: Any, h2: Any) -> Any:
        h1 = s.a(x, h1)
        return s.out(s.b(h1, h2))

    path = exported(
        tmp_path / "m.onnx", made(forgets, forgets), (ROW, COLUMN, COLUMN), dynamo=False
    )
    with pytest.raises(grucore.ConversionError, match="no output gives the new one back"):
        grucore.convert(path)
