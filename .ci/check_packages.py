# SPDX-License-Identifier: Apache-2.0
"""Bounds the size of an sdist and of wheels, and looks for what has no place in them.

check_packages.py SDIST WHEEL...
"""

import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

KB = 1000
# The extension is 390 kB, most of it seven kernel tables with float and integer products. Python
# is 650 kB, more than half of it converters. Names and hashes of 375 files are 75 kB.
RUNTIME = 735 * KB  # what running a model takes: all but the demo's data, converters and export
WHEEL_WITHOUT_DEMO = 1165 * KB
WHEEL = 1420 * KB
DEMO = "grucore/demo/data/"
NOT_RUNTIME = ("grucore/converters/", "grucore/export/", "grucore/include/")
HEADERS = "grucore/include/grucore/"  # for C and C++ programs
CODE = "grucore/export/c/"  # what exported models are put together from
UNWANTED = {".cpp", ".h", ".pyx", ".pxd", ".o", ".c"}
# The files that a build from the sdist needs, and those that its tests need.
SDIST = [
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "cpp/src/model/load.cpp",
    "cpp/include/grucore/status.inc",
    "src/grucore/_core.pyx",
    "tests/conftest.py",
    "docs/tutorial.md",
    "examples/sunspots/README.md",
    "mkdocs.yml",
]


def check_wheel(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as wheel:
        entries = wheel.infolist()
    demo = sum(entry.compress_size for entry in entries if entry.filename.startswith(DEMO))
    converters = sum(e.compress_size for e in entries if e.filename.startswith(NOT_RUNTIME))
    size = path.stat().st_size
    runtime = size - demo - converters
    print(
        f"{path.name}: {size / KB:.0f} kB, {(size - demo) / KB:.0f} kB without the demo's data, "
        f"{runtime / KB:.0f} kB without the converters too"
    )
    faults = [
        f"{entry.filename} has no place in a wheel"
        for entry in entries
        if PurePosixPath(entry.filename).suffix in UNWANTED
        and not entry.filename.startswith((CODE, HEADERS))
    ]
    if size - demo > WHEEL_WITHOUT_DEMO:
        faults.append(f"more than {WHEEL_WITHOUT_DEMO} bytes without the demo's data")
    if runtime > RUNTIME:
        faults.append(f"more than {RUNTIME} bytes without demo and converters")
    if size > WHEEL:
        faults.append(f"more than {WHEEL} bytes")
    names = {entry.filename for entry in entries}
    if "grucore/py.typed" not in names or not any(name.endswith("_core.pyi") for name in names):
        faults.append("py.typed or _core.pyi is missing")
    if not {"grucore/cmake/grucoreConfig.cmake", f"{HEADERS}grucore_c.h"} <= names:
        faults.append("the headers or the package file of CMake are missing")
    return [f"{path.name}: {fault}" for fault in faults]


def check_sdist(path: Path) -> list[str]:
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    print(f"{path.name}: {path.stat().st_size / KB:.0f} kB, {len(names)} entries")
    return [f"{path.name}: {name} is missing" for name in SDIST if name not in names]


def main(sdist: str, *wheels: str) -> int:
    faults = check_sdist(Path(sdist))
    for wheel in wheels:
        faults += check_wheel(Path(wheel))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
