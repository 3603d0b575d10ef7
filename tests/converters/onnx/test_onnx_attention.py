# SPDX-License-Identifier: Apache-2.0
"""Decoders that attend to a memory, from ONNX: a stream computes what torch's own loop does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grucore
from models.onnx_torch import export
from models.torch_attention import FEATURES, FRAMES, TOKENS, decoder, example, loop
from oracle.oracles import oracle

torch = oracle("torch")
oracle("onnxruntime")
pytestmark = pytest.mark.oracle

BOUND, STEPS = 3e-6, 8
NAMES = {"input_names": ["tokens", "h", "memory"], "output_names": ["scores", "h_out"]}
WAYS = [
    ("dot", True),
    ("scaled with projections", False),
    ("keys and values side by side", True),
    ("scaled_dot_product_attention", False),
    ("MultiheadAttention", False),
    ("MultiheadAttention with weights", True),
    ("additive", False),
]


@pytest.mark.parametrize(("way", "dynamo"), WAYS)
def test_a_stream_is_the_loop_of_the_caller(
    way: str, dynamo: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    module, path = decoder(way), tmp_path / "decoder.onnx"
    export(module, example(), path, dynamo=dynamo, **NAMES)
    model = grucore.convert(path)
    assert [port.name for port in model.inputs] == ["tokens"]
    assert list(model.metadata["source"]["memories"].values()) == ["memory"]
    stream = model.stream()
    for frames in (FRAMES, 1, 4):
        memory = rng.normal(size=(frames, FEATURES)).astype(np.float32)
        tokens = rng.integers(0, TOKENS, STEPS)
        stream.reset()
        stream.set_memory(memory)
        found = np.array([stream.step([token]) for token in tokens])
        want = np.array(loop(module, tokens, memory))
        assert np.abs(found - want).max() <= BOUND * max(1.0, np.abs(want).max())
        assert np.array_equal(model.run(tokens, memory=memory), found)


def test_a_memory_of_any_length_has_no_bound(tmp_path: Path) -> None:
    path = tmp_path / "decoder.onnx"
    axes = {"memory": {1: "frames"}}
    export(decoder("dot"), example(), path, dynamo=False, dynamic_axes=axes, **NAMES)
    with pytest.raises(grucore.ConversionError):
        grucore.convert(path)


def test_a_query_that_is_repeated_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "decoder.onnx"
    export(decoder("concatenated"), example(), path, dynamo=False, **NAMES)
    with pytest.raises(grucore.ConversionError, match="multiplies two values"):
        grucore.convert(path)
