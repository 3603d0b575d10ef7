# SPDX-License-Identifier: Apache-2.0
"""The lines that compile exported code, with the flags that measured best (docs/embedded.md)."""

from __future__ import annotations

__all__ = ["CPUS", "compile_line", "engine_line"]

FLAGS = "-std=c99 -ffp-contract=off"
ENGINE_FLAGS = (
    "-std=c++17 -ffp-contract=off -fno-exceptions -fno-rtti -fno-threadsafe-statics "
    "-ffunction-sections -fdata-sections"
)
ENGINE_SOURCES = "main.cpp grucore.cpp"
_PLUS = {"gcc": "g++", "cc": "c++", "clang": "clang++"}

CPUS = {
    "host": "cc -O2",
    "cortex-m0plus": "arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb -Os",
    "cortex-m3": "arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -Os",
    "cortex-m4": (
        "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -Os"
    ),
    "cortex-m7": "arm-none-eabi-gcc -mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-d16 -Os",
    "cortex-m33": (
        "arm-none-eabi-gcc -mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16 -Os"
    ),
    "cortex-m55": "arm-none-eabi-gcc -mcpu=cortex-m55 -mthumb -mfloat-abi=hard -O2",
    "rv32imc": "riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 -Os",
    "rv32imfc": "riscv64-unknown-elf-gcc -march=rv32imfc -mabi=ilp32f -O2",
    "rv64": "riscv64-unknown-elf-gcc -march=rv64imafdc -mabi=lp64d -mcmodel=medany -O2",
    "armv7": "arm-linux-gnueabihf-gcc -mcpu=cortex-a7 -mfpu=neon-vfpv4 -O2",
    "aarch64": "aarch64-linux-gnu-gcc -O2",
    "i386": "gcc -m32 -msse2 -mfpmath=sse -O2",
    "wasm": "clang --target=wasm32 -msimd128 -mbulk-memory -O2",
}


def compile_line(cpu: str, source: str) -> str:
    """The compiler of a processor; KeyError for a name that is not in `CPUS`."""
    return f"{CPUS[cpu]} {FLAGS} -c {source}"


def engine_line(cpu: str) -> str:
    """The line that compiles engine, model and example."""
    compiler, *flags = CPUS[cpu].split()
    stem, dash, last = compiler.rpartition("-")
    found = " ".join([f"{stem}{dash}{_PLUS[last]}", *flags])
    return f"{found} {ENGINE_FLAGS} {ENGINE_SOURCES}"
