# SPDX-License-Identifier: Apache-2.0
"""The symbol gate: no code of an instruction set leaks; the engine needs mem* and nothing else.

check_symbols.py objects [--nm NM] [--readelf READELF] OBJECT...
check_symbols.py extension [--nm NM] MODULE
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

MEMORY = {"memcpy", "memmove", "memset", "memcmp"}

# Names that no object of the engine may ask for: heap, exceptions, guards, RTTI, stdio, libm.
FORBIDDEN = re.compile(
    r"^(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|abort|exit|atexit|"
    r"_Zn[wa].*|_Zd[la].*|__cxa_.*|_Unwind_.*|__gxx_personality.*|_ZS.*|_ZNS.*|_ZTV.*|"
    r"f?printf|f?puts|f?write|fopen|stderr|stdout|"
    r"(exp|log|tanh|fma|sqrt|pow|fmod|ldexp)f?)$"
)
# Tables that differ in few kernels share these constants, and nothing else.
SHARED = re.compile(r"_ZN7grucore6detail\d+\w+?\d+k(Float|Integer)KernelsE")
# How AArch64 is asked for its features.
SYSTEM = {"getauxval", "sysctlbyname"}
# The extension module must load where there is no C++ library.
FOREIGN = re.compile(r"@GLIBCXX_|@CXXABI_|^(_Zn[wa]|_Zd[la]|_ZS|_ZNS|__cxa_(?!finalize)|__gxx)")
FOREIGN_MATH = {
    "exp",
    "expf",
    "log",
    "logf",
    "tanh",
    "tanhf",
    "fma",
    "fmaf",
    "pow",
    "powf",
    "sqrtf",
    "fmodf",
}


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def symbols(nm: str, path: str, *options: str) -> list[tuple[str, str]]:
    """(type letter, name) of each symbol."""
    rows = (line.split() for line in run(nm, "--format=posix", *options, path).splitlines())
    return [(row[1], row[0]) for row in rows if len(row) >= 2]


def is_table(path: str) -> bool:
    return Path(path).parent.name == "tables"


def check_object(nm: str, readelf: str, path: str) -> list[str]:
    """The faults of one object."""
    faults = []
    all_symbols = symbols(nm, path)
    undefined = {name for kind, name in all_symbols if kind in "Uw"}
    shared = [name for kind, name in all_symbols if kind in "WVuv"]
    # `kind` is upper case for global symbols.
    strong = [name for kind, name in all_symbols if kind.isupper() and kind not in "UWVN"]
    sections = run(readelf, "--sections", "--wide", path)
    if re.search(r"\.(init_array|ctors|preinit_array)", sections):
        faults.append("has static initialisers")
    faults += [f"asks for {name}" for name in sorted(undefined) if FORBIDDEN.match(name)]
    if is_table(path):
        isa = Path(path).name.split(".")[0]
        # The file of another architecture's table is empty.
        own = f"_ZN7grucore6detail{len(isa)}{isa}"
        others = [name for name in strong if not (name.startswith(own) and SHARED.match(name))]
        if strong and others != [f"{own}6kTableE"]:
            faults.append(f"must define its table and nothing else, but defines {strong}")
        faults += [f"shares {name} with baseline code" for name in shared]
        faults += [
            f"asks for {name}" for name in sorted(undefined - MEMORY) if not SHARED.match(name)
        ]
    return faults


def check_objects(nm: str, readelf: str, paths: list[str]) -> list[str]:
    faults = [f"{path}: {fault}" for path in paths for fault in check_object(nm, readelf, path)]
    # The whole engine may ask for mem* beyond itself, and for nothing else.
    defined: set[str] = set()
    undefined: set[str] = set()
    for path in paths:
        for kind, name in symbols(nm, path):
            (undefined if kind in "Uw" else defined).add(name)
    faults += [
        f"the engine asks for {name}"
        for name in sorted(undefined - defined - MEMORY - SYSTEM)
        if name not in {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
    ]
    kernels = [path for path in paths if is_table(path)]
    full = [path for path in kernels if any(kind in "RDB" for kind, _ in symbols(nm, path))]
    if not full:
        faults.append("no kernel table was checked")
    print(f"{len(paths)} objects, {len(full)} of {len(kernels)} kernel tables in this build")
    return faults


def check_extension(nm: str, path: str) -> list[str]:
    exported = [
        name for kind, name in symbols(nm, path, "--dynamic", "--defined-only") if kind not in "Uw"
    ]
    exported = [name for name in exported if name.split("@")[0] not in {"_init", "_fini"}]
    faults = []
    if exported != ["PyInit__core"]:
        faults.append(f"must export PyInit__core and nothing else, but exports {exported}")
    for _, name in symbols(nm, path, "--dynamic", "--undefined-only"):
        plain = name.split("@")[0]
        if FOREIGN.search(name) or plain in FOREIGN_MATH:
            faults.append(f"asks for {name}")
    print(f"{Path(path).name}: exports {', '.join(exported)}")
    return [f"{path}: {fault}" for fault in faults]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=["objects", "extension"])
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--readelf", default="readelf")
    arguments = parser.parse_args()
    if arguments.mode == "objects":
        faults = check_objects(arguments.nm, arguments.readelf, arguments.paths)
    else:
        faults = [
            fault for path in arguments.paths for fault in check_extension(arguments.nm, path)
        ]
    for fault in faults:
        print(fault)
    print("symbols: ok" if not faults else f"symbols: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
