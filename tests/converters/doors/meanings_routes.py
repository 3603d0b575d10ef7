# SPDX-License-Identifier: Apache-2.0
"""The ways from a module of PyTorch, given as the text of its class, to a model."""

from __future__ import annotations

import copy
import io
import linecache
import logging
import re
import sys
import tempfile
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import grucore
from converters.doors.meanings import NoProgram
from converters.doors.meanings_judge import (
    Argument,
    Array,
    Memo,
    Source,
    check,
    onnx_run,
)

__all__ = ["ALL", "Program", "prepare"]

ALL = ("live", "pt2", "pt2 fixed", "script", "pickle", "state dict", "onnx", "onnx fixed", "dynamo")
FRAMES, BATCH = 9, 7
NAME = "mutated_program"
CROPS = re.compile(r"\[:, \d+:|:-\d+\]|\[1:\]|\.diff\(|unfold|\[:, ::")
SAID = re.compile(r"nn\.(?:Conv1d|LayerNorm|BatchNorm1d)\(.*")
HEAD = """
import torch
from torch import nn
from torch.nn import functional as F

class Scale(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(size) + 0.5)
    def forward(self, x):
        return x * self.weight

class OwnNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x) + x

class OwnGru(nn.GRU):
    def forward(self, x, h=None):
        y, h = super().forward(x, h)
        return 0.5 * y, h

class Net(nn.Module):
"""


class Program:
    """The body of a module's class; its arguments, states fed back, and the line of its layers."""

    def __init__(
        self,
        text: str,
        arguments: Sequence[Argument],
        back: Sequence[int] = (),
        line: str | None = None,
    ) -> None:
        self.text = textwrap.dedent(text).strip() + "\n"
        self.arguments = tuple(arguments)
        self.back = tuple(back)
        self.line = line


def prepare(program: Program, text: str) -> Callable[[str], None]:
    """Make and run the module of a text; see `Subject.prepared`."""
    import torch

    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    generator = np.random.default_rng(1)
    example = [each.array(generator, BATCH, FRAMES) for each in program.arguments]
    tensors = tuple(torch.from_numpy(each) for each in example)
    try:
        net = _module(torch, text)
        with torch.no_grad():
            outputs = _flat(net(*tensors))
    except Exception as error:  # whatever torch says of this program
        raise NoProgram(f"{type(error).__name__}: {error}") from None
    if not outputs or not all(each.numel() for each in outputs):
        raise NoProgram("no output")
    mutant = _Mutant(torch, program, text, net, tensors)
    mutant.eager = Memo(mutant._run(net))

    def convert(route: str) -> None:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            getattr(mutant, route.replace(" ", "_"))(Path(folder))

    return convert


def _module(torch: Any, text: str) -> Any:
    source = HEAD + textwrap.indent(text, "    ")
    module = types.ModuleType(NAME)
    linecache.cache[NAME] = (len(source), None, source.splitlines(keepends=True), NAME)
    sys.modules[NAME] = module
    exec(compile(source, NAME, "exec"), module.__dict__)
    torch.manual_seed(0)
    net = module.Net().eval()
    for name, each in (*net.named_parameters(), *net.named_buffers()):
        if not each.is_floating_point():
            continue
        if each.dim() > 1 and min(each.shape) > 1:
            each.data.uniform_(-0.7, 0.7)
        else:
            each.data.uniform_(0.3, 1.4) if "bias" not in name else each.data.uniform_(-0.5, 0.5)
    return net


def _flat(found: Any) -> list[Any]:
    if isinstance(found, Mapping):
        found = list(found.values())
    if isinstance(found, tuple | list):
        return [tensor for each in found for tensor in _flat(each)]
    return [] if found is None else [found]


@dataclass
class _Mutant:
    torch: Any
    program: Program
    text: str
    net: Any
    tensors: tuple[Any, ...]
    eager: Any = None

    def live(self, folder: Path) -> None:
        self._check(grucore.from_torch(self.net, example_inputs=self.tensors), self.eager)

    def pt2(self, folder: Path) -> None:
        from torch.export import Dim

        shapes = [
            None if each.state or each.step else {0: Dim.AUTO, 1: Dim.AUTO}
            for each in self.program.arguments
        ]
        self._exported(folder, shapes)

    def pt2_fixed(self, folder: Path) -> None:
        self._exported(folder, None)

    def _exported(self, folder: Path, shapes: Any) -> None:
        export, path = self.torch.export, folder / "net.pt2"
        program = self._stored(
            lambda: export.export(
                copy.deepcopy(self.net), self.tensors, dynamic_shapes=shapes, strict=False
            )
        )
        self._stored(lambda: export.save(program, path))
        module = program.module()
        self._check(grucore.convert(path), self._run(module), fixed=True)

    def script(self, folder: Path) -> None:
        jit, path = self.torch.jit, folder / "net.pt"
        traced = self._stored(lambda: jit.trace(self.net, self.tensors, check_trace=False))
        self._stored(lambda: jit.save(traced, path))
        self._from_file("script", path, self._run(traced))

    def pickle(self, folder: Path) -> None:
        path = folder / "net.pt"
        self._stored(lambda: self.torch.save(self.net, path))
        self._from_file("pickle", path, self.eager)

    def state_dict(self, folder: Path) -> None:
        """Only of layers that are others: what a state dict does not hold cannot be mutated."""
        if self.text != self.program.text:
            of_program = _module(self.torch, self.program.text).state_dict()
            mine = self.net.state_dict()
            if {k: v.shape for k, v in mine.items()} == {k: v.shape for k, v in of_program.items()}:
                raise NoProgram("the same state dict")
        path = folder / "net.pt"
        self.torch.save(self.net.state_dict(), path)
        self._from_file("state dict", path, self.eager)

    def _from_file(
        self, route: str, path: Path, run: Callable[[Sequence[Array]], list[Array] | None]
    ) -> None:
        """A file without a program: the line says what its program says, if that is unchanged."""
        mine, other = self.text, self.program.text
        same = mine.partition("def forward")[2] == other.partition("def forward")[2]
        # Without it the same lines take the last row of a batch.
        same = same and mine.count("batch_first") == other.count("batch_first")
        if route != "pickle":  # no other keeps what the line says of these
            same = same and SAID.findall(mine) == SAID.findall(other)
        line = self.program.line if same else None
        self._check(grucore.convert(path, architecture=line), run)

    def onnx(self, folder: Path) -> None:
        dynamic = {
            each.name: {0: "B"} if each.step else {0: "B", 1: "T"}
            for each in self.program.arguments
            if not each.state
        }
        for each in self.program.arguments:
            if each.state:
                dynamic[each.name] = {each.state.index("B"): "B"}
        self._onnx(folder, dynamo=False, dynamic_axes=dynamic)

    def onnx_fixed(self, folder: Path) -> None:
        self._onnx(folder, fixed=True, dynamo=False)

    def dynamo(self, folder: Path) -> None:
        self._onnx(folder, fixed=True, dynamo=True, verbose=False)

    def _onnx(self, folder: Path, *, fixed: bool = False, **options: Any) -> None:
        path = folder / "net.onnx"
        names = [each.name for each in self.program.arguments]
        quiet, sys.stdout = sys.stdout, io.StringIO()
        try:
            self._stored(
                lambda: self.torch.onnx.export(
                    copy.deepcopy(self.net), self.tensors, path, input_names=names, **options
                )
            )
        finally:
            sys.stdout = quiet
        run = self._stored(lambda: onnx_run(path, names, optimized=True))
        self._check(grucore.convert(path), run, fixed=fixed)

    def _stored(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Exception as error:  # of an exporter: there is no file
            raise NoProgram(f"{type(error).__name__}: {str(error).strip():.200}") from None

    def _run(self, module: Any) -> Callable[[Sequence[Array]], list[Array] | None]:
        def run(arrays: Sequence[Array]) -> list[Array] | None:
            try:
                found = module(*(self.torch.from_numpy(np.array(each)) for each in arrays))
            except Exception:  # of a program that has other lengths only
                return None
            return [each.detach().numpy() for each in _flat(found)]

        return run

    def _least(self) -> int:
        """Frames that the program needs: of none, onnxruntime ends the process at its GRU."""
        if "Pool" in self.text or "Conv" in self.text:
            return 9
        return 4 if CROPS.search(self.text) else 1

    def _check(
        self, model: Any, run: Callable[[Sequence[Array]], list[Array] | None], fixed: bool = False
    ) -> None:
        check(
            model,
            Source(
                self.program.arguments,
                run,
                back=self.program.back,
                frames=FRAMES if fixed else None,
                batch=BATCH if fixed else None,
                least=self._least(),
            ),
        )
