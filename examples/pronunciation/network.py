# SPDX-License-Identifier: Apache-2.0
"""The two networks in PyTorch: an encoder of letters, and a decoder that looks back at them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from words import LETTERS, TOKENS

WIDTH = 24
HIDDEN = 96


class Encoder(nn.Module):
    """Reads the letters in both directions: what it remembers of each, and where to start from."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), WIDTH)
        self.gru = nn.GRU(WIDTH, HIDDEN // 2, batch_first=True, bidirectional=True)
        self.start = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, letters: Tensor) -> tuple[Tensor, Tensor]:
        memory, ends = self.gru(self.embedding(letters))
        return memory, torch.tanh(self.start(torch.cat([ends[0], ends[1]], dim=-1)))


class Decoder(nn.Module):
    """Scores of the next sound, from those so far and the letters that it attends to."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH)
        self.gru = nn.GRU(WIDTH, HIDDEN, batch_first=True)
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.join = nn.Linear(2 * HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, TOKENS)

    def forward(self, tokens: Tensor, h: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        heard, h = self.gru(self.embedding(tokens), h)
        scores = self.query(heard) @ memory.transpose(1, 2)
        context = torch.softmax(scores, dim=-1) @ memory
        joined = torch.tanh(self.join(torch.cat([heard, context], dim=-1)))
        return self.head(joined), h
