# SPDX-License-Identifier: Apache-2.0
"""Folders are floors: each imports those below it only. Lazy and type-checking imports count."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "grucore"
ENGINE = ROOT / "cpp" / "src"

pytestmark = pytest.mark.skipif(not ENGINE.exists(), reason="away from the source tree")

Rules = Mapping[str, frozenset[str]]


def rules(**rows: str) -> Rules:
    """A row for each folder or file: the names beside it that it may import."""
    return {name: frozenset(allowed.split()) for name, allowed in rows.items()}


# A new name in a row is a decision: the commit says why.
ROWS: dict[str, Rules] = {
    "": rules(
        version="",
        places="",
        cmake="",  # no Python: the package file of CMake
        text="",
        graph="",
        runtime="",
        fileformat="graph",
        reference="graph",
        proof="graph fileformat reference runtime version",
        quantize="graph fileformat reference runtime proof text version",
        converters="graph fileformat reference runtime proof version",
        summary="graph fileformat text",
        model="graph runtime fileformat proof quantize summary",
        audio="model graph fileformat proof",  # a model of samples to samples, whole
        conversion="model converters",
        bench="model graph fileformat reference runtime",
        demo="model conversion audio",
        export="graph fileformat version",
        cli="model conversion graph runtime fileformat reference proof quantize bench demo audio "
        "export version text summary",
    ),
    "export": rules(
        c="",  # the pieces of which a file of C is put together
        compilers="",
        names="",
        literals="",
        packing="",
        pieces="literals",
        ports="names",
        memory="packing",
        amalgamate="",
        engine="amalgamate names",
        unit="pieces names literals",
        products="unit packing literals",
        layers="products unit packing literals",
        selftest="unit ports literals",
        header="unit memory ports",
        source="layers header selftest unit memory ports pieces packing",
        c99="source layers names",
    ),
    "converters": rules(
        containers="",
        build="",
        conversion="",
        boundary="",
        ignored="",
        source="containers",
        trace="build",
        torch="trace boundary containers build conversion ignored source",
        keras="trace boundary containers build conversion ignored source",
        onnx="trace boundary containers build conversion source",
        plugin="build conversion source",
        convert="boundary conversion ignored source torch keras onnx plugin",
    ),
    "converters/trace": rules(
        axes="",
        sizes="",
        memory="axes",
        search="axes",
        arrangement="axes",
        spectra="axes",  # complex numbers on the way to magnitudes
        trace="memory axes sizes spectra",
        carried="trace axes",
        ops="trace memory axes sizes spectra",
    ),
    "converters/torch": rules(
        aten="",
        read="aten",
        walk="aten read",
        ops="walk aten read",
        chain="ops walk aten read",
        memories="walk aten",
        meanings="walk aten",  # what the axes of inputs may be
        readings="meanings memories ops walk aten read",
        witness="readings chain ops walk aten read",
        sources="witness readings chain ops walk aten read",
        convert="sources witness readings chain ops walk aten read",
    ),
    "converters/keras": rules(
        read="",
        context="read",
        ports="context read",
        ops="context read",
        graph="ports ops context read",
        readings="graph ports ops context read",
        witness="graph ops context read",
        convert="witness readings graph ops context read",
    ),
    "converters/plugin": rules(
        text="",
        rtneural="text",
        guitarml="text",
        convert="rtneural guitarml text",
    ),
    "converters/onnx": rules(
        read="",
        evaluate="read",
        float64="read",
        context="evaluate read",
        loops="read",
        patterns="read",
        ops="context evaluate read",
        walk="ops context evaluate read",
        search="walk ops context evaluate read",
        reading="search read",
        witness="evaluate float64 reading read",
        convert="evaluate loops patterns witness reading search read",
    ),
}
ENGINE_ROWS = rules(
    format="",
    isa="",
    graph="format",
    kernels="isa",
    layers="format graph kernels isa",
    model="format graph isa kernels layers",
)
SUFFIXES = (".py", ".pyi", ".pyx", ".pxd", ".h", ".hpp", ".cpp", ".c", ".inc")
# Siblings of one kind: a new member is a new file, and nobody reads the folder as a whole.
SIBLINGS = ("layers", "ops", "tables", "vec", "bodies")


def imports(text: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, wherever it stands."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def violations(folder: Path, prefix: str, rows: Rules) -> list[str]:
    """The imports that do not go down, of all files in the folder."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        home = path.relative_to(folder).parts[0].removesuffix(".py")
        for line, name in imports(path.read_text(encoding="utf-8")):
            if not name.startswith(f"{prefix}."):
                continue
            target = name.removeprefix(f"{prefix}.").split(".")[0]
            if home in rows and target in rows and target != home and target not in rows[home]:
                found.append(f"{path.relative_to(folder)}:{line}: {home} imports {target}")
    return found


def inclusions(folder: Path, rows: Rules) -> list[str]:
    """The inclusions of the engine that do not go down."""
    found = []
    for path in sorted(folder.rglob("*.*")):
        home = path.relative_to(folder).parts[0]
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = re.match(r'\s*#\s*include "([a-z]+)/', text)
            if match and match[1] in rows and match[1] != home and match[1] not in rows[home]:
                found.append(f"{path.relative_to(folder)}:{line}: {home} includes {match[1]}")
    return found


def module_graph(folder: Path) -> dict[str, set[str]]:
    """The modules of a package, and those that each imports."""
    names = {}
    for path in folder.rglob("*.py"):
        parts = [folder.name, *path.relative_to(folder).with_suffix("").parts]
        names[".".join(parts).removesuffix(".__init__")] = path
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        graph[name] = set()
        for _, imported in imports(path.read_text(encoding="utf-8")):
            target = imported if imported in names else imported.rpartition(".")[0]
            is_engine = imported.startswith(f"{folder.name}._core")
            if target in names and target != name and not is_engine:
                graph[name].add(target)
    return graph


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle of the graph, or nothing."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        for target in sorted(graph[name]):
            found = visit(target)
            if found:
                return found
        path.pop()
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name))), [])


@pytest.mark.parametrize("folder", ROWS)
def test_folders_import_downwards(folder: str) -> None:
    prefix = ".".join(["grucore", *Path(folder).parts])
    assert violations(PACKAGE / folder, prefix, ROWS[folder]) == []


@pytest.mark.parametrize("folder", ROWS)
def test_every_folder_and_file_has_a_row(folder: str) -> None:
    have = {path.stem for path in (PACKAGE / folder).iterdir() if path.suffix in ("", ".py")}
    assert have - {"__init__", "__main__", "__pycache__"} == set(ROWS[folder])


def test_rows_have_an_order() -> None:
    for rows in (*ROWS.values(), ENGINE_ROWS):
        assert circle({name: set(allowed) for name, allowed in rows.items()}) == []


def test_the_engine_includes_downwards() -> None:
    assert inclusions(ENGINE, ENGINE_ROWS) == []
    assert {path.name for path in ENGINE.iterdir()} == set(ENGINE_ROWS)


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle(module_graph(PACKAGE)) == []


def test_files_are_short_and_folders_small() -> None:
    lengths = {}
    for folder in (PACKAGE, ROOT / "src", ROOT / "cpp", ROOT / "tests"):
        for path in folder.rglob("*.*"):
            if path.suffix in SUFFIXES and ROOT / "cpp" / "build" not in path.parents:
                lengths[path] = len(path.read_text(encoding="utf-8").splitlines())
    long = {str(path): n for path, n in lengths.items() if n > 400}
    assert long == {}
    assert statistics.median(n for n in lengths.values() if n > 3) <= 120
    for folder in {path.parent for path in lengths}:
        if not {"tests"} & set(folder.parts) and folder.name not in SIBLINGS:
            files = [path for path in lengths if path.parent == folder]
            assert len(files) <= 16, f"{folder}: {len(files)} files that are not of one kind"


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest collects neither of two, where no package tells them apart."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


LINES = {
    "at the top": "from grucore.cli import console\n",
    "lazily": "def f():\n    from grucore.cli.console import show\n",
    "for types": "if TYPE_CHECKING:\n    import grucore.cli.console\n",
}


@pytest.mark.parametrize("way", LINES)
def test_an_import_upwards_is_found(way: str, tmp_path: Path) -> None:
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "node.py").write_text(LINES[way])
    (found,) = violations(tmp_path, "grucore", ROWS[""])
    assert found.endswith("graph imports cli")


@pytest.mark.parametrize("folder", ROWS)
def test_every_rule_can_be_violated(folder: str, tmp_path: Path) -> None:
    prefix = ".".join(["grucore", *Path(folder).parts])
    for home, allowed in ROWS[folder].items():
        for target in set(ROWS[folder]) - allowed - {home}:
            (tmp_path / f"{home}.py").write_text(f"import {prefix}.{target}.some\n")
            assert violations(tmp_path, prefix, ROWS[folder]), (home, target)
        (tmp_path / f"{home}.py").unlink(missing_ok=True)


@pytest.mark.parametrize("home", ENGINE_ROWS)
def test_every_rule_of_the_engine_can_be_violated(home: str, tmp_path: Path) -> None:
    (tmp_path / home).mkdir()
    for target in set(ENGINE_ROWS) - ENGINE_ROWS[home] - {home}:
        (tmp_path / home / "a.h").write_text(f'#include "{target}/b.h"\n')
        assert inclusions(tmp_path, ENGINE_ROWS), target


def test_a_circle_is_found(tmp_path: Path) -> None:
    package = tmp_path / "grucore"
    package.mkdir()
    for name, target in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")):
        (package / f"{name}.py").write_text(f"def f():\n    from grucore.{target} import f\n")
    assert circle(module_graph(package)) == [f"grucore.{name}" for name in "abca"]


def test_a_relative_import_is_refused() -> None:
    with pytest.raises(AssertionError, match="relative"):
        list(imports("from . import other\n"))
