# SPDX-License-Identifier: Apache-2.0
"""`grucore export --target engine`: the sources of this model's layers, compiled and run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import grucore
from cli.cli_calls import as_json
from export.c_code import compiler
from export.targets import BOARDS, TARGETS, missing_tools, required
from grucore.cli import main
from grucore.export.compilers import engine_line
from grucore.export.engine import export_engine
from grucore.fileformat import read
from grucore.graph.layers import KINDS
from models.layer_models import MAKERS, make
from models.small_models import frames_graph, last_graph, with_test_vector

SOURCES = Path(__file__).parents[2] / "cpp"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SOURCES.exists(), reason="away from the source tree"),
]

STRICT = "-O0 -Wall -Wextra -Wpedantic -Werror"


def exported(folder: Path, capsys: pytest.CaptureFixture[str], data: bytes, *options: str) -> dict:
    (folder / "kws.gru").write_bytes(data)
    arguments = ("export", str(folder / "kws.gru"), "-o", str(folder / "out"))
    engine = ("--target", "engine", "--sources", str(SOURCES))
    return as_json(capsys, *arguments, *engine, *options)


def in_shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["g++", "clang++"])
def test_the_printed_line_on_this_machine(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler(name)
    report = exported(tmp_path, capsys, with_test_vector(last_graph()))
    assert report["layers"] == ["dense", "gru", "take"]
    assert report["weights"] == ["kFloat32"]
    engine = (tmp_path / "out" / "grucore.cpp").read_text()
    assert "#define GRUCORE_ACTIVATIONS(use) use(kSigmoid) use(kTanh)\n" in engine
    assert "#define GRUCORE_CELLS(use) use(kResetAfter)\n" in engine
    names = {Path(path).name for path in report["files"]}
    assert names == {"grucore.h", "grucore.cpp", "main.cpp", "kws_model.h"}
    folded = {line.split("/")[-1] for line in engine.splitlines() if line.startswith("// ---- ")}
    assert {"gru.cpp", "take.cpp", "scalar.cpp"} <= folded
    assert not {"conv1d.cpp", "avx2.cpp", "neon.cpp", "vec_neon.h", "scalar_muladd.cpp"} & folded
    assert '#include "' not in engine.replace('#include "grucore.h"', "", 1)
    line = report["compile"].replace("c++ ", f"{name} {STRICT} ", 1)
    built = in_shell(f"{line} -o program", tmp_path / "out")
    assert built.returncode == 0, built.stderr
    # A freestanding main is a function like any other: it has no name that a linker looks for.
    built = in_shell(f"{line} -ffreestanding -c -fsyntax-only", tmp_path / "out")
    assert built.returncode == 0, built.stderr
    assert subprocess.run([tmp_path / "out" / "program"]).returncode == 0


@pytest.mark.parametrize("kind", ["delay", "lstm"])
def test_feedback_is_there_where_a_model_has_it(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = exported(tmp_path, capsys, with_test_vector(make(kind, 3)))
    engine = (tmp_path / "out" / "grucore.cpp").read_text()
    assert ("#define GRUCORE_NO_LOOPS\n" in engine) is (kind == "lstm")
    built = in_shell(f"{report['compile']} -o program", tmp_path / "out")
    assert built.returncode == 0, built.stderr
    assert subprocess.run([tmp_path / "out" / "program"]).returncode == 0


@pytest.mark.parametrize("name", ["g++", "clang++"])
@pytest.mark.parametrize("numerics", ["fused", "muladd"])
def test_every_layer_at_once(name: str, numerics: str, tmp_path: Path) -> None:
    """All sources in one file: none of their names meet."""
    compiler(name)
    nodes = [node for kind in MAKERS for node in make(kind, 1).nodes]
    graph: Any = SimpleNamespace(nodes=nodes, inputs=(), outputs=(), streamable=True)
    fused = numerics == "fused"
    sizes = {"model_bytes": 64, "stream_bytes": 64, "emulates_fused": fused}
    found = export_engine(graph, b"", "all", sources=SOURCES, **sizes)
    assert len(found.kinds) == len(KINDS)
    for file in ("grucore.h", "grucore.cpp"):
        (tmp_path / file).write_text(found.files[file])
    (tmp_path / "user.c").write_text('#include "grucore.h"\n')
    flags = f"{STRICT} -ffreestanding -fsyntax-only"
    built = in_shell(f"{name} {flags} -std=c++17 -ffp-contract=off grucore.cpp", tmp_path)
    assert built.returncode == 0, built.stderr
    of_c = {"g++": "gcc", "clang++": "clang"}[name]
    built = in_shell(f"{of_c} {flags} -std=c99 user.c", tmp_path)
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("cpu", ["cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("kind", ["float32", "int8", "int4"])
def test_on_a_board(
    cpu: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = TARGETS[cpu]
    missing = missing_tools(target)
    if missing and required():
        pytest.fail(f"{', '.join(missing)}: missing")
    if missing:
        pytest.skip(f"{', '.join(missing)}: missing")
    data = with_test_vector(frames_graph())
    if kind != "float32":
        data = bytes(grucore.load(data).quantize(kind))
    report = exported(tmp_path, capsys, data, "--cpu", cpu)
    out = tmp_path / "out"
    assert report["compile"] == engine_line(cpu)
    flags = "-fno-unwind-tables -fno-asynchronous-unwind-tables -Wl,--gc-sections -nostdlib"
    objects = []
    for source in target.sources:
        objects.append(f"{source}.o")
        command = [*target.command, *target.defines, f"-I{BOARDS}", "-c", str(BOARDS / source)]
        subprocess.run([*command, "-o", str(out / objects[-1])], check=True)
    script = f"-T {BOARDS / 'arm.ld'}"
    line = f"{report['compile']} {flags} {script} {' '.join(objects)} -lc_nano -lgcc -o program"
    built = in_shell(line, out)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([*target.runner, str(out / "program")], capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    if shutil.which(target.size):
        sizes = subprocess.run([target.size, out / "program"], capture_output=True, text=True)
        flash = int(sizes.stdout.splitlines()[1].split()[0])
        assert flash - report["weight_bytes"] < (24_000 if cpu == "cortex-m4" else 33_000)


def test_strip_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = with_test_vector(frames_graph())
    report = exported(tmp_path, capsys, data, "--strip", "--name", "words")
    header = (tmp_path / "out" / "words_model.h").read_text()
    numbers = re.search(r"words_file\[\d+\] = \{([^}]*)\}", header)
    assert numbers is not None
    found = bytes(int(word) for word in numbers[1].split(",") if word.strip())
    assert len(found) == report["weight_bytes"] < len(data)
    graph = read(found)
    assert graph.test is None
    assert not graph.metadata


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kws.gru"
    path.write_bytes(with_test_vector(frames_graph()))
    arguments = ["export", str(path), "-o", str(tmp_path), "--target", "engine"]
    assert main([*arguments, "--name", "a-b"]) == 1
    assert "is none of C" in capsys.readouterr().err
    assert main([*arguments, "--sources", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert f"{tmp_path} is not that" in message
    assert "pip download --no-binary" in message
