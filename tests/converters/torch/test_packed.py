# SPDX-License-Identifier: Apache-2.0
"""Modules that pack their sequences: the values of torch's packed run, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.proof.proof import BOUND
from oracle.oracles import oracle

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore:.*:UserWarning")]
torch = oracle("torch")
nn = torch.nn
pack = torch.nn.utils.rnn.pack_padded_sequence
unpack = torch.nn.utils.rnn.pad_packed_sequence

ERROR = grucore.ConversionError
LENGTHS = torch.tensor([7, 4, 1])

TAILS: dict[str, Callable[[Any, Any], Any]] = {
    "frames": lambda y, _: y,
    "final": lambda _, h: torch.cat([h[-2], h[-1]], 1),
    "both": lambda y, h: (y, h[-1]),
    "mean": lambda y, _: y.mean(1),
    "max": lambda y, _: y.amax(1),
    "last": lambda y, _: y[:, -1],
}


class Packed(nn.Module):  # type: ignore[misc]
    def __init__(
        self, tail: str = "frames", kind: Any = nn.GRU, *, is_sorted: bool = False
    ) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.front = nn.Linear(3, 4)
        self.rnn = kind(4, 5, 2, batch_first=True, bidirectional=True)
        self.tail, self.is_sorted = tail, is_sorted

    def forward(self, x: Any, lengths: Any) -> Any:
        packed = pack(self.front(x), lengths, batch_first=True, enforce_sorted=self.is_sorted)
        y, h = self.rnn(packed)
        y, _ = unpack(y, batch_first=True, total_length=x.size(1))
        return TAILS[self.tail](y, h[0] if isinstance(h, tuple) else h)


def agree(ours: Any, theirs: Any) -> bool:
    pairs = zip(ours, theirs, strict=True) if isinstance(theirs, tuple) else [(ours, theirs)]
    largest = 0.0
    for mine, other in pairs:
        wanted = other.detach().numpy()
        if wanted.ndim == 3:
            for row, count in enumerate(LENGTHS.tolist()):
                largest = max(largest, np.abs(mine[row, :count] - wanted[row, :count]).max())
        else:
            largest = max(largest, np.abs(mine - wanted).max())
    return bool(largest < 2 * BOUND)


@pytest.mark.parametrize(
    ("tail", "kind", "is_sorted"),
    [
        ("frames", nn.GRU, False),
        ("final", nn.GRU, True),
        ("both", nn.LSTM, False),
    ],
)
def test_packed_modules(tail: str, kind: Any, is_sorted: bool) -> None:
    module = Packed(tail, kind, is_sorted=is_sorted).eval()
    x = torch.randn(3, 7, 3)
    model = grucore.from_torch(module, example_inputs=(x, LENGTHS))
    assert agree(model.run(x.numpy(), lengths=LENGTHS.numpy()), module(x, LENGTHS))
    assert [port.name for port in model.inputs] == ["x"]
    assert model.metadata["source"]["lengths"].startswith("argument 1 of forward")


class OfIds(nn.Module):  # type: ignore[misc]
    """Lengths by name, time first, no padding in the end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.table = nn.Embedding(9, 4)
        self.rnn = nn.GRU(4, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, lengths: Any, ids: Any) -> Any:
        packed = pack(self.table(ids), lengths, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][-1])


def test_ids_and_arguments_by_name() -> None:
    module, ids = OfIds().eval(), torch.randint(0, 9, (7, 3))
    model = grucore.from_torch(module, example_inputs={"ids": ids, "lengths": [7, 4, 1]})
    ours = model.run(ids.numpy().astype(np.int32), lengths=LENGTHS.numpy(), time_first=True)
    assert agree(ours, module(LENGTHS, ids))


@pytest.mark.parametrize("tail", ["mean", "max", "last"])
def test_what_reads_the_padding_is_refused(tail: str) -> None:
    with pytest.raises(ERROR, match=r"does not agree with its source.*packed beside longer rows"):
        grucore.from_torch(Packed(tail).eval(), example_inputs=(torch.randn(3, 7, 3), LENGTHS))


@pytest.mark.parametrize(
    ("x", "lengths", "reason"),
    [
        (torch.randn(3, 3, 3), torch.tensor([3, 2, 1]), "3 rows of 3 frames"),
        (torch.randn(3, 7, 3), torch.tensor([7, 9, 1]), "torch.export fails"),
    ],
)
def test_examples_that_say_too_little(x: Any, lengths: Any, reason: str) -> None:
    with pytest.raises(ERROR, match=reason):
        grucore.from_torch(Packed().eval(), example_inputs=(x, lengths))


MASKED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "mean": lambda y, mask, lengths: (y * mask[..., None]).sum(1) / lengths[:, None],
    "mean of what is there": lambda y, mask, _: (
        (y * mask[..., None]).sum(1) / mask.float().sum(1, keepdim=True)
    ),
    "max": lambda y, mask, _: y.masked_fill(~mask[..., None], float("-inf")).amax(1),
    "shares": lambda y, mask, _: (
        y * y.sum(-1).masked_fill(~mask, -1e9).softmax(1).unsqueeze(-1)
    ).sum(1),
    "frames": lambda y, mask, _: torch.where(mask[..., None], y, torch.zeros(())),
}


class Masked(nn.Module):  # type: ignore[misc]
    def __init__(self, tail: Callable[..., Any], compare: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.rnn = nn.GRU(3, 5, batch_first=True)
        self.tail, self.compare = tail, compare

    def forward(self, x: Any, lengths: Any) -> Any:
        y = self.rnn(x)[0]
        mask = self.compare(torch.arange(x.size(1)).unsqueeze(0), lengths.unsqueeze(1))
        return self.tail(y, mask, lengths)


@pytest.mark.parametrize("tail", MASKED)
def test_a_mask_of_lengths(tail: str) -> None:
    module = Masked(MASKED[tail], lambda places, lengths: places < lengths).eval()
    x = torch.randn(3, 7, 3)
    model = grucore.from_torch(module, example_inputs=(x, LENGTHS))
    assert agree(model.run(x.numpy(), lengths=LENGTHS.numpy()), module(x, LENGTHS))


@pytest.mark.parametrize(
    ("tail", "compare"),
    [
        ("mean", lambda places, lengths: places <= lengths),  # a frame of the padding
        ("mean", lambda places, lengths: places < lengths - 1),
        ("max", lambda places, lengths: places > lengths),
    ],
)
def test_a_mask_of_other_frames_is_refused(tail: str, compare: Callable[[Any, Any], Any]) -> None:
    module = Masked(MASKED[tail], compare).eval()
    example = (torch.randn(3, 7, 3), torch.tensor([6, 4, 1]))
    with pytest.raises(ERROR):
        grucore.from_torch(module, example_inputs=example)
