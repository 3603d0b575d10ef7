# SPDX-License-Identifier: Apache-2.0
"""Engine against torch over random shapes, lengths and states; and the whole way by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grucore
from grucore.proof.proof import BOUND
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")

CASES = 300
FRAMES = 200
LARGEST_INPUT = 4.0


def random_case(case: int) -> tuple[torch.nn.GRU, np.ndarray, dict[str, object]]:
    """A layer and an input: sizes are small, odd, or around a panel of 16 rows."""
    rng = np.random.default_rng(case)
    torch.manual_seed(case)
    sizes = [1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 20, 31, 32, 33, 48, 65]
    options: dict[str, object] = {
        "input_size": int(rng.choice(sizes)),
        "hidden_size": int(rng.choice(sizes)),
        "num_layers": int(rng.choice([1, 1, 1, 2, 3])),
        "bidirectional": bool(rng.random() < 0.3),
        "bias": bool(rng.random() < 0.8),
        "batch_first": bool(rng.random() < 0.5),
    }
    module = torch.nn.GRU(**options).eval()
    x = rng.uniform(-LARGEST_INPUT, LARGEST_INPUT, (2, FRAMES, int(options["input_size"])))
    return module, x.astype(np.float32), options


def run_torch(
    module: torch.nn.GRU, x: np.ndarray, h: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(B, T, F) -> (B, T, out), and h_n (layers * directions, B, H)."""
    batch = torch.from_numpy(x)
    with torch.no_grad():
        y, last = module(
            batch if module.batch_first else batch.transpose(0, 1),
            None if h is None else torch.from_numpy(h),
        )
    return (y if module.batch_first else y.transpose(0, 1)).numpy(), last.numpy()


@pytest.mark.parametrize("block", range(10))
def test_random_shapes(block: int) -> None:
    largest = 0.0
    for case in range(block, CASES, 10):
        module, x, options = random_case(case)
        model = grucore.from_torch(module)
        y, state = model.run(x, return_state=True)
        expected, last = run_torch(module, x)
        difference = float(np.abs(y - expected).max())
        assert difference < BOUND, (case, options)
        # torch's order of h_n is that of the states' names.
        for ours, theirs in zip(state.values(), last, strict=True):
            assert np.abs(ours - theirs).max() < BOUND, (case, options)
        assert model.proof is not None
        largest = max(largest, difference)
    assert 0 < largest < BOUND


def test_names_of_states_are_in_the_order_of_h_n() -> None:
    model = grucore.from_torch(torch.nn.GRU(2, 3, 2, bidirectional=True))
    _, state = model.run(np.zeros((4, 2), np.float32), return_state=True)
    assert list(state) == ["gru.l0.h", "gru.l0_reverse.h", "gru.l1.h", "gru.l1_reverse.h"]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_initial_state_and_lengths(bidirectional: bool, rng: np.random.Generator) -> None:
    module = torch.nn.GRU(5, 6, 2, batch_first=True, bidirectional=bidirectional)
    model = grucore.from_torch(module)
    x = rng.uniform(-4, 4, (3, 20, 5)).astype(np.float32)
    names = list(model.run(x, return_state=True)[1])
    h = rng.uniform(-1, 1, (len(names), 3, 6)).astype(np.float32)
    lengths = [20, 7, 1]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.from_numpy(x), torch.tensor(lengths), batch_first=True
    )
    with torch.no_grad():
        padded, last = module(packed, torch.from_numpy(h))
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(padded, batch_first=True)
    start = dict(zip(names, h, strict=True))
    y, state = model.run(x, lengths=lengths, state=start, return_state=True)
    assert np.abs(y - expected.numpy()).max() < BOUND
    for ours, theirs in zip(state.values(), last.numpy(), strict=True):
        assert np.abs(ours - theirs).max() < BOUND


def test_a_stream_repeats_torch_frame_by_frame(rng: np.random.Generator) -> None:
    cell = torch.nn.GRUCell(4, 9)
    stream = grucore.from_torch(cell).stream()
    h = None
    for frame in rng.uniform(-4, 4, (50, 4)).astype(np.float32):
        with torch.no_grad():
            h = cell(torch.from_numpy(frame)[None], h)
        assert np.abs(stream.step(frame) - h[0].numpy()).max() < BOUND


class Keywords(torch.nn.Module):
    """A model like the demo's: an encoder, the last frame, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.GRU(40, 64, num_layers=2, batch_first=True)
        self.head = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 11)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[0][:, -1])


@pytest.mark.parametrize("legacy", [False, True])
def test_from_checkpoint_to_saved_model(
    legacy: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    torch.manual_seed(0)
    module = Keywords().eval()
    path = tmp_path / "keywords.pt"
    torch.save(module.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    model = grucore.convert(path, architecture="gru > last > linear > relu > linear")
    assert model.proof is not None
    assert model.proof.against.startswith("the layers of torch")
    assert model.proof.largest_difference <= model.proof.bound
    assert model.selftest().exact
    model.save(tmp_path / "keywords.gru")
    x = rng.uniform(-4, 4, (2, 90, 40)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    for loaded in (model, grucore.load(tmp_path / "keywords.gru")):
        assert np.abs(loaded.run(x) - expected).max() < BOUND
