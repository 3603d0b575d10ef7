# SPDX-License-Identifier: Apache-2.0
"""docs/embedded.md, docs/cpp.md and the front end of docs/audio.md: counted under QEMU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from claims.files import figure, markdown, result

__all__ = ["TABLES", "counted", "sentences"]

PAGE = "docs/embedded.md"
NAMES = {
    "cortex-m0plus": "Cortex-M0+",
    "cortex-m3": "Cortex-M3",
    "cortex-m4": "Cortex-M4F",
    "cortex-m7": "Cortex-M7",
    "cortex-m55": "Cortex-M55",
}
NETWORKS = {
    "edgemark": "EdgeMark GRU(64): 32 → 64 → 32",
    "hello-s": "Hello Edge GRU S: 10 → 154 → 12",
    "hello-m": "Hello Edge GRU M: 10 → 250 → 12",
    "hello-l": "Hello Edge GRU L: 10 → 400 → 12",
    "rnnoise": "RNNoise of 2018: GRUs of 24, 48, 96",
}
KINDS = ("float32", "float16", "int8/8", "int8/16", "int4/16")


def rows(**wanted: str) -> list[dict[str, Any]]:
    """Results with these fields."""
    return [one for one in result("mcu") if all(one[key] == value for key, value in wanted.items())]


def counted(workload: str, cpu: str, weights: str) -> dict[str, Any]:
    """The exported code of a network on a processor."""
    (found,) = rows(workload=workload, cpu=cpu, weights=weights, what="export")
    return found


def _from_to(numbers: list[int]) -> str:
    return f"{min(numbers):,} to {max(numbers):,}"


def spotter() -> str:
    """The keyword spotter on every processor."""
    table = [["instructions a frame", *KINDS, "code, bytes", "RAM, bytes"]]
    for cpu in dict.fromkeys(one["cpu"] for one in rows(workload="keywords", what="export")):
        found = [counted("keywords", cpu, kind) for kind in KINDS]
        cells = [f"{one['instructions']:,}" for one in found]
        sizes = [_from_to([one[key] for one in found]) for key in ("code_bytes", "ram_bytes")]
        table.append([NAMES.get(cpu, cpu), *cells, *sizes])
    return markdown(table, 1)


def a_multiply_add() -> str:
    """Instructions for each multiply-add, all of a frame counted."""
    table = [["instructions for a multiply-add", *KINDS]]
    for cpu in dict.fromkeys(one["cpu"] for one in rows(workload="keywords", what="export")):
        found = [counted("keywords", cpu, kind)["instructions_per_multiply_add"] for kind in KINDS]
        table.append([NAMES.get(cpu, cpu), *map(figure, found)])
    return markdown(table, 1)


def loops() -> str:
    """Plain loops and another generator's code beside it."""
    table = [["loop", "weights", "instructions a frame"]]
    found = [
        one
        for one in rows(workload="keywords", cpu="cortex-m4")
        if one["what"] != "engine" and "export" not in one["what"]
    ]
    for one in sorted(found, key=lambda one: (one["weights"], -one["instructions"])):
        table.append([one["what"], one["weights"], f"{one['instructions']:,}"])
    return markdown(table, 2)


def networks() -> str:
    """Networks that others put on microcontrollers."""
    head = ["network", "processor", "weights", "instructions a frame", "for a multiply-add"]
    table = [[*head, "flash, bytes", "RAM, bytes"]]
    for one in result("mcu"):
        if one["workload"] in NETWORKS:
            flash = one["code_bytes"] + one["constant_bytes"]
            name, cpu = NETWORKS[one["workload"]], NAMES[one["cpu"]]
            cost = f"{one['instructions']:,}", f"{one['instructions_per_multiply_add']:.2f}"
            table.append([name, cpu, one["weights"], *cost, f"{flash:,}", f"{one['ram_bytes']:,}"])
    return markdown(table, 3)


def engine() -> str:
    """The engine itself on a Cortex-M4F."""
    found = result("firmware")
    table = [["", "float32", "int8, 16-bit activations", "int8, 8-bit"]]
    for title, of in (
        ("instructions of a frame", lambda one: one["instructions/frame"]),
        ("engine and example, bytes of flash", lambda one: one["engine and example"]),
        (
            "both arenas and the stack, bytes of RAM",
            lambda one: one["model_arena"] + one["stream_arena"] + one["stack"],
        ),
    ):
        table.append([title, *(f"{of(found[kind]):,}" for kind in ("float32", "int8", "int8x8"))])
    return markdown(table, 1)


def engines() -> str:
    """The engine as `grucore export --target engine` writes it."""
    head = ["the keyword spotter", "weights", "instructions a frame", "for a multiply-add"]
    table = [[*head, "flash without the file, bytes"]]
    for one in rows(what="engine"):
        cost = f"{one['instructions']:,}", f"{one['instructions_per_multiply_add']:.2f}"
        table.append([NAMES[one["cpu"]], one["weights"], *cost, f"{one['code_bytes']:,}"])
    return markdown(table, 2)


def browser() -> str:
    """WebAssembly in node."""
    table = [["weights", "`--numerics`", "vectors", "microseconds a step", "bytes", "gzip"]]
    for one in result("wasm"):
        numerics = "either" if one["weights"] == "int8" else one["numerics"]
        cells = [one["weights"], numerics, "`-msimd128`" if one["vectors"] else "none"]
        table.append([*cells, figure(one["us_min"]), f"{one['bytes']:,}", f"{one['gzip']:,}"])
    return markdown(table, 3)


def sentences() -> dict[str, list[str]]:
    """Figures in the text."""
    edge = counted("edgemark", "cortex-m4", "int8/8")
    frames = 100 * edge["instructions"]
    flash = edge["code_bytes"] + edge["constant_bytes"]
    front = counted("front-end", "cortex-m4", "float32")
    soft = [
        counted("front-end", cpu, "float32")["instructions"]
        for cpu in ("cortex-m3", "cortex-m0plus")
    ]
    code, constants = front["code_bytes"] / 1000, front["constant_bytes"] / 1000
    return {
        PAGE: [
            f"The exported code takes {frames / 1e6:.1f} million instructions for these 100 "
            "frames, "
            f"{flash / 1000:.0f} kB and {edge['ram_bytes'] / 1000:.1f} kB: at one instruction "
            "a cycle "
            f"{frames / 120e6 * 1000:.0f} ms",
        ],
        "docs/audio.md": [
            f"takes {front['instructions']:,} instructions a frame as exported C, counted "
            "under QEMU, "
            f"with {code:.1f} kB of code, {constants:.1f} kB of constants and "
            f"{front['ram_bytes'] / 1000:.1f} kB of RAM",
            f"the same bits in {soft[0]:,} instructions (Cortex-M3) and {soft[1]:,} (Cortex-M0+, "
            f"100 frames a second: {soft[1] / 1e4:.0f} million)",
        ],
    }


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    (PAGE, "spotter"): spotter,
    (PAGE, "multiply-add"): a_multiply_add,
    (PAGE, "loops"): loops,
    (PAGE, "networks"): networks,
    (PAGE, "browser"): browser,
    (PAGE, "engines"): engines,
    ("docs/cpp.md", "engine"): engine,
}
