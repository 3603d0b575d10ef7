# SPDX-License-Identifier: Apache-2.0
"""The files and names that pages of code speak of, as a reader has them: made once."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from page_blocks import ROOT

import grucore
from grucore import fileformat
from grucore.demo.clips import load_clips
from grucore.graph.blocks import blocks_of
from grucore.graph.layers import Gru
from models.sounds import save
from oracle.oracles import oracle

__all__ = ["names", "put"]

GOLDEN = ROOT / "tests" / "golden"
SPOTTER = ROOT / "python" / "grucore" / "demo" / "data" / "keywords.pt"
FILES = {
    "model.pt": SPOTTER,
    "state.pt": SPOTTER,
    "kws.pt": SPOTTER,
    "model.keras": GOLDEN / "keras/keras3.keras",
    "model.h5": GOLDEN / "keras/keras3.h5",
    "model.weights.h5": GOLDEN / "keras/keras3.weights.h5",
    "model.json": GOLDEN / "keras/keras3.json",
    "model.onnx": GOLDEN / "onnx/torch_legacy_17.onnx",
    "net.onnx": GOLDEN / "onnx/torch_legacy_17.onnx",
    "suppressor.gru": ROOT / "examples/noise_suppressor/suppressor.gru",
    "noisy.wav": ROOT / "examples/noise_suppressor/before.wav",
    "amp.json": GOLDEN / "plugin/amp.json",
    "sunspots.keras": ROOT / "examples/sunspots/sunspots.keras",
}


def pruned(model: grucore.Model) -> grucore.Model:
    """The model with a third of the blocks of its GRU's states."""
    graph = fileformat.read(bytes(model))
    gru = next(node for node in graph.nodes if isinstance(node, Gru))
    weight = np.array(gru.weight_hh)
    blocks_of(weight)[:, np.arange(weight.shape[1] // 4) % 3 > 0] = 0
    nodes = tuple(replace(node, weight_hh=weight) if node is gru else node for node in graph.nodes)
    return grucore.load(fileformat.write(replace(graph, nodes=nodes, test=None, metadata={})))


def put(folder: Path) -> None:
    """The files of a reader."""
    for name, path in FILES.items():
        shutil.copy(path, folder / name)
    (folder / "python").symlink_to(ROOT / "python")  # README's blocks run in a clone
    rng = np.random.default_rng(2)
    frames = rng.standard_normal((400, 40), np.float32)
    np.save(folder / "frames.npy", frames)
    np.save(folder / "batch.npy", frames.reshape(4, 100, 40))
    np.save(folder / "lengths.npy", np.array([100, 7, 0, 50]))
    frames[:3].tofile(folder / "sensor.raw")
    save(folder / "speech.wav", load_clips()[0].samples)
    model = grucore.convert(SPOTTER, architecture="gru > linear", verify=False)
    for name in ("kws.gru", "net.gru"):
        model.save(folder / name)
    pruned(model).save(folder / "pruned.gru")
    np.save(folder / "labels.npy", model.run(frames).argmax(axis=1))
    for name, words in {
        "grucore": f'"{sys.executable}" -m grucore "$@"',
        "sensor": 'cat "$(dirname "$0")/sensor.raw"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\nexec {words}\n")
        (folder / name).chmod(0o755)


def decoder() -> tuple[Any, Any]:
    """An encoder's model, and a Keras decoder that takes its state."""
    keras = oracle("keras")
    layers = keras.layers
    ids, state = keras.Input((None,), dtype="int32"), keras.Input((8,))
    gru = layers.GRU(8, return_sequences=True, return_state=True, name="decoder")
    y, h = gru(layers.Embedding(5, 6)(ids), initial_state=state)
    whole = keras.Model([ids, state], [layers.Dense(5, activation="softmax")(y), h])
    encoder = keras.Sequential(
        [keras.Input((None,), dtype="int32"), layers.Embedding(5, 6), layers.GRU(8, name="encoder")]
    )
    return grucore.from_keras(encoder), whole


def names(page: str, folder: Path) -> dict[str, Any]:
    """The names that a page takes for known."""
    frames = np.load(folder / "frames.npy")
    found: dict[str, Any] = {"__name__": "page", "np": np}
    if page in ("docs/quantization.md", "docs/streaming.md"):
        found |= {"grucore": grucore, "model": grucore.load(folder / "kws.gru")}
        found |= {"frames": frames, "frame": frames[0]}
        found["pruned"] = grucore.load(folder / "pruned.gru")
    elif page == "docs/audio.md":
        found["samples"] = np.zeros(16000)
        oracle("torch")
    elif page == "docs/converting.md":
        torch, keras = oracle("torch"), oracle("keras")
        found |= {"grucore": grucore, "path": "model.keras", "path_or_proto": "model.onnx"}
        found |= {"module": torch.nn.GRU(3, 4, batch_first=True), "x": torch.zeros(1, 5, 3)}
        found["keras_model"] = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4)])
    elif page == "docs/converting_keras.md":
        encoder, whole = decoder()
        whole.save(folder / "decoder.keras")
        found |= {"grucore": grucore, "encoder": encoder, "ids": np.array([1, 2, 3]), "token": 1}
        found["keras_model"] = whole
    elif page == "docs/converting_onnx.md":
        found["grucore"] = grucore
    elif page == "examples/sunspots/README.md":
        found |= {"grucore": grucore, "keras": oracle("keras"), "counts": [5.0, 11.0, 16.0]}
    elif page in ("docs/tutorial.md", "docs/coming_from.md"):
        oracle("torch")
        oracle("keras")
    return found
