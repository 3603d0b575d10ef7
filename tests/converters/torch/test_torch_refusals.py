# SPDX-License-Identifier: Apache-2.0
"""Refusals of torch: by operation and module, live; for doubts, in a file of one length."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import grucore
from models.readers import program_in
from models.torch_made import X, close, gru, made, model
from models.torch_wholes import exported
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn
functional = nn.functional

ERROR = grucore.ConversionError


def noisy(forward: Callable[..., Any], **parts: Any) -> Callable[[], Any]:
    return lambda: made(forward, **parts)


def attention(y: torch.Tensor) -> torch.Tensor:
    return torch.softmax(y @ y.transpose(1, 2), -1) @ y


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "frames by number": (
        noisy(lambda m, x: m.gru(x)[0][:, 5], gru=gru()),
        "frame 5 of a sequence is neither its first nor its last",
    ),
    "last but one": (noisy(lambda m, x: m.gru(x)[0][:, -2], gru=gru()), "frame -2"),
    "length in the code": (
        noisy(lambda m, x: m.gru(x[:, :9])[0], gru=gru()),
        "aten.slice.Tensor in the module (Made): slices axis 1 from 0 to 9 by 1 of (batch, time, ",
    ),
    "branch on length": (
        noisy(lambda m, x: m.gru(x)[0] * (1 if x.shape[1] < 10 else 2), gru=gru()),
        "something else at another number of frames",
    ),
    "softmax across the batch": (
        noisy(lambda m, x: torch.softmax(m.gru(x)[0], 0), gru=gru()),
        "aten.softmax.int in the module (Made): goes over axes [0] of (batch, time, ",
    ),
    "across the batch": (
        noisy(lambda m, x: m.gru(x)[0] - m.gru(x)[0].mean(0, keepdim=True), gru=gru()),
        "goes over axes [0] of (batch, time, 4 features)",
    ),
    "positions": (
        noisy(
            lambda m, x: m.gru(x + m.p[: x.shape[1]])[0],
            gru=gru(),
            p=nn.Parameter(torch.randn(60, 3)),
        ),
        "differs along time",
    ),
    "encoder into decoder": (
        noisy(lambda m, x: m.b(x, m.gru(x)[1])[0], gru=gru(), b=gru()),
        "convert the two parts apart, and hand the state over",
    ),
    "attention by products": (
        noisy(lambda m, x: attention(m.gru(x)[0]), gru=gru()),
        "aten.matmul.default in the module (Made): multiplies each frame of a sequence by each",
    ),
    "attention as a function": (
        noisy(lambda m, x: functional.scaled_dot_product_attention(*[m.gru(x)[0]] * 3), gru=gru()),
        "aten.scaled_dot_product_attention.default in the module (Made)",
    ),
    "attention of several heads": (
        noisy(
            lambda m, x: m.attend(*[m.gru(x)[0]] * 3)[0],
            gru=gru(),
            attend=nn.MultiheadAttention(4, 2, batch_first=True),
        ),
        "aten.bmm.default in module 'attend' (MultiheadAttention)",
    ),
    "mean times the length": (
        noisy(lambda m, x: m.gru(x)[0].mean(1) * x.shape[1], gru=gru()),
        "something else at another number of frames",
    ),
    "pooling over windows": (
        noisy(lambda m, x: functional.max_pool1d(m.gru(x)[0].transpose(1, 2), 2, 1, 1), gru=gru()),
        "pads are 1 and 1: expected at most 1 before",
    ),
    "dropout that stays": (
        noisy(lambda m, x: functional.dropout(m.gru(x)[0], 0.5, True), gru=gru()),
        "call eval() before the export",
    ),
    "batch statistics": (
        noisy(
            lambda m, x: functional.batch_norm(m.gru(x)[0], None, None, training=True), gru=gru()
        ),
        "normalizes by the batch itself",
    ),
    "an operation of no layer": (
        noisy(lambda m, x: torch.sin(m.gru(x)[0]), gru=gru()),
        "aten.sin.default in the module",
    ),
    "look-ahead that is too wide": (
        noisy(lambda m, x: m.conv(x.transpose(1, 2)), conv=nn.Conv1d(3, 4, 3, padding=2)),
        "2 frames past the end",
    ),
    "transposed convolution": (
        noisy(lambda m, x: m.conv(x.transpose(1, 2)), conv=nn.ConvTranspose1d(3, 4, 3)),
        "aten.conv_transpose1d",
    ),
    "renormalized table": (
        noisy(lambda m, x: m.table((x > 0).long())[..., 0], table=nn.Embedding(2, 3, max_norm=1.0)),
        "aten.embedding_renorm_.default",
    ),
    "state that is lost": (
        noisy(lambda m, x, h: m.head(m.cell(x, h)), cell=nn.GRUCell(3, 3), head=nn.Linear(3, 5)),
        "no output gives the new one back",
    ),
}
INPUTS = {"state that is lost": (X[:, 0].contiguous(), torch.zeros(2, 3))}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_by_operation_and_module(name: str) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(ERROR, match=re.escape(reason)) as refusal:
        model(make(), *INPUTS.get(name, (X,)))
    assert "_jit" not in str(refusal.value)


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (
            lambda m, x: m.gru(x[:, :9])[0],
            "a slice of all 9 frames may mean so many, or all there are",
        ),
        (lambda m, x: m.gru(x)[0][:, 8], "may be the last one, or that one always"),
    ],
)
def test_a_file_of_one_length_leaves_doubts_that_are_refused(
    forward: Callable[..., Any], why: str
) -> None:
    with pytest.raises(ERROR, match=rf"{why}.*export it again with more frames"):
        program_in(exported(made(forward, gru=gru()), X))


def test_a_file_with_one_frame_is_refused() -> None:
    module = made(lambda m, x: m.gru(x)[0], gru=gru())
    with pytest.raises(ERROR, match="one frame, so time cannot be told"):
        program_in(exported(module, X[:, :1]))


def flat(m: Any, x: torch.Tensor) -> torch.Tensor:
    batch, frames, _ = x.shape
    y = m.gru(x)[0]
    return m.head(y.reshape(batch * frames, 4)).view(batch, frames, 2)


def test_a_file_whose_batch_may_vary() -> None:
    module = made(flat, gru=gru(), head=nn.Linear(4, 2))
    sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    data = program_in(exported(module, X, dynamic_shapes=(sizes,))).data
    assert close(grucore.load(data).run(X.numpy()), module(X))


def test_a_decomposed_file_is_refused_with_advice() -> None:
    module = made(lambda m, x: m.gru(x)[0], gru=gru())
    with pytest.raises(ERROR, match=r"export without run_decompositions\(\)"):
        program_in(exported(module, X, decomposed=True))
