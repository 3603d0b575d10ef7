# SPDX-License-Identifier: Apache-2.0
"""`grucore export`: files, figures, self-test, refusals."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cli.cli_calls import as_json, save_models
from export.c_code import COMPILERS, compiler, shared_library, write_files
from export.targets import with_frames
from grucore.cli import main
from grucore.export.c99 import export_c99
from grucore.export.compilers import CPUS, compile_line
from grucore.export.names import prefix_of
from grucore.export.pieces import own_names
from grucore.graph.graph import Graph
from grucore.graph.layers import Activate, Activation, Binary, Operation
from grucore.graph.node import Value
from models.chain import Chain
from models.layer_models import make
from models.small_models import bidirectional_graph, frames_graph


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    return save_models(tmp_path)


def test_files_figures_and_self_test(
    models: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiler("cc")
    monkeypatch.delenv("CC", raising=False)
    folder = tmp_path / "firmware"
    report = as_json(capsys, "export", models["frames"], "-o", str(folder), "--selftest")
    assert sorted(path.name for path in folder.iterdir()) == ["frames.c", "frames.h"]
    header = (folder / "frames.h").read_text()
    assert "#define FRAMES_INPUTS 5\n" in header
    assert "#define FRAMES_OUTPUTS 3\n" in header
    assert f"#define FRAMES_STATE_BYTES {report['state_bytes']}\n" in header
    assert report["multiply_adds_per_frame"] == 3 * 7 * (5 + 7) + 3 * 7
    assert report["selftest_frames"] == 9
    assert report["selftest"].startswith("cc ")
    assert report["compile"] == compile_line("host", "frames.c")


def test_the_self_test_in_the_other_class_and_of_several_ports(
    models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler("cc")
    for name in ("ports", "last", "frames"):
        for numerics in ("fused", "muladd"):
            options = ("--selftest", "--numerics", numerics, "--name", f"m_{name}")
            report = as_json(capsys, "export", models[name], "-o", str(tmp_path), *options)
            assert report["numerics"] == numerics


def test_text(models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", models["frames"], "-o", str(tmp_path), "--cpu", "cortex-m4"]
    assert main([*arguments, "--strip"]) == 0
    text = capsys.readouterr().out
    assert compile_line("cortex-m4", "frames.c") in " ".join(text.split())  # lines are broken
    assert "self-test" not in text
    assert "SELFTEST" not in (tmp_path / "frames.c").read_text()


def test_a_model_that_reads_the_future_is_refused(
    models: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", models["bidirectional"], "-o", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert "'gru.l0_reverse' (gru) reads frames that come later" in message
    assert not (tmp_path / "out").exists()


def test_refusals_name_the_layer() -> None:
    with pytest.raises(ValueError, match=r"'gru\.l0_reverse'.*leave the reversed direction out"):
        export_c99(bidirectional_graph(), "m")
    looking = next(
        graph for graph in (make("conv1d", seed) for seed in range(60)) if not graph.streamable
    )
    with pytest.raises(ValueError, match=r"\(conv1d\).*pad it on the left alone"):
        export_c99(looking, "m")
    graph = frames_graph()
    many = tuple(Value(f"x{i}", 1) for i in range(33))
    wide = replace(graph, values=(*graph.values, *many), outputs=tuple(v.name for v in many))
    with pytest.raises(ValueError, match="33 outputs, expected at most 32"):
        export_c99(wide, "m")


def test_names() -> None:
    assert prefix_of("My Model-3.1") == "my_model_3_1"
    assert prefix_of("2words") == "model_2words"
    assert prefix_of("float") == "model_float"
    for name in ("2words", "a-b", "int", "a__b", ""):
        with pytest.raises(ValueError, match="is none of C"):
            export_c99(frames_graph(), name)
    with pytest.raises(ValueError, match="numerics='fast'"):
        export_c99(frames_graph(), "m", numerics="fast")


def renamed(graph: Graph, old: str, new: str) -> Graph:
    nodes = tuple(
        replace(node, name=new if node.name == old else node.name) for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


@pytest.mark.parametrize("name", ["*/ #error /*", "état 1", "for", "_", "9", "a\\b??/"])
def test_names_of_layers_that_c_cannot_have(name: str, tmp_path: Path) -> None:
    export = export_c99(renamed(frames_graph(), "linear", name), "m")
    for command in COMPILERS:
        folder = tmp_path / re.sub(r"\W", "_", "".join(command))
        folder.mkdir()
        shared_library(folder, [export], command)
    assert all(text.isascii() for text in export.files.values())


def test_layers_called_as_the_code_calls_its_own(tmp_path: Path) -> None:
    """A relu called relu, and so on: whatever name the pieces, the interface or C have."""
    names = [
        *sorted(own_names()),
        "step",
        "reset",
        "state",
        "selftest",
        "test_x",
        "unix",
        "uint32_t",
    ]
    chain = Chain(Value("x", 3))
    for name in names:
        activation = Activation.TANH if len(name) % 2 else Activation.RELU
        chain.add(Activate, activation=activation)
        chain.nodes[-1] = replace(chain.nodes[-1], name=name)
    export = export_c99(with_frames(chain.graph(), 5, "fused"), "m")
    library = shared_library(tmp_path, [export], ("gcc", "-std=gnu11"), "-Wall", "-Werror")
    assert library.m_selftest() == 0


@pytest.mark.parametrize("name", ["int", "st", "v", "unix", "uint32_t", "given", "x y", "Ω"])
def test_inputs_called_as_the_code_calls_its_own(name: str, tmp_path: Path) -> None:
    chain = Chain(Value(name, 3), Value("other", 3))
    chain.add(Binary, *chain.values.values(), operation=Operation.ADD)
    export = export_c99(with_frames(chain.graph(), 5, "fused"), "m")
    library = shared_library(tmp_path, [export], ("gcc", "-std=gnu11"), "-Wall", "-Werror")
    assert library.m_selftest() == 0


def test_two_models_in_one_program_and_numbers_read_back(tmp_path: Path) -> None:
    first, second = (export_c99(frames_graph(seed=i), f"m{i}") for i in range(2))
    shared_library(tmp_path, [first, second], COMPILERS[0])
    weight = frames_graph(seed=0).nodes[-1].weight
    text = first.files["m0.c"]
    numbers = re.search(r"m0_linear_weight\[28\] = \{([^}]*)\}", text)
    assert numbers is not None
    found = np.array(
        [np.float32(word.strip().rstrip("f")) for word in numbers[1].split(",") if word.strip()]
    )
    assert set(weight.reshape(-1).tolist()) <= set(found.tolist())


def test_flags_that_would_change_the_bits_are_errors(tmp_path: Path) -> None:
    (source,) = write_files(tmp_path, [export_c99(frames_graph(), "m")])
    for name in ("gcc", "clang"):
        for flag in ("-ffast-math", "-Ofast", "-ffinite-math-only"):
            command = [compiler(name), flag, "-c", str(source), "-o", str(tmp_path / "m.o")]
            built = subprocess.run(command, capture_output=True, text=True)
            assert built.returncode != 0
            assert "compile this file without -ffast-math" in built.stderr


def test_the_high_byte_first_is_refused(tmp_path: Path) -> None:
    (source,) = write_files(tmp_path, [export_c99(frames_graph(), "m")])
    command = [compiler("clang"), "--target=aarch64_be-none-elf", "-ffreestanding"]
    command += ["-fsyntax-only", str(source)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode != 0
    assert "for processors with the low byte first" in built.stderr


def test_every_cpu_has_a_line() -> None:
    assert all("-ffp-contract=off -c m.c" in compile_line(cpu, "m.c") for cpu in CPUS)
