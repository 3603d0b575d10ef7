# SPDX-License-Identifier: Apache-2.0
"""The package as it is installed: what it imports, exports, needs and promises in its stubs."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import grucore
from grucore import _core

PACKAGE = Path(grucore.__file__).parent
ROOT = Path(__file__).parents[2]
MODULE = Path(_core.__file__)

needs_nm = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("nm") is None, reason="needs nm and an ELF file"
)
# Functions that a C compiler calls of its own accord, and names of every shared object.
OWN = {"grucore", "grucore._core", "grucore.version"}
COMPILER = {
    "memcmp", "memcpy", "memmove", "memset", "strcmp", "strlen", "strrchr",
    "__memcpy_chk", "__memmove_chk", "__memset_chk", "__stack_chk_fail", "__tls_get_addr",
    "__cxa_finalize", "__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable",
}  # fmt: skip


def python(code: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout.strip()


def test_import_loads_one_extension_and_no_numpy() -> None:
    found = python(
        "import sys; before = set(sys.modules); import grucore;"
        "print(*sorted({name for name in set(sys.modules) - before}))"
    ).split()
    assert {name for name in found if name.startswith("grucore")} == OWN
    assert not {"typing", "numpy", "torch", "keras", "onnx", "h5py", "rich"} & set(found)


def test_a_model_loads_without_numpy() -> None:
    code = (
        "import sys, grucore\n"
        "try: grucore.load(b'no model')\n"
        "except grucore.FormatError as error: print('numpy' in sys.modules, error.status)"
    )
    assert python(code) == "False kBadMagic"


def test_all_names_are_there_and_explained() -> None:
    assert sorted(grucore.__all__) == grucore.__all__
    assert set(grucore.__all__) <= set(dir(grucore))
    for name in grucore.__all__:
        value = getattr(grucore, name)
        if name != "__version__":
            assert value.__doc__, name
    with pytest.raises(AttributeError, match="module 'grucore' has no attribute 'lod'"):
        _ = grucore.lod
    for face in (grucore.Model, grucore.Stream):
        for name, member in inspect.getmembers(face):
            if not name.startswith("_") and callable(member):
                assert member.__doc__, f"{face.__name__}.{name}"


def test_version_has_one_source() -> None:
    assert importlib.metadata.version("grucore") == grucore.__version__


def test_the_package_is_typed_and_has_its_command() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_core.pyi").exists()
    scripts = importlib.metadata.entry_points(group="console_scripts", name="grucore")
    assert {script.value for script in scripts} == {"grucore.cli:main"}


def members(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    named: dict[str, ast.stmt] = {}
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            named[statement.name] = statement
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            named[statement.target.id] = statement
    return named


def test_the_stub_file_matches_the_module() -> None:
    stubs = members(ast.parse((PACKAGE / "_core.pyi").read_text()).body)
    own = {
        name
        for name, value in vars(_core).items()
        if not name.startswith("__") and not inspect.ismodule(value)
    }
    assert set(stubs) == own
    for name, stub in stubs.items():
        if not isinstance(stub, ast.ClassDef):
            continue
        ignored = {"__doc__", "__module__", "__weakref__", "__new__", "__init__", "__dict__"}
        ignored |= {"__reduce_cython__", "__setstate_cython__", "__pyx_vtable__"}
        assert set(members(stub.body)) - ignored == set(vars(getattr(_core, name))) - ignored, name


def test_the_stub_of_step_has_its_signature() -> None:
    stub = members(members(ast.parse((PACKAGE / "_core.pyi").read_text()).body)["Stream"].body)
    arguments = stub["step"].args
    found = inspect.signature(_core.Stream.step).parameters
    names = [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)]
    assert list(found) == names == ["self", "x", "out", "active"]
    assert found["active"].kind is inspect.Parameter.KEYWORD_ONLY


def symbols(*options: str) -> set[str]:
    lines = subprocess.run(
        ["nm", "-D", *options, str(MODULE)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return {line.split()[-1].partition("@")[0] for line in lines}


@needs_nm
def test_the_module_exports_its_entry_alone() -> None:
    assert symbols("--defined-only", "--extern-only") == {"PyInit__core"}


@needs_nm
def test_the_module_needs_nothing_of_libstdcxx_or_libm() -> None:
    foreign = {name for name in symbols("--undefined-only") if not name.startswith(("Py", "_Py"))}
    assert foreign <= COMPILER


@pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="away from the source tree")
def test_pyproject_is_valid() -> None:
    validate = pytest.importorskip("validate_pyproject.api")
    import tomllib

    validate.Validator()(tomllib.loads((ROOT / "pyproject.toml").read_text()))


@pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="away from the source tree")
@pytest.mark.parametrize(("platform", "count"), [("linux", 28), ("macos", 14), ("windows", 14)])
def test_cibuildwheel_selects_every_wheel(platform: str, count: int) -> None:
    pytest.importorskip("cibuildwheel")
    command = ["--platform", platform, "--print-build-identifiers", str(ROOT)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CIBW_")}
    identifiers = subprocess.run(
        [sys.executable, "-m", "cibuildwheel", *command],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout.split()
    assert len(identifiers) == count
    versions = {name.split("-")[0] for name in identifiers}
    assert versions == {"cp311", "cp312", "cp313", "cp314", "cp314t", "cp315", "cp315t"}
