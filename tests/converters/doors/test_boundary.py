# SPDX-License-Identifier: Apache-2.0
"""No exception of a reader gets out as it is: errors name the file, and where in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import grucore
from grucore.cli import main
from grucore.converters.boundary import WrongKind, at, boundary

GOLDEN = Path(__file__).parents[2] / "golden"
ODD = (TypeError, AttributeError, StopIteration, RecursionError, AssertionError, ZeroDivisionError)


@pytest.mark.parametrize(
    "kind", [*ODD, ValueError, RuntimeError, type("Foreign", (Exception,), {})]
)
def test_exceptions_become_conversion_errors_with_their_places(kind: type[Exception]) -> None:
    with (
        pytest.raises(grucore.ConversionError) as caught,
        boundary(),
        at("module 'net'"),
        at("tensor 'w'"),
    ):
        raise kind("two\nlines")
    assert str(caught.value).startswith(
        f"module 'net': tensor 'w': it cannot be read ({kind.__name__}: two lines): "
    )
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), SystemError(), WrongKind(), FileNotFoundError(2, "no"), KeyboardInterrupt()],
)
def test_what_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, boundary(), at("here"):
        raise error
    assert caught.value is error


READERS: dict[str, tuple[str, str]] = {
    "torch/gru.pt": ("grucore.converters.torch.convert", "of_state"),
    "keras/keras3.h5": ("grucore.converters.keras.convert", "graph_of"),
    "onnx/opset_7.onnx": ("grucore.converters.onnx.convert", "source_of"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_that_fails(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")

    def fails(error: type[Exception]) -> Callable[..., Any]:
        def call(*_: Any, **__: Any) -> Any:
            raise error("odd")

        return call

    monkeypatch.setattr(".".join(READERS[name]), fails(UnboundLocalError))
    file = Path(name).name
    with pytest.raises(grucore.ConversionError, match=f"{file}: .*UnboundLocalError: odd"):
        grucore.convert(GOLDEN / name)
    assert main(["convert", str(GOLDEN / name), "-o", str(tmp_path / "m.gru")]) == 1
    assert f"grucore convert: {file}: " in capsys.readouterr().err
    monkeypatch.setattr(".".join(READERS[name]), fails(MemoryError))
    with pytest.raises(MemoryError):
        grucore.convert(GOLDEN / name)


def test_a_mistake_of_our_own_shows_no_traceback_unless_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise UnboundLocalError("odd")

    monkeypatch.setattr("grucore.cli._files.write_bytes", fails)
    monkeypatch.delenv("GRUCORE_TRACEBACK", raising=False)
    command = ["convert", str(GOLDEN / "torch" / "gru.pt"), "-o", str(tmp_path / "m.gru")]
    command += ["--no-verify"]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert told.startswith("grucore convert: a mistake of grucore's own: UnboundLocalError: odd\n")
    assert "GRUCORE_TRACEBACK=1" in told
    assert "Traceback" not in told
    assert main(["--traceback", *command]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("GRUCORE_TRACEBACK", "1")
    assert main(command) == 1
    assert "in fails" in capsys.readouterr().err


ODDITIES: dict[str, Callable[[Any], None]] = {
    "bytes": lambda entry: setattr(entry, "value", "\x00\x01"),
    "far": lambda entry: setattr(entry, "value", "a/" * 5000),
    "above": lambda entry: setattr(entry, "value", "../x"),
    "empty": lambda entry: setattr(entry, "value", ""),
    "a folder": lambda entry: setattr(entry, "value", "."),
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_external_data_at_odd_places(oddity: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(GOLDEN / "onnx" / "torch_dynamo.onnx", load_external_data=False)
    tensor = next(each for each in model.graph.initializer if each.external_data)
    for entry in tensor.external_data:
        if entry.key == "location":
            ODDITIES[oddity](entry)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(grucore.ConversionError, match=r"m\.onnx: .*external data"):
        grucore.convert(tmp_path / "m.onnx")


def test_external_data_that_is_no_text(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    data = (GOLDEN / "onnx" / "torch_dynamo.onnx").read_bytes()
    name = b"torch_dynamo.onnx.data"
    assert name in data
    shutil.copy(GOLDEN / "onnx" / name.decode(), tmp_path)
    for bad in (b"\xff" * len(name), b"\x80" + name[1:], b"\xc3\x28" + name[2:]):
        (tmp_path / "m.onnx").write_bytes(data.replace(name, bad))
        with pytest.raises(grucore.ConversionError, match=r"m\.onnx: "):
            grucore.convert(tmp_path / "m.onnx")


@pytest.mark.parametrize("command", ["convert", "inspect", "run", "quantize", "bench", "export"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"{"])
def test_no_file_gives_a_traceback(
    command: str, content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "odd.gru"
    path.write_bytes(content)
    more = {
        "convert": ["-o", str(tmp_path / "o.gru")],
        "run": ["-i", str(path), "-o", str(tmp_path / "o.npy")],
        "quantize": ["-o", str(tmp_path / "o.gru"), "--kind", "int8"],
        "export": ["-o", str(tmp_path / "firmware")],
    }
    assert main([command, str(path), *more.get(command, [])]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"grucore {command}: ")
    assert "mistake of grucore" not in told


def test_a_command_line_as_a_process(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07\x12\x00" * 40)
    found = subprocess.run(
        [sys.executable, "-m", "grucore.cli", "convert", "net.onnx", "-o", "net.gru"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "Traceback" not in found.stderr


def test_an_open_size_and_no_weights(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("MatMul", ["x", "x"], ["y"])
    x, y = (helper.make_tensor_value_info(name, kind, ["time", "batch", 3]) for name in "xy")
    graph = helper.make_graph([node], "graph", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(grucore.ConversionError) as caught:
        grucore.convert(tmp_path / "m.onnx")
    assert "cannot be read" not in str(caught.value)


def test_the_layer_of_a_keras_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from grucore.converters.keras import graph

    def fails(context: Any, layer: Any, flow: Any) -> Any:
        raise KeyError("units")

    kinds = [kind for kind in graph.LAYERS if kind in ("Dense", "GRU", "Bidirectional")]
    for kind in kinds:
        monkeypatch.setitem(graph.LAYERS, kind, fails)
    with pytest.raises(
        grucore.ConversionError, match=r"keras3\.h5: .*: Dense '.*KeyError: 'units'"
    ):
        grucore.convert(GOLDEN / "keras" / "keras3.h5")
