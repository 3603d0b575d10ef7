# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md, and the workloads of benchmarks/README.md."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from common.workloads import WORKLOADS

from claims.files import figure, markdown, result

__all__ = ["TABLES", "best", "sentences", "sizes", "tables_of"]

PAGE = "docs/performance.md"
RUN = "compare"  # of the machine whose tables stand on the page
# Runs of compare.py, and the kind of machine of each.
MACHINES = {RUN: "AMD", "compare_intel": "Intel"}
OURS = ("float32", "float16", "int8/16", "int8/8", "int4")
Rows = list[list[str]]


def workloads(form: str, run: str = RUN) -> dict[str, Any]:
    """Those of a form: S, Q, B, L."""
    found: dict[str, Any] = result(run)["workloads"]
    return {name: one for name, one in found.items() if name[0] in form}


def sizes(name: str) -> str:
    """The sizes of a workload, as a table's head has them."""
    one = WORKLOADS[name]
    text = f"{one.input_size} → {one.hidden_size}"
    return f"{text}, {one.layers} layers" if one.layers > 1 else text


def header(found: dict[str, Any]) -> list[str]:
    """A column for each workload, with its sizes."""
    return ["", *(f"{name}<br>{sizes(name)}" for name in found)]


def contenders(found: dict[str, Any], prefix: str = "") -> list[str]:
    """Who is there: from Python, or with the prefix in C++; forced instruction sets left out."""
    titles = dict.fromkeys(title for one in found.values() for title in one["contenders"])
    return [
        title
        for title in titles
        if title.startswith("C++ ") == bool(prefix)
        and not (title.startswith("grucore ") and len(title.split()) > 2)
    ]


def best(name: str, kind: str, prefix: str = "", run: str = RUN) -> tuple[str, float, float]:
    """The best peer of a kind of weights, its time and grucore's."""
    peers, ours = {}, []
    found = workloads(name[0], run)[name]["contenders"]
    for title in contenders({name: workloads(name[0], run)[name]}, prefix):
        if found[title]["weights"] != kind:
            continue
        if title.removeprefix(prefix).startswith("grucore"):
            ours.append(found[title]["us_min"])
        else:
            peers[title] = found[title]["us_min"]
    peer = min(peers, key=lambda title: peers[title])
    return peer.removeprefix(prefix), peers[peer], min(ours)


def lead(name: str, kind: str, prefix: str = "", run: str = RUN) -> str:
    """The best peer's time over grucore's; nothing without a peer of the kind."""
    if not any(one["weights"] == kind for one in _peers(name, prefix, run)):
        return ""
    _, theirs, ours = best(name, kind, prefix, run)
    return f"{theirs / ours:.2f}"


def _peers(name: str, prefix: str, run: str) -> list[dict[str, Any]]:
    found = workloads(name[0], run)[name]["contenders"]
    titles = contenders({name: workloads(name[0], run)[name]}, prefix)
    return [found[one] for one in titles if not one.removeprefix(prefix).startswith("grucore")]


def times(form: str, prefix: str = "", run: str = RUN) -> str:
    """Microseconds of everybody, and the best peer's over grucore's."""
    found = workloads(form, run)
    rows: Rows = [header(found)]
    for title in contenders(found, prefix):
        cells = [one["contenders"].get(title) for one in found.values()]
        rows.append(
            [title.removeprefix(prefix), *(figure(c["us_min"]) if c else "" for c in cells)]
        )
    for kind in ("float32", "int8"):
        leads = [lead(name, kind, prefix, run) for name in found]
        rows.append([f"best {kind} peer / grucore", *leads])
    return markdown(rows, 1)


def engine(forms: str, isa: str = "", run: str = RUN) -> str:
    """The engine without Python, and in brackets how many limits that is."""
    found = workloads(forms, run)
    rows: Rows = [["weights", *header(found)[1:]]]
    for kind in OURS:
        title = f"grucore {kind}{isa and ' ' + isa}"
        cells = [one["contenders"][title]["engine"] for one in found.values()]
        rows.append([kind, *(f"{figure(c['us'])} ({c['us'] / c['limit_us']:.2f})" for c in cells)])
    return markdown(rows, 1)


def limits(kind: str, names: str) -> list[float]:
    """How many limits the engine takes on each of the workloads."""
    every = result("compare")["workloads"]
    found = [every[name]["contenders"][f"grucore {kind}"]["engine"] for name in names.split()]
    return [one["us"] / one["limit_us"] for one in found]


def errors() -> str:
    """Largest differences from float64."""
    every = result("compare")["workloads"]
    found = {name: every[name] for name in ("S1", "S3", "S5", "S8", "Q5", "B256x16", "L")}
    rows: Rows = [header(found)]
    for title in contenders(found):
        cells = [one["contenders"].get(title) for one in found.values()]
        rows.append([title, *("" if c is None else f"{c['error']:.0e}" for c in cells)])
    return markdown(rows, 1)


def described(run: str = RUN) -> str:
    """Where the tables come from."""
    report = result(run)
    machine = report["machine"]
    loads = [at[0] for one in report["workloads"].values() for at in one["load"]]
    isa = report["workloads"]["S1"]["contenders"]["grucore float32"]["isa"]
    rows = [
        ["processor", f"{machine['processor']}, one core of {machine['cores']}"],
        ["instruction set", isa],
        ["Python", machine["python"]],
        ["load while it ran", f"{min(loads):.1f} to {max(loads):.1f}"],
    ]
    return markdown([["machine of the tables", ""], *rows])


def listed() -> str:
    """The workloads themselves."""
    rows: Rows = [["", "inputs → units", "multiply-adds a frame", "float32 weights", "like"]]
    for one in WORKLOADS.values():
        if one.form == "S":
            size = one.weight_bytes / 1000
            text = f"{size:.0f} kB" if size < 1000 else f"{size / 1000:.1f} MB"
            rows.append([one.name, sizes(one.name), f"{one.multiply_adds:,}", text, one.like])
    return markdown(rows)


def streams() -> str:
    """A thousand streams in one."""
    head = ["weights", "limit", "all", "times the limit", "half of them", "of all"]
    rows: Rows = [[*head, "a stream of all", "one alone"]]
    report = result("streams")
    for kind, one in report["weights"].items():
        limit, every, half = one["limit_us"], one["all"]["us_min"], one["half"]["us_min"]
        ratios = f"{every / limit:.2f}", f"{half:.0f}", f"{half / every:.2f}"
        each = f"{every / report['streams']:.3f}", f"{one['one']['us_min']:.3f}"
        rows.append([kind, f"{limit:.0f}", f"{every:.0f}", *ratios, *each])
    return markdown(rows, 1)


def calls() -> str:
    """The cost of a call."""
    rows: Rows = [["call", "least", "median"]]
    for name, one in result("overhead")["calls"].items():
        rows.append([name, f"{one['us_min']:.3f}", f"{one['us_median']:.3f}"])
    return markdown(rows, 1)


def instructions(of: str = "instructions") -> str:
    """Counted on AArch64, or on 32-bit Arm."""
    report = result(of)
    rows: Rows = [
        ["instructions a step", *(f"{name}<br>{sizes(name)}" for name in report["workloads"])]
    ]
    for weights, tables in report["counts"].items():
        rows += [[f"{weights}, {table}", *(f"{n:,}" for n in row)] for table, row in tables.items()]
        fast, slow = next(iter(tables.values())), tables["scalar"]
        ratios = [f"{b / a:.1f}" for a, b in zip(fast, slow, strict=True)]
        rows.append([f"{weights}, scalar / {next(iter(tables))}", *ratios])
    return markdown(rows, 1)


def sentences() -> dict[str, list[str]]:
    """Figures in the text."""
    every = result("compare")["workloads"]
    small, large = best("S3", "float32"), best("S8", "float32")
    macs = WORKLOADS["S3"].multiply_adds / WORKLOADS["S1"].multiply_adds
    read = limits("float32", "S3 S4 S5 S6 S7 S8")
    bytes_of = limits("int8/8", "S4 S5 S6 S7 S8")
    batches = limits("float32", "B128x16 B128x64 B256x16 B256x64")
    half = limits("float16", "S5")[0]
    s5 = {kind: every["S5"]["contenders"][f"grucore {kind}"]["us_min"] for kind in OURS}
    calls_of = result("overhead")["calls"]
    step = calls_of["step(x, out=out)"]["us_min"]
    method = calls_of["a Python method that does nothing"]["us_min"]
    inside = calls_of["engine: run(block), a frame"]["us_min"]
    streams_of = result("streams")["weights"]["float32"]
    each = streams_of["all"]["us_min"] / result("streams")["streams"] / streams_of["one"]["us_min"]
    neon = result("instructions")["counts"]["float32"]["neon"][2]
    lanes = WORKLOADS["S3"].multiply_adds / 4
    found = [every[name]["contenders"] for name in ("B128x16", "B128x64", "B256x16", "B256x64")]
    ovs = [one["OpenVINO"]["us_min"] / one["grucore float32"]["us_min"] for one in found]
    return {
        PAGE: [
            f"From S1 to S3 the multiply-adds grow {macs:.0f}-fold",
            f"At S3 the best peer takes {small[1] / small[2]:.1f} times as long in float32, at S8 "
            f"{large[1] / large[2]:.1f} times",
            f"OpenVINO takes {min(ovs):.2f} to {max(ovs):.2f} times as long in float32 batches",
            f"take {min(read):.2f} to {max(read):.2f} times a pure read from S3 to S8 in float32",
            f"S1 takes {limits('float32', 'S1')[0]:.1f} limits, S2 "
            f"{limits('float32', 'S2')[0]:.1f}, "
            f"L {limits('float32', 'L')[0]:.1f}",
            f"float16 at S5 takes {s5['float16'] / s5['float32']:.2f} of the time of float32, "
            f"{half:.1f} limits",
            f"int8/8 takes {min(bytes_of):.1f} to {max(bytes_of):.1f} limits from S4 to S8",
            f"Batches of float32 take {min(batches):.2f} to {max(batches):.2f} limits",
            f"A stream among a thousand takes {each:.2f} of the time of one alone in float32",
            f"A step of S3 has {lanes:,.0f} float32 multiply-adds of four lanes: "
            f"{neon / lanes:.1f} instructions each",
            f"`step(x, out=out)` takes {1000 * (step - inside):.0f} ns more than a frame of a "
            "block inside "
            f"the engine, of which {1000 * method:.0f} are what any method call costs here",
            "`import grucore` takes "
            f"{result('imports')['imports']['import grucore']['ms_min']:.1f} ms",
        ]
    }


def leads(forms: str) -> str:
    """The best peer's time over grucore's, on each kind of machine."""
    found = workloads(forms)
    rows: Rows = [["best peer / grucore", *header(found)[1:]]]
    for prefix, whence in (("", "Python"), ("C++ ", "C++")):
        for kind in ("float32", "int8"):
            for run, machine in MACHINES.items():
                cells = [lead(name, kind, prefix, run) for name in found]
                if any(cells):
                    rows.append([f"{whence}, {kind}, {machine}", *cells])
    return markdown(rows, 1)


def tables_of(page: str, run: str) -> dict[tuple[str, str], Callable[[], str]]:
    """The tables of one run of compare.py."""

    def times_of(form: str, prefix: str = "") -> Callable[[], str]:
        return partial(times, form, prefix, run)

    def engine_of(forms: str, isa: str = "") -> Callable[[], str]:
        return partial(engine, forms, isa, run)

    return {
        (page, "machine"): partial(described, run),
        (page, "streaming"): times_of("S"),
        (page, "sequences"): times_of("Q"),
        (page, "batches"): times_of("B"),
        (page, "long"): times_of("L"),
        (page, "engine-steps"): engine_of("S"),
        (page, "engine-sequences"): engine_of("QL"),
        (page, "engine-batches"): engine_of("B"),
        (page, "avx2-steps"): engine_of("S", "avx2"),
        (page, "avx2-sequences"): engine_of("QL", "avx2"),
        (page, "avx2-batches"): engine_of("B", "avx2"),
        (page, "cpp-steps"): times_of("S", "C++ "),
        (page, "cpp-sequences"): times_of("Q", "C++ "),
        (page, "cpp-batches"): times_of("BL", "C++ "),
    }


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    **tables_of(PAGE, RUN),
    **tables_of("docs/performance_intel.md", "compare_intel"),
    (PAGE, "workloads"): listed,
    (PAGE, "leads-steps"): partial(leads, "S"),
    (PAGE, "leads-sequences"): partial(leads, "QBL"),
    (PAGE, "streams"): streams,
    (PAGE, "instructions"): instructions,
    (PAGE, "instructions-armv7"): partial(instructions, "instructions_armv7"),
    (PAGE, "calls"): calls,
    (PAGE, "errors"): errors,
    ("benchmarks/README.md", "workloads"): listed,
}
