# SPDX-License-Identifier: Apache-2.0
"""The engine on a Cortex-M4F under QEMU, as cpp/examples/cortex_m4/build.sh counts it."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(__file__).parents[1] / "cpp" / "examples" / "cortex_m4" / "build.sh"
KINDS = ("float32", "int8", "int8x8")


def counted(kind: str, folder: Path) -> dict[str, int]:
    """Sizes of the keyword spotter that build.sh printed: bytes, and instructions of a frame."""
    run = subprocess.run(
        [str(BUILD), str(folder), kind, "spotter"], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(f"{run.stdout[-1000:]}{run.stderr[-1000:]}")
    found = re.findall(r"^\s*([\w /]+?)\s+(\d+)$", run.stdout, re.MULTILINE)
    return {name: int(number) for name, number in found}


def main() -> int:
    """Build, count, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    report = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            report[kind] = counted(kind, Path(folder))
        print(kind, report[kind], flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
