# SPDX-License-Identifier: Apache-2.0
"""Random whole ONNX models: the engine against onnxruntime, which runs the models as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_models import Case, answer, feeds_of, random_case
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
oracle("onnxruntime")

CASES = 280
BLOCKS = 10
BOUND = 1e-5  # of the output's scale
TWIN_BOUND = 0.015  # the same of int8 weights; seen: 0.005


def states_of(
    model: grucore.Model, x: np.ndarray, given: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """State inputs of the file, (batch, directions, H), by the names that the metadata gives."""
    notes = model.metadata["source"].get("states", {})
    _, found = model.run(x[:, :0], return_state=True)
    for name, array in given.items():
        states = notes[name].removeprefix("the input is the state of ").split(", ")
        found |= {state: array[:, place] for place, state in enumerate(states)}
    return found


def run(model: grucore.Model, case: Case, ours: dict[str, Any]) -> tuple[np.ndarray, ...]:
    arguments: dict[str, Any] = {}
    if ours["states"]:
        arguments["state"] = states_of(model, ours["x"], ours["states"])
    if "lengths" in ours:
        arguments["lengths"] = ours["lengths"]
    outputs = model.run(ours["x"], **arguments)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def difference(case: Case, seed: int, *, quantized: bool = False) -> float:
    rng = np.random.default_rng(seed)
    model = grucore.from_onnx(case.model)
    assert model.proof is not None
    assert model.proof.against.startswith("onnxruntime")
    if quantized:
        model = model.quantize("int8")
    largest = 0.0
    for batch, frames in ((2, int(rng.integers(2, 40))), (3, int(rng.integers(2, 9)))):
        feeds, ours = feeds_of(case, rng, batch, frames)
        expected = answer(case.model, feeds)
        for mine, theirs in zip(run(model, case, ours), expected, strict=True):
            if mine.ndim == 3:
                theirs = theirs.swapaxes(0, 1)  # the generator's frames are time first
                if "lengths" in ours:
                    valid = np.arange(frames) < ours["lengths"][:, None]
                    theirs = np.where(valid[..., None], theirs, 0)
            assert mine.shape == theirs.shape
            scale = max(1.0, float(np.abs(theirs).max()))
            largest = max(largest, float(np.abs(mine - theirs).max()) / scale)
    return largest


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_models(block: int) -> None:
    for seed in range(block, CASES, BLOCKS):
        case = random_case(seed)
        assert difference(case, seed) < BOUND, (seed, case.kind)
        if block == 0:
            assert difference(case, seed, quantized=True) < TWIN_BOUND, (seed, case.kind)


def torch_difference(seed: int, path: Any, *, dynamo: bool) -> float:
    from models.onnx_torch import Whole, export_whole, torch

    module = Whole(seed)
    dynamic = seed % 2 == 0
    export_whole(module, path, dynamo=dynamo, dynamic=dynamic)
    model = grucore.convert(path)
    rng = np.random.default_rng(seed)
    largest = 0.0
    # The frames that the exporter saw, and others: the model takes any number.
    for frames in (7, 23):
        x = module.example(rng, 3, frames)
        with torch.no_grad():
            expected = module(module.turned(x))
        outputs = model.run(x)
        if not isinstance(expected, tuple):
            expected, outputs = (expected,), (outputs,)
        for mine, tensor in zip(outputs, expected, strict=True):
            theirs = tensor.numpy()
            if mine.ndim == 3 and not module.batch_first:
                theirs = theirs.swapaxes(0, 1)
            if mine.ndim == 2 and theirs.ndim == 3:  # h_n
                theirs = theirs.swapaxes(0, 1).reshape(mine.shape)
            scale = max(1.0, float(np.abs(theirs).max()))
            largest = max(largest, float(np.abs(mine - theirs).max()) / scale)
    return largest


@pytest.mark.parametrize("block", range(4))
def test_random_modules_of_the_older_exporter(block: int, tmp_path: Any) -> None:
    for seed in range(block, 60, 4):
        found = torch_difference(seed, tmp_path / f"{seed}.onnx", dynamo=False)
        assert found < BOUND, seed


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_random_modules_of_the_newer_exporter(block: int, tmp_path: Any) -> None:
    oracle("onnxscript")
    for seed in range(block, 12, 4):
        found = torch_difference(seed, tmp_path / f"{seed}.onnx", dynamo=True)
        assert found < BOUND, seed
