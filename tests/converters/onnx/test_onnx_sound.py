# SPDX-License-Identifier: Apache-2.0
"""STFT, DFT, windows and mel filters of ONNX: features inside a file, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
onnx = oracle("onnx")
ort = oracle("onnxruntime")
node = onnx.helper.make_node
SIZE, HOP, BANDS, UNITS = 60, 16, 8, 6


def constants() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return {
        "size": np.array(SIZE),
        "length": np.array(64),
        "hop": np.array(HOP),
        "bands": np.array(BANDS),
        "rate": np.array(8000),
        "low": np.float32(100),
        "high": np.float32(3800),
        "least": np.float32(1e-4),
        "last": np.array([-1]),
        "first": np.array([1]),
        "time": np.array(2),
        "W": (rng.standard_normal((1, 3 * UNITS, BANDS)) * 0.3).astype(np.float32),
        "R": (rng.standard_normal((1, 3 * UNITS, UNITS)) * 0.3).astype(np.float32),
        "around": np.array([0, 32, 0, 32]),
    }


def spectrum(window: str = "HannWindow", length: str = "size", source: str = "x") -> list[Any]:
    return [
        node(window, [length], ["window"]),
        node("Unsqueeze", [source, "last"], ["signal"]),
        node("STFT", ["signal", "hop", "window", length], ["parts"], onesided=1),
    ]


def heard(bins: str) -> list[Any]:
    """Powers through mel filters, a logarithm and a GRU."""
    return [
        node("MelWeightMatrix", ["bands", bins, "rate", "low", "high"], ["filters"]),
        node("MatMul", ["power", "filters"], ["energy"]),
        node("Add", ["energy", "least"], ["floored"]),
        node("Log", ["floored"], ["mel"]),
        node("Transpose", ["mel"], ["turned"], perm=[1, 0, 2]),
        node("GRU", ["turned", "W", "R"], ["all", ""], hidden_size=UNITS),
        node("Squeeze", ["all", "first"], ["y"]),
    ]


def made(nodes: list[Any], shape: list[Any], opset: int = 20) -> Any:
    graph = onnx.helper.make_graph(
        nodes,
        "sound",
        [onnx.helper.make_tensor_value_info("x", 1, shape)],
        [onnx.helper.make_tensor_value_info("y", 1, None)],
        [onnx.numpy_helper.from_array(np.asarray(a), name) for name, a in constants().items()],
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)


POWER = [node("ReduceSumSquare", ["parts", "last"], ["power"], keepdims=0)]
MAGNITUDE = [node("ReduceL2", ["parts", "last"], ["power"], keepdims=0)]
BY_FRAMES = [
    node("Unsqueeze", ["x", "last"], ["signal"]),
    node("DFT", ["signal", "length", "time"], ["parts"], onesided=1),
]
FRONT = ["window", "rfft", "filterbank", "affine", "activation", "gru"]
KNOWN = {
    "power": ([*spectrum(), *POWER, *heard("size")], ["b", "t"], FRONT),
    "magnitude": ([*spectrum("BlackmanWindow"), *MAGNITUDE, *heard("size")], ["b", "t"], FRONT),
    "fixed sizes": ([*spectrum("HammingWindow"), *POWER, *heard("size")], [1, 30 * HOP], FRONT),
    "frames": ([*BY_FRAMES, *POWER, *heard("length")], ["b", "t", SIZE], FRONT[1:]),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_features_in_a_file(kind: str) -> None:
    nodes, shape, layers = KNOWN[kind]
    proto = made(nodes, shape)
    model = grucore.from_onnx(proto)
    assert [layer.kind for layer in model.layers] == layers
    x = np.random.default_rng(1).standard_normal((1, 30 * HOP)).astype(np.float32)
    if kind == "frames":
        x = x[:, : 8 * SIZE].reshape(1, 8, SIZE)
    session = ort.InferenceSession(proto.SerializeToString())
    wanted = session.run(None, {"x": x})[0].reshape(-1, UNITS)
    found = model.run(x.reshape(-1, model.inputs[0].features))
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


MIRROR = [node("Pad", ["x", "around"], ["padded"], mode="reflect"), *spectrum(source="padded")]
REFUSED = {
    "no whole hop": ([*spectrum(), *POWER, *heard("size")], [1, 650], "whole hops of 16"),
    "mirrored": ([*MIRROR, *POWER, *heard("size")], ["b", "t"], "center=False"),
    "both sides": (
        [
            *spectrum()[:2],
            node("STFT", ["signal", "hop", "window", "size"], ["parts"], onesided=0),
            *POWER,
            *heard("size"),
        ],
        ["b", "t"],
        "onesided is 0",
    ),
    "back": (
        [node("DFT", ["x", "length"], ["y"], inverse=1, axis=1)],
        ["b", "t", 2],
        "inverse or of both sides",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_features_that_no_stream_has(kind: str) -> None:
    nodes, shape, message = REFUSED[kind]
    with pytest.raises(grucore.ConversionError, match=message):
        grucore.from_onnx(made(nodes, shape, 17 if kind == "back" else 20))
