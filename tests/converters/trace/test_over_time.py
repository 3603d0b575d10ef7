# SPDX-License-Identifier: Apache-2.0
"""Values of whole sequences beside frames: repeated, broadcast, joined; from each frontend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from models.onnx_torch import export
from models.torch_wholes import exported
from oracle.oracles import oracle

torch = oracle("torch")
keras = oracle("keras")
nn = torch.nn
pytestmark = pytest.mark.oracle

FEATURES, HIDDEN, FRAMES = 5, 8, 9
BOUND = 3e-6


class Net(nn.Module):  # type: ignore[misc, name-defined]
    """An encoder, and what each of `WAYS` makes of its frames and of the whole sequence."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.encoder = nn.GRU(FEATURES, HIDDEN, batch_first=True)
        width = 2 * HIDDEN if way == "joined" else HIDDEN
        self.decoder = nn.GRU(width, HIDDEN, batch_first=True)
        self.out = nn.Linear(HIDDEN, FEATURES)

    def forward(self, x: Any) -> Any:
        y, h = self.encoder(x)
        return self.out(self.decoder(WAYS[self.way](x, y, h))[0])


WAYS: dict[str, Any] = {
    "repeated": lambda x, y, h: h[-1].unsqueeze(1).repeat(1, x.shape[1], 1),
    "expanded": lambda x, y, h: y[:, -1:].expand(-1, x.size(1), -1),
    "as": lambda x, y, h: y[:, 0, None].expand_as(y),
    "centred": lambda x, y, h: y - y.mean(1, keepdim=True),
    "squeezed": lambda x, y, h: y * torch.sigmoid(torch.amax(y, 1)).unsqueeze(1),
    "joined": lambda x, y, h: torch.cat([y, y.mean(1, keepdim=True).expand(-1, y.shape[1], -1)], 2),
}


def net(way: str) -> Any:
    torch.manual_seed(5)
    return Net(way).eval()


def example(frames: int = FRAMES) -> Any:
    torch.manual_seed(frames)
    return torch.randn(2, frames, FEATURES)


def check(model: grucore.Model, module: Any, lengths: tuple[int, ...]) -> None:
    for frames in lengths:
        x = example(frames)
        with torch.inference_mode():
            want = module(x).numpy()
        assert np.abs(model.run(x.numpy()) - want).max() < BOUND
    assert not model.streamable
    with pytest.raises(grucore.UnsupportedError, match="reads the future"):
        model.stream()


@pytest.mark.parametrize("way", WAYS)
def test_from_a_live_module(way: str) -> None:
    module = net(way)
    model = grucore.from_torch(module, example_inputs=example())
    assert "expand" in {layer.kind for layer in model.layers}
    check(model, module, (1, FRAMES, 40))


def test_frames_that_are_as_many_as_features() -> None:
    module = net("repeated")
    check(grucore.from_torch(module, example_inputs=example(HIDDEN)), module, (3, 40))


def test_rows_of_several_lengths_are_each_their_own() -> None:
    model = grucore.from_torch(net("joined"), example_inputs=example())
    x, lengths = example(20).numpy(), [20, 7]
    found = model.run(x, lengths=lengths)
    for row, length in enumerate(lengths):
        assert np.array_equal(found[row, :length], model.run(x[row, :length]))
        assert not found[row, length:].any()


@pytest.mark.parametrize("way", WAYS)
def test_from_an_archive_of_one_length(way: str, tmp_path: Path) -> None:
    module = net(way)
    path = tmp_path / "net.pt2"
    path.write_bytes(exported(module, example()))
    check(grucore.convert(path), module, (FRAMES,))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lengths", ["any", "one"])
def test_from_onnx(way: str, lengths: str, tmp_path: Path) -> None:
    module, path = net(way), tmp_path / "net.onnx"
    axes = {"x": {1: "time"}} if lengths == "any" else None
    export(module, (example(),), path, input_names=["x"], dynamic_axes=axes, dynamo=False)
    check(grucore.convert(path), module, (1, FRAMES, 40) if axes else (FRAMES,))


def test_a_number_of_repeats_that_is_not_that_of_the_frames() -> None:
    class Fixed(Net):
        def forward(self, x: Any) -> Any:
            return self.out(self.decoder(self.encoder(x)[1][-1].unsqueeze(1).repeat(1, 4, 1))[0])

    with pytest.raises(grucore.ConversionError, match=r"X is \(batch, 4 features, 8 features"):
        grucore.from_torch(Fixed("repeated"), example_inputs=example())


def autoencoder(frames: int | None, repeats: int) -> Any:
    layers = keras.layers
    source = keras.Input((frames, FEATURES))
    code = layers.GRU(HIDDEN)(source)
    decoded = layers.GRU(HIDDEN, return_sequences=True)(layers.RepeatVector(repeats)(code))
    return keras.Model(source, layers.TimeDistributed(layers.Dense(FEATURES))(decoded))


def test_an_autoencoder_of_keras() -> None:
    network = autoencoder(FRAMES, FRAMES)
    model = grucore.from_keras(network)
    x = example().numpy()
    want = np.asarray(keras.ops.convert_to_numpy(network(x)))
    assert np.abs(model.run(x) - want).max() < BOUND
    assert model.metadata["source"]["frames"] == FRAMES


@pytest.mark.parametrize("frames", [None, FRAMES])
def test_an_autoencoder_of_other_lengths(frames: int | None) -> None:
    with pytest.raises(grucore.ConversionError, match=r"reads no sequence, but .*4 features"):
        grucore.from_keras(autoencoder(frames, 4))
