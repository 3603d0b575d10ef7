# SPDX-License-Identifier: Apache-2.0
"""Figures that no script of an example writes: errors of shipped models, sizes of the web page."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import grucore

EXAMPLES = Path(__file__).parents[1] / "examples"


def amplifier() -> dict[str, Any]:
    """Energy of the error over that of the sound, on notes that training has not heard."""
    sys.path.insert(0, str(EXAMPLES / "amplifier"))
    from amplifier import amplifier as tube
    from amplifier import guitar

    new = guitar(1, 8)
    wanted = tube(new)
    model = grucore.convert(EXAMPLES / "amplifier" / "amp.json", verify=False)
    got: Any = model.run(new[:, None])
    return {"error": float(np.sum((got[:, 0] - wanted) ** 2) / np.sum(wanted**2))}


def sunspots() -> dict[str, Any]:
    """Errors of four forecasts, in sunspots, and of grucore beside Keras."""
    sys.path.insert(0, str(EXAMPLES / "sunspots"))
    import forecast

    folder = EXAMPLES / "sunspots"
    with np.load(folder / "expected.npz") as expected:
        years, counts, keras = (expected[name] for name in ("years", "counts", "outputs"))
    ours = forecast.stream(grucore.convert(folder / "sunspots.keras", verify=False), counts)
    said = {
        "grucore, streamed": ours,
        "Keras": keras,
        "linear, last nine years": forecast.autoregression(years, counts),
        "last year's value": forecast.scale(counts),
    }
    return {
        "errors": {name: forecast.errors(years, counts, outputs) for name, outputs in said.items()},
        "from Keras": float(np.abs(ours - keras).max()),
        "years": len(years),
        "held out": int((years >= forecast.HELD_OUT).sum()),
    }


def web() -> dict[str, Any]:
    """Bytes of the page's module, and as a server compresses it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(EXAMPLES / "web" / "build.py"), "-o", folder]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"spotter\.wasm: ([\d,]+) bytes, ([\d,]+) compressed", said)
    assert found is not None
    return {"bytes": int(found[1].replace(",", "")), "compressed": int(found[2].replace(",", ""))}


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    report = {"amplifier": amplifier(), "sunspots": sunspots(), "web": web()}
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(f"{text}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
