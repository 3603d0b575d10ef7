# SPDX-License-Identifier: Apache-2.0
"""Random whole Keras models, live and from every saved format, against Keras itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import grucore
from grucore.converters.keras.convert import graph_of_source, read_model
from grucore.converters.keras.read.source import Source
from grucore.converters.keras.witness.witness import rebuilt_evidence
from grucore.fileformat import read, write
from grucore.proof.proof import finish
from models.keras_models import Case, keras, outputs_of, random_model
from models.readers import keras_source

pytestmark = [
    pytest.mark.oracle,
    # Keras warns of masks that a layer forgets, and of its own older format.
    pytest.mark.filterwarnings("ignore:.*mask.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*HDF5 file.*:UserWarning"),
]

CASES = 180
BLOCKS = 12
TOLERANCE = 1e-5
TWIN_TOLERANCE = 0.04  # of int8 weights; seen: 0.018
FORMATS = 3  # the first blocks are proved as a user's models are, from one format each


def largest_difference(found: object, expected: list[np.ndarray]) -> float:
    """Relative to the largest number that each output has."""
    largest = 0.0
    pairs = zip(found if isinstance(found, tuple) else (found,), expected, strict=True)
    for mine, theirs in pairs:
        assert mine.shape == theirs.shape
        scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
        largest = max(largest, float(np.abs(mine - theirs).max(initial=0.0)) / scale)
    return largest


def content(model: grucore.Model) -> bytes:
    """The file without what says where the model comes from."""
    return write(replace(read(bytes(model)), metadata={}))


def saved(case: Case, folder: Path) -> Iterator[tuple[Path, str | None]]:
    """The model in each format that Keras saves, and the config that the format lacks."""
    for name in ("model.keras", "model.h5"):
        case.model.save(folder / name)
        yield folder / name, None
    case.model.save_weights(folder / "model.weights.h5")
    config = {"keras_version": keras.__version__, **json.loads(case.model.to_json())}
    yield folder / "model.weights.h5", json.dumps(config)


def rebuilt(source: Source, model: grucore.Model, case: Case) -> tuple[np.ndarray, ...]:
    """What Keras's layers, made again of what was read, give for the first row of the batch."""
    rows = [array[0].reshape(len(array[0]), -1) for array in case.inputs]
    return rebuilt_evidence(source, read(bytes(model))).witness(*rows)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_models(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("absl"), "disabled", True)  # "legacy" at each .h5
    for seed in range(block, CASES, BLOCKS):
        case = random_model(seed)
        expected = outputs_of(case.model, case.inputs)
        if block < FORMATS:
            live = grucore.from_keras(case.model)
        else:
            live = grucore.load(finish(graph_of_source(read_model(case.model))).data)
        given = tuple(case.inputs) if len(case.inputs) > 1 else case.inputs[0]
        assert largest_difference(live.run(given), expected) < TOLERANCE, seed
        assert live.selftest().exact, seed
        if block == 0:
            twin = live.quantize("int8")
            assert largest_difference(twin.run(given), expected) < TWIN_TOLERANCE, seed
        for place, (path, config) in enumerate(saved(case, tmp_path)):
            by_file = grucore.convert(path, config=config, verify=block == place)
            assert content(by_file) == content(live), (seed, path.name)
        source = keras_source((tmp_path / "model.keras").read_bytes(), "model.keras")
        again = rebuilt(source, live, case)
        assert largest_difference(again, [part[0] for part in expected]) < TOLERANCE, seed
        keras.backend.clear_session(free_memory=False)
