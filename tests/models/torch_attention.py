# SPDX-License-Identifier: Apache-2.0
"""Decoders in PyTorch that attend to what an encoder gave, one token a call."""

from __future__ import annotations

from typing import Any

from oracle.oracles import oracle

torch = oracle("torch")
nn, F = torch.nn, torch.nn.functional

__all__ = ["FEATURES", "FRAMES", "HIDDEN", "TOKENS", "WAYS", "decoder", "example", "loop"]

TOKENS, HIDDEN, FEATURES, FRAMES = 9, 8, 12, 7


def _dot(m: Any, y: Any, memory: Any) -> Any:
    return torch.softmax(m.q(y) @ memory.transpose(1, 2), dim=-1) @ memory


def _scaled_with_projections(m: Any, y: Any, memory: Any) -> Any:
    scores = torch.bmm(y, m.k(memory).permute(0, 2, 1)) / HIDDEN**0.5
    return torch.bmm(F.softmax(scores, dim=2), m.v(memory))


def _halves(m: Any, y: Any, memory: Any) -> Any:
    keys, values = m.both(memory).chunk(2, -1)
    return F.softmax(y @ keys.mT, -1) @ values


def _sdpa(m: Any, y: Any, memory: Any) -> Any:
    return F.scaled_dot_product_attention(m.q(y), memory, memory)


def _several_heads(m: Any, y: Any, memory: Any) -> Any:
    return m.heads(y, memory, memory, need_weights=False)[0]


def _heads_with_weights(m: Any, y: Any, memory: Any) -> Any:
    return m.heads(y, memory, memory)[0]


def _additive(m: Any, y: Any, memory: Any) -> Any:
    energy = m.vector(torch.tanh(m.wide(y) + m.key(memory))).squeeze(-1)
    return torch.bmm(torch.softmax(energy, 1).unsqueeze(1), memory)


def _concatenated(m: Any, y: Any, memory: Any) -> Any:
    pair = torch.cat([y.repeat(1, memory.size(1), 1), memory], dim=2)
    shares = F.softmax(m.vector(torch.tanh(m.pair(pair))), dim=1)
    return shares.transpose(1, 2) @ memory


WAYS = {
    "dot": (_dot, FEATURES),
    "scaled with projections": (_scaled_with_projections, 3),
    "keys and values side by side": (_halves, HIDDEN),
    "scaled_dot_product_attention": (_sdpa, FEATURES),
    "MultiheadAttention": (_several_heads, HIDDEN),
    "MultiheadAttention with weights": (_heads_with_weights, HIDDEN),
    "additive": (_additive, FEATURES),
    "concatenated": (_concatenated, FEATURES),
}


class Decoder(nn.Module):
    """A token and a state to scores and a state, by one of the ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.attend, width = WAYS[way]
        self.embedding = nn.Embedding(TOKENS, 6)
        self.gru = nn.GRU(6, HIDDEN, batch_first=True)
        self.q, self.k = nn.Linear(HIDDEN, FEATURES), nn.Linear(FEATURES, HIDDEN)
        self.v, self.both = nn.Linear(FEATURES, 3), nn.Linear(FEATURES, 2 * HIDDEN)
        self.heads = nn.MultiheadAttention(
            HIDDEN, 2, kdim=FEATURES, vdim=FEATURES, batch_first=True
        )
        self.wide, self.key = nn.Linear(HIDDEN, 10), nn.Linear(FEATURES, 10, bias=False)
        self.pair, self.vector = nn.Linear(HIDDEN + FEATURES, 10), nn.Linear(10, 1, bias=False)
        self.head = nn.Linear(HIDDEN + width, 5)

    def forward(self, tokens: Any, h: Any, memory: Any) -> Any:
        y, h = self.gru(self.embedding(tokens), h)
        return self.head(torch.cat([y, self.attend(self, y, memory)], dim=-1)), h


def decoder(way: str) -> Any:
    """In eval mode, of random weights that make shares uneven."""
    torch.manual_seed(len(way))
    module = Decoder(way).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(2)
    return module


def example(frames: int = FRAMES) -> tuple[Any, ...]:
    """Arguments of one call for two rows."""
    token = torch.zeros(2, 1, dtype=torch.long)
    return token, torch.zeros(1, 2, HIDDEN), torch.randn(2, frames, FEATURES)


def loop(module: Any, tokens: Any, memory: Any) -> Any:
    """The caller's own, of one row: (frames, 5)."""
    h, rows = torch.zeros(1, 1, HIDDEN), []
    with torch.inference_mode():
        for token in tokens:
            y, h = module(torch.tensor([[int(token)]]), h, torch.from_numpy(memory)[None])
            rows.append(y.numpy().reshape(-1))
    return rows
