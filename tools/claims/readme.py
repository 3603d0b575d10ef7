# SPDX-License-Identifier: Apache-2.0
"""README: its table of steps, sizes, instructions, durations; the frame of docs/audio.md."""

from __future__ import annotations

import math
from collections.abc import Callable

from claims.embedded import counted
from claims.examples import written
from claims.files import figure, fraction, markdown, result
from claims.performance import best, sizes
from claims.quantization import share

__all__ = ["TABLES", "sentences"]


def steps() -> str:
    """A step from Python, beside the best peer."""
    head = ["size", "float32", "best peer", "int8", "best int8 peer"]
    table = [["", *head, "error float32, int8"]]
    every = result("compare")["workloads"]
    for name, one in every.items():
        if name[0] == "S":
            cells = [name, sizes(name)]
            for kind in ("float32", "int8"):
                peer, theirs, ours = best(name, kind)
                cells += [figure(ours), f"{figure(theirs)} {peer.removesuffix(' int8')}"]
            found = [
                one["contenders"][f"grucore {kind}"]["error"] for kind in ("float32", "int8/16")
            ]
            table.append([*cells, ", ".join(f"{error:.0e}" for error in found)])
    return markdown(table)


def durations() -> str:
    """README's own lines in a fresh clone."""
    table = [["line", "seconds of one core"]]
    for one in result("newcomer")["lines"]:
        if "-m grucore" not in one["line"]:
            table.append([f"`{one['line']}`", f"{one['cpu']:.1f}"])
    return markdown(table, 1)


def seconds(start: str) -> float:
    """The name of a core, for a line of README."""
    lines = result("newcomer")["lines"]
    return float(next(one["cpu"] for one in lines if one["line"].startswith(start)))


def sentences() -> dict[str, list[str]]:
    """Figures in the text."""
    every = result("compare")["workloads"]
    long = [best(name, "float32") for name in every if name[0] in "QL"]
    ratios = [theirs / ours for _, theirs, ours in long]
    ovs = [
        one["contenders"]["OpenVINO"]["us_min"] / one["contenders"]["grucore float32"]["us_min"]
        for name, one in every.items()
        if name[0] == "B"
    ]
    overhead = result("overhead")["over_the_engine_us"]
    rows = {one["weights"]: one for one in result("quantized_examples")["keyword_spotting"]}
    lost = max(abs(rows[name]["points"]) for name in ("int8/16", "int8/16, calibrated"))
    floats, ints = (counted("keywords", "cortex-m4", kind) for kind in ("float32", "int8/8"))
    code = sorted(one["code_bytes"] / 1000 for one in (floats, ints))
    languages = written("examples/languages/languages.json")
    install = math.ceil(seconds(".venv/bin/pip install") / 10) * 10
    front = result("front_end")["frames"]
    fuzz = result("cli_calls")
    module = result("examples")["web"]["compressed"]
    return {
        "README.md": [
            f"takes {install} seconds of one core, most of them the compiler's, the demo "
            f"{seconds('.venv/bin/grucore demo'):.1f}",
            f"about {overhead:.2f} microseconds over the arithmetic",
            f"the best float32 peer takes {min(ratios):.1f} to {max(ratios):.1f} times as long, in "
            f"float32 batches OpenVINO {min(ovs):.2f} to {max(ovs):.2f} times",
            f"At 256 inputs and units int8 takes {fraction(share('S5', 'int8'))} of the size, "
            "float16 "
            f"{fraction(share('S5', 'float16'))}, int4 {fraction(share('S5', 'int4'))}; of the "
            "demo's "
            f"file they leave {share('demo', 'int8', 'file'):.2f}, "
            f"{share('demo', 'float16', 'file'):.2f} "
            f"and {share('demo', 'int4', 'file'):.2f}",
            f"int8 loses at most {lost:.2f} points of accuracy",
            f"takes {floats['instructions']:,} instructions a frame in float32 and "
            f"{ints['instructions']:,} in int8, {code[0]:.1f} to {code[1]:.1f} kB of code and "
            f"{max(floats['ram_bytes'], ints['ram_bytes']) / 1000:.1f} kB of RAM",
            f"trained on real names, {100 * languages['int8']['accuracy']:.0f} % right, "
            f"{languages['int8']['bytes'] / 1000:.0f} kB",
            f"{module / 1000:.0f} kB of WebAssembly as a server compresses it",
        ],
        "docs/command-line.md": [
            f"of {fuzz['calls']:,} random calls of {fuzz['commands']} commands, with files whole "
            f"and damaged, {fuzz['exceptions']} ended",
        ],
        "docs/audio.md": [
            f"From Python a frame of the demo takes {front['from samples']['us_min']:.1f} "
            "microseconds "
            f"from 80 samples to scores, {front['network']['us_min']:.1f} of them the network",
            "features in numpy, as it had them before, take "
            f"{front['features in numpy']['us_min']:.0f}",
        ],
    }


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("README.md", "steps"): steps,
    ("docs/tutorial.md", "durations"): durations,
}
