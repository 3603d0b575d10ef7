# SPDX-License-Identifier: Apache-2.0
"""Whole live modules: axes, states, loops; every trap by its number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grucore
from models.readers import program_in, torch_object
from models.torch_made import X, close, gru, made, model, source
from models.torch_wholes import exported
from oracle.oracles import oracle

pytestmark = pytest.mark.oracle
torch = oracle("torch")
nn = torch.nn

ERROR = grucore.ConversionError


def test_trap_7_last_output_of_both_directions_is_not_the_final_state() -> None:
    both = gru(bidirectional=True)
    last = made(lambda m, x: m.gru(x)[0][:, -1], gru=both)
    final = made(lambda m, x: m.gru(x)[1].transpose(0, 1).flatten(1), gru=both)
    assert close(model(last).run(X.numpy()), last(X))
    assert close(model(final).run(X.numpy()), final(X))
    assert np.abs(model(last).run(X.numpy()) - model(final).run(X.numpy())).max() > 0.01


def test_trap_8_lengths_freeze_the_state_and_give_zeros_past_the_end() -> None:
    module = made(lambda m, x: m.gru(x), gru=gru())
    y, h = model(module).run(X.numpy(), lengths=[9, 4])
    assert not y[1, 4:].any()
    assert close(h[1], module(X[1:, :4])[1][0, 0])


def test_trap_9_final_states_are_in_the_order_of_layers_then_directions() -> None:
    module = made(lambda m, x: m.gru(x)[1][[2]], gru=gru(num_layers=2, bidirectional=True))
    picked = made(lambda m, x: m.gru(x)[1][2], gru=module.gru)
    assert close(model(picked).run(X.numpy()), picked(X))
    stacked = made(lambda m, x: m.gru(x)[1], gru=module.gru)
    found = model(stacked).run(X.numpy()).reshape(2, 4, 4)
    assert close(found.swapaxes(0, 1), stacked(X))


@pytest.mark.parametrize("batch_first", [True, False])
def test_trap_10_initial_states_are_never_batch_first(batch_first: bool) -> None:
    module = made(lambda m, x, h: m.gru(x, h)[0], gru=gru(num_layers=2, batch_first=batch_first))
    x = X if batch_first else X.transpose(0, 1)
    h = torch.randn(2, 2, 4)
    found = model(module, x, h)
    assert source(found)["states"] == {"gru.l0.h": "inputs_1[0]", "gru.l1.h": "inputs_1[1]"}
    state = {"gru.l0.h": h[0].numpy(), "gru.l1.h": h[1].numpy()}
    y = module(x, h)
    ours = found.run(X.numpy(), state=state)
    assert close(ours, y if batch_first else y.transpose(0, 1))


def loop(m: Any, x: torch.Tensor) -> torch.Tensor:
    h, rows = torch.zeros(x.shape[0], 4), []
    for frame in range(x.shape[1]):
        h = m.cell(x[:, frame], h)
        rows.append(m.head(h))
    return torch.stack(rows, 1)


def test_trap_11_a_loop_over_a_cell_is_one_layer() -> None:
    module = made(loop, cell=nn.GRUCell(3, 4), head=nn.Linear(4, 2))
    found = model(module)
    assert close(found.run(X.numpy()), module(X))
    assert list(found.stream().state) == ["cell.l0.h"]


def backwards(m: Any, x: torch.Tensor) -> torch.Tensor:
    h, rows = None, []
    for frame in reversed(range(x.shape[1])):
        h = m.cell(x[:, frame], h)
        rows.insert(0, h)
    return torch.stack(rows, 1)


def test_trap_11_a_loop_backwards_is_a_reverse_layer() -> None:
    module = made(backwards, cell=nn.GRUCell(3, 4))
    found = model(module)
    assert close(found.run(X.numpy()), module(X))
    with pytest.raises(grucore.UnsupportedError, match="reads the future"):
        found.stream()


def packed(m: Any, x: torch.Tensor) -> torch.Tensor:
    rnn = nn.utils.rnn
    sequence = rnn.pack_padded_sequence(x, torch.tensor([9, 9]), batch_first=True)
    return rnn.pad_packed_sequence(m.gru(sequence)[0], batch_first=True)[0]


def test_trap_14_packed_sequences_are_refused_with_advice() -> None:
    with pytest.raises(ERROR, match=r"without pack_padded_sequence,.*lengths to Model\.run"):
        model(made(packed, gru=gru()))


def test_trap_15_layers_of_one_module_are_layers_here() -> None:
    module = made(lambda m, x: m.gru(x)[0], gru=gru(num_layers=3))
    assert list(model(module).stream().state) == ["gru.l0.h", "gru.l1.h", "gru.l2.h"]


def test_trap_16_wrappers() -> None:
    module = made(lambda m, x: m.inner(x)[0], inner=gru())
    wrapped = made(lambda m, x: m.module(x), module=module)
    assert close(model(wrapped).run(X.numpy()), module(X))


def test_trap_17_weight_norm_and_pruning_anywhere() -> None:
    parametrizations, prune = nn.utils.parametrizations, oracle("torch.nn.utils.prune")
    conv = parametrizations.weight_norm(nn.Conv1d(3, 3, 1))
    head = prune.random_unstructured(nn.Linear(4, 4), "weight", 0.5)
    normed = parametrizations.weight_norm(gru(), "weight_hh_l0")
    module = made(
        lambda m, x: m.head(m.gru(m.conv(x.transpose(1, 2)).transpose(1, 2))[0]),
        **{"conv": conv, "gru": normed, "head": head},
    )
    assert close(model(module).run(X.numpy()), module(X))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trap_18_quantized_modules_are_refused() -> None:
    module = torch.ao.quantization.quantize_dynamic(nn.Sequential(gru()), {nn.GRU})
    with pytest.raises(ERROR, match=r"quantized|torch\.export fails"):
        model(module)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.RNN])
def test_trap_19_other_recurrent_layers_are_what_their_class_says(kind: Any) -> None:
    module = made(lambda m, x: m.inner(x)[0], inner=kind(3, 4, batch_first=True))
    assert close(model(module).run(X.numpy()), module(X))
    data = program_in(exported(module, X)).data
    assert close(grucore.load(data).run(X.numpy()), module(X))


def test_trap_20_tied_and_transposed_weights() -> None:
    table = nn.Embedding(7, 3)
    tied = made(
        lambda m, x: m.gru(m.table(x))[0][..., :3] @ m.table.weight.T, table=table, gru=gru()
    )
    ids = torch.arange(18).reshape(2, 9) % 7
    expected = tied(ids)
    assert close(model(tied, ids).run(ids.numpy()), expected)
    saved = program_in(exported(tied, ids)).data
    assert close(grucore.load(saved).run(ids.numpy()), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_trap_20_other_precisions(dtype: str) -> None:
    module = made(lambda m, x: m.head(m.gru(x)[0]), gru=gru(), head=nn.Linear(4, 2))
    module = module.to(getattr(torch, dtype))
    found = model(module, X.to(getattr(torch, dtype)))
    assert source(found)["dtype"] == dtype
    assert close(found.run(X.numpy()), module.float()(X))


def test_trap_22_learned_initial_states() -> None:
    start = nn.Parameter(torch.randn(1, 1, 4))
    module = made(
        lambda m, x: m.gru(x, m.start.expand(-1, x.shape[0], -1).contiguous())[0],
        **{"gru": gru(), "start": start},
    )
    found = model(module)
    assert close(found.run(X.numpy()), module(X))
    assert np.array_equal(found.stream().state["gru.l0.h"], start.detach().numpy()[0, 0])


def test_one_frame_a_call() -> None:
    module = made(
        lambda m, token, h: (lambda y: (m.head(y[0][:, 0]), y[1]))(m.gru(m.table(token), h)),
        **{"table": nn.Embedding(7, 3), "gru": gru(), "head": nn.Linear(4, 7)},
    )
    found = model(module, torch.zeros(2, 1, dtype=torch.long), torch.zeros(1, 2, 4))
    assert [port.rate for port in found.outputs] == ["frame"]
    stream, h = found.stream(), torch.zeros(1, 1, 4)
    for token in (3, 1, 4, 1, 5):
        y, h = module(torch.tensor([[token]]), h)
        assert close(stream.step([token]), y[0])
        assert close(stream.state["gru.l0.h"], h[0, 0])


def test_axes_are_found_whatever_their_sizes() -> None:
    square = torch.linspace(-1, 1, 27).reshape(3, 3, 3)
    for batch_first in (True, False):
        module = made(lambda m, x: m.gru(x)[0], gru=gru(batch_first=batch_first))
        axes = "(batch, time, features)" if batch_first else "(time, batch, features)"
        assert source(model(module, square))["axes"] == axes
    unbatched = made(lambda m, x: m.gru(x)[0], gru=gru())
    assert source(model(unbatched, X[0]))["axes"] == "(time, features)"


def test_several_inputs_and_outputs_keep_their_order() -> None:
    module = made(
        lambda m, a, b: {"y": m.gru(torch.cat([a, b], -1))[0], "b": b * 2, "a": a}, gru=gru()
    )
    one, other = X[..., :1].contiguous(), X[..., 1:].contiguous()
    found = model(module, one, other)
    assert [(port.name, port.features) for port in found.inputs] == [
        ("inputs_0", 1),
        ("inputs_1", 2),
    ]
    for ours, theirs in zip(
        found.run((one.numpy(), other.numpy())), module(one, other).values(), strict=True
    ):
        assert close(ours, theirs)


def test_modules_stay_as_they_were_and_are_proved_on_the_examples() -> None:
    module = made(lambda m, x: m.drop(m.gru(x)[0]), gru=gru(), drop=nn.Dropout(0.5)).train()
    plain = torch_object(module, example_inputs=X).proof
    more = torch_object(module, example_inputs=torch.cat([X, X])).proof
    assert module.training
    assert more.frames - plain.frames == 18


def test_a_module_without_examples_says_what_it_needs() -> None:
    with pytest.raises(ERROR, match="pass example_inputs, the arguments of its forward"):
        grucore.from_torch(made(lambda m, x: m.gru(x)[0], gru=gru()))
    with pytest.raises(ERROR, match="has only one reading"):
        grucore.from_torch(
            made(lambda m, x: m.gru(x)[0], gru=gru()), example_inputs=X, architecture="gru"
        )


def test_the_module_can_be_trained_on_after_a_conversion() -> None:
    module = made(lambda m, x: m.gru(x)[0], gru=gru())
    grucore.from_torch(module, example_inputs=X)
    weights = [module.gru.weight_ih_l0, module.gru.weight_hh_l0]
    assert all(a is b for a, b in zip(module.gru._flat_weights, weights, strict=False))
    module.train()(X).sum().backward()
    assert module.gru.weight_ih_l0.grad is not None
