# SPDX-License-Identifier: Apache-2.0
"""Builds grucore._core from src/grucore/_core.pyx and cpp/src; all else is in pyproject.toml."""

import platform
import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent

UNIX_FLAGS = [
    "-std=c++17",
    "-O2",  # as fast as -O3 in every kernel table but the scalar ones, and a fifth smaller
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-fno-asynchronous-unwind-tables",  # nothing throws through here
    "-fno-unwind-tables",
    "-fno-fast-math",  # whatever CFLAGS says; before the next one, since clang's turns fusing on
    "-ffp-contract=off",  # a product and a sum fuse only where the engine says so
    "-fvisibility=hidden",
    "-ffunction-sections",
    "-fdata-sections",
    "-g0",
]
MSVC_FLAGS = ["/std:c++17", "/O2", "/fp:precise", "/GR-", "/EHs-c-", "/D_HAS_EXCEPTIONS=0"]

# Single files with a flag of their own. What Cython writes is long, and its short way stays short
# at -Os; SSE4.1 alone is what machines from before 2013 have; loading is done once. The plain
# tables are what is compared with where there are others. MSVC alone has no target regions: there
# these tables, and no other file, get their flag.
UNIX_FILES = dict.fromkeys(
    ["_core.cpp", "tables/sse41.cpp", "/load.cpp", "/parse_graph.cpp", "/parse_tensors.cpp"], "-Os"
)
if platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64"):
    UNIX_FILES |= dict.fromkeys(["tables/scalar.cpp", "tables/scalar_muladd.cpp"], "-Os")
MSVC_FILES = {
    "tables/avx2.cpp": "/arch:AVX2",
    "tables/avxvnni.cpp": "/arch:AVX2",
    "tables/avx512.cpp": "/arch:AVX512",
    "tables/avx512vnni.cpp": "/arch:AVX512",
}


class BuildExt(build_ext):
    """Chooses flags by compiler, and compiles the files with flags of their own apart."""

    def build_extension(self, ext):
        msvc = self.compiler.compiler_type == "msvc"
        flags, files = (MSVC_FLAGS, MSVC_FILES) if msvc else (UNIX_FLAGS, UNIX_FILES)
        ext.extra_compile_args = flags
        if sys.platform == "linux":
            ext.extra_link_args = ["-Wl,--strip-all", "-Wl,--gc-sections"]
        for source in list(ext.sources):
            flag = next((flag for end, flag in files.items() if source.endswith(end)), None)
            if flag is None:
                continue
            ext.sources.remove(source)
            ext.extra_objects += self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                macros=ext.define_macros,
                include_dirs=ext.include_dirs,
                extra_postargs=[*flags, flag],
            )
        ext.depends = [*ext.depends, *ext.extra_objects]  # or else a change of theirs links nothing
        super().build_extension(ext)


class BuildPy(build_py):
    """Puts the headers of the engine beside the modules: grucore.get_include()."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for header in sorted((ROOT / "cpp/include").rglob("*.*")):
            target = Path(self.build_lib, "grucore", header.relative_to(ROOT / "cpp"))
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(header), str(target))


engine = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "cpp/src").rglob("*.cpp"))
headers = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.h", "*.inc")
    for path in (ROOT / "cpp").rglob(pattern)
)

extensions = cythonize(
    Extension(
        "grucore._core",
        sources=["src/grucore/_core.pyx", *engine],
        include_dirs=["cpp/include", "cpp/src", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        depends=headers,
        language="c++",
    ),
    include_path=["src"],
    build_dir="build/cython",
    force=True,  # cythonize does not see every cimport
    compiler_directives={
        "language_level": 3,
        "freethreading_compatible": True,
        "embedsignature": True,
        "auto_pickle": False,
        "autotestdict": False,
    },
)
for extension in extensions:
    extension.language = "c"  # links with the C driver: nothing of libstdc++ is wanted or allowed

setup(ext_modules=extensions, cmdclass={"build_ext": BuildExt, "build_py": BuildPy})
