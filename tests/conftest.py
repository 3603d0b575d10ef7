# SPDX-License-Identifier: Apache-2.0
"""Small models, loaded once."""

from __future__ import annotations

import numpy as np
import pytest

import grucore
from grucore.fileformat import write
from models.clocked_models import strided_model, words_model
from models.small_models import GRAPHS, bidirectional_graph, frames_graph, last_graph, ports_graph


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def frames_file() -> bytes:
    return write(frames_graph())


@pytest.fixture(scope="session")
def frames_model(frames_file: bytes) -> grucore.Model:
    """5 features -> gru of 7 -> 3, frame by frame."""
    return grucore.load(frames_file)


@pytest.fixture(scope="session")
def last_model() -> grucore.Model:
    """5 features -> gru of 7 -> last frame -> 3, once per sequence."""
    return grucore.load(write(last_graph()))


@pytest.fixture(scope="session")
def bidirectional_model() -> grucore.Model:
    """5 features -> gru of 7 in both directions: 14, frame by frame but not streamable."""
    return grucore.load(write(bidirectional_graph()))


@pytest.fixture(scope="session")
def ports_model() -> grucore.Model:
    """audio (3) and motion (2) -> gru.l0.out (6) per frame and y (2) per sequence."""
    return grucore.load(write(ports_graph()))


@pytest.fixture(scope="session", params=sorted(GRAPHS))
def any_model(request: pytest.FixtureRequest) -> grucore.Model:
    """One model after the other."""
    return grucore.load(write(GRAPHS[request.param]()))


@pytest.fixture(scope="session")
def words() -> grucore.Model:
    return words_model()


@pytest.fixture(scope="session")
def strided() -> grucore.Model:
    return strided_model()
