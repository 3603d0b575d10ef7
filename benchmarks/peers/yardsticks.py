# SPDX-License-Identifier: Apache-2.0
"""Contenders in C++ (cpp/bench/yardsticks), the engine among them: no Python in the timed loop."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from common.workloads import Array, Workload

from peers.base import Peer
from peers.ours import GRUCORE, file_of

__all__ = ["YARDSTICKS", "Yardstick"]

# Where the libraries are; compare.py sets it.
FOLDER = "GRUCORE_YARDSTICKS"
_ROOM = 400


class _Network(ctypes.Structure):
    """YardstickNetwork of cpp/bench/yardsticks/yardstick.h."""

    _fields_: ClassVar = [
        *((name, ctypes.c_uint32) for name in ("input_size", "hidden_size", "layers")),
        *((name, ctypes.c_uint32) for name in ("frames", "batch", "reset_before")),
        ("tensors", ctypes.POINTER(ctypes.c_void_p)),
        ("file", ctypes.c_char_p),
        ("file_bytes", ctypes.c_size_t),
        ("isa", ctypes.c_char_p),
        ("weights", ctypes.c_char_p),
    ]


def _library(name: str, needs: str) -> ctypes.CDLL:
    found = Path(os.environ[FOLDER], f"libyardstick_{name}.so")
    if not found.exists():
        build = "cmake --preset release && cmake --build --preset release --target yardsticks"
        raise ImportError(f"{found} is not there: in cpp/, {build}{needs}")
    library = ctypes.CDLL(str(found))
    library.yardstick_make.restype = ctypes.c_void_p
    for function in ("free", "reset", "steps", "run"):
        getattr(library, f"yardstick_{function}").restype = None
    return library


def _pointer(x: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.ctypes.data)


class Yardstick(Peer):
    """A library, and the network that it has made."""

    library: ClassVar[str]
    needs: ClassVar[str] = ""
    kind: ClassVar[str] = "float32"
    cells = ("gru",)
    forms = "SQBL"
    in_cpp = True
    variant: ClassVar[str] = ""  # of the engine's weights

    def __init__(self, workload: Workload, weights: dict[str, Array]) -> None:
        self.code = _library(self.library, self.needs)
        self.workload = workload
        self.tensors = [
            np.ascontiguousarray(weights[f"{name}_l{layer}"])
            for layer in range(workload.layers)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        pointers = (ctypes.c_void_p * len(self.tensors))(*(one.ctypes.data for one in self.tensors))
        file = file_of(workload, self.variant) if self.variant else b""
        network = _Network(
            *(workload.input_size, workload.hidden_size, workload.layers),
            *(workload.frames, workload.batch, not self.reset_after),
            *(pointers, file, len(file), b"", self.kind.encode()),
        )
        why = ctypes.create_string_buffer(_ROOM)
        made = self.code.yardstick_make(ctypes.byref(network), why, ctypes.c_size_t(_ROOM))
        if not made:
            raise ImportError(why.value.decode())
        self.made = ctypes.c_void_p(made)
        self.out = np.empty(workload.hidden_size, np.float32)
        self.outs = np.empty((workload.frames, workload.batch, workload.hidden_size), np.float32)

    def __del__(self) -> None:
        if hasattr(self, "made"):
            self.code.yardstick_free(self.made)

    def reset(self) -> None:
        self.code.yardstick_reset(self.made)

    def step(self, frame: Any) -> Array:
        self.many([frame], 1)
        return self.out.copy()

    def steps(self, frames: Any) -> None:
        self.many(frames, len(frames))

    def many(self, frames: Any, count: int) -> None:
        x = np.ascontiguousarray(frames, np.float32)
        self.code.yardstick_steps(self.made, _pointer(x), len(x), count, _pointer(self.out))

    def frames(self, x: Array) -> Any:
        return np.ascontiguousarray(x[:, 0])

    def run(self, x: Any) -> Any:
        self.code.yardstick_run(self.made, _pointer(x), _pointer(self.outs))
        return self.outs


class _Eigen(Yardstick):
    """Fixed-size matrices, written by hand."""

    name, library, needs = "C++ Eigen", "eigen", " (it needs Eigen, Debian's libeigen3-dev)"


class _Columns(Yardstick):
    """Plain loops."""

    name, library, forms = "C++ columns", "columns", "SQL"


class _OneDNN(Yardstick):
    """Its GRU in float32."""

    name, library, needs = "C++ oneDNN", "onednn", " (it needs oneDNN 2, Debian's libdnnl-dev)"


class _OneDNNHalf(_OneDNN):
    """The same in bfloat16, conversions included."""

    name, kind, weights = "C++ oneDNN bfloat16", "bfloat16", "bfloat16"


class _OneDNNInt8(_OneDNN):
    """Its int8 GRU, of the other cell."""

    name, kind, weights, reset_after = "C++ oneDNN int8 reset-before", "int8", "int8", False


def _engine(variant: str) -> type[Yardstick]:
    body = {
        "__doc__": "The engine.",
        "name": f"C++ grucore {variant}",
        "library": "engine",
        "weights": GRUCORE[variant][0],
        "variant": variant,
        "cells": Peer.cells,
    }
    return type("Engine", (Yardstick,), body)


YARDSTICKS = [*map(_engine, GRUCORE), _Eigen, _Columns, _OneDNN, _OneDNNHalf, _OneDNNInt8]
