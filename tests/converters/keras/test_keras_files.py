# SPDX-License-Identifier: Apache-2.0
"""Keras files read without keras: golden ones of each format, and hostile ones."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.converters.keras import convert as converter
from models.readers import keras_source

h5py = pytest.importorskip("h5py")

GOLDEN = Path(__file__).parents[2] / "golden" / "keras"
ERROR = grucore.ConversionError
FILES = {
    "keras3.keras": None,
    "keras3.h5": None,
    "keras3.weights.h5": GOLDEN / "keras3.json",
    "keras1_layout.h5": None,
    "keras2_layout.h5": None,
    "keras2_cudnn_layout.h5": None,
    "tf_keras_layout.h5": None,
    "tf_keras213_layout.keras": None,
}


@pytest.mark.parametrize("name", FILES)
def test_golden(name: str) -> None:
    with np.load(GOLDEN / "expected.npz") as expected:
        key = name.partition(".")[0]
        x, y = expected[f"{key}.x"], expected[f"{key}.y"]
    model = grucore.convert(GOLDEN / name, config=FILES[name], verify=False)
    assert np.abs(model.run(x) - y).max() < 2e-6
    assert model.metadata["source"]["framework"] == "keras"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.oracle
def test_golden_files_are_proved_against_rebuilt_layers(name: str) -> None:
    from models.keras_models import keras

    model = grucore.convert(GOLDEN / name, config=FILES[name])
    assert model.proof is not None
    assert model.proof.against == f"the layers of keras {keras.__version__} (torch)"


def test_reading_imports_no_framework() -> None:
    code = f"""
import sys
sys.path.insert(0, {str(GOLDEN.parents[1])!r})
from pathlib import Path
from models.readers import keras_graph
for name in {[name for name, config in FILES.items() if config is None]!r}:
    keras_graph(Path({str(GOLDEN)!r}) / name)
sys.exit("keras" in sys.modules or "tensorflow" in sys.modules or "torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_weights_without_a_config_say_what_is_missing() -> None:
    with pytest.raises(ERROR, match=r"weights but no config.*model\.to_json\(\)"):
        grucore.convert(GOLDEN / "keras3.weights.h5")
    with pytest.raises(ERROR, match=r"has a config of its own"):
        grucore.convert(GOLDEN / "keras3.keras", config={})


def archive(**changes: bytes | None) -> bytes:
    """The golden archive with other entries."""
    target = io.BytesIO()
    with zipfile.ZipFile(GOLDEN / "keras3.keras") as source:
        entries = {name: source.read(name) for name in source.namelist()}
    entries.update({name.replace("__", "."): content for name, content in changes.items()})
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in entries.items():
            if content is not None:
                written.writestr(name, content)
    return target.getvalue()


def config_with(**changes: Any) -> bytes:
    with zipfile.ZipFile(GOLDEN / "keras3.keras") as source:
        found = json.loads(source.read("config.json"))
    found["config"].update(changes)
    return json.dumps(found).encode()


def test_a_deflated_archive_is_read() -> None:
    assert keras_source(archive(), "x.keras").version is not None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (archive(config__json=b" " * (1 << 25)), "33554432 bytes, expected at most 1677"),
        (archive(config__json=b"[" * 100_000), "config is not JSON"),
        (archive(config__json=b"[]"), "config is not a JSON object"),
        (archive(config__json=b"{}"), "not one that Keras writes"),
        (archive(config__json=config_with(layers=[])), "lists no layers"),
        (archive(config__json=config_with(layers=3)), "lists no layers"),
        (archive(config__json=config_with(output_layers=[["gone", 0, 0]])), "which is not there"),
        (archive(config__json=config_with(input_layers=[["dense", 0, 0]])), "not an InputLayer"),
        (archive(model__weights__h5=None), "has no model.weights.h5"),
        (archive(model__weights__npz=b""), "holds pickled Python objects"),
        (archive(model__weights__h5=b"no"), "HDF5 file is damaged"),
        (archive(**{"../x": b""}), "outside of itself"),
    ],
)
def test_hostile_archives(data: bytes, reason: str) -> None:
    with pytest.raises(ERROR, match=reason):
        converter.graph_of_source(keras_source(data, "x.keras"))


def test_every_flipped_byte_is_refused_or_harmless() -> None:
    data = bytearray((GOLDEN / "keras2_layout.h5").read_bytes())
    generator = np.random.default_rng(0)
    for place in generator.integers(0, len(data), 400):
        changed = bytearray(data)
        changed[place] ^= 1 << int(generator.integers(8))
        try:
            converter.graph_of_source(keras_source(bytes(changed), "x.h5"))
        except ERROR:
            continue


def test_truncated_files_are_refused() -> None:
    for name in ("keras3.keras", "keras2_layout.h5"):
        data = (GOLDEN / name).read_bytes()
        for length in range(8, len(data) - 1, max(1, len(data) // 60)):
            with pytest.raises(ERROR):
                converter.graph_of_source(keras_source(data[:length], name))
