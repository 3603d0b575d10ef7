# SPDX-License-Identifier: Apache-2.0
"""Whole torch models at random: a front, blocks over frames, a head."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from oracle.oracles import oracle

torch = oracle("torch")
nn = torch.nn
F = nn.functional

ACTIVATIONS = {
    **{"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU},
    **{"elu": nn.ELU, "leaky": nn.LeakyReLU, "softplus": nn.Softplus, "hardswish": nn.Hardswish},
    **{"hardsigmoid": nn.Hardsigmoid, "softsign": nn.Softsign, "relu6": nn.ReLU6, "selu": nn.SELU},
    **{"logsigmoid": nn.LogSigmoid, "celu": nn.CELU, "hardtanh": nn.Hardtanh, "prelu": nn.PReLU},
}
BLOCKS = (
    *("linear", "gru", "gru", "norm", "batch", "causal", "same", "chomp", "activation", "residual"),
    *("glu", "gates", "skip", "cell", "groups", "shuffle", "scale", "dropout", "merge", "heads"),
)
HEADS = ("frames", "last", "mean", "max", "final", "both", "strided", "valid", "first")


class Causal(nn.Module):
    """A convolution that looks back only; (batch, channels, time)."""

    def __init__(self, width: int, out: int, taps: int, dilation: int, kind: str, groups: int):
        super().__init__()
        self.kind = kind
        self.reach = (taps - 1) * dilation
        padding = {"chomp": self.reach, "same": "same"}.get(kind, 0)
        self.conv = nn.Conv1d(width, out, taps, dilation=dilation, padding=padding, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "causal":
            x = F.pad(x, (self.reach, 0))
        y = self.conv(x)
        return y[:, :, : -self.reach] if self.kind == "chomp" and self.reach else y


class Loop(nn.Module):
    """A cell used frame by frame; (batch, time, features)."""

    def __init__(self, width: int, hidden: int, learned: bool):
        super().__init__()
        self.cell = nn.GRUCell(width, hidden)
        self.start = nn.Parameter(torch.randn(hidden)) if learned else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x.new_zeros(x.shape[0], self.cell.hidden_size)
        if self.start is not None:
            h = self.start.expand(x.shape[0], -1)
        rows = []
        for frame in x.unbind(1):
            h = self.cell(frame, h)
            rows.append(h)
        return torch.stack(rows, 1)


class Whole(nn.Module):
    """A model drawn with a seed. ``example``: an input; ``step``: the frames of x for each of y."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.batch_first = bool(rng.random() < 0.7)
        self.ids = int(rng.integers(5, 12)) if rng.random() < 0.25 else 0
        self.input_size = int(rng.integers(2, 7))
        self.blocks: list[tuple[str, int]] = []
        self.parts = nn.ModuleList()
        width = int(rng.integers(3, 9))
        self.front = (
            nn.Embedding(self.ids, width) if self.ids else nn.Linear(self.input_size, width)
        )
        names = list(rng.choice(BLOCKS, int(rng.integers(1, 5))))
        if "gru" not in names and "cell" not in names:
            names.append("gru")
        for name in names:
            width = self._block(str(name), width, rng)
        self.head = str(rng.choice(HEADS))
        self.last = nn.GRU(
            width,
            4,
            int(rng.integers(1, 3)),
            batch_first=True,
            bidirectional=bool(rng.random() < 0.3),
        )
        self.pointwise = Causal(width, 5, 3, 1, "valid", 1)
        self.strided = nn.Conv1d(width, 5, 3, stride=2)
        self.width = width
        self.end = nn.Linear(width, 3)
        self.soft = str(rng.choice(["none", "softmax", "log_softmax", "sigmoid"]))
        for buffer in self.buffers():
            if buffer.is_floating_point():
                with torch.no_grad():
                    buffer.copy_(torch.rand_like(buffer) + 0.5)
        self.eval()

    def _block(self, name: str, width: int, rng: np.random.Generator) -> int:
        out = width
        part: nn.Module = nn.Identity()
        if name == "linear":
            out = int(rng.integers(2, 9))
            part = nn.Linear(width, out, bias=bool(rng.random() < 0.7))
        elif name == "gru":
            hidden, both = int(rng.integers(2, 7)), bool(rng.random() < 0.3)
            part = nn.GRU(
                width,
                hidden,
                int(rng.integers(1, 3)),
                bidirectional=both,
                batch_first=bool(rng.random() < 0.5),
                bias=bool(rng.random() < 0.8),
            )
            out = hidden * (2 if both else 1)
        elif name == "norm":
            part = nn.LayerNorm(width, eps=float(rng.choice([1e-5, 1e-3])))
        elif name in ("batch", "merge"):
            part = nn.BatchNorm1d(width)
        elif name in ("causal", "same", "chomp"):
            taps, dilation = int(rng.integers(1, 4)), int(rng.integers(1, 3))
            out = int(rng.integers(2, 7))
            part = Causal(width, out, taps, dilation, name, 1)
        elif name == "groups":
            part = Causal(width, width, 3, 1, "causal", width)
        elif name == "activation":
            part = ACTIVATIONS[str(rng.choice(list(ACTIVATIONS)))]()
        elif name in ("glu", "gates"):
            out = int(rng.integers(2, 6))
            part = nn.Linear(width, 2 * out)
        elif name == "skip":
            out = width + 3
            part = nn.Linear(width, 3)
        elif name == "residual":
            part = nn.Linear(width, width)
        elif name == "cell":
            out = int(rng.integers(2, 6))
            part = Loop(width, out, bool(rng.random() < 0.5))
        elif name == "scale":
            part = nn.Linear(width, 1)
        elif name == "dropout":
            part = nn.Dropout(0.4)
        elif name == "heads":
            out = 2 * width
            part = nn.Linear(width, 2 * width)
        self.blocks.append((name, width))
        self.parts.append(part)
        return out

    def _run(self, name: str, part: nn.Module, x: torch.Tensor) -> torch.Tensor:
        batch, frames = x.shape[:2]
        if name == "gru":
            return part(x)[0] if part.batch_first else part(x.transpose(0, 1))[0].transpose(0, 1)
        if name in ("batch", "causal", "same", "chomp", "groups"):
            return part(x.transpose(1, 2)).permute(0, 2, 1)
        if name == "merge":
            return part(x.reshape(batch * frames, -1)).view(batch, frames, -1)
        if name == "glu":
            return F.glu(part(x), -1)
        if name == "gates":
            a, b = part(x).chunk(2, dim=-1)
            return torch.tanh(a) * (1 - torch.sigmoid(b))
        if name == "skip":
            return torch.cat([torch.relu(part(x)), x], -1)
        if name == "residual":
            return x + 0.5 * torch.tanh(part(x))
        if name == "shuffle":
            return torch.cat([x[..., 1:], x[..., :1]], -1).flip(-1)
        if name == "scale":
            return x * torch.sigmoid(part(x))
        if name == "heads":
            y = part(x).view(batch, frames, 2, -1).transpose(2, 3)
            return y.flatten(2)
        return part(x)

    def forward(self, x: torch.Tensor) -> object:
        x = self.front(x)
        if not self.batch_first:
            x = x.transpose(0, 1)
        for (name, _), part in zip(self.blocks, self.parts, strict=True):
            x = self._run(name, part, x)
        return self._finish(x)

    def _finish(self, x: torch.Tensor) -> object:
        if self.head == "final":
            y, h = self.last(x)
            return h[-1], y
        if self.head == "both":
            return self._end(x), self._end(x[:, -1])
        if self.head == "strided":
            return self.strided(x.transpose(1, 2)).transpose(1, 2)
        if self.head == "valid":
            return self.pointwise(x.transpose(1, 2))
        one = {
            "frames": lambda: x if self.batch_first else x.transpose(0, 1),
            "last": lambda: x[:, -1],
            "first": lambda: x[:, 0],
            "mean": lambda: x.mean(1),
            "max": lambda: x.amax(dim=1),
        }[self.head]()
        return self._end(one)

    def _end(self, x: torch.Tensor) -> torch.Tensor:
        y = self.end(x)
        functions = {"softmax": torch.softmax, "log_softmax": torch.log_softmax}
        if self.soft in functions:
            return functions[self.soft](y, -1)
        return torch.sigmoid(y) if self.soft == "sigmoid" else y

    def example(self, batch: int = 3, frames: int = 8, seed: int = 0) -> torch.Tensor:
        """Inputs of the model in its own layout."""
        generator = torch.Generator().manual_seed(seed)
        shape = (batch, frames) if self.batch_first else (frames, batch)
        if self.ids:
            return torch.randint(0, self.ids, shape, generator=generator)
        return torch.randn((*shape, self.input_size), generator=generator) * 2


def tensors(found: object) -> list[torch.Tensor]:
    """The outputs of a model, one or several."""
    return list(found) if isinstance(found, tuple) else [found]


def exported(
    module: torch.nn.Module, *inputs: torch.Tensor, decomposed: bool = False, **options: Any
) -> bytes:
    """The file that torch.export saves of a module."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch about its own GRU
        program = torch.export.export(module, inputs, **options)
        torch.export.save(program.run_decompositions() if decomposed else program, file)
    return file.getvalue()
