# SPDX-License-Identifier: Apache-2.0
"""Where the files for C and C++ programs are: headers, and the package file of CMake."""

from __future__ import annotations

from pathlib import Path

__all__ = ["get_cmake_dir", "get_include"]

_PACKAGE = Path(__file__).parent


def get_include() -> str:
    """The folder of the C and C++ headers, to give to a compiler: ``-I$(...)/``.

    The headers are those of the engine, which a wheel has only compiled into its Python module:
    docs/cpp.md says how a program gets the library.
    """
    shipped = _PACKAGE / "include"
    # An editable installation has them in its source tree.
    return str(shipped if shipped.is_dir() else _PACKAGE.parents[1] / "cpp" / "include")


def get_cmake_dir() -> str:
    """The folder of ``grucoreConfig.cmake``, for CMAKE_PREFIX_PATH.

    ``find_package(grucore)`` then knows the target ``grucore::headers`` and the function
    ``grucore_add_model``, which writes a model as C code while a program is built.
    """
    return str(_PACKAGE / "cmake")
