# SPDX-License-Identifier: Apache-2.0
"""Random whole Keras models: live and from each saved format, against Keras itself."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import grucore
from keras_models import Case, keras, outputs_of, random_model

pytestmark = [
    pytest.mark.oracle,
    # Keras warns of masks that a layer forgets, and of its own older format.
    pytest.mark.filterwarnings("ignore:.*mask.*:UserWarning"),
]

CASES = 240
BLOCKS = 12
TOLERANCE = 1e-5


def difference(model: grucore.Model, case: Case) -> float:
    """The largest difference, relative to the largest number that each output has."""
    found = model.run(tuple(case.inputs) if len(case.inputs) > 1 else case.inputs[0])
    found = found if isinstance(found, tuple) else (found,)
    largest = 0.0
    for mine, theirs in zip(found, outputs_of(case.model, case.inputs), strict=True):
        assert mine.shape == theirs.shape
        scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
        largest = max(largest, float(np.abs(mine - theirs).max(initial=0.0)) / scale)
    return largest


def by_file(case: Case, seed: int, folder: Path) -> grucore.Model:
    """Through one of the three formats that Keras saves, in turn."""
    if seed % 3 == 0:
        case.model.save(folder / "model.keras")
        return grucore.convert(folder / "model.keras")
    if seed % 3 == 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras calls this format legacy
            case.model.save(folder / "model.h5")
        return grucore.convert(folder / "model.h5")
    case.model.save_weights(folder / "model.weights.h5")
    config = {"keras_version": keras.__version__, **json.loads(case.model.to_json())}
    return grucore.convert(folder / "model.weights.h5", config=config)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_models(block: int, tmp_path: Path) -> None:
    for seed in range(block, CASES, BLOCKS):
        case = random_model(seed)
        live = grucore.from_keras(case.model)
        assert difference(live, case) < TOLERANCE, seed
        assert live.selftest().exact, seed
        assert difference(by_file(case, seed, tmp_path), case) < TOLERANCE, seed
        keras.backend.clear_session()
