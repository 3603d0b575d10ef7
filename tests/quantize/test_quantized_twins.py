# SPDX-License-Identifier: Apache-2.0
"""Random models and their quantized twins: outputs stay near, whatever the layers are."""

from __future__ import annotations

import numpy as np
import pytest

import grucore
from grucore.fileformat import write
from grucore.graph.graph import Graph
from models.layer_models import KIND_NAMES, frames_for, inputs_for, make
from models.whole_models import whole

# Kind, bits of activations, and the bound, of the largest number of the float32 output or of 1. The
# worst of 60 models of each kind and 200 whole ones reached 0.018, 0.1, 0.0021 and 0.42, by a
# dense layer with an exponential after it or gates without bound.
VARIANTS = [("int8", 16, 0.025), ("int8", 8, 0.12), ("float16", 16, 0.003), ("int4", 16, 0.5)]
LAYER_SEEDS, WHOLE_SEEDS = 6, 40
BATCH, MORE_FRAMES = 3, 40


def as_tuple(found: object) -> tuple[np.ndarray, ...]:
    return found if isinstance(found, tuple) else (found,)  # type: ignore[return-value]


def check_twin(graph: Graph, kind: str, bits: int, bound: float, seed: int) -> None:
    model = grucore.load(write(graph))
    twin = model.quantize(kind, activations=bits)
    assert twin.selftest().exact
    rng = np.random.default_rng(seed)
    arrays = inputs_for(graph, rng, BATCH, frames_for(graph, rng) + MORE_FRAMES)
    x = arrays if len(arrays) > 1 else arrays[0]
    expected, found = as_tuple(model.run(x)), as_tuple(twin.run(x))
    for port, wide, small in zip(model.outputs, expected, found, strict=True):
        assert np.isfinite(small).all()
        scale = max(1.0, float(np.abs(wide).max(initial=0)))
        error = float(np.abs(small.astype(np.float64) - wide).max(initial=0)) / scale
        layers = [node.layer for node in graph.nodes]
        assert error <= bound, f"seed {seed}, {port.name} of {layers}"
    if twin.numerics == "exact":
        for isa in grucore.supported_isas():
            other = grucore.load(bytes(twin), isa=isa)
            for ours, theirs in zip(as_tuple(other.run(x)), found, strict=True):
                assert ours.tobytes() == theirs.tobytes(), f"seed {seed}, {isa}"


@pytest.mark.parametrize(("kind", "bits", "bound"), VARIANTS)
# After another id all that follows is another sequence: there is no small difference.
@pytest.mark.parametrize("layer", [name for name in KIND_NAMES if name != "arg_max"])
def test_layers(layer: str, kind: str, bits: int, bound: float) -> None:
    for seed in range(LAYER_SEEDS):
        check_twin(make(layer, seed), kind, bits, bound, seed)


@pytest.mark.parametrize(("kind", "bits", "bound"), VARIANTS)
@pytest.mark.parametrize("seed", range(WHOLE_SEEDS))
def test_whole_models(seed: int, kind: str, bits: int, bound: float) -> None:
    check_twin(whole(seed), kind, bits, bound, seed)
