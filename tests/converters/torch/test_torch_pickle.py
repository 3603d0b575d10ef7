# SPDX-License-Identifier: Apache-2.0
"""Checkpoints read without torch: golden files of torch, and hostile ones that must stay inert."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import grucore
from converters.torch.pickles import archive, zipped
from grucore.converters import convert as files
from grucore.converters.ignored import Ignored
from grucore.converters.source import LEGACY_START, ZIP_START, read_file
from grucore.converters.torch.sources import state_dict
from grucore.converters.torch.sources.checkpoint import state_dict_in
from grucore.fileformat import read
from grucore.proof.evidence import Evidence
from grucore.reference import run as reference
from models.readers import checkpoint_in

GOLDEN = Path(__file__).parents[2] / "golden" / "torch"
NET = "gru > last > linear > relu > linear"
ARCHITECTURES = {"net": NET, "wrapped": NET, "lightning": NET}
# torch computes these in float32, or in float64 from weights that are rounded here.
CLOSE = 2e-6


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """`import torch` fails, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


def expected() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "expected.npz") as arrays:
        return dict(arrays)


GOOD = sorted(name.removesuffix(".x") for name in expected() if name.endswith(".x"))


def test_there_are_golden_files() -> None:
    assert len(GOOD) == 14


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("name", GOOD)
def test_golden(name: str) -> None:
    path = GOLDEN / f"{name}.pt"
    data, _, proof = files.convert_path(path, architecture=ARCHITECTURES.get(name))
    assert proof is not None
    assert "float64 reference" in proof.against
    x, y = expected()[f"{name}.x"], expected()[f"{name}.y"]
    assert np.abs(grucore.load(data).run(x) - y).max() < CLOSE
    assert np.abs(reference.run(read(data), x)[0][0] - y).max() < CLOSE
    assert grucore.load(data).metadata["source"]["file"] == path.name


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rnn", r"rnn needs nonlinearity, which the weights do not tell"),
        ("two_models", r"several state dicts \(ema, model\)"),
        ("net", "--architecture .gru\\(encoder\\) > last > linear\\(head.0\\) > linear"),
    ],
)
def test_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(grucore.ConversionError, match=reason) as refusal:
        files.convert_path(GOLDEN / f"{name}.pt")
    assert str(refusal.value).startswith(f"{name}.pt: ")


def test_reading_does_not_import_torch() -> None:
    before = set(sys.modules)
    read_file(GOLDEN / "gru.pt")
    checkpoint_in((GOLDEN / "gru.pt").read_bytes())
    assert not {name for name in set(sys.modules) - before if name.startswith("torch")}


T = LEGACY_START


def tensor(
    *,
    key: str = "0",
    elements: int = 6,
    offset: int = 0,
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    kind: str = "FloatStorage",
) -> bytes:
    """The pickle of {"w": a tensor}, by hand: nothing here needs torch."""

    def plain(value: object) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    storage = b"(" + plain("storage") + f"ctorch\n{kind}\n".encode()
    storage += plain(key) + plain("cpu") + plain(elements) + b"tQ"
    arguments = b"(" + storage + plain(offset) + plain(shape) + plain(strides) + b"\x89N" + b"t"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"
    return b"\x80\x02}" + plain("w") + call + b"s."


def checkpoint(content: bytes, raw: bytes, order: bytes = b"little") -> bytes:
    return archive({"a/data.pkl": content, "a/byteorder": order, "a/data/0": raw})


SIX = np.arange(6, dtype="<f4").tobytes()


def test_a_tensor_by_hand_and_a_big_endian_one() -> None:
    grid = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = checkpoint_in(checkpoint(tensor(), SIX))
    assert np.array_equal(found["w"], grid)
    swapped = np.arange(6, dtype=">f4").tobytes()
    found = checkpoint_in(checkpoint(tensor(), swapped, b"big"))
    assert np.array_equal(found["w"], grid)
    assert found["w"].dtype == np.float32
    turned = tensor(shape=(3, 2), strides=(1, 3))
    assert np.array_equal(checkpoint_in(checkpoint(turned, SIX))["w"], grid.T)


HUGE = 1 << 62
HOSTILE: dict[str, tuple[bytes, str]] = {
    "view past the end": (checkpoint(tensor(offset=1), SIX), "leaves storage 0 of 6"),
    "strides past the end": (checkpoint(tensor(strides=(6, 1)), SIX), "leaves storage 0"),
    "negative stride": (checkpoint(tensor(strides=(-3, 1)), SIX), "negative or impossible"),
    "negative offset": (checkpoint(tensor(offset=-1), SIX), "negative or impossible"),
    "negative extent": (checkpoint(tensor(shape=(-2, 3)), SIX), "negative or impossible"),
    "huge extent": (checkpoint(tensor(shape=(HUGE, 4)), SIX), "negative or impossible"),
    "repeated elements": (
        checkpoint(tensor(shape=(1 << 20, 1 << 20), strides=(0, 0)), SIX),
        "repeats the elements",
    ),
    "many axes": (checkpoint(tensor(shape=(1,) * 64, strides=(1,) * 64), SIX), "64 axes"),
    "strides missing": (checkpoint(tensor(strides=(1,)), SIX), "2 axes"),
    "storage too short": (checkpoint(tensor(), SIX[:-1]), "storage 0 has 23 bytes, expected 24"),
    "storage too long": (checkpoint(tensor(), SIX + b"\0"), "storage 0 has 25 bytes"),
    "storage announced huge": (checkpoint(tensor(elements=HUGE), SIX), "impossible number"),
    "storage missing": (checkpoint(tensor(key="1"), SIX), "no entry a/data/1"),
    "storage outside": (checkpoint(tensor(key="../0"), SIX), "no entry a/data/../0"),
    "byte order": (checkpoint(tensor(), SIX, b"middle"), "byte order is b'middle'"),
    "no data.pkl": (archive({"a/data": b""}), "no single data.pkl"),
    "two data.pkl": (archive({"a/data.pkl": b"", "b/data.pkl": b""}), "no single data.pkl"),
    "torchscript": (
        archive({"a/data.pkl": b"N.", "a/constants.pkl": b"N."}),
        "a TorchScript archive without a module",
    ),
    "torch.export": (archive({"a/archive_format": b"pt2"}), "a torch.export archive"),
    "absolute name": (archive({"/a/data.pkl": b"N."}), "outside of itself"),
    "parent name": (archive({"a/../../data.pkl": b"N."}), "outside of itself"),
    "compressed": (
        archive({"a/data.pkl": bytes(10_000)}, compression=zipfile.ZIP_DEFLATED),
        "entry a/data.pkl is compressed",
    ),
    "empty pickle": (zipped(b""), "the pickle is damaged"),
    "pickle cut": (zipped(tensor()[:-9]), "the pickle is damaged"),
    "no opcode": (zipped(b"\x80\x02\xff."), "the pickle is damaged"),
    "stack underrun": (zipped(b"\x80\x02R."), "the pickle is damaged"),
    "memo missing": (zipped(b"\x80\x02h\x07."), "the pickle is damaged"),
    "string announced huge": (zipped(b"\x80\x04\x8d" + struct.pack("<Q", HUGE)), "damaged"),
    "bytearray announced huge": (zipped(b"\x80\x05\x96" + struct.pack("<Q", HUGE)), "damaged"),
    "extension registry": (zipped(b"\x80\x02\x82\x01."), "uses EXT1"),
    "buffers": (zipped(b"\x80\x05\x97."), "uses NEXT_BUFFER"),
    "foreign persistent id": (zipped(b"\x80\x02K\x01Q."), "a persistent id that torch.save does"),
    "not torch's storage": (
        zipped(tensor().replace(b"ctorch\nFloatStorage", b"cos\nsystem")),
        "names 'os.system'",
    ),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_checkpoints_are_refused_by_name(name: str, tmp_path: Path) -> None:
    data, reason = HOSTILE[name]
    path = tmp_path / "hostile.pt"
    path.write_bytes(data)
    with pytest.raises(grucore.ConversionError) as refusal:
        files.convert_path(path)
    assert reason in str(refusal.value)
    assert str(refusal.value).startswith("hostile.pt: ")


def test_storages_that_numpy_lacks_matter_only_when_used() -> None:
    found = checkpoint_in(checkpoint(tensor(kind="ComplexFloatStorage"), SIX))
    assert repr(found["w"]) == "<torch.ComplexFloatStorage>"


def test_damaged_entries_are_never_loaded() -> None:
    data = bytearray((GOLDEN / "gru.pt").read_bytes())
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        info = next(i for i in file.infolist() if i.filename.endswith("data/0"))
    data[info.header_offset + 200] ^= 1
    with pytest.raises(grucore.ConversionError, match="archive is damaged: Bad CRC-32"):
        checkpoint_in(bytes(data))


def test_truncated_and_flipped_files_raise_conversion_errors_only(
    rng: np.random.Generator,
) -> None:
    for name in ("gru", "legacy"):
        whole = (GOLDEN / f"{name}.pt").read_bytes()
        for length in range(4, len(whole), 7):
            if not whole[:length].startswith((ZIP_START, LEGACY_START)):
                continue
            with pytest.raises(grucore.ConversionError):
                checkpoint_in(whole[:length])
        for place in rng.integers(0, len(whole), 600):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << rng.integers(8)
            with contextlib.suppress(grucore.ConversionError):
                checkpoint_in(bytes(damaged))


def test_two_entries_of_one_name() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/data.pkl", b"N.")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a/data.pkl", b"N.")
    with pytest.raises(grucore.ConversionError, match=r"two entries 'a/data.pkl'"):
        checkpoint_in(buffer.getvalue())


def test_deep_and_shared_containers_end() -> None:
    deep = b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."
    assert isinstance(checkpoint_in(zipped(deep)), list)
    key = b"\x80\x02}" + b"(" * 50_000 + b"t" * 50_000 + b"K\x01s."
    assert len(checkpoint_in(zipped(key))) == 1
    double = b"\x80\x02]q\x00" + b"".join(
        b"]q" + bytes([i]) + b"h" + bytes([i - 1]) + b"ah" + bytes([i - 1]) + b"a"
        for i in range(1, 60)
    )
    assert isinstance(checkpoint_in(zipped(double + b".")), list)
    with pytest.raises(grucore.ConversionError, match="no state dict"):
        state_dict_in(checkpoint_in(zipped(double + b".")), Ignored())


@pytest.mark.parametrize("data", [b"", b"GGUF", b"\x89HDF"])
def test_files_of_other_kinds(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(
        grucore.ConversionError, match=r"expected PyTorch \(\.pt, \.pth, \.ckpt, \.pt2\), safe"
    ):
        files.convert_path(path)


def test_gru_files_folders_and_pipes(tmp_path: Path) -> None:
    path = tmp_path / "model.gru"
    data = files.convert_path(GOLDEN / "gru.pt", verify=False).data
    path.write_bytes(data)
    with pytest.raises(grucore.ConversionError, match=r"open it with grucore\.load"):
        files.convert_path(path)
    with pytest.raises((OSError, grucore.ConversionError)):
        files.convert_path(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.convert_path(tmp_path / "none.pt")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.pt")
        with pytest.raises(grucore.ConversionError, match="not a regular file"):
            files.convert_path(tmp_path / "pipe.pt")


def test_without_verify_there_is_a_test_vector_but_no_proof() -> None:
    data, _, proof = files.convert_path(GOLDEN / "gru.pt", verify=False)
    assert proof is None
    graph = read(data)
    assert graph.test is not None
    assert "proof" not in graph.metadata
    assert grucore.load(data).selftest().exact


def test_a_wrong_model_fails_its_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def twisted(*_: object, **__: object) -> Evidence:
        def run(x: np.ndarray) -> tuple[np.ndarray, ...]:
            return (np.full((len(x), 4), 0.5, np.float32),)

        return Evidence(run, "a twin that is wrong")

    monkeypatch.setattr(state_dict, "program_evidence", twisted)
    with pytest.raises(grucore.ConversionError, match="does not agree with its source"):
        files.convert_path(GOLDEN / "gru.pt")
