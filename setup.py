# SPDX-License-Identifier: Apache-2.0
"""Builds grucore._core from src/grucore/_core.pyx and cpp/src; all else is in pyproject.toml."""

import sys
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent

UNIX_FLAGS = [
    "-std=c++17",
    "-O3",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-ffp-contract=off",  # a product and a sum fuse only where the engine says so
    "-fvisibility=hidden",
    "-g0",
]
MSVC_FLAGS = ["/std:c++17", "/O2", "/fp:precise", "/GR-", "/EHs-c-", "/D_HAS_EXCEPTIONS=0"]

# MSVC alone has no target regions: there these files, and no others, get the flag of their table.
MSVC_ARCH = {"kernels_avx2": "/arch:AVX2", "kernels_avx512": "/arch:AVX512"}


class BuildExt(build_ext):
    """Chooses flags by compiler, and compiles single files with flags of their own for MSVC."""

    def build_extension(self, ext):
        if self.compiler.compiler_type == "msvc":
            ext.extra_compile_args = MSVC_FLAGS
            for source in [s for s in ext.sources if Path(s).stem in MSVC_ARCH]:
                ext.sources.remove(source)
                ext.extra_objects += self.compiler.compile(
                    [source],
                    output_dir=self.build_temp,
                    include_dirs=ext.include_dirs,
                    extra_postargs=[*MSVC_FLAGS, MSVC_ARCH[Path(source).stem]],
                )
        else:
            ext.extra_compile_args = UNIX_FLAGS
            if sys.platform == "linux":
                ext.extra_link_args = ["-Wl,--strip-all"]
        super().build_extension(ext)


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
    },
)
for extension in extensions:
    extension.language = "c"  # links with the C driver: nothing of libstdc++ is wanted or allowed

setup(ext_modules=extensions, cmdclass={"build_ext": BuildExt})
