# SPDX-License-Identifier: Apache-2.0
"""Recurrent nets on microcontrollers under QEMU: exported code beside plain loops, as Markdown.

    python benchmarks/mcu/run.py --out mcu.json

Instructions are counted with -icount (a loop of known length calibrates it): no flash wait states,
no cycles. Needs gcc-arm-none-eabi, gcc-riscv64-unknown-elf, qemu-system-arm and qemu-system-misc.
Code of emx-onnx-cgen stands beside it where that is installed: it wants an environment of its own,
and onnx.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from peers import EMX, emx_source, emx_wrapper  # noqa: E402
from workloads import WORKLOADS, classifier, of_kind  # noqa: E402

from export.engine_code import measure_engine  # noqa: E402
from export.targets import BOARDS, TARGETS, measure, missing_tools, with_frames  # noqa: E402
from grucore.export.literals import array_text, float_text  # noqa: E402
from grucore.graph.graph import Graph  # noqa: E402
from grucore.graph.layers import Dense, Gru  # noqa: E402
from grucore.graph.weights import Quantized  # noqa: E402

FRAMES = 16
CPUS = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m55", "rv32imc", "rv32imfc")
# The others are too large for the memory of these boards.
KINDS_OF = {"front-end": ("float32",), "hello-m": ("int8/8", "int4/16"), "hello-l": ("int4/16",)}
NO_FLOATS = ("cortex-m0plus", "cortex-m3", "rv32imc")
CPUS_OF = {"front-end": ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m55", "rv32imc")}
PLAIN = {
    "plain C, one row": ("float32", ("-DPLAIN=1", "-O2")),
    "plain C, four rows": ("float32", ("-DPLAIN=4", "-O3")),
    "plain C, int8, one row": ("int8/16", ("-DPLAIN=1", "-DPLAIN_INT8", "-O2")),
    "plain C, int8, four rows": ("int8/16", ("-DPLAIN=4", "-DPLAIN_INT8", "-O3")),
    "plain C, int8, SMLAD, two rows": ("int8/16", ("-DPLAIN=2", "-DPLAIN_INT8", "-O2")),
}
PEER = "emx-onnx-cgen, -O2"


def row(name: str, cpu: str, kind: str, macs: int, found: Any, state: int) -> dict[str, Any]:
    """A result: what stands in the JSON."""
    return {
        "what": name,
        "cpu": cpu,
        "weights": kind,
        "multiply_adds": macs,
        "instructions": found.instructions,
        "instructions_per_multiply_add": round(found.instructions / macs, 3),
        "code_bytes": found.code,
        "constant_bytes": found.constants,
        "ram_bytes": found.stack + state,
        "different": found.different,
    }


def exported(workload: str, cpu: str, kind: str, numerics: str = "fused") -> dict[str, Any]:
    """Exported code of one kind on one processor."""
    graph = with_frames(of_kind(WORKLOADS[workload][1](), kind), FRAMES, numerics)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(graph, cpu, Path(folder), numerics=numerics)
        header = (Path(folder) / "model.h").read_text()
    state = int(re.search(r"STATE_BYTES (\d+)", header)[1])  # type: ignore[index]
    name = "export" if numerics == "fused" else "export, muladd"
    result = row(name, cpu, kind, graph.multiply_adds_per_frame, found, state)
    return {"workload": workload, **result}


def engine(cpu: str, kind: str) -> dict[str, Any]:
    """The engine itself, with the keyword spotter: `grucore export --target engine`."""
    graph = with_frames(of_kind(WORKLOADS["keywords"][1](), kind), FRAMES, "fused")
    with tempfile.TemporaryDirectory() as folder:
        found = measure_engine(graph, cpu, Path(folder))
    result = row("engine", cpu, kind, graph.multiply_adds_per_frame, found, 0)
    return {"workload": "keywords", **result}


def plain_header(graph: Graph) -> str:
    """The weights of a GRU and a dense layer, row after row."""
    gru, dense = graph.nodes
    assert isinstance(gru, Gru)
    assert isinstance(dense, Dense)
    hidden = gru.hidden_size
    sizes = (("I", gru.input_size), ("H", hidden), ("O", len(dense.weight)))
    parts = ["#include <stdint.h>\n", *(f"#define {name} {size}\n" for name, size in sizes)]
    for name, weight in (("W_IH", gru.weight_ih), ("W_HH", gru.weight_hh), ("W", dense.weight)):
        is_whole = isinstance(weight, Quantized)
        parts.append(array_text(name, weight.values if is_whole else weight))
        if is_whole:
            parts.append(array_text(f"{name}_SCALE", weight.scale))
    biases = {"BIAS_IH": gru.bias[: 3 * hidden], "BIAS_HN": gru.bias[3 * hidden :]}
    biases["BIAS"] = dense.bias
    parts += [array_text(name, array) for name, array in biases.items()]
    return "".join(parts).replace("GC_ALIGN", "__attribute__((aligned(4)))")


def plain(name: str, cpu: str) -> dict[str, Any]:
    """One of the loops of plain.c, or another generator's code, for the keyword spotter."""
    kind, options = PLAIN.get(name, ("float32", ("-O2",)))
    target = TARGETS[cpu]
    graph = with_frames(of_kind(classifier(40, 64, 12), kind), FRAMES, "fused")
    assert graph.test is not None
    # Float weights differ by rounding; of int8, how activations are rounded is another one too.
    tolerance = 1e-4 if kind == "float32" else 5e-2
    texts = {
        "plain_model.h": plain_header(graph) + f"#define TOLERANCE {float_text(tolerance)}\n",
        "model_frames.h": "#include <stdint.h>\n"
        + array_text("frames", graph.test.inputs[0])
        + array_text("expected", graph.test.outputs[0])
        + "static float scores[12];\n"
        "void plain_reset(void);\n"
        "void plain_step(const float *x, float *y);\n"
        "uint32_t plain_test(const float *x, const float *expected, uint32_t frames);\n"
        "#define MODEL_STATE uint32_t\n"
        f"#define MODEL_FRAMES {FRAMES}\n"
        "#define MODEL_SELFTESTED() plain_test(frames, expected, MODEL_FRAMES)\n"
        "#define MODEL_RESET(state) (void)(state), plain_reset()\n"
        "#define MODEL_STEP(t) plain_step(frames + 40 * (t), scores)\n",
    }
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        for file, text in texts.items():
            (folder / file).write_text(text)
        flags = [*target.command, *target.defines, *options, f"-I{folder}", f"-I{BOARDS}"]
        plain_object, program = folder / "plain.o", folder / "program"
        source = HERE / "plain.c"
        if name == PEER:
            generated = emx_source(graph, folder)
            assert generated is not None
            source = folder / "wrapped.c"
            source.write_text(generated.read_text() + emx_wrapper(graph))
        subprocess.run([*flags, "-c", source, "-o", plain_object], check=True)
        sources = [*(BOARDS / source for source in target.sources), BOARDS / "main.c"]
        link = [*target.link, "-ffreestanding", *sources, plain_object, "-lm", "-lc_nano", "-lgcc"]
        subprocess.run([*flags, *link, "-o", program], check=True)
        run = subprocess.run([*target.runner, program], capture_output=True, text=True)
        said = dict(re.findall(r"^(\w+) (\d+)$", run.stdout + run.stderr, re.MULTILINE))
        sizes = subprocess.run([target.size, plain_object], capture_output=True, text=True).stdout
    text_bytes = int(sizes.splitlines()[1].split()[0])
    macs = graph.multiply_adds_per_frame
    instructions = int(said["instructions"])
    return {
        "workload": "keywords",
        "what": name,
        "cpu": cpu,
        "weights": kind,
        "multiply_adds": macs,
        "instructions": instructions,
        "instructions_per_multiply_add": round(instructions / macs, 3),
        "code_and_constant_bytes": text_bytes,
        "ram_bytes": int(said["stack"]) + 256,
        "different": int(said["different"]),
    }


def of_workload(workload: str, cpus: list[str]) -> Iterator[dict[str, Any]]:
    """The exported code of one network that is not the keyword spotter's."""
    for cpu in CPUS_OF.get(workload, ("cortex-m4", "cortex-m55")):
        if cpu in cpus:
            for kind in KINDS_OF.get(workload, ("float32", "int8/8")):
                yield exported(workload, cpu, kind)


def results(cpus: list[str]) -> Iterator[dict[str, Any]]:
    """Everything, one after the other."""
    for cpu in cpus:
        for kind in ("float32", "float16", "int8/8", "int8/16", "int4/16"):
            yield exported("keywords", cpu, kind)
        if cpu in NO_FLOATS:
            yield exported("keywords", cpu, "float32", "muladd")
    for workload in WORKLOADS:
        if workload != "keywords":
            yield from of_workload(workload, cpus)
    for cpu in (cpu for cpu in ("cortex-m4", "cortex-m55") if cpu in cpus):
        for kind in ("float32", "int8/8", "int8/16"):
            yield engine(cpu, kind)
    if "cortex-m4" in cpus:
        for name in (*PLAIN, *([PEER] if shutil.which(EMX) else [])):
            yield plain(name, "cortex-m4")


def table(rows: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| network | processor | what | weights | instructions a frame | per multiply-add "
        "| code | constants | RAM |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in rows:
        code = f"{one['code_bytes']:,}" if "code_bytes" in one else ""
        constants = f"{one['constant_bytes']:,}" if "constant_bytes" in one else ""
        cells = (
            one["workload"],
            one["cpu"],
            one["what"],
            one["weights"],
            f"{one['instructions']:,}",
            f"{one['instructions_per_multiply_add']:.2f}",
            code,
            constants,
            f"{one['ram_bytes']:,}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print; 1 if some code gave other numbers than it should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--cpu", action="append", choices=CPUS, help="all if not given")
    parser.add_argument("--out", metavar="FILE", help="write everything as JSON")
    others = [name for name in WORKLOADS if name != "keywords"]
    one = "only this network; the other rows of FILE stay"
    parser.add_argument("--workload", choices=others, help=one)
    arguments = parser.parse_args()
    cpus = arguments.cpu or list(CPUS)
    for cpu in cpus:
        missing = missing_tools(TARGETS[cpu])
        if missing:
            parser.error(f"{cpu} needs {', '.join(missing)}")
    rows: list[dict[str, Any]] = []
    name = arguments.workload
    for one in of_workload(name, cpus) if name else results(cpus):
        print(f"{one['workload']} {one['cpu']} {one['what']} {one['weights']}", file=sys.stderr)
        rows.append(one)
    print(table(rows))
    if arguments.out and name:
        kept = json.loads(Path(arguments.out).read_text())
        at = next((i for i, row in enumerate(kept) if row["workload"] == name), len(kept))
        kept = [row for row in kept if row["workload"] != name or row["cpu"] not in cpus]
        rows = [*kept[:at], *rows, *kept[at:]]
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(one["different"] for one in rows))


if __name__ == "__main__":
    sys.exit(main())
