# SPDX-License-Identifier: Apache-2.0
"""The traps of Keras models: one test each, with the number that the notes on converters give."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import grucore
from grucore.proof.proof import BOUND
from models.keras_models import keras, layers, outputs_of, randomize

pytestmark = pytest.mark.oracle

ERROR = grucore.ConversionError
FRAMES = 21


def sequential(*parts: Any, features: int = 3, seed: int = 0) -> Any:
    model = keras.Sequential([keras.Input((None, features)), *parts])
    randomize(model, np.random.default_rng(seed))
    return model


def data(model: Any, seed: int = 1) -> np.ndarray:
    features = model.inputs[0].shape[-1]
    return np.random.default_rng(seed).uniform(-3, 3, (2, FRAMES, features)).astype(np.float32)


def check(model: Any, tmp_path: Path | None = None, bound: float = 10 * BOUND) -> grucore.Model:
    """Live, and by file where there is a path, against Keras itself."""
    found = [grucore.from_keras(model)]
    if tmp_path is not None:
        model.save(tmp_path / "model.keras")
        found.append(grucore.convert(tmp_path / "model.keras"))
    x = data(model)
    expected = outputs_of(model, [x])
    for converted in found:
        mine = converted.run(x)
        for a, b in zip(mine if isinstance(mine, tuple) else (mine,), expected, strict=True):
            assert np.abs(a - b).max() < bound
    return found[-1]


def edited(path: Path, change: Callable[[dict[str, Any]], None], name: str = "config.json") -> Path:
    """The archive with another config or metadata."""
    result = path.with_name("edited.keras")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(result, "w") as target:
        for member in source.namelist():
            content = source.read(member)
            if member == name:
                found = json.loads(content)
                change(found)
                content = json.dumps(found).encode()
            target.writestr(member, content)
    return result


def saved(tmp_path: Path, *parts: Any) -> Path:
    path = tmp_path / "model.keras"
    sequential(*parts).save(path)
    return path


def layer_of(config: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(entry for entry in config["config"]["layers"] if entry["class_name"] == kind)


@pytest.mark.parametrize("reset_after", [True, False])
def test_trap_01_the_two_cells(reset_after: bool, tmp_path: Path) -> None:
    check(sequential(layers.GRU(5, reset_after=reset_after)), tmp_path)
    path = saved(tmp_path, layers.GRU(5, reset_after=reset_after))
    wrong = edited(path, lambda c: layer_of(c, "GRU")["config"].update(reset_after=not reset_after))
    with pytest.raises(ERROR, match=r"GRU 'gru.*' has reset_after=.*, but a bias of shape"):
        grucore.convert(wrong)


def test_trap_02_hard_sigmoid_means_two_functions(tmp_path: Path) -> None:
    path = saved(tmp_path, layers.GRU(4, recurrent_activation="hard_sigmoid"))
    old = edited(path, lambda m: m.update(keras_version="2.13.1"), "metadata.json")
    new_model, old_model = grucore.convert(path), grucore.convert(old)
    x = np.random.default_rng(0).uniform(-3, 3, (FRAMES, 3)).astype(np.float32)
    assert np.abs(new_model.run(x) - old_model.run(x)).max() > 1e-3
    assert "clip(0.2 x + 0.5)" in old_model.metadata["source"]["hard_sigmoid"]
    assert "hard_sigmoid" not in new_model.metadata["source"]
    unknown = edited(path, lambda m: m.pop("keras_version"), "metadata.json")
    with pytest.raises(ERROR, match="neither the file nor the config says the version"):
        grucore.convert(unknown)


def test_trap_03_absent_keys(tmp_path: Path) -> None:
    path = saved(tmp_path, layers.GRU(4, reset_after=False))
    absent = edited(path, lambda c: layer_of(c, "GRU")["config"].pop("reset_after"))
    x = np.ones((FRAMES, 3), np.float32)
    assert np.array_equal(grucore.convert(absent).run(x), grucore.convert(path).run(x))
    unsaid = edited(path, lambda c: layer_of(c, "GRU")["config"].pop("recurrent_activation"))
    with pytest.raises(ERROR, match="has no recurrent_activation in its config"):
        grucore.convert(unsaid)


@pytest.mark.parametrize("reset_after", [True, False])
def test_trap_04_no_bias_leaves_the_cell_to_the_config(reset_after: bool, tmp_path: Path) -> None:
    check(sequential(layers.GRU(4, reset_after=reset_after, use_bias=False)), tmp_path)


def test_trap_05_paths_count_classes_and_know_no_names(tmp_path: Path) -> None:
    parts = [
        layers.GRU(4, return_sequences=True, name="gru_1"),
        layers.Dense(4, name="gru"),
        layers.GRU(4, return_sequences=True, name="my_gru"),
        layers.Dense(4, name="dense_7"),
    ]
    model = check(sequential(*parts), tmp_path)
    with h5py.File(_weights(tmp_path / "model.keras", tmp_path)) as file:
        assert file["layers/gru_1/vars"].attrs["name"] == "my_gru"
    names = [name for name in model.run(np.zeros((2, 3), np.float32), return_state=True)[1]]
    assert names == ["gru_1.l0.h", "my_gru.l0.h"]
    swapped = edited(
        tmp_path / "model.keras",
        lambda c: c["config"]["layers"].insert(1, c["config"]["layers"].pop(3)),
    )
    with pytest.raises(ERROR, match="holds the weights of 'gru_1', but by the config"):
        grucore.convert(swapped)


def _weights(path: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extract("model.weights.h5", tmp_path)
    return tmp_path / "model.weights.h5"


@pytest.mark.parametrize("sequences", [True, False])
def test_trap_06_go_backwards_gives_the_order_of_processing(
    sequences: bool, tmp_path: Path
) -> None:
    model = sequential(layers.GRU(4, go_backwards=True, return_sequences=sequences))
    converted = check(model, tmp_path)
    with pytest.raises(grucore.UnsupportedError, match=r"gru.*\.l0_reverse"):
        converted.stream()


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("sequences", [True, False])
def test_trap_07_bidirectional_last_is_of_each_direction(
    mode: str, sequences: bool, tmp_path: Path
) -> None:
    inner = layers.GRU(4, return_sequences=sequences)
    check(sequential(layers.Bidirectional(inner, merge_mode=mode)), tmp_path)


@pytest.mark.parametrize("value", [0.0, -1.5])
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.GRU(4, return_sequences=True),
        lambda: layers.GRU(4),
        lambda: layers.GRU(4, return_sequences=True, zero_output_for_mask=True),
        lambda: layers.GRU(4, return_sequences=True, go_backwards=True),
        lambda: layers.Bidirectional(layers.GRU(4, return_sequences=True)),
        lambda: layers.Bidirectional(layers.GRU(4)),
        lambda: layers.RNN([layers.GRUCell(4), layers.GRUCell(3)], return_sequences=True),
        lambda: layers.Conv1D(4, 3, padding="causal"),
        lambda: layers.GlobalAveragePooling1D(),
    ],
)
def test_trap_08_masked_frames(make: Callable[[], Any], value: float) -> None:
    model = sequential(layers.Masking(value), make())
    converted = grucore.from_keras(model)
    x = data(model)
    x[:, [0, 1, 5, 6, 20]] = value
    x[1, 8, 0] = value  # one feature of a frame masks nothing
    assert np.abs(converted.run(x) - outputs_of(model, [x])[0]).max() < BOUND * 5


def test_trap_09_states_come_forward_first(tmp_path: Path) -> None:
    x = keras.Input((None, 3))
    inner = layers.GRU(4, return_sequences=True, return_state=True)
    y, forward, backward = layers.Bidirectional(inner)(x)
    model = keras.Model(x, [y, forward, backward])
    randomize(model, np.random.default_rng(0))
    check(model, tmp_path)
    x = keras.Input((None, 3))
    cells = [layers.GRUCell(4), layers.GRUCell(2)]
    model = keras.Model(x, layers.RNN(cells, return_state=True)(x))
    randomize(model, np.random.default_rng(0))
    check(model, tmp_path)


def test_trap_10_an_initial_state_is_refused() -> None:
    x, h = keras.Input((None, 3)), keras.Input((None, 3), name="encoded")
    state = layers.GRU(4)(h)
    y = layers.GRU(4, name="decoder")(x, initial_state=state)
    with pytest.raises(ERROR, match=r"GRU 'decoder' initial_h is computed by the model"):
        grucore.from_keras(keras.Model([x, h], y))


def test_trap_22_a_learned_initial_state_is_refused() -> None:
    class Learned(layers.GRU):
        pass

    with pytest.raises(ERROR, match=r"is of the custom class .*Learned"):
        grucore.from_keras(sequential(Learned(4)))


@pytest.mark.filterwarnings("ignore:.*HDF5.*:UserWarning")
def test_trap_23_names_of_legacy_files_and_lists_in_chunks(tmp_path: Path) -> None:
    model = sequential(layers.GRU(4, return_sequences=True), layers.Dense(2))
    path = tmp_path / "model.h5"
    model.save(path)
    x = data(model)
    expected = outputs_of(model, [x])[0]
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        names = list(group.attrs["layer_names"])
        del group.attrs["layer_names"]
        group.attrs["layer_names0"], group.attrs["layer_names1"] = names[:1], names[1:]
        # As tf.keras calls them: with the name of the variable's graph, and ":0".
        inner = group[names[0]]
        old = list(inner.attrs["weight_names"])
        new = [f"{name}:0".encode() for name in old]
        for name, other in zip(old, new, strict=True):
            inner.move(name, other.decode())
        inner.attrs["weight_names"] = new
    assert np.abs(grucore.convert(path).run(x) - expected).max() < BOUND * 5


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda group, path: h5py.ExternalLink("other.h5", "/x"), "a ExternalLink to other.h5"),
        (lambda group, path: h5py.SoftLink("/elsewhere"), "a SoftLink to /elsewhere"),
    ],
)
def test_trap_24_links(make: Callable[..., Any], reason: str, tmp_path: Path) -> None:
    path = saved(tmp_path, layers.GRU(4))
    weights = _weights(path, tmp_path)
    with h5py.File(weights, "r+") as file:
        group = file["layers/gru/cell/vars"]
        del group["0"]
        group["0"] = make(group, tmp_path)
    with pytest.raises(ERROR, match=reason):
        grucore.convert(rezipped(path, weights))


def rezipped(path: Path, weights: Path) -> Path:
    result = path.with_name("rezipped.keras")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(result, "w") as target:
        for member in source.namelist():
            is_weights = member == "model.weights.h5"
            target.writestr(member, weights.read_bytes() if is_weights else source.read(member))
    return result


def _external(group: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside.bin"
    outside.write_bytes(bytes(3 * 12 * 4))
    group.create_dataset("0", (3, 12), "f4", external=[(str(outside), 0, 144)])


def _virtual(group: Any, tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((3, 12), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "source.h5"), "x", (3, 12))
    group.create_virtual_dataset("0", layout)


def _huge(group: Any, tmp_path: Path) -> None:
    group.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(1, 1024), compression="gzip")


def _unwritten(group: Any, tmp_path: Path) -> None:
    group.create_dataset("0", (3, 12), "f4")


def _texts(group: Any, tmp_path: Path) -> None:
    group.create_dataset("0", (3, 12), h5py.string_dtype())


def _ragged(group: Any, tmp_path: Path) -> None:
    group.create_dataset("0", (3, 12), h5py.vlen_dtype(np.float32))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_external, "lies in another file, .*outside.bin"),
        (_virtual, "is virtual"),
        (_huge, "the file stores 0 for it"),
        (_unwritten, "the file stores 0 for it"),
        (_texts, "expected numbers"),
        (_ragged, "expected numbers"),
    ],
)
def test_trap_24_datasets(make: Callable[..., None], reason: str, tmp_path: Path) -> None:
    path = saved(tmp_path, layers.GRU(4))
    weights = _weights(path, tmp_path)
    with h5py.File(weights, "r+") as file:
        group = file["layers/gru/cell/vars"]
        del group["0"]
        make(group, tmp_path)
    with pytest.raises(ERROR, match=reason):
        grucore.convert(rezipped(path, weights))


def test_trap_25_bfloat16_has_no_type_of_its_own_in_hdf5(tmp_path: Path) -> None:
    model = sequential(layers.GRU(4))
    for weight in model.weights:  # numbers that bfloat16 has
        bits = np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).view(np.uint32)
        weight.assign((bits & 0xFFFF0000).view(np.float32))
    model.save(tmp_path / "model.keras")
    weights = _weights(tmp_path / "model.keras", tmp_path)
    with h5py.File(weights, "r+") as file:
        group = file["layers/gru/cell/vars"]
        for name in list(group):
            short = (np.ascontiguousarray(group[name]).view(np.uint32) >> 16).astype(np.uint16)
            del group[name]
            group.create_dataset(name, data=short.view("V2"))
            group[name].attrs["dtype"] = "bfloat16"
    x = data(model)
    read = grucore.convert(rezipped(tmp_path / "model.keras", weights))
    assert np.abs(read.run(x) - outputs_of(model, [x])[0]).max() < BOUND


def test_trap_26_dtype_policies(tmp_path: Path) -> None:
    for policy in ("mixed_float16", "mixed_bfloat16", "float64"):
        model = keras.Sequential([keras.Input((None, 3)), layers.GRU(4, dtype=policy)])
        model.save(tmp_path / "model.keras")
        converted = grucore.convert(tmp_path / "model.keras")
        assert converted.metadata["source"]["dtype_policies"] == [policy]
        assert grucore.from_keras(model).proof.against.startswith("the layers of keras")
    model = sequential(layers.GRU(4, return_sequences=True), layers.Dense(2))
    model.quantize("int8")
    with pytest.raises(ERROR, match=r"Dense 'dense.*' has the dtype policy QuantizedDTypePolicy"):
        grucore.from_keras(model)


def _lambda() -> Any:
    return layers.Lambda(lambda x: x * 2, name="twice")


class Custom(layers.Layer):
    """A layer whose code a file does not hold."""

    def call(self, x: Any) -> Any:
        return x


@keras.saving.register_keras_serializable("mine")
class Registered(layers.Layer):
    """The same, registered."""

    def call(self, x: Any) -> Any:
        return x


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_lambda, "Lambda 'twice' is Python code, which is never run"),
        (lambda: Custom(name="odd"), "'odd' is of the custom class .*Custom"),
        (lambda: Registered(name="odd"), "'odd' is of the custom class .*mine>Registered"),
        (lambda: layers.Dense(2, activation=lambda x: x, name="d"), "Dense 'd' has the custom"),
        (lambda: layers.Flatten(name="flat"), "Flatten 'flat' joins all frames"),
        (lambda: layers.UpSampling1D(name="up"), "UpSampling1D 'up' gives several frames for one"),
        (lambda: layers.Conv1D(2, 3, strides=2, padding="same", name="c"), "'c' has strides"),
        (lambda: layers.BatchNormalization(axis=1, name="b"), "'b' axis 1 is that of time"),
        (
            lambda: layers.PReLU("random_normal", name="p"),
            "'p' a constant .* differs along time|combines",
        ),
        (lambda: layers.GRU(3, activation="gelu", name="g"), "'g' has activation 'gelu' inside"),
        (lambda: layers.ReLU(threshold=1.0, name="r"), "ReLU 'r' has threshold=1.0, expected 0"),
    ],
)
def test_trap_27_what_is_refused_is_named(
    make: Callable[[], Any], reason: str, tmp_path: Path
) -> None:
    features = 3
    if "alpha" in reason or "time" in reason:
        model = keras.Sequential([keras.Input((FRAMES, features)), make()])
    else:
        model = sequential(*([layers.GRU(3)] if "again" in reason else []), make())
    with pytest.raises(ERROR, match=reason):
        grucore.from_keras(model)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ERROR, match=reason):
        grucore.convert(tmp_path / "model.keras")
