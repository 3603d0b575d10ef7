# SPDX-License-Identifier: Apache-2.0
"""README, docs and examples: each block of code runs as it is printed, or says why not."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import page_shelf
import pytest
from page_blocks import ROOT, Block, blocks, is_grucore, left_out, pages, stray_commands

from grucore.cli import main
from oracle.oracles import program

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="away from the sources")

# Blocks that run, and lines or blocks that do not: a page that changes them changes this.
EXPECTED = {
    "CONTRIBUTING.md": (0, 2),
    "README.md": (5, 2),
    "benchmarks/README.md": (0, 12),
    "cpp/examples/audio/README.md": (0, 1),
    "cpp/examples/cortex_m4/README.md": (0, 2),
    "docs/audio.md": (4, 0),
    "docs/coming_from.md": (2, 0),
    "docs/command-line.md": (11, 1),
    "docs/converting.md": (2, 0),
    "docs/converting_keras.md": (3, 1),
    "docs/converting_onnx.md": (1, 0),
    "docs/converting_torch.md": (0, 1),
    "docs/cpp.md": (3, 2),
    "docs/embedded.md": (3, 1),
    "docs/quantization.md": (5, 0),
    "docs/streaming.md": (2, 0),
    "docs/tutorial.md": (7, 1),
    "examples/amplifier/README.md": (0, 2),
    "examples/bulk_scoring/README.md": (0, 4),
    "examples/encoder_decoder/README.md": (0, 3),
    "examples/gru_lstm_rnn/README.md": (0, 3),
    "examples/keyword_spotting/README.md": (0, 5),
    "examples/languages/README.md": (0, 3),
    "examples/noise_suppressor/README.md": (1, 3),
    "examples/pronunciation/README.md": (0, 5),
    "examples/stream_server/README.md": (0, 2),
    "examples/sunspots/README.md": (2, 3),
    "examples/web/README.md": (0, 3),
}
# A command that takes seconds at its defaults runs shorter here, or has a test of its own.
SHORTER = {"bench": ["--seconds", "0.05"]}
OWN_TEST = {
    "grucore demo": "test_pages.py",
    "grucore demo --realtime": "tests/demo",
    "grucore demo --quantize": "tests/demo",
    "grucore doctor": "tests/cli/test_cli_doctor.py",
}
# Around a block of C++: declarations before it; where it is not in a function, what includes it.
STATEMENTS = {
    "grucore::SharedModel": "#include <vector>\nbool next(std::vector<float>*);\n",
    "plan_model": """#include <stddef.h>
#include "grucore/grucore.h"
using namespace grucore;
extern const unsigned char* file;
extern size_t bytes;
extern unsigned char *arena, *stream_arena;
extern const Model* model;
extern Stream* stream;
extern LoadReport report;
extern StreamOptions options;
""",
}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for extra in ("h5py", "safetensors", "onnx"):
        pytest.importorskip(extra)
    folder = tmp_path_factory.mktemp("shelf")
    page_shelf.put(folder)
    return folder


def run_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of a shell: grucore alone in this process, a pipe in a shell."""
    if re.search(r"[|<>]", re.sub(r"\"[^\"]*\"", "", line)):
        environment = {**os.environ, "PATH": f"{Path.cwd()}{os.pathsep}{os.environ['PATH']}"}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        run = subprocess.run(line, shell=True, capture_output=True, env=environment)
        assert run.returncode == 0, f"{line}\n{run.stderr.decode()}"
        return
    _, *arguments = shlex.split(line, comments=True)
    more = [] if "--seconds" in arguments else SHORTER.get(arguments[0], [])
    assert main([*arguments, *more]) == 0, f"{line}\n{capsys.readouterr().err}"


def compile_block(block: Block, folder: Path) -> None:
    """C and C++ that the compiler takes."""
    name = "cc" if block.language == "c" else "c++"
    compiler = [program(name), "-fsyntax-only", f"-I{ROOT / 'cpp' / 'include'}", "-Ifirmware"]
    path = folder / f"block.{block.language}"
    if block.text.startswith("#define"):  # a header of settings
        path.with_suffix(".h").write_text(block.text)
        (folder / "my_layers.inc").write_text(
            "GRUCORE_LAYER(kGruLayer)\nGRUCORE_LAYER(kDenseLayer)"
        )
        path.write_text(f'#include "{ROOT}/cpp/src/layers/layer.cpp"\n')
        compiler += ["-I.", f"-I{ROOT / 'cpp' / 'src'}", '-DGRUCORE_CONFIG="block.h"']
    elif block.language == "c":
        path.write_text(block.text)
    else:
        before = next(text for word, text in STATEMENTS.items() if word in block.text)
        includes = "".join(re.findall(r"^#include .*\n", block.text, re.MULTILINE))
        body = block.text.replace(includes, "")
        path.write_text(f"{includes}{before}void run() {{\n{body}}}\n")
    options = ["-std=c99"] if block.language == "c" else ["-std=c++17"]
    run = subprocess.run(
        [*compiler, *options, str(path)], capture_output=True, text=True, cwd=folder
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("page", pages())
def test_every_block_of_a_page_runs(
    page: str,
    shelf: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = blocks(page)
    assert stray_commands(page) == []
    folder = tmp_path / "clone"
    counts: Counter[str] = Counter()
    known: dict[str, Any] = {}
    if any(not block.reason and block.language != "text" for block in found):
        shutil.copytree(shelf, folder, symlinks=True)
        monkeypatch.chdir(folder)
        known = page_shelf.names(page, folder)
    for block in found:
        where = f"{page}, line {block.line}"
        if block.reason:
            counts["not"] += 1
        elif block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, page, "exec"), known)
            counts["run"] += 1
        elif block.language in ("c", "cpp"):
            compile_block(block, folder)
            counts["run"] += 1
        else:
            assert block.language == "sh", f"{where}: a block of {block.language}: nothing runs it"
            lines = [line for line in block.text.splitlines() if line.strip()]
            ours = [line for line in lines if left_out(line) is None]
            for line in ours:
                assert is_grucore(line), f"{where}: nothing runs {line!r}"
                if line not in OWN_TEST:
                    run_line(line, capsys)
            counts["run"] += bool(ours)
            counts["not"] += len(lines) - len(ours)
    assert (counts["run"], counts["not"]) == EXPECTED.get(page, (0, 0))
