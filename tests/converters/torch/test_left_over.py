# SPDX-License-Identifier: Apache-2.0
"""Tensors that an architecture does not use: an error, unless they are ignored by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grucore
from grucore.proof.proof import BOUND
from models.torch_models import gru, net, run
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn

ERROR = grucore.ConversionError
NAMED = "gru(encoder) > linear(head)"


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-4, 4, (2, 30, 3)).astype(np.float32)


def more(**tensors: Any) -> dict[str, Any]:
    return dict(net().state_dict()) | tensors


def with_aux() -> dict[str, Any]:
    aux = {"aux.weight": torch.zeros(7, 4), "aux.bias": torch.zeros(7)}
    return more(**aux, steps=torch.tensor(3))


def offered(state: dict[str, Any]) -> list[str]:
    with pytest.raises(ERROR) as refusal:
        grucore.from_torch(state)
    return re.findall(r"^  --architecture (.*)", str(refusal.value), re.MULTILINE)


@pytest.mark.parametrize("architecture", ["gru > linear(head)", NAMED])
def test_what_is_left_over_is_named(architecture: str) -> None:
    with pytest.raises(ERROR, match=r"leaves out aux, steps.*--ignore aux --ignore steps"):
        grucore.from_torch(with_aux(), architecture=architecture)
    with pytest.raises(ERROR, match="leaves out steps"):
        grucore.from_torch(with_aux(), architecture=architecture, ignore="aux")


@pytest.mark.parametrize(
    "ignore", [["aux", "steps"], ["aux.*", "ste?s"], ("aux.weight", "aux.b*", "steps")]
)
def test_ignored_tensors_leave_a_record(ignore: Any, x: np.ndarray) -> None:
    model = grucore.from_torch(with_aux(), architecture="gru > linear", ignore=ignore)
    assert np.abs(model.run(x) - run(net(), x)).max() < BOUND
    assert model.metadata["source"]["ignored"] == ["aux.weight", "aux.bias", "steps"]
    assert "left out on purpose: aux.weight, aux.bias, steps" in str(model.proof)


def test_an_ignore_that_matches_nothing() -> None:
    with pytest.raises(ERROR, match=r"ignore='aux' matches nothing; the file has encoder\.weight"):
        grucore.from_torch(net().state_dict(), architecture=NAMED, ignore=["aux"])
    with pytest.raises(ERROR, match="ignore='aux' matches nothing"):
        grucore.from_torch(gru(), ignore="aux")
    with pytest.raises(TypeError, match="ignore holds a int"):
        grucore.from_torch(net().state_dict(), architecture=NAMED, ignore=[3])


@pytest.mark.parametrize("ignore", ["head.bias", "encoder.bias*", "module.head.bias"])
def test_a_part_of_a_layer_cannot_be_ignored(ignore: str) -> None:
    state = {f"module.{name}": tensor for name, tensor in net().state_dict().items()}
    with pytest.raises(ERROR, match=r"is a part of (head|encoder), which the model uses"):
        grucore.from_torch(state, architecture=NAMED, ignore=ignore)


def test_a_network_of_several_is_picked_by_names(x: np.ndarray) -> None:
    other = {f"critic.{name}": tensor for name, tensor in gru().state_dict().items()}
    model = grucore.from_torch(more(**other), architecture=NAMED)
    assert model.metadata["source"]["left_out"] == ["critic"]
    assert "left out on purpose: critic" in str(model.proof)
    with pytest.raises(ERROR, match="1 gru steps without a name for 2 such layers"):
        grucore.from_torch(more(**other), architecture="gru > linear(head)")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from grucore.cli import main

    torch.save(with_aux(), tmp_path / "net.pt")
    command = ["convert", str(tmp_path / "net.pt"), "-o", str(tmp_path / "net.gru")]
    command += ["--architecture", "gru > linear", "--ignore", "aux"]
    assert main(command) == 1
    assert "leaves out steps" in capsys.readouterr().err
    assert main([*command, "--ignore", "steps"]) == 0
    assert "aux.weight" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "net.gru")]) == 0
    assert "ignored" in capsys.readouterr().out


def test_a_dropped_layer_is_said_in_the_offer(x: np.ndarray) -> None:
    lines = offered(with_aux())
    assert lines[0] == (
        '"gru(encoder) > last > linear(head)" --ignore aux --ignore steps  '
        "(one answer per sequence, from its last frame, without aux, steps)"
    )
    assert any("linear(aux)" in line and "--ignore head" in line for line in lines)


class Policy(nn.Module):  # type: ignore[misc]
    """A learned initial state, input statistics and a gain, as loose tensors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.h0 = nn.Parameter(torch.randn(2, 1, 4))
        self.register_buffer("obs_mean", torch.randn(1, 3))
        self.register_buffer("obs_std", torch.rand(3) + 0.5)
        self.encoder = nn.GRU(3, 4, 2, batch_first=True)
        self.head = nn.Linear(4, 2)
        self.gain = nn.Parameter(torch.tensor([2.0, 0.5]))

    def forward(self, x: Any) -> Any:
        x = (x - self.obs_mean) / (self.obs_std + 0.01)
        y, _ = self.encoder(x, self.h0.expand(-1, x.size(0), -1).contiguous())
        return self.head(y) * self.gain


POLICY = (
    "subtract(obs_mean) > divide(obs_std, eps=0.01) > gru(encoder, h_0=h0) > linear(head) > "
    "multiply(gain)"
)


def test_loose_tensors_in_an_architecture(x: np.ndarray, tmp_path: Path) -> None:
    module = Policy().eval()
    model = grucore.from_torch(module.state_dict(), architecture=POLICY)
    assert np.abs(model.run(x) - run(module, x)).max() < BOUND
    torch.save({"model": module.state_dict()}, tmp_path / "policy.pt")
    model = grucore.convert(tmp_path / "policy.pt", architecture=POLICY)
    assert np.abs(model.run(x) - run(module, x)).max() < BOUND


def test_loose_tensors_are_offered_in_their_parts() -> None:
    first, *_, last = offered(Policy().state_dict())
    assert first.startswith(
        '"subtract(obs_mean) > divide(obs_std) > gru(encoder, h_0=h0) > last > linear(head) > '
        'multiply(gain)"  (one answer per sequence'
    )
    assert "--ignore h0 --ignore gain --ignore obs_mean --ignore obs_std" in last
    assert "without h0, gain, obs_mean, obs_std" in last


def test_the_state_of_an_lstm_and_tensors_beside_the_state_dict(
    x: np.ndarray, tmp_path: Path
) -> None:
    torch.manual_seed(4)
    lstm = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    h, c = torch.randn(2, 1, 4), torch.randn(2, 4)
    scale, offset = torch.tensor(2.5), torch.randn(8, dtype=torch.float64)
    checkpoint = {
        "model": {**lstm.state_dict(), "h": h, "cell": c},
        "stats": {"scale": scale, "offset": offset},
        "epoch": torch.tensor(3),
    }
    torch.save(checkpoint, tmp_path / "lstm.pt")
    architecture = "lstm(lstm, h_0=h, c_0=cell) > multiply(stats/scale) > add(stats/offset)"
    model = grucore.convert(tmp_path / "lstm.pt", architecture=architecture)
    with torch.no_grad():
        states = h.expand(-1, 2, -1).contiguous(), c[:, None].expand(-1, 2, -1).contiguous()
        expected = lstm(torch.from_numpy(x), states)[0] * scale + offset.float()
    assert np.abs(model.run(x) - expected.numpy()).max() < 3 * BOUND
    assert model.metadata["source"]["beside"] == ["epoch ()", "stats/scale ()", "stats/offset (8,)"]


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("gru > linear > multiply", "step 3: multiply needs the name of a tensor"),
        ("gru > linear > multiply(steps)", "there is no tensor 'steps' to multiply"),
        ("gru > linear > multiply(table)", r"table has shape \(2, 2\), expected one number or"),
        ("gru > linear > multiply(row)", "row reads 5 features, but head writes 2"),
        (
            "gru(encoder, h_0=row) > linear",
            r"row has shape \(5,\) of float32, expected \(1, 1, 4\)",
        ),
        ("gru(encoder, h_0=h) > linear", "there is no tensor 'h' for h_0 of encoder"),
        ("gru(encoder, c_0=row) > linear", "gru has an argument 'c_0', expected h_0"),
        ("gru > linear > divide(row, eps=x)", "eps of divide cannot be 'x'"),
    ],
)
def test_loose_tensors_that_do_not_fit(architecture: str, reason: str) -> None:
    state = more(table=torch.zeros(2, 2), row=torch.zeros(5))
    with pytest.raises(ERROR, match=reason):
        grucore.from_torch(state, architecture=architecture)


def test_layers_by_two_names_count_once(x: np.ndarray, tmp_path: Path) -> None:
    class Twice(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(1)
            self.encoder = nn.GRU(3, 4, batch_first=True)
            self.head = nn.Linear(4, 2)
            self.stages = nn.ModuleList([self.encoder, self.head])

        def forward(self, x: Any) -> Any:
            return self.head(self.encoder(x)[0])

    module = Twice().eval()
    torch.save(module.state_dict(), tmp_path / "twice.pt")
    for architecture in ("gru > linear", NAMED, "gru(stages.0) > linear(stages.1)"):
        model = grucore.convert(tmp_path / "twice.pt", architecture=architecture)
        assert np.abs(model.run(x) - run(module, x)).max() < BOUND
    aliases = {"stages.0": "encoder", "stages.1": "head"}
    assert model.metadata["source"]["aliases"] == aliases


def test_one_layer_run_twice_in_a_row_counts_twice() -> None:
    fc = nn.Linear(4, 4)
    layers = {f"fc.{i}.{name}": tensor for i in (0, 1) for name, tensor in fc.state_dict().items()}
    state = {f"gru.{name}": tensor for name, tensor in gru().state_dict().items()} | layers
    with pytest.raises(ERROR, match="1 linear steps without a name for 2 such layers"):
        grucore.from_torch(state, architecture="gru > linear")
    grucore.from_torch(state, architecture="gru > linear > linear")


def averaged(name: str) -> dict[str, Any]:
    """The same weights once more, a little different, under another name."""
    state = net().state_dict()
    return {name.format(name=key): tensor + 0.1 for key, tensor in state.items()}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("ema.{name}", "ema.*"),
        ("ema.module.{name}", "ema.*"),
        ("module_ema.{name}", "module_ema.*"),
        ("{name}_ema", "*_ema"),
        ("swa_model.{name}", "swa_model.*"),
        ("EMA_model.model.{name}", "EMA_model.*"),
    ],
)
def test_averages_are_never_chosen_in_silence(name: str, pattern: str, x: np.ndarray) -> None:
    state = dict(net().state_dict()) | averaged(name)
    for line in ("gru(encoder) > linear(head)", "gru > linear"):
        with pytest.raises(ERROR) as refusal:
            grucore.from_torch(state, architecture=line)
        message = str(refusal.value)
        assert "encoder.weight_ih_l0 is there twice" in message
    assert f"--ignore {pattern}" in message.replace("'", "")
    assert "--ignore 'encoder.*' --ignore 'head.*' the averaged ones" in message
    model = grucore.from_torch(state, architecture="gru > linear", ignore=pattern)
    assert np.abs(model.run(x) - run(net(), x)).max() < BOUND
    if not name.startswith("{"):
        model = grucore.from_torch(
            state, architecture="gru > linear", ignore=["encoder.*", "head.*"]
        )
        assert np.abs(model.run(x) - run(net(), x)).max() > 0.01


def test_averages_in_a_dict_of_their_own(x: np.ndarray, tmp_path: Path) -> None:
    plain, ema = net().state_dict(), averaged("{name}")
    torch.save({"state_dict": plain, "state_dict_ema": ema}, tmp_path / "both.pt")
    with pytest.raises(ERROR, match=r"several state dicts \(state_dict, state_dict_ema\)"):
        grucore.convert(tmp_path / "both.pt", architecture="gru > linear")
    for ignore, is_plain in (("state_dict_ema", True), ("state_dict", False)):
        model = grucore.convert(tmp_path / "both.pt", architecture="gru > linear", ignore=[ignore])
        assert (np.abs(model.run(x) - run(net(), x)).max() < BOUND) == is_plain


def test_an_averaged_model_of_torch(x: np.ndarray, tmp_path: Path) -> None:
    module = net()
    mean = torch.optim.swa_utils.AveragedModel(module)
    for _ in range(2):
        mean.update_parameters(module)
    torch.save(mean.state_dict(), tmp_path / "swa.pt")
    model = grucore.convert(tmp_path / "swa.pt", architecture="gru > linear")
    assert model.metadata["source"]["averaged"] == "over 2 models, by AveragedModel"
    assert np.abs(model.run(x) - run(module, x)).max() < BOUND


class Tied(nn.Module):  # type: ignore[misc]
    """A table of an embedding that is the matrix of the last product as well."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.table = nn.Embedding(9, 4)
        self.gru = nn.GRU(4, 4, batch_first=True)
        self.out = nn.Linear(4, 9)
        self.out.weight = self.table.weight

    def forward(self, ids: Any) -> Any:
        return self.out(self.gru(self.table(ids))[0])


@pytest.mark.parametrize("container", ["memory", "pt", "safetensors"])
def test_tied_weights(container: str, tmp_path: Path) -> None:
    module, ids = Tied().eval(), torch.randint(0, 9, (2, 11))
    line = "embedding(table) > gru(gru) > linear(out)"
    path = tmp_path / f"tied.{container}"
    if container == "safetensors":
        oracle("safetensors.torch").save_model(module, str(path))
    else:
        torch.save(module.state_dict(), path)
    if container == "memory":
        model = grucore.from_torch(module.state_dict(), architecture=line)
    else:
        model = grucore.convert(path, architecture=line)
    y = model.run(ids.numpy().astype(np.int32))
    assert np.abs(y - module(ids).detach().numpy()).max() < BOUND
