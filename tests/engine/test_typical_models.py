# SPDX-License-Identifier: Apache-2.0
"""Five typical models, each from every kind of file that PyTorch can make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn
F = nn.functional

BOUND = 1e-5


class Enhance(nn.Module):
    """A mask for a noisy spectrum: convolution, GRU, a skip around it, a gate on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(12, 10, 3, padding=2)
        self.bn = nn.BatchNorm1d(10)
        self.gru = nn.GRU(10, 14, num_layers=2, batch_first=True, dropout=0.1)
        self.skip = nn.Linear(10, 14)
        self.out = nn.Linear(14, 12)

    def forward(self, x: Any) -> Any:
        y = self.conv(x.transpose(1, 2))[:, :, :-2]
        y = F.elu(self.bn(y)).transpose(1, 2)
        h, _ = self.gru(y)
        return torch.sigmoid(self.out(h + self.skip(y))) * x


class Keywords(nn.Module):
    """The last state of a normalised spectrum's GRU, as log-probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(12)
        self.gru = nn.GRU(12, 16, batch_first=True)
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Any) -> Any:
        _, h = self.gru(self.norm(x))
        return F.log_softmax(self.fc(h[-1]), dim=-1)


class Text(nn.Module):
    """The final states of both directions; with lengths the sequences are packed."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(30, 8, padding_idx=0)
        self.gru = nn.GRU(8, 12, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(24, 3)

    def forward(self, ids: Any, lengths: Any = None) -> Any:
        x = self.emb(ids)
        if lengths is not None:
            pack = nn.utils.rnn.pack_padded_sequence
            x = pack(x, lengths, batch_first=True, enforce_sorted=False)
        _, h = self.gru(x)
        return self.fc(torch.cat([h[0], h[1]], -1))


class Decoder(nn.Module):
    """One token and the state in each call."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(30, 8)
        self.gru = nn.GRU(8, 12, batch_first=True)
        self.out = nn.Linear(12, 30)

    def forward(self, token: Any, h: Any) -> Any:
        y, h = self.gru(self.emb(token), h)
        return self.out(y), h


class Tagger(nn.Module):
    """A tag for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(30, 8)
        self.gru = nn.GRU(8, 10, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(20, 7)

    def forward(self, ids: Any) -> Any:
        return self.fc(self.gru(self.emb(ids))[0])


MODELS = {each.__name__.lower(): each for each in (Enhance, Keywords, Text, Decoder, Tagger)}
# The words that the weights alone do not tell; None: no chain of layers fits.
ARCHITECTURES = {
    "enhance": None,
    "keywords": "layer_norm(norm, eps=1e-05) > gru(gru) > last > linear(fc) > log_softmax",
    "text": "embedding(emb) > gru(gru) > final > linear(fc)",
    "decoder": "embedding(emb) > gru(gru) > linear(out)",
    "tagger": "embedding(emb) > gru(gru) > linear(fc)",
}
IDS = ("text", "decoder", "tagger")


def made(name: str) -> tuple[Any, tuple[Any, ...]]:
    torch.manual_seed(3)
    module = MODELS[name]().eval()
    if name == "decoder":
        return module, (torch.tensor([[3], [4]]), torch.zeros(1, 2, 12))
    x = torch.randint(0, 30, (2, 9)) if name in IDS else torch.randn(2, 9, 12)
    return module, (x,)


def agrees(name: str, module: Any, model: grucore.Model) -> bool:
    """On another length and batch than the example's."""
    rng = np.random.default_rng(5)
    shape = (3, 14) if name in IDS else (3, 14, 12)
    x = rng.integers(0, 30, shape) if name in IDS else rng.standard_normal(shape, np.float32)
    ours = model.run(x)
    ours = ours[0] if isinstance(ours, tuple) else ours
    start = (torch.zeros(1, 3, 12),) if name == "decoder" else ()
    with torch.no_grad():
        theirs = module(torch.from_numpy(x), *start)
    theirs = (theirs[0] if isinstance(theirs, tuple) else theirs).numpy()
    return bool(np.abs(ours - theirs).max() <= BOUND * np.abs(theirs).max())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_live(name: str) -> None:
    module, example = made(name)
    assert agrees(name, module, grucore.from_torch(module, example_inputs=example))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_exported_program(name: str, tmp_path: Path) -> None:
    from models.torch_wholes import exported

    module, example = made(name)
    (tmp_path / "model.pt2").write_bytes(exported(module, *example))
    assert agrees(name, module, grucore.convert(tmp_path / "model.pt2"))


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("kind", ["state", "checkpoint", "whole", "script", "safetensors"])
def test_weights(kind: str, name: str, tmp_path: Path) -> None:
    module, example = made(name)
    path = tmp_path / "model.pt"
    if kind == "state":
        torch.save(module.state_dict(), path)
    elif kind == "checkpoint":
        torch.save({"model": module.state_dict(), "epoch": 3, "optimizer": {"lr": 0.1}}, path)
    elif kind == "whole":
        torch.save(module, path)
    elif kind == "script":
        torch.jit.trace(module, example).save(path)
    else:
        oracle("safetensors.torch").save_file(module.state_dict(), path)
    with pytest.raises(grucore.ConversionError) as refusal:
        grucore.convert(path)
    text = str(refusal.value)
    assert "It holds:" in text
    assert "Where layers do not follow one another" in text
    architecture = ARCHITECTURES[name]
    if architecture is None:
        return
    # The error prints the line to paste, but for functions without weights.
    stem = architecture.removesuffix(" > log_softmax")
    assert stem in text or stem.replace(", eps=1e-05", "") in text
    assert agrees(name, module, grucore.convert(path, architecture=architecture))


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("dynamic", [False, True])
def test_onnx_of_the_older_exporter(name: str, dynamic: bool, tmp_path: Path) -> None:
    from models.onnx_torch import export

    oracle("onnxruntime")
    module, example = made(name)
    options: dict[str, Any] = {}
    if dynamic:
        names = ["x", "h"][: len(example)]
        axes = {"x": {0: "batch", 1: "time"}, "h": {1: "batch"}}
        if name == "decoder":
            axes["x"] = {0: "batch"}
        options = {"input_names": names, "dynamic_axes": {each: axes[each] for each in names}}
    export(module, example, tmp_path / "model.onnx", dynamo=False, **options)
    assert agrees(name, module, grucore.convert(tmp_path / "model.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_onnx_of_the_newer_exporter(name: str, tmp_path: Path) -> None:
    from models.onnx_torch import export

    oracle("onnxscript")
    oracle("onnxruntime")
    module, example = made(name)
    export(module, example, tmp_path / "model.onnx", dynamo=True)
    assert agrees(name, module, grucore.convert(tmp_path / "model.onnx"))


def test_lengths_are_those_of_packed_sequences(tmp_path: Path) -> None:
    """The weights convert, and so does the module with an example; lengths go to run."""
    module, (ids,) = made("text")
    torch.save(module.state_dict(), tmp_path / "model.pt")
    model = grucore.convert(tmp_path / "model.pt", architecture=ARCHITECTURES["text"])
    lengths = [9, 4]
    with torch.no_grad():
        expected = module(ids, torch.tensor(lengths)).numpy()
    assert np.abs(model.run(ids.numpy(), lengths=lengths) - expected).max() < BOUND
    live = grucore.from_torch(module, example_inputs=(ids, torch.tensor(lengths)))
    assert np.abs(live.run(ids.numpy(), lengths=lengths) - expected).max() < BOUND


def test_a_decoder_streams_token_by_token() -> None:
    module, example = made("decoder")
    stream = grucore.from_torch(module, example_inputs=example).stream()
    h = torch.zeros(1, 1, 12)
    token = 7
    for _ in range(12):
        with torch.no_grad():
            scores, h = module(torch.tensor([[token]]), h)
        ours = stream.step(token)
        assert np.abs(ours - scores.numpy().reshape(-1)).max() < BOUND
        token = int(ours.argmax())
