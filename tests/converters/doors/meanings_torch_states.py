# SPDX-License-Identifier: Apache-2.0
"""Modules of PyTorch whose caller carries the states, and encoders that hand theirs on."""

from __future__ import annotations

from collections.abc import Callable

from converters.doors.meanings import Rule
from converters.doors.meanings_judge import Argument
from converters.doors.meanings_routes import ALL, Program, prepare
from converters.doors.meanings_rules import RULES as COMMON
from converters.doors.meanings_rules import STATES

__all__ = ["PROGRAMS", "ROUTES", "RULES", "prepared"]

ROUTES = ALL
RULES: tuple[Rule, ...] = (*COMMON, *STATES)
X = Argument("x", 5)

_PROGRAMS = {
    "carried": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x, h0):
            y, h = self.gru(x, h0)
            return self.fc(y), h
        """,
        (X, Argument("h0", state=(1, "B", 6))),
        back=(1,),
    ),
    "carried layers": Program(
        """
        def __init__(self):
            super().__init__()
            self.front = nn.Linear(5, 6)
            self.gru = nn.GRU(6, 6, num_layers=2, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x, h0):
            y, h = self.gru(F.relu(self.front(x)), h0)
            return torch.sigmoid(self.fc(y)), h
        """,
        (X, Argument("h0", state=(2, "B", 6))),
        back=(1,),
    ),
    "carried lstm": Program(
        """
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x, h0, c0):
            y, (h, c) = self.lstm(x, (h0, c0))
            return self.fc(y), h, c
        """,
        (X, Argument("h0", state=(1, "B", 6)), Argument("c0", state=(1, "B", 6))),
        back=(1, 2),
    ),
    "two states": Program(
        """
        def __init__(self):
            super().__init__()
            self.one = nn.GRU(5, 6, batch_first=True)
            self.two = nn.GRU(6, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x, h0, g0):
            y, h = self.one(x, h0)
            z, g = self.two(torch.tanh(y), g0)
            return self.fc(y + z), h, g
        """,
        (X, Argument("h0", state=(1, "B", 6)), Argument("g0", state=(1, "B", 6))),
        back=(1, 2),
    ),
    "cell": Program(
        """
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(5, 6)
            self.fc = nn.Linear(6, 3)
        def forward(self, x, h0):
            h = self.cell(x, h0)
            return self.fc(h), h
        """,
        (Argument("x", 5, step=True), Argument("h0", state=("B", 6))),
        back=(1,),
    ),
    "policy": Program(
        """
        def __init__(self):
            super().__init__()
            self.mean = nn.Parameter(torch.rand(5))
            self.gru = nn.GRU(5, 6)
            self.mlp = nn.Sequential(nn.Linear(6, 8), nn.ELU(), nn.Linear(8, 2))
        def forward(self, x, h0):
            y, h = self.gru(((x - self.mean) / 2.0).unsqueeze(0), h0)
            return self.mlp(y.squeeze(0)), h
        """,
        (Argument("x", 5, step=True), Argument("h0", state=(1, "B", 6))),
        back=(1,),
    ),
    "carried rnn": Program(
        """
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(5, 6, batch_first=True, nonlinearity='relu')
            self.norm = nn.LayerNorm(6)
        def forward(self, x, h0):
            y, h = self.rnn(x.clamp(-2, 2), h0)
            return self.norm(y)[:, -1], h
        """,
        (X, Argument("h0", state=(1, "B", 6))),
        back=(1,),
    ),
    "handed on": Program(
        """
        def __init__(self):
            super().__init__()
            self.encoder = nn.GRU(5, 6, batch_first=True)
            self.decoder = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, h = self.encoder(x)
            z, _ = self.decoder(x, h)
            return self.fc(z)
        """,
        (X,),
    ),
    "repeated": Program(
        """
        def __init__(self):
            super().__init__()
            self.encoder = nn.GRU(5, 6, batch_first=True)
            self.decoder = nn.GRU(6, 6, batch_first=True)
            self.fc = nn.Linear(6, 5)
        def forward(self, x):
            y, h = self.encoder(x)
            z, _ = self.decoder(h[-1].unsqueeze(1).expand(-1, x.shape[1], -1))
            return self.fc(z)
        """,
        (X,),
    ),
}
PROGRAMS = {name: each.text for name, each in _PROGRAMS.items()}


def prepared(name: str, text: str) -> Callable[[str], None]:
    return prepare(_PROGRAMS[name], text)
