# SPDX-License-Identifier: Apache-2.0
"""State dicts in `.npz` and `.npy` files, written by numpy: plain numbers, never a pickle."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import grucore

ERROR = grucore.ConversionError
GRU = {
    "gru.weight_ih_l0": (12, 3),
    "gru.weight_hh_l0": (12, 4),
    "gru.bias_ih_l0": (12,),
    "gru.bias_hh_l0": (12,),
    "fc.weight": (2, 4),
    "fc.bias": (2,),
}
LINE = "gru > linear"


@pytest.fixture
def state(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in GRU.items()}


def same(model: grucore.Model, state: dict[str, np.ndarray], rng: np.random.Generator) -> bool:
    x = rng.uniform(-2, 2, (9, 3)).astype(np.float32)
    expected = grucore.from_torch(dict(state), architecture=LINE).run(x)
    return bool((model.run(x) == expected).all())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["model.npz", "weights"])
def test_npz(
    save: Callable[..., None],
    name: str,
    state: dict[str, np.ndarray],
    rng: np.random.Generator,
    tmp_path: Path,
) -> None:
    with (tmp_path / name).open("wb") as file:
        save(file, **state)
    model = grucore.convert(tmp_path / name, architecture=LINE)
    assert model.metadata["source"]["container"] == ".npz"
    assert same(model, state, rng)
    with pytest.raises(ERROR, match="leaves out fc"):
        grucore.convert(tmp_path / name, architecture="gru(gru)")
    assert grucore.convert(tmp_path / name, ignore="fc").outputs[0].features == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda array: np.asfortranarray(array),
        lambda array: array.astype(">f4"),
        lambda array: array.astype(np.float64),
        lambda array: array[::-1][::-1],
    ],
)
def test_other_orders_and_types(
    change: Callable[[np.ndarray], np.ndarray],
    state: dict[str, np.ndarray],
    rng: np.random.Generator,
    tmp_path: Path,
) -> None:
    np.savez(tmp_path / "m.npz", **{name: change(array) for name, array in state.items()})
    assert same(grucore.convert(tmp_path / "m.npz", architecture=LINE), state, rng)


def test_npy_of_named_fields(
    state: dict[str, np.ndarray], rng: np.random.Generator, tmp_path: Path
) -> None:
    fields = [(name, array.dtype, array.shape) for name, array in state.items()]
    record = np.zeros((), fields)
    for name, array in state.items():
        record[name] = array
    np.save(tmp_path / "m.npy", record)
    model = grucore.convert(tmp_path / "m.npy", architecture=LINE)
    assert model.metadata["source"]["container"] == ".npy"
    assert same(model, state, rng)


def written(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


def header(descr: str, shape: str, rest: bytes = b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + rest


REFUSED: dict[str, tuple[bytes, str]] = {
    "a pickled dict": (written({"a": 1}), "array of dtype object, which are pickled.*np.savez"),
    "one array": (written(np.zeros((3, 4))), r"one array of shape \(3, 4\) without a name"),
    "complex": (written(np.zeros(3, complex)), "has dtype <c16, expected real numbers"),
    "records": (written(np.zeros(3, [("a", "f4")])), r"structured array of shape \(3,\)"),
    "short": (written(np.zeros((), [("a", "f4", 3)]))[:-1], "a has 11 bytes, expected 12"),
    "long": (written(np.zeros((), [("a", "f4", 3)])) + b"x", "bytes, of which the fields take"),
    "no header": (b"\x93NUMPY\x01\x00\xff\xffabc", "damaged: a header of 65535 bytes"),
    "no version": (b"\x93NUMPY\x07\x00", "no array of numpy's"),
    "code": (header("__import__('os')", "()"), "its header is none of numpy's"),
    "deep": (header("'<f4'", "(" * 3000 + ")" * 3000), "its header is none of numpy's"),
    "negative": (header("[('a', '<f4')]", "(-1,)"), "a shape that no tensor has"),
    "fields in fields": (header("[('a', [('b', '<f4')])]", "()"), "expected real numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_npy_files_refused_by_name(name: str, tmp_path: Path) -> None:
    data, reason = REFUSED[name]
    (tmp_path / "m.npy").write_bytes(data)
    with pytest.raises(ERROR, match=reason):
        grucore.convert(tmp_path / "m.npy")


def test_a_header_gets_no_memory_for_its_word(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("gru.weight_ih_l0.npy", header("'<f4'", "(1073741824, 64)", bytes(64)))
    tracemalloc.start()
    with pytest.raises(ERROR, match=r"gru\.weight_ih_l0 has 64 bytes, expected 274877906944"):
        grucore.convert(tmp_path / "m.npz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 22


def test_objects_in_an_archive(tmp_path: Path, state: dict[str, np.ndarray]) -> None:
    odd = np.array([{"a": 1}], object)
    np.savez(tmp_path / "m.npz", **state, odd=odd)
    with pytest.raises(ERROR, match="odd holds an array of dtype object, which are pickled"):
        grucore.convert(tmp_path / "m.npz", architecture=LINE)
