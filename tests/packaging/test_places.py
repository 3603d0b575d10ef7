# SPDX-License-Identifier: Apache-2.0
"""What C and C++ programs find in the Python package: headers that compile, and models as code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grucore
from cli.cli_calls import save_models

CMAKE = """\
cmake_minimum_required(VERSION 3.22)
project(firmware LANGUAGES C)
set(GRUCORE_PYTHON "{python}")
find_package(grucore REQUIRED)
add_executable(firmware main.c)
grucore_add_model(firmware MODEL "{model}" NAME words SELFTEST)
target_link_libraries(firmware PRIVATE grucore::headers)
"""
MAIN = """\
#include <grucore/version.h>
#include <stdio.h>
#include "words.h"
int main(void) {
  printf("%d %d\\n", GRUCORE_VERSION, words_selftest());
  return words_selftest();
}
"""


def version_of(text: str) -> str:
    return ".".join(re.findall(r"^#define GRUCORE_VERSION_[A-Z]+ (\d+)$", text, re.MULTILINE))


def test_headers_are_of_this_version() -> None:
    folder = Path(grucore.get_include(), "grucore")
    names = {path.name for path in folder.iterdir()}
    assert {"grucore.h", "grucore.hpp", "grucore_c.h", "export.h", "status.inc"} <= names
    assert version_of(Path(folder, "version.h").read_text("utf-8")) == grucore.__version__


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_c_header_compiles_by_itself(tmp_path: Path) -> None:
    source = tmp_path / "only.c"
    source.write_text('#include "grucore/grucore_c.h"\ngrucore_status ok = GRUCORE_kOk;\n', "utf-8")
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    subprocess.run([*command, f"-I{grucore.get_include()}", str(source)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("cmake") is None or shutil.which("cc") is None, reason="needs CMake and a compiler"
)
def test_cmake_writes_and_compiles_a_model(tmp_path: Path) -> None:
    model = Path(save_models(tmp_path)["frames"])
    (tmp_path / "main.c").write_text(MAIN, "utf-8")
    text = CMAKE.format(python=Path(sys.executable).as_posix(), model=model.as_posix())
    (tmp_path / "CMakeLists.txt").write_text(text, "utf-8")
    build = tmp_path / "build"
    prefix = f"-DCMAKE_PREFIX_PATH={grucore.get_cmake_dir()}"
    for command in (["cmake", "-S", str(tmp_path), "-B", str(build), prefix],
                    ["cmake", "--build", str(build)]):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run([str(build / "firmware")], capture_output=True, text=True)
    number, differing = said.stdout.split()
    assert (said.returncode, differing) == (0, "0")
    numbers = int(number) // 10000, int(number) // 100 % 100, int(number) % 100
    assert ".".join(map(str, numbers)) == grucore.__version__
