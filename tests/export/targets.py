# SPDX-License-Identifier: Apache-2.0
"""Exported code on other processors, under emulators: built with the printed flags, and run."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import grucore
from grucore import fileformat
from grucore.export.c99 import export_c99
from grucore.export.compilers import FLAGS, compile_line
from grucore.export.literals import array_text
from grucore.graph.graph import Graph, TestVector
from grucore.graph.node import Dtype

__all__ = [
    "BOARDS",
    "TARGETS",
    "Measured",
    "Target",
    "measure",
    "measured",
    "missing_tools",
    "required",
    "with_frames",
]

BOARDS = Path(__file__).parent / "boards"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffreestanding")
QEMU = ["-nographic", "-monitor", "none", "-icount", "shift=0"]
SECONDS = 240


@dataclass(frozen=True)
class Target:
    """A processor of `grucore export --cpu`, and what runs its code here.

    ``compiler``: in place of the printed one and its way to name the processor. ``sources`` are of
    the folder boards; ``runner`` ends with the program's path.
    """

    cpu: str
    sources: tuple[str, ...]
    link: tuple[str, ...]
    runner: tuple[str, ...]
    size: str
    compiler: str = ""
    defines: tuple[str, ...] = ()
    counts: bool = True  # instructions and stack
    name: str = ""  # where it is not that of the processor

    @property
    def tools(self) -> tuple[str, ...]:
        """Programs that it needs."""
        linkers = {"clang --target=wasm32": "wasm-ld"}
        found = [self.command[0], self.runner[0], self.size]
        if self.command[0] == "clang":
            found.append(linkers.get(" ".join(self.command[:2]), "ld.lld"))
        return tuple(found)

    @property
    def command(self) -> list[str]:
        """Compiler and flags, as they are printed."""
        printed = compile_line(self.cpu, "").removesuffix(" -c ").split()
        if not self.compiler:
            return printed
        return [*self.compiler.split(), *FLAGS.split()]


def _arm(cpu: str, board: str, picoseconds: int, *link: str) -> Target:
    semihosting = ("-semihosting-config", "enable=on,target=native", "-serial", "none")
    return Target(
        cpu=cpu,
        sources=("arm.c", "stack.c", "common.c"),
        link=("-nostdlib", "-T", str(BOARDS / "arm.ld"), *link),
        runner=("qemu-system-arm", "-M", board, *QEMU, *semihosting, "-kernel"),
        size="arm-none-eabi-size",
        defines=(f"-DTICK_PICOSECONDS={picoseconds}",),
    )


def _riscv(cpu: str, bits: int) -> Target:
    machine = ("-M", "virt", "-bios", "none", *QEMU, "-serial", "stdio")
    return Target(
        cpu=cpu,
        sources=("riscv.c", "stack.c", "common.c"),
        link=("-nostdlib", "-Wl,--no-warn-rwx-segments", "-T", str(BOARDS / "riscv.ld")),
        runner=(f"qemu-system-riscv{bits}", *machine, "-kernel"),
        size="riscv64-unknown-elf-size",
    )


def _linux(cpu: str, runner: str, compiler: str = "", link: tuple[str, ...] = ()) -> Target:
    return Target(
        cpu=cpu,
        sources=("linux.c", "common.c"),
        link=("-nostdlib", "-static", *link),
        runner=(runner,),
        size="size",
        compiler=compiler,
        counts=False,
    )


# Where an M33 of this board starts, and its memory there.
SECURE = ("-Wl,--defsym=code_origin=0x10000000", "-Wl,--defsym=ram_origin=0x38000000")
LLD = ("-fuse-ld=lld",)
TARGETS = {
    target.name or target.cpu: target
    for target in (
        # No board of QEMU's has an M0+: its code runs on an M3, which knows all of it.
        _arm("cortex-m0plus", "mps2-an385", 40_000),
        _arm("cortex-m3", "mps2-an385", 40_000),
        _arm("cortex-m4", "mps2-an386", 40_000),
        _arm("cortex-m7", "mps2-an500", 40_000),
        _arm("cortex-m33", "mps2-an505", 50_000, *SECURE),
        _arm("cortex-m55", "mps3-an547", 31_250),
        _riscv("rv32imc", 32),
        _riscv("rv32imfc", 32),
        _riscv("rv64", 64),
        _linux("aarch64", "qemu-aarch64-static"),
        _linux(
            "armv7",
            "qemu-arm-static",
            "clang --target=armv7-linux-gnueabihf -mcpu=cortex-a7 -mfpu=neon-vfpv4 -marm -O2",
            LLD,
        ),
        _linux("i386", "qemu-i386-static", "clang --target=i686-linux-gnu -msse2 -O2", LLD),
        Target(
            cpu="wasm",
            sources=("wasm.c", "common.c"),
            link=("-nostdlib", "-Wl,--no-entry", "-Wl,-z,stack-size=65536"),
            runner=("node", str(BOARDS / "wasm.mjs")),
            size="node",
            counts=False,
        ),
        Target(
            cpu="wasm",
            sources=("wasm.c", "common.c"),
            link=("-nostdlib", "-Wl,--no-entry", "-Wl,-z,stack-size=65536"),
            runner=(sys.executable, str(BOARDS / "wasm.py")),
            size="wasm-ld",
            counts=False,
            name="wasmtime",
        ),
    )
}


@dataclass(frozen=True)
class Measured:
    """The figures that a program printed: numbers that differ, instructions a frame, bytes."""

    different: int
    calibration: int  # of a loop of 1,000,000 instructions
    instructions: int
    stack: int
    code: int  # of the model's own object, without its constants
    constants: int


def missing_tools(target: Target) -> list[str]:
    """Programs that this machine lacks."""
    if sys.platform != "linux":
        return ["Linux"]
    missing = [tool for tool in target.tools if shutil.which(tool) is None]
    if target.name == "wasmtime" and importlib.util.find_spec("wasmtime") is None:
        missing.append("wasmtime (pip install wasmtime)")
    return missing


def required() -> bool:
    """True if a missing tool is an error."""
    return os.environ.get("GRUCORE_REQUIRE_FREESTANDING") == "1"


def with_frames(graph: Graph, frames: int, numerics: str, seed: int = 1) -> Graph:
    """The graph with noise and the engine's outputs as its test vector."""
    rng = np.random.default_rng(seed)
    inputs = []
    for name in graph.inputs:
        port = graph.value(name)
        shape = (frames, port.features)
        if port.dtype is Dtype.INT32:
            inputs.append(rng.integers(0, 2, shape).astype(np.int32))
        else:
            inputs.append(rng.normal(size=shape).astype(np.float32))
    data = fileformat.write(replace(graph, test=None))
    isa = "scalar" if numerics == "fused" else "scalar_muladd"
    found: Any = grucore.load(data, isa=isa).run(tuple(inputs) if len(inputs) > 1 else inputs[0])
    outputs = found if isinstance(found, tuple) else (found,)
    return replace(graph, test=TestVector(tuple(inputs), outputs))


def _model_header(graph: Graph, prefix: str, frames: int) -> str:
    """The file that boards/main.c includes: frames, buffers for outputs, and the calls."""
    assert graph.test is not None
    arrays, arguments = [], []
    for i, (name, array) in enumerate(zip(graph.inputs, graph.test.inputs, strict=True)):
        arrays.append(array_text(f"frames_{i}", array))
        arguments.append(f"frames_{i} + {graph.value(name).features} * (t)")
    for i, name in enumerate(graph.outputs):
        value = graph.value(name)
        c_type = "float" if value.dtype is Dtype.FLOAT32 else "int32_t"
        arrays.append(f"static {c_type} outputs_{i}[{value.features}];\n")
        arguments.append(f"outputs_{i}")
    call = f"(void){prefix}_step(&state, {', '.join(arguments)})"
    macros = {
        "STATE": f"{prefix}_state",
        "SELFTESTED()": f"{prefix}_selftest()",
        "RESET": f"{prefix}_reset",
        "FRAMES": str(frames),
        "LEAD": str(max(graph.value(name).skip for name in graph.outputs)),
        "STEP(t)": call,
    }
    lines = [f"#define MODEL_{name} {text}\n" for name, text in macros.items()]
    return "".join([f'#include "{prefix}.h"\n', *arrays, *lines])


def measure(
    graph: Graph,
    cpu: str,
    folder: Path,
    *,
    numerics: str = "fused",
    options: Sequence[str] = (),
    compiler: str = "",
) -> Measured:
    """Export a graph with a test vector, build it for the processor, and run it there.

    ``options`` come after the printed flags. ``compiler``: another one for the model's own source,
    with its flags; what surrounds it stays. Raises `subprocess.CalledProcessError` where a
    compiler fails, and where the program ends otherwise than with 0 or 1.
    """
    target = TARGETS[cpu]
    assert graph.test is not None
    export = export_c99(graph, "model", numerics=numerics)
    for name, text in export.files.items():
        (folder / name).write_text(text, "utf-8")
    frames = len(graph.test.inputs[0])
    # Another name than the model's own files.
    (folder / "model_frames.h").write_text(_model_header(graph, "model", frames), "utf-8")
    command = [*target.command, *options, *WARNINGS, *target.defines, f"-I{folder}", f"-I{BOARDS}"]
    source, plain, program = folder / "model.c", folder / "model.o", folder / "program"
    own = [*compiler.split(), *FLAGS.split(), *WARNINGS, f"-I{folder}"] if compiler else command
    subprocess.run([*own, "-c", str(source), "-o", str(plain)], check=True)
    tested = folder / "tested.o"
    subprocess.run([*own, "-DMODEL_SELFTEST", "-c", str(source), "-o", str(tested)], check=True)
    sources = [*(BOARDS / name for name in target.sources), BOARDS / "main.c", tested]
    end = ["-lgcc"] if target.command[0] != "clang" else []
    # Clang calls what the C library of a Cortex-M has by other names.
    end = ["-lc_nano", *end] if compiler else end
    link = [*target.link, "-ffunction-sections", *map(str, sources), *end, "-o", str(program)]
    subprocess.run([*command, "-DMODEL_SELFTEST", *link], check=True)
    run = subprocess.run(
        [*target.runner, str(program)], capture_output=True, text=True, timeout=SECONDS
    )
    code, constants = _sizes(target, plain) if target.counts else (0, 0)
    return measured(run, code, constants)


def measured(run: subprocess.CompletedProcess[str], code: int, constants: int) -> Measured:
    """The words of a program of boards/main.c. Raises CalledProcessError where it did not end."""
    said = dict(re.findall(r"^(\w+) (\d+)$", run.stdout + run.stderr, re.MULTILINE))
    if run.returncode not in (0, 1) or "different" not in said:
        raise subprocess.CalledProcessError(run.returncode, run.args, run.stdout, run.stderr)
    numbers = ("different", "calibration", "instructions", "stack")
    return Measured(*(int(said[name]) for name in numbers), code, constants)


def _sizes(target: Target, plain: Path) -> tuple[int, int]:
    found = subprocess.run([target.size, "-A", str(plain)], capture_output=True, text=True)
    rows = re.findall(r"^(\.\S+)\s+(\d+)", found.stdout, re.MULTILINE)
    code = sum(int(size) for name, size in rows if name.startswith(".text"))
    constants = sum(int(size) for name, size in rows if re.match(r"\.s?rodata", name))
    return code, constants
