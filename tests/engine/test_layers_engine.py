# SPDX-License-Identifier: Apache-2.0
"""Every layer kind in the engine: against the float64 reference, and with itself to the bit.

With quantized weights only the latter: what the engine has to give for them to the bit is the
matter of test_exact_quantized.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from grucore import fileformat
from grucore.graph.graph import Graph
from grucore.graph.node import Rate
from grucore.reference import run as reference
from models.layer_models import KIND_NAMES, frames_for, inputs_for, make
from models.quantized_models import FLOATS, INTEGERS, requantized

SEEDS = 30
BATCH = 4
QUANTIZED, WEIGHTED = "quantized ", ("gru", "dense", "conv1d", "embedding")
# As a part of the output's scale: float32 sums, and activations that enlarge their differences.
TOLERANCE = 1e-5


def as_tuple(result: Any) -> tuple[np.ndarray, ...]:
    return result if isinstance(result, tuple) else (result,)


def one(arrays: tuple[np.ndarray, ...]) -> Any:
    return arrays if len(arrays) > 1 else arrays[0]


def same_bits(found: Any, expected: Any) -> bool:
    return [array.tobytes() for array in as_tuple(found)] == [
        array.tobytes() for array in as_tuple(expected)
    ]


class Case:
    """A model, its graph, its inputs (batch, frames, features) and the lengths of their rows."""

    def __init__(self, kind: str, seed: int) -> None:
        rng = np.random.default_rng([7, seed])
        self.graph: Graph = make(kind.removeprefix(QUANTIZED), seed)
        if kind.startswith(QUANTIZED):
            self.graph = requantized(rng, self.graph, FLOATS + INTEGERS)
        self.data = fileformat.write(self.graph)
        self.model = grucore.load(self.data)
        self.frames = frames_for(self.graph, rng)
        self.inputs = inputs_for(self.graph, rng, BATCH, self.frames)
        self.lengths = rng.integers(0, self.frames + 1, BATCH)

    def row(self, row: int, stop: int | None = None) -> Any:
        """One sequence as it is given alone, with a batch axis of one."""
        return one(tuple(array[row : row + 1, :stop] for array in self.inputs))


@pytest.fixture(params=(*KIND_NAMES, *(QUANTIZED + layer for layer in WEIGHTED)))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_run_is_the_reference(kind: str) -> None:
    for seed in range(SEEDS):
        case = Case(kind, seed)
        for lengths in (None, case.lengths):
            found, state = case.model.run(one(case.inputs), lengths=lengths, return_state=True)
            expected, final = reference.run(case.graph, case.inputs, lengths)
            pairs = list(zip(as_tuple(found), expected, strict=True))
            assert sorted(state) == sorted(final), seed
            pairs += [(state[name], array) for name, array in final.items()]
            for have, want in pairs:
                assert have.shape == want.shape, seed
                scale = max(1.0, float(np.abs(want).max(initial=0.0)))
                assert np.abs(have - want).max(initial=0.0) <= TOLERANCE * scale, seed


def test_rows_of_a_batch_are_single_rows(kind: str) -> None:
    for seed in range(SEEDS):
        case = Case(kind, seed)
        whole = as_tuple(case.model.run(one(case.inputs)))
        for row in range(BATCH):
            alone = as_tuple(case.model.run(case.row(row)))
            assert same_bits(tuple(array[row : row + 1] for array in whole), alone), seed


def test_a_row_that_ends_is_a_short_row(kind: str) -> None:
    for seed in range(SEEDS):
        case = Case(kind, seed)
        whole = as_tuple(case.model.run(one(case.inputs), lengths=case.lengths))
        for row, length in enumerate(case.lengths):
            alone = as_tuple(case.model.run(case.row(row, int(length))))
            for name, have, want in zip(case.graph.outputs, whole, alone, strict=True):
                value = case.graph.value(name)
                if value.rate is Rate.SEQUENCE:
                    assert same_bits(have[row], want[0]), seed
                else:
                    count = value.count(int(length))
                    assert same_bits(have[row, :count], want[0]), seed
                    assert not have[row, count:].any(), seed


def test_steps_and_blocks_are_the_run(kind: str) -> None:
    for seed in range(SEEDS):
        case = Case(kind, seed)
        if not case.graph.streamable:
            with pytest.raises(grucore.UnsupportedError, match=case.graph.first_unstreamable.name):
                case.model.stream()
            continue
        whole = as_tuple(case.model.run(one(case.inputs)))
        stream, blocks = case.model.stream(BATCH), case.model.stream(BATCH)
        steps = [
            as_tuple(stream.step(one(tuple(array[:, frame] for array in case.inputs))))
            for frame in range(case.frames)
        ]
        cut = case.frames // 3 + 1
        parts = [
            as_tuple(blocks.run(one(tuple(array[:, part] for array in case.inputs))))
            for part in (slice(0, cut), slice(cut, None))
        ]
        for index, name in enumerate(case.graph.outputs):
            column = [step[index] for step in steps if step[index] is not None]
            if case.graph.value(name).rate is Rate.SEQUENCE:
                assert len(column) == case.frames, seed
                assert same_bits(column[-1], whole[index]), seed
                assert same_bits(parts[-1][index], whole[index]), seed
            else:
                assert same_bits(np.stack(column, axis=1), whole[index]), seed
                joined = np.concatenate([part[index] for part in parts], axis=1)
                assert same_bits(joined, whole[index]), seed
        for name, array in stream.state.items():
            assert same_bits(array, blocks.state[name]), seed


def test_a_copy_of_a_stream_goes_on_alike(kind: str) -> None:
    for seed in range(0, SEEDS, 3):
        case = Case(kind, seed)
        if not case.graph.streamable:
            continue
        stream = case.model.stream(BATCH)
        cut = case.frames // 2
        stream.run(one(tuple(array[:, :cut] for array in case.inputs)))
        rest = one(tuple(array[:, cut:] for array in case.inputs))
        assert same_bits(stream.copy().run(rest), stream.run(rest)), seed


def test_rows_that_step_apart(kind: str) -> None:
    """Two rows of three take every frame, the other one every second frame."""
    for seed in range(0, SEEDS, 3):
        case = Case(kind, seed)
        if not case.graph.streamable:
            continue
        stream, alone = case.model.stream(3), [case.model.stream(1) for _ in range(3)]
        for frame in range(min(case.frames, 20)):
            now = tuple(array[:3, frame] for array in case.inputs)
            rows = [0, 2] if frame % 2 else [0, 1, 2]
            together = as_tuple(stream.step(one(now), active=rows))
            for row in rows:
                single = as_tuple(
                    alone[row].step(one(tuple(array[row : row + 1] for array in now)))
                )
                for have, want in zip(together, single, strict=True):
                    if want is not None:
                        assert same_bits(have[row : row + 1], want), (seed, frame)


def test_instruction_sets_of_a_class_give_the_same_bits(kind: str) -> None:
    for seed in range(SEEDS):
        case = Case(kind, seed)
        found: dict[str, Any] = {}
        for isa in grucore.supported_isas():
            model = grucore.load(case.data, isa=isa)
            result = model.run(one(case.inputs), lengths=case.lengths)
            assert same_bits(result, found.setdefault(model.numerics, result)), (seed, isa)


def test_file_survives(kind: str) -> None:
    for seed in range(SEEDS):
        data = Case(kind, seed).data
        assert fileformat.write(fileformat.read(data)) == data, seed


def without_nan(array: np.ndarray) -> np.ndarray:
    """The sign and payload of a NaN are no part of the contract."""
    return np.where(np.isnan(array), array.dtype.type(12345), array)


@pytest.mark.parametrize("nonfinite", ["propagate", "hold"])
def test_frames_that_are_not_finite(kind: str, nonfinite: str) -> None:
    for seed in range(SEEDS):
        case = Case(kind, seed)
        rng = np.random.default_rng(seed)
        for array in case.inputs:
            if array.dtype == np.float32:
                array[rng.random(array.shape[:2]) < 0.15, 0] = rng.choice([np.nan, np.inf, -np.inf])
        run = case.model.run
        whole = [without_nan(y) for y in as_tuple(run(one(case.inputs), nonfinite=nonfinite))]
        for row in range(BATCH):
            alone = as_tuple(run(case.row(row), nonfinite=nonfinite))
            for have, want in zip(whole, alone, strict=True):
                assert same_bits(have[row : row + 1], without_nan(want)), seed
        if not case.graph.streamable:
            continue
        stream = case.model.stream(BATCH, nonfinite=nonfinite)
        steps = [
            as_tuple(stream.step(one(tuple(array[:, frame] for array in case.inputs))))
            for frame in range(case.frames)
        ]
        for index, name in enumerate(case.graph.outputs):
            column = [without_nan(step[index]) for step in steps if step[index] is not None]
            per_sequence = case.graph.value(name).rate is Rate.SEQUENCE
            found = column[-1] if per_sequence else np.stack(column, axis=1)
            assert same_bits(found, whole[index]), seed
