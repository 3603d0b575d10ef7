# SPDX-License-Identifier: Apache-2.0
"""Many frames of noise through exported code or the engine on another processor: one sum."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np

from export.c_code import write_files
from export.engine_code import build_engine
from export.targets import BOARDS, TARGETS, WARNINGS, with_frames
from grucore.export.c99 import export_c99
from grucore.graph.graph import Graph

__all__ = ["noise", "sum_of", "sum_there"]

HEADER = """
#include "model.h"
#define MODEL_STATE model_state
#define MODEL_RESET model_reset
#define MODEL_RUN(x, y) (void)model_step(&state, x, y)
"""
ENGINE_HEADER = """
#include <stdint.h>
#ifdef __cplusplus
extern "C" {{
#endif
void engine_begin(void);
void engine_run(const float *x, float *y);
#ifdef __cplusplus
}}
#endif
#define MODEL_FRAMES 1u
#define MODEL_STATE uint32_t
#define MODEL_RESET(state) (void)(state), engine_begin()
#define MODEL_RUN(x, y) engine_run(x, y)
#define MODEL_INPUTS {inputs}
#define MODEL_OUTPUTS {outputs}
"""


def noise(frames: int, features: int) -> np.ndarray:
    """The numbers of boards/long.c."""
    words = np.empty(frames * features, np.uint32)
    seed = 2463534242
    for i in range(len(words)):
        seed ^= seed << 13 & 0xFFFFFFFF
        seed ^= seed >> 17
        seed ^= seed << 5 & 0xFFFFFFFF
        words[i] = seed
    numbers = words.view(np.int32).astype(np.float32) * np.float32(2.0**-30)
    return numbers.reshape(frames, features)


def sum_of(outputs: np.ndarray) -> int:
    """The sum of boards/long.c over the bits of (frames, features)."""
    words = np.ascontiguousarray(outputs).view(np.uint32).reshape(-1)
    weights = np.arange(len(words), dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return int((words * weights).sum(dtype=np.uint32))


def sum_there(
    graph: Graph, cpu: str, frames: int, folder: Path, *, engine: bool = False, seconds: int = 300
) -> int:
    """The sum over so many frames of a model of one input and one output, built and run there."""
    target = TARGETS[cpu]
    count = f"#define LONG_FRAMES {frames}u\n"
    if engine:
        inputs, outputs = (graph.value(name) for name in (graph.inputs[0], graph.outputs[0]))
        header = ENGINE_HEADER.format(inputs=inputs.features, outputs=outputs.features)
        program, _ = build_engine(
            with_frames(graph, 1, "fused"), cpu, folder, header + count, "long.c"
        )
    else:
        write_files(folder, [export_c99(graph, "model")])
        (folder / "model_frames.h").write_text(HEADER + count)
        sources = [*(BOARDS / name for name in target.sources), BOARDS / "long.c"]
        command = [*target.command, *WARNINGS, *target.defines, f"-I{folder}", f"-I{BOARDS}"]
        end = ["-lgcc"] if target.command[0] != "clang" else []
        program = str(folder / "program")
        files = [*map(str, sources), str(folder / "model.c")]
        subprocess.run([*command, *target.link, *files, *end, "-o", program], check=True)
    command = [*target.runner, program]
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    found = re.search(r"sum (\d+)", run.stdout + run.stderr)
    if found is None:
        raise subprocess.CalledProcessError(run.returncode, command, run.stdout, run.stderr)
    return int(found[1])
