# SPDX-License-Identifier: Apache-2.0
"""LSTM and RNN of PyTorch: layers, cells, states and files, against torch itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.torch_made import made
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn

ERROR = grucore.ConversionError
BOUND = 2e-6
CASES, BLOCKS = 300, 6


def random_layer(rng: np.random.Generator) -> Any:
    """An nn.LSTM or nn.RNN of random shape and options."""
    torch.manual_seed(int(rng.integers(1 << 30)))
    kind = (nn.LSTM, nn.RNN)[int(rng.integers(2))]
    options: dict[str, Any] = {} if kind is nn.LSTM else {"nonlinearity": ("tanh", "relu")[0]}
    if kind is nn.RNN and rng.random() < 0.5:
        options["nonlinearity"] = "relu"
    return kind(
        int(rng.integers(1, 24)),
        int(rng.integers(1, 40)),
        num_layers=int(rng.integers(1, 4)),
        bidirectional=bool(rng.integers(2)),
        bias=bool(rng.integers(2)),
        batch_first=True,
        **options,
    ).eval()


def outputs_of(module: Any, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    with torch.no_grad():
        y, state = module(torch.from_numpy(x))
    states = state if isinstance(state, tuple) else (state,)
    return y.numpy(), [each.numpy() for each in states]


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_layers(block: int) -> None:
    for seed in range(block, CASES, BLOCKS):
        rng = np.random.default_rng(seed)
        module = random_layer(rng)
        x = rng.uniform(-2, 2, (3, int(rng.integers(1, 40)), module.input_size)).astype(np.float32)
        want, states = outputs_of(module, x)
        model = grucore.from_torch(module)
        assert model.proof is not None
        have, final = model.run(x, return_state=True)
        scale = max(1.0, float(np.abs(want).max()))
        assert np.abs(have - want).max() < BOUND * scale, seed
        # By name as torch has them: the layers in order, first h of each, then c.
        for suffix, theirs in zip((".h", ".c"), states, strict=False):
            ours = [array for name, array in final.items() if name.endswith(suffix)]
            assert len(ours) == len(theirs), seed
            size = max(1.0, float(np.abs(theirs).max()))
            for mine, other in zip(ours, theirs, strict=True):
                assert np.abs(mine - other).max() < BOUND * size, seed
        if not module.bidirectional:
            assert np.array_equal(stepped(model, x[0]), model.run(x[0]))


def stepped(model: grucore.Model, x: np.ndarray) -> np.ndarray:
    stream = model.stream()
    return np.array([stream.step(frame) for frame in x])


def test_names_of_states() -> None:
    model = grucore.from_torch(nn.LSTM(3, 4, num_layers=2, bidirectional=True))
    assert list(model.states) == [
        f"lstm.l{k}{end}.{state}" for k in (0, 1) for end in ("", "_reverse") for state in "hc"
    ]
    assert list(grucore.from_torch(nn.RNN(3, 4)).states) == ["rnn.l0.h"]


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.RNNCell])
def test_cells(kind: Any, rng: np.random.Generator) -> None:
    torch.manual_seed(3)
    cell = kind(3, 5)
    x = rng.uniform(-2, 2, (9, 3)).astype(np.float32)
    state, want = None, []
    with torch.no_grad():
        for frame in torch.from_numpy(x):
            state = cell(frame[None], state)
            want.append((state[0] if isinstance(state, tuple) else state)[0].numpy())
    model = grucore.from_torch(cell)
    assert np.abs(model.run(x) - np.array(want)).max() < BOUND
    word = "lstm" if kind is nn.LSTMCell else "rnn"
    options = "" if kind is nn.LSTMCell else "(nonlinearity=tanh)"
    again = grucore.from_torch(cell.state_dict(), architecture=f"{word}{options}")
    assert np.array_equal(again.run(x), model.run(x))


def test_state_dicts(rng: np.random.Generator) -> None:
    torch.manual_seed(4)
    module = nn.ModuleDict({"a": nn.LSTM(3, 6, batch_first=True), "b": nn.Linear(6, 2)}).eval()
    model = grucore.from_torch(module.state_dict(), architecture="lstm(a) > last > linear(b)")
    x = rng.uniform(-2, 2, (2, 9, 3)).astype(np.float32)
    with torch.no_grad():
        want = module["b"](module["a"](torch.from_numpy(x))[0][:, -1]).numpy()
    assert np.abs(model.run(x) - want).max() < BOUND
    plain = nn.RNN(3, 4, nonlinearity="relu", batch_first=True)
    with pytest.raises(ERROR, match=re.escape("rnn(rnn, nonlinearity=tanh)")):
        grucore.from_torch(plain.state_dict())
    model = grucore.from_torch(plain.state_dict(), architecture="rnn(nonlinearity=relu)")
    assert np.abs(model.run(x) - outputs_of(plain, x)[0]).max() < BOUND
    final = grucore.from_torch(nn.LSTM(3, 4, bidirectional=True).state_dict())
    assert final.outputs[0].features == 8


def streaming() -> Any:
    """A module that takes and returns its state."""
    torch.manual_seed(5)

    def forward(m: Any, x: Any, h: Any, c: Any) -> Any:
        y, (h, c) = m.lstm(x, (h, c))
        return m.head(y), h, c

    return made(forward, lstm=nn.LSTM(3, 4, num_layers=2, batch_first=True), head=nn.Linear(4, 2))


@pytest.mark.parametrize("frames", [1, 7])
def test_states_in_and_out(frames: int, rng: np.random.Generator) -> None:
    module = streaming()
    zeros = torch.zeros(2, 1, 4)
    model = grucore.from_torch(module, example_inputs=(torch.ones(1, frames, 3), zeros, zeros))
    assert model.metadata["source"]["states"]["lstm.l1.c"] == "inputs_2[1]"
    x = rng.uniform(-2, 2, (20, 3)).astype(np.float32)
    with torch.no_grad():
        want, h, c = module(torch.from_numpy(x)[None], zeros, zeros)
    y, final = model.run(x, return_state=True)
    have = y[0] if isinstance(y, tuple) else y
    assert np.abs(have - want[0].numpy()).max() < BOUND
    assert np.abs(final["lstm.l1.c"] - c[1, 0].numpy()).max() < BOUND
    assert np.abs(final["lstm.l0.h"] - h[0, 0].numpy()).max() < BOUND


def test_a_loop_of_cells(rng: np.random.Generator) -> None:
    torch.manual_seed(6)

    def forward(m: Any, x: Any) -> Any:
        h = x.new_zeros(x.shape[0], 4)
        c, found = h, []
        for frame in range(x.shape[1]):
            h, c = m.cell(x[:, frame], (h, c))
            found.append(h)
        return torch.stack(found, 1)

    module = made(forward, cell=nn.LSTMCell(3, 4))
    model = grucore.from_torch(module, example_inputs=torch.ones(2, 6, 3))
    x = rng.uniform(-2, 2, (2, 15, 3)).astype(np.float32)
    with torch.no_grad():
        assert np.abs(model.run(x) - module(torch.from_numpy(x)).numpy()).max() < BOUND


class Custom(nn.Module):
    """Somebody's own class."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.cell = kind(3, 4, batch_first=True, **options)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.cell(x)[0])


@pytest.mark.filterwarnings("ignore:.*assigned during export:UserWarning")
@pytest.mark.parametrize("form", ["pickle", "script", "pt2", "layer"])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.RNN])
def test_files(form: str, kind: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    torch.manual_seed(7)
    options = {} if kind is nn.LSTM else {"nonlinearity": "relu"}
    module, path = Custom(kind, **options).eval(), tmp_path / "m.pt"
    architecture = None
    if form == "layer":
        module = nn.Sequential(module.cell)
        torch.save(module, path)
    elif form == "pt2":
        path = tmp_path / "m.pt2"
        torch.export.save(torch.export.export(module, (torch.ones(2, 9, 3),)), path)
    else:
        save = torch.save if form == "pickle" else torch.jit.save
        save(module if form == "pickle" else torch.jit.script(module), path)
        word = "lstm(cell)" if kind is nn.LSTM else "rnn(cell)"
        architecture = f"{word} > linear(head)"
    model = grucore.convert(path, architecture=architecture)
    x = rng.uniform(-2, 2, (2, 9, 3)).astype(np.float32)
    with torch.no_grad():
        y = module(torch.from_numpy(x))
    want = (y[0] if isinstance(y, tuple) else y).numpy()
    assert np.abs(model.run(x) - want).max() < BOUND


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("bias", [True, False])
def test_an_lstm_with_projections(bias: bool, rng: np.random.Generator) -> None:
    """Its h is a product of what a cell gives, so its states are fed back by delays."""
    layer = nn.LSTM(3, 8, 2, proj_size=4, batch_first=True, bias=bias)

    def forward(m: Any, x: Any) -> Any:
        y, (h, c) = m.lstm(x)
        return y, h[-1], c[-1]

    module = made(forward, lstm=layer)
    model = grucore.from_torch(module, example_inputs=torch.ones(2, 9, 3))
    ends = [f"lstm.l{layer}.{end}.x" for layer in range(2) for end in "hc"]
    assert list(model.states) == ends
    x = rng.uniform(-2, 2, (2, 9, 3)).astype(np.float32)
    with torch.no_grad():
        want = [each.numpy() for each in module(torch.from_numpy(x))]
    for have, other in zip(model.run(x), want, strict=True):
        assert np.abs(have - other).max() < BOUND
    stream = model.stream(batch=2)
    frames = np.stack([stream.step(x[:, frame])[0] for frame in range(9)], axis=1)
    assert np.array_equal(frames, model.run(x)[0])
    assert np.abs(stream.state["lstm.l1.c.x"] - want[2]).max() < BOUND


def test_refused_by_name() -> None:
    with pytest.raises(ERROR, match="proj_size is 2, expected 0"):
        grucore.from_torch(nn.LSTM(3, 4, proj_size=2))
    layer = nn.LSTM(3, 4, proj_size=2, batch_first=True, bidirectional=True)
    projected = made(lambda m, x: m.lstm(x)[0], lstm=layer)
    with pytest.raises(ERROR, match=r"module 'lstm' .*projections \(proj_size\)"):
        grucore.from_torch(projected, example_inputs=torch.ones(2, 9, 3))
    last = made(lambda m, x: m.lstm(x)[1][1], lstm=nn.LSTM(3, 4, batch_first=True))
    with pytest.raises(ERROR, match=r"cell state lstm\.l0\.c.*return_state=True"):
        grucore.from_torch(last, example_inputs=torch.ones(2, 9, 3))
    read = made(lambda m, x: m.lstm(x)[1][1] * 2, lstm=nn.LSTM(3, 4, batch_first=True))
    with pytest.raises(ERROR, match="cell state"):
        grucore.from_torch(read, example_inputs=torch.ones(2, 9, 3))
