# SPDX-License-Identifier: Apache-2.0
"""Modules of PyTorch whose mutants are converted live and from every file that torch writes."""

from __future__ import annotations

from collections.abc import Callable

from converters.doors.meanings import Rule
from converters.doors.meanings_judge import Argument
from converters.doors.meanings_routes import ALL, Program, prepare
from converters.doors.meanings_rules import RULES as COMMON

__all__ = ["PROGRAMS", "ROUTES", "RULES", "prepared"]

X = (Argument("x", 5),)
IDS = (Argument("x", ids=11),)
ROUTES = ALL
RULES: tuple[Rule, ...] = COMMON

_PROGRAMS = {
    "last": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, h = self.gru(x)
            return self.fc(y[:, -1])
        """,
        X,
        line="gru > last > linear",
    ),
    "final": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, num_layers=2, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, h = self.gru(x)
            return F.relu(self.fc(h[-1]))
        """,
        X,
        line="gru > last > linear > relu",
    ),
    "frames": Program(
        """
        def __init__(self):
            super().__init__()
            self.front = nn.Linear(5, 8)
            self.norm = nn.LayerNorm(8)
            self.gru = nn.GRU(8, 6, batch_first=True)
            self.fc = nn.Linear(6, 4)
        def forward(self, x):
            x = self.norm(torch.tanh(self.front(x)))
            y, _ = self.gru(x)
            return F.log_softmax(self.fc(y), dim=-1)
        """,
        X,
        line="linear(front) > tanh > layer_norm(norm, eps=1e-05) > gru > linear(fc) > log_softmax",
    ),
    "both ways": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, num_layers=2, batch_first=True, bidirectional=True)
            self.fc = nn.Linear(12, 3)
        def forward(self, x):
            y, h = self.gru(x)
            return torch.sigmoid(self.fc(y))
        """,
        X,
        line="gru > linear > sigmoid",
    ),
    "ends": Program(
        """
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(5, 6, batch_first=True, bidirectional=True)
            self.fc = nn.Linear(12, 3)
        def forward(self, x):
            y, (h, c) = self.lstm(x)
            return self.fc(torch.cat((h[-2], h[-1]), 1))
        """,
        X,
        line="lstm > final > linear",
    ),
    "pools": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(12, 3)
        def forward(self, x):
            y, h = self.gru(x)
            return self.fc(torch.cat((y.mean(1), y.amax(1)), 1))
        """,
        X,
    ),
    "words": Program(
        """
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 5)
            self.lstm = nn.LSTM(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, _ = self.lstm(self.embed(x))
            return self.fc(y[:, -1])
        """,
        IDS,
        line="embedding > lstm > last > linear",
    ),
    "front": Program(
        """
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(5, 8, kernel_size=3, padding=1)
            self.bn = nn.BatchNorm1d(8)
            self.pool = nn.MaxPool1d(2)
            self.gru = nn.GRU(8, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            z = self.pool(F.relu(self.bn(self.conv(x.transpose(1, 2)))))
            y, _ = self.gru(z.transpose(1, 2))
            return self.fc(y)
        """,
        X,
    ),
    "causal": Program(
        """
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(5, 8, kernel_size=3, dilation=2)
            self.gru = nn.GRU(8, 6, batch_first=True)
            self.norm = nn.LayerNorm(6)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            z = self.conv(F.pad(x.transpose(1, 2), (4, 0)))
            y, _ = self.gru(F.silu(z).transpose(1, 2))
            return self.fc(self.norm(y))
        """,
        X,
        line="conv1d(conv, padding=causal, stride=1, dilation=2) > silu > gru > "
        "layer_norm(norm, eps=1e-05) > linear(fc)",
    ),
    "residual": Program(
        """
        def __init__(self):
            super().__init__()
            self.first = nn.GRU(6, 6, batch_first=True)
            self.norm = nn.LayerNorm(6)
            self.second = nn.RNN(6, 6, batch_first=True)
            self.front = nn.Linear(5, 6)
        def forward(self, x):
            x = self.front(x)
            y = x + self.first(self.norm(x))[0]
            return y + self.second(y)[0]
        """,
        X,
    ),
    "gates": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.gate = nn.Linear(6, 6)
            self.value = nn.Linear(6, 6)
            self.scale = nn.Parameter(torch.rand(6) + 0.5)
        def forward(self, x):
            y, _ = self.gru(x)
            g = torch.sigmoid(self.gate(y))
            return g * torch.tanh(self.value(y)) * self.scale + (1 - g) * y
        """,
        X,
    ),
    "sums": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True, bidirectional=True, bias=False)
            self.bn = nn.BatchNorm1d(6)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, _ = self.gru(x)
            y = y.view(y.shape[0], y.shape[1], 2, 6).sum(2)
            y = self.bn(y.transpose(1, 2)).transpose(1, 2)
            return self.fc(F.hardtanh(y, 0.0, 20.0))
        """,
        X,
    ),
    "learned": Program(
        """
        def __init__(self):
            super().__init__()
            self.start = nn.Parameter(torch.rand(1, 1, 6))
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x):
            y, h = self.gru(x, self.start.expand(-1, x.shape[0], -1).contiguous())
            return self.fc(F.elu(y))
        """,
        X,
    ),
    "heads": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.frame = nn.Linear(6, 4)
            self.whole = nn.Linear(6, 2)
        def forward(self, x):
            y, h = self.gru(x)
            return F.softmax(self.frame(y), dim=-1), self.whole(y[:, -1])
        """,
        X,
    ),
    "masked": Program(
        """
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 6, batch_first=True)
            self.fc = nn.Linear(6, 3)
        def forward(self, x, m):
            y, _ = self.gru(x * torch.sigmoid(m))
            return self.fc(y) * m.mean(2, keepdim=True)
        """,
        (Argument("x", 5), Argument("m", 5)),
    ),
    "bands": Program(
        """
        def __init__(self):
            super().__init__()
            self.low = nn.Linear(4, 6)
            self.high = nn.Linear(4, 6)
            self.gru = nn.GRU(12, 6, batch_first=True)
            self.fc = nn.Linear(6, 8)
            self.norm = nn.GroupNorm(2, 6)
        def forward(self, x):
            a, b = x[:, :, :4], x[:, :, 4:]
            z = torch.cat((F.relu(self.low(a)), F.relu(self.high(b))), dim=-1)
            y, _ = self.gru(z)
            y = self.norm(y.reshape(-1, 6)).reshape(y.shape)
            return x * torch.sigmoid(self.fc(y))
        """,
        (Argument("x", 8),),
    ),
}
PROGRAMS = {name: each.text for name, each in _PROGRAMS.items()}


def prepared(name: str, text: str) -> Callable[[str], None]:
    return prepare(_PROGRAMS[name], text)
