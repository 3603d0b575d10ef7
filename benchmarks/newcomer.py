# SPDX-License-Identifier: Apache-2.0
"""README's own lines in a fresh clone and a fresh environment, each with its seconds.

    python benchmarks/newcomer.py --tests --out benchmarks/results/newcomer.json

From nothing to the demo; then a PyTorch and a Keras file, which torch and Keras of this interpreter
write, are converted, checked, quantized, benchmarked and exported. `--tests` runs the second
command too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common.rounds import machine

ROOT = Path(__file__).parents[1]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith(("PYTHON", "VIRTUAL_ENV", "CC", "CXX", "CMAKE", "GRUCORE", "KERAS"))
}


def lines_of(page: str) -> list[str]:
    """README's lines for a shell, those of a chain apart."""
    lines = [line for line in "\n".join(SHELL.findall(page)).splitlines() if line]
    return [part.partition(" #")[0].strip() for line in lines for part in line.split(" && ")]


def ten_lines(clone: Path) -> str:
    """The line that runs README's first program, which saves what later lines read."""
    page = (clone / "README.md").read_text("utf-8")
    found = re.search(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    (clone / "ten_lines.py").write_text(found[1], "utf-8")
    return ".venv/bin/python ten_lines.py"


def own_files(folder: Path) -> None:
    """The files that a reader has: a state dict, a Keras file, frames."""
    import keras
    import torch

    layers = {"gru": torch.nn.GRU(40, 64, batch_first=True), "linear": torch.nn.Linear(64, 12)}
    torch.save(torch.nn.ModuleDict(layers).state_dict(), folder / "model.pt")
    network = [keras.Input((None, 40)), keras.layers.GRU(64, return_sequences=True)]
    keras.Sequential([*network, keras.layers.Dense(12)]).save(folder / "model.keras")
    rng = np.random.default_rng(1)
    np.save(folder / "frames.npy", rng.standard_normal((5000, 40), np.float32))


def timed(line: str, folder: Path) -> dict[str, Any]:
    """A line, as it stands, with seconds of the clock and of processors."""
    ours = "grucore " if line.startswith("grucore ") else ""
    path = (
        f"{folder / '.venv' / 'bin'}{os.pathsep}{ENVIRONMENT['PATH']}"
        if ours
        else ENVIRONMENT["PATH"]
    )
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        line,
        shell=True,
        cwd=folder,
        env={**ENVIRONMENT, "PATH": path},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = {"line": line, "seconds": round(time.monotonic() - wall, 2), "cpu": round(spent, 2)}
    print(f"{found['seconds']:8.1f} s, {found['cpu']:8.1f} s of a core  {line}", flush=True)
    return found


def main() -> int:
    """Clone, run, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tests", action="store_true", help="the second command's tests too")
    parser.add_argument("--out", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "lines": []}
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "grucore"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        lines = lines_of((clone / "README.md").read_text("utf-8"))
        own_files(clone)
        first = next(i for i, line in enumerate(lines) if line.endswith("grucore demo"))
        second = lines[first + 1 : first + 3]  # an editable install, and the tests
        rest = [line for line in lines[first + 3 :] if line.startswith(("grucore ", ".venv"))]
        wanted = ("convert", "inspect", "bench", "quantize", "export", "run", "demo")
        rest = [line for line in rest if line.split()[1] in wanted or line.startswith(".venv")]
        rest = [ten_lines(clone), *rest]
        for line in [*lines[: first + 1], *rest, *(second if arguments.tests else [])]:
            # listening needs a microphone or a recording; the demo saves its model for what follows
            if "speech.wav" not in line:
                report["lines"].append(timed(line, clone))
                if arguments.out:  # what there is, should the run be cut short
                    arguments.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
