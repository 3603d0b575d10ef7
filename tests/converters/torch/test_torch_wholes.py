# SPDX-License-Identifier: Apache-2.0
"""Random whole models against torch: live, and saved by torch.export."""

from __future__ import annotations

import numpy as np
import pytest

import grucore
from models.readers import program_in, torch_object
from models.torch_wholes import Whole, exported, tensors
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")

SEEDS = 200
BOUND = 1e-5  # of the output's scale
TWIN_BOUND = 0.01  # of int8 weights; seen: 0.0027
FRAMES = 40


def agree(data: bytes, module: Whole, seed: int) -> float:
    """The largest difference over the output's scale, on a batch that the proof has not seen."""
    model = grucore.load(data)
    x = module.example(2, FRAMES, seed + 1)
    with torch.no_grad():
        expected = [each.numpy() for each in tensors(module(x))]
    batch_first = x if module.batch_first else x.transpose(0, 1)
    found = model.run(batch_first.numpy().astype(np.int32 if module.ids else np.float32))
    worst = 0.0
    for port, ours, theirs in zip(
        model.outputs, found if isinstance(found, tuple) else (found,), expected, strict=True
    ):
        if module.head == "frames" and not module.batch_first:
            theirs = theirs.swapaxes(0, 1)
        if module.head == "valid":
            theirs = theirs.swapaxes(1, 2)
        assert port.features == ours.shape[-1]
        difference = np.abs(ours.reshape(theirs.shape) - theirs).max()
        worst = max(worst, float(difference / max(1.0, np.abs(theirs).max())))
    return worst


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_models(seed: int) -> None:
    module = Whole(seed)
    data, _, proof = torch_object(module, example_inputs=module.example())
    assert proof.largest_difference <= proof.bound
    assert agree(data, module, seed) < BOUND
    if seed % 8 == 0:
        twin = grucore.load(data).quantize("int8")
        assert agree(bytes(twin), module, seed) < TWIN_BOUND
    if seed % 2:  # an export takes as long as all else
        return
    saved, _, proof = program_in(exported(module, module.example()))
    assert proof is not None
    assert proof.largest_difference <= proof.bound
    # The graph in the file and the live one are the same model, to the bit.
    assert agree(saved, module, seed) == agree(data, module, seed)
