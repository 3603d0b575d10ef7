# SPDX-License-Identifier: Apache-2.0
"""The engine of a model on an emulated board: `grucore export --target engine`, built and run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from export.targets import BOARDS, TARGETS, Measured, Target, measured
from grucore import fileformat
from grucore.export.compilers import ENGINE_FLAGS, ENGINE_SOURCES, engine_line
from grucore.export.engine import export_engine
from grucore.graph.graph import Graph

__all__ = ["SOURCES", "build_engine", "measure_engine"]

SOURCES = Path(__file__).parents[2] / "cpp"
FRAMES_HEADER = """\
#include <stdint.h>
#ifdef __cplusplus
extern "C" {{
#endif
uint32_t engine_test(void);
void engine_reset(void);
void engine_step(uint32_t t);
#ifdef __cplusplus
}}
#endif
#define MODEL_STATE uint32_t
#define MODEL_FRAMES {frames}u
#define MODEL_SELFTESTED() engine_test()
#define MODEL_RESET(state) (void)(state), engine_reset()
#define MODEL_STEP(t) engine_step(t)
"""
LINK = ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-Wl,--gc-sections")


def _compiler(target: Target) -> list[str]:
    """The printed line's, or clang as C++, with what a machine without a C library wants."""
    line = engine_line(target.cpu).removesuffix(f" {ENGINE_SOURCES}").split()
    if target.compiler:
        clang, *machine = target.compiler.split()
        # It takes fma for a call that sets errno.
        line = [f"{clang}++", *machine, *ENGINE_FLAGS.split(), "-fno-math-errno"]
    if line[0].startswith("arm-none-eabi"):
        return line
    return [*line, "-ffreestanding", "-fno-stack-protector", f"-isystem{BOARDS / 'libc'}"]


def build_engine(
    graph: Graph,
    cpu: str,
    folder: Path,
    header: str,
    main: str = "main.c",
    numerics: str = "fused",
) -> tuple[str, int]:
    """Export the engine of a graph with a test vector, and build it for a processor.

    ``header`` is model_frames.h, ``main`` one of boards. Returns the program's path, and the
    bytes of the file in it.
    """
    data = fileformat.write(graph)
    options = {"model_bytes": 16384, "stream_bytes": 16384}  # more than it takes
    emulates = numerics == "fused"
    export = export_engine(
        graph, data, "model", sources=SOURCES, emulates_fused=emulates, **options
    )
    for name, text in export.files.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "model_frames.h").write_text(header)
    target = TARGETS[cpu]
    include = [f"-I{folder}", f"-I{BOARDS}"]
    objects = []
    for source in (*target.sources, main):
        objects.append(str(folder / f"{source}.o"))
        command = [*target.command, *target.defines, *include, "-ffreestanding"]
        subprocess.run([*command, "-c", str(BOARDS / source), "-o", objects[-1]], check=True)
    program = str(folder / "program")
    sources = [str(BOARDS / "engine.cpp"), str(folder / "grucore.cpp"), *objects]
    end = [] if target.compiler or target.cpu == "wasm" else ["-lgcc"]
    command = [*_compiler(target), *LINK, *include, *target.link, *sources, *end, "-o", program]
    subprocess.run(command, check=True)
    return program, len(data)


def measure_engine(graph: Graph, cpu: str, folder: Path, numerics: str = "fused") -> Measured:
    """Export the engine of a graph with a test vector, build it for a processor, and run it there.

    Its code is the program's flash without the file.
    """
    assert graph.test is not None
    header = FRAMES_HEADER.format(frames=len(graph.test.inputs[0]))
    program, file_bytes = build_engine(graph, cpu, folder, header, numerics=numerics)
    target = TARGETS[cpu]
    command = [*target.runner, program]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240)
    if not target.counts:
        return measured(run, 0, file_bytes)
    sizes = subprocess.run([target.size, program], capture_output=True, text=True, check=True)
    flash = int(sizes.stdout.splitlines()[1].split()[0])
    return measured(run, flash - file_bytes, file_bytes)
