# SPDX-License-Identifier: Apache-2.0
"""The demo's network as WebAssembly in node: microseconds of a step, bytes of the module.

Needs clang, wasm-ld and node.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from grucore.demo.runner import load_network
from grucore.export.c99 import export_c99
from grucore.export.compilers import compile_line
from grucore.fileformat import read

ROUNDS, STEPS = 25, 2000
DRIVER = """\
#include "model.h"
static model_state state;
static float x[MODEL_INPUTS], y[MODEL_OUTPUTS];
__attribute__((export_name("steps"))) void steps(int count) {
  model_reset(&state);
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < MODEL_INPUTS; ++j) x[j] = (float)((i + 3 * j) % 7 - 3) * 0.4f;
    (void)model_step(&state, x, y);
  }
}
"""
TIMER = """\
const fs = require("fs");
WebAssembly.instantiate(fs.readFileSync(process.argv[2]), {}).then(({ instance }) => {
  const { steps } = instance.exports;
  let least = Infinity;
  for (let round = 0; round < ROUNDS; ++round) {
    const begin = performance.now();
    steps(STEPS);
    least = Math.min(least, performance.now() - begin);
  }
  console.log((1000 * least) / STEPS);
});
"""


def measured(kind: str, numerics: str, vectors: bool, folder: Path) -> dict[str, Any]:
    """One module, built with the printed flags, with or without vectors."""
    model: Any = load_network()
    if kind != "float32":
        model = model.quantize(kind, activations=8)
    for name, text in export_c99(read(bytes(model)), "model", numerics=numerics).files.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "driver.c").write_text(DRIVER, "utf-8")
    timer = TIMER.replace("ROUNDS", str(ROUNDS)).replace("STEPS", str(STEPS))
    (folder / "timer.cjs").write_text(timer, "utf-8")
    flags = compile_line("wasm", "").split()[:-1]
    if not vectors:
        flags.remove("-msimd128")
    flags = [flag for flag in flags if flag != "-c"] + ["-mbulk-memory", "-nostdlib"]
    link = ["-Wl,--no-entry", "-Wl,-z,stack-size=65536", "-o", "model.wasm"]
    command = [*flags, "model.c", "driver.c", *link]
    subprocess.run(command, cwd=folder, check=True)
    done = subprocess.run(
        ["node", "timer.cjs", "model.wasm"], cwd=folder, capture_output=True, text=True, check=True
    )
    module = (folder / "model.wasm").read_bytes()
    sizes = {"bytes": len(module), "gzip": len(gzip.compress(module, 9))}
    return {"us_min": round(float(done.stdout), 3), **sizes}


def main() -> int:
    """Build, time, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    rows = []
    for kind, numerics in (("float32", "muladd"), ("float32", "fused"), ("int8", "fused")):
        for vectors in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                found = measured(kind, numerics, vectors, Path(folder))
            one = {"weights": kind, "numerics": numerics, "vectors": vectors, **found}
            print(one, flush=True)
            rows.append(one)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
